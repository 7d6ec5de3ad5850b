#!/usr/bin/env perl
# Who comes with a signed token is known by it; whatever is wrong with it has a reason of its own; what was verified is remembered, and forgotten in time.
use strict;
use warnings;
use utf8;
use Test::More;
use Encode ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64url decode_base64url);
use Time::HiRes qw(sleep time);
use Otklik::Nginx;
use Otklik::Token;

my %keys = map { $_ => new_token_key($_, kid => lc $_) } qw(RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 EdDSA HS256);
my $dir = nginx_dir();
sub put { my ($name, $text) = @_; open my $out, '>:raw', "$dir/$name.new" or die $!; print {$out} $text; close $out or die $!; rename "$dir/$name.new", "$dir/$name" or die $!; return }
put('jwks', jwk_set(map { jwk($_) } values %keys));
chmod 0600, "$dir/jwks" or die $!;
put('revoked', "# none\n");
my ($line, $api_key) = new_key_line('partner', region => 67);
nginx_keys($line);

my $params = join '', map { "fastcgi_param APPEAL_\U$_ \$appeal_$_;" } qw(auth subject roles region body);
my $service = "fastcgi_pass_request_headers off; $params fastcgi_pass unix:$dir/echo.sock;";
my $http = "appeal_jwt_keys $dir/jwks; appeal_jwt_issuer https://id.example; appeal_jwt_audience otklik; appeal_jwt_leeway 5s; appeal_jwt_cookie session;"
    . ' appeal_jwt_claims roles=roles region=region body=body; large_client_header_buffers 4 32k;';
my $server = <<"CONF";
appeal_region 90;
location /jwt { appeal_auth jwt; $service }
location /all { appeal_auth jwt api_key anonymous; $service }
location /typed { appeal_auth jwt; appeal_jwt_type at+jwt; $service }
location /revoked { appeal_auth jwt; appeal_jwt_revoked $dir/revoked; $service }
location /memory { appeal_auth jwt; appeal_jwt_memory tokens:64k; appeal_jwt_revoked $dir/revoked; $service }
location /other { appeal_auth jwt; appeal_jwt_memory tokens:64k; appeal_jwt_audience another; $service }
location /plain { appeal_auth jwt; appeal_jwt_claims roles=groups; $service }
location /any { satisfy any; allow 127.0.0.1; deny all; appeal_auth jwt; $service }
location /limited { appeal_auth jwt anonymous; appeal_limit_zone_test; $service }
location = /metrics { appeal_metrics; }
CONF
$server =~ s/appeal_limit_zone_test;/appeal_limit own key=\$appeal_subject rate=1r\/h burst=2 only=jwt;/;
nginx_start("appeal_limit_zone own 1m; $http", $server, workers => 2);

