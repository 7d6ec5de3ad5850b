# What the tests in Perl share: requests to the running system, its database, its processes. Core Perl only.
package Otklik::Test;
use strict;
use warnings;
use utf8;

use Carp qw(croak);
use Exporter qw(import);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
    request get post_json post_form internal appeal raw_request url_encode new_key
    sql wait_for sv service_pid kill_service log_of test_dir
    json_of as_json
);

# Tests say Russian words: their names go out as UTF-8.
binmode $_, ':encoding(UTF-8)' for *STDOUT, *STDERR;
if ($INC{'Test/More.pm'}) {
    my $builder = Test::More->builder;
    binmode $_, ':encoding(UTF-8)' for $builder->output, $builder->failure_output, $builder->todo_output;
}

delete @ENV{qw(http_proxy HTTP_PROXY all_proxy ALL_PROXY)};
my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my $http = HTTP::Tiny->new(max_redirect => 0, timeout => 15, keep_alive => 0, agent => 'otklik-test');
my $count = 0;

sub test_dir { return $ENV{OTKLIK_TEST_DIR} // croak 'run me by make test' }

sub json_of { my ($text) = @_; return $json->decode($text) }
sub as_json { my ($data) = @_; return $json->encode($data) }

# An idempotency key that nobody has used.
sub new_key { return sprintf 'test-%d-%d-%d', $$, time * 1e6, ++$count }

# request(METHOD, PATH, headers => {…}, content => bytes, key => API key, lang => 'en', url => base): HTTP::Tiny's answer; {json} holds the
# decoded body when there is one.
sub request {
    my ($method, $path, %o) = @_;
    my %headers = %{ $o{headers} // {} };
    $headers{'X-Api-Key'} = $o{key} if defined $o{key};
    $headers{'Accept-Language'} = $o{lang} if defined $o{lang};
    my %options = (headers => \%headers);
    $options{content} = $o{content} if defined $o{content};
    my $answer = $http->request($method, ($o{url} // $ENV{OTKLIK_URL}) . $path, \%options);
    my $type = $answer->{headers}{'content-type'} // '';
    if ($type =~ m{\Aapplication/(?:[a-z.-]+\+)?json} && length($answer->{content} // '')) {
        $answer->{json} = eval { $json->decode($answer->{content}) };
    }
    return $answer;
}

sub get { my ($path, %o) = @_; return request('GET', $path, %o) }

# The listener for operators: health and metrics.
sub internal { my ($path, %o) = @_; return request('GET', $path, url => $ENV{OTKLIK_INTERNAL_URL}, %o) }

# Posts DATA (a structure, or a string of JSON as it is). idempotency => '…' (undef for none; a new one without).
sub post_json {
    my ($path, $data, %o) = @_;
    my %headers = ('Content-Type' => 'application/json', %{ delete $o{headers} // {} });
    my $key = exists $o{idempotency} ? delete $o{idempotency} : new_key();
    $headers{'Idempotency-Key'} = qq("$key") if defined $key;
    return request('POST', $path, content => ref $data ? $json->encode($data) : $data, headers => \%headers, %o);
}

# The same as a browser would send it.
sub post_form {
    my ($path, $fields, %o) = @_;
    my %headers = ('Content-Type' => 'application/x-www-form-urlencoded', %{ delete $o{headers} // {} });
    my $key = exists $o{idempotency} ? delete $o{idempotency} : new_key();
    $headers{'Idempotency-Key'} = qq("$key") if defined $key;
    my $content = ref $fields
        ? join '&', map { url_encode($_) . '=' . url_encode($fields->{$_}) } sort keys %$fields
        : $fields;
    return request('POST', $path, content => $content, headers => \%headers, %o);
}

# Sends an appeal with a text of its own and croaks unless it is accepted; MEMBERS change it. Gives the decoded answer.
sub appeal {
    my ($members, %o) = @_;
    my $answer = post_json('/api/v1/appeals', { text => 'Не горит фонарь во дворе, проверка ' . new_key(), %{ $members // {} } }, %o);
    croak "not accepted: $answer->{status} $answer->{content}" unless $answer->{status} == 201;
    return $answer->{json};
}

sub url_encode {
    my ($s) = @_;
    utf8::encode($s) if utf8::is_utf8($s);
    $s =~ s/([^A-Za-z0-9_.~-])/sprintf '%%%02X', ord $1/ge;
    return $s;
}

# Bytes to the front door as they are; what came until it closed or SECONDS were over.
sub raw_request {
    my ($bytes, $seconds) = @_;
    my ($address) = $ENV{OTKLIK_URL} =~ m{//([^/]+)};
    my $socket = IO::Socket::INET->new(PeerAddr => $address, Timeout => 5) or croak "$address: $@";
    local $SIG{PIPE} = 'IGNORE';
    $socket->syswrite($bytes);
    my ($answer, $until) = ('', time + ($seconds // 5));
    while ((my $left = $until - time) > 0) {
        vec(my $ready = '', fileno $socket, 1) = 1;
        last unless select $ready, undef, undef, $left;
        last unless $socket->sysread($answer, 65536, length $answer);
    }
    return $answer;
}

# Rows of a query, columns by | and rows by newline, as psql gives them; croaks on an error. role => 'otklik_intake'; the owner without.
sub sql {
    my ($query, %o) = @_;
    my $role = $o{role} // 'otklik_owner';
    pipe my $from_psql, my $to_us or croak "pipe: $!";
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>&', $to_us;
        open STDERR, '>&', $to_us;
        utf8::encode($query) if utf8::is_utf8($query);
        exec 'psql', '--no-psqlrc', '--quiet', '--no-align', '--tuples-only', '--set=ON_ERROR_STOP=1', "--username=$role", "--command=$query";
        exit 127;
    }
    close $to_us;
    binmode $from_psql, ':encoding(UTF-8)';
    my $out = do { local $/ = undef; <$from_psql> } // '';
    waitpid $pid, 0;
    croak "psql: $out" if $?;
    chomp $out;
    return $out;
}

# Asks CODE every 20 ms until it gives true, then returns that; croaks after SECONDS, naming WHAT.
sub wait_for {
    my ($code, $seconds, $what) = @_;
    $seconds //= 10;
    my $until = time + $seconds;
    while (1) {
        my $value = $code->();
        return $value if $value;
        croak 'waited ' . $seconds . ' s in vain for ' . ($what // 'something') if time > $until;
        sleep 0.02;
    }
}

# sv('down', 'intake'), sv('up', 'intake'), sv('status', …): what runit's sv prints; waits for up and down to come true.
sub sv {
    my ($command, $service) = @_;
    my %waits = (up => 'start', down => 'force-stop', restart => 'force-restart');
    open my $from_sv, '-|', 'sv', '-w', '20', $waits{$command} // $command, test_dir() . "/service/$service" or croak "sv: $!";
    my $said = do { local $/ = undef; <$from_sv> };
    close $from_sv;
    return $said;
}

# The process of postgres, nginx, intake, routing or reporting; undef while there is none.
sub service_pid {
    my ($service) = @_;
    open my $file, '<', test_dir() . "/service/$service/supervise/pid" or return;
    my $pid = <$file>;
    return defined $pid && $pid =~ /(\d+)/ ? $1 : undef;
}

# Kills it (SIGKILL, or the signal named) and gives its late pid.
sub kill_service {
    my ($service, $signal) = @_;
    my $pid = service_pid($service) // croak "$service does not run";
    kill $signal // 'KILL', $pid or croak "$service: $!";
    return $pid;
}

# What a service has logged so far.
sub log_of {
    my ($service) = @_;
    open my $file, '<:encoding(UTF-8)', test_dir() . "/log/$service/current" or return '';
    local $/ = undef;
    return <$file> // '';
}

1;
