#!/usr/bin/env perl
# The system of a body says what becomes of an appeal: every step is one link of the chain, a final answer has its proof, and nobody else may.
use strict;
use warnings;
use utf8;
use FindBin;
use Test::More;
use Otklik::Answers;
use Otklik::Command;
use Otklik::Files;
use Otklik::Test;

my $key = body_key("body-$$");
sub refused { my ($answer, $status, $like, $name) = @_; is $answer->{status}, $status, "$name: $status" or diag $answer->{content}; like join(' ', map { $_->{description} } ref $answer->{json} eq 'ARRAY' ? @{ $answer->{json} } : ()), $like, "$name: named"; return }
sub taken { my ($answer, $name) = @_; is $answer->{status}, 200, "$name: taken" or diag $answer->{content}; return $answer->{json}[0]{update_id} }
sub kinds { my ($seen) = @_; return join ' ', map { $_->{kind} } @{ $seen->{events} } }

subtest 'who may' => sub {
    my $letter = letter_at_body();
    refused(told($ENV{OTKLIK_API_KEY}, $letter->{number}, 'fixed'), 403, qr/appeals:answer/, 'a key without the scope');
    refused(told('otk_aaaaaaaa_' . 'a' x 32, $letter->{number}, 'fixed'), 403, qr/api_key/, 'a key that is none');
    my $other = body_key("other-$$", '--body', 999999);
    refused(told($other, $letter->{number}, 'in_progress'), 403, qr/another body/, 'a key of another body');
    my $body = sql("select body_id from appeal where number = '$letter->{number}'");
    my $own = body_key("own-$$", '--body', $body);
    taken(told($own, $letter->{number}, 'IN PROGRESS', in_form => 1, description => 'Выехала бригада.'), 'a key of its body, within the form');
    is way($letter)->{status}, 'accepted', 'it is in work';
    refused(told($key, '90-2026-9999999-' . sql("select check_digit('9020269999999')"), 'open'), 404, qr/no such request/, 'an unknown number');
    refused(told($key, 'nonsense', 'open'), 404, qr/no such request/, 'no number at all');
};

