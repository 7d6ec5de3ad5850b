#!/usr/bin/env perl
# Open311 GeoReport v2: both formats say the same, a request is one durable letter, the public sees nothing personal, and whatever clients get wrong is told
# in the protocol's own form.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Encode qw(decode_utf8);
use Test::More;
use Otklik::Command;
use Otklik::OpenAPI;
use Otklik::Test;
use XML::LibXML;

my $base = '/open311/v2';
my $key = $ENV{OTKLIK_API_KEY};
my $api = openapi_load("$FindBin::Bin/../../docs/open311.yaml");
my %operation = map { $_->{operation}{operationId} => $_->{operation} } openapi_operations($api);
my %seen;

# ---- what both formats say

# The JSON that a document of GeoReport stands for, by the specification's own rules: containers become lists, the root goes.
my %list_of = (attributes => 'attribute', endpoints => 'endpoint', errors => 'error', formats => 'format', jurisdictions => 'jurisdiction', notes => 'note', service_requests => 'request',
    service_request_updates => 'request_update', services => 'service', values => 'value');

sub as_data {
    my ($node) = @_;
    return undef unless ref $node;
    my @children = grep { $_->nodeType == XML_ELEMENT_NODE } $node->childNodes;
    my $item = $list_of{ $node->nodeName };
    if ($item) {
        is join(',', map { $_->nodeName } grep { $_->nodeName ne $item } @children), '', $node->nodeName . " holds $item only" if grep { $_->nodeName ne $item } @children;
        return [map { as_data($_) } @children];
    }
    return { map { $_->nodeName => as_data($_) } @children } if @children;
    return 0 + $node->textContent if $node->nodeName =~ /\A(?:lat|long)\z/ && $node->textContent =~ /\A-?\d+\.\d+\z/;
    return length $node->textContent ? $node->textContent : undef;
}

# The same of JSON: numbers and booleans as their text, "" as null, times that are null left out.
sub leveled {
    my ($v) = @_;
    return [map { leveled($_) } @$v] if ref $v eq 'ARRAY';
    return { map { $_ => leveled($v->{$_}) } grep { defined $v->{$_} || !/datetime\z/ } keys %$v } if ref $v eq 'HASH';
    return $v ? 'true' : 'false' if JSON::PP::is_bool($v);
    return defined $v && length $v ? "$v" : undef;
}

sub xml_of {
    my ($answer, $root) = @_;
    is $answer->{headers}{'content-type'}, 'text/xml; charset=utf-8', "$root: XML by its type";
    like $answer->{content}, qr/\A<\?xml version="1.0" encoding="utf-8"\?>/, "$root: begins as XML does";
    my $document = eval { XML::LibXML->load_xml(string => $answer->{content}) };
    ok $document, "$root: is XML" or return diag $@, $answer->{content};
    is $document->documentElement->nodeName, $root, "$root: is its root";
    is scalar $document->findnodes('//@*')->size, 0, "$root: has no attributes";
    return $document->documentElement;
}

# The answer in both formats, held against each other and the JSON against the document; gives the data. The path is without its ending.
sub both {
    my ($id, $root, $path, %o) = @_;
    my $status = delete $o{status} // 200;
    my $query = delete $o{query} // '';
    my $json = get("$path.json$query", %o);
    my $xml = get("$path.xml$query", %o);
    is $json->{status}, $status, "$id: $status" or diag $json->{content};
    is $xml->{status}, $status, "$id: $status as XML, too" or diag $xml->{content};
    holds($id, $json);
    is_deeply as_data(xml_of($xml, $root)), leveled($json->{json}), "$id: both formats say the same";
    return $json->{json};
}

sub holds {
    my ($id, $answer) = @_;
    my @wrong = openapi_check_answer($api, $operation{$id}, $answer);
    is_deeply \@wrong, [], "$id: as documented" or diag "$answer->{status} $answer->{content}";
    $seen{$id}{ $answer->{status} } = 1;
    return $answer;
}

# An error in both formats; gives its sentences.
sub refused {
    my ($id, $status, $path, %o) = @_;
    my $list = both($id, 'errors', $path, status => $status, lang => 'en', %o);
    is_deeply [grep { $_->{code} ne $status } @$list], [], "$id: its code is $status";
    return join "\n", map { $_->{description} } @$list;
}

# ---- requests

