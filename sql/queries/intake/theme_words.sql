-- The themes of a region with their keywords, one a line, and as they are shown in both languages. theme (region_id, …), whole; 0.5 ms for 40 themes.
-- $1 region
select
    t.id as theme_id,
    t.code,
    array_to_string(t.keywords, e'\n') as keywords,
    jsonb_build_object('code', t.code, 'name', t.name_ru, 'group', t.group_ru)::text as ru,
    jsonb_build_object(
        'code', t.code,
        'name', coalesce(t.name_en, t.name_ru),
        'group', coalesce(t.group_en, t.group_ru)
    )::text as en
from theme t
where t.region_id = $1::smallint
  and t.active
order by t.id;
