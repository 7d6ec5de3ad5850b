#!/usr/bin/env perl
# Clients that are not ours speak Open311 through a proxy that holds each request and each answer against docs/open311.yaml, and lets nothing pass
# that is not so; XML is held against docs/open311.rng.
use strict;
use warnings;
use utf8;
use FindBin;
use HTTP::Tiny;
use IO::Socket::INET;
use Test::More;
use XML::LibXML;
use Otklik::Command;
use Otklik::Files;
use Otklik::OpenAPI;
use Otklik::Test;

my $root = "$FindBin::Bin/../..";
my $document = "$root/docs/open311.yaml";
my $key = $ENV{OTKLIK_API_KEY};
# The proxy reads bodies as text: what goes through it are documents of ASCII, pictures go beside it.
my $pdf = write_file('yard.pdf', pdf());
my $photo = write_file('yard.jpg', picture('jpg', 64, 48));
my $http = HTTP::Tiny->new(timeout => 10);

# ---- the proxy

# The document as the proxy can read it. It takes the first dot of service_code.format for the one between them, so there the two are one; and
# themes are described wrongly, to see that it finds out.
my $api = openapi_load($document);
my $definition = delete $api->{paths}{'/open311/v2/services/{service_code}.{format}'};
my ($code, $format, @others) = @{ $definition->{get}{parameters} };
$code->{schema}{pattern} = '\.(xml|json)$';
$definition->{get}{parameters} = [$code, @others];
$api->{paths}{'/open311/v2/services/{service_code}'} = $definition;
my $wrong = { description => 'wrong', content => { 'application/json' => { schema => { type => 'object', required => ['nothing'] } } } };
$api->{paths}{'/api/v1/themes'} = { get => { operationId => 'lie', security => [{}], responses => { 200 => $wrong } } };

sub free_port { my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0) or die "listen: $@"; return $socket->sockport }
my $port = free_port();
my $proxy = "http://127.0.0.1:$port";
my $read = write_file('open311.json', as_json($api));
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    open STDOUT, '>', scratch() . '/proxy.log';
    open STDERR, '>&', \*STDOUT;
    exec "$root/node_modules/.bin/prism", 'proxy', $read, $ENV{OTKLIK_URL}, '--errors', '--host', '127.0.0.1', '--port', $port;
    exit 127;
}
END { my $status = $?; if ($pid) { kill 'TERM', $pid; waitpid $pid, 0 } $? = $status }
wait_for(sub { $http->get("$proxy/open311/discovery.json")->{status} == 200 }, 60, 'the proxy to be there');

# ---- XML

my $schema = XML::LibXML::RelaxNG->new(location => "$root/docs/open311.rng");
sub as_xml {
    my ($bytes, $name) = @_;
    my $document = eval { XML::LibXML->load_xml(string => $bytes) };
    ok $document, "$name: is XML" or return diag $@, $bytes;
    my $good = eval { $schema->validate($document); 1 };
    ok $good, "$name: as the schema says" or diag $@;
    return $document;
}

# curl with these arguments: (status, body). A path goes through the proxy.
sub curl {
    my ($path, @arguments) = @_;
    my $url = $path =~ /\Ahttp/ ? $path : "$proxy$path";
    utf8::encode($_) for grep { utf8::is_utf8($_) } @arguments;
    open my $from, '-|', 'curl', '--silent', '--max-time', 10, '--write-out', '\n%{http_code}', @arguments, $url or die "curl: $!";
    my $said = do { local $/ = undef; <$from> };
    close $from;
    return $said =~ /\A(.*)\n(\d+)\z/s ? ($2, $1) : (0, $said);
}

subtest 'the proxy sees what is wrong' => sub {
    my ($status, $body) = curl('/api/v1/themes');
    is $status, 500, 'an answer that is not as described does not pass';
    like $body, qr/VIOLATIONS.*nothing/s, 'and it says why';
    is +(curl('/open311/v2/requests.json?page=0'))[0], 422, 'nor does a request';
    is +(curl('/open311/v2/nothing.json'))[0], 404, 'nor an address that is not described';
    my $bad = eval { $schema->validate(XML::LibXML->load_xml(string => '<services><service><service_code/></service></services>')); 1 };
    ok !$bad, 'the schema refuses, too';
};

