-- The first appeal whose text, or what was told besides, or an answer to it, or what its author said of that, differs from the digest in its
-- event. Reads the whole region: 20 µs an appeal.
-- $1 region
select w.number
from (
    select
        a.id,
        a.number
    from appeal a
    join appeal_event e
        on e.region_id = a.region_id
        and e.appeal_id = a.id
        and e.seq = 1
    where a.region_id = $1::smallint
      and e.detail ? 'text_sha256'
      and (
          e.detail ->> 'text_sha256' <> encode(sha256(convert_to(a.text, 'UTF8')), 'hex')
          or e.detail ->> 'answers_sha256' is distinct from encode(sha256(convert_to(a.answers::text, 'UTF8')), 'hex')
      )
    union all
    select
        a.id,
        a.number
    from answer n
    join appeal a
        on a.region_id = n.region_id
        and a.id = n.appeal_id
    left join appeal_event e
        on e.region_id = n.region_id
        and e.appeal_id = n.appeal_id
        and e.seq = n.seq
    where n.region_id = $1::smallint
      and e.detail ->> 'text_sha256' is distinct from encode(sha256(convert_to(n.text, 'UTF8')), 'hex')
    union all
    select
        a.id,
        a.number
    from verdict v
    join appeal a
        on a.region_id = v.region_id
        and a.id = v.appeal_id
    left join appeal_event e
        on e.region_id = v.region_id
        and e.appeal_id = v.appeal_id
        and e.seq = v.seq
    where v.region_id = $1::smallint
      and (
          e.detail ->> 'text_sha256' is distinct from encode(sha256(convert_to(v.comment, 'UTF8')), 'hex')
          or e.detail ->> 'mark' is distinct from v.mark::text
      )
) w
order by w.id
limit 1;
