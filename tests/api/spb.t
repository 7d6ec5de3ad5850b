#!/usr/bin/env perl
# Real appeals of Saint Petersburg find their way from the front door to the municipality and into the report (2,000 of them; bench/replay
# takes all).
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Test;
use Otklik::Command;
use Otklik::Published;

plan skip_all => published_file() . ' is not here: real data is not part of the repository' unless -r published_file() && -r published_boundaries();

my $limit = 2000;
my $region = 78;

sub key_of {
    my ($role) = @_;
    my $run = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--subject', "spb-$role-$$", '--roles', $role, '--region', $region);
    is $run->{status}, 0, "a key for $role" or diag $run->{err};
    chomp(my $key = $run->{out});
    return $key;
}

my (%place, @groups);
read_published(published_file(), $limit, sub { my ($d) = @_; $place{ $d->{id} } = $d->{municipality}; push @groups, $d->{category} });

my $boundaries = otklik('import', 'boundaries', published_boundaries(), '--region', $region);
is $boundaries->{status}, 0, 'boundaries are imported' or diag $boundaries->{err};
my $catalogue = otklik('import', 'catalogue', published_file(), '--region', $region);
is $catalogue->{status}, 0, 'the catalogue is imported' or diag $catalogue->{err};
like $catalogue->{out}, qr/^themes\s+131,/m, 'themes of object, category and reason';

my ($key, $staff) = (key_of('integrator'), key_of('staff'));
wait_for(sub { get('/api/v1/themes', key => $key)->{status} == 200 }, 5, 'the edge to know the key');
my $replay = otklik('replay', published_file(), '--url', $ENV{OTKLIK_URL}, '--key', $key, '--rate', 'max', '--limit', $limit, '--json', '--check');
is $replay->{status}, 0, 'the replay ends well' or diag $replay->{err};
my $summary = json_of($replay->{out});
is $summary->{created}, $limit, 'every appeal was stored';
is $summary->{errors}, 0, 'without an error';
unlike $replay->{err}, qr/without theme/, 'each with its theme';
diag sprintf '%d appeals/s, p50 %.1f ms, p99 %.1f ms', @$summary{qw(rate p50_ms p99_ms)};

wait_for(sub { sql("select count(*) from outbox where region_id = $region and topic = 'route'") eq '0' }, 60, 'routing');
my %found = map { split /\|/, $_, 2 } split /\n/,
    sql("select a.external_id, m.name_ru from appeal a join municipality m on m.region_id = a.region_id and m.id = a.municipality_id where a.region_id = $region");
my $agree = place_agreement(\%place, \%found);
cmp_ok $agree, '>=', 0.99 * $limit, sprintf '%.2f %% are in the municipality that the file names', 100 * $agree / $limit;
is sql("select count(*) from appeal where region_id = $region and body_id is null"), '0', 'each has a body';
is sql("select count(*) from appeal where region_id = $region and (first_due_at is null or final_due_at is null)"), '0', 'and its deadlines';

my ($from, $to) = split /\|/, sql("select (now() - interval '2 days')::date, (now() + interval '1 day')::date");
my $report = get("/api/v1/reports/summary?by=group&from=$from&to=$to", key => $staff);
is $report->{status}, 200, 'the report by group';
is_deeply { map { $_->{name} => $_->{received} } @{ $report->{json}{rows} } }, count_by(@groups), 'counts what the file counts by category';
is $report->{json}{total}{received}, $limit, 'and in all';

my $audit = otklik('audit', 'verify', '--region', $region, { role => 'otklik_owner' });
is $audit->{status}, 0, 'the chains of all of them are whole' or diag $audit->{out};

done_testing;
