-- Notices on their way: who has agreed to get them, what was sent to whom, who looked at which address, and where answers to messages go.

-- An address that anybody could have typed gets one letter, which asks whether its owner wants more of them. The secrets in links are
-- derived (services/common/notice_key.c): nothing secret is stored.
alter table subscription
    add column state text not null default 'pending' check (state in ('pending', 'confirmed', 'stopped')),
    add column author boolean not null default false,   -- whoever asked knew the author's code; so does the one that bears the appeal's id
    add column code_digest bytea,                       -- of the code by which its letters open the appeal; null until one was used
    add column changed_at timestamptz;                  -- when it was confirmed or stopped

-- Does a code open an appeal? Its author's, or that of a subscription of his.
create function opens(region_id smallint, appeal_id uuid, code_digest bytea, given bytea) returns boolean
language sql stable parallel safe
return given = code_digest or exists (
    select
    from otklik.subscription s
    where s.region_id = opens.region_id
      and s.appeal_id = opens.appeal_id
      and s.code_digest = opens.given
);

-- One notice to one recipient. An outbox row of topic 'notice' becomes one row for each; from then on each has its own fate.
create table delivery (
    region_id  smallint not null,
    appeal_id  uuid not null,
    seq        integer not null check (seq >= 0),       -- number of the event; 0: the letter that asks whether the address is right
    recipient  uuid not null,                           -- id of the subscription; nil: where the message of the appeal was written
    state      text not null default 'waiting' check (state in ('waiting', 'sent', 'failed', 'dropped')),
    attempts   integer not null default 0,
    not_before timestamptz not null,                    -- of a waiting one: when it may be taken in hand (again)
    error      text,                                    -- what the last attempt came to, without addresses
    sent_at    timestamptz,
    primary key (region_id, appeal_id, seq, recipient),
    foreign key (region_id, appeal_id) references appeal (region_id, id),
    check ((state = 'sent') = (sent_at is not null)),
    check (state <> 'failed' or error is not null)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
create index delivery_waiting on delivery (region_id, not_before) where state = 'waiting';
create index delivery_failed on delivery (region_id, appeal_id) where state = 'failed';

-- Each look of a program or a person at personal data.
create sequence contact_look_id;
create table contact_look (
    region_id smallint not null,
    id        bigint not null default nextval('contact_look_id'),
    at        timestamptz not null,
    who       text not null,                            -- 'courier', 'staff:…'
    appeal_id uuid not null,
    why       text not null,
    primary key (region_id, id),
    foreign key (region_id, appeal_id) references appeal (region_id, id)
);
create index contact_look_by_appeal on contact_look (region_id, appeal_id);

-- Where the message was written: answers go back there.
create index hook_message_by_appeal on hook_message (region_id, appeal_id);
alter table hook_message add column talk text;          -- the chat, where the message's own address does not tell (OK, MAX)

-- intake writes down who wants notices, and that somebody has confirmed or stopped them; the address it never reads
grant select (region_id, appeal_id, id, state, author, code_digest) on subscription to otklik_intake;
grant update (state, code_digest, changed_at) on subscription to otklik_intake;

-- the courier reads what a notice says and whom it goes to, and writes down what became of it
grant usage on schema otklik to otklik_courier;
grant select on region, body, appeal, appeal_event, hook_message, channel_account, subscription to otklik_courier;
grant select, update, delete on outbox to otklik_courier;
grant select, insert on delivery to otklik_courier;
grant update (state, attempts, not_before, error, sent_at) on delivery to otklik_courier;
grant insert on contact_look to otklik_courier;
grant usage on sequence contact_look_id to otklik_courier;

-- otklik courier, by the administrator: what failed, and once more
grant select on delivery to otklik_admin;
grant update (state, attempts, not_before) on delivery to otklik_admin;
