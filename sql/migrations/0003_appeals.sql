-- Appeals and all that hangs on them. Ids are UUIDv7, so a range of ids is a range of time: appeal and appeal_event are
-- partitioned by the month of the appeal's id, and an appeal's events lie in the partition beside it.

-- RFC 3339 in UTC with milliseconds, the only form in which times leave the database.
create function rfc3339(t timestamptz) returns text
language sql stable parallel safe
return to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- The lowest UUIDv7 of a moment's millisecond: bounds of partitions and of searches by time. The epoch is the same in every time zone,
-- hence immutable.
create function uuid_floor(t timestamptz) returns uuid
language sql immutable parallel safe
return rpad(lpad(to_hex(floor(extract(epoch from t) * 1000)::bigint), 12, '0') || '70008', 32, '0')::uuid;

-- Damm's check digit (H. M. Damm, 2004): finds every single wrong digit and every swap of neighbours.
create function check_digit(digits text) returns text
language plpgsql immutable strict parallel safe as $$
declare
    quasigroup constant text := '0317598642709215486342068713591750983426612304597836742095815869720134894536201794386172052581436790';
    interim int := 0;
begin
    for i in 1 .. length(digits) loop
        interim := substr(quasigroup, 10 * interim + substr(digits, i, 1)::int + 1, 1)::int;
    end loop;
    return interim::text;
end $$;

-- The public number RR-YYYY-NNNNNNN-C. The serial wraps after ten million a year.
create function appeal_number(region_id smallint, year integer, serial bigint) returns text
language sql immutable strict parallel safe
return to_char(region_id, 'FM00') || '-' || to_char(year, 'FM0000') || '-' || to_char(serial % 10000000, 'FM0000000') || '-'
       || check_digit(to_char(region_id, 'FM00') || to_char(year, 'FM0000') || to_char(serial % 10000000, 'FM0000000'));

-- One link of the chain: each event carries the digest of its predecessor and of its own content.
create function event_hash(previous bytea, region_id smallint, appeal_id uuid, seq integer, at timestamptz, kind text, actor text,
                           detail jsonb) returns bytea
language sql stable parallel safe
return sha256(previous || convert_to(jsonb_build_array(region_id, appeal_id, seq, (extract(epoch from at) * 1000000)::bigint, kind,
                                                       actor, detail)::text, 'UTF8'));

do $$
declare
    r smallint;
begin
    for r in select id from region loop
        execute format('create sequence appeal_serial_%s', r);
    end loop;
end $$;

-- No foreign key to region: every insert would lock the same row of it (multixacts; 6 % of inserts at 16 connections). An appeal
-- cannot have its number without the serial of an existing region.
create table appeal (
    region_id       smallint not null,
    id              uuid not null,
    number          text not null,
    code_digest     bytea not null,                 -- SHA-256 of the access code
    legal_class     text not null default 'message' check (legal_class in ('message', 'appeal')),
    channel         text not null,
    status          text not null check (status in ('captured', 'moderation', 'routed')),
    lang            text not null check (lang in ('ru', 'en')),
    auth            text not null,                  -- how the edge knew the client: api_key, anonymous
    client          text not null,                  -- subject of a known client, '' for anonymous
    client_hash     text not null,                  -- keyed hash of the address, stable for a day
    request_id      text not null,
    external_id     text,
    received_at     timestamptz not null,
    text            text not null,
    theme_id        integer,
    theme_source    text check (theme_source in ('citizen', 'keywords', 'moderator')),
    point           geometry(Point, 4326),
    address         text,
    municipality_id integer,
    body_id         integer,
    deadline_rule_id integer,
    first_due_at    timestamptz,
    final_due_at    timestamptz,
    due_detail      jsonb,                          -- the arithmetic of both deadlines, for the reader
    routed_at       timestamptz,
    last_seq        integer not null,               -- head of the chain in appeal_event
    last_hash       bytea not null,
    primary key (region_id, id),
    foreign key (region_id, theme_id) references theme (region_id, id),
    foreign key (region_id, municipality_id) references municipality (region_id, id),
    foreign key (region_id, body_id) references body (region_id, id),
    foreign key (region_id, deadline_rule_id) references deadline_rule (region_id, id)
) partition by range (id);
-- Unique by its sequence; a partitioned table cannot say so. The region comes second: an index that began with it looks as good as the
-- primary key to a plan made while a month's partition is new, and each foreign key check then reads the whole region (3.6 ms at 12,000 rows).
create index appeal_by_number on appeal (number, region_id);

