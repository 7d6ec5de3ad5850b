#!/usr/bin/env perl
# Solutions that were used stay used over a binary upgrade, and what the old nginx gave out opens the new one; both make challenges meanwhile.
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Altcha;
use Otklik::Nginx;

my $dir = nginx_dir();
{ open my $out, '>', "$dir/challenge" or die $!; print {$out} 'first ', '5a' x 32, "\n"; close $out or die $! }
nginx_start("appeal_challenge_secret $dir/challenge; appeal_challenge_zone own 256k cost=1 counter=1-9 pool=32; appeal_region 90;", <<'CONF', workers => 2, daemon => 1);
appeal_challenge own purpose=letter;
location = /ask { appeal_auth anonymous; appeal_challenge_issue; }
location = /pay { appeal_auth challenge; try_files /none @ok; }
location @ok { return 204; }
location = /metrics { appeal_metrics; }
CONF

sub pid_of { my ($name) = @_; open my $in, '<', "$dir/$name" or return; return 0 + <$in> }
sub wait_for {
    my ($what, $true) = @_;
    my $until = time + 10;
    while (1) { my $got = $true->(); return $got if $got; die "$what does not come: " . nginx_log() if time > $until; sleep 0.02 }
}
sub solved { return scalar solve(wait_for('a challenge', sub { my $a = nginx_get('/ask'); $a->{status} == 200 && $a })->{content}) }
sub pay { my ($payload) = @_; my $a = nginx_get('/pay', headers => { 'X-Altcha' => $payload }); return $a->{status} == 204 ? 'let in' : $a->{json}{reason} }
sub ready { return nginx_get('/metrics')->{content} =~ /^otklik_edge_challenge_ready\{zone="own",level="0"\} (\d+)$/m ? $1 : undef }

my ($used, $unused, $late) = map { solved() } 1 .. 3;
is pay($used), 'let in', 'used before';

my $old = pid_of('nginx.pid');
kill 'USR2', $old;
my $new = wait_for('the new master', sub { my $p = pid_of('nginx.pid'); $p && $p != $old && -f "$dir/nginx.pid.oldbin" && $p });
is join(' ', map { pay($used) } 1 .. 8), join(' ', ('spent_challenge') x 8), 'while both answer, neither takes it again';
is join(' ', map { pay($unused) } 1 .. 8), join(' ', 'let in', ('spent_challenge') x 7), 'and of both one lets in what was not used';
is pay(solved()), 'let in', 'challenges are made and taken' for 1 .. 40;

kill 'QUIT', $old;
wait_for('the end of the old nginx', sub { !-d "/proc/$old" });
is pay($used), 'spent_challenge', 'the new one alone knows what was used';
is pay($late), 'let in', 'and takes what the old one gave out';
is wait_for('the pool', sub { (ready() // 0) == 32 }), 1, 'it fills the pool alone';
unlike nginx_log(), qr/\[(?:alert|crit|emerg)\]/, 'nothing alarms';

kill 'QUIT', $new;
wait_for('the end of the new nginx', sub { !-d "/proc/$new" });
pass 'and ends when it is told to';

done_testing;
