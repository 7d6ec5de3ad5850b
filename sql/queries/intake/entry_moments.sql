-- Moments as a registrar tells them, out of the region's own time where they bear no offset. One probe of region; 0.1 ms.
-- $1 region, $2 reception (microseconds, or null), $3 whether that is the region's time, else UTC; $4 and $5 the same of the event; $6 now
-- (microseconds UTC)
select
    (extract(epoch from t.received_at) * 1000000)::bigint as received_us,
    rfc3339(t.received_at) as received_at,
    rfc3339(t.event_at) as event_at,
    rfc3339(to_timestamp($6::bigint / 1000000.0)) as typed_at
from region r
cross join lateral (
    select
        to_timestamp($2::bigint / 1000000.0) as received_at,
        to_timestamp($4::bigint / 1000000.0) as event_at
) as g
cross join lateral (
    select
        case when $3::boolean then g.received_at at time zone 'UTC' at time zone r.time_zone else g.received_at end as received_at,
        case when $5::boolean then g.event_at at time zone 'UTC' at time zone r.time_zone else g.event_at end as event_at
) as t
where r.id = $1::smallint;
