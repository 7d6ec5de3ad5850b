#!/usr/bin/env perl
# make install lays down a tree that a server can run.
use strict;
use warnings;
use File::Find;
use File::Temp qw(tempdir);
use Test::More;

my $root = tempdir(CLEANUP => 1);
is system('scripts/install-tree', $ENV{OTKLIK_BUILD}, $root, '/usr/local'), 0, 'the tree is laid';

for my $file (qw(bin/otklik lib/otklik/otklik-intake lib/otklik/otklik-routing lib/otklik/otklik-reporting lib/otklik/otklik-pictures lib/otklik/otklik-courier
    lib/otklik/otklik-recoder)) {
    ok -x "$root/usr/local/$file", "$file can be run";
}
for my $file (qw(lib/otklik/ngx_http_appeal_module.so share/otklik/sql/bootstrap.sql share/otklik/sql/migrations/0001_dictionaries.sql
    share/otklik/web/pages/form.html share/otklik/conf/nginx/fastcgi_appeal.conf share/otklik/conf/env/intake.env share/otklik/demo/themes.tsv
    share/otklik/web/sw.js share/otklik/web/assets/vendor/leaflet.js share/otklik/web/assets/vendor/leaflet.LICENSE.txt
    share/otklik/web/assets/vendor/altcha.js share/otklik/web/assets/vendor/altcha-pbkdf2.js
    share/doc/otklik/operations.md)) {
    ok -f "$root/usr/local/$file", "$file is there";
}
like slurp("$root/usr/local/share/otklik/web/sw.js"), qr{"otklik-[0-9a-f]{12}"}, 'what browsers keep has the version of the pages';
my @open;
find(sub { push @open, $File::Find::name if !-l $_ && (stat $_)[2] & 022 }, $root);
is "@open", '', 'nobody but the owner may write to it';

my $units = "$root/lib/systemd/system";
for my $name (qw(intake routing reporting pictures courier)) {
    ok -f "$units/otklik-$name.$_", "otklik-$name.$_ is there" for qw(service socket);
    my $text = slurp("$units/otklik-$name.service");
    like $text, qr{^ExecStart=/usr/local/lib/otklik/otklik-$name$}m, "otklik-$name.service starts the installed program";
    like $text, qr{^\Q$_\E$}m, "otklik-$name.service has $_"
        for 'NoNewPrivileges=yes', 'ProtectSystem=strict', 'CapabilityBoundingSet=', "User=otklik-$name", 'Restart=always';
}
my @left;
find(sub { push @left, $_ if -f $_ && slurp($_) =~ /\@PREFIX\@/ }, $units);
is "@left", '', 'every unit names the prefix';

SKIP: {
    my $analyze = '/usr/bin/systemd-analyze';
    skip 'no systemd here', 1 unless -x $analyze;
    # What the units lean on.
    for my $unit (qw(sysinit basic sockets timers network shutdown multi-user paths slices local-fs)) {
        system "cp /lib/systemd/system/$unit.target $units/ 2>/dev/null";
    }
    my $said = join '', grep { !/not found\.?$|^\s*$/i } map { `$analyze --root=$root verify $_ 2>&1` }
        map { s{.*/}{}r } glob "$units/otklik*";
    is $said, '', 'systemd finds nothing wrong with the units';
}

my $elsewhere = tempdir(CLEANUP => 1);
system 'scripts/install-tree', $ENV{OTKLIK_BUILD}, $elsewhere, '/opt/otklik';
ok -x "$elsewhere/opt/otklik/bin/otklik" && !-e "$elsewhere/lib", 'under another prefix no units are laid, systemd would not see them';

sub slurp { my ($file) = @_; open my $in, '<', $file or return ''; local $/ = undef; return <$in> }

done_testing;
