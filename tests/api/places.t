#!/usr/bin/env perl
# People find a place however they spell it, the nearest first; a click on the map finds out where it was; the gazetteer goes in whole or not at all.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Command;
use Otklik::Test;

sub places {
    my ($q, $more, %o) = @_;
    my $answer = get('/api/v1/places?q=' . url_encode($q) . ($more // ''), %o);
    is $answer->{status}, 200, "$q: 200" or diag $answer->{content};
    return @{ $answer->{json}{places} };
}
sub first { my ($q, $more) = @_; my ($place) = places($q, $more); return $place ? "$place->{kind} $place->{name}" : 'nothing' }

# ---- what is wrong

for my $case (['', 'q'], ['?q=', 'q'], ['?lat=57', 'lon'], ['?q=a&lat=91&lon=0', 'lat'], ['?q=a&lat=x&lon=0', 'lat'], ['?lat=57&lon=181', 'lon'],
    ['?q=' . 'a' x 201, 'q'], ['?q=%00', 'q'], ['?where=a', 'where']) {
    my $answer = get("/api/v1/places$case->[0]");
    my @fields = map { $_->{field} } @{ $answer->{json}{errors} // [] };
    ok $answer->{status} == 422 && grep({ $_ eq $case->[1] } @fields) || $answer->{status} == 400, "places$case->[0] names $case->[1]" or diag $answer->{content};
}

# ---- by name

my $house = 'house город Светозерск, улица Ленина, 5';
is first($_), $house, "«$_»" for 'ул ленина 5', 'Ленина улица, д. 5', 'УЛИЦА ЛЕНИНА 5', 'ул.Ленина,5', 'Светозерск, ул. Ленина, д. 5, кв. 12', 'Ленина 5, Светозерск', 'Лeнинa 5';
ok scalar(grep { $_->{name} eq 'город Светозерск, улица Ленина, 5' } places('линина 5')), 'a wrong letter';
is first('Светозерск, Лесная 14'), 'house город Светозерск, улица Лесная, 14', 'a town named beside a street that many have';
is first('Ленина 999'), first('Ленина'), 'a house that nobody knows: its street';
is first('8 марта, Светозерск'), 'street город Светозерск, улица 8 Марта', 'a number that is part of a name';
is first('озерки'), 'settlement деревня Озёрки', 'е for ё';
is first('ОЗЁРКИ'), 'settlement деревня Озёрки', 'and ё';
is first('молодежная озёрки'), 'street деревня Озёрки, улица Молодёжная', 'in another order';
is first('ключи полевая'), 'street посёлок Ключи, улица Полевая', 'a village named before its street';
is first('Семиозерский'), 'municipality Семиозерский муниципальный округ', 'a municipality';
is first('новоруд'), 'municipality Городской округ Новорудненск', 'a beginning';
like first('Кленовя'), qr/улица Кленовая/, 'a letter left out';
is first('zzzzqqq'), 'nothing', 'nothing is like it';
is first('1234'), 'nothing', 'a number alone is no name';
is first(q{'; drop table place; --}), 'nothing', 'what looks like SQL is a name like any other';

my @many = places('лесная');
is scalar @many, 10, 'at most ten';
is scalar(grep { !/\A(?:municipality|settlement|street|house)\z/ } map { $_->{kind} } @many), 0, 'of four kinds';
is_deeply [sort keys %{ $many[0] }], [qw(kind lat lon municipality name)], 'with what the contract says';
my ($near) = places('лесная', '&lat=58.23607&lon=61.95459');
like $near->{municipality}, qr/Семиозерский/, 'the nearest first among equals';
my ($english) = places('Семиозерский', '', lang => 'en');
is $english->{municipality}, 'Semiozersky District', 'municipalities in English';

# ---- by point

my ($lat, $lon) = @{ (places('Светозерск, улица Ленина, 5'))[0] }{qw(lat lon)};
my $there = get("/api/v1/places?lat=$lat&lon=$lon")->{json}{places};
is_deeply [map { $_->{kind} } @$there], [qw(house street settlement municipality)], 'a click beside a house';
is $there->[0]{name}, 'город Светозерск, улица Ленина, 5', 'that one';
my $field = get('/api/v1/places?lat=57.2&lon=60.6')->{json}{places};
is $field->[-1]{name}, 'Нижнеключевской муниципальный округ', 'a click in the fields finds the municipality';
is_deeply get('/api/v1/places?lat=0&lon=0')->{json}{places}, [], 'a click into the sea finds nothing';

# ---- the import

my $head = "municipality\tsettlement\tstreet\thouse\tlat\tlon\n";
sub import_places { my ($rows) = @_; return otklik('import', 'places', write_file('places.tsv', $head . $rows), '--region', '90') }
my $said = import_places("Городской округ Светозерск\tдеревня Проверка\t\t\t57.8\t61.2\n\tдеревня Проверка\tулица Звёздная\t\t57.801\t61.2\n\tдеревня Проверка\tулица Звёздная\t7 корп. 2\t57.802\t61.2\n\tдеревня Морская\t\t\t0\t0\n");
is $said->{status}, 0, 'a table goes in' or diag $said->{err};
like $said->{out}, qr/4 places \(3 added, 0 changed, 1 outside/, 'and is counted';
like $said->{out}, qr/places\.tsv:5: it lies in no municipality/, 'what lies outside is named';
is first('звездная 7к2'), 'house деревня Проверка, улица Звёздная, 7к2', 'and found';
$said = import_places("\tдеревня Проверка\tулица Звёздная\t\t57.81\t61.2\n");
like $said->{out}, qr/1 places \(0 added, 1 changed/, 'again: the new point';
$said = import_places("\tдеревня Проверка\tулица Звёздная\t\t57.81\t61.2\n");
like $said->{out}, qr/1 places \(0 added, 0 changed/, 'and again: nothing new';
my $before = sql('select count(*) from place');
for my $case (
    ["Нет такого\tдеревня А\t\t\t57.8\t61.2\n", qr/:2: there is no municipality "Нет такого"/], ["\t\t\t\t57.8\t61.2\n", qr/:2: neither/],
    ["\tдеревня А\t\t5\t57.8\t61.2\n", qr/:2: a house without/], ["\tдеревня А\t\t\t57,8\t61.2\n", qr/:2: lat/], ["\tдеревня А\t\t\t57.8\t\n", qr/:2: lon/],
    ["\tдеревня А\t\t\t57.8\t61.2\n\tдеревня Б\t\n", qr/:3: 3 cells, but 6 columns/], ["\tдеревня А\t\t\tnan\t61.2\n", qr/:2: lat/],
) {
    my $run = import_places($case->[0]);
    is $run->{status}, 1, 'refused';
    like $run->{err}, $case->[1], 'with the line named';
}
is sql('select count(*) from place'), $before, 'and nothing of it stays';
sql("delete from place where settlement = 'деревня Проверка'");

done_testing;
