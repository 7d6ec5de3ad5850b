-- Appeals of the last 30 days near a point that are worked on and may be about the same: of the same theme, or public and in similar words.
-- appeal_by_place (GiST) of two months; of more than 2,000 appeals in one place some are looked at, of these the words of 100. Of a million in a region: 0.4 ms in the
-- fields, 12 ms in a town with 600 of them in the circle, 16 ms at most (processor time).
-- All that is said of a place comes from the rounded one, distances included, so that nobody finds out the exact one by asking from many
-- points; a box a little larger goes before. A text is shown only where its author agreed, without addresses of e-mail and telephone numbers.
-- $1 region, $2 text, $3 theme or null, $4 latitude, $5 longitude, $6 radius in metres, $7 now (microseconds UTC), $8 language
with
inside as materialized (
    select
        a.id,
        coalesce(a.theme_id = $3::integer, false) as same_theme,
        st_distancesphere(st_snaptogrid(a.point, 0.001), st_setsrid(st_makepoint($5::float8, $4::float8), 4326)) as metres
    from appeal a
    where a.region_id = $1::smallint
      and a.status <> 'captured'
      and a.status in ('routed', 'accepted', 'postponed', 'redirected')
      and a.id >= uuid_floor(to_timestamp($7::bigint / 1000000.0) - interval '30 days')
      -- a degree of latitude has 111 km; of longitude fewer
      and a.point && st_expand(
          st_setsrid(st_makepoint($5::float8, $4::float8), 4326),
          $6::float8 / 111000 / greatest(cos(radians($4::float8)), 0.01) + 0.001,
          $6::float8 / 111000 + 0.001
      )
    limit 2000
),
close as (
    select
        i.id,
        i.same_theme,
        i.metres
    from inside i
    where i.metres <= $6::float8
    order by
        i.same_theme desc,
        i.metres,
        i.id desc
    limit 100
),
alike as (
    select
        c.id,
        c.metres,
        c.same_theme,
        -- words of a text that is not public find nothing, or they could be guessed one after the other
        case when a.public then similarity(left(a.text, 500), left($2, 500)) else 0 end as words
    from close c
    join appeal a
        on a.region_id = $1::smallint
        and a.id = c.id
),
best as (
    select
        k.id,
        k.metres,
        row_number() over (order by k.words + case when k.same_theme then 0.3 else 0 end - 0.3 * k.metres / $6::float8 desc, k.id desc) as n
    from alike k
    where k.same_theme
       or k.words >= 0.3
    order by n
    limit 5
)
select coalesce(jsonb_agg(
    jsonb_strip_nulls(jsonb_build_object(
        'number', a.number,
        'theme', t.name,
        'distance_m', round(b.metres / 10) * 10,
        'received_at', rfc3339(a.received_at),
        'status', a.status,
        'joined', a.joined,
        'text', case when a.public then left(public_text(a.text), 500) end
    ))
    order by b.n
), '[]')::text as near
from best b
join appeal a
    on a.region_id = $1::smallint
    and a.id = b.id
left join lateral (
    select case $8::text when 'en' then coalesce(h.name_en, h.name_ru) else h.name_ru end as name
    from theme h
    where h.region_id = a.region_id
      and h.id = a.theme_id
) t on true;
