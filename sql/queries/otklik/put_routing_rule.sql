-- Stores a row of routing.tsv; * stands for any. Unique (region_id, municipality_id, theme_id), nulls alike; a few probes.
-- $1 region, $2 name of the municipality or *, $3 code of the theme or *, $4 name of the body
with
rule as materialized (
    select
        ($2 = '*' or m.id is not null) and ($3 = '*' or t.id is not null) and b.id is not null as known,
        m.id as municipality_id,
        t.id as theme_id,
        b.id as body_id
    from (select 1) one
    left join municipality m
        on m.region_id = $1::smallint
        and m.name_ru = $2
    left join theme t
        on t.region_id = $1::smallint
        and t.code = $3
    left join body b
        on b.region_id = $1::smallint
        and b.name_ru = $4
),
stored as (
    insert into routing_rule as o (region_id, municipality_id, theme_id, body_id)
    select
        $1::smallint,
        r.municipality_id,
        r.theme_id,
        r.body_id
    from rule r
    where r.known
    on conflict (region_id, municipality_id, theme_id) do update
    set body_id = excluded.body_id
    where o.body_id <> excluded.body_id
    returning xmax
)
select
    coalesce(r.known, false) as known,
    case when s.xmax is null then 'same' when s.xmax = 0 then 'added' else 'changed' end as outcome
from rule r
left join stored s on true;
