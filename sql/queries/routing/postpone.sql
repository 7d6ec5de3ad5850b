-- Puts an appeal that could not be routed back in the queue for later. Primary key; one row.
-- $1 region, $2 outbox id, $3 not before (microseconds UTC)
update outbox
set
    attempts = attempts + 1,
    not_before = to_timestamp($3::bigint / 1000000.0)
where region_id = $1::smallint
  and topic = 'route'
  and id = $2::bigint
returning appeal_id, attempts;
