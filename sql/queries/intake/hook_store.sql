-- Stores a raw event for good, unless it is there: repeats are known by the network's id of the event. hook_event_once; 0.2 ms and a commit.
-- $1 region, $2 id, $3 channel, $4 account, $5 the network's id of the event, $6 digest of the address of its message, or null, $7 id of the
-- request, $8 moment of reception (microseconds UTC), $9 the body
insert into hook_event (region_id, id, channel, account, event_id, message, request_id, received_at, not_before, raw)
values (
    $1::smallint, $2::uuid, $3, $4, $5, $6::bytea, $7, to_timestamp($8::bigint / 1000000.0), to_timestamp($8::bigint / 1000000.0), $9::bytea
)
on conflict (region_id, channel, account, event_id) do nothing
returning id;
