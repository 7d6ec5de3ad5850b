#!/usr/bin/env perl
# One decision a request, in every phase and wherever nginx sends it, for every kind of client: who it is stays known, nothing is charged twice, the log
# says how it ended.
use strict;
use warnings;
use utf8;
use Test::More;
use MIME::Base64 qw(encode_base64);
use Otklik::Nginx;
use Otklik::Token;

my $dir = nginx_dir();
sub put { my ($name, $text) = @_; open my $out, '>', "$dir/$name" or die "$name: $!"; print {$out} $text; close $out or die $!; return }

my ($line, $api_key) = new_key_line('partner', region => 67);
nginx_keys($line);
my $signer = new_token_key('ES256');
put('jwks', jwk_set(jwk($signer)));
my $token = token($signer);
put('passwords', 'guard:{PLAIN}pass');
put('dressed.html', 'a page of ours');
mkdir "$dir/folder" or die $!;
put('folder/index.html', 'the index');

# ---- every kind in the same places

my %kinds = (
    jwt       => { good => { Authorization => "Bearer $token" }, wrong => { Authorization => 'Bearer x' }, told => 'jwt ivanova', reason => 'malformed_token' },
    api_key   => { good => { 'X-Api-Key' => $api_key }, wrong => { 'X-Api-Key' => 'x' }, told => 'api_key partner', reason => 'invalid_key' },
    anonymous => { good => {}, told => 'anonymous ' },
);
my $service = join('', map { "fastcgi_param APPEAL_\U$_ \$appeal_$_;" } qw(auth subject)) . "fastcgi_pass unix:$dir/echo.sock;";

