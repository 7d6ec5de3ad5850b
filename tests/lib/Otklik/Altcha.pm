# Solves challenges with ALTCHA's own library, in one node for all of a test.
package Otklik::Altcha;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use FindBin;
use IPC::Open2 qw(open2);
use JSON::PP ();
use MIME::Base64 qw(encode_base64 decode_base64);

our @EXPORT = qw(solve altcha_change altcha_payload);

my ($pid, $from, $to);
my $owner = $$;
my $json = JSON::PP->new->utf8->canonical;

# The content of an answer with a challenge: what goes into X-Altcha, and in a list the counter, too.
sub solve {
    my ($challenge) = @_;
    if (!$pid) {
        # What ran before must not be written twice, nor wait for a newline.
        $pid = open2($from, $to, 'node', "$FindBin::Bin/../lib/altcha.mjs");
        $to->autoflush(1);
    }
    $challenge =~ s/\n//g;
    print {$to} "$challenge\n" or die "node: $!";
    my $line = readline($from) // die 'node: nothing was solved';
    my $solved = $json->decode($line);
    return wantarray ? ($solved->{payload}, $solved->{counter}) : $solved->{payload};
}

sub altcha_payload { my ($data) = @_; return encode_base64($json->encode($data), '') }

# A payload with something changed by SUB, which gets it as data.
sub altcha_change {
    my ($payload, $change) = @_;
    my $data = $json->decode(decode_base64($payload));
    $change->($data);
    return altcha_payload($data);
}

END {
    if ($pid && $$ == $owner) {
        my $status = $?;
        close $to;
        waitpid $pid, 0;
        $? = $status;
    }
}

1;
