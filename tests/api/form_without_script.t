#!/usr/bin/env perl
# The form of the browser without JavaScript: taken, refused with what was written kept, never stored twice.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Test;

sub form { my ($fields, %o) = @_; return post_form('/?lang=ru', $fields, idempotency => undef, %o) }
sub text_of { my ($answer) = @_; utf8::decode(my $text = $answer->{content}); return $text }
my $tag = new_key();

my $page = get('/');
is $page->{status}, 200, 'the form comes';
my ($key) = $page->{content} =~ /name="idempotency_key" value="([^"]+)"/;
ok $key, 'with a key of its own';
my ($other) = get('/')->{content} =~ /name="idempotency_key" value="([^"]+)"/;
isnt $other, $key, 'another each time';
like text_of($page), qr/<option value="light.street">/, 'and the themes';
is $page->{headers}{'content-security-policy'} =~ /default-src 'none'/, 1, 'a strict policy';

my %letter = (text => "Не горит фонарь $tag", address => 'Садовая, 12', 'point.lat' => '57,8', 'point.lon' => '61,2', theme => 'light.street',
    'contact.name' => '', 'contact.email' => '', 'contact.phone' => '', idempotency_key => $key);
my $taken = form(\%letter);
is $taken->{status}, 303, 'the letter is taken';
like $taken->{headers}{location}, qr{\A(?:http://[^/]+)?/track\?number=90-\d{4}-\d{7}-\d&code=[0-9A-Z-]{19}&new=1&lang=ru\z}, 'and its page is next';
my ($where) = $taken->{headers}{location} =~ m{(/track.*)};
my $track = get($where);
is $track->{status}, 200, 'which is there at once';
like text_of($track), qr/Не горит фонарь \Q$tag\E/, 'with the letter';

my $again = form(\%letter);
is $again->{status}, 303, 'the button pressed twice';
is $again->{headers}{location}, $taken->{headers}{location}, 'is the same letter';
is sql("select count(*) from appeal where text = 'Не горит фонарь $tag'"), '1', 'stored once';

my $bad = form({ %letter, text => '', 'point.lat' => 'там', 'contact.email' => 'anna@', address => 'Улица "Длинная" <1>', idempotency_key => $other });
is $bad->{status}, 422, 'wrong fields: refused';
my $text = text_of($bad);
like $text, qr/id="$_"[^>]*aria-invalid="true"/, "$_ is marked" for qw(text point_lat contact_email);
like $text, qr/value="там"/, 'what was written is kept, right or wrong';
like $text, qr/value="Улица &quot;Длинная&quot; &lt;1&gt;"/, 'and escaped';
like $text, qr/name="idempotency_key" value="\Q$other\E"/, 'with the same key';
like $text, qr/<option value="light.street" selected>/, 'and the theme that was chosen';

my $consent = form({ %letter, 'contact.name' => 'Анна', text => "Фонарь $tag", idempotency_key => $other });
is $consent->{status}, 422, 'a name without consent: refused';
like text_of($consent), qr/id="consent"[^>]*aria-invalid="true"/, 'and said where';

my $reused = form({ %letter, text => "Другое письмо $tag" });
is $reused->{status}, 422, 'another letter with a used key: refused';
like text_of($reused), qr/Другое письмо \Q$tag\E/, 'but kept';
my ($fresh) = $reused->{content} =~ /name="idempotency_key" value="([^"]+)"/;
isnt $fresh, $key, 'with a new key';
is form({ %letter, text => "Другое письмо $tag", idempotency_key => $fresh })->{status}, 303, 'that takes it';

# A page with megabytes in it helps nobody, but the mistake is the writer's, not ours.
my %huge = ('a text of 1 MB' => { text => 'x' x 1_000_000 }, 'quotes that grow when escaped' => { text => '"' x 600_000 },
    'a text of 1.9 MB' => { text => 'x' x 1_900_000 }, 'a key of 1 MB' => { idempotency_key => 'k' x 1_000_000 });
for my $what (sort keys %huge) {
    my $answer = form({ %letter, text => "Фонарь $tag", %{ $huge{$what} } });
    is $answer->{status}, 422, "$what: refused";
    like $answer->{headers}{'content-type'}, qr{\Atext/html}, "$what: with a page";
    cmp_ok length $answer->{content}, '<', 100_000, "$what: of a bearable size";
}
my $long = 'Очень длинное письмо. ' x 1000 . 'Конец';
ok index(text_of(form({ %letter, text => $long, idempotency_key => $other })), ">\n$long</textarea>") > 0, 'a text a little too long is kept, to be shortened';

my $odd = form({ %letter, text => "Фонарь $tag", idempotency_key => 'a key with blanks' });
is $odd->{status}, 422, 'a key that can be none: refused';
my ($good) = $odd->{content} =~ /name="idempotency_key" value="([^"]+)"/;
is form({ %letter, text => "С новым ключом $tag", idempotency_key => $good })->{status}, 303, 'but the page has a good one for the next try';

my $mangled = form("text=a+%zz&idempotency_key=$other");
is $mangled->{status}, 400, 'a body that cannot be read';
like $mangled->{headers}{'content-type'}, qr{\Atext/html}, 'is answered with a page, too';

is get('/no-such-page')->{status}, 404, 'a page that there is not';
like get('/no-such-page')->{content}, qr/<h1>/, 'is one, too';

done_testing;
