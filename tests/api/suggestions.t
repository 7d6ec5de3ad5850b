#!/usr/bin/env perl
# A draft is told what it may be about and who has written of it nearby, and nothing that its author keeps to himself.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Otklik::Test;

my $key = $ENV{OTKLIK_API_KEY};
sub suggest {
    my ($draft, %o) = @_;
    my $answer = post_json('/api/v1/suggestions', $draft, idempotency => undef, key => $key, %o);
    is $answer->{status}, 200, 'answered' or diag $answer->{content};
    return $answer->{json};
}
sub numbers { my ($said) = @_; return map { $_->{number} } @{ $said->{near} } }
sub routed {
    my ($members, %o) = @_;
    my $letter = appeal($members, key => $key, %o);
    wait_for(sub { sql("select status from appeal where number = '$letter->{number}'") ne 'captured' }, 10, 'routing');
    return $letter;
}

# ---- what is wrong

for my $case ([{}, 'text'], [{ text => '' }, 'text'], [{ text => 'а', theme => 'no.such' }, 'theme'], [{ text => 'а', point => { lat => 57 } }, 'point.lon'],
    [{ text => 'а', point => { lat => 91, lon => 0 } }, 'point.lat'], [{ text => 'а', more => 1 }, 'more'], [{ text => 'я' x 10001 }, 'text'], [{ text => 'а', address => 5 }, 'address']) {
    my $answer = post_json('/api/v1/suggestions', $case->[0], key => $key);
    is $answer->{status}, 422, "$case->[1] is refused";
    is $answer->{json}{errors}[0]{field}, $case->[1], 'and named' or diag $answer->{content};
}
is get('/api/v1/suggestions', key => $key)->{status}, 405, 'it is asked by POST';
is post_json('/api/v1/suggestions', '{', key => $key)->{status}, 400, 'broken JSON';

# ---- themes

my $said = suggest({ text => 'Не горит фонарь, а на дороге яма' });
my @codes = map { $_->{code} } @{ $said->{themes} };
is_deeply [sort @codes], ['light.street', 'road.pothole'], 'two themes';
cmp_ok $said->{themes}[0]{score}, '>=', $said->{themes}[1]{score}, 'the best first';
is_deeply [sort keys %{ $said->{themes}[0] }], [qw(code group name score)], 'with what the contract says';
is suggest({ text => 'Не горит фонарь' }, lang => 'en')->{themes}[0]{name}, 'Street lights do not work', 'in English';
is_deeply suggest({ text => 'Здравствуйте' }), { themes => [], near => [] }, 'nothing to say';
my @best = @{ suggest({ text => 'фонарь яма мусор снег автобус собака лифт врач школа' })->{themes} };
is scalar @best, 3, 'at most three';
my $one = routed({ text => 'Не горит фонарь у подъезда, проверка ' . new_key(), point => { lat => 57.7, lon => 61.1 } });
is sql("select t.code from appeal a join theme t on t.region_id = a.region_id and t.id = a.theme_id where number = '$one->{number}'"),
    suggest({ text => 'Не горит фонарь у подъезда' })->{themes}[0]{code}, 'routing finds the same';

# ---- new words are known at once where the importer says so

