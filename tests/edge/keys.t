#!/usr/bin/env perl
# Who comes with a key is known by it; a wrong key is refused and never taken for nobody; the file of keys is read again by itself.
use strict;
use warnings;
use utf8;
use Test::More;
use IO::Socket::INET;
use Time::HiRes qw(sleep time);
use Otklik::Nginx;

my ($line, $key) = new_key_line('partner', roles => 'integrator,staff', region => 67, body => 'mfc');
my ($old_line, $old_key) = new_key_line('former', region => 67, expires => '2020-01-01T00:00:00Z');
nginx_keys($line, $old_line);
my $pass = "include /etc/nginx/fastcgi_params;";
my $params = join '', map { "fastcgi_param APPEAL_\U$_ \$appeal_$_;" } qw(auth subject roles region body request_id client);
my $service = "fastcgi_pass_request_headers off; fastcgi_param QUERY_STRING \$appeal_args; $params fastcgi_pass unix:" . nginx_dir() . '/echo.sock;';
nginx_start('', <<"CONF");
appeal_region 90;
location /both { appeal_auth api_key anonymous; $service }
location /key { appeal_auth api_key; $service }
location /open { $service }
CONF

sub with { my ($path, $k, %o) = @_; return nginx_get($path, headers => { 'X-Api-Key' => $k }, %o) }
sub told { my ($answer) = @_; return [map { $answer->{json}{"APPEAL_$_"}[0] } qw(AUTH SUBJECT ROLES REGION BODY)] }

is_deeply told(with('/both', $key)), ['api_key', 'partner', 'integrator staff', '67', 'mfc'], 'a key says who it is, what he may and where';
is_deeply told(nginx_get('/both')), ['anonymous', '', '', '90', ''], 'without one it is nobody, of the region of this server';
is_deeply told(nginx_get("/both?x=1&api_key=$key&y=2")), ['api_key', 'partner', 'integrator staff', '67', 'mfc'], 'a key in the arguments is as good';
is nginx_get("/both?x=1&api_key=$key&y=2")->{json}{QUERY_STRING}[0], 'x=1&y=2', 'and goes no further';
is_deeply told(nginx_get('/open')), ['', '', '', '', ''], 'where the module is off everything is empty, not unset';

my %wrong = (
    'another secret' => substr($key, 0, -1) . ($key =~ /a\z/ ? 'b' : 'a'), 'an unknown one' => 'otk_aaaaaaaa_' . 'a' x 32, 'rubbish' => 'key', 'an empty one' => '',
    'a longer one' => $key . 'a', 'one in capitals' => uc $key, 'a quote' => q(' or 1=1--),
);
for my $what (sort keys %wrong) {
    for my $path ('/both', '/key') {
        my $answer = with($path, $wrong{$what});
        is $answer->{status}, 401, "$what, $path: refused, never taken for nobody";
        is $answer->{json}{reason}, 'invalid_key', "$what, $path: with the one reason for all of them";
        like $answer->{headers}{'www-authenticate'}, qr/\AApiKey /, "$what, $path: and how to do it";
    }
}
is with('/both', $old_key)->{json}{reason}, 'expired_key', 'a key whose time is over is told so';
is nginx_get('/key')->{json}{reason}, 'missing_credential', 'no key where one is needed';
is with("/both?api_key=$key", $key)->{json}{reason}, 'several_credentials', 'two keys at once are refused';
is nginx_get('/both', headers => { 'X_Api_Key' => 'otk_aaaaaaaa_' . 'a' x 32 })->{json}{APPEAL_AUTH}[0], 'anonymous', 'a header with underscores is not one';

my $english = with('/key', 'x', headers => { 'X-Api-Key' => 'x', 'Accept-Language' => 'en' });
is $english->{headers}{'content-language'}, 'en', 'in the language asked for';
like $english->{headers}{'content-type'}, qr{\Aapplication/problem\+json}, 'as a problem';
is $english->{json}{status}, 401, 'that says its status';
like $english->{json}{instance}, qr/\Aurn:uuid:[0-9a-f-]{36}\z/, 'and has an id';

# ---- the file changes

my ($second, $second_key) = new_key_line('second', region => 77);
sub soon { my ($code, $what) = @_; my $until = time + 3; until ($code->()) { return fail($what) if time > $until; sleep 0.05 } return pass($what) }
nginx_keys($second);
soon(sub { with('/key', $second_key)->{status} == 200 }, 'a new key is known without a restart');
is with('/key', $key)->{status}, 401, 'and one that was taken out is not';
nginx_keys($second, 'this is no line of keys');
sleep 1.5;
is with('/key', $second_key)->{status}, 200, 'a broken file leaves the former one in force';
like nginx_log(), qr/keys.*line 2/, 'and is named with its line in the log';
nginx_keys($line, $second);
soon(sub { with('/key', $key)->{status} == 200 }, 'until it is mended');

unlike nginx_log(), qr/\Q$key\E|\Q$second_key\E/, 'no key stands in the log';
unlike nginx_log(), qr/api_key=/, 'nor an argument of one';
# At "info" nginx itself tells the address of who hangs up or sends no request; a server logs from "notice" or "error" on.
my @lines = grep { /\[(?:notice|warn|error|crit|alert)\]|refused: / } split /\n/, nginx_log();
cmp_ok scalar @lines, '>', 10, 'there are lines of the log';
unlike join("\n", @lines), qr/127\.0\.0\.1/, 'nor does an address';
like nginx_log(), qr/refused: invalid_key, .*request: "GET \/both", id: [0-9a-f-]{36}/, 'but what was refused, and the id it can be found by';

# ---- a body that is refused is not asked for

my $socket = IO::Socket::INET->new(PeerAddr => nginx_url() =~ s{http://}{}r, Timeout => 5) or die "nginx: $@";
print {$socket} "POST /key HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n";
like scalar(<$socket>), qr/\AHTTP\/1\.1 401 /, 'who asks before he sends is refused before he has sent';
close $socket;

my ($status, $said) = nginx_config('', 'location / { appeal_auth api_key off; }');
isnt $status, 0, 'contradictions are refused at the start';
like $said, qr/appeal_auth off/, 'and named';

done_testing;
