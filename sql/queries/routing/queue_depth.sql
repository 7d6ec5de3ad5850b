-- Appeals that wait to be routed, for the gauge: one pass over the primary key of outbox, cut at 100,000 (about 10 ms).
select count(*) as depth
from (
    select
    from outbox o
    where o.topic = 'route'
    limit 100000
) waiting;
