-- Remembers a migration in its own transaction.
-- $1 file name, $2 SHA-256 of the file
insert into otklik.schema_migration (name, sha256)
values ($1, $2);
