-- Themes of a region with their keywords, one a line. Primary key, a few hundred rows, 0.3 ms.
-- $1 region
select
    t.id as theme_id,
    coalesce(t.deadline_rule_id, 0) as rule_id,
    case when t.active then array_to_string(t.keywords, e'\n') else '' end as keywords
from theme t
where t.region_id = $1::smallint
order by t.id;
