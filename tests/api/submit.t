#!/usr/bin/env perl
# A letter comes in: what is answered, what is stored, and that all of it is stored together.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Command;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};
my $uuid7 = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;

subtest 'a letter in JSON is stored for good and answered with number and code' => sub {
    my $answer = post_json('/api/v1/appeals', {
        text => "Во дворе не горит фонарь\nуже третий день", theme => 'light.street', point => { lat => 57.8, lon => 61.2 }, address => 'ул. Садовая, 12',
        contact => { name => 'Анна Иванова', email => 'anna@example.org', phone => '+7 (900) 123-45-67' }, consent => '2026-11-01',
        channel => 'mobile_app', external_id => 'partner-1',
    }, key => $key);
    is $answer->{status}, 201, 'created' or diag $answer->{content};
    like $answer->{headers}{'content-type'}, qr{\Aapplication/json}, 'JSON';
    is $answer->{headers}{'cache-control'}, 'no-store', 'nobody keeps it';
    like $answer->{headers}{'x-request-id'}, qr/\A$uuid7\z/, 'with the id of the request';
    my $got = $answer->{json};
    like $got->{id}, qr/\A$uuid7\z/, 'id: UUIDv7';
    like $got->{number}, qr/\A90-20\d\d-\d{7}-\d\z/, 'number';
    like $got->{code}, qr/\A[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}\z/, 'code';
    is $got->{status}, 'captured', 'status';
    like $got->{received_at}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\z/, 'time in RFC 3339';
    is $got->{track}, "/track?number=$got->{number}&code=$got->{code}", 'where to follow it';

    my $id = $got->{id};
    is sql("select text from appeal where region_id = 90 and id = '$id'"), "Во дворе не горит фонарь\nуже третий день", 'the text as it was written';
    is sql("select channel, external_id, address, auth, client, theme_source, lang from appeal where region_id = 90 and id = '$id'"),
        'mobile_app|partner-1|ул. Садовая, 12|api_key|demo-integrator|citizen|ru', 'what else was said of it';
    is sql("select round(st_y(point)::numeric, 3), round(st_x(point)::numeric, 3) from appeal where id = '$id'"), '57.800|61.200', 'the point, not turned round';
    is sql("select name, email, phone from contact where region_id = 90 and appeal_id = '$id'"), 'Анна Иванова|anna@example.org|+7 (900) 123-45-67', 'contacts lie apart';
    is sql("select version, lang from consent where region_id = 90 and appeal_id = '$id'"), '2026-11-01|ru', 'the consent with its version';
    is sql("select code_digest = sha256(convert_to(replace('$got->{code}', '-', ''), 'UTF8')) from appeal where id = '$id'"), 't', 'of the code only the digest';
    is sql("select kind, actor from appeal_event where region_id = 90 and appeal_id = '$id' and seq = 1"), 'captured|key:demo-integrator', 'its first event';
    is sql("select client_hash ~ '^[0-9a-f]{16,64}\$' and client_hash not like '%127%' from appeal where id = '$id'"), 't', 'the address only as a pseudonym';
};

subtest 'notices and publicity are what the author says' => sub {
    my %letter = (text => 'Яма у школы ' . new_key(), contact => { email => 'anna@example.org' }, consent => '2026-11-01');
    my $asked = post_json('/api/v1/appeals', { %letter, notify => \1, public => \1 }, key => $key);
    is $asked->{status}, 201, 'created' or diag $asked->{content};
    my $id = $asked->{json}{id};
    is sql("select notify, public, joined, entry is null, legal_class from appeal where region_id = 90 and id = '$id'"), 't|t|0|t|message', 'both are kept';
    is sql("select id, channel, address, lang from subscription where region_id = 90 and appeal_id = '$id'"), "$id|email|anna\@example.org|ru", 'and where notices go';
    wait_for(sub { sql("select status from appeal where id = '$id'") ne 'captured' }, 20, 'routing');
    is sql("select n.seq from (select seq from outbox where region_id = 90 and topic = 'notice' and appeal_id = '$id' union select seq from delivery where region_id = 90 and appeal_id = '$id') n"), '2', 'routing leaves a notice of its step';

    my $silent = post_json('/api/v1/appeals', { %letter, notify => \0, public => undef }, key => $key);
    is $silent->{status}, 201, 'false is no wish' or diag $silent->{content};
    $id = $silent->{json}{id};
    is sql("select notify, public from appeal where region_id = 90 and id = '$id'"), 'f|f', 'neither is kept';
    wait_for(sub { sql("select status from appeal where id = '$id'") ne 'captured' }, 20, 'routing');
    is sql("select (select count(*) from subscription where appeal_id = '$id') + (select count(*) from outbox where appeal_id = '$id')"), '0', 'nobody is told';

    my $form = post_form('/api/v1/appeals', { text => $letter{text}, 'contact.email' => 'anna@example.org', consent => '1', notify => 'on', public => '1' }, key => $key);
    is $form->{status}, 201, 'as a form' or diag $form->{content};
    is sql("select notify, public from appeal where region_id = 90 and id = '$form->{json}{id}'"), 't|t', 'the same';
    my $other = post_json('/api/v1/appeals', { %letter, notify => \1 }, key => $key, idempotency => my $again = new_key());
    is post_json('/api/v1/appeals', { %letter, notify => \0 }, key => $key, idempotency => $again)->{status}, 422, 'another wish is another letter';
};

