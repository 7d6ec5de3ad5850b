# An nginx of a test's own with the module, and a FastCGI service behind it that tells what it was told. For directives that the running system
# does not use, and to count what reaches a service.
package Otklik::Nginx;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use File::Temp ();
use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(nginx_use nginx_start nginx_config nginx_test nginx_reload nginx_get nginx_url nginx_log nginx_workers nginx_keys nginx_dir nginx_master nginx_raw nginx_connect
    nginx_program nginx_module nginx_wait new_key_line);

# Tests say Russian words and dashes: their names go out as UTF-8.
if ($INC{'Test/More.pm'}) {
    my $builder = Test::More->builder;
    binmode $_, ':encoding(UTF-8)' for $builder->output, $builder->failure_output, $builder->todo_output;
}

my $dir = File::Temp->newdir('otklik-nginx-XXXXXX', TMPDIR => 1);
my ($port, $master, $echo);
my ($current, %others) = ('');
my $owner = $$;
my $json = JSON::PP->new->utf8->canonical;

# OTKLIK_NGINX: one that scripts/build-nginx built; the module for it lies beside it.
my $program = $ENV{OTKLIK_NGINX} // '/usr/sbin/nginx';
my $module = $ENV{OTKLIK_NGINX} ? $program =~ s{[^/]+\z}{ngx_http_appeal_module.so}r : ($ENV{OTKLIK_BUILD} // 'build') . '/ngx_module/ngx_http_appeal_module.so';

sub nginx_program { return $program }
sub nginx_module { return $module }

# Several at once: from here on all is about the one of that name, with a folder and a port of its own. The first has the name ''.
sub nginx_use {
    my ($name) = @_;
    $others{$current} = [$dir, $port, $master, $echo];
    $current = $name;
    ($dir, $port, $master, $echo) = @{ delete $others{$name} // [File::Temp->newdir('otklik-nginx-XXXXXX', TMPDIR => 1)] };
    return;
}

sub nginx_dir { return "$dir" }
sub nginx_url { $port //= free_port(); return "http://127.0.0.1:$port" }

sub write_to { my ($name, $text) = @_; open my $out, '>:raw', "$dir/$name" or die "$dir/$name: $!"; print {$out} $text; close $out or die $!; return "$dir/$name" }

# A line of a key file, and the key that belongs to it.
sub new_key_line {
    my ($subject, %o) = @_;
    $o{roles} //= 'integrator';
    $o{region} //= 67;
    require Digest::SHA;
    my @letters = ('a' .. 'z', 0 .. 9);
    my $prefix = join '', map { $letters[ rand @letters ] } 1 .. 8;
    my $key = "otk_${prefix}_" . join '', map { $letters[ rand @letters ] } 1 .. 32;
    my $line = join ' ', $prefix, Digest::SHA::sha256_hex($key), "subject=$subject", map { "$_=$o{$_}" } sort keys %o;
    return ($line, $key);
}

# Replaces the key file, as an administrator's program does: a new file, renamed.
sub nginx_keys { my (@lines) = @_; write_to('keys.new', join '', map { "$_\n" } @lines); rename "$dir/keys.new", "$dir/keys" or die $!; return }

# ---- the service: answers each request with the parameters it got, as JSON

sub record { my ($type, $content) = @_; return pack('CCnnCC', 1, $type, 1, length $content, 0, 0) . $content }

sub read_all {
    my ($socket, $n) = @_;
    my $bytes = '';
    while (length $bytes < $n) { $socket->sysread($bytes, $n - length $bytes, length $bytes) or return }
    return $bytes;
}

sub serve {
    my ($socket) = @_;
    my $params = '';
    while (defined(my $header = read_all($socket, 8))) {
        my (undef, $type, undef, $length, $padding) = unpack 'CCnnC', $header;
        my $content = $length ? read_all($socket, $length) // return : '';
        read_all($socket, $padding) if $padding;
        $params .= $content if $type == 4;
        next unless $type == 5 && $length == 0;
        my (%got, $at);
        for ($at = 0; $at < length $params;) {
            my @n = map {
                my $n = unpack 'C', substr $params, $at, 1;
                if ($n > 127) { $n = unpack('N', substr $params, $at, 4) & 0x7fffffff; $at += 4 } else { $at++ }
                $n;
            } 1, 2;
            my $name = substr $params, $at, $n[0];
            push @{ $got{$name} }, substr $params, $at + $n[0], $n[1];
            $at += $n[0] + $n[1];
        }
        my $answer = "Status: 200\r\nContent-Type: application/json\r\n\r\n" . $json->encode(\%got);
        $socket->syswrite(record(6, $answer) . record(6, '') . record(3, "\0" x 8));
        return;
    }
    return;
}

sub start_echo {
    my $listen = IO::Socket::UNIX->new(Local => "$dir/echo.sock", Listen => 64) or die "echo: $!";
    chmod 0666, "$dir/echo.sock";
    $echo = fork // die "fork: $!";
    return if $echo;
    $SIG{PIPE} = 'IGNORE';
    while (my $socket = $listen->accept) { serve($socket); close $socket }
    require POSIX;
    POSIX::_exit(0);
}

# ---- nginx

sub configuration {
    my ($http, $server, %o) = @_;
    my $workers = $o{workers} // 1;
    my $main = $o{main} // '';
    my $daemon = $o{daemon} ? 'on' : 'off';
    # What the sanitizers need, for the binary that takes over, too.
    my %environment = environment();
    my $environment = join '', map { "env $_; " } sort keys %environment;
    return <<"CONF";
$main ${environment}daemon $daemon; worker_processes $workers; pid $dir/nginx.pid; error_log $dir/error.log info; load_module $module;
events { worker_connections @{[$o{connections} // 512]}; }
http {
    client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi; uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;
    access_log $dir/access.log; log_format own '\$status|\$appeal_auth|\$appeal_subject|\$appeal_reason';
    appeal_api_keys $dir/keys;
    appeal_client_secret $dir/secret;
    $http
    server {
        listen 127.0.0.1:$port;
        root $dir;
        $server
    }
}
CONF
}

# Debian's nginx is not built with the sanitizers that the module may need: their library comes first. Each module defines the same three names
# (odr), and what a process of nginx has when it is killed is no leak.
sub environment {
    my ($asan) = `ldd '$module'` =~ /libasan\S* => (\S+)/ or return ();
    my @first = ($ENV{OTKLIK_NGINX} ? () : $asan, $ENV{LD_PRELOAD} // ());
    return (ASAN_OPTIONS => 'detect_leaks=0:detect_odr_violation=0:verify_asan_link_order=0', @first ? (LD_PRELOAD => "@first") : ());
}

# The answer of nginx -t to a whole http block of somebody else's: (status, text).
sub nginx_test {
    my ($http) = @_;
    my $temporary = join ' ', map { "${_}_temp_path $dir/$_;" } qw(client_body proxy fastcgi uwsgi scgi);
    write_to('test.conf', "pid $dir/test.pid; load_module $module;\n"
        . "events { }\nhttp {\naccess_log off; $temporary\n$http\n}\n");
    local %ENV = (%ENV, environment());
    my $said = `'$program' -t -e stderr -p '$dir' -c '$dir/test.conf' 2>&1`;
    return ($? >> 8, $said);
}

# Writes a configuration; the answer of nginx -t: (status, text).
sub nginx_config {
    my ($http, $server, %o) = @_;
    $port //= free_port();
    write_to('keys', "# none\n") unless -f "$dir/keys";
    write_to('secret', '0123456789abcdef0123456789abcdef') unless -f "$dir/secret";
    chmod 0755, "$dir";
    write_to('nginx.conf', configuration($http, $server, %o));
    local %ENV = (%ENV, environment());
    my $said = `'$program' -t -e stderr -p '$dir' -c '$dir/nginx.conf' 2>&1`;
    return ($? >> 8, $said);
}

sub free_port {
    while (1) {
        my $p = 20000 + int rand 12000;
        return $p unless IO::Socket::INET->new(PeerAddr => "127.0.0.1:$p", Timeout => 1);
    }
}

# nginx_start(HTTP, SERVER, workers => 1, main => DIRECTIVES, under => [PROGRAM that runs it, …]); daemon => 1: as a system starts it, which a
# binary upgrade asks for.
sub nginx_start {
    my ($http, $server, %o) = @_;
    my ($status, $said) = nginx_config($http, $server, %o);
    die "nginx: $said" if $status != 0;
    start_echo() unless $echo;
    $master = fork // die "fork: $!";
    if ($master == 0) {
        %ENV = (%ENV, environment());
        open STDERR, '>>', "$dir/stderr";
        exec @{ $o{under} // [] }, $program, '-e', 'stderr', '-p', "$dir", '-c', "$dir/nginx.conf";
    }
    my $until = time + ($o{under} ? 60 : 5);
    until (IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 1)) {
        die 'nginx does not come: ' . nginx_log() if time > $until;
        sleep 0.02;
    }
    if ($o{daemon}) {
        waitpid $master, 0;
        undef $master;
        # Written by the one that stays; who started it may be gone before.
        nginx_wait('the process id of nginx', sub { open my $in, '<', "$dir/nginx.pid" or return 0; ($master) = (<$in> // '') =~ /\A(\d+)\n/ });
    }
    return;
}

# A new configuration in the running nginx; waits until the old workers have gone.
sub nginx_reload {
    my ($http, $server, %o) = @_;
    my ($status, $said) = nginx_config($http, $server, %o);
    die "nginx: $said" if $status != 0;
    my %old = map { $_ => 1 } nginx_workers();
    kill 'HUP', $master;
    my $until = time + 10;
    while (1) {
        my @now = nginx_workers();
        last if @now && !grep { $old{$_} } @now;
        die 'the workers do not change' if time > $until;
        sleep 0.02;
    }
    return;
}

sub nginx_master { return $master }

sub nginx_workers { return map { /(\d+)/ ? $1 : () } grep { /worker process(?! is shutting)/ } split /\n/, `ps -o pid=,args= --ppid $master` }

# After a binary upgrade: the process that is asked to end in the end.
sub nginx_became { ($master) = @_; return }

# A connection, and what comes back to bytes written as they are, until nginx closes it or is silent for too long.
sub nginx_connect { return IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 5) // die "127.0.0.1:$port: $!" }

sub nginx_raw {
    my ($bytes, %o) = @_;
    my $socket = $o{socket} // nginx_connect();
    local $SIG{PIPE} = 'IGNORE';
    print {$socket} $bytes;
    $socket->flush;
    my $said = '';
    my $until = time + ($o{seconds} // 5);
    while (!$o{enough} || $said !~ $o{enough}) {
        my $left = $until - time;
        last if $left <= 0 || !IO::Select->new($socket)->can_read($left);
        sysread($socket, $said, 65536, length $said) or last;
    }
    return $said;
}

# Waits until TRUE->() is, for ten seconds at most.
sub nginx_wait {
    my ($what, $true) = @_;
    my $until = time + 10;
    until ($true->()) { die "$what does not come: " . nginx_log() if time > $until; sleep 0.02 }
    return;
}

sub nginx_log { open my $in, '<', "$dir/error.log" or return ''; local $/ = undef; return <$in> // '' }

# nginx_get(PATH, headers => {…}, method => …, content => …): HTTP::Tiny's answer with {json}.
sub nginx_get {
    my ($path, %o) = @_;
    my %options = (headers => $o{headers} // {});
    $options{content} = $o{content} if defined $o{content};
    my $answer = HTTP::Tiny->new(max_redirect => 0, timeout => 10)->request($o{method} // 'GET', nginx_url() . $path, \%options);
    $answer->{json} = eval { $json->decode($answer->{content}) };
    return $answer;
}

sub stop {
    kill 'TERM', grep { defined } $master, $echo;
    waitpid $_, 0 for grep { defined } $master, $echo;
    # One that a daemon's parent left to us is no child.
    for (my $until = time + 5; $master && -d "/proc/$master" && time < $until;) { sleep 0.02 }
    # A worker that died of itself, and a sanitizer's report, go to nginx's log: they must not be overlooked.
    return 1 unless nginx_log() =~ /AddressSanitizer|runtime error|exited on signal (?!9\b)/;
    print {*STDERR} nginx_log();
    return 0;
}

END {
    if ($$ == $owner) {
        my $status = $?;
        for my $name ($current, keys %others) {
            nginx_use($name) if $name ne $current;
            $status ||= 1 unless stop();
        }
        $? = $status;
    }
}

1;
