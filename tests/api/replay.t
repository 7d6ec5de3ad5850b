#!/usr/bin/env perl
# A replay sends every line once, whatever the service, the network, Ctrl-C or SIGKILL do to it.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Time::HiRes qw(sleep time);
use Encode ();
use Test::More;
use Otklik::Test;
use Otklik::Command;
use Otklik::Door;

my $work = scratch();
$ENV{OTKLIK_DOOR_KIND} = "$work/kind";
my $runs = 0;

# Lines of a file: an appeal each, with what differs from the common one.
sub letters {
    my (@rows) = @_;
    my $id = 100;
    return write_file('letters-' . ++$runs . '.jsonl', join '', map {
        ref $_ ? as_json({ id => ++$id, text => "Проверка $id", object => 'Двор', category => 'Дороги', reason => 'Яма', lat => 57.8, lon => 61.2, %$_ }) . "\n"
               : $_
    } @rows);
}

# A door of its own, and a file of its own: the door, and what replay(ARGUMENT …) takes.
sub door {
    my (@rows) = @_;
    my $file = letters(@rows);
    my $door = Otklik::Door->start("$work/door-$runs.log", ['yama-1', 'Двор', 'Дороги', 'Яма'], ['yama-2', 'Улица', 'Дороги', 'Яма'],
        ['sneg', 'Улица', 'Дороги', 'Снег']);
    my @arguments = ('replay', $file, '--url', $door->url, '--key', 'otk_aaaaaaaa_test', '--state', "$file.state", '--answers', "$file.tsv");
    return ($door, $file, sub { return otklik(@arguments, '--rate', 'max', @_) }, sub { return otklik_start(@arguments, @_) });
}

sub statuses { my ($door) = @_; my %n; $n{ $_->[1] }++ for $door->log_rows; return \%n }
sub lines_of { my ($file) = @_; return split /\n/, read_file($file) }

subtest 'every line becomes a request' => sub {
    my ($door, $file, $replay) = door(
        { photos => 2 }, { object => 'Улица', id => 'text-id' }, { object => undef, reason => 'Снег' }, { reason => 'Неизвестно' },
        { category => undef, reason => undef, lat => undef, lon => undef }, { text => "Строка\nдве\tи\x07звонок" }, "\n", { lat => 59.9000, lon => 30 });
    my $run = $replay->('--json');
    is $run->{status}, 0, 'and is sent' or diag $run->{err};
    my @rows = $door->log_rows;
    my %sent = map { my $d = json_of(Encode::encode_utf8($_->[2])); ($d->{external_id} => $d) } @rows;
    is scalar(@rows), 7, 'once';
    is_deeply $sent{101}, { text => 'Проверка 101', theme => 'yama-1', point => { lat => 57.8, lon => 61.2 }, channel => 'mobile_app', external_id => '101' },
        'text, theme by object, category and reason, point, channel, id';
    is_deeply [@{ $sent{'text-id'} }{qw(theme channel)}], ['yama-2', 'site'], 'the object tells themes apart; no photo, no telephone';
    is $sent{103}{theme}, 'sneg', 'without an object the only theme of that name';
    is $sent{104}{theme}, undef, 'a theme the region has not is left out';
    is_deeply [sort keys %{ $sent{105} }], [qw(channel external_id text)], 'no theme, no point';
    is $sent{106}{text}, "Строка\nдве\tи звонок", 'a control character becomes a blank';
    is scalar(keys %{ { map { $_->[0] => 1 } @rows } }), 7, 'each has a key of its own';
    like $run->{err}, qr/without theme\s+1 .*jsonl:4/, 'the summary says which theme is missing';
    like $run->{err}, qr/cleaned\s+1 /, 'and how many texts were cleaned';
    my $summary = json_of($run->{out});
    is_deeply [@$summary{qw(created replayed errors)}], [7, 0, 0], 'the same for machines';
    is_deeply [map { (split /\t/)[0, 4] } sort(lines_of("$file.tsv"))], [101, 1, 103, 3, 104, 4, 105, 5, 106, 6, 107, 8, 'text-id', 2],
        'the answers are kept, with their lines';

    my $again = $replay->();
    is $again->{status}, 0, 'a second run';
    like $again->{err}, qr/going on where the last run ended: 7 lines are done/, 'says what is done';
    is scalar($door->log_rows), 7, 'and sends nothing';
    my $anew = $replay->('--again');
    like $anew->{err}, qr/201 stored now\s+0\n\s+201 replayed\s+7/, 'with --again the same answers come back';
    is scalar(keys %{ { map { $_->[0] => 1 } $door->log_rows } }), 7, 'since the keys are the same';
};

