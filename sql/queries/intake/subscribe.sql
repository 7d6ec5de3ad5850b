-- Somebody who knows the code wants notices to an address: a pending subscription, once an address (its id is made of it), the consent, and
-- the outbox row that has the courier ask the address. The row of the appeal is held, so that those who come at once are counted one after
-- the other. The address is written and never read. appeal_by_number, then primary keys. 0.5 ms.
-- $1 region, $2 number, $3 digest of the code, $4 id, $5 address, $6 language, $7 now (microseconds UTC), $8 version of the consent, $9 how many
-- addresses an appeal may have besides the one in the letter
with
held as materialized (
    select a.id
    from appeal a
    where a.region_id = $1::smallint
      and a.number = $2
      and opens(a.region_id, a.id, a.code_digest, $3::bytea)
    limit 1
    for no key update
),
counted as (
    select
        h.id,
        count(s.id) filter (where s.id <> h.id) < $9::integer as fits,
        count(s.id) filter (where s.id = $4::uuid) > 0 as known
    from held h
    left join lateral subscriptions_now($1::smallint, h.id) s (id) on true
    group by h.id
),
added as (
    insert into subscription (region_id, appeal_id, id, channel, address, lang, asked_at, author)
    select
        $1::smallint,
        c.id,
        $4::uuid,
        'email',
        $5,
        $6,
        to_timestamp($7::bigint / 1000000.0),
        true
    from counted c
    where c.fits
      and not c.known
    on conflict do nothing
    returning appeal_id
),
agreed as (
    insert into consent (region_id, appeal_id, version, lang, given_at)
    select
        $1::smallint,
        d.appeal_id,
        $8,
        $6,
        to_timestamp($7::bigint / 1000000.0)
    from added d
    on conflict do nothing
),
noted as (
    update appeal a
    set notify = true
    from added d
    where a.region_id = $1::smallint
      and a.id = d.appeal_id
      and not a.notify
),
told as (
    insert into outbox (region_id, topic, appeal_id, seq, not_before)
    select
        $1::smallint,
        'notice',
        d.appeal_id,
        0,
        to_timestamp($7::bigint / 1000000.0)
    from added d
)
select coalesce((select case when c.fits or c.known then 'asked' else 'full' end from counted c), 'not_found') as outcome;
