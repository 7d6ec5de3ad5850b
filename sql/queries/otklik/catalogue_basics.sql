-- What a region must have before anything can be routed, made if it is missing: a centre and a common rule of each legal class. The
-- amounts are those of conf/demo. body_centre and deadline_rule_common; a handful of rows. Names what was made.
-- $1 region
with
centre as (
    insert into body (region_id, name_ru, name_en, centre)
    select
        $1::smallint,
        'Центр управления регионом',
        'Regional Centre',
        true
    where not exists (select from body b where b.region_id = $1::smallint and b.centre)
    on conflict (region_id, name_ru) do update
    set centre = true
    returning name_ru
),
rules as (
    insert into deadline_rule (
        region_id, code, name_ru, name_en, legal_class, common, first_amount, first_unit, final_amount, final_unit
    )
    select
        $1::smallint,
        v.code,
        v.name_ru,
        v.name_en,
        v.legal_class,
        true,
        v.first_amount,
        v.first_unit,
        v.final_amount,
        v.final_unit
    from (
        values
            ('message-common', 'Сообщение: обычный порядок', 'Message: common procedure', 'message', 9, 'working_hours', 8, 'working_days'),
            ('appeal-59', 'Обращение по закону № 59-ФЗ', 'Appeal under Federal Law 59-FZ', 'appeal', 3, 'working_days', 30, 'calendar_days')
    ) v (code, name_ru, name_en, legal_class, first_amount, first_unit, final_amount, final_unit)
    where not exists (
            select
            from deadline_rule d
            where d.region_id = $1::smallint
              and d.legal_class = v.legal_class
              and d.common
        )
    on conflict (region_id, code) do update
    set common = true
    returning code
)
select
    (select c.name_ru from centre c) as centre,
    (select string_agg(r.code, ', ' order by r.code) from rules r) as rules;
