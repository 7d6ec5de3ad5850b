-- Pairs of municipalities that share more than a sliver (0.01 km²): a point there belongs to the smaller one, as routing has it.
-- municipality_boundary (GiST); some hundred milliseconds a region.
-- $1 region
select
    o.one,
    o.other,
    o.km2
from (
    select
        a.name_ru as one,
        b.name_ru as other,
        st_area(st_intersection(a.boundary, b.boundary)::geography) / 1e6 as km2
    from municipality a
    join municipality b
        on b.region_id = a.region_id
        and b.id > a.id
        and b.boundary && a.boundary
        and st_intersects(b.boundary, a.boundary)
    where a.region_id = $1::smallint
) o
where o.km2 > 0.01
order by o.km2 desc;
