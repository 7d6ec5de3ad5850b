-- Municipalities of a region by name. Primary key, some hundreds of rows.
-- $1 region
select
    m.id,
    m.name_ru
from municipality m
where m.region_id = $1::smallint
order by m.id;
