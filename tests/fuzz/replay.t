#!/usr/bin/env perl
# What the fuzzers have found worth keeping runs once more through each of them, with sanitizers and without libFuzzer.
use strict;
use warnings;
use utf8;
use FindBin;
use Test::More;
use Time::HiRes qw(time);

my $replays = "$ENV{OTKLIK_BUILD}/replay";
my $limit = 60; # seconds for all of them

# What replay NAME says of a folder: (status, its last line).
sub replay {
    my ($name, $folder) = @_;
    open my $from, '-|', "'$replays/$name' '$folder' 2>&1" or die "$name: $!";
    my @lines = <$from>;
    close $from;
    return ($? >> 8 || $? & 127, $lines[-1] // '', \@lines);
}

my $began = time;
for my $source (sort glob "$FindBin::Bin/*_fuzz.c") {
    my ($name) = $source =~ m{([^/]+)_fuzz\.c\z};
    my $folder = "$FindBin::Bin/corpus/$name";
    my @inputs = glob "$folder/*";
    cmp_ok scalar @inputs, '>', 0, "$name: something is kept" or next;
    my ($status, $last, $lines) = replay($name, $folder);
    is $status, 0, "$name: nothing fails" or diag @$lines > 40 ? @$lines[-40 .. -1] : @$lines;
    is $last, @inputs . " inputs\n", "$name: all of them ran: " . @inputs;
}
cmp_ok time - $began, '<', $limit, sprintf 'in %.1f s', time - $began;
isnt +(replay('multipart', "$FindBin::Bin/nothing"))[0], 0, 'a folder that is not there is an error';

done_testing;
