#!/usr/bin/env perl
# The system as it is rendered, with an identity provider: staff come with signed tokens, and the services know them by roles and region.
use strict;
use warnings;
use utf8;
use Test::More;
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw(sleep time);
use Otklik::Nginx ();
use Otklik::Test;
use Otklik::Token;

my $dir = Otklik::Nginx::nginx_dir();
my $build = $ENV{OTKLIK_BUILD};
my ($port, $inner) = map { Otklik::Nginx::free_port() } 1, 2;
my $signer = new_token_key('ES256', kid => 'staff');
sub put { my ($name, $text) = @_; open my $out, '>:encoding(UTF-8)', "$dir/$name" or die $!; print {$out} $text; close $out or die $!; return }
sub text_of { my ($name) = @_; open my $in, '<:encoding(UTF-8)', "$dir/$name" or die "$name: $!"; local $/ = undef; return scalar <$in> }
put('jwks', jwk_set(jwk($signer)));
put('keys', "# none\n");
put('secret', 'x' x 32);
put('challenge.keys', 'first ' . '5a' x 32 . "\n");
put('revoked', "gone\n");
mkdir "$dir/$_" for qw(tmp web web/errors);
put("web/errors/$_.html", "$_") for qw(4xx 429 5xx);
my @settings = ("STATE=$dir", "TMP=$dir/tmp", 'SOCKETS=' . test_dir() . '/run', "SHARE=$dir", "MODULE=$build/ngx_module/ngx_http_appeal_module.so", "KEYS=$dir/keys",
    "FILES=$dir/files", "SECRET=$dir/secret", "CHALLENGE=$dir/challenge.keys", "LISTEN=127.0.0.1:$port", "INTERNAL_PORT=$inner", 'REGION=90', 'WORKERS=1', 'ANON_RATE=1r/s', 'ANON_BURST=20', 'NAME=localhost');
sub render { my ($to, @more) = @_; return system 'conf/nginx/render', "$dir/$to", @settings, @more }

is render('without'), 0, 'without an identity provider';
unlike text_of('without/otklik/tokens.conf'), qr/^appeal/m, 'there are no tokens';
unlike text_of("without/otklik/$_"), qr/\@[A-Z_]+\@|appeal_auth .*jwt/, "and nothing is left to fill in in $_" for qw(tokens.conf http.conf locations.conf);
like text_of('without/otklik/headers_page.conf'), qr/img-src 'self'( (?!http)[^;]*)?;/, 'pages load pictures from nowhere else';
is render('tiles', 'TILES=https://tiles.example:8443'), 0, 'with tiles of the map from elsewhere';
like text_of('tiles/otklik/headers_page.conf'), qr{img-src 'self'[^;]* https://tiles\.example:8443[; ]}, 'pages load pictures from there, too';
for my $bad ("https://tiles.example/", "https://a.example; script-src *", 'tiles.example', 'https://', "https://a.example 'unsafe-inline'") {
    isnt render('bad', "TILES=$bad"), 0, "refused as an origin: $bad";
}
is render('with', "JWT_KEYS=$dir/jwks", 'JWT_ISSUER=https://id.example', 'JWT_AUDIENCE=otklik', 'JWT_CLAIMS=roles=realm_access.roles region=region', "JWT_REVOKED=$dir/revoked", 'JWT_COOKIE=session'), 0, 'with one';
my $tokens = text_of('with/otklik/tokens.conf');
like $tokens, qr/^appeal_jwt_claims roles=realm_access\.roles region=region;$/m, 'what is given goes before what is usual';
like $tokens, qr/^appeal_jwt_memory tokens:4m;$/m, 'what is not given is as usual';
unlike $tokens, qr/appeal_jwt_type|\@/, 'or is left out';

# The sockets belong to another user where root tests.
put('with/own.conf', ($> == 0 ? "user root;\n" : '') . text_of('with/main.conf') =~ s{/dev/stdout}{$dir/access.log}r);
my %nginx = Otklik::Nginx::environment();
my $pid = fork // die "fork: $!";
if (!$pid) {
    %ENV = (%ENV, %nginx);
    open STDERR, '>>', "$dir/stderr" or die $!;
    exec '/usr/sbin/nginx', '-e', 'stderr', '-p', "$dir/with", '-c', "$dir/with/own.conf";
}
END { if ($pid) { my $status = $?; kill 'TERM', $pid; waitpid $pid, 0; $? = $status } }
my $until = time + 5;
until (IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 1)) { BAIL_OUT(text_of('stderr')) if time > $until; sleep 0.05 }

