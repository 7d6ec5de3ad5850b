#!/usr/bin/env perl
# Notices when the other side is in trouble, and when the courier is killed: none lost, each recipient with a fate of his own, doubles known by
# their id.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Encode ();
use Time::HiRes qw(sleep time);
use Otklik::Command;
use Otklik::Post;
use Otklik::Test;

my $smtp = post_start('smtp');
my %settings = (OTKLIK_SMTP_URL => "smtp://127.0.0.1:$smtp", OTKLIK_SMTP_TLS => 'none', OTKLIK_SMTP_FROM => 'otklik@centre.example', OTKLIK_NOTICES => 1,
    OTKLIK_COURIER_PAUSE => 1, OTKLIK_COURIER_SECONDS => 4, OTKLIK_COURIER_ATTEMPTS => 4, OTKLIK_TOKENS => scratch());
for my $network (qw(vk telegram ok max)) { $settings{ 'OTKLIK_' . uc($network) . '_URL' } = 'http://127.0.0.1:' . post_start($network) }
chmod 0755, scratch();
post_behave($_) for qw(smtp vk telegram ok max);
courier_settings(%settings);

my $serial = 0;
sub address { return sprintf 'boris.%d.%d@mail.example', $$, ++$serial }
# A letter that wants notices; the address is vouched for by the key.
sub letter { my ($to) = @_; return appeal({ notify => JSON::PP::true(), contact => { email => $to }, consent => '2026-11-01' }, key => $ENV{OTKLIK_API_KEY}) }
sub fate { my ($appeal, $column) = @_; return sql("select coalesce(string_agg(" . ($column // 'state') . "::text, ',' order by seq, recipient), '') from delivery where region_id = 90 and appeal_id = '$appeal->{id}'") }
sub fated { my ($appeal, $state, $seconds) = @_; return wait_for(sub { fate($appeal) eq $state }, $seconds // 20, "$state, not " . fate($appeal)) }
sub letters_to { my ($to) = @_; return scalar grep { ($_->{to} // '') eq $to } post_letters() }

subtest 'the mail server is away' => sub {
    post_stop('smtp');
    my $to = address();
    my $appeal = letter($to);
    wait_for(sub { fate($appeal, 'attempts') ge '1' && fate($appeal, "coalesce(error, '')") ne '' }, 10, 'an attempt');
    is fate($appeal), 'waiting', 'the notice waits';
    like fate($appeal, 'error'), qr/connect/i, 'and says why';
    post_start('smtp');
    fated($appeal, 'sent');
    is letters_to($to), 1, 'once the server is back it comes, once';
};

subtest 'the mail server refuses one of two' => sub {
    my ($good, $bad) = (address(), address());
    post_behave('smtp', rcpt => { $bad => '550 5.1.1 no such user' });
    my $appeal = letter($good);
    fated($appeal, 'sent');
    sql("insert into subscription (region_id, appeal_id, id, channel, address, lang, asked_at, state) values (90, '$appeal->{id}', '00000000-0000-8000-8000-000000000001', 'email', '$bad', 'en', now(), 'confirmed')");
    sql("insert into outbox (region_id, topic, appeal_id, seq, not_before) values (90, 'notice', '$appeal->{id}', 2, now())");
    fated($appeal, 'failed,sent', 30);
    is letters_to($good), 1, 'the good one has his letter once, however often the other is tried';
    is fate($appeal, 'attempts'), '3,1', 'which is three times';
    unlike sql("select error from delivery where state = 'failed' and appeal_id = '$appeal->{id}'"), qr/\@/, 'the error names no address';
    wait_for(sub { internal('/courier/metrics')->{content} =~ /^otklik_courier_failed [1-9]/m }, 10, 'the gauge');
    my $list = otklik('courier', 'failed', '--region', 90);
    is $list->{status}, 0, 'otklik courier failed' or diag $list->{err};
    like $list->{out}, qr/\Q$appeal->{id}\E/, 'lists it';
    like $list->{out}, qr/says 550/, 'with its reason';
    post_behave('smtp');
    my $retry = otklik('courier', 'retry', '--region', 90);
    is $retry->{status}, 0, 'otklik courier retry' or diag $retry->{err};
    fated($appeal, 'sent,sent');
    is letters_to($bad), 1, 'sends it after all';
    is letters_to($good), 1, 'and to nobody else';
};

subtest 'the mail server is in trouble' => sub {
    for my $case ([{ greeting => '421 too busy' }, 'greets with 421'], [{ mail => '451 try again' }, 'says 451'], [{ data => '452 no space' }, 'says 452 at the end'], [{ slow => 8 }, 'says nothing'], [{ each => 2 }, 'is slow']) {
        my $to = address();
        post_behave('smtp', %{ $case->[0] });
        sv('restart', 'courier'); # it keeps connections, which have been greeted
        my $appeal = letter($to);
        wait_for(sub { fate($appeal, "coalesce(error, '')") ne '' }, 15, "an attempt: $case->[1]");
        is fate($appeal), 'waiting', "it $case->[1]: the notice waits";
        post_behave('smtp');
        fated($appeal, 'sent', 30);
        is letters_to($to), 1, 'and comes once';
    }
    post_behave('smtp', data => '451 again');
    my $appeal = letter(address());
    fated($appeal, 'failed', 40);
    is fate($appeal, 'attempts'), '4', 'after the attempts of the settings it has failed';
    post_behave('smtp');
};

subtest 'a step after the other' => sub {
    my $to = address();
    post_behave('smtp', mail => '451 again');
    my $appeal = letter($to);
    wait_for(sub { fate($appeal) ne '' }, 10, 'the first');
    sql("insert into outbox (region_id, topic, appeal_id, seq, not_before) values (90, 'notice', '$appeal->{id}', 1, now())");
    post_behave('smtp');
    fated($appeal, 'sent,sent');
    is letters_to($to), 2, 'both come';
};

# ---- networks

my %answers = (vk => { response => 1 }, telegram => { ok => JSON::PP::true() }, ok => { success => JSON::PP::true() }, max => { message => { body => {} } });
my %token = map { $_ => "token-of-$_-5:x" } keys %answers;
my %address = (vk => 'reply:-77:5:6', telegram => 'message:-100123:45', ok => 'message:mid.abc:1', max => 'message:mid.ffff00');
my %talk = (ok => 'chat:C3ecb', max => '12345678901');
sub account { my ($network, $mode) = @_; return sql("insert into channel_account (region_id, channel, account, mode, page_id, secret_digest) values (90, '$network', 'town', '$mode', 77, sha256('x')) on conflict (region_id, channel, account) do update set mode = excluded.mode") }
# An appeal that was written in a network, as intake leaves it there, and a notice about it.
sub written {
    my ($network) = @_;
    my $appeal = appeal({ channel => $network }, key => $ENV{OTKLIK_API_KEY});
    sql("insert into hook_message (region_id, message, appeal_id, channel, account, address, talk) values (90, sha256(convert_to('$appeal->{id}', 'UTF8')), '$appeal->{id}', '$network', 'town', '$address{$network}', "
        . (defined $talk{$network} ? "'$talk{$network}'" : 'null') . ')');
    notice($appeal);
    return $appeal;
}
sub notice { my ($appeal) = @_; return sql("insert into outbox (region_id, topic, appeal_id, seq, not_before) values (90, 'notice', '$appeal->{id}', 1, now())") }

for my $network (sort keys %answers) {
    subtest "back to $network" => sub {
        account($network, 'answer');
        post_behave($network, body => $answers{$network});
        my $appeal = written($network);
        wait_for(sub { fate($appeal, "coalesce(error, '')") =~ /no token/ }, 10, 'no token');
        write_file("$network-town", "$token{$network}\n");
        chmod 0644, scratch() . "/$network-town";
        fated($appeal, 'sent');
        my @calls = post_calls($network);
        is @calls, 1, 'one call';
        my $all = join ' ', map { $_->{path}, $_->{body}, values %{ $_->{headers} } } @calls;
        my $seen = $all =~ s/%([0-9A-F]{2})/chr hex $1/ger;
        like $seen, qr/\Q$token{$network}\E/, 'with the token of the account';
        like $seen, qr/\Q$appeal->{number}\E/, 'it says the number';
        like $seen, qr{track\?number}, 'and where to look';
        like $seen, qr/\Q$talk{$network}\E/, 'into the chat' if $talk{$network};
        unlike $seen, qr/key=|\Q$appeal->{code}\E/, 'and no secret: it stands in public';
        if ($network eq 'vk') {
            like $all, qr{/method/wall.createComment}, 'as a comment';
            like $all, qr/owner_id=-77&post_id=5&reply_to_comment=6&from_group=77/, 'under the comment, in the name of the page';
            like $all, qr/guid=\d+/, 'with a number against doubles';
        }
        if ($network eq 'telegram') { is json_of(Encode::encode_utf8($calls[0]{body}))->{reply_parameters}{message_id}, 45, 'as an answer to the message' }
        unlike log_of('courier'), qr/\Q$token{$network}\E/, 'no log tells the token';
        account($network, 'read');
        my $other = written($network);
        fated($other, 'dropped');
        is scalar(post_calls($network)), 1, 'an account that only reads sends nothing';
        account($network, 'off');
        fated(written($network), 'dropped');
        is scalar(post_calls($network)), 1, 'nor one that is off';
        account($network, 'answer');
    };
}

subtest 'too fast' => sub {
    post_forget($_) for qw(telegram vk);
    post_behave('telegram', first => [{ status => 429, body => { ok => JSON::PP::false(), parameters => { retry_after => 3 } } }], body => $answers{telegram});
    my $appeal = written('telegram');
    fated($appeal, 'sent');
    my @calls = post_calls('telegram');
    cmp_ok $calls[1]{at} - $calls[0]{at}, '>=', 3, 'retry_after is honoured';
    is fate($appeal, 'attempts'), 1, 'and is no failed attempt';
    post_behave('vk', body => $answers{vk});
    my @appeals = map { my $a = appeal({ channel => 'vk' }, key => $ENV{OTKLIK_API_KEY}); sql("insert into hook_message (region_id, message, appeal_id, channel, account, address) values (90, sha256(convert_to('$a->{id}', 'UTF8')), '$a->{id}', 'vk', 'town', 'message:5:6')"); $a } 1 .. 50;
    sql("insert into outbox (region_id, topic, appeal_id, seq, not_before) select 90, 'notice', h.appeal_id, 1, now() from hook_message h where h.address = 'message:5:6'");
    wait_for(sub { scalar(post_calls('vk')) >= 50 }, 30, '50 calls');
    my @at = sort { $a <=> $b } map { $_->{at} } post_calls('vk');
    my $most = 0;
    for my $i (0 .. $#at) { my $n = grep { $_ >= $at[$i] && $_ < $at[$i] + 1 } @at; $most = $n if $n > $most }
    cmp_ok $most, '<=', 22, "at most 20 calls a second go to VK (seen in any second: $most)";
    my %once = map { ($_->{body} =~ /random_id=(\d+)/)[0] => 1 } post_calls('vk');
    is scalar(keys %once), 50, 'each with a number of its own';
};

# ---- kill -9

subtest 'the courier is killed 20 times' => sub {
    my @to = map { address() } 1 .. 60;
    post_behave('smtp', each => 0.02);
    my @appeals = map { letter($_) } @to[0 .. 29];
    for my $round (1 .. 20) {
        sleep 0.15 + rand 0.35;
        push @appeals, letter($to[29 + $_]) for $round <= 15 ? (2 * $round - 1, 2 * $round) : ();
        eval { kill_service('courier') };
    }
    post_behave('smtp');
    my $ids = join ',', map { "'$_->{id}'" } @appeals;
    wait_for(sub { sql("select count(*) filter (where state = 'sent') = 60 from delivery where region_id = 90 and appeal_id in ($ids)") eq 't' }, 120, 'all of them');
    my %got;
    for my $letter (post_letters()) { push @{ $got{ $letter->{to} } }, letter_header($letter, 'Message-ID') }
    is scalar(grep { !$got{$_} } @to), 0, 'of 60 notices none is lost';
    my @doubled = grep { @{ $got{$_} } > 1 } @to;
    cmp_ok scalar(@doubled), '<=', 20 * 8, 'a kill doubles no more than what was on its way';
    for my $to (@doubled) { my %ids = map { $_ => 1 } @{ $got{$to} }; is scalar(keys %ids), 1, 'and a double bears the same Message-ID' }
    note sprintf '%d of 60 came twice', scalar @doubled;
    is sql("select count(*) from outbox where topic = 'notice'"), 0, 'the outbox is empty';
};

done_testing;
