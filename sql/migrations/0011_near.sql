-- Where things are: a gazetteer to find places by, outlines for the map, and appeals by their place.

create extension if not exists pg_trgm schema public;
create extension if not exists btree_gin schema public;

-- Names of places as people type them: lower case, ё as е, Latin letters that look like Russian ones as these, "Ленина5" in two.
create function place_fold(s text) returns text
language sql immutable strict parallel safe
return regexp_replace(translate(lower(normalize(s)), 'ёabcehkmoptxy', 'еавсенкмортху'), '([а-я]{3})([0-9])', '\1 \2', 'g');

-- What is left of a name to search by: its words without those that only say what kind of place it is, and without single letters.
create function place_words(s text) returns text
language sql immutable strict parallel safe
return (
    select coalesce(
        string_agg(w.word, ' ' order by w.n) filter (
            where (length(w.word) > 1 or w.word ~ '[0-9]')
              and w.word <> all ('{
                  ул,улица,улице,улицы,улицу,пр,кт,пркт,просп,проспект,пер,переулок,пл,площадь,наб,бул,бульвар,шоссе,тракт,
                  проезд,туп,тупик,мкр,мкрн,микрорайон,кв,квартира,оф,офис,подъезд,этаж,эт,дом,дд,вл,владение,корп,корпус,
                  стр,строение,лит,литера,гор,город,городе,пос,поселок,поселке,пгт,рп,село,селе,дер,деревня,деревне,ст,
                  станция,станица,хутор,обл,область,респ,республика,край,рн,район,мо,го,округ,муниципальный,городской,ая,ой,
                  ый,ий,ья,ого,им,имени
              }'::text[])
        ),
        string_agg(w.word, ' ' order by w.n),
        ''
    )
    from regexp_split_to_table(place_fold(s), '[^0-9a-zа-я]+') with ordinality as w (word, n)
    where w.word <> ''
);

-- The number of the house in an address, as "5", "5а", "5/2", "12к1"; null without one. It stands at the end or before a comma, so that
-- neither "8 Марта" nor "1-я Линия" have one; the flat behind it does not count.
create function place_house(s text) returns text
language sql immutable strict parallel safe
return regexp_replace(
    regexp_replace(
        regexp_replace(
            substring(
                regexp_replace(place_fold(s), '\m(?:кв|квартира|оф|офис|подъезд|под|этаж|эт)\M\.?\s*№?\s*[0-9]+[а-я]?', '', 'g')
                from '(?:^|[\s,.№д])'
                    '([0-9]{1,4}\s*[а-я]?(?:\s*[/-]\s*[0-9]{1,4}[а-я]?)?'
                    '(?:[\s,]*(?:корпус|корп|к|строение|стр|с)\.?\s*[0-9]{1,3}[а-я]?)?)[\s.]*(?:,.*)?$'
            ),
            '[\s,.]+', '', 'g'
        ),
        'корпус|корп', 'к'
    ),
    'строение|стр', 'с'
);

-- The gazetteer: settlements, streets, houses; a dictionary. A row without a street is a settlement, one without a house is a street.
create table place (
    region_id       smallint not null references region (id),
    id              integer not null default nextval('dictionary_id'),
    municipality_id integer not null,
    settlement      text not null,                  -- "город Светозерск"; '' for streets of a municipality that is one town
    street          text not null,                  -- "улица Лесная"
    house           text not null,                  -- as place_house() gives it
    words           text not null,                  -- place_words() of the street, or of the settlement
    around          text not null,                  -- of a street's settlement, '' otherwise
    point           geometry(Point, 4326) not null,
    primary key (region_id, id),
    unique (region_id, municipality_id, settlement, street, house),
    foreign key (region_id, municipality_id) references municipality (region_id, id),
    check (settlement <> '' or street <> ''),
    check (house = '' or street <> '')
);
-- Houses are found through their street.
create index place_by_words on place (region_id, words) where house = '';
create index place_point on place using gist (point);

-- Every words of them once: a region has two thousand streets called Central, and likeness costs more than all else.
create table place_name (
    region_id smallint not null,
    words     text not null,
    primary key (region_id, words)
);
create index place_name_trigrams on place_name using gin (region_id, words gin_trgm_ops);

-- A boundary for the map of the region: neighbours keep their common border when it is simplified. `otklik import boundaries` writes it.
alter table municipality add column outline geometry(MultiPolygon, 4326);

-- Appeals near a place. Those that nobody has looked at are not in it: so it costs intake nothing, and routing 0.01 ms an appeal.
create index appeal_by_place on appeal using gist (point) where status <> 'captured';

grant select on place, place_name to otklik_intake;
grant select, insert, update, delete on place, place_name to otklik_admin;

-- What strangers may read of a text whose author agreed: no addresses of e-mail, no numbers of seven digits and more, such as telephones.
create function public_text(s text) returns text
language sql immutable strict parallel safe
return regexp_replace(
    regexp_replace(s, '[^\s<>@]+@[^\s<>@]+\.[^\s<>@]+', '•••', 'g'),
    '\+?[0-9](?:[\s()–-]*[0-9]){6,}', '•••', 'g'
);

-- Who has the same trouble as somebody who wrote of it: "me too". The code is the joiner's own and opens the way of the appeal.
create table joiner (
    region_id   smallint not null,
    appeal_id   uuid not null,
    id          uuid not null,                      -- UUIDv7
    code_digest bytea not null,                     -- SHA-256 of the access code
    client      text not null,                      -- subject of a known client, '' for anonymous
    auth        text not null,
    client_hash text not null,                      -- keyed hash of the address, stable for a day
    lang        text not null check (lang in ('ru', 'en')),
    joined_at   timestamptz not null,
    primary key (region_id, appeal_id, id),
    unique (region_id, appeal_id, code_digest),
    foreign key (region_id, appeal_id) references appeal (region_id, id)
);

-- Personal data, apart as the author's is, with the version of the text that was agreed to.
create table joiner_contact (
    region_id smallint not null,
    appeal_id uuid not null,
    id        uuid not null,
    name      text,
    email     text,
    phone     text,
    consent   text not null,
    primary key (region_id, appeal_id, id),
    foreign key (region_id, appeal_id, id) references joiner (region_id, appeal_id, id)
);

grant select, insert on joiner to otklik_intake;
grant insert on joiner_contact to otklik_intake;
