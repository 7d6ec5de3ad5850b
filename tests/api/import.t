#!/usr/bin/env perl
# Boundaries and catalogues go in whole or not at all, invalid ones mended, mistakes named with their place.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Test;
use Otklik::Command;

my $region = 83;    # one that no other test uses

sub import_of { my ($what, $file, @more) = @_; return otklik('import', $what, $file, '--region', $region, @more) }

sub collection {
    my (@features) = @_;
    return as_json({ type => 'FeatureCollection', features => [
        map { { type => 'Feature', properties => $_->[0], geometry => $_->[1] } } @features ] });
}
sub polygon { my (@points) = @_; return { type => 'Polygon', coordinates => [[@points, $points[0]]] } }
sub square { my ($x, $y, $size) = @_; return polygon([$x, $y], [$x + $size, $y], [$x + $size, $y + $size], [$x, $y + $size]) }
sub places { return sql("select string_agg(name_ru, ',' order by name_ru) from municipality where region_id = $region") }

sub dictionaries {
    my ($of) = @_;
    return sql(join ' union all ', map {
        "select '$_: ' || count(*) || ' ' || md5(string_agg(t::text, '' order by id)) from $_ t where region_id = $of" }
        qw(municipality body deadline_rule theme routing_rule));
}

# ---- boundaries

my $file = write_file('boundaries.geojson', collection(
    [{ name => 'Округ № 1', district => ' Первый   округ' }, square(160, 50, 1)],
    [{ district => 'Бантик' }, polygon([161, 50], [162, 51], [162, 50], [161, 51])],
    [{ district => 'Остров', name_en => 'Island' },
        { type => 'MultiPolygon', coordinates => [map { square($_, 52, 0.5)->{coordinates} } 160, 161] }],
));

subtest 'boundaries' => sub {
    my $first = import_of('boundaries', $file);
    is $first->{status}, 0, 'are imported' or diag $first->{err};
    is places(), 'Бантик,Остров,Первый округ', 'under their names, tidied';
    like $first->{out}, qr/^added\s+Первый округ: valid, \d+\.\d\d km2, 1 part$/m, 'a valid one is reported so';
    like $first->{out}, qr/^added\s+Бантик: mended \(Self-intersection\[161\.5 50\.5\]\), \d+\.\d\d -> \d+\.\d\d km2, 2 parts$/m,
        'a bow tie is mended, with reason, areas and parts';
    like $first->{out}, qr/3 municipalities \(3 added, 0 changed, 0 as before\); 2 valid, 1 mended/, 'and all counted';
    is sql("select count(*) from municipality where region_id = $region and st_isvalid(boundary) and geometrytype(boundary) = 'MULTIPOLYGON'"),
        '3', 'all are valid multipolygons in the database';
    is sql("select name_en from municipality where region_id = $region and name_ru = 'Остров'"), 'Island', 'an English name comes along';

    my $before = dictionaries($region);
    my $again = import_of('boundaries', $file);
    like $again->{out}, qr/0 added, 0 changed, 3 as before/, 'the second time nothing changes';
    is dictionaries($region), $before, 'indeed';
};

subtest 'a newer file' => sub {
    my $newer = write_file('newer.geojson', collection(
        [{ district => 'Первый округ' }, square(160, 50, 0.9)], [{ district => 'Новый' }, square(160.5, 50.5, 0.3)]));
    my $id = sql("select id from municipality where region_id = $region and name_ru = 'Первый округ'");
    my $run = import_of('boundaries', $newer);
    is $run->{status}, 0, 'is imported';
    like $run->{out}, qr/^changed\s+Первый округ/m, 'a changed boundary is reported';
    is sql("select id from municipality where region_id = $region and name_ru = 'Первый округ'"), $id, 'its id stays';
    like $run->{out}, qr/^kept\s+Остров: not in the file/m, 'what vanished is kept and named';
    like $run->{out}, qr/^overlap\s+(?:Новый and Первый округ|Первый округ and Новый) share \d+\.\d\d km2/m, 'an overlap is named';
};

subtest 'another property for the name' => sub {
    my $run = import_of('boundaries', write_file('named.geojson', collection([{ okrug => 'Поименованный', name => 'x' }, square(150, 50, 1)])),
        '--name', 'okrug');
    is $run->{status}, 0, 'is taken' or diag $run->{err};
    like places(), qr/Поименованный/, 'from there';
};

