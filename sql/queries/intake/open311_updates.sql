-- What happened to appeals in a span of time, for whoever keeps copies of them; of those that Open311 shows at all. appeal_event_by_time,
-- then the primary key of appeal; 700 events in 12 ms over HTTP. updates is null when the region has no services: no such jurisdiction.
-- $1 region, $2 language, $3 subject of the client's own appeals ('': none), $4 from, $5 before (microseconds UTC), $6 how many at most
with
found as (
    select
        e.appeal_id,
        e.seq,
        e.at,
        e.kind,
        e.detail ->> 'body' as body_ru,
        a.number
    from appeal_event e
    join appeal a
        on a.region_id = e.region_id
        and a.id = e.appeal_id
    where e.region_id = $1::smallint
      and e.at >= to_timestamp($4::bigint / 1000000.0)
      and e.at < to_timestamp($5::bigint / 1000000.0)
      and (a.status = 'routed' or (a.client = $3::text and a.client <> '' and a.auth = 'api_key'))
    order by e.at, e.appeal_id, e.seq
    limit $6::integer
)
select
    case when exists (
        select
        from theme s
        where s.region_id = $1::smallint
          and s.active
    ) then (
        select coalesce(json_agg(
            json_build_object(
                'update_id', f.number || '.' || f.seq,
                'service_request_id', f.number,
                'status', case f.kind
                    when 'captured' then 'open'
                    when 'moderation' then 'for_triage'
                    when 'routed' then 'investigating'
                    else 'unchanged'
                end,
                'updated_datetime', to_char(f.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'description', case $2::text
                    when 'en' then case f.kind
                        when 'captured' then 'Received.'
                        when 'moderation' then 'A moderator is looking at it.'
                        when 'routed' then coalesce('Passed on to: ' || coalesce(b.name_en, f.body_ru) || '.', 'Passed on.')
                        else f.kind
                    end
                    else case f.kind
                        when 'captured' then 'Принято.'
                        when 'moderation' then 'На проверке у модератора.'
                        when 'routed' then coalesce('Передано: ' || f.body_ru || '.', 'Передано.')
                        else f.kind
                    end
                end,
                'media_url', null
            )
            order by f.at, f.appeal_id, f.seq
        ), '[]')
        from found f
        left join body b
            on b.region_id = $1::smallint
            and b.name_ru = f.body_ru
    ) end::text as updates,
    (select count(f.seq) from found f) as events;
