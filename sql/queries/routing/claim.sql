-- Takes the oldest waiting appeals of a region that nobody else holds, each with the municipality of its point. The primary key of
-- outbox gives the order, the primary key of appeal the texts, municipality_boundary (GiST) the place: 13 µs a point for 111
-- okrugs of 264 vertices, 31 µs for 27 districts of 2,175. Row locks on outbox only; intake never waits for them.
-- A point inside several boundaries belongs to the smallest; a point on a shared border to the lowest id.
-- The limits keep the planner from any other way, which it would find while a month's partition is new and seems empty.
-- The clocks of an appeal that was opened again run from then on.
-- $1 region, $2 now (microseconds UTC), $3 how many
select
    o.id as outbox_id,
    o.attempts,
    a.id as appeal_id,
    a.text,
    a.theme_id,
    a.auth,
    a.legal_class,
    (extract(epoch from a.counts_from) * 1000000)::bigint as received_us,
    a.point is not null as has_point,
    m.id as municipality_id,
    a.hold,
    coalesce(t.times > a.repeat_limit, false) as repeated
from (
    select
        q.id,
        q.appeal_id,
        q.attempts
    from outbox q
    where q.region_id = $1::smallint
      and q.topic = 'route'
      and q.not_before <= to_timestamp($2::bigint / 1000000.0)
    order by q.id
    limit $3::integer
    for update skip locked
) o
cross join lateral (
    select
        w.id,
        w.text,
        w.theme_id,
        w.auth,
        w.legal_class,
        coalesce(w.reopened_at, w.received_at) as counts_from,
        w.received_at,
        w.point,
        w.hold,
        w.text_digest,
        l.repeat_limit,
        l.repeat_days,
        z.time_zone
    from appeal w
    left join region_quota l on l.region_id = $1::smallint
    left join region z on z.id = $1::smallint
    where w.region_id = $1::smallint
      and w.id = o.appeal_id
    limit 1
) a
left join lateral (
    select c.id
    from municipality c
    where c.region_id = $1::smallint
      and st_covers(c.boundary, a.point)
    order by
        case when count(*) over () > 1 then not st_contains(c.boundary, a.point) end,
        case when count(*) over () > 1 and st_contains(c.boundary, a.point) then st_area(c.boundary) end,
        c.id
    limit 1
) m on true
left join lateral (
    select sum(r.times) as times
    from text_repeat r
    where r.region_id = $1::smallint
      and r.digest = a.text_digest
      and r.day > (a.received_at at time zone a.time_zone)::date - a.repeat_days
) t on a.text_digest is not null
order by o.id;
