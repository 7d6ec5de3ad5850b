#!/usr/bin/env perl
# What nginx itself refuses is told to programs as a problem and to people as a page, in the running system.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Test;

subtest 'to programs' => sub {
    my %cases = (404 => '/api/v1/none', 401 => '/api/v1/reports/summary');
    for my $status (sort keys %cases) {
        for my $lang (qw(ru en)) {
            my $answer = get($cases{$status}, lang => $lang);
            is $answer->{status}, $status, "$status ($lang)";
            like $answer->{headers}{'content-type'}, qr{\Aapplication/problem\+json}, "$status ($lang): a problem";
            is $answer->{headers}{'content-language'}, $lang, "$status ($lang): in that language";
            is $answer->{json}{status}, $status, "$status ($lang): says its status";
        }
    }
    my $long = get('/api/v1/themes?' . 'x' x 20_000);
    is $long->{status}, 414, 'an address too long';
};

subtest 'to people' => sub {
    my $page = get('/no-such-page');
    is $page->{status}, 404, 'no such page';
    like $page->{headers}{'content-type'}, qr{\Atext/html}, 'is a page';
    my $heavy = request('POST', '/', content => 'x' x 3_000_000, headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
    is $heavy->{status}, 413, 'too heavy';
    like $heavy->{headers}{'content-type'}, qr{\Atext/html}, 'is a page, too';
    is request('PUT', '/track')->{status}, 405, 'a method that there is not';
};

subtest 'a service that is away' => sub {
    sv('down', 'reporting');
    my $answer = get('/api/v1/reports/summary', key => $ENV{OTKLIK_STAFF_KEY});
    is $answer->{status}, 502, 'is told to programs';
    is $answer->{json}{type}, '/problems/unavailable', 'as a problem';
    is $answer->{headers}{'retry-after'}, 2, 'with the time to come again';
    sv('down', 'intake');
    my $page = get('/');
    is $page->{status}, 502, 'and to people';
    like $page->{headers}{'content-type'}, qr{\Atext/html}, 'as a page';
    is $page->{headers}{'retry-after'}, 2, 'with the time, too';
    sv('up', $_) for qw(intake reporting);
    wait_for(sub { internal("/$_/health/ready")->{status} == 200 }, 10, $_) for qw(intake reporting);
};

subtest 'headers of safety' => sub {
    for my $path ('/', '/track', '/assets/otklik.css', '/no-such-page') {
        my $headers = get($path)->{headers};
        like $headers->{'content-security-policy'}, qr/default-src 'none'/, "$path: a strict policy";
        is $headers->{'x-content-type-options'}, 'nosniff', "$path: types are what they say";
        is $headers->{'referrer-policy'}, 'no-referrer', "$path: codes in addresses stay here";
        is $headers->{server}, 'nginx', "$path: no version";
    }
    is get('/assets/form.js', headers => { 'Accept-Encoding' => 'gzip' })->{headers}{'content-encoding'}, 'gzip', 'assets are packed';
    is get('/assets/../etc/keys')->{status}, 404, 'nothing lies beside them';
    is get('/errors/5xx.html')->{status}, 404, 'error pages are not for asking';
};

subtest 'operators have their own door' => sub {
    is get($_)->{status}, 404, "$_ is not for the public" for '/metrics', '/health/ready', '/intake/metrics', '/intake/health/live';
    for my $service (qw(intake routing reporting)) {
        is internal("/$service/health/$_")->{status}, 200, "$service is $_" for qw(live ready);
        like internal("/$service/metrics")->{content}, qr/^otklik_requests_total \d+$/m, "$service counts";
    }
    like internal('/metrics')->{content}, qr/^\w*limit_passed_total\S* \d+$/m, 'the edge counts, too';
    is internal('/health/live')->{status}, 200, 'and lives';
    is internal('/nothing')->{status}, 404, 'and nothing more';
};

subtest 'logs hold no secret' => sub {
    my $letter = appeal({ text => 'Очень личное письмо ' . new_key() }, key => $ENV{OTKLIK_API_KEY});
    get("/api/v1/appeals/$letter->{number}?code=$letter->{code}");
    get("/track?number=$letter->{number}&code=$letter->{code}");
    get("/api/v1/themes?api_key=$ENV{OTKLIK_API_KEY}");
    sleep 2; # buffered
    for my $service (qw(nginx intake routing reporting postgres)) {
        my $log = log_of($service);
        unlike $log, qr/\Q$letter->{code}\E|\Q$ENV{OTKLIK_API_KEY}\E|Очень личное/, "$service: no code, no key, no text";
    }
    like log_of('nginx'), qr/"path":"\/api\/v1\/appeals\/\Q$letter->{number}\E","status":200/, 'but what was asked for';
    unlike log_of('nginx'), qr/"(?:addr|client|remote)/, 'and not by whom';
};

done_testing;
