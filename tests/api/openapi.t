#!/usr/bin/env perl
# The system does what docs/openapi.yaml says, and nothing that it does not say: each example is sent as it stands, each status that can be
# brought about is brought about, and every answer is held against the document.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use HTTP::Tiny;
use Test::More;
use Otklik::Command;
use Otklik::Files;
use Otklik::OpenAPI;
use Otklik::Test;

my $api = openapi_load("$FindBin::Bin/../../docs/openapi.yaml");
# Hooks want accounts and secrets, no keys: hooks.t holds them against the document.
# Those of hooks and of the desk are held to their answers where they are tested: hooks.t, abuse.t, desk_entry.t.
my %operation = map { $_->{operation}{operationId} => $_ } grep { $_->{operation}{tags}[0] !~ /\A(?:hooks|desk)\z/ } openapi_operations($api);
my (%seen, $receipt);

# ANSWER has STATUS and is as the document says of that operation.
sub holds {
    my ($id, $status, $answer, $name) = @_;
    is $answer->{status}, $status, "$id, $name: $status" or diag $answer->{content};
    my @wrong = openapi_check_answer($api, $operation{$id}{operation}, $answer);
    is_deeply \@wrong, [], "$id, $name: as documented" or diag "$answer->{status} $answer->{content}";
    is $answer->{json}{status}, $answer->{status}, "$id, $name: the problem has the same status" if $answer->{status} >= 400;
    $seen{$id}{ $answer->{status} } = 1;
    return $answer;
}

# Path and headers of an operation out of its parameters' examples; VALUES go before them.
sub address {
    my ($o, %values) = @_;
    my ($path, %headers, @query) = $o->{path};
    for my $p (@{ $o->{parameters} }) {
        my $value = $values{ $p->{name} } // $p->{example} // next;
        if ($p->{in} eq 'path') { $path =~ s/\{\Q$p->{name}\E\}/url_encode($value)/e }
        elsif ($p->{in} eq 'query') { push @query, url_encode($p->{name}) . '=' . url_encode($value) }
        elsif ($p->{in} eq 'header') { $headers{ $p->{name} } = $value }
    }
    return ($path . (@query ? '?' . join '&', @query : ''), \%headers);
}