subtest 'the same as a form' => sub {
    my $answer = post_form('/api/v1/appeals', { text => "Яма на дороге\r\nу школы", 'point.lat' => '57,8', 'point.lon' => '61.2', theme => '' }, key => $key);
    is $answer->{status}, 201, 'created' or diag $answer->{content};
    is sql("select text, round(st_y(point)::numeric, 1) from appeal where number = '$answer->{json}{number}'"), "Яма на дороге\nу школы|57.8", 'ends of line are one kind; a comma is a point';
};

subtest 'somebody without a key may write, too' => sub {
    my $answer = post_json('/api/v1/appeals', { text => 'Не вывозят мусор ' . new_key() });
    is $answer->{status}, 201, 'created';
    is sql("select auth, client, channel from appeal where id = '$answer->{json}{id}'"), 'anonymous||site', 'as nobody, through the site';
    is sql("select actor from appeal_event where appeal_id = '$answer->{json}{id}' and seq = 1"), 'citizen', 'an event of a citizen';
};

subtest 'numbers and ids ascend, and every check digit is right' => sub {
    my @got = map { appeal({}, key => $key) } 1 .. 20;
    my @numbers = map { $_->{number} } @got;
    is_deeply [sort @numbers], \@numbers, 'numbers';
    my @ids = map { $_->{id} } @got;
    is_deeply [sort @ids], \@ids, 'ids';
    my $list = join ',', map { "'$_'" } @numbers;
    is sql("select count(*) from appeal where number in ($list) and right(number, 1) = check_digit(replace(left(number, 15), '-', ''))"), '20', 'check digits';
};

subtest 'the longest text goes in whole' => sub {
    my $text = 'щ' x 10_000;
    my $answer = post_json('/api/v1/appeals', { text => $text }, key => $key);
    is $answer->{status}, 201, 'ten thousand characters';
    is sql("select length(text) from appeal where id = '$answer->{json}{id}'"), '10000', 'all of them';
};

subtest 'what a partner may say, others may not' => sub {
    my $answer = post_json('/api/v1/appeals', { text => 'Проверка', channel => 'vk', external_id => '1' }, lang => 'en');
    is $answer->{status}, 422, 'refused';
    is_deeply [map { "$_->{field} $_->{code}" } @{ $answer->{json}{errors} }], ['channel not_allowed', 'external_id not_allowed'], 'both are named';
};

subtest 'a key of a region that there is not' => sub {
    my ($stranger) = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--subject', 'stranger', '--roles', 'integrator', '--region', '96')->{out} =~ /(otk_\w+)/;
    my $answer = wait_for(sub { my $a = post_json('/api/v1/appeals', { text => 'Проверка' }, key => $stranger); $a->{status} != 401 && $a }, 5, 'the edge to know the key');
    is $answer->{status}, 403, 'may not write';
};

subtest 'answers come in the language that is asked for' => sub {
    my %title = (ru => 'Нужен ключ идемпотентности', en => 'Idempotency-Key is missing');
    for my $lang (sort keys %title) {
        my $answer = post_json('/api/v1/appeals', { text => 'Проверка' }, idempotency => undef, lang => $lang, key => $key);
        is $answer->{status}, 400, "$lang: refused";
        is $answer->{json}{title}, $title{$lang}, "$lang: $title{$lang}";
        is $answer->{headers}{'content-language'}, $lang, "$lang: said so";
    }
    is get('/api/v1/themes?lang=en', lang => 'ru')->{headers}{'content-language'}, 'en', '?lang= counts more than the header';
};

subtest 'addresses and methods that there are not' => sub {
    is get('/api/v1/nothing')->{json}{type}, '/problems/not-found', 'nothing is there';
    my $answer = request('DELETE', '/api/v1/appeals', key => $key);
    is $answer->{status}, 405, 'not this method';
    is $answer->{headers}{allow}, 'POST', 'and what there is';
    is request('HEAD', '/api/v1/themes')->{status}, 200, 'HEAD where there is GET';
    is post_json('/api/v1/appeals', '<a/>', headers => { 'Content-Type' => 'text/xml' }, key => $key)->{status}, 415, 'a type we do not read';
};

subtest 'the counters equal a recount' => sub {
    wait_for(sub { sql("select count(*) from outbox where topic = 'route'") eq '0' }, 20, 'routing');
    is sql('select coalesce(sum(received), 0) from appeal_count where region_id = 90'), sql('select count(*) from appeal where region_id = 90'), 'received';
    is sql('select coalesce(sum(routed), 0) from appeal_count where region_id = 90'), sql("select count(*) from appeal where region_id = 90 and status not in ('captured', 'moderation')"), 'routed';
};

done_testing;
