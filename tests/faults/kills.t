#!/usr/bin/env perl
# kill -9 at random moments, of whoever is there, under load: what was answered 201 is there, once and whole.
# (kill.t has the same for otklik replay, one victim after another; edge_kills.t for the limits of the edge.)
# KILLS=200 OTKLIK_TEST_SECONDS=3600 tests/run tests/faults/kills.t
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Test;
use Otklik::Command;
use Otklik::Letters;

my $kills   = $ENV{KILLS} // 24;
my $clients = 16;

sub child_of {
    my ($service, $pattern) = @_;
    my $pid = service_pid($service) // return;
    my @children = grep { /$pattern/ } split /\n/, `ps -o pid=,args= --ppid $pid`;
    return @children ? ($children[ rand @children ] =~ /(\d+)/)[0] : undef;
}

# Who dies, and how to find it at that moment.
my @victims = (
    [ 'an intake worker' => sub { service_pid('intake') } ],
    [ 'an nginx worker' => sub { child_of('nginx', qr/worker/) } ],
    [ 'a database back end' => sub { child_of('postgres', qr/otklik_intake/) } ],
    [ 'the postmaster' => sub { service_pid('postgres') } ],
);

my $letters = letters_start($clients, "kills-$$");
my (%killed, $done);
my $began = time;
my $until = $began + 60 + 10 * $kills;
while (($done // 0) < $kills && time < $until) {
    # Three of four find letters on their way, one a system that is still getting up.
    wait_for(sub { internal('/intake/health/ready')->{status} == 200 }, 60, 'intake') if int rand 4;
    sleep rand 0.8;
    my $victim = $victims[ $done++ % @victims ];
    # It may be just about to come back from its last death.
    my $dead;
    until ($dead || time > $until) {
        my $pid = $victim->[1]->();
        $dead = $pid && kill 'KILL', $pid;
        sleep 0.002 + rand 0.01 unless $dead;
    }
    $killed{ $victim->[0] }++ if $dead;
}
my $took = time - $began;
my $total = 0;
$total += $_ for values %killed;
wait_for(sub { internal('/intake/health/ready')->{status} == 200 && eval { sql('select 1') } }, 60, 'all to be back');
my $met = letters_stop($letters);
my $promised = letters_promised($letters);
diag sprintf '%d kills in %.0f s (%s); %d letters, %s', $total, $took, join(', ', map { "$_ $killed{$_}" } sort keys %killed), scalar keys %$promised,
    join ', ', map { "$_: $met->{$_}" } sort keys %$met;

is $total, $kills, 'they were killed';
cmp_ok scalar keys %$promised, '>', 20 * $kills, 'letters came in all the while';
cmp_ok $met->{lost} + ($met->{502} // 0) + ($met->{503} // 0), '>', $kills / 4, 'and clients noticed';
is_deeply { map { $_ => $met->{$_} } grep { !/\A(?:201|409|50[234]|lost|unreachable|slowest)\z/ && $met->{$_} } keys %$met }, {},
    'no answer is out of place, none is missing, none changes, no letter is given up';
my $found = losses($letters, $promised);
is scalar @{ $found->{lost} }, 0, 'acknowledged and lost' or diag "@{ $found->{lost} }[0 .. 4]";
is scalar @{ $found->{doubled} }, 0, 'doubled' or diag "@{ $found->{doubled} }[0 .. 4]";
is_deeply half_written(), {}, 'half-written';
my $audit = otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' });
is $audit->{status}, 0, 'every chain is whole' or diag $audit->{out};
wait_for(sub { sql("select count(*) from outbox where topic = 'route'") eq '0' }, 120, 'the queue to drain');
is_deeply half_written(), {}, 'nor when routing has done its work';

done_testing;
