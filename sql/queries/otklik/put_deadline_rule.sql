-- Stores a row of deadline_rules.tsv. Unique (region_id, code); one probe.
-- $1 region, $2 code, $3 name, $4 English name, $5 legal class, $6 yes for the common one, $7 and $8 first answer, $9 and $10 result
with
stored as (
    insert into deadline_rule as d (
        region_id, code, name_ru, name_en, legal_class, common, first_amount, first_unit, final_amount, final_unit
    )
    values (
        $1::smallint, $2, $3, $4, $5, coalesce($6, 'no')::boolean, $7::integer, $8, $9::integer, $10
    )
    on conflict (region_id, code) do update
    set name_ru = excluded.name_ru,
        name_en = excluded.name_en,
        legal_class = excluded.legal_class,
        common = excluded.common,
        first_amount = excluded.first_amount,
        first_unit = excluded.first_unit,
        final_amount = excluded.final_amount,
        final_unit = excluded.final_unit
    where (d.name_ru, d.name_en, d.legal_class, d.common, d.first_amount, d.first_unit, d.final_amount, d.final_unit)
          is distinct from
          (excluded.name_ru, excluded.name_en, excluded.legal_class, excluded.common, excluded.first_amount, excluded.first_unit,
           excluded.final_amount, excluded.final_unit)
    returning xmax
)
select
    true as known,
    case when s.xmax is null then 'same' when s.xmax = 0 then 'added' else 'changed' end as outcome
from (select 1) one
left join stored s on true;
