#!/usr/bin/env perl
# scripts/embed-sql takes statements as they are and comments away.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;

my $dir = tempdir(CLEANUP => 1);

sub embed {
    my (%files) = @_;
    unlink glob "$dir/*";
    for my $name (keys %files) {
        open my $out, '>', "$dir/$name.sql" or die;
        print {$out} $files{$name};
        close $out;
    }
    my $said = `scripts/embed-sql demo $dir/q.h $dir/q.c $dir/*.sql 2>&1`;
    return (slurp("$dir/q.h"), slurp("$dir/q.c"), $said);
}
sub slurp { my ($file) = @_; open my $in, '<', $file or return ''; local $/ = undef; return <$in> }

my ($h, $c, $said) = embed(b => "-- why; 'and\nselect \$2::int, \$12 -- last\nfrom t;\n", a => "select '--x; ''', \"q;\", e'\\'' /* ; */\n");
is $said, '', 'two good files';
like $h, qr/QUERY_DEMO_A,\s+QUERY_DEMO_B,\s+DEMO_QUERY_COUNT/, 'in the order of their names';
like $c, qr/"select \$2::int, \$12\\n"\s+"from t",\s+12 \}/, 'without comments and semicolon, with the highest parameter';
like $c, qr/"select '--x; ''', \\"q;\\", e'\\\\''",\s+0 \}/, 'literals stay';
like +(embed(a => 'select 1; select 2'))[2], qr/one statement a file/, 'two statements are refused';
like +(embed(a => "-- nothing\n"))[2], qr/empty/, 'so is none';
like +(embed(a => "select 'x"))[2], qr/not closed/, 'and an open quote';
like +(embed('A-b' => 'select 1'))[2], qr/named with/, 'and a name that C would not take';

done_testing;
