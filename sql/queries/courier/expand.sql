-- Notices of the outbox become one row for each recipient, all or nothing. A subscription that is pending gets one letter that asks whether
-- the address is right, whatever the event; who came with a key of ours vouches for the address in the letter. Where the message was
-- written hears everything but the moderation that begins by itself. Keys of outbox, subscription and delivery, hook_message_by_appeal. 0.3 ms.
-- $1 region, $2 now (microseconds UTC), $3 how many
with
taken as materialized (
    select
        o.id,
        o.appeal_id,
        o.seq
    from outbox o
    where o.region_id = $1::smallint
      and o.topic = 'notice'
      and o.not_before <= to_timestamp($2::bigint / 1000000.0)
    order by o.id
    limit $3::integer
    for update skip locked
),
told as (
    select
        t.appeal_id,
        case when s.state = 'confirmed' or v.vouched then t.seq else 0 end as seq,
        s.id as recipient
    from taken t
    join appeal a
        on a.region_id = $1::smallint
        and a.id = t.appeal_id
    join subscription s
        on s.region_id = $1::smallint
        and s.appeal_id = t.appeal_id
    cross join lateral (select s.id = s.appeal_id and a.auth in ('api_key', 'jwt') as vouched) v
    where s.state <> 'stopped'
      and (t.seq > 0 or (s.state = 'pending' and not v.vouched))
    union
    select
        t.appeal_id,
        t.seq,
        '00000000-0000-0000-0000-000000000000'::uuid
    from taken t
    join hook_message h
        on h.region_id = $1::smallint
        and h.appeal_id = t.appeal_id
        and h.address is not null
    join appeal_event e
        on e.region_id = $1::smallint
        and e.appeal_id = t.appeal_id
        and e.seq = t.seq
    where not (e.kind = 'moderation' and e.actor = 'routing')
),
put as (
    insert into delivery (region_id, appeal_id, seq, recipient, not_before)
    select
        $1::smallint,
        t.appeal_id,
        t.seq,
        t.recipient,
        to_timestamp($2::bigint / 1000000.0)
    from told t
    order by t.appeal_id, t.seq, t.recipient
    on conflict do nothing
),
done as (
    delete from outbox o
    using taken t
    where o.region_id = $1::smallint
      and o.topic = 'notice'
      and o.id = t.id
)
select count(*) as taken
from taken;
