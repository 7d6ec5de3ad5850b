#!/usr/bin/env perl
# Hooks: the secret in a header or at the end of the path, from where it may come, two at once during a change, and no word of it in any log.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Nginx;

my ($telegram, $secret) = new_key_line('tg.1', roles => 'channel', hook => 'telegram', source => '127.0.0.1,91.108.4.0/22');
my ($second, $new_secret) = new_key_line('tg.1', roles => 'channel', hook => 'telegram');
my ($old, $old_secret) = new_key_line('tg.1', roles => 'channel', hook => 'telegram', expires => '2020-01-01T00:00:00Z');
my ($foreign, $foreign_secret) = new_key_line('tg.2', roles => 'channel', hook => 'telegram', source => '149.154.160.0/20');
my ($ok, $ok_secret) = new_key_line('ok.1', roles => 'channel', hook => 'ok', region => 68, rate => '1r/h', burst => 2);
my ($partner, $key) = new_key_line('partner');
my ($office, $office_key) = new_key_line('office', source => '192.0.2.0/24,2001:db8::/32');
my @lines = ($telegram, $old, $foreign, $ok, $partner, $office);
nginx_keys(@lines);

my $http = <<'CONF';
appeal_limit_zone one 1m;
log_format paths '$request_method $appeal_uri $status $appeal_auth $appeal_subject $appeal_reason';
CONF
my $server = <<'CONF';
appeal_request_id on;
access_log paths.log paths;
location / { appeal_auth api_key anonymous; try_files /none @echo; }
location = /hooks/telegram { appeal_auth hook; appeal_hook telegram header=X-Telegram-Bot-Api-Secret-Token; try_files /none @echo; }
location /hooks/ok/ {
    appeal_auth hook; appeal_hook ok path;
    appeal_limit one key=api_key rate=1000r/s burst=1000 name=key;
    appeal_limit one key=address rate=1r/d burst=20 only=hook name=hooks;
    try_files /none @echo;
}
location = /hooks/vk { appeal_auth hook; appeal_hook vk body; appeal_region 67; try_files /none @echo; }
location /either/ { appeal_auth hook anonymous; appeal_hook ok path; try_files /none @echo; }
location @echo {
    appeal_auth off;
    fastcgi_param AUTH $appeal_auth; fastcgi_param SUBJECT $appeal_subject; fastcgi_param REGION $appeal_region; fastcgi_param ROLES $appeal_roles;
    fastcgi_param URI $appeal_uri;
    fastcgi_pass unix:echo.sock;
}
CONF
$server =~ s/paths\.log/nginx_dir() . '\/paths.log'/e;
$server =~ s/unix:echo/'unix:' . nginx_dir() . '\/echo'/e;
nginx_start($http, $server);

