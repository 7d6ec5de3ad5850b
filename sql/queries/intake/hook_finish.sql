-- Ends events of a region: what each became, or why it was set aside, or that it is to be tried again. A message that became an appeal is
-- remembered; what its author has deleted before it became one is forgotten. Primary keys of hook_event and hook_message, hook_event_order;
-- 0.1 ms an event. Where an answer may go, its author hears of it and of each step from now on.
-- $1 region, $2 now (microseconds UTC); then arrays, one element an event: $3 ids, $4 states, $5 outcomes, $6 reasons, $7 errors, $8 whether
-- the body may be kept, $9 not before (microseconds UTC), for those that are to be tried again, $10 addresses of the messages, or null, $11 what was
-- said, for those that are no appeals, $12 the talks they belong to, or null
with
given as materialized (
    select
        g.id,
        g.state,
        g.outcome,
        g.reason,
        g.error,
        g.keep,
        to_timestamp(g.again_us / 1000000.0) as again_at,
        g.address,
        g.text,
        g.talk
    from unnest(
        $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[], $9::bigint[], $10::text[], $11::text[],
        $12::text[]
    ) as g (id, state, outcome, reason, error, keep, again_us, address, text, talk)
),
ended as (
    update hook_event e
    set
        state = g.state,
        outcome = g.outcome,
        reason = g.reason,
        error = g.error,
        appeal_id = case when g.outcome = 'appeal' then e.id end,
        finished_at = case when g.state <> 'new' then to_timestamp($2::bigint / 1000000.0) end,
        attempts = case when g.state = 'new' then greatest(e.attempts - 1, 0) else e.attempts end,
        not_before = coalesce(g.again_at, e.not_before),
        raw = case when g.state <> 'done' or g.keep then e.raw end,
        text = g.text
    from given g
    where e.region_id = $1::smallint
      and e.id = g.id
      and e.state = 'new'
    returning
        e.id,
        e.appeal_id,
        e.reason,
        e.message,
        e.channel,
        e.account,
        g.address,
        g.talk
),
remembered as (
    insert into hook_message (region_id, message, appeal_id, channel, account, address, talk)
    select
        $1::smallint,
        d.message,
        d.appeal_id,
        d.channel,
        d.account,
        d.address,
        d.talk
    from ended d
    where d.appeal_id is not null
      and d.message is not null
    order by d.message
    on conflict do nothing
),
told as (
    insert into outbox (region_id, topic, appeal_id, seq, not_before)
    select
        $1::smallint,
        'notice',
        d.appeal_id,
        1,
        to_timestamp($2::bigint / 1000000.0)
    from ended d
    where d.appeal_id is not null
      and d.message is not null
      and d.address is not null
    order by d.appeal_id
),
heard as (
    update appeal a
    set notify = true
    from ended d
    where a.region_id = $1::smallint
      and a.id = d.appeal_id
      and d.message is not null
      and d.address is not null
),
forgotten as (
    update hook_event e
    set
        raw = null,
        text = null
    from ended d
    where d.reason = 'not_in_register'
      and e.region_id = $1::smallint
      and e.message = d.message
      and e.state = 'done'
)
select count(*) as ended
from ended;
