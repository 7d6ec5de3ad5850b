#!/usr/bin/env perl
# The nginx part of docs/operations.md, done in a throw-away folder with a certificate of our own: what make install lays down is complete and starts.
use strict;
use warnings;
use utf8;
use Test::More;
use IO::Socket::INET;
use Otklik::Nginx;

sub text_of { my ($path) = @_; open my $in, '<:encoding(UTF-8)', $path or die "$path: $!"; local $/ = undef; return scalar <$in> }
sub write_to { my ($path, $text) = @_; open my $out, '>', $path or die "$path: $!"; print {$out} $text; close $out or die "$path: $!"; return }

my $dir = nginx_dir();
my ($root) = `pwd` =~ /(.*)/;
my $destination = "$dir/root";
is system("'$root/scripts/install-tree' '$ENV{OTKLIK_BUILD}' '$destination' /usr/local"), 0, 'make install lays it down';
ok -x "$destination/usr/local/share/otklik/conf/nginx/render", 'what fills it in can be run';
ok -f "$destination/usr/local/lib/otklik/ngx_http_appeal_module.so", 'the module is there';

# What an administrator types, below our own root.
my ($section) = text_of('docs/operations.md') =~ /^(### 5\. .*?)^### 6\. /ms;
my ($commands) = grep { /render/ } $section =~ /^```sh\n(.*?)^```$/gms;
$commands =~ s/^nginx -t.*\n//m;
$commands =~ s{(?<![\w/.])/(usr/local|etc|root|var)\b}{$destination/$1}g;
# The module is named as it will be found on the server.
my ($module) = $commands =~ /(load_module \S+;)/;
is $module, "load_module $destination/usr/local/lib/otklik/ngx_http_appeal_module.so;", 'the module is loaded from where it lies';
mkdir "$destination/$_" for 'etc', 'etc/otklik', 'etc/nginx', 'etc/nginx/conf.d', 'etc/nginx/modules-enabled', 'run', 'run/otklik', 'log';
write_to("$dir/commands", "set -e\n$commands");
is system("sh '$dir/commands'"), 0, 'the commands of the manual work';
is((stat "$destination/etc/otklik/client.secret")[2] & 0777, 0600, 'the secret is nobody else\'s');
write_to("$destination/etc/otklik/keys", "# none\n");

# Our own places in what they wrote; the module as it is built with its sanitizers, if it is.
my $live = "$destination/etc/letsencrypt/live/otklik.example.org";
is system("mkdir -p '$live' && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=otklik.example.org -keyout '$live/privkey.pem' -out '$live/fullchain.pem' 2> '$dir/openssl'"),
    0, 'a certificate';
my ($plain, $tls, $inner) = map { Otklik::Nginx::free_port() } 1 .. 3;
my $etc = "$destination/etc/nginx";
for my $file ("$etc/conf.d/otklik.conf", glob "$etc/otklik/*.conf") {
    my $text = text_of($file);
    unlike $text, qr/\@[A-Z_]+\@/, "nothing is left to fill in in $file" =~ s/\Q$destination\E//r;
    $text =~ s{ /etc/letsencrypt/}{ $destination/etc/letsencrypt/}g;
    $text =~ s{ /var/log/nginx/}{ $destination/log/}g;
    $text =~ s{^\s*listen \[::\].*\n}{}mg;
    $text =~ s{listen 80;}{listen 127.0.0.1:$plain;};
    $text =~ s{listen 443 }{listen 127.0.0.1:$tls };
    $text =~ s{127\.0\.0\.1:8081;}{127.0.0.1:$inner;};
    open my $out, '>:encoding(UTF-8)', $file or die $!;
    print {$out} $text;
    close $out or die $!;
}
# Another nginx has a module of its own, and newer ones spell HTTP/2 otherwise.
if ($ENV{OTKLIK_NGINX}) {
    system('ln', '-sf', nginx_module(), "$destination/usr/local/lib/otklik/ngx_http_appeal_module.so") == 0 or die 'ln';
}
# What the manual says for a server behind a proxy, too.
my ($proxy) = $section =~ /^```nginx\n(.*?)^```$/ms;
write_to("$etc/conf.d/proxy.conf", $proxy);
system 'chmod', '-R', 'go+rX', $dir;
chmod 0600, "$destination/etc/otklik/client.secret";
chmod 0640, "$destination/etc/otklik/challenge.keys";
my $temporary = join ' ', map { "${_}_temp_path $dir/$_;" } qw(client_body proxy fastcgi uwsgi scgi);
write_to("$etc/nginx.conf", "daemon off; pid $dir/site.pid; error_log $dir/error.log; include $etc/modules-enabled/*.conf;\n"
    . "events { worker_connections 512; }\nhttp { include /etc/nginx/mime.types; access_log off; $temporary include $etc/conf.d/*.conf; }\n");
{
    local %ENV = (%ENV, Otklik::Nginx::environment());
    my $said = `'@{[nginx_program()]}' -t -e stderr -p '$etc' -c '$etc/nginx.conf' 2>&1`;
    is $?, 0, 'nginx takes it' or BAIL_OUT($said);
    $said =~ s/^.*"listen \.\.\. http2" directive is deprecated.*\n//mg if $ENV{OTKLIK_NGINX};
    unlike $said, qr/\[warn\]/, 'and has nothing to say';
}

my $pid = fork // die "fork: $!";
if (!$pid) {
    %ENV = (%ENV, Otklik::Nginx::environment());
    open STDERR, '>>', "$dir/stderr";
    exec nginx_program(), '-e', 'stderr', '-p', $etc, '-c', "$etc/nginx.conf";
}
for (1 .. 100) {
    last if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$inner", Timeout => 1);
    select undef, undef, undef, 0.05;
}
sub curl { return scalar `curl --silent --insecure --include --max-time 5 --noproxy '*' --resolve otklik.example.org:$tls:127.0.0.1 @_` }
like curl("http://127.0.0.1:$inner/health/live"), qr/\AHTTP\/1\.1 200 /, 'it lives';
like curl("-H 'Host: otklik.example.org' 'http://127.0.0.1:$plain/track?x=1'"), qr{^Location: https://otklik\.example\.org/track\?x=1\r?$}m, 'who comes without TLS is sent on';
my $page = curl("https://otklik.example.org:$tls/assets/otklik.css");
like $page, qr{\AHTTP/2 200 }, 'pages come over HTTP/2';
like $page, qr{^content-security-policy: default-src 'none'}m, 'with the strict policy';
my $problem = curl("-H 'Accept-Language: en' https://otklik.example.org:$tls/api/v1/themes");
like $problem, qr{\AHTTP/2 502 .*^content-type: application/problem\+json}ms, 'without services programs get a problem';
like $problem, qr{^retry-after: 2\r?$}m, 'and the time to come again';
kill 'QUIT', $pid;
waitpid $pid, 0;
my $log = text_of("$destination/log/otklik.log");
like $log, qr/"path":"\/assets\/otklik\.css","status":200/, 'what was asked for is logged';
unlike $log . text_of("$dir/error.log"), qr/127\.0\.0\.1|AddressSanitizer|runtime error/, 'and not by whom';

done_testing;
