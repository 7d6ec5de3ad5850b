#!/usr/bin/env perl
# Quotas of a day, texts that repeat, senders that are blocked: what they refuse or hold, and how the desk undoes it.
use strict;
use warnings;
use utf8;
use FindBin;
use Test::More;
use Otklik::Command;
use Otklik::OpenAPI;
use Otklik::Test;

my $api = openapi_load("$FindBin::Bin/../../docs/openapi.yaml");
my %operation = map { $_->{operation}{operationId} => $_->{operation} } openapi_operations($api);
sub holds { my ($id, $answer) = @_; is_deeply [openapi_check_answer($api, $operation{$id}, $answer)], [], "$id answers $answer->{status} as documented"; return $answer }

sub new_desk_key {
    my ($subject, $role) = @_;
    my ($key) = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--subject', $subject, '--region', '90', '--roles', $role, '--scopes', 'desk')->{out} =~ /(otk_\w+)/;
    sleep 2;
    wait_for(sub { !grep { get('/api/v1/desk/blocks', key => $key)->{status} == 401 } 1 .. 8 }, 5, 'the edge to know the key');
    return $key;
}
my $key = new_desk_key('moderator-oleg', 'moderator');
my %list = (blocks => 'listBlocks', quotas => 'listQuotas', repeats => 'listRepeats');
sub desk { my ($path) = @_; return holds($list{ $path =~ s/\?.*//r }, get("/api/v1/desk/$path", key => $key, lang => 'en')) }
sub block { my ($members) = @_; return holds('addBlock', post_json('/api/v1/desk/blocks', { reason => 'проверка', %$members }, key => $key, idempotency => undef, lang => 'en')) }
sub drop { my ($path) = @_; return holds($path =~ /\Ablocks/ ? 'liftBlock' : 'forgiveQuota', request('DELETE', "/api/v1/desk/$path", key => $key, lang => 'en')) }
sub release { my ($number) = @_; return holds('releaseAppeal', post_json("/api/v1/desk/appeals/$number/release", '', key => $key, idempotency => undef, lang => 'en')) }
my @place = (point => { lat => 57.8, lon => 61.2 }, theme => 'light.street');
sub write_letter { my ($members, %o) = @_; return holds('submitAppeal', post_json('/api/v1/appeals', { text => 'Не горит фонарь во дворе ' . new_key(), @place, %{ $members // {} } }, lang => 'en', %o)) }
sub limits { my (%to) = @_; sql('update region_quota set ' . join(', ', map { "$_ = $to{$_}" } sort keys %to) . ' where region_id = 90'); return }
sub fresh { sql('delete from quota_use where region_id = 90'); return }
sub moved { my ($number) = @_; wait_for(sub { sql("select status from appeal where region_id = 90 and number = '$number'") ne 'captured' }, 20, 'routing'); return sql("select status from appeal where region_id = 90 and number = '$number'") }
sub reasons { my ($number) = @_; return sql("select coalesce(e.detail ->> 'reasons', '') from appeal a join appeal_event e on e.region_id = 90 and e.appeal_id = a.id and e.seq = a.last_seq where a.region_id = 90 and a.number = '$number'") }
sub acts { return sql("select count(*) from desk_act where region_id = 90 and actor = 'staff:moderator-oleg' and act = '$_[0]'") }
sub letters { return sql('select count(*) from appeal where region_id = 90') }
END { my $status = $?; eval { limits(per_address => 'null', per_resident => 'null', repeat_limit => 'null'); sql("update sender_block set lifted_by = 'test', lifted_at = now() where lifted_at is null") }; $? = $status }

subtest 'fifty letters at once at a quota of twenty: twenty are stored' => sub {
    fresh();
    limits(per_address => 20);
    my $before = letters();
    my @pids = map {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my $status = write_letter({})->{status};
            require POSIX;
            POSIX::_exit($status == 201 ? 1 : $status == 429 ? 2 : 3);
        }
        $pid;
    } 1 .. 50;
    my %how;
    for my $pid (@pids) { waitpid $pid, 0; $how{ $? >> 8 }++ }
    is_deeply \%how, { 1 => 20, 2 => 30 }, 'twenty are taken, thirty refused';
    is letters() - $before, 20, 'as many are stored';
    is sql("select used from quota_use where region_id = 90 and kind = 'address'"), '50', 'all are counted';
    my $answer = write_letter({});
    is $answer->{json}{type}, '/problems/quota-address', 'the problem names the quota';
    like $answer->{json}{detail}, qr/20 a day/, 'and its number';
    my $left = sql("select extract(epoch from (date_trunc('day', now() at time zone r.time_zone) + interval '1 day') at time zone r.time_zone - now())::integer from region r where r.id = 90");
    cmp_ok abs($answer->{headers}{'retry-after'} - $left), '<', 5, 'and the region\'s midnight';
};

subtest 'what is stored already is not counted' => sub {
    fresh();
    limits(per_address => 1);
    my %letter = (text => 'Один раз ' . new_key());
    my $again = new_key();
    my ($first, $second) = map { write_letter(\%letter, idempotency => $again) } 1, 2;
    is_deeply [$first->{status}, $second->{status}], [201, 201], 'the same letter again is answered again';
    is $second->{content}, $first->{content}, 'with the same answer';
    my $refused = new_key();
    is write_letter({ text => 'Завтра ' . $refused }, idempotency => $refused)->{status}, 429, 'another is over the quota';
    limits(per_address => 2);
    fresh();
    is write_letter({ text => 'Завтра ' . $refused }, idempotency => $refused)->{status}, 201, 'and is taken under the same key when there is room again';
};

subtest 'who has a key has no quota' => sub {
    fresh();
    limits(per_address => 1, per_resident => 1);
    my %person = (contact => { email => 'partner@example.org' }, consent => '1');
    is_deeply [map { write_letter(\%person, key => $ENV{OTKLIK_API_KEY})->{status} } 1 .. 3], [201, 201, 201], 'a partner';
    is sql('select count(*) from quota_use where region_id = 90'), '0', 'nothing is counted';
};

subtest 'a resident, by e-mail address or telephone' => sub {
    fresh();
    limits(per_address => 4, per_resident => 2);
    my @same = ({ email => 'Anna@example.org' }, { email => 'anna@EXAMPLE.org' }, { email => 'anna@example.org' });
    my @answers = map { write_letter({ contact => $_, consent => '1' }) } @same;
    is_deeply [map { $_->{status} } @answers], [201, 201, 429], 'the third is refused';
    is $answers[2]{json}{type}, '/problems/quota-resident', 'by the quota of a resident';
    is_deeply [map { write_letter({ contact => { phone => $_ }, consent => '1' })->{status} } '+7 900 555-66-77', '8 (900) 555 66 77', '89005556677'], [201, 201, 429], 'a telephone is one however it is written';
    is sql("select used from quota_use where region_id = 90 and kind = 'address'"), '4', 'what the one quota refuses does not use up the other';
    is write_letter({})->{json}{type}, '/problems/quota-address', 'which then is used up, too';
    is sql("select count(*) from quota_use where subject like '%example%' or subject like '%900%'"), '0', 'no contact lies in the counters';
};

subtest 'in the form without JavaScript' => sub {
    fresh();
    limits(per_address => 1, per_resident => 10);
    my %letter = ('point.lat' => '57,8', 'point.lon' => '61,2');
    my $send = sub { my ($text) = @_; return post_form('/?lang=ru', { %letter, text => $text, idempotency_key => new_key() }, idempotency => undef) };
    is $send->('Первое письмо')->{status}, 303, 'the first is taken';
    my $answer = $send->('Второе письмо про фонарь');
    is $answer->{status}, 429, 'the second is not';
    utf8::decode(my $page = $answer->{content});
    like $page, qr/Второе письмо про фонарь/, 'the text is kept';
    like $page, qr/Можно 1 в день/, 'and it is said why';
    cmp_ok $answer->{headers}{'retry-after'}, '>', 0, 'and until when';
};

subtest 'the desk sees who is at the limit, and forgives' => sub {
    my $quotas = desk('quotas');
    is $quotas->{status}, 200, 'there is a list' or diag $quotas->{content};
    my ($who) = @{ $quotas->{json}{at_limit} };
    is "$who->{kind} $who->{asked} of $quotas->{json}{per_address}", 'address 2 of 1', 'of who is over';
    is drop("quotas/address/$who->{subject}")->{status}, 200, 'is forgiven';
    is write_letter({})->{status}, 201, 'and writes again';
    is drop('quotas/resident/nobody')->{status}, 404, 'whom nobody counted nobody forgives';
    is acts('forgive'), '1', 'the act is written down';
    limits(per_address => 'null', per_resident => 'null');
};

subtest 'a text that repeats goes to a moderator' => sub {
    limits(repeat_limit => 3);
    my $tag = new_key();
    my @texts = ("Уберите свалку у реки, пахнет ужасно $tag", "УБЕРИТЕ СВАЛКУ У РЕКИ! Пахнет ужасно... $tag", "Убepитe свaлку у pеки, пaхнeт ужaснo $tag", "уберите свалку у реки пахнет ужасно $tag",
        "Уберите свалку, у реки, пахнет ужасно: $tag");
    my @numbers = map { my $answer = write_letter({ text => $_ }); moved($answer->{json}{number}); $answer->{json}{number} } @texts;
    unlike reasons($_), qr/repeat/, 'three pass' for @numbers[0 .. 2];
    like reasons($_), qr/repeat/, 'the next ones are held' for @numbers[3, 4];
    my ($repeat) = grep { $_->{letters}[0]{text} =~ /\Q$tag\E/ } @{ desk('repeats')->{json}{repeats} };
    is $repeat->{times}, 5, 'the desk sees how often' or diag desk('repeats')->{content};
    is_deeply [sort map { $_->{number} } @{ $repeat->{letters} }], [sort @numbers], 'and which letters';
    my $count = "select coalesce(sum(received), 0), coalesce(sum(moderation), 0), coalesce(sum(routed), 0) from appeal_count where region_id = 90";
    my $released = release($numbers[4]);
    is $released->{status}, 200, 'a moderator lets one go' or diag $released->{content};
    is moved($numbers[4]), 'routed', 'which is routed, though its sender has no name: a moderator has read it';
    is sql("select count(*) from appeal_event e join appeal a on a.region_id = 90 and a.id = e.appeal_id where a.number = '$numbers[4]' and e.region_id = 90 and e.kind = 'released' and e.actor = 'staff:moderator-oleg'"), '1', 'it stands in the history';
    is release($numbers[4])->{status}, 404, 'only once';
    is release($numbers[0])->{status}, 404, 'and only what is held for that';
    is acts('release'), '1', 'the act is written down';
    wait_for(sub { sql("select count(*) from outbox where topic = 'route'") eq '0' }, 20, 'routing');
    is sql($count), sql("select count(*), count(*) filter (where status = 'moderation'), count(*) filter (where status not in ('captured', 'moderation')) from appeal where region_id = 90"), 'the counters equal a recount';
    is otklik('audit', 'verify', '--region', '90', { role => 'otklik_owner' })->{status}, 0, 'and the chains hold';
    is sql('select count(*) from text_repeat t where t.region_id = 90 and t.times > 3'), '1', 'nobody else was held';
    limits(repeat_limit => 'null');
};

subtest 'blocks hold, or refuse, and can be lifted' => sub {
    my %person = (contact => { email => 'rude@example.org' }, consent => '1');
    my $first = write_letter(\%person)->{json}{number};
    my $block = block({ kind => 'resident', number => $first });
    is $block->{status}, 201, 'the sender of a letter is blocked' or diag $block->{content};
    is $block->{json}{by}, 'staff:moderator-oleg', 'by whom';
    my $held = write_letter(\%person);
    is $held->{status}, 201, 'what comes then is stored all the same';
    moved($held->{json}{number});
    like reasons($held->{json}{number}), qr/blocked/, 'and held for a moderator';
    my $other = write_letter({ contact => { email => 'kind@example.org' }, consent => '1' })->{json}{number};
    moved($other);
    unlike reasons($other), qr/blocked/, 'that of somebody else is not';
    is release($held->{json}{number})->{status}, 200, 'it may be let go';
    is moved($held->{json}{number}), 'routed', 'and is routed';

    my $lifted = drop("blocks/$block->{json}{id}");
    is $lifted->{json}{lifted_by}, 'staff:moderator-oleg', 'the block is lifted' or diag $lifted->{content};
    is drop("blocks/$block->{json}{id}")->{status}, 404, 'once';
    is drop('blocks/no-such')->{status}, 404, 'one that there is not';
    my $free = write_letter(\%person)->{json}{number};
    moved($free);
    unlike reasons($free), qr/blocked/, 'then letters pass';

    my $before = letters();
    my $text = 'Реклама окон и дверей дёшево ' . new_key();
    my $advert = write_letter({ text => $text })->{json}{number};
    my $refusing = block({ kind => 'text', number => $advert, refuse => \1, until => '2999-01-01' });
    is $refusing->{status}, 201, 'a text is refused' or diag $refusing->{content};
    my $answer = write_letter({ text => uc $text });
    is $answer->{status}, 403, 'in any case';
    is $answer->{json}{type}, '/problems/blocked', 'and said why';
    is write_letter({ text => $text }, key => $ENV{OTKLIK_API_KEY})->{status}, 201, 'a partner answers for what it sends';
    is letters() - $before, 2, 'what is refused is not stored';
    my $address = block({ kind => 'address', number => $advert });
    is sql("select until = (date_trunc('day', now() at time zone 'UTC') + interval '1 day') at time zone 'UTC' from sender_block where id = '$address->{json}{id}'"), 't', 'an address is blocked for its day';
    is scalar @{ desk('blocks')->{json}{blocks} }, 2, 'two are in force';
    is scalar(grep { $_->{lifted_at} } @{ desk('blocks?all=true')->{json}{blocks} }), 1, 'and one was';
    drop("blocks/$_->{id}") for @{ desk('blocks')->{json}{blocks} };
    is_deeply desk('blocks')->{json}{blocks}, [], 'all can be lifted';
    is sql("select string_agg(act || ' ' || n, ', ' order by act) from (select act, count(*) as n from desk_act where region_id = 90 group by act) a"), 'block 3, forgive 1, lift 3, release 2', 'every act is written down';
};

subtest 'what cannot be blocked, and who may not' => sub {
    my $errors = sub { join ' ', sort map { "$_->{field}:$_->{code}" } @{ $_[0]->{json}{errors} // [] } };
    is $errors->(block({ kind => 'address' })), 'number:required', 'nobody is named';
    is $errors->(block({ kind => 'address', number => '1', subject => 'x' })), 'number:not_allowed', 'two are named';
    is $errors->(block({ kind => 'address', number => '90-2026-9999999-9' })), 'number:no_such', 'a letter that there is not';
    is $errors->(block({ kind => 'planet', subject => 'x', reason => '' })), 'kind:not_an_option reason:too_short', 'of no kind, for no reason';
    my $partner = appeal({}, key => $ENV{OTKLIK_API_KEY})->{number};
    is $errors->(block({ kind => 'resident', number => $partner })), 'number:no_such', 'a letter that says nobody';
    my $registrar = new_desk_key('registrar-anna', 'registrar');
    for my $path (qw(blocks quotas repeats)) {
        is get("/api/v1/desk/$path")->{status}, 401, "$path: nobody without a credential";
        is get("/api/v1/desk/$path", key => $registrar)->{status}, 403, "$path: no registrar";
        is get("/api/v1/desk/$path", key => $ENV{OTKLIK_API_KEY})->{status}, 403, "$path: nobody without the scope";
        is get("/api/v1/desk/$path", key => $ENV{OTKLIK_STAFF_KEY})->{status}, 200, "$path: the key that the demo gives";
    }
    is request('PUT', '/api/v1/desk/blocks', key => $key)->{status}, 405, 'not this method';
};

done_testing;
