-- The schema keeps the rules that let it run on one server and distributed by region (docs/data.md).
begin;

select plan(17);

-- Tables that belong to no region: the regions themselves, and the list of migrations.
create temp table common (relation regclass primary key);
insert into common (relation)
select to_regclass(n.name)
from unnest(array['otklik.region', 'otklik.schema_migration']) as n (name)
where to_regclass(n.name) is not null;

create temp view ours as
select
    c.oid,
    c.relname,
    c.relkind,
    c.relispartition
from pg_class c
where c.relnamespace = 'otklik'::regnamespace
  and c.relkind in ('r', 'p')
  and c.oid not in (select relation from common);

select cmp_ok((select count(*) from ours where not relispartition), '>=', 13::bigint, 'the tables are there');
select is_empty(
    $$
        select o.relname
        from ours o
        where not exists (
            select
            from pg_index i
            join pg_attribute a on a.attrelid = o.oid and a.attnum = i.indkey[0]
            where i.indrelid = o.oid
              and i.indisprimary
              and a.attname = 'region_id'
        )
    $$,
    'every table has a primary key that begins with region_id'
);
select is_empty(
    $$
        select i.indexrelid::regclass
        from ours o
        join pg_index i on i.indrelid = o.oid
        join pg_attribute a on a.attrelid = o.oid and a.attnum = i.indkey[0]
        where (i.indisunique or i.indisexclusion)
          and a.attname <> 'region_id'
    $$,
    'every unique index begins with region_id'
);
select is_empty(
    $$
        select o.relname
        from ours o
        join pg_attribute a on a.attrelid = o.oid
        where a.attname = 'region_id'
          and (a.atttypid <> 'smallint'::regtype or not a.attnotnull)
    $$,
    'region_id is a smallint everywhere and never null'
);
select is_empty(
    $$
        select
            c.conrelid::regclass,
            c.conname
        from pg_constraint c
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        join pg_attribute f on f.attrelid = c.confrelid and f.attnum = c.confkey[1]
        where c.contype = 'f'
          and c.connamespace = 'otklik'::regnamespace
          and (a.attname <> 'region_id' or f.attname <> case when c.confrelid = 'region'::regclass then 'id' else 'region_id' end)
    $$,
    'every foreign key begins with region_id on both sides'
);
select is_empty(
    $$select conname from pg_constraint where connamespace = 'otklik'::regnamespace and (condeferrable or condeferred)$$,
    'no constraint is deferrable'
);
select is_empty(
    $$
        select conname
        from pg_constraint
        where connamespace = 'otklik'::regnamespace
          and contype = 'f'
          and (confdeltype in ('n', 'd') or confupdtype in ('n', 'd'))
    $$,
    'no foreign key sets null or a default'
);
select is_empty(
    $$
        select c.conname
        from pg_constraint c
        where c.contype = 'f'
          and c.connamespace = 'otklik'::regnamespace
          and c.conrelid in ('region'::regclass, 'calendar_day'::regclass, 'municipality'::regclass, 'body'::regclass, 'theme'::regclass,
                             'deadline_rule'::regclass, 'routing_rule'::regclass, 'channel_account'::regclass)
          and c.confrelid not in ('region'::regclass, 'municipality'::regclass, 'body'::regclass, 'theme'::regclass,
                                  'deadline_rule'::regclass)
    $$,
    'no dictionary points at what belongs to an appeal'
);
select is_empty(
    $$
        select
            a.attrelid::regclass,
            a.attname
        from pg_attribute a
        join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'otklik'::regnamespace
          and c.relkind in ('r', 'p')
          and a.attidentity <> ''
    $$,
    'no identity columns'
);
select is_empty(
    $$
        select d.objid::regclass
        from pg_depend d
        join pg_class s on s.oid = d.objid and s.relkind = 'S'
        where d.classid = 'pg_class'::regclass
          and d.refclassid = 'pg_class'::regclass
          and d.refobjsubid > 0
          and d.deptype in ('a', 'i')
          and s.relnamespace = 'otklik'::regnamespace
    $$,
    'no serial columns: no sequence belongs to a table'
);
select is_empty(
    $$
        select
            t.tgrelid::regclass,
            t.tgname
        from pg_trigger t
        join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = 'otklik'::regnamespace
          and (not t.tgisinternal or t.tgconstraint = 0)
    $$,
    'no triggers but those of foreign keys'
);
select is_empty(
    $$
        select c.oid::regclass
        from pg_class c
        where c.relnamespace = 'otklik'::regnamespace
          and (c.relhasrules or c.relrowsecurity or c.relpersistence <> 'p')
    $$,
    'no rules, no row security, nothing unlogged'
);
select is_empty(
    $$
        select
            a.attrelid::regclass,
            a.attname
        from pg_attribute a
        join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'otklik'::regnamespace
          and a.atttypid in ('timestamp'::regtype, 'timetz'::regtype, 'money'::regtype)
    $$,
    'every moment has a time zone'
);
select is_empty(
    $$
        select
            o.relname,
            pg_get_expr(d.adbin, d.adrelid)
        from ours o
        join pg_attrdef d on d.adrelid = o.oid
        where pg_get_expr(d.adbin, d.adrelid) ~ '\('
          and pg_get_expr(d.adbin, d.adrelid) !~ '^nextval\('
    $$,
    'defaults are constants or nextval'
);

-- ---- partitions

select results_eq(
    $$
        select
            p.partrelid::regclass::text,
            p.partstrat::text,
            p.partdefid::regclass::text
        from pg_partitioned_table p
        join pg_class c on c.oid = p.partrelid
        where c.relnamespace = 'otklik'::regnamespace
        order by 1
    $$,
    $$values ('appeal', 'r', 'appeal_rest'), ('appeal_event', 'r', 'appeal_event_rest')$$,
    'appeals and events are partitioned, with a default partition each'
);
select is_empty(
    $$
        select
            t.name,
            to_char(m.month, 'YYYY_MM')
        from unnest(array['appeal', 'appeal_event']) as t (name)
        cross join generate_series(date_trunc('month', now()), now() + interval '11 months', interval '1 month') as m (month)
        where to_regclass(format('otklik.%s_%s', t.name, to_char(m.month, 'YYYY_MM'))) is null
    $$,
    'each of the next twelve months has its partitions'
);
select is_empty(
    $$
        select a.relname
        from pg_class a
        join pg_class e on e.relnamespace = a.relnamespace and e.relname = replace(a.relname, 'appeal_', 'appeal_event_')
        where a.relnamespace = 'otklik'::regnamespace
          and a.relname ~ '^appeal_\d{4}_\d\d$'
          and pg_get_expr(a.relpartbound, a.oid) <> pg_get_expr(e.relpartbound, e.oid)
    $$,
    'an event''s partition has the bounds of its appeal''s'
);

select finish();
rollback;
