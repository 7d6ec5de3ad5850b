#!/usr/bin/env perl
# A hundred times: the same letter a hundred times at once. One appeal, and everybody hears the same.
use strict;
use warnings;
use utf8;
use IO::Select;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Test;
use Otklik::Letters;

my $rounds  = $ENV{ROUNDS} // 100;
my $clients = 100;
my ($address) = $ENV{OTKLIK_URL} =~ m{//([^/]+)};
my $tag = "same-$$";

sub connected { return IO::Socket::INET->new(PeerAddr => $address, Timeout => 10) // BAIL_OUT("$address: $@") }
my @sockets = map { connected() } 1 .. $clients;

sub letter_request {
    my ($round) = @_;
    my $body = as_json({ text => "Письмо $tag-$round", external_id => "$tag-$round", contact => { name => 'Проверкин' }, consent => '2026-01' });
    return "POST /api/v1/appeals HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nX-Api-Key: $ENV{OTKLIK_API_KEY}\r\n"
        . "Idempotency-Key: \"$tag-$round\"\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
}

# Writes REQUEST to all of the sockets, then reads an answer from each: [status, headers, body] by number.
sub at_once {
    my ($request, @numbers) = @_;
    my (%said, %answers);
    # All but the last byte, so that the last bytes of all arrive together.
    syswrite $sockets[$_], substr $request, 0, -1 for @numbers;
    syswrite $sockets[$_], substr $request, -1 for @numbers;
    my %number = map { fileno $sockets[$_] => $_ } @numbers;
    my $select = IO::Select->new(@sockets[@numbers]);
    my $until = time + 15;
    while ($select->count && time < $until) {
        for my $socket ($select->can_read($until - time)) {
            my $i = $number{ fileno $socket };
            my $n = sysread $socket, $said{$i}, 65536, length($said{$i} // '');
            if (!$n) { $select->remove($socket); $sockets[$i] = connected(); next }
            $said{$i} =~ m{\AHTTP/1\.1 (\d+) [^\r]*\r\n(.*?)\r\n\r\n(.*)}s or next;
            my ($status, $head, $body) = ($1, $2, $3);
            next unless $head =~ /^Content-Length: (\d+)\r?$/mi && length $body == $1;
            $answers{$i} = [$status, $head, $body];
            $select->remove($socket);
        }
    }
    return \%answers;
}

my (%statuses, @silent, @different, @alone, @first, @no_pause);
my $began = time;
for my $round (1 .. $rounds) {
    my (%bodies, $created);
    my @waiting = 0 .. $clients - 1;
    for (my $try = 0; @waiting && $try < 20; $try++) {
        sleep 0.2 if $try;
        my $answers = at_once(letter_request($round), @waiting);
        push @silent, grep { !$answers->{$_} } @waiting;
        my @again;
        for my $i (grep { $answers->{$_} } @waiting) {
            my ($status, $head, $body) = @{ $answers->{$i} };
            $statuses{$status}++;
            if ($status == 409) {
                push @no_pause, $round unless $head =~ /^Retry-After: [1-9]/mi;
                push @again, $i;
                next;
            }
            $bodies{"$status $body"}++;
            $created++ unless $head =~ /^Idempotency-Replayed: true/mi;
        }
        @waiting = @again;
    }
    push @different, $round if keys %bodies != 1;
    push @first, $round if ($created // 0) != 1;
    push @alone, $round if sql("select count(*) from appeal where external_id = '$tag-$round'") ne '1';
}
diag sprintf '%d rounds of %d in %.1f s: %s', $rounds, $clients, time - $began, join ', ', map { "$statuses{$_} × $_" } sort keys %statuses;
is_deeply \@silent, [], 'everybody is answered';
is_deeply \@different, [], 'each heard the same number and code in every round';
is_deeply \@first, [], 'one of them as the first, the others as a repetition';
is_deeply \@alone, [], 'one appeal a round';
is_deeply \@no_pause, [], 'whoever came too early is told when to come again';
is_deeply [ grep { !/\A(?:201|409)\z/ } keys %statuses ], [], 'and nobody heard anything else';
is_deeply half_written(), {}, 'nothing is half-written';

done_testing;
