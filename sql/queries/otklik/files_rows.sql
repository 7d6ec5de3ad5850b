-- Rows of files behind a place in the primary key of attachment, a page of them.
-- $1 region and $2 id of the last one, $3 how many
select
    t.region_id,
    t.id,
    t.state,
    encode(t.sha256, 'hex') as sha256
from attachment t
where (t.region_id, t.id) > ($1::smallint, $2::uuid)
order by t.region_id, t.id
limit $3::integer;