# Each place has a limit of its own, by the place and the kind; "tight" ones let two pass.
sub places {
    my ($k) = @_;
    my $rules = "appeal_auth $k;";
    my $limit = sub { my ($name, $burst) = @_; return "appeal_limit one key=\$appeal_auth rate=1r/h burst=" . ($burst // 100) . " name=$name;" };
    put("$k-page.html", qq(<!--# include virtual="/$k/inner" -->|<!--# include virtual="/$k/inner?again" -->));
    return <<"CONF";
location /$k/inner { $rules @{[$limit->('inner')]} $service }
location /$k/plain { $rules @{[$limit->('plain')]} $service }
location /$k/tried { $rules @{[$limit->('inner')]} try_files /none /$k/inner; }
location /$k/named { $rules @{[$limit->('named')]} try_files /none \@$k; }
location \@$k { $rules @{[$limit->('named')]} $service }
location /$k/rewritten { $rules @{[$limit->('inner')]} rewrite ^ /$k/inner last; }
location /$k/error { $rules @{[$limit->('inner')]} error_page 404 = /$k/inner; try_files /none =404; }
location /$k/kept { $rules @{[$limit->('inner')]} error_page 404 /$k/inner; try_files /none =404; }
location /$k/errorname { $rules @{[$limit->('named')]} error_page 404 = \@$k; try_files /none =404; }
location /$k/accel { $rules @{[$limit->('inner')]} proxy_pass http://unix:$dir/back.sock:/$k; }
location /$k/folder { $rules @{[$limit->('folder')]} alias $dir/folder; }
location /$k/page { $rules @{[$limit->('page')]} ssi on; default_type text/html; alias $dir/$k-page.html; }
location /$k/asks { $rules @{[$limit->('asks')]} auth_request /$k/asked; $service }
location /$k/asked { internal; $rules @{[$limit->('asked')]} log_subrequest on; $service }
location /$k/vetoed { $rules @{[$limit->('vetoed')]} auth_request /veto; $service }
location /$k/mirrored { $rules @{[$limit->('mirrored')]} mirror /$k/copy; $service }
location /$k/copy { internal; $rules @{[$limit->('copy')]} log_subrequest on; $service }
location /$k/tight { $rules @{[$limit->('tight', 2)]} $service }
location /$k/tighttried { $rules @{[$limit->('tighttried', 2)]} try_files /none /$k/tightinner; }
location /$k/tightinner { $rules @{[$limit->('tightinner', 1)]} $service }
location /$k/dressed { $rules @{[$limit->('dressed', 2)]} appeal_refusal error_page; error_page 401 429 /dressed.html; $service }
location /$k/dressname { $rules @{[$limit->('dressname', 2)]} appeal_refusal error_page; error_page 401 429 \@dressed; $service }
location /$k/undressed { $rules @{[$limit->('undressed', 2)]} error_page 401 429 /dressed.html; $service }
location /$k/login { $rules @{[$limit->('login', 2)]} appeal_refusal error_page; error_page 401 429 =200 /dressed.html; $service }
location /$k/anyallow { satisfy any; allow all; $rules @{[$limit->('any')]} $service }
location /$k/anydeny { satisfy any; deny all; $rules @{[$limit->('any')]} $service }
location /$k/anybasic { satisfy any; auth_basic guard; auth_basic_user_file $dir/passwords; $rules @{[$limit->('any')]} $service }
location /$k/alldeny { satisfy all; deny all; $rules @{[$limit->('all')]} $service }
location /$k/allbasic { satisfy all; auth_basic guard; auth_basic_user_file $dir/passwords; $rules @{[$limit->('all')]} $service }
location /$k/anytried { satisfy any; allow all; $rules @{[$limit->('any')]} try_files /none /anonymous/plain; }
CONF
}

# What the other nginx says sends a request on: X-Accel-Redirect.
my $back = join '', map { "location /$_ { add_header X-Accel-Redirect /$_/inner; return 200; }" } sort keys %kinds;
my $http = <<"CONF";
appeal_limit_zone one 1m;
appeal_jwt_keys $dir/jwks; appeal_jwt_issuer https://id.example; appeal_jwt_audience otklik;
log_format phases '\$request_method \$uri \$status|\$appeal_auth|\$appeal_subject|\$appeal_reason|\$appeal_request_id';
server { listen unix:$dir/back.sock; $back }
CONF
my $server = <<"CONF" . join '', map { places($_) } sort keys %kinds;
access_log $dir/phases.log phases;
location = /dressed.html { internal; }
location \@dressed { $service }
location /veto { internal; try_files /none =403; }
location /none { appeal_auth off; $service }
location /metrics { access_log off; appeal_metrics; }
CONF
nginx_start($http, $server);

sub told { my ($answer) = @_; return join ' ', map { $answer->{json}{"APPEAL_$_"}[0] // '?' } qw(AUTH SUBJECT) }
sub left { my ($answer) = @_; return ($answer->{headers}{ratelimit} // '') =~ /r=(\d+)/ ? $1 : 'none' }
sub refusals { my $n = 0; $n += $_ for nginx_get('/metrics')->{content} =~ /^otklik_edge_refused_total\S* (\d+)$/mg; return $n }
sub policies { my ($answer) = @_; return scalar(() = ($answer->{headers}{ratelimit} // '') =~ /r=\d+/g) }

# The lines of the access log that came since the last time.
my $read = 0;
sub logged {
    my ($n) = @_;
    my @lines;
    nginx_wait("$n lines of the log", sub {
        open my $in, '<', "$dir/phases.log" or return 0;
        seek $in, $read, 0;
        @lines = <$in>;
        return @lines >= $n && $lines[-1] =~ /\n\z/;
    });
    $read = -s "$dir/phases.log";
    chomp @lines;
    return map { s/\|[0-9a-f-]{36}\z//r } @lines;
}

for my $k (sort keys %kinds) {
    my %kind = %{ $kinds{$k} };
    my $good = sub { my ($place, %o) = @_; return nginx_get("/$k/$place", headers => { %{ $kind{good} }, %{ $o{headers} // {} } }, %o{ grep { $_ ne 'headers' } keys %o }) };
    my $wrong = sub { my ($place, %o) = @_; return nginx_get("/$k/$place", headers => { %{ $kind{wrong} }, %{ $o{headers} // {} } }, %o{ grep { $_ ne 'headers' } keys %o }) };
    my ($auth, $subject) = split / /, "$kind{told} ";
    $subject //= '';

    subtest "$k: wherever it is sent, known once and charged once" => sub {
        my %left;
        for my $case ([tried => 'inner'], [named => 'named'], [rewritten => 'inner'], [error => 'inner'], [errorname => 'named'], [accel => 'inner'], [kept => 'inner']) {
            my ($place, $policy) = @$case;
            my $answer = $good->($place);
            is told($answer), $kind{told}, "$place: it is known";
            is left($answer), $left{$policy} = ($left{$policy} // 100) - 1, "$place: charged once";
            is policies($answer), 1, "$place: told once";
            my $status = $place eq 'kept' ? 404 : 200;
            is $answer->{status}, $status, "$place: answered";
            like((logged(1))[0], qr/ $status\|$auth\|$subject\|\z/, "$place: logged");
        }
        my $answer = $good->('folder/');
        is "$answer->{status} " . left($answer), '200 99', 'an index is one request, too';
        is $answer->{content}, 'the index', 'and answered';
        logged(1);
    };

    subtest "$k: subrequests" => sub {
        my $page = $good->('page');
        is join(' ', map { /"APPEAL_AUTH":\["(\w+)"\]/ ? $1 : '?' } split /\|/, $page->{content}), "$auth $auth", 'parts of a page know who asks for it';
        is left($page), 99, 'the page is charged';
        is_deeply [logged(1)], ["GET /$k/page 200|$auth|$subject|"], 'and logged once';
        is left($good->('plain')), 99, 'one of another place';
        my $inner = left($good->('inner'));
        $good->('page');
        is left($good->('inner')), $inner - 1, 'its parts are not charged';
        logged(4);

        my $asks = $good->('asks');
        is told($asks) . ' ' . left($asks), "$kind{told} 99", 'who is asked about is known and charged once';
        is_deeply [sort(logged(2))], ["GET /$k/asked 200|$auth|$subject|", "GET /$k/asks 200|$auth|$subject|"], 'also where it is asked';
        my $vetoed = $good->('vetoed');
        is $vetoed->{status}, 403, 'who passed us may be stopped by another';
        is_deeply [logged(1)], ["GET /$k/vetoed 403|$auth|$subject|"], 'and is known to the log';

        is left($good->('mirrored', method => 'POST', content => 'x' x 20_000)), 99, 'a copied request is charged once';
        is_deeply [sort(logged(2))], ["POST /$k/copy 200|$auth|$subject|", "POST /$k/mirrored 200|$auth|$subject|"], 'and who sent it is known to who gets the copy';
    };

    subtest "$k: too often" => sub {
        is join(' ', map { $good->('tight')->{status} } 1 .. 3), '200 200 429', 'two pass';
        is_deeply [logged(3)], [("GET /$k/tight 200|$auth|$subject|") x 2, "GET /$k/tight 429|$auth|$subject|rate_exceeded"], 'the log says who and why';
        is $good->('tight', method => $_)->{status}, 429, "$_ is no way around" for qw(HEAD OPTIONS POST PUT DELETE);
        is $good->('tight', method => 'HEAD')->{content} // '', '', 'HEAD has no body';
        logged(6);
        is $good->('tighttried')->{status}, 200, 'the first place and the second';
        my $second = $good->('tighttried');
        is "$second->{status} @{$second->{json}{'violated-policies'}}", '429 tightinner', 'refused where it was sent on to';
        is $second->{json}{status}, 429, 'with a problem that says so';
        is_deeply [logged(2)], ["GET /$k/tightinner 200|$auth|$subject|", "GET /$k/tightinner 429|$auth|$subject|rate_exceeded"], 'and logged';

        for my $place (qw(dressed dressname undressed login)) {
            $good->($place) for 1, 2;
            my $answer = $good->($place);
            my $status = $place eq 'login' ? 200 : 429;
            is $answer->{status}, $status, "$place: the status";
            is left($answer), 0, "$place: nothing is left";
            like $answer->{headers}{'retry-after'} // '', $status == 200 ? qr/\A\z/ : qr/\A3[56]\d\d\z/, "$place: come again in an hour";
            my $want = { dressname => qr/"APPEAL_AUTH":\["$auth"\]/, undressed => qr/"reason":"rate_exceeded"/ }->{$place} // qr/\Aa page of ours\z/;
            like $answer->{content}, $want, "$place: what is said";
            like((logged(3))[2], qr/ $status\|$auth\|$subject\|rate_exceeded\z/, "$place: logged");
        }
    };

    subtest "$k: satisfy" => sub {
        my %basic = (Authorization => 'Basic ' . encode_base64('guard:pass', ''));
        is told($good->('anyallow')), $kind{told}, 'any: ours and theirs hold';
        is told($good->('anydeny')), $kind{told}, 'any: ours holds';
        is told($good->('anybasic')), $kind{told}, 'any: ours and no password';
        is $good->('alldeny')->{status}, 403, 'all: theirs does not hold';
        is $good->('allbasic')->{status}, 401, 'all: no password';
        is_deeply [map { /(\d+\|.*)/ } logged(5)], [("200|$auth|$subject|") x 3, "403|$auth|$subject|", "401|$auth|$subject|"], 'the log knows who it is';
        return if $k eq 'jwt'; # has the same header
        is told($good->('allbasic', headers => \%basic)), $kind{told}, 'all: both hold';
        is told($good->('anybasic', headers => \%basic)), $kind{told}, 'any: both hold';
        logged(2);
    };
    next unless $kind{wrong};

    subtest "$k: a wrong one" => sub {
        my %challenge = (jwt => 'Bearer realm="otklik", error="invalid_token", error_description="malformed_token"', api_key => 'ApiKey realm="otklik", header="X-Api-Key"');
        for my $place (qw(plain tried named rewritten error errorname accel folder/ page asks vetoed mirrored undressed)) {
            my $answer = $wrong->($place);
            is "$answer->{status} $answer->{json}{reason}", "401 $kind{reason}", "$place: refused";
            is $answer->{headers}{'www-authenticate'}, $challenge{$k}, "$place: what would be right";
            my @lines = logged(1);
            is scalar @lines, 1, "$place: nobody else was asked";
            like $lines[0], qr/ 401\|\|\|$kind{reason}\z/, "$place: logged";
        }
        for my $method (qw(HEAD OPTIONS POST PUT DELETE)) {
            my $answer = $wrong->('plain', method => $method, $method =~ /P[OU]/ ? (content => 'x' x 100_000) : ());
            is $answer->{status}, 401, "$method: refused";
            is $answer->{content} // '', '', 'without a body' if $method eq 'HEAD';
        }
        logged(5);
        for my $place (qw(dressed dressname login)) {
            my $answer = $wrong->($place);
            my $status = $place eq 'login' ? 200 : 401;
            is $answer->{status}, $status, "$place: the status";
            is $answer->{headers}{'www-authenticate'}, $challenge{$k}, "$place: what would be right";
            like $answer->{content}, $place eq 'dressname' ? qr/"APPEAL_AUTH":\[""\]/ : qr/\Aa page of ours\z/, "$place: what is said";
            like((logged(1))[0], qr/ $status\|\|\|$kind{reason}\z/, "$place: logged");
        }
    };

    subtest "$k: a wrong one beside other modules" => sub {
        my %basic = (Authorization => 'Basic ' . encode_base64('guard:pass', ''));
        my $refusals = refusals();
        my $answer = $wrong->('anyallow');
        is "$answer->{status} " . told($answer), '200  ', 'any: theirs holds; nobody is known';
        is $answer->{headers}{'www-authenticate'}, undef, 'and nobody is asked for anything';
        $answer = $wrong->('anydeny');
        is $answer->{status}, 401, 'any: none holds';
        is $wrong->('anybasic')->{status}, 401, 'any: wrong, and no password';
        is refusals(), $refusals + 2, 'who is let in by another counts as refused only where he was';
        is $wrong->('alldeny')->{status}, 401, 'all: none holds';
        is $wrong->('allbasic')->{status}, 401, 'all: none holds, no password either';
        is_deeply [map { /(\d+\|.*)/ } logged(5)], ['200|||', ("401|||$kind{reason}") x 4], 'the log says why, where it was refused';
        my $tried = nginx_get("/$k/anytried");
        is "$tried->{status} " . told($tried), '200 anonymous ', 'any: theirs holds, and the next place wants nothing';
        logged(1);
        return if $k eq 'jwt';
        $answer = $wrong->('anybasic', headers => \%basic);
        is "$answer->{status} " . told($answer), '200  ', 'any: the password holds';
        is $wrong->('allbasic', headers => \%basic)->{status}, 401, 'all: only the password holds';
        logged(2);
    };
}

subtest 'places without rules' => sub {
    my $answer = nginx_get('/none', headers => { 'X-Api-Key' => 'x', Authorization => 'Bearer x' });
    is "$answer->{status} " . told($answer), '200  ', 'nobody is asked';
    is_deeply [logged(1)], ['GET /none 200|||'], 'and the log knows nobody';
};

unlike nginx_log(), qr/\[(?:alert|crit|emerg)\]/, 'nothing alarms nginx';
unlike nginx_log(), qr/eyJ|\Q$api_key\E/, 'no credential is logged';

done_testing;