create table appeal_event (
    region_id smallint not null,
    appeal_id uuid not null,
    seq       integer not null check (seq > 0),
    at        timestamptz not null,
    kind      text not null,
    actor     text not null,
    detail    jsonb not null,
    previous  bytea not null,                       -- hash of event seq - 1, empty for the first
    hash      bytea not null,
    primary key (region_id, appeal_id, seq),
    foreign key (region_id, appeal_id) references appeal (region_id, id)
) partition by range (appeal_id);

create table appeal_rest partition of appeal default;
create table appeal_event_rest partition of appeal_event default;

-- Makes the monthly partitions from a month on; `otklik migrate` calls it at every run, a year ahead. What has no
-- partition goes to the default one and is never refused. A month that has already begun there stays there, since a partition cannot be
-- made over rows of the default one; the months after it are made.
create function make_partitions(first_month date, months integer) returns integer
language plpgsql set timezone = 'UTC' as $$
declare
    made integer := 0;
    month date;
    low uuid;
    high uuid;
begin
    for i in 0 .. months - 1 loop
        month := date_trunc('month', first_month) + make_interval(months => i);
        low := otklik.uuid_floor(month);
        high := otklik.uuid_floor(month + interval '1 month');
        continue when to_regclass(format('otklik.appeal_%s', to_char(month, 'YYYY_MM'))) is not null;
        if exists (select from otklik.appeal_rest where id >= low and id < high) then
            raise warning 'appeals of % lie in the default partition and stay there', to_char(month, 'YYYY-MM');
            continue;
        end if;
        execute format('create table otklik.appeal_%s partition of otklik.appeal for values from (%L) to (%L)',
                       to_char(month, 'YYYY_MM'), low, high);
        execute format('create table otklik.appeal_event_%s partition of otklik.appeal_event for values from (%L) to (%L)',
                       to_char(month, 'YYYY_MM'), low, high);
        made := made + 1;
    end loop;
    return made;
end $$;

-- Personal data lies apart; each look at it is logged by the programs that may look.
create table contact (
    region_id smallint not null,
    appeal_id uuid not null,
    name      text,
    email     text,
    phone     text,
    primary key (region_id, appeal_id),
    foreign key (region_id, appeal_id) references appeal (region_id, id)
);

create table consent (
    region_id smallint not null,
    appeal_id uuid not null,
    version   text not null,                        -- of the text that was agreed to
    lang      text not null,
    given_at  timestamptz not null,
    primary key (region_id, appeal_id),
    foreign key (region_id, appeal_id) references appeal (region_id, id)
);

-- What must happen after a commit. Claimed per region with FOR UPDATE SKIP LOCKED; NOTIFY is only a hint.
create sequence outbox_id;
create table outbox (
    region_id  smallint not null,
    topic      text not null,                       -- 'route'
    id         bigint not null default nextval('outbox_id'),
    appeal_id  uuid not null,
    not_before timestamptz not null,
    attempts   integer not null default 0,
    primary key (region_id, topic, id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- First answers by Idempotency-Key, kept three days (services/intake/forget.c).
create table idempotency (
    region_id   smallint not null,
    client      text not null,
    route       text not null,
    key         text not null,
    fingerprint bytea not null,                     -- SHA-256 of the request
    status      smallint not null,
    body        text not null,
    created_at  timestamptz not null,
    primary key (region_id, client, route, key)
);
-- Not BRIN: old rows leave, new ones take their pages, and its ranges never shrink again.
create index idempotency_by_time on idempotency (region_id, created_at);

-- Counters of a region's day, written in the statement that makes the change. Each writer adds to rows of its own slot, so
-- that intake and routing never wait for each other; a report sums the slots. 0 stands for "not known yet".
create table appeal_count (
    region_id       smallint not null,
    day             date not null,                  -- of reception, in the region's time zone
    theme_id        integer not null,
    body_id         integer not null,
    municipality_id integer not null,
    slot            smallint not null,
    received        bigint not null default 0,
    routed          bigint not null default 0,
    moderation      bigint not null default 0,
    primary key (region_id, day, theme_id, body_id, municipality_id, slot)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

select make_partitions(date '2026-11-01', 14);
