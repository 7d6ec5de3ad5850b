#!/usr/bin/env perl
# Group commit: letters that arrive during a commit share the next one, and a bad one among them hurts nobody.
use strict;
use warnings;
use utf8;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use Otklik::Command;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};

sub figure { my ($name) = @_; return internal('/intake/metrics')->{content} =~ /^otklik_intake_$name ([0-9.]+)$/m ? $1 : undef }

# Sends them all while intake's next statement waits for a lock, and gives their answers. The first one goes alone; the others gather.
sub together {
    my (@requests) = @_;
    my $holder = fork // die "fork: $!";
    if ($holder == 0) {
        sql('begin; lock table consent in exclusive mode; select pg_sleep(0.7); commit');
        POSIX::_exit(0);
    }
    wait_for(sub { sql("select count(*) from pg_locks where relation = 'consent'::regclass and mode = 'ExclusiveLock' and granted") }, 5, 'the lock');
    my $dir = scratch();
    my @pids;
    for my $i (0 .. $#requests) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            my $answer = $requests[$i]->();
            write_file("answer-$i", as_json({ map { $_ => $answer->{$_} } qw(status headers json) }));
            POSIX::_exit(0);
        }
        push @pids, $pid;
        sleep 0.01;
    }
    waitpid $_, 0 for @pids, $holder;
    return map { open my $in, '<:raw', "$dir/answer-$_" or die "answer-$_: $!"; local $/ = undef; json_of(<$in>) } 0 .. $#requests;
}

sub letter { my ($text, $k) = @_; return sub { post_json('/api/v1/appeals', { text => $text }, idempotency => $k // new_key() . $text =~ tr/0-9//cdr, key => $key) } }
sub stored { my ($pattern) = @_; return sql("select count(*) from appeal where text like '$pattern'") }

subtest 'what arrives during a commit goes together' => sub {
    my $tag = new_key();
    my ($statements, $rows) = (figure('statements_total'), figure('rows_total'));
    my @answers = together(map { letter("Вместе $tag $_") } 1 .. 16);
    is_deeply [map { $_->{status} } @answers], [(201) x 16], 'each is taken';
    my %numbers = map { $_->{json}{number} => 1 } @answers;
    is scalar(keys %numbers), 16, 'each has a number of its own';
    my %text_of = map { split /\|/ } split /\n/, sql("select number, text from appeal where text like 'Вместе $tag %'");
    is_deeply [map { $text_of{ $answers[$_ - 1]{json}{number} } } 1 .. 16], [map { "Вместе $tag $_" } 1 .. 16], 'and each got the answer to his own letter';
    is figure('rows_total') - $rows, 16, 'sixteen rows';
    cmp_ok figure('statements_total') - $statements, '<=', 3, 'in three statements at most';
};

subtest 'a row that the database refuses takes no other along' => sub {
    my $tag = new_key();
    sql("alter table appeal add constraint test_poison check (text not like 'Яд $tag%') not valid");
    my $failed = figure('statements_failed_total');
    my @answers = together((map { letter("Еда $tag $_") } 1 .. 5), letter("Яд $tag 6"), (map { letter("Еда $tag $_") } 7 .. 12));
    sql('alter table appeal drop constraint test_poison');
    is_deeply [map { $_->{status} } @answers], [(201) x 5, 500, (201) x 6], 'only the bad one is refused';
    is $answers[5]{json}{type}, '/problems/internal', 'as a problem';
    is stored("Еда $tag %"), '11', 'the others are stored';
    is stored("Яд $tag %"), '0', 'the bad one is not';
    cmp_ok figure('statements_failed_total') - $failed, '>=', 2, 'they had shared a statement';
    unlike log_of('intake'), qr/\Q$tag\E/, 'no text of a letter is in the log';
    is sql("select count(*) from (select appeal_id from appeal_event e join appeal a on (a.region_id, a.id) = (e.region_id, e.appeal_id)"
        . " where a.text like 'Еда $tag %' and e.seq = 1) as first"), '11', 'each has its first event';
};

subtest 'an unknown theme among them is only its own sender\'s' => sub {
    my $tag = new_key();
    my $odd = sub { post_json('/api/v1/appeals', { text => "Тема $tag", theme => 'no.such' }, key => $key) };
    my @answers = together((map { letter("Тема $tag $_") } 1 .. 3), $odd, (map { letter("Тема $tag $_") } 4 .. 6));
    is_deeply [map { $_->{status} } @answers], [(201) x 3, 422, (201) x 3], 'refused alone';
    is stored("Тема $tag%"), '6', 'and not stored';
};

subtest 'the same key several times among them' => sub {
    my ($tag, $k) = (new_key(), new_key());
    my @answers = together(letter("Первое $tag"), letter("Повтор $tag", $k), letter("Повтор $tag", $k), letter("Иное $tag", $k), letter("Повтор $tag", $k));
    is_deeply [map { $_->{status} } @answers], [201, 201, 201, 422, 201], 'the same letter gets the same answer, another one is refused';
    my %numbers = map { $_->{json}{number} => 1 } @answers[1, 2, 4];
    is scalar(keys %numbers), 1, 'one number';
    is scalar(grep { $_->{headers}{'idempotency-replayed'} } @answers[1, 2, 4]), 2, 'two of them are told that it is the first answer';
    is stored("Повтор $tag"), '1', 'one letter';
    is stored("Иное $tag"), '0', 'and no other';
};

# Another process inserts the key and does something else for a while before it ENDs its transaction.
sub meanwhile {
    my ($rows, $end, $code) = @_;
    my $holder = fork // die "fork: $!";
    if ($holder == 0) {
        sql("begin; insert into idempotency (region_id, client, route, key, fingerprint, status, body, created_at) $rows; select pg_sleep(0.6); $end");
        POSIX::_exit(0);
    }
    wait_for(sub { sql("select count(*) from pg_stat_activity where query like '%insert into idempotency%' and wait_event = 'PgSleep'") }, 5, 'the other process');
    my $answer = $code->();
    waitpid $holder, 0;
    return $answer;
}

subtest 'a key that another process works on' => sub {
    my ($tag, $known, $k) = (new_key(), new_key(), new_key());
    my $gave_up = meanwhile("values (90, 'demo-integrator', 'appeals', '$k', '', 201, '{}', now())", 'rollback', letter("Спор $tag", $k));
    is $gave_up->{status}, 201, 'it gave up: the letter is taken';
    is stored("Спор $tag"), '1', 'once';

    my $first = letter("Двое $tag", $known)->();
    my $answer = meanwhile("select region_id, client, route, key || '-2', fingerprint, status, body, now() from idempotency where key = '$known'",
        'commit', letter("Двое $tag", "$known-2"));
    is $answer->{status}, 201, 'it took the letter: its answer is the answer';
    is $answer->{json}{number}, $first->{json}{number}, 'with its number';
    is $answer->{headers}{'idempotency-replayed'}, 'true', 'and says so';
    is stored("Двое $tag"), '1', 'no second letter';
};

done_testing;
