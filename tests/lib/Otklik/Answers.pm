# The system of a body, as it answers over Open311.
package Otklik::Answers;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use Otklik::Command;
use Otklik::Files;
use Otklik::Test;

our @EXPORT = qw(body_key told letter_at_body way in_days);

# A key of a body's system with the scope to answer; more of `otklik keys add` in MORE. Good as soon as the edge has read it.
sub body_key {
    my ($subject, @more) = @_;
    my $run = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--subject', $subject, '--roles', 'integrator', '--region', 90, '--scopes',
        'appeals:answer', @more);
    die $run->{err} if $run->{status};
    chomp(my $key = $run->{out});
    wait_for(sub { get('/api/v1/themes', key => $key)->{status} == 200 }, 10, 'the edge to read the new key');
    # One of its workers has; each looks at the file once a second.
    select undef, undef, undef, 1.2;
    return $key;
}

# told(KEY, NUMBER, STATUS, field => value …, files => [[name, bytes, name of the file, type] …]): the answer to an update.
sub told {
    my ($key, $number, $status, %fields) = @_;
    my $files = delete $fields{files};
    my $format = delete $fields{format} // 'json';
    my $in_form = delete $fields{in_form};
    my %all = (service_request_id => $number, status => $status, description => 'Работы выполнены.', %fields, $in_form ? (api_key => $key) : ());
    my @pairs = map { [$_ => $all{$_}] } grep { defined $all{$_} } sort keys %all;
    my ($type, $body) = ('application/x-www-form-urlencoded', join '&', map { url_encode($_->[0]) . '=' . url_encode($_->[1]) } @pairs);
    ($type, $body) = multipart(@pairs, map { ['media', @$_] } @$files) if $files;
    return request('POST', "/open311/v2/servicerequestupdates.$format", content => $body, headers => { 'Content-Type' => $type }, lang => 'en',
        $in_form ? () : (key => $key));
}

# A letter that a body has: its receipt.
sub letter_at_body {
    my (%more) = @_;
    my $letter = appeal({ theme => 'light.street', point => { lat => 57.8, lon => 61.2 }, %more }, key => $ENV{OTKLIK_API_KEY});
    wait_for(sub { sql("select status from appeal where number = '$letter->{number}'") eq 'routed' }, 20, 'routing');
    return $letter;
}

# What the resident sees of it.
sub way { my ($letter, %o) = @_; return get("/api/v1/appeals/$letter->{number}?code=" . url_encode($letter->{code}), lang => 'en', %o)->{json} }

# A day of the region's calendar, as YYYY-MM-DD.
sub in_days { my ($days) = @_; return sql("select ((now() at time zone 'Europe/Moscow')::date + $days)::text") }

1;
