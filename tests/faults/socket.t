#!/usr/bin/env perl
# A service takes the socket that systemd hands over, keeps it through a restart, and finds a path of its own without.
use strict;
use warnings;
use utf8;
use File::Temp qw(tempdir);
use IO::Socket::UNIX;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);
use Otklik::Test;

my $dir = tempdir(CLEANUP => 1);
my $program = test_dir() . '/app/lib/otklik/otklik-reporting';
# The services are known by their users to the cluster; the caller of the tests is one of them.
my %env = (OTKLIK_DB => "host=$ENV{PGHOST} dbname=otklik user=otklik_reporting", PATH => $ENV{PATH});
sub healthy { return system("docker/health fastcgi $_[0] /health/ready 2>/dev/null") == 0 }

# As sd_listen_fds(3) has it: the socket is number 3, and the process is named.
sub start_with {
    my ($socket, %more) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    open STDERR, '>>', "$dir/log";
    %ENV = (%env, %more);
    if ($socket) {
        my $from = fileno $socket;
        # Perl would close it at exec otherwise.
        POSIX::dup2($from, 3) // POSIX::_exit(126);
        if ($from == 3) { require Fcntl; fcntl $socket, Fcntl::F_SETFD(), 0 }
        @ENV{qw(LISTEN_FDS LISTEN_PID)} = (1, $$);
    }
    exec $program or POSIX::_exit(127);
}

my $handed = IO::Socket::UNIX->new(Local => "$dir/handed.sock", Listen => 64) or die "handed.sock: $!";
for my $round (1, 2) {
    my $pid = start_with($handed);
    wait_for(sub { healthy("$dir/handed.sock") }, 10, 'the service');
    pass "round $round: it answers on the socket it was given";
    kill 'TERM', $pid;
    waitpid $pid, 0;
    is $?, 0, "round $round: and ends in order";
    ok -S "$dir/handed.sock", "round $round: the socket stays for the next one";
}

my $pid = start_with(undef, OTKLIK_SOCKET => "$dir/own.sock");
wait_for(sub { healthy("$dir/own.sock") }, 10, 'the service');
is((stat "$dir/own.sock")[2] & 0777, 0660, 'a socket of its own is for owner and group');
kill 'KILL', $pid;
waitpid $pid, 0;
$pid = start_with(undef, OTKLIK_SOCKET => "$dir/own.sock");
wait_for(sub { healthy("$dir/own.sock") }, 10, 'the service');
pass 'what a killed one left behind is no hindrance';
kill 'TERM', $pid;
waitpid $pid, 0;

for my $case (['no database named', { OTKLIK_DB => '' }], ['a number that is none', { OTKLIK_SOCKET => "$dir/x.sock", OTKLIK_DB_CONNECTIONS => 'many' }],
    ['a path too long', { OTKLIK_SOCKET => "$dir/" . 'x' x 200 }], ['no socket at all', {}]) {
    my ($what, $more) = @$case;
    my $bad = start_with(undef, %$more);
    waitpid $bad, 0;
    isnt $? >> 8, 0, "$what: it does not start";
}
open my $in, '<', "$dir/log" or die;
my $log = do { local $/ = undef; <$in> };
like $log, qr/$_/, "and the log says why: $_" for 'OTKLIK_DB is not set', 'OTKLIK_DB_CONNECTIONS must be a number', 'OTKLIK_SOCKET must name a socket';

done_testing;
