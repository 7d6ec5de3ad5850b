-- Routes the appeals of one bite: body, deadlines, event, notice, counters and the end of the outbox row in one statement. Appeals are locked
-- in the order of their ids, counters in the order of their keys, so that several routing processes never wait in a circle.
-- An appeal that was opened again keeps theme, place, body and counters: it only gets its new deadlines. Any other that is no longer
-- 'captured' is left as it is. Primary keys serve it all, one probe an appeal and table; partitions are
-- pruned probe by probe. About 0.08 ms an appeal in a bite of 128.
-- $1 region, $2 counter slot, $3 now (microseconds UTC); then arrays, one element an appeal: $4 outbox ids, $5 appeal ids, $6 themes,
-- $7 sources of the theme, $8 municipalities, $9 deadline rules, $10 first and $11 final deadline (microseconds UTC), $12 arithmetic
-- of the deadlines (JSON), $13 reasons for moderation (JSON array; null: none)
with
held as (
    select
        a.id,
        a.theme_id as old_theme_id,
        a.received_at,
        a.last_seq,
        a.last_hash,
        a.notify,
        a.status <> 'captured' as again,
        a.body_id,
        case when a.status <> 'captured' then a.theme_id else d.theme_id end as theme_id,
        case when a.status <> 'captured' then a.theme_source else d.theme_source end as theme_source,
        case when a.status <> 'captured' then a.municipality_id else d.municipality_id end as municipality_id,
        d.rule_id,
        to_timestamp(d.first_us / 1000000.0) as first_due_at,
        to_timestamp(d.final_us / 1000000.0) as final_due_at,
        d.due_detail,
        case when a.status = 'captured' then d.reasons end as reasons
    from unnest(
        $5::uuid[], $6::integer[], $7::text[], $8::integer[], $9::integer[], $10::bigint[], $11::bigint[], $12::jsonb[], $13::jsonb[]
    ) as d (
        appeal_id, theme_id, theme_source, municipality_id, rule_id, first_us, final_us, due_detail, reasons
    )
    join appeal a
        on a.region_id = $1::smallint
        and a.id = d.appeal_id
    where a.status = 'captured'
       or (a.reopened > 0 and a.due_detail is null)
    order by a.id
    for no key update of a
),
placed as materialized (
    select
        h.id,
        h.old_theme_id,
        h.received_at,
        h.last_seq,
        h.last_hash,
        h.notify,
        h.again,
        h.theme_id,
        h.theme_source,
        h.municipality_id,
        h.rule_id,
        h.first_due_at,
        h.final_due_at,
        h.due_detail,
        h.reasons,
        coalesce(
            case when h.again then h.body_id end,
            (
                select r.body_id
                from routing_rule r
                where r.region_id = $1::smallint
                  and r.municipality_id = h.municipality_id
                  and r.theme_id = h.theme_id
            ),
            (
                select r.body_id
                from routing_rule r
                where r.region_id = $1::smallint
                  and r.municipality_id is null
                  and r.theme_id = h.theme_id
            ),
            (
                select r.body_id
                from routing_rule r
                where r.region_id = $1::smallint
                  and r.municipality_id = h.municipality_id
                  and r.theme_id is null
            ),
            (
                select r.body_id
                from routing_rule r
                where r.region_id = $1::smallint
                  and r.municipality_id is null
                  and r.theme_id is null
            ),
            (
                select b.id
                from body b
                where b.region_id = $1::smallint
                  and b.centre
            )
        ) as body_id
    from held h
),
written as (
    select
        p.id,
        p.old_theme_id,
        p.received_at,
        p.last_seq,
        p.last_hash,
        p.notify,
        p.again,
        p.theme_id,
        p.theme_source,
        p.municipality_id,
        p.body_id,
        p.rule_id,
        p.first_due_at,
        p.final_due_at,
        p.due_detail,
        case when v.why is null or p.again then 'routed' else 'moderation' end as status,
        jsonb_strip_nulls(jsonb_build_object(
            'body', b.name_ru,
            'municipality', m.name_ru,
            'theme', t.code,
            'theme_source', p.theme_source,
            'rule', dr.code,
            'first_due_at', rfc3339(p.first_due_at),
            'final_due_at', rfc3339(p.final_due_at),
            'reasons', v.why,
            'again', case when p.again then true end
        )) as detail
    from placed p
    cross join lateral (
        select case when p.body_id is null then coalesce(p.reasons, '[]') || '["no_body"]' else p.reasons end
    ) as v (why)
    left join body b
        on b.region_id = $1::smallint
        and b.id = p.body_id
    left join municipality m
        on m.region_id = $1::smallint
        and m.id = p.municipality_id
    left join theme t
        on t.region_id = $1::smallint
        and t.id = p.theme_id
    left join deadline_rule dr
        on dr.region_id = $1::smallint
        and dr.id = p.rule_id
),
linked as (
    select
        w.id,
        w.last_seq,
        w.last_hash,
        w.notify,
        w.again,
        w.status,
        w.theme_id,
        w.theme_source,
        w.municipality_id,
        w.body_id,
        w.rule_id,
        w.first_due_at,
        w.final_due_at,
        w.due_detail,
        w.detail,
        event_hash(
            w.last_hash, $1::smallint, w.id, w.last_seq + 1, to_timestamp($3::bigint / 1000000.0), w.status, 'routing', w.detail
        ) as hash
    from written w
),
event as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select
        $1::smallint,
        l.id,
        l.last_seq + 1,
        to_timestamp($3::bigint / 1000000.0),
        l.status,
        'routing',
        l.detail,
        l.last_hash,
        l.hash
    from linked l
),
notice as (
    insert into outbox (region_id, topic, appeal_id, seq, not_before)
    select
        $1::smallint,
        'notice',
        l.id,
        l.last_seq + 1,
        to_timestamp($3::bigint / 1000000.0)
    from linked l
    where l.notify
    order by l.id
),
moved as (
    update appeal a
    set
        status = case when l.again then a.status else l.status end,
        theme_id = l.theme_id,
        theme_source = l.theme_source,
        municipality_id = l.municipality_id,
        body_id = l.body_id,
        deadline_rule_id = l.rule_id,
        first_due_at = l.first_due_at,
        final_due_at = l.final_due_at,
        due_detail = l.due_detail,
        routed_at = to_timestamp($3::bigint / 1000000.0),
        last_seq = l.last_seq + 1,
        last_hash = l.hash
    from linked l
    where a.region_id = $1::smallint
      and a.id = l.id
),
changes as (
    -- out of "not known yet", where intake counted it, …
    select
        (w.received_at at time zone r.time_zone)::date as day,
        coalesce(w.old_theme_id, 0) as theme_id,
        0 as body_id,
        0 as municipality_id,
        -1 as received,
        0 as routed,
        0 as moderation
    from written w
    join region r on r.id = $1::smallint
    where not w.again
    union all
    -- … into its place
    select
        (w.received_at at time zone r.time_zone)::date,
        coalesce(w.theme_id, 0),
        coalesce(w.body_id, 0),
        coalesce(w.municipality_id, 0),
        1,
        (w.status = 'routed')::integer,
        (w.status = 'moderation')::integer
    from written w
    join region r on r.id = $1::smallint
    where not w.again
),
counted as (
    insert into appeal_count as n (region_id, day, theme_id, body_id, municipality_id, slot, received, routed, moderation)
    select
        $1::smallint,
        c.day,
        c.theme_id,
        c.body_id,
        c.municipality_id,
        $2::smallint,
        sum(c.received),
        sum(c.routed),
        sum(c.moderation)
    from changes c
    group by c.day, c.theme_id, c.body_id, c.municipality_id
    order by c.day, c.theme_id, c.body_id, c.municipality_id
    on conflict (region_id, day, theme_id, body_id, municipality_id, slot) do update
    set
        received = n.received + excluded.received,
        routed = n.routed + excluded.routed,
        moderation = n.moderation + excluded.moderation
),
done as (
    delete from outbox o
    where o.region_id = $1::smallint
      and o.topic = 'route'
      and o.id = any ($4::bigint[])
)
select
    count(*) filter (where w.status = 'routed') as routed,
    count(*) filter (where w.status = 'moderation') as moderation
from written w;
