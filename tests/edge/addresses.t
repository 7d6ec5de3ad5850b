#!/usr/bin/env perl
# What an address is to limits and pseudonyms: all of an IPv4 one, the /64 of an IPv6 one, the client's own behind a proxy that is trusted.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Nginx;

my $service = 'fastcgi_param APPEAL_CLIENT $appeal_client; fastcgi_pass unix:' . nginx_dir() . '/echo.sock;';
my $http = 'appeal_limit_zone one 1m; real_ip_header X-Real-IP;';
my $server = <<"CONF";
location /trusted { appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=2 name=trusted; $service }
location /direct { appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=2 name=direct; $service }
CONF
# realip looks before the place is known, so it is told outside.
nginx_start("$http set_real_ip_from 127.0.0.1;", $server);

sub from { my ($address) = @_; return nginx_get('/trusted', headers => { 'X-Real-IP' => $address }) }
sub client { my ($address) = @_; my $answer = nginx_get('/direct', headers => { 'X-Real-IP' => $address }); return $answer->{json}{APPEAL_CLIENT}[0] }
sub statuses { return join ' ', map { from($_)->{status} } @_ }

is statuses(('192.0.2.1') x 3), '200 200 429', 'an IPv4 address has its limit';
is statuses('192.0.2.2'), '200', 'its neighbour has one of his own';
is statuses('::ffff:192.0.2.1', '::ffff:192.0.2.3'), '429 200', 'written as IPv6 it is the same address';
is statuses('2001:db8:1:2::1', '2001:db8:1:2:ffff::5', '2001:db8:1:2:3:4:5:6'), '200 200 429', 'a /64 is one client';
is statuses('2001:db8:1:3::1'), '200', 'the next /64 is another';
is statuses('c000:0201::'), '200', 'an IPv6 network is not taken for the IPv4 address it begins with';

is client('2001:db8:9:9::1'), client('2001:db8:9:9::2'), 'pseudonyms are of the /64, too';
isnt client('2001:db8:9:8::1'), client('192.0.2.7'), 'and differ by address';
like client('192.0.2.9'), qr/\A[0-9a-f]{32}\z/, 'of 128 bits';

# ---- the same address, another secret; and who is not trusted

my $before = client('192.0.2.10');
nginx_reload("$http set_real_ip_from 127.0.0.1;", $server);
is client('192.0.2.10'), $before, 'a reload keeps pseudonyms';
{ open my $out, '>', nginx_dir() . '/secret' or die $!; print {$out} 'another secret of more than 16 bytes'; close $out or die $! }
nginx_reload($http, $server);
isnt client('192.0.2.11'), $before, 'another secret, other pseudonyms';
my @statuses = map { nginx_get('/direct', headers => { 'X-Real-IP' => "192.0.2.$_" })->{status} } 1 .. 3;
is "@statuses", '200 429 429', 'a header of somebody not trusted buys nothing';
{ open my $out, '>', nginx_dir() . '/secret' or die $!; print {$out} 'too short'; close $out or die $! }
my ($status, $said) = nginx_config($http, $server);
isnt $status, 0, 'a secret that can be guessed is refused';
like $said, qr/fewer than 16 bytes/, 'and why';

done_testing;
