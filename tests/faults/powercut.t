#!/usr/bin/env perl
# The power goes while letters come in: what was answered 201 is in what is left on the disk, once and whole.
#
# PostgreSQL, its letters and their files lie on a file system (XFS) on a loop device, whose image is a file on another XFS. A cut is a
# reflink copy of the image: in an instant, all that had reached the device and nothing that was only in memory, as the pages that
# the inner file system had not written yet. Nothing is frozen or flushed for it: the copy knows nothing of the file system inside. The
# loop device writes past the outer page cache (--direct-io), so what a copy holds has truly been handed to the device. What this
# does not imitate is a disk that loses what it has confirmed. To show that the test can fail, it ends with fsync = off, and must find losses.
# POWER_CUTS=50 OTKLIK_TEST_SECONDS=3600 tests/run tests/faults/powercut.t
use strict;
use warnings;
use utf8;
use File::Temp ();
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Test;
use Otklik::Command;
use Otklik::Letters;

my $cuts    = $ENV{POWER_CUTS} // 5;
my $clients = 16;
my $root    = $ENV{OTKLIK_ROOT} // die 'run me by make test';
my $pgbin   = '/usr/lib/postgresql/15/bin';
my $work    = File::Temp::mkdtemp('/tmp/otklik-cut.XXXXXX');
chmod 0755, $work;
my (%mounted, %loops, $stack, $letters);

$ENV{PATH} .= ':/usr/sbin:/sbin';
sub quiet { my (@command) = @_; my $said = `@command 2>&1`; return $? == 0 ? undef : "@command: $said" }
sub must { my (@command) = @_; my $wrong = quiet(@command); die $wrong if $wrong; return }

# A loop device with a file system on IMAGE, mounted on FOLDER.
sub attach {
    my ($image, $folder, @how) = @_;
    my $loop = `losetup --find --show @how $image 2>&1`;
    $? == 0 or return "losetup: $loop";
    chomp $loop;
    $loops{$folder} = $loop;
    mkdir $folder;
    my $wrong = quiet("mount -t xfs -o nouuid $loop $folder");
    $mounted{$folder} = !$wrong;
    return $wrong;
}

sub detach {
    my ($folder) = @_;
    if (delete $mounted{$folder}) { wait_for(sub { !quiet("umount $folder") }, 20, "$folder to be free") }
    must("losetup --detach " . delete $loops{$folder}) if $loops{$folder};
    return;
}

$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);    # for what follows
END {
    my $status = $?;
    letters_stop($letters) if $letters;
    quiet("$root/scripts/stack down $stack") if $stack;
    eval { detach($_) } or diag $@ for grep { $mounted{$_} || $loops{$_} } "$work/cut", "$work/disk", "$work/outer";
    system 'rm', '-rf', $work;
    $? = $status;
}

sub prepare {
    return 'only root may attach loop devices' if $>;
    return 'xfsprogs is not installed' if quiet('mkfs.xfs -V');
    must("truncate --size=40G $work/outer.img");
    must("mkfs.xfs -q -m reflink=1 $work/outer.img");
    my $wrong = attach("$work/outer.img", "$work/outer");
    return "loop devices with XFS are not to be had: $wrong" if $wrong;
    must("truncate --size=4G $work/outer/disk.img");
    # Sectors as the loop device has them when it writes past the page cache.
    must("mkfs.xfs -q -s size=4096 $work/outer/disk.img");
    return attach("$work/outer/disk.img", "$work/disk", '--direct-io=on');
}

my $why_not = prepare();
plan skip_all => $why_not if $why_not;

# ---- a system of its own on that disk

