-- A region's name, to see that it exists. Primary key.
-- $1 region
select r.name_ru
from region r
where r.id = $1::smallint;
