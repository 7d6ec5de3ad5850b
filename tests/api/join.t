#!/usr/bin/env perl
# "Me too": who joins an appeal is counted once, sees its way with a code of his own, and nothing that its author keeps to himself.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Files;
use Otklik::OpenAPI;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};
sub routed {
    my ($members) = @_;
    my $letter = appeal({ text => 'Не горит фонарь, тайна ' . new_key(), point => { lat => 57.80012, lon => 61.20056 }, address => 'Тайная, 5', %{ $members // {} } }, key => $key);
    wait_for(sub { sql("select status from appeal where number = '$letter->{number}'") eq 'routed' }, 10, 'routing');
    return $letter;
}
sub join_it { my ($letter, $data, %o) = @_; return post_json("/api/v1/appeals/$letter->{number}/join", $data // {}, %o) }
sub count { my ($table, $letter) = @_; return sql("select count(*) from $table t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.number = '$letter->{number}'") }
sub track { my ($letter, $code, %o) = @_; return get("/api/v1/appeals/$letter->{number}?code=$code", %o) }

my $letter = routed();

subtest 'what is wrong is named, and nobody is counted' => sub {
    is join_it($letter, {}, idempotency => undef)->{json}{type}, '/problems/idempotency-key-missing', 'without a key';
    for my $case ([{ contact => { email => 'no' }, consent => '1' }, 'contact.email'], [{ contact => { name => 'Анна' } }, 'consent'], [{ notify => JSON::PP::true() }, 'contact.email'],
        [{ text => 'а' }, 'text'], [{ notify => 'yes' }, 'notify']) {
        my $answer = join_it($letter, $case->[0]);
        is $answer->{status}, 422, "$case->[1] is refused";
        ok scalar(grep { $_->{field} eq $case->[1] } @{ $answer->{json}{errors} }), 'and named' or diag $answer->{content};
    }
    (my $typo = $letter->{number}) =~ s/(\d)$/($1 + 1) % 10/e;
    is join_it({ number => $typo })->{status}, 404, 'a wrong check digit';
    is join_it({ number => 'x' })->{status}, 404, 'no number at all';
    my $hidden = appeal();
    is join_it($hidden)->{status}, 404, 'one that a moderator has not let pass is not known';
    is sql("select joined from appeal where number = '$letter->{number}'"), '0', 'nobody joined';
};

my $first;
subtest 'one joins' => sub {
    $first = join_it($letter);
    is $first->{status}, 201, 'stored' or diag $first->{content};
    is_deeply [sort keys %{ $first->{json} }], [qw(code joined number track)], 'the answer';
    is $first->{json}{joined}, 1, 'the first';
    isnt $first->{json}{code}, $letter->{code}, 'a code of his own';
    is join_it($letter)->{json}{joined}, 2, 'another one is the second';
    is count('joiner_contact', $letter), '0', 'no contact';
    is sql("select string_agg(e.kind || ' ' || e.actor || ' ' || e.detail, '; ' order by e.seq) from appeal_event e join appeal a on a.region_id = e.region_id and a.id = e.appeal_id where a.number = '$letter->{number}' and e.kind = 'joined'"),
        'joined citizen {"joined": 1}; joined citizen {"joined": 2}', 'steps without a word of personal data';
    is sql("select notify from appeal where number = '$letter->{number}'"), 'f', 'and nobody asked for notices';
};

subtest 'contact and notices' => sub {
    my $answer = join_it($letter, { contact => { name => 'Анна', email => 'anna@example.com' }, consent => '1', notify => JSON::PP::true() }, lang => 'en');
    is $answer->{status}, 201, 'stored' or diag $answer->{content};
    is sql("select c.name || ' ' || c.email || ' ' || c.consent from joiner_contact c join appeal a on a.region_id = c.region_id and a.id = c.appeal_id where a.number = '$letter->{number}'"), 'Анна anna@example.com 1', 'apart';
    is sql("select s.channel || ' ' || s.address || ' ' || s.lang from subscription s join appeal a on a.region_id = s.region_id and a.id = s.appeal_id where a.number = '$letter->{number}'"), 'email anna@example.com en', 'a subscription';
    is sql("select notify from appeal where number = '$letter->{number}'"), 't', 'the appeal knows that somebody wants notices';
    unlike sql("select string_agg(detail::text, '') from appeal_event"), qr/anna\@example/, 'no step says who';
};

subtest 'the same key is the same join, however often' => sub {
    my $other = routed();
    my $k = new_key();
    my @pids = map {
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            my $answer = join_it($other, {}, idempotency => $k);
            require POSIX;
            POSIX::_exit($answer->{status} == 201 ? 0 : $answer->{status} == 409 ? 9 : 1);
        }
        $pid;
    } 1 .. 10;
    my %ends;
    for my $pid (@pids) { waitpid $pid, 0; $ends{ $? >> 8 }++ }
    ok !$ends{1}, 'ten at once are answered 201, or told that the first still runs';
    ok $ends{0}, 'some with 201';
    is count('joiner', $other), '1', 'one row';
    is sql("select joined from appeal where number = '$other->{number}'"), '1', 'counted once';
    my $again = join_it($other, {}, idempotency => $k);
    is $again->{headers}{'idempotency-replayed'}, 'true', 'again: the first answer';
    is join_it($other, { contact => { name => 'Б' }, consent => '1' }, idempotency => $k)->{json}{type}, '/problems/idempotency-key-reused', 'something else with the same key';
    my @different = map {
        my $pid = fork // die "fork: $!";
        if (!$pid) { my $answer = join_it($other); require POSIX; POSIX::_exit($answer->{status} == 201 ? 0 : 1) }
        $pid;
    } 1 .. 8;
    my $bad = 0;
    for my $pid (@different) { waitpid $pid, 0; $bad += $? != 0 }
    is $bad, 0, 'eight at once with keys of their own';
    is sql("select joined || ' ' || last_seq - (select max(e.seq) from appeal_event e where e.appeal_id = a.id) from appeal a where number = '$other->{number}'"), '9 0', 'are all counted, in one chain';
};

subtest 'the way with the code of who joined' => sub {
    my $code = $first->{json}{code};
    my $way = track($letter, $code);
    is $way->{status}, 200, 'open';
    is $way->{json}{joined}, JSON::PP::true(), 'as one who joined';
    is $way->{json}{joiners}, 3, 'of three';
    ok !exists $way->{json}{$_}, "without $_" for qw(text address attachments);
    is_deeply $way->{json}{point}, { lat => 57.8, lon => 61.201 }, 'the place rounded';
    unlike $way->{content}, qr/тайна|Тайная|57\.80012/, 'nothing of what the author wrote';
    is scalar @{ $way->{json}{events} }, 5, 'every step';
    my $page = get("/track?number=$letter->{number}&code=$code")->{content};
    utf8::decode($page);
    like $page, qr/Вы присоединились к этому обращению/, 'the page says so';
    unlike $page, qr/тайна|Тайная/, 'and keeps the text to itself';
    is scalar(() = $page =~ /Присоединились другие жители/g), 1, 'three who joined are one step of the page';
    unlike $page, qr{action="/notices}, 'nor offers what only the author may';
    my $own = track($letter, $letter->{code})->{json};
    ok !exists $own->{joined}, 'the author is the author';
    like $own->{text}, qr/тайна/, 'and sees it all';
    is_deeply $own->{point}, { lat => 57.80012, lon => 61.20056 }, 'to the metre';
    is track(routed(), $code)->{status}, 404, 'the code opens no other appeal';
    is post_json("/api/v1/appeals/$letter->{number}/attachments?code=$code", {})->{status}, 415, 'files are added by files';
    my $files = request('POST', "/api/v1/appeals/$letter->{number}/attachments?code=$code", content => pdf(), headers => { 'Content-Type' => 'application/pdf' });
    is $files->{status}, 404, 'and by the author alone';
};

subtest 'where the author agreed' => sub {
    my $public = routed({ text => 'Не горит фонарь, звоните 8 900 123 45 67', public => JSON::PP::true() });
    my $way = track($public, join_it($public)->{json}{code})->{json};
    is $way->{text}, 'Не горит фонарь, звоните •••', 'the text is shown, without numbers';
    is $way->{address}, 'Тайная, 5', 'and the address';
};

my $api = openapi_load("$FindBin::Bin/../../docs/openapi.yaml");
my ($operation) = map { $_->{operation} } grep { $_->{operation}{operationId} eq 'joinAppeal' } openapi_operations($api);
subtest 'what is over is not joined' => sub {
    my $one = routed();
    my %may = map { $_ => 201 } qw(routed accepted postponed redirected);
    # Of an answered one only its author may say that nothing was solved.
    for my $status (qw(closed rejected answered routed accepted postponed redirected)) {
        sql("update appeal set status = '$status' where number = '$one->{number}'");
        my $answer = join_it($one, {}, lang => 'en');
        is $answer->{status}, $may{$status} // 409, "$status: " . ($may{$status} ? 'joined' : 'refused');
        is_deeply [openapi_check_answer($api, $operation, $answer)], [], "$status: as documented";
        is $answer->{json}{type}, '/problems/closed', "$status: as closed" if !$may{$status};
    }
    is count('joiner', $one), '4', 'nobody else joined';
};

subtest 'known clients and limits' => sub {
    my $by_key = join_it($letter, {}, key => $key);
    is $by_key->{status}, 201, 'a partner joins for somebody';
    like sql("select actor from appeal_event e join appeal a on a.id = e.appeal_id where a.number = '$letter->{number}' order by seq desc limit 1"), qr/^key:/, 'and is named in the chain';
    like join_it($letter)->{headers}{'ratelimit-policy'}, qr/"write"/, 'others are limited as with letters';
};

done_testing;
