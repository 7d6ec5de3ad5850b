-- Texts that came more often than the region lets pass, within its window: how often, the text itself, its latest letters. text_repeat_by_day
-- over the window, appeal_by_text for each; 5 ms for ten texts.
-- $1 region, $2 now (microseconds UTC)
select
    jsonb_build_object(
        'limit', q.repeat_limit,
        'days', q.repeat_days,
        'repeats', (
            select coalesce(jsonb_agg(x.text order by x.times desc, x.digest), '[]')
            from (
                select
                    t.digest,
                    sum(t.times) as times,
                    jsonb_build_object(
                        'digest', encode(t.digest, 'hex'),
                        'times', sum(t.times),
                        'first_day', min(t.day),
                        'last_day', max(t.day),
                        'letters', (
                            select coalesce(jsonb_agg(l.letter order by l.received_at desc), '[]')
                            from (
                                select
                                    a.received_at,
                                    jsonb_build_object(
                                        'number', a.number,
                                        'status', a.status,
                                        'received_at', rfc3339(a.received_at),
                                        'text', a.text
                                    ) as letter
                                from appeal a
                                where a.text_digest = t.digest
                                  and a.region_id = $1::smallint
                                order by a.received_at desc
                                limit 5
                            ) l
                        )
                    ) as text
                from text_repeat t
                where t.region_id = $1::smallint
                  and t.day > d.day - q.repeat_days
                group by t.digest
                having sum(t.times) > q.repeat_limit
                order by sum(t.times) desc
                limit 50
            ) x
        )
    )::text as repeats
from region_quota q
join region r on r.id = q.region_id
cross join lateral (select (to_timestamp($2::bigint / 1000000.0) at time zone r.time_zone)::date as day) d
where q.region_id = $1::smallint;
