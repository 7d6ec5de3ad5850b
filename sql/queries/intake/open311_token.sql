-- The number that belongs to the id of an appeal, which is what this server takes for a token. Primary key of appeal; 1.6 ms over HTTP.
-- $1 region, $2 subject of the client's own appeals ('': none), $3 id
select json_build_array(json_build_object('service_request_id', a.number, 'token', a.id))::text as token
from appeal a
where a.region_id = $1::smallint
  and a.id = $3::uuid
  and (a.status not in ('captured', 'moderation') or (a.client = $2 and a.client <> '' and a.auth = 'api_key'));
