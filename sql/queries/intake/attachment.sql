-- One file of an appeal, for whoever knows number and code of the appeal; for who joined it where its author agreed that others see it.
-- appeal_by_number, then primary keys. 0.2 ms.
-- $1 region, $2 number, $3 digest of the code, $4 id of the file
select
    t.state,
    t.clean_type
from appeal a
join attachment t
    on t.region_id = $1::smallint
    and t.id = $4::uuid
    and t.appeal_id = a.id
where a.region_id = $1::smallint
  and a.number = $2
  and (
      a.code_digest = $3::bytea
      or a.public and exists (
          select
          from joiner j
          where j.region_id = a.region_id
            and j.appeal_id = a.id
            and j.code_digest = $3::bytea
      )
  )
limit 1;
