#!/usr/bin/env perl
# Bad input gets its clear refusal that names the field, in the language asked for, and stores nothing half.
use strict;
use warnings;
use utf8;
use Encode qw(encode_utf8);
use Test::More;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};
my @tables = qw(appeal appeal_event contact consent outbox idempotency);
sub rows { return sql('select ' . join ' + ', map { "(select count(*) from $_)" } grep { $_ ne 'outbox' } @tables) }

# name => [ body, status, type, [errors as "field code"] ]
my %json = (
    'broken JSON' => ['{"text": "Фонарь', 400, 'malformed'],
    'no JSON at all' => ['text', 400, 'malformed'],
    'nothing' => ['', 400, 'malformed'],
    'two objects' => ['{"text":"a"}{"text":"b"}', 400, 'malformed'],
    'a list' => ['["text"]', 400, 'malformed'],
    'a comment' => ['{"text":"a"/* */}', 400, 'malformed'],
    'a comma too many' => ['{"text":"a",}', 400, 'malformed'],
    'NUL in an escape' => ['{"text":"a\\u0000b"}', 400, 'malformed'],
    'NUL as a byte' => [qq({"text":"a\x{0}b"}), 400, 'malformed'],
    'half a surrogate pair' => ['{"text":"a\\ud800b"}', 400, 'malformed'],
    'the other half' => ['{"text":"a\\udc00b"}', 400, 'malformed'],
    'seventeen levels' => ['{"a":' x 17 . '1' . '}' x 17, 400, 'malformed'],
    'text is missing' => ['{}', 422, 'invalid', ['text required']],
    'text is empty' => ['{"text":" \\n "}', 422, 'invalid', ['text too_short']],
    'text is null' => ['{"text":null}', 422, 'invalid', ['text required']],
    'text is a number' => ['{"text":5}', 422, 'invalid', ['text type']],
    'text is a list' => ['{"text":["a"]}', 422, 'invalid', ['text type']],
    'text is true' => ['{"text":true}', 422, 'invalid', ['text type']],
    'text is too long' => ['{"text":"' . 'я' x 10_001 . '"}', 422, 'invalid', ['text too_long']],
    'a text of 1 MB' => ['{"text":"' . 'x' x 1_000_000 . '"}', 422, 'invalid', ['text too_long']],
    'a bell' => ['{"text":"a\\u0007b"}', 422, 'invalid', ['text characters']],
    'twice' => ['{"text":"a","text":"b"}', 422, 'invalid', ['text duplicate']],
    'point is a string' => ['{"text":"a","point":"57,61"}', 422, 'invalid', ['point type']],
    'point twice' => ['{"text":"a","point":{"lat":1,"lon":1},"point":{"lat":2,"lon":2}}', 422, 'invalid', ['point duplicate']],
    'half a point' => ['{"text":"a","point":{"lat":57.8}}', 422, 'invalid', ['point.lon together']],
    'latitude is a string' => ['{"text":"a","point":{"lat":"57.8","lon":61.2}}', 422, 'invalid', ['point.lat type']],
    'latitude out of this world' => ['{"text":"a","point":{"lat":91,"lon":61.2}}', 422, 'invalid', ['point.lat out_of_range']],
    'a number beyond numbers' => ['{"text":"a","point":{"lat":1e999,"lon":61.2}}', 422, 'invalid', ['point.lat out_of_range']],
    'a member inside the point' => ['{"text":"a","point":{"lat":1,"lon":1,"alt":3}}', 422, 'invalid', ['point.alt unknown']],
    'an unknown member' => ['{"text":"a","colour":{"deep":[1,{"a":2}]}}', 422, 'invalid', ['colour unknown']],
    'an unknown theme' => ['{"text":"a","theme":"no.such"}', 422, 'invalid', ['theme no_such']],
    'an unknown channel' => ['{"text":"a","channel":"pigeon"}', 422, 'invalid', ['channel not_an_option']],
    'a bad e-mail' => ['{"text":"a","contact":{"email":"anna@"},"consent":"1"}', 422, 'invalid', ['contact.email form']],
    'a bad telephone' => ['{"text":"a","contact":{"phone":"call me"},"consent":"1"}', 422, 'invalid', ['contact.phone form']],
    'contacts without consent' => ['{"text":"a","contact":{"name":"Анна"}}', 422, 'invalid', ['consent required']],
    'notices to nowhere' => ['{"text":"a","notify":true}', 422, 'invalid', ['contact.email together']],
    'a wish that is a word' => ['{"text":"a","public":"true"}', 422, 'invalid', ['public type']],
    'a wish that is a number' => ['{"text":"a","notify":1,"contact":{"email":"a@example.org"},"consent":"1"}', 422, 'invalid', ['notify type']],
    'two lines of address' => ['{"text":"a","address":"a\\nb"}', 422, 'invalid', ['address characters']],
    'all wrong at once' => ['{"point":{"lat":"x","lon":500},"theme":7,"zzz":1}', 422, 'invalid',
        ['point.lat type', 'point.lon out_of_range', 'theme type', 'zzz unknown', 'text required']],
);

