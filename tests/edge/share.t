#!/usr/bin/env perl
# Several edges share limits through Redis: together they let pass what one would; and whatever becomes of Redis, no client waits and no door is shut.
use strict;
use warnings;
use utf8;
use Test::More;
use IO::Socket::INET;
use IO::Select;
use IO::Socket::UNIX;
use POSIX ();
use Time::HiRes qw(sleep time);
use Otklik::Nginx;

my $dir = nginx_dir();
my $socket = "$dir/redis.sock";
my $password = 'a-password-of-redis-itself';
my @edges = ('', 'b', 'c');
my $interval = 0.1;
my $owner = $$;
my ($redis, $fake);
my $port = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;

sub write_to { my ($name, $text) = @_; open my $out, '>', "$dir/$name" or die "$name: $!"; print {$out} $text; close $out or die $!; return "$dir/$name" }

# ---- Redis, and what pretends to be it

sub redis {
    my (@command) = @_;
    local $ENV{REDISCLI_AUTH} = $password;
    open my $cli, '-|', 'redis-cli', '--no-auth-warning', '-s', $socket, @command or die "redis-cli: $!";
    local $/ = undef;
    my $said = <$cli>;
    close $cli;
    return $said;
}

sub redis_start {
    my ($its_password) = @_;
    unlink $socket;
    $redis = fork // die "fork: $!";
    if ($redis == 0) {
        open STDOUT, '>', '/dev/null';
        exec 'redis-server', '--port', $port, '--bind', '127.0.0.1', '-::1', '--unixsocket', $socket, '--unixsocketperm', 777, '--save', '', '--dir', $dir,
            '--requirepass', $its_password // $password;
    }
    wait_for('Redis', sub { IO::Socket::UNIX->new(Peer => $socket) });
    return;
}

sub redis_kill { kill 'KILL', $redis; kill 'CONT', $redis; waitpid $redis, 0; undef $redis; return }

# Takes the script, then answers every command with the same bytes.
sub fake_start {
    my ($answer, $hello) = @_;
    unlink $socket;
    my $listen = IO::Socket::UNIX->new(Local => $socket, Listen => 64) or die "fake: $!";
    chmod 0777, $socket;
    $fake = fork // die "fork: $!";
    return if $fake;
    $SIG{CHLD} = 'IGNORE';
    $SIG{PIPE} = 'IGNORE';
    while (1) {
        my $client = $listen->accept or next;
        next if fork;
        write_to('fake.asked', 'yes');
        while ($client->sysread(my $bytes, 65536)) {
            my $auth = () = $bytes =~ /AUTH\r/g;
            my $load = () = $bytes =~ /LOAD\r/g;
            my $ask = () = $bytes =~ /EVALSHA\r/g;
            $client->syswrite(defined $hello ? $hello : ("+OK\r\n" x $auth) . ("\$40\r\n" . 'a' x 40 . "\r\n") x $load . $answer x $ask);
        }
        POSIX::_exit(0);
    }
}

# Redis behind a long way: hears at once, is heard a second later.
sub slow_start {
    my $listen = IO::Socket::UNIX->new(Local => "$dir/slow.sock", Listen => 64) or die "slow: $!";
    chmod 0777, "$dir/slow.sock";
    $fake = fork // die "fork: $!";
    return if $fake;
    my $client = $listen->accept or POSIX::_exit(1);
    my $server = IO::Socket::UNIX->new(Peer => $socket) or POSIX::_exit(1);
    my $both = IO::Select->new($client, $server);
    my @late;
    while (1) {
        for my $from ($both->can_read(0.01)) {
            $from->sysread(my $bytes, 65536) or POSIX::_exit(0);
            if ($from == $client) { $server->syswrite($bytes) } else { push @late, [time + 1, $bytes] }
        }
        $client->syswrite((shift @late)->[1]) while @late && $late[0][0] < time;
    }
}

sub fake_stop { kill 'TERM', $fake; waitpid $fake, 0; undef $fake; return }

END {
    if ($$ == $owner) {
        my $status = $?;
        for (grep { defined } $redis, $fake) { kill 'KILL', $_; waitpid $_, 0 }
        $? = $status;
    }
}

# ---- the edges

my $conf = join ' ', 'appeal_limit_zone one 1m shared; appeal_limit_zone own 64k;',
    "appeal_limit_share redis=unix:$socket edges=3 interval=100ms secret=", write_to('share.secret', 'one secret for all the edges'),
    'password=', write_to('password', "$password\n"), ';';
