-- How much waits and how much has failed, for the gauges. delivery_waiting and delivery_failed; in proportion to what is there.
select
    (select count(*) from delivery d where d.state = 'waiting') as waiting,
    (select count(*) from delivery d where d.state = 'failed') as failed;
