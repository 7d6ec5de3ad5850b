-- What became of a delivery: sent; to be tried again at a time; failed; or dropped, because nobody wants it any more. What was not tried after
-- all gets its attempt back. Primary key. 0.1 ms.
-- $1 region, $2 appeal, $3 seq, $4 recipient, $5 state, $6 now, $7 not before (microseconds UTC), $8 error or null, $9 attempts to give back
update delivery
set
    state = $5,
    sent_at = case when $5 = 'sent' then to_timestamp($6::bigint / 1000000.0) end,
    not_before = to_timestamp($7::bigint / 1000000.0),
    error = $8,
    attempts = attempts - $9::integer
where region_id = $1::smallint
  and appeal_id = $2::uuid
  and seq = $3::integer
  and recipient = $4::uuid
  and state = 'waiting';
