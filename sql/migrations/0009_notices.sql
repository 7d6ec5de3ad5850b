-- Who wants to hear what becomes of an appeal, what strangers may read of it, who typed it in, and how many joined it.

alter table appeal
    add column notify boolean not null default false,   -- somebody wants notices: steps write outbox rows of topic 'notice'
    add column public boolean not null default false,   -- the author agreed that the text is shown to strangers, without name and contact
    add column entry jsonb,                             -- of a letter that a registrar typed in: by whom, where from, at which event
    add column joined integer not null default 0;       -- how many said "me too"

-- A notice is about one event of the appeal; of what must be routed there is none.
alter table outbox
    add column seq integer,
    add constraint outbox_notice check (topic <> 'notice' or seq is not null);

-- Personal data, as contacts are. The first one of an appeal, asked for with the letter, bears the appeal's own id.
create table subscription (
    region_id smallint not null,
    appeal_id uuid not null,
    id        uuid not null,
    channel   text not null check (channel in ('email', 'telegram', 'vk', 'max')),
    address   text not null,                            -- in that channel: an e-mail address, the id of a chat
    lang      text not null check (lang in ('ru', 'en')),
    asked_at  timestamptz not null,
    primary key (region_id, appeal_id, id),
    foreign key (region_id, appeal_id) references appeal (region_id, id)
);

-- intake writes subscriptions down and never reads them; it counts who joins
grant insert on subscription to otklik_intake;
grant update (notify, joined) on appeal to otklik_intake;

-- routing tells of its steps
grant insert on outbox to otklik_routing;
grant usage on sequence outbox_id to otklik_routing;
