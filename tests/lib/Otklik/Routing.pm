# What the tests of routing share: dictionaries of a region of their own, and appeals put into the queue as intake does it.
package Otklik::Routing;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use Otklik::Test;

our @EXPORT = qw(plain_region plant drained literal);

sub literal { my ($s) = @_; return 'null' unless defined $s; $s =~ s/'/''/g; return "'$s'" }

# Makes a region fit for tests, whatever it had: a centre, common rules of both classes, one theme with a rule of its own, holidays of
# the years around now. Can be called again.
sub plain_region {
    my (@regions) = @_;
    my $list = join ',', @regions;
    sql(<<"SQL");
insert into body (region_id, name_ru, centre) select r, 'Центр ' || r, true from unnest(array[$list]) r
on conflict do nothing;
insert into deadline_rule (region_id, code, name_ru, legal_class, common, first_amount, first_unit, final_amount, final_unit)
select r, v.* from unnest(array[$list]) r, (values
    ('test-message', 'Сообщение', 'message', true, 9, 'working_hours', 7, 'working_days'),
    ('test-appeal', 'Обращение', 'appeal', true, 3, 'working_days', 30, 'calendar_days'),
    ('test-clock', 'Срочно', 'message', false, 24, 'clock_hours', 10, 'calendar_days'),
    ('test-endless', 'Никогда', 'message', false, 4, 'clock_hours', 1000, 'working_days')) v
on conflict do nothing;
insert into theme (region_id, code, group_ru, name_ru, keywords, deadline_rule_id)
select d.region_id, v.code, 'Проверка', v.code, v.keywords, d.id
from (values ('test-clock', array['часы']), ('test-endless', array['вечно'])) v (code, keywords)
join deadline_rule d on d.code = v.code and d.region_id in ($list)
on conflict do nothing;
insert into theme (region_id, code, group_ru, name_ru, keywords)
select r, 'test-plain', 'Проверка', 'Обычная', array['просто'] from unnest(array[$list]) r
on conflict do nothing;
insert into calendar_day (region_id, day, kind)
select r, make_date(y, 1, d), 'off'
from unnest(array[$list]) r, generate_series(extract(year from now())::int - 1, extract(year from now())::int + 2) y, generate_series(1, 8) d
where not exists (select from calendar_day c where c.region_id = r and extract(year from c.day) = y)
SQL
    sql('notify otklik_dictionaries');
    return;
}

# Puts COUNT appeals of a region into the queue, with event, counter and outbox row, as intake does it. Members: text (SQL expression of n),
# theme, point (SQL), received (SQL), auth, legal_class, tag (external_id).
sub plant {
    my ($region, $count, %m) = @_;
    my $theme = defined $m{theme} ? '(select id from theme where region_id = ' . $region . ' and code = ' . literal($m{theme}) . ')' : 'null::integer';
    my $text = $m{text} // "'Письмо номер ' || n";
    my $point = $m{point} // 'null::geometry';
    my $received = $m{received} // 'now()';
    my $auth = literal($m{auth} // 'api_key');
    my $class = literal($m{legal_class} // 'message');
    my $tag = literal($m{tag}) . '::text';
    sql(<<"SQL");
with given as materialized (
    select n, $received as received_at, $text as text, $theme as theme_id, $point as point from generate_series(1, $count) n
), drawn as materialized (
    select *, (substr(uuid_floor(received_at)::text, 1, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid as id from given
), linked as materialized (
    select *, event_hash('', $region\::smallint, id, 1, received_at, 'captured', 'test', '{}') as hash from drawn
), kept as (
    insert into appeal (region_id, id, number, code_digest, legal_class, channel, status, lang, auth, client, client_hash, request_id,
                        external_id, received_at, text, theme_id, theme_source, point, last_seq, last_hash)
    select $region, id, appeal_number($region\::smallint, extract(year from received_at)::int, nextval('appeal_serial_$region')), '', $class,
        'site', 'captured', 'ru', $auth, 'test', '', '', $tag, received_at, text, theme_id, case when theme_id is not null then 'citizen' end,
        st_setsrid(point, 4326), 1, hash
    from linked
), told as (
    insert into appeal_event (region_id, appeal_id, seq, at, kind, actor, detail, previous, hash)
    select $region, id, 1, received_at, 'captured', 'test', '{}', '', hash from linked
), counted as (
    insert into appeal_count as c (region_id, day, theme_id, body_id, municipality_id, slot, received)
    select $region, (received_at at time zone r.time_zone)::date, coalesce(theme_id, 0), 0, 0, 0, count(*)
    from linked join region r on r.id = $region group by 2, 3
    on conflict (region_id, day, theme_id, body_id, municipality_id, slot) do update set received = c.received + excluded.received
)
insert into outbox (region_id, topic, appeal_id, not_before) select $region, 'route', id, now() from linked
SQL
    sql("notify otklik_route, '$region'");
    return;
}

# Waits until nothing of the regions waits to be routed.
sub drained {
    my ($seconds, @regions) = @_;
    my $list = join ',', @regions;
    wait_for(sub { sql("select count(*) from outbox where topic = 'route' and region_id in ($list)") eq '0' }, $seconds, 'the queue to drain');
    return;
}

1;
