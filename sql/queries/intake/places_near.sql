-- What lies at a point: the nearest house within 60 m, the nearest street within a kilometre, the nearest settlement within ten, and the
-- municipality, as far as each is known. place_point and municipality_boundary (GiST); 1 ms in 100,000 places.
-- $1 region, $2 latitude, $3 longitude, $4 language
with
asked as materialized (
    select st_setsrid(st_makepoint($3::float8, $2::float8), 4326) as point
),
near as (
    select
        k.kind,
        k.n,
        p.municipality_id,
        p.settlement,
        p.street,
        p.house,
        p.point
    from asked q
    cross join (
        values
            (1, 'house', 60),
            (2, 'street', 1000),
            (3, 'settlement', 10000)
    ) as k (n, kind, metres)
    cross join lateral (
        select
            c.municipality_id,
            c.settlement,
            c.street,
            c.house,
            c.point
        from place c
        where c.region_id = $1::smallint
          -- a degree of latitude has 111 km; of longitude fewer
          and c.point && st_expand(q.point, k.metres / 111000.0 / cos(radians($2::float8)), k.metres / 111000.0)
          and case when c.house <> '' then 'house' when c.street <> '' then 'street' else 'settlement' end = k.kind
          and st_distancesphere(c.point, q.point) <= k.metres
        order by st_distancesphere(c.point, q.point)
        limit 1
    ) p
    union all
    (
        select
            'municipality',
            4,
            m.id,
            '',
            '',
            '',
            st_pointonsurface(m.boundary)
        from asked q
        join municipality m
            on m.region_id = $1::smallint
            and st_covers(m.boundary, q.point)
        order by
            st_area(m.boundary),
            m.id
        limit 1
    )
)
select jsonb_build_object('places', coalesce(jsonb_agg(
    jsonb_build_object(
        'name', coalesce(
            nullif(concat_ws(', ', nullif(r.settlement, ''), nullif(r.street, ''), nullif(r.house, '')), ''),
            m.name
        ),
        'kind', r.kind,
        'municipality', m.name,
        'lat', round(st_y(r.point)::numeric, 6),
        'lon', round(st_x(r.point)::numeric, 6)
    )
    order by r.n
), '[]'))::text as places
from near r
cross join lateral (
    select case $4::text when 'en' then coalesce(g.name_en, g.name_ru) else g.name_ru end as name
    from municipality g
    where g.region_id = $1::smallint
      and g.id = r.municipality_id
) m;
