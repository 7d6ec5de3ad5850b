-- Takes the oldest waiting file of a region that nobody else holds, for a while: work on a picture takes too long for a transaction, so the
-- row says until when it is taken. Who dies in between leaves it to the next one after that. attachment_waiting, primary key. 0.1 ms.
-- $1 region, $2 now, $3 taken until (microseconds UTC)
update attachment t
set
    not_before = to_timestamp($3::bigint / 1000000.0),
    attempts = t.attempts + 1
where t.region_id = $1::smallint
  and t.id = (
      select w.id
      from attachment w
      where w.region_id = $1::smallint
        and w.state = 'waiting'
        and w.not_before <= to_timestamp($2::bigint / 1000000.0)
      order by w.not_before
      limit 1
      for update skip locked
  )
returning t.id, t.media_type, t.attempts;
