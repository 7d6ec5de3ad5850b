-- Forgets events that were finished long ago, some at a time: their appeals and addresses stay. Primary key of hook_event, from the oldest on;
-- 1,000 rows in 8 ms. What was set aside stays until somebody has looked.
-- $1 region, $2 moment before which they came (microseconds UTC), $3 how many at most
with
old as materialized (
    select e.id
    from hook_event e
    where e.region_id = $1::smallint
      and e.id < uuid_floor(to_timestamp($2::bigint / 1000000.0))
      and e.state = 'done'
    order by e.id
    limit $3::integer
),
gone as (
    delete from hook_event e
    using old o
    where e.region_id = $1::smallint
      and e.id = o.id
    returning 1 as one
)
select count(g.one) as forgotten
from gone g;
