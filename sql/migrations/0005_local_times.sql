-- Times as people read them: in the region's time zone and the page's language. For pages only; programs get RFC 3339.

create function local_day(day date, lang text) returns text
language sql immutable strict parallel safe
return case lang
    when 'en' then (array['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'])[extract(isodow from day)::integer] || ', '
        || extract(day from day)::integer || ' '
        || (array['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November',
                  'December'])[extract(month from day)::integer]
    else (array['пн', 'вт', 'ср', 'чт', 'пт', 'сб', 'вс'])[extract(isodow from day)::integer] || ', '
        || extract(day from day)::integer || ' '
        || (array['января', 'февраля', 'марта', 'апреля', 'мая', 'июня', 'июля', 'августа', 'сентября', 'октября', 'ноября',
                  'декабря'])[extract(month from day)::integer]
end;

-- "вт, 24 ноября 2026, 14:05"
create function local_moment(at timestamptz, zone text, lang text) returns text
language sql stable strict parallel safe
return local_day((at at time zone zone)::date, lang) || ' ' || to_char(at at time zone zone, 'YYYY, HH24:MI');

-- "6 ч 18 мин"
create function hours_in_words(hours numeric, lang text) returns text
language sql immutable strict parallel safe
return concat_ws(
    ' ',
    case when round(hours * 60)::integer >= 60 or hours = 0
        then (round(hours * 60)::integer / 60) || case lang when 'en' then ' h' else ' ч' end end,
    case when round(hours * 60)::integer % 60 > 0
        then (round(hours * 60)::integer % 60) || case lang when 'en' then ' min' else ' мин' end end
);

-- One deadline of appeal.due_detail (services/routing/deadline.c writes it) with its moments and days in words beside them.
create function deadline_in_words(deadline jsonb, zone text, lang text) returns jsonb
language sql stable strict parallel safe
return deadline || jsonb_build_object(
    'unit_is', jsonb_build_object(deadline ->> 'unit', true),
    'start_local', local_moment((deadline ->> 'start')::timestamptz, zone, lang),
    'due_local', local_moment((deadline ->> 'due')::timestamptz, zone, lang),
    'steps', (
        select coalesce(jsonb_agg(
            s.step || jsonb_strip_nulls(jsonb_build_object(
                'day_local', local_day((s.step ->> 'day')::date, lang),
                'last_day_local', local_day((s.step ->> 'last_day')::date, lang),
                'skipped_is', case when s.step ? 'skipped' then jsonb_build_object(s.step ->> 'skipped', true) end,
                'from_local', to_char((s.step ->> 'from')::timestamptz at time zone zone, 'HH24:MI'),
                'to_local', to_char((s.step ->> 'to')::timestamptz at time zone zone, 'HH24:MI'),
                'counted_local', hours_in_words((s.step ->> 'hours')::numeric, lang)
            ))
            order by s.position
        ), '[]')
        from jsonb_array_elements(deadline -> 'steps') with ordinality as s (step, position)
    )
);
