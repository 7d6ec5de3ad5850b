-- Lifts a block that is in force, and writes down who did so. Primary key of sender_block; 0.3 ms. No row: there is none.
-- $1 region, $2 id, $3 actor, $4 now (microseconds UTC), $5 id of the act
with
lifted as (
    update sender_block s
    set
        lifted_by = $3::text,
        lifted_at = to_timestamp($4::bigint / 1000000.0)
    where s.region_id = $1::smallint
      and s.id = $2::uuid
      and s.lifted_at is null
    returning s.id, s.kind, s.subject, s.refuse, s.reason, s.until, s.actor, s.at, s.lifted_by, s.lifted_at
),
act as (
    insert into desk_act (region_id, id, at, actor, act, detail)
    select
        $1::smallint,
        $5::uuid,
        l.lifted_at,
        l.lifted_by,
        'lift',
        jsonb_build_object('block', l.id, 'kind', l.kind, 'subject', l.subject)
    from lifted l
)
select
    jsonb_strip_nulls(jsonb_build_object(
        'id', l.id,
        'kind', l.kind,
        'subject', l.subject,
        'refuse', l.refuse,
        'reason', l.reason,
        'until', rfc3339(l.until),
        'by', l.actor,
        'at', rfc3339(l.at),
        'lifted_by', l.lifted_by,
        'lifted_at', rfc3339(l.lifted_at)
    ))::text as block
from lifted l;
