-- The first appeal whose text, or what was told besides, differs from the digest in its first event. Reads the whole region: 20 µs an appeal.
-- $1 region
select a.number
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
order by a.id
limit 1;
