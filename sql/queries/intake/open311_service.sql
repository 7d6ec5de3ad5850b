-- The definition of one service: what its theme asks, what every theme asks, and its deadlines as a text. No row when there is no such
-- active theme. theme (region_id, code), primary keys; 0.9 ms over HTTP.
-- $1 region, $2 language, $3 code of the theme
select json_build_object(
    'service_code', t.code,
    'attributes', (
        select json_agg(
            json_build_object(
                'variable', q.variable,
                'code', q.code,
                'datatype', q.datatype,
                'required', q.required,
                'datatype_description', q.hint,
                'order', q.place,
                'description', q.name,
                'values', q.options
            )
            order by q.place
        )
        from (
            select
                row_number() over (order by p.part, p.position, p.code) as place,
                p.variable,
                p.code,
                p.datatype,
                p.required,
                p.name,
                p.hint,
                p.options
            from (
                select
                    1 as part,
                    a.position,
                    true as variable,
                    a.code,
                    a.datatype,
                    a.required,
                    case $2::text when 'en' then coalesce(a.name_en, a.name_ru) else a.name_ru end as name,
                    coalesce(
                        case $2::text when 'en' then coalesce(a.hint_en, a.hint_ru) else a.hint_ru end,
                        case
                            when a.datatype = 'singlevaluelist' then case $2::text when 'en' then 'Choose one' else 'Выберите одно' end
                            when a.datatype = 'multivaluelist'
                                then case $2::text when 'en' then 'Choose any of them' else 'Выберите сколько нужно' end
                            when a.datatype = 'number' then case $2::text when 'en' then 'A number' else 'Число' end
                            when a.datatype = 'datetime' then case $2::text when 'en' then 'Date and time' else 'Дата и время' end
                            else case $2::text when 'en' then 'Text' else 'Текст' end
                        end
                    ) as hint,
                    (
                        select coalesce(json_agg(
                            json_build_object(
                                'key', o.option ->> 'key',
                                'name', case $2::text
                                    when 'en' then coalesce(o.option ->> 'name_en', o.option ->> 'name_ru')
                                    else o.option ->> 'name_ru'
                                end
                            )
                            order by o.ord
                        ), '[]')
                        from jsonb_array_elements(a.options) with ordinality as o (option, ord)
                    ) as options
                from theme_attribute a
                where a.region_id = $1::smallint
                  and a.theme_id = t.id
                union all
                select
                    2,
                    1,
                    true,
                    '1',
                    'singlevaluelist',
                    false,
                    case $2::text
                        when 'en' then 'Consent to the processing of personal data. Without it name, e-mail and telephone are not kept.'
                        else 'Согласие на обработку персональных данных. Без него имя, почта и телефон не сохраняются.'
                    end,
                    case $2::text when 'en' then 'Choose to consent' else 'Выберите, если согласны' end,
                    json_build_array(json_build_object('key', '1', 'name', case $2::text when 'en' then 'I consent' else 'Согласен' end))
                union all
                select
                    3,
                    1,
                    false,
                    '2',
                    'text',
                    false,
                    case $2::text
                        when 'en' then format('First answer: %s %s; result: %s %s', d.first_amount, u.first, d.final_amount, u.final)
                        else format('Первый ответ: %s %s; решение: %s %s', d.first_amount, u.first, d.final_amount, u.final)
                    end,
                    case $2::text when 'en' then 'For your information' else 'Для сведения' end,
                    '[]'
                from deadline_rule d
                cross join lateral (
                    select
                        max(w.word) filter (where w.unit = d.first_unit) as first,
                        max(w.word) filter (where w.unit = d.final_unit) as final
                    from (
                        values
                            ('clock_hours', 'ч', 'h'),
                            ('working_hours', 'рабочих ч', 'working h'),
                            ('calendar_days', 'дн.', 'days'),
                            ('working_days', 'рабочих дн.', 'working days')
                    ) as v (unit, ru, en)
                    cross join lateral (select v.unit, case $2::text when 'en' then v.en else v.ru end) as w (unit, word)
                ) u
                where d.region_id = $1::smallint
                  and case when t.deadline_rule_id is null then d.common and d.legal_class = 'message' else d.id = t.deadline_rule_id end
            ) p
        ) q
    )
)::text as definition
from theme t
where t.region_id = $1::smallint
  and t.code = $3
  and t.active;
