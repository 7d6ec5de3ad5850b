#!/usr/bin/env perl
# Events of networks: stored before they are acknowledged, once each; what each becomes; what is poison, and what is refused.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use Test::More;
use Otklik::Command;
use Otklik::OpenAPI;
use Otklik::Test;

my $api = openapi_load("$FindBin::Bin/../../docs/openapi.yaml");
my %documented = map { $_->{operation}{operationId} => $_->{operation} } openapi_operations($api);
my %operation = (vk => 'hookVk', telegram => 'hookTelegram', ok => 'hookOk', max => 'hookMax');
my $lamp = 'Во дворе дома 5 по Лесной третий день не горит фонарь';
my $secret = 'vk-secret-' . new_key();
my $group = 4_000_000_123;
my %key;
my $serial = 5_000_000_000;
sub next_id { return ++$serial }

# ---- sending

sub headers_of {
    my ($network, $with) = @_;
    return $network eq 'telegram' ? { 'X-Telegram-Bot-Api-Secret-Token' => $with } : $network eq 'max' ? { 'X-Max-Bot-Api-Secret' => $with } : {};
}

# The body to the account's hook; a structure, or bytes as they are.
sub hook {
    my ($network, $account, $body, %o) = @_;
    my $with = $o{secret} // $key{"$network $account"} // '';
    my $path = "/hooks/$network/$account" . ($network eq 'ok' ? "/$with" : '');
    my $answer = request($o{method} // 'POST', $path, content => ref $body ? as_json($body) : $body, lang => $o{lang},
        headers => { 'Content-Type' => 'application/json', %{ headers_of($network, $with) } });
    is_deeply [openapi_check_answer($api, $documented{ $operation{$network} }, $answer)], [], "$network: $answer->{status} is as documented"
        or diag "$answer->{status} $answer->{content}" if $answer->{status} != 599;
    return $answer;
}

