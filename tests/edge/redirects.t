#!/usr/bin/env perl
# One decision a request, wherever nginx sends it meanwhile: error pages, subrequests, other access modules, dressed refusals.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Nginx;

my ($line, $key) = new_key_line('partner', region => 67);
nginx_keys($line);
{ open my $out, '>', nginx_dir() . '/dressed.html' or die $!; print {$out} 'a page of ours'; close $out or die $! }
my $service = 'fastcgi_param APPEAL_AUTH $appeal_auth; fastcgi_param APPEAL_SUBJECT $appeal_subject; fastcgi_pass unix:' . nginx_dir() . '/echo.sock;';
nginx_start('appeal_limit_zone one 1m; appeal_region 90;', <<"CONF");
location /missing { error_page 404 /locked; try_files /none =404; }
location /locked { appeal_auth api_key; $service }
location /either { satisfy any; deny all; appeal_auth api_key; $service }
location /neighbour { satisfy any; allow all; appeal_auth api_key; $service }
location /both { allow all; appeal_auth api_key; $service }
location /asks { appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=5 name=asks; auth_request /asked; $service }
location /asked { internal; appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=5 name=asked; $service }
location /mirrored { appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=5 name=mirrored; mirror /again; $service }
location /again { internal; appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=5 name=mirrored; $service }
location /dressed { appeal_auth api_key; appeal_refusal error_page; error_page 401 /dressed.html; $service }
location = /dressed.html { internal; }
location /open { appeal_auth anonymous; rewrite ^/open/x /locked last; try_files /none \@locked; }
location \@locked { appeal_auth api_key; $service }
CONF

sub with { my ($path) = @_; return nginx_get($path, headers => { 'X-Api-Key' => $key }) }
sub told { my ($answer) = @_; return join ' ', map { $answer->{json}{"APPEAL_$_"}[0] // '?' } qw(AUTH SUBJECT) }

my $answer = nginx_get('/missing');
is $answer->{status}, 401, 'an error page that is refused: the client is told that';
is $answer->{json}{status}, 401, 'and the problem says the same';
is told(with('/missing')), 'api_key partner', 'who may see it sees it';

is nginx_get('/either')->{status}, 401, 'either, and neither holds: refused';
is told(with('/either')), 'api_key partner', 'either, and the key holds';
$answer = nginx_get('/neighbour');
is $answer->{status}, 200, 'either, and the other module lets in';
is $answer->{headers}{'www-authenticate'}, undef, 'then nobody is asked for a key';
is told($answer), ' ', 'and nobody is known';
is nginx_get('/both')->{status}, 401, 'both, and one does not hold';

is nginx_get('/asks')->{headers}{ratelimit}, '"asks";r=4;t=3600', 'a subrequest is charged nothing';
is nginx_get('/mirrored')->{headers}{ratelimit}, '"mirrored";r=4;t=3600', 'nor a copy';

$answer = nginx_get('/dressed');
is $answer->{status}, 401, 'a dressed refusal keeps its status';
is $answer->{content}, 'a page of ours', 'is the page';
like $answer->{headers}{'www-authenticate'}, qr/\AApiKey /, 'and says how';

is nginx_get('/open')->{status}, 401, 'what nobody may enter is not entered through a named place';
is nginx_get('/open/x')->{status}, 401, 'nor by a rewrite';
is told(with('/open')), 'api_key partner', 'where a key is asked for, its owner is known, though the first place asked for none';

done_testing;
