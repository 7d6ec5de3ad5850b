-- Stores themes that the region has not by object, group and name, and gives the ids of all, in the order given. Primary key of
-- theme, some hundreds of rows. A theme that an administrator has since changed stays as it is.
-- $1 region; arrays: $2 codes, $3 objects ('' for none), $4 groups, $5 names
with
given as materialized (
    select
        g.code,
        nullif(g.object_ru, '') as object_ru,
        g.group_ru,
        g.name_ru,
        g.ord,
        t.id
    from unnest($2::text[], $3::text[], $4::text[], $5::text[]) with ordinality as g (code, object_ru, group_ru, name_ru, ord)
    left join lateral (
        select o.id
        from theme o
        where o.region_id = $1::smallint
          and (
            o.code = g.code
            or (coalesce(o.object_ru, ''), o.group_ru, o.name_ru) = (g.object_ru, g.group_ru, g.name_ru)
          )
        order by o.code = g.code desc, o.id
        limit 1
    ) t on true
),
stored as (
    insert into theme (region_id, code, object_ru, group_ru, name_ru)
    select
        $1::smallint,
        g.code,
        g.object_ru,
        g.group_ru,
        g.name_ru
    from given g
    where g.id is null
    order by g.ord
    returning id, code
)
select
    coalesce(g.id, s.id) as id,
    g.id is null as added
from given g
left join stored s on s.code = g.code
order by g.ord;