my $http = HTTP::Tiny->new(timeout => 10);
sub ask {
    my ($path, %claims) = @_;
    my %headers = ('Accept-Language' => 'en', %claims ? (Authorization => 'Bearer ' . token($signer, claims => { region => 90, %claims })) : ());
    my $answer = $http->get("http://127.0.0.1:$port$path", { headers => \%headers });
    $answer->{json} = eval { JSON::PP->new->utf8->decode($answer->{content}) };
    return $answer;
}
my $report = '/api/v1/reports/summary?by=group';
my %staff = (realm_access => { roles => ['offline_access', 'staff'] });
my $good = ask($report, %staff);
is $good->{status}, 200, 'a token with the role reads a report' or diag $good->{content};
ok exists $good->{json}{rows}, 'which is one' or diag $good->{content};
is ask($report, realm_access => { roles => ['integrator'] })->{status}, 403, 'one with another role does not';
is ask($report, roles => ['staff'])->{status}, 403, 'nor one that has it elsewhere';
my $nobody = ask($report);
is $nobody->{status}, 401, 'nor does nobody';
is $nobody->{headers}{'www-authenticate'}, 'Bearer realm="otklik", ApiKey realm="otklik", header="X-Api-Key"', 'who is told both ways';
is ask($report, %staff, exp => int(time) - 60)->{json}{reason}, 'expired_token', 'a token that is over';
is ask($report, %staff, jti => 'gone')->{json}{reason}, 'revoked_token', 'one that was revoked';
is ask('/api/v1/themes', sub => 'portal')->{status}, 200, 'programs may come with tokens, too';
is ask('/api/v1/themes', sub => 'portal', aud => 'other')->{json}{reason}, 'wrong_audience', 'if those are for us';
is ask('/api/v1/themes')->{status}, 200, 'and nobody still comes as before';

# The registrar's page, without a script: a session is a token in a cookie.
sub send_entry {
    my ($roles, %headers) = @_;
    my $token = token($signer, claims => { region => 90, sub => 'anna', realm_access => { roles => $roles } });
    my %letter = (text => 'Не горит фонарь', source => 'meeting', 'event.name' => 'Встреча', 'event.at' => '2026-11-20T18:30', idempotency_key => new_key());
    my $answer = $http->post_form("http://127.0.0.1:$port/desk/entry", \%letter, { headers => { 'Accept-Language' => 'en', Cookie => "session=$token", %headers } });
    utf8::decode($answer->{content});
    return $answer;
}
my $entered = send_entry(['registrar'], 'Sec-Fetch-Site' => 'same-origin');
is $entered->{status}, 201, 'a registrar with a session types a letter in' or diag $entered->{content};
my ($number) = $entered->{content} =~ /id="receipt_number">(90-[0-9-]+)</;
is sql("select entry ->> 'by', auth, channel from appeal where region_id = 90 and number = '$number'"), 'anna|jwt|meeting', 'which is stored with the name';
like $entered->{content}, qr/id="source_meeting"[^>]* checked/, 'the source stays for the next one';
like $entered->{content}, qr/name="event.name"[^>]* value="Встреча"/, 'the event, too';
unlike $entered->{content}, qr/Не горит фонарь/, 'the letter does not';
is send_entry(['registrar'], 'Sec-Fetch-Site' => 'cross-site')->{status}, 403, 'a form of another site is not taken';
my $reader = send_entry(['staff']);
is $reader->{status}, 403, 'nor is one of somebody who may only read';
like $reader->{content}, qr/Не горит фонарь/, 'what was typed is kept';

$until = time + 3;
sleep 0.1 until -s "$dir/access.log" && text_of('access.log') =~ /portal/ || time > $until;
like text_of('access.log'), qr/"auth":"jwt","subject":"portal","reason":"","limit":"","remaining":"\d+","token":"verified"/, 'the log tells how they came';

done_testing;
