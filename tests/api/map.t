#!/usr/bin/env perl
# What a map of the region is drawn from: outlines that still meet where neighbours meet, and tiles only where they are configured.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Command;
use Otklik::Test;

my $map = get('/api/v1/map');
is $map->{status}, 200, 'anybody may see it';
my ($west, $south, $east, $north) = @{ $map->{json}{bounds} };
ok $west < $east && $south < $north, 'bounds are west, south, east, north';
is $map->{json}{tiles}, undef, 'no tiles unless there are some';
is $map->{json}{boundaries}{type}, 'FeatureCollection', 'GeoJSON';
my @features = @{ $map->{json}{boundaries}{features} };
is scalar @features, sql('select count(*) from municipality where region_id = 90'), 'all municipalities';
is scalar(grep { $_->{geometry}{type} ne 'MultiPolygon' || $_->{properties}{name} eq '' } @features), 0, 'with shape and name';
is get('/api/v1/map', lang => 'en')->{json}{boundaries}{features}[0]{properties}{name} =~ /^[A-Z]/, 1, 'in English';
my $etag = $map->{headers}{etag};
is get('/api/v1/map', headers => { 'If-None-Match' => $etag })->{status}, 304, 'who has it already is told so';
my $packed = get('/api/v1/map', headers => { 'Accept-Encoding' => 'gzip' });
is $packed->{headers}{'content-encoding'}, 'gzip', 'packed for who can unpack it';
cmp_ok length $packed->{content}, '<', length($map->{content}) / 2, 'to less than half';
is get('/api/v1/map', headers => { 'Accept-Encoding' => 'gzip', 'If-None-Match' => $packed->{headers}{etag} })->{status}, 304, 'which is known by its etag, too';
is get('/api/v1/map?bbox=1')->{status}, 422, 'an argument that there is not is refused';

# Neighbours meet: what all of them cover together has no hole, and nothing is covered twice.
is sql("select st_numinteriorrings(st_geometryn(st_multi(st_union(outline)), 1)) from municipality where region_id = 90"), '0', 'no gap';
cmp_ok sql('select (sum(st_area(outline)) - st_area(st_union(outline))) / st_area(st_union(outline)) from municipality where region_id = 90'), '<', 1e-9, 'no overlap';
cmp_ok sql('select sum(st_npoints(outline)) * 1.0 / sum(st_npoints(boundary)) from municipality where region_id = 90'), '<', 0.95, 'simpler than it was';
is sql('select count(*) from municipality where region_id = 90 and not st_isvalid(outline)'), '0', 'and valid';

SKIP: {
    skip 'the boundaries of real regions are not here (OTKLIK_SHARED)', 4 unless length $ENV{OTKLIK_SHARED} && -d "$ENV{OTKLIK_SHARED}/data/boundaries";
    my ($file) = glob "$ENV{OTKLIK_SHARED}/data/boundaries/*67*.geojson $ENV{OTKLIK_SHARED}/data/boundaries/*[Ss]molensk*.geojson";
    skip 'no boundaries of Smolensk', 4 unless $file;
    my $run = otklik('import', 'boundaries', $file, '--region', '67');
    is $run->{status}, 0, 'a real region' or diag $run->{err};
    my ($before, $after) = split /\|/, sql('select sum(st_npoints(boundary)), sum(st_npoints(outline)) from municipality where region_id = 67');
    cmp_ok $after, '<', $before / 2, "a real region: $after points instead of $before";
    # A gap of less than a pixel of a region 1,000 pixels wide is not seen.
    cmp_ok sql(<<'SQL'), '<', 1, 'no gap or overlap larger than a pixel';
with box as (select greatest(st_xmax(st_extent(boundary)) - st_xmin(st_extent(boundary)), 0.1) / 1000 as pixel from municipality where region_id = 67),
twice as (select coalesce(sum(st_area(st_intersection(a.outline, b.outline))), 0) as area from municipality a join municipality b on b.region_id = 67 and b.id > a.id and b.outline && a.outline where a.region_id = 67),
whole as (select st_area(st_symdifference(st_union(boundary), st_union(outline))) as area, st_perimeter(st_union(boundary)) as rim from municipality where region_id = 67)
select greatest((select area from twice), 0) / pixel / pixel + (select area / rim from whole) / pixel from box
SQL
    is sql('select count(*) from municipality where region_id = 67 and (outline is null or not st_isvalid(outline))'), '0', 'all of them drawn';
}

# ---- tiles: the program refuses an address that would not work

for my $case (['https://tiles.example/{z}/{x}/{y}.png', undef], ['/tiles/{z}/{x}/{y}.png', undef], ['https://tiles.example/{z}/{x}.png', qr/OTKLIK_TILES_URL must be/],
    ['javascript:{z}{x}{y}', qr/OTKLIK_TILES_URL must be/], ["https://tiles.example/{z}/{x}/{y}'", qr/OTKLIK_TILES_URL must be/]) {
    local $ENV{OTKLIK_TILES_URL} = $case->[0];
    local $ENV{OTKLIK_NOTICES} = 0;
    local $ENV{OTKLIK_DB} = 'host=/nowhere';
    local $ENV{OTKLIK_SOCKET} = scratch() . '/intake.sock';
    local $ENV{OTKLIK_WEB} = test_dir() . '/app/share/otklik/web';
    local $ENV{OTKLIK_FILES} = scratch();
    local $ENV{OTKLIK_NOTICES} = 0;
    my $said = `timeout 1 '@{[ test_dir() ]}/app/lib/otklik/otklik-intake' 2>&1`;
    if ($case->[1]) { like $said, $case->[1], "refused: $case->[0]" }
    else { unlike $said, qr/OTKLIK_TILES/, "taken: $case->[0]"; like $said, qr/started/, 'and it starts' }
}

done_testing;
