#!/usr/bin/env perl
# Deadlines in the database are those that counting minutes and days in SQL gives, in every time zone of the country.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Test;
use Otklik::Routing;

# Kaliningrad, Moscow, Samara, Yekaterinburg, Omsk, Krasnoyarsk, Irkutsk, Yakutsk, Vladivostok, Magadan, Kamchatka
my @zones = (39, 77, 63, 66, 55, 24, 38, 14, 25, 49, 41);
my $list = join ',', @zones;
my $tag = "deadlines-$$";
is sql("select count(distinct now() at time zone time_zone) from region where id in ($list)"), '11', 'eleven regions, eleven zones';
plain_region(@zones);

# Local moments that hurt: the days around the last Friday, and the last days of this year.
for my $region (@zones) {
    my $zone = "(select time_zone from region where id = $region)";
    my $received = <<"SQL";
(case when n <= 15
      then date_trunc('week', now() at time zone $zone) - interval '3 days' + make_interval(days => (n - 1) / 3)
      else make_date(extract(year from now() at time zone $zone)::int, 12, 27)::timestamp + make_interval(days => (n - 16) / 3)
 end + (array[interval '8:15', interval '16:00', interval '23:45'])[n % 3 + 1]) at time zone $zone
SQL
    plant($region, 30, received => $received, theme => 'test-plain', tag => "$tag-hours");
    plant($region, 30, received => $received, theme => 'test-clock', tag => "$tag-clock");
    plant($region, 30, received => $received, theme => 'test-clock', legal_class => 'appeal', tag => "$tag-appeal");
}
drained(30, @zones);
is sql("select count(*) from appeal where external_id like '$tag-%' and first_due_at is not null and final_due_at is not null"), 11 * 90,
    'all have both deadlines';

# What SQL says: a quarter of an hour works or not, a day works or not.
my $days = <<"SQL";
days as materialized (
    select r.id as region_id, r.time_zone, d::date as day, coalesce(c.kind, case when extract(isodow from d) < 6 then 'working' else 'off' end) as kind,
           (d + r.work_opens) at time zone r.time_zone as opens,
           (d + r.work_closes - case when c.kind = 'short' then interval '1 hour' else interval '0' end) at time zone r.time_zone as closes
    from region r cross join generate_series((now()::date - 20)::timestamp, now()::date + 410, interval '1 day') d
    left join calendar_day c on c.region_id = r.id and c.day = d::date
    where r.id in ($list)
), wanted as (
    select a.region_id, a.id, a.external_id, a.received_at, a.first_due_at, a.final_due_at, r.time_zone,
           (a.received_at at time zone r.time_zone)::date as day
    from appeal a join region r on r.id = a.region_id where a.external_id like '$tag-%'
)
SQL

is sql(<<"SQL"), '', 'nine working hours end where counting quarters of hours ends';
with $days, quarters as materialized (
    select region_id, q from days cross join lateral generate_series(opens, closes - interval '15 minutes', interval '15 minutes') q
    where kind <> 'off'
)
select w.region_id, w.received_at, w.first_due_at, e.due
from wanted w
cross join lateral (
    select q + interval '15 minutes' as due from quarters where region_id = w.region_id and q >= w.received_at order by q offset 35 limit 1
) e
where w.external_id = '$tag-hours' and w.first_due_at is distinct from e.due limit 5
SQL

for my $case ([hours => final => 7], [appeal => first => 3]) {
    my ($what, $which, $n) = @$case;
    is sql(<<"SQL"), '', "$n working days end when the last of them closes";
with $days
select w.region_id, w.received_at, w.${which}_due_at, e.due
from wanted w
cross join lateral (
    select closes as due from days d where d.region_id = w.region_id and d.day > w.day and d.kind <> 'off' order by d.day offset $n - 1 limit 1
) e
where w.external_id = '$tag-$what' and w.${which}_due_at is distinct from e.due limit 5
SQL
}

for my $case ([clock => 10], [appeal => 30]) {
    my ($what, $n) = @$case;
    is sql(<<"SQL"), '', "$n calendar days end with the last of them, a day off or not";
with $days
select region_id, received_at, final_due_at from wanted
where external_id = '$tag-$what'
  and final_due_at is distinct from (day + $n + 1)::timestamp at time zone time_zone - interval '1 millisecond' limit 5
SQL
}
is sql("select count(*) from appeal where external_id = '$tag-clock' and first_due_at <> received_at + interval '24 hours'"), '0',
    'clock hours do not stop';
is sql("select count(*) from appeal a join deadline_rule d on d.region_id = a.region_id and d.id = a.deadline_rule_id"
     . " where a.external_id = '$tag-appeal' and d.code <> 'test-appeal'"), '0', "an appeal never follows a theme's rule for messages";

# The explanation adds up.
is sql(<<"SQL"), '0', 'the steps sum up to the amount';
select count(*) from (
    select a.id, x.part, (x.d ->> 'amount')::numeric as amount, x.d ->> 'unit' as unit,
           round(sum((s ->> 'hours')::numeric), 2) as hours, sum((s ->> 'days')::int) as days,
           bool_and((x.d ->> 'due')::timestamptz = date_trunc('milliseconds', case x.part when 'first' then a.first_due_at else a.final_due_at end)
                    and (x.d ->> 'start')::timestamptz = date_trunc('milliseconds', a.received_at)) as same
    from appeal a
    cross join lateral (values ('first', a.due_detail -> 'first'), ('final', a.due_detail -> 'final')) x (part, d)
    cross join lateral jsonb_array_elements(x.d -> 'steps') s
    where a.external_id like '$tag-%' group by 1, 2, 3, 4
) t
where not same or case when unit like '%hours' then hours is distinct from amount else days is distinct from amount end
SQL

# No date rather than a wrong one.
plant(41, 1, theme => 'test-endless', tag => "$tag-endless");
drained(10, 41);
is sql("select status, first_due_at is null, final_due_at is null, deadline_rule_id is null from appeal where external_id = '$tag-endless'"),
    'moderation|t|t|t', 'a term that leaves the calendar gives no date at all';
like sql("select e.detail ->> 'reasons' from appeal_event e join appeal a on (a.region_id, a.id) = (e.region_id, e.appeal_id)"
       . " where a.external_id = '$tag-endless' and e.seq = 2"), qr/"no_deadline"/, '… and says why';

# A shortened day and a moved Saturday entered now count at once.
my $next = sql(<<'SQL');
select min(d)::date from generate_series((now() at time zone 'Asia/Kamchatka')::date + 7, now()::date + 60, interval '1 day') d
where extract(isodow from d) = 5
  and not exists (select from calendar_day c where c.region_id = 41 and c.day between d::date - 3 and d::date + 4)
SQL
sql("insert into calendar_day (region_id, day, kind) values (41, date '$next', 'short'), (41, date '$next' + 1, 'working')");
sql('notify otklik_dictionaries');
plant(41, 1, received => "timestamp '$next 09:00' at time zone 'Asia/Kamchatka'", theme => 'test-plain', tag => "$tag-short");
drained(10, 41);
is sql("select first_due_at = (date '$next' + 1 + time '10:00') at time zone 'Asia/Kamchatka' from appeal where external_id = '$tag-short'"), 't',
    'eight hours on the shortened Friday, one on the working Saturday';
is sql("select due_detail #>> '{first,steps,0,short}' from appeal where external_id = '$tag-short'"), 'true', 'the explanation says so';
sql("delete from calendar_day where region_id = 41 and day in (date '$next', date '$next' + 1)");
sql('notify otklik_dictionaries');

done_testing;
