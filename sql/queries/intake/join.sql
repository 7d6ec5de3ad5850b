-- Somebody joins an appeal: idempotency row, joiner, contact, subscription, event, head of the chain and the number of joiners in one statement.
-- The row of the appeal is held, so that those who come at once are counted one after the other. appeal_by_number, then primary keys. 1 ms.
-- 'retry': the same key was being worked on when this statement began; ask again. What is still held back is not found; what is over, or
-- finally answered, is closed: only its author can have it opened again.
-- $1 region, $2 number, $3 id of the joiner, $4 now (microseconds UTC), $5 access code, $6 its digest, $7 client, $8 idempotency key,
-- $9 fingerprint, $10 language, $11 how the client is known, $12 pseudonym of the address; contact: $13 name, $14 e-mail, $15 telephone;
-- $16 version of the consent, $17 wants notices
with
first as materialized (
    select
        i.fingerprint,
        i.status,
        i.body
    from idempotency i
    where i.region_id = $1::smallint
      and i.client = $7
      and i.route = 'join'
      and i.key = $8
    limit 1
),
held as materialized (
    select
        a.id,
        a.number,
        a.status,
        a.joined,
        a.last_seq,
        a.last_hash
    from appeal a
    where a.region_id = $1::smallint
      and a.number = $2
      and a.status not in ('captured', 'moderation')
      and not exists (select from first)
    limit 1
    for no key update
),
open as materialized (
    select
        h.id,
        h.joined + 1 as joined,
        h.last_seq + 1 as seq,
        h.last_hash,
        to_timestamp($4::bigint / 1000000.0) as at,
        format(
            '{"number":"%s","code":"%s","joined":%s,"track":"/track?number=%s&code=%s"}',
            h.number, $5::text, h.joined + 1, h.number, $5::text
        ) as body
    from held h
    where h.status in ('routed', 'accepted', 'postponed', 'redirected')
),
claimed as (
    insert into idempotency (region_id, client, route, key, fingerprint, status, body, created_at)
    select
        $1::smallint,
        $7,
        'join',
        $8,
        $9::bytea,
        201,
        o.body,
        o.at
    from open o
    on conflict do nothing
    returning 1 as one
),
linked as materialized (
    select
        o.id,
        o.joined,
        o.seq,
        o.last_hash,
        o.at,
        w.actor,
        w.detail,
        event_hash(o.last_hash, $1::smallint, o.id, o.seq, o.at, 'joined', w.actor, w.detail) as hash
    from open o
    cross join claimed c
    cross join lateral (
        select
            case when $7 = '' then 'citizen' else 'key:' || $7 end as actor,
            jsonb_build_object('joined', o.joined) as detail
    ) w
),
joiner_row as (
    insert into joiner (region_id, appeal_id, id, code_digest, client, auth, client_hash, lang, joined_at)
    select
        $1::smallint,
        l.id,
        $3::uuid,
        $6::bytea,
        $7,
        $11,
        $12,
        $10,
        l.at
    from linked l
),
contact_row as (
    insert into joiner_contact (region_id, appeal_id, id, name, email, phone, consent)
    select
        $1::smallint,
        l.id,
        $3::uuid,
        $13,
        $14,
        $15,
        $16
    from linked l
    where coalesce($13, $14, $15) is not null
),
subscription_row as (
    insert into subscription (region_id, appeal_id, id, channel, address, lang, asked_at)
    select
        $1::smallint,
        l.id,
        $3::uuid,
        'email',
        $14,
        $10,
        l.at
    from linked l
    where $17::boolean
),
asking as (
    insert into outbox (region_id, topic, appeal_id, seq, not_before)
    select
        $1::smallint,
        'notice',
        l.id,
        0,
        l.at
    from linked l
    where $17::boolean
),
event as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select
        $1::smallint,
        l.id,
        l.seq,
        l.at,
        'joined',
        l.actor,
        l.detail,
        l.last_hash,
        l.hash
    from linked l
),
moved as (
    update appeal a
    set
        joined = l.joined,
        notify = a.notify or $17::boolean,
        last_seq = l.seq,
        last_hash = l.hash
    from linked l
    where a.region_id = $1::smallint
      and a.id = l.id
)
select
    case
        when exists (select from first f where f.fingerprint = $9::bytea) then 'replayed'
        when exists (select from first) then 'reused'
        when not exists (select from held) then 'not_found'
        when not exists (select from open) then 'closed'
        when exists (select from claimed) then 'created'
        else 'retry'
    end as outcome,
    coalesce((select f.body from first f where f.fingerprint = $9::bytea), (select o.body from open o cross join claimed c)) as body;
