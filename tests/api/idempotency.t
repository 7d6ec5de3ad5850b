#!/usr/bin/env perl
# The same Idempotency-Key is the same letter, however often and in whatever way it comes.
use strict;
use warnings;
use utf8;
use Encode qw(encode_utf8);
use Test::More;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};
my $letter = { text => 'Не горит фонарь у подъезда, проверка ' . new_key(), point => { lat => 57.8, lon => 61.2 } };

sub stored { my ($data) = @_; return sql("select count(*) from appeal where text = '$data->{text}'") }
sub with { my ($k, $data, %o) = @_; return post_json('/api/v1/appeals', $data, idempotency => $k, key => $key, %o) }

subtest 'twice the same gets the first answer again' => sub {
    my $k = new_key();
    my ($first, $second) = map { with($k, $letter) } 1 .. 2;
    is $first->{status}, 201, 'the first';
    is $second->{status}, 201, 'the second';
    is $second->{content}, $first->{content}, 'the same to the byte';
    is $first->{headers}{'idempotency-replayed'}, undef, 'the first is new';
    is $second->{headers}{'idempotency-replayed'}, 'true', 'the second says that it is not';
    is stored($letter), '1', 'one letter';
};

subtest 'another letter with the same key is refused, and the first stays' => sub {
    my $k = new_key();
    my $first = with($k, { text => 'Первое письмо ' . $k });
    my $other = with($k, { text => 'Второе письмо ' . $k }, lang => 'en');
    is $other->{status}, 422, 'refused';
    is $other->{json}{type}, '/problems/idempotency-key-reused', 'as reused';
    is with($k, { text => 'Первое письмо ' . $k })->{json}{number}, $first->{json}{number}, 'the first answer is still there';
    is stored({ text => 'Второе письмо ' . $k }), '0', 'the other one is not stored';
};

subtest 'it is the letter that counts, not its spelling' => sub {
    my $k = new_key();
    my $text = "Сломана лавка $k";
    my $first = with($k, { text => $text, point => { lat => 57.8, lon => 61.2 } });
    is with($k, encode_utf8(qq({"point":{"lon":61.20,"lat":57.80},\n "text":"  $text "})))->{json}{number}, $first->{json}{number}, 'another order, other blanks'
        or diag $first->{content};
    my $form = post_form('/api/v1/appeals', { text => $text, 'point.lat' => '57.8', 'point.lon' => '61.2' }, idempotency => $k, key => $key);
    is $form->{json}{number}, $first->{json}{number}, 'as a form';
    is with($k, { text => $text, point => { lat => 57.8001, lon => 61.2 } })->{status}, 422, 'another place is another letter';
};

subtest 'twenty at once are one letter' => sub {
    for my $round (1 .. 5) {
        my $k = new_key();
        my $text = "Двадцать раз сразу $k";
        my @pids;
        my $dir = test_dir() . '/tmp';
        for my $i (1 .. 20) {
            my $pid = fork // die "fork: $!";
            if ($pid == 0) {
                my $answer = with($k, { text => $text });
                open my $out, '>', "/tmp/otklik-$k-$i" or POSIX::_exit(1);
                print {$out} "$answer->{status} ", $answer->{json}{number} // '';
                close $out;
                require POSIX;
                POSIX::_exit(0);
            }
            push @pids, $pid;
        }
        waitpid $_, 0 for @pids;
        my (%numbers, %statuses);
        for my $i (1 .. 20) {
            open my $in, '<', "/tmp/otklik-$k-$i" or next;
            my ($status, $number) = split / /, <$in>;
            $statuses{$status}++;
            $numbers{$number}++ if $status == 201;
            close $in;
            unlink "/tmp/otklik-$k-$i";
        }
        is scalar(keys %numbers), 1, "round $round: one number";
        is_deeply [grep { $_ != 201 && $_ != 409 } keys %statuses], [], "round $round: each got it, or was told to come again"
            or diag explain \%statuses;
        is sql("select count(*) from appeal where text = '$text'"), '1', "round $round: one letter";
    }
};

subtest 'keys are told apart by who comes with them' => sub {
    my $k = new_key();
    my $data = { text => "Чужой ключ $k" };
    my $mine = with($k, $data);
    my $nobodys = post_json('/api/v1/appeals', $data, idempotency => $k);
    is $nobodys->{status}, 201, 'somebody else has that key, too';
    isnt $nobodys->{json}{number}, $mine->{json}{number}, 'and gets a letter of his own, never mine';
};

subtest 'keys that are none' => sub {
    my %bad = ('an empty one' => '', 'blanks inside' => 'a b', 'too long' => 'x' x 256);
    for my $what (sort keys %bad) {
        my $answer = post_json('/api/v1/appeals', { text => 'Проверка' }, idempotency => undef, headers => { 'Idempotency-Key' => $bad{$what} }, key => $key);
        is $answer->{status}, 400, "$what: refused";
        is $answer->{json}{type}, '/problems/idempotency-key-missing', "$what: and why";
    }
    is post_json('/api/v1/appeals', { text => 'Проверка ' . new_key() }, idempotency => undef, headers => { 'Idempotency-Key' => substr new_key() . 'x' x 255, 0, 255 }, key => $key)->{status}, 201,
        'the longest one, without quotes';
};

subtest 'a wrong letter does not use up its key' => sub {
    my $k = new_key();
    is with($k, { text => '' })->{status}, 422, 'refused';
    is with($k, { text => 'Исправлено ' . $k })->{status}, 201, 'mended, and taken';
};

done_testing;
