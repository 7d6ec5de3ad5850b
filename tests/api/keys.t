#!/usr/bin/env perl
# Keys are shown once, kept as digests, and their file is replaced as a whole.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_hex);
use Test::More;
use Otklik::Test;
use Otklik::Command;

my $file = scratch() . '/keys';
sub add { return otklik('keys', 'add', '--file', $file, @_) }

subtest 'a new key' => sub {
    my $run = add('--subject', 'portal', '--roles', 'integrator,staff', '--region', 90, '--rate', '100r/s', '--burst', 200,
        '--expires', '2999-01-01T00:00:00Z', '--body', 7);
    is $run->{status}, 0, 'is made' or diag $run->{err};
    like $run->{out}, qr/\Aotk_[a-z0-9]{8}_[a-z0-9]{32}\n\z/, 'and printed, nothing else';
    chomp(my $key = $run->{out});
    my $prefix = substr $key, 4, 8;
    is read_file($file), "$prefix " . sha256_hex($key)
        . " subject=portal roles=integrator,staff region=90 body=7 rate=100r/s burst=200 expires=2999-01-01T00:00:00Z\n", 'the file has its digest';
    is sprintf('%o', (stat $file)[2] & 07777), '640', 'others cannot read the file';
    is otklik('keys', 'list', '--file', $file)->{out} =~ /^$prefix\s+portal\s+integrator,staff\s+90\s+7\s+-\s+100r\/s\s+200\s+2999/m, 1, 'it is listed';
    unlike otklik('keys', 'list', '--file', $file)->{out}, qr/\Q@{[substr $key, 13]}\E/, 'without its secret';
};

subtest 'the secret of a hook' => sub {
    my $hooks = scratch() . '/hooks';
    my @who = ('keys', 'add', '--file', $hooks, '--subject', 'tg.1', '--roles', 'channel', '--region', 90);
    my $run = otklik(@who, '--hook', 'telegram', '--source', '149.154.160.0/20,2001:67c:4e8::/48');
    is $run->{status}, 0, 'is made' or diag $run->{err};
    like read_file($hooks), qr{ region=90 hook=telegram source=149.154.160.0/20,2001:67c:4e8::/48$}m, 'with what it opens and from where';
    my $before = read_file($hooks);
    is otklik(@who, '--hook', 'Telegram')->{status}, 2, 'a kind that is none is refused';
    is otklik(@who, '--source', $_)->{status}, 2, "a network that is none is refused: $_" for '149.154.160.1/20', 'example.org', '10.0.0.1,', '10.0.0.0/33';
    is read_file($hooks), $before, 'and nothing is written';
};

subtest 'what a key is good for' => sub {
    my $scoped = scratch() . '/scoped';
    my @who = ('keys', 'add', '--file', $scoped, '--subject', 'press', '--roles', 'staff', '--region', 90);
    my $run = otklik(@who, '--scopes', 'reports:read,https://x.example/V1_a.b-c');
    is $run->{status}, 0, 'is said' or diag $run->{err};
    like read_file($scoped), qr{ region=90 scopes=reports:read,https://x\.example/V1_a\.b-c$}m, 'in its line';
    my $before = read_file($scoped);
    is otklik(@who, '--scopes', $_)->{status}, 2, "'$_' is nothing" for '', 'a,', ',a', 'a,,b', 'a b', 'a"b', 'x' x 129;
    is read_file($scoped), $before, 'and nothing is written';
};

subtest 'twenty at once' => sub {
    chmod 0600, $file;
    my @runs = map { otklik_start('keys', 'add', '--file', $file, '--subject', "s$_", '--roles', 'staff', '--region', 1) } 1 .. 20;
    my @ends = map { otklik_wait($_) } @runs;
    is scalar(grep { $_->{status} == 0 } @ends), 20, 'are all made';
    my $text = read_file($file);
    is scalar(grep { chomp(my $key = $_->{out}); index($text, sha256_hex($key)) >= 0 } @ends), 20, 'and none is lost';
    is scalar(() = $text =~ /\n/g), 21, 'a line each';
    is sprintf('%o', (stat $file)[2] & 07777), '600', 'the file keeps its mode';
    is join(',', map { s{.*/}{}r } glob "$file*"), 'keys', 'nothing lies about';
};

subtest 'a key taken back' => sub {
    my ($prefix) = read_file($file) =~ /^(\S+) \S+ subject=s7 /m;
    is otklik('keys', 'remove', $prefix, '--file', $file)->{status}, 0, 'is gone';
    unlike read_file($file), qr/subject=s7 /, 'from the file';
    like read_file($file), qr/subject=s8 /, 'and no other';
    my $run = otklik('keys', 'remove', $prefix, '--file', $file);
    is $run->{status}, 1, 'and cannot be taken twice';
    like $run->{err}, qr/there is no key $prefix/, 'which is said';
};

subtest 'mistakes' => sub {
    my $before = read_file($file);
    my @good = ('--subject', 'x', '--roles', 'staff', '--region', 1);
    is add(@good[0 .. 3])->{status}, 2, 'no region';
    is add(@good, '--region', 100)->{status}, 2, 'no such number';
    is add(@good, '--roles', 'king')->{status}, 2, 'an unknown role';
    is add(@good, '--roles', 'staff,staff')->{status}, 2, 'a role twice';
    is add(@good, '--subject', 'two words')->{status}, 2, 'a subject that breaks the line';
    is add(@good, '--rate', '100')->{status}, 2, 'a rate without its unit';
    is add(@good, '--burst', 5)->{status}, 2, 'a burst without a rate';
    is add(@good, '--expires', 'tomorrow')->{status}, 2, 'no moment';
    is add(@good, '--expires', '2020-01-01T00:00:00Z')->{status}, 1, 'a moment that is over';
    is read_file($file), $before, 'nothing was written';
    is otklik('keys', 'add', '--file', scratch() . '/none/keys', @good)->{status}, 1, 'a folder that is not there';
    write_file('broken', "# a comment\n\nnonsense\n");
    like otklik('keys', 'list', '--file', scratch() . '/broken')->{err}, qr/broken:3: not a key line/, 'a broken line is named';
};

subtest 'help' => sub {
    like otklik('help')->{out}, qr/^  keys add\s+\S/m, 'lists the commands';
    like otklik('help', 'keys', 'add')->{out}, qr/\Ausage: otklik keys add --file FILE .*^  --expires T /ms, 'and describes one';
    is otklik('keys', 'add', '--help')->{out}, otklik('help', 'keys', 'add')->{out}, 'as --help does';
    is otklik()->{status}, 2, 'no command: status 2';
    is otklik('keys')->{status}, 2, 'half a command, too';
};

done_testing;
