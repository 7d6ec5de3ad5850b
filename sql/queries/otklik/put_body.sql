-- Stores a row of bodies.tsv. Unique (region_id, name_ru) of body and municipality; one probe each.
-- $1 region, $2 name, $3 English name, $4 yes for the centre, $5 name of the municipality
with
place as materialized (
    select
        $5::text is null or m.id is not null as known,
        m.id
    from (select 1) one
    left join municipality m
        on m.region_id = $1::smallint
        and m.name_ru = $5
),
stored as (
    insert into body as b (region_id, name_ru, name_en, centre, municipality_id)
    select
        $1::smallint,
        $2,
        $3,
        coalesce($4, 'no')::boolean,
        p.id
    from place p
    where p.known
    on conflict (region_id, name_ru) do update
    set name_en = excluded.name_en,
        centre = excluded.centre,
        municipality_id = excluded.municipality_id
    where (b.name_en, b.centre, b.municipality_id) is distinct from (excluded.name_en, excluded.centre, excluded.municipality_id)
    returning xmax
)
select
    p.known,
    case when s.xmax is null then 'same' when s.xmax = 0 then 'added' else 'changed' end as outcome
from place p
left join stored s on true;
