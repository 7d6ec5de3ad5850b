-- Events that wait and events that were set aside, for the gauges: hook_event_new and hook_event_failed, each cut at 100,000.
select
    (
        select count(*)
        from (
            select
            from hook_event e
            where e.state = 'new'
            limit 100000
        ) waiting
    ) as waiting,
    (
        select count(*)
        from (
            select
            from hook_event e
            where e.state = 'failed'
            limit 100000
        ) aside
    ) as failed;
