#!/usr/bin/env perl
# What dies is back within a second, and a second start is quick and changes nothing.
use strict;
use warnings;
use Test::More;
use Time::HiRes qw(time);
use Otklik::Test;

my $dir = test_dir();
my %healthy = (
    nginx => '/health/live', intake => '/intake/health/ready', routing => '/routing/health/ready', reporting => '/reporting/health/ready',
    pictures => '/pictures/health/ready', courier => '/courier/health/ready',
);
for my $service (qw(intake routing reporting pictures courier nginx)) {
    my $old = kill_service($service);
    my $from = time;
    wait_for(sub { (service_pid($service) // $old) != $old && internal($healthy{$service})->{status} == 200 }, 5, $service);
    my $took = time - $from;
    ok $took < 1.5, sprintf '%s serves again %.2f s after its death', $service, $took;
}
my $old = kill_service('postgres');
my $from = time;
wait_for(sub { (service_pid('postgres') // $old) != $old && internal($healthy{intake})->{status} == 200 && eval { sql('select 1') } }, 20, 'PostgreSQL');
ok 1, sprintf 'PostgreSQL serves again %.2f s after its death', time - $from;

my ($port) = $ENV{OTKLIK_URL} =~ /:(\d+)$/;
my $keys = slurp("$dir/etc/keys");
my %pid = map { $_ => service_pid($_) } qw(nginx intake routing reporting pictures courier postgres);
$from = time;
my $said = do {
    local $ENV{OTKLIK_ANON_RATE} = '1000r/s';
    local $ENV{OTKLIK_ANON_BURST} = '2000';
    local $ENV{BUILD} = $ENV{OTKLIK_BUILD};
    `scripts/stack up $dir --port $port 2>&1`;
};
is $?, 0, 'a second start does no harm' or diag $said;
my $took = time - $from;
ok $took < 5, sprintf 'it took %.2f s', $took;
is slurp("$dir/etc/keys"), $keys, 'the keys stay';
is_deeply { map { $_ => service_pid($_) } keys %pid }, \%pid, 'and every process goes on';

my $other = "$dir-other";
$said = `scripts/stack up $other --port $port 2>&1`;
isnt $?, 0, 'a port in use is refused';
like $said, qr/port $port is in use/, 'and named';
system 'rm', '-rf', $other;

sub slurp { my ($file) = @_; open my $in, '<', $file or return ''; local $/ = undef; return <$in> }

done_testing;
