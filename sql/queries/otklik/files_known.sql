-- Which of these files have a row, and what it says of them. Primary key of attachment, one probe each.
-- $1 region, $2 ids
select
    g.id,
    t.size,
    t.state,
    t.clean_size
from unnest($2::uuid[]) as g (id)
left join attachment t
    on t.region_id = $1::smallint
    and t.id = g.id;
