-- What has been applied, in order. A handful of rows.
select
    m.name,
    m.sha256,
    to_char(m.applied_at, 'YYYY-MM-DD HH24:MI') as applied_at
from otklik.schema_migration m
order by m.name collate "C";
