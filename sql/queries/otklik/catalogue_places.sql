-- In which municipality most points of a place lie, for places whose names are not known. municipality_boundary (GiST): 13 µs a point.
-- $1 region; arrays, one element a point: $2 numbers of the places, $3 longitudes, $4 latitudes
with
found as materialized (
    select
        g.place,
        c.id,
        c.name_ru
    from unnest($2::bigint[], $3::float8[], $4::float8[]) as g (place, lon, lat)
    left join lateral (
        select
            m.id,
            m.name_ru
        from municipality m
        where m.region_id = $1::smallint
          and st_covers(m.boundary, st_setsrid(st_makepoint(g.lon, g.lat), 4326))
        order by m.id
        limit 1
    ) c on true
)
select distinct on (f.place)
    f.place,
    f.id,
    f.name_ru,
    case when f.id is not null then count(*) else 0 end as inside,
    sum(count(*)) over (partition by f.place) as points
from found f
group by f.place, f.id, f.name_ru
order by f.place, f.id is null, count(*) desc, f.id;
