-- Tells the services that dictionaries have changed; they hear it at the commit.
select pg_notify('otklik_dictionaries', '');
