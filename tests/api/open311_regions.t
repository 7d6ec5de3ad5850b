#!/usr/bin/env perl
# Several regions in one system, each a jurisdiction of Open311: own services, own requests, keys that are good for one of them.
use strict;
use warnings;
use utf8;
use FindBin;
use Test::More;
use Otklik::Command;
use Otklik::Test;

my $base = '/open311/v2';
my $other = 16;

sub key_of {
    my ($region) = @_;
    my $run = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--subject', "regions-$region-$$", '--roles', 'integrator', '--region', $region);
    is $run->{status}, 0, "a key for region $region" or diag $run->{err};
    chomp(my $key = $run->{out});
    # Each worker of the edge reads its keys for itself.
    my $known = 0;
    wait_for(sub { $known = get('/api/v1/themes', key => $key)->{status} == 200 ? $known + 1 : 0; $known >= 20 }, 20, 'the edge to know the key');
    return $key;
}
sub post {
    my ($key, %fields) = @_;
    my %all = (lat => '56.64', long => '47.89', description => 'Две области ' . new_key(), %fields);
    return request('POST', "$base/requests.json", content => join('&', map { "$_=" . url_encode($all{$_}) } sort keys %all),
        headers => { 'Content-Type' => 'application/x-www-form-urlencoded' }, key => $key, lang => 'en');
}
sub number_of { my ($answer) = @_; return $answer->{json}[0]{service_request_id} }

sql("insert into theme (region_id, code, group_ru, name_ru) values ($other, 'elsewhere', 'Прочее', 'Другое')");
my %key = map { $_ => key_of($_) } 90, $other;

subtest 'discovery lists both' => sub {
    my $list = get('/open311/discovery.json', lang => 'en')->{json}{jurisdictions};
    my @known = split /,/, sql("select string_agg(distinct region_id::text, ',') from theme where active");
    is_deeply [map { $_->{jurisdiction_id} } @$list], [sort { $a <=> $b } @known], 'by their numbers';
    is scalar(grep { length $_->{name} } @$list), scalar @known, 'with their names';
    like get('/open311/discovery.xml')->{content}, qr{<jurisdiction><jurisdiction_id>$other</jurisdiction_id><name>[^<]+</name></jurisdiction><jurisdiction>}, 'also as XML';
};

subtest 'each has its own services' => sub {
    is_deeply [map { $_->{service_code} } @{ get("$base/services.json?jurisdiction_id=$other")->{json} }], ['elsewhere'], 'the other one its own';
    is scalar(grep { $_->{service_code} eq 'elsewhere' } @{ get("$base/services.json?jurisdiction_id=90")->{json} }), 0, 'which this one has not';
    is_deeply [map { $_->{service_code} } @{ get("$base/services.json", key => $key{$other})->{json} }], ['elsewhere'], 'a key brings its region along';
};

subtest 'a key writes into its own region' => sub {
    my %number = (90 => number_of(post($key{90}, service_code => 'road.pothole', lat => '57.8', long => '61.2')), $other => number_of(post($key{$other}, service_code => 'elsewhere')));
    like $number{$_}, qr/\A$_-/, "region $_: its number says so" for sort keys %number;
    is number_of(post($key{$other}, service_code => 'elsewhere', jurisdiction_id => $other)) =~ /\A$other-/, 1, 'also named';
    my $wrong = post($key{$other}, service_code => 'road.pothole', jurisdiction_id => 90);
    is $wrong->{status}, 403, 'not into another';
    like $wrong->{json}[0]{description}, qr/jurisdiction_id/, 'and is told why';
    is post($key{90}, service_code => 'elsewhere')->{status}, 404, 'nor under the service of another';
    is post(undef, service_code => 'elsewhere', jurisdiction_id => 90, api_key => $key{$other})->{status}, 403, 'nor with the key within the form';

    is get("$base/requests/$number{$other}.json", key => $key{$other})->{json}[0]{service_code}, 'elsewhere', 'its owner sees it';
    is get("$base/requests/$number{$other}.json?jurisdiction_id=90", key => $key{90})->{status}, 404, 'the other key does not';
    my @listed = map { $_->{service_request_id} } @{ get("$base/requests.json", key => $key{$other})->{json} };
    is scalar(grep { $_ !~ /\A$other-/ } @listed), 0, 'a list holds one region';
    ok scalar(grep { $_ eq $number{$other} } @listed), 'the letter is in it';
    is scalar(grep { $_->{service_request_id} eq $number{$other} } @{ get("$base/requests.json?jurisdiction_id=90", key => $key{90})->{json} }), 0, 'and in no other';
    is get("/api/v1/appeals/$number{90}?code=AAAA-AAAA-AAAA-AAAA")->{status}, 404, 'codes are needed still';
};

# Its letters stay, and so does the theme they are of; other tests count regions with services.
sql("update theme set active = false where region_id = $other");
done_testing;
