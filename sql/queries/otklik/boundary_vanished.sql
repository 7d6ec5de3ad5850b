-- Municipalities of a region that a new file does not have. A region has some hundreds at most.
-- $1 region, $2 names in the file
select m.name_ru
from municipality m
where m.region_id = $1::smallint
  and m.name_ru <> all ($2::text[])
order by m.name_ru;
