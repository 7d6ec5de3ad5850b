-- Files that are already on the disk become part of an appeal: rows, event and the head of its chain in one statement. The row of the
-- appeal is held, so that those who come at once are counted one after the other. A file that the appeal has already (by its digest) is not
-- stored twice. appeal_by_number, then primary keys, and attachment_region_id_appeal_id_sha256_key. 0.6 ms.
-- files lists the given ones in their order, and has fewer when another request has stored the same one since this statement began: ask again.
-- $1 region, $2 number, $3 digest of the code, $4 now (microseconds UTC), $5 how many an appeal may have; then arrays, one element a
-- file: $6 ids, $7 names, $8 media types, $9 sizes, $10 digests
with
held as materialized (
    select
        a.id,
        a.client,
        a.last_seq,
        a.last_hash,
        a.attachments
    from appeal a
    where a.region_id = $1::smallint
      and a.number = $2
      and opens(a.region_id, a.id, a.code_digest, $3::bytea)
    limit 1
    for no key update
),
given as materialized (
    select
        g.ord,
        g.id,
        g.name,
        g.media_type,
        g.size,
        g.sha256,
        t.id as known_id,
        row_number() over (partition by g.sha256 order by g.ord) as nth
    from unnest($6::uuid[], $7::text[], $8::text[], $9::bigint[], $10::bytea[]) with ordinality as g (
        id, name, media_type, size, sha256, ord
    )
    cross join held h
    left join attachment t
        on t.region_id = $1::smallint
        and t.appeal_id = h.id
        and t.sha256 = g.sha256
),
fits as (
    select h.attachments + (select count(*) from given g where g.known_id is null and g.nth = 1) <= $5::integer as fits
    from held h
),
stored as (
    insert into attachment (region_id, id, appeal_id, name, media_type, size, sha256, added_at, not_before)
    select
        $1::smallint,
        g.id,
        h.id,
        g.name,
        g.media_type,
        g.size,
        g.sha256,
        to_timestamp($4::bigint / 1000000.0),
        to_timestamp($4::bigint / 1000000.0)
    from given g
    cross join held h
    cross join fits f
    where f.fits
      and g.known_id is null
      and g.nth = 1
    order by g.ord
    on conflict do nothing
    returning id, media_type, size, sha256
),
linked as (
    select
        h.id,
        h.last_seq + 1 as seq,
        h.last_hash,
        w.actor,
        w.detail,
        w.n,
        event_hash(h.last_hash, $1::smallint, h.id, h.last_seq + 1, to_timestamp($4::bigint / 1000000.0), 'attached', w.actor, w.detail)
        as hash
    from held h
    cross join lateral (
        select
            case when h.client = '' then 'citizen' else 'key:' || h.client end as actor,
            count(*) as n,
            jsonb_build_object('files', jsonb_agg(
                jsonb_build_object('id', s.id, 'type', s.media_type, 'size', s.size, 'sha256', encode(s.sha256, 'hex'))
                order by s.id
            )) as detail
        from stored s
        having count(*) > 0
    ) w
),
event as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select
        $1::smallint,
        l.id,
        l.seq,
        to_timestamp($4::bigint / 1000000.0),
        'attached',
        l.actor,
        l.detail,
        l.last_hash,
        l.hash
    from linked l
),
moved as (
    update appeal a
    set
        attachments = a.attachments + l.n,
        last_seq = l.seq,
        last_hash = l.hash
    from linked l
    where a.region_id = $1::smallint
      and a.id = l.id
)
select
    case
        when not exists (select from held) then 'not_found'
        when not (select f.fits from fits f) then 'too_many'
        else 'stored'
    end as outcome,
    (select coalesce(string_agg(s.id::text, ' '), '') from stored s) as stored,
    (
        select jsonb_build_object('attachments', coalesce(jsonb_agg(
            jsonb_build_object(
                'id', coalesce(g.known_id, s.id),
                'name', g.name,
                'media_type', g.media_type,
                'size', g.size,
                'sha256', encode(g.sha256, 'hex')
            )
            order by g.ord
        ), '[]'))::text
        from given g
        left join stored s on s.sha256 = g.sha256
        where coalesce(g.known_id, s.id) is not null
    ) as files,
    (
        select count(*)
        from given g
        left join stored s on s.sha256 = g.sha256
        where coalesce(g.known_id, s.id) is not null
    ) as n;
