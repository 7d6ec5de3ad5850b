-- Deliveries that were given up, the newest first: which notice, of what kind of recipient, and why. delivery_failed.
-- $1 region, $2 how many
select
    d.appeal_id,
    d.seq,
    case when d.recipient = '00000000-0000-0000-0000-000000000000' then 'network' else 'subscription ' || d.recipient end as recipient,
    d.attempts,
    rfc3339(d.not_before) as at,
    d.error
from delivery d
where d.region_id = $1::smallint
  and d.state = 'failed'
order by d.appeal_id desc, d.seq, d.recipient
limit $2::integer;
