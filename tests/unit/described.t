#!/usr/bin/env perl
# Nothing is served that is not described, and nothing described that is not served: route tables and documents name the same addresses.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Command;
use Otklik::OpenAPI;

my $root = "$FindBin::Bin/../..";
# Pages are for people. The edge answers one address itself, and takes the secret off the end of another.
my %page = map { $_ => 1 } ('GET /', 'POST /', 'GET /track', 'POST /track', 'GET /desk/entry', 'POST /desk/entry');
my %by_edge = ('GET /api/v1/challenge' => 'location = /api/v1/challenge {');

# An address with neither names of parameters nor formats: those stand at the end of a whole segment in the tables, behind a dot in documents.
sub plain { my ($path) = @_; $path =~ s/\.\{format\}//; $path =~ s/\{secret\}\z//; $path =~ s/\{\w+\}/{}/g; return $path }

my (%served, %described);
my @tables = grep { read_file($_) =~ /struct route routes\[\]/ } glob "$root/services/*/main.c";
cmp_ok scalar @tables, '>=', 2, 'there are tables of routes';
for my $table (@tables) {
    my ($rows) = read_file($table) =~ /struct route routes\[\] = \{(.*?)^\};/ms;
    my $n = () = $rows =~ /\.path = "/g;
    my @read = map { my ($method, $path) = @$_; "$method " . plain($path) } pairs_of($rows);
    is scalar @read, $n, "$table: every row was read" =~ s{.*/services/}{}r;
    $served{$_} = 1 for @read;
}
sub pairs_of { my ($rows) = @_; my @found; push @found, [$1, $2] while $rows =~ /\.method = METHOD_(\w+),\s*\.path = "([^"]+)"/g; return @found }

for my $document (qw(openapi open311)) {
    $described{"$_->{method} " . plain($_->{path})} = $document for openapi_operations(openapi_load("$root/docs/$document.yaml"));
}
my @undescribed = grep { !$described{$_} && !$page{$_} } sort keys %served;
is_deeply \@undescribed, [], 'every route is described';
my $locations = read_file("$root/conf/nginx/locations.conf");
my @unserved = grep { !$served{$_} && !($by_edge{$_} && index($locations, $by_edge{$_}) >= 0) } sort keys %described;
is_deeply \@unserved, [], 'and every description has its route';
cmp_ok scalar keys %described, '>', 15, 'it is about ' . keys(%described) . ' addresses';

done_testing;
