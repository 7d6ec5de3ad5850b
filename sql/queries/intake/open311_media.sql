-- The picture behind a media_url, for whoever has that address: of a letter that a partner brought, who got the address with it. The id
-- has 62 random bits and stands nowhere else. The primary key of attachment, then that of appeal. 0.2 ms.
-- $1 region, $2 number, $3 id of the file
select
    t.state,
    t.clean_type
from attachment t
join appeal a
    on a.region_id = t.region_id
    and a.id = t.appeal_id
where t.region_id = $1::smallint
  and t.id = $3::uuid
  and t.media_type <> 'application/pdf'
  and a.number = $2
  and a.auth = 'api_key'
limit 1;
