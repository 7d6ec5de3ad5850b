-- Hooks of social networks and messengers: their accounts, raw events as they came, and which message became which appeal.

-- An account of ours in a network; its name stands in the hook's address and in the subject of its secret. A dictionary.
create table channel_account (
    region_id     smallint not null references region (id),
    channel       text not null check (channel in ('vk', 'telegram', 'ok', 'max')),
    account       text not null check (account ~ '^[A-Za-z0-9._:@-]{1,128}$'),
    mode          text not null check (mode in ('off', 'read', 'answer')),
    page_id       bigint check (page_id > 0),       -- the network's own number of the page (VK: group_id), to know what we wrote ourselves
    secret_digest bytea check (length(secret_digest) = 32),  -- VK shows its secret in the body: SHA-256 of it
    confirmation  text check (confirmation ~ '^[A-Za-z0-9]{1,64}$'),  -- what VK wants to read from us, once
    primary key (region_id, channel, account),
    check (channel <> 'vk' or (page_id is not null and secret_digest is not null))
);

-- A raw event, stored before it was acknowledged. An appeal that is made of it has its id: so however often it is tried, there is one.
create table hook_event (
    region_id   smallint not null,
    id          uuid not null,                      -- UUIDv7 of the moment of reception
    channel     text not null,
    account     text not null,
    event_id    text not null,                      -- the network's own, or a digest of the event
    message     bytea,                              -- digest of its message's address; events of one message keep their order
    request_id  text not null,
    received_at timestamptz not null,
    raw         bytea,                              -- the body as it came; erased once it is no longer needed and may not be kept
    state       text not null default 'new' check (state in ('new', 'done', 'failed')),
    attempts    integer not null default 0,
    not_before  timestamptz not null,
    outcome     text check (outcome in ('appeal', 'update', 'deletion', 'restoration', 'not_an_appeal')),
    reason      text,                               -- why it is not an appeal …
    text        text,                               -- … and what was said, for review
    appeal_id   uuid,
    error       text,                               -- why it was set aside
    finished_at timestamptz,
    primary key (region_id, id),
    check ((state = 'done') = (outcome is not null)),
    check ((state = 'failed') = (error is not null)),
    check ((outcome = 'not_an_appeal') = (reason is not null))
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
create unique index hook_event_once on hook_event (region_id, channel, account, event_id);
-- The queue, and which events are of one message.
create index hook_event_new on hook_event (region_id, id) where state = 'new';
create index hook_event_order on hook_event (region_id, message, id);
create index hook_event_failed on hook_event (region_id, id) where state = 'failed';

-- Which message of a network became which appeal: edits and deletions find it here, answers go back to its address.
create table hook_message (
    region_id smallint not null,
    message   bytea not null,                       -- SHA-256 of channel, account and address
    appeal_id uuid not null,
    channel   text not null,
    account   text not null,
    address   text,                                 -- "message:123:45"; null where nothing may be answered
    primary key (region_id, message),
    foreign key (region_id, appeal_id) references appeal (region_id, id)
);

-- intake keeps the events it has taken and appends to the history of appeals; what was written it cannot change
grant select on channel_account to otklik_intake;
grant select, insert, delete on hook_event to otklik_intake;
grant update (state, attempts, not_before, outcome, reason, appeal_id, error, finished_at, raw, text) on hook_event to otklik_intake;
grant select, insert on hook_message to otklik_intake;
grant update (last_seq, last_hash) on appeal to otklik_intake;
grant select, insert, update, delete on channel_account to otklik_admin;
