#!/usr/bin/env perl
# What the zones hold outlives a binary upgrade: a new nginx takes over from the old one, with the limits as they stand, and back again.
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Nginx;

my $http = 'appeal_limit_zone one 1m; appeal_limit_zone two 64k; appeal_limit_zone told 64k shared; appeal_limit_share redis=unix:/nowhere edges=1;';
my $server = <<'CONF';
appeal_auth anonymous;
location @ok { return 204; }
location /slow { appeal_limit one key=address rate=1r/h burst=3 name=slow; try_files /none @ok; }
location /told { appeal_limit told key=address rate=1r/h burst=3 name=told; try_files /none @ok; }
location /wide { appeal_limit two key=address rate=1r/h burst=100 name=wide; try_files /none @ok; }
CONF
nginx_start($http, $server, workers => 2, daemon => 1);

sub statuses { my ($path, $n) = @_; return join ' ', map { nginx_get($path)->{status} } 1 .. $n }
sub remaining { return nginx_get('/wide')->{headers}{ratelimit} =~ /r=(\d+)/ ? $1 : undef }
sub pid_of { my ($name) = @_; open my $in, '<', nginx_dir() . "/$name" or return; return 0 + <$in> }

# The memory of our zones that a process holds open, by name.
sub memory_of {
    my ($pid) = @_;
    my %count;
    $count{$_}++ for map { (readlink($_) // '') =~ m{\A/memfd:appeal:(\S+)} ? $1 : () } glob "/proc/$pid/fd/*";
    return \%count;
}

sub wait_for {
    my ($what, $true) = @_;
    my $until = time + 10;
    until ($true->()) { die "$what does not come: " . nginx_log() if time > $until; sleep 0.02 }
    return;
}

is statuses('/slow', 4), '204 204 204 429', 'the limit is used up';
is remaining(), 99, 'another is not';
is statuses('/told', 4), '204 204 204 429', 'a shared one is';

my $old = pid_of('nginx.pid');
kill 'USR2', $old;
wait_for('the new master', sub { my $new = pid_of('nginx.pid'); $new && $new != $old && -f nginx_dir() . '/nginx.pid.oldbin' });
my $new = pid_of('nginx.pid');
is_deeply memory_of($new), { one => 1, told => 1, two => 1 }, 'the new binary holds the memory of all zones';
like nginx_log(), qr/the zone "one" is taken over from the binary before/, 'and says so';

# Both answer now; the debt is one.
is statuses('/slow', 8), join(' ', (429) x 8), 'whoever answers, the limit is used up';
my @left = map { remaining() } 1 .. 8;
is_deeply \@left, [reverse 91 .. 98], 'and each request of either costs one of the other limit';

kill 'WINCH', $old;
wait_for('the end of the old workers', sub { `ps -o args= --ppid $old` !~ /worker process/ });
is statuses('/slow', 3), '429 429 429', 'the new workers alone know of it';
is remaining(), 90, 'and what is left';
is statuses('/told', 3), '429 429 429', 'what several edges share is taken over, too';

# Back to the old binary.
kill 'HUP', $old;
wait_for('the old workers', sub { `ps -o args= --ppid $old` =~ /worker process(?! is shutting)/ });
kill 'QUIT', $new;
wait_for('the end of the new binary', sub { !-d "/proc/$new" });
is statuses('/slow', 3), '429 429 429', 'the old binary knows after the new one has gone';
is remaining(), 89, 'what was spent meanwhile';

{ open my $out, '>', nginx_dir() . '/another.secret' or die $!; print {$out} 'y' x 32; close $out or die $! }
# And a zone that changes its size begins anew, by a reload; the others stay.
nginx_reload($http =~ s/one 1m/one 2m/r, $server, workers => 2, daemon => 1);
is statuses('/slow', 4), '204 204 204 429', 'another size: a new memory';
is remaining(), 88, 'the same size: the same memory';
is statuses('/told', 1), '429', 'also of what is shared';
nginx_reload($http =~ s/one 1m/one 2m/r =~ s/edges=1/edges=1 secret=another.secret/r, $server, workers => 2, daemon => 1);
is statuses('/told', 4), '204 204 204 429', 'another secret: a new memory, for the other edges would not know these keys';
wait_for('the old memory to go', sub { my $m = memory_of($old); ($m->{one} // 0) == 1 && ($m->{two} // 0) == 1 });
pass 'the old memory is given back';
nginx_reload($http, $server, workers => 2, daemon => 1) for 1 .. 3;
is_deeply memory_of($old), { one => 1, told => 1, two => 1 }, 'and reloads do not heap up any';

unlike nginx_log(), qr/\[(?:alert|crit|emerg)\]/, 'nothing alarms';

done_testing;
