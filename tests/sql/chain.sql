-- The chain of events: a link's digest is pinned to its form, and changes with every field.
begin;

select plan(18);

create temp table link (
    previous bytea, region_id smallint, appeal_id uuid, seq integer, at timestamptz, kind text, actor text, detail jsonb
);
insert into link (previous, region_id, appeal_id, seq, at, kind, actor, detail)
values ('', 90, '019a0000-0000-7000-8000-000000000001', 1, '2026-11-24T09:00:00.123456Z', 'captured', 'web', '{"b": 2, "a": "ё"}');
create function pg_temp.hash(l link) returns bytea
language sql
return event_hash(l.previous, l.region_id, l.appeal_id, l.seq, l.at, l.kind, l.actor, l.detail);

select is(
    (select pg_temp.hash(l) from link l),
    sha256(convert_to(
        '[90, "019a0000-0000-7000-8000-000000000001", 1, 1795510800123456, "captured", "web", {"a": "ё", "b": 2}]', 'UTF8'
    )),
    'the first link is the SHA-256 of its JSON array: what otklik audit verify must compute'
);
select is(
    (select event_hash('\x0102', region_id, appeal_id, seq, at, kind, actor, detail) from link),
    sha256('\x0102'::bytea || convert_to(
        '[90, "019a0000-0000-7000-8000-000000000001", 1, 1795510800123456, "captured", "web", {"a": "ё", "b": 2}]', 'UTF8'
    )),
    'a later link begins with the digest before it'
);
select is((select octet_length(pg_temp.hash(l)) from link l), 32, '256 bits');

select isnt(
    (
        select event_hash(
            case c.field when 'previous' then '\x00' else l.previous end,
            case c.field when 'region_id' then 78::smallint else l.region_id end,
            case c.field when 'appeal_id' then '019a0000-0000-7000-8000-000000000002' else l.appeal_id end,
            case c.field when 'seq' then 2 else l.seq end,
            case c.field when 'at' then l.at + interval '1 microsecond' else l.at end,
            case c.field when 'kind' then 'routed' else l.kind end,
            case c.field when 'actor' then '' else l.actor end,
            case c.field when 'detail' then '{"a": "е", "b": 2}' else l.detail end
        )
        from link l
    ),
    (select pg_temp.hash(l) from link l),
    'another ' || c.field || ', another digest'
)
from unnest(array['previous', 'region_id', 'appeal_id', 'seq', 'at', 'kind', 'actor', 'detail']) as c (field);

select isnt(
    event_hash('', 90::smallint, '019a0000-0000-7000-8000-000000000001', 1, '2026-11-24T09:00:00Z', 'a', 'b', '{}'),
    event_hash('', 90::smallint, '019a0000-0000-7000-8000-000000000001', 1, '2026-11-24T09:00:00Z', 'ab', '', '{}'),
    'nothing slips from one field into the next'
);
select is(
    (select event_hash(previous, region_id, appeal_id, seq, at, kind, actor, '{"a": "ё", "b": 2, "b": 2}') from link),
    (select pg_temp.hash(l) from link l),
    'the order of members in a detail does not matter'
);
set local timezone = 'Asia/Kamchatka';
set local datestyle = 'German';
set local extra_float_digits = 0;
set local bytea_output = 'escape';
select is(
    (select pg_temp.hash(l) from link l),
    sha256(convert_to(
        '[90, "019a0000-0000-7000-8000-000000000001", 1, 1795510800123456, "captured", "web", {"a": "ё", "b": 2}]', 'UTF8'
    )),
    'settings of the session do not matter'
);
select is((select event_hash(null, region_id, appeal_id, seq, at, kind, actor, detail) from link), null, 'no predecessor, no digest');

-- ---- three events of one appeal, and what altering the middle one leaves to see

insert into appeal (
    region_id, id, number, code_digest, channel, status, lang, auth, client, client_hash, request_id, received_at, text, last_seq, last_hash
)
values (
    90, '019a0000-0000-7000-8000-000000000001', '90-2026-0000000-0', '\x00', 'web_form', 'captured', 'ru', 'anonymous', '', '', '',
    '2026-11-24T00:00:00Z', 'Темно', 1, '\x00'
);
do $$
declare
    head bytea := '';
    next bytea;
begin
    for i in 1 .. 3 loop
        next := event_hash(head, 90::smallint, '019a0000-0000-7000-8000-000000000001', i, '2026-11-24T00:00:00Z', 'note', 'test',
                           jsonb_build_object('n', i));
        insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
        values (
            90, '019a0000-0000-7000-8000-000000000001', i, '2026-11-24T00:00:00Z', 'note', 'test', jsonb_build_object('n', i), head, next
        );
        head := next;
    end loop;
end $$;
prepare broken as
select e.seq
from (
    select
        v.seq,
        v.hash,
        v.previous,
        event_hash(v.previous, v.region_id, v.appeal_id, v.seq, v.at, v.kind, v.actor, v.detail) as computed,
        lag(v.hash, 1, '') over (partition by v.region_id, v.appeal_id order by v.seq) as before
    from appeal_event v
    where v.region_id = 90
      and v.appeal_id = '019a0000-0000-7000-8000-000000000001'
) e
where e.hash <> e.computed
   or e.previous <> e.before
order by e.seq;

select is_empty('execute broken', 'an unaltered chain holds');
update appeal_event set detail = '{"n": 20}' where appeal_id = '019a0000-0000-7000-8000-000000000001' and seq = 2;
select results_eq('execute broken', 'values (2)', 'an altered event is seen');
update appeal_event
set hash = event_hash(previous, region_id, appeal_id, seq, at, kind, actor, detail)
where appeal_id = '019a0000-0000-7000-8000-000000000001' and seq = 2;
select results_eq('execute broken', 'values (3)', 'its digest made to fit: then the next link is seen');

select finish();
rollback;
