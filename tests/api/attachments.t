#!/usr/bin/env perl
# Files of a letter: taken by content, kept as they came, shown only when they have been cleaned; whatever breaks, a row has its file and a
# file its row.
use strict;
use warnings;
use utf8;
use HTTP::Tiny;
use Test::More;
use Time::HiRes qw(sleep);
use Otklik::Command;
use Otklik::Files;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};
my $here = test_dir();
my $uuid7 = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
my $sanitized = `ldd '$here/app/lib/otklik/otklik-intake'` =~ /libasan/;

sub letter { return appeal({}, key => $key) }

# Sends files in parts: [name => bytes, file name] …
sub send_parts {
    my ($letter, $parts, %o) = @_;
    my ($type, $body) = multipart(@$parts);
    return request('POST', address_of($letter), content => $body, headers => { 'Content-Type' => $type }, key => $key, %o);
}

# Sends one file as the whole body.
sub send_raw {
    my ($letter, $bytes, $type, %o) = @_;
    return request('POST', address_of($letter), content => $bytes, headers => { 'Content-Type' => $type // 'application/octet-stream' }, key => $key, %o);
}

sub show { my ($letter, $id, %o) = @_; return get(address_of($letter, "/$id"), key => $key, %o) }
sub original { my ($id) = @_; return sprintf '%s/files/originals/90/%s/%s', $here, substr($id, 0, 6), $id }
sub cleaned { my ($id) = @_; return sprintf '%s/files/cleaned/90/%s/%s', $here, substr($id, 0, 6), $id }
sub bytes_of { my ($path) = @_; open my $in, '<:raw', $path or die "$path: $!"; local $/ = undef; return scalar <$in> }
sub sweep { return otklik('files', 'sweep', @_, { env => { OTKLIK_FILES => "$here/files" } }) }
# Files being cleaned are neither whole nor left over.
sub settled { return wait_for(sub { sql("select count(*) from attachment where region_id = 90 and state = 'waiting'") eq '0' }, 90, 'pictures to have done their work') }
sub whole { settled(); my $run = sweep('--older', 0); return $run->{status} == 0 ? 'whole' : $run->{out} }
sub codes { my ($answer) = @_; return join ' ', map { "$_->{field} $_->{code}" } @{ $answer->{json}{errors} // [] } }

my %picture = map { $_ => with_exif(picture($_, 320, 200), $_) } qw(jpg png webp heic);
my %type = (jpg => 'image/jpeg', png => 'image/png', webp => 'image/webp', heic => 'image/heic');

subtest 'each kind is taken, kept as it came and shown without what it tells of its owner' => sub {
    my $letter = letter();
    for my $kind (sort keys %picture) {
        is exif_of($picture{$kind})->{DateTimeOriginal}, '2026:11:24 10:20:30', "$kind: the picture has its EXIF" if $kind ne 'webp';
        my $sent = $kind eq 'png' ? send_raw($letter, $picture{png}, 'text/plain') : send_parts($letter, [[file => $picture{$kind}, "во дворе.$kind", 'text/html']]);
        is $sent->{status}, 201, "$kind: taken, whatever type it claims" or diag $sent->{content};
        my ($file) = @{ $sent->{json}{attachments} };
        like $file->{id}, qr/\A$uuid7\z/, "$kind: its id";
        is $file->{media_type}, $type{$kind}, "$kind: its type by content";
        is $file->{sha256}, digest($picture{$kind}), "$kind: the digest of what was sent";
        is $file->{size}, length $picture{$kind}, "$kind: its size";
        is $file->{name}, $kind eq 'png' ? '' : "во дворе.$kind", "$kind: its name";
    }
    my $states = file_states($letter);
    is scalar keys %$states, 4, 'all of them belong to the letter';
    for my $file (sort { $a->{media_type} cmp $b->{media_type} } values %$states) {
        my ($kind) = grep { $type{$_} eq $file->{media_type} } keys %type;
        is $file->{state}, 'ready', "$kind: cleaned";
        my $shown = show($letter, $file->{id});
        is $shown->{status}, 200, "$kind: shown";
        my $as = $kind eq 'heic' ? 'image/jpeg' : $type{$kind};
        is $shown->{headers}{'content-type'}, $as, "$kind: as $as";
        is $file->{shown_as}, $as, "$kind: the letter says so";
        is $shown->{headers}{'x-content-type-options'}, 'nosniff', "$kind: nobody guesses";
        like $shown->{headers}{'content-security-policy'}, qr/sandbox/, "$kind: it may do nothing";
        like $shown->{headers}{'content-disposition'}, qr/\Ainline; filename="$file->{id}\.\w+"\z/, "$kind: under a name of ours";
        my $tags = exif_of($shown->{content});
        is_deeply [grep { exists $tags->{$_} } qw(DateTimeOriginal OffsetTimeOriginal Artist Creator GPSLatitude GPSLongitude GPSPosition)], [], "$kind: without time, place and name"
            or diag explain $tags;
        unlike $shown->{content}, qr/Secretive/, "$kind: nowhere in its bytes";
        is digest(bytes_of(original($file->{id}))), digest($picture{$kind}), "$kind: the original is kept, byte for byte";
        is sql("select taken_local, round(st_y(taken_point)::numeric, 3), round(st_x(taken_point)::numeric, 3), width, height from attachment where region_id = 90 and id = '$file->{id}'"),
            '2026-11-24T10:20:30+03:00|57.800|61.200|320|200', "$kind: time, place and size are kept for the staff";
    }
    is sql("select attachments, (select count(*) from appeal_event e where e.appeal_id = a.id and e.kind = 'attached') from appeal a where number = '$letter->{number}'"), '4|4', 'counted, an event each';
    my $events = get("/api/v1/appeals/$letter->{number}?code=$letter->{code}")->{json}{events};
    is_deeply [map { $_->{detail} } grep { $_->{kind} eq 'attached' } @$events], [({ files => 1 }) x 4], 'the events are told';
    like otklik('audit', 'verify', '--region', 90, { role => 'otklik_owner' })->{out}, qr/every chain is whole/, 'the chain holds';
    my $digest = digest($picture{jpg});
    is sql("select count(*) from appeal_event e where region_id = 90 and kind = 'attached' and detail::text like '%$digest%'"), '1', 'and vouches for the digest';
};

subtest 'a picture is turned upright, and a large one made smaller' => sub {
    my $letter = letter();
    my $sent = send_parts($letter, [[a => with_exif(picture('jpg', 300, 100), 'jpg', 'IFD0:Orientation#' => 6), 'a.jpg'], [b => picture('jpg', 5000, 20), 'b.jpg']]);
    is $sent->{status}, 201, 'two of them' or diag $sent->{content};
    file_states($letter);
    my @shown = map { exif_size(show($letter, $_->{id})->{content}) } @{ $sent->{json}{attachments} };
    is_deeply \@shown, ['100x300', '4096x16'], 'as one sees it, and not wider than a screen';
};

sub exif_size { my ($bytes) = @_; require Image::ExifTool; return Image::ExifTool::ImageInfo(\$bytes, 'ImageSize')->{ImageSize} =~ tr/ /x/r }

subtest 'a PDF is taken and never shown in a page' => sub {
    my $letter = letter();
    my $pdf = pdf();
    my $sent = send_raw($letter, $pdf, 'application/pdf');
    is $sent->{status}, 201, 'taken';
    my ($id) = map { $_->{id} } @{ $sent->{json}{attachments} };
    is file_states($letter)->{$id}{state}, 'ready', 'looked at';
    my $shown = show($letter, $id);
    is $shown->{content}, $pdf, 'as it came';
    is $shown->{headers}{'content-type'}, 'application/pdf', 'as what it is';
    like $shown->{headers}{'content-disposition'}, qr/\Aattachment; /, 'to be saved';
};

subtest 'what is not taken is named' => sub {
    my $letter = letter();
    my %bad = ('image/gif' => "GIF89a\1\0\1\0", 'image/svg+xml' => '<svg xmlns="http://www.w3.org/2000/svg"/>', 'application/zip' => "PK\3\4aaaa", 'text/html' => '<!DOCTYPE html><p>');
    for my $guess (sort keys %bad) {
        my $answer = send_parts($letter, [[file => $bad{$guess}, 'снимок.jpg', 'image/jpeg']], lang => 'en');
        is $answer->{status}, 415, "$guess: refused";
        is codes($answer), 'file file_type', "$guess: the field is named";
        like $answer->{json}{detail}, qr/\Aснимок\.jpg \(\Q$guess\E\): .*JPEG, PNG, WebP, HEIC and PDF/, "$guess: the file, its kind, and what would do";
    }
    is send_raw($letter, 'just words', 'image/png')->{status}, 415, 'words that claim to be a picture';
    is send_raw($letter, '{}', 'application/json')->{status}, 415, 'no file at all';
    is send_raw($letter, '', 'image/png')->{status}, 422, 'an empty body';
    is codes(send_parts($letter, [[photo => '', 'empty.jpg']])), 'photo file_empty', 'an empty file';
    is codes(send_parts($letter, [[photo => '', '']])), 'file required', 'a form in which nothing was chosen';
    is send_parts($letter, [[photo => $picture{jpg}, 'a.jpg'], [photo => 'words', 'b.jpg']])->{status}, 415, 'one bad file among good ones';
    my ($type, $body) = multipart([file => $picture{jpg}, 'a.jpg']);
    my @send = ('POST', address_of($letter), key => $key);
    is request(@send, headers => { 'Content-Type' => $type }, content => substr $body, 0, -10)->{status}, 400, 'parts without an end';
    is request(@send, headers => { 'Content-Type' => 'multipart/form-data' }, content => $body)->{status}, 400, 'parts without a boundary';
    is sql("select count(*) from attachment t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.number = '$letter->{number}'"), '0', 'nothing of it was stored';
    is whole(), 'whole', 'no file is left';
};

subtest 'who does not know the code' => sub {
    my $letter = letter();
    my ($id) = map { $_->{id} } @{ send_raw($letter, $picture{jpg})->{json}{attachments} };
    file_states($letter);
    my $other = letter();
    my %wrong = (code => { %$letter, code => 'AAAA-AAAA-AAAA-AAAA' }, number => { %$letter, number => '90-2026-0000000-0' }, letter => $other);
    for my $what (sort keys %wrong) {
        is show($wrong{$what}, $id)->{status}, 404, "another $what: sees nothing";
        is send_raw($wrong{$what}, $picture{png})->{status}, 404, "another $what: adds nothing" if $what ne 'letter';
    }
    is get("/api/v1/appeals/$letter->{number}/attachments/$id")->{status}, 422, 'no code at all';
    is show($letter, $_)->{status}, 404, "no file: $_" for '019a0000-0000-7000-8000-000000000001', 'x', '..%2f..%2fetc';
    is get('/files/90/' . substr($id, 0, 6) . "/$id")->{status}, 404, 'the folder itself is closed';
    is get("/files/../originals/90/$id")->{status}, 404, 'and what lies beside it';
    is whole(), 'whole', 'no file is left';
};

subtest 'the same file twice is one' => sub {
    my $letter = letter();
    my $first = send_raw($letter, $picture{jpg});
    my $again = send_parts($letter, [[x => $picture{jpg}, 'other name.jpg'], [y => $picture{jpg}, 'once more.jpg']]);
    is $again->{status}, 200, 'nothing new';
    is $again->{json}{attachments}[$_]{id}, $first->{json}{attachments}[0]{id}, 'the one there is' for 0, 1;
    my $both = send_parts($letter, [[x => $picture{jpg}, 'a.jpg'], [y => $picture{png}, 'b.png']]);
    is $both->{status}, 201, 'one of two is new';
    is sql("select attachments from appeal where number = '$letter->{number}'"), '2', 'two in all';
    is whole(), 'whole', 'the doubles are gone';

    my @pids = map {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) { send_raw($letter, $picture{webp}); require POSIX; POSIX::_exit(0) }
        $pid;
    } 1 .. 8;
    waitpid $_, 0 for @pids;
    is sql("select attachments, (select count(*) from attachment t where t.appeal_id = a.id) from appeal a where number = '$letter->{number}'"), '3|3', 'eight at once are one';
    is whole(), 'whole', 'and no file too many';
};

subtest 'limits' => sub {
    my $letter = letter();
    my @many = map { [photo => pdf(), "$_.pdf"] } 1 .. 11;
    my $answer = send_parts($letter, \@many, lang => 'en');
    is $answer->{status}, 422, 'eleven at once';
    is codes($answer), 'photo file_count', 'too many';
    is send_parts($letter, [@many[0 .. 8]])->{status}, 201, 'nine';
    is send_parts($letter, [@many[9, 10]])->{status}, 422, 'two more';
    is send_parts($letter, [$many[9]])->{status}, 201, 'one more';
    is codes(send_raw($letter, pdf())), 'file file_count', 'the eleventh';

    my $big = '%PDF-1.4' . 'x' x (20 * 1024 * 1024);
    my $other = letter();
    $answer = send_parts($other, [[scan => $big, 'big.pdf']], lang => 'en');
    is $answer->{status}, 413, 'more than 20 MB';
    is codes($answer), 'scan file_size', 'the field is named';
    like $answer->{json}{detail}, qr/\Abig\.pdf: .* 20 MB/, 'the file and the limit';
    is send_raw($other, $big)->{status}, 413, 'the same as a whole body';
    is send_raw($other, 'x' x (65 * 1024 * 1024))->{status}, 413, 'more than nginx takes';
    is whole(), 'whole', 'no file is left';

    my $nobody = HTTP::Tiny->new(local_address => '127.0.0.91', timeout => 15);
    my ($left) = map { ($_->{headers}{ratelimit} // '') =~ /"write";r=(\d+)/ } $nobody->post($ENV{OTKLIK_URL} . address_of($other), { content => pdf(), headers => { 'Content-Type' => 'application/pdf' } });
    is $left, 1995, 'a file costs what five letters cost';
};

subtest 'pictures that are no good' => sub {
    my $letter = letter();
    my %bad = (
        unreadable => substr($picture{jpg}, 0, length($picture{jpg}) / 2),
        unreadable_2 => "\xff\xd8\xff\xe0" . 'nonsense' x 100,
        unreadable_3 => '%PDF-1.4 without an end',
        unreadable_4 => "\0\0\0\x18ftypheic\0\0\0\0mif1heic" . 'x' x 300,
        too_many_pixels => bomb(30_000, 30_000),
    );
    cmp_ok length $bad{too_many_pixels}, '<', 500_000, 'nine hundred million pixels in a few bytes';
    for my $why (sort keys %bad) {
        my $sent = send_raw($letter, $bad{$why});
        is $sent->{status}, 201, "$why: taken";
        my ($id) = map { $_->{id} } @{ $sent->{json}{attachments} };
        my $file = file_states($letter)->{$id};
        is $file->{state}, 'refused', "$why: not shown";
        is $file->{reason}, $why =~ s/_\d\z//r, "$why: and why";
        is show($letter, $id)->{status}, 404, "$why: nothing to see";
        is digest(bytes_of(original($id))), digest($bad{$why}), "$why: the original is kept";
        ok !-e cleaned($id), "$why: nothing was made of it";
    }
    is whole(), 'whole', 'and nothing is left of the trying';
};

subtest 'nothing is shown before it is cleaned' => sub {
    sv('down', 'pictures');
    my $letter = letter();
    my ($id) = map { $_->{id} } @{ send_raw($letter, $picture{jpg})->{json}{attachments} };
    my $answer = show($letter, $id);
    is $answer->{status}, 409, 'not yet';
    is $answer->{json}{type}, '/problems/not-ready', 'and that is said';
    ok $answer->{headers}{'retry-after'}, 'with when to ask again';
    sv('up', 'pictures');
    is file_states($letter)->{$id}{state}, 'ready', 'the work was not lost';
    is show($letter, $id)->{status}, 200, 'now it is shown';
};

subtest 'the cleaner is killed at its work' => sub {
    my $letter = letter();
    my @parts = map { [photo => picture('jpg', 900, 700), "$_.jpg"] } 1 .. 6;
    is send_parts($letter, \@parts)->{status}, 201, 'six pictures';
    for (1 .. 3) {
        sleep 0.15;
        eval { kill_service('pictures') };
    }
    # What was in hand is free again when its time is over; the test does not wait for that.
    wait_for(sub { internal('/pictures/health/ready')->{status} == 200 }, 20, 'pictures to be back');
    sql("update attachment set not_before = now() - interval '1 second' where region_id = 90 and state = 'waiting'");
    my $states = file_states($letter);
    is_deeply [map { $_->{state} } values %$states], [('ready') x 6], 'all of them are cleaned in the end';
    sweep('--older', 0, '--repair');
    is whole(), 'whole', 'what the killing left is swept away';
};

# The parameters that nginx would send.
sub params {
    my ($letter, %o) = @_;
    return {
        REQUEST_METHOD => 'POST', DOCUMENT_URI => "/api/v1/appeals/$letter->{number}/attachments", QUERY_STRING => "code=$letter->{code}",
        CONTENT_TYPE => 'image/png', CONTENT_LENGTH => 5_000_000, APPEAL_AUTH => 'api_key', APPEAL_SUBJECT => 'demo-integrator', APPEAL_ROLES => 'integrator', APPEAL_REGION => 90, %o,
    };
}

subtest 'a client that leaves in the middle leaves nothing' => sub {
    my $letter = letter();
    my $socket = fastcgi_begin('intake', params($letter), "\x89PNG\r\n\x1a\n" . 'x' x 3_000_000);
    wait_for(sub { my ($file) = files_under('incoming'); $file && -s $file > 2_000_000 }, 10, 'the bytes to be on the disk while they arrive');
    pass 'it is on the disk before it is whole';
    close $socket;
    wait_for(sub { !files_under('incoming') }, 10, 'the file to go');
    pass 'it is gone with the connection';

    # Abort as FastCGI says it: the connection stays.
    $socket = fastcgi_begin('intake', params($letter), "\x89PNG\r\n\x1a\n" . 'x' x 300_000);
    wait_for(sub { files_under('incoming') }, 10, 'the file to begin');
    $socket->syswrite(pack 'CCnnCC', 1, 2, 1, 0, 0, 0);
    wait_for(sub { !files_under('incoming') }, 10, 'the file to go');
    pass 'it is gone with the request';

    my ($address) = $ENV{OTKLIK_URL} =~ m{//([^/]+)};
    my $client = IO::Socket::INET->new(PeerAddr => $address) or die $!;
    $client->syswrite("POST @{[address_of($letter)]} HTTP/1.1\r\nHost: x\r\nX-Api-Key: $key\r\nContent-Type: image/png\r\nContent-Length: 900000\r\n\r\n" . 'x' x 300_000);
    sleep 0.3;
    close $client;
    is sql("select attachments from appeal where number = '$letter->{number}'"), '0', 'through nginx, too: no row';
    is whole(), 'whole', 'and no file';
};

subtest 'intake is killed in the middle' => sub {
    my $letter = letter();
    my $socket = fastcgi_begin('intake', params($letter), "\x89PNG\r\n\x1a\n" . 'x' x 1_000_000);
    wait_for(sub { files_under('incoming') }, 10, 'the file to begin');
    kill_service('intake');
    wait_for(sub { internal('/intake/health/ready')->{status} == 200 }, 20, 'intake to be back');
    my ($left) = files_under('incoming');
    ok $left, 'half a file is left';
    is sweep()->{status}, 0, 'a new one is nobody\'s leftover';
    my $found = sweep('--older', 0);
    is $found->{status}, 1, 'an old one is';
    like $found->{out}, qr/^unfinished \Q$left\E$/m, 'it is named';
    ok -e $left, 'and stays';
    is sweep('--older', 0, '--repair')->{status}, 0, 'mended';
    ok !-e $left, 'it is gone';
    is whole(), 'whole', 'all is whole';
};

subtest 'the sweep finds what does not belong together' => sub {
    my $letter = letter();
    my $sent = send_parts($letter, [map { [photo => with_exif(picture('jpg', 40, 30), 'jpg'), "$_.jpg"] } 1 .. 4]);
    my @id = map { $_->{id} } @{ $sent->{json}{attachments} };
    file_states($letter);

    my $stray = original($id[0]) =~ s/[0-9a-f]{4}\z/0000/r;
    my $stray_shown = cleaned($id[0]) =~ s/[0-9a-f]{4}\z/0000/r;
    system 'cp', '--preserve=ownership', original($id[0]), $_ for $stray, $stray_shown;
    unlink original($id[1]) or die $!;
    unlink cleaned($id[2]) or die $!;
    open my $out, '>>:raw', original($id[3]) or die $!;
    print {$out} 'more';
    close $out;
    my $found = sweep('--older', 0);
    is $found->{status}, 1, 'something is wrong';
    like $found->{out}, qr/^no row \Q$_\E$/m, 'a file without a row' for $stray, $stray_shown;
    like $found->{out}, qr/^no file \Q$_\E$/m, 'a row without its file' for original($id[1]), cleaned($id[2]);
    like $found->{out}, qr/^size differs \Q${\original($id[3])}\E$/m, 'a file that has changed';
    like sweep('--older', 0, '--digests')->{out}, qr/^digest differs \Q${\original($id[3])}\E$/m, 'by its digest, too';
    is sweep('--older', 0, '--repair')->{status}, 1, 'what has changed cannot be mended';
    ok !-e $_, 'the stray one is gone' for $stray, $stray_shown;
    truncate original($id[3]), (-s original($id[3])) - 4 or die $!;
    my $states = file_states($letter);
    is_deeply [map { $states->{$_}{state} } @id], [qw(ready lost ready ready)], 'one is lost, one was cleaned again';
    ok -e cleaned($id[2]), 'and is there';
    is show($letter, $id[1])->{status}, 404, 'the lost one is not shown';
    is sweep('--older', 0, '--digests')->{status}, 0, 'all is whole, digests and all' or diag sweep('--older', 0, '--digests')->{out};
};

subtest 'a letter and its files in one request' => sub {
    my $idempotency = new_key();
    my @fields = ([text => 'Во дворе яма, снимок приложен'], [theme => 'road.pothole'], ['point.lat' => '57.8'], ['point.lon' => '61.2']);
    my $send = sub {
        my ($type, $body) = multipart(@_);
        return request('POST', '/api/v1/appeals', content => $body, headers => { 'Content-Type' => $type, 'Idempotency-Key' => qq("$idempotency") }, key => $key);
    };
    my @files = ([photo => $picture{jpg}, 'a.jpg'], [photo => $picture{heic}, 'b.heic']);
    my $first = $send->(@fields, @files);
    is $first->{status}, 201, 'taken' or diag $first->{content};
    is scalar @{ $first->{json}{attachments} }, 2, 'both files';
    my $again = $send->(@fields, @files);
    is $again->{status}, 201, 'once more';
    is $again->{json}{number}, $first->{json}{number}, 'the same letter';
    is_deeply [map { $_->{id} } @{ $again->{json}{attachments} }], [map { $_->{id} } @{ $first->{json}{attachments} }], 'the same files';
    is $again->{headers}{'idempotency-replayed'}, 'true', 'that is said';
    is $send->(@fields, $files[0])->{status}, 422, 'the same key for other files';
    is_deeply [map { $_->{state} } values %{ file_states($first->{json}) }], ['ready', 'ready'], 'cleaned';

    $idempotency = new_key();
    is codes($send->([theme => 'road.pothole'], @files)), 'text required', 'no text';
    is codes($send->(@fields, [colour => 'red'], @files)), 'colour unknown', 'a field that there is not';
    is $send->(@fields, [photo => 'words', 'a.jpg'])->{status}, 415, 'no picture';
    is $send->(@fields)->{status}, 201, 'parts without files are a form';
    is whole(), 'whole', 'no file too many';
};

subtest 'the form without JavaScript' => sub {
    my $send = sub { my ($type, $body) = multipart(@_); return request('POST', '/?lang=ru', content => $body, headers => { 'Content-Type' => $type }) };
    my $answer = $send->([text => 'Фонарь не горит, см. снимок'], [idempotency_key => new_key()], [files => $picture{png}, 'снимок.png']);
    is $answer->{status}, 303, 'taken' or diag $answer->{content};
    my ($number, $code) = $answer->{headers}{location} =~ /number=([^&]+)&code=([^&]+)/;
    my ($id) = keys %{ file_states({ number => $number, code => $code }) };
    my $page = get("/track?number=$number&code=$code&lang=ru");
    like $page->{content}, qr{<img [^>]*src="/api/v1/appeals/\Q$number\E/attachments/$id\?code=\Q$code\E"}, 'the page shows it';
    is $send->([text => 'Без снимка'], [idempotency_key => new_key()], [files => '', ''])->{status}, 303, 'without a file as before';
    my $bad = $send->([text => 'Слова остаются'], [idempotency_key => new_key()], [files => 'words', 'слова.txt']);
    is $bad->{status}, 415, 'a bad file';
    utf8::decode(my $html = $bad->{content});
    like $html, qr/Слова остаются/, 'the text is not lost';
    like $html, qr/id="files_error">[^<]*JPEG, PNG, WebP, HEIC/, 'what is wrong stands at the field';
};

subtest 'memory stays flat while 20 MB go through' => sub {
    plan skip_all => 'with sanitizers memory is theirs' if $sanitized;
    my $rss = sub { my ($n) = bytes_of('/proc/' . service_pid('intake') . '/status') =~ /^$_[0]:\s+(\d+) kB/m; return $n };
    my $letter = letter();
    send_raw($letter, pdf()); # the threads have begun
    my $before = $rss->('VmRSS');
    my $body = '%PDF-1.4' . join '', map { chr rand 256 } 1 .. 20 * 1024 * 1024 - 100;
    for (1 .. 3) {
        substr $body, 100, 8, sprintf '%08d', rand 1e8;
        is send_raw($letter, $body)->{status}, 201, 'almost 20 MB';
    }
    my ($after, $peak) = ($rss->('VmRSS'), $rss->('VmHWM'));
    diag "resident before $before kB, after $after kB, peak $peak kB";
    cmp_ok $after - $before, '<', 3000, 'resident as before';
    cmp_ok $peak - $before, '<', 6000, 'and never much more';
};

subtest 'the database is away' => sub {
    my $letter = letter();
    sv('down', 'postgres');
    my $answer = send_raw($letter, $picture{jpg});
    is $answer->{status}, 503, 'come again';
    sv('up', 'postgres');
    wait_for(sub { internal('/intake/health/ready')->{status} == 200 && internal('/pictures/health/ready')->{status} == 200 }, 30, 'the services');
    is send_raw($letter, $picture{jpg})->{status}, 201, 'it is taken now';
    settled();
    sweep('--older', 0, '--repair');
    is whole(), 'whole', 'all is whole';
    is_deeply [map { $_->{state} } values %{ file_states($letter) }], ['ready'], 'and shown';
};

done_testing;