# Each worker looks at its files once a second.
sub change { put(@_); return sleep 1.1 }
sub bearer { my ($path, $token, %h) = @_; return nginx_get($path, headers => { Authorization => "Bearer $token", %h }) }
sub told { my ($answer) = @_; return [map { $answer->{json}{"APPEAL_$_"}[0] } qw(AUTH SUBJECT ROLES REGION BODY)] }
sub reason { my ($answer) = @_; return $answer->{status} == 200 ? 'let in' : $answer->{json}{reason} // "status $answer->{status}" }
sub count { my ($name) = @_; return nginx_get('/metrics')->{content} =~ /^otklik_edge_\Q$name\E (\d+)$/m ? $1 : undef }
sub soon { my ($code, $what) = @_; my $until = time + 3; until ($code->()) { return fail($what) if time > $until; sleep 0.05 } return pass($what) }
my $key = $keys{ES256};

subtest 'every algorithm' => sub {
    for my $alg (sort keys %keys) {
        is_deeply told(bearer('/jwt', token($keys{$alg}, claims => { roles => ['moderator', 'analyst'], region => 67, body => 'mfc' }))),
            ['jwt', 'ivanova', 'moderator analyst', '67', 'mfc'], "$alg: who it is, what he may, where and for whom";
        my $token = token($keys{$alg});
        my ($signed, $signature) = $token =~ /\A(.*)\.(.*)\z/;
        my $bytes = decode_base64url($signature);
        substr($bytes, 9, 1) ^= "\x01";
        is reason(bearer('/jwt', "$signed." . encode_base64url($bytes))), 'bad_signature', "$alg: one bit of the signature";
        is reason(bearer('/jwt', "$signed." . encode_base64url("$bytes\0"))), 'bad_signature', "$alg: a byte too many";
    }
};

subtest 'where a token comes from' => sub {
    my $token = token($key);
    is nginx_get('/jwt', headers => { Authorization => "bearer  $token" })->{status}, 200, 'the scheme in any case';
    is told(nginx_get('/jwt', headers => { Cookie => "lang=en; session=$token; x=y" }))->[1], 'ivanova', 'a cookie';
    is reason(nginx_get('/all', headers => { Cookie => 'session=x' })), 'malformed_token', 'a wrong cookie is refused, never taken for nobody';
    my $other = token($key, claims => { sub => 'petrov' });
    is told(nginx_get('/jwt', headers => { Authorization => "Bearer $token", Cookie => "session=$other" }))->[1], 'ivanova', 'the header goes before the cookie';
    is reason(nginx_get('/all', headers => { Authorization => 'Bearer x', 'X-Api-Key' => $api_key })), 'malformed_token', 'a wrong token is refused, whatever else there is';
    is told(nginx_get('/all', headers => { Authorization => "Bearer $token", 'X-Api-Key' => 'rubbish' }))->[0], 'jwt', 'the first one decides';
    is told(nginx_get('/all', headers => { 'X-Api-Key' => $api_key }))->[0], 'api_key', 'an API key without a token';
    is told(nginx_get('/all'))->[0], 'anonymous', 'nobody';
    is told(nginx_get('/all', headers => { Authorization => 'Basic eDp5' }))->[0], 'anonymous', 'another scheme is none of ours';
    is reason(nginx_get('/all', headers => { Authorization => "Bearer\t$token" })), 'malformed_token', 'a tab is no blank, and the scheme is ours';
    is reason(nginx_get('/all', headers => { Authorization => 'Bearer' })), 'malformed_token', 'a scheme without a token';
    is nginx_get('/all', headers => { Authorization => ["Bearer $token", "Bearer $other"] })->{status}, 400, 'two tokens are refused by nginx itself';
    is reason(nginx_get('/jwt')), 'missing_credential', 'none where one is needed';
    is reason(nginx_get("/jwt?access_token=$token")), 'missing_credential', 'never from the arguments';
    is nginx_get('/jwt', method => 'OPTIONS')->{status}, 401, 'OPTIONS is not let through';
    is nginx_get('/any', headers => { Authorization => 'Bearer x' })->{headers}{'www-authenticate'}, undef, 'satisfy any: let in by another module, no challenge stays';
};

subtest 'claims' => sub {
    my $now = int time;
    my %cases = (
        'expired' => [{ exp => $now - 6 }, 'expired_token'], 'expired within the leeway' => [{ exp => $now - 2 }, 'let in'], 'no exp' => [{ exp => undef }, 'missing_claim'],
        'exp as a string' => [{ exp => "$now" }, 'malformed_token'], 'nbf in the future' => [{ nbf => $now + 60 }, 'not_yet_valid'], 'iat in the future' => [{ iat => $now + 60 }, 'not_yet_valid'],
        'another issuer' => [{ iss => 'https://id.example/' }, 'wrong_issuer'], 'no issuer' => [{ iss => undef }, 'wrong_issuer'],
        'another audience' => [{ aud => 'otklik2' }, 'wrong_audience'], 'no audience' => [{ aud => undef }, 'wrong_audience'], 'a list with ours' => [{ aud => ['x', 'otklik'] }, 'let in'],
        'a list without ours' => [{ aud => ['x', 'y'] }, 'wrong_audience'], 'a list of no strings' => [{ aud => ['otklik', 1] }, 'malformed_token'], 'an empty list' => [{ aud => [] }, 'wrong_audience'],
        'no subject' => [{ sub => undef }, 'missing_claim'], 'CR LF in the subject' => [{ sub => "a\r\nX-Evil: 1" }, 'malformed_token'], 'NUL in the subject' => [{ sub => "a\0b" }, 'malformed_token'],
        'C1 in the subject' => [{ sub => "a\x{85}b" }, 'malformed_token'], 'a role with a blank' => [{ roles => ['a b'] }, 'malformed_token'], 'roles as a string' => [{ roles => 'a b' }, 'let in'],
        'a region that is none' => [{ region => '0x1' }, 'malformed_token'], 'region 0' => [{ region => 0 }, 'malformed_token'], 'a body with a line feed' => [{ body => "a\nb" }, 'malformed_token'],
    );
    for my $what (sort keys %cases) {
        is reason(bearer('/jwt', token($key, claims => $cases{$what}[0]))), $cases{$what}[1], $what;
    }
    is told(bearer('/jwt', token($key, claims => { sub => 'Иванова' })))->[1], Encode::encode('UTF-8', 'Иванова'), 'a subject in Russian';
    is told(bearer('/jwt', token($key)))->[3], '90', 'without a region it is that of the place';
    is_deeply told(bearer('/plain', token($key, claims => { roles => ['admin'], groups => ['reader'], region => 67, body => 'mfc' }))), ['jwt', 'ivanova', 'reader', '90', ''], 'only claims that are named count';
};

subtest 'headers and forms' => sub {
    my %headers = (
        'alg none' => [{ alg => 'none' }, 'wrong_algorithm'], 'another algorithm' => [{ alg => 'HS256' }, 'wrong_algorithm'], 'an unknown kid' => [{ kid => 'nobody' }, 'unknown_key'],
        'no kid, several keys' => [{ kid => undef }, 'unknown_key'], 'kid of another key' => [{ kid => 'rs256' }, 'wrong_algorithm'], 'kid that is a path' => [{ kid => '../../dev/null' }, 'unknown_key'],
        'crit' => [{ crit => ['exp'] }, 'malformed_token'], 'b64' => [{ b64 => JSON::PP::false() }, 'malformed_token'], 'jku is not looked at' => [{ jku => 'https://evil.example/' }, 'let in'],
    );
    for my $what (sort keys %headers) {
        is reason(bearer('/jwt', token($key, header => $headers{$what}[0]))), $headers{$what}[1], $what;
    }
    my $public = do { local $/ = undef; open my $in, '-|', "openssl pkey -in $keys{RS256}{file} -pubout" or die $!; <$in> };
    is reason(bearer('/jwt', token({ alg => 'HS256', kid => 'rs256', secret => $public }))), 'wrong_algorithm', 'HS256 by the public key as a secret';
    my $claims = '{"iss":"https://id.example","aud":"otklik","sub":"a","exp":' . int(time + 60) . '}';
    is reason(bearer('/jwt', raw_token($key, '{"alg":"ES256","kid":"es256"}', $claims))), 'let in', 'the plain form';
    is reason(bearer('/jwt', raw_token($key, '{"alg":"ES256","kid":"es256","alg":"ES256"}', $claims))), 'malformed_token', 'a member twice in the header';
    is reason(bearer('/jwt', raw_token($key, '{"alg":"ES256","kid":"es256"}', $claims =~ s/\}\z/,"sub":"b"}/r))), 'malformed_token', 'in the claims';
    is reason(bearer('/jwt', raw_token($key, '{"alg":"ES256","kid":"es256"}', $claims =~ s/\}\z/,"s\\u0075b":"b"}/r))), 'malformed_token', 'hidden by an escape';
    is reason(bearer('/jwt', raw_token($key, '{"alg":"ES256","kid":"es256"}', '[' x 200 . ']' x 200))), 'malformed_token', 'deep nesting';
    my $good = token($key);
    my %forms = ('padding' => "$good=", 'plain base64' => $good =~ s/\A(.)/+/r, 'two parts' => $good =~ s/\.[^.]*\z//r, 'four parts' => "$good.x", 'no signature' => $good =~ s/[^.]*\z//r, 'nothing' => '',
        'the JSON form' => '{"payload":"x"}', 'a blank inside' => $good =~ s/\./. /r);
    is reason(bearer('/jwt', $forms{$_})), 'malformed_token', $_ for sort keys %forms;
    is reason(bearer('/jwt', 'a' x 8193)), 'token_too_long', 'over 8 KB';
    is reason(bearer('/typed', token($key, header => { typ => 'application/AT+JWT' }))), 'let in', 'the type that is asked for';
    is reason(bearer('/typed', token($key, header => { typ => 'JWT' }))), 'wrong_type', 'another type';
    is reason(bearer('/typed', token($key))), 'wrong_type', 'none';
};

