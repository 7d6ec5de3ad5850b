#!/usr/bin/env perl
# What nginx itself refuses is told to programs as a problem and to people as a page, in the running system.
use strict;
use warnings;
use utf8;
use IO::Socket::INET;
use JSON::PP ();
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
    my $heavy = request('POST', '/api/v1/appeals', content => 'x' x 3_000_000, headers => { 'Content-Type' => 'application/json' });
    is $heavy->{status}, 413, 'too heavy';
    is $heavy->{json}{type}, '/problems/too-large', 'is a problem';
};

# As it comes from a client that nobody has written with care; the first line of the answer and its body.
sub raw {
    my ($text) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => $ENV{OTKLIK_URL} =~ s{\Ahttp://|/+\z}{}gr, Timeout => 5) or die "$ENV{OTKLIK_URL}: $@";
    print {$socket} $text;
    my $answer = do { local $/ = undef; <$socket> };
    my ($head, $body) = split /\r\n\r\n/, $answer, 2;
    my ($status) = $head =~ /\AHTTP\/1\.1 (\d+)/;
    return ($status, $head, eval { JSON::PP->new->utf8->decode($body) });
}

subtest 'before the place is known' => sub {
    my $end = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    my %cases = (
        'no request at all' => ["BROKEN\r\n\r\n", 400],
        'no host' => ["GET / HTTP/1.1\r\n\r\n", 400],
        'two lengths' => ["POST /$end" . "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400],
        'a method for spying' => ["TRACE /$end\r\n", 405],
        'an address too long' => ['GET /' . 'x' x 20_000 . "$end\r\n", 414],
        'headers too long' => ["GET /$end" . 'X-Long: ' . 'x' x 20_000 . "\r\n\r\n", 431],
    );
    for my $what (sort keys %cases) {
        my ($text, $wanted) = @{ $cases{$what} };
        my ($status, $head, $problem) = raw($text);
        is $status, $wanted, $what;
        like $head, qr{^Content-Type: application/problem\+json\r?$}m, "$what: a problem";
        is $problem->{status}, $wanted, "$what: says its status";
        my ($id) = $head =~ /^X-Request-Id: (\S+)\r?$/m;
        is $problem->{instance}, "urn:uuid:$id", "$what: has an id";
    }
    is get('/errors/problem')->{status}, 404, 'the place of these answers is not for asking';
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
    is get($_)->{status}, 404, "$_ is not for the public" for '/metrics', '/status', '/health/ready', '/intake/metrics', '/intake/health/live';
    for my $service (qw(intake routing reporting)) {
        is internal("/$service/health/$_")->{status}, 200, "$service is $_" for qw(live ready);
        like internal("/$service/metrics")->{content}, qr/^otklik_requests_total \d+$/m, "$service counts";
    }
    like internal('/metrics')->{content}, qr/^\w*limit_passed_total\S* \d+$/m, 'the edge counts, too';
    cmp_ok internal('/status')->{json}{limit_capacity}[0]{value}, '>', 1000, 'in JSON, if one likes';
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
    unlike log_of('nginx'), qr/"(?:addr|client|remote)|127\.0\.0\.1(?!:\d+ failed)/, 'and not by whom';
    like log_of('nginx'), qr/connect\(\) to unix:\S+ failed .*request: "GET \/api\/v1\/reports\/summary", id: /, 'what nginx says of a service that was away';
};

unlike log_of('nginx'), qr/AddressSanitizer|runtime error|exited on signal|\[(?:alert|emerg)\]/, 'no worker died, nothing alarmed nginx';

done_testing;
