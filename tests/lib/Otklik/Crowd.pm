# Clients in processes of their own that ask an nginx without a pause, count per key what was let in, and do not mind when a connection dies.
package Otklik::Crowd;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);
use Otklik::Nginx;

our @EXPORT = qw(crowd_start crowd_stop counters falling);

my $json = JSON::PP->new->canonical;

# One answer on a connection: its status; undef: it died first; 0: nothing came for ten seconds.
sub answer {
    my ($socket, $request) = @_;
    my $select = IO::Select->new($socket);
    my ($said, $until) = ('', time + 10);
    defined syswrite $socket, $request or return;
    while (1) {
        if (my ($status, $body) = $said =~ m{\AHTTP/1\.1 (\d+).*?\r\n\r\n(.*)}s) {
            return $status if $status == 204 || ($said =~ /^Content-Length: (\d+)\r$/m && length $body == $1);
        }
        $select->can_read($until - time) or return 0;
        sysread $socket, $said, 65536, length $said or return;
    }
}

# {by key}: passed, refused, lost (asked, and no answer came), other (statuses); silent: no answer and no end.
sub client {
    my ($choose, $stop) = @_;
    my (%count, $socket);
    local $SIG{PIPE} = 'IGNORE';
    until (-e $stop) {
        $socket ||= IO::Socket::INET->new(PeerAddr => nginx_url() =~ s{.*/}{}r, Timeout => 10) or do { $count{unreachable}++; sleep 0.01; next };
        my ($key, $request) = $choose->();
        my $status = answer($socket, $request);
        if (!$status) {
            defined $status ? $count{silent}++ : $count{lost}{$key}++;
            close $socket;
            undef $socket;
            next;
        }
        if ($request =~ /^Connection: close/m) { close $socket; undef $socket }
        my $what = $status == 204 ? 'passed' : $status == 429 ? 'refused' : 'other';
        $what eq 'other' ? $count{other}{$status}++ : $count{$what}{$key}++;
    }
    return \%count;
}

# Starts N clients; CHOOSE->() gives a key and a request.
sub crowd_start {
    my ($n, $choose) = @_;
    my %crowd = (stop => nginx_dir() . '/stop.' . int rand 1e9, began => time);
    for my $i (1 .. $n) {
        pipe my $from, my $to or die "pipe: $!";
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            close $from;
            srand $i;
            print {$to} $json->encode(client($choose, $crowd{stop}));
            close $to;
            POSIX::_exit(0);
        }
        push @{ $crowd{clients} }, [$pid, $from];
    }
    return \%crowd;
}

# Ends them; the sum of what they counted, and seconds: how long they were at it.
sub crowd_stop {
    my ($crowd) = @_;
    open my $stop, '>', $crowd->{stop} or die "$crowd->{stop}: $!";
    close $stop;
    my %sum = (silent => 0, unreachable => 0);
    for (@{ $crowd->{clients} }) {
        my ($pid, $from) = @$_;
        my $count = $json->decode(do { local $/ = undef; scalar <$from> });
        waitpid $pid, 0;
        for my $what (keys %$count) {
            if (ref $count->{$what}) { $sum{$what}{$_} += $count->{$what}{$_} for keys %{ $count->{$what} } }
            else { $sum{$what} += $count->{$what} }
        }
    }
    $sum{seconds} = time - $crowd->{began};
    return \%sum;
}

# All counters of /metrics by name and labels; empty if the worker that was asked died.
sub counters {
    my $answer = nginx_get('/metrics');
    return {} if $answer->{status} != 200;
    return { $answer->{content} =~ /^(\w+_total\S*) (\d+)$/mg };
}

# What is less now than before.
sub falling {
    my ($before, $now) = @_;
    return () if !%$now;
    return grep { $before->{$_} > ($now->{$_} // -1) } keys %$before;
}

1;
