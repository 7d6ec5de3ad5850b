#!/usr/bin/env perl
# A place may need more than a good credential: what a key or a token is good for; and the log of nginx can be told of each decision.
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Nginx;
use Otklik::Token;

my $dir = nginx_dir();
my $signer = new_token_key('ES256');
{ open my $out, '>', "$dir/jwks" or die $!; print {$out} jwk_set(jwk($signer)); close $out or die $! }
my ($writer, $writer_key) = new_key_line('writer', scopes => 'appeals:write,reports:read');
my ($reader, $reader_key) = new_key_line('reader', scopes => 'reports:read');
my ($nothing, $nothing_key) = new_key_line('nothing');
nginx_keys($writer, $reader, $nothing);

my $service = 'fastcgi_pass_request_headers off; ' . join('', map { "fastcgi_param APPEAL_\U$_ \$appeal_$_; " } qw(auth scope token roles)) . "fastcgi_pass unix:$dir/echo.sock;";
my $http = "appeal_limit_zone zone 1m; appeal_jwt_keys $dir/jwks; appeal_jwt_issuer https://id.example; appeal_jwt_audience otklik; appeal_jwt_memory tokens:64k;"
    . ' appeal_jwt_claims scopes=scope roles=realm_access.roles;'
    . ' log_format decisions "$uri|$status|$appeal_auth|$appeal_reason|$appeal_limit|$appeal_remaining|$appeal_token|$appeal_scope|";';
my $server = <<"CONF";
access_log $dir/decisions.log decisions;
appeal_auth jwt api_key anonymous;
location /free { $service }
location /write { appeal_scope appeals:write; $service }
location /both { appeal_scope appeals:write reports:read; $service }
location /nest { appeal_scope appeals:write; location /nest/read { appeal_scope reports:read; $service } location /nest/free { appeal_scope off; $service } location /nest/write { $service } }
location /keys { appeal_scope appeals:write only=api_key; $service }
location /closed { appeal_scope appeals:write only=anonymous,jwt; $service }
location /to { try_files /none /write; }
location /any { satisfy any; allow 127.0.0.1; deny all; appeal_scope appeals:write; $service }
location /page { appeal_refusal error_page; error_page 403 = /dressed; appeal_scope appeals:write; $service }
location /dressed { appeal_auth off; $service }
location /azure { appeal_jwt_claims scopes=scp; appeal_scope appeals:write; $service }
location /limited { appeal_limit zone key=address rate=1r/h burst=2 name=some; appeal_limit zone key=\$appeal_auth rate=1r/h burst=9 name=others; appeal_scope appeals:write; $service }
location /twice { appeal_limit zone key=\$uri rate=1r/h burst=1 name=a; appeal_limit zone key=\$args rate=1r/h burst=1 name=b; $service }
CONF
nginx_start($http, $server);

