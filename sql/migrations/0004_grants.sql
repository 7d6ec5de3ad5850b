-- Least privilege: what each program may do, and nothing else. tests/sql/roles.sql proves it.

grant usage on schema otklik to otklik_intake, otklik_routing, otklik_reporting, otklik_admin;

grant select on region, municipality, body, theme, deadline_rule to otklik_intake, otklik_routing, otklik_reporting;
grant select on calendar_day, routing_rule to otklik_routing;

-- intake writes down and shows the way of an appeal; contacts go in and never come out
grant select, insert on appeal, appeal_event, idempotency to otklik_intake;
grant delete on idempotency to otklik_intake;
grant insert on contact, consent, outbox to otklik_intake;
grant select, insert, update on appeal_count to otklik_intake;
grant usage on sequence outbox_id to otklik_intake;
do $$
declare
    r smallint;
begin
    for r in select id from region loop
        execute format('grant usage on sequence appeal_serial_%s to otklik_intake', r);
    end loop;
end $$;

-- routing moves appeals on and appends to their history
grant select on appeal, appeal_event to otklik_routing;
grant update (status, theme_id, theme_source, municipality_id, body_id, deadline_rule_id, first_due_at, final_due_at, due_detail,
              routed_at, last_seq, last_hash) on appeal to otklik_routing;
grant insert on appeal_event to otklik_routing;
grant select, update, delete on outbox to otklik_routing;
grant select, insert, update on appeal_count to otklik_routing;

-- reporting sees counters and dictionaries, no appeal and no person
grant select on appeal_count to otklik_reporting;

-- the administrator's command keeps the dictionaries
grant select on region to otklik_admin;
grant select, insert, update, delete on calendar_day, municipality, body, deadline_rule, theme, routing_rule to otklik_admin;
grant usage on sequence dictionary_id to otklik_admin;

-- a schema has one owner
revoke execute on function make_partitions(date, integer) from public;
