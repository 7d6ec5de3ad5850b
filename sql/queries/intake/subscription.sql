-- What somebody who has the letter does with a subscription: looks at it, confirms it, stops it. The first look at one of the author's that may open
-- the appeal makes its code good. appeal_by_number, primary key. 0.3 ms.
-- $1 region, $2 number, $3 subscription, $4 state wanted (null: only a look), $5 now (microseconds UTC), $6 digest of its code, $7 language
with
found as materialized (
    select
        s.appeal_id,
        s.id,
        case
            when $4::text is not null then $4
            when s.state = 'pending' and s.id = s.appeal_id and a.auth in ('api_key', 'jwt') then 'confirmed'
            else s.state
        end as state,
        s.state as old_state,
        s.code_digest,
        (s.author or s.id = s.appeal_id) as author
    from appeal a
    join subscription s
        on s.region_id = a.region_id
        and s.appeal_id = a.id
    where a.region_id = $1::smallint
      and a.number = $2
      and s.id = $3::uuid
    limit 1
),
moved as (
    update subscription s
    set
        state = f.state,
        changed_at = to_timestamp($5::bigint / 1000000.0),
        code_digest = case when f.author and f.state = 'confirmed' then $6::bytea else s.code_digest end
    from found f
    where s.region_id = $1::smallint
      and s.appeal_id = f.appeal_id
      and s.id = f.id
      and (f.state <> f.old_state or (f.author and f.state = 'confirmed' and f.code_digest is null))
)
select
    jsonb_build_object('id', r.id, 'name', case $7::text when 'en' then r.name_en else r.name_ru end)::text as region,
    f.state,
    f.author
from found f
join region r on r.id = $1::smallint;
