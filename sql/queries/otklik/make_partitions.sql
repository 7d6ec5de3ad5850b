-- Partitions of this month and the twelve after it; says how many are new and the last month.
select
    otklik.make_partitions(date_trunc('month', now())::date, 13) as made,
    to_char(now() + interval '12 months', 'YYYY-MM') as last_month;
