-- Follows what became of a message that is in the register: edited, deleted or restored where it was written. The appeal keeps its text; its
-- history says what happened. Chain, head of the chain and the end of the event in one statement. No row: the message became no appeal.
-- Primary keys of hook_event, hook_message, appeal and appeal_event; 0.5 ms.
-- $1 region, $2 id of the event, $3 now (microseconds UTC), $4 kind of the step, $5 the text as it is now, or null, $6 outcome, $7 whether
-- the body may be kept
with
held as materialized (
    select
        a.id,
        a.channel,
        a.last_seq,
        a.last_hash,
        e.id as event_id,
        'hook:' || e.channel || ':' || e.account as actor,
        jsonb_strip_nulls(jsonb_build_object(
            'channel', a.channel,
            'text', $5::text,
            'text_sha256', encode(sha256(convert_to($5::text, 'UTF8')), 'hex')
        )) as detail
    from hook_event e
    join hook_message m
        on m.region_id = $1::smallint
        and m.message = e.message
    join appeal a
        on a.region_id = $1::smallint
        and a.id = m.appeal_id
    where e.region_id = $1::smallint
      and e.id = $2::uuid
      and e.state = 'new'
    for no key update of a
),
linked as materialized (
    select
        h.id,
        h.last_seq + 1 as seq,
        h.actor,
        h.detail,
        h.last_hash,
        event_hash(
            h.last_hash, $1::smallint, h.id, h.last_seq + 1, to_timestamp($3::bigint / 1000000.0), $4, h.actor, h.detail
        ) as hash
    from held h
),
finished as (
    update hook_event e
    set
        state = 'done',
        outcome = $6,
        appeal_id = l.id,
        finished_at = to_timestamp($3::bigint / 1000000.0),
        raw = case when $7::boolean then e.raw end
    from linked l
    where e.region_id = $1::smallint
      and e.id = $2::uuid
      and e.state = 'new'
    returning e.appeal_id
),
event_row as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select
        $1::smallint,
        l.id,
        l.seq,
        to_timestamp($3::bigint / 1000000.0),
        $4,
        l.actor,
        l.detail,
        l.last_hash,
        l.hash
    from finished f
    join linked l on l.id = f.appeal_id
),
head as (
    update appeal a
    set
        last_seq = l.seq,
        last_hash = l.hash
    from finished f
    join linked l on l.id = f.appeal_id
    where a.region_id = $1::smallint
      and a.id = l.id
)
select f.appeal_id
from finished f;
