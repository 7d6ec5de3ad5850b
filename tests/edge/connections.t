#!/usr/bin/env perl
# Whatever a client does with its connection: many requests on one, bodies of refused ones, HTTP/2, half a request, no patience. Each request is
# decided on its own and charged once; the log says how it ended; no worker minds.
use strict;
use warnings;
use utf8;
use Test::More;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep);
use Otklik::Nginx;
use Otklik::Token;

my $dir = nginx_dir();
my ($line, $api_key) = new_key_line('partner', region => 67);
nginx_keys($line);
my $signer = new_token_key('ES256');
{ open my $out, '>', "$dir/jwks" or die $!; print {$out} jwk_set(jwk($signer)); close $out or die $! }
{ open my $out, '>', "$dir/big" or die $!; print {$out} 'x' x 8_000_000; close $out or die $! }
my $token = token($signer);
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout '$dir/tls.key' -out '$dir/tls.crt' 2> '$dir/openssl'") == 0 or die 'openssl';
my ($tls, $h2c) = map { Otklik::Nginx::free_port() } 1, 2;
# A service that takes a request and never answers.
my $deaf = IO::Socket::UNIX->new(Local => "$dir/deaf.sock", Listen => 64) or die "deaf: $!";
chmod 0666, "$dir/deaf.sock";

my $params = join '', map { "fastcgi_param APPEAL_\U$_ \$appeal_$_;" } qw(auth subject);
my $service = "$params fastcgi_pass unix:$dir/echo.sock;";
my $rate = sub { my ($name, $burst) = @_; return "appeal_limit one key=address rate=1r/h burst=$burst name=$name;" };
my $http = 'appeal_limit_zone one 1m;'
    . " appeal_jwt_keys $dir/jwks; appeal_jwt_issuer https://id.example; appeal_jwt_audience otklik;"
    . " log_format connections '\$uri \$status|\$appeal_auth|\$appeal_subject|\$appeal_reason'; access_log $dir/connections.log connections;";
my $server = <<"CONF";
listen 127.0.0.1:$tls ssl http2;
listen 127.0.0.1:$h2c http2;
ssl_certificate $dir/tls.crt; ssl_certificate_key $dir/tls.key;
access_log $dir/connections.log connections;
client_max_body_size 2m; client_body_buffer_size 16k; keepalive_requests 100000; client_header_timeout 20s;
location /any { appeal_auth jwt api_key anonymous; @{[$rate->('any', 2000)]} $service }
location /key { appeal_auth api_key; @{[$rate->('key', 2000)]} $service }
location /twenty { appeal_auth anonymous; @{[$rate->('twenty', 20)]} $service }
location /h2 { appeal_auth anonymous; @{[$rate->('h2', 20)]} $service }
location /aborted { appeal_auth anonymous; @{[$rate->('aborted', 1000)]} $service }
location /deaf { appeal_auth jwt api_key anonymous; @{[$rate->('deaf', 1000)]} fastcgi_pass unix:$dir/deaf.sock; }
location /big { appeal_auth api_key anonymous; @{[$rate->('big', 1000)]} }
location /metrics { access_log off; appeal_metrics; }
CONF
nginx_start($http, $server, workers => 2);
nginx_wait('both workers', sub { nginx_workers() == 2 });
my @workers = sort { $a <=> $b } nginx_workers();

