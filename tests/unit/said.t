#!/usr/bin/env perl
# Whatever step a statement writes has its words: on the tracking page in both languages, in the document, in the feed of Open311. So have reasons.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use JSON::PP;
use Test::More;
use Otklik::Command;
use Otklik::OpenAPI;

my $root = "$FindBin::Bin/../..";
my @steps = steps();
cmp_ok scalar @steps, '>=', 17, 'statements write ' . join ' ', @steps;

my $page = read_file("$root/web/pages/track.html");
my %texts = map { $_ => JSON::PP->new->decode(read_file("$root/web/i18n/$_.json"))->{t} } qw(ru en);
my $event = openapi_load("$root/docs/openapi.yaml")->{components}{schemas}{Event}{properties};
my ($feed) = read_file("$root/sql/queries/intake/open311_updates.sql") =~ /'description'(.*)'media_url'/s;

is_deeply [sort @{ $event->{kind}{enum} }], \@steps, 'the document names them, and no others';
for my $step (@steps) {
    like $page, qr/\{\{#kind_is\.$step\}\}.*?\{\{t\.event\.$step\}\}.*?\{\{\/kind_is\.$step\}\}/, "$step: the page says it";
    is scalar(grep { length($texts{$_}{event}{$step} // '') } sort keys %texts), 2, "$step: in both languages";
    my $n = () = $feed =~ /when '$step' then (?:coalesce|case|'\p{Lu})/g;
    is $n, 2, "$step: so does Open311";
}

# Why routing sends a letter to a moderator.
my ($table) = read_file("$root/services/routing/queue.c") =~ /reasons\[\] = \{(.*?)\};/s;
my @reasons = sort 'no_body', $table =~ /"(\w+)"/g;
is_deeply [sort @{ $event->{detail}{properties}{reasons}{items}{enum} }], \@reasons, 'the document has the reasons of routing';
for my $reason (@reasons) {
    like $page, qr/\{\{#$reason\}\}<li>\{\{t\.reason\.$reason\}\}/, "$reason: the page says it";
    is scalar(grep { length($texts{$_}{reason}{$reason} // '') } sort keys %texts), 2, "$reason: in both languages";
}

# And why a body will do nothing, or later.
my ($moves) = read_file("$root/services/intake/open311_answer.c") =~ /\*const reasons\[\] = \{(.*?)\};/s;
my $reason_page = read_file("$root/web/pages/reason.html");
for my $reason ($moves =~ /"(\w+)"/g) {
    like $reason_page, qr/\{\{t\.answer_reason\.$reason\}\}/, "$reason: the page says it";
    is scalar(grep { length($texts{$_}{answer_reason}{$reason} // '') } sort keys %texts), 2, "$reason: in both languages";
}

done_testing;

# What statements give to event_hash() as its sixth argument: the word itself, or what their file here says where it comes from.
sub steps {
    my %of = (
        'routing/route.sql' => ['sql/queries/routing/route.sql', qr/then '(\w+)' else '(\w+)' end as status/],
        'intake/answer.sql' => ['services/intake/open311_answer.c', qr/\.event = "(\w+)"/],
        'intake/verdict.sql' => ['sql/queries/intake/verdict.sql', qr/then '(\w+)' when [^']*'answered' then '(\w+)' end as step/],
        'intake/hook_follow.sql' => ['services/intake/hook_queue.c', qr/\[HOOK_\w+\] = \{ "(\w+)",/],
    );
    my %step;
    for my $file (glob "$root/sql/queries/*/*.sql") {
        my $sql = read_file($file) =~ s/--.*$//mgr;
        my ($name) = $file =~ m{(\w+/\w+\.sql)\z};
        while ($sql =~ /event_hash\(((?:[^()]++|(\((?:[^()]++|(?2))*\)))*)\)/g) {
            my @arguments = split_arguments($1);
            my ($step) = $arguments[5] =~ /\A'(\w+)'\z/;
            if (defined $step) { $step{$step} = 1; next }
            my $from = $of{$name};
            ok $from, "$name: it is known where its steps come from" or next;
            my @found = grep { defined } read_file("$root/$from->[0]") =~ /$from->[1]/g;
            cmp_ok scalar @found, '>', 0, "$name: @found";
            @step{@found} = (1) x @found;
        }
    }
    return sort keys %step;
}

# At the commas that no bracket holds.
sub split_arguments {
    my ($text) = @_;
    my ($depth, @arguments) = (0, '');
    for my $c (split //, $text) {
        $depth += $c eq '(' ? 1 : $c eq ')' ? -1 : 0;
        if ($c eq ',' && $depth == 0) { push @arguments, '' } else { $arguments[-1] .= $c }
    }
    return map { s/\A\s+|\s+\z//gr } @arguments;
}
