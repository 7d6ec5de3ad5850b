-- Where the applied migrations are remembered.
create table if not exists otklik.schema_migration (
    name       text primary key,
    sha256     text not null,
    applied_at timestamptz not null default now()
);
