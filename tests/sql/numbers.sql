-- The public number of an appeal: its form, and a check digit that finds every slip of one digit and every swap of neighbours.
begin;

select plan(11);

select is(check_digit('572'), '4', 'Damm''s own example');
select is(check_digit(''), '0', 'no digits');
select is(appeal_number(90::smallint, 2026, 1), '90-2026-0000001-' || check_digit('9020260000001'), 'the first number of a year');
select is(appeal_number(1::smallint, 2026, 42), '01-2026-0000042-' || check_digit('0120260000042'), 'a small region keeps two digits');
select is(
    appeal_number(78::smallint, 2027, 10000007),
    appeal_number(78::smallint, 2027, 7),
    'the serial wraps after ten million'
);
select is(appeal_number(null, 2026, 1), null, 'no region, no number');

create temp table sample as
select
    appeal_number((1 + s * 37 % 99)::smallint, 2026 + s % 5, s::bigint * 7919 % 10000000) as number,
    replace(appeal_number((1 + s * 37 % 99)::smallint, 2026 + s % 5, s::bigint * 7919 % 10000000), '-', '') as digits
from generate_series(1, 2000) as g (s);

select is_empty($$select number from sample where number !~ '^\d\d-\d{4}-\d{7}-\d$'$$, 'every number has the form RR-YYYY-NNNNNNN-C');
select is((select count(distinct number) from sample), 2000::bigint, 'different serials give different numbers');
select is_empty($$select number from sample where check_digit(digits) <> '0'$$, 'every number passes its own check');
select is_empty(
    $$
        select
            s.number,
            p.place,
            d.digit
        from sample s
        cross join generate_series(1, 14) as p (place)
        cross join generate_series(0, 9) as d (digit)
        where substr(s.digits, p.place, 1) <> d.digit::text
          and check_digit(overlay(s.digits placing d.digit::text from p.place)) = '0'
    $$,
    'any one digit wrong is found'
);
select is_empty(
    $$
        select
            s.number,
            p.place
        from sample s
        cross join generate_series(1, 13) as p (place)
        where substr(s.digits, p.place, 1) <> substr(s.digits, p.place + 1, 1)
          and check_digit(overlay(s.digits placing reverse(substr(s.digits, p.place, 2)) from p.place)) = '0'
    $$,
    'any two neighbours swapped are found'
);

select finish();
rollback;