my %wrong = (
    'a point' => [collection([{ district => 'Верно' }, square(151, 50, 1)], [{ district => 'Точка' }, { type => 'Point', coordinates => [1, 2] }]),
        qr/:1: feature 2 \(Точка\): a municipality is a Polygon or a MultiPolygon/],
    'metres instead of degrees' => [collection([{ district => 'Метры' }, square(4_000_000, 7_000_000, 1000)]),
        qr/feature 1 \(Метры\): coordinates beyond 180 or 90/],
    'another coordinate system' => ['{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::3857"}},"features":[]}',
        qr/:1: coordinates in urn:ogc:def:crs:EPSG::3857/],
    'no name' => [collection([{ title => 'x' }, square(1, 1, 1)]), qr/feature 1: has none of the properties/],
    'no geometry' => [collection([{ district => 'Нигде' }, undef]), qr/feature 1 \(Нигде\): no geometry/],
    'a name twice' => [collection(map { [{ district => $_ }, square(1, 1, 1)] } 'Дважды', 'Дважды '), qr/feature 2 \(Дважды\): an earlier feature has the same name/],
    'a line' => [collection([{ district => 'Линия' }, polygon([1, 1], [2, 2])]), qr/feature 1 \(Линия\)/],
    'broken JSON' => ["{\"type\":\"FeatureCollection\",\n\"features\":[\n{\"type\":]}\n", qr/:3: broken JSON/],
    'half a file' => [substr(collection([{ district => 'Половина' }, square(1, 1, 1)]), 0, 60), qr/broken JSON|premature/],
    'not a collection' => ['{"type":"Feature","properties":{"district":"x"},"geometry":null}', qr/not a GeoJSON FeatureCollection/],
    'no features' => ['{"type":"FeatureCollection","features":[]}', qr/no features/],
    'nothing' => ['', qr/broken JSON|not a GeoJSON/],
);

subtest 'wrong boundaries are refused with their place, and nothing of them is stored' => sub {
    my $before = dictionaries($region);
    for my $what (sort keys %wrong) {
        my $run = import_of('boundaries', write_file('wrong.geojson', $wrong{$what}[0]));
        is $run->{status}, 1, "$what: status 1";
        like $run->{err}, $wrong{$what}[1], "$what: said where and why";
    }
    is dictionaries($region), $before, 'the region is as it was';
    is otklik('import', 'boundaries', $file, '--region', 91)->{err}, "otklik: there is no region 91\n", 'a region must exist';
    is otklik('import', 'boundaries', $file)->{status}, 2, 'and be named';
    is otklik('import', 'boundaries', $file, '--region', 'Смоленск')->{status}, 2, 'by its number';
    is import_of('boundaries', scratch() . '/none.geojson')->{status}, 1, 'the file must exist';
};

# ---- catalogue

sub appeals {
    my (@rows) = @_;
    my $id = 0;
    return join '', map {
        my %row = (id => ++$id, text => 'Проверка', object => 'Двор', category => 'Дороги', reason => 'Яма', municipality => 'ПЕРВЫЙ - округ округ',
            lat => 50.5, lon => 160.5, executor => 'Дорожная служба', photos => 0, %$_);
        as_json(\%row) . "\n"
    } @rows;
}
# The name is spelt otherwise here than in the boundaries, one place is known by its points only, one not at all.
my @letters = (
    ({}) x 3, ({ executor => 'Другая служба' }) x 2,
    ({ municipality => 'ОСТРОВ', executor => 'Другая служба' }) x 4,
    ({ municipality => 'Старое имя Острова', reason => 'Снег', lat => 52.2, lon => 160.2, executor => 'Снежная служба' }) x 6,
    ({ municipality => 'Нигде', lat => 1, lon => 1 }) x 6,
    { executor => undef }, { category => undef, reason => undef }, { object => undef, reason => "Табуляция\tв имени" },
);
my $catalogue = write_file('catalogue.jsonl', appeals(@letters));