sql("update theme set keywords = keywords || '{выдрунька}' where region_id = 90 and code = 'light.street'", role => 'otklik_admin');
sql('notify otklik_dictionaries', role => 'otklik_admin');
ok wait_for(sub { (suggest({ text => 'выдрунька' })->{themes}[0]{code} // '') eq 'light.street' }, 3, 'a new keyword'), 'a new keyword';
sql("update theme set keywords = array_remove(keywords, 'выдрунька') where region_id = 90 and code = 'light.street'", role => 'otklik_admin');

# ---- appeals nearby

my %at = (lat => 57.66012, lon => 61.23012);
my $private = routed({ text => 'Фонарь у дома 7 не горит с понедельника', theme => 'light.street', point => \%at });
my $public = routed({ text => 'Темно: фонарь погас. Пишите на anna.p@example.com или +7 (900) 123-45-67, жду до 12.12.2026', theme => 'light.street', public => JSON::PP::true(),
    point => { lat => 57.6604, lon => 61.2304 } });
my $moderated = appeal({ text => 'Фонарь не горит, без имени', theme => 'light.street', point => \%at });
wait_for(sub { sql("select status from appeal where number = '$moderated->{number}'") eq 'moderation' }, 10, 'moderation');
my $far = routed({ text => 'Фонарь не горит далеко', theme => 'light.street', point => { lat => 57.67, lon => 61.23 } });
my $other = routed({ text => 'Во дворе гуляют собаки без намордников', theme => 'animals.stray', point => \%at }) if sql("select 1 from theme where region_id = 90 and code = 'animals.stray'");

my $near = suggest({ text => 'Не горит фонарь', point => \%at });
my %found = map { $_->{number} => $_ } @{ $near->{near} };
ok $found{ $private->{number} }, 'one of the same theme';
ok $found{ $public->{number} }, 'another one';
my %still = map { $_ => 1 } qw(routed accepted postponed redirected);
for my $status (qw(accepted postponed redirected answered closed rejected routed)) {
    sql("update appeal set status = '$status' where number = '$private->{number}'");
    is scalar(grep { $_ eq $private->{number} } numbers(suggest({ text => 'Не горит фонарь', point => \%at }))), $still{$status} // 0, $still{$status} ? "one that is $status" : "none that is $status";
}
ok !$found{ $moderated->{number} }, 'none that a moderator has not let pass';
ok !$found{ $far->{number} }, 'none a kilometre away';
ok !$found{ $other->{number} }, 'none about something else' if $other;
is_deeply [sort keys %{ $found{ $private->{number} } }], [qw(distance_m joined number received_at status theme)], 'of one that is not public the text is not shown';
is $found{ $public->{number} }{text}, 'Темно: фонарь погас. Пишите на ••• или •••, жду до 12.12.2026', 'of a public one it is, without address and number';
is $found{ $public->{number} }{theme}, 'Не горят фонари', 'with the name of its theme';
cmp_ok scalar @{ $near->{near} }, '<=', 5, 'at most five';

# The exact place cannot be found out: from wherever one asks, it looks as if the appeal lay on the grid of a thousandth of a degree.
for my $shift (0, 0.0004, 0.0008) {
    my ($hit) = grep { $_->{number} eq $private->{number} } @{ suggest({ text => 'Не горит фонарь', point => { lat => 57.66 + $shift, lon => 61.23 } })->{near} };
    is $hit->{distance_m}, 10 * sprintf('%.0f', $shift * 111195 / 10), "distances are from the rounded place ($shift)";
}
my @alike = numbers(suggest({ text => 'Темно: фонарь погас, пишите, жду', theme => 'road.pothole', point => { lat => 57.66, lon => 61.23 } }));
ok scalar(grep { $_ eq $public->{number} } @alike), 'of another theme, but in the same words';
my @guessed = numbers(suggest({ text => 'Фонарь у дома 7 не горит с понедельника', theme => 'road.pothole', point => { lat => 57.66, lon => 61.23 } }));
ok !scalar(grep { $_ eq $private->{number} } @guessed), 'none whose words are not public: nobody guesses them';

# ---- without a point

my ($place) = @{ get('/api/v1/places?q=' . url_encode('Светозерск, улица Ленина, 5'))->{json}{places} };
my $there = routed({ text => 'Фонарь не горит на Ленина', theme => 'light.street', point => { lat => $place->{lat}, lon => $place->{lon} } });
ok scalar(grep { $_ eq $there->{number} } numbers(suggest({ text => 'фонарь', address => 'Светозерск, ул. Ленина, 5' }))), 'the place of a typed address';
is_deeply [numbers(suggest({ text => 'фонарь', address => 'Светозерск' }))], [], 'a whole town is no place';
is_deeply [numbers(suggest({ text => 'фонарь' }))], [], 'no place, nobody nearby';

is sql("select count(*) from appeal where text = 'фонарь'"), '0', 'nothing is kept';
my $anonymous = post_json('/api/v1/suggestions', { text => 'фонарь' }, idempotency => undef);
is $anonymous->{status}, 200, 'anybody may ask';
like $anonymous->{headers}{'ratelimit-policy'}, qr/"suggest"/, 'under a limit of its own';
is $anonymous->{headers}{'cache-control'}, 'no-store', 'and nobody keeps the answer';

done_testing;
