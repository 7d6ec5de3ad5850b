-- Every event of a region in the order of the chains, with the text that its digest is made of (event_hash has the same). Primary keys of
-- appeal and appeal_event, merged partition by partition; the client reads it row by row.
-- $1 region
select
    a.id as appeal_id,
    a.number,
    a.last_seq,
    a.last_hash,
    e.seq,
    e.previous,
    e.hash,
    jsonb_build_array(
        e.region_id, e.appeal_id, e.seq, (extract(epoch from e.at) * 1000000)::bigint, e.kind, e.actor, e.detail
    )::text as content
from appeal a
left join appeal_event e
    on e.region_id = a.region_id
    and e.appeal_id = a.id
where a.region_id = $1::smallint
order by a.id, e.seq;
