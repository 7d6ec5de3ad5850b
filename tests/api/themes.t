#!/usr/bin/env perl
# What a letter may be about, in both languages, and not more often than it changes.
use strict;
use warnings;
use utf8;
use Test::More;
use Otklik::Test;

my $ru = get('/api/v1/themes');
is $ru->{status}, 200, 'anybody may ask';
is $ru->{json}{region}, 90, 'of this region';
my @themes = @{ $ru->{json}{themes} };
is scalar @themes, sql('select count(*) from theme where region_id = 90 and active'), 'all of them';
my %by_code = map { $_->{code} => $_ } @themes;
is_deeply $by_code{'light.street'}, { code => 'light.street', object => 'Улица', group => 'Уличное освещение', name => 'Не горят фонари' }, 'in Russian'
    or diag explain $by_code{'light.street'};
my %english = map { $_->{code} => $_ } @{ get('/api/v1/themes', lang => 'en')->{json}{themes} };
is $english{'light.street'}{name}, 'Street lights do not work', 'in English';

my $etag = $ru->{headers}{etag};
like $etag, qr/\A"[0-9a-f]{32}"\z/, 'with a tag';
my $same = get('/api/v1/themes', headers => { 'If-None-Match' => $etag });
is $same->{status}, 304, 'who has it already is told so';
is length($same->{content} // ''), 0, 'and gets nothing';
is get('/api/v1/themes', headers => { 'If-None-Match' => $etag }, lang => 'en')->{status}, 200, 'another language is another text';

sql("update theme set active = false where region_id = 90 and code = 'light.street'", role => 'otklik_admin');
my $less = get('/api/v1/themes', headers => { 'If-None-Match' => $etag });
is $less->{status}, 200, 'a change is seen';
ok !grep({ $_->{code} eq 'light.street' } @{ $less->{json}{themes} }), 'a theme switched off is gone';
my $refused = post_json('/api/v1/appeals', { text => 'Проверка', theme => 'light.street' });
is $refused->{status}, 422, 'and is not taken';
sql("update theme set active = true where region_id = 90 and code = 'light.street'", role => 'otklik_admin');

is get('/api/v1/themes?colour=red')->{status}, 422, 'an argument that there is not is refused';

done_testing;
