-- What Open311 needs: the questions a theme asks, what a client answered to them, and events by their time.

-- Questions of a theme (GeoReport calls them attributes of a service). Codes below 10 are kept for those that every theme has.
create table theme_attribute (
    region_id smallint not null,
    theme_id  integer not null,
    code      text not null check (code ~ '^([1-9][0-9]{1,8}|[a-z_][a-z0-9_]{0,31})$'),
    position  integer not null check (position between 1 and 1000),
    datatype  text not null check (datatype in ('string', 'number', 'datetime', 'text', 'singlevaluelist', 'multivaluelist')),
    required  boolean not null default false,
    name_ru   text not null,                        -- the question
    name_en   text,
    hint_ru   text,                                 -- how to answer
    hint_en   text,
    options   jsonb not null default '[]',          -- of lists: [{"key", "name_ru", "name_en"?}, …]
    primary key (region_id, theme_id, code),
    foreign key (region_id, theme_id) references theme (region_id, id) on delete cascade,
    check (jsonb_typeof(options) = 'array'),
    check ((datatype in ('singlevaluelist', 'multivaluelist')) = (options <> '[]'))
);

-- What a partner's client told besides the letter: {"attributes": {code: [value, …]}, "media_urls": […], "account_id", "device_id"}.
alter table appeal add column answers jsonb;

-- Feeds of changes ask for events of an hour, whatever the appeals. Time first: an index that begins with the region looks as good as the
-- primary key to a plan made while a partition is new.
create index appeal_event_by_time on appeal_event (at, region_id);

grant select on theme_attribute to otklik_intake;
grant select, insert, update, delete on theme_attribute to otklik_admin;