subtest 'a catalogue' => sub {
    my $first = import_of('catalogue', $catalogue);
    is $first->{status}, 0, 'is imported' or diag $first->{err};
    like $first->{out}, qr/^themes\s+3, 3 of them new$/m, 'themes are the different objects, categories and reasons';
    like $first->{out}, qr/^bodies\s+3, 3 of them new$/m, 'bodies are the different executors';
    like $first->{out}, qr/Старое имя Острова is Остров: 6 of 6 points lie there/, 'a renamed place is known by its points';
    like $first->{out}, qr/Нигде \(6 appeals\): not known/, 'an unknown one is named';
    like $first->{out}, qr/^appeals\s+24 read, 1 without a theme, 1 without a body$/m, 'all are counted';
    is sql("select name_ru from body where region_id = $region and centre"), 'Центр управления регионом', 'the region gets a centre';
    is sql("select string_agg(code, ',' order by code) from deadline_rule where region_id = $region and common"), 'appeal-59,message-common',
        'and common deadlines';
    like sql("select code from theme where region_id = $region and name_ru = 'Яма'"), qr/^yama-[0-9a-f]{8}$/, 'codes can be read';
    is sql("select count(*) from theme where region_id = $region and object_ru is null and name_ru = 'Табуляция в имени'"), '1', 'an object may be missing';

    my %rules = map { my ($m, $t, $b) = split /\|/; ("$m/$t" => $b) } split /\n/, sql(<<"SQL");
select coalesce(m.name_ru, '*'), coalesce(t.name_ru, '*'), b.name_ru from routing_rule r
left join municipality m on m.region_id = r.region_id and m.id = r.municipality_id
left join theme t on t.region_id = r.region_id and t.id = r.theme_id
join body b on b.region_id = r.region_id and b.id = r.body_id where r.region_id = $region
SQL
    is_deeply \%rules, {
        'Первый округ/Яма' => 'Дорожная служба', 'Остров/Яма' => 'Другая служба', 'Остров/Снег' => 'Снежная служба',
        'Первый округ/Табуляция в имени' => 'Дорожная служба',
        '*/Яма' => 'Дорожная служба', '*/Снег' => 'Снежная служба', '*/Табуляция в имени' => 'Дорожная служба',
        'Первый округ/*' => 'Дорожная служба', 'Остров/*' => 'Снежная служба',
    }, 'the body that most often answered, for place and theme, theme, place';

    my $before = dictionaries($region);
    system('gzip', '--keep', '--force', $catalogue) == 0 or die 'gzip';
    my $again = import_of('catalogue', "$catalogue.gz");
    is $again->{status}, 0, 'the second time, compressed';
    like $again->{out}, qr/themes\s+3, 0 of them new.*rules\s+9, 0 of them new, 0 changed/s, 'nothing is new';
    is dictionaries($region), $before, 'indeed';
};

subtest 'wrong catalogues are refused with file and line' => sub {
    my $before = dictionaries($region);
    my %bad = (
        'broken JSON' => [appeals({}) . "{\"id\":2,\n", qr/bad\.jsonl:2: broken JSON/],
        'a list' => [appeals({}) . "\n[1]\n", qr/bad\.jsonl:3: not a JSON object/],
        'a wrong type' => [appeals({ executor => 5 }), qr/bad\.jsonl:1: "executor" is not a text/],
    );
    for my $what (sort keys %bad) {
        my $run = import_of('catalogue', write_file('bad.jsonl', $bad{$what}[0]));
        is $run->{status}, 1, "$what: status 1";
        like $run->{err}, $bad{$what}[1], "$what: said where";
    }
    my $whole = do { open my $in, '<:raw', "$catalogue.gz" or die $!; local $/ = undef; <$in> };
    my $cut = scratch() . '/cut.jsonl.gz';
    open my $out, '>:raw', $cut or die $!;
    print {$out} substr $whole, 0, length($whole) / 2;
    close $out;
    is import_of('catalogue', $cut)->{status}, 1, 'half a gzip file is no file';
    is dictionaries($region), $before, 'the region is as it was';
};

# ---- the demo region

subtest 'the demo region' => sub {
    my $before = dictionaries(90);
    my $run = otklik('demo', 'load');
    is $run->{status}, 0, 'is loaded again' or diag $run->{err};
    unlike $run->{out}, qr/[1-9]\d* (?:added|changed)/, 'nothing is new';
    is dictionaries(90), $before, 'indeed';

    my $dir = scratch() . '/demo';
    system('cp', '-R', "$FindBin::Bin/../../conf/demo", $dir) == 0 or die 'cp';
    write_file("$dir/bodies.tsv", read_file("$dir/bodies.tsv") . "Новая служба\tNew Service\t\tНовгород\n");
    my $lines = () = read_file("$dir/bodies.tsv") =~ /\n/g;
    my $wrong = otklik('demo', 'load', '--dir', $dir);
    is $wrong->{status}, 1, 'a name that is not known: status 1';
    like $wrong->{err}, qr{demo/bodies\.tsv:$lines: names a municipality that is not known}, 'said where';
    write_file("$dir/bodies.tsv", "name_ru\tname_en\tcentre\n");
    like otklik('demo', 'load', '--dir', $dir)->{err}, qr{bodies\.tsv:1: 4 columns are wanted}, 'a missing column is named';
    is dictionaries(90), $before, 'and all is as it was';
};

# ---- Saint Petersburg

subtest 'the boundaries of Saint Petersburg' => sub {
    my $real = ($ENV{OTKLIK_SHARED} // '') . '/data/boundaries/saint_petersburg.geojson';
    plan skip_all => "$real is not here" unless -r $real;
    my $run = otklik('import', 'boundaries', $real, '--region', 78);
    is $run->{status}, 0, 'are imported' or diag $run->{err};
    is sql('select count(*) from municipality where region_id = 78'), '111', 'all of them';
    is sql('select count(*) from municipality where region_id = 78 and not st_isvalid(boundary)'), '0', 'and valid';
};

END {
    eval {
        sql("delete from routing_rule where region_id = $region");
        sql("delete from $_ where region_id = $region") for qw(theme body deadline_rule municipality);
    };
}

done_testing;
