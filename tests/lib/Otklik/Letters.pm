# Clients in processes of their own that send letters without a pause, as long as it takes: what was not answered goes again under the
# same key. Each writes down what it was promised, and when; and whether the database kept all of it, and nothing by halves.
package Otklik::Letters;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);
use Otklik::Test;

our @EXPORT = qw(letters_start letters_pause letters_stop letters_promised losses half_written);

my $patience = 60;     # seconds a letter is tried, and how long a client is waited for

# One answer: (status, headers and body); nothing when the connection died, 0 when nobody said anything for ten seconds.
sub ask {
    my ($socket, $request) = @_;
    my $select = IO::Select->new($socket);
    my ($said, $until) = ('', time + 10);
    defined syswrite $socket, $request or return;
    while (1) {
        if ($said =~ m{\AHTTP/1\.1 (\d+) [^\r]*\r\n(.*?)\r\n\r\n(.*)}s) {
            my ($status, $head, $body) = ($1, $2, $3);
            return ($status, $head, $body) if $head =~ /^Content-Length: (\d+)\r?$/mi && length $body == $1;
        }
        $select->can_read($until - time) or return 0;
        sysread $socket, $said, 65536, length $said or return;
    }
}

# A client: lines of (external id, number, seconds since 1970 of the answer) into PROMISES, then one of what it met on the way.
sub client {
    my ($o, $i, $promises) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my ($address) = $o->{url} =~ m{//([^/]+)};
    my (%met, $socket, $slowest);
    $slowest = 0;
    open my $out, '>', $promises or die "$promises: $!";
    for (my $n = 1; !-e $o->{stop}; $n++) {
        sleep 0.02 while -e $o->{pause} && !-e $o->{stop};
        my $id = "$o->{tag}-$i-$n";
        my $body = as_json({
            text => "Не горит фонарь у дома $n, письмо $id", external_id => $id, point => { lat => 57.5 + rand 0.5, lon => 60.5 + rand 1 },
            $n % 2 ? (contact => { name => 'Проверкин', email => 'test@example.org' }, consent => '2026-01') : (),
        });
        my $request = "POST /api/v1/appeals HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nX-Api-Key: $o->{key}\r\n"
            . "Idempotency-Key: \"$id\"\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
        my ($number, $until, $again) = (undef, time + $patience, 0);
        while (time < $until) {
            $socket ||= IO::Socket::INET->new(PeerAddr => $address, Timeout => 5) or do { $met{unreachable}++; sleep 0.05; next };
            my $from = time;
            my ($status, undef, $said) = ask($socket, $request);
            my $took = time - $from;
            $slowest = $took if $took > $slowest;
            if (!$status) {
                $met{ defined $status ? 'silent' : 'lost' }++;
                close $socket;
                undef $socket;
                next;
            }
            $met{$status}++;
            if ($status != 201) { sleep 0.05; next }
            my ($this) = $said =~ /"number":"([^"]+)"/;
            $met{changed}++ if defined $number && $this ne $number;
            syswrite $out, sprintf "%s %s %.6f\n", $id, $this, time unless defined $number;
            $number = $this;
            # Every tenth asks once more: it must hear the same.
            last if $n % 10 || $again++;
        }
        $met{abandoned}++ unless defined $number;
    }
    syswrite $out, sprintf "= slowest=%.3f %s\n", $slowest, join ' ', map { "$_=$met{$_}" } sort keys %met;
    close $out or die "$promises: $!";
    return;
}

# Starts N clients whose letters' ids begin with TAG. url, key: those of the system of the tests unless told.
sub letters_start {
    my ($n, $tag, %o) = @_;
    my $dir = File::Temp->newdir('otklik-letters-XXXXXX', TMPDIR => 1);
    my %letters = (dir => $dir, stop => "$dir/stop", pause => "$dir/pause", n => $n, tag => $tag, url => $ENV{OTKLIK_URL}, key => $ENV{OTKLIK_API_KEY}, %o);
    for my $i (1 .. $n) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            srand $i;
            client(\%letters, $i, "$dir/$i");
            POSIX::_exit(0);
        }
        push @{ $letters{pids} }, $pid;
    }
    return \%letters;
}

# Has them wait between two letters, or go on.
sub letters_pause {
    my ($letters, $on) = @_;
    if ($on) { open my $pause, '>', $letters->{pause} or die "$letters->{pause}: $!" }
    else { unlink $letters->{pause} }
    return;
}

