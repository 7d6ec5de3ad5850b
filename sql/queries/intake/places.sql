-- Places of a region by what somebody types: each of its first words finds names that are like it (place_name_trigrams; the threshold is the
-- role's, bootstrap.sql), the whole of it puts them in order, a settlement that is named beside a street counts, and the nearer comes first
-- among equals. place_by_words has the places of a name, the unique index of place the houses of a street.
-- $1 region, $2 what was typed, $3 latitude and $4 longitude of who asks, or null, $5 how many, $6 language
with
asked as materialized (
    select
        w.all_words,
        regexp_replace(place_fold($2), '[^0-9a-zа-я]+', ' ', 'g') as whole,
        coalesce(place_house($2), '') as house,
        case when $3::float8 is not null then st_setsrid(st_makepoint($4::float8, $3::float8), 4326) end as point
    from (select place_words($2)) as w (all_words)
),
word as materialized (
    select distinct t.word
    from asked q
    cross join lateral (
        select s.word
        from regexp_split_to_table(q.all_words, ' ') with ordinality as s (word, n)
        where s.word ~ '^[a-zа-я]{2}'
        order by
            length(s.word) < 3,
            s.n
        limit 4
    ) t
),
name as materialized (
    select
        h.words,
        h.word,
        h.own
    from (
        select distinct on (n.words)
            n.words,
            w.word,
            word_similarity(w.word, n.words) + word_similarity(n.words, q.all_words) as own
        from word w
        cross join asked q
        cross join lateral (
            select p.words
            from place_name p
            where p.region_id = $1::smallint
              and p.words %> w.word
            limit 1000
        ) n
        order by
            n.words,
            own desc
    ) h
    order by
        h.own desc,
        h.words
    limit 12
),
within as materialized (
    select
        m.id,
        max(l.likeness) as likeness,
        count(*) = (select count(*) from word) as wholly
    from word w
    join municipality m on m.region_id = $1::smallint
    cross join lateral (
        select word_similarity(w.word, translate(lower(m.name_ru), 'ё', 'е')) as likeness
        where length(w.word) > 2
          and strpos(translate(lower(m.name_ru), 'ё', 'е'), left(w.word, 3)) > 0
    ) l
    where l.likeness > 0.6
    group by m.id
),
street as (
    select
        s.municipality_id,
        s.settlement,
        s.street,
        s.point,
        s.score
    from (
        select
            p.municipality_id,
            p.settlement,
            p.street,
            p.point,
            q.point as from_point,
            n.own + case
                when (select count(*) from word) = 1 then 0
                when exists (
                    select
                    from name o
                    where o.own > 1.2
                      and o.word <> n.word
                      and strpos(' ' || p.around || ' ', ' ' || o.words || ' ') > 0
                ) then 0.5
                when p.municipality_id in (select i.id from within i) then 0.3
                else 0
            end as score
        from name n
        cross join asked q
        cross join lateral (
            select
                c.municipality_id,
                c.settlement,
                c.street,
                c.around,
                c.point
            from place c
            where c.region_id = $1::smallint
              and c.house = ''
              and c.words = n.words
            limit 3000
        ) p
    ) s
    order by
        round(s.score::numeric, 1) desc,
        st_distancesphere(s.point, s.from_point),
        s.street <> '',
        s.settlement,
        s.street
    limit 50
),
found as (
    select
        s.municipality_id,
        s.settlement,
        s.street,
        coalesce(b.house, '') as house,
        coalesce(b.point, s.point) as point,
        s.score + case when b.house is not null then 0.2 else 0 end as score
    from street s
    cross join asked q
    left join lateral (
        select
            n.house,
            n.point
        from place n
        where q.house <> ''
          and s.street <> ''
          and n.region_id = $1::smallint
          and n.municipality_id = s.municipality_id
          and n.settlement = s.settlement
          and n.street = s.street
          and n.house = q.house
        limit 1
    ) b on true
    union all
    select
        m.id,
        '',
        '',
        '',
        st_pointonsurface(coalesce(m.outline, m.boundary)),
        i.likeness + case when i.wholly then 0.8 else 0.2 end
    from within i
    join municipality m
        on m.region_id = $1::smallint
        and m.id = i.id
)
select jsonb_build_object('places', coalesce(jsonb_agg(
    jsonb_build_object(
        'name', r.name,
        'kind', r.kind,
        'municipality', r.municipality,
        'lat', r.lat,
        'lon', r.lon
    )
    order by r.n
), '[]'))::text as places
from (
    select
        row_number() over (
            order by
                round(f.score::numeric, 1) desc,
                st_distancesphere(f.point, q.point),
                f.street <> '',
                f.settlement,
                f.street
        ) as n,
        coalesce(
            nullif(concat_ws(', ', nullif(f.settlement, ''), nullif(f.street, ''), nullif(f.house, '')), ''),
            m.name
        ) as name,
        case
            when f.house <> '' then 'house'
            when f.street <> '' then 'street'
            when f.settlement <> '' then 'settlement'
            else 'municipality'
        end as kind,
        m.name as municipality,
        round(st_y(f.point)::numeric, 6) as lat,
        round(st_x(f.point)::numeric, 6) as lon
    from found f
    cross join asked q
    cross join lateral (
        select case $6::text when 'en' then coalesce(g.name_en, g.name_ru) else g.name_ru end as name
        from municipality g
        where g.region_id = $1::smallint
          and g.id = f.municipality_id
    ) m
    order by n
    limit $5::integer
) r;
