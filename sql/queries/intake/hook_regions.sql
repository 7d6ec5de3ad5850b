-- Regions with events to be read now. One probe a region in hook_event_new: 0.2 ms for 90 regions.
-- $1 now (microseconds UTC)
select r.id as region_id
from region r
where exists (
    select
    from hook_event e
    where e.region_id = r.id
      and e.state = 'new'
      and e.not_before <= to_timestamp($1::bigint / 1000000.0)
)
order by r.id;