subtest 'a service that stumbles gets the same request again' => sub {
    my @kinds = qw(503 429 500 409 drop);
    my ($door, $file, $replay) = door(map { { text => "Проверка [$_]" } } @kinds, 'plain');
    my $began = time;
    my $run = $replay->();
    is $run->{status}, 0, 'until it is taken' or diag $run->{err};
    cmp_ok time - $began, '>=', 1, 'Retry-After is honoured';
    like $run->{err}, qr/errors\s+0\n\s+sent again\s+5  \(no answer: 1, 409: 1, 429: 1, 500: 1, 503: 1\)/, 'the summary says what happened';
    like $run->{err}, qr/201 stored now\s+5\n\s+201 replayed\s+1/, 'what was stored before the line broke is not stored again';
    is_deeply statuses($door), { 0 => 1, 201 => 6, 409 => 1, 429 => 1, 500 => 1, 503 => 1 }, 'the door saw the same';
    is scalar(lines_of("$file.tsv")), 6, 'six answers';
};

subtest 'what is refused is told and tried again by the next run only' => sub {
    my ($door, $file, $replay) = door({}, { text => 'Проверка [422]' }, "{\"id\":5,\n", {});
    my $run = $replay->();
    is $run->{status}, 1, 'status 1';
    like $run->{err}, qr/jsonl:2: status 422 .*as asked/, 'with line and reason';
    like $run->{err}, qr/jsonl:3: broken JSON/, 'a broken line, too';
    like $run->{err}, qr/201 stored now\s+2\n.*errors\s+2\n/s, 'the others went out';
    write_file('kind', '');
    my $again = $replay->();
    unlink "$work/kind";
    like $again->{err}, qr/all up to line 1 /, 'the next run knows how far all is done';
    is_deeply statuses($door), { 201 => 3, 422 => 1 }, 'and sends what is left';
    is $again->{status}, 1, 'the broken line stays an error';
};

subtest 'when there is no use in going on' => sub {
    my ($door, $file, $replay) = door(({}) x 3, { text => '[never]' }, ({}) x 50);
    my $run = $replay->('--retries', 2, '--connections', 1);
    is $run->{status}, 1, 'a service that stays away: status 1';
    like $run->{err}, qr/jsonl:4: given up after 3 tries: status 503/, 'says why';
    like $run->{err}, qr/the same command goes on from here/, 'and what to do';
    is scalar(grep { $_->[1] == 201 } $door->log_rows), 3, 'nothing goes out behind it';
    my ($refusing, undef, $refused) = door({ text => '[401]' }, ({}) x 50);
    my $no = $refused->('--connections', 1);
    is $no->{status}, 1, 'a key that is taken back meanwhile: status 1';
    like $no->{err}, qr/the key is refused: status 401/, 'said once';
    is scalar($refusing->log_rows), 1, 'and no more is sent';
    like $replay->('--key', 'wrong')->{err}, qr/themes: status 401/, 'a wrong key is seen at once';
    $door->stop;
    my $away = $replay->('--retries', 1, '--state', "$work/away", '--answers', "$work/away.tsv");
    is $away->{status}, 1, 'nobody listens: status 1';
    is otklik('replay', $file, '--key', 'k', '--rate', 'fast', '--url', 'http://x')->{status}, 2, 'a rate that is none: status 2';
    is otklik('replay', $file, '--key', 'k', '--rate', 'max', '--url', 'ftp://x')->{status}, 1, 'an address that is none: status 1';
    is otklik('replay', "$work/none", '--key', 'k', '--rate', 'max', '--url', $refusing->url)->{status}, 1, 'no file: status 1';
};

subtest 'the state belongs to one file and one address' => sub {
    my ($door, $file, $replay) = door({}, {});
    my ($other_door, $other_file, $other) = door({}, {}, {});
    is $replay->()->{status}, 0, 'one is sent';
    my $mixed = $other->('--state', "$file.state");
    is $mixed->{status}, 1, 'its state does not fit the other';
    like $mixed->{err}, qr/state: is the state of another file or another address/, 'which is said';
    write_file("$file.state", "nonsense\n");
    like $replay->()->{err}, qr/state: not the state of a replay/, 'nor is any file a state';
};

subtest 'a rate is kept' => sub {
    my ($door, $file, $replay, $start) = door(({}) x 30);
    my $began = time;
    my $run = otklik_wait($start->('--rate', 20));
    my $took = time - $began;
    is $run->{status}, 0, 'all sent';
    cmp_ok $took, '>', 1.3, 'thirty at 20 a second take a second and a half';
    cmp_ok $took, '<', 4, 'and not much more';
    like $run->{err}, qr/^\s*\d+ %  201: \d+  replayed: 0  errors: 0  \d+\/s  \d:\d\d left$/m, 'progress is shown each second';
};

