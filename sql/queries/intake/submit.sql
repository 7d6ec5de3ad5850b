-- Stores a batch of appeals of one region for good: idempotency row, appeal, first event, contact, consent, outbox row and
-- counters, or nothing. Answers each given row with what became of it; only a created or replayed one has status and body.
-- Every look-up is one probe of a primary key or of theme (region_id, code): the limits keep the planner from any other way. Rows
-- go in in the order of their keys, so that two processes with the same keys wait for each other but never in a circle. A row that
-- is neither inserted nor visible belongs to a transaction that was not finished when this one began: 'retry'.
-- With the commit 0.7 ms for one appeal, 2.4 ms for 16, 6.4 ms for 64 (two cores, bench/intake): 0.6 ms are the statement's own.
-- $1 region, $2 counter slot; then arrays, one element an appeal: $3 ids, $4 moments of reception (microseconds UTC), $5 access
-- codes, $6 their digests, $7 clients, $8 idempotency keys, $9 fingerprints, $10 channels, $11 languages, $12 how the client is
-- known, $13 pseudonyms of addresses, $14 request ids, $15 ids of the client's own, $16 texts, $17 theme codes, $18 latitudes,
-- $19 longitudes, $20 addresses; contact: $21 names, $22 e-mails, $23 telephones; $24 versions of the consent; $25 what else the
-- client told (JSON); $26 who wants notices to the e-mail, $27 whose text strangers may read (null: not), $28 who typed it in: {"by",
-- "source", "legal_class", "event", …} (JSON); $29 digest of the contact, $30 of the text, where they count
-- Who comes without a key has quotas (region_quota), the resident's before the address's, so that who is refused by the one does not use up
-- the other. A row knows by its rank in the batch and by what was used before whether it is let in; the row of quota_use is held until the
-- commit, so nobody slips through. Who has a key pays nothing of this.
with
given as materialized (
    select
        g.ord,
        g.id,
        to_timestamp(g.received_us / 1000000.0) as received_at,
        g.code,
        g.code_digest,
        g.client,
        g.key,
        g.fingerprint,
        g.channel,
        g.lang,
        g.auth,
        g.client_hash,
        g.request_id,
        g.external_id,
        g.text,
        g.theme,
        g.lat,
        g.lon,
        g.address,
        g.contact_name,
        g.contact_email,
        g.contact_phone,
        g.consent,
        g.answers,
        g.notify,
        g.public,
        g.entry,
        g.resident,
        g.text_digest,
        k.blocked,
        k.refused,
        t.id as theme_id,
        p.fingerprint as first_fingerprint,
        p.status as first_status,
        p.body as first_body
    from unnest(
        $3::uuid[], $4::bigint[], $5::text[], $6::bytea[], $7::text[], $8::text[], $9::bytea[], $10::text[], $11::text[], $12::text[],
        $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::float8[], $19::float8[], $20::text[], $21::text[],
        $22::text[], $23::text[], $24::text[], $25::jsonb[],
        $26::boolean[], $27::boolean[], $28::jsonb[], $29::text[], $30::bytea[]
    ) with ordinality as g (
        id, received_us, code, code_digest, client, key, fingerprint, channel, lang, auth, client_hash, request_id, external_id, text,
        theme, lat, lon, address, contact_name, contact_email, contact_phone, consent, answers,
        notify, public, entry, resident, text_digest,
        ord
    )
    left join lateral (
        select c.id
        from theme c
        where c.region_id = $1::smallint
          and c.code = g.theme
          and c.active
        limit 1
    ) t on true
    left join lateral (
        select
            i.fingerprint,
            i.status,
            i.body
        from idempotency i
        where i.region_id = $1::smallint
          and i.client = g.client
          and i.route = 'appeals'
          and i.key = g.key
        limit 1
    ) p on true
    left join lateral (
        select
            true as blocked,
            bool_or(b.refuse) and g.auth <> 'hook' as refused
        from (
            values
                ('address', g.client_hash),
                ('resident', g.resident),
                ('text', encode(g.text_digest, 'hex'))
        ) as w (kind, subject)
        join sender_block b
            on b.region_id = $1::smallint
            and b.kind = w.kind
            and b.subject = w.subject
        where g.auth in ('anonymous', 'challenge', 'hook')
          and b.lifted_at is null
          and (b.until is null or b.until > to_timestamp(g.received_us / 1000000.0))
        having count(*) > 0
    ) k on true
),
answered as materialized (
    select
        n.ord,
        n.id,
        n.received_at,
        n.code_digest,
        n.client,
        n.key,
        n.fingerprint,
        n.channel,
        n.lang,
        n.auth,
        n.client_hash,
        n.request_id,
        n.external_id,
        n.text,
        n.theme,
        n.lat,
        n.lon,
        n.address,
        n.contact_name,
        n.contact_email,
        n.contact_phone,
        n.consent,
        n.answers,
        n.notify,
        n.public,
        n.entry,
        n.resident,
        n.text_digest,
        n.blocked,
        n.day,
        n.theme_id,
        n.number,
        format(
            '{"id":"%s","number":"%s","code":"%s","status":"captured","received_at":"%s","track":"/track?number=%s&code=%s"}',
            n.id, n.number, n.code, rfc3339(n.received_at), n.number, n.code
        ) as body
    from (
        select
            g.ord,
            g.id,
            g.received_at,
            g.code,
            g.code_digest,
            g.client,
            g.key,
            g.fingerprint,
            g.channel,
            g.lang,
            g.auth,
            g.client_hash,
            g.request_id,
            g.external_id,
            g.text,
            g.theme,
            g.lat,
            g.lon,
            g.address,
            g.contact_name,
            g.contact_email,
            g.contact_phone,
            g.consent,
            g.answers,
            g.notify,
            g.public,
            g.entry,
            g.resident,
            g.text_digest,
            g.blocked,
            (g.received_at at time zone (select r.time_zone from region r where r.id = $1::smallint))::date as day,
            g.theme_id,
            appeal_number(
                $1::smallint,
                extract(year from g.received_at at time zone (select r.time_zone from region r where r.id = $1::smallint))::integer,
                nextval((select ('otklik.appeal_serial_' || $1::smallint)::regclass))
            ) as number
        from given g
        where g.first_status is null
          and (g.theme is null or g.theme_id is not null)
          and g.refused is not true
        offset 0
    ) n
),
by_resident as materialized (
    select
        a.ord,
        a.day,
        a.client_hash,
        a.resident,
        row_number() over (partition by a.resident, a.day order by a.ord) as nth,
        count(*) over (partition by a.resident, a.day) as asked
    from answered a
    where a.auth in ('anonymous', 'challenge')
),
resident_use as (
    insert into quota_use as q (region_id, day, kind, subject, used)
    select
        $1::smallint,
        c.day,
        'resident',
        c.resident,
        c.asked
    from by_resident c
    where c.nth = 1
      and c.resident is not null
    order by c.day, c.resident
    on conflict (region_id, day, kind, subject) do update
    set used = q.used + excluded.used
    returning day, subject, used
),
by_address as materialized (
    select
        c.ord,
        c.day,
        c.client_hash,
        row_number() over (partition by c.client_hash, c.day order by c.ord) as nth,
        count(*) over (partition by c.client_hash, c.day) as asked
    from by_resident c
    left join resident_use u
        on u.subject = c.resident
        and u.day = c.day
    where c.resident is null
       or u.used - c.asked + c.nth <= coalesce((select l.per_resident from region_quota l where l.region_id = $1::smallint), 2147483647)
),
address_use as (
    insert into quota_use as q (region_id, day, kind, subject, used)
    select
        $1::smallint,
        c.day,
        'address',
        c.client_hash,
        c.asked
    from by_address c
    where c.nth = 1
    order by c.day, c.client_hash
    on conflict (region_id, day, kind, subject) do update
    set used = q.used + excluded.used
    returning day, subject, used
),
let_in as materialized (
    select c.ord
    from by_address c
    join address_use u
        on u.subject = c.client_hash
        and u.day = c.day
    where u.used - c.asked + c.nth <= coalesce((select l.per_address from region_quota l where l.region_id = $1::smallint), 2147483647)
),
claimed as (
    insert into idempotency (region_id, client, route, key, fingerprint, status, body, created_at)
    select
        $1::smallint,
        a.client,
        'appeals',
        a.key,
        a.fingerprint,
        201,
        a.body,
        coalesce((a.entry ->> 'typed_at')::timestamptz, a.received_at)
    from answered a
    where a.auth not in ('anonymous', 'challenge')
       or a.ord in (select l.ord from let_in l)
    order by a.client, a.key
    on conflict do nothing
    returning client, key
),
created as materialized (
    select
        a.ord,
        a.id,
        a.received_at,
        a.code_digest,
        a.client,
        a.channel,
        a.lang,
        a.auth,
        a.client_hash,
        a.request_id,
        a.external_id,
        a.text,
        a.lat,
        a.lon,
        a.address,
        a.contact_name,
        a.contact_email,
        a.contact_phone,
        a.consent,
        a.answers,
        a.notify,
        a.public,
        a.entry,
        a.resident,
        a.text_digest,
        a.blocked,
        a.day,
        a.theme_id,
        a.number,
        a.body,
        e.actor,
        e.detail,
        event_hash('', $1::smallint, a.id, 1, a.received_at, 'captured', e.actor, e.detail) as hash
    from claimed c
    full join answered a
        on a.client = c.client
        and a.key = c.key
    cross join lateral (
        select
            case
                when a.entry is not null then 'staff:' || (a.entry ->> 'by')
                when a.client = '' then 'citizen'
                when a.auth = 'hook' then 'hook:' || a.channel || ':' || a.client
                else 'key:' || a.client
            end as actor,
            jsonb_strip_nulls(jsonb_build_object(
                'channel', a.channel,
                'text_sha256', encode(sha256(convert_to(a.text, 'UTF8')), 'hex'),
                'answers_sha256', encode(sha256(convert_to(a.answers::text, 'UTF8')), 'hex'),
                'theme', a.theme,
                'lat', a.lat,
                'lon', a.lon,
                'entry', a.entry
            )) as detail
        offset 0
    ) e
    where c.key is not distinct from a.key
),
appeal_row as (
    insert into appeal (
        region_id, id, number, code_digest, channel, status, lang, auth, client, client_hash, request_id, external_id, received_at,
        text, theme_id, theme_source, point, address, answers, notify, public, entry, legal_class, hold, resident,
        text_digest, last_seq, last_hash
    )
    select
        $1::smallint,
        c.id,
        c.number,
        c.code_digest,
        c.channel,
        'captured',
        c.lang,
        c.auth,
        c.client,
        c.client_hash,
        c.request_id,
        c.external_id,
        c.received_at,
        c.text,
        c.theme_id,
        case when c.theme_id is not null then 'citizen' end,
        st_setsrid(st_makepoint(c.lon, c.lat), 4326),
        c.address,
        c.answers,
        c.notify is true,
        c.public is true,
        c.entry,
        coalesce(c.entry ->> 'legal_class', 'message'),
        case when c.blocked then 'blocked' end,
        c.resident,
        c.text_digest,
        1,
        c.hash
    from created c
),
event_row as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select
        $1::smallint,
        c.id,
        1,
        c.received_at,
        'captured',
        c.actor,
        c.detail,
        '',
        c.hash
    from created c
),
contact_row as (
    insert into contact (region_id, appeal_id, name, email, phone)
    select
        $1::smallint,
        c.id,
        c.contact_name,
        c.contact_email,
        c.contact_phone
    from created c
    where coalesce(c.contact_name, c.contact_email, c.contact_phone) is not null
),
consent_row as (
    insert into consent (region_id, appeal_id, version, lang, given_at)
    select
        $1::smallint,
        c.id,
        c.consent,
        c.lang,
        c.received_at
    from created c
    where c.consent is not null
),
subscription_row as (
    insert into subscription (region_id, appeal_id, id, channel, address, lang, asked_at)
    select
        $1::smallint,
        c.id,
        c.id,
        'email',
        c.contact_email,
        c.lang,
        c.received_at
    from created c
    where c.notify
),
outbox_row as (
    insert into outbox (region_id, topic, appeal_id, not_before)
    select
        $1::smallint,
        'route',
        c.id,
        c.received_at
    from created c
    order by c.ord
),
repeat_row as (
    insert into text_repeat as t (region_id, digest, day, times)
    select
        $1::smallint,
        c.text_digest,
        c.day,
        count(*)
    from created c
    where c.text_digest is not null
    group by c.text_digest, c.day
    order by c.text_digest, c.day
    on conflict (region_id, digest, day) do update
    set times = t.times + excluded.times
),
counted as (
    insert into appeal_count as n (region_id, day, theme_id, body_id, municipality_id, slot, received)
    select
        $1::smallint,
        d.day,
        d.theme_id,
        0,
        0,
        $2::smallint,
        count(d.theme_id)
    from (
        select
            c.day,
            coalesce(c.theme_id, 0) as theme_id
        from created c
    ) d
    group by d.day, d.theme_id
    order by d.day, d.theme_id
    on conflict (region_id, day, theme_id, body_id, municipality_id, slot) do update
    set received = n.received + excluded.received
)
select
    g.ord,
    case
        when c.ord is not null then 'created'
        when g.first_fingerprint = g.fingerprint then 'replayed'
        when g.first_fingerprint is not null then 'reused'
        when g.theme is not null and g.theme_id is null then 'unknown_theme'
        when g.refused then 'blocked'
        when r.ord is not null and a.ord is null then 'quota_resident'
        when r.ord is not null and l.ord is null then 'quota_address'
        else 'retry'
    end as outcome,
    case
        when c.ord is not null then 201
        when g.first_fingerprint = g.fingerprint then g.first_status
        when r.ord is not null and l.ord is null then q.quota
    end as status,
    case
        when c.ord is not null then c.body
        when g.first_fingerprint = g.fingerprint then g.first_body
        when r.ord is not null and l.ord is null then q.seconds
    end as body
from given g
full join created c on c.ord = g.ord
left join by_resident r on r.ord = g.ord
left join by_address a on a.ord = g.ord
left join let_in l on l.ord = g.ord
-- what a refusal says: how many a day, and the seconds until the region's next day
left join lateral (
    select
        case when a.ord is null then t.per_resident else t.per_address end as quota,
        ceil(extract(epoch from ((r.day + 1)::timestamp at time zone z.time_zone) - g.received_at))::text as seconds
    from region_quota t
    join region z on z.id = t.region_id
    where t.region_id = $1::smallint
      and r.ord is not null
      and l.ord is null
) q on true
order by g.ord;
