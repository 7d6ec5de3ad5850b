#!/usr/bin/env perl
# What the edge counts: by kind, by limit and by reason; as Prometheus and as JSON alike; by all workers, over reloads, and under the right names.
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Nginx;
use Otklik::Token;

my $dir = nginx_dir();
sub put { my ($name, $text) = @_; open my $out, '>:raw', "$dir/$name.new" or die $!; print {$out} $text; close $out or die $!; rename "$dir/$name.new", "$dir/$name" or die $!; return }
my $signer = new_token_key('ES256');
put('jwks "a" \\ b', jwk_set(jwk($signer)));
my ($line, $key) = new_key_line('partner');
nginx_keys($line);

my $zones = qq{appeal_limit_zone one 1m; appeal_limit_zone two 32k; appeal_jwt_keys '$dir/jwks "a" \\\\ b'; appeal_jwt_issuer https://id.example; appeal_jwt_audience otklik;};
my $server = <<'CONF';
location = /metrics { appeal_metrics; }
location = /metrics/prometheus { appeal_metrics prometheus; }
location = /metrics/json { appeal_metrics json; }
location @ok { return 204; }
location /all { appeal_auth jwt api_key anonymous; appeal_jwt_memory tokens:64k; try_files /none @ok; }
location /few { appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=2 name=few; try_files /none @ok; }
location /more { appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=5 name=few2; appeal_limit two key=$arg_who rate=1r/h burst=3 name=few; try_files /none @ok; }
location /same { appeal_auth anonymous; appeal_limit one key=address rate=1r/h burst=2 name=few; try_files /none @ok; }
CONF
nginx_start($zones, $server, workers => 2);

sub text { my ($path) = @_; return nginx_get($path // '/metrics')->{content} }
sub metric { my ($name, $labels) = @_; return text() =~ /^otklik_edge_\Q$name@{[ $labels ? "{$labels}" : '' ]}\E (\d+)$/m ? $1 : undef }
# The JSON answer in the words of Prometheus.
sub samples_of_json {
    my ($json) = @_;
    my %samples;
    for my $name (keys %$json) {
        if (!ref $json->{$name}) { $samples{$name} = $json->{$name}; next }
        for my $one (@{ $json->{$name} }) {
            my $value = delete $one->{value};
            $samples{ join '|', $name, map { "$_=$one->{$_}" } sort keys %$one } = $value;
        }
    }
    return \%samples;
}
sub samples_of_text {
    my ($text) = @_;
    my %samples;
    for (grep { !/^#/ } split /\n/, $text) {
        my ($name, $labels, $value) = /\Aotklik_edge_(\w+)(?:\{(.*)\})? (\d+)\z/ or return { wrong => $_ };
        my %labels;
        while (($labels // '') =~ /(\w+)="((?:\\.|[^"\\])*)"/g) { my ($label, $text) = ($1, $2); $labels{$label} = $text =~ s/\\(.)/$1/gr }
        $samples{ join '|', $name, map { "$_=$labels{$_}" } sort keys %labels } = $value;
    }
    return \%samples;
}

subtest 'by kind, by reason and by limit' => sub {
    my $token = token($signer);
    nginx_get('/all', headers => { Authorization => "Bearer $token" }) for 1 .. 3;
    nginx_get('/all', headers => { 'X-Api-Key' => $key }) for 1 .. 2;
    nginx_get('/all');
    is metric('accepted_total', 'auth="jwt"'), 3, 'tokens';
    is metric('accepted_total', 'auth="api_key"'), 2, 'keys';
    is metric('accepted_total', 'auth="anonymous"'), 1, 'nobody';
    is metric('jwt_verified_total'), 1, 'one token was verified';
    is metric('jwt_known_total'), 2, 'and twice known';
    is metric('jwt_memory_held', 'zone="tokens"'), 1, 'the memory holds it';
    cmp_ok metric('jwt_memory_capacity', 'zone="tokens"'), '>', 50, 'of those that fit';
    nginx_get('/all', headers => { 'X-Api-Key' => 'x' });
    nginx_get('/all', headers => { Authorization => 'Bearer x' });
    is metric('refused_total', 'reason="invalid_key"'), 1, 'a wrong key';
    is metric('refused_total', 'reason="malformed_token"'), 1, 'a wrong token';

    nginx_get($_) for '/few', '/same', '/few', '/same?x';
    nginx_get('/more?who=a') for 1 .. 4;
    nginx_get('/more');
    is metric('limit_passed_total', 'zone="one",policy="few"'), 2, 'two places with one policy are counted together';
    is metric('limit_refused_total', 'zone="one",policy="few"'), 2, 'what it refused, too';
    is metric('limit_passed_total', 'zone="two",policy="few"'), 3, 'the same name in another zone is another policy';
    is metric('limit_refused_total', 'zone="two",policy="few"'), 1, 'which refused one';
    is metric('limit_passed_total', 'zone="one",policy="few2"'), 5, 'a name that begins alike is another, and would have let that one pass';
    is metric('limit_refused_total', 'zone="one",policy="few2"'), 0, 'and refused none';
    is metric('refused_total', 'reason="rate_exceeded"'), 3, 'all refusals by limits';
    is metric('limit_owing', 'zone="one"'), 2, 'two debts are in the zone';
    cmp_ok metric('limit_capacity', 'zone="one"'), '>', 60_000, 'of those that fit';
    is metric('limit_evicted_total', 'zone="two"'), 0, 'nobody had to go';
};

subtest 'one table, two forms' => sub {
    my $answer = nginx_get('/metrics/json');
    is $answer->{headers}{'content-type'}, 'application/json', 'JSON';
    my ($json, $text) = (samples_of_json($answer->{json}), samples_of_text(text()));
    # Each request for metrics counts itself and may find the connection of the one before.
    delete @{$_}{ 'requests_total', 'connections', 'answers_total|class=2xx', grep { /age_seconds/ } keys %$_ } for $json, $text;
    is_deeply $json, $text, 'says what Prometheus is told';
    cmp_ok scalar keys %$json, '>', 40, 'which is a lot';
    ok exists $json->{"file_broken|file=$dir/jwks \"a\" \\ b|kind=jwt_keys"}, 'a name of a file with quotes and a backslash' or diag explain $json;
    is text('/metrics/prometheus') =~ s/\d+//gr, text() =~ s/\d+//gr, 'prometheus is the default';
    is nginx_get('/metrics', method => 'POST', content => '')->{status}, 405, 'it can only be read';
};

subtest 'promtool has nothing to say' => sub {
    plan skip_all => 'promtool is not here: scripts/packages metrics' if system('command -v promtool > /dev/null') != 0;
    put('metrics', text());
    my $said = `promtool check metrics < '$dir/metrics' 2>&1`;
    is $?, 0, 'it takes them';
    is $said, '', 'silently';
    put('metrics', text() =~ s/^# HELP.*\n//mr . "# HELP otklik_edge_keys twice\n");
    isnt system("promtool check metrics < '$dir/metrics' > /dev/null 2>&1"), 0, 'and would say so';
};

subtest 'how old the keys are' => sub {
    my $file = quotemeta "kind=\"jwt_keys\",file=\"$dir/jwks \\\"a\\\" \\\\ b\"";
    my $age = sub { return text() =~ /^otklik_edge_file_age_seconds\{$file\} (\d+)$/m ? $1 : undef };
    my $broken = sub { return text() =~ /^otklik_edge_file_broken\{$file\} (\d)$/m ? $1 : undef };
    is $broken->(), 0, 'the file is good';
    my $first = $age->();
    cmp_ok $first, '<', 60, "it is young: $first s";
    sleep 2.1;
    cmp_ok $age->(), '>=', $first + 2, 'it gets older';
    put('jwks "a" \\ b', '{');
    # Each worker looks for itself, once a second: either may answer.
    my $soon = sub { my ($true) = @_; my $until = time + 4; until ($true->()) { return if time > $until; sleep 0.05 } return 1 };
    ok $soon->(sub { $broken->() == 1 }), 'a broken one is told, without any request that needed it';
    cmp_ok $age->(), '>=', 2, 'and the age is that of what is in force';
    put('jwks "a" \\ b', jwk_set(jwk($signer)));
    ok $soon->(sub { my $text = text(); $text =~ /^otklik_edge_file_broken\{$file\} 0$/m && $text =~ /^otklik_edge_file_age_seconds\{$file\} [01]$/m }), 'until it is mended, which makes it young';
};

subtest 'a reload mixes nothing up' => sub {
    my $evil = $server =~ s{location /few \{.*\n}{location /first { appeal_auth anonymous; appeal_limit two key=address rate=1r/h burst=2 name=a; appeal_limit one key=address rate=1r/h burst=2 name=b; try_files /none \@ok; }\n}r;
    nginx_reload($zones, $evil =~ s{location /more.*\n}{}r, workers => 2);
    is metric('limit_passed_total', 'zone="one",policy="few"'), 2, 'a policy that stays keeps its counts';
    is metric('limit_passed_total', 'zone="two",policy="few"'), undef, 'one that is gone is not told';
    is metric('limit_passed_total', 'zone="two",policy="a"'), 0, 'a new one begins at nought';
    nginx_get('/first') for 1 .. 3;
    is metric('limit_passed_total', 'zone="two",policy="a"'), 2, 'and counts its own';
    nginx_reload($zones, $server, workers => 2);
    is metric('limit_passed_total', 'zone="two",policy="few"'), 3, 'one that comes back finds what it had';
    is metric('limit_refused_total', 'zone="one",policy="few"'), 2, 'in any order';
};

subtest 'more policies than are counted apart' => sub {
    my $places = '';
    for my $i (1 .. 40) { $places .= "location /p$i { appeal_auth anonymous; " . join('', map { "appeal_limit two key=address rate=1r/h burst=5 name=x-$i-$_; " } 1 .. 8) . "try_files /none \@ok; }\n" }
    nginx_reload($zones, "$server$places", workers => 2);
    like nginx_log(), qr/limits have names beyond the 255 that are counted apart/, 'the log says so';
    is metric('limit_passed_total', 'zone="one",policy="few"'), 2, 'the first ones are';
    my $text = text();
    my @series = $text =~ /^otklik_edge_limit_passed_total\{zone="\w+",policy="\S+"\}/mg;
    is scalar @series, 253, 'as many as there is room for, beside two of configurations before';
    like $text, qr/^otklik_edge_limit_passed_total\{zone="",policy=""\} 0$/m, 'the others are counted in one';
    nginx_get("/p$_") for 39, 40;
    is metric('limit_passed_total', 'zone="",policy=""'), 16, 'together';
};

done_testing;