sub vk { my ($type, $object, %o) = @_; return { type => $type, object => $object, group_id => $group, secret => $secret, event_id => $o{event} // new_key(), v => '5.199' } }
sub reply_of { my ($id, $text, %o) = @_; return { id => $id, from_id => 123, date => 1_764_060_000, post_id => 6, post_owner_id => -$group, defined $text ? (text => $text) : (), %o } }
sub gone { my ($id) = @_; return { owner_id => -$group, id => $id, deleter_id => 123, post_id => 6 } }
sub letter { my ($id, $text, %o) = @_; return { update_id => $o{update} // next_id(), $o{kind} // 'message' => {
    message_id => $id, date => 1_764_060_000, chat => { id => 77, type => 'private' }, from => { id => 77, is_bot => JSON::PP::false(), first_name => 'Анна' },
    defined $text ? (text => $text) : (), %{ $o{more} // {} } } } }

# What became of the last event of an account: a hash of its columns, once it is finished.
sub become {
    my ($network, $account, $event) = @_;
    my $where = "channel = '$network' and account = '$account'" . (defined $event ? " and event_id = '$event'" : '');
    wait_for(sub { sql("select count(*) from hook_event where $where and state = 'new'") eq '0' }, 40, "the events of $network $account");
    return json_of(encode_utf8(sql("select row_to_json(e) from (select id, event_id, state, outcome, reason, text, appeal_id, error, raw is not null as raw from hook_event "
        . "where $where order by id desc limit 1) e")));
}

# Sends one and waits for what it becomes.
sub sent {
    my ($network, $account, $body, %o) = @_;
    is hook($network, $account, $body, %o)->{status}, 200, "$network: acknowledged";
    return become($network, $account, $o{event});
}

sub appeal_of { my ($event) = @_; return json_of(encode_utf8(sql("select row_to_json(a) from (select id, text, channel, status, client, auth, external_id, last_seq, st_y(point) as lat from appeal where id = '$event->{id}') a") || 'null')) }
sub steps_of { my ($appeal) = @_; return [split /\n/, sql("select kind || ' ' || actor from appeal_event where appeal_id = '$appeal' order by seq")] }

# ---- accounts

my @columns = qw(channel account mode page secret confirmation);
sub accounts { my (@rows) = @_; write_file('accounts.tsv', join '', map { join("\t", @$_) . "\n" } \@columns, @rows); return otklik('import', 'accounts', scratch() . '/accounts.tsv', '--region', 90) }

subtest 'accounts' => sub {
    my @rows = (
        ['vk', 'city', 'answer', $group, $secret, 'c0nfirm'], ['vk', 'quiet', 'read', $group, $secret, ''], ['vk', 'closed', 'off', $group, $secret, 'x1'],
        map({ [$_, 'city', 'answer', '', '', ''] } qw(telegram ok max)), map({ [$_, 'quiet', 'read', '', '', ''] } qw(telegram ok max)),
        ['telegram', 'closed', 'off', '', '', ''],
    );
    my $run = accounts(@rows);
    is $run->{status}, 0, 'are imported' or diag $run->{err};
    like $run->{out}, qr/: 10 accounts \(10 added, 0 changed\)/, 'and counted';
    like accounts(@rows)->{out}, qr/: 10 accounts \(0 added, 0 changed\)/, 'again they are the same';
    like accounts(['vk', 'quiet', 'read', '', '', ''])->{out}, qr/: 1 accounts \(0 added, 0 changed\)/, 'what is empty keeps what is there';
    is sql("select encode(secret_digest, 'hex') from channel_account where channel = 'vk' and account = 'city'"), sha256_hex($secret), 'of the secret only its digest is kept';
    my $before = sql('select count(*) from channel_account');
    for my $bad (['vk', 'new', 'read', '', $secret, ''], ['vk', 'new', 'read', 5, '', ''], ['vk', 'new', 'read', -5, $secret, ''], ['telegram', 'new', 'loud', '', '', ''],
        ['icq', 'new', 'read', '', '', ''], ['ok', 'a b', 'read', '', '', ''], ['ok', '', 'read', '', '', ''], ['max', 'new', 'read', '', 'x', '']) {
        my $refused = accounts(['ok', 'fine', 'read', '', '', ''], $bad);
        is $refused->{status}, 1, "refused: @$bad";
        like $refused->{err}, qr/accounts\.tsv:3: /, 'and its line is named';
    }
    is sql('select count(*) from channel_account'), $before, 'a file with a mistake changes nothing';
};

for my $network (qw(telegram ok max)) {
    for my $account (qw(city quiet closed nobody)) {
        my $made = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--subject', $account, '--roles', 'channel', '--region', 90, '--hook', $network);
        die $made->{err} if $made->{status};
        chomp($key{"$network $account"} = $made->{out});
    }
}
wait_for(sub { request('POST', '/hooks/max/nobody', content => '{}', headers => headers_of('max', $key{'max nobody'}))->{status} == 404 }, 10, 'the edge to read its keys');

# ---- who is refused

subtest 'the confirmation of ВКонтакте' => sub {
    my $answer = hook('vk', 'city', { type => 'confirmation', group_id => $group });
    is $answer->{content}, 'c0nfirm', 'the bare string';
    like $answer->{headers}{'content-type'}, qr{\Atext/plain}, 'as text';
    is hook('vk', 'city', { type => 'confirmation', group_id => $group, secret => $secret })->{content}, 'c0nfirm', 'with the secret, too';
    is hook('vk', 'city', { type => 'confirmation', group_id => $group, secret => 'x' })->{status}, 401, 'not with a wrong one';
    my $foreign = hook('vk', 'city', { type => 'confirmation', group_id => 1 }, lang => 'en');
    is $foreign->{status}, 422, 'nor for the page of somebody else';
    is $foreign->{json}{errors}[0]{field}, 'group_id', 'which is named';
    is hook('vk', 'city', { type => 'confirmation' })->{json}{errors}[0]{code}, 'required', 'nor for none';
    is hook('vk', 'quiet', { type => 'confirmation', group_id => $group })->{status}, 404, 'nor where there is no string';
};

subtest 'who is refused' => sub {
    my $before = sql('select count(*) from hook_event');
    my $event = vk('wall_reply_new', reply_of(1, $lamp));
    is hook('vk', 'city', { %$event, secret => $_ })->{status}, 401, "vk: secret '$_'" for '', 'x', $secret . 'x', substr $secret, 1;
    my %none = %$event;
    delete $none{secret};
    is hook('vk', 'city', \%none)->{status}, 401, 'vk: no secret';
    is hook('vk', 'city', { %$event, secret => 5 })->{status}, 401, 'vk: a number for a secret';
    is hook('vk', 'city', { %$event, group_id => 5 })->{status}, 422, 'vk: another page';
    is hook('vk', 'city', $_)->{status}, 400, 'vk: no JSON object' for '{"secret":', '[]', '"x"', "{\"secret\":\"\xff\"}", '[' x 100_000;
    is hook('vk', $_, $event)->{status}, 404, "vk: no account $_" for 'nobody', 'CITY';
    is hook('vk', 'closed', $event)->{status}, 403, 'vk: an account that is off';
    is hook('telegram', 'closed', letter(1, $lamp))->{status}, 403, 'telegram: one that is off';
    for my $network (qw(telegram ok max)) {
        is hook($network, 'city', '{}', secret => 'otk_wrong')->{status}, 401, "$network: a wrong secret";
        is hook($network, 'city', '{}', secret => $key{"$network quiet"})->{status}, 403, "$network: that of another account";
        is hook($network, 'nobody', '{}')->{status}, 404, "$network: no such account";
        is hook($network, 'city', '')->{status}, 400, "$network: nothing in it";
        is hook($network, 'city', 'x' x 300_000)->{status}, 413, "$network: too much in it";
    }
    is hook('vk', 'city', '', method => 'GET')->{status}, 405, 'another method';
    is request('POST', "/hooks/$_", content => '{}')->{status}, 404, "/hooks/$_" for '', 'vk', 'icq/city', 'vk/city/more';
    is sql('select count(*) from hook_event'), $before, 'nothing of it was stored';
    sleep 2; # the log is written once a second
    my ($told) = (log_of('nginx') . log_of('intake')) =~ /^(.*(?:\Q$secret\E|\Q$key{'ok city'}\E).*)$/m;
    is $told, undef, 'no log tells a secret';
};

# ---- what it becomes

subtest 'a comment becomes an appeal' => sub {
    my $answer = hook('vk', 'city', vk('wall_reply_new', reply_of(9_007_199_254_740_993, " $lamp\r\n\x{0}")));
    is "$answer->{status} $answer->{content}", '200 ok', 'acknowledged with two letters';
    like $answer->{headers}{'content-type'}, qr{\Atext/plain}, 'as text';
    my $event = become('vk', 'city');
    is "$event->{state} $event->{outcome}", 'done appeal', 'it is one' or diag explain $event;
    is $event->{appeal_id}, $event->{id}, 'with the id of its event';
    ok $event->{raw}, 'what came is kept for a while';
    my $appeal = appeal_of($event);
    is $appeal->{text}, $lamp, 'its text, without controls and blanks around';
    is join(' ', @{$appeal}{qw(channel auth client)}), 'vk hook city', 'from where';
    is $appeal->{external_id}, "reply:-$group:6:9007199254740993", 'ids pass 2^53';
    wait_for(sub { sql("select status from appeal where id = '$event->{id}'") eq 'moderation' }, 20, 'routing');
    is_deeply steps_of($event->{id}), ['captured hook:vk:city', 'moderation routing'], 'its history says who brought it';
    is sql("select sum(received) from appeal_count where region_id = 90") >= 1, 1, 'it is counted';
    my $same = sent('vk', 'city', as_json(vk('wall_reply_new', reply_of('9007199254740993', $lamp))));
    is "$same->{outcome} $same->{reason}", 'not_an_appeal repeated', 'the same message under another id of the event, its own as a string, is no second one';
};

subtest 'repeats' => sub {
    my %repeat = (
        vk => vk('wall_reply_new', reply_of(11, $lamp)), telegram => letter(11, $lamp),
        ok => { webhookType => 'MESSAGE_CREATED', timestamp => 1, recipient => { chat_id => 'chat:C1' }, sender => { user_id => 'user:1' }, message => { mid => 'mid:11', text => $lamp } },
        max => { update_type => 'message_created', timestamp => 1, message => { body => { mid => 'mid.11', text => $lamp }, sender => { user_id => 1 }, recipient => { chat_type => 'dialog' } } },
    );
    for my $network (sort keys %repeat) {
        my $before = sql("select count(*) from hook_event where channel = '$network'");
        my @pids = map { my $pid = fork // die; if ($pid == 0) { require POSIX; POSIX::_exit(request_status($network, $repeat{$network}) == 200 ? 0 : 1) } $pid } 1 .. 8;
        my $bad = 0;
        for (@pids) { waitpid $_, 0; $bad++ if $? }
        is $bad, 0, "$network: eight times at once, eight times acknowledged";
        is sql("select count(*) from hook_event where channel = '$network'"), $before + 1, "$network: and stored once";
        is become($network, 'city')->{outcome}, 'appeal', "$network: one appeal";
    }
    my $plain = reply_of(12, $lamp);
    my %nameless = %{ vk('wall_reply_new', $plain) };
    delete $nameless{event_id};
    is hook('vk', 'city', \%nameless)->{content}, 'ok', 'without an id of its own' for 1, 2;
    like become('vk', 'city')->{event_id}, qr/\Asha256:[0-9a-f]{64}\z/, 'the same bytes are the same event';
    is sql("select count(*) from appeal where external_id = 'reply:-$group:6:12'"), 1, 'and one appeal';
};
sub request_status {
    my ($network, $body) = @_;
    my $with = $key{"$network city"} // '';
    return request('POST', "/hooks/$network/city" . ($network eq 'ok' ? "/$with" : ''), content => as_json($body), headers => headers_of($network, $with))->{status};
}

subtest 'edits, deletions and restorations are followed' => sub {
    my $first = sent('vk', 'city', vk('wall_reply_new', reply_of(20, $lamp)));
    wait_for(sub { sql("select status from appeal where id = '$first->{id}'") ne 'captured' }, 20, 'routing');
    my $edit = sent('vk', 'city', vk('wall_reply_edit', reply_of(20, 'Уже два фонаря не горят, <b>и яма</b>')));
    is "$edit->{outcome} $edit->{appeal_id}", "update $first->{id}", 'an edit is of that appeal';
    is sent('vk', 'city', vk('wall_reply_delete', gone(20)))->{outcome}, 'deletion', 'a deletion';
    is sent('vk', 'city', vk('wall_reply_restore', reply_of(20, $lamp)))->{outcome}, 'restoration', 'a restoration';
    is_deeply steps_of($first->{id}), ['captured hook:vk:city', 'moderation routing', map { "$_ hook:vk:city" } qw(edited source_deleted source_restored)], 'each is a step';
    is appeal_of($first)->{text}, $lamp, 'what was written stays';
    is sql("select detail ->> 'text' from appeal_event where appeal_id = '$first->{id}' and kind = 'edited'"), 'Уже два фонаря не горят, <b>и яма</b>', 'the new text stands in its step';

    # The author has no code yet: one is made up for the page to be seen.
    sql("update appeal set code_digest = sha256('C3YPYYMFCGRFZZ02') where id = '$first->{id}'");
    my $number = sql("select number from appeal where id = '$first->{id}'");
    my $way = get("/api/v1/appeals/$number?code=C3YP-YYMF-CGRF-ZZ02");
    is_deeply [openapi_check_answer($api, $documented{trackAppeal}, $way)], [], 'its way is as documented' or diag $way->{content};
    my %page = (ru => qr/Текст изменён там.*Уже два фонаря не горят, &lt;b&gt;и яма.*Сообщение удалено там.*Сообщение восстановлено/s,
        en => qr/The text was changed where.*The message was deleted where.*The message was restored/s);
    like Encode::decode_utf8(get("/track?number=$number&code=C3YP-YYMF-CGRF-ZZ02&lang=$_")->{content}), $page{$_}, "and on the page ($_)" for sort keys %page;

    # All at once: the order holds.
    hook('telegram', 'city', $_) for letter(21, $lamp), map { letter(21, "$lamp, день $_", kind => 'edited_message') } 1 .. 9;
    my $last = become('telegram', 'city');
    is $last->{outcome}, 'update', 'ten events of one message at once';
    is sql("select string_agg(right(detail ->> 'text', 1), '' order by seq) from appeal_event where appeal_id = '$last->{appeal_id}' and kind = 'edited'"), '123456789', 'in their order';
    my $run = otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' });
    is $run->{status}, 0, 'every chain is whole' or diag $run->{out} . $run->{err};
};

subtest 'chatter stays out, and is kept for review' => sub {
    my %chatter = ('Спасибо большое, молодцы!' => 'thanks', 'Добрый день' => 'greeting', '👍👍👍' => 'no_words', 'https://example.org/a?b=1' => 'link_only', 'Ок' => 'too_short', '/start' => 'command',
        'С праздником, дорогие земляки!' => 'thanks', '' => 'no_text');
    my $before = sql('select count(*) from appeal');
    for my $text (sort keys %chatter) {
        my $event = sent('telegram', 'city', letter(next_id(), $text));
        is "$event->{outcome} $event->{reason}", "not_an_appeal $chatter{$text}", "'$text'";
        is $event->{text} // '', $text, 'what was said is kept';
    }
    is sql('select count(*) from appeal'), $before, 'nothing of it is in the register';
    my $id = next_id();
    sent('telegram', 'city', letter($id, 'Спасибо!'));
    my $event = sent('telegram', 'city', letter($id, 'Спасибо! А фонарь у дома 5 когда почините?', kind => 'edited_message'));
    is $event->{outcome}, 'appeal', 'an edit that asks makes it one';
    is appeal_of($event)->{text}, 'Спасибо! А фонарь у дома 5 когда почините?', 'with what it says now';
    sent('vk', 'city', vk('wall_reply_new', reply_of(30, 'Красивый город')));
    my $deleted = sent('vk', 'city', vk('wall_reply_delete', gone(30)));
    is "$deleted->{outcome} $deleted->{reason}", 'not_an_appeal not_in_register', 'a deletion of chatter changes nothing in the register';
    is sql("select count(*) from hook_event where text = 'Красивый город'"), 0, 'and what its author took back is kept no longer';
};

# [network, event, outcome, reason]
my $me = { from_id => -$group };
my @kinds = (
    map({ my ($type, $object) = @$_;
        (['vk', "${type}_new", { %$object, id => 40, from_id => 1, text => $lamp }, 'appeal'], ['vk', "${type}_edit", { %$object, id => 40, from_id => 1, text => "$lamp!" }, 'update'],
         ['vk', "${type}_delete", { ($type eq 'board_post' ? 'topic_owner_id' : 'owner_id') => -$group, id => 40, deleter_id => 1, map { $_ => $object->{$_} } grep { !/owner/ } keys %$object }, 'deletion'],
         ['vk', "${type}_restore", { %$object, id => 40, from_id => 1, text => $lamp }, 'restoration'],
         ['vk', "${type}_new", { %$object, %$me, id => 41, text => $lamp }, 'not_an_appeal', 'own'],
         ['vk', "${type}_delete", { ($type eq 'board_post' ? 'topic_owner_id' : 'owner_id') => -$group, id => 42, deleter_id => 1, map { $_ => $object->{$_} } grep { !/owner/ } keys %$object }, 'not_an_appeal', 'not_in_register'])
    } ['wall_reply', { post_owner_id => -$group, post_id => 5 }], ['video_comment', { video_owner_id => -$group, video_id => 5 }], ['photo_comment', { photo_owner_id => -$group, photo_id => 5 }],
        ['market_comment', { market_owner_id => -$group, item_id => 5 }], ['board_post', { topic_owner_id => -$group, topic_id => 5 }]),
    ['vk', 'wall_post_new', { id => 43, from_id => 1, owner_id => -$group, text => $lamp, post_type => 'suggest' }, 'appeal'],
    ['vk', 'wall_post_new', { id => 44, from_id => -$group, owner_id => -$group, text => $lamp }, 'not_an_appeal', 'own'],
    ['vk', 'message_new', { message => { id => 45, from_id => 9, peer_id => 9, conversation_message_id => 3, out => 0, text => $lamp, geo => { type => 'point', coordinates => { latitude => 57.8, longitude => 61.2 } } } }, 'appeal'],
    ['vk', 'message_edit', { id => 45, from_id => 9, peer_id => 9, conversation_message_id => 3, out => 0, text => "$lamp!" }, 'update'],
    ['vk', 'message_edit', { id => 46, from_id => 9, peer_id => 9, conversation_message_id => 4, out => 1, text => $lamp }, 'not_an_appeal', 'own'],
    ['vk', 'message_reply', { id => 47, from_id => 9, peer_id => 9, conversation_message_id => 5, out => 1, text => $lamp }, 'not_an_appeal', 'own'],
    map({ ['vk', $_, { user_id => 9 }, 'not_an_appeal', 'not_a_message'] } qw(message_allow message_deny group_join group_leave poll_vote_new wall_repost something_new)),
    ['telegram', undef, letter(50, $lamp), 'appeal'], ['telegram', undef, letter(50, "$lamp!", kind => 'edited_message'), 'update'],
    ['telegram', undef, letter(51, undef, more => { caption => $lamp, location => { latitude => 57.8, longitude => 61.2 } }), 'appeal'],
    ['telegram', undef, letter(52, $lamp, kind => 'channel_post', more => { chat => { id => -5, type => 'channel' } }), 'not_an_appeal', 'own'],
    ['telegram', undef, letter(53, $lamp, more => { chat => { id => -6, type => 'supergroup' }, is_automatic_forward => JSON::PP::true() }), 'not_an_appeal', 'own'],
    ['telegram', undef, letter(54, $lamp, more => { chat => { id => -6, type => 'supergroup' }, sender_chat => { id => -6 } }), 'not_an_appeal', 'own'],
    ['telegram', undef, letter(55, $lamp, more => { chat => { id => -6, type => 'supergroup' } }), 'appeal'],
    ['telegram', undef, letter(56, $lamp, more => { from => { id => 1, is_bot => JSON::PP::true() } }), 'not_an_appeal', 'bot'],
    ['telegram', undef, { update_id => next_id(), message_reaction => { chat => { id => 1 }, message_id => 5 } }, 'not_an_appeal', 'not_a_message'],
    ['telegram', undef, { update_id => next_id(), something_new => [{ text => $lamp }] }, 'not_an_appeal', 'not_a_message'],
    map({ my ($network, $new, $edited, $removed, $body) = @$_;
        (['' . $network, undef, $body->($new, 'm.60', $lamp), 'appeal'], [$network, undef, $body->($edited, 'm.60', "$lamp!"), 'update'], [$network, undef, $body->($edited, 'm.60', "$lamp!!"), 'update'],
         [$network, undef, $body->($removed, 'm.60'), 'deletion'], [$network, undef, $body->($new, 'm.61', 'Спасибо'), 'not_an_appeal', 'thanks'], [$network, undef, $body->('bot_started', undef), 'not_an_appeal', 'not_a_message'])
    } ['ok', qw(MESSAGE_CREATED MESSAGE_EDITED MESSAGE_REMOVED), sub { my ($type, $mid, $text) = @_; return { webhookType => $type, timestamp => next_id(), recipient => { chat_id => 'chat:C1' },
            sender => { user_id => 'user:1' }, message => { $mid ? (mid => $mid) : (), defined $text ? (text => $text) : () } } }],
        ['max', qw(message_created message_edited message_removed), sub { my ($type, $mid, $text) = @_; return { update_type => $type, timestamp => next_id(),
            $type eq 'message_removed' ? (message_id => $mid, chat_id => 5) : $mid ? (message => { sender => { user_id => 1, is_bot => JSON::PP::false() }, recipient => { chat_id => 5, chat_type => 'chat' }, body => { mid => $mid, text => $text } }) : () } }]),
    ['max', undef, { update_type => 'message_created', timestamp => 5, message => { sender => { user_id => 1, is_bot => JSON::PP::true() }, body => { mid => 'm.62', text => $lamp } } }, 'not_an_appeal', 'bot'],
);
subtest 'each kind of event' => sub {
    for my $kind (@kinds) {
        my ($network, $type, $body, $outcome, $reason) = @$kind;
        my $event = sent($network, 'city', defined $type ? vk($type, $body) : $body);
        is join(' ', grep { defined } @{$event}{qw(state outcome reason error)}), join(' ', grep { defined } 'done', $outcome, $reason), join ' ', $network, $type // (sort keys %$body)[0], $outcome;
        is appeal_of($event)->{lat}, 57.8, 'with its place' if $outcome eq 'appeal' && as_json($body) =~ /latitude/;
    }
};

subtest 'poison is acknowledged, set aside with its error, and holds nobody up' => sub {
    my $aside = sub { my ($event, $like, $name) = @_; is $event->{state}, 'failed', "$name: set aside"; like $event->{error}, $like, "$name: and why"; ok $event->{raw}, "$name: as it came" };
    $aside->(sent('vk', 'city', as_json(vk('wall_reply_new', reply_of(1, $lamp))) =~ s/"id":1,/"id":9223372036854775808,/r), qr/\Aid has another form/, 'an id over 64 bits');
    $aside->(sent('vk', 'city', vk('wall_reply_new', reply_of('1; drop table appeal', $lamp))), qr/\Aid has another form/, 'an id that is none');
    $aside->(sent('vk', 'city', vk('wall_reply_new', reply_of(1.5, $lamp))), qr/\Aid has another form/, 'half an id');
    $aside->(sent('vk', 'city', vk('wall_reply_new', { text => $lamp })), qr/an id of the message is missing/, 'no id');
    $aside->(sent('vk', 'city', vk('wall_reply_new', reply_of(70, undef, text => { a => 1 }))), qr/\Atext has another form/, 'an object for a text');
    $aside->(sent('vk', 'city', { type => 'message_new', object => 5, group_id => $group, secret => $secret }), qr/an id of the message is missing/, 'no object');
    $aside->(sent('telegram', 'city', letter(71, 5)), qr/\Atext has another form/, 'a number for a text');
    $aside->(sent('telegram', 'city', '{"update_id":1,"message":{"a":' . '[' x 70 . ']' x 70 . '}}'), qr/nested deeper than 64/, 'seventy levels');
    $aside->(sent('telegram', 'city', $_), qr/no JSON object|not UTF-8/, 'no JSON object') for 'hello', '[1]', '{"update_id":', "{\"update_id\":\"\xC3\"}", '{"a":1}{}';
    $aside->(sent('max', 'city', { update_type => 'message_created', message => { body => { text => $lamp } } }), qr/an id of the message is missing/, 'max: no mid');
    is sent('telegram', 'city', letter(72, $lamp))->{outcome}, 'appeal', 'what comes after it goes on';
    is sent('telegram', 'city', encode_utf8('{"update_id":' . next_id() . ',"message":{"message_id":73,"chat":{"id":77,"type":"private"},"text":"\u0000Яма\u0007 \ud83d\ude00 и \udc00 лужа во дворе"}}'))->{outcome},
        'appeal', 'controls and half a pair are no poison';
    is sql("select text from appeal where external_id = 'message:77:73'"), "Яма  \x{1F600} и \x{FFFD} лужа во дворе", 'they are mended';
    my $metrics = internal('/intake/metrics')->{content};
    like $metrics, qr/^otklik_intake_hook_failed_total [1-9]/m, 'what is set aside is counted';
    like $metrics, qr/^otklik_intake_hook_$_ [1-9]/m, "so is: $_" for qw(events_total repeats_total appeals_total not_appeals_total followed_total);
};

subtest 'what fails for another reason than its form' => sub {
    my $tag = new_key();
    sql("alter table appeal add constraint test_poison check (text not like 'Яд $tag%') not valid");
    my @ids = map { next_id() } 1 .. 5;
    hook('telegram', 'city', letter($ids[$_], ($_ == 2 ? 'Яд' : 'Не горит фонарь') . " $tag, дом $_ по Лесной", update => $ids[$_])) for 0 .. $#ids;
    my @became = map { become('telegram', 'city', "update:$_") } @ids;
    sql('alter table appeal drop constraint test_poison');
    is_deeply [map { $_->{outcome} // $_->{state} } @became], [qw(appeal appeal failed appeal appeal)], 'what the database refuses is set aside alone';
    like $became[2]{error}, qr/23514/, 'and why';
    unlike log_of('intake'), qr/\Q$tag\E/, 'no text is in the log';

    sql("update hook_event set state = 'new', outcome = null, appeal_id = null, finished_at = null, attempts = 1 where id = '$became[0]{id}'");
    is become('telegram', 'city', "update:$ids[0]")->{outcome}, 'appeal', 'whose process died after it was stored is found';
    is sql("select count(*) from appeal where text like '%$tag, дом 0%'"), 1, 'and stored once';

    sql("update hook_event set state = 'new', error = null, finished_at = null, attempts = 8, not_before = received_at where id = '$became[2]{id}'");
    like become('telegram', 'city', "update:$ids[2]")->{error}, qr/tried too often/, 'one that was tried eight times is set aside unread';
    sql("update hook_event set state = 'new', error = null, finished_at = null, attempts = 0, not_before = received_at where id = '$became[2]{id}'");
    is become('telegram', 'city', "update:$ids[2]")->{outcome}, 'appeal', 'and may be tried again by hand';
};

subtest 'read only: no address, no body' => sub {
    my $event = sent('telegram', 'quiet', letter(80, $lamp));
    is $event->{outcome}, 'appeal', 'an appeal it is';
    ok !$event->{raw}, 'what came is erased';
    is appeal_of($event)->{external_id}, undef, 'the appeal does not say where to answer';
    is sql("select count(*) from hook_message where account = 'quiet' and address is not null"), 0, 'nor does anything else';
    my $edit = sent('telegram', 'quiet', letter(80, "$lamp!", kind => 'edited_message'));
    is "$edit->{outcome} $edit->{appeal_id}", "update $event->{id}", 'edits are followed all the same';
    ok !$edit->{raw}, 'and erased';
    accounts(['telegram', 'quiet', 'answer', '', '', '']);
    is sent('telegram', 'quiet', letter(80, "$lamp!!", kind => 'edited_message'))->{appeal_id}, $event->{id}, 'also after the account may answer';
};

subtest 'nothing acknowledged is lost' => sub {
    for my $i (1 .. 60) {
        # As a network does: again and again until it is acknowledged.
        wait_for(sub { request_status('telegram', letter(1000 + $i, "$lamp, подъезд $i", update => 7_000_000_000 + $i)) == 200 }, 60, 'an acknowledgement');
        kill_service($i == 40 ? 'postgres' : 'intake', $i == 40 ? 'QUIT' : 'KILL') if $i % 20 == 0;
    }
    wait_for(sub { eval { sql('select 1') } && internal('/intake/health/ready')->{status} == 200 }, 60, 'everything to be back');
    wait_for(sub { sql("select count(*) from hook_event where state = 'new'") eq '0' }, 60, 'the queue');
    my $ours = "from appeal where external_id ~ '^message:77:10[0-9]{2}\$'";
    is sql("select count(*), count(distinct external_id) $ours"), '60|60', 'around two deaths of the process and one of the database: each once';
    is otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' })->{status}, 0, 'every chain is whole';
};

subtest 'recorded events' => sub {
    my $samples = "$ENV{OTKLIK_SHARED}/data/api_samples";
    plan skip_all => 'no recorded events: OTKLIK_SHARED names no folder with data/api_samples' unless length $ENV{OTKLIK_SHARED} && -d $samples;
    my $raw = sub { my ($path) = @_; open my $in, '<:raw', $path or die "$path: $!"; local $/ = undef; return scalar <$in> };
    my (%seen, %table);
    my $judge = sub {
        my ($network, $event, $name, $type) = @_;
        is $event->{state}, 'done', "$name is read" or diag $event->{error};
        ok $event->{outcome}, "$name: " . join ' ', grep { defined } @{$event}{qw(outcome reason)};
        ok $event->{outcome} ne 'not_an_appeal' || $event->{reason}, "$name: with a reason";
        $seen{ $event->{outcome} // '' }++;
        $table{ $network . ' ' . $type }{ $event->{outcome} . (defined $event->{reason} ? " ($event->{reason})" : '') }++;
    };
    for my $path (sort glob "$samples/vk/GetBotsLongPollHistory_*.json") {
        my $text = $raw->($path);
        my $recorded = json_of($text =~ s/\A\xEF\xBB\xBF//r);
        next unless $recorded->{type}; # an error of another interface
        my ($name) = $path =~ m{_(\w+)\.json};
        # As it came, but for what ours must prove: the group and the secret. Then with a text that asks for something.
        my $ours = $text =~ s/\{/{"secret":"$secret",/r =~ s/"group_id":\s*\d+/"group_id": $group/r;
        $judge->('vk', sent('vk', 'city', $ours), "vk $name", $recorded->{type});
        next unless $recorded->{type} =~ /\A(?:wall_reply|video_comment|board_post|photo_comment|market_comment|message|wall_post)_(?:new|edit|restore|delete)\z/;
        my $asks = $ours =~ s/"text":\s*"(?:test1?|f)"/'"text": "' . encode_utf8("$lamp ($name)") . '"'/er =~ s/"id":\s*\d+,/'"id": ' . next_id() . ','/er =~ s/"conversation_message_id":\s*\d+/'"conversation_message_id": ' . next_id()/er;
        my $own = ($recorded->{object}{from_id} // "") =~ /\A-/ || $recorded->{object}{out} || 0;
        my $event = sent('vk', 'city', $asks);
        $table{"vk $recorded->{type}, asking"}{ $event->{outcome} . (defined $event->{reason} ? " ($event->{reason})" : '') }++;
        is $event->{outcome}, $recorded->{type} =~ /delete/ || $own ? 'not_an_appeal' : 'appeal', "vk $name that asks for something" or diag explain $event;
    }
    for my $recorded (@{ json_of($raw->("$samples/telegram/updates_from_teloxide_tests.json")) }) {
        my ($kind) = grep { $_ ne 'update_id' } sort keys %{ $recorded->{update} };
        $judge->('telegram', sent('telegram', 'city', $recorded->{update}), "telegram $recorded->{name}", $kind);
        next unless $recorded->{update}{message} && $recorded->{update}{message}{text};
        my %message = (%{ $recorded->{update}{message} }, text => $lamp, message_id => next_id());
        is sent('telegram', 'city', { update_id => next_id(), message => \%message })->{outcome}, 'appeal', "telegram $recorded->{name} that asks for something";
    }
    cmp_ok $seen{not_an_appeal}, '>', 50, 'all of them';
    diag 'what recorded events become:';
    for my $type (sort keys %table) { diag sprintf '  %-45s %s', $type, join ', ', map { "$table{$type}{$_} $_" } sort keys %{ $table{$type} } }
};

unlike log_of('intake'), qr/Sanitizer|runtime error/, 'no sanitizer has complained';

done_testing;
