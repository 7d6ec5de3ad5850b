#!/usr/bin/env perl
# Who solves a challenge is let in, once: ALTCHA's own library solves what the module gives out. Whatever is wrong has a reason of its own; a solution
# that was used is remembered by all workers, over reloads and deaths; difficulty follows load.
use strict;
use warnings;
use utf8;
use Test::More;
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use JSON::PP ();
use MIME::Base64 qw(decode_base64 encode_base64);
use POSIX ();
use Time::HiRes qw(sleep time);
use Otklik::Altcha;
use Otklik::Nginx;

my $dir = nginx_dir();
my $json = JSON::PP->new->utf8->canonical;
my %secret = (k1 => '11' x 32, k2 => '22' x 32, k3 => '33' x 40);
sub put { my ($name, $text) = @_; open my $out, '>:raw', "$dir/$name.new" or die $!; print {$out} $text; close $out or die $!; chmod 0600, "$dir/$name.new"; chown +(getpwnam q(nobody))[2, 3], "$dir/$name.new"; rename "$dir/$name.new", "$dir/$name" or die $!; return }
sub keys_are { my (@ids) = @_; return put('challenge', join '', map { "$_ $secret{$_}\n" } @ids) }
keys_are('k1');
my ($line, $api_key) = new_key_line('partner', region => 67);
nginx_keys($line);

my $params = join '', map { "fastcgi_param APPEAL_\U$_ \$appeal_$_;" } qw(auth subject roles region body difficulty);
my $service = "fastcgi_pass_request_headers off; $params fastcgi_pass unix:$dir/echo.sock;";
my $cheap = 'cost=1 counter=1-9';
my $http = <<"CONF";
appeal_challenge_secret $dir/challenge;
appeal_challenge_zone main 1m $cheap pool=64;
appeal_challenge_zone brief 256k $cheap lifetime=2s;
appeal_challenge_zone small 4k $cheap pool=4;
appeal_challenge_zone dear 128k cost=100000 counter=1-2 pool=2;
appeal_challenge_zone real 128k pool=4;
appeal_challenge_zone busy 1m cost=1 counter=10-19 pool=200 level=20r/s:3 level=2000r/s:9 hold=1s;
appeal_limit_zone one 1m;
CONF
my $server = '';
for my $zone (qw(main brief small dear real busy)) {
    $server .= <<"CONF";
location = /ask/$zone { appeal_auth anonymous; appeal_region 90; appeal_challenge $zone purpose=appeal; appeal_challenge_issue; }
location = /pay/$zone { appeal_auth challenge anonymous; appeal_region 90; appeal_challenge $zone purpose=appeal; $service }
CONF
}
$server .= <<"CONF";
location = /only { appeal_auth challenge; appeal_region 90; appeal_challenge main purpose=appeal; $service }
location = /comment { appeal_auth challenge; appeal_region 90; appeal_challenge main purpose=comment; $service }
location = /elsewhere { appeal_auth challenge; appeal_region 67; appeal_challenge main purpose=appeal; $service }
location = /nowhere { appeal_auth challenge; appeal_challenge main purpose=appeal; $service }
location = /all { appeal_auth jwt api_key challenge anonymous; appeal_jwt_keys $dir/jwks; appeal_jwt_issuer a; appeal_jwt_audience b; appeal_region 90; appeal_challenge main purpose=appeal; $service }
location = /limited { appeal_auth challenge anonymous; appeal_region 90; appeal_challenge main purpose=appeal; appeal_limit one key=address rate=1r/d burst=2 only=challenge name=paid; $service }
location = /rare { appeal_auth anonymous; appeal_region 90; appeal_challenge main purpose=appeal; appeal_limit one key=address rate=1r/d burst=2 name=rare; appeal_challenge_issue; }
location = /any { satisfy any; deny all; appeal_auth challenge; appeal_region 90; appeal_challenge main purpose=appeal; $service }
location = /moved { appeal_auth challenge; appeal_region 90; appeal_challenge main purpose=appeal; try_files /none /only; }
location = /moved_wrong { appeal_auth challenge; appeal_region 90; appeal_challenge main purpose=appeal; try_files /none /comment; }
location = /page { appeal_auth challenge; appeal_region 90; appeal_challenge main purpose=appeal; appeal_refusal error_page; error_page 401 /page.html; $service }
location = /page.html { appeal_auth off; }
location = /metrics { appeal_metrics; }
CONF
put('jwks', '{"keys":[{"kty":"oct","kid":"h","alg":"HS256","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}');
put('page.html', 'a page');
chmod 0644, "$dir/page.html";
nginx_start($http, $server, workers => 2);