my %good = (service_code => 'road.pothole', description => 'Яма на дороге', lat => '57.81234', long => '61.23456');
# The pairs of a form; of a field that is given twice the later one, but for attributes and links.
sub fields {
    my (@pairs) = @_;
    my %last;
    for (my $i = 0; $i < @pairs; $i += 2) { $last{ $pairs[$i] } = $i }
    return map { $last{ $pairs[$_] } == $_ || $pairs[$_] =~ /\A(?:attribute|media)/ ? @pairs[$_, $_ + 1] : () } map { 2 * $_ } 0 .. @pairs / 2 - 1;
}
sub pairs { my @pairs = fields(@_); my @out; while (my ($n, $v) = splice @pairs, 0, 2) { push @out, url_encode($n) . '=' . url_encode($v) } return join '&', @out }
sub post {
    my ($pairs, %o) = @_;
    my $format = delete $o{format} // 'json';
    my $query = delete $o{query} // '';
    my %headers = ('Content-Type' => 'application/x-www-form-urlencoded', %{ delete $o{headers} // {} });
    $o{key} = $key unless exists $o{key};
    return request('POST', "$base/requests.$format$query", content => ref $pairs ? pairs(@$pairs) : $pairs, headers => \%headers, lang => 'en', %o);
}
my $n = 0;
sub text { return 'Яма на дороге, проверка ' . ++$n . ' ' . new_key() }
sub accepted {
    my ($more, %o) = @_;
    my $answer = post([%good, description => text(), @{ $more // [] }], %o);
    is $answer->{status}, 200, 'a request is taken' or diag $answer->{content};
    holds('postRequest', $answer) if ($o{format} // 'json') eq 'json';
    return $answer;
}
sub number_of { my ($answer) = @_; return $answer->{json}[0]{service_request_id} }
sub routed { my ($number) = @_; return wait_for(sub { sql("select status from appeal where number = '$number'") eq 'routed' }, 20, 'routing') }

# As its owner sees it.
sub shown { my ($number, %o) = @_; return get("$base/requests/$number.json" . ($o{query} // ''), key => exists $o{key} ? $o{key} : $key, lang => 'en')->{json}[0] }

subtest 'discovery' => sub {
    my $found = both('discover', 'discovery', '/open311/discovery');
    is_deeply [map { [$_->{type}, $_->{url}] } @{ $found->{endpoints} }],
        [['production', "$ENV{OTKLIK_URL}$base"], ['test', "$ENV{OTKLIK_URL}/open311/test/v2"]], 'two endpoints';
    is get($_->{url} =~ s/\Q$ENV{OTKLIK_URL}\E//r . '/services.json')->{status}, 200, "$_->{type}: is there" for @{ $found->{endpoints} };
    like $found->{contact}, qr/Центр управления регионом/, 'a contact';
    is get('/open311/discovery.json', lang => 'en')->{json}{endpoints}[0]{specification}, 'http://wiki.open311.org/GeoReport_v2', 'the specification';
    refused('discover', 403, '/open311/discovery', key => 'wrong');
    is get("/open311/v2//services.json")->{status}, 200, 'an endpoint with a slash at its end will do';
};

subtest 'services and their definitions' => sub {
    my $services = both('listServices', 'services', "$base/services");
    is scalar @$services, sql('select count(*) from theme where region_id = 90 and active'), 'the active themes';
    my ($pothole) = grep { $_->{service_code} eq 'road.pothole' } @$services;
    is $pothole->{service_name}, 'Ямы и разрушенное покрытие', 'by their names';
    my ($english) = grep { $_->{service_code} eq 'road.pothole' } @{ get("$base/services.json", lang => 'en')->{json} };
    is $english->{group}, 'Roads', 'in English, too';
    for my $code ('road.pothole', 'waste.collection', 'heat.cold') {
        my $d = both('defineService', 'service_definition', "$base/services/$code", lang => 'en');
        is $d->{service_code}, $code, 'names itself';
        is_deeply [map { $_->{order} } @{ $d->{attributes} }], [1 .. @{ $d->{attributes} }], 'the order is 1, 2, 3 …';
        is_deeply [grep { !length $_->{datatype_description} } @{ $d->{attributes} }], [], 'no empty hint';
    }
    my $waste = get("$base/services/waste.collection.json", lang => 'en')->{json};
    is $waste->{attributes}[0]{datatype}, 'multivaluelist', 'a list';
    is_deeply $waste->{attributes}[0]{values}[1], { key => '2', name => 'Rubbish around' }, 'with its options';
    like $waste->{attributes}[-1]{description}, qr/\AFirst answer: \d+ .+; result: \d+ /, 'the deadlines are told';
    like refused('defineService', 404, "$base/services/none.such"), qr/service_code/, 'an unknown service';
};

subtest 'jurisdictions' => sub {
    is scalar @{ get("$base/services.json?jurisdiction_id=90")->{json} }, scalar @{ get("$base/services.json")->{json} }, 'its own by name';
    is get("$base/services.json?jurisdiction_id=")->{status}, 200, 'an empty one is none';
    like refused('listServices', 404, "$base/services", query => "?jurisdiction_id=$_"), qr/jurisdiction_id/, "'$_' is unknown" for '12', 'boston.gov', '100', '0';
    like refused('listServices', 400, "$base/services", query => '?jurisdiction_id=90&jurisdiction_id=67'), qr/jurisdiction_id/, 'two';
    sql("insert into theme (region_id, code, group_ru, name_ru) values (12, 'elsewhere', 'Прочее', 'Другое')");
    is_deeply [map { $_->{service_code} } @{ get("$base/services.json?jurisdiction_id=12")->{json} }], ['elsewhere'], 'another region is another jurisdiction';
    is_deeply get("$base/requests.json?jurisdiction_id=12")->{json}, [], 'with its own requests';
    my $other = post([%good, service_code => 'elsewhere', jurisdiction_id => 12]);
    is $other->{status}, 403, 'a key is for its own region';
    like $other->{json}[0]{description}, qr/jurisdiction_id/, 'and is told so';
    is post([%good], query => '?jurisdiction_id=12')->{status}, 403, 'also by the query';
    sql("delete from theme where region_id = 12 and code = 'elsewhere'");
};

subtest 'a request becomes a letter' => sub {
    my $text = "Яма & лужа <b>глубокая</b> ]]>\r\nвторая строка\rтретья " . new_key();
    my $stored = $text =~ s/\r\n?/\n/gr;
    my $answer = holds('postRequest', post([%good, description => $text, address_string => 'ул. Лесная, 5', account_id => 'a-1', device_id => 'd-1',
        media_url => 'https://photos.example/1.jpg?a=1&b=2', 'attribute[11]' => 1, 'attribute[12]' => '15.5']));
    is $answer->{status}, 200, 'taken' or return diag $answer->{content};
    my $number = number_of($answer);
    like $number, qr/\A90-\d{4}-\d{7}-\d\z/, 'with its public number';
    my ($link) = $answer->{json}[0]{service_notice} =~ /(\Q$ENV{OTKLIK_URL}\E\/track\?\S+)/;
    is request('GET', $link =~ s/\Q$ENV{OTKLIK_URL}\E//r)->{status}, 200, 'and a link to follow it by';
    is sql("select text = \$t\$$stored\$t\$, channel, client, auth from appeal where number = '$number'"), 't|open311|demo-integrator|api_key', 'the text as it was, lines by LF'
        or diag sql("select text, channel, client, auth from appeal where number = '$number'");
    is sql("select answers from appeal where number = '$number'"),
        '{"device_id": "d-1", "account_id": "a-1", "attributes": {"11": ["1"], "12": ["15.5"]}, "media_urls": ["https://photos.example/1.jpg?a=1&b=2"]}', 'what else was told';
    is sql("select count(*) from appeal_event e join appeal a on a.id = e.appeal_id where a.number = '$number' and e.kind = 'captured' and e.detail ? 'answers_sha256'"), 1,
        'the chain vouches for it';
    routed($number);
    my $list = both('getRequest', 'service_requests', "$base/requests/$number", key => $key, lang => 'en');
    is scalar @$list, 1, 'one';
    is $list->[0]{description}, $stored, 'its text comes back whole';
    is $list->[0]{lat}, 57.81234, 'and the place';
    is $list->[0]{address}, 'ул. Лесная, 5', 'and the address';
    is $list->[0]{media_url}, 'https://photos.example/1.jpg?a=1&b=2', 'and the link';
    is $list->[0]{status}, 'open', 'open';
    like $list->[0]{status_notes}, qr/\APassed on to: /, 'where it stands';
    like $list->[0]{$_}, qr/\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\z/, $_ for qw(requested_datetime updated_datetime expected_datetime);
    my $more = both('getRequest', 'service_requests', "$base/requests/$number", key => $key, lang => 'en', query => '?extensions=true');
    is_deeply $more->[0]{attributes}, [{ label => 'Where exactly?', name => 'Carriageway', value => '1', code => '11' },
        { label => 'Depth, cm', name => '15.5', value => '15.5', code => '12' }], 'answers by extension';
    is_deeply [map { $_->{type} } @{ $more->[0]{notes} }], [qw(captured routed)], 'and its way';
    ok !exists $list->[0]{attributes}, 'strict without';
    my $xml = accepted(undef, format => 'xml');
    is as_data(xml_of($xml, 'service_requests'))->[0]{account_id}, undef, 'the answer as XML';
};

subtest 'what the public sees' => sub {
    my $number = number_of(accepted([email => 'anna@example.com', phone => '+7 900 000-00-00', first_name => 'Анна', last_name => 'Петрова',
        'attribute[1]' => 1, address_string => 'ул. Тайная, 7, кв. 1', 'attribute[99]' => 'секрет', media_url => 'https://photos.example/secret.jpg']));
    is sql("select c.name, c.email, s.version from contact c join consent s using (region_id, appeal_id) join appeal a on a.id = c.appeal_id where a.number = '$number'"),
        'Анна Петрова|anna@example.com|1', 'contacts are kept with the consent';
    is sql("select answers from appeal where number = '$number'") =~ /"1"/ ? 1 : 0, 0, 'the consent is no answer besides';
    routed($number);
    for my $query ('', '?extensions=true') {
        for my $format (qw(json xml)) {
            my $public = get("$base/requests/$number.$format$query")->{content};
            unlike decode_utf8($public), qr/Анна|Петрова|anna|900|Тайная|секрет|secret|проверка|57\.8123|61\.2345/, "nothing of the resident: $format$query";
        }
        my $list = decode_utf8(get("$base/requests.json$query")->{content});
        like $list, qr/\Q$number\E/, "listed$query";
        unlike $list, qr/Тайная|секрет|проверка|61\.2345/, "without it$query";
    }
    is shown($number, key => undef)->{lat}, 57.812, 'the place to a hundred metres';
    is_deeply [map { $_->{service_request_id} } @{ get("$base/requests.json?bbox=61.23456,57.81234,61.23456,57.81234")->{json} }], [], 'which a filter does not sharpen';
    is shown($number, key => $ENV{OTKLIK_STAFF_KEY})->{description}, undef, 'another key sees what the public sees';
    my $plain = number_of(accepted());
    sql("update appeal set status = 'moderation' where number = '$plain'");
    like refused('getRequest', 404, "$base/requests/$plain"), qr/service_request_id/, 'what a moderator has not let pass is not there';
    unlike get("$base/requests.json")->{content}, qr/\Q$plain\E/, 'nor in the list';
    unlike get("$base/servicerequestupdates.json")->{content}, qr/\Q$plain\E/, 'nor in the changes';
    is shown($plain)->{status_notes}, 'A moderator is looking at it', 'but for its owner';
    sql("update appeal set status = 'routed' where number = '$plain'");
    my $anonymous = appeal(undef)->{number};
    wait_for(sub { sql("select status from appeal where number = '$anonymous'") eq 'moderation' }, 20, 'routing');
    is get("$base/requests/$anonymous.json", key => $key)->{status}, 404, "another's letter in moderation is nobody's";
};

subtest 'contacts without consent' => sub {
    my $answer = accepted([email => 'anna@example.com', first_name => 'Анна']);
    like $answer->{json}[0]{service_notice}, qr/Contacts were not kept/, 'are not kept, and that is said';
    is sql("select count(*) from contact c join appeal a on a.id = c.appeal_id where a.number = '" . number_of($answer) . "'"), 0, 'indeed';
};

subtest 'keys' => sub {
    my $start = sql('select count(*) from appeal');
    for my $format (qw(json xml)) {
        my @wrong = (post([%good], key => undef, format => $format), post([%good, api_key => ''], key => undef, format => $format),
            post([%good, api_key => 'otk_aaaaaaaa_' . 'a' x 32], key => undef, format => $format), post([%good, api_key => "x\r\nX-Evil: 1"], key => undef, format => $format),
            post([%good], key => undef, format => $format, query => '?api_key=wrong'), post([%good], key => 'wrong', format => $format),
            post([%good], key => $ENV{OTKLIK_STAFF_KEY}, format => $format));
        for my $answer (@wrong) {
            is $answer->{status}, 403, "no, or a wrong key: 403 ($format)";
            is $answer->{headers}{'x-evil'}, undef, 'no header of the client';
            if ($format eq 'json') { holds('postRequest', $answer); is $answer->{json}[0]{code}, '403', 'in its form' }
            else { is as_data(xml_of($answer, 'errors'))->[0]{code}, '403', 'in its form' }
        }
    }
    is sql('select count(*) from appeal'), $start, 'nothing was stored';
    my @right = (post([%good, description => text()]), post([%good, description => text()], key => undef, query => "?api_key=$key"),
        post([%good, description => text(), api_key => $key], key => undef), post([api_key => $key, %good, description => text()], key => undef, query => '?jurisdiction_id=90'));
    is $_->{status}, 200, 'header, query or form' or diag $_->{content} for @right;
    is sql('select count(*) from appeal'), $start + @right, 'each stored once';
    is sql("select client, auth from appeal where number = '" . number_of($right[2]) . "'"), 'demo-integrator|api_key', 'a key in the form makes a client of whoever it belongs to';
    is get("$base/requests.json?api_key=")->{status}, 200, 'an empty key is none';
    is get("$base/requests.json?api_key=&status=open&api_key=$key")->{status}, 200, 'wherever it stands';
    is get("$base/requests.json?api_key=wrong")->{status}, 403, 'a wrong one is wrong for reading, too';
};

subtest 'the same request is the same letter' => sub {
    my @form = (%good, description => text());
    my ($first, $second) = map { post(\@form) } 1, 2;
    is number_of($first), number_of($second), 'sent again, it is not stored again';
    is $second->{headers}{'idempotency-replayed'}, 'true', 'and that is said';
    is number_of(post([@form, api_key => $key], key => undef)), number_of($first), 'however the key comes';
    isnt number_of(post([@form, device_id => 'other'])), number_of($first), 'from another device it is another';
    my $own = new_key();
    my ($a, $b) = map { post([%good, description => text()], headers => { 'Idempotency-Key' => qq("$own") }) } 1, 2;
    is $a->{status}, 200, 'with a key of its own';
    is $b->{status}, 400, 'which is good for one letter';
};

subtest 'what is wrong is named' => sub {
    my $told = sub { my ($more, $drop, %o) = @_; my %form = %good; delete $form{$_} for @{ $drop // [] };
        my $answer = holds('postRequest', post([%form, @$more], %o)); is $answer->{status}, $o{status} // 400, 'refused' or diag $answer->{content};
        return join "\n", map { $_->{description} } @{ $answer->{json} } };
    like $told->([], ['service_code']), qr/\Aservice_code: /, 'no service';
    like $told->([], ['description']), qr/^description: /m, 'no text';
    like $told->([], ['lat']), qr/^lat: Give this field, too/m, 'half a place';
    like $told->([], ['lat', 'long']), qr/^lat: say where/m, 'no place';
    like $told->([address_id => '7'], ['lat', 'long']), qr/^address_id: /m, 'a place of a register that is not here';
    like $told->([lat => '97'], ['lat']), qr/^lat: The number is out of range/m, 'out of the world';
    unlike $told->([lat => '97'], ['lat']), qr/say where/, 'and only that';
    like $told->([description => 'x' x 4001], ['description']), qr/^description: Too long/m, 'too long';
    like $told->([description => "a\0b"], ['description']), qr/no UTF-8|characters/, 'NUL';
    like $told->([email => 'nonsense']), qr/^email: /m, 'an address that is none';
    like $told->([media_url => 'javascript:alert(1)']), qr/^media_url: /m, 'a link that is none';
    like $told->(['attribute[11]' => 9]), qr/^attribute\[11\]: There is no such option/m, 'an option';
    like $told->(['attribute[11]' => 1, 'attribute[11]' => 2]), qr/^attribute\[11\]: .*more than once/m, 'two where one is asked for';
    like $told->(['attribute[12]' => 'deep']), qr/^attribute\[12\]: /m, 'a number that is none';
    like $told->(['attribute[' => 'x']), qr/^attribute\[: /m, 'an attribute without a name';
    like $told->([service_code => 'housing.lift'], ['service_code']), qr/^attribute\[11\]: Fill in/m, 'an answer that is needed';
    like $told->([service_code => 'waste.collection', 'attribute[12]' => 'yesterday'], ['service_code']), qr/^attribute\[12\]: /m, 'a time that is none';
    my $unknown = holds('postRequest', post([%good, service_code => 'none.such']));
    is $unknown->{status}, 404, 'an unknown service is 404';
    like post(pairs(%good) . '&lat=1')->{content}, qr/lat: The field is given more than once/, 'a field twice';
    is post('%ff=%fe', headers => {})->{status}, 400, 'no UTF-8';
    is post('{"service_code":"road.pothole"}', headers => { 'Content-Type' => 'application/json' })->{status}, 400, 'JSON is no form';
    is post(join('&', map { "a$_=1" } 1 .. 300))->{status}, 400, 'too many fields';
    my $russian = request('POST', "$base/requests.xml", content => 'service_code=road.pothole', key => $key, lang => 'ru', headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
    like as_data(xml_of($russian, 'errors'))->[0]{description}, qr/Заполните/, 'in Russian for who reads that';
    for my $format (qw(json xml)) {
        my $big = post('description=' . 'x' x (2 * 1024 * 1024 + 1), format => $format);
        is $big->{status}, 413, 'too large';
        is $format eq 'xml' ? as_data(xml_of($big, 'errors'))->[0]{code} : $big->{json}[0]{code}, '413', "as $format";
    }
    is request('PUT', "$base/requests.json", content => '', key => $key)->{json}[0]{code}, '405', 'a method that is not known';
};

subtest 'what strangers send is borne' => sub {
    my $answer = accepted(['attribute[fixmystreet_id]' => '123', 'attribute[easting]' => '1', service_name => 'null', utf8 => '✓', submit => '', address_string => '',
        media_url => '', lang => 'xx']);
    is sql("select external_id, answers from appeal where number = '" . number_of($answer) . "'"), '123|{"attributes": {"easting": ["1"]}}', 'what has a name here is kept';
    for my $spelling (['attribute[11]' => 1, 'attribute[11]' => 3], ['attribute[11][]' => 1, 'attribute[11][]' => 3], ['attribute[11][0]' => 1, 'attribute[11][1]' => 3]) {
        my $number = number_of(accepted([service_code => 'waste.collection', @$spelling], ));
        is sql("select answers -> 'attributes' from appeal where number = '$number'"), '{"11": ["1", "3"]}', "$spelling->[0], twice";
    }
};

subtest 'forms in parts' => sub {
    my $parts = sub { my ($b, @pairs) = @_; my $out = ''; @pairs = fields(@pairs); while (my ($name, $v) = splice @pairs, 0, 2) { utf8::encode($v);
        $out .= "--$b\r\nContent-Disposition: form-data; name=\"$name\"\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n$v\r\n" } return "$out--$b--\r\n" };
    for my $b ('===1234567890===', 'x', "with'odd()+_,-./:=?chars", '----WebKitFormBoundaryabc') {
        my $type = $b =~ /['()]/ ? qq(multipart/form-data; boundary="$b") : "multipart/form-data; boundary=$b";
        my $text = text() . " & <b>\r\nвторая";
        my $answer = post($parts->($b, %good, description => "$text\r\n", 'attribute[11]' => 1, service_name => 'null'), headers => { 'Content-Type' => $type });
        is $answer->{status}, 200, "boundary $b" or diag $answer->{content};
        is shown(number_of($answer))->{description}, $text =~ s/\r\n/\n/gr, 'the text is whole' if $answer->{status} == 200;
    }
    my $with_key = post($parts->('y', %good, description => text(), api_key => $key), key => undef, headers => { 'Content-Type' => 'multipart/form-data; boundary=y' });
    is $with_key->{status}, 200, 'with the key in a part';
    is post($parts->('y', %good), headers => { 'Content-Type' => 'multipart/form-data; boundary=z' })->{status}, 400, 'a wrong boundary';
};

subtest 'lists' => sub {
    my $mark = 'Метка ' . new_key();
    my @number;
    for my $i (1 .. 4) {
        my %form = (%good, description => "$mark $i", service_code => $i % 2 ? 'light.street' : 'road.pothole', lat => 57.80 + $i / 100, long => '61.2');
        push @number, number_of(post([%form]));
    }
    routed($_) for @number;
    my %mine = map { $number[$_ - 1] => $_ } 1 .. 4;
    my $list = sub { my ($query) = @_; return join ' ', grep { defined } map { $mine{ $_->{service_request_id} } } @{ get("$base/requests.json?$query", key => $key)->{json} } };
    my $all = both('listRequests', 'service_requests', "$base/requests", key => $key, query => '?page_size=20&extensions=true');
    is $list->(''), '4 3 2 1', 'the newest first';
    is $list->('service_code=light.street'), '3 1', 'by service';
    is $list->('service_code=light.street,road.pothole,none.such'), '4 3 2 1', 'by several';
    is $list->('service_code=none.such'), '', 'by one that is not there';
    is $list->('status=open'), '4 3 2 1', 'by state';
    is $list->('status=CLOSED'), '', 'none is closed';
    is $list->('status=open,closed'), '4 3 2 1', 'both';
    is $list->('bbox=61.1,57.815,61.3,57.835'), '3 2', 'by a box';
    is $list->('lat=57.82&long=61.2&radius=1200'), '3 2 1', 'by a circle';
    is $list->('lat=57.82&long=61.2&radius=100'), '2', 'a small one';
    is $list->('lat=57.82&long=61.2'), '2', 'a kilometre by itself';
    is $list->("service_request_id=$number[2],$number[0]&status=closed"), '3 1', 'by numbers, which go before all else';
    is $list->('service_request_id=90-2026-0000000-0,nonsense'), '', 'numbers that are none';
    my @pages = map { [map { $_->{service_request_id} } @{ get("$base/requests.json?page_size=2&page=$_", key => $key)->{json} }] } 1, 2, 3;
    is_deeply [map { $mine{$_} } @{ $pages[0] }, @{ $pages[1] }], [4, 3, 2, 1], 'by pages';
    is_deeply get("$base/requests.json?page=1000000", key => $key)->{json}, [], 'behind the last one is nothing';
    cmp_ok scalar @{ get("$base/requests.json?page_size=1000000", key => $key)->{json} }, '>=', 4, 'a page that is too large is as large as it may be';
    my $at = shown($number[1])->{requested_datetime};
    my $ours = sub { my ($query) = @_; return scalar grep { $_->{service_request_id} eq $number[1] } @{ get("$base/requests.json?$query", key => $key)->{json} } };
    is $ours->("start_date=$at&end_date=$at"), 1, 'both ends belong to a span';
    my ($h) = $at =~ /T(\d\d)/;
    (my $moscow = $at) =~ s/T\d\d(.*)Z/sprintf 'T%02d%s', ($h + 3) % 24, $1/e;
    SKIP: {
        skip 'near midnight', 3 if $h > 20;
        is $ours->("start_date=$moscow%2B03:00&end_date=$moscow%2B0300"), 1, 'with offsets';
        is $ours->("start_date=$moscow+03:00&end_date=$moscow+0300"), 1, 'whose plus came unescaped';
        is $ours->("start_date=$moscow.017%2B03:00&end_date=$moscow.9%2B03:00"), 1, 'fractions are dropped';
    }
    is $ours->("end_date=2026-01-01T00:00:00Z"), 0, 'before its time';
    is $ours->("updated_after=$at"), 1, 'by what changed';
    is $ours->("updated_after=2026-01-01T00:00:00Z&updated_before=2026-01-02T00:00:00Z"), 0, 'when nothing changed';
    is $ours->("updated_after=$at&service_code=light.street"), 0, 'together with others';
    my @wrong = ('start_date=now', 'start_date=2026-02-01T00:00:00Z&end_date=2026-01-01T00:00:00Z', 'start_date=2020-01-01T00:00:00Z&end_date=2026-01-01T00:00:00Z',
        'updated_after=2020-01-01', 'status=lost', 'bbox=1,2,3', 'bbox=61.3,57,61.1,58', 'bbox=a,b,c,d', 'bbox=nan,nan,nan,nan', 'lat=57', 'lat=57&long=200', 'lat=57&long=61&radius=0', 'page=0',
        'page=x', 'page_size=-1', 'extensions=perhaps', 'service_request_id=' . join(',', 1 .. 201));
    for my $query (@wrong) {
        my ($name) = $query =~ /([a-z_]+)=[^=]*\z/;
        my $said = refused('listRequests', 400, "$base/requests", query => "?$query", key => $key);
        like $said, qr/^(?:\Q$name\E|long|radius|lat|end_date): /m, "wrong: $query";
    }
    is get("$base/requests.json?unknown=1&_=2&status=", key => $key)->{status}, 200, 'strangers and empty ones are passed over';
    my $csv = get("$base/requests.csv?page_size=1", key => $key);
    is $csv->{headers}{'content-type'}, 'text/csv; charset=utf-8; header=present', 'as CSV';
    like decode_utf8($csv->{content}), qr/\Aservice_request_id,status,.*\r\n\Q$number[3]\E,open,/, 'with a head';
    is get("$base/requests.csv?page=0", key => $key)->{status}, 400, 'what is wrong is told';
    my $from = sub { my ($format) = @_; return request('HEAD', "$base/requests.$format", key => $key)->{status} };
    is $from->('xml'), 200, 'HEAD';
};

subtest 'single requests and tokens' => sub {
    my $receipt = appeal({ theme => 'road.pothole', point => { lat => 57.8, lon => 61.2 } }, key => $key);
    routed($receipt->{number});
    my $found = both('getToken', 'service_requests', "$base/tokens/$receipt->{id}");
    is_deeply $found, [{ service_request_id => $receipt->{number}, token => $receipt->{id} }], 'the id of a receipt leads to its number';
    refused('getToken', 404, "$base/tokens/$_") for '01a2116a-cbde-7395-90d8-dcc02022ee33', 'nonsense';
    refused('getRequest', 404, "$base/requests/$_") for '90-2026-9999999-0', 'nonsense', url_encode("x' or 1=1");
    is get("$base/requests/$receipt->{number}")->{status}, 404, 'without a format';
    is get("$base/requests/json")->{status}, 404, 'with a slash for the dot';
};

subtest 'changes' => sub {
    my $number = number_of(accepted());
    routed($number);
    my $feed = both('listUpdates', 'service_request_updates', "$base/servicerequestupdates", key => $key, lang => 'en');
    my @ours = grep { $_->{service_request_id} eq $number } @$feed;
    is_deeply [map { $_->{status} } @ours], [qw(open investigating)], 'step by step';
    is_deeply [map { $_->{update_id} } @ours], ["$number.1", "$number.2"], 'each with its id';
    like $ours[1]{description}, qr/\APassed on to: /, 'in words';
    my $at = $ours[1]{updated_datetime};
    my @there = grep { $_->{update_id} eq "$number.2" } @{ get("$base/servicerequestupdates.json?start_date=$at&end_date=$at", key => $key)->{json} };
    is scalar @there, 1, 'both ends belong to a span';
    like refused('listUpdates', 400, "$base/servicerequestupdates", query => "?$_"), qr/_date: /, $_
        for "start_date=$at", "end_date=$at", 'start_date=2026-01-01T00:00:00Z&end_date=2026-03-01T00:00:00Z', 'start_date=x&end_date=y';
};

subtest 'the endpoint for trials' => sub {
    is get('/open311/test/v2/services.json')->{json}[0]{type}, 'realtime', 'answers';
    is request('POST', '/open311/test/v2/requests.json', content => pairs(%good, description => text(), api_key => $key),
        headers => { 'Content-Type' => 'application/x-www-form-urlencoded' })->{status}, 200, 'takes a request with a key of the demo region';
    is get('/open311/test/v2/services.json?jurisdiction_id=67')->{status}, 400, 'and knows no other region';
    is get('/open311/test/v2/services.json?api_key=')->{status}, 200, 'an empty key is none';
};

subtest 'addresses that lead nowhere' => sub {
    for my $path ('/open311/v2/nothing.xml', '/open311/', '/open311/v1/services.xml', '/open311/v2/a/b/c.xml', "$base/services.yaml", "$base/services", '/open311/discovery') {
        my $answer = get($path);
        is $answer->{status}, 404, $path;
        like $answer->{content}, qr{<errors><error><code>404</code>}, 'in its form';
    }
    is get('/open311/v2/nothing.json')->{json}[0]{code}, '404', 'as JSON where JSON was asked for';
};

subtest 'when the database is away' => sub {
    sv('down', 'postgres');
    for my $format (qw(json xml)) {
        for my $answer (get("$base/services.$format"), post([%good], format => $format)) {
            is $answer->{status}, 503, 'is told so';
            ok $answer->{headers}{'retry-after'}, 'with a time to try again';
            is $format eq 'xml' ? as_data(xml_of($answer, 'errors'))->[0]{code} : $answer->{json}[0]{code}, '503', "in its form: $format";
        }
    }
    sv('up', 'postgres');
    wait_for(sub { get("$base/services.json")->{status} == 200 }, 20, 'the database');
    pass 'and back';
};

subtest 'who asks too often' => sub {
    for my $format (qw(json xml)) {
        my $answer;
        # Behind the last page the database is not asked.
        for (1 .. 300) { $answer = get("$base/requests.$format?page=1000000"); last if $answer->{status} != 200 }
        is $answer->{status}, 429, 'is told so';
        ok $answer->{headers}{'retry-after'}, 'and when to come again';
        is $format eq 'xml' ? as_data(xml_of($answer, 'errors'))->[0]{code} : $answer->{json}[0]{code}, '429', "in the protocol's form";
        holds('postRequest', $answer) if $format eq 'json';
    }
    is get("$base/requests.json?page=1000000", key => $key)->{status}, 200, 'who has a key is not asked to wait';
};

subtest 'the catalogue of attributes' => sub {
    my $from = test_dir() . '/app/share/otklik/demo';
    my $dir = scratch() . '/catalogue';
    system('cp', '-R', $from, $dir) == 0 or die "cp: $?";
    my $head = "theme\tcode\tposition\tdatatype\trequired\tname_ru\tname_en\thint_ru\thint_en\toptions\n";
    my $load = sub { write_file("$dir/attributes.tsv", $head . join '', map { join("\t", @$_) . "\n" } @_); return otklik('demo', 'load', '--dir', $dir) };
    my $all = sub { return sql('select string_agg(a::text, chr(10) order by a.theme_id, a.code) from theme_attribute a') };
    my $before = $all->();
    my @wrong = (['an unknown theme', qr/attributes\.tsv:2: names a theme that is not known/, ['none.such', 11, 1, 'string', 'no', 'Что?', '', '', '', '']],
        ['a code that is kept', qr/attributes\.tsv:2: /, ['road.pothole', 1, 1, 'string', 'no', 'Что?', '', '', '', '']],
        ['a type that there is not', qr/attributes\.tsv:2: /, ['road.pothole', 11, 1, 'color', 'no', 'Что?', '', '', '', '']],
        ['a list without options', qr/attributes\.tsv:2: /, ['road.pothole', 11, 1, 'singlevaluelist', 'no', 'Что?', '', '', '', '']]);
    for my $case (@wrong) {
        my ($name, $said, $row) = @$case;
        my $run = $load->($row);
        isnt $run->{status}, 0, "$name is refused";
        like $run->{err}, $said, 'with its place';
        is $all->(), $before, 'and nothing is changed';
    }
    my $good = $load->(['heat.cold', 'flat_number', 1, 'string', 'yes', 'Номер квартиры', '', 'Цифрами', '', '']);
    is $good->{status}, 0, 'a good one is taken' or diag $good->{err};
    my ($asked) = @{ get("$base/services/heat.cold.json", lang => 'en')->{json}{attributes} };
    is_deeply [@{$asked}{qw(code required description datatype_description)}], ['flat_number', JSON::PP::true(), 'Номер квартиры', 'Цифрами'], 'and asked, in Russian where there is no English';
    sql("delete from theme_attribute where code = 'flat_number'");
    unlink "$dir/attributes.tsv";
    is otklik('demo', 'load', '--dir', $dir)->{status}, 0, 'a folder may be without';
};

subtest 'the document' => sub {
    delete $operation{showMedia}; # open311_files.t
    for my $id (sort keys %operation) {
        for my $status (sort keys %{ $operation{$id}{responses} }) {
            next if $status =~ /\A(?:413|503)\z/;
            ok $seen{$id}{$status}, "$id: $status was seen";
        }
    }
};

done_testing;