sub is_for_all { my ($o) = @_; return scalar grep { !%$_ } @{ $o->{operation}{security} // $api->{security} } }
sub key_for { my ($id) = @_; return is_for_all($operation{$id}) ? $ENV{OTKLIK_API_KEY} : $ENV{OTKLIK_STAFF_KEY} }

# The same request as the examples of an operation make, changed by OPTIONS; values => {…} for parameters.
sub send_to {
    my ($id, %o) = @_;
    my $o = $operation{$id};
    my ($path, $headers) = address($o, 'Idempotency-Key' => '"' . new_key() . '"', %{ delete $o{values} // {} });
    if ($o->{operation}{requestBody} && !$o->{operation}{requestBody}{content}{'application/json'}) {
        $headers->{'Content-Type'} = 'application/pdf';
        $o{content} //= pdf();
    } elsif ($o->{method} eq 'POST') {
        $headers->{'Content-Type'} = 'application/json';
        $o{content} //= $id eq 'joinAppeal' ? '{}' : $id eq 'suggestForDraft' ? '{"text":"Фонарь","point":{"lat":57,"lon":61}}'
            : '{"text":"Проверка описания"}';
        utf8::encode($o{content}) if utf8::is_utf8($o{content});
    }
    return request(delete $o{method} // $o->{method}, (delete $o{path}) // $path, %o, headers => { %$headers, %{ $o{headers} // {} } });
}

# What the SUBs answer, all of them running at once.
sub at_once {
    my (@subs) = @_;
    my @pipes = map {
        my $pid = open(my $from, '-|') // die "fork: $!";
        if ($pid == 0) {
            my $answer = $_->();
            binmode STDOUT;
            print as_json({ %{$answer}{qw(status headers content)} });
            close STDOUT;
            require POSIX;
            POSIX::_exit(0);
        }
        $from;
    } @subs;
    return map {
        binmode $_;
        my $answer = json_of(do { local $/ = undef; readline $_ });
        $answer->{json} = eval { json_of($answer->{content}) };
        $answer
    } @pipes;
}

subtest 'the document is held against, not waved through' => sub {
    my %good = (id => 1, kind => 'a', when => '2026-02-28T10:00:00.000Z', list => [1, 2]);
    my $schema = {
        type => 'object', required => ['id'], additionalProperties => JSON::PP::false(),
        properties => {
            id => { type => 'integer', minimum => 1 }, kind => { type => 'string', enum => [qw(a b)], maxLength => 1 },
            when => { type => 'string', format => 'date-time' }, list => { type => 'array', maxItems => 2, items => { type => 'number' } },
            either => { oneOf => [{ type => 'string', pattern => '^x' }, { type => 'null' }] },
        },
    };
    my $wrong = sub { my (%change) = @_; return scalar openapi_check_schema($api, $schema, json_of(as_json({ %good, %change })), '$') };
    is $wrong->(), 0, 'what is right passes';
    is $wrong->(either => undef), 0, 'one of two';
    for my $change ([id => 0], [id => '1'], [id => 1.5], [kind => 'c'], [when => '2026-02-29T10:00:00Z'], [when => 'now'], [list => [1, 'x']], [list => [1 .. 3]],
        [list => {}], [either => 'y'], [either => 5], [more => 1]) {
        cmp_ok $wrong->(@$change), '>', 0, "refused: $change->[0]";
    }
    is_deeply [openapi_check_schema($api, $schema, {}, '$')], ['$ has no id'], 'what is missing is named';
    ok !eval { openapi_check_schema($api, { maxProperties => 1 }, {}, '$'); 1 }, 'a keyword that is not known is an error';
    my $answer = get('/api/v1/themes');
    my $check = sub { return [openapi_check_answer($api, $operation{listThemes}{operation}, { %$answer, @_ })] };
    is_deeply $check->(), [], 'a good answer';
    is_deeply $check->(status => 418), ['status 418 is not documented'], 'a status';
    is_deeply $check->(headers => { %{ $answer->{headers} }, 'x-secret' => 1 }), ['header x-secret is not documented'], 'a header';
    is_deeply $check->(headers => { map { $_ => $answer->{headers}{$_} } grep { $_ ne 'etag' } keys %{ $answer->{headers} } }), ['header etag is missing'],
        'a header that is missing';
    is_deeply $check->(content => '{"region":90,"themes":[],"more":1}'), ['$ has a member that is not documented: more'], 'a member';
    is_deeply $check->(headers => { %{ $answer->{headers} }, 'content-type' => 'text/html' }), ['content type "text/html" is not documented'], 'a type';
};

subtest 'every example, as it stands' => sub {
    for my $id (sort keys %operation) {
        my $o = $operation{$id};
        my @keys = (is_for_all($o) ? (undef, $ENV{OTKLIK_API_KEY}) : (), $ENV{OTKLIK_STAFF_KEY});
        my $content = ($o->{operation}{requestBody} // {})->{content};
        if (!$content) {
            my ($path, $headers) = address($o);
            # The letter of the example is of another time and place.
            my $status = $id eq 'trackAppeal' || $id eq 'showAttachment' ? 404 : 200;
            holds($id, $status, request($o->{method}, $path, headers => $headers, key => $_), 'the example, ' . (defined $_ ? 'with a key' : 'from nobody')) for @keys;
            holds($id, $status, request($o->{method}, "$path@{[$path =~ /\?/ ? '&' : '?']}api_key=$keys[-1]", headers => $headers), 'the key as an argument');
            next;
        }
        for my $type (sort keys %$content) {
            for my $name (sort keys %{ $content->{$type}{examples} }) {
                my $value = $content->{$type}{examples}{$name}{value};
                is_deeply [openapi_check_schema($api, $content->{$type}{schema}, $value, '$')], [], "$id, example $name: fits its own schema";
                my $body = $type =~ /json/ ? as_json($value) : join '&', map { url_encode($_) . '=' . url_encode($value->{$_}) } sort keys %$value;
                for my $key (@keys) {
                    # The key of the example is for one letter; each of these is another.
                    my ($path, $headers) = address($o, 'Idempotency-Key' => '"' . new_key() . '"');
                    # The letter to join is of another time and place.
                    my $status = $id eq 'joinAppeal' ? 404 : $id eq 'suggestForDraft' ? 200 : 201;
                    my $answer = holds($id, $status, request($o->{method}, $path, content => $body, headers => { %$headers, 'Content-Type' => $type }, key => $key),
                        "example $name, " . (defined $key ? 'with a key' : 'from nobody'));
                    $receipt = $answer if $id eq 'submitAppeal';
                }
            }
        }
    }
    my ($path, $headers) = address($operation{submitAppeal});
    my $short = $operation{submitAppeal}{operation}{requestBody}{content}{'application/json'}{examples}{short}{value};
    my @twice = map { request('POST', $path, content => as_json($short), headers => { %$headers, 'Content-Type' => 'application/json' }, key => $ENV{OTKLIK_API_KEY}) } 1, 2;
    holds('submitAppeal', 201, $_, 'with the very key of the example') for @twice;
    is $twice[1]{headers}{'idempotency-replayed'}, 'true', 'twice the same is said to be so';
};

subtest 'answers follow their links' => sub {
    my %link = %{ $operation{submitAppeal}{operation}{responses}{201}{links}{track} };
    my %values = map { $_ => $receipt->{json}{ $link{parameters}{$_} =~ s{\A\$response\.body#/}{}r } } keys %{ $link{parameters} };
    holds($link{operationId}, 200, send_to($link{operationId}, values => \%values), 'the link of a receipt');
    wait_for(sub { sql("select count(*) from outbox where topic = 'route'") eq '0' }, 20, 'routing');
    for my $lang (qw(ru en)) {
        my $routed = holds($link{operationId}, 200, send_to($link{operationId}, values => { %values, lang => $lang }), "routed ($lang)");
        is $routed->{headers}{'content-language'}, $lang, 'in the language asked for';
        ok $routed->{json}{due}, 'with its deadlines';
    }
    # One each that is certain, in doubt, and of nowhere; a snow theme has working days, holidays and long steps.
    for my $letter ({ theme => 'road.snow', point => { lat => 57.8, lon => 61.2 }, address => 'ул. Лесная, 5' }, { text => 'Здравствуйте' }, { point => { lat => 0, lon => 0 } }) {
        my $made = appeal($letter, key => $ENV{OTKLIK_API_KEY});
        wait_for(sub { sql("select status from appeal where id = '$made->{id}'") ne 'captured' }, 20, 'routing');
        holds('trackAppeal', 200, send_to('trackAppeal', values => { number => $made->{number}, code => $made->{code} }), 'the way of a letter');
    }
    for my $by (@{ (grep { $_->{name} eq 'by' } @{ $operation{summarizeAppeals}{parameters} })[0]{schema}{enum} }) {
        for my $format (qw(json csv)) {
            holds('summarizeAppeals', 200, send_to('summarizeAppeals', key => $ENV{OTKLIK_STAFF_KEY}, values => { by => $by, format => $format }), "by $by as $format");
        }
    }
    for my $id (qw(listThemes showMap)) {
        holds($id, 304, send_to($id, headers => { 'If-None-Match' => send_to($id)->{headers}{etag} }), 'known already');
    }
    my $joined = appeal({ theme => 'light.street', point => { lat => 57.9, lon => 61.2 } }, key => $ENV{OTKLIK_API_KEY});
    wait_for(sub { sql("select status from appeal where id = '$joined->{id}'") ne 'captured' }, 20, 'routing');
    my $draft = '{"text":"Не горит фонарь","point":{"lat":57.9,"lon":61.2}}';
    my $near = holds('suggestForDraft', 200, send_to('suggestForDraft', content => $draft), 'a letter nearby');
    is $near->{json}{near}[0]{number}, $joined->{number}, 'the one that was written';
    my $too = holds('joinAppeal', 201, send_to('joinAppeal', values => { number => $joined->{number} }), 'me too');
    holds('trackAppeal', 200, send_to('trackAppeal', values => { number => $joined->{number}, code => $too->{json}{code} }), 'the way for who joined');
    holds('findPlaces', 200, send_to('findPlaces', path => '/api/v1/places?lat=57.8&lon=61.2'), 'what lies there');
    holds('findPlaces', 422, send_to('findPlaces', path => '/api/v1/places'), 'no place at all');
};

subtest 'files' => sub {
    my $letter = appeal({}, key => $ENV{OTKLIK_API_KEY});
    my @files = map { [file => picture($_, 40, 30), "a.$_"] } qw(jpg png webp heic);
    push @files, [file => pdf(), 'a.pdf'];
    my $send = sub {
        my ($type, $body) = multipart(@_);
        return send_to('attachFiles', values => $letter, content => $body, headers => { 'Content-Type' => $type }, key => $ENV{OTKLIK_API_KEY});
    };
    my $made = holds('attachFiles', 201, $send->(@files), 'one of each kind');
    holds('attachFiles', 200, $send->(@files), 'once more');
    holds('attachFiles', 415, $send->([file => 'words', 'a.jpg']), 'words');
    holds('attachFiles', 413, $send->([file => '%PDF-' . 'x' x 21_000_000, 'a.pdf']), 'too large');
    holds('attachFiles', 422, $send->(map { [file => pdf(), 'a.pdf'] } 1 .. 6), 'too many');
    holds('attachFiles', 422, $send->(), 'none');
    holds('attachFiles', 404, send_to('attachFiles'), 'the letter of the example');
    holds('attachFiles', 400, send_to('attachFiles', content => '--B', headers => { 'Content-Type' => 'multipart/form-data; boundary=B' }), 'half of a body');
    holds('attachFiles', 422, send_to('attachFiles', path => '/api/v1/appeals/90-2026-0000001-8/attachments'), 'no code');
    file_states($letter);
    holds('trackAppeal', 200, send_to('trackAppeal', values => $letter), 'the letter with its files');
    holds('showAttachment', 200, send_to('showAttachment', values => { %$letter, id => $_->{id} }), "shown: $_->{media_type}") for @{ $made->{json}{attachments} };
    sv('down', 'pictures');
    my $new = $send->([file => picture('jpg', 40, 30), 'b.jpg']);
    holds('showAttachment', 409, send_to('showAttachment', values => { %$letter, id => $new->{json}{attachments}[0]{id} }), 'not yet');
    sv('up', 'pictures');
    my ($type, $body) = multipart([text => 'Яма, снимок приложен'], $files[0]);
    holds('submitAppeal', 201, send_to('submitAppeal', content => $body, headers => { 'Content-Type' => $type }, key => $ENV{OTKLIK_API_KEY}), 'a letter with a file');
};

subtest 'what is refused' => sub {
    for my $id (sort keys %operation) {
        my $o = $operation{$id};
        for my $lang (qw(ru en)) {
            holds($id, 405, send_to($id, method => 'DELETE', key => key_for($id), lang => $lang), "another method ($lang)");
            holds($id, 401, send_to($id, key => 'otk_wrong', lang => $lang), "a wrong key ($lang)");
        }
        holds($id, 401, send_to($id, path => (address($o))[0] =~ s/\z/(address($o))[0] =~ m{\?} ? '&api_key=x' : '?api_key=x'/er, key => key_for($id)), 'two keys');
        # The edge itself answers there, and looks at no argument.
        next if $o->{method} ne 'GET' || $id eq 'askChallenge';
        my ($path) = address($o);
        my $more = $path =~ /\?/ ? "$path&" : "$path?";
        holds($id, 400, send_to($id, path => "${more}x=%zz", key => key_for($id)), 'broken percent encoding');
        holds($id, 422, send_to($id, path => "${more}colour=red", key => key_for($id), lang => $_), "an unknown argument ($_)") for qw(ru en);
    }
    my @post = ('submitAppeal', key => $ENV{OTKLIK_API_KEY});
    holds('submitAppeal', 400, send_to(@post, content => '{"text":'), 'broken JSON');
    holds('submitAppeal', 400, send_to(@post, headers => { 'Idempotency-Key' => 'a b' }), 'a bad idempotency key');
    holds('submitAppeal', 413, send_to(@post, content => 'x' x 3_000_000), 'three megabytes');
    holds('submitAppeal', 415, send_to(@post, headers => { 'Content-Type' => 'text/xml' }), 'another type');
    holds('submitAppeal', 422, send_to(@post, content => '{"text":"","theme":7,"point":{"lat":500},"contact":{"email":"x"},"colour":1,"address":"a\nb"}', lang => $_), "all wrong at once ($_)")
        for qw(ru en);
    holds('submitAppeal', 422, send_to(@post, content => '{"text":"Фонарь","theme":"no.such"}'), 'a theme that there is not');
    holds('submitAppeal', 422, send_to('submitAppeal', content => '{"text":"Фонарь","channel":"vk","external_id":"1"}'), 'what only partners may say');
    my $used = '"' . new_key() . '"';
    send_to(@post, headers => { 'Idempotency-Key' => $used });
    holds('submitAppeal', 422, send_to(@post, headers => { 'Idempotency-Key' => $used }, content => '{"text":"Другое письмо"}'), 'a key used before');
    holds('trackAppeal', 422, send_to('trackAppeal', path => '/api/v1/appeals/90-2026-0000001-8'), 'no code');
    for my $id (qw(joinAppeal suggestForDraft)) {
        holds($id, 400, send_to($id, content => '{"text":'), 'broken JSON');
        holds($id, 413, send_to($id, content => 'x' x 3_000_000), 'three megabytes');
        holds($id, 415, send_to($id, headers => { 'Content-Type' => 'text/xml' }), 'another type');
        holds($id, 422, send_to($id, content => '{"text":7,"colour":1,"contact":{"email":"x"}}'), 'all wrong at once');
    }
    holds('summarizeAppeals', 401, send_to('summarizeAppeals'), 'no key');
    holds('summarizeAppeals', 403, send_to('summarizeAppeals', key => $ENV{OTKLIK_API_KEY}), 'a key of a partner');
    holds('summarizeAppeals', 422, send_to('summarizeAppeals', key => $ENV{OTKLIK_STAFF_KEY}, values => { from => '2026-03-01', to => '2026-02-01' }), 'the end before the beginning');
};

subtest 'keys of other kinds' => sub {
    my $add = sub {
        my (@options) = @_;
        my $made = otklik('keys', 'add', '--file', test_dir() . '/etc/keys', '--roles', 'integrator', '--region', 90, @options);
        is $made->{status}, 0, "a key with @options" or diag $made->{err};
        chomp(my $key = $made->{out});
        return $key;
    };
    my $slow = $add->('--subject', 'openapi-slow', '--rate', '1r/m', '--burst', 1);
    for my $id (qw(askChallenge attachFiles findPlaces joinAppeal listThemes showAttachment showMap submitAppeal suggestForDraft trackAppeal)) {
        my $refused = wait_for(sub { my $a = send_to($id, key => $slow); $a->{status} == 429 && $a }, 10, 'the limit of a key');
        holds($id, 429, $refused, 'more than its key may');
    }

    # A key of a region that there is not can only be written by hand.
    my $lost = $add->('--subject', 'openapi-lost');
    my $keys = test_dir() . '/etc/keys';
    my $text = read_file($keys) =~ s/^(\S+ \S+ subject=openapi-lost .*?) region=90/$1 region=500/mr;
    write_file("$keys.new", $text);
    chmod 0640, "$keys.new";
    chown +(stat $keys)[4, 5], "$keys.new";
    rename "$keys.new", $keys or die "rename: $!";
    for my $id (qw(findPlaces listThemes showMap submitAppeal suggestForDraft)) {
        my $refused = wait_for(sub { my $a = send_to($id, key => $lost); $a->{status} == 403 && $a }, 10, 'the edge to read its keys');
        holds($id, 403, $refused, 'a key of a region that there is not');
    }
};

# Addresses have a limit each: one of its own is emptied, so that nobody else has to wait.
subtest 'too many questions' => sub {
    my $other = HTTP::Tiny->new(local_address => '127.0.0.77', timeout => 10, max_redirect => 0);
    my ($path) = address($operation{summarizeAppeals});
    my $answer;
    for (1 .. 5000) {
        $answer = $other->get("$ENV{OTKLIK_URL}$path", { headers => { 'X-Api-Key' => $ENV{OTKLIK_STAFF_KEY} } });
        last if $answer->{status} == 429;
    }
    $answer->{json} = json_of($answer->{content});
    holds('summarizeAppeals', 429, $answer, 'more than an address may');
    is $answer->{json}{'violated-policies'}[0], 'read', 'the limit is named';
};

subtest 'when things break' => sub {
    my %service = (attachFiles => 'intake', showAttachment => 'intake', submitAppeal => 'intake', trackAppeal => 'intake', listThemes => 'intake', summarizeAppeals => 'reporting',
        findPlaces => 'intake', joinAppeal => 'intake', showMap => 'intake', suggestForDraft => 'intake');
    my @ids = sort keys %service;
    my $ready = sub { my ($service) = @_; wait_for(sub { internal("/$service/health/ready")->{status} == 200 }, 30, "$service to be ready") };

    kill_service($_, 'STOP') for qw(intake reporting);
    my @late = at_once(map { my $id = $_; sub { send_to($id, key => key_for($id)) } } @ids);
    kill_service($_, 'CONT') for qw(intake reporting);
    holds($ids[$_], 504, $late[$_], 'the service stands still') for 0 .. $#ids;

    sv('down', 'postgres');
    holds($_, 503, send_to($_, key => key_for($_)), 'the database is away') for @ids;
    sv('up', 'postgres');
    $ready->($_) for qw(intake reporting);
    holds($_, $_ =~ /\A(?:trackAppeal|attachFiles|showAttachment|joinAppeal)\z/ ? 404 : $_ eq 'submitAppeal' ? 201 : 200, send_to($_, key => key_for($_)), 'and is back') for @ids;

    sv('down', $_) for qw(intake reporting);
    holds($_, 502, send_to($_, key => key_for($_)), 'the service is away') for @ids;
    sv('up', $_) for qw(intake reporting);
    $ready->($_) for qw(intake reporting);

    # Which of them are told to come again is a matter of luck; each is told something documented.
    my $key = '"' . new_key() . '"';
    my %statuses;
    for my $answer (at_once(map { sub { send_to('submitAppeal', key => $ENV{OTKLIK_API_KEY}, headers => { 'Idempotency-Key' => $key }) } } 1 .. 20)) {
        holds('submitAppeal', $answer->{status}, $answer, 'twenty at once');
        $statuses{ $answer->{status} }++;
    }
    is_deeply [grep { $_ != 201 && $_ != 409 } keys %statuses], [], 'stored, or told to come again';
};

# 500 and 507 need a fault in the machine; 409 needs luck; tests/edge empties a pool of challenges.
my %rare = map { $_ => 1 } qw(409 500 507);
$seen{askChallenge}{503} = 1;
for my $id (sort keys %operation) {
    my @unseen = grep { !$seen{$id}{$_} && !$rare{$_} } sort keys %{ $operation{$id}{operation}{responses} };
    is_deeply \@unseen, [], "$id: every status was seen";
}

done_testing;
