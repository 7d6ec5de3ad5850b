#!/usr/bin/env perl
# Every appeal finds its place, theme and body, soon, once, and whoever is killed meanwhile.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Time::HiRes qw(sleep time);
use Test::More;
use Otklik::Test;
use Otklik::Routing;

my $key = $ENV{OTKLIK_API_KEY};
my $demo = 90;
my $own = 87;    # a region that no other test uses
my $tag = "routing-$$";

# An appeal by the front door, as the citizen sees it once it is routed.
sub routed {
    my ($members, %o) = @_;
    my $sent = appeal($members, key => $key, %o);
    return wait_for(sub {
        my $seen = get("/api/v1/appeals/$sent->{number}?code=$sent->{code}")->{json};
        return $seen && $seen->{status} ne 'captured' ? $seen : undef;
    }, 10, "$sent->{number} to be routed");
}

sub reasons { my ($seen) = @_; return join ',', @{ $seen->{events}[-1]{detail}{reasons} // [] } }

# ---- through the front door, demo region

my $centre = sql("select name_ru from body where region_id = $demo and centre");
my %inside;
for (split /\n/, sql("select name_ru, st_x(p), st_y(p) from (select name_ru, st_pointonsurface(boundary) p from municipality where region_id = $demo) t")) {
    my ($name, $lon, $lat) = split /\|/;
    $inside{$name} = { lat => 0 + $lat, lon => 0 + $lon };
}
my ($theme) = split /\n/, sql("select code from theme where region_id = $demo and active order by code");
my ($anywhere) = map { $inside{$_} } sort keys %inside;

subtest 'a point belongs to the municipality around it' => sub {
    for my $name (sort keys %inside) {
        my $seen = routed({ theme => $theme, point => $inside{$name} });
        is $seen->{status}, 'routed', "$name: routed";
        is $seen->{municipality}{name}, $name, "$name: found";
        ok $seen->{body}{name}, "$name: $seen->{body}{name} answers";
        ok $seen->{due}{first_answer_at} && $seen->{due}{answer_at}, "$name: has both deadlines";
    }
};

subtest 'what cannot be routed goes to moderation, and says why' => sub {
    my $outside = routed({ theme => $theme, point => { lat => 0.5, lon => 0.5 } });
    is_deeply [$outside->{status}, reasons($outside), $outside->{municipality}], ['moderation', 'outside', undef], 'outside every boundary';
    ok $outside->{due}, '… with deadlines all the same';
    my $nowhere = routed({ theme => $theme, address => 'ул. Ленина, 1' });
    is_deeply [$nowhere->{status}, reasons($nowhere)], ['moderation', 'no_place'], 'no point';
    my $dumb = routed({ text => 'Здравствуйте! ' . new_key(), point => $anywhere });
    is_deeply [$dumb->{status}, reasons($dumb), $dumb->{theme}], ['moderation', 'no_theme', undef], 'no theme to be found';
    my $anonymous = routed({ theme => $theme, point => $anywhere }, key => undef);
    is_deeply [$anonymous->{status}, reasons($anonymous)], ['moderation', 'anonymous'], 'the anonymous lane';
    ok $anonymous->{body}{name}, '… with a body all the same';
    my $all = routed({ text => 'Здравствуйте! ' . new_key(), point => { lat => 0.5, lon => 0.5 } }, key => undef);
    is reasons($all), 'anonymous,no_theme,outside', 'several reasons at once';
    is $all->{body}{name}, $centre, '… and the centre answers';
};

subtest 'keywords find the theme' => sub {
    for my $case (['У нас во дворе НЕ ВЫВОЗЯТ МУСОР', 'waste.collection'], ['Сломался лифт в подъезде, застрял в лифте', 'housing.lift']) {
        my ($text, $code) = @$case;
        my $seen = routed({ text => "$text. " . new_key(), point => $anywhere });
        is $seen->{theme}{code}, $code, $text;
        is $seen->{events}[-1]{detail}{theme_source}, 'keywords', '… by keywords';
    }
    my $seen = routed({ text => 'Не вывозят мусор ' . new_key(), theme => 'housing.lift', point => $anywhere });
    is $seen->{theme}{code}, 'housing.lift', "the citizen's own choice counts";
    is $seen->{events}[-1]{detail}{theme_source}, 'citizen', '… and is called so';
};

subtest 'from the answer 201 to routed in less than 200 ms' => sub {
    my @took;
    for (1 .. 30) {
        my $sent = appeal({ theme => $theme, point => $anywhere }, key => $key);
        my $from = time;
        wait_for(sub { get("/api/v1/appeals/$sent->{number}?code=$sent->{code}")->{json}{status} ne 'captured' }, 10, 'the routing');
        push @took, time - $from;
    }
    my $median = (sort { $a <=> $b } @took)[15];
    cmp_ok $median, '<', 0.2, sprintf 'median %.0f ms, one at a time', $median * 1000;

    my $begun = time;
    for my $i (1 .. 200) {
        appeal({ theme => $theme, point => $anywhere, external_id => "$tag-$i" }, key => $key);
        my $ahead = $begun + $i / 100 - time;
        sleep $ahead if $ahead > 0;
    }
    drained(10, $demo);
    my ($ms, $n) = split /\|/, sql("select round(1000 * percentile_cont(0.5) within group (order by extract(epoch from routed_at - received_at))::numeric),"
        . " count(*) from appeal where external_id like '$tag-%'");
    is $n, 200, sprintf '200 appeals at %.0f a second', 200 / (time - $begun);
    cmp_ok $ms, '<', 200, "median $ms ms from reception";
};

# ---- put into the queue of an own region

plain_region($own);
sql(<<"SQL");
insert into municipality (region_id, name_ru, boundary)
select $own, n, st_multi(st_geomfromtext(w, 4326)) from (values
    ('Запад', 'polygon((170 60, 171 60, 171 61, 170 61, 170 60))'),
    ('Восток', 'polygon((171 60, 172 60, 172 61, 171 61, 171 60))'),
    ('Район', 'polygon((172.5 60, 175 60, 175 62, 172.5 62, 172.5 60))'),
    ('Город в районе', 'polygon((173 60.5, 174 60.5, 174 61, 173 61, 173 60.5))')) v (n, w)
on conflict do nothing;
insert into theme (region_id, code, group_ru, name_ru, keywords)
select $own, c, 'Проверка', c, '{}' from unnest(array['t-both', 't-theme', 't-none', 't-new']) c on conflict do nothing;
insert into body (region_id, name_ru) select $own, n from unnest(array['Оба', 'Тема', 'Место', 'Все']) n on conflict do nothing;
delete from routing_rule where region_id = $own;
insert into routing_rule (region_id, municipality_id, theme_id, body_id)
select $own, m.id, t.id, b.id
from (values ('Запад', 't-both', 'Оба'), (null, 't-both', 'Тема'), (null, 't-theme', 'Тема'), ('Запад', null, 'Место')) v (m, t, b)
join body b on b.region_id = $own and b.name_ru = v.b
left join municipality m on m.region_id = $own and m.name_ru = v.m
left join theme t on t.region_id = $own and t.code = v.t
SQL

# Body, municipality and status of appeals with a tag.
sub outcome {
    my ($what) = @_;
    return sql("select b.name_ru, m.name_ru, a.status from appeal a left join body b on b.region_id = a.region_id and b.id = a.body_id"
        . " left join municipality m on m.region_id = a.region_id and m.id = a.municipality_id where a.external_id = '$tag-$what'");
}

subtest 'the most exact row of the routing table wins' => sub {
    my $west = 'st_makepoint(170.5, 60.5)';
    my $east = 'st_makepoint(171.5, 60.5)';
    plant($own, 1, theme => 't-both', point => $west, tag => "$tag-both");
    plant($own, 1, theme => 't-both', point => $east, tag => "$tag-other");
    plant($own, 1, theme => 't-theme', point => $west, tag => "$tag-theme");
    plant($own, 1, theme => 't-none', point => $west, tag => "$tag-place");
    plant($own, 1, theme => 't-none', point => $east, tag => "$tag-centre");
    drained(10, $own);
    is outcome('both'), 'Оба|Запад|routed', 'municipality and theme';
    is outcome('other'), 'Тема|Восток|routed', 'the theme anywhere';
    is outcome('theme'), 'Тема|Запад|routed', 'the theme before the municipality';
    is outcome('place'), 'Место|Запад|routed', 'the municipality';
    is outcome('centre'), "Центр $own|Восток|routed", 'the centre when no row fits';
    sql("insert into routing_rule (region_id, body_id) select $own, id from body where region_id = $own and name_ru = 'Все'");
    plant($own, 1, theme => 't-none', point => $east, tag => "$tag-all");
    drained(10, $own);
    is outcome('all'), 'Все|Восток|routed', 'the row for everything before the centre';
};

subtest 'borders and overlaps are decided the same way every time' => sub {
    my $lower = sql("select name_ru from municipality where region_id = $own and name_ru in ('Запад', 'Восток') order by id limit 1");
    plant($own, 20, theme => 't-none', point => 'st_makepoint(171, 60.1 + n / 30.0)', tag => "$tag-border");
    plant($own, 20, theme => 't-none', point => 'st_makepoint(173 + n / 20.0, 60.7)', tag => "$tag-city");
    plant($own, 1, theme => 't-none', point => 'st_makepoint(174.5, 60.7)', tag => "$tag-district");
    drained(10, $own);
    is sql("select string_agg(distinct m.name_ru, ',') from appeal a join municipality m on m.region_id = a.region_id and m.id = a.municipality_id"
        . " where a.external_id = '$tag-border'"), $lower, 'on a shared border: the lower id';
    is sql("select string_agg(m.name_ru, ',') from (select distinct municipality_id from appeal where external_id = '$tag-city'"
        . " and st_x(point) < 174) a join municipality m on m.region_id = $own and m.id = a.municipality_id"), 'Город в районе', 'inside two: the smaller';
    like outcome('district'), qr/\|Район\|/, 'inside one: that one';
};

subtest 'new keywords are in force at once' => sub {
    sql("update theme set keywords = array['новоеслово'] where region_id = $own and code = 't-new'");
    sql('notify otklik_dictionaries');
    plant($own, 1, text => "'Совсем НовоеСлово' || n", point => 'st_makepoint(170.5, 60.5)', tag => "$tag-new");
    drained(10, $own);
    is sql("select t.code, a.theme_source from appeal a join theme t on t.region_id = a.region_id and t.id = a.theme_id where a.external_id = '$tag-new'"),
        't-new|keywords', 'the word is known';
};

# What must hold after every storm: each appeal has its events and no more, the chain holds, counters equal a recount.
sub all_in_order {
    my ($what, $n) = @_;
    is sql("select count(*), count(*) filter (where status = 'captured') from appeal where external_id = '$tag-$what'"), "$n|0", 'all of them are routed';
    is sql("select count(*) from (select e.appeal_id from appeal_event e join appeal a on (a.region_id, a.id) = (e.region_id, e.appeal_id)"
         . " where a.external_id = '$tag-$what' group by 1 having count(*) <> 2) t"), '0', 'each exactly once';
    counters_and_chain($own);
    return;
}

sub counters_and_chain {
    my ($region) = @_;
    is sql(<<"SQL"), '0', 'the counters equal a recount';
select count(*) from (
    select (a.received_at at time zone r.time_zone)::date as day, coalesce(theme_id, 0) t, coalesce(body_id, 0) b, coalesce(municipality_id, 0) m,
           count(*) received, count(*) filter (where status not in ('captured', 'moderation')) routed, count(*) filter (where status = 'moderation') moderation
    from appeal a join region r on r.id = a.region_id where a.region_id = $region group by 1, 2, 3, 4
) x full join (
    select day, theme_id t, body_id b, municipality_id m, sum(received) received, sum(routed) routed, sum(moderation) moderation
    from appeal_count where region_id = $region group by 1, 2, 3, 4 having sum(received) <> 0 or sum(routed) <> 0 or sum(moderation) <> 0
) y using (day, t, b, m)
where (x.received, x.routed, x.moderation) is distinct from (y.received, y.routed, y.moderation)
SQL
    is sql(<<"SQL"), '0', 'the chain of events holds';
select count(*) from (
    select e.*, lag(e.hash, 1, '') over (partition by e.appeal_id order by e.seq) as before,
           lag(e.seq, 1, 0) over (partition by e.appeal_id order by e.seq) as seq_before
    from appeal_event e where e.region_id = $region
) e
join appeal a on a.region_id = e.region_id and a.id = e.appeal_id
where e.previous <> e.before or e.seq <> e.seq_before + 1
   or e.hash <> event_hash(e.previous, e.region_id, e.appeal_id, e.seq, e.at, e.kind, e.actor, e.detail)
   or (e.seq = a.last_seq and e.hash <> a.last_hash) or e.seq > a.last_seq
SQL
    return;
}

my $somewhere = 'st_makepoint(170 + 5 * random(), 60 + 2 * random())';

subtest 'killed at work, it loses nothing and does nothing twice' => sub {
    sv('down', 'routing');
    plant($own, 12000, theme => 't-both', point => $somewhere, tag => "$tag-kill");
    sv('up', 'routing');
    my $kills = 0;
    for (1 .. 5) {
        sleep 0.1 + rand 0.4;
        $kills += eval { kill_service('routing'); 1 } // 0;
        wait_for(sub { service_pid('routing') }, 10, 'the supervisor');
    }
    cmp_ok $kills, '>=', 3, "$kills kills";
    drained(60, $own);
    all_in_order(kill => 12000);
};

subtest 'two processes share the work' => sub {
    sv('down', 'routing');
    plant($own, 12000, theme => 't-both', point => $somewhere, tag => "$tag-two");
    my $dir = test_dir();
    my $before = sql("select coalesce(sum(routed + moderation), 0) from appeal_count where region_id = $own and slot = 101");
    my $second = fork // die "fork: $!";
    if ($second == 0) {
        open STDERR, '>', "$dir.second.log";
        my $as = $> == 0 ? 'chpst -u otklik:otklik ' : '';
        exec 'sh', '-c', "set -a; . $dir/etc/routing.env; OTKLIK_SOCKET=$dir/run/second.sock; OTKLIK_SLOT=101; exec $as$dir/app/lib/otklik/otklik-routing";
    }
    sv('up', 'routing');
    drained(60, $own);
    kill 'TERM', $second;
    waitpid $second, 0;
    is $?, 0, 'the second one ends in peace';
    unlink "$dir.second.log";
    my $did = sql("select coalesce(sum(routed + moderation), 0) from appeal_count where region_id = $own and slot = 101") - $before;
    cmp_ok $did, '>', 0, "it did $did";
    cmp_ok $did, '<', 12000, '… and not all';
    all_in_order(two => 12000);
};

subtest 'a poison row hurts nobody' => sub {
    sql("alter table appeal add constraint poison check (not (text like 'Яд %' and status <> 'captured')) not valid");
    plant($own, 100, point => $somewhere, text => "case when n in (1, 50) then 'Яд ' else 'Вода ' end || n", tag => "$tag-poison");
    wait_for(sub { sql("select count(*) from appeal where external_id = '$tag-poison' and status = 'captured'") eq '2' }, 20, 'the others');
    pass 'the others are routed';
    wait_for(sub { sql("select count(*) from outbox where region_id = $own and attempts > 0 and not_before > now() - interval '1 minute'") eq '2' }, 20,
        'both to be put back');
    is sql("select count(*) from appeal_event e join appeal a on (a.region_id, a.id) = (e.region_id, e.appeal_id)"
         . " where a.external_id = '$tag-poison' and a.text like 'Яд%'"), '2', 'the poison ones have only their first event';
    my $metrics = internal('/routing/metrics')->{content};
    my ($failed) = $metrics =~ /^otklik_routing_failed_total(?:\{[^}]*\})? ([0-9.e+]+)/m;
    cmp_ok $failed // 0, '>=', 2, 'the failures are counted';
    unlike log_of('routing'), qr/Яд|Вода/, 'the log holds no text';
    sql('alter table appeal drop constraint poison');
    sql("update outbox set not_before = now() where region_id = $own");
    drained(20, $own);
    all_in_order(poison => 100);
};

subtest 'metrics tell' => sub {
    my $metrics = internal('/routing/metrics')->{content};
    for my $name (qw(routed_total moderation_total failed_total queue_depth latency_seconds_count latency_seconds_sum)) {
        like $metrics, qr/^otklik_routing_$name(?:\{[^}]*\})? [0-9.e+-]+$/m, $name;
    }
};

counters_and_chain($demo);

done_testing;