subtest 'a client made of the document' => sub {
    open my $from, '-|', 'node', "$FindBin::Bin/../lib/open311-client.mjs", $proxy, $document, $key, $pdf or die "node: $!";
    my $said = do { local $/ = undef; <$from> };
    close $from;
    is $?, 0, 'comes to its end';
    my $got = eval { json_of($said) } or return fail "it says: $said";
    like $got->{number}, qr/\A90-\d{4}-\d{7}-\d\z/, 'a number';
    is $got->{services}, sql('select count(*) from theme where region_id = 90 and active'), 'all services';
    cmp_ok $got->{listed}, '>=', 1, 'a list';
    is sql("select text from appeal where number = '$got->{number}'"), "Яма у дома 5 & «сквер» <b>\nвторая строка (document)", 'the text is whole';
    is sql("select answers -> 'attributes' -> '11' from appeal where number = '$got->{number}'"), '["1", "3"]', 'an attribute given twice has both values';
    like $got->{shown}{description}, qr/ & «сквер» <b>\n/, 'its owner gets the text back';
    is_deeply [map { $_->{value} } @{ $got->{shown}{attributes} }], ['1, 3'], 'and its answers';
    cmp_ok $got->{updates}, '>=', 1, 'it is in the feed of changes';
    is sql("select t.name from attachment t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.number = '$got->{number}'"), 'во дворе.pdf', 'its file came';
};

subtest 'curl, in XML' => sub {
    my @me = ('--header', "X-Api-Key: $key");
    my @place = ('--data', 'service_code=waste.collection', '--data', 'lat=57.8', '--data', 'long=61.2');
    my $text = "Контейнер & «бак» <b> \x{1F6AE}\r\nвторая";
    my ($status, $xml) = curl('/open311/v2/requests.xml', @me, @place, '--data-urlencode', "description=$text", '--data', 'attribute[11]=1&attribute[11]=3');
    is $status, 200, 'a form' or diag $xml;
    my $number = as_xml($xml, 'receipt')->findvalue('//service_request_id');
    is sql("select text from appeal where number = '$number'"), $text =~ s/\r//r, 'the text is whole';
    my ($same) = curl('/open311/v2/requests.json', @place, '--data-urlencode', "description=$text", '--data', "api_key=$key");
    is $same, 200, 'the key within the form';
    my $with;
    for (['/open311/v2/requests.xml', $pdf], ["$ENV{OTKLIK_URL}/open311/v2/requests.xml", $photo]) {
        my ($to, $file) = @$_;
        ($status, $xml) = curl($to, @me, map({ ('--form', $_) } 'service_code=waste.collection', 'lat=57.8', 'long=61.2', "photo=\@$file", 'attribute[11]=1', 'attribute[11]=3'),
            '--form-string', "description=$text, в частях");
        is $status, 200, 'parts with a file' or diag $xml;
        $with = as_xml($xml, 'receipt of parts')->findvalue('//service_request_id');
        is sql("select count(*) from attachment t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.number = '$with'"), '1', 'the file came';
    }
    wait_for(sub { sql("select state from attachment t join appeal a on a.region_id = t.region_id and a.id = t.appeal_id where a.number = '$with'") eq 'ready' }, 30, 'the picture');

    my $id = sql("select id from appeal where number = '$number'");
    my %page = (
        'discovery' => '/open311/discovery.xml', 'services' => '/open311/v2/services.xml', 'definition' => '/open311/v2/services/waste.collection.xml',
        'list' => '/open311/v2/requests.xml?extensions=true', 'nothing' => '/open311/v2/requests.xml?bbox=0,0,1,1', 'one' => "/open311/v2/requests/$with.xml",
        'token' => "/open311/v2/tokens/$id.xml", 'changes' => '/open311/v2/servicerequestupdates.xml',
    );
    for my $name (sort keys %page) {
        ($status, $xml) = curl($page{$name}, @me);
        is $status, 200, "$name: 200" or diag $xml;
        as_xml($xml, $name);
    }
    like as_xml((curl("/open311/v2/requests/$with.xml", @me))[1], 'the request')->findvalue('//media_url'), qr{/open311/v2/media/$with/}, 'media_url names the picture';
    is as_xml((curl("/open311/v2/requests/$number.xml", @me))[1], 'the text')->findvalue('//description'), $text =~ s/\r//r, 'what XML cannot hold as it is comes back as it was';
    for my $refusal (['/open311/v2/requests/90-2026-0000000-0.xml', 404], ['/open311/v2/requests.xml?bbox=1,2', 400], ['/open311/v2/services.xml?jurisdiction_id=' . sql('select max(r.id) from region r where not exists (select from theme t where t.region_id = r.id)'), 404]) {
        ($status, $xml) = curl($refusal->[0], @me);
        is $status, $refusal->[1], "$refusal->[0]: $refusal->[1]";
        as_xml($xml, $refusal->[0]);
    }
    ($status, $xml) = curl('/open311/v2/requests.csv', @me);
    is $status, 200, 'CSV passes, too';
};

done_testing;
