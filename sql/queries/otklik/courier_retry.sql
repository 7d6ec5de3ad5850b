-- Deliveries that were given up are tried again, all of a region or those of one appeal, from the first attempt on. delivery_failed.
-- $1 region, $2 appeal, or null: all
update delivery
set
    state = 'waiting',
    attempts = 0,
    not_before = now()
where region_id = $1::smallint
  and state = 'failed'
  and ($2::uuid is null or appeal_id = $2::uuid);
