# A mail server and social networks of the tests' own, and a courier that is told of them. Core Perl only.
#
# Each is a process; what it was told it writes into a file a message, and how it behaves it reads from a file at each turn, so that a test may
# change its mind in the middle.
package Otklik::Post;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use Fcntl qw(:flock);
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use Encode qw(decode);
use POSIX ();
use Time::HiRes qw(sleep time);
use Otklik::Test;

our @EXPORT = qw(post_start post_behave post_letters post_calls post_stop post_forget courier_settings letter_header letter_words letter_body post_port);

my $dir = File::Temp->newdir('otklik-post-XXXXXX', TMPDIR => 1);
chmod 0755, "$dir";
my $json = JSON::PP->new->utf8->canonical;
my (%pid, %port);
my $owner = $$;

sub post_port { my ($what) = @_; return $port{$what} }

# How WHAT behaves from now on: a structure that its process reads.
sub post_behave {
    my ($what, %how) = @_;
    open my $out, '>', "$dir/$what.how.new" or die $!;
    print {$out} $json->encode(\%how);
    close $out or die $!;
    rename "$dir/$what.how.new", "$dir/$what.how" or die $!;
    return;
}

sub behaviour {
    my ($what) = @_;
    open my $in, '<', "$dir/$what.how" or return {};
    local $/ = undef;
    return $json->decode(<$in> || '{}');
}

# Appends a line of JSON, whole.
sub note {
    my ($what, $data) = @_;
    open my $out, '>>', "$dir/$what.log" or die $!;
    flock $out, LOCK_EX;
    syswrite $out, $json->encode($data) . "\n";
    close $out;
    return;
}

sub noted {
    my ($what) = @_;
    open my $in, '<', "$dir/$what.log" or return wantarray ? () : 0;
    flock $in, LOCK_SH;
    return map { $json->decode($_) } <$in>;
}

sub post_forget { my ($what) = @_; unlink "$dir/$what.log"; return }
# Letters that the mail server took: { from, to, data }; in the order they came.
sub post_letters { return noted('smtp') }
# Calls of a network: { method, path, headers, body, at, answered }.
sub post_calls { my ($what) = @_; return noted($what) }

# ---- a mail server

sub line_of {
    my ($client, $buffer) = @_;
    while ($$buffer !~ /\A(.*?)\r?\n/s) {
        my $n = sysread $client, my $more, 65536;
        return undef unless $n;
        $$buffer .= $more;
    }
    $$buffer =~ s/\A(.*?)\r?\n//s;
    return $1;
}

