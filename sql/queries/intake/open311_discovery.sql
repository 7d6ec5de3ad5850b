-- Where Open311 is spoken here: the endpoint of this server's region, one for trials with the demo region if that is loaded, and the regions
-- that have services (an addition of ours). Primary key of region, a probe of theme for each of them; 0.9 ms over HTTP.
-- $1 region, $2 language, $3 the public address of the server, without a slash at its end
select json_build_object(
    'changeset', '2026-11-25T00:00:00Z',
    'contact', concat_ws(', ', coalesce(c.name, r.name), nullif($3, '')),
    'key_service', case $2::text
        when 'en' then 'Keys are given by: '
        else 'Ключи выдаёт: '
    end || concat_ws(', ', coalesce(c.name, r.name), nullif($3, '')),
    'endpoints', (
        select json_agg(
            json_build_object(
                'specification', 'http://wiki.open311.org/GeoReport_v2',
                'url', $3 || e.path,
                'changeset', '2026-11-25T00:00:00Z',
                'type', e.type,
                'formats', json_build_array('text/xml', 'application/json')
            )
            order by e.type
        )
        from (
            values
                ('/open311/v2', 'production', true),
                (
                    '/open311/test/v2', 'test',
                    exists (
                        select
                        from region d
                        join theme t
                            on t.region_id = d.id
                            and t.active
                        where d.demo
                    )
                )
        ) as e (path, type, there)
        where e.there
    ),
    'jurisdictions', (
        select coalesce(json_agg(
            json_build_object(
                'jurisdiction_id', j.id::text,
                'name', case $2::text when 'en' then j.name_en else j.name_ru end
            )
            order by j.id
        ), '[]')
        from region j
        where exists (
            select
            from theme s
            where s.region_id = j.id
              and s.active
        )
    )
)::text as discovery
from (
    select
        g.id,
        case $2::text when 'en' then g.name_en else g.name_ru end as name
    from region g
    where g.id = $1::smallint
) r
left join lateral (
    select case $2::text when 'en' then coalesce(b.name_en, b.name_ru) else b.name_ru end as name
    from body b
    where b.region_id = r.id
      and b.centre
) c on true;
