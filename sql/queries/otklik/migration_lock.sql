-- One migration at a time, whatever starts it; let go when the connection ends.
select pg_advisory_lock(hashtextextended('otklik migrate', 0));
