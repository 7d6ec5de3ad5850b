#!/usr/bin/env perl
# docs/edge.md says what is: its examples pass nginx -t, its example of headers is what nginx sends, no directive, variable or metric is missing.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Nginx;
use Otklik::Token;

sub text_of { my ($path) = @_; open my $in, '<:encoding(UTF-8)', $path or die "$path: $!"; local $/ = undef; return scalar <$in> }

my $docs = text_of('docs/edge.md');
my $dir = nginx_dir();
my ($line, $key) = new_key_line('partner', region => 67);
nginx_keys($line);
for (['jwks.json', jwk_set(jwk(new_token_key('ES256')))], ['revoked', "one\n"]) { open my $out, '>', "$dir/$_->[0]" or die $!; print {$out} $_->[1]; close $out or die $! }
for (qw(client.secret share.secret redis.password)) { open my $out, '>', "$dir/$_" or die $!; print {$out} 'x' x 32; close $out or die $! }
{
    my ($keys) = $docs =~ /^```\n(2026-11 .*?\n)```$/ms;
    open my $out, '>', "$dir/challenge.keys" or die $!;
    print {$out} $keys;
    close $out or die $!;
}

my @examples = $docs =~ /^```nginx\n(.*?)^```$/gms;
cmp_ok scalar @examples, '>=', 4, 'there are examples';
for my $example (@examples) {
    my ($status, $said) = nginx_test($example =~ s{/etc/otklik/}{$dir/}gr);
    my ($what) = $example =~ /(.*(?:location|limit_zone|log_format).*)/;
    is $status, 0, "an example passes: $what" or diag $said;
}
my ($limited) = grep { /rate=1r/ } @examples;
my (undef, $refused) = nginx_test($limited =~ s{/etc/otklik/}{$dir/}gr =~ s/rate=1r/rate=1x/r);
like $refused, qr/"rate=1x\/s" is not like/, 'and what is wrong would not';

subtest 'the example of a key file is one' => sub {
    my ($example) = $docs =~ /^```\n(k3f9x2ab .*?\n)```$/ms;
    nginx_keys($example =~ s/\n\z//r);
    my ($status, $said) = nginx_config('', 'location / { appeal_auth api_key; }');
    is $status, 0, 'it is taken' or diag $said;
    nginx_keys($line);
};

subtest 'nothing is left out' => sub {
    my $module = join '', map { text_of($_) } glob 'ngx_module/ngx_http_appeal_*.c';
    my @directives = $module =~ /\{ ngx_string\("(appeal_\w+)"\),\s+NGX_HTTP/g;
    cmp_ok scalar @directives, '>=', 11, 'directives of the module';
    like $docs, qr/^\| `$_\b/m, $_ for @directives;
    my @variables = $module =~ /\{ ngx_string\("(appeal_\w+)"\), NULL,/g;
    cmp_ok scalar @variables, '>=', 9, 'variables of the module';
    like $docs, qr/^\| `\$$_`/m, "\$$_" for @variables;
    my @parameters = $module =~ /\{ ngx_string\("(\w+=)"\), ngx_http_appeal_limit_set/g;
    cmp_ok scalar @parameters, '>=', 7, 'parameters of limits';
    like $docs, qr/^\| `\Q$_\E/m, $_ for @parameters;
    my @settings = $module =~ /\{ ngx_string\("(\w+=)"\), ngx_http_appeal_challenge_set/g;
    cmp_ok scalar @settings, '>=', 6, 'parameters of challenges';
    like $docs, qr/^\| `\Q$_\E/m, $_ for @settings;
    my @attributes = text_of('ngx_module/keys.c') =~ /^\s+\{ "(\w+)", set_/gm;
    cmp_ok scalar @attributes, '>=', 7, 'attributes of keys';
    like $docs, qr/^\| .*`$_=`/m, $_ for @attributes;
    my @reasons = text_of('ngx_module/problem.c') =~ /\[PROBLEM_\w+\] = \{ "(\w+)", \d+/g;
    cmp_ok scalar @reasons, '>=', 5, 'reasons of refusals';
    like $docs, qr/^\| \d+ \| `$_`/m, $_ for @reasons;
};

subtest 'tests that are named are there' => sub {
    my ($table) = $docs =~ /^### RFC 8725, point by point\n(.*?)^##/ms;
    my $units = text_of('tests/unit/jws_test.c');
    my $edge = text_of('tests/edge/jwt.t');
    my @named = $table =~ /\b([a-z]+(?:_[a-z0-9]+){2,})\b/g;
    cmp_ok scalar @named, '>=', 15, 'there are names';
    like $units, qr/^static void $_\(/m, $_ for grep { !/\Aappeal_/ } @named;
    like $edge, qr/^subtest '$_'/m, $_ for $table =~ /"([^"]+)"/g;
};

my ($limits) = grep { /name=day/ } @examples;
my ($http, $server) = $limits =~ /\A(.*?)^server \{\n.*?listen[^\n]*\n(.*)^\}/ms;
$server =~ s/proxy_pass [^;]+;/try_files \/none \@ok;/g;
nginx_start($http, "$server location \@ok { return 204; } location = /metrics { appeal_metrics; }");

subtest 'the examples of answers are true' => sub {
    my ($policy, $limit) = $docs =~ /^RateLimit-Policy: (.*)\nRateLimit: (.*)$/m;
    my $answer = nginx_get('/letters', method => 'POST', content => '');
    is $answer->{headers}{'ratelimit-policy'}, $policy, 'RateLimit-Policy';
    is $answer->{headers}{ratelimit}, $limit, 'RateLimit';
    is nginx_get('/letters')->{headers}{ratelimit}, undef, 'nothing for who only looks';
    my @photos = map { nginx_get('/photos', method => 'POST', content => '', headers => { 'Accept-Language' => 'en' }) } 1 .. 4;
    is join(' ', map { $_->{status} } @photos), '204 204 204 429', 'three photos and a letter are sixteen of twenty';
    my ($example) = $docs =~ /^(HTTP\/1\.1 429.*?)^```/ms;
    my ($head, $body) = split /\n\n/, $example, 2;
    for ($head =~ /^([\w-]+: .*)$/mg) {
        my ($name, $value) = split /: /, $_, 2;
        next if $name eq 'Retry-After';
        is $photos[3]{headers}{ lc $name }, $value, $name;
    }
    my %shown = map { $_ => 1 } $body =~ /"([\w-]+)":/g;
    is_deeply [sort keys %{ $photos[3]{json} }], [sort keys %shown], 'members of the body';
    is $photos[3]{json}{$_}, ($body =~ /"$_":"?(.*?)"?,(?:"|\n)/s)[0], $_ for qw(type title status detail reason);
};

subtest 'metrics are described' => sub {
    my %names = map { $_ => 1 } nginx_get('/metrics')->{content} =~ /^otklik_edge_(\w+)/gm;
    cmp_ok scalar keys %names, '>=', 14, 'there are metrics';
    like $docs, qr/^\| .*`$_(?:\{[\w,]+\})?`/m, $_ for sort keys %names;
};

done_testing;
