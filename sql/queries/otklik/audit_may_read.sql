-- Whether this role may read the texts of appeals.
select has_column_privilege('appeal', 'text', 'select') as may;
