-- The resident marks the last final answer and says whether it solved the matter: solved closes the appeal, not solved opens it again at the same
-- body, with a new round of deadlines that routing counts. Verdict, steps, state, notice, outbox, counters and the first answer to the key in one
-- statement; the row of the appeal is held. Outcomes: new, replayed, reused, retry (somebody else was at it), not_found, no_answer,
-- too_late. appeal_by_number, then primary keys; 1 ms.
-- $1 region, $2 number, $3 digest of the code, $4 counter slot, $5 now (microseconds UTC), $6 idempotency key, $7 fingerprint, $8 mark,
-- $9 solved, $10 comment
with
held as materialized (
    select
        a.id,
        a.number,
        a.status,
        a.received_at,
        a.answered_at,
        a.theme_id,
        a.body_id,
        a.municipality_id,
        a.notify,
        a.answer_seq,
        a.mark as old_mark,
        a.last_seq,
        a.last_hash
    from appeal a
    where a.region_id = $1::smallint
      and a.number = $2
      and opens(a.region_id, a.id, a.code_digest, $3::bytea)
    limit 1
    for no key update
),
judged as materialized (
    select
        h.id,
        h.number,
        h.status,
        h.received_at,
        h.theme_id,
        h.municipality_id,
        h.notify,
        h.last_seq,
        h.last_hash,
        (h.received_at at time zone r.time_zone)::date as day,
        h.answer_seq,
        h.body_id,
        h.old_mark,
        i.body as first_body,
        case when not $9::boolean then 'reopened' when h.status = 'answered' then 'closed' end as step,
        case
            when i.fingerprint = $7::bytea then 'replayed'
            when i.fingerprint is not null then 'reused'
            when h.last_seq <> b.last_seq then 'retry'
            when h.status not in ('answered', 'closed') or h.answer_seq is null then 'no_answer'
            when h.answered_at + make_interval(days => r.verdict_days) < to_timestamp($5::bigint / 1000000.0) then 'too_late'
            else 'new'
        end as outcome
    from held h
    join region r on r.id = $1::smallint
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
          and k.client = h.number
          and k.route = 'verdict'
          and k.key = $6::text
        limit 1
    ) i on true
),
claimed as (
    insert into idempotency (region_id, client, route, key, fingerprint, status, body, created_at)
    select
        $1::smallint,
        j.number,
        'verdict',
        $6::text,
        $7::bytea,
        201,
        format(
            '{"number":"%s","answer":%s,"mark":%s,"solved":%s,"status":"%s"}',
            j.number,
            j.answer_seq,
            $8::smallint,
            $9::boolean::text,
            case when $9::boolean then 'closed' else 'routed' end
        ),
        to_timestamp($5::bigint / 1000000.0)
    from judged j
    where j.outcome = 'new'
    on conflict do nothing
    returning body
),
marked as materialized (
    select
        j.id,
        j.theme_id,
        j.body_id,
        j.municipality_id,
        j.notify,
        j.day,
        j.step,
        j.answer_seq,
        j.old_mark,
        j.last_seq,
        j.last_hash,
        to_timestamp($5::bigint / 1000000.0) as at,
        w.detail,
        event_hash(
            j.last_hash, $1::smallint, j.id, j.last_seq + 1, to_timestamp($5::bigint / 1000000.0), 'verdict', 'citizen', w.detail
        ) as hash
    from claimed c
    cross join judged j
    cross join lateral (
        select jsonb_strip_nulls(jsonb_build_object(
            'answer_seq', j.answer_seq,
            'mark', $8::smallint,
            'solved', $9::boolean,
            'text_sha256', encode(sha256(convert_to($10::text, 'UTF8')), 'hex')
        )) as detail
    ) w
),
turned as materialized (
    select
        m.id,
        m.step,
        m.notify,
        m.last_seq + 2 as seq,
        m.hash as previous,
        m.at,
        jsonb_build_object('answer_seq', m.answer_seq) as detail,
        event_hash(
            m.hash, $1::smallint, m.id, m.last_seq + 2, m.at, m.step, 'citizen', jsonb_build_object('answer_seq', m.answer_seq)
        ) as hash
    from marked m
    where m.step is not null
),
event_rows as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select
        $1::smallint,
        m.id,
        m.last_seq + 1,
        m.at,
        'verdict',
        'citizen',
        m.detail,
        m.last_hash,
        m.hash
    from marked m
    union all
    select
        $1::smallint,
        t.id,
        t.seq,
        t.at,
        t.step,
        'citizen',
        t.detail,
        t.previous,
        t.hash
    from turned t
),
verdict_row as (
    insert into verdict (region_id, appeal_id, seq, answer_seq, at, mark, solved, comment)
    select
        $1::smallint,
        m.id,
        m.last_seq + 1,
        m.answer_seq,
        m.at,
        $8::smallint,
        $9::boolean,
        $10::text
    from marked m
),
moved as (
    update appeal a
    set
        status = case when $9::boolean then 'closed' else 'routed' end,
        last_seq = m.last_seq + case when m.step is null then 1 else 2 end,
        last_hash = coalesce((select t.hash from turned t), m.hash),
        reopened = case when $9::boolean then a.reopened else a.reopened + 1 end,
        reopened_at = case when $9::boolean then a.reopened_at else m.at end,
        reopened_seq = case when $9::boolean then a.reopened_seq else m.last_seq + 2 end,
        answer_seq = case when $9::boolean then a.answer_seq end,
        mark = case when $9::boolean then $8::smallint end,
        earlier_due = case
            when $9::boolean or a.first_due_at is null then a.earlier_due
            else coalesce(a.earlier_due, '[]') || jsonb_build_array(jsonb_build_object(
                'first_answer_at', rfc3339(a.first_due_at),
                'answer_at', rfc3339(a.final_due_at),
                'first_answered_at', rfc3339(a.first_answered_at),
                'answered_at', rfc3339(a.answered_at)
            ))
        end,
        first_due_at = case when $9::boolean then a.first_due_at end,
        final_due_at = case when $9::boolean then a.final_due_at end,
        due_detail = case when $9::boolean then a.due_detail end,
        first_answered_at = case when $9::boolean then a.first_answered_at end,
        answered_at = case when $9::boolean then a.answered_at end
    from marked m
    where a.region_id = $1::smallint
      and a.id = m.id
),
notice as (
    insert into outbox (region_id, topic, appeal_id, seq, not_before)
    select
        $1::smallint,
        'notice',
        t.id,
        t.seq,
        t.at
    from turned t
    where t.notify
),
again as (
    insert into outbox (region_id, topic, appeal_id, not_before)
    select
        $1::smallint,
        'route',
        t.id,
        t.at
    from turned t
    where t.step = 'reopened'
),
counted as (
    insert into appeal_count as n (region_id, day, theme_id, body_id, municipality_id, slot, closed, reopened, marks, marks_sum)
    select
        $1::smallint,
        m.day,
        coalesce(m.theme_id, 0),
        coalesce(m.body_id, 0),
        coalesce(m.municipality_id, 0),
        $4::smallint,
        (m.step is not distinct from 'closed')::integer,
        (m.step is not distinct from 'reopened')::integer,
        case when m.old_mark is null then 1 else 0 end,
        $8::smallint - coalesce(m.old_mark, 0)
    from marked m
    on conflict (region_id, day, theme_id, body_id, municipality_id, slot) do update
    set
        closed = n.closed + excluded.closed,
        reopened = n.reopened + excluded.reopened,
        marks = n.marks + excluded.marks,
        marks_sum = n.marks_sum + excluded.marks_sum
)
select
    case
        when j.id is null then 'not_found'
        when j.outcome = 'new' and not exists (select from claimed) then 'retry'
        else j.outcome
    end as outcome,
    coalesce((select c.body from claimed c), j.first_body) as body,
    exists (select from turned t where t.step = 'reopened') as reopened
from (values (1)) as one (n)
left join judged j on true;
