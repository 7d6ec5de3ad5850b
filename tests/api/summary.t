#!/usr/bin/env perl
# The centre's report equals a recount, is for the staff of its own region only, and says in words what is wrong with a question.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Command;
use Otklik::Test;

my $staff = $ENV{OTKLIK_STAFF_KEY};
sub report { my ($query, %o) = @_; return get('/api/v1/reports/summary' . ($query // ''), key => $staff, %o) }

appeal({ theme => $_->[0], point => { lat => $_->[1], lon => $_->[2] } }, key => $ENV{OTKLIK_API_KEY})
    for (['light.street', 57.8, 61.2]) x 3, ['housing.lift', 57.8, 61.2], ['road.pothole', 0, 0];
appeal({ text => 'Здравствуйте ' . new_key() });
wait_for(sub { sql("select count(*) from outbox where topic = 'route'") eq '0' }, 20, 'routing');

my %recount = (
    theme => "coalesce((select t.name_ru from theme t where t.region_id = a.region_id and t.id = a.theme_id), 'Пока не определено')",
    group => "coalesce((select t.group_ru from theme t where t.region_id = a.region_id and t.id = a.theme_id), 'Пока не определено')",
    body => "coalesce((select b.name_ru from body b where b.region_id = a.region_id and b.id = a.body_id), 'Пока не определено')",
    municipality => "coalesce((select m.name_ru from municipality m where m.region_id = a.region_id and m.id = a.municipality_id), 'Пока не определено')",
    day => "(a.received_at at time zone 'Europe/Moscow')::date::text",
);
for my $by (sort keys %recount) {
    my $answer = report("?by=$by");
    is $answer->{status}, 200, "by $by" or diag $answer->{content};
    my $json = $answer->{json};
    is $json->{by}, $by, "by $by: says so";
    my %got = map { $_->{name} => "$_->{received}|$_->{routed}|$_->{moderation}" } grep { $_->{received} } @{ $json->{rows} };
    my %wanted = map { /\A(.*?)\|(.*)\z/ ? ($1 => $2) : () } split /\n/, sql("select $recount{$by}, count(*), count(*) filter (where status not in ('captured', 'moderation')),"
        . " count(*) filter (where status = 'moderation') from appeal a where region_id = 90 group by 1");
    is_deeply \%got, \%wanted, "by $by: equals a recount";
    is $json->{total}{received}, sql('select count(*) from appeal where region_id = 90'), "by $by: the total, too";
}

my $days = report('?by=day&from=2026-11-01&to=2026-11-10')->{json};
is_deeply [map { $_->{code} } @{ $days->{rows} }], [map { sprintf '2026-11-%02d', $_ } 1 .. 10], 'days without letters are days, too';
my $default = report('?by=day')->{json};
is scalar @{ $default->{rows} }, 30, 'thirty days when no span is named';
is report('?by=theme&from=2020-01-01&to=2020-02-01')->{json}{total}{received}, 0, 'nothing before the beginning';

my $english = report('?by=theme', lang => 'en')->{json};
ok grep({ $_->{name} eq 'Street lights do not work' } @{ $english->{rows} }), 'in English';
ok grep({ $_->{name} eq 'Not known yet' } @{ $english->{rows} }), 'also what is not known';

my $csv = report('?by=theme&format=csv');
is $csv->{status}, 200, 'CSV';
like $csv->{headers}{'content-type'}, qr{\Atext/csv}, 'is called so';
utf8::decode(my $text = $csv->{content});
my @lines = split /\r\n/, $text;
is $lines[0], "\x{feff}номер,код,название,получено,направлено,на проверке", 'a head that spreadsheets read';
is scalar @lines - 1, scalar @{ report('?by=theme')->{json}{rows} }, 'a line for each row';
ok grep(/\A\d+,light\.street,"Не горят фонари",\d+,\d+,\d+\z/, @lines), 'as RFC 4180 has it' or diag $text;
like report('?by=theme', headers => { Accept => 'text/csv' })->{headers}{'content-type'}, qr{\Atext/csv}, 'or by Accept';
like report('?by=theme', headers => { Accept => 'application/json, text/csv' })->{headers}{'content-type'}, qr{\Aapplication/json}, 'who takes both gets JSON';
my $quoted = 'Отдел "Дороги, мосты" ' . new_key();
sql("insert into theme (region_id, code, group_ru, name_ru) values (90, 'test.quoted', 'Проверка', '$quoted')");
appeal({ theme => 'test.quoted' }, key => $ENV{OTKLIK_API_KEY});
utf8::decode(my $with_quotes = report('?by=theme&format=csv')->{content});
my ($cell) = $with_quotes =~ /,test\.quoted,"((?:[^"]|"")*)",1,/;
is $cell =~ s/""/"/gr, $quoted, 'a name with quotes and a comma stays one cell';

