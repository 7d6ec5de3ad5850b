#!/usr/bin/env perl
# First answers to Idempotency-Keys are forgotten after three days, a bite at a time, and nothing else is.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Command;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};
my $statement = read_file("$ENV{OTKLIK_ROOT}/sql/queries/intake/forget.sql");

# Runs the program's own statement as the program's own role.
sub forget {
    my ($region, $bite, $explain) = @_;
    my $before = q{(extract(epoch from now() - interval '72 hours') * 1000000)::bigint};
    my $execute = "execute forget($region\::smallint, $before, $bite)";
    my $said = sql("set plan_cache_mode = force_generic_plan; " . ($explain ? 'set enable_seqscan = off; ' : '') . "prepare forget (smallint, bigint, integer) as $statement "
        . ($explain ? "explain (costs off) $execute" : $execute), role => 'otklik_intake');
    return $said;
}

sub make_old { my ($k, $region) = @_; sql("update idempotency set created_at = now() - interval '73 hours' where key = '$k' and region_id = $region"); return }

my @keys = map { new_key() } 1 .. 4;
my %first = map { $_ => post_json('/api/v1/appeals', { text => "Забытое письмо $_" }, idempotency => $_, key => $key)->{json}{number} } @keys;
sql("insert into idempotency (region_id, client, route, key, fingerprint, status, body, created_at)"
    . " values (88, 'test', 'appeals', '$keys[0]', '', 201, '{}', now() - interval '73 hours')");
make_old($_, 90) for @keys[0 .. 2];

is forget(90, 2), '2', 'no more than a bite';
is forget(90, 2), '1', 'and then the rest';
is forget(90, 2), '0', 'and then nothing';
is sql("select count(*) from idempotency where region_id = 88 and key = '$keys[0]'"), '1', 'another region has its own turn';
is forget(88, 2), '1', 'which comes';

my $again = post_json('/api/v1/appeals', { text => "Забытое письмо $keys[3]" }, idempotency => $keys[3], key => $key);
is $again->{json}{number}, $first{ $keys[3] }, 'a young key still gets its first answer';
my $fresh = post_json('/api/v1/appeals', { text => 'Совсем другое письмо ' . new_key() }, idempotency => $keys[0], key => $key);
is $fresh->{status}, 201, 'a forgotten key may be used again';
is sql('select count(*) from appeal where number in (' . join(',', map { "'$_'" } values %first) . ')'), '4', 'the letters stay';

# (Of a table with a few rows the server reads all the same, unless it is told not to.)
my $plan = forget(90, 2, 1);
like $plan, qr/Index Scan using idempotency_by_time/, 'the old ones are found by their time';
unlike $plan, qr/Seq Scan/, 'and no table is read whole';

done_testing;
