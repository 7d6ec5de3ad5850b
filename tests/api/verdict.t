#!/usr/bin/env perl
# The resident judges a final answer: once however often it is sent, solved closes, not solved begins a new round with deadlines of its own.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Answers;
use Otklik::Command;
use Otklik::Test;

my $key = body_key("judged-$$");
sub final { my ($letter) = @_; my $a = told($key, $letter->{number}, 'fixed', 'attribute[reason]' => 'explained'); is $a->{status}, 200, 'answered' or diag $a->{content}; return }
sub verdict {
    my ($letter, $data, %o) = @_;
    return post_json("/api/v1/appeals/$letter->{number}/verdict", ref $data ? { code => $letter->{code}, %$data } : $data, lang => 'en', %o);
}
sub yes_it { return JSON::PP::true() }
sub no_it { return JSON::PP::false() }
sub kinds { my ($letter) = @_; return join ' ', map { $_->{kind} } @{ way($letter)->{events} } }
sub problem { my ($answer, $status, $type, $name) = @_; is $answer->{status}, $status, "$name: $status" or diag $answer->{content}; is $answer->{json}{type}, "/problems/$type", "$name: named"; return }

subtest 'what can be judged' => sub {
    my $letter = letter_at_body();
    problem(verdict($letter, { mark => 5, solved => yes_it() }), 409, 'not-answered', 'no answer yet');
    told($key, $letter->{number}, 'in_progress');
    problem(verdict($letter, { mark => 5, solved => yes_it() }), 409, 'not-answered', 'an interim answer');
    final($letter);
    problem(verdict({ %$letter, code => 'AAAA-AAAA-AAAA-AAAA' }, { mark => 5, solved => yes_it() }), 404, 'not-found', 'a wrong code');
    problem(verdict($letter, { mark => 5, solved => yes_it() }, idempotency => undef), 400, 'idempotency-key-missing', 'no key');
    for my $case ([{ mark => 0, solved => yes_it() }, 'mark'], [{ mark => 6, solved => yes_it() }, 'mark'], [{ mark => 2.5, solved => yes_it() }, 'mark'], [{ solved => yes_it() }, 'mark'],
        [{ mark => 5 }, 'solved'], [{ mark => 5, solved => 'yes' }, 'solved'], [{ mark => 5, solved => yes_it(), comment => 'x' x 2001 }, 'comment'],
        [{ mark => 5, solved => yes_it(), more => 1 }, 'more']) {
        my $answer = verdict($letter, $case->[0]);
        is_deeply [$answer->{status}, $answer->{json}{errors}[0]{field}], [422, $case->[1]], as_json($case->[0]) . ": $case->[1] is named" or diag $answer->{content};
    }
    is kinds($letter), 'captured routed answered answered', 'nothing of this is in its history';
};

subtest 'solved' => sub {
    my $letter = letter_at_body();
    final($letter);
    ok way($letter)->{verdict_until}, 'it is said until when';
    my $answer = verdict($letter, { mark => 4, solved => yes_it(), comment => 'Спасибо!' }, idempotency => "k-$letter->{number}");
    is $answer->{status}, 201, 'taken' or diag $answer->{content};
    is_deeply [@{ $answer->{json} }{qw(mark solved status)}], [4, yes_it(), 'closed'], 'and said back';
    my $again = verdict($letter, { mark => 4, solved => yes_it(), comment => 'Спасибо!' }, idempotency => "k-$letter->{number}");
    is_deeply [$again->{status}, $again->{json}, $again->{headers}{'idempotency-replayed'}], [201, $answer->{json}, 'true'], 'once more: the first answer';
    problem(verdict($letter, { mark => 1, solved => yes_it() }, idempotency => "k-$letter->{number}"), 422, 'idempotency-key-reused', 'the key with another mark');
    my $seen = way($letter);
    is $seen->{status}, 'closed', 'it is closed';
    is_deeply [@{ $seen->{answers}[0]{verdict} }{qw(mark solved comment)}], [4, yes_it(), 'Спасибо!'], 'the mark stands with the answer';
    is kinds($letter), 'captured routed answered verdict closed', 'two steps';
    is verdict($letter, { mark => 2, solved => yes_it() })->{status}, 201, 'another mark later';
    is_deeply [way($letter)->{answers}[0]{verdict}{mark}, sql("select count(*) from verdict v join appeal a on a.id = v.appeal_id where a.number = '$letter->{number}'")], [2, '2'],
        'counts instead, the first one stays';
};