is report('?from=2021-02-01&to=2026-02-01')->{status}, 200, 'five years to the day are not too many';
is report('?to=0001-01-01')->{json}{from}, '0001-01-01', 'time begins with the year 1';
is report('?from=2031-01-01&by=day')->{json}{to}, '2031-01-01', 'a day that has not come is a report of nothing';

my %wrong = (
    '?by=colour' => ['by not_an_option'],
    '?from=yesterday' => ['from form'],
    '?from=2026-02-30' => ['from form'],
    '?from=2026-03-01&to=2026-02-01' => ['from order', 'to order'],
    '?from=2010-01-01&to=2026-02-01' => ['from span', 'to span'],
    '?from=2021-02-01&to=2026-02-02' => ['from span', 'to span'],
    '?from=2010-01-01' => ['from span'],
    '?from=0000-01-01' => ['from form'],
    '?by=day&by=theme' => ['by duplicate'],
    '?colour=red&format=xml' => ['colour unknown', 'format not_an_option'],
);
for my $query (sort keys %wrong) {
    my $answer = report($query, lang => 'en');
    is $answer->{status}, 422, "$query: refused";
    is_deeply [sort map { "$_->{field} $_->{code}" } @{ $answer->{json}{errors} }], $wrong{$query}, "$query: and why";
}

# A letter waits in "not known yet" until routing has found its place: it is never counted twice, nor lost in between.
wait_for(sub { sql("select count(*) from outbox where topic = 'route'") eq '0' }, 20, 'routing');
sv('down', 'routing');
sub row { my ($by, $name) = @_; my ($row) = grep { $_->{name} eq $name } @{ report("?by=$by")->{json}{rows} }; return $row // { received => 0, routed => 0 } }
my $total = report()->{json}{total};
my %waiting = map { $_ => row($_, 'Пока не определено')->{received} } qw(body municipality);
my $letter = appeal({ theme => 'light.street', point => { lat => 57.8, lon => 61.2 } }, key => $ENV{OTKLIK_API_KEY});
is row($_, 'Пока не определено')->{received}, $waiting{$_} + 1, "by $_: not known at first" for sort keys %waiting;
is report()->{json}{total}{received}, $total->{received} + 1, 'counted at once';
is report()->{json}{total}{routed}, $total->{routed}, 'not routed yet';
sv('up', 'routing');
wait_for(sub { sql("select status from appeal where id = '$letter->{id}'") eq 'routed' }, 20, 'routing');
is row($_, 'Пока не определено')->{received}, $waiting{$_}, "by $_: known now" for sort keys %waiting;
is report()->{json}{total}{received}, $total->{received} + 1, 'still counted once';
is report()->{json}{total}{routed}, $total->{routed} + 1, 'and routed';

is get('/api/v1/reports/summary')->{status}, 401, 'not for nobody';
is get('/api/v1/reports/summary', key => $ENV{OTKLIK_API_KEY})->{status}, 403, 'not for a partner';
my $made = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--subject', 'other-staff', '--roles', 'staff', '--region', '67');
my ($other) = $made->{out} =~ /(otk_\w+)/;
# Each process of the edge reads the file for itself: ask until it is known, and take that answer.
my $foreign = wait_for(sub { my $a = report('?by=theme', key => $other); $a->{status} == 200 && $a }, 5, 'the edge to know the new key')->{json};
is $foreign->{region}, 67, 'the staff of another region';
is_deeply $foreign->{rows}, [], 'sees its own, not ours';

done_testing;