subtest 'from hand to hand' => sub {
    my $letter = letter_at_body();
    my $number = $letter->{number};
    my $id = taken(told($key, $number, 'investigating', update_id => "a-$number"), 'taken in hand');
    is $id, "$number.3", 'its id';
    my $again = told($key, $number, 'investigating', update_id => "a-$number");
    is_deeply [$again->{json}, $again->{headers}{'idempotency-replayed'}], [[{ update_id => $id }], 'true'], 'sent again: the first answer';
    refused(told($key, $number, 'fixed', update_id => "a-$number", 'attribute[reason]' => 'explained'), 400, qr/update_id/, 'the same id with other words');
    refused(told($key, $number, 'open', description => 'ещё раз'), 400, qr/cannot follow "accepted"/, 'taken in hand twice');

    taken(told($key, $number, 'action_scheduled', description => "Фонарь заменят & проверят <b>\r\nвторая строка", 'attribute[promised_on]' => in_days(3)), 'an interim answer');
    my $seen = way($letter);
    is $seen->{status}, 'accepted', 'it stays in work';
    ok $seen->{first_answered_at} && !$seen->{answered_at}, 'the first clock has stopped, the second one runs';
    is_deeply [@{ $seen->{answers}[0] }{qw(kind proof promised_on)}], ['interim', 'promise', in_days(3)], 'the answer is there';
    like $seen->{answers}[0]{text}, qr/\AФонарь заменят & проверят <b>\nвторая строка\z/, 'word for word';

    refused(told($key, $number, 'fixed', description => 'Сделано.'), 400, qr/needs a file, a promised day .* or a reason/, 'a final answer of words alone');
    refused(told($key, $number, 'fixed', media_url => 'https://example.org/p.jpg'), 400, qr/needs a file/, 'a link proves nothing');
    refused(told($key, $number, 'fixed', 'attribute[promised_on]' => in_days(-1)), 400, qr/that day is over/, 'a day that is over');
    refused(told($key, $number, 'fixed', 'attribute[promised_on]' => '2026-02-30'), 400, qr/promised_on/, 'a day that is none');
    refused(told($key, $number, 'fixed', 'attribute[reason]' => 'because'), 400, qr/attribute\[reason\]/, 'a reason that is none');
    refused(told($key, $number, 'fixed', 'attribute[reason]' => 'obscene'), 400, qr/does not go with/, 'a reason of another step');
    refused(told($key, $number, 'fixed', description => undef), 400, qr/description/, 'no words');
    refused(told($key, $number, 'melted'), 400, qr/no such status/, 'an unknown status');
    refused(told($key, $number, 'reopen'), 400, qr/only who wrote it/, 'only the resident opens it again');
    refused(told($key, $number, 'open', 'attribute[kind]' => 'final'), 400, qr/contradicts/, 'kind against status');
    refused(told($key, $number, 'fixed', updated_datetime => 'now', 'attribute[reason]' => 'explained'), 400, qr/updated_datetime/, 'a moment that is none');
    is kinds(way($letter)), 'captured routed accepted answered', 'nothing of this is in its history';

    my $jpg = picture('jpg', 64, 48);
    taken(told($key, $number, 'fixed', description => 'Фонарь горит.', updated_datetime => '2026-11-25T12:00:00+03:00',
        files => [[$jpg, 'фонарь.jpg', 'image/jpeg']]), 'a final answer with a photo');
    $seen = way($letter);
    is $seen->{status}, 'answered', 'it is answered';
    is_deeply [@{ $seen->{answers}[0] }{qw(kind proof)}, $seen->{answers}[0]{files}[0]{sha256}], ['final', 'files', digest($jpg)], 'with its proof';
    ok !exists $seen->{attachments}, 'which is no file of the letter';
    wait_for(sub { sql("select state from attachment where sha256 = '\\x" . digest($jpg) . "'") eq 'ready' }, 60, 'the photo to be cleaned');
    my $file = get("/api/v1/appeals/$number/attachments/$seen->{answers}[0]{files}[0]{id}?code=$letter->{code}");
    is_deeply [$file->{status}, $file->{headers}{'content-type'}], [200, 'image/jpeg'], 'and can be seen, cleaned';
    refused(told($key, $number, 'in_progress'), 400, qr/cannot follow "answered"/, 'nothing follows a final answer');
};

