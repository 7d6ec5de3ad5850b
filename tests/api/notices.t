#!/usr/bin/env perl
# Notices: who gets them by e-mail, what they say, how an address is confirmed and stopped, and that nobody can ask for somebody else.
use strict;
use warnings;
use utf8;
use FindBin;
use POSIX ();
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Answers;
use Otklik::Files;
use Otklik::OpenAPI;
use Otklik::Post;
use Otklik::Test;

post_behave('smtp');
courier_settings(OTKLIK_SMTP_URL => 'smtp://127.0.0.1:' . post_start('smtp'), OTKLIK_SMTP_TLS => 'none', OTKLIK_SMTP_FROM => 'otklik@centre.example',
    OTKLIK_NOTICES => 1, OTKLIK_COURIER_PAUSE => 1, OTKLIK_COURIER_SECONDS => 10);

my $serial = 0;
sub address { return sprintf 'anna.%d.%d@mail.example', $$, ++$serial }
sub letters_to { my ($to) = @_; return grep { lc $_->{to} eq lc $to } post_letters() }
# Waits until N letters have come to an address, and a moment for one too many.
sub letters {
    my ($to, $n) = @_;
    wait_for(sub { (my @l = letters_to($to)) >= $n }, 15, "$n letters to $to");
    select undef, undef, undef, 0.7;
    return letters_to($to);
}
sub links_of { my ($letter, $what) = @_; return letter_body($letter, 'plain') =~ m{^\Q$ENV{OTKLIK_URL}\E(/notices/$what\?\S+)$}mg }
sub path_of { my ($url) = @_; return $url =~ s{^\Q$ENV{OTKLIK_URL}\E}{}r }
my %contact = (consent => '2026-11-01');
# What puts a notice into the outbox, as the statements of the desk do: a step in the history, with the outbox row in the same statement.
sub step {
    my ($id, $kind) = @_;
    return sql(<<"SQL");
with held as (select * from appeal where region_id = 90 and id = '$id' for update),
linked as (select *, event_hash(last_hash, 90::smallint, id, last_seq + 1, now(), '$kind', 'test', '{}') as hash from held),
event as (insert into appeal_event select 90, id, last_seq + 1, now(), '$kind', 'test', '{}', last_hash, hash from linked),
told as (insert into outbox (region_id, topic, appeal_id, seq, not_before) select 90, 'notice', id, last_seq + 1, now() from linked where notify)
update appeal a set last_seq = l.last_seq + 1, last_hash = l.hash from linked l where a.region_id = 90 and a.id = l.id returning a.last_seq
SQL
}

