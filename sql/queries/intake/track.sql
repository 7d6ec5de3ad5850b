-- The way of one appeal, for whoever knows its number and its code, and the region it belongs to. appeal is null when there is none. One
-- probe of appeal_by_number in each partition, then primary keys. 0.4 ms.
-- Who joined it has a code of his own: he sees the way, the place rounded, and what its author wrote only where the author agreed to show it.
-- $1 region, $2 number, $3 digest of the code, $4 language, $5 for a page: with times in words
select
    jsonb_build_object('id', r.id, 'name', case $4::text when 'en' then r.name_en else r.name_ru end)::text as region,
    (
        select (jsonb_strip_nulls(jsonb_build_object(
            'id', a.id,
            'number', a.number,
            'status', a.status,
            'legal_class', a.legal_class,
            'channel', a.channel,
            'received_at', rfc3339(a.received_at),
            'joined', case when not k.author then true end,
            'joiners', nullif(a.joined, 0),
            'text', case when k.author then a.text when a.public then public_text(a.text) end,
            'address', case when k.author or a.public then a.address end,
            'point', case when a.point is not null then jsonb_build_object(
                'lat', case when k.author then st_y(a.point) else round(st_y(a.point)::numeric, 3) end,
                'lon', case when k.author then st_x(a.point) else round(st_x(a.point)::numeric, 3) end
            ) end,
            'theme', (
                select jsonb_build_object(
                    'code', t.code,
                    'group', case $4::text when 'en' then coalesce(t.group_en, t.group_ru) else t.group_ru end,
                    'name', case $4::text when 'en' then coalesce(t.name_en, t.name_ru) else t.name_ru end
                )
                from theme t
                where t.region_id = a.region_id
                  and t.id = a.theme_id
            ),
            'municipality', (
                select jsonb_build_object(
                    'id', m.id, 'name', case $4::text when 'en' then coalesce(m.name_en, m.name_ru) else m.name_ru end
                )
                from municipality m
                where m.region_id = a.region_id
                  and m.id = a.municipality_id
            ),
            'body', (
                select jsonb_build_object(
                    'id', b.id,
                    'name', case $4::text when 'en' then coalesce(b.name_en, b.name_ru) else b.name_ru end,
                    'centre', b.centre
                )
                from body b
                where b.region_id = a.region_id
                  and b.id = a.body_id
            ),
            'due', case when a.first_due_at is not null then jsonb_build_object(
                'rule', (
                    select jsonb_build_object(
                        'code', d.code, 'name', case $4::text when 'en' then coalesce(d.name_en, d.name_ru) else d.name_ru end
                    )
                    from deadline_rule d
                    where d.region_id = a.region_id
                      and d.id = a.deadline_rule_id
                ),
                'first_answer_at', rfc3339(a.first_due_at),
                'answer_at', rfc3339(a.final_due_at),
                'first_local', case when $5::boolean then local_moment(a.first_due_at, r.time_zone, $4) end,
                'final_local', case when $5::boolean then local_moment(a.final_due_at, r.time_zone, $4) end,
                'explanation', case
                    when $5::boolean then jsonb_build_object(
                        'first', deadline_in_words(a.due_detail -> 'first', r.time_zone, $4),
                        'final', deadline_in_words(a.due_detail -> 'final', r.time_zone, $4)
                    )
                    else a.due_detail
                end
            ) end,
            'received_local', case when $5::boolean then local_moment(a.received_at, r.time_zone, $4) end,
            'status_is', case when $5::boolean then jsonb_build_object(a.status, true) end,
            'has_attachments', case when $5::boolean and a.attachments > 0 and (k.author or a.public) then true end
        )) || jsonb_strip_nulls(jsonb_build_object('attachments', (
            select jsonb_agg(
                jsonb_build_object(
                    'id', t.id,
                    'name', case when k.author then nullif(t.name, '') end,
                    'media_type', t.media_type,
                    'size', t.size,
                    'sha256', encode(t.sha256, 'hex'),
                    'added_at', rfc3339(t.added_at),
                    'state', t.state,
                    'reason', t.reason,
                    'shown_as', t.clean_type,
                    'state_is', case when $5::boolean then jsonb_build_object(t.state, true) end,
                    'is_picture', case when $5::boolean and t.clean_type like 'image/%' then true end
                )
                order by t.added_at, t.id
            )
            from attachment t
            where t.region_id = a.region_id
              and t.appeal_id = a.id
              and a.attachments > 0
              and (k.author or a.public)
        ))) || jsonb_build_object('events', (
            select jsonb_agg(
                jsonb_strip_nulls(jsonb_build_object(
                    'seq', e.seq,
                    'at', rfc3339(e.at),
                    'kind', e.kind,
                    'detail', (
                        e.detail - '{text_sha256,answers_sha256,lat,lon,files}'::text[]
                        - case when not k.author and e.kind = 'edited' then '{text}' else '{}' end::text[]
                    ) || jsonb_strip_nulls(jsonb_build_object(
                        'files', jsonb_array_length(e.detail -> 'files'),
                        'body', (
                            select b.name_en
                            from body b
                            where $4::text = 'en'
                              and b.region_id = a.region_id
                              and b.name_ru = e.detail ->> 'body'
                        ),
                        'municipality', (
                            select m.name_en
                            from municipality m
                            where $4::text = 'en'
                              and m.region_id = a.region_id
                              and m.name_ru = e.detail ->> 'municipality'
                        ),
                        'reasons_is', case when $5::boolean and e.detail ? 'reasons' then (
                            select jsonb_object_agg(w.reason, true)
                            from jsonb_array_elements_text(e.detail -> 'reasons') as w (reason)
                        ) end
                    )),
                    'at_local', case when $5::boolean then local_moment(e.at, r.time_zone, $4) end,
                    'kind_is', case when $5::boolean then jsonb_build_object(e.kind, true) end
                ))
                order by e.seq
            )
            from appeal_event e
            where e.region_id = a.region_id
              and e.appeal_id = a.id
        )))::text
        from appeal a
        cross join lateral (select a.code_digest = $3::bytea) as k (author)
        where a.region_id = $1::smallint
          and a.number = $2
          and (
              k.author
              or exists (
                  select
                  from joiner j
                  where j.region_id = a.region_id
                    and j.appeal_id = a.id
                    and j.code_digest = $3::bytea
              )
          )
        limit 1
    ) as appeal
from region r
where r.id = $1::smallint;
