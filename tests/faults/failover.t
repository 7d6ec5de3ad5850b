#!/usr/bin/env perl
# The primary is gone and a standby takes its place: the services find it by themselves, and what was answered is there. First a primary that
# dies, then one that only hangs and keeps every connection open. (host=A,B,C target_session_attrs=read-write; the standbys are synchronous.)
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

my $root  = $ENV{OTKLIK_ROOT} // die 'run me by make test';
my $pgbin = '/usr/lib/postgresql/15/bin';
my $dir   = File::Temp::mkdtemp('/tmp/otklik-over.XXXXXX');
chmod 0755, $dir;
my ($letters, @standbys);

sub quiet { my (@command) = @_; my $said = `@command 2>&1`; return $? == 0 ? undef : "@command: $said" }
# As the user that the system runs as.
sub as_user { my (@command) = @_; return quiet('cd / &&', $> ? () : 'chpst -u otklik:otklik', @command) }
sub processes { my ($n) = @_; return grep { $_ } map { m{/proc/(\d+)/} } split /\n/, `find /proc/[0-9]*/cwd -maxdepth 0 -lname '$dir/pg$n' 2>/dev/null` }

$SIG{$_} = sub { exit 130 } for qw(INT TERM HUP);
END {
    my $status = $?;
    diag map { substr(read_file("$dir/log/$_/current") // '', -3000) } qw(intake) if $status;
    letters_stop($letters) if $letters;
    kill 'CONT', processes($_) for @standbys;
    as_user("$pgbin/pg_ctl --mode=immediate --pgdata=$dir/pg$_ stop") for @standbys;
    quiet("$root/scripts/stack down $dir");
    system 'rm', '-rf', $dir;
    $? = $status;
}

sub free_port {
    while (1) {
        my $port = 20000 + 2 * int rand 6000;
        return $port unless grep { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$_", Timeout => 1) } $port, $port + 1;
    }
}

# ---- three servers one after another behind one name

my $port = free_port();
{
    local $ENV{BUILD} = $ENV{OTKLIK_BUILD};
    my $said = `'$root/scripts/stack' up '$dir' --port $port 2>&1`;
    $? == 0 or BAIL_OUT("no system: $said");
}
my %demo = map { /\A(\w+)=(.*)\z/ ? ($1 => $2) : () } split /\n/, read_file("$dir/demo.env");
local $ENV{OTKLIK_TEST_DIR} = $dir;
$ENV{PGHOST} = "$dir/run";

# A synchronous standby of the server at $ENV{PGHOST}.
sub standby {
    my ($n) = @_;
    my $run = "$dir/run$n";
    quiet("install --directory --owner=otklik --group=otklik --mode=755 $run");
    my $wrong = as_user("$pgbin/pg_basebackup --host=$ENV{PGHOST} --username=postgres --pgdata=$dir/pg$n --write-recovery-conf --checkpoint=fast")
        // as_user("$pgbin/pg_ctl --wait --log=$run/log --pgdata=$dir/pg$n --options='-c unix_socket_directories=$run' start");
    BAIL_OUT("standby $n: $wrong " . (read_file("$run/log") // '')) if $wrong;
    push @standbys, $n;
    sql(q{alter system set synchronous_standby_names = '*'}, role => 'postgres');
    sql('select pg_reload_conf()', role => 'postgres');
    wait_for(sub { sql('select count(*) from pg_stat_replication where sync_state in (\'sync\', \'quorum\')', role => 'postgres') eq '1' }, 30, 'the standby to keep up');
    return;
}

# The standby of that number is the primary now; at $ENV{PGHOST} from here on.
sub promote {
    my ($n) = @_;
    $ENV{PGHOST} = "$dir/run$n";
    my $wrong = as_user("$pgbin/pg_ctl --wait --pgdata=$dir/pg$n promote");
    is $wrong, undef, 'the standby takes over';
    # Its own settings came with the copy; nobody stands by for it yet.
    sql('alter system reset synchronous_standby_names', role => 'postgres');
    sql('select pg_reload_conf()', role => 'postgres');
    return time;
}

sub promises { return scalar keys %{ letters_promised($letters) } }

# Seconds until letters are taken again.
sub until_taken {
    my ($since, $limit) = @_;
    my $before = promises();
    wait_for(sub { promises() > $before + 20 }, $limit, 'letters to be taken again');
    return time - $since;
}

# Everybody may come from another server; and the services know all three names.
{
    open my $hba, '>>', "$dir/pg/pg_hba.conf" or die $!;
    print {$hba} "local replication all peer map=otklik\n";
    close $hba or die $!;
    sql('select pg_reload_conf()', role => 'postgres');
}
my $hosts = join ',', "$dir/run", "$dir/run2", "$dir/run3";
for my $service (qw(intake routing reporting pictures)) {
    my $settings = read_file("$dir/etc/$service.env");
    $settings =~ s{host=\S+ }{host=$hosts target_session_attrs=read-write } or die $settings;
    write_file("$dir/etc/$service.env", $settings);
    chmod 0644, "$dir/etc/$service.env";
    sv('restart', $service);
}
wait_for(sub { request('GET', '/intake/health/ready', url => $demo{OTKLIK_INTERNAL_URL})->{status} == 200 }, 20, 'intake');

standby(2);
$letters = letters_start(16, "over-$$", url => $demo{OTKLIK_URL}, key => $demo{OTKLIK_API_KEY});
wait_for(sub { promises() > 100 }, 30, 'letters');

# ---- it dies

# Once: the supervisor shall not bring it back.
sv('once', 'postgres');
kill 'KILL', service_pid('postgres');
wait_for(sub { !processes('') }, 10, 'the primary to be gone');
my $dead = promises();
sleep 1;
my $took = until_taken(promote(2), 30);
cmp_ok $took, '<', 10, sprintf 'a dead primary: letters are taken again %.1f s after the standby took over', $took;
my $found = losses($letters, letters_promised($letters));
is_deeply $found->{lost}, [], "nothing of the $dead that were promised before is lost";

# ---- it hangs

standby(3);
kill 'STOP', processes(2);
my $hung = promises();
sleep 1;
$took = until_taken(promote(3), 60);
cmp_ok $took, '<', 45, sprintf 'a hanging primary: letters are taken again %.1f s after the standby took over', $took;
# It must never speak again.
kill 'KILL', processes(2);

wait_for(sub { request('GET', '/intake/health/ready', url => $demo{OTKLIK_INTERNAL_URL})->{status} == 200 }, 30, 'intake');
my $met = letters_stop($letters);
my $promised = letters_promised($letters);
$found = losses($letters, $promised);
undef $letters;
diag join ', ', map { "$_: $met->{$_}" } sort keys %$met;
cmp_ok scalar keys %$promised, '>', $hung, 'letters came in to the end';
is_deeply $found->{lost}, [], 'acknowledged and lost';
is_deeply $found->{doubled}, [], 'doubled';
is_deeply half_written(), {}, 'half-written';
is $met->{abandoned} + $met->{changed} + $met->{silent}, 0, 'every letter was taken in the end, and nobody waited without a word';
cmp_ok $met->{slowest}, '<', 3, sprintf 'the longest wait for an answer was %.2f s', $met->{slowest};
wait_for(sub { sql("select count(*) from outbox where topic = 'route'") eq '0' }, 90, 'routing to find the new primary, too');
pass 'routing goes on';

done_testing;
