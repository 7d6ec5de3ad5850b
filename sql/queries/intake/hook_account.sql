-- An account of ours in a network, for a hook that calls. Primary key of channel_account; one probe, 0.1 ms.
-- $1 region, $2 channel, $3 account
select
    a.mode,
    a.page_id,
    a.secret_digest,
    a.confirmation
from channel_account a
where a.region_id = $1::smallint
  and a.channel = $2
  and a.account = $3;
