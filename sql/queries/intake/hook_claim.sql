-- Takes the oldest waiting events of a region that nobody else holds, for a while: who dies with them loses them to the next. An event waits
-- until the earlier ones of its message are finished, so an edit never overtakes what it edits. hook_event_new gives the order,
-- hook_event_order who waits, primary keys the rest, whatever the tables hold: hence the limits. 3 ms for 32.
-- $1 region, $2 now and $3 until when they are held (microseconds UTC), $4 how many
with
due as materialized (
    select e.id
    from hook_event e
    where e.region_id = $1::smallint
      and e.state = 'new'
      and e.not_before <= to_timestamp($2::bigint / 1000000.0)
      and not exists (
          select
          from hook_event o
          where o.region_id = $1::smallint
            and o.message = e.message
            and o.id < e.id
            and o.state = 'new'
      )
    order by e.id
    limit $4::integer
    for update of e skip locked
),
held as (
    update hook_event e
    set
        attempts = e.attempts + 1,
        not_before = to_timestamp($3::bigint / 1000000.0)
    from due d
    where e.region_id = $1::smallint
      and e.id = d.id
    returning
        e.id,
        e.channel,
        e.account,
        e.message,
        e.request_id,
        (extract(epoch from e.received_at) * 1000000)::bigint as received_us,
        e.attempts,
        e.raw
)
select
    h.id,
    h.channel,
    h.account,
    h.message,
    h.request_id,
    h.received_us,
    h.attempts,
    coalesce(a.mode, 'read') as mode,
    p.id is not null as stored,
    m.appeal_id is not null as known,
    h.raw
from held h
left join lateral (
    select c.mode
    from channel_account c
    where c.region_id = $1::smallint
      and c.channel = h.channel
      and c.account = h.account
    limit 1
) a on true
left join lateral (
    select k.appeal_id
    from hook_message k
    where k.region_id = $1::smallint
      and k.message = h.message
    limit 1
) m on true
left join lateral (
    select w.id
    from appeal w
    where w.region_id = $1::smallint
      and w.id = h.id
    limit 1
) p on true
order by h.id;