my %kinds = (jwt => ["Authorization: Bearer $token", 'jwt ivanova'], api_key => ["X-Api-Key: $api_key", 'api_key partner'], nobody => ['X-Nothing: 1', 'anonymous ']);
sub request { my ($path, %o) = @_; return join("\r\n", ($o{method} // 'GET') . " $path HTTP/1.1", 'Host: x', @{ $o{headers} // [] }, '', '') . ($o{body} // '') }
sub told { my ($text) = @_; return map { /"APPEAL_AUTH":\["(\w*)"\].*"APPEAL_SUBJECT":\["(\w*)"\]/ ? "$1 $2" : '?' } $text =~ /(\{"APPEAL_AUTH.*?\})/g }
sub statuses { my ($text) = @_; return $text =~ m{HTTP/1\.1 (\d{3})\b}g }
sub left { my ($path, $name) = @_; return nginx_get($path)->{headers}{ratelimit} =~ /"$name";r=(\d+)/ ? $1 : undef }
sub metric { my ($pattern) = @_; my $n = 0; $n += $_ for nginx_get('/metrics')->{content} =~ /^otklik_edge_$pattern (\d+)$/mg; return $n }

my $read = 0;
sub logged {
    my ($n) = @_;
    my @lines;
    nginx_wait("$n lines of the log", sub {
        open my $in, '<', "$dir/connections.log" or return 0;
        seek $in, $read, 0;
        @lines = <$in>;
        return @lines >= $n && $lines[-1] =~ /\n\z/;
    });
    $read = -s "$dir/connections.log";
    chomp @lines;
    return @lines;
}

subtest 'many requests on one connection' => sub {
    my $socket = nginx_connect();
    my (@wanted, @got);
    for my $i (1 .. 150) {
        my $kind = (sort keys %kinds)[$i % 3];
        push @wanted, $kinds{$kind}[1];
        push @got, told(nginx_raw(request('/any', headers => [$kinds{$kind}[0]]), socket => $socket, enough => qr/\r\n0\r\n\r\n/));
    }
    is_deeply \@got, \@wanted, 'each is who it says, and nobody takes over who came before';
    my @wrong = statuses(nginx_raw(request('/any', headers => ['X-Api-Key: x']) . request('/any', headers => ['Connection: close']), socket => $socket));
    is "@wrong", '401 200', 'after a wrong one the next is decided on its own';
    is_deeply [(logged(152))[150, 151]], ['/any 401|||invalid_key', '/any 200|anonymous||'], 'and logged on its own';
};

subtest 'bodies of refused requests' => sub {
    my %bodies = (
        'a short body'    => request('/key', method => 'POST', headers => ['Content-Length: 5'], body => 'hello'),
        'a long body'     => request('/key', method => 'POST', headers => ['Content-Length: 300000'], body => 'GET /any HTTP/1.1' . 'x' x (300_000 - 17)),
        'a chunked body'  => request('/key', method => 'POST', headers => ['Transfer-Encoding: chunked'], body => "11\r\nGET /any HTTP/1.1\r\n" . "4000\r\n" . 'y' x 0x4000 . "\r\n0\r\n\r\n"),
        'an empty chunk'  => request('/key', method => 'PUT', headers => ['Transfer-Encoding: chunked'], body => "0\r\n\r\n"),
    );
    for my $what (sort keys %bodies) {
        my $said = nginx_raw($bodies{$what} . request('/any', headers => ['Connection: close', $kinds{jwt}[0]]));
        is join(' ', statuses($said)), '401 200', "$what is read away, not taken for a request";
        is((told($said))[0], 'jwt ivanova', "$what: the next request is known");
        is_deeply [logged(2)], ['/key 401|||missing_credential', '/any 200|jwt|ivanova|'], "$what: both are logged";
    }
    my $said = nginx_raw(request('/key', method => 'POST', headers => ['Content-Length: 100000', 'Expect: 100-continue']), enough => qr/"reason":"\w+"/);
    is join(' ', statuses($said)), '401', 'who asks before sending is not told to';
    $said = nginx_raw(request('/key', method => 'POST', headers => ["X-Api-Key: $api_key", 'Content-Length: 5', 'Expect: 100-continue']), enough => qr/100 Continue\r\n\r\n/);
    is join(' ', statuses($said)), '100', 'unless he may';
    logged(2);
    $said = nginx_raw(request('/key', method => 'POST', headers => ['Content-Length: 3000000']), enough => qr/<\/html>/);
    is join(' ', statuses($said)), '413', 'too long is refused before anything else';
    is_deeply [logged(1)], ['/key 413|||'], 'by nginx, for nobody';
};

subtest 'pipelining' => sub {
    my $said = nginx_raw(join '', map({ request('/twenty') } 1 .. 29), request('/twenty', headers => ['Connection: close']));
    is join(' ', statuses($said)), join(' ', (200) x 20, (429) x 10), 'twenty of thirty pass, in their order';
    my @left = $said =~ /^RateLimit: "twenty";r=(\d+)/mg;
    is "@left", join(' ', reverse(0 .. 19), (0) x 10), 'each is told what is left after it';
    logged(30);
};

sub curl { my (@arguments) = @_; open my $from, '-|', 'curl', '--silent', '--no-progress-meter', '--max-time', 20, '--noproxy', '*', '--insecure', @arguments or die "curl: $!"; local $/ = undef; my $said = <$from>; close $from; return $said // '' }

for my $over (['TLS', '--http2', "https://127.0.0.1:$tls"], ['plain TCP', '--http2-prior-knowledge', "http://127.0.0.1:$h2c"]) {
    my ($name, $how, $url) = @$over;
    subtest "HTTP/2 over $name" => sub {
        my @format = ('--write-out', "%{http_version} %{response_code} %{num_connects}\n");
        for my $kind (sort keys %kinds) {
            my $said = curl($how, @format, '--header', $kinds{$kind}[0], "$url/any");
            is join('|', told($said), $said =~ /^.*\}(.*)$/m), "$kinds{$kind}[1]|2 200 1", "$kind is known";
        }
        my $said = curl($how, '--include', '--header', 'Accept-Language: en', '--header', 'Authorization: Bearer x', "$url/any");
        like $said, qr/\AHTTP\/2 401 .*^www-authenticate: Bearer realm="otklik", error="invalid_token".*"reason":"malformed_token"/ms, 'a wrong token is refused with all that belongs to it';
        logged(4);
        # Debian's curl uses no connection without TLS twice, nor sends long bodies on one.
        if ($name eq 'TLS') {
            $said = curl($how, '--parallel', '--output', '/dev/null', @format, "$url/h2?[1-30]");
            my %n;
            $n{$_}++ for $said =~ /^2 (\d+) /mg;
            is "$n{200} $n{429}", '20 10', 'many at once get what there is';
            logged(30);
            $said = curl($how, @format, '--output', '/dev/null', '--data-binary', "\@$dir/tls.crt", "$url/key", '--next', '--insecure', '--silent', $how, '--output', '/dev/null', @format, "$url/any");
            is $said, "2 401 1\n2 200 0\n", 'a refused body does not end the connection';
            is_deeply [logged(2)], ['/key 401|||missing_credential', '/any 200|anonymous||'], 'and both are logged';
            is curl($how, @format, '--output', '/dev/null', '--header', 'Transfer-Encoding: chunked', '--data-binary', "\@$dir/big", "$url/key") =~ s/ \d+\n//r, '2 401', 'nor does a long one keep it busy';
            logged(1);
        }
        is curl($how, @format, '--head', "$url/key") =~ /^(2 401)/m ? $1 : '', '2 401', 'HEAD is refused';
        logged(1);
    };
}

# ---- clients that go away

sub reset_it { my ($socket) = @_; setsockopt $socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0); close $socket; return }
sub say_to { my ($bytes) = @_; my $socket = nginx_connect(); $socket->autoflush; print {$socket} $bytes; return $socket }

subtest 'clients that go away' => sub {
    my $before = left('/aborted', 'aborted');
    logged(1);
    my $header = request('/aborted', method => 'POST', headers => ['Content-Length: 50000']);
    my %ways = (
        'without a word'           => sub { nginx_connect() },
        'in the first line'        => sub { say_to('GET /abor') },
        'in the headers'           => sub { say_to(substr $header, 0, length($header) - 5) },
    );
    for my $how (sort keys %ways) {
        for my $end (sub { close $_[0] }, \&reset_it) { $end->($ways{$how}->()) for 1 .. 5 }
    }
    is left('/aborted', 'aborted'), $before - 1, 'what was no request costs nothing';
    logged(1);

    # With its headers a request has come; that half its body never does is its own affair.
    for my $end (sub { close $_[0] }, \&reset_it) { $end->(say_to($header . 'x' x 20_000)) for 1 .. 5 }
    my @lines = sort(grep { !/ 200/ } logged(10));
    is scalar @lines, 10, 'each that came with headers is logged';
    is scalar(grep { m{\A/aborted (?:400|499)\|anonymous\|\|\z} } @lines), 10, 'as let in and broken off' or diag explain \@lines;
    is left('/aborted', 'aborted'), $before - 12, 'and charged once';
    logged(1);

    # While the service thinks.
    my @waiting = map { my $kind = $_; map { say_to(request('/deaf', headers => [$kinds{$kind}[0]])) } 1, 2 } sort keys %kinds;
    nginx_wait('the requests at the service', sub { metric('accepted_total\S*') >= 6 && metric('connections(?:\S*)?') >= 6 });
    sleep 0.2;
    for my $i (0 .. $#waiting) { $i % 2 ? reset_it($waiting[$i]) : close $waiting[$i] }
    is_deeply [sort(logged(6))], ['/deaf 499|anonymous||', '/deaf 499|anonymous||', '/deaf 499|api_key|partner|', '/deaf 499|api_key|partner|', '/deaf 499|jwt|ivanova|', '/deaf 499|jwt|ivanova|'],
        'who went while the service thought is known to the log';

    # In the middle of a long answer, and after refusals.
    for my $end (sub { close $_[0] }, \&reset_it) {
        for (1 .. 5) {
            my $socket = say_to(request('/big'));
            sysread $socket, my $some, 10_000;
            $end->($socket);
            $end->(say_to(request('/key')));
            $end->(say_to(request('/key', method => 'POST', headers => ['Content-Length: 1000000'], body => 'x' x 30_000)));
        }
    }
    @lines = logged(30);
    is scalar(grep { m{\A/key 401\|\|\|missing_credential\z} } @lines), 20, 'who does not wait for a refusal is refused';
    is scalar(grep { m{\A/big 200\|anonymous\|\|\z} } @lines), 10, 'who has had enough of an answer was let in';
};

subtest 'slow clients' => sub {
    my @bytes = split //, request('/any', headers => ["X-Api-Key: $api_key", 'Connection: close']);
    my $socket = nginx_connect();
    $socket->autoflush;
    for (@bytes) { print {$socket} $_; sleep 0.002 }
    is((told(nginx_raw('', socket => $socket)))[0], 'api_key partner', 'a request byte by byte is one request');
    my $slow = nginx_connect();
    $slow->autoflush;
    print {$slow} request('/big', headers => ['Connection: close', "X-Api-Key: $api_key"]);
    sleep 0.1;
    is nginx_get('/any')->{status}, 200, 'others are served meanwhile';
    my ($n, $some) = (0);
    while (my $got = sysread $slow, $some, 65_536) { $n += $got; sleep 0.001 }
    cmp_ok $n, '>', 8_000_000, 'and it gets all of its answer';
    is_deeply [sort(logged(3))], ['/any 200|anonymous||', '/any 200|api_key|partner|', '/big 200|api_key|partner|'], 'all are logged';
};

subtest 'what is no request of ours' => sub {
    my %odd = (
        'no HTTP' => ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . "\r\n\r\n", '400'], 'two hosts' => ["GET /any HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", '400'],
        'no host' => ["GET /any HTTP/1.1\r\n\r\n", '400'], 'a line too long' => ['GET /' . 'a' x 40_000 . " HTTP/1.1\r\n\r\n", '414'],
        'a header too long' => [request('/any', headers => ['X-Api-Key: ' . 'a' x 40_000]), '400'], 'TRACE' => [request('/any', method => 'TRACE'), '405'],
        'two lengths' => [request('/key', method => 'POST', headers => ['Content-Length: 1', 'Content-Length: 2']), '400'],
        'both lengths' => [request('/key', method => 'POST', headers => ['Content-Length: 1', 'Transfer-Encoding: chunked']), '400'],
    );
    for my $what (sort keys %odd) {
        is join(' ', statuses(nginx_raw($odd{$what}[0], enough => qr/<\/html>/))), $odd{$what}[1], $what;
        my ($logged) = logged(1);
        like $logged, qr/ $odd{$what}[1]\|\|\|\z/, "$what: of nobody";
    }
    like curl('--include', "http://127.0.0.1:$tls/any"), qr/\AHTTP\/1\.1 400 /, 'plain HTTP where TLS is wanted';
};

# Every request that came to a decision is counted once, whatever became of its connection.
my $lines = do { open my $in, '<', "$dir/connections.log" or die $!; local $/ = undef; <$in> };
my %decided = (accepted => scalar(() = $lines =~ /\|(?:jwt|api_key|anonymous)\|\w*\|$/mg), refused => scalar(() = $lines =~ /\|(?:\w+)$/mg));
is metric("${_}_total\\S*"), $decided{$_}, "$_: the counter says what the log does" for sort keys %decided;
is_deeply [sort { $a <=> $b } nginx_workers()], \@workers, 'no worker died';
unlike nginx_log(), qr/\[(?:alert|crit|emerg)\]/, 'nothing alarms nginx';

done_testing;