subtest 'an address that comes with a key needs no question' => sub {
    my $to = address();
    my $appeal = appeal({ text => 'Яма на дороге у дома 5', notify => JSON::PP::true(), contact => { email => $to }, %contact }, key => $ENV{OTKLIK_API_KEY});
    my ($letter, @more) = letters($to, 1);
    is @more, 0, 'one letter for one step';
    my $number = $appeal->{number};
    like letter_words(letter_header($letter, 'Subject')), qr/\Q$number\E/, 'its subject has the number';
    is $letter->{from}, 'otklik@centre.example', 'it comes from our address';
    like letter_words(letter_header($letter, 'From')), qr/Демонстрационная область\s+<otklik\@centre\.example>/, 'in the name of the region';
    is letter_header($letter, 'To'), "<$to>", 'it goes to the address';
    is letter_header($letter, 'List-Unsubscribe-Post'), 'List-Unsubscribe=One-Click', 'it can be stopped by one click';
    is letter_header($letter, 'Auto-Submitted'), 'auto-generated', 'no robot answers it';
    like letter_header($letter, 'Message-ID'), qr/\A<\Q$appeal->{id}\E\.2\.\Q$appeal->{id}\E\@centre\.example>\z/, 'its id says which notice to whom';
    is scalar(grep { length > 998 } split /\r\n/, $letter->{data}), 0, 'no line is too long';
    unlike $letter->{data}, qr/[^\x00-\x7f]/, 'nor any octet above 127';
    my $text = letter_body($letter, 'plain');
    like $text, qr/Обращение \Q$number\E от /, 'it says which';
    unlike $text, qr/\Q$appeal->{code}\E/, "it does not hold the author's code";
    like letter_body($letter, 'html'), qr{<a href="\Q$ENV{OTKLIK_URL}\E/notices/open\?number=\Q$number\E&amp;}, 'the same as HTML, with a link';

    my ($open) = links_of($letter, 'open');
    my $answer = get($open);
    is $answer->{status}, 303, 'the link goes on';
    my $page = get($answer->{headers}{location});
    is $page->{status}, 200, 'to the appeal';
    like $page->{content}, qr/\Q$number\E/, 'that it is about';
    unlike $answer->{headers}{location}, qr/\Q$appeal->{code}\E/, "by a code of its own";
    my ($code) = $answer->{headers}{location} =~ /code=([^&]+)/;
    is get("/api/v1/appeals/$number?code=$code")->{status}, 200, 'which the API takes, too';
    is get("/api/v1/appeals/$number?code=" . ($code =~ tr/0-9/1-90/r))->{status}, 404, 'and no other';

    my $stop = path_of((letter_header($letter, 'List-Unsubscribe') =~ /<(.*)>/)[0]);
    is get($stop)->{status}, 200, 'a look at the page';
    step($appeal->{id}, 'answered');
    my @letters = letters($to, 2);
    is @letters, 2, 'stops nothing';
    like letter_words(letter_header($letters[1], 'Subject')), qr/\AОтвет на обращение/, 'the next says what happened';
    is post_form($stop, { 'List-Unsubscribe' => 'One-Click' }, idempotency => undef)->{status}, 200, 'the one click of RFC 8058';
    step($appeal->{id}, 'closed');
    select undef, undef, undef, 2;
    is scalar(letters_to($to)), 2, 'stops it';
};

subtest 'whose link it is may do what the author may' => sub {
    my $to = address();
    my $appeal = letter_at_body(notify => JSON::PP::true(), contact => { email => $to }, %contact);
    my $number = $appeal->{number};
    my ($letter) = letters($to, 1);
    my ($open) = links_of($letter, 'open');
    my ($code) = get($open)->{headers}{location} =~ /code=([^&]+)/;
    my $photo = request('POST', "/api/v1/appeals/$number/attachments?code=$code", content => pdf(), headers => { 'Content-Type' => 'application/pdf' });
    is $photo->{status}, 201, 'files are added by it' or diag $photo->{content};
    told(body_key("notices-$$"), $number, 'fixed', 'attribute[reason]' => 'explained');
    my $verdict = post_json("/api/v1/appeals/$number/verdict", { code => $code, mark => 5, solved => JSON::PP::true() });
    is $verdict->{status}, 201, 'and the answer is judged' or diag $verdict->{content};
    is get("/api/v1/appeals/$number?code=$code")->{json}{status}, 'closed', 'which closes it';
};

subtest 'an address that anybody may have typed is asked first' => sub {
    my $to = address();
    my $appeal = appeal({ text => 'Не горит фонарь у школы', notify => JSON::PP::true(), contact => { email => $to }, %contact });
    my ($letter, @more) = letters($to, 1);
    is @more, 0, 'one letter';
    like letter_words(letter_header($letter, 'Subject')), qr/\AПодтвердите адрес: обращение \Q$appeal->{number}\E\z/, 'that asks';
    is letter_header($letter, 'List-Unsubscribe'), undef, 'there is nothing to stop yet';
    is scalar(() = links_of($letter, 'open')), 0, 'it opens nothing';
    step($appeal->{id}, 'routed');
    select undef, undef, undef, 1.5;
    is scalar(letters_to($to)), 1, 'nothing follows without an answer';
    my ($confirm) = links_of($letter, 'confirm');
    like get($confirm)->{content}, qr/<button class="button" type="submit">/, 'the link shows a button';
    is sql("select state from subscription where region_id = 90 and appeal_id = '$appeal->{id}'"), 'pending', 'a look confirms nothing';
    is get($confirm =~ s/confirm/open/r)->{status}, 404, 'nor does it open the appeal';
    my $done = post_form($confirm, '', idempotency => undef);
    is $done->{status}, 200, 'the button';
    is sql("select state from subscription where region_id = 90 and appeal_id = '$appeal->{id}'"), 'confirmed', 'confirms';
    step($appeal->{id}, 'answered');
    is letters($to, 2), 2, 'and notices come';
    for my $wrong ($confirm =~ s/key=(.)/'key=' . ($1 eq '0' ? 1 : 0)/er, $confirm =~ s/&s=[^&]*/&s=$appeal->{number}/r, $confirm =~ s/number=[^&]*/number=90-2026-0000000-1/r, '/notices/confirm') {
        is post_form($wrong, '', idempotency => undef)->{status}, 404, "not by $wrong";
    }
};

my $api = openapi_load("$FindBin::Bin/../../docs/openapi.yaml");
my %documented = map { $_->{operation}{operationId} => $_->{operation} } openapi_operations($api);
sub ask {
    my ($appeal, $data, %o) = @_;
    my $answer = post_json("/api/v1/appeals/$appeal->{number}/notices", $data, idempotency => undef, %o);
    is_deeply [openapi_check_answer($api, $documented{askForNotices}, $answer)], [], "$answer->{status} is as documented";
    return $answer;
}

subtest 'those who ask at once are counted one after the other' => sub {
    my $appeal = appeal({ text => 'Протекает крыша подъезда' });
    my %ask = (code => $appeal->{code}, consent => '2026-11-01');
    is ask($appeal, { %ask, email => address() })->{status}, 202, "address $_" for 1 .. 4;
    # All wait for the row of the appeal, and go on when it is let go.
    my $holder = fork // die "fork: $!";
    if ($holder == 0) {
        sql("begin; select from appeal where region_id = 90 and id = '$appeal->{id}' for update; select pg_sleep(0.8); commit");
        POSIX::_exit(0);
    }
    select undef, undef, undef, 0.3;
    my @asking;
    for my $email (map { address() } 1 .. 4) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            post_json("/api/v1/appeals/$appeal->{number}/notices", { %ask, email => $email }, idempotency => undef);
            POSIX::_exit(0);
        }
        push @asking, $pid;
    }
    waitpid $_, 0 for $holder, @asking;
    is sql("select count(*) from subscription where region_id = 90 and appeal_id = '$appeal->{id}'"), 5, 'there are five, however many ask at once';
};

