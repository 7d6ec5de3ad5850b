#!/usr/bin/env perl
# How often: a burst, then the rate; several limits, all charged or none; true headers; nothing is forgotten by a reload or a dead worker.
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Nginx;

my ($line, $key) = new_key_line('partner', region => 67, rate => '2r/s', burst => 2);
my ($fast, $fast_key) = new_key_line('other', region => 67);
nginx_keys($line, $fast);
my $ok = 'try_files /none @ok;';
my $zones = 'map $request_method $sends { POST 1; PUT 0; default ""; } appeal_limit_zone one 1m; appeal_limit_zone two 1m; appeal_limit_zone keys 1m;';
my $server = <<'CONF';
appeal_auth api_key anonymous;
location = /ok { internal; return 204; }
location @ok { return 204; }
location /burst { appeal_limit one key=address rate=1r/s burst=5 name=burst; try_files /none @ok; }
location /slow { appeal_limit one key=address rate=1r/h burst=3 name=slow; try_files /none @ok; }
location /dear { appeal_limit one key=address rate=1r/h burst=10 cost=5 name=dear; try_files /none @ok; }
location /two { appeal_limit one key=address rate=1r/h burst=100 name=wide; appeal_limit two key=address rate=1r/h burst=2 name=narrow; try_files /none @ok; }
location /wide { appeal_limit one key=address rate=1r/h burst=100 name=wide; try_files /none @ok; }
location /redirect { appeal_limit one key=address rate=1r/h burst=100 name=once; try_files /none /redirect2/x; }
location /redirect2 { appeal_limit one key=address rate=1r/h burst=100 name=once; rewrite ^ /redirect3 last; }
location /error { appeal_limit one key=address rate=1r/h burst=100 name=error; error_page 404 = /handled; try_files /none =404; }
location /handled { appeal_limit one key=address rate=1r/h burst=100 name=error; appeal_limit two key=address rate=1r/h burst=100 name=more; try_files /none @ok; }
location /sends { appeal_limit one key=address rate=1r/h burst=1 if=$sends name=sends; try_files /none @ok; }
location /redirect3 { appeal_limit one key=address rate=1r/h burst=100 name=once; error_page 404 = @ok; try_files /none =404; }
location /keyed { appeal_limit keys key=api_key rate=1r/h burst=50 name=key; try_files /none @ok; }
location /value { appeal_limit one key=$arg_who rate=1r/h burst=2 name=value; try_files /none @ok; }
location /silent { appeal_limit_headers off; appeal_limit one key=address rate=1r/h burst=1 name=silent; try_files /none @silent; }
location @silent { appeal_limit_headers off; return 204; }
location /own_rate { appeal_limit keys key=api_key rate=1r/h burst=50 name=own; try_files /none @ok; }
location /nobody { appeal_limit one key=address rate=1r/h burst=2 only=anonymous name=nobody; try_files /none @ok; }
location /crowd { appeal_limit two key=address rate=1r/h burst=200 name=crowd; try_files /none @ok; }
CONF
nginx_start($zones, $server, workers => 2);

