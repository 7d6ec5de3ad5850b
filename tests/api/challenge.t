#!/usr/bin/env perl
# Who has no key may pay with work: a challenge is asked for, ALTCHA's own library solves it, and the letter goes its way without a moderator.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Altcha;
use Otklik::Test;

my ($theme) = split /\n/, sql('select code from theme where region_id = 90 and active order by code');
my ($lat, $lon) = split /\|/, sql('select st_y(p), st_x(p) from (select st_pointonsurface(boundary) p from municipality where region_id = 90 order by id limit 1) t');
my %letter = (theme => $theme, point => { lat => 0 + $lat, lon => 0 + $lon });

sub challenge { return wait_for(sub { my $a = get('/api/v1/challenge'); $a->{status} == 200 && $a }, 10, 'a challenge') }
sub send_paid { my ($payload, %members) = @_; return post_json('/api/v1/appeals', { %letter, text => 'Не горит фонарь, проверка ' . new_key(), %members }, headers => { 'X-Altcha' => $payload }) }

my $asked = challenge();
is $asked->{headers}{'cache-control'}, 'no-store', 'a challenge is for one';
is $asked->{json}{parameters}{data}{region}, '90', 'for this region';
my $payload = solve($asked->{content});
my $sent = send_paid($payload);
is $sent->{status}, 201, 'its solution opens' or diag $sent->{content};
is sql("select auth, client, channel from appeal where id = '$sent->{json}{id}'"), 'challenge||site', 'stored as of nobody who has paid';
my $seen = wait_for(sub { my $s = get("/api/v1/appeals/$sent->{json}{number}?code=$sent->{json}{code}")->{json}; $s && $s->{status} ne 'captured' ? $s : undef }, 10, 'routing');
is $seen->{status}, 'routed', 'no moderator has to look first';

my $again = send_paid($payload);
is "$again->{status} $again->{json}{reason}", '401 spent_challenge', 'the same solution opens nothing more';
like $again->{headers}{'www-authenticate'}, qr/^Altcha realm="otklik", header="X-Altcha", error="spent_challenge"/, 'and the header says so';
is send_paid('rubbish')->{json}{reason}, 'malformed_challenge', 'a wrong one is never taken for none';

my $anonymous = appeal({%letter});
my $moderated = wait_for(sub { my $s = get("/api/v1/appeals/$anonymous->{number}?code=$anonymous->{code}")->{json}; $s && $s->{status} ne 'captured' ? $s : undef }, 10, 'routing');
is $moderated->{status}, 'moderation', 'who has not paid is moderated first, as ever';

my $rejected = send_paid(scalar solve(challenge()->{content}), text => '', theme => undef);
is $rejected->{status}, 422, 'a letter that is no letter is refused by intake';

like internal('/metrics')->{content}, qr/^otklik_edge_accepted_total\{auth="challenge"\} [1-9]/m, 'it is counted';

done_testing;