sub converse {
    my ($client) = @_;
    my ($buffer, %letter) = ('');
    my $say = sub { my ($text) = @_; return syswrite $client, "$text\r\n" };
    my $how = behaviour('smtp');
    sleep $how->{slow} if $how->{slow};
    if ($how->{greeting}) { $say->($how->{greeting}); return }
    $say->('220 test ESMTP');
    while (defined(my $line = line_of($client, \$buffer))) {
        $how = behaviour('smtp');
        sleep $how->{each} if $how->{each};
        if ($line =~ /\A(?:EHLO|HELO)/i) { $say->("250-test\r\n250-8BITMIME\r\n250 SIZE 1000000") }
        elsif ($line =~ /\AMAIL FROM:<([^>]*)>/i) { %letter = (from => $1); $say->($how->{mail} // '250 ok') }
        elsif ($line =~ /\ARCPT TO:<([^>]*)>/i) {
            my $to = $1;
            my $answer = $how->{rcpt}{$to} // '250 ok';
            if ($answer =~ /\A2/) { $letter{to} = $to } else { note('refused', { to => $to }) }
            $say->($answer);
        }
        elsif ($line =~ /\ADATA/i) {
            $say->('354 go on');
            my ($data, $whole) = ('', 0);
            while (defined(my $part = line_of($client, \$buffer))) {
                if ($part eq '.') { $whole = 1; last }
                $part =~ s/\A\.//;
                $data .= "$part\r\n";
            }
            return unless $whole; # who sent it is gone: a server keeps nothing
            my $answer = $how->{data} // '250 queued';
            note('smtp', { %letter, data => $data, at => time }) if $answer =~ /\A2/ || $how->{taken};
            return if $how->{hang_up};
            sleep $how->{late} if $how->{late};
            $say->($answer);
        }
        elsif ($line =~ /\AQUIT/i) { $say->('221 bye'); return }
        elsif ($line =~ /\A(?:RSET|NOOP)/i) { $say->('250 ok') }
        else { $say->('502 what') }
    }
    return;
}

# ---- a network: one POST a connection

sub answer_call {
    my ($client, $what) = @_;
    my $buffer = '';
    my $first = line_of($client, \$buffer) // return;
    my ($method, $path) = split / /, $first;
    my %headers;
    while (defined(my $line = line_of($client, \$buffer))) {
        last if $line eq '';
        my ($name, $value) = split /:\s*/, $line, 2;
        $headers{ lc $name } = $value;
    }
    syswrite $client, "HTTP/1.1 100 Continue\r\n\r\n" if ($headers{expect} // '') =~ /100/;
    my $length = $headers{'content-length'} // 0;
    while (length $buffer < $length) { sysread($client, $buffer, 65536, length $buffer) or last }
    my $how = behaviour($what);
    my $n = () = noted($what);
    my $plan = $how->{first} && $n < @{ $how->{first} } ? $how->{first}[$n] : $how;
    sleep $plan->{slow} if $plan->{slow};
    my $status = $plan->{status} // 200;
    note($what, { method => $method, path => $path, headers => \%headers, body => decode('UTF-8', $buffer), at => time, answered => $status });
    my $body = $json->encode($plan->{body} // {});
    syswrite $client, "HTTP/1.1 $status X\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    return;
}

sub serve {
    my ($listener, $what) = @_;
    $SIG{CHLD} = 'IGNORE';
    while (1) {
        my $client = $listener->accept or next;
        my $child = fork // next;
        if ($child == 0) {
            close $listener;
            local $SIG{ALRM} = sub { POSIX::_exit(0) };
            alarm 60;
            $what eq 'smtp' ? converse($client) : answer_call($client, $what);
            close $client;
            POSIX::_exit(0);
        }
        close $client;
    }
}

# Starts 'smtp' or a network on a port of its own, or the one it had.
sub post_start {
    my ($what) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port{$what} // 0, Listen => 128, ReuseAddr => 1, Proto => 'tcp')
        or die "$what: $@";
    $port{$what} = $listener->sockport;
    my $child = fork // die "fork: $!";
    if ($child == 0) { serve($listener, $what); POSIX::_exit(0) }
    close $listener;
    $pid{$what} = $child;
    return $port{$what};
}

sub post_stop {
    my ($what) = @_;
    my $pid = delete $pid{$what} or return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

# ---- a courier that is told of them

# Settings of services, on top of what they had; both are started anew, and get back what they had at the end.
my %before;
sub courier_settings {
    my (%set) = @_;
    for my $service (qw(courier intake)) {
        my $file = test_dir() . "/etc/$service.env";
        open my $in, '<', $file or die "$file: $!";
        my $text = do { local $/ = undef; <$in> };
        close $in;
        $before{$file} //= $text;
        my $new = join '', grep { !/\A(\w+)=/ || !exists $set{$1} } split /^/, $text;
        $new .= join '', map { "$_=$set{$_}\n" } sort keys %set;
        open my $out, '>', $file or die "$file: $!";
        print {$out} $new;
        close $out or die $!;
    }
    restart();
    return;
}

# Courier and intake with the settings that lie there now, until they are ready for the next test.
sub restart {
    sv('restart', $_) for qw(courier intake);
    for my $service (qw(courier intake)) { wait_for(sub { internal("/$service/health/ready")->{status} == 200 }, 15, $service) }
    return;
}

# ---- what letters say

sub letter_header {
    my ($letter, $name) = @_;
    my ($head) = $letter->{data} =~ /\A(.*?)\r\n\r\n/s;
    $head =~ s/\r\n[ \t]+/ /g;
    my ($value) = $head =~ /^\Q$name\E:[ ]*(.*?)\r?$/mi;
    return $value;
}

# Encoded words decoded.
sub letter_words {
    my ($value) = @_;
    $value =~ s/\?=\s+=\?/?==?/g;
    $value =~ s/=\?UTF-8\?B\?([^?]*)\?=/decode_base64($1)/ge;
    return decode('UTF-8', $value);
}

# A part of the body as text: 'plain' or 'html'.
sub letter_body {
    my ($letter, $type) = @_;
    my ($part) = $letter->{data} =~ m{Content-Type: text/$type; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n(.*?)--}s;
    return decode('UTF-8', decode_base64($part // ''));
}

END {
    if ($$ == $owner) {
        my $status = $?;
        post_stop($_) for keys %pid;
        for my $file (keys %before) {
            open my $out, '>', $file or next;
            print {$out} $before{$file};
            close $out;
        }
        if (%before) { eval { restart(); 1 } or diag $@ }
        $? = $status;
    }
}

1;