subtest 'what a client is told' => sub {
    my $answer = nginx_get('/jwt', headers => { Authorization => 'Bearer x', 'Accept-Language' => 'en' });
    is $answer->{headers}{'www-authenticate'}, 'Bearer realm="otklik", error="invalid_token", error_description="malformed_token"', 'the challenge of RFC 6750';
    like $answer->{json}{detail}, qr/token/, 'and a sentence';
    is nginx_get('/jwt')->{headers}{'www-authenticate'}, 'Bearer realm="otklik"', 'without a token no error';
    my $both = nginx_get('/all', headers => { 'X-Api-Key' => 'x' })->{headers}{'www-authenticate'};
    is $both, 'Bearer realm="otklik", ApiKey realm="otklik", header="X-Api-Key"', 'all that may be sent';
};

subtest 'a limit by subject' => sub {
    my @statuses = map { bearer('/limited', token($key))->{status} } 1 .. 3;
    is "@statuses", '200 200 429', 'three tokens of one person are one person';
    is bearer('/limited', token($key, claims => { sub => 'petrov' }))->{status}, 200, 'another has his own';
    is nginx_get('/limited')->{status}, 200, 'nobody is not asked';
};

subtest 'revocation' => sub {
    my ($one, $two) = map { token($key, claims => { jti => $_ }) } qw(one two);
    is reason(bearer('/revoked', token($key, claims => { jti => undef }))), 'missing_claim', 'what could not be revoked is not taken';
    is reason(bearer('/revoked', $one)), 'let in', 'before';
    change('revoked', "one\n");
    is reason(bearer('/revoked', $one)), 'revoked_token', 'within a second it is revoked';
    is reason(bearer('/revoked', $two)), 'let in', 'another is not';
    change('revoked', 'no whole line');
    is reason(bearer('/revoked', $one)), 'revoked_token', 'a broken list leaves the former one in force';
    like nginx_log(), qr/revoked", line 1: the file does not end with a whole line/, 'and is named in the log';
    change('revoked', "# none\n");
    is reason(bearer('/revoked', $one)), 'let in', 'mended';
};