subtest 'not solved' => sub {
    my $letter = letter_at_body();
    my $first = way($letter)->{due};
    final($letter);
    is verdict($letter, { mark => 1, solved => no_it(), comment => 'Не горит по-прежнему.' })->{json}{status}, 'routed', 'opened again';
    my $seen = wait_for(sub { my $w = way($letter); $w->{due} && $w }, 10, 'the new deadlines');
    is_deeply [@{$seen}{qw(status reopened)}, $seen->{answered_at}], ['routed', 1, undef], 'back at its body, the second clock runs';
    is $seen->{body}{id}, sql("select n.body_id from answer n join appeal a on a.id = n.appeal_id where a.number = '$letter->{number}'"), 'the same body';
    cmp_ok $seen->{due}{answer_at}, 'ge', $first->{answer_at}, 'a new deadline';
    is_deeply [$seen->{earlier_due}[0]{answer_at}, $seen->{due}{explanation}{final}{start} ge $seen->{reopened_at} ? 1 : 0], [$first->{answer_at}, 1],
        'counted from now; the first one stays visible' or diag explain $seen->{due}{explanation}{final}{start}, $seen->{reopened_at};
    is kinds($letter), 'captured routed answered verdict reopened routed', 'every step';
    problem(verdict($letter, { mark => 5, solved => yes_it() }), 409, 'not-answered', 'the old answer is judged');
    final($letter);
    is verdict($letter, { mark => 5, solved => yes_it() })->{json}{status}, 'closed', 'solved by the second answer';
    is verdict($letter, { mark => 2, solved => no_it() })->{json}{status}, 'routed', 'a closed one is opened again within the term';
    is_deeply [map { $_->{verdict}{mark} } @{ way($letter)->{answers} }], [2, 1], 'each answer with its mark';
};

subtest 'a term' => sub {
    my $letter = letter_at_body();
    final($letter);
    sql("update appeal set answered_at = answered_at - interval '31 days' where number = '$letter->{number}'");
    problem(verdict($letter, { mark => 1, solved => no_it() }), 409, 'too-late', 'after the term');
    sql('update region set verdict_days = 60 where id = 90', role => 'otklik_admin');
    is verdict($letter, { mark => 1, solved => no_it() })->{status}, 201, 'the region may give a longer one';
    sql('update region set verdict_days = 30 where id = 90', role => 'otklik_admin');
};

subtest 'at once' => sub {
    for my $key (undef, 'same-' . new_key()) {
        my $letter = letter_at_body();
        final($letter);
        my $name = defined $key ? 'with one key' : 'with a key each';
        my @pids = map {
            my $pid = fork;
            if (!$pid) {
                my $answer;
                for (1 .. 20) {
                    $answer = verdict($letter, { mark => 3, solved => no_it() }, idempotency => $key // new_key() . "-$$");
                    last unless defined $key && $answer->{status} == 409; # being worked on
                    select undef, undef, undef, 0.2;
                }
                require POSIX;
                POSIX::_exit($answer->{status} == 201 ? 0 : $answer->{status} == 409 ? 1 : 2);
            }
            $pid;
        } 1 .. 12;
        my %ends;
        for (@pids) { waitpid $_, 0; $ends{ $? >> 8 }++ }
        is_deeply \%ends, defined $key ? { 0 => 12 } : { 0 => 1, 1 => 11 }, "$name: one judges, the others hear of it";
        is sql("select count(*) || ' ' || max(a.reopened) from verdict v join appeal a on a.id = v.appeal_id where a.number = '$letter->{number}'"), '1 1', "$name: one verdict";
    }
};

subtest 'counters, notices, chain' => sub {
    my $letter = letter_at_body(notify => yes_it(), contact => { email => 'anna@example.org' }, consent => '1');
    my $id = sql("select id from appeal where number = '$letter->{number}'");
    my $sums = sub { return sql('select sum(closed), sum(reopened), sum(marks), sum(marks_sum) from appeal_count where region_id = 90') };
    my @before = split /\|/, $sums->();
    final($letter);
    verdict($letter, { mark => 5, solved => yes_it() });
    verdict($letter, { mark => 3, solved => yes_it() });
    is $sums->(), join('|', $before[0] + 1, $before[1], $before[2] + 1, $before[3] + 3), 'closed once, the later mark counts';
    verdict($letter, { mark => 1, solved => no_it() });
    is $sums->(), join('|', $before[0] + 1, $before[1] + 1, $before[2] + 1, $before[3] + 1), 'opened again';
    wait_for(sub { kinds($letter) =~ /routed\z/ }, 10, 'routing');
    # The courier may have taken some of them in hand.
    is sql("select string_agg(e.kind, ' ' order by e.seq) from appeal_event e where e.appeal_id = '$id' and e.seq in (select o.seq from outbox o where o.appeal_id = '$id' and o.topic = 'notice' union select d.seq from delivery d where d.appeal_id = '$id')"),
        'routed answered closed reopened routed', 'notices of what a resident hears of';
    is sql('select sum(received) from appeal_count where region_id = 90'), sql('select count(*) from appeal where region_id = 90'), 'a letter is received once, however often it is opened';
    my $audit = otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' });
    is $audit->{status}, 0, 'the chain holds' or diag $audit->{out}, $audit->{err};
    sql("update verdict set comment = 'Всё отлично' where appeal_id = '$id'");
    is otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' })->{status}, 1, 'a comment put into a mouth is found';
    sql("update verdict set comment = null where appeal_id = '$id'");
    my $text = sql("update answer set text = text || '!' where appeal_id = '$id' returning seq");
    is otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' })->{status}, 1, 'so is an answer that was changed';
    sql("update answer set text = left(text, -1) where appeal_id = '$id'");
    is otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' })->{status}, 0, 'and nothing else';
};

done_testing;
