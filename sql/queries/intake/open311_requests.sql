-- Appeals as Open311 shows them: a client's own with what it wrote, those of others once a body has them, without text, typed address and
-- exact place. Three ways to find them, one of which runs: by numbers (appeal_by_number, a probe in each partition), by time of reception
-- (primary key of appeal, backwards, only the partitions of that time), by time of the last event (appeal_event_by_time). 100 of 100,000 in 20 ms, one by its number in 2 ms.
-- Filters by place look at the place that is shown, so that nobody finds out the exact one by asking again and again; a box a little larger
-- goes before, since rounding costs more than all the rest.
-- requests is null when the region has no services: no such jurisdiction.
-- $1 region, $2 language, $3 subject of the client's own appeals ('': none), $4 numbers (null: by time), $5 service codes, $6 statuses (null: any);
-- moments in microseconds UTC: $7 received from, $8 received before, $9 last event from (null: any), $10 last event before; bounds or null: $11
-- west, $12 south, $13 east, $14 north; or $15 latitude, $16 longitude, $17 radius in metres; $18 limit, $19 offset, $20 extensions, $21 where the public finds us
with
found as (
    (
        select
            a.id,
            o.own
        from appeal a
        cross join lateral (select a.client = $3::text and a.client <> '' and a.auth = 'api_key') as o (own)
        where $4::text[] is not null
          and a.region_id = $1::smallint
          and a.number = any ($4::text[])
          and (o.own or a.status = 'routed')
        order by a.id desc
        limit $18::integer
        offset $19::integer
    )
    union all
    (
        select
            a.id,
            o.own
        from appeal a
        cross join lateral (select a.client = $3::text and a.client <> '' and a.auth = 'api_key') as o (own)
        cross join lateral (
            select
                round(st_y(a.point)::numeric, case when o.own then 6 else 3 end)::float8,
                round(st_x(a.point)::numeric, case when o.own then 6 else 3 end)::float8
        ) as p (lat, lon)
        where $4::text[] is null
          and $9::bigint is null
          and a.region_id = $1::smallint
          and a.id >= uuid_floor(to_timestamp($7::bigint / 1000000.0))
          and a.id < uuid_floor(to_timestamp($8::bigint / 1000000.0))
          and a.received_at < to_timestamp($8::bigint / 1000000.0)
          and (o.own or a.status = 'routed')
          and (
              $5::text[] is null
              or a.theme_id in (select t.id from theme t where t.region_id = $1::smallint and t.code = any ($5::text[]))
          )
          and (
              $6::text[] is null
              or case when a.status in ('captured', 'moderation', 'routed') then 'open' else 'closed' end = any ($6::text[])
          )
          and (
              $11::float8 is null
              or (
                  st_x(a.point) between $11::float8 - 0.001 and $13::float8 + 0.001
                  and st_y(a.point) between $12::float8 - 0.001 and $14::float8 + 0.001
              )
          )
          and ($11::float8 is null or (p.lon between $11::float8 and $13::float8 and p.lat between $12::float8 and $14::float8))
          and (
              $17::float8 is null
              or st_distancesphere(st_makepoint(p.lon, p.lat), st_makepoint($16::float8, $15::float8)) <= $17::float8
          )
        order by a.id desc
        limit $18::integer
        offset $19::integer
    )
    union all
    (
        select
            a.id,
            o.own
        from appeal_event e
        join appeal a
            on a.region_id = e.region_id
            and a.id = e.appeal_id
            and a.last_seq = e.seq
        cross join lateral (select a.client = $3::text and a.client <> '' and a.auth = 'api_key') as o (own)
        cross join lateral (
            select
                round(st_y(a.point)::numeric, case when o.own then 6 else 3 end)::float8,
                round(st_x(a.point)::numeric, case when o.own then 6 else 3 end)::float8
        ) as p (lat, lon)
        where $4::text[] is null
          and $9::bigint is not null
          and e.region_id = $1::smallint
          and e.at >= to_timestamp($9::bigint / 1000000.0)
          and e.at < to_timestamp($10::bigint / 1000000.0)
          and a.received_at >= to_timestamp($7::bigint / 1000000.0)
          and a.received_at < to_timestamp($8::bigint / 1000000.0)
          and (o.own or a.status = 'routed')
          and (
              $5::text[] is null
              or a.theme_id in (select t.id from theme t where t.region_id = $1::smallint and t.code = any ($5::text[]))
          )
          and (
              $6::text[] is null
              or case when a.status in ('captured', 'moderation', 'routed') then 'open' else 'closed' end = any ($6::text[])
          )
          and (
              $11::float8 is null
              or (
                  st_x(a.point) between $11::float8 - 0.001 and $13::float8 + 0.001
                  and st_y(a.point) between $12::float8 - 0.001 and $14::float8 + 0.001
              )
          )
          and ($11::float8 is null or (p.lon between $11::float8 and $13::float8 and p.lat between $12::float8 and $14::float8))
          and (
              $17::float8 is null
              or st_distancesphere(st_makepoint(p.lon, p.lat), st_makepoint($16::float8, $15::float8)) <= $17::float8
          )
        order by a.id desc
        limit $18::integer
        offset $19::integer
    )
)
select
    case when exists (
        select
        from theme s
        where s.region_id = $1::smallint
          and s.active
    ) then (
        select
            '[' || coalesce(string_agg(
                case when $20::boolean
                    then left(w.base::text, -1) || ',' || substr(w.extension::text, 2)
                    else w.base::text
                end,
                ','
                order by w.id desc
            ), '') || ']'
        from (
            select
                f.id,
                json_build_object(
                    'service_request_id', a.number,
                    'status', case when a.status in ('captured', 'moderation', 'routed') then 'open' else 'closed' end,
                    'status_notes', case $2::text
                        when 'en' then case a.status
                            when 'captured' then 'Received, not yet passed on'
                            when 'moderation' then 'A moderator is looking at it'
                            when 'routed' then 'Passed on to: ' || b.name
                            else a.status
                        end
                        else case a.status
                            when 'captured' then 'Принято, ещё не передано'
                            when 'moderation' then 'На проверке у модератора'
                            when 'routed' then 'Передано: ' || b.name
                            else a.status
                        end
                    end,
                    'service_name', t.name,
                    'service_code', coalesce(t.code, ''),
                    'description', case when f.own then left(a.text, 4000) end,
                    'agency_responsible', b.name,
                    'service_notice', null,
                    'requested_datetime', to_char(a.received_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                    'updated_datetime', to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                    'expected_datetime', to_char(a.final_due_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                    'address', coalesce(case when f.own then a.address end, m.name, p.lat || ', ' || p.lon),
                    'address_id', null,
                    'zipcode', null,
                    'lat', p.lat,
                    'long', p.lon,
                    'media_url', case when f.own then coalesce(pic.url, a.answers -> 'media_urls' ->> 0) end
                ) as base,
                json_build_object(
                    'attributes', case when f.own and $20::boolean then (
                        select coalesce(json_agg(
                            json_build_object(
                                'label', case $2::text
                                    when 'en' then coalesce(q.name_en, q.name_ru, k.code)
                                    else coalesce(q.name_ru, k.code)
                                end,
                                'name', coalesce((
                                    select string_agg(
                                        case $2::text
                                            when 'en' then coalesce(x.option ->> 'name_en', x.option ->> 'name_ru', v.value)
                                            else coalesce(x.option ->> 'name_ru', v.value)
                                        end,
                                        ', '
                                        order by v.ord
                                    )
                                    from jsonb_array_elements_text(k.answers) with ordinality as v (value, ord)
                                    left join lateral jsonb_array_elements(q.options) as x (option) on x.option ->> 'key' = v.value
                                ), ''),
                                'value', (
                                    select string_agg(v.value, ', ' order by v.ord)
                                    from jsonb_array_elements_text(k.answers) with ordinality as v (value, ord)
                                ),
                                'code', k.code
                            )
                            order by q.position, k.code
                        ), '[]')
                        from jsonb_each(coalesce(a.answers -> 'attributes', '{}')) as k (code, answers)
                        left join theme_attribute q
                            on q.region_id = a.region_id
                            and q.theme_id = a.theme_id
                            and q.code = k.code
                    ) else '[]' end,
                    'extended_attributes', json_build_object('channel', a.channel),
                    'notes', case when $20::boolean then (
                        select json_agg(
                            json_build_object(
                                'datetime', to_char(n.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                                'description', case $2::text
                                    when 'en' then case n.kind
                                        when 'captured' then 'Received'
                                        when 'moderation' then 'Given to a moderator'
                                        when 'routed' then 'Passed on'
                                        else n.kind
                                    end
                                    else case n.kind
                                        when 'captured' then 'Принято'
                                        when 'moderation' then 'Отдано модератору'
                                        when 'routed' then 'Передано исполнителю'
                                        else n.kind
                                    end
                                end,
                                'type', n.kind
                            )
                            order by n.seq
                        )
                        from appeal_event n
                        where n.region_id = a.region_id
                          and n.appeal_id = a.id
                    ) end
                ) as extension
            from found f
            join appeal a
                on a.region_id = $1::smallint
                and a.id = f.id
            join appeal_event e
                on e.region_id = a.region_id
                and e.appeal_id = a.id
                and e.seq = a.last_seq
            cross join lateral (
                select
                    round(st_y(a.point)::numeric, case when f.own then 6 else 3 end),
                    round(st_x(a.point)::numeric, case when f.own then 6 else 3 end)
            ) as p (lat, lon)
            left join lateral (
                select
                    h.code,
                    case $2::text when 'en' then coalesce(h.name_en, h.name_ru) else h.name_ru end as name
                from theme h
                where h.region_id = a.region_id
                  and h.id = a.theme_id
            ) t on true
            left join lateral (
                select case $2::text when 'en' then coalesce(g.name_en, g.name_ru) else g.name_ru end as name
                from body g
                where g.region_id = a.region_id
                  and g.id = a.body_id
            ) b on true
            left join lateral (
                select case $2::text when 'en' then coalesce(u.name_en, u.name_ru) else u.name_ru end as name
                from municipality u
                where u.region_id = a.region_id
                  and u.id = a.municipality_id
            ) m on true
            left join lateral (
                select
                    $21::text || '/open311/v2/media/' || a.number || '/' || x.id
                    || case x.clean_type when 'image/png' then '.png' when 'image/webp' then '.webp' else '.jpg' end as url
                from attachment x
                where a.attachments > 0
                  and x.region_id = a.region_id
                  and x.appeal_id = a.id
                  and x.state = 'ready'
                  and x.media_type <> 'application/pdf'
                order by x.id
                limit 1
            ) pic on f.own
        ) w
    ) end as requests;
