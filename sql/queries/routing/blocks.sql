-- Blocks of a region, the newest first: those in force, or all that there have been. sender_block (region_id, …), 200 at most; 1 ms.
-- $1 region, $2 whether those that are over are wanted, too, $3 now (microseconds UTC)
select jsonb_build_object('blocks', coalesce(jsonb_agg(b.block order by b.at desc, b.id), '[]'))::text as blocks
from (
    select
        s.at,
        s.id,
        jsonb_strip_nulls(jsonb_build_object(
            'id', s.id,
            'kind', s.kind,
            'subject', s.subject,
            'refuse', s.refuse,
            'reason', s.reason,
            'until', rfc3339(s.until),
            'by', s.actor,
            'at', rfc3339(s.at),
            'lifted_by', s.lifted_by,
            'lifted_at', rfc3339(s.lifted_at)
        )) as block
    from sender_block s
    where s.region_id = $1::smallint
      and (
          $2::boolean
          or (s.lifted_at is null and (s.until is null or s.until > to_timestamp($3::bigint / 1000000.0)))
      )
    order by s.at desc
    limit 200
) b;