sub by_key { my ($path, $key, %h) = @_; return nginx_get($path, headers => { 'X-Api-Key' => $key, %h }) }
sub by_token { my ($path, %claims) = @_; return nginx_get($path, headers => { Authorization => 'Bearer ' . token($signer, claims => \%claims) }) }
sub reason { my ($answer) = @_; return $answer->{status} == 200 ? 'let in' : "$answer->{status} " . ($answer->{json}{reason} // '') }
sub told { my ($answer) = @_; return [map { $answer->{json}{"APPEAL_$_"}[0] } qw(AUTH SCOPE)] }

subtest 'keys' => sub {
    is_deeply told(by_key('/write', $writer_key)), ['api_key', 'appeals:write reports:read'], 'who has it is let in, and the service is told';
    is reason(by_key('/both', $writer_key)), 'let in', 'with both, where both are needed';
    is reason(by_key('/both', $reader_key)), '403 insufficient_scope', 'with one of two he is not';
    is reason(by_key('/write', $nothing_key)), '403 insufficient_scope', 'nor who has none';
    is reason(by_key('/free', $nothing_key)), 'let in', 'where none is needed he is';
    my $answer = by_key('/both', $nothing_key, 'Accept-Language' => 'en');
    is $answer->{headers}{'www-authenticate'}, 'ApiKey realm="otklik", error="insufficient_scope", scope="appeals:write reports:read"', 'the header says what is missing';
    is $answer->{json}{title}, 'Forbidden', 'the problem, too';
    is $answer->{json}{detail}, 'The key or the token has no scope for that.', 'in words';
};

subtest 'tokens' => sub {
    is_deeply told(by_token('/write', scope => 'openid appeals:write')), ['jwt', 'openid appeals:write'], 'a string of scopes';
    is_deeply told(by_token('/write', scope => ['appeals:write'])), ['jwt', 'appeals:write'], 'a list';
    is_deeply told(by_token('/azure', scp => 'appeals:write')), ['jwt', 'appeals:write'], 'of another claim';
    is reason(by_token('/azure', scope => 'appeals:write')), '403 insufficient_scope', 'and of no other';
    is reason(by_token('/write')), '403 insufficient_scope', 'none';
    is reason(by_token('/write', scope => $_)), '403 insufficient_scope', "not by $_" for 'appeals:writer', 'appeals', 'appeals:writ', 'Appeals:write', 'xappeals:write', 'appeals:write2 read';
    is by_token('/write', scope => 'read')->{headers}{'www-authenticate'}, 'Bearer realm="otklik", error="insufficient_scope", scope="appeals:write"', 'the challenge of RFC 6750';
    is reason(by_token('/write', scope => 'a "b"')), '401 malformed_token', 'a scope with a quote is none';
    my $token = token($signer, claims => { scope => 'appeals:write', realm_access => { roles => ['staff', 'uma'] } });
    for my $round ('verified', 'known') {
        my $told = nginx_get('/write', headers => { Authorization => "Bearer $token" })->{json};
        is_deeply [map { $told->{"APPEAL_$_"}[0] } qw(TOKEN SCOPE ROLES)], [$round, 'appeals:write', 'staff uma'], "$round: with all it had, roles by their path among it";
    }
};

subtest 'who is asked' => sub {
    is reason(nginx_get('/write')), 'let in', 'nobody is not, if nobody may come';
    is reason(by_key('/nest/read', $reader_key)), 'let in', 'an inner place has scopes of its own';
    is reason(by_key('/nest/free', $nothing_key)), 'let in', 'or none';
    is reason(by_key('/nest/write', $reader_key)), '403 insufficient_scope', 'or those around it';
    is reason(by_token('/keys')), 'let in', 'tokens are not, where only keys are';
    is reason(by_key('/keys', $reader_key)), '403 insufficient_scope', 'and those are';
    is reason(by_key('/closed', $reader_key)), 'let in', 'keys are not, where they are not named';
    is reason(by_token('/closed')), '403 insufficient_scope', 'tokens are';
    my $answer = nginx_get('/closed');
    is reason($answer), '401 missing_credential', 'nobody, if named, is sent for a credential';
    is $answer->{headers}{'www-authenticate'}, 'Bearer realm="otklik", ApiKey realm="otklik", header="X-Api-Key"', 'of either kind';
    is reason(by_key('/closed', 'wrong')), '401 invalid_key', 'a wrong one is told what it is';
};

subtest 'ways round' => sub {
    is reason(by_key('/to', $reader_key)), '403 insufficient_scope', 'an internal redirect is asked again';
    is reason(by_key('/to', $writer_key)), 'let in', 'and let in';
    is reason(by_key('/any', $reader_key)), 'let in', 'satisfy any: another module may let in';
    is by_key('/any', $reader_key)->{headers}{'www-authenticate'}, undef, 'without a challenge left over';
    my $dressed = by_key('/page', $reader_key);
    is $dressed->{status}, 200, 'error_page may dress it' or diag explain $dressed;
    is by_key('/write', $reader_key)->{status}, 403, 'by its number';
};

subtest 'the log is told' => sub {
    my $last = sub {
        my ($path) = @_;
        my $until = time + 3;
        while (1) {
            open my $in, '<', "$dir/decisions.log" or die $!;
            my ($line) = reverse grep { /\A\Q$path\E\|/ } <$in>;
            if ($line) { chomp $line; return $line }
            die "no line of $path" if time > $until;
            sleep 0.02;
        }
    };
    by_key('/limited/1', $writer_key);
    is $last->('/limited/1'), '/limited/1|200|api_key|||1||appeals:write reports:read|', 'what is left is the least';
    by_key('/limited/2', $reader_key);
    is $last->('/limited/2'), '/limited/2|403|api_key|insufficient_scope||0||reports:read|', 'who has no scope pays by his address';
    by_key('/limited/3', $writer_key);
    is $last->('/limited/3'), '/limited/3|429|api_key|rate_exceeded|some|0||appeals:write reports:read|', 'the limit that refused';
    nginx_get('/twice/1?x') for 1 .. 2;
    nginx_wait('the second line', sub { open my $in, '<', "$dir/decisions.log" or return 0; return 2 == grep { m{\A/twice/1\|} } <$in> });
    is $last->('/twice/1'), '/twice/1|429|anonymous|rate_exceeded|a,b|0|||', 'both, if two did';
    by_token('/free/1');
    is $last->('/free/1'), '/free/1|200|jwt||||verified||', 'a token that was verified';
    nginx_get('/free/2', headers => { 'X-Api-Key' => 'x' });
    is $last->('/free/2'), '/free/2|401||invalid_key|||||', 'nothing of who is not known';
    nginx_get('/dressed/1');
    is $last->('/dressed/1'), '/dressed/1|200|||||||', 'nor where it is off';
};

subtest 'configurations that are refused' => sub {
    my %wrong = (
        'appeal_scope "a b";' => qr/invalid scope "a b"/, 'appeal_scope off a;' => qr/invalid scope "off"/, 'appeal_scope "";' => qr/invalid scope ""/, 'appeal_scope "a\\"b";' => qr/invalid scope/,
        'appeal_scope only=jwt;' => qr/names no scope/, 'appeal_scope a only=hat;' => qr/"only=hat" is no list of methods/, 'appeal_scope a only=jwt,jwt;' => qr/is no list of methods/,
        'appeal_scope a only=;' => qr/is no list of methods/, 'appeal_scope a; appeal_scope b;' => qr/is duplicate/, 'appeal_scope ' . 'x' x 512 . ';' => qr/over 512 bytes/,
        'appeal_jwt_claims roles=r; appeal_scope a;' => qr/"appeal_scope" needs "appeal_jwt_claims" with "scopes="/,
    );
    for my $directive (sort keys %wrong) {
        my ($status, $said) = nginx_config($http, "location / { appeal_auth jwt api_key; $directive }");
        isnt $status, 0, substr $directive, 0, 60;
        like $said, $wrong{$directive}, '… is named';
    }
    my ($status) = nginx_config($http, 'location / { appeal_auth jwt api_key; appeal_jwt_claims roles=r; appeal_scope a only=api_key; }');
    is $status, 0, 'scopes of tokens are not needed where only keys are asked';
    ($status) = nginx_config($http, 'location / { appeal_auth jwt api_key anonymous; appeal_scope a only=hook,anonymous,api_key,jwt; }');
    is $status, 0, 'every kind may be named';
};

done_testing;
