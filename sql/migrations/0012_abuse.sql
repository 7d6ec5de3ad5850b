-- Against abuse: quotas of a day, texts that repeat, senders that are blocked, and what the desk did about them.

-- Of whoever no key vouches for. Null: no limit.
create table region_quota (
    region_id    smallint not null primary key references region (id),
    per_address  integer default 20 check (per_address > 0),    -- letters a day
    per_resident integer default 10 check (per_resident > 0),   -- letters a day with the same e-mail address or telephone
    repeat_limit integer default 5 check (repeat_limit > 0),    -- letters with the same text; the next ones go to a moderator …
    repeat_days  integer not null default 7 check (repeat_days between 1 and 30) -- … when they come within so many days
);
insert into region_quota (region_id)
select r.id
from region r;

-- How often who asked today. What is refused counts, too: a row that stands at the limit needs no second look.
create table quota_use (
    region_id smallint not null,
    day       date not null,                        -- in the region's time zone
    kind      text not null check (kind in ('address', 'resident')),
    subject   text not null,                        -- pseudonym of the address; digest of the e-mail address or telephone
    used      integer not null,
    primary key (region_id, day, kind, subject)
) with (fillfactor = 70);

-- How often a text came on a day, whatever its case, blanks and look-alike letters (services/intake/likeness.c).
create table text_repeat (
    region_id smallint not null,
    digest    bytea not null,
    day       date not null,
    times     integer not null,
    primary key (region_id, digest, day)
) with (fillfactor = 70);
create index text_repeat_by_day on text_repeat (region_id, day);

create table sender_block (
    region_id smallint not null,
    id        uuid not null,
    kind      text not null check (kind in ('address', 'resident', 'text')),
    subject   text not null,                        -- as in quota_use; of a text its digest in hex
    refuse    boolean not null,                     -- or else: stored, and held for a moderator
    reason    text not null,
    until     timestamptz,                          -- null: until it is lifted
    actor     text not null,
    at        timestamptz not null,
    lifted_by text,
    lifted_at timestamptz,
    primary key (region_id, id)
);
create index sender_block_in_force on sender_block (region_id, kind, subject) where lifted_at is null;

-- Who did what at the desk, and when.
create table desk_act (
    region_id smallint not null,
    id        uuid not null,
    at        timestamptz not null,
    actor     text not null,
    act       text not null,
    detail    jsonb not null,
    primary key (region_id, id)
);

alter table appeal
    add column hold text check (hold in ('blocked', 'released')),   -- of the sender; released: a moderator has looked
    add column resident text,                                       -- digest of the contact, where it counts against a quota
    add column text_digest bytea;                                   -- where the text is watched for repeats
create index appeal_by_text on appeal (text_digest, region_id) where text_digest is not null;

-- intake counts and looks whether somebody is blocked
grant select on region_quota, sender_block to otklik_intake;
grant select, insert, update, delete on quota_use, text_repeat to otklik_intake;

-- routing looks at repeats and is the desk
grant select on region_quota, quota_use, text_repeat, sender_block to otklik_routing;
grant delete on quota_use to otklik_routing;
grant insert on sender_block, desk_act to otklik_routing;
grant update (lifted_by, lifted_at) on sender_block to otklik_routing;
grant update (hold) on appeal to otklik_routing;

-- the administrator sets the limits
grant select, update on region_quota to otklik_admin;
