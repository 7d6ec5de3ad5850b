#!/usr/bin/env perl
# The commands that the documents show run as they stand, one after the other, and are answered as the documents say.
use strict;
use warnings;
use utf8;
use FindBin;
use Test::More;
use Otklik::Command;
use Otklik::Files;
use Otklik::OpenAPI;
use Otklik::Test;

write_file('photo.jpg', picture('jpg', 64, 48));
write_file('act.pdf', pdf());
# What the examples speak of: the letter and the file that the one before has made.
my %of = (KEY => $ENV{OTKLIK_API_KEY});

# A command with another host, its answer kept: {status, headers, content, json}.
sub run_sample {
    my ($source) = @_;
    my $here = scratch();
    $source =~ s{http://127\.0\.0\.1:8080}{$ENV{OTKLIK_URL}}g;
    $source =~ s{^curl }{curl --silent --show-error --max-time 15 --dump-header '$here/head' --output '$here/body' }gm;
    write_file('sample', $source);
    local @ENV{ keys %of } = values %of;
    system('bash', '-c', "cd '$here' && rm -f head body && set -euo pipefail && . ./sample") == 0 or return { status => 0, headers => {}, content => "exit $?" };
    my @blocks = split /\r?\n\r?\n/, read_file("$here/head");
    my ($status) = $blocks[-1] =~ m{\AHTTP/\S+ (\d+)};
    my %headers = map { /\A([^:]+): (.*?)\r?\z/ ? (lc $1 => $2) : () } split /\n/, $blocks[-1];
    open my $in, '<:raw', "$here/body" or return { status => $status, headers => \%headers, content => '' };
    my $content = do { local $/ = undef; <$in> } // '';
    return { status => $status, headers => \%headers, content => $content, json => scalar eval { json_of($content) } };
}

my %samples;
for my $document (qw(openapi open311)) {
    my $api = openapi_load("$FindBin::Bin/../../docs/$document.yaml");
    $samples{ $_->{operation}{operationId} } = [$api, $_->{operation}] for grep { $_->{operation}{'x-codeSamples'} } openapi_operations($api);
}

my @order = qw(submitAppeal attachFiles trackAppeal showAttachment postRequest getRequest);
is_deeply [sort keys %samples], [sort @order], 'all that have commands are tried';
for my $id (@order) {
    my ($api, $operation) = @{ $samples{$id} };
    for my $sample (@{ $operation->{'x-codeSamples'} }) {
        my $name = "$id, $sample->{label}";
        my $answer = run_sample($sample->{source});
        like $answer->{status}, qr/\A20[01]\z/, "$name: it works" or diag $answer->{content};
        is_deeply [openapi_check_answer($api, $operation, $answer)], [], "$name: as documented";
        my $json = $answer->{json} or next;
        @of{qw(NUMBER CODE)} = @{$json}{qw(number code)} if $id eq 'submitAppeal';
        $of{NUMBER} = $json->[0]{service_request_id} if $id eq 'postRequest';
        ($of{FILE}) = map { $_->{id} } grep { $_->{media_type} eq 'image/jpeg' } @{ $json->{attachments} } if $id eq 'attachFiles';
    }
    file_states({ number => $of{NUMBER}, code => $of{CODE} }) if $id eq 'attachFiles';
}
is sql("select count(*) from attachment t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.number = '$of{NUMBER}'"), '1', 'the photo of the last one came';

done_testing;
