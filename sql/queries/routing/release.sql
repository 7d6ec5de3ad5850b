-- Sends an appeal that was held for its sender or as a repeat to routing again, as one that a moderator has looked at: status, event, counters,
-- outbox row and the act in one statement. Routing takes it out of "not known yet" once more, so it is put back there. appeal_by_number,
-- primary keys; 1 ms. No row: there is no such appeal, or it is not held.
-- $1 region, $2 number, $3 actor, $4 now (microseconds UTC), $5 counter slot, $6 id of the act
with
held as (
    select
        a.id,
        a.number,
        a.received_at,
        a.theme_id,
        a.body_id,
        a.municipality_id,
        a.last_seq,
        a.last_hash
    from appeal a
    where a.number = $2::text
      and a.region_id = $1::smallint
      and a.status = 'moderation'
      and exists (
          select
          from appeal_event e
          where e.region_id = $1::smallint
            and e.appeal_id = a.id
            and e.kind = 'moderation'
            and e.detail -> 'reasons' ?| array['blocked', 'repeat']
      )
    for no key update of a
),
linked as (
    select
        h.id,
        h.number,
        h.received_at,
        h.theme_id,
        h.body_id,
        h.municipality_id,
        h.last_seq,
        h.last_hash,
        event_hash(
            h.last_hash, $1::smallint, h.id, h.last_seq + 1, to_timestamp($4::bigint / 1000000.0), 'released', $3::text, '{}'
        ) as hash
    from held h
),
event as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select
        $1::smallint,
        l.id,
        l.last_seq + 1,
        to_timestamp($4::bigint / 1000000.0),
        'released',
        $3::text,
        '{}',
        l.last_hash,
        l.hash
    from linked l
),
moved as (
    update appeal a
    set
        status = 'captured',
        hold = 'released',
        last_seq = l.last_seq + 1,
        last_hash = l.hash
    from linked l
    where a.region_id = $1::smallint
      and a.id = l.id
),
queued as (
    insert into outbox (region_id, topic, appeal_id, not_before)
    select
        $1::smallint,
        'route',
        l.id,
        to_timestamp($4::bigint / 1000000.0)
    from linked l
),
changes as (
    select
        (l.received_at at time zone r.time_zone)::date as day,
        coalesce(l.theme_id, 0) as theme_id,
        coalesce(l.body_id, 0) as body_id,
        coalesce(l.municipality_id, 0) as municipality_id,
        -1 as received,
        -1 as moderation
    from linked l
    join region r on r.id = $1::smallint
    union all
    select
        (l.received_at at time zone r.time_zone)::date,
        coalesce(l.theme_id, 0),
        0,
        0,
        1,
        0
    from linked l
    join region r on r.id = $1::smallint
),
counted as (
    insert into appeal_count as n (region_id, day, theme_id, body_id, municipality_id, slot, received, moderation)
    select
        $1::smallint,
        c.day,
        c.theme_id,
        c.body_id,
        c.municipality_id,
        $5::smallint,
        sum(c.received),
        sum(c.moderation)
    from changes c
    group by c.day, c.theme_id, c.body_id, c.municipality_id
    order by c.day, c.theme_id, c.body_id, c.municipality_id
    on conflict (region_id, day, theme_id, body_id, municipality_id, slot) do update
    set
        received = n.received + excluded.received,
        moderation = n.moderation + excluded.moderation
),
act as (
    insert into desk_act (region_id, id, at, actor, act, detail)
    select
        $1::smallint,
        $6::uuid,
        to_timestamp($4::bigint / 1000000.0),
        $3::text,
        'release',
        jsonb_build_object('number', l.number)
    from linked l
)
select jsonb_build_object('number', l.number, 'status', 'captured')::text as released
from linked l;
