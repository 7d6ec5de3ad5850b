#!/usr/bin/env perl
# Who has number and code sees the way of a letter; nobody else learns whether there is one.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};
my $letter = appeal({ text => "Не горит фонарь\n<b>у дома</b>", theme => 'light.street', point => { lat => 57.8, lon => 61.2 } }, key => $key);
my ($number, $code) = @{$letter}{qw(number code)};
sub seen { my ($n, $c, %o) = @_; return get("/api/v1/appeals/$n?code=" . url_encode($c), %o) }
wait_for(sub { seen($number, $code)->{json}{status} eq 'routed' }, 10, 'routing');

subtest 'the way of a letter' => sub {
    my $answer = seen($number, $code, lang => 'en');
    is $answer->{status}, 200, 'found';
    is $answer->{headers}{'cache-control'}, 'no-store', 'kept by nobody';
    my $a = $answer->{json};
    is $a->{text}, "Не горит фонарь\n<b>у дома</b>", 'the text as it was written';
    is $a->{theme}{name}, 'Street lights do not work', 'the theme in the language asked for';
    ok $a->{municipality}{name} && $a->{body}{name}, 'where, and who';
    like $a->{due}{$_}, qr/\A\d{4}-\d\d-\d\dT[\d:.]+Z\z/, $_ for qw(first_answer_at answer_at);
    ok $a->{due}{explanation}{first}{steps}[0]{day}, 'the arithmetic of the deadline';
    is_deeply [map { $_->{kind} } @{ $a->{events} }], [qw(captured routed)], 'every step';
    ok !exists $a->{contact}, 'no contacts';
    unlike $answer->{content}, qr/client_hash|code_digest|request_id/, 'and nothing of the machine room';
    is seen($number, $code)->{json}{theme}{name}, 'Не горят фонари', 'in Russian otherwise' ;
};

subtest 'a code is taken as people type it' => sub {
    is seen($number, $_)->{status}, 200, $_ for lc $code, $code =~ tr/-//dr, $code =~ tr/-/ /r, $code =~ tr/01/OI/r;
};

subtest 'nothing is told to who does not know both' => sub {
    my $wrong = ($code =~ /\A0/ ? '1' : '0') . substr $code, 1;
    my $typo = $number =~ s/(\d)\z/($1 + 1) % 10/er;
    my $unknown = sql("select appeal_number(90::smallint, 2031, 4711)");
    my @answers = map { seen(@$_, lang => 'en') } [$number, $wrong], [$typo, $code], [$unknown, $code], [$number, 'short'], ['no-number', $code], ["$number'--", $code];
    is $_->{status}, 404, 'found: nothing' for @answers;
    my %bodies = map { ($_->{content} =~ s/urn:uuid:[0-9a-f-]+//r) => 1 } @answers;
    is scalar(keys %bodies), 1, 'the same for each of them';
    my $missing = get("/api/v1/appeals/$number", lang => 'en');
    is $missing->{status}, 422, 'no code at all';
    is $missing->{json}{errors}[0]{field}, 'code', 'is named';
};

subtest 'the page shows the same, without a script' => sub {
    my $page = get("/track?number=$number&code=$code&lang=en");
    is $page->{status}, 200, 'found';
    like $page->{headers}{'content-type'}, qr{\Atext/html}, 'a page';
    like $page->{content}, qr/&lt;b&gt;/, 'the text is escaped';
    unlike $page->{content}, qr/<b>у/, 'and never markup';
    like $page->{content}, qr/Street lights do not work/, 'the theme';
    like $page->{content}, qr/First answer by/, 'the deadline';
    like $page->{content}, qr/class="skipped"/, 'with its arithmetic';
    my $none = get("/track?number=$number&code=AAAA-AAAA-AAAA-AAAA&lang=ru");
    is $none->{status}, 404, 'a wrong code';
    utf8::decode(my $text = $none->{content});
    like $text, qr/Такого обращения нет|нет/, 'says so';
    is get('/track')->{status}, 200, 'and asks when nothing was asked';
    is get('/track?number=%ff&code=x')->{status}, 200, 'a mangled address is asked for anew';
};

done_testing;
