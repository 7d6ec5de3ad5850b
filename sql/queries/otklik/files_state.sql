-- The original is not there ('lost'), or the cleaned file is not: then it is made again ('waiting'). Primary key.
-- $1 region, $2 id, $3 state
update attachment
set
    state = $3,
    not_before = now()
where region_id = $1::smallint
  and id = $2::uuid;
