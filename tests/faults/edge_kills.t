#!/usr/bin/env perl
# kill -9 of workers of nginx, as fast as they come back, under load: nobody waits in vain, no counter goes back, no limit lets in more than it says.
# EDGE_KILLS=1000 tests/run tests/faults/edge_kills.t
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Nginx;
use Otklik::Crowd;
use Otklik::Token;

my $kills   = $ENV{EDGE_KILLS} // 250;
my $workers = 4;
my $clients = 6;
my $keys    = 12;

my $dir = nginx_dir();
my $signer = new_token_key('ES256');
{ open my $out, '>', "$dir/jwks" or die $!; print {$out} jwk_set(jwk($signer)); close $out or die $! }
my @tokens = map { token($signer, claims => { sub => "reader$_" }) } 1 .. 20;

# Limits that only a burst feeds, and one that time feeds, too; a zone so small that each newcomer takes an entry over.
my %policy = (fixed => { burst => 80, rate => 0 }, timed => { burst => 50, rate => 2 });
nginx_start(<<"HTTP", <<"SERVER", workers => $workers);
appeal_limit_zone kept 1m; appeal_limit_zone crowded 32k;
appeal_jwt_keys $dir/jwks; appeal_jwt_issuer https://id.example; appeal_jwt_audience otklik; appeal_jwt_memory tokens:64k;
HTTP
access_log off;
location \@ok { return 204; }
location /fixed { appeal_auth anonymous; appeal_limit kept key=\$http_x_key rate=1r/d burst=80 name=fixed; try_files /none \@ok; }
location /timed { appeal_auth anonymous; appeal_limit kept key=\$http_x_key rate=2r/s burst=50 name=timed; try_files /none \@ok; }
location /new { appeal_auth anonymous; appeal_limit crowded key=\$http_x_key rate=1r/m burst=1 name=new; try_files /none \@ok; }
location /token { appeal_auth jwt; try_files /none \@ok; }
location /metrics { appeal_metrics; }
SERVER

my $master = nginx_master();
sub workers_now { open my $in, '<', "/proc/$master/task/$master/children" or die "children of nginx: $!"; return split ' ', <$in> // '' }

# Half of what is asked goes to keys that are watched.
sub choose {
    my $what = rand;
    my ($place, $key, $more) = $what < 0.25 ? ('fixed', int rand $keys) : $what < 0.5 ? ('timed', int rand $keys) : $what < 0.85 ? ('new', int rand 1e12) : ('token', 0, $tokens[ rand @tokens ]);
    my $header = $more ? "Authorization: Bearer $more" : "X-Key: $key";
    return ($place =~ /new|token/ ? $place : "$place $key", "GET /$place HTTP/1.1\r\nHost: x\r\n$header\r\n\r\n");
}

my $crowd = crowd_start($clients, \&choose);
my ($killed, @fell, %last, $scraped) = (0);
my $began = time;
my $deadline = $began + 30 + $kills / 5;
while ($killed < $kills && time < $deadline) {
    sleep rand 0.03;
    my @now = workers_now();
    $killed += kill 'KILL', $now[ rand @now ] if @now;
    next if $killed % 10;
    my $now = eval { counters() } // {};
    push @fell, falling(\%last, $now);
    if (%$now) { %last = %$now; $scraped++ }
}
my $took = time - $began;
nginx_wait('all workers', sub { workers_now() == $workers });
my $count = crowd_stop($crowd);
my $now = counters();
push @fell, falling(\%last, $now);

sub total { my ($what, $of) = @_; my $n = 0; $n += $count->{$what}{$_} for grep { /\A$of/ } keys %{ $count->{$what} }; return $n }

is $killed, $kills, sprintf 'workers were killed, %.0f a second', $killed / $took;
cmp_ok $scraped, '>', $kills / 30, 'and the counters read meanwhile';
is_deeply \@fell, [], 'no counter went back';
is $count->{silent}, 0, 'nobody waited in vain';
is_deeply $count->{other} // {}, {}, 'every answer is what it should be';
cmp_ok total('lost', ''), '>', 0, 'requests died with their workers';

for my $name (sort keys %policy) {
    my ($burst, $rate) = @{ $policy{$name} }{qw(burst rate)};
    my $most = $burst + $rate * $count->{seconds};
    my (@loose, @tight);
    for my $key (map { "$name $_" } 0 .. $keys - 1) {
        my ($passed, $lost, $refused) = map { $count->{$_}{$key} // 0 } qw(passed lost refused);
        push @loose, "$key: $passed of $most" if $passed > $most;
        # Time feeds less than it could when nobody asks for a while; what is certain is the burst.
        push @tight, "$key: $passed and $lost lost of $burst" if $refused && $passed + $lost < $burst;
    }
    is_deeply \@loose, [], "$name: no key had more than its limit";
    is_deeply \@tight, [], "$name: none less";
    cmp_ok total('refused', $name), '>', 50, "$name: the limits were reached";
    my $charged = $now->{qq(otklik_edge_limit_passed_total{zone="kept",policy="$name"})} // -1;
    my ($seen, $lost) = map { total($_, $name) } qw(passed lost);
    ok $seen <= $charged && $charged <= $seen + $lost, "$name: counted is what was let in, and some of what died" or diag "$charged counted, $seen let in, $lost died";
}
cmp_ok $now->{'otklik_edge_limit_evicted_total{zone="crowded"}'}, '>', 1000, 'newcomers took entries over all the while';
cmp_ok total('passed', 'token'), '>', 100, 'tokens were let in, too';

# And now it is as quiet as if nothing had been.
my $t = time;
nginx_get('/new', headers => { 'X-Key' => "after$_" }) for 1 .. 300;
cmp_ok time - $t, '<', 5, 'nobody waits for the dead';
diag sprintf '%d kills in %.1f s; %d answers, %d requests died', $killed, $took, total('passed', '') + total('refused', ''), total('lost', '');
unlike nginx_log(), qr/\[(?:alert|crit|emerg)\](?!.*exited on signal 9)/, 'nothing else alarms nginx';

done_testing;
