-- Appeals lie in the month of their id, whoever makes the partitions and in whatever time zone; none is ever refused.
begin;

set local client_min_messages = error;
select plan(16);

select is(
    uuid_floor('1970-01-01T00:00:00.255Z'),
    '00000000-00ff-7000-8000-000000000000'::uuid,
    'a floor is the milliseconds, the version and zeros'
);
select is(
    uuid_floor('2026-11-24T09:00:00.123999Z'),
    uuid_floor('2026-11-24T09:00:00.123Z'),
    'microseconds are cut off, as programs do, not rounded'
);
select is_empty(
    $$
        select m.t
        from (
            select
                t,
                uuid_floor(t) as low,
                lag(uuid_floor(t)) over (order by t) as before
            from generate_series(timestamptz '2020-01-01', timestamptz '2060-01-01', interval '7 days 3 hours 1.001 seconds') as g (t)
        ) m
        where m.low <= m.before
    $$,
    'floors ascend with time'
);
select is_empty(
    $$
        select g.t
        from generate_series(timestamptz '2026-01-01', timestamptz '2030-01-01', interval '5 days 0.777 seconds') as g (t)
        cross join lateral (
            select
                substr(uuid_floor(g.t)::text, 1, 14) || '7000-8000-000000000000' as lowest,
                substr(uuid_floor(g.t)::text, 1, 14) || '7fff-bfff-ffffffffffff' as highest
        ) as id
        where not (uuid_floor(g.t) <= id.lowest::uuid and id.highest::uuid < uuid_floor(g.t + interval '1 millisecond'))
    $$,
    'every UUIDv7 of a millisecond lies between its floor and the next'
);

-- ---- making them

set local timezone = 'Pacific/Auckland';
select is(make_partitions('2071-03-31', 3), 3, 'three months are made');
select is(make_partitions('2071-03-01', 3), 0, 'once');
set local timezone = 'America/Los_Angeles';
select is(make_partitions('2071-05-15', 3), 2, 'the overlap is left alone, also in another time zone');
select results_eq(
    $$
        select pg_get_expr(c.relpartbound, c.oid) collate "C"
        from pg_class c
        where c.relnamespace = 'otklik'::regnamespace
          and c.relname in ('appeal_2071_03', 'appeal_event_2071_03')
    $$,
    $$
        select format('FOR VALUES FROM (%L) TO (%L)', uuid_floor('2071-03-01T00:00:00Z'), uuid_floor('2071-04-01T00:00:00Z')) collate "C"
        from generate_series(1, 2)
    $$,
    'a month begins and ends by UTC'
);
set local timezone = 'UTC';

-- ---- where rows land

create function pg_temp.put(id uuid) returns text
language plpgsql as $$
declare
    place text;
    event_place text;
begin
    insert into otklik.appeal as a (
        region_id, id, number, code_digest, channel, status, lang, auth, client, client_hash, request_id, received_at, text, last_seq,
        last_hash
    )
    values (
        90, put.id, '90-2071-0000000-0', '\x00', 'web_form', 'captured', 'ru', 'anonymous', '', '', '', '2071-03-01T00:00:00Z', 'Темно', 1,
        '\x00'
    )
    returning a.tableoid::regclass::text into place;
    insert into otklik.appeal_event as e (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    values (90, put.id, 1, '2071-12-01T00:00:00Z', 'captured', '', '{}', '', '\x00')
    returning e.tableoid::regclass::text into event_place;
    return place || ' ' || event_place;
end $$;

select is(
    pg_temp.put(uuid_floor('2071-03-17T12:00:00Z')),
    'appeal_2071_03 appeal_event_2071_03',
    'an appeal lies in the month of its id; its event beside it, however late it happens'
);
select is(pg_temp.put(uuid_floor('2071-04-01T00:00:00Z')), 'appeal_2071_04 appeal_event_2071_04', 'the first millisecond of a month');
select is(
    pg_temp.put((left(uuid_floor('2071-03-31T23:59:59.999Z')::text, 14) || '7fff-bfff-ffffffffffff')::uuid),
    'appeal_2071_03 appeal_event_2071_03',
    'the last id of a month'
);
select is(
    pg_temp.put(uuid_floor('2081-07-05T00:00:00Z')), 'appeal_rest appeal_event_rest', 'what has no partition goes to the default one'
);
select is(make_partitions('2081-06-01', 3), 2, 'a month that has begun in the default partition stays there, its neighbours are made');
select is(pg_temp.put(uuid_floor('2081-07-06T00:00:00Z')), 'appeal_rest appeal_event_rest', 'and goes on taking appeals');
select is(pg_temp.put(uuid_floor('2081-08-01T00:00:00Z')), 'appeal_2081_08 appeal_event_2081_08', 'until the next month begins');
select results_eq(
    $$select count(*) from appeal where region_id = 90 and id >= uuid_floor('2071-03-01Z') and id < uuid_floor('2071-04-01Z')$$,
    'values (2::bigint)',
    'a range of ids is a range of time'
);

select finish();
rollback;
