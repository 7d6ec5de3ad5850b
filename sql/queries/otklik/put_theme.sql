-- Stores a row of themes.tsv. Unique (region_id, code) of theme and deadline_rule; one probe each.
-- $1 region, $2 code, $3 and $4 object, $5 and $6 group, $7 and $8 name, $9 code of a deadline rule, $10 keywords with commas between
with
rule as materialized (
    select
        $9::text is null or d.id is not null as known,
        d.id
    from (select 1) one
    left join deadline_rule d
        on d.region_id = $1::smallint
        and d.code = $9
),
stored as (
    insert into theme as t (
        region_id, code, object_ru, object_en, group_ru, group_en, name_ru, name_en, deadline_rule_id, keywords
    )
    select
        $1::smallint,
        $2,
        $3,
        $4,
        $5,
        $6,
        $7,
        $8,
        r.id,
        coalesce(regexp_split_to_array(nullif(btrim($10::text), ''), '\s*,\s*'), '{}')
    from rule r
    where r.known
    on conflict (region_id, code) do update
    set object_ru = excluded.object_ru,
        object_en = excluded.object_en,
        group_ru = excluded.group_ru,
        group_en = excluded.group_en,
        name_ru = excluded.name_ru,
        name_en = excluded.name_en,
        deadline_rule_id = excluded.deadline_rule_id,
        keywords = excluded.keywords
    where (t.object_ru, t.object_en, t.group_ru, t.group_en, t.name_ru, t.name_en, t.deadline_rule_id, t.keywords)
          is distinct from
          (excluded.object_ru, excluded.object_en, excluded.group_ru, excluded.group_en, excluded.name_ru, excluded.name_en,
           excluded.deadline_rule_id, excluded.keywords)
    returning xmax
)
select
    r.known,
    case when s.xmax is null then 'same' when s.xmax = 0 then 'added' else 'changed' end as outcome
from rule r
left join stored s on true;
