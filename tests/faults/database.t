#!/usr/bin/env perl
# The database is away, or hangs: everybody is told within two seconds, nothing that was typed is lost, and all goes on by itself afterwards.
use strict;
use warnings;
use utf8;
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};

sub timed { my ($code) = @_; my $from = time; my $answer = $code->(); return ($answer, time - $from) }
sub send_letter { my ($k, $text) = @_; return post_json('/api/v1/appeals', { text => $text }, idempotency => $k, key => $key) }

# All processes of the cluster.
sub cluster { my $postmaster = service_pid('postgres'); return ($postmaster, map { /(\d+)/ ? $1 : () } split /\n/, `ps -o pid= --ppid $postmaster`) }

sub refused_in_time {
    my ($what) = @_;
    my $k = new_key();
    my ($answer, $took) = timed(sub { send_letter($k, "Письмо, $what") });
    is $answer->{status}, 503, "$what: a letter gets 503";
    cmp_ok $took, '<', 2, sprintf '%s: within two seconds (%.2f)', $what, $took;
    cmp_ok $answer->{headers}{'retry-after'} // 0, '>', 0, "$what: and when to come again";
    is $answer->{json}{type}, '/problems/unavailable', "$what: as a problem";
    ($answer, $took) = timed(sub { get('/') });
    is $answer->{status}, 200, "$what: the form comes all the same" or diag $answer->{content};
    cmp_ok $took, '<', 2.5, sprintf '%s: soon (%.2f)', $what, $took;
    my ($form_key) = $answer->{content} =~ /name="idempotency_key" value="([^"]+)"/;
    ($answer, $took) = timed(sub { post_form('/?lang=ru', { text => "Фонарь, $what", idempotency_key => $form_key // new_key() }, idempotency => undef) });
    is $answer->{status}, 503, "$what: a letter without JavaScript, too";
    utf8::decode(my $page = $answer->{content});
    like $page, qr/Фонарь, \Q$what\E/, "$what: and its text is kept";
    return $k;
}

subtest 'PostgreSQL is stopped' => sub {
    sv('down', 'postgres');
    my $k = refused_in_time('stopped');
    is internal('/intake/health/ready')->{status}, 503, 'intake says that it is not ready';
    is internal('/intake/health/live')->{status}, 200, 'but that it lives';
    my ($track) = get('/track?number=90-2026-0000001-8&code=AAAA-AAAA-AAAA-AAAA');
    is $track->{status}, 503, 'the tracking page says so';
    like $track->{headers}{'content-type'}, qr{\Atext/html}, 'as a page';
    sv('up', 'postgres');
    wait_for(sub { internal('/intake/health/ready')->{status} == 200 }, 20, 'intake');
    my $answer = wait_for(sub { my $a = send_letter($k, 'Письмо, stopped'); $a->{status} == 201 && $a }, 10, 'the letter to be taken');
    is sql("select count(*) from appeal where text = 'Письмо, stopped'"), '1', 'with the same key it is taken, once';
};

subtest 'PostgreSQL hangs' => sub {
    my $earlier = send_letter(new_key(), 'Письмо до остановки');
    is $earlier->{status}, 201, 'all is well before';
    my @hung = cluster();
    kill 'STOP', @hung;
    my $k = new_key();
    my ($answer, $took) = timed(sub { send_letter($k, 'Письмо, hangs') });
    is $answer->{status}, 503, 'a letter gets 503';
    cmp_ok $took, '<', 2, sprintf 'within two seconds (%.2f)', $took;
    like $answer->{headers}{'retry-after'} // '', qr/\A\d+\z/, 'and when to come again';
    ($answer, $took) = timed(sub { get('/api/v1/themes') });
    is $answer->{status}, 503, 'so does whoever only reads';
    cmp_ok $took, '<', 2, sprintf 'within two seconds (%.2f)', $took;
    ($answer, $took) = timed(sub { get('/') });
    is $answer->{status}, 200, 'the form comes, if without themes';
    cmp_ok $took, '<', 2, sprintf 'within two seconds (%.2f)', $took;
    my ($form_key) = $answer->{content} =~ /name="idempotency_key" value="([^"]+)"/;
    my %typed = (text => "Фонарь <b>висит</b> $k", address => 'Садовая, 12', idempotency_key => $form_key);
    ($answer, $took) = timed(sub { post_form('/?lang=ru', \%typed, idempotency => undef) });
    is $answer->{status}, 503, 'a letter without JavaScript gets 503';
    cmp_ok $took, '<', 2, sprintf 'within two seconds (%.2f)', $took;
    like $answer->{headers}{'retry-after'} // '', qr/\A\d+\z/, 'and when to come again';
    like $answer->{headers}{'content-type'}, qr{\Atext/html}, 'as a page';
    utf8::decode(my $page = $answer->{content});
    like $page, qr/>\s*Фонарь &lt;b&gt;висит&lt;\/b&gt; \Q$k\E</, 'with its text';
    like $page, qr/name="idempotency_key" value="\Q$form_key\E"/, 'and its key';
    ($answer, $took) = timed(sub { get('/track?number=90-2026-0000001-8&code=AAAA-AAAA-AAAA-AAAA') });
    is $answer->{status}, 503, 'the tracking page says so';
    like $answer->{headers}{'content-type'}, qr{\Atext/html}, 'as a page';
    cmp_ok $took, '<', 2, sprintf 'within two seconds (%.2f)', $took;
    is internal('/intake/health/live')->{status}, 200, 'intake lives';
    kill 'CONT', @hung;
    is wait_for(sub { my $a = post_form('/?lang=ru', \%typed, idempotency => undef); $a->{status} == 303 && $a }, 10, 'the form')->{status}, 303,
        'the form sent again is taken';
    is sql("select count(*) from appeal where text = '$typed{text}'"), '1', 'once';
    $answer = wait_for(sub { my $a = send_letter($k, 'Письмо, hangs'); $a->{status} == 201 && $a }, 10, 'the letter to be taken');
    is sql("select count(*) from appeal where text = 'Письмо, hangs'"), '1', 'whatever became of the first try, there is one letter';
    is get('/api/v1/themes')->{status}, 200, 'and reading goes on';
};

subtest 'routing is away' => sub {
    sv('down', 'routing');
    my $letter = appeal({ theme => 'light.street', point => { lat => 57.8, lon => 61.2 } }, key => $key);
    sleep 1;
    is get("/api/v1/appeals/$letter->{number}?code=$letter->{code}")->{json}{status}, 'captured', 'letters are taken and wait';
    sv('up', 'routing');
    wait_for(sub { get("/api/v1/appeals/$letter->{number}?code=$letter->{code}")->{json}{status} eq 'routed' }, 10, 'routing');
    pass 'until it is back';
};

subtest 'a service that is told to stop finishes what it has' => sub {
    my @pids;
    for my $i (1 .. 8) {
        my $pid = fork // die;
        if (!$pid) {
            my ($lost, $refused) = (0, 0);
            my $until = time + 3;
            my $n = 0;
            while (time < $until) {
                my $k = "stop-$$-" . ++$n;
                my $answer = send_letter($k, "Остановка $k");
                next if $answer->{status} == 201;
                $refused++;
                # What was refused is asked for again with the same key, as every client does.
                wait_for(sub { send_letter($k, "Остановка $k")->{status} == 201 }, 10, 'the second try');
            }
            require POSIX;
            POSIX::_exit($refused > 100 ? 100 : $refused);
        }
        push @pids, $pid;
    }
    sleep 1;
    for (1 .. 2) { kill_service('intake', 'TERM'); sleep 0.8 }
    my $refused = 0;
    for (@pids) { waitpid $_, 0; is $? & 127, 0, 'a client came to its end'; $refused += $? >> 8 }
    note "$refused tries met the restart";
    unlike log_of('intake'), qr/stopped with [1-9]\d* requests in hand/, 'no request was left in hand';
    is sql("select count(*) from (select text from appeal where text like 'Остановка %' group by text having count(*) > 1) as double"), '0', 'no letter twice';
};

done_testing;
