#!/usr/bin/env perl
# Reloads, and a new binary and back, while requests run: none fails, counters go on over reloads, every limit lets in exactly what it says.
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Nginx;
use Otklik::Crowd;
use Otklik::Token;

my $dir = nginx_dir();
my $signer = new_token_key('ES256');
{ open my $out, '>', "$dir/jwks" or die $!; print {$out} jwk_set(jwk($signer)); close $out or die $! }
my $token = token($signer);
my ($line, $api_key) = new_key_line('partner', region => 67);
nginx_keys($line);

my $keys = 8;
my %policy = (fixed => [150, 0], timed => [40, 4]);
my $http = "appeal_limit_zone kept 1m; appeal_limit_zone crowd 64k;"
    . " appeal_jwt_keys $dir/jwks; appeal_jwt_issuer https://id.example; appeal_jwt_audience otklik; appeal_jwt_memory tokens:64k;";
my $server = <<"CONF";
access_log off;
location \@ok { return 204; }
location /fixed { appeal_auth anonymous; appeal_limit kept key=\$http_x_key rate=2r/d burst=150 name=fixed; try_files /none \@ok; }
location /timed { appeal_auth anonymous; appeal_limit kept key=\$http_x_key rate=4r/s burst=40 name=timed; try_files /none \@ok; }
location /known { appeal_auth jwt api_key; appeal_limit crowd key=\$appeal_auth rate=1000000r/s burst=1000000 name=known; try_files /none \@ok; }
location /metrics { appeal_metrics; }
CONF
nginx_start($http, $server, workers => 2, daemon => 1);

sub choose {
    my $what = rand;
    my ($place, $key, $header) = $what < 0.4 ? ('fixed', int rand $keys) : $what < 0.7 ? ('timed', int rand $keys) : ('known', 0, $what < 0.85 ? "Authorization: Bearer $token" : "X-Api-Key: $api_key");
    $header //= "X-Key: $key";
    # Connections that are kept may be closed as the next request is on its way; by HTTP that is no failure, so each has its own.
    return ("$place $key", "GET /$place HTTP/1.1\r\nHost: x\r\n$header\r\nConnection: close\r\n\r\n");
}
sub pid_of { my ($name) = @_; open my $in, '<', "$dir/$name" or return; return 0 + (<$in> // 0) }
sub workers_of { my ($pid) = @_; return scalar grep { /worker process(?! is shutting)/ } split /\n/, `ps -o args= --ppid $pid` }

my (%last, @fell);
sub look {
    my $now = counters();
    push @fell, falling(\%last, $now);
    %last = %$now if %$now;
    return;
}

# What was let in since the first request of all: a limit has one debt, whoever carries it.
my ($began, %passed) = (time);
sub check {
    my ($what, $count) = @_;
    $passed{$_} += $count->{passed}{$_} for keys %{ $count->{passed} };
    is_deeply [@{$count}{qw(silent unreachable lost other)}], [0, 0, undef, undef], "$what: no request failed" or diag explain { %$count{qw(silent unreachable lost other)} };
    for my $name (sort keys %policy) {
        my ($burst, $rate) = @{ $policy{$name} };
        my @passed = map { $passed{"$name $_"} // 0 } 0 .. $keys - 1;
        my $refused = 0;
        $refused += $count->{refused}{"$name $_"} // 0 for 0 .. $keys - 1;
        cmp_ok $refused, '>', 50, "$what: $name is reached";
        if ($rate) {
            my $most = $burst + $rate * (time - $began);
            is scalar(grep { $_ > $most } @passed), 0, "$what: $name lets in no more than burst and time" or diag "@passed of $most";
        } else {
            is_deeply \@passed, [($burst) x $keys], "$what: $name lets in exactly the burst";
        }
    }
    my $n = 0;
    $n += $_ for values %{ $count->{passed} }, values %{ $count->{refused} };
    diag sprintf '%s: %d requests in %.1f s', $what, $n, $count->{seconds};
    return;
}

my $crowd = crowd_start(3, \&choose);
for my $i (1 .. 20) {
    nginx_reload($http, $server, workers => 1 + $i % 3, daemon => 1);
    look();
}
check('twenty reloads', crowd_stop($crowd));
look();
is_deeply \@fell, [], 'twenty reloads: no counter went back';

# ---- a new binary, back to the old one, and a new one again: the keys of before owe what they owed

$crowd = crowd_start(3, \&choose);
my $old = nginx_master();
my $up = sub {
    kill 'USR2', $old;
    nginx_wait('the new binary', sub { my $pid = pid_of('nginx.pid'); $pid && $pid != $old && -f "$dir/nginx.pid.oldbin" && workers_of($pid) });
    kill 'WINCH', $old;
    nginx_wait('the end of the old workers', sub { `ps -o args= --ppid $old` !~ /worker process/ });
    return pid_of('nginx.pid');
};
my $new = $up->();
kill 'HUP', $old;
nginx_wait('the old workers', sub { workers_of($old) });
kill 'QUIT', $new;
nginx_wait('the end of the new binary', sub { !-d "/proc/$new" && pid_of('nginx.pid') == $old });
$new = $up->();
kill 'QUIT', $old;
nginx_wait('the end of the old binary', sub { !-d "/proc/$old" });
my $count = crowd_stop($crowd);
check('two upgrades and a way back', $count);
Otklik::Nginx::nginx_became($new);

unlike nginx_log(), qr/\[(?:alert|crit|emerg)\]/, 'nothing alarms nginx';

done_testing;
