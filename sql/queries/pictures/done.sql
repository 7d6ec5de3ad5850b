-- A file is cleaned, and the cleaned one is on the disk. Primary key. 0.1 ms.
-- $1 region, $2 id, $3 media type and $4 size of the cleaned file, $5 width and $6 height of the original (null: no picture), $7 time and
-- $8 latitude, $9 longitude of EXIF (null: it says none)
update attachment
set
    state = 'ready',
    clean_type = $3,
    clean_size = $4::bigint,
    width = $5::integer,
    height = $6::integer,
    taken_local = $7,
    taken_point = st_setsrid(st_makepoint($9::float8, $8::float8), 4326)
where region_id = $1::smallint
  and id = $2::uuid
  and state = 'waiting';