my %form = (
    'broken percent' => ['text=%zz', 400, 'malformed'],
    'percent cut off' => ['text=a%4', 400, 'malformed'],
    'no UTF-8' => ['text=%ff%fe', 400, 'malformed'],
    'NUL' => ['text=a%00b', 400, 'malformed'],
    'twice' => ['text=a&text=b', 422, 'invalid', ['text duplicate']],
    'unknown' => ['text=a&b=c', 422, 'invalid', ['b unknown']],
    'no number' => ['text=a&point.lat=here&point.lon=there', 422, 'invalid', ['point.lat type', 'point.lon type']],
    'nothing' => ['', 422, 'invalid', ['text required']],
    'a box with a strange value' => ['text=a&public=maybe', 422, 'invalid', ['public not_an_option']],
);

my $before = rows();
for my $kind (['JSON', \%json, \&post_json], ['a form', \%form, \&post_form]) {
    my ($what, $cases, $send) = @$kind;
    for my $name (sort keys %$cases) {
        my ($body, $status, $type, $errors) = @{ $cases->{$name} };
        for my $lang (qw(ru en)) {
            my $answer = $send->('/api/v1/appeals', encode_utf8($body), key => $key, lang => $lang);
            is $answer->{status}, $status, "$what, $name ($lang): $status" or diag $answer->{content};
            is $answer->{json}{type}, "/problems/$type", "$what, $name ($lang): $type";
            like $answer->{headers}{'content-type'}, qr{\Aapplication/problem\+json}, "$what, $name ($lang): as a problem" ;
            like $answer->{json}{detail}, $lang eq 'ru' ? qr/[а-яё]/ : qr/\A[^а-яё]+\z/, "$what, $name ($lang): in that language";
            next unless $errors;
            is_deeply [sort map { "$_->{field} $_->{code}" } @{ $answer->{json}{errors} }], [sort @$errors], "$what, $name ($lang): every field is named"
                or diag $answer->{content};
            like $_->{detail}, $lang eq 'ru' ? qr/[а-яё]/ : qr/\A[^а-яё]+\z/, "$what, $name ($lang): $_->{field} in that language" for @{ $answer->{json}{errors} };
        }
    }
}

my $answer = post_json('/api/v1/appeals', "{\"text\":\"a\xff\xfeb\"}", key => $key, lang => 'en');
is $answer->{status}, 400, 'invalid UTF-8 is refused';
like $answer->{json}{detail}, qr/byte 10\b/, 'and its place is named';

$answer = post_json('/api/v1/appeals', { text => 'Проверка' }, idempotency => undef, key => $key);
is $answer->{status}, 400, 'no key: refused';

$answer = post_json('/api/v1/appeals', '{"text":"' . 'x' x (3 * 1024 * 1024) . '"}', key => $key, lang => 'en');
is $answer->{status}, 413, '3 MB are refused by the edge';
is $answer->{json}{type}, '/problems/too-large', 'as a problem, too';

$answer = post_json('/api/v1/appeals', '{"text":"a"}', headers => { 'Content-Type' => 'application/json; charset=windows-1251' }, key => $key);
is $answer->{status}, 415, 'another charset is refused';

is rows(), $before, 'nothing of all that is stored';

# What a client says of himself counts for nothing.
my $forged = post_json('/api/v1/appeals', { text => 'Подделка ' . new_key() }, headers => {
    'Appeal-Subject' => 'minister', 'APPEAL_SUBJECT' => 'minister', 'Appeal-Auth' => 'api_key', 'Appeal-Roles' => 'staff', 'Appeal-Region' => '77',
    'X-Request-Id' => '00000000-0000-7000-8000-000000000000' });
is $forged->{status}, 201, 'forged headers: the letter is taken';
is sql("select region_id, auth, client from appeal where id = '$forged->{json}{id}'"), '90|anonymous|', 'as from nobody';
unlike $forged->{headers}{'x-request-id'}, qr/\A00000000-/, 'and its id is ours';

# A point outside of every municipality is no mistake of form: people decide.
my $outside = post_json('/api/v1/appeals', { text => 'Очень далеко ' . new_key(), point => { lat => 0, lon => 0 } }, key => $key);
is $outside->{status}, 201, 'outside of every municipality: taken';
my $status = wait_for(sub { my $s = sql("select status from appeal where id = '$outside->{json}{id}'"); $s ne 'captured' && $s }, 10, 'routing');
is $status, 'moderation', 'for a moderator';

# A flood of unknown members costs no time.
my $flood = '{' . join(',', map { qq("k$_":0) } 1 .. 100_000) . '}';
$answer = post_json('/api/v1/appeals', $flood, key => $key);
is $answer->{status}, 422, 'a hundred thousand unknown members: refused';
is scalar @{ $answer->{json}{errors} }, 32, 'the first 32 are named';

done_testing;
