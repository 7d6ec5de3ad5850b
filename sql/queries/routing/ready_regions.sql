-- Regions with appeals to route now. One probe a region in the primary key of outbox: ~0.15 ms for 90 regions, whatever the backlog.
-- $1 now, microseconds UTC
select r.id as region_id
from region r
where exists (
    select
    from outbox o
    where o.region_id = r.id
      and o.topic = 'route'
      and o.not_before <= to_timestamp($1::bigint / 1000000.0)
)
order by r.id;
