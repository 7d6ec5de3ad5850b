#!/usr/bin/env perl
# When the edge works at a signature: OpenSSL's functions are counted in the worker itself. Never for what is known, nor for what is wrong in a cheaper way.
use strict;
use warnings;
use utf8;
use Test::More;
use MIME::Base64 qw(encode_base64url);
use Time::HiRes qw(sleep time);
use Otklik::Nginx;
use Otklik::Token;

my $dir = nginx_dir();
sub put { my ($name, $text) = @_; open my $out, '>', "$dir/$name.new" or die $!; print {$out} $text; close $out or die $!; rename "$dir/$name.new", "$dir/$name" or die $!; return }

# Stands before libcrypto and tells the error log of each call.
put('count.c', <<'C');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <unistd.h>
#define TELL(name) do { static const char line[] = "called " name "\n"; if (write(2, line, sizeof line - 1) < 0) { _exit(9); } } while (0)
int EVP_PKEY_verify(void *c, const unsigned char *s, size_t n, const unsigned char *t, size_t m)
{
    int (*real)(void *, const unsigned char *, size_t, const unsigned char *, size_t) = dlsym(RTLD_NEXT, "EVP_PKEY_verify");
    TELL("EVP_PKEY_verify");
    return real(c, s, n, t, m);
}
int EVP_DigestVerify(void *c, const unsigned char *s, size_t n, const unsigned char *t, size_t m)
{
    int (*real)(void *, const unsigned char *, size_t, const unsigned char *, size_t) = dlsym(RTLD_NEXT, "EVP_DigestVerify");
    TELL("EVP_DigestVerify");
    return real(c, s, n, t, m);
}
int EVP_MAC_final(void *c, unsigned char *out, size_t *n, size_t size)
{
    int (*real)(void *, unsigned char *, size_t *, size_t) = dlsym(RTLD_NEXT, "EVP_MAC_final");
    TELL("EVP_MAC_final");
    return real(c, out, n, size);
}
C
plan skip_all => 'there is no compiler' if system("gcc -shared -fPIC -O1 -o '$dir/count.so' '$dir/count.c' -ldl 2> '$dir/gcc.log'") != 0;
$ENV{LD_PRELOAD} = "$dir/count.so";

my %keys = map { $_ => new_token_key($_, kid => lc $_) } qw(RS256 PS384 ES256 ES384 EdDSA HS256);
put('jwks', jwk_set(map { jwk($_) } values %keys));
chmod 0600, "$dir/jwks" or die $!;
put('revoked', "gone\n");
my $http = "appeal_jwt_keys $dir/jwks; appeal_jwt_issuer https://id.example; appeal_jwt_audience otklik; appeal_jwt_memory tokens:64k; appeal_jwt_revoked $dir/revoked; large_client_header_buffers 4 32k;";
nginx_start($http, 'location @ok { return 204; } location / { appeal_auth jwt; try_files /none @ok; } location /typed { appeal_auth jwt; appeal_jwt_type at+jwt; try_files /none @ok; }');
delete $ENV{LD_PRELOAD};

# A worker writes to its log before it answers.
sub calls { return scalar(() = nginx_log() =~ /^called \w+$/mg) }
sub reason { my ($path, $token) = @_; my $answer = nginx_get($path, headers => { Authorization => "Bearer $token" }); return $answer->{status} == 204 ? 'let in' : $answer->{json}{reason} }

subtest 'once for each token' => sub {
    for my $alg (sort keys %keys) {
        my $token = token($keys{$alg});
        my $before = calls();
        is reason('/', $token), 'let in', "$alg: a new token";
        is calls(), $before + 1, "$alg: is one signature";
        is join(' ', map { reason('/', $token) } 1 .. 5), join(' ', ('let in') x 5), "$alg: it comes again";
        is calls(), $before + 1, "$alg: and costs none";
    }
};

subtest 'a key is changed for another' => sub {
    my ($old, $new) = ($keys{RS256}, new_token_key('RS256', kid => 'next'));
    my ($known, $first) = (token($old), token($new));
    is reason('/', $known), 'let in', 'a token by the old key';
    is reason('/', $first), 'unknown_key', 'the new one is not there yet';
    put('jwks', jwk_set(map { jwk($_) } values %keys, $new));
    sleep 1.1;
    my $before = calls();
    is reason('/', $first), 'let in', 'for a while both are good';
    is reason('/', $known), 'let in', 'and what was known';
    is calls(), $before + 1, 'is known still';
    put('jwks', jwk_set(map { jwk($_) } (grep { $_ != $old } values %keys), $new));
    sleep 1.1;
    $before = calls();
    is reason('/', $known), 'unknown_key', 'then the old key goes, and with it what was known';
    is reason('/', $first), 'let in', 'the new one stays';
    is calls(), $before, 'and nothing of that costs a signature';
};

subtest 'not for what is wrong otherwise' => sub {
    my $key = $keys{ES256};
    my $now = int time;
    my $good = token($key);
    my %wrong = (
        'over 8 KB' => ['/', $good . 'A' x 8192, 'token_too_long'], 'two parts' => ['/', $good =~ s/\.[^.]*\z//r, 'malformed_token'], 'padded' => ['/', "$good==", 'malformed_token'],
        'none' => ['/', token($key, header => { alg => 'none' }), 'wrong_algorithm'], 'another algorithm' => ['/', token($key, header => { alg => 'HS256' }), 'wrong_algorithm'],
        'an unknown key' => ['/', token($key, header => { kid => 'x' }), 'unknown_key'], 'crit' => ['/', token($key, header => { crit => ['exp'] }), 'malformed_token'],
        'another type' => ['/typed', $good, 'wrong_type'], 'expired' => ['/', token($key, claims => { exp => $now - 600 }), 'expired_token'],
        'too early' => ['/', token($key, claims => { nbf => $now + 600 }), 'not_yet_valid'], 'another issuer' => ['/', token($key, claims => { iss => 'x' }), 'wrong_issuer'],
        'another audience' => ['/', token($key, claims => { aud => 'x' }), 'wrong_audience'], 'no subject' => ['/', token($key, claims => { sub => undef }), 'missing_claim'],
        'no jti' => ['/', token($key, claims => { jti => undef }), 'missing_claim'], 'a signature too short' => ['/', $good =~ s/\.([^.]+)\.[^.]+\z/'.' . $1 . '.' . encode_base64url("\1" x 63)/er, 'bad_signature'],
    );
    for my $what (sort keys %wrong) {
        my ($path, $token, $reason) = @{ $wrong{$what} };
        my $before = calls();
        is reason($path, $token), $reason, $what;
        is calls(), $before, "$what: no signature was looked at";
    }
    # These can only be known by it.
    my $before = calls();
    is reason('/', token($key, claims => { jti => 'gone' })), 'revoked_token', 'a revoked one is told so after its signature';
    is reason('/', $good =~ s/\.([^.]+)\.[^.]+\z/'.' . $1 . '.' . encode_base64url("\1" x 64)/er), 'bad_signature', 'a forged one has to be looked at';
    is calls(), $before + 2, 'once each';
    is reason('/', $good =~ s/\.([^.]+)\.[^.]+\z/'.' . $1 . '.' . encode_base64url("\1" x 64)/er), 'bad_signature', 'and is not remembered';
    is calls(), $before + 3, 'as wrong either';
};

done_testing;
