# What the benchmarks share: a system of their own in a throw-away place, and figures printed for people and for programs. Load it before
# everything else of ours: it says where that system is.
package Otklik::Bench;
use strict;
use warnings;
use utf8;

use Cwd qw(realpath);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp ();
use IO::Socket::INET;
use JSON::PP ();

our @EXPORT = qw(say_to_people figure must free_port start_system median);

my ($root, $dir, $bench, $started);

BEGIN {
    $root = realpath(dirname(__FILE__) . '/../../..');
    ($bench) = $0 =~ m{([^/]+)\z};
    $ENV{OTKLIK_SHARED} //= realpath("$root/../shared") // '';
    # perl -c runs this block, too, and nothing that would clean up.
    $dir = $^C ? '/nonexistent' : File::Temp::mkdtemp('/tmp/otklik-bench.XXXXXX');
    chmod 0755, $dir unless $^C;
    @ENV{qw(OTKLIK_TEST_DIR PGHOST PGPORT PGDATABASE PGUSER)} = ($dir, "$dir/run", 5432, 'otklik', 'otklik_owner');
    $ENV{PATH} .= ':/usr/sbin:/usr/lib/postgresql/15/bin';
}

sub say_to_people { my ($format, @values) = @_; printf {*STDERR} "$format\n", @values; return }

# A figure: a row of the table on standard error, a JSON object on standard output. REACH is what it should come up to, OK whether it did.
sub figure {
    my ($name, $value, $unit, $reach, $ok) = @_;
    my %line = (bench => $bench, figure => $name, value => 0 + $value, unit => $unit);
    @line{qw(reach ok)} = (0 + $reach, $ok ? JSON::PP::true() : JSON::PP::false()) if defined $reach;
    print JSON::PP->new->utf8->canonical->encode(\%line), "\n";
    say_to_people('  %-34s %12s %s%s', $name, $value, $unit, defined $reach ? $ok ? '' : "   NOT REACHED: $reach" : '');
    return;
}

# The result of otklik(…), or the end.
sub must { my ($what, $run) = @_; die "$what: $run->{err}" if $run->{status} != 0; return $run }

# The first of three ports in a row that nobody uses.
sub free_port {
    while (1) {
        my $port = 20000 + 4 * int rand 3000;
        my @taken = grep { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$_", Timeout => 1) } $port .. $port + 2;
        return $port unless @taken;
    }
}

# Starts it, with the demo region; gives its port. It goes away with the program.
sub start_system {
    my $port = free_port();
    say_to_people('bench/%s: starting a system of its own in %s', $bench, $dir);
    $started = 1;
    system("'$root/scripts/stack' up '$dir' --port $port > '$dir/.up' 2>&1") == 0 or die read_whole("$dir/.up");
    open my $in, '<', "$dir/demo.env" or die "$dir/demo.env: $!";
    while (<$in>) {
        $ENV{$1} = $2 if /\A(OTKLIK_\w+)=(.*)/;
    }
    close $in;
    return $port;
}

sub read_whole { my ($path) = @_; open my $in, '<', $path or return ''; local $/ = undef; return <$in> // '' }

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ $#sorted / 2 ] }

END {
    my $status = $?;
    system "'$root/scripts/stack' down '$dir' > /dev/null 2>&1" if $started;
    system 'rm', '-rf', $dir if $dir;
    $? = $status;
}

1;