subtest 'Ctrl-C stops in good order, and the next run goes on' => sub {
    my ($door, $file, $replay, $start) = door(({ text => 'Проверка [slow]' }) x 60);
    my $run = $start->('--rate', 'max');
    wait_for(sub { scalar($door->log_rows) > 12 }, 10, 'the first requests');
    kill 'INT', $run->{pid};
    my $end = otklik_wait($run);
    is $end->{status}, 1, 'status 1';
    like $end->{err}, qr/stopped as asked; the same command goes on from here/, 'says so';
    my @before = $door->log_rows;
    cmp_ok scalar(@before), '<', 60, 'not all went out';
    is scalar(lines_of("$file.tsv")), scalar(@before), 'what was in flight was waited for';
    my $rest = $replay->('--check');
    is $rest->{status}, 0, 'the next run finishes';
    is_deeply statuses($door), { 201 => 60 }, 'no line was sent twice, none was left out';
    like $rest->{err}, qr/check: 60 appeals answered 201 are there, 0 missing, 0 double/, 'all are there';
};

subtest 'SIGKILL loses nothing and doubles nothing' => sub {
    my ($door, $file, $replay, $start) = door(({ text => 'Проверка [slow]' }) x 80);
    my $run = $start->('--rate', 'max');
    wait_for(sub { scalar($door->log_rows) > 50 }, 10, 'requests');
    my $second = $replay->();
    is $second->{status}, 1, 'meanwhile nobody else may write its answers';
    like $second->{err}, qr/another replay is writing it/, 'which is said';
    kill 'KILL', $run->{pid};
    is otklik_wait($run)->{status}, 256 + 9, 'killed';
    open my $torn, '>>', "$file.tsv" or die $!;
    print {$torn} "half a li";
    close $torn;
    my $rest = $replay->('--check');
    is $rest->{status}, 0, 'the next run finishes' or diag $rest->{err};
    like $rest->{err}, qr/check: 80 appeals answered 201 are there, 0 missing, 0 double/, 'all are there, once';
    is scalar(keys %{ { map { $_->[0] => 1 } $door->log_rows } }), 80, 'under one key a line';
};

subtest 'the check finds what is missing' => sub {
    my ($door, $file, $replay, $start) = door(({}) x 5);
    is $replay->()->{status}, 0, 'five are sent';
    write_file("$work/door-$runs.log.lose", '');
    my $check = otklik_wait($start->('--check', '--no-send'));
    is $check->{status}, 1, 'one is lost: status 1';
    like $check->{err}, qr/answered 201 as 90-2026-0000003-0: not there/, 'named';
    like $check->{err}, qr/4 appeals answered 201 are there, 1 missing/, 'counted';
    my @rows = lines_of("$file.tsv");
    my @cells = split /\t/, $rows[0];
    write_file("$file.tsv", read_file("$file.tsv") . join("\t", $cells[0], '90-2026-0000004-0', @cells[2 .. 5]) . "\n");
    like otklik_wait($start->('--check', '--no-send'))->{err}, qr/was stored twice: as 90-2026-\d+-0 and as 90-2026-\d+-0/, 'a double is named, too';
};

subtest 'the demo letters through the real front door' => sub {
    my $tag = "replay-$$";
    my @rows = map { my $d = json_of(Encode::encode_utf8($_)); $d->{id} = "$tag-$d->{id}"; $d }
        lines_of("$FindBin::Bin/../../conf/demo/sample.jsonl");
    my $file = write_file('sample.jsonl', join '', map { as_json($_) . "\n" } @rows);
    my @arguments = ('replay', $file, '--url', $ENV{OTKLIK_URL}, '--key', $ENV{OTKLIK_API_KEY}, '--rate', 'max', '--check');
    my $run = otklik(@arguments);
    is $run->{status}, 0, 'all are taken and there' or diag $run->{err};
    like $run->{err}, qr/201 stored now\s+60$/m, 'sixty of them';
    unlike $run->{err}, qr/without theme/, 'every theme is known';
    wait_for(sub { sql("select count(*) from appeal where external_id like '$tag-%' and status <> 'captured'") eq '60' }, 20, 'routing');
    my %found = map { split /\|/, $_, 2 } split /\n/,
        sql("select a.external_id, coalesce(m.name_ru, '') || '|' || coalesce(t.name_ru, '') from appeal a"
          . ' left join municipality m on m.region_id = a.region_id and m.id = a.municipality_id'
          . ' left join theme t on t.region_id = a.region_id and t.id = a.theme_id'
          . " where a.external_id like '$tag-%'");
    my %wanted = map { $_->{id} => ($_->{municipality} // '') . '|' . ($_->{reason} // '') } grep { defined $_->{reason} && defined $_->{lat} } @rows;
    is_deeply { map { $_ => $found{$_} } keys %wanted }, \%wanted, 'each in the municipality and with the theme of the file';
    my $again = otklik(@arguments, '--again');
    like $again->{err}, qr/201 stored now\s+0\n\s+201 replayed\s+60/, 'the second time nothing is stored';
    is sql("select count(*) from appeal where external_id like '$tag-%'"), '60', 'indeed';
} if $ENV{OTKLIK_API_KEY};

done_testing;
