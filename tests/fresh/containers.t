#!/usr/bin/env perl
# The container files say what we mean: no root, nothing writable, every role with a health check.
use strict;
use warnings;
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

my $dockerfile = slurp('docker/Dockerfile');
my %stage = map { /\A\S+ AS (\S+)/ ? ($1 => $_) : () } split /^FROM /m, $dockerfile;
for my $role (qw(edge service pictures courier worker)) {
    ok $stage{$role}, "there is an image for $role" or next;
    like $stage{$role}, qr/^USER otklik$/m, "$role does not run as root";
    like $stage{$role}, qr{scripts/packages $role\b}, "$role is installed by the script that make fresh proves";
    ok -f "packages/$role.txt", "packages/$role.txt is there";
}
like $stage{$_}, qr/^HEALTHCHECK/m, "$_ has a health check" for qw(edge service pictures courier);
for my $source ($dockerfile =~ /^COPY (?!--from)(.+) \S+$/mg) { ok -e $_, "$_ can be copied" for split ' ', $source }

my $settings = `docker/settings`;
is scalar(my @lines = $settings =~ /^[A-Z_]+_PASSWORD=[A-Za-z0-9]{24,}$/mg), 8, 'eight new passwords';

SKIP: {
    my ($client) = grep { system("$_ version >/dev/null 2>&1") == 0 } 'docker compose', 'docker-compose';
    skip 'no compose client here', 1 unless $client;
    my $dir = tempdir(CLEANUP => 1);
    open my $out, '>', "$dir/env" or die;
    print {$out} $settings;
    close $out;
    my $said = `$client --env-file $dir/env --file docker/compose.yaml config 2>&1`;
    is $?, 0, 'compose takes the file' or diag $said;
}

# The health check itself, against the running system.
SKIP: {
    skip 'nothing runs', 3 unless $ENV{OTKLIK_TEST_DIR} && -S "$ENV{OTKLIK_TEST_DIR}/run/intake.sock";
    is system("docker/health fastcgi $ENV{OTKLIK_TEST_DIR}/run/intake.sock /health/ready"), 0, 'health asks a service';
    my ($where) = $ENV{OTKLIK_INTERNAL_URL} =~ m{//(.+)};
    is system("docker/health http $where /health/ready"), 0, 'health asks the edge';
    isnt system("docker/health http $where /no-such-path 2>/dev/null"), 0, 'anything but 200 is ill';
}

sub slurp { my ($file) = @_; open my $in, '<', $file or die "$file: $!"; local $/ = undef; return <$in> }

done_testing;
