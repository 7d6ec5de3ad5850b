#!/usr/bin/env perl
# Queues have an end: while the database says nothing, as many letters wait as OTKLIK_QUEUE_MAX says; the others are told at once to come again.
use strict;
use warnings;
use utf8;
use IO::Select;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Test;
use Otklik::Command;

my $room    = 40;
my $clients = 240;
my ($address) = $ENV{OTKLIK_URL} =~ m{//([^/]+)};
my $file = test_dir() . '/etc/intake.env';
my $before = read_file($file);

sub settings {
    my ($text) = @_;
    write_file($file, $text);
    sv('restart', 'intake');
    wait_for(sub { internal('/intake/health/ready')->{status} == 200 }, 20, 'intake');
    return;
}

sub cluster { my $postmaster = service_pid('postgres'); return ($postmaster, map { /(\d+)/ ? $1 : () } split /\n/, `ps -o pid= --ppid $postmaster`) }

sub resident { my ($kb) = read_file('/proc/' . service_pid('intake') . '/status') =~ /^VmRSS:\s+(\d+)/m; return $kb }

settings("$before\nOTKLIK_QUEUE_MAX=$room\n");
my @sockets = map { IO::Socket::INET->new(PeerAddr => $address, Timeout => 10) // BAIL_OUT("$address: $@") } 1 .. $clients;
is appeal({}, key => $ENV{OTKLIK_API_KEY})->{status}, 'captured', 'all is well before';
my @hung = cluster();
kill 'STOP', @hung;
my %asked;
for my $i (0 .. $#sockets) {
    my $body = as_json({ text => "Письмо в очереди $$-$i" });
    syswrite $sockets[$i], "POST /api/v1/appeals HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nX-Api-Key: $ENV{OTKLIK_API_KEY}\r\n"
        . "Idempotency-Key: \"queue-$$-$i\"\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    $asked{ fileno $sockets[$i] } = time;
}
my (%said, @took, @odd);
my $select = IO::Select->new(@sockets);
my $until = time + 10;
while ($select->count && time < $until) {
    for my $socket ($select->can_read($until - time)) {
        my $n = fileno $socket;
        sysread $socket, $said{$n}, 65536, length($said{$n} // '') or do { push @odd, 'closed'; $select->remove($socket); next };
        next unless $said{$n} =~ /\r\n\r\n\{.*\}\n?\z/s;
        push @took, time - $asked{$n};
        push @odd, $said{$n} unless $said{$n} =~ m{\AHTTP/1\.1 503 } && $said{$n} =~ /^Retry-After: [1-9]\d*\r$/mi && $said{$n} =~ m{/problems/unavailable};
        $select->remove($socket);
    }
}
my $full = resident();
kill 'CONT', @hung;
@took = sort { $a <=> $b } @took;
is scalar @took, $clients, 'everybody is answered';
is_deeply \@odd, [], '503, when to come again, and why';
my $at_once = grep { $_ < 1 } @took;
cmp_ok $at_once, '>=', $clients - $room, sprintf '%d of %d at once: half of all within %.0f ms', $at_once, $clients, 1000 * $took[ @took / 2 ];
cmp_ok $took[-1], '<', 2.5, sprintf 'the others before the client gives up: %.2f s', $took[-1];
cmp_ok $full, '<', 32 * 1024, sprintf 'and intake does not grow for it: %d KB', $full;
settings($before);
wait_for(sub { post_json('/api/v1/appeals', { text => "Письмо в очереди $$-0" }, idempotency => "queue-$$-0", key => $ENV{OTKLIK_API_KEY})->{status} == 201 }, 20, 'the first to be taken');
is sql("select count(*) from (select text from appeal where text like 'Письмо в очереди $$-%' group by text having count(*) > 1) as double"), '0', 'what waited is there once';
is sql("select count(*) from appeal where text = 'Письмо в очереди $$-0'"), '1', 'and who comes again finds it';

done_testing;