subtest 'the memory' => sub {
    my $token = token($key, claims => { jti => 'kept', roles => ['moderator'], region => 67, body => 'mfc' });
    my $seen = count('jwt_known_total');
    my $verified = count('jwt_verified_total');
    my $first = told(bearer('/memory', $token));
    is count('jwt_verified_total'), $verified + 1, 'verified once';
    for (1 .. 20) { is_deeply told(bearer('/memory', $token)), $first, 'then the same is known of it' }
    is count('jwt_known_total'), $seen + 20, 'without a look at the signature, by both workers';
    is count('jwt_verified_total'), $verified + 1, 'that is true';
    is reason(bearer('/memory', $token =~ s/.\z/A/r)), $token =~ /A\z/ ? 'let in' : 'bad_signature', 'one letter less is another token' if $token !~ /A\z/;
    is reason(bearer('/other', $token)), 'wrong_audience', 'what passed here passed nowhere else';

    change('revoked', "kept\n");
    is reason(bearer('/memory', $token)), 'revoked_token', 'it dies with its revocation';
    change('revoked', "# none\n");
    is reason(bearer('/memory', $token)), 'let in', 'and lives again';

    my $short = token($key, claims => { exp => int(time) - 3 });
    is reason(bearer('/memory', $short)), 'let in', 'a token near its end';
    soon(sub { reason(bearer('/memory', $short)) eq 'expired_token' }, 'it dies with its exp');

    my $rs = token($keys{RS256});
    is reason(bearer('/memory', $rs)), 'let in', 'a token by a key that will go';
    change('jwks', jwk_set(map { jwk($keys{$_}) } grep { $_ ne 'RS256' } keys %keys));
    is reason(bearer('/memory', $rs)), 'unknown_key', 'it dies with its key';
    $verified = count('jwt_verified_total');
    is reason(bearer('/memory', $token)), 'let in', 'those of other keys live on';
    is count('jwt_verified_total'), $verified, 'and were not verified again';
    my $new = new_token_key('RS256', kid => 'rs256');
    change('jwks', jwk_set(jwk($new), map { jwk($keys{$_}) } grep { $_ ne 'RS256' } keys %keys));
    is reason(bearer('/memory', token($new))), 'let in', 'a new key by the old kid';
    is reason(bearer('/memory', $rs)), 'bad_signature', 'does not raise the dead';

    my $gone = count('jwt_evicted_total');
    bearer('/memory', token($keys{HS256})) for 1 .. 150;
    cmp_ok count('jwt_evicted_total'), '>', $gone, 'more tokens than fit make room for each other';
    is reason(bearer('/memory', $token)), 'let in', 'and all are still let in';
    my $long = token($key, claims => { sub => 'x' x 255, roles => [map { "role_number_$_" } 1 .. 30] });
    is reason(bearer('/memory', $long)), 'let in', 'what is too long to be kept is verified each time' for 1, 2;

    $verified = count('jwt_verified_total');
    bearer('/memory', $token);
    nginx_reload("appeal_limit_zone own 1m; $http", $server, workers => 2);
    my $after = count('jwt_verified_total');
    bearer('/memory', $token);
    is count('jwt_verified_total'), $after, 'a reload forgets nothing';
    for my $round (1 .. 5) {
        my ($worker) = nginx_workers();
        kill 'KILL', $worker;
        sleep 0.1;
        my $answer = eval { bearer('/memory', $token) } // {};
        $answer = bearer('/memory', $token) if ($answer->{status} // 599) == 599;
        is reason($answer), 'let in', "a worker that was killed holds nothing: $round";
    }
};

subtest 'a broken JWK set' => sub {
    my $token = token($key);
    change('jwks', '{"keys":[' . JSON::PP->new->encode({ %{ jwk($key) }, d => 'AAAA' }) . ']}');
    is reason(bearer('/jwt', $token)), 'let in', 'the former one stays in force';
    like nginx_log(), qr/jwks", key 1: it is a private key/, 'and the log says why';
    change('jwks', jwk_set(jwk($key)));
    is reason(bearer('/jwt', token($keys{ES384}))), 'unknown_key', 'a good one is taken over';
    is reason(bearer('/jwt', token($key, header => { kid => undef }))), 'let in', 'of a single key no kid is needed';
};

subtest 'configurations that are refused' => sub {
    my $jwt = 'location / { appeal_auth jwt; }';
    my %wrong = (
        'no keys' => ['appeal_jwt_issuer a; appeal_jwt_audience b;', qr/needs "appeal_jwt_keys"/], 'no issuer' => ["appeal_jwt_keys $dir/jwks; appeal_jwt_audience b;", qr/needs "appeal_jwt_keys"/],
        'no audience' => ["appeal_jwt_keys $dir/jwks; appeal_jwt_issuer a;", qr/"appeal_jwt_audience"/], 'an endless leeway' => ["$http appeal_jwt_leeway 1h;" =~ s/appeal_jwt_leeway 5s;//r, qr/is over 600 seconds/],
        'no file' => ['appeal_jwt_keys /none; appeal_jwt_issuer a; appeal_jwt_audience b;', qr/"\/none" failed/], 'an unknown claim' => ['appeal_jwt_claims name=x;', qr/"name=x" is unknown/],
        'a claim twice' => ['appeal_jwt_claims roles=x roles=y;', qr/"roles=y" is duplicate/], 'a memory without a size' => ['appeal_jwt_memory tokens;', qr/not of the form zone:size/],
        'a small memory' => ['appeal_jwt_memory tokens:1k;', qr/invalid size "1k"/], 'a key file of keys' => ["appeal_jwt_keys $dir/keys;", qr/it is no JWK set/],
    );
    for my $what (sort keys %wrong) {
        my ($status, $said) = nginx_config($wrong{$what}[0], $jwt);
        isnt $status, 0, $what;
        like $said, $wrong{$what}[1], "$what: named";
    }
};

# At "info" nginx itself tells of the header it found twice.
my $log = join "\n", grep { !/client sent duplicate header line/ } split /\n/, nginx_log();
unlike $log, qr/eyJ/, 'no token in the log';
unlike $log, qr/\[alert\] (?!.*exited on signal 9)/, 'no alarm';
like nginx_log(), qr/refused: bad_signature/, 'but why it was refused';

done_testing;
