-- Stores a row of attributes.tsv. Unique (region_id, code) of theme, primary key of theme_attribute; one probe each.
-- $1 region, $2 code of the theme, $3 code of the attribute, $4 position, $5 datatype, $6 required (yes or no), $7 and $8 name, $9 and $10
-- hint, $11 options: key=Russian|English, one behind the other with semicolons
with
row_given as materialized (
    select
        t.id is not null as known,
        t.id as theme_id
    from (select 1) one
    left join theme t
        on t.region_id = $1::smallint
        and t.code = $2
),
stored as (
    insert into theme_attribute as a (
        region_id, theme_id, code, position, datatype, required, name_ru, name_en, hint_ru, hint_en, options
    )
    select
        $1::smallint,
        r.theme_id,
        $3,
        $4::integer,
        $5,
        coalesce($6::text, 'no') = 'yes',
        $7,
        $8,
        $9,
        $10,
        coalesce((
            select jsonb_agg(
                jsonb_strip_nulls(jsonb_build_object(
                    'key', btrim(split_part(o.option, '=', 1)),
                    'name_ru', btrim(split_part(split_part(o.option, '=', 2), '|', 1)),
                    'name_en', nullif(btrim(split_part(split_part(o.option, '=', 2), '|', 2)), '')
                ))
                order by o.ord
            )
            from regexp_split_to_table(nullif(btrim($11::text), ''), '\s*;\s*') with ordinality as o (option, ord)
        ), '[]')
    from row_given r
    where r.known
    on conflict (region_id, theme_id, code) do update
    set position = excluded.position,
        datatype = excluded.datatype,
        required = excluded.required,
        name_ru = excluded.name_ru,
        name_en = excluded.name_en,
        hint_ru = excluded.hint_ru,
        hint_en = excluded.hint_en,
        options = excluded.options
    where (a.position, a.datatype, a.required, a.name_ru, a.name_en, a.hint_ru, a.hint_en, a.options)
          is distinct from
          (excluded.position, excluded.datatype, excluded.required, excluded.name_ru, excluded.name_en, excluded.hint_ru,
           excluded.hint_en, excluded.options)
    returning xmax
)
select
    r.known,
    case when s.xmax is null then 'same' when s.xmax = 0 then 'added' else 'changed' end as outcome
from row_given r
left join stored s on true;