subtest 'asked for later, by who has the code' => sub {
    my $appeal = appeal({ text => 'Сломаны качели во дворе' });
    my $to = address();
    my %ask = (code => $appeal->{code}, email => $to, consent => '2026-11-01');
    is ask($appeal, { %ask, code => 'AAAA-AAAA-AAAA-AAAA' })->{status}, 404, 'not without it';
    for my $case ([email => 'nobody'], [email => "a\@b.example\r\nBcc: c\@d.example"], [consent => undef], [email => undef]) {
        my $refused = ask($appeal, { %ask, @$case });
        is $refused->{status}, 422, "refused: $case->[0]";
        is $refused->{json}{errors}[0]{field}, $case->[0], 'which is named';
    }
    my $answer = ask($appeal, \%ask);
    is $answer->{status}, 202, 'taken';
    is_deeply $answer->{json}, { state => 'pending' }, 'and pending';
    is ask($appeal, { %ask, email => uc $to })->{status}, 202, 'a second time';
    is letters($to, 1), 1, 'asks once';
    is ask($appeal, { %ask, email => address() })->{status}, 202, "another address, $_" for 2 .. 5;
    my $full = ask($appeal, { %ask, email => address() });
    is $full->{status}, 422, 'the sixth is too many';
    is $full->{json}{errors}[0]{field}, 'email', 'which is said';
    my $form = post_form('/notices?lang=en', { number => $appeal->{number}, %ask }, idempotency => undef);
    is $form->{status}, 202, 'the form of the page';
    like $form->{content}, qr/Look into your mail/, 'says so in English';
    like get($appeal->{track})->{content}, qr{<form method="post" action="/notices\?lang=ru">}, 'the tracking page has it';
    is post_form('/notices', { number => $appeal->{number}, %ask, email => 'x' }, idempotency => undef)->{status}, 422, 'and a wrong address is refused as a page';
};

subtest 'where notices are not sent, none are promised' => sub {
    courier_settings(OTKLIK_NOTICES => 0);
    my %wish = (notify => JSON::PP::true(), contact => { email => address() }, %contact);
    my $letter = letter_at_body();
    for my $case (['/api/v1/appeals', { text => 'Не горит фонарь', %wish }], ["/api/v1/appeals/$letter->{number}/join", \%wish]) {
        my $refused = post_json(@$case, key => $ENV{OTKLIK_API_KEY});
        is_deeply [$refused->{status}, map { "$_->{field} $_->{code}" } @{ $refused->{json}{errors} // [] }], [422, 'notify not_allowed'], "$case->[0]: the wish is refused by its name"
            or diag $refused->{content};
        my $taken = post_json($case->[0], { %{ $case->[1] }, notify => JSON::PP::false() }, key => $ENV{OTKLIK_API_KEY});
        is $taken->{status}, 201, 'and without it all is well' or diag $taken->{content};
    }
    unlike get($letter->{track})->{content}, qr{action="/notices}, 'the page offers none';
    courier_settings(OTKLIK_NOTICES => 1);
};

subtest 'what is kept, and who may see it' => sub {
    like sql("select count(*) from contact_look where region_id = 90 and who = 'courier'"), qr/\A[1-9]/, 'each look at an address is written down';
    ok !eval { sql('select address from subscription', role => 'otklik_intake'); 1 }, 'intake reads no address';
    is sql("select count(*) from delivery d join subscription s on s.region_id = 90 and s.appeal_id = d.appeal_id and s.id = d.recipient where d.region_id = 90 and d.state = 'failed' and s.address like 'anna." . $$ . ".%'"), 0,
        'nothing has failed';
    ok wait_for(sub { sql("select count(*) from outbox where topic = 'notice'") eq '0' }, 30, 'the outbox to be empty'), 'the outbox is empty';
    unlike log_of('courier'), qr/mail\.example/, 'no log names an address';
};

done_testing;
