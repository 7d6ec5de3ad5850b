#!/usr/bin/env perl
# The lists of packages hold what the programs were linked with: each role's image would start.
use strict;
use warnings;
use Test::More;

my $build = $ENV{OTKLIK_BUILD};
my %programs = (
    service => [map { "$build/bin/otklik-$_" } qw(intake routing reporting)],
    pictures => [map { "$build/bin/otklik-$_" } qw(pictures recoder)],
    courier => ["$build/bin/otklik-courier"],
    worker  => ["$build/bin/otklik"],
    edge    => ["$build/ngx_module/ngx_http_appeal_module.so"],
);
my %always = map { $_ => 1 } qw(libc6 libgcc-s1 libasan8 libubsan1);

sub names_of {
    my ($list) = @_;
    open my $in, '<', "packages/$list.txt" or die "packages/$list.txt: $!";
    return map { /^\+(.+)/ ? names_of($1) : /^[^#\s]/ ? $_ : () } map { chomp; $_ } <$in>;
}

for my $role (sort keys %programs) {
    my %listed = map { $_ => 1 } names_of($role);
    for my $file (@{ $programs{$role} }) {
        my %missing;
        for my $library (`objdump -p $file` =~ /NEEDED\s+(\S+)/g) {
            my ($path) = grep { -e } map { ("$_/$library") } qw(/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib/aarch64-linux-gnu /usr/lib/aarch64-linux-gnu);
            # Other architectures may have one of that name, too.
            my @owners = map { (split /:/)[0] } split /\n/, `dpkg-query --search '*/$library' 2>/dev/null`;
            $missing{"$library of @owners"} = 1 unless grep { $listed{$_} || $always{$_} } @owners;
        }
        is join(', ', sort keys %missing), '', "packages/$role.txt holds what " . ($file =~ s{.*/}{}r) . ' needs';
    }
}

is system('scripts/packages run build test'), 0, 'all is installed';
isnt system('scripts/packages no-such-list 2>/dev/null'), 0, 'an unknown list is refused';

done_testing;
