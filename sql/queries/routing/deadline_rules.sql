-- Deadline rules of a region. Primary key, a handful of rows.
-- $1 region
select
    d.id as rule_id,
    d.legal_class,
    d.common,
    d.first_amount,
    d.first_unit,
    d.final_amount,
    d.final_unit
from deadline_rule d
where d.region_id = $1::smallint
order by d.id;
