-- Blocks a sender, by name or as the sender of an appeal, and writes down who did so. appeal_by_number; 0.5 ms.
-- The pseudonym of an address is another one each day (UTC), so a block of it ends with the day. No row: there is no such appeal, or it says
-- nothing of the kind.
-- $1 region, $2 id, $3 kind, $4 subject or null, $5 number of an appeal or null, $6 reason, $7 last day in the region's time or null,
-- $8 whether letters are refused, $9 actor, $10 now (microseconds UTC), $11 id of the act
with
subject as (
    select
        coalesce(
            $4::text,
            (
                select
                    case $3::text
                        when 'address' then nullif(a.client_hash, '')
                        when 'resident' then a.resident
                        when 'text' then encode(a.text_digest, 'hex')
                    end
                from appeal a
                where a.number = $5::text
                  and a.region_id = $1::smallint
            )
        ) as name,
        to_timestamp($10::bigint / 1000000.0) as now,
        ($7::date + 1)::timestamp at time zone r.time_zone as last
    from region r
    where r.id = $1::smallint
),
added as (
    insert into sender_block (region_id, id, kind, subject, refuse, reason, until, actor, at)
    select
        $1::smallint,
        $2::uuid,
        $3::text,
        s.name,
        $8::boolean,
        $6::text,
        case
            when $3::text = 'address'
                then least(s.last, (date_trunc('day', s.now at time zone 'UTC') + interval '1 day') at time zone 'UTC')
            else s.last
        end,
        $9::text,
        s.now
    from subject s
    where s.name is not null
    returning id, kind, subject, refuse, reason, until, actor, at
),
act as (
    insert into desk_act (region_id, id, at, actor, act, detail)
    select
        $1::smallint,
        $11::uuid,
        d.at,
        d.actor,
        'block',
        jsonb_strip_nulls(jsonb_build_object('block', d.id, 'kind', d.kind, 'subject', d.subject, 'refuse', d.refuse, 'number', $5::text))
    from added d
)
select
    jsonb_strip_nulls(jsonb_build_object(
        'id', d.id,
        'kind', d.kind,
        'subject', d.subject,
        'refuse', d.refuse,
        'reason', d.reason,
        'until', rfc3339(d.until),
        'by', d.actor,
        'at', rfc3339(d.at)
    ))::text as block
from added d;
