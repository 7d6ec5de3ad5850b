# A front door that misbehaves on demand: answers like /api/v1, forgets, stumbles and hangs up as the text of an appeal says.
package Otklik::Door;
use strict;
use warnings;
use utf8;

use IO::Socket::INET;
use JSON::PP ();

my $json = JSON::PP->new->utf8->canonical;

# Starts it; LOG gets a line for each POST: Idempotency-Key, status, body. Themes as rows of [code, object, group, name].
sub start {
    my ($class, $log, @themes) = @_;
    my $socket = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1) or die "listen: $@";
    open my $new, '>', $log or die "$log: $!";
    my $self = bless { url => 'http://127.0.0.1:' . $socket->sockport, log => $log }, $class;
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        local $SIG{PIPE} = 'IGNORE';
        serve($socket, $log, @themes);
    }
    return $self;
}

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

sub DESTROY { local ($?, $!); $_[0]->stop; return }

sub url { return $_[0]{url} }

# What it was sent: [key, status, body] each.
sub log_rows {
    my ($self) = @_;
    open my $in, '<:encoding(UTF-8)', $self->{log} or die "$self->{log}: $!";
    return map { chomp; [split /\t/, $_, 3] } <$in>;
}

sub serve {
    my ($socket, $log_path, @themes) = @_;
    my (%stored, %seen, $count);
    open my $log, '>>', $log_path or die "$log_path: $!";
    $log->autoflush(1);
    while (1) {
        my $client = $socket->accept or next;
        my ($head, $body) = read_request($client);
        next unless defined $head;
        my ($method, $path) = $head =~ /\A(\S+) (\S+)/;
        if ($path eq '/api/v1/themes') {
            my @list = map { { code => $_->[0], object => $_->[1], group => $_->[2], name => $_->[3] } } @themes;
            send_answer($client, $head =~ /^X-Api-Key: wrong/mi ? 401 : 200, { region => 90, themes => \@list });
        } elsif ($method eq 'POST') {
            my ($key) = $head =~ /^Idempotency-Key: "([^"]+)"/mi;
            my ($status, @headers) = judge($body, ++$seen{$key}, exists $stored{$key});
            $stored{$key} = sprintf '90-2026-%07d-0', ++$count if ($status == 201 || $status == 0) && !exists $stored{$key};
            my $number = $stored{$key};
            print {$log} "$key\t$status\t$body\n";
            send_answer($client, $status, { id => "id-$number", number => $number, code => 'AAAA' }, @headers) if $status == 201;
            send_answer($client, $status, { type => '/problems/test', status => $status, detail => 'as asked' }, @headers) if $status > 201;
        } else {
            my ($number) = $path =~ m{/appeals/([^?]+)\?code=AAAA};
            my $there = $number && grep { $_ eq $number } values %stored;
            # the third appeal has been lost
            $there = 0 if $number && $number =~ /-0000003-/ && -e "$log_path.lose";
            send_answer($client, $there ? 200 : 404, { number => $number });
        }
        close $client;
    }
    return;
}

# Status and further headers for a request seen for the Nth time; status 0: stored, but the connection drops before the answer.
sub judge {
    my ($body, $times, $stored) = @_;
    my ($asked) = $body =~ /\[([a-z0-9]+)\]/;
    $asked //= '';
    select undef, undef, undef, 0.05 if $asked eq 'slow';
    return 422 if $asked eq '422' && ! -e $ENV{OTKLIK_DOOR_KIND};
    return (201, 'Idempotency-Replayed: true') if $stored;
    if ($times == 1) {
        return (503, 'Retry-After: 1') if $asked eq '503';
        return (429, 'Retry-After: 1') if $asked eq '429';
        return 500 if $asked eq '500';
        return 409 if $asked eq '409';
        return 0 if $asked eq 'drop';
    }
    return 503 if $asked eq 'never';
    return 401 if $asked eq '401';
    return 201;
}

sub read_request {
    my ($client) = @_;
    my $text = '';
    while ($text !~ /\r\n\r\n/) {
        return unless sysread $client, $text, 65536, length $text;
    }
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($length) = $head =~ /^Content-Length: (\d+)/mi;
    while (length($body) < ($length // 0)) {
        return unless sysread $client, $body, 65536, length $body;
    }
    return ($head, $body);
}

sub send_answer {
    my ($client, $status, $data, @headers) = @_;
    my $body = $json->encode($data);
    syswrite $client, join "\r\n", "HTTP/1.1 $status X", 'Connection: close', 'Content-Type: application/json',
        'Content-Length: ' . length $body, @headers, '', $body;
    return;
}

1;