sub free_port {
    while (1) {
        my $port = 20000 + 2 * int rand 6000;
        return $port unless grep { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$_", Timeout => 1) } $port, $port + 1;
    }
}

$stack = "$work/disk/s";
my $port = free_port();
{
    local $ENV{BUILD} = $ENV{OTKLIK_BUILD};
    my $said = `'$root/scripts/stack' up '$stack' --port $port 2>&1`;
    $? == 0 or BAIL_OUT("no system on the loop device: $said");
}
open my $demo, '<', "$stack/demo.env" or BAIL_OUT("demo.env: $!");
my %demo = map { /\A(\w+)=(.*)\n/ ? ($1 => $2) : () } <$demo>;
close $demo;
$ENV{PGHOST} = "$stack/run";

# What was installed is on the disk; from here on nothing is flushed but by PostgreSQL.
must("sync --file-system $stack");

# Many checkpoints, so that cuts meet them, too: files half written out, WAL used anew.
sub setting { my ($set) = @_; sql("alter system set $set", role => 'postgres'); sql('select pg_reload_conf()', role => 'postgres'); return }
setting($_) for q{max_wal_size = '96MB'}, q{min_wal_size = '64MB'}, q{checkpoint_timeout = '30s'};

# ---- a cut, and what is left

# The image as it is at this moment. Returns the moment before it.
sub cut {
    my $before = time;
    must("cp --reflink=always $work/outer/disk.img $work/outer/cut.img");
    return $before;
}

# Starts PostgreSQL on a cut's copy and runs CODE there; what stood in the way.
sub on_what_is_left {
    my ($code) = @_;
    my $run = "$work/cut.run";
    must("install --directory --owner=otklik $run");
    my $wrong = attach("$work/outer/cut.img", "$work/cut", '--direct-io=on');
    BAIL_OUT("the copy cannot be mounted: $wrong") if $wrong;
    my $pg = "$work/cut/s/pg";
    # As conf/runit/postgres/run does after a crash: nobody uses this folder.
    unlink "$pg/postmaster.pid";
    # It is read once and thrown away.
    $wrong = quiet(qq{cd / && chpst -u otklik:otklik $pgbin/pg_ctl --wait --timeout=120 --log=$run/log --pgdata=$pg --options="-c fsync=off -c unix_socket_directories=$run" start});
    if ($wrong) { $wrong .= read_file("$run/log") }
    else {
        local $ENV{PGHOST} = $run;
        $wrong = eval { $code->(); 1 } ? undef : $@;
    }
    quiet("cd / && chpst -u otklik:otklik $pgbin/pg_ctl --wait --mode=immediate --pgdata=$pg stop");
    detach("$work/cut");
    system 'rm', '-rf', "$work/outer/cut.img", $run;
    return $wrong;
}

# {promised, lost, doubled, halves, chain, wrong} of one cut.
sub examine {
    my $before = cut();
    my %found = (promised => letters_promised($letters, $before));
    $found{wrong} = on_what_is_left(sub {
        my $losses = losses($letters, $found{promised});
        @found{qw(lost doubled stored)} = @$losses{qw(lost doubled stored)};
        $found{halves} = half_written();
        my $audit = otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' });
        $found{chain} = $audit->{status} == 0 ? '' : $audit->{out} . $audit->{err};
    });
    return \%found;
}

$letters = letters_start($clients, "cut-$$", url => "http://127.0.0.1:$port", key => $demo{OTKLIK_API_KEY});
my ($promised, $lost, $doubled, %halves, @chain, @wrong) = (0, 0, 0);
my $began = time;
for my $n (1 .. $cuts) {
    sleep 0.3 + rand 1.2;
    my $found = examine();
    my $had = keys %{ $found->{promised} };
    $promised = $had;
    if ($found->{wrong}) { push @wrong, "cut $n: $found->{wrong}"; next }
    note sprintf 'cut %d: %d promised, %d stored, %d lost', $n, $had, $found->{stored}, scalar @{ $found->{lost} };
    $lost += @{ $found->{lost} };
    $doubled += @{ $found->{doubled} };
    $halves{$_} += $found->{halves}{$_} for keys %{ $found->{halves} };
    push @chain, "cut $n: $found->{chain}" if $found->{chain};
}
diag sprintf '%d cuts in %.0f s, %d letters promised at the last', $cuts, time - $began, $promised;
cmp_ok $promised, '>', 50 * $cuts, 'letters came in all the while';
is_deeply \@wrong, [], 'PostgreSQL starts from each copy';
is $lost, 0, "acknowledged and lost in $cuts cuts";
is $doubled, 0, 'doubled';
is_deeply \%halves, {}, 'half-written';
is_deeply \@chain, [], 'every chain is whole';

# ---- the same without fsync must fail

setting('fsync = off');
my $tries = 0;
my $found;
do { sleep 0.5 + rand 1; $found = examine(); $tries++ } until $found->{wrong} || @{ $found->{lost} } || $tries == 10;
ok $found->{wrong} || @{ $found->{lost} }, sprintf 'with fsync = off cut %d finds %s', $tries,
    $found->{wrong} ? 'a database that does not start' : scalar(@{ $found->{lost} }) . ' lost letters';
diag $found->{wrong} ? "fsync = off: $found->{wrong}" : sprintf 'fsync = off: %d of %d promised were lost', scalar @{ $found->{lost} }, scalar keys %{ $found->{promised} };

my $met = letters_stop($letters);
undef $letters;
is $met->{changed}, 0, 'nobody heard two answers';
done_testing;
