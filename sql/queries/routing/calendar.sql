-- The days of a region around now as moments of UTC: PostgreSQL knows the time zone, deadline.c only counts. Forty days back for
-- appeals that waited, four hundred ahead. Primary key of calendar_day; about 3 ms.
-- known is false in a year without any row of its own calendar: nobody has entered its holidays.
-- $1 region, $2 now (microseconds UTC)
select
    d.day::date - date '1970-01-01' as day,
    (extract(epoch from d.day at time zone r.time_zone) * 1000000)::bigint as begins_us,
    (extract(epoch from (d.day + interval '1 day') at time zone r.time_zone) * 1000000)::bigint as ends_us,
    (extract(epoch from (d.day + r.work_opens) at time zone r.time_zone) * 1000000)::bigint as opens_us,
    (
        extract(epoch from (d.day + r.work_closes) at time zone r.time_zone) * 1000000
    )::bigint - case when c.kind = 'short' then 3600000000 else 0 end as closes_us,
    coalesce(c.kind, case when extract(isodow from d.day) < 6 then 'working' else 'weekend' end) as kind,
    exists (
        select
        from calendar_day y
        where y.region_id = r.id
          and y.day between date_trunc('year', d.day)::date and (date_trunc('year', d.day) + interval '1 year' - interval '1 day')::date
    ) as known,
    coalesce(c.note, '') as note
from region r
cross join lateral generate_series(
    (to_timestamp($2::bigint / 1000000.0) at time zone r.time_zone)::date - interval '40 days',
    (to_timestamp($2::bigint / 1000000.0) at time zone r.time_zone)::date + interval '400 days',
    interval '1 day'
) as d (day)
left join calendar_day c
    on c.region_id = r.id
    and c.day = d.day::date
where r.id = $1::smallint
order by d.day;
