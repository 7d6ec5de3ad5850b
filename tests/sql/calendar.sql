-- The regions, their time zones and their days off, against what is published.
begin;

select plan(15);

select is((select count(*) from region where not demo), 89::bigint, '89 regions');
select results_eq(
    'select id, iso_code, name_ru, time_zone from region where demo',
    $$values (90::smallint, 'X-90', 'Демонстрационная область', 'Europe/Moscow')$$,
    'and one for demonstrations'
);
select is(
    (select array_agg(id::integer order by id) from region where not demo),
    array(select generate_series(1, 87)) || array[89, 92],
    'under the numbers people know'
);
select is((select count(*) from region where iso_code like 'RU-%'), 83::bigint, '83 of them have a code in ISO 3166-2:RU');
select is_empty(
    $$select id from region where iso_code !~ '^RU-[A-Z]{2,3}$' and iso_code <> 'X-' || id$$,
    'the others have local codes with their number'
);
select is_empty(
    $$select id from region where name_ru !~ '^[А-ЯЁ][А-Яа-яЁё —()-]+$' or name_en !~ '^[A-Z][A-Za-z –()''-]+$'$$,
    'names are in their own letters'
);
select is_empty('select time_zone from region except select name from pg_timezone_names', 'PostgreSQL knows every time zone');
select results_eq(
    $$
        select
            (extract(epoch from (timestamptz '2026-11-24T00:00:00Z' at time zone r.time_zone) - timestamp '2026-11-24') / 3600)::integer,
            array_agg(r.id::integer order by r.id)
        from region r
        where not r.demo
        group by 1
        having (extract(epoch from (timestamptz '2026-11-24T00:00:00Z' at time zone min(r.time_zone)) - timestamp '2026-11-24') / 3600) <> 3
        order by 1
    $$,
    $$
        values
            (2, array[39]),
            (4, array[18, 30, 63, 64, 73]),
            (5, array[2, 45, 56, 59, 66, 72, 74, 86, 89]),
            (6, array[55]),
            (7, array[4, 17, 19, 22, 24, 42, 54, 70]),
            (8, array[3, 38]),
            (9, array[14, 28, 75]),
            (10, array[25, 27, 79]),
            (11, array[49, 65]),
            (12, array[41, 87])
    $$,
    'these regions do not live by Moscow time'
);

select is(
    (select count(*) from (select region_id from calendar_day group by region_id having count(*) = 63) as complete),
    90::bigint,
    'every region has its calendar'
);
select is_empty(
    $$
        select
            day,
            kind
        from calendar_day
        group by day, kind
        having count(*) <> 90
    $$,
    'and all have the same national one'
);
select is_empty(
    $$select day from calendar_day where kind = 'short' and extract(isodow from day) > 5$$, 'no weekend is called a short day'
);
select is_empty(
    $$
        select s.day
        from calendar_day s
        where s.region_id = 90
          and s.kind = 'short'
          and not exists (select from calendar_day o where o.region_id = 90 and o.day = s.day + 1 and o.kind = 'off')
    $$,
    'a short day comes before a holiday'
);

create temp view working_day as
select
    d.day::date as day,
    coalesce(c.kind, 'working') as kind
from generate_series(timestamp '2026-01-01', timestamp '2028-12-31', interval '1 day') as d (day)
left join calendar_day c
    on c.region_id = 90
    and c.day = d.day::date
where coalesce(c.kind, case when extract(isodow from d.day) < 6 then 'working' else 'weekend' end) in ('working', 'short');

select results_eq(
    $$
        select
            count(*),
            sum(case kind when 'short' then 7 else 8 end)
        from working_day
        where extract(year from day) = 2026
    $$,
    'values (247::bigint, 1972::bigint)',
    '2026 has 247 working days and 1,972 hours, as the official production calendar says'
);
select results_eq(
    $$
        select
            extract(year from day)::integer,
            count(*)
        from working_day
        where day >= date '2027-01-01'
        group by 1
        order by 1
    $$,
    'values (2027, 249::bigint), (2028, 249::bigint)',
    'the years to come lack only the days that the yearly decree will move'
);
select is_empty(
    $$select day from calendar_day where day >= date '2027-01-01' and note !~ 'до ежегодного постановления'$$,
    'and say so'
);

select finish();
rollback;