# Ends them: how often they met which status, lost (the connection died), silent (nobody answered for ten seconds), unreachable,
# changed (the same key, another answer), abandoned (not taken within a minute); slowest: the longest wait for an answer, seconds.
sub letters_stop {
    my ($letters) = @_;
    open my $stop, '>', $letters->{stop} or die "$letters->{stop}: $!";
    close $stop or die $!;
    my %met = (slowest => 0, map { $_ => 0 } qw(201 lost silent unreachable changed abandoned));
    for my $i (1 .. $letters->{n}) {
        waitpid $letters->{pids}[ $i - 1 ], 0;
        die "client $i ended with $?" if $?;
        open my $in, '<', "$letters->{dir}/$i" or die $!;
        my ($line) = grep { /\A=/ } <$in>;
        my %this = $line =~ /(\w+)=([\d.]+)/g;
        my $slowest = delete $this{slowest};
        $met{slowest} = $slowest if $slowest > $met{slowest};
        $met{$_} += $this{$_} for keys %this;
    }
    return \%met;
}

# {external id => number} of what was promised before the moment BEFORE (seconds since 1970; all without).
sub letters_promised {
    my ($letters, $before) = @_;
    my %promised;
    for my $i (1 .. $letters->{n}) {
        open my $in, '<', "$letters->{dir}/$i" or next;
        while (<$in>) {
            my ($id, $number, $at) = /\A(\S+) (\S+) (\d+\.\d{6})\n\z/ or next;
            $promised{$id} = $number if !defined $before || $at < $before;
        }
    }
    return \%promised;
}

# Of the promises: lost, and doubled (of all letters of that tag).
sub losses {
    my ($letters, $promised) = @_;
    my (%numbers, @doubled);
    for (split /\n/, sql("select external_id, number from appeal where external_id like '$letters->{tag}-%'")) {
        my ($id, $number) = split /\|/;
        push @doubled, $id if $numbers{$id};
        $numbers{$id}{$number} = 1;
    }
    return { lost => [grep { !$numbers{$_} || !$numbers{$_}{ $promised->{$_} } } sort keys %$promised], doubled => \@doubled, stored => scalar keys %numbers };
}

# What belongs together and is not there together, by the name of the breach; nothing when all is whole. Routing may be at work. Of letters
# since this test began: others before it may have taken rows away on purpose, or made rows with ids of any time.
my $began = time;

sub half_written {
    # Hash joins of everything with everything: a database fresh from a crash has no statistics.
    my $lately = "between uuid_floor(to_timestamp($began)) and uuid_floor(to_timestamp(@{[ time + 60 ]}))";
    my %counts = split /[|\n]/, sql(<<"SQL");
set enable_nestloop = off;
with a as materialized (
    select a.region_id, a.id, a.number, a.client, a.status, a.last_seq, a.last_hash from appeal a where a.id $lately
), e as materialized (
    select e.region_id, e.appeal_id, count(*) as n, max(e.seq) as last_seq, bool_or(e.seq = 1 and e.kind = 'captured') as first,
        (array_agg(e.hash order by e.seq desc))[1] as last_hash
    from appeal_event e where e.appeal_id $lately group by e.region_id, e.appeal_id
), i as materialized (
    select i.region_id, (i.body::jsonb ->> 'id')::uuid as id, i.body::jsonb ->> 'number' as number, i.client
    from idempotency i where i.route = 'appeals' and i.status = 201 and (i.body::jsonb ->> 'id')::uuid $lately
), o as materialized (
    select o.region_id, o.appeal_id as id, count(*) as n from outbox o where o.topic = 'route' and o.appeal_id $lately group by o.region_id, o.appeal_id
)
select 'appeal without its first event', count(*) from a left join e on e.region_id = a.region_id and e.appeal_id = a.id where e.first is not true
union all select 'appeal whose head is not its last event', count(*) from a join e on e.region_id = a.region_id and e.appeal_id = a.id
    where (e.n, e.last_seq, e.last_hash) is distinct from (a.last_seq, a.last_seq, a.last_hash)
union all select 'event without appeal', count(*) from e left join a on a.region_id = e.region_id and a.id = e.appeal_id where a.id is null
union all select 'appeal without its key', count(*) from a left join i on i.region_id = a.region_id and i.id = a.id
    where (i.number, i.client) is distinct from (a.number, a.client)
union all select 'key without its appeal', count(*) from i left join a on a.region_id = i.region_id and a.id = i.id where a.id is null
union all select 'captured appeal not in the outbox once', count(*) from a left join o on o.region_id = a.region_id and o.id = a.id
    where a.status = 'captured' and o.n is distinct from 1
union all select 'outbox without a captured appeal', count(*) from o left join a on a.region_id = o.region_id and a.id = o.id
    where a.status is distinct from 'captured'
union all select 'contact or consent alone', count(*) from contact c full join consent s on s.region_id = c.region_id and s.appeal_id = c.appeal_id
    where (c.region_id is null or s.region_id is null) and coalesce(c.appeal_id, s.appeal_id) $lately
union all select 'contact without appeal', count(*) from contact c left join a on a.region_id = c.region_id and a.id = c.appeal_id where a.id is null and c.appeal_id $lately
union all select 'counters that miss their appeals', abs((select coalesce(sum(received), 0) from appeal_count) - (select count(*) from appeal))
SQL
    return { map { $_ => $counts{$_} } grep { $counts{$_} } keys %counts };
}

1;
