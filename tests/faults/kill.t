#!/usr/bin/env perl
# kill -9 of any one process during a replay: nothing answered 201 is missing, nothing is double.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Temp qw(tempdir);
use IO::Handle;
use JSON::PP;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Test;

my $dir     = $ENV{OTKLIK_TEST_DIR} or BAIL_OUT('run me by make test');
my $command = "$dir/app/bin/otklik";
my $letters = 1200;
my $rate    = 300;    # a second: four seconds of traffic a victim, three kills among it
my $work    = tempdir(CLEANUP => 1);

sub pid_of {
    my ($service) = @_;
    open my $file, '<', "$dir/service/$service/supervise/pid" or return;
    my $pid = <$file>;
    return $pid && $pid =~ /(\d+)/ ? $1 : undef;
}

sub child_of {
    my ($pid, $pattern) = @_;
    my @children = grep { /$pattern/ } split /\n/, `ps -o pid=,args= --ppid $pid`;
    return @children ? ($children[ rand @children ] =~ /(\d+)/)[0] : undef;
}

# who dies, and how to find it at that moment
my %victims = (
    'intake'             => sub { pid_of('intake') },
    'routing'            => sub { pid_of('routing') },
    'the nginx master'   => sub { pid_of('nginx') },
    'an nginx worker'    => sub { child_of(pid_of('nginx'), qr/worker/) },
    'a database backend' => sub { child_of(pid_of('postgres'), qr/otklik_(?:intake|routing)/) },
    'the postmaster'     => sub { pid_of('postgres') },
);

sub write_letters {
    my ($file, $tag) = @_;
    my $json = JSON::PP->new->utf8->canonical;
    open my $out, '>', $file or die "$file: $!";
    for my $i (1 .. $letters) {
        print {$out} $json->encode({ id => "$tag-$i", text => "Не горит фонарь у дома $i, проверка $tag",
            object => undef, category => undef, reason => undef, lat => 57.8, lon => 61.2 }), "\n";
    }
    close $out or die "$file: $!";
}

my $round = 0;
for my $name (sort keys %victims) {
    my $tag = sprintf 'kill-%d-%d', $$, ++$round;
    write_letters("$work/$tag.jsonl", $tag);
    my $replay = fork // die "fork: $!";
    if ($replay == 0) {
        open STDERR, '>', "$work/$tag.log";
        exec $command, 'replay', "$work/$tag.jsonl", '--url', $ENV{OTKLIK_URL}, '--key', $ENV{OTKLIK_API_KEY},
            '--rate', $rate, '--state', "$work/$tag.state", '--answers', "$work/$tag.tsv";
    }
    my $kills = 0;
    for (1 .. 3) {
        sleep 0.5 + rand 0.7;
        # It may be just about to come back from the last death; PostgreSQL on a busy disk takes seconds for that.
        my ($until, $dead) = (time + 20, 0);
        while (!$dead && time < $until) {
            my $pid = $victims{$name}->();
            $dead = $pid ? kill 'KILL', $pid : 0;
            sleep 0.01 unless $dead;
        }
        $kills += $dead;
    }
    waitpid $replay, 0;
    my $status = $? >> 8;
    is $kills, 3, "$name was killed three times";
    is $status, 0, "the replay came through the death of $name" or diag `tail -n 20 $work/$tag.log`;

    wait_for(sub { eval { sql('select 1') } }, 30, 'the database to be back');
    open my $answers, '<', "$work/$tag.tsv" or die "$work/$tag.tsv: $!";
    my %answered = map { chomp; my @f = split /\t/; ($f[1] => $f[0]) } <$answers>;
    my %stored = map { split /\|/ } split /\n/,
        sql("select number, external_id from appeal where external_id like '$tag-%'");
    is scalar(keys %answered), $letters, "every letter was answered ($name)";
    my @missing = grep { !exists $stored{$_} } keys %answered;
    is scalar(@missing), 0, "nothing answered 201 is missing ($name)" or diag "@missing[0 .. 4]";
    is scalar(keys %stored), $letters, "nothing is stored twice ($name)";
    my %ids = reverse %stored;
    is scalar(keys %ids), $letters, "each letter has one appeal ($name)";
}

wait_for(sub { sql("select count(*) from outbox where topic = 'route'") eq '0' }, 60, 'the queue to drain');
is sql("select count(*) from appeal where external_id like 'kill-$$-%' and status = 'captured'"), '0', 'all of them were routed';
is sql("select count(*) from (select appeal_id from appeal_event e join appeal a on (a.region_id, a.id) = (e.region_id, e.appeal_id)"
     . " where a.external_id like 'kill-$$-%' group by appeal_id having count(*) <> 2 or max(seq) <> 2) as odd"), '0',
    'each has exactly its two events';
is sql('select (select coalesce(sum(received), 0) from appeal_count) - (select count(*) from appeal)'), '0',
    'the counters equal a recount';

done_testing;
