-- More proof for an answer that was given: attach.sql for the account that answered, while its answer may still be judged or followed. Both rows are
-- held, so that those who come at once are counted one after the other. Outcomes: stored, not_found, other_body, file_used (the appeal has
-- that file elsewhere), too_many. appeal_by_number, then primary keys. 0.6 ms.
-- $1 region, $2 number, $3 account, $4 now (microseconds UTC), $5 how many an answer may have; arrays, one element a file: $6 ids, $7 names,
-- $8 media types, $9 sizes, $10 digests; $11 body the key speaks for ('': any), $12 number of the answer's step
with
held as materialized (
    select
        a.id,
        a.last_seq,
        a.last_hash,
        n.files,
        $11::text <> '' and a.body_id::text is distinct from $11::text as other_body
    from appeal a
    join answer n
        on n.region_id = a.region_id
        and n.appeal_id = a.id
    where a.region_id = $1::smallint
      and a.number = $2
      and a.status in ('accepted', 'answered')
      and n.seq = $12::integer
      and n.seq > a.reopened_seq
      and n.account = $3::text
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
        t.answer_seq is distinct from $12::integer and t.id is not null as used,
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
    select
        h.files + (select count(*) from given g where g.known_id is null and g.nth = 1) <= $5::integer as fits,
        exists (select from given g where g.used) as used
    from held h
    where not h.other_body
),
stored as (
    insert into attachment (region_id, id, appeal_id, name, media_type, size, sha256, added_at, not_before, answer_seq)
    select
        $1::smallint,
        g.id,
        h.id,
        g.name,
        g.media_type,
        g.size,
        g.sha256,
        to_timestamp($4::bigint / 1000000.0),
        to_timestamp($4::bigint / 1000000.0),
        $12::integer
    from given g
    cross join held h
    cross join fits f
    where f.fits
      and not f.used
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
            'key:' || $3::text as actor,
            count(*) as n,
            jsonb_build_object('answer_seq', $12::integer, 'files', jsonb_agg(
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
        last_seq = l.seq,
        last_hash = l.hash
    from linked l
    where a.region_id = $1::smallint
      and a.id = l.id
),
counted as (
    update answer n
    set files = n.files + l.n
    from linked l
    where n.region_id = $1::smallint
      and n.appeal_id = l.id
      and n.seq = $12::integer
)
select
    case
        when not exists (select from held) then 'not_found'
        when not exists (select from fits) then 'other_body'
        when (select f.used from fits f) then 'file_used'
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
