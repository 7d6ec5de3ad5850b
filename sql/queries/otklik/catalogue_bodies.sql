-- Stores bodies that the region has not by name, and gives the ids of all, in the order given. Unique (region_id, name_ru).
-- $1 region, $2 names
with
given as materialized (
    select
        g.name_ru,
        g.ord,
        b.id
    from unnest($2::text[]) with ordinality as g (name_ru, ord)
    left join body b
        on b.region_id = $1::smallint
        and b.name_ru = g.name_ru
),
stored as (
    insert into body (region_id, name_ru)
    select
        $1::smallint,
        g.name_ru
    from given g
    where g.id is null
    order by g.ord
    returning id, name_ru
)
select
    coalesce(g.id, s.id) as id,
    g.id is null as added
from given g
left join stored s on s.name_ru = g.name_ru
order by g.ord;
