#!/usr/bin/env perl
# Photos that come within a form of Open311: whatever a client calls them and however it writes its parts, they are files of the letter, and
# media_url shows them cleaned to who may see them.
use strict;
use warnings;
use utf8;
use FindBin;
use HTTP::Tiny;
use Test::More;
use Otklik::Command;
use Otklik::Files;
use Otklik::OpenAPI;
use Otklik::Test;

my $base = '/open311/v2';
my $api = openapi_load("$FindBin::Bin/../../docs/open311.yaml");
my %operation = map { $_->{operation}{operationId} => $_->{operation} } openapi_operations($api);
# A picture's address, held against the document.
sub media {
    my ($status, $path, $name) = @_;
    my $answer = get($path);
    is $answer->{status}, $status, "$name: $status" or diag $answer->{content};
    is_deeply [openapi_check_answer($api, $operation{showMedia}, $answer)], [], "$name: as documented";
    return $answer;
}
my $key = $ENV{OTKLIK_API_KEY};
my %good = (service_code => 'road.pothole', lat => '57.81234', long => '61.23456');
my $jpg = with_exif(picture('jpg', 64, 48), 'jpg');
my $n = 0;
sub text { return 'Снимок ямы ' . ++$n . ' ' . new_key() }
sub fields { my (%more) = @_; my %all = (%good, description => text(), %more); return map { [$_ => $all{$_}] } sort keys %all }

