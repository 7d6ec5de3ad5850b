#!/usr/bin/env perl
# Nothing that a client sends reaches a service as an APPEAL_* parameter; what does reach it is the list of conf/nginx/fastcgi_appeal.conf.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Nginx;

my @listed = do {
    open my $in, '<', 'conf/nginx/fastcgi_appeal.conf' or die $!;
    map { /\Afastcgi_param\s+(\S+)/ ? $1 : () } <$in>;
};
cmp_ok scalar @listed, '>', 10, 'the list is there';
my ($line, $key) = new_key_line('partner', roles => 'integrator', region => 67);
nginx_keys($line);
my $root = `pwd`;
chomp $root;
nginx_start('appeal_request_id on;', "appeal_region 90; location / { appeal_auth api_key anonymous; include $root/conf/nginx/fastcgi_appeal.conf; fastcgi_pass unix:"
    . nginx_dir() . '/echo.sock; }');

my %forged = map { ($_ => 'forged') } qw(Appeal-Auth Appeal-Subject Appeal-Roles Appeal-Region Appeal-Request-Id APPEAL_AUTH APPEAL_SUBJECT Http-Appeal-Auth X-Appeal-Subject
    Document-Uri Request-Method X-Request-Id X-Forwarded-For Proxy Script-Filename);
for my $case (['nobody', {}], ['a key', { 'X-Api-Key' => $key }]) {
    my ($who, $headers) = @$case;
    my $got = nginx_get('/path?q=1&lang=en', headers => { %forged, %$headers, Cookie => 'lang=en; session=secret' })->{json};
    delete $got->{HTTP_HOST} if $ENV{OTKLIK_NGINX}; # newer ones add it themselves
    is_deeply [sort keys %$got], [sort @listed], "$who: the service gets the list and nothing else";
    is scalar(grep({ @{ $got->{$_} } != 1 } keys %$got)), 0, "$who: each once";
    unlike join(' ', map { $_->[0] } values %$got), qr/forged|secret/, "$who: nothing forged, no other cookie";
    like $got->{APPEAL_REQUEST_ID}[0], qr/\A[0-9a-f]{8}-[0-9a-f]{4}-7/, "$who: an id of our own";
    is $got->{APPEAL_SUBJECT}[0], $who eq 'nobody' ? '' : 'partner', "$who: is who he is";
    is $got->{COOKIE_LANG}[0], 'en', "$who: the language is passed on";
}

my ($one, $two) = map { nginx_get('/')->{json}{APPEAL_CLIENT}[0] } 1, 2;
like $one, qr/\A[0-9a-f]{16,}\z/, 'the address is a pseudonym';
is $two, $one, 'the same for a day';
unlike $one, qr/127/, 'that is not the address';

my %ids = map { nginx_get('/')->{json}{APPEAL_REQUEST_ID}[0] => 1 } 1 .. 200;
is scalar keys %ids, 200, 'no id twice';
my $answer = nginx_get('/');
is $answer->{headers}{'x-request-id'}, $answer->{json}{APPEAL_REQUEST_ID}[0], 'the client gets the same id';

for my $path ('/a%00b', '/a%0d%0aX-Evil:1', '/%ff%fe') {
    my $got = nginx_get($path);
    ok $got->{status} == 400 || !grep({ /^X-Evil/i } keys %{ $got->{headers} }), "$path harms nobody";
}

done_testing;
