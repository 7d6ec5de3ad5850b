# Real published appeals of Saint Petersburg and what must come out of them. The data is not part of the repository.
package Otklik::Published;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use JSON::PP ();

our @EXPORT = qw(published_file published_boundaries read_published same_place place_agreement count_by);

sub data { return ($ENV{OTKLIK_SHARED} // '') . '/data/' . $_[0] }
sub published_file { return data('spb_appeals.jsonl.gz') }
sub published_boundaries { return data('boundaries/saint_petersburg.geojson') }

# Calls CODE with each decoded line and the line itself, the first LIMIT of them.
sub read_published {
    my ($path, $limit, $code) = @_;
    my $json = JSON::PP->new->utf8;
    open my $in, '-|', 'gzip', '--decompress', '--stdout', '--force', $path or die "gzip: $!";
    my $n = 0;
    while (my $line = <$in>) {
        $code->($json->decode($line), $line);
        last if ++$n == $limit;
    }
    close $in;
    return $n;
}

# The appeals are of 2020, the boundaries of today; these two okrugs have changed their names in between.
my %renamed = ('муниципальный округ Сергиевское' => 'муниципальный округ Парнас', 'муниципальный округ Ланское' => 'муниципальный округ Черная речка');

# Names without differences of spelling: №7 and N 7, Лахта - Ольгино and Лахта-Ольгино, округ Морской and округ округ Морской.
sub plain {
    my ($name) = @_;
    $name = lc $name;
    $name =~ tr/ё№/еn/;
    $name =~ s/\b(\w+)\s+\1\b/$1/g;
    $name =~ s/\W+//g;
    return $name;
}

sub same_place {
    my ($published, $found) = @_;
    return 0 unless defined $published && defined $found;
    return plain($renamed{$published} // $published) eq plain($found);
}

# How many of WANTED (id => name in the file) are in the place FOUND (id => name) says.
sub place_agreement {
    my ($wanted, $found) = @_;
    return scalar grep { same_place($wanted->{$_}, $found->{$_}) } keys %$wanted;
}

sub count_by { my (@values) = @_; my %n; $n{$_}++ for @values; return \%n }

1;
