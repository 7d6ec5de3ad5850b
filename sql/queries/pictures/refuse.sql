-- A file is not shown: it cannot be cleaned ('refused', with the reason), or is not there ('lost'). Primary key. 0.1 ms.
-- $1 region, $2 id, $3 state, $4 reason
update attachment
set
    state = $3,
    reason = $4
where region_id = $1::smallint
  and id = $2::uuid
  and state = 'waiting';
