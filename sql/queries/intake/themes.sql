-- The themes a letter of a region may have. theme (region_id, …), whole; 0.3 ms for 40 themes.
-- $1 region, $2 language
select jsonb_build_object(
    'region', $1::smallint,
    'themes', coalesce(jsonb_agg(
        jsonb_strip_nulls(jsonb_build_object(
            'code', t.code,
            'object', case $2::text when 'en' then coalesce(t.object_en, t.object_ru) else t.object_ru end,
            'group', case $2::text when 'en' then coalesce(t.group_en, t.group_ru) else t.group_ru end,
            'name', case $2::text when 'en' then coalesce(t.name_en, t.name_ru) else t.name_ru end
        ))
        order by t.group_ru, t.name_ru, t.code
    ), '[]')
)::text as themes
from theme t
where t.region_id = $1::smallint
  and t.active;
