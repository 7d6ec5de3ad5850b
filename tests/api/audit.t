#!/usr/bin/env perl
# The audit of the chains finds whatever is altered, removed or added behind the programs' backs.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Test;
use Otklik::Routing;
use Otklik::Command;

my $region = 46;    # one that no other test uses
sub verify { return otklik('audit', 'verify', '--region', $region, { role => 'otklik_owner' }) }

plain_region($region);
plant($region, 50, theme => 'test-plain');
drained(60, $region);

# Does something to the rows as the owner, sees that the audit says what, and puts it right again.
sub finds {
    my ($name, $says, $harm, $mend) = @_;
    subtest $name => sub {
        sql($harm);
        my $run = verify();
        is $run->{status}, 1, 'status 1';
        like $run->{out}, qr/^BROKEN at appeal \d\d-\d{4}-\d{7}-\d.*$says/m, "it says: $says" or diag $run->{err};
        sql($mend);
        is verify()->{status}, 0, 'whole again when it is put right' or BAIL_OUT('a test did not clean up');
    };
    return;
}

my $whole = verify();
is $whole->{status}, 0, 'untouched chains are whole' or diag $whole->{out}, $whole->{err};
like $whole->{out}, qr/^region $region: 50 appeals with 100 events, every chain is whole$/m, 'all are counted';

my $one = sql("select id from appeal where region_id = $region order by id offset 20 limit 1");
my $where = "region_id = $region and appeal_id = '$one'";
my $self = "region_id = $region and id = '$one'";

finds('a changed moment', 'event 2: its content was changed',
    "update appeal_event set at = at + interval '1 microsecond' where $where and seq = 2",
    "update appeal_event set at = at - interval '1 microsecond' where $where and seq = 2");
finds('a changed actor', 'event 1: its content was changed',
    "update appeal_event set actor = actor || 'x' where $where and seq = 1",
    "update appeal_event set actor = left(actor, -1) where $where and seq = 1");
finds('a changed detail', 'event 2: its content was changed',
    "update appeal_event set detail = detail || '{\"zz\":1}' where $where and seq = 2",
    "update appeal_event set detail = detail - 'zz' where $where and seq = 2");
finds('a last event that is gone', 'event 1: the appeal remembers another number of events',
    "create table audit_kept as select * from appeal_event where $where and seq = 2; delete from appeal_event where $where and seq = 2",
    'insert into appeal_event select * from audit_kept; drop table audit_kept');
finds('a first event that is gone', 'event 1: it is missing',
    "create table audit_kept as select * from appeal_event where $where and seq = 1; delete from appeal_event where $where and seq = 1",
    'insert into appeal_event select * from audit_kept; drop table audit_kept');
finds('all events gone', 'event 0: it has no events',
    "create table audit_kept as select * from appeal_event where $where; delete from appeal_event where $where",
    'insert into appeal_event select * from audit_kept; drop table audit_kept');
finds('an event written anew with a digest of its own', 'event 2: it does not follow the event before it',
    "create table audit_kept as select * from appeal_event where $where and seq = 1; update appeal_event set actor = 'nobody', "
        . "hash = event_hash('', region_id, appeal_id, seq, at, kind, 'nobody', detail) where $where and seq = 1",
    "update appeal_event e set actor = k.actor, hash = k.hash from audit_kept k where (e.region_id, e.appeal_id, e.seq) = (k.region_id, k.appeal_id, k.seq);"
        . ' drop table audit_kept');
finds('another head', 'event 2: the appeal remembers another last event',
    "update appeal set last_hash = sha256(last_hash), client_hash = encode(last_hash, 'hex') where $self",
    "update appeal set last_hash = decode(client_hash, 'hex'), client_hash = '' where $self");

subtest 'a changed text' => sub {
    my $sent = appeal({ text => 'Текст, который подменят' }, key => $ENV{OTKLIK_API_KEY});
    is otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' })->{status}, 0, 'the demo region is whole';
    sql("update appeal set text = 'Подменён' where region_id = 90 and number = '$sent->{number}'");
    my $run = otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' });
    is $run->{status}, 1, 'status 1';
    like $run->{out}, qr/BROKEN at appeal $sent->{number}: its text is not the one/, 'the appeal is named';
    sql("update appeal set text = 'Текст, который подменят' where region_id = 90 and number = '$sent->{number}'");
};

my $admin = otklik('audit', 'verify', '--region', $region);
is $admin->{status}, 1, 'who may not read appeals cannot audit them';
like $admin->{err}, qr/permission denied/, 'and is told';

done_testing;