sub ask {
    my ($zone) = @_;
    my $until = time + 5;
    while (1) {
        my $answer = nginx_get("/ask/$zone");
        return $answer if $answer->{status} == 200;
        die "$answer->{status} $answer->{content}" if $answer->{status} != 503 || time > $until;
        sleep 0.01;
    }
}
sub solved { my ($zone) = @_; return scalar solve(ask($zone // 'main')->{content}) }
sub pay { my ($path, $payload, %h) = @_; return nginx_get($path, headers => { 'X-Altcha' => $payload, %h }) }
sub told { my ($answer) = @_; return [map { $answer->{json}{"APPEAL_$_"}[0] } qw(AUTH SUBJECT ROLES REGION BODY)] }
sub reason { my ($answer) = @_; return $answer->{status} == 200 ? 'let in' : $answer->{json}{reason} // "status $answer->{status}" }
sub count { my ($name) = @_; return nginx_get('/metrics')->{content} =~ /^otklik_edge_\Q$name\E (\d+)$/m ? $1 : undef }
sub soon { my ($code, $what, $seconds) = @_; my $until = time + ($seconds // 3); until ($code->()) { return fail($what) if time > $until; sleep 0.05 } return pass($what) }

# As the module signs, so that it is not the signature that is refused.
sub sign {
    my ($payload, $change, %o) = @_;
    return altcha_change($payload, sub {
        my ($data) = @_;
        $change->($data->{challenge}{parameters}, $data);
        my $key = hmac_sha256('altcha challenge', pack 'H*', $secret{ $o{key} // 'k1' });
        $data->{challenge}{signature} = hmac_sha256_hex($json->encode($data->{challenge}{parameters}), $key);
    });
}

subtest 'asked, solved, let in' => sub {
    my $answer = ask('main');
    is $answer->{headers}{'content-type'}, 'application/json', 'JSON';
    is $answer->{headers}{'cache-control'}, 'no-store', 'for nobody to keep';
    my $p = $answer->{json}{parameters};
    is_deeply [@$p{qw(algorithm cost keyLength)}], ['PBKDF2/SHA-256', 1, 32], 'protocol 2';
    is_deeply [@{ $p->{data} }{qw(key purpose region)}], ['k1', 'appeal', '90'], 'what it is for is in it';
    cmp_ok abs($p->{expiresAt} - time - 600), '<', 3, 'and until when';
    is $answer->{content}, $json->encode($answer->{json}) . "\n", 'written as it is signed';
    is $answer->{json}{signature}, hmac_sha256_hex($json->encode($p), hmac_sha256('altcha challenge', pack 'H*', $secret{k1})), 'the signature is one';
    my ($payload, $counter) = solve($answer->{content});
    cmp_ok $counter, '>=', 1, 'solved by the official library';
    is_deeply told(pay('/pay/main', $payload)), ['challenge', '', '', '90', ''], 'let in';
    soon(sub { nginx_get('/ask/main', method => 'HEAD')->{status} == 200 }, 'HEAD');
    is nginx_get('/ask/main', method => 'POST', content => '')->{status}, 405, 'nothing can be posted there';

    my %nonces = map { $_->{nonce} => 1, $_->{salt} => 1, $_->{keyPrefix} => 1, $_->{keySignature} => 1 } map { ask('main')->{json}{parameters} } 1 .. 200;
    is scalar keys %nonces, 800, 'none is like another';
    my %counters;
    $counters{ (solve(ask('main')->{content}))[1] }++ for 1 .. 120;
    is_deeply [sort keys %counters], [1 .. 9], 'counters are drawn from all of the range';
};

subtest 'at its real cost' => sub {
    my $answer = ask('real');
    is $answer->{json}{parameters}{cost}, 5000, 'five thousand rounds';
    my ($payload, $counter) = solve($answer->{content});
    cmp_ok $counter, '>=', 150, 'not too cheap';
    cmp_ok $counter, '<=', 350, 'nor too dear';
    is reason(pay('/pay/real', $payload)), 'let in', 'and it counts';
};

subtest 'once' => sub {
    my $payload = solved();
    is reason(pay('/only', $payload)), 'let in', 'the first time';
    is reason(pay('/only', $payload)), 'spent_challenge', 'never again' for 1 .. 5;
    is reason(pay('/pay/main', $payload)), 'spent_challenge', 'nor elsewhere';
    is reason(pay('/only', encode_base64(' ' . decode_base64($payload), ''))), 'spent_challenge', 'nor in another spelling';
    is reason(pay('/only', altcha_change($payload, sub { $_[0]{solution}{counter}++; delete $_[0]{solution}{time} }))), 'spent_challenge', 'nor with another counter';
    my $www = pay('/only', $payload)->{headers}{'www-authenticate'};
    is $www, 'Altcha realm="otklik", header="X-Altcha", error="spent_challenge"', 'and is told why';

    for my $round (1 .. 5) {
        my $parallel = solved();
        my @pipes = map {
            my $pid = open(my $from, '-|') // die $!;
            if ($pid == 0) { print reason(pay('/only', $parallel)), "\n"; close STDOUT; POSIX::_exit(0) }
            $from;
        } 1 .. 6;
        my %got;
        for my $from (@pipes) { chomp(my $said = readline $from); $got{$said}++ }
        is_deeply \%got, { 'let in' => 1, 'spent_challenge' => 5 }, "of six at once one is let in: $round";
    }
};

subtest 'what is wrong has a reason' => sub {
    my $p = solved();
    my %wrong = (
        'rubbish' => ['x', 'malformed_challenge'], 'empty' => ['', 'malformed_challenge'], 'too long' => [encode_base64(decode_base64($p) . ' ' x 3000, ''), 'malformed_challenge'],
        'no padding' => [$p =~ s/=+\z//r . ($p =~ /=\z/ ? '' : '='), 'malformed_challenge'],
        'A1 a key of its own' => [altcha_change($p, sub { $_[0]{solution} = { counter => 0, derivedKey => 'ab' x 32 } }), 'wrong_proof'],
        'A1 the half that is shown' => [altcha_change($p, sub { $_[0]{solution}{derivedKey} = $_[0]{challenge}{parameters}{keyPrefix} . '0' x 32 }), 'wrong_proof'],
        'A1 the prefix made to fit' => [altcha_change($p, sub { $_[0]{solution}{derivedKey} = $_[0]{challenge}{parameters}{keyPrefix} = 'ab' x 16; $_[0]{solution}{derivedKey} x= 2 }), 'bad_challenge_signature'],
        'A2 unsigned' => [altcha_change($p, sub { $_[0]{challenge}{signature} = '0' x 64 }), 'bad_challenge_signature'],
        'A8 a counter as text' => [altcha_change($p, sub { $_[0]{solution}{counter} = "$_[0]{solution}{counter}" }), 'malformed_challenge'],
        'A8 a counter too high' => [altcha_change($p, sub { $_[0]{solution}{counter} = 4294967296 }), 'malformed_challenge'],
        'A8 upper case' => [altcha_change($p, sub { $_[0]{solution}{derivedKey} = 'AB' x 32 }), 'malformed_challenge'],
        'A8 a short key' => [altcha_change($p, sub { chop $_[0]{solution}{derivedKey} }), 'malformed_challenge'],
        'A9 more time' => [altcha_change($p, sub { $_[0]{challenge}{parameters}{expiresAt} += 600 }), 'bad_challenge_signature'],
        'A9 cheaper' => [altcha_change($p, sub { $_[0]{challenge}{parameters}{cost} = 2 }), 'unknown_challenge'],
        'another algorithm' => [sign($p, sub { $_[0]{algorithm} = 'SHA-256' }), 'malformed_challenge'],
        'another member' => [sign($p, sub { $_[0]{memoryCost} = 1 }), 'malformed_challenge'],
        'another purpose, signed' => [sign($p, sub { $_[0]{data}{purpose} = 'comment' }), 'wrong_purpose'],
        'another region, signed' => [sign($p, sub { $_[0]{data}{region} = '67' }), 'wrong_purpose'],
        'another store, signed' => [sign($p, sub { $_[0]{data}{store} = '0' x 16 }), 'unknown_challenge'],
        'another key' => [altcha_change($p, sub { $_[0]{challenge}{parameters}{data}{key} = 'k9' }), 'unknown_challenge'],
        'over, signed' => [sign($p, sub { $_[0]{expiresAt} = int(time) - 1 }), 'expired_challenge'],
        'another form' => [altcha_payload([1]), 'malformed_challenge'],
    );
    for my $what (sort keys %wrong) {
        my $answer = pay('/pay/main', $wrong{$what}[0]);
        is reason($answer), $wrong{$what}[1], $what;
        is $answer->{status}, 401, "$what: 401" if $answer->{status} != 401;
        is $answer->{headers}{'www-authenticate'}, qq{Altcha realm="otklik", header="X-Altcha", error="$wrong{$what}[1]"}, "$what: told in the header" if $answer->{status} == 401;
    }
    is reason(pay('/comment', $p)), 'wrong_purpose', 'a letter is no comment';
    is reason(pay('/elsewhere', $p)), 'wrong_purpose', 'nor is it for another region';
    is reason(pay('/nowhere', $p)), 'wrong_purpose', 'nor for none';
    is reason(pay('/pay/brief', $p)), 'unknown_challenge', 'nor for a place with another store';
    is reason(pay('/only', sign($p, sub { }))), 'let in', 'A2: none of these spent it, and signed like that it is one of ours';
};

subtest 'among other credentials' => sub {
    my $p = solved();
    is reason(pay('/all', 'x')), 'malformed_challenge', 'a wrong one is refused, never taken for nobody';
    is reason(pay('/all', 'x', 'X-Api-Key' => $api_key)), 'let in', 'a key goes before it';
    is told(pay('/all', $p, 'X-Api-Key' => $api_key))->[0], 'api_key', 'and leaves it unspent';
    is reason(pay('/all', $p, 'X-Api-Key' => 'x')), 'invalid_key', 'also a wrong one';
    is reason(pay('/all', $p, Authorization => 'Bearer x')), 'malformed_token', 'so does a token';
    is told(nginx_get('/all'))->[0], 'anonymous', 'nobody';
    is reason(nginx_get('/only')), 'missing_credential', 'nobody where one must pay';
    is nginx_get('/only')->{headers}{'www-authenticate'}, 'Altcha realm="otklik", header="X-Altcha"', 'what may be sent';
    is reason(nginx_get('/only', headers => { 'X-Altcha' => [$p, $p] })), 'several_credentials', 'two are one too many';
    is reason(nginx_get("/only?altcha=$p")), 'missing_credential', 'never from the arguments';
    is told(pay('/all', $p))->[0], 'challenge', 'nothing of that spent it';
    is reason(pay('/any', solved())), 'let in', 'satisfy any: it opens';
    is pay('/any', 'x')->{status}, 401, 'and a wrong one does not';
    is pay('/page', 'x')->{content}, 'a page', 'error_page may dress it';
};

subtest 'redirections spend it once' => sub {
    is reason(pay('/moved', solved())), 'let in', 'to a place with the same rules';
    my $p = solved();
    is reason(pay('/moved_wrong', $p)), 'wrong_purpose', 'to one of another purpose it does not open';
};

subtest 'limits' => sub {
    my @p = map { solved() } 1 .. 3;
    is join(' ', map { reason(pay('/limited', $_)) } @p), 'let in let in rate_exceeded', 'only=challenge';
    is reason(nginx_get('/limited')), 'let in', 'is not for nobody';
    is reason(pay('/only', $p[2])), 'let in', 'what a limit refused was not spent';
    is reason(pay('/only', $p[1])), 'spent_challenge', 'the others were';
    my @asked = map { nginx_get('/rare') } 1 .. 3;
    is join(' ', map { $_->{status} } @asked), '200 200 429', 'asking is charged';
    ok $asked[0]{json}{parameters}, 'with challenges';
    is reason($asked[2]), 'rate_exceeded', 'and a problem';
};

subtest 'its time' => sub {
    my ($soon, $late) = (solved('brief'), solved('brief'));
    is reason(pay('/pay/brief', $soon)), 'let in', 'in time';
    soon(sub { reason(pay('/pay/brief', $soon)) eq 'expired_challenge' }, 'it is remembered until it is over anyway');
    is reason(pay('/pay/brief', $late)), 'expired_challenge', 'too late';
};

subtest 'keys change' => sub {
    # A worker looks at its files when it is asked; both must have, each a second after the last time.
    my $seen = sub {
        my ($what, $change) = @_;
        my $before = count("challenge_keys_${what}_total");
        $change->();
        return soon(sub { nginx_get('/metrics') for 1 .. 5; count("challenge_keys_${what}_total") == $before + 2 }, "both workers saw it: $what", 8);
    };
    my ($one, $two) = (solved(), solved());
    $seen->('loaded', sub { keys_are('k2', 'k1') });
    is reason(pay('/only', $one)), 'let in', 'the key before verifies';
    my $new = ask('main');
    is $new->{json}{parameters}{data}{key}, 'k2', 'the first one signs';
    $seen->('loaded', sub { keys_are('k2') });
    is reason(pay('/only', $two)), 'unknown_challenge', 'a key that has gone does not';
    my $p = solve($new->{content});
    $seen->('broken', sub { put('challenge', "k3 broken\n") });
    is reason(pay('/only', $p)), 'let in', 'a broken file leaves the former one in force';
    is ask('main')->{json}{parameters}{data}{key}, 'k2', 'for signing, too';
    like nginx_log(), qr/challenge", line 1: the secret is not 64 to 128 hexadecimal digits/, 'and is named in the log';
    $seen->('loaded', sub { keys_are('k1', 'k3') });
    is ask('main')->{json}{parameters}{data}{key}, 'k1', 'mended';
};

subtest 'a store that is full' => sub {
    my $capacity = count('challenge_capacity{zone="small"}');
    cmp_ok $capacity, '<', 400, 'a small one';
    my (@spent, $full, $answer);
    for (1 .. $capacity + 1) {
        my $p = solved('small');
        $answer = pay('/pay/small', $p);
        if ($answer->{status} == 503) { $full = $p; last }
        push @spent, $p;
        is reason($answer), 'let in', 'before it is full' if $answer->{status} != 200;
    }
    ok $full, 'it is full after ' . @spent . " of $capacity" or return;
    cmp_ok scalar @spent, '>=', $capacity / 4, 'not too early';
    is reason($answer), 'challenges_full', 'then it says so';
    is $answer->{headers}{'retry-after'}, 10, 'and when to come again';
    is $answer->{json}{retry_after}, 10, 'in the problem, too';
    is reason(nginx_get('/pay/small')), 'let in', 'nobody is let in as before';
    is reason(pay('/only', solved())), 'let in', 'and so is who pays elsewhere';
    is_deeply [grep { reason(pay('/pay/small', $_)) ne 'spent_challenge' } @spent], [], 'what is spent was not forgotten';
    is count('challenge_spent{zone="small"}'), scalar @spent, 'all are counted';
};

subtest 'a pool that is empty' => sub {
    my @answers = map { nginx_get('/ask/dear') } 1 .. 30;
    my ($empty) = grep { $_->{status} == 503 } @answers;
    ok $empty, 'more were asked for than were made' or return;
    is reason($empty), 'no_challenge_ready', 'the asker is told';
    is $empty->{headers}{'retry-after'}, 2, 'when to come again';
    is nginx_get('/pay/dear')->{status}, 200, 'and nobody else';
    is nginx_get('/ask/main')->{status}, 200, 'another zone has its own';
    soon(sub { count('challenge_ready{zone="dear",level="0"}') == 2 }, 'it fills again');
};

subtest 'difficulty follows load' => sub {
    my $level = sub { count('challenge_level{zone="busy"}') };
    my $counter = sub { (solve(ask('busy')->{content}))[1] };
    my $difficulty = sub { nginx_get('/pay/busy')->{json}{APPEAL_DIFFICULTY}[0] };
    is $level->(), 0, 'it is quiet';
    is $difficulty->(), 1, 'and cheap';
    my $low = $counter->();
    cmp_ok $low, '<=', 19, 'the counter is as configured';
    cmp_ok $low, '>=', 10, 'from the least';
    soon(sub { ask('busy') for 1 .. 30; $level->() == 1 }, 'many ask: up', 5);
    my $peak = time;
    is $difficulty->(), 3, 'the variable tells';
    my $high = $counter->();
    cmp_ok $high, '>=', 30, 'three times the work';
    cmp_ok $high, '<=', 57, 'and no more';
    soon(sub { $level->() == 0 }, 'nobody asks: down', 20);
    cmp_ok time - $peak, '>', 1, 'but not at once';
    cmp_ok $counter->(), '<=', 19, 'cheap again';
    is nginx_get('/metrics')->{content} =~ /^otklik_edge_challenge_ready\{zone="busy",level="2"\} (\d+)$/m ? $1 : -1, 200, 'the highest level has its challenges ready';
};

subtest 'it survives' => sub {
    keys_are('k1');
    my ($before, $unused) = (solved(), solved());
    is reason(pay('/only', $before)), 'let in', 'before';
    nginx_reload($http, $server, workers => 2);
    is reason(pay('/only', $before)), 'spent_challenge', 'a reload forgets nothing';
    is reason(pay('/only', $unused)), 'let in', 'and what was given out before it is good';
    for my $round (1 .. 6) {
        my @payloads = map { solved() } 1 .. 2;
        my @workers = nginx_workers();
        my $killer = fork // die $!;
        if ($killer == 0) { sleep 0.01 * $round; kill 'KILL', $workers[$round % @workers]; POSIX::_exit(0) }
        my $paid = 0;
        for my $p (@payloads) {
            for (1 .. 3) { my $got = reason(eval { pay('/only', $p) } // { status => 599 }); $paid++ if $got eq 'let in' }
        }
        waitpid $killer, 0;
        soon(sub { my @now = nginx_workers(); @now == 2 && !grep { $_ == $workers[$round % @workers] } @now }, "a worker was killed and replaced: $round");
        cmp_ok $paid, '<=', 2, 'nothing was paid with twice';
        is reason(pay('/only', $before)), 'spent_challenge', 'what was spent is';
        is reason(pay('/only', solved())), 'let in', 'challenges are made and taken';
    }
    soon(sub { count('challenge_ready{zone="main",level="0"}') == 64 }, 'the pool fills, whoever died');
    my @threads = map { my $pid = $_; scalar(() = glob "/proc/$pid/task/*") } nginx_workers();
    is join(' ', sort @threads), '1 2', 'one of the two workers makes challenges';
};

subtest 'another pool, and a new store' => sub {
    my ($p, $spent) = (solved(), solved());
    is reason(pay('/only', $spent)), 'let in', 'before';
    my $other = $http =~ s/pool=64/pool=32/r;
    nginx_reload($other, $server, workers => 2);
    is reason(pay('/only', $spent)), 'unknown_challenge', 'what was spent before is not good again';
    is reason(pay('/only', $p)), 'unknown_challenge', 'nor is what was given out';
    is reason(pay('/only', solved())), 'let in', 'new ones are';
    nginx_reload($other =~ s/main 1m cost=1 /main 1m cost=2 /r, $server, workers => 2);
    is ask('main')->{json}{parameters}{cost}, 2, 'another cost throws away what was made for the former one';
    is reason(pay('/only', solved())), 'let in', 'and it can be paid';
};

subtest 'metrics' => sub {
    my $before = count('challenge_checked_total{verdict="good"}');
    pay('/only', solved());
    pay('/only', 'x');
    is count('challenge_checked_total{verdict="good"}'), $before + 1, 'good ones are counted';
    cmp_ok count("challenge_checked_total{verdict=\"$_\"}"), '>', 0, "counted: $_" for qw(malformed unknown bad_signature expired wrong_purpose wrong_proof spent full);
    cmp_ok count('challenge_issued_total{zone="main"}'), '>', 0, 'and what was given out';
    is count('challenge_keys'), 1, 'and keys';
    cmp_ok count('accepted_total{auth="challenge"}'), '>', 0, 'and who came';
};

subtest 'configurations that are refused' => sub {
    my $zone = 'appeal_challenge_zone z 1m';
    my $place = 'appeal_challenge z purpose=a;';
    my $secret = "appeal_challenge_secret $dir/challenge;";
    my $auth = 'location / { appeal_auth challenge; }';
    my %wrong = (
        'no zone' => [$secret, $auth, qr/"appeal_auth challenge" needs "appeal_challenge" and "appeal_challenge_secret"/], 'no secret' => ["$zone; $place", $auth, qr/needs "appeal_challenge"/],
        'a zone that there is not' => ["$secret $place", $auth, qr/zero size shared memory zone "z"/], 'no purpose' => ["$zone; appeal_challenge z a;", '', qr/"a" is not "purpose="/],
        'a bad purpose' => ["$zone; appeal_challenge z purpose=a\@b;", '', qr/"purpose=a\@b" is not/], 'twice' => ["$zone; $place $place", '', qr/"appeal_challenge" directive is duplicate/],
        'asking without limits' => ["$zone; $place $secret", 'location / { appeal_challenge_issue; }', qr/"appeal_challenge_issue" needs "appeal_auth"/],
        'too small' => ['appeal_challenge_zone z 32k;', '', qr/invalid size "32k" of zone "z", with such a pool/], 'no size' => ['appeal_challenge_zone z x;', '', qr/invalid size "x"/],
        'a bad name' => ['appeal_challenge_zone a:b 1m;', '', qr/has a name that is not/], 'a zone twice' => ["$zone; $zone;", '', qr/duplicate zone "z"/],
        'an unknown parameter' => ["$zone x=1;", '', qr/"x=1" is unknown/], 'cost 0' => ["$zone cost=0;", '', qr/"cost=0" is not a number from 1/], 'cost twice' => ["$zone cost=1 cost=1;", '', qr/is duplicate/],
        'a counter' => ["$zone counter=5;", '', qr/is not like 150-350/], 'a range' => ["$zone counter=5-4;", '', qr/is not like 150-350/], 'no pool' => ["$zone pool=0;", '', qr/from 1 to 16384/],
        'no life' => ["$zone lifetime=0;", '', qr/not a time/], 'a long life' => ["$zone lifetime=2d;", '', qr/of up to a day/], 'a level' => ["$zone level=5:4;", '', qr/is not like 50r\/s:4/],
        'a level that is no harder' => ["$zone level=5r/s:4 level=6r/s:4;", '', qr/not above the level before/], 'a level too hard' => ["$zone level=5r/s:100000;", '', qr/goes beyond 1000000/],
        'four levels' => ["$zone level=1r/s:2 level=2r/s:3 level=3r/s:4 level=4r/s:5;", '', qr/one too many/], 'hold' => ["$zone hold=x;", '', qr/not a time/],
        'another file' => ["appeal_challenge_secret $dir/keys;", '', qr/line 1: it does not begin with a name|line 1: the secret/],
    );
    for my $what (sort keys %wrong) {
        my ($status, $said) = nginx_config($wrong{$what}[0], $wrong{$what}[1]);
        isnt $status, 0, $what;
        like $said, $wrong{$what}[2], "$what: named";
    }
    chmod 0644, "$dir/challenge";
    my ($status, $said) = nginx_config("$secret $zone; $place", $auth);
    is $status, 0, 'a secret for all to read is taken' or diag $said;
    like $said, qr/everybody may read the secret/, 'with a warning';
};

my $log = nginx_log();
unlike $log, qr/eyJ|derivedKey|11111111111111111111|keySignature/, 'no solution and no secret in the log';
unlike $log, qr/\[alert\] (?!.*exited on signal 9)/, 'no alarm';
like $log, qr/refused: spent_challenge/, 'but why it was refused';

done_testing;
