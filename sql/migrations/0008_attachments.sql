-- Files that come with an appeal. Their bytes lie outside of the database (OTKLIK_FILES); a row is written only when its file is durable.
-- The row is also the work of otklik-pictures, which makes of each picture one without EXIF: nobody outside sees a file before.
create table attachment (
    region_id    smallint not null,
    id           uuid not null,                         -- the file's name, too: originals/RR/abcdef/ID
    appeal_id    uuid not null,
    name         text not null,                         -- as the client says
    media_type   text not null check (media_type in ('image/jpeg', 'image/png', 'image/webp', 'image/heic', 'application/pdf')),
    size         bigint not null check (size > 0),      -- bytes, of the original
    sha256       bytea not null check (length(sha256) = 32), -- of the original
    added_at     timestamptz not null,
    state        text not null default 'waiting' check (state in ('waiting', 'ready', 'refused', 'lost')),
    not_before   timestamptz not null,                  -- of a waiting one: when it may be taken in hand (again)
    attempts     integer not null default 0,
    reason       text,                                  -- why it was refused: unreadable, too_many_pixels, too_costly
    clean_type   text,                                  -- of the cleaned file: cleaned/RR/abcdef/ID
    clean_size   bigint,
    width        integer,                               -- pixels
    height       integer,
    taken_local  text,                                  -- EXIF: the camera's clock, YYYY-MM-DDTHH:MM:SS and an offset if it says one
    taken_point  geometry(Point, 4326),                 -- EXIF
    primary key (region_id, id),
    unique (region_id, appeal_id, sha256),              -- the same file twice is one
    foreign key (region_id, appeal_id) references appeal (region_id, id)
);
create index attachment_waiting on attachment (region_id, not_before) where state = 'waiting';

-- How many there are, kept in the appeal's own row: whoever adds one holds it, so that two at once cannot both be the last that is allowed.
alter table appeal add column attachments smallint not null default 0;

-- intake stores files and shows them; each is an event, so the head of the chain moves
grant select, insert on attachment to otklik_intake;
grant update (attachments, last_seq, last_hash) on appeal to otklik_intake;

-- pictures sees files and nothing of the appeal they belong to
grant usage on schema otklik to otklik_pictures;
grant select on region to otklik_pictures;
grant select on attachment to otklik_pictures;
grant update (state, not_before, attempts, reason, clean_type, clean_size, width, height, taken_local, taken_point) on attachment
to otklik_pictures;

-- otklik files sweep, by the administrator
grant select (region_id, id, size, sha256, state, clean_size) on attachment to otklik_admin;
grant update (state, not_before) on attachment to otklik_admin;
