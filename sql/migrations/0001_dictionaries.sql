-- Dictionaries of a region: who answers, for what, where, by when. They never point at appeals.
-- Every table has region_id first in its key, so that the same schema runs on one server and distributed by region.

create table region (
    id          smallint primary key check (id between 1 and 99),
    iso_code    text not null unique,          -- ISO 3166-2, such as RU-SMO
    name_ru     text not null,
    name_en     text not null,
    time_zone   text not null,                 -- IANA name
    demo        boolean not null default false,
    work_opens  time not null default '09:00', -- local; the centre's working day
    work_closes time not null default '18:00',
    check (work_closes - work_opens > interval '1 hour')  -- a short day closes an hour earlier
);

-- Days that differ from the common week (Monday to Friday): holidays, moved days, days shortened by an hour.
create table calendar_day (
    region_id smallint not null references region (id),
    day       date not null,
    kind      text not null check (kind in ('off', 'working', 'short')),
    note      text not null default '',
    primary key (region_id, day)
);

create sequence dictionary_id as integer;      -- ids of municipalities, bodies, themes and rules; 0 is never given and means "not known"

create table municipality (
    region_id smallint not null references region (id),
    id        integer not null default nextval('dictionary_id'),
    name_ru   text not null,
    name_en   text,
    boundary  geometry(MultiPolygon, 4326) not null check (st_isvalid(boundary)),
    primary key (region_id, id),
    unique (region_id, name_ru)
);
create index municipality_boundary on municipality using gist (boundary);

create table body (
    region_id       smallint not null references region (id),
    id              integer not null default nextval('dictionary_id'),
    name_ru         text not null,
    name_en         text,
    centre          boolean not null default false,  -- the regional desk: takes what nobody else does
    municipality_id integer,
    primary key (region_id, id),
    unique (region_id, name_ru),
    foreign key (region_id, municipality_id) references municipality (region_id, id)
);
create unique index body_centre on body (region_id) where centre;

-- Two clocks a rule: the first answer and the real result.
create table deadline_rule (
    region_id    smallint not null references region (id),
    id           integer not null default nextval('dictionary_id'),
    code         text not null,
    name_ru      text not null,
    name_en      text,
    legal_class  text not null check (legal_class in ('message', 'appeal')),
    common       boolean not null default false,     -- for themes that name no rule of their own
    first_amount integer not null check (first_amount between 1 and 1000),
    first_unit   text not null check (first_unit in ('clock_hours', 'working_hours', 'calendar_days', 'working_days')),
    final_amount integer not null check (final_amount between 1 and 1000),
    final_unit   text not null check (final_unit in ('clock_hours', 'working_hours', 'calendar_days', 'working_days')),
    primary key (region_id, id),
    unique (region_id, code)
);
create unique index deadline_rule_common on deadline_rule (region_id, legal_class) where common;

create table theme (
    region_id        smallint not null references region (id),
    id               integer not null default nextval('dictionary_id'),
    code             text not null check (code ~ '^[a-z0-9._-]{1,64}$'),
    object_ru        text,                           -- what it happened to: house, yard, street
    object_en        text,
    group_ru         text not null,
    group_en         text,
    name_ru          text not null,
    name_en          text,
    keywords         text[] not null default '{}',   -- lower-case word beginnings; see services/routing/theme.c
    deadline_rule_id integer,                        -- null: the common rule
    active           boolean not null default true,
    primary key (region_id, id),
    unique (region_id, code),
    foreign key (region_id, deadline_rule_id) references deadline_rule (region_id, id)
);

-- (municipality, theme) → body; null means any. The most exact row wins: both, theme, municipality, none.
create table routing_rule (
    region_id       smallint not null references region (id),
    id              integer not null default nextval('dictionary_id'),
    municipality_id integer,
    theme_id        integer,
    body_id         integer not null,
    primary key (region_id, id),
    unique nulls not distinct (region_id, municipality_id, theme_id),
    foreign key (region_id, municipality_id) references municipality (region_id, id),
    foreign key (region_id, theme_id) references theme (region_id, id),
    foreign key (region_id, body_id) references body (region_id, id)
);
