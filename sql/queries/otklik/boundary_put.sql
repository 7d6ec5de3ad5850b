-- Stores one municipality out of a GeoJSON geometry, mended if it is invalid, and says what was done. The outcome is added, changed or
-- same; or why it cannot be: not_polygon, not_degrees, empty, crs. One probe of municipality (region_id, name_ru); the mending of an okrug of
-- 264 vertices costs about a millisecond.
-- $1 region, $2 name, $3 English name or null, $4 GeoJSON geometry
with
given as materialized (
    select
        st_force2d(st_geomfromgeojson($4::text)) as shape
),
mended as materialized (
    select
        g.shape,
        st_isvalid(g.shape) as valid,
        st_setsrid(
            st_multi(case when st_isvalid(g.shape) then g.shape else st_collectionextract(st_makevalid(g.shape), 3) end),
            4326
        ) as boundary,
        case
            when geometrytype(g.shape) not in ('POLYGON', 'MULTIPOLYGON') then 'not_polygon'
            when st_srid(g.shape) <> 4326 then 'crs'
            when st_xmin(g.shape) < -180 or st_xmax(g.shape) > 180 or st_ymin(g.shape) < -90 or st_ymax(g.shape) > 90 then 'not_degrees'
        end as refused
    from given g
),
judged as materialized (
    select
        d.shape,
        d.valid,
        d.boundary,
        coalesce(d.refused, case when st_isempty(d.boundary) then 'empty' end) as refused
    from mended d
),
old as materialized (
    select
        m.id,
        st_asbinary(m.boundary) = st_asbinary(j.boundary) and m.name_en is not distinct from coalesce($3, m.name_en) as same
    from municipality m
    cross join judged j
    where m.region_id = $1::smallint
      and m.name_ru = $2
),
stored as (
    insert into municipality (region_id, name_ru, name_en, boundary)
    select
        $1::smallint,
        $2,
        $3,
        j.boundary
    from judged j
    where j.refused is null
      and not exists (select from old o where o.same)
    on conflict (region_id, name_ru) do update
    set boundary = excluded.boundary,
        name_en = coalesce(excluded.name_en, municipality.name_en)
    returning id
)
select
    coalesce(
        j.refused,
        case
            when o.same then 'same'
            when o.id is not null then 'changed'
            else 'added'
        end
    ) as outcome,
    j.valid,
    case when not j.valid then st_isvalidreason(j.shape) end as reason,
    case when j.refused is null then st_area(j.shape::geography) / 1e6 end as km2_before,
    case when j.refused is null then st_area(j.boundary::geography) / 1e6 end as km2,
    st_numgeometries(j.boundary) as parts,
    geometrytype(j.shape) as kind,
    (select count(*) from stored) as stored
from judged j
left join old o on true;
