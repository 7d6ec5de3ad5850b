-- What only a superuser can make, once a cluster: roles, the database, PostGIS. Safe to run again: psql -f bootstrap.sql postgres
-- One role a program; nobody but the owner changes the schema (docs/architecture.md, "Who may see what").
\set ON_ERROR_STOP on

select format('create role %I login', name)
from unnest(
    array['otklik_owner', 'otklik_admin', 'otklik_intake', 'otklik_routing', 'otklik_reporting', 'otklik_pictures']
) as wanted (name)
where not exists (select from pg_roles where rolname = wanted.name)
\gexec

-- C.UTF-8: the same order of texts and the same indexes on every host, whatever its locale and its libc.
select 'create database otklik owner otklik_owner encoding ''UTF8'' locale ''C.UTF-8'' template template0'
where not exists (select from pg_database where datname = 'otklik')
\gexec

alter database otklik set search_path = otklik, public;
alter database otklik set timezone = 'UTC';
revoke all on database otklik from public;
grant connect on database otklik to otklik_admin, otklik_intake, otklik_routing, otklik_reporting, otklik_pictures;

-- No statement of a service may outlive the patience of nginx (fastcgi_read_timeout 5s).
alter role otklik_intake in database otklik set statement_timeout = '4s';
alter role otklik_routing in database otklik set statement_timeout = '4s';
alter role otklik_reporting in database otklik set statement_timeout = '4s';
alter role otklik_pictures in database otklik set statement_timeout = '4s';
-- A stopped process must not hold its locks: others would wait for its outbox rows.
alter role otklik_intake in database otklik set idle_in_transaction_session_timeout = '10s';
alter role otklik_routing in database otklik set idle_in_transaction_session_timeout = '10s';
alter role otklik_reporting in database otklik set idle_in_transaction_session_timeout = '10s';
alter role otklik_pictures in database otklik set idle_in_transaction_session_timeout = '10s';
-- st_covers has a high planner cost, which would make the compiler start: 75 ms for a statement of 5. Planning the statement that routes
-- costs as much as running it; services/routing/queue.c says when to plan anew.
alter role otklik_routing in database otklik set jit = off;
alter role otklik_routing in database otklik set plan_cache_mode = force_generic_plan;
-- The same holds for the statement that takes letters in; its look-ups are probes of keys whatever the tables hold.
alter role otklik_intake in database otklik set jit = off;
alter role otklik_intake in database otklik set plan_cache_mode = force_generic_plan;
-- Names of places are found with a wrong letter, too: of a short name it leaves less than half of the trigrams.
alter role otklik_intake in database otklik set pg_trgm.word_similarity_threshold = 0.4;
alter role otklik_reporting in database otklik set default_transaction_read_only = on;

\connect otklik
create extension if not exists postgis schema public;
revoke create on schema public from public;
create schema if not exists otklik authorization otklik_owner;
