-- The outlines of a region for a map: bounds [west, south, east, north] and its municipalities as GeoJSON. Primary key, whole; 3 ms for 111 okrugs.
-- $1 region, $2 language, $3 tiles (JSON or null)
select json_build_object(
    'bounds', case when count(m.id) > 0 then json_build_array(
        round(st_xmin(st_extent(m.shape))::numeric, 5),
        round(st_ymin(st_extent(m.shape))::numeric, 5),
        round(st_xmax(st_extent(m.shape))::numeric, 5),
        round(st_ymax(st_extent(m.shape))::numeric, 5)
    ) end,
    'boundaries', json_build_object(
        'type', 'FeatureCollection',
        'features', coalesce(json_agg(
            json_build_object(
                'type', 'Feature',
                'properties', json_build_object('name', m.name),
                'geometry', st_asgeojson(m.shape, 5)::json
            )
            order by m.name
        ), '[]')
    ),
    'tiles', $3::json
)::text as map
from (
    select
        g.id,
        case $2::text when 'en' then coalesce(g.name_en, g.name_ru) else g.name_ru end as name,
        coalesce(g.outline, g.boundary) as shape
    from municipality g
    where g.region_id = $1::smallint
) m;
