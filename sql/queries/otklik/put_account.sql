-- Stores an account of ours in a network. Primary key of channel_account; one probe. What is null keeps what is there.
-- $1 region, $2 channel, $3 account, $4 mode, $5 number of the page, $6 digest of the secret, $7 confirmation
with
former as materialized (
    select
        a.page_id,
        a.secret_digest,
        a.confirmation
    from (select 1) one
    left join channel_account a
        on a.region_id = $1::smallint
        and a.channel = $2
        and a.account = $3
),
stored as (
    insert into channel_account as a (region_id, channel, account, mode, page_id, secret_digest, confirmation)
    select
        $1::smallint,
        $2,
        $3,
        $4,
        coalesce($5::bigint, f.page_id),
        coalesce($6::bytea, f.secret_digest),
        coalesce($7, f.confirmation)
    from former f
    on conflict (region_id, channel, account) do update
    set mode = excluded.mode,
        page_id = excluded.page_id,
        secret_digest = excluded.secret_digest,
        confirmation = excluded.confirmation
    where (a.mode, a.page_id, a.secret_digest, a.confirmation)
          is distinct from
          (excluded.mode, excluded.page_id, excluded.secret_digest, excluded.confirmation)
    returning xmax
)
select case when s.xmax is null then 'same' when s.xmax = 0 then 'added' else 'changed' end as outcome
from former f
left join stored s on true;
