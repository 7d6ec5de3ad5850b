#!/usr/bin/env perl
# Lists that take long, and anybody may ask for, delay nobody who sends a letter: they have a connection of their own, and end.
use strict;
use warnings;
use utf8;
use FindBin;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Test;

my $list = '/open311/v2/requests.json';

# Lists read what services ask, letters do not: whoever holds that table makes lists as slow as he likes.
my $psql = open(my $to_psql, '|-', 'psql', '--no-psqlrc', '--quiet', '--username=postgres') || die "psql: $!";
$to_psql->autoflush(1);
print {$to_psql} "begin; lock table otklik.theme_attribute in access exclusive mode;\n";
wait_for(sub { sql("select count(*) from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 'otklik.theme_attribute'::regclass", role => 'postgres') eq '1' }, 10, 'the lock');

my @waiting = map {
    my $pid = open(my $from, '-|') // die "fork: $!";
    if ($pid == 0) {
        my $began = time;
        my $status = get($list)->{status};
        printf '%d %.3f', $status, time - $began;
        close STDOUT;
        POSIX::_exit(0);
    }
    $from;
} 1 .. 6;
my $stuck = q(select count(*) from pg_stat_activity where application_name = 'otklik-intake' and wait_event_type = 'Lock');
wait_for(sub { sql($stuck, role => 'postgres') > 0 }, 5, 'lists to wait');

my (@took, @looks);
for (1 .. 15) {
    my $began = time;
    my $made = appeal({ text => 'Пока списки ждут ' . new_key() });
    push @took, time - $began if $made->{number};
    $began = time;
    push @looks, time - $began if get('/api/v1/themes')->{status} == 200;
}
cmp_ok sql($stuck, role => 'postgres'), '>', 0, 'lists were waiting all the while';
is scalar @took, 15, 'letters are stored meanwhile';
is scalar @looks, 15, 'who asks for something small is answered';
my ($slowest) = sort { $b <=> $a } @took, @looks;
cmp_ok $slowest, '<', 0.7, sprintf 'each at once, the slowest in %.0f ms', 1000 * $slowest;

for my $from (@waiting) {
    my ($status, $seconds) = split / /, do { local $/ = undef; readline $from };
    is $status, 503, sprintf 'a list is told to come again, after %.1f s', $seconds;
    cmp_ok $seconds, '<', 2.5, 'in time';
}
wait_for(sub { sql($stuck, role => 'postgres') eq '0' }, 20, 'PostgreSQL to end what nobody waits for');
pass 'PostgreSQL works for none of them any more';
print {$to_psql} "rollback;\n";
close $to_psql;
is wait_for(sub { my $a = get($list); $a->{status} == 200 && $a }, 10, 'lists to come again')->{status}, 200, 'then they are answered again';

done_testing;