subtest 'proof that comes later' => sub {
    my $letter = letter_at_body();
    taken(told($key, $letter->{number}, 'in_progress'), 'an interim answer');
    my $add = sub { my ($bytes, %o) = @_; my $answer = delete $o{answer} // 3; return request('POST', "/api/v1/appeals/$letter->{number}/attachments?answer=$answer", content => $bytes, headers => { 'Content-Type' => 'image/jpeg' }, lang => 'en', key => $key, %o) };
    my $jpg = picture('jpg', 50, 40);
    is $add->($jpg, key => undef)->{status}, 403, 'not by a stranger';
    is $add->($jpg, key => body_key("third-$$"))->{status}, 404, 'not by another account';
    is $add->($jpg, answer => 2)->{status}, 404, 'not to a step that is no answer';
    is_deeply [map { $add->($jpg)->{status} } 1, 2], [201, 200], 'stored, once';
    my $own = picture('jpg', 50, 40);
    request('POST', "/api/v1/appeals/$letter->{number}/attachments?code=$letter->{code}", content => $own, headers => { 'Content-Type' => 'image/jpeg' });
    is $add->($own)->{status}, 422, 'the resident\'s own photo is no proof';
    is $add->(picture('jpg', 20, 20))->{status}, 201, 'another' for 1 .. 9;
    is $add->(picture('jpg', 20, 20))->{status}, 422, 'ten at most';
    my $seen = way($letter);
    is_deeply [scalar @{ $seen->{answers}[0]{files} }, scalar @{ $seen->{attachments} }], [10, 1], 'files of the answer and of the letter lie apart';
    taken(told($key, $letter->{number}, 'fixed'), 'the final answer needs no other proof');
    is join(' ', files_under('incoming')), '', 'nothing is left lying about';
    is otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' })->{status}, 0, 'the chain holds';
};

subtest 'proof that came before' => sub {
    my $letter = letter_at_body();
    my $jpg = picture('png', 40, 30);
    taken(told($key, $letter->{number}, 'in_progress', files => [[$jpg, 'before.png', 'image/png']]), 'an interim answer with a photo');
    refused(told($key, $letter->{number}, 'in_progress', description => 'Ещё раз.', files => [[$jpg, 'again.png', 'image/png']]), 400, qr/has this file already/, 'the same photo again');
    taken(told($key, $letter->{number}, 'closed'), 'the final answer needs no other');
    is way($letter)->{answers}[0]{proof}, 'files', 'the photo is its proof';
    my $own = letter_at_body();
    request('POST', "/api/v1/appeals/$own->{number}/attachments?code=$own->{code}", content => $jpg, headers => { 'Content-Type' => 'image/png' });
    refused(told($key, $own->{number}, 'fixed', files => [[$jpg, 'own.png', 'image/png']]), 400, qr/has this file already/, 'the resident\'s own photo is no proof');
    my @states = (sql("select count(*) from attachment t join appeal a on a.id = t.appeal_id where a.number = '$own->{number}'"), join ' ', files_under('incoming'));
    is_deeply \@states, ['1', ''], 'and is not kept';
};

subtest 'the other ways' => sub {
    my $letter = letter_at_body();
    refused(told($key, $letter->{number}, 'planned', 'attribute[reason]' => 'no_money'), 400, qr/promised_on/, 'postponed without a day');
    refused(told($key, $letter->{number}, 'planned', 'attribute[promised_on]' => in_days(200)), 400, qr/attribute\[reason\]/, 'or without a reason');
    taken(told($key, $letter->{number}, 'planned', 'attribute[reason]' => 'no_money', 'attribute[promised_on]' => in_days(200)), 'postponed');
    my $seen = way($letter);
    is_deeply [@{$seen}{qw(status postponed_until)}, $seen->{events}[-1]{detail}{reason}], ['postponed', in_days(200), 'no_money'], 'until when, and why';
    taken(told($key, $letter->{number}, 'open'), 'taken up again');
    is way($letter)->{postponed_until}, undef, 'the day is gone';

    my $wrong = letter_at_body();
    my ($body, $centre) = split /\|/, sql("select a.body_id, (select id from body where region_id = 90 and centre) from appeal a where number = '$wrong->{number}'");
    my $due = way($wrong)->{due}{answer_at};
    taken(told($key, $wrong->{number}, 'not_councils_responsibility', description => 'Это федеральная дорога.'), 'not ours');
    $seen = way($wrong);
    is_deeply [$seen->{status}, $seen->{body}{id}, $seen->{due}{answer_at}], ['redirected', $centre, $due], 'the centre has it, the deadline stays';
    refused(told($key, $wrong->{number}, 'internal_referral'), 400, qr/cannot follow "redirected"/, 'not twice');

    my $bad = letter_at_body();
    refused(told($key, $bad->{number}, 'closed', 'attribute[kind]' => 'rejected'), 400, qr/attribute\[reason\]/, 'rejected without a reason');
    taken(told($key, $bad->{number}, 'closed', 'attribute[kind]' => 'rejected', 'attribute[reason]' => 'off_topic'), 'rejected');
    is way($bad)->{status}, 'rejected', 'it is rejected';

    my $anonymous = appeal();
    wait_for(sub { sql("select status from appeal where number = '$anonymous->{number}'") eq 'moderation' }, 20, 'routing');
    refused(told($key, $anonymous->{number}, 'open'), 400, qr/cannot follow "moderation"/, 'what is with a moderator cannot be answered');
};

subtest 'what Open311 shows of it' => sub {
    my $letter = letter_at_body();
    my $number = $letter->{number};
    my $request = sub { my (%o) = @_; return get("/open311/v2/requests/$number.json?extensions=true", lang => 'en', %o)->{json}[0] };
    my $updates = sub { my (%o) = @_; return { map { $_->{update_id} => $_ } grep { $_->{service_request_id} eq $number } @{ get('/open311/v2/servicerequestupdates.json', lang => 'en', %o)->{json} } } };
    taken(told($key, $number, 'in_progress', description => 'Ольга Ивановна, мастер едет.'), 'in work');
    is_deeply [map { $request->(%$_)->{status} } {}, { key => $ENV{OTKLIK_API_KEY} }], ['open', 'open'], 'open';
    like $request->()->{status_notes}, qr/In work at: /, 'with a word why';
    taken(told($key, $number, 'fixed', description => 'Ольга Ивановна, сделано.', 'attribute[reason]' => 'explained'), 'answered');
    is $request->()->{status}, 'closed', 'closed';
    is_deeply [map { $_->{type} } @{ $request->()->{notes} }], [qw(captured routed answered answered)], 'every step';
    my ($theirs, $all) = ($updates->(key => $ENV{OTKLIK_API_KEY}), $updates->());
    is_deeply [map { $theirs->{"$number.$_"}{status} } 1 .. 4], [qw(open investigating in_progress no_further_action)], 'extended statuses';
    is $theirs->{"$number.4"}{description}, 'Ольга Ивановна, сделано.', 'the partner it came from reads the answer';
    unlike $all->{"$number.4"}{description}, qr/Ольга/, 'strangers do not';
    my $public = letter_at_body(public => JSON::PP::true());
    taken(told($key, $public->{number}, 'fixed', description => 'Заменили лампу.', 'attribute[reason]' => 'explained'), 'a public one');
    my ($one) = grep { $_->{service_request_id} eq $public->{number} && $_->{description} eq 'Заменили лампу.' } @{ get('/open311/v2/servicerequestupdates.json')->{json} };
    ok $one, 'answers to public letters are public';
    my ($closed) = grep { $_->{service_request_id} eq $number } @{ get('/open311/v2/requests.json?status=closed')->{json} };
    ok $closed, 'found by its status';
};

subtest 'at once' => sub {
    my $letter = letter_at_body();
    my @pids = map {
        my $pid = fork;
        if (!$pid) {
            my $answer = told($key, $letter->{number}, 'fixed', update_id => "same-$letter->{number}", 'attribute[reason]' => 'explained');
            require POSIX;
            POSIX::_exit($answer->{status} == 200 ? 0 : 1);
        }
        $pid;
    } 1 .. 8;
    my $good = 0;
    for (@pids) { waitpid $_, 0; $good += $? == 0 }
    is $good, 8, 'eight identical updates get the same answer';
    is kinds(way($letter)), 'captured routed answered', 'and are one';
};

subtest 'notices, counters, chain' => sub {
    my $letter = letter_at_body(notify => JSON::PP::true(), contact => { email => 'anna@example.org' }, consent => '1');
    my $id = sql("select id from appeal where number = '$letter->{number}'");
    my ($day, $theme, $body) = split /\|/, sql("select (received_at at time zone 'Europe/Moscow')::date, theme_id, body_id from appeal where id = '$id'");
    my $count = sub { return sql("select sum(received) || ' ' || sum(routed) || ' ' || sum(answered) from appeal_count where region_id = 90 and day = '$day' and theme_id = $theme and body_id = $_[0]") };
    my ($received, $routed, $answered) = split / /, $count->($body);
    taken(told($key, $letter->{number}, 'open'), 'taken in hand');
    taken(told($key, $letter->{number}, 'fixed', 'attribute[reason]' => 'not_confirmed'), 'answered');
    is $count->($body), join(' ', $received, $routed, $answered + 1), 'one answer more, everything else as it was';
    # The courier may have taken some of them in hand.
    is sql("select string_agg(n.seq::text, ',' order by n.seq) from (select seq from outbox where appeal_id = '$id' and topic = 'notice' union select seq from delivery where appeal_id = '$id') n"), '2,4', 'a notice of each step but being taken in hand';
    my $wrong = letter_at_body();
    my $centre = sql('select id from body where region_id = 90 and centre');
    taken(told($key, $wrong->{number}, 'internal_referral'), 'redirected');
    is sql("select sum(c.received), sum(c.routed) from appeal_count c where c.region_id = 90"),
        sql("select count(*), count(*) filter (where status not in ('captured', 'moderation')) from appeal where region_id = 90"), 'appeals are counted once';
    is sql('select coalesce(sum(received), 0) from appeal_count where region_id = 90 and body_id = ' . $centre),
        sql("select count(*) from appeal where region_id = 90 and body_id = $centre"), 'where they are';
    my $audit = otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' });
    is $audit->{status}, 0, 'the chain holds' or diag $audit->{out}, $audit->{err};
};

done_testing;