sub statuses { my ($path, $n, %o) = @_; return join ' ', map { nginx_get($path, %o)->{status} } 1 .. $n }
sub remaining { my ($answer, $name) = @_; return ($answer->{headers}{ratelimit} // '') =~ /"$name";r=(\d+)/ ? $1 : undef }

subtest 'a burst, then the rate' => sub {
    is statuses('/burst', 7), '204 204 204 204 204 429 429', 'five at once, no sixth';
    sleep 1.1;
    is statuses('/burst', 2), '204 429', 'a second later one more';
};

subtest 'headers say what is' => sub {
    my $first = nginx_get('/slow');
    is $first->{headers}{'ratelimit-policy'}, '"slow";q=3;w=10800', 'the policy: how many in how long';
    is $first->{headers}{ratelimit}, '"slow";r=2;t=3600', 'what is left and when it is whole again';
    nginx_get('/slow') for 1, 2;
    my $refused = nginx_get('/slow', headers => { 'Accept-Language' => 'en' });
    is $refused->{status}, 429, 'too many';
    ok abs($refused->{headers}{'retry-after'} - 3600) <= 2, "Retry-After is the time of one: $refused->{headers}{'retry-after'}";
    like $refused->{headers}{ratelimit}, qr/"slow";r=0;t=3(?:600|59\d)/, 'nothing is left';
    is $refused->{json}{type}, '/problems/quota-exceeded', 'a problem';
    is_deeply $refused->{json}{'violated-policies'}, ['slow'], 'that names the policy';
    like $refused->{headers}{'content-type'}, qr{\Aapplication/problem\+json}, 'by its media type';
};

subtest 'headers may be left out' => sub {
    my $passed = nginx_get('/silent');
    is $passed->{status}, 204, 'one passes';
    my $refused = nginx_get('/silent');
    is $refused->{status}, 429, 'the next is refused';
    for ($passed, $refused) {
        is $_->{headers}{'ratelimit-policy'}, undef, 'no policy is told';
        is $_->{headers}{ratelimit}, undef, 'nor what is left';
    }
    like $refused->{headers}{'retry-after'}, qr/\A3[56]\d\d\z/, 'but when to come again';
};

subtest 'a key is told its own rate' => sub {
    my $own = nginx_get('/own_rate', headers => { 'X-Api-Key' => $key });
    is $own->{headers}{'ratelimit-policy'}, '"own";q=2;w=1', 'of its line';
    is $own->{headers}{ratelimit}, '"own";r=1;t=1', 'and what is left of it';
    my $other = nginx_get('/own_rate', headers => { 'X-Api-Key' => $fast_key });
    is $other->{headers}{'ratelimit-policy'}, '"own";q=50;w=180000', 'who has none is told that of the place';
};

subtest 'Retry-After is the truth' => sub {
    sleep 1.1;
    statuses('/burst', 6);
    my $answer = nginx_get('/burst');
    is $answer->{status}, 429, 'refused';
    my $after = $answer->{headers}{'retry-after'};
    is $after, 1, 'come again in a second';
    sleep $after + 0.05;
    is nginx_get('/burst')->{status}, 204, 'and then it passes';
};

subtest 'a photo costs five letters' => sub {
    is statuses('/dear', 3), '204 204 429', 'ten letters are two photos';
};

subtest 'all limits are charged, or none' => sub {
    is remaining(nginx_get('/two'), 'wide'), 99, 'one of the wide limit';
    nginx_get('/two');
    is statuses('/two', 10), join(' ', (429) x 10), 'the narrow one refuses';
    is remaining(nginx_get('/wide'), 'wide'), 97, 'what it refused cost nothing of the wide one';
};

subtest 'internal redirects cost once' => sub {
    is remaining(nginx_get('/redirect'), 'once'), 99, 'three locations with the same limit';
    my $answer = nginx_get('/error');
    is remaining($answer, 'error'), 99, 'an error page with the same policy costs nothing more';
    is remaining($answer, 'more'), 99, 'what only the second place asks for is charged there';
};

subtest 'a limit for some requests only' => sub {
    is statuses('/sends', 3), '204 204 204', 'who looks is not asked';
    is statuses('/sends', 2, method => 'PUT'), '204 204', '0 is no';
    is statuses('/sends', 2, method => 'POST', content => ''), '204 429', 'who sends is';
    is nginx_get('/sends', method => 'HEAD')->{headers}{ratelimit}, undef, 'and only he is told';
};

subtest 'every method counts' => sub {
    my $policy = '/wide';
    my $before = remaining(nginx_get($policy), 'wide');
    nginx_get($policy, method => $_) for qw(HEAD OPTIONS DELETE);
    is remaining(nginx_get($policy), 'wide'), $before - 4, 'HEAD, OPTIONS and DELETE as GET';
};

subtest 'a key has its own rate' => sub {
    is statuses('/keyed', 4, headers => { 'X-Api-Key' => $key }), '204 204 429 429', 'two a second, as its line says';
    is statuses('/keyed', 30, headers => { 'X-Api-Key' => $fast_key }), join(' ', (204) x 30), 'another key has what the place says';
};

subtest 'limits by what a request says' => sub {
    is statuses('/value?who=a', 3), '204 204 429', 'one';
    is statuses('/value?who=b', 3), '204 204 429', 'another has his own';
    is statuses('/value', 5), '204 204 204 204 204', 'who says nothing is not asked';
};

subtest 'only nobody is limited' => sub {
    is statuses('/nobody', 3), '204 204 429', 'nobody';
    is statuses('/nobody', 5, headers => { 'X-Api-Key' => $fast_key }), '204 204 204 204 204', 'a known client passes';
};

subtest 'guessing keys costs the address' => sub {
    is statuses('/slow', 1), '429', 'the limit is used up';
    my $answer = nginx_get('/slow', headers => { 'X-Api-Key' => 'otk_aaaaaaaa_' . 'a' x 32 });
    is $answer->{status}, 429, 'a wrong key does not get past it';
};

subtest 'many at once get exactly what there is' => sub {
    my @pids = map {
        my $pid = fork // die;
        if (!$pid) {
            my $passed = grep { nginx_get('/crowd')->{status} == 204 } 1 .. 60;
            require POSIX;
            POSIX::_exit($passed);
        }
        $pid;
    } 1 .. 8;
    my $passed = 0;
    for (@pids) { waitpid $_, 0; $passed += $? >> 8 }
    is $passed, 200, 'of 480 requests by 8 clients to 2 workers 200 pass';
};

subtest 'nothing is forgotten' => sub {
    nginx_reload($zones, $server, workers => 2);
    is statuses('/slow', 1), '429', 'by a reload';
    is statuses('/crowd', 1), '429', 'of either zone';
    my ($worker) = nginx_workers();
    kill 'KILL', $_ for nginx_workers();
    my $until = time + 5;
    sleep 0.05 until (nginx_workers() == 2 && !grep { $_ == $worker } nginx_workers()) || time > $until;
    is statuses('/slow', 1), '429', 'by workers that die';
};

subtest 'what makes no sense is refused at the start' => sub {
    my %bad = (
        'appeal_limit one key=address rate=1x/s;' => qr/rate=1x\/s/,
        'appeal_limit one key=address rate=1r/s burst=0;' => qr/burst=0/,
        'appeal_limit one key=address rate=1r/s burst=2 cost=3;' => qr/cost/,
        'appeal_limit one key=address;' => qr/rate/,
        'appeal_limit one rate=1r/s;' => qr/key/,
        'appeal_limit one key=somebody rate=1r/s;' => qr/key=somebody/,
        'appeal_limit one key=address rate=1r/s color=red;' => qr/color=red/,
        'appeal_limit one key=address rate=1r/s; appeal_limit one key=api_key rate=1r/s;' => qr/has the name of another limit/,
        'appeal_limit one key=address rate=1r/d burst=1000000;' => qr/104 days/,
        'appeal_limit appeal_counters key=address rate=1r/s;' => qr/already declared for a different use/,
    );
    for my $directive (sort keys %bad) {
        my ($status, $said) = nginx_config($zones, "location / { $directive }");
        isnt $status, 0, "$directive";
        like $said, $bad{$directive}, '… is named';
    }
    my ($status) = nginx_config($zones, "location / { appeal_limit none key=address rate=1r/s; }");
    isnt $status, 0, 'a zone that there is not';
};

like nginx_log(), qr/refused: rate_exceeded/, 'refusals are logged';
my $lines = () = nginx_log() =~ /refused: /g;
cmp_ok $lines, '<', 250, 'and not each of hundreds';

done_testing;
