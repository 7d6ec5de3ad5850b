#!/usr/bin/env perl
# What a registrar types in: from whom, where it was said, when; stored as every letter is, and by whom it was typed.
use strict;
use warnings;
use utf8;
use POSIX qw(strftime);
use FindBin;
use Test::More;
use Otklik::Command;
use Otklik::OpenAPI;
use Otklik::Test;

my $api = openapi_load("$FindBin::Bin/../../docs/openapi.yaml");
my %operation = map { $_->{operation}{operationId} => $_->{operation} } openapi_operations($api);
sub holds { my ($id, $answer) = @_; is_deeply [openapi_check_answer($api, $operation{$id}, $answer)], [], "$id answers $answer->{status} as documented"; return $answer }

my $path = '/api/v1/desk/appeals';
sub new_desk_key {
    my ($subject, @more) = @_;
    my ($key) = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--subject', $subject, '--region', '90', @more)->{out} =~ /(otk_\w+)/;
    # Each worker of the edge reads the file for itself: all must have answered.
    sleep 2;
    wait_for(sub { !grep { post_json($path, {}, key => $key)->{status} == 401 } 1 .. 8 }, 5, 'the edge to know the key');
    return $key;
}
my $key = new_desk_key('registrar-anna', '--roles', 'registrar', '--scopes', 'desk');
sub enter { my ($members, %o) = @_; return holds('enterAppeal', post_json($path, { text => 'Не горит фонарь ' . new_key(), source => 'telephone', %$members }, key => $key, lang => 'en', %o)) }
sub errors { my ($answer) = @_; return join ' ', sort map { "$_->{field}:$_->{code}" } @{ $answer->{json}{errors} // [] } }

subtest 'who may' => sub {
    is post_json($path, { text => 'a', source => 'telephone' })->{status}, 401, 'nobody without a credential';
    is enter({}, key => $ENV{OTKLIK_API_KEY})->{status}, 403, 'no integrator';
    is enter({}, key => new_desk_key('reader', '--roles', 'staff'))->{status}, 403, 'no key of staff without the scope';
    is enter({}, key => $ENV{OTKLIK_STAFF_KEY})->{status}, 201, 'the key that the demo gives may';
    my $unscoped = new_desk_key('no-scope', '--roles', 'registrar');
    is enter({}, key => $unscoped)->{json}{reason}, 'insufficient_scope', 'no registrar whose key is not for the desk';
    my $other = new_desk_key('robot', '--roles', 'integrator', '--scopes', 'desk');
    is enter({}, key => $other)->{status}, 403, 'no integrator whose key is';
    my $moderator = new_desk_key('moderator-oleg', '--roles', 'moderator', '--scopes', 'desk');
    is enter({}, key => $moderator)->{status}, 201, 'a moderator may';
};

subtest 'a call' => sub {
    my $answer = enter({ text => 'Звонила: яма у школы', point => { lat => 57.8, lon => 61.2 }, theme => 'road.pothole', contact => { name => 'Мария', phone => '+7 900 000-00-00' }, consent => '2026-11-01' });
    is $answer->{status}, 201, 'is stored' or diag $answer->{content};
    my $id = $answer->{json}{id};
    is sql("select channel, client, auth, legal_class from appeal where region_id = 90 and id = '$id'"), 'operator|registrar-anna|api_key|message', 'as what it is';
    is sql("select entry ->> 'by', entry ->> 'source', entry ? 'event', (entry ->> 'typed_at')::timestamptz > now() - interval '1 minute' from appeal where id = '$id'"),
        'registrar-anna|telephone|f|t', 'with who typed it';
    is sql("select actor, detail -> 'entry' ->> 'by' from appeal_event where appeal_id = '$id' and seq = 1"), 'staff:registrar-anna|registrar-anna', 'also in its history';
    is sql("select name from contact where appeal_id = '$id'"), 'Мария', 'and the contact apart';
    wait_for(sub { sql("select status from appeal where id = '$id'") ne 'captured' }, 20, 'routing');
    is sql("select status from appeal where id = '$id'"), 'routed', 'not moderated for having no name: a registrar is known';
    is get("/api/v1/appeals/$answer->{json}{number}?code=$answer->{json}{code}")->{status}, 200, 'who called follows it by number and code';
};

subtest 'an event, and a moment in the time of the region' => sub {
    for my $source (qw(meeting broadcast)) {
        is errors(enter({ source => $source })), 'event.at:required event.name:required', "a $source is one";
    }
    my $answer = enter({ source => 'meeting', event => { name => 'Встреча с главой', at => '2026-11-20T18:30', place => 'Клуб' } });
    is $answer->{status}, 201, 'a meeting' or diag $answer->{content};
    is sql("select entry -> 'event' ->> 'name', entry -> 'event' ->> 'place',
        (entry -> 'event' ->> 'at')::timestamptz = timestamp '2026-11-20 18:30' at time zone (select time_zone from region where id = 90) from appeal where id = '$answer->{json}{id}'"),
        'Встреча с главой|Клуб|t', 'which, where and when';
    is errors(enter({ source => 'meeting', event => { name => 'Встреча', at => 'tomorrow at 5' } })), 'event.at:form', 'a moment that is none';
    is errors(enter({ event => { place => 'Клуб' } })), 'event.name:together', 'a place without its event';
    is errors(enter({ source => 'pigeon' })), 'source:not_an_option', 'a source that is none';
    is errors(enter({ source => undef })), 'source:required', 'a source there must be';
    is errors(enter({ channel => 'vk' })), 'channel:not_allowed', 'the source says the channel';
};

subtest 'typed in later' => sub {
    my $said = time - 3 * 86400;
    my $answer = enter({ received_at => strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $said), theme => 'road.pothole', point => { lat => 57.8, lon => 61.2 } });
    is $answer->{status}, 201, 'is taken' or diag $answer->{content};
    my $id = $answer->{json}{id};
    is sql("select extract(epoch from received_at)::bigint from appeal where region_id = 90 and id = '$id'"), $said, 'with the moment it was said';
    is sql("select at = (select received_at from appeal where id = '$id') from appeal_event where appeal_id = '$id' and seq = 1"), 't', 'in its history, too';
    is sql("select created_at > now() - interval '1 minute' from idempotency where region_id = 90 and body like '%$id%'"), 't', 'its key is kept as long as every key';
    wait_for(sub { sql("select status from appeal where id = '$id'") ne 'captured' }, 20, 'routing');
    my $now = enter({ theme => 'road.pothole', point => { lat => 57.8, lon => 61.2 } })->{json}{id};
    wait_for(sub { sql("select status from appeal where id = '$now'") ne 'captured' }, 20, 'routing');
    is sql("select a.final_due_at < b.final_due_at from appeal a, appeal b where a.id = '$id' and b.id = '$now'"), 't', 'deadlines count from it';
    for my $wrong (time + 3600, time - 31 * 86400) {
        is errors(enter({ received_at => strftime('%Y-%m-%dT%H:%M:%SZ', gmtime $wrong) })), 'received_at:moment', 'neither to come nor too long ago';
    }
    is errors(enter({ received_at => 'last Friday' })), 'received_at:form', 'and a moment it must be';
};

subtest 'an appeal by the law' => sub {
    my %person = (contact => { name => 'Пётр Сидоров' }, consent => '2026-11-01');
    is errors(enter({ source => 'telephone', legal_class => 'appeal', %person })), 'legal_class:not_allowed', 'on the telephone nobody is identified';
    is errors(enter({ source => 'reception', legal_class => 'appeal' })), 'contact.name:required', 'an appeal has a name';
    my $answer = enter({ source => 'reception', legal_class => 'appeal', theme => 'road.pothole', point => { lat => 57.8, lon => 61.2 }, %person });
    is $answer->{status}, 201, 'at a reception' or diag $answer->{content};
    my $id = $answer->{json}{id};
    is sql("select channel, legal_class from appeal where id = '$id'"), 'reception|appeal', 'is one';
    wait_for(sub { sql("select status from appeal where id = '$id'") ne 'captured' }, 20, 'routing');
    is sql("select d.legal_class from appeal a join deadline_rule d on d.region_id = a.region_id and d.id = a.deadline_rule_id where a.id = '$id'"), 'appeal', 'with the deadlines of the law';
};

subtest 'the same twice is one' => sub {
    my %letter = (text => 'Дважды ' . new_key(), source => 'chat', received_at => '2026-11-25T00:10:00Z');
    $letter{received_at} = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time - 60));
    my $again = new_key();
    my ($first, $second) = map { enter(\%letter, idempotency => $again) } 1, 2;
    is $second->{content}, $first->{content}, 'the same answer';
    is $second->{headers}{'idempotency-replayed'}, 'true', 'said to be so';
    is enter({ %letter, source => 'telephone' }, idempotency => $again)->{status}, 422, 'from elsewhere it is another';
    is enter(\%letter, idempotency => undef)->{status}, 400, 'a key there must be';
};

done_testing;
