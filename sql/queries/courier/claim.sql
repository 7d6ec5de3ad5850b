-- Takes deliveries of a region for a while, with all that a letter says and whom it goes to; each look at an address is written down. No lock is
-- held while they are sent: who dies leaves them to the next one. What may no longer be sent (stopped, account not to answer)
-- comes with allowed = false. delivery_waiting, primary keys, hook_message_by_appeal. 0.3 ms.
-- $1 region, $2 now, $3 taken until (microseconds UTC), $4 how many
with
taken as materialized (
    select
        w.appeal_id,
        w.seq,
        w.recipient
    from delivery w
    where w.region_id = $1::smallint
      and w.state = 'waiting'
      and w.not_before <= to_timestamp($2::bigint / 1000000.0)
    order by w.not_before
    limit $4::integer
    for update skip locked
),
claimed as (
    update delivery d
    set
        not_before = to_timestamp($3::bigint / 1000000.0),
        attempts = d.attempts + 1
    from taken t
    where d.region_id = $1::smallint
      and d.appeal_id = t.appeal_id
      and d.seq = t.seq
      and d.recipient = t.recipient
    returning
        d.appeal_id,
        d.seq,
        d.recipient,
        d.attempts
),
looked as (
    insert into contact_look (region_id, at, who, appeal_id, why)
    select
        $1::smallint,
        to_timestamp($2::bigint / 1000000.0),
        'courier',
        c.appeal_id,
        'notice ' || c.seq
    from claimed c
)
select
    c.appeal_id,
    c.seq,
    c.recipient,
    c.attempts,
    coalesce(s.channel, h.channel) as channel,
    coalesce(s.address, h.address) as address,
    h.account,
    h.talk,
    k.page_id,
    coalesce(s.lang, a.lang) as lang,
    case
        when c.recipient <> '00000000-0000-0000-0000-000000000000' then s.state <> 'stopped'
        else k.mode = 'answer' and h.address is not null
    end is true as allowed,
    (s.author or s.id = s.appeal_id) is true as author,
    a.number,
    coalesce(e.kind, 'captured') as kind,
    case coalesce(s.lang, a.lang) when 'en' then r.name_en else r.name_ru end as region,
    case coalesce(s.lang, a.lang) when 'en' then coalesce(b.name_en, b.name_ru) else b.name_ru end as body,
    local_moment(a.received_at, r.time_zone, coalesce(s.lang, a.lang)) as received,
    local_moment(coalesce(e.at, a.received_at), r.time_zone, coalesce(s.lang, a.lang)) as at,
    local_moment(a.first_due_at, r.time_zone, coalesce(s.lang, a.lang)) as first_due,
    local_moment(a.final_due_at, r.time_zone, coalesce(s.lang, a.lang)) as final_due
from claimed c
join region r on r.id = $1::smallint
join appeal a
    on a.region_id = $1::smallint
    and a.id = c.appeal_id
left join appeal_event e
    on e.region_id = $1::smallint
    and e.appeal_id = c.appeal_id
    and e.seq = c.seq
left join body b
    on b.region_id = $1::smallint
    and b.id = a.body_id
left join subscription s
    on s.region_id = $1::smallint
    and s.appeal_id = c.appeal_id
    and s.id = c.recipient
left join lateral (
    select
        m.channel,
        m.account,
        m.address,
        m.talk
    from hook_message m
    where m.region_id = $1::smallint
      and m.appeal_id = c.appeal_id
      and c.recipient = '00000000-0000-0000-0000-000000000000'
    order by m.message
    limit 1
) h on true
left join channel_account k
    on k.region_id = $1::smallint
    and k.channel = h.channel
    and k.account = h.account
order by c.appeal_id, c.seq;