sub post {
    my ($type, $body, %o) = @_;
    my $format = delete $o{format} // 'json';
    my $query = delete $o{query} // '';
    return request('POST', ($o{base} // $base) . "/requests.$format$query", content => $body, headers => { 'Content-Type' => $type, %{ $o{headers} // {} } }, lang => 'en',
        key => exists $o{key} ? $o{key} : $key);
}
sub number_of { my ($answer) = @_; return $answer->{json}[0]{service_request_id} }
sub said { my ($answer) = @_; return join "\n", map { $_->{description} } @{ $answer->{json} } }
sub files_of {
    my ($number) = @_;
    return sql("select coalesce(string_agg(t.name, ',' order by t.id), '') from appeal a join attachment t on t.region_id = a.region_id and t.appeal_id = a.id where a.number = '$number'");
}
sub digests_of {
    my ($number) = @_;
    return sql("select string_agg(encode(t.sha256, 'hex'), ',' order by t.id) from appeal a join attachment t on t.region_id = a.region_id and t.appeal_id = a.id where a.number = '$number'");
}
sub cleaned { wait_for(sub { sql("select count(*) from attachment where region_id = 90 and state = 'waiting'") eq '0' }, 60, 'pictures to be cleaned'); return }
sub shown { my ($number, %o) = @_; return get("$base/requests/$number.json", lang => 'en', key => exists $o{key} ? $o{key} : $key)->{json}[0] }
sub incoming { return join ' ', files_under('incoming') }

subtest 'whatever a client calls it' => sub {
    for my $name ('media', 'media[]', 'photo', 'file', 'media_url', 'image1') {
        my $answer = post(multipart(fields(), [$name => $jpg, 'во дворе.jpg', 'image/jpeg']));
        is $answer->{status}, 200, "$name: taken" or diag $answer->{content};
        is files_of(number_of($answer)), 'во дворе.jpg', "$name: a file of the letter";
        is digests_of(number_of($answer)), digest($jpg), "$name: byte for byte";
    }
    my $xml = post(multipart(fields(), [media => $jpg, 'a.jpg']), format => 'xml');
    is $xml->{status}, 200, 'as XML';
    my ($number) = $xml->{content} =~ m{<service_request_id>([^<]+)</};
    is files_of($number), 'a.jpg', 'as XML: the file is there';
    my $pdf = pdf();
    my $three = post(multipart([media => $jpg, '1.jpg'], fields('attribute[note]' => 'раз'), ['attribute[note]' => 'два'], [media => picture('png', 9, 9), '2.png'], [media => $pdf, '3.pdf']));
    is files_of(number_of($three)), '1.jpg,2.png,3.pdf', 'three of them, before and behind the fields';
    is sql("select answers -> 'attributes' -> 'note' from appeal where number = '" . number_of($three) . "'"), '["раз", "два"]', 'an attribute given twice has both values';
    is files_of(number_of(post(multipart(fields(), [media => '', ''])))), '', 'an input in which nothing was chosen';
};

subtest 'parts as real programs write them' => sub {
    my $body = sub {
        my ($b, $disposition, %o) = @_;
        my $all = $o{before} // '';
        for (fields()) { my ($name, $v) = @$_; utf8::encode($v); $all .= "--$b\r\nContent-Disposition: form-data; name=" . ($o{bare} ? $name : qq("$name")) . "\r\n\r\n$v\r\n" }
        utf8::encode($disposition);
        $all .= "--$b\r\nContent-Disposition: form-data; $disposition\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary\r\n\r\n$jpg\r\n--$b--";
        return $all . ($o{after} // "\r\n");
    };
    my %kind = (
        'no end of line behind the last delimiter' => [x => 'x', 'name="media"; filename="двор.jpg"', after => ''],
        'a preamble and an epilogue' => [x => 'x', 'name="media"; filename="двор.jpg"', before => "This is a form.\r\n", after => "\r\nbye\r\n--x\r\n"],
        'names without quotes' => [x => 'x', 'name=media; filename=двор.jpg', bare => 1],
        'filename* of RFC 5987' => [x => 'x', "name=\"media\"; filename*=UTF-8''%D0%B4%D0%B2%D0%BE%D1%80.jpg"],
        'both spellings' => [x => 'x', "name=\"media\"; filename=\"dvor.jpg\"; filename*=utf-8''%D0%B4%D0%B2%D0%BE%D1%80.jpg"],
        'a path of Windows' => [x => 'x', 'name="media"; filename="C:\Снимки\двор.jpg"'],
        'a boundary of equals signs' => ['===1321321===' => '===1321321===', 'name="media"; filename="двор.jpg"'],
        'a boundary in quotes' => [q("a 'b(c)+_,-./:=?d") => q(a 'b(c)+_,-./:=?d), 'name="media"; filename="двор.jpg"'],
        'a boundary of seventy letters' => ['-' x 70 => '-' x 70, 'name="media"; filename="двор.jpg"'],
    );
    for my $what (sort keys %kind) {
        my ($parameter, @body) = @{ $kind{$what} };
        my $answer = post("multipart/form-data; boundary=$parameter", $body->(@body));
        is $answer->{status}, 200, "$what: taken" or diag $answer->{content};
        is files_of(number_of($answer)), 'двор.jpg', "$what: with its name";
        is digests_of(number_of($answer)), digest($jpg), "$what: byte for byte";
    }
    is post('multipart/form-data; boundary=x', substr $body->('x', 'name=media; filename=a.jpg'), 0, -8)->{status}, 400, 'parts without an end';
    is post('multipart/form-data', $body->('x', 'name=media; filename=a.jpg'))->{status}, 400, 'no boundary';
    is incoming(), '', 'nothing is left half written';
};

subtest 'the key within the form' => sub {
    for my $first (1, 0) {
        my @key = [api_key => $key];
        my $answer = post(multipart(($first ? @key : ()), fields(), [media => $jpg, 'a.jpg'], ($first ? () : @key)), key => undef);
        is $answer->{status}, 200, 'taken, the key ' . ($first ? 'first' : 'last') or diag $answer->{content};
        is files_of(number_of($answer)), 'a.jpg', 'with its file';
    }
    my $before = sql('select count(*) from attachment');
    is post(multipart(fields(), [media => $jpg, 'a.jpg'], [api_key => 'wrong']), key => undef)->{status}, 403, 'a wrong key';
    is post(multipart(fields(), [media => $jpg, 'a.jpg']), key => undef)->{status}, 403, 'no key';
    is post(multipart(fields(), [media => $jpg, 'a.jpg']), key => $ENV{OTKLIK_STAFF_KEY})->{status}, 403, 'a key of another kind';
    is sql('select count(*) from attachment'), $before, 'nothing of it was stored';
    is incoming(), '', 'or left';
};

subtest 'the same request is the same letter, with the same files' => sub {
    my @fields = fields();
    my @first = multipart(@fields, [media => $jpg, 'a.jpg']);
    my $one = post(@first);
    my $again = post(@first);
    is number_of($again), number_of($one), 'the same number';
    is $again->{headers}{'idempotency-replayed'}, 'true', 'said to be so';
    is files_of(number_of($one)), 'a.jpg', 'one file';
    my $other = post(multipart(@fields, [media => picture('jpg', 20, 20), 'a.jpg']));
    isnt number_of($other), number_of($one), 'another picture is another letter';
};

subtest 'what is wrong with a file is named' => sub {
    my $refused = sub { my ($parts, $status, $like, $name) = @_; my $a = post(multipart(fields(), @$parts)); is $a->{status}, $status, "$name: $status"; like said($a), $like, "$name: named" };
    $refused->([[media => 'GIF89a' . 'x' x 80, 'кот.gif', 'image/jpeg']], 400, qr/\Amedia: кот\.gif \(image\/gif\): .*JPEG/, 'a GIF');
    $refused->([[photo => '', 'пусто.jpg']], 400, qr/\Aphoto: пусто\.jpg: The file is empty/, 'an empty file');
    $refused->([[media => '%PDF-' . 'x' x 21_000_000, 'big.pdf']], 400, qr/\Amedia: big\.pdf: .*at most 20 MB/, 'a file too large');
    $refused->([map { [media => pdf(), "$_.pdf"] } 1 .. 11], 400, qr/\Amedia: 11\.pdf: .*at most 10/, 'too many');
    my $xml = post(multipart(fields(), [media => 'words', 'a.jpg']), format => 'xml');
    is $xml->{status}, 400, 'as XML';
    like $xml->{content}, qr{<errors><error><code>400</code><description>media: a\.jpg: }, 'in the form of GeoReport';
    my $both = post(multipart(fields(lat => 'x', service_code => ''), [media => $jpg, 'a.jpg']));
    is $both->{status}, 400, 'a good file with a bad form';
    like said($both), qr/service_code: /, 'the field is named';
    is incoming(), '', 'nothing is left';
    is post(multipart(map { ["attribute[q$_]" => 1] } 1 .. 70), lang => 'en')->{status}, 400, 'more answers than there may be';
};

subtest 'media_url shows the cleaned picture to who may see it' => sub {
    my $number = number_of(post(multipart(fields(), [doc => pdf(), 'a.pdf'], [media => $jpg, 'двор.jpg'], [media_url => 'https://photos.example/1.jpg'])));
    cleaned();
    my $url = shown($number)->{media_url};
    like $url, qr{\A\Q$ENV{OTKLIK_URL}$base\E/media/\Q$number\E/[0-9a-f-]{36}\.jpg\z}, 'the picture, not the PDF nor the link';
    my $answer = HTTP::Tiny->new->get($url);
    is $answer->{status}, 200, 'opens without a key, as in a page';
    is $answer->{headers}{'content-type'}, 'image/jpeg', 'a picture';
    is $answer->{headers}{'cross-origin-resource-policy'}, 'cross-origin', 'on the pages of the partner, too';
    is $answer->{headers}{'x-content-type-options'}, 'nosniff', 'nobody guesses';
    unlike $answer->{content}, qr/Secretive/, 'without what it tells of its owner';
    is exif_of($answer->{content})->{GPSLatitude}, undef, 'nor the place';
    isnt digest($answer->{content}), digest($jpg), 'not the original';
    wait_for(sub { sql("select status from appeal where number = '$number'") eq 'routed' }, 20, 'routing');
    is shown($number, key => undef)->{media_url}, undef, 'strangers are not told of it';
    my ($id) = $url =~ m{/([0-9a-f-]{36})};
    my $pdf = sql("select t.id from attachment t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.number = '$number' and t.name = 'a.pdf'");
    media(200, "$base/media/$number/$id.jpg", 'the picture');
    media(404, "$base/media/$number/$pdf", 'a PDF is no picture');
    my $other = number_of(post(multipart(fields())));
    media(404, "$base/media/$other/$id.jpg", 'another letter');
    media(404, "$base/media/$number/$_", "no file: $_") for '019a0000-0000-7000-8000-000000000001.jpg', 'x', "x$id.jpg", '.jpg';
    my $resident = appeal({});
    my ($type, $body) = multipart([file => picture('jpg', 12, 12), 'b.jpg']);
    my $own = request('POST', address_of($resident), content => $body, headers => { 'Content-Type' => $type })->{json}{attachments}[0]{id};
    cleaned();
    media(404, "$base/media/$resident->{number}/$own.jpg", "a resident's own picture has no such address");
    sv('down', 'pictures');
    my $new = number_of(post(multipart(fields(), [media => picture('png', 7, 7), 'c.png'])));
    my $waiting = sql("select t.id from attachment t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.number = '$new'");
    media(409, "$base/media/$new/$waiting.png", 'not cleaned yet');
    is shown($new)->{media_url}, undef, 'nor named';
    sv('up', 'pictures');
    my $link = number_of(post(multipart(fields(), [media_url => 'https://photos.example/1.jpg'])));
    is shown($link)->{media_url}, 'https://photos.example/1.jpg', 'a link of the client is given back';
};

subtest 'the endpoint for trials' => sub {
    my $answer = post(multipart(fields(), [media => $jpg, 'a.jpg'], [api_key => $key]), key => undef, base => '/open311/test/v2');
    is $answer->{status}, 200, 'takes files, too' or diag $answer->{content};
    is files_of(number_of($answer)), 'a.jpg', 'as the other does';
};

done_testing;
