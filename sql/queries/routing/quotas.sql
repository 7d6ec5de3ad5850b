-- Who has used up the quota of today. Primary key of quota_use: the rows of a day; 2 ms for a thousand.
-- $1 region, $2 now (microseconds UTC)
select
    jsonb_build_object(
        'day', d.day,
        'per_address', q.per_address,
        'per_resident', q.per_resident,
        'at_limit', (
            select coalesce(jsonb_agg(w.who order by w.used desc, w.subject), '[]')
            from (
                select
                    u.used,
                    u.subject,
                    jsonb_build_object('kind', u.kind, 'subject', u.subject, 'asked', u.used) as who
                from quota_use u
                where u.region_id = $1::smallint
                  and u.day = d.day
                  and u.used >= case u.kind when 'address' then q.per_address else q.per_resident end
                order by u.used desc
                limit 200
            ) w
        )
    )::text as quotas
from region_quota q
join region r on r.id = q.region_id
cross join lateral (select (to_timestamp($2::bigint / 1000000.0) at time zone r.time_zone)::date as day) d
where q.region_id = $1::smallint;