$conf =~ s/(secret|password)= /$1=/g;
my $server = <<'CONF';
appeal_auth anonymous;
location = /metrics { appeal_auth off; appeal_metrics; }
location @ok { return 204; }
location /wide { appeal_limit one key=$arg_k rate=1r/h burst=30 name=wide; try_files /none @ok; }
location /small { appeal_limit one key=$arg_k rate=1r/h burst=2 cost=2 name=small; try_files /none @ok; }
location /own { appeal_limit own key=$arg_k rate=1r/h burst=30 name=own; try_files /none @ok; }
location /steady { appeal_limit one key=$arg_k rate=200r/s burst=5 name=steady; try_files /none @ok; }
location /flood { appeal_limit one key=$arg_k rate=100r/s burst=50 name=flood; try_files /none @ok; }
location /open { appeal_limit one key=$arg_k rate=10000r/s burst=1000000 name=open; try_files /none @ok; }
CONF

sub wait_for {
    my ($what, $true, $seconds) = @_;
    my $until = time + ($seconds // 10);
    my $is;
    until ($is = $true->()) { die "$what does not come: " . tail() if time > $until; sleep 0.02 }
    return $is;
}
sub tail { return join "\n", grep { !/keepalive connection|refused: / } split /\n/, nginx_log() }
sub lines { my ($re) = @_; my $n = () = nginx_log() =~ /$re/g; return $n }
sub metric { my ($name) = @_; return nginx_get('/metrics')->{content} =~ /^otklik_edge_share_$name (\S+)/m ? $1 : undef }
sub on { my ($edge, $code) = @_; nginx_use($edge); my @got = $code->(); nginx_use(''); return wantarray ? @got : $got[0] }
sub passes { my ($path, $n) = @_; return scalar grep { nginx_get($path)->{status} == 204 } 1 .. $n }
# Until all edges have told and heard: two exchanges that began from now on, each.
sub told {
    my %before = map { $_ => on($_, sub { metric('exchanges_total') }) } @edges;
    for my $edge (@edges) { on($edge, sub { wait_for("an exchange of edge \"$edge\"", sub { metric('exchanges_total') >= $before{$edge} + 2 }) }) }
    return;
}
sub shared { my ($seconds) = @_; for my $edge (@edges) { on($edge, sub { wait_for("edge \"$edge\" at Redis", sub { metric('connected') }, $seconds) }) } return }

# Requests over kept connections, to all edges in turn: the status and the time of each.
my %connection;
sub ask {
    my ($url, $path) = @_;
    my $c = $connection{"$$ $url"} //= do {
        my $new = IO::Socket::INET->new(PeerAddr => $url =~ s{http://}{}r, Timeout => 5) or die "$url: $!";
        binmode $new;
        $new;
    };
    my $began = time;
    syswrite $c, "GET $path HTTP/1.1\r\nHost: x\r\n\r\n";
    my $bytes = '';
    until ($bytes =~ /\r\n\r\n/) { sysread $c, $bytes, 65536, length $bytes or die "$path: closed" }
    my ($length) = $bytes =~ /^Content-Length: (\d+)/mi;
    my $end = index($bytes, "\r\n\r\n") + 4 + ($length // 0);
    while (length $bytes < $end) { sysread $c, $bytes, 65536, length $bytes or die "$path: closed" }
    my $took = time - $began;
    delete $connection{"$$ $url"} if $bytes =~ /^Connection: close/mi;
    return ($bytes =~ m{\AHTTP/1.1 (\d+)}, $took);
}

sub traffic {
    my ($seconds, $rate, $path, @to) = @_;
    my %status;
    my ($began, $i) = (time, 0);
    my $next = $began;
    while (time - $began < $seconds) {
        my ($status) = ask($to[$i % @to], $path->($i));
        $status{$status}++;
        $i++;
        # Who was held up does not make up for it: that would be a burst.
        $next += 1 / $rate;
        my $early = $next - time;
        if ($early > 0) { sleep $early } else { $next = time }
    }
    return { status => \%status };
}
sub any_of_500 { return '/open?k=' . int rand 500 }

# To the edges in turn, and each time to one that shares nothing: what the machine does otherwise slows down both.
my (@urls, $alone);
sub unnoticed {
    my ($what, $seconds) = @_;
    my (%status, @shared, @alone);
    my ($began, $i) = (time, 0);
    while (time - $began < ($seconds // 0.6)) {
        my $path = '/open?k=' . int rand 500;
        # Now the one first, now the other: the first wakes up the machine.
        for my $url ($i % 2 ? ($urls[$i % @urls], $alone) : ($alone, $urls[$i % @urls])) {
            my ($status, $took) = ask($url, $path);
            $status{$status}++;
            push @{ $url eq $alone ? \@alone : \@shared }, 1000 * $took;
        }
        my $early = $began + ++$i / 1000 - time;
        sleep $early if $early > 0;
    }
    @{$_} = sort { $a <=> $b } @{$_} for \(@shared, @alone);
    my ($tenth, $hundredth, $last) = map { my $q = $_; [map { $_->[$q * $#shared] } \(@shared, @alone)] } 0.9, 0.99, 1;
    note sprintf '%s: %d requests; of ten nine within %.2f ms (alone %.2f), p99 %.2f (%.2f), longest %.2f (%.2f)', $what, $i, map { @{$_} } $tenth, $hundredth, $last;
    is_deeply [keys %status], [204], "$what: all pass";
    # A busy machine takes a process its turn for 4 ms and more; a worker that waited for Redis would stand still.
    cmp_ok $tenth->[0], '<', 3 * $tenth->[1] + 15, "$what: nobody waits";
    cmp_ok $hundredth->[0], '<', 3 * $hundredth->[1] + 60, '… nor one of a hundred';
    cmp_ok $last->[0], '<', $last->[1] + 500, '… nor a single one';
    return;
}

# ----

nginx_start($conf, $server, workers => 2);

subtest 'until the first exchange each edge has its share' => sub {
    my $first = nginx_get('/wide?k=1');
    is $first->{headers}{'ratelimit-policy'}, '"wide";q=10;w=108000', 'a third of the rate and of the burst, and it says so';
    is passes('/wide?k=1', 15), 9, 'a third of the burst';
    is passes('/small?k=1', 3), 1, 'at least one, also if that costs two';
    is passes('/own?k=1', 35), 30, 'a limit that is not shared is whole';
    my $got = traffic(1, 400, sub { '/flood?k=1' }, nginx_url());
    cmp_ok $got->{status}{204}, '>=', 40, "the door is not closed: $got->{status}{204} pass";
    cmp_ok $got->{status}{204}, '<=', 55, 'a third of 100 a second and of a burst of 50';
    is lines(qr/limits are not shared/), 1, 'one line in the log';
    is metric('connected'), 0, 'not connected';
    is metric('exchanges_total'), 0, 'never was';
};

subtest 'Redis comes' => sub {
    redis_start();
    shared_one();
    is passes('/wide?k=2', 35), 30, 'all of the burst';
    is nginx_get('/wide?k=3')->{headers}{'ratelimit-policy'}, '"wide";q=30;w=108000', 'all of the rate';
    is lines(qr/limits are shared by Redis/), 1, 'one line in the log';
};

sub shared_one { return wait_for('Redis', sub { metric('connected') }) }

for my $edge (@edges) { nginx_use($edge); nginx_start($conf, $server, workers => 2) if $edge ne ''; push @urls, nginx_url() }
nginx_use('');
nginx_use('alone');
nginx_start('appeal_limit_zone one 1m; appeal_limit_zone own 64k;', $server, workers => 2);
$alone = nginx_url();
nginx_use('');
shared();
unnoticed('all is well', 1);

subtest 'together they let pass what one would' => sub {
    is passes('/wide?k=sum', 20), 20, 'twenty of thirty at one';
    told();
    is on('b', sub { passes('/wide?k=sum', 1) }), 1, 'another edge has not heard of him';
    told();
    like on('b', sub { nginx_get('/wide?k=sum')->{headers}{ratelimit} }), qr/"wide";r=8;/, 'now it has: 22 of 30 are gone';
    is on('b', sub { passes('/wide?k=sum', 20) }), 8, 'the rest there';
    told();
    is on('c', sub { passes('/wide?k=sum', 1) }), 1, 'the third has not heard of him either';
    is passes('/wide?k=sum', 1), 1, 'nor the first of what came since he was there';
    told();
    is on($_, sub { passes('/wide?k=sum', 3) }), 0, "now nothing passes at edge \"$_\"" for @edges;
    is on('b', sub { passes('/own?k=1', 35) }), 30, 'a limit that is not shared is each edge\'s own';
};

subtest 'a flood at all of them' => sub {
    my $seconds = 3;
    my @children;
    for my $who (0 .. 2) {
        pipe my $in, my $out or die $!;
        my $pid = fork // die $!;
        if (!$pid) {
            my $got = traffic($seconds, 600, sub { '/flood?k=all' }, $urls[$who]);
            syswrite $out, ($got->{status}{204} // 0) . "\n";
            POSIX::_exit(0);
        }
        push @children, [$pid, $in];
    }
    my $passed = 0;
    for (@children) { my ($pid, $in) = @{$_}; $passed += <$in>; waitpid $pid, 0 }
    # A burst at each edge, for none has heard of the others; then the rate, and what an exchange takes to tell.
    my $most = 100 * $seconds + 3 * 50 + 3 * 100 * 2 * $interval;
    note "$passed passed; at most $most; one edge alone: " . (100 * $seconds + 50) . ', three that know nothing of each other: ' . 3 * (100 * $seconds + 50);
    cmp_ok $passed, '<=', $most, "not more than they may: $passed of $most";
    cmp_ok $passed, '>=', 100 * $seconds, 'not less than one would let pass';
};

subtest 'who keeps to the rate is never refused' => sub {
    my $one = traffic(2, 100, sub { '/steady?k=one' }, $urls[0]);
    is_deeply [keys %{ $one->{status} }], [204], 'half of the rate at one edge, in an interval four times as long as the burst lasts';
    my $all = traffic(2, 100, sub { '/steady?k=all' }, @urls);
    is_deeply [keys %{ $all->{status} }], [204], 'at all edges';
};

subtest 'Redis holds nothing but numbers under keyed hashes' => sub {
    traffic(0.3, 1000, \&any_of_500, @urls);
    told();
    my @keys = split /\n/, redis('keys', '*');
    cmp_ok scalar @keys, '>', 100, scalar(@keys) . ' keys';
    is_deeply [grep { !/\Aotklik:[0-9a-f]{32}\z/ } @keys], [], 'hashes';
    like redis('get', $keys[0]), qr/\A\d+\n\z/, 'a time';
    cmp_ok redis('pttl', $keys[0]), '>', 0, 'that goes by itself';
};

subtest 'Redis stands still for a moment' => sub {
    my $lost = metric('lost_total');
    my $skipped = metric('skipped_total');
    kill 'STOP', $redis;
    unnoticed('Redis stopped');
    my $steady = traffic(1.5, 100, sub { '/steady?k=still' }, $urls[0]);
    cmp_ok metric('skipped_total'), '>', $skipped + 5, 'no exchange is begun while one is not over';
    kill 'CONT', $redis;
    unnoticed('Redis goes on');
    my $after = traffic(1, 100, sub { '/steady?k=still' }, $urls[0]);
    is_deeply [map { keys %{ $_->{status} } } $steady, $after], [204, 204], 'an answer that was long on the way refuses nobody';
    told();
    is metric('lost_total'), $lost, 'nothing is lost';
    is lines(qr/limits are not shared/), 1, 'nor said';
};

subtest 'Redis stands still for long' => sub {
    # In the middle of traffic, so that there is something on its way.
    my $busy = fork // die $!;
    if (!$busy) { traffic(0.6, 500, \&any_of_500, $urls[0]); POSIX::_exit(0) }
    sleep 0.3;
    kill 'STOP', $redis;
    waitpid $busy, 0;
    unnoticed('Redis hangs', 6);
    wait_for('the end of patience', sub { lines(qr/limits are not shared.*no answer/) });
    cmp_ok metric('lost_total'), '>', 0, 'what was on its way is lost and counted: ' . metric('lost_total');
    is metric('connected'), 0, 'not connected';
    is passes('/wide?k=alone', 35), 30, 'this edge has all of the limit by itself';
    kill 'CONT', $redis;
    shared(20);
    told();
    is on('b', sub { passes('/wide?k=alone', 1) }), 1, 'what was charged meanwhile is told: one passes before it hears of it';
    told();
    is on('b', sub { passes('/wide?k=alone', 5) }), 0, 'and none after';
};

subtest 'Redis dies and comes back empty' => sub {
    redis_kill();
    unnoticed('Redis dead');
    is passes('/wide?k=sum', 3), 0, 'what is known stays known';
    redis_start();
    shared(20);
    unnoticed('Redis back');
    told();
    is passes('/wide?k=sum', 3), 0, 'with an empty Redis, too';
};

subtest 'Redis forgets' => sub {
    redis('flushall');
    redis('script', 'flush');
    unnoticed('Redis emptied');
    is metric('connected'), 1, 'the script is sent again';
    is lines(qr/NOSCRIPT/), 0, 'without a word';
    my @keys = split /\n/, redis('keys', '*');
    cmp_ok scalar @keys, '>', 100, 'and told of what is charged now';
    redis('set', $_, 'nonsense') for @keys[0 .. 9];
    redis('del', $keys[10]);
    redis('lpush', $keys[10], 'a list');
    unnoticed('Redis holds nonsense');
    is metric('connected'), 1, 'nonsense does not matter';
};

subtest 'Redis has another password' => sub {
    redis_kill();
    redis_start('quite-another-password');
    unnoticed('a wrong password', 2);
    wait_for('the refusal', sub { lines(qr/limits are not shared.*WRONGPASS/) });
    for my $edge (@edges) { on($edge, sub { unlike nginx_log(), qr/\Q$password\E/, 'the password is not in the log' }) }
    redis_kill();
};

subtest 'what answers is not Redis' => sub {
    my %answers = (
        'a wrong answer' => "+OK\r\n",
        'too few' => "*0\r\n",
        'no numbers' => "*1\r\n\$3\r\nabc\r\n",
        'a time beyond all' => "*1\r\n:9223372036854775807\r\n",
        'a time before all' => "*1\r\n:-5\r\n",
        'an error' => "-ERR \e[31mno\r\n",
        'another protocol' => "HTTP/1.1 400 Bad Request\r\n\r\n",
        'an answer without an end' => '$2000000' . "\r\n" . 'x' x 1500000,
    );
    for my $what (sort keys %answers) {
        fake_start($answers{$what});
        meet_fake($what);
    }
    unlike nginx_log(), qr/\e/, 'what it says goes into the log without control characters';
    cmp_ok lines(qr/limits are not shared.*ERR \?\[31mno/), '<=', 2, 'and once a worker';
    fake_start('', "\0\1\2\3");
    meet_fake('noise');
    fake_start('', '');
    meet_fake('silence');
};

# A reload, so that it does not wait for its next try.
sub meet_fake {
    my ($what) = @_;
    my $before = metric('exchanges_total');
    unlink "$dir/fake.asked";
    reload();
    wait_for("a connection to $what", sub { -f "$dir/fake.asked" });
    unnoticed($what, 0.3);
    is metric('exchanges_total'), $before, "$what: is no exchange";
    is metric('connected'), 0, "$what: is no Redis";
    fake_stop();
    return;
}

sub reload { nginx_reload($conf, $server, workers => 2); %connection = (); return }

subtest 'debts that Redis makes up shut no door' => sub {
    redis_start();
    on($_, \&reload) for @edges;
    shared();
    told();
    my $now = (redis('time') =~ /(\d+)\n(\d+)/)[0];
    redis('flushall');
    nginx_get('/flood?k=evil');
    told();
    for (split /\n/, redis('keys', '*')) { redis('set', $_, ($now + 1_000_000_000) . '000000') }
    my $lost = metric('lost_total');
    nginx_get('/flood?k=evil') for 1 .. 20;
    told();
    is metric('lost_total'), $lost, 'they are cut down where they are kept';
    # Three edges cannot owe more than four bursts of half a second, counted double, and what three pay in two intervals: 4.9 s.
    my $refused = nginx_get('/flood?k=evil');
    cmp_ok $refused->{headers}{'retry-after'} // 0, '<=', 6, 'a debt of 30 years is one of seconds';
};

subtest 'answers that are long on the way' => sub {
    slow_start();
    nginx_reload($conf =~ s/redis\.sock/slow.sock/r, $server, workers => 2);
    %connection = ();
    wait_for('Redis', sub { metric('connected') });
    my $n = metric('exchanges_total');
    my $steady = traffic(3, 190, sub { '/steady?k=far' }, $urls[0]);
    is_deeply [keys %{ $steady->{status} }], [204], 'refuse nobody who keeps to the rate';
    cmp_ok metric('exchanges_total'), '>=', $n + 2, 'and are heard';
    fake_stop();
};

subtest 'Redis elsewhere' => sub {
    for my $address ("127.0.0.1:$port", "[::1]:$port") {
        nginx_reload($conf =~ s/unix:\S+/$address/r, $server, workers => 2);
        shared_one();
        like nginx_log(), qr/limits are shared by Redis at "\Q$address\E"/, $address;
    }
    %connection = ();
};

subtest 'reloads and workers that die' => sub {
    reload();
    shared_one();
    is passes('/wide?k=sum', 3), 0, 'after a reload what is known is known';
    is nginx_get('/wide?k=after')->{headers}{'ratelimit-policy'}, '"wide";q=30;w=108000', 'and the whole limit counts at once';
    my $began = time;
    reload();
    cmp_ok time - $began, '<', 3, 'an old worker does not stay for Redis';
    for my $worker (nginx_workers()) {
        kill 'KILL', $worker;
        wait_for('a new worker', sub { my @w = nginx_workers(); @w == 2 && !grep { $_ == $worker } @w });
        %connection = ();
        wait_for('Redis', sub { metric('connected') && metric('age_seconds') <= 1 });
        my $n = metric('exchanges_total');
        wait_for('exchanges to go on', sub { metric('exchanges_total') > $n + 2 });
    }
    is passes('/wide?k=sum', 3), 0, 'what is known outlives the workers';
    unnoticed('new workers');
    cmp_ok metric('slow_total'), '<=', 2, 'no piece of work takes a millisecond: ' . metric('slow_total') unless $ENV{OTKLIK_NGINX}; # sanitizers take their time
};

subtest 'metrics are described, and well formed' => sub {
    my $text = nginx_get('/metrics')->{content};
    open my $in, '<:encoding(UTF-8)', 'docs/edge.md' or die $!;
    my $docs = do { local $/ = undef; <$in> };
    my %names = map { $_ => 1 } $text =~ /^otklik_edge_(share_\w+|limit_untold_total)/gm;
    is scalar keys %names, 8, 'eight metrics';
    like $docs, qr/^\| .*`$_(?:\{\w+\})?`/m, $_ for sort keys %names;
    open my $source, '<', 'ngx_module/ngx_http_appeal_share.c' or die $!;
    my @parameters = do { local $/ = undef; <$source> } =~ /\{ ngx_string\("(\w+=)"\), ngx_http_appeal_share_set/g;
    is scalar @parameters, 6, 'six parameters';
    like $docs, qr/^\| `\Q$_\E/m, $_ for @parameters;
};

subtest 'what makes no sense is refused at the start' => sub {
    my $good = "redis=unix:$socket edges=2 secret=$dir/share.secret";
    my %bad = (
        'appeal_limit_share redis=unix:/x edges=0;' => qr/edges=0/,
        'appeal_limit_share redis=unix:/x edges=1001;' => qr/edges=1001/,
        'appeal_limit_share redis=unix:x edges=2;' => qr/full path/,
        'appeal_limit_share redis=unix:/' . 'x' x 200 . ' edges=2;' => qr/full path/,
        'appeal_limit_share redis=localhost:6379 edges=2;' => qr/neither unix:/,
        'appeal_limit_share redis=127.0.0.1 edges=2;' => qr/neither unix:/,
        'appeal_limit_share redis=127.0.0.1:6379 prefix=x;' => qr/has no parameter "edges"/,
        'appeal_limit_share edges=2 prefix=x;' => qr/has no parameter "redis"/,
        "appeal_limit_share $good interval=50ms;" => qr/interval=50ms/,
        "appeal_limit_share $good interval=2m;" => qr/interval=2m/,
        "appeal_limit_share $good color=red;" => qr/color=red/,
        "appeal_limit_share $good edges=2;" => qr/is duplicate/,
        "appeal_limit_share $good; appeal_limit_share $good;" => qr/is duplicate/,
        "appeal_limit_share $good prefix=" . 'x' x 65 . ';' => qr/over 64 bytes/,
        "appeal_limit_share $good password=$dir/none;" => qr/none/,
        'appeal_limit_zone two 1m shared;' => qr/"two" is shared, but there is no/,
        'appeal_limit_zone two 1m divided;' => qr/not "shared"/,
    );
    for my $directive (sort keys %bad) {
        my ($status, $said) = nginx_config($directive, '');
        isnt $status, 0, substr $directive, 0, 80;
        like $said, $bad{$directive}, '… is named';
    }
    for my $redis ('127.0.0.1:6379', '[::1]:6379') {
        my ($status, $said) = nginx_config("appeal_limit_share redis=$redis edges=2;", '');
        is $status, 0, "$redis, with the secret of the pseudonyms" or diag $said;
    }
};

for my $edge (@edges) { on($edge, sub { unlike nginx_log(), qr/\[(?:crit|emerg)\]|\[alert\](?!.*exited on signal 9)/, "nothing alarms edge \"$edge\"" }) }

done_testing;