my $header = 'X-Telegram-Bot-Api-Secret-Token';
sub by_header { my (@secrets) = @_; return nginx_get('/hooks/telegram', headers => { $header => @secrets == 1 ? $secrets[0] : \@secrets }) }
sub told { my ($answer) = @_; return join ' ', map { $answer->{json}{$_}[0] // '-' } qw(AUTH SUBJECT REGION ROLES) }
sub reason { my ($answer) = @_; return "$answer->{status} " . ($answer->{json}{reason} // '') }

subtest 'in a header' => sub {
    is told(by_header($secret)), 'hook tg.1 67 channel', 'the account is told';
    is reason(nginx_get('/hooks/telegram')), '401 missing_credential', 'none';
    is reason(by_header('x' x 45)), '401 invalid_key', 'not of its form';
    is reason(by_header($secret =~ s/.\z/_/r)), '401 invalid_key', 'not it';
    is reason(by_header($secret, $secret)), '401 several_credentials', 'two of them';
    is reason(by_header('')), '401 invalid_key', 'an empty one is wrong, not absent';
    is reason(by_header($old_secret)), '401 expired_key', 'an old one';
    is reason(by_header($foreign_secret)), '403 wrong_source', 'from elsewhere';
    is reason(by_header($ok_secret)), '401 invalid_key', 'that of another network';
    is reason(by_header($key)), '401 invalid_key', 'the key of a client';
};

subtest 'the secret of a hook is no key' => sub {
    is reason(nginx_get('/', headers => { 'X-Api-Key' => $secret })), '401 invalid_key', 'in its header';
    is told(nginx_get('/', headers => { 'X-Api-Key' => $key })), 'api_key partner 67 integrator', 'a key is';
    is reason(nginx_get('/', headers => { 'X-Api-Key' => $office_key })), '403 wrong_source', 'a key may be bound to its addresses, too';
};

subtest 'in the path' => sub {
    my $answer = nginx_get("/hooks/ok/$ok_secret");
    is told($answer), 'hook ok.1 68 channel', 'the account is told';
    is $answer->{json}{URI}[0], '/hooks/ok/', 'the path without the secret';
    is $answer->{headers}{'ratelimit-policy'}, '"key";q=2;w=7200, "hooks";q=20;w=1728000', 'limits by key are those of its line, and only=hook is for it';
    is reason(nginx_get('/hooks/ok/')), '401 missing_credential', 'none';
    is reason(nginx_get('/hooks/ok/wrong')), '401 invalid_key', 'a wrong one';
    is reason(nginx_get("/hooks/ok/$ok_secret/")), '401 missing_credential', 'the last segment counts';
    is reason(nginx_get('/hooks/ok/' . $ok_secret =~ s/otk/%6ftk/r)), '200 ', 'escaped it is the same';
    is reason(nginx_get("/hooks/ok/$ok_secret")), '429 rate_exceeded', 'as often as its line says';
    is told(nginx_get('/either/')) =~ s/ .*//r, 'anonymous', 'where nobody may come, too, no secret is nobody';
    is reason(nginx_get('/either/x')), '401 invalid_key', 'but a wrong one is wrong';
};

subtest 'in the body: left to the service' => sub {
    my $answer = nginx_get('/hooks/vk', method => 'POST', content => '{"secret":"s"}');
    is join(' ', map { $answer->{json}{$_}[0] } qw(AUTH SUBJECT REGION)), 'hook  67', 'a hook of nobody known yet';
};

subtest 'two secrets during a change' => sub {
    nginx_keys(@lines, $second);
    nginx_reload($http, $server);
    is told(by_header($secret)), 'hook tg.1 67 channel', 'the old one';
    is told(by_header($new_secret)), 'hook tg.1 67 channel', 'the new one';
    nginx_keys($second);
    nginx_reload($http, $server);
    is reason(by_header($secret)), '401 invalid_key', 'the old one has gone';
    is told(by_header($new_secret)), 'hook tg.1 67 channel', 'the new one stays';
};

subtest 'no log tells a secret' => sub {
    sleep 1; # the log takes ten refusals a second
    nginx_get("/hooks/ok/$old_secret");
    open my $in, '<', nginx_dir() . '/paths.log' or die $!;
    my $logs = join('', <$in>) . nginx_log();
    like $logs, qr{^GET /hooks/ok/ 401   invalid_key}m, 'the access log has the path without it';
    like $logs, qr{refused: invalid_key.*request: "GET /hooks/ok/"}, 'the error log, too';
    unlike $logs, qr/otk_|%6ftk/, 'none of them is in any log';
};

subtest 'what makes no sense is refused at the start' => sub {
    my %bad = (
        'appeal_auth hook;' => qr/needs "appeal_hook"/,
        'appeal_hook Telegram path;' => qr/a-z 0-9 _/,
        'appeal_hook telegram header=;' => qr/header=NAME/,
        'appeal_hook telegram cookie;' => qr/header=NAME/,
    );
    for my $directive (sort keys %bad) {
        my ($status, $said) = nginx_config($http, "location / { $directive }");
        isnt $status, 0, $directive;
        like $said, $bad{$directive}, '… is named';
    }
    for my $line ("$telegram source=10.0.0.1/8", $telegram =~ s/hook=telegram/hook=Tele/r, $telegram =~ s/source=\S+/source=example.org/r) {
        nginx_keys($line);
        my ($status, $said) = nginx_config($http, 'location / { appeal_auth api_key; }');
        isnt $status, 0, 'a line that is none';
        like $said, qr/line 1: (?:hook|source|an attribute)/, '… is named';
    }
};

done_testing;
