-- A body says what becomes of an appeal: step, state, answer with its proof, notice, counters and the first answer to the client's key in
-- one statement. The row of the appeal is held, so that steps at once come one after the other. Outcomes: new, replayed, reused, retry (somebody
-- else was at it), not_found, other_body, illegal, past, file_used, too_many, no_proof. appeal_by_number, then primary keys; 1 ms.
-- $1 region, $2 number, $3 subject of the key, $4 body the key speaks for ('': any), $5 counter slot, $6 now (microseconds UTC),
-- $7 idempotency key (without $17 the same words in another round are another step), $8 fingerprint; $9 kind of the step, $10 interim or final (null: no answer), $11 states it may follow, $12 state that it
-- leads to; $13 text, $14 reason, $15 day that is promised or postponed to, $16 link, $17 id and $18 moment that the client gives the step;
-- $19 how many files an answer may have; arrays, one element a file: $20 ids, $21 names, $22 media types, $23 sizes, $24 digests
with
held as materialized (
    select
        a.id,
        a.number,
        a.status,
        a.received_at,
        a.theme_id,
        a.body_id,
        a.municipality_id,
        a.notify,
        a.reopened_seq,
        case when $17::text is null then $7::text || '.' || a.reopened else $7::text end as key,
        a.last_seq,
        a.last_hash
    from appeal a
    where a.region_id = $1::smallint
      and a.number = $2
    limit 1
    for no key update
),
place as (
    select
        h.id,
        (h.received_at at time zone r.time_zone)::date as day,
        (to_timestamp($6::bigint / 1000000.0) at time zone r.time_zone)::date as today,
        c.id as centre_id,
        cardinality($20::uuid[]) as given,
        exists (
            select
            from attachment t
            where t.region_id = $1::smallint
              and t.appeal_id = h.id
              and t.sha256 = any ($24::bytea[])
        ) as used,
        exists (
            select
            from attachment t
            where t.region_id = $1::smallint
              and t.appeal_id = h.id
              and t.answer_seq > h.reopened_seq
        ) as shown
    from held h
    join region r on r.id = $1::smallint
    left join body c
        on c.region_id = $1::smallint
        and c.centre
),
judged as materialized (
    select
        h.id,
        h.number,
        h.status,
        h.received_at,
        h.theme_id,
        h.body_id,
        h.municipality_id,
        h.notify,
        h.last_seq,
        h.last_hash,
        h.key,
        p.day,
        p.centre_id,
        case
            when p.given > 0 or p.shown then 'files'
            when $9::text = 'answered' and $15::date is not null then 'promise'
            when $9::text = 'answered' and $14::text is not null then 'reason'
        end as proof,
        i.body as first_body,
        case
            when i.fingerprint = $8::bytea then 'replayed'
            when i.fingerprint is not null then 'reused'
            when h.last_seq <> b.last_seq then 'retry'
            when $4::text <> '' and $4::text is distinct from h.body_id::text then 'other_body'
            when not h.status = any ($11::text[]) then 'illegal'
            when $9::text = 'redirected' and h.body_id is not distinct from coalesce(p.centre_id, h.body_id) then 'illegal'
            when $15::date < p.today then 'past'
            when p.used then 'file_used'
            when p.given > $19::integer then 'too_many'
            when $10::text = 'final' and p.given = 0 and not p.shown and $14::text is null and $15::date is null then 'no_proof'
            else 'new'
        end as outcome
    from held h
    join place p on p.id = h.id
    -- as it stood when the statement began: who had to wait for the row has not seen what the one before wrote
    join appeal b
        on b.region_id = $1::smallint
        and b.id = h.id
    left join lateral (
        select
            k.fingerprint,
            k.body
        from idempotency k
        where k.region_id = $1::smallint
          and k.client = $3::text
          and k.route = 'updates'
          and k.key = h.key
        limit 1
    ) i on true
),
claimed as (
    insert into idempotency (region_id, client, route, key, fingerprint, status, body, created_at)
    select
        $1::smallint,
        $3::text,
        'updates',
        j.key,
        $8::bytea,
        200,
        format('{"update_id":"%s.%s"}', j.number, j.last_seq + 1),
        to_timestamp($6::bigint / 1000000.0)
    from judged j
    where j.outcome = 'new'
    on conflict do nothing
    returning body
),
linked as materialized (
    select
        j.id,
        j.received_at,
        j.theme_id,
        j.body_id,
        j.municipality_id,
        j.notify,
        j.day,
        j.centre_id,
        j.proof,
        j.last_seq + 1 as seq,
        j.last_hash,
        to_timestamp($6::bigint / 1000000.0) as at,
        'key:' || $3::text as actor,
        w.detail,
        event_hash(
            j.last_hash, $1::smallint, j.id, j.last_seq + 1, to_timestamp($6::bigint / 1000000.0), $9::text, 'key:' || $3::text, w.detail
        ) as hash
    from claimed c
    cross join judged j
    cross join lateral (
        select jsonb_strip_nulls(jsonb_build_object(
            'answer', $10::text,
            'body', (
                select b.name_ru
                from body b
                where b.region_id = $1::smallint
                  and b.id = j.body_id
            ),
            'text', case when $10::text is null then $13::text end,
            'text_sha256', case when $10::text is not null then encode(sha256(convert_to($13::text, 'UTF8')), 'hex') end,
            'proof', case when $10::text is not null then j.proof end,
            'reason', $14::text,
            'promised_on', case when $9::text <> 'postponed' then $15::date end,
            'until', case when $9::text = 'postponed' then $15::date end,
            'media_url', $16::text,
            'update_id', $17::text,
            'client_at', $18::text,
            'files', (
                select jsonb_agg(
                    jsonb_build_object('id', g.id, 'type', g.media_type, 'size', g.size, 'sha256', encode(g.sha256, 'hex'))
                    order by g.id
                )
                from unnest($20::uuid[], $22::text[], $23::bigint[], $24::bytea[]) as g (id, media_type, size, sha256)
            )
        )) as detail
    ) w
),
event_row as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select
        $1::smallint,
        l.id,
        l.seq,
        l.at,
        $9::text,
        l.actor,
        l.detail,
        l.last_hash,
        l.hash
    from linked l
),
answer_row as (
    insert into answer (region_id, appeal_id, seq, kind, at, text, body_id, account, proof, promised_on, reason, media_url, files)
    select
        $1::smallint,
        l.id,
        l.seq,
        $10::text,
        l.at,
        $13::text,
        l.body_id,
        $3::text,
        l.proof,
        $15::date,
        $14::text,
        $16::text,
        cardinality($20::uuid[])
    from linked l
    where $10::text is not null
),
file_rows as (
    insert into attachment (region_id, id, appeal_id, name, media_type, size, sha256, added_at, not_before, answer_seq)
    select
        $1::smallint,
        g.id,
        l.id,
        g.name,
        g.media_type,
        g.size,
        g.sha256,
        l.at,
        l.at,
        l.seq
    from linked l
    cross join unnest($20::uuid[], $21::text[], $22::text[], $23::bigint[], $24::bytea[]) as g (id, name, media_type, size, sha256)
),
moved as (
    update appeal a
    set
        status = $12::text,
        body_id = case when $9::text = 'redirected' then l.centre_id else a.body_id end,
        first_answered_at = case
            when $9::text in ('answered', 'rejected', 'postponed') then coalesce(a.first_answered_at, l.at)
            else a.first_answered_at
        end,
        answered_at = case when $10::text = 'final' or $9::text = 'rejected' then l.at else a.answered_at end,
        answer_seq = case when $10::text = 'final' then l.seq else a.answer_seq end,
        postponed_until = case when $9::text = 'postponed' then $15::date end,
        last_seq = l.seq,
        last_hash = l.hash
    from linked l
    where a.region_id = $1::smallint
      and a.id = l.id
),
notice as (
    insert into outbox (region_id, topic, appeal_id, seq, not_before)
    select
        $1::smallint,
        'notice',
        l.id,
        l.seq,
        l.at
    from linked l
    where l.notify
      and $9::text <> 'accepted'
),
changes as (
    select
        l.day,
        coalesce(l.theme_id, 0) as theme_id,
        coalesce(l.body_id, 0) as body_id,
        coalesce(l.municipality_id, 0) as municipality_id,
        case when $9::text = 'redirected' then -1 else 0 end as received,
        case when $10::text = 'final' then 1 else 0 end as answered
    from linked l
    where $9::text = 'redirected'
       or $10::text = 'final'
    union all
    select
        l.day,
        coalesce(l.theme_id, 0),
        l.centre_id,
        coalesce(l.municipality_id, 0),
        1,
        0
    from linked l
    where $9::text = 'redirected'
),
counted as (
    insert into appeal_count as n (region_id, day, theme_id, body_id, municipality_id, slot, received, routed, answered)
    select
        $1::smallint,
        c.day,
        c.theme_id,
        c.body_id,
        c.municipality_id,
        $5::smallint,
        c.received,
        c.received,
        c.answered
    from changes c
    order by c.theme_id, c.body_id, c.municipality_id
    on conflict (region_id, day, theme_id, body_id, municipality_id, slot) do update
    set
        received = n.received + excluded.received,
        routed = n.routed + excluded.routed,
        answered = n.answered + excluded.answered
)
select
    case
        when j.id is null then 'not_found'
        when j.outcome = 'new' and not exists (select from claimed) then 'retry'
        else j.outcome
    end as outcome,
    coalesce((select c.body from claimed c), j.first_body) as body,
    j.status as status
from (values (1)) as one (n)
left join judged j on true;
