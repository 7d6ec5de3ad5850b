-- Stores a thousand places or so. Each belongs to the municipality named, or, when none is named, to the one that covers its point. What cannot
-- be stored is answered with its line and why: 'unknown' municipality, 'outside' of all of them, 'twice' in these rows. Unique (region_id,
-- municipality_id, settlement, street, house) and municipality (region_id, name_ru); 0.1 ms a row.
-- $1 region; arrays, one element a row: $2 lines, $3 municipalities, $4 settlements, $5 streets, $6 houses, $7 latitudes, $8 longitudes
with
given as materialized (
    select
        g.line,
        g.municipality,
        coalesce(g.settlement, '') as settlement,
        coalesce(g.street, '') as street,
        coalesce(place_house(g.house), lower(g.house), '') as house,
        st_setsrid(st_makepoint(g.lon, g.lat), 4326) as point
    from unnest($2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[], $8::float8[]) as g (
        line, municipality, settlement, street, house, lat, lon
    )
),
placed as materialized (
    select
        g.line,
        g.municipality,
        g.settlement,
        g.street,
        g.house,
        g.point,
        m.id as municipality_id,
        row_number() over (partition by m.id, g.settlement, g.street, g.house order by g.line) as nth
    from given g
    left join lateral (
        (
            select n.id
            from municipality n
            where n.region_id = $1::smallint
              and n.name_ru = g.municipality
            limit 1
        )
        union all
        (
            select c.id
            from municipality c
            where g.municipality is null
              and c.region_id = $1::smallint
              and st_covers(c.boundary, g.point)
            order by
                st_area(c.boundary),
                c.id
            limit 1
        )
    ) m on true
),
named as (
    insert into place_name (region_id, words)
    select distinct
        $1::smallint,
        place_words(coalesce(nullif(d.street, ''), d.settlement))
    from placed d
    where d.municipality_id is not null
    order by 2
    on conflict do nothing
),
stored as (
    insert into place as p (region_id, municipality_id, settlement, street, house, words, around, point)
    select
        $1::smallint,
        d.municipality_id,
        d.settlement,
        d.street,
        d.house,
        place_words(coalesce(nullif(d.street, ''), d.settlement)),
        case when d.street = '' then '' else place_words(d.settlement) end,
        d.point
    from placed d
    where d.municipality_id is not null
      and d.nth = 1
    order by d.line
    on conflict (region_id, municipality_id, settlement, street, house) do update
    set words = excluded.words,
        around = excluded.around,
        point = excluded.point
    where (p.words, p.around) is distinct from (excluded.words, excluded.around)
       or st_asbinary(p.point) <> st_asbinary(excluded.point)
    returning xmax = 0 as added
)
select
    null::integer as line,
    null::text as why,
    null::text as municipality,
    count(*) filter (where s.added) as added,
    count(*) filter (where not s.added) as changed
from stored s
union all
select
    w.line,
    w.why,
    w.municipality,
    0,
    0
from (
    select
        d.line,
        case
            when d.municipality_id is not null then 'twice'
            when d.municipality is not null then 'unknown'
            else 'outside'
        end as why,
        d.municipality
    from placed d
    where d.municipality_id is null
       or d.nth > 1
) w
order by line nulls first;
