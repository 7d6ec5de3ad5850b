#!/usr/bin/env perl
# Whom limits spare, who may not come at all, limits that only say what they would do, networks, and that a refused address is not worth a signature.
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Nginx;
use Otklik::Token;

my $dir = nginx_dir();
sub put { my ($name, $text) = @_; open my $out, '>', "$dir/$name.new" or die $!; print {$out} $text; close $out or die $!; rename "$dir/$name.new", "$dir/$name" or die $!; return }
put('allow', "192.0.2.0/24 # the centre\n2001:db8:1::/48\n");
put('deny', "203.0.113.7\n");
my $token_key = new_token_key('ES256');
put('jwks.json', jwk_set(jwk($token_key)));

my $http = <<'CONF';
appeal_limit_zone one 1m;
set_real_ip_from 127.0.0.1;
real_ip_header X-Real-IP;
CONF
my $server = <<"CONF";
appeal_auth anonymous;
appeal_limit_allow $dir/allow;
appeal_limit_deny $dir/deny;
location \@ok { add_header X-Dry-Run \$appeal_dry_run; return 204; }
location /one { appeal_limit one key=address rate=1r/h burst=2 name=one; try_files /none \@ok; }
location /network { appeal_limit one key=network rate=1r/h burst=2 name=network; try_files /none \@ok; }
location /try {
    appeal_limit one key=address rate=1r/h burst=2 dry_run name=strict;
    appeal_limit one key=address rate=1r/h burst=4 name=wide;
    try_files /none /again;
}
location /again { appeal_limit one key=address rate=1r/h burst=2 dry_run name=strict; try_files /none \@ok; }
location /token {
    appeal_auth jwt; appeal_jwt_keys $dir/jwks.json; appeal_jwt_issuer i; appeal_jwt_audience a;
    appeal_limit one key=address rate=1r/h burst=3 name=token;
    try_files /none \@ok;
}
location = /metrics { appeal_auth off; appeal_metrics; }
CONF
nginx_start($http, $server);

sub from { my ($address, $path, %headers) = @_; return nginx_get($path, headers => { 'X-Real-IP' => $address, %headers }) }
sub statuses { my ($address, $path, $n) = @_; return join ' ', map { from($address, $path)->{status} } 1 .. $n }
sub metric { my ($name) = @_; return nginx_get('/metrics')->{content} =~ /^otklik_edge_\Q$name\E (\d+)$/m ? $1 : undef }

subtest 'who is on the list is not limited' => sub {
    is statuses('192.0.2.200', '/one', 5), '204 204 204 204 204', 'an address of its network';
    is from('192.0.2.200', '/one')->{headers}{ratelimit}, undef, 'and nothing is told of limits';
    is statuses('192.0.3.1', '/one', 3), '204 204 429', 'its neighbour is';
    is statuses('2001:db8:1:ffff::1', '/one', 3), '204 204 204', 'an IPv6 network';
    is statuses('2001:db8:2::1', '/one', 3), '204 204 429', 'another';
};

subtest 'who is on the other list does not come in' => sub {
    my $answer = from('203.0.113.7', '/one');
    is $answer->{status}, 403, 'refused';
    is $answer->{json}{reason}, 'denied_address', 'with a reason';
    is from('203.0.113.8', '/one')->{status}, 204, 'its neighbour does';
};

subtest 'the lists are read again' => sub {
    put('deny', "203.0.113.9\n");
    put('allow', "203.0.113.7\n");
    my $until = time + 4;
    sleep 0.1 until from('203.0.113.7', '/one')->{status} == 204 || time > $until;
    is statuses('203.0.113.7', '/one', 4), '204 204 204 204', 'from one list to the other';
    is from('203.0.113.9', '/one')->{status}, 403, 'and who is new on it';
    put('deny', "203.0.113.300\n");
    $until = time + 4;
    until (nginx_log() =~ m{deny", line 1: it is no address} || time > $until) { sleep 0.1; from('203.0.113.9', '/one') }
    like nginx_log(), qr{deny", line 1: it is no address}, 'a broken list is told of';
    is from('203.0.113.9', '/one')->{status}, 403, 'and the one before it stays';
};

subtest 'by network' => sub {
    is statuses('198.51.100.1', '/network', 1), '204', 'one of a /24';
    is statuses('198.51.100.255', '/network', 2), '204 429', 'shares with another of it';
    is statuses('198.51.101.1', '/network', 1), '204', 'not with the next';
    is statuses('2001:db8:7:1::1', '/network', 2), '204 204', 'one of a /48';
    is statuses('2001:db8:7:ffff::1', '/network', 1), '429', 'shares with another of it';
    is statuses('2001:db8:8::1', '/network', 1), '204', 'not with the next';
    is statuses('2001:db8:9:1::1', '/one', 3), '204 204 429', 'by address an IPv6 client';
    is statuses('2001:db8:9:1:ffff::1', '/one', 1), '429', 'is its /64';
    is statuses('2001:db8:9:2::1', '/one', 1), '204', 'and no more';
};

subtest 'a dry run refuses nobody' => sub {
    sleep 1.1; # the log takes ten refusals a second
    my @answers = map { from('198.18.0.1', '/try') } 1 .. 5;
    is join(' ', map { $_->{status} } @answers), '204 204 204 204 429', 'the real limit does';
    is join(' ', map { $_->{headers}{'x-dry-run'} // '-' } @answers[0 .. 3]), '- - strict strict', 'it says whom it would have refused';
    is $answers[0]{headers}{'ratelimit-policy'}, '"wide";q=4;w=14400', 'clients are not told of it';
    is metric('limit_would_refuse_total{zone="one",policy="strict"}'), 2, 'it is counted';
    like nginx_log(), qr/dry run: "strict" would have refused/, 'and logged';
};

subtest 'an address that is refused anyhow costs no signature' => sub {
    my $good = token($token_key, claims => { iss => 'i', aud => 'a' });
    my $forged = substr($good, 0, -4) . (substr($good, -4) eq 'AAAA' ? 'BBBB' : 'AAAA');
    my @reasons = map { from('198.18.0.2', '/token', Authorization => "Bearer $forged")->{json}{reason} } 1 .. 5;
    is "@reasons", 'bad_signature bad_signature bad_signature rate_exceeded rate_exceeded', 'three guesses, then it is not looked at any more';
    my $answer = from('198.18.0.2', '/token', Authorization => "Bearer $good");
    is $answer->{json}{reason}, 'rate_exceeded', 'not even a good one';
    cmp_ok $answer->{headers}{'retry-after'}, '>', 3000, 'which is told when to come again';
    is metric('jwt_verified_total'), 0, 'no signature was verified for it';
    is from('198.18.0.3', '/token', Authorization => "Bearer $good")->{status}, 204, 'from elsewhere it is good';
};

done_testing;
