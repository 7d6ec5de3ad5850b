# Signed tokens and the JWK set that belongs to them, made with the openssl command: independent of the module's own code.
package Otklik::Token;
use strict;
use warnings;
use utf8;

use Digest::SHA ();
use Exporter qw(import);
use File::Temp ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64url decode_base64url);

our @EXPORT = qw(new_token_key token jwk jwk_set raw_token);

my $json = JSON::PP->new->utf8->canonical;
my $dir = File::Temp->newdir('otklik-token-XXXXXX', TMPDIR => 1);
my $made = 0;

my %genpkey = (
    RS => '-algorithm RSA -pkeyopt rsa_keygen_bits:2048', PS => '-algorithm RSA -pkeyopt rsa_keygen_bits:2048', ES256 => '-algorithm EC -pkeyopt ec_paramgen_curve:P-256',
    ES384 => '-algorithm EC -pkeyopt ec_paramgen_curve:P-384', Ed => '-algorithm ED25519',
);

sub write_file { my ($name, $bytes) = @_; open my $out, '>:raw', "$dir/$name" or die $!; print {$out} $bytes; close $out or die $!; return "$dir/$name" }
sub ran { my ($command) = @_; my $out = `$command`; die "$command: $?" if $?; return $out }

# new_token_key('RS256', kid => …): what token() signs with. The secret of HS256 may be given, too.
sub new_token_key {
    my ($alg, %o) = @_;
    my %key = (alg => $alg, kid => $o{kid} // lc($alg) . '-' . ++$made);
    if ($alg =~ /\AHS/) {
        $key{secret} = $o{secret} // join '', map { chr int rand 256 } 1 .. 32;
        return \%key;
    }
    my ($family) = $alg =~ /\A(RS|PS|ES\d+|Ed)/;
    $key{file} = "$dir/key" . ++$made;
    ran("openssl genpkey $genpkey{$family} -out $key{file} 2> /dev/null");
    return \%key;
}

# The public half as a JWK.
sub jwk {
    my ($key, %o) = @_;
    my %jwk = (kid => $key->{kid}, alg => $key->{alg}, use => 'sig');
    if ($key->{secret}) {
        %jwk = (%jwk, kty => 'oct', k => encode_base64url($key->{secret}));
    } elsif ($key->{alg} =~ /\A[RP]S/) {
        my ($modulus) = ran("openssl rsa -in $key->{file} -noout -modulus") =~ /=([0-9A-F]+)/;
        %jwk = (%jwk, kty => 'RSA', n => encode_base64url(pack 'H*', $modulus), e => 'AQAB');
    } else {
        my $der = ran("openssl pkey -in $key->{file} -pubout -outform DER");
        if ($key->{alg} eq 'EdDSA') {
            %jwk = (%jwk, kty => 'OKP', crv => 'Ed25519', x => encode_base64url(substr $der, -32));
        } else {
            my ($curve, $n) = $key->{alg} eq 'ES256' ? ('P-256', 32) : ('P-384', 48);
            %jwk = (%jwk, kty => 'EC', crv => $curve, x => encode_base64url(substr $der, -2 * $n, $n), y => encode_base64url(substr $der, -$n));
        }
    }
    return { %jwk, %o };
}

sub jwk_set { my (@jwks) = @_; return $json->encode({ keys => \@jwks }) }

# ASN.1 SEQUENCE { r, s } as JWS has it: both beside each other.
sub raw_signature {
    my ($der, $n) = @_;
    my $at = ord(substr $der, 1, 1) > 0x80 ? 3 : 2;
    my $out = '';
    for (1, 2) {
        my $length = ord substr $der, $at + 1, 1;
        my $number = substr $der, $at + 2, $length;
        $number =~ s/\A\0+//;
        $out .= "\0" x ($n - length $number) . $number;
        $at += 2 + $length;
    }
    return $out;
}

sub signature {
    my ($key, $text) = @_;
    my $alg = $key->{alg};
    return Digest::SHA::hmac_sha256($text, $key->{secret}) if $alg eq 'HS256';
    my $input = write_file('input', $text);
    return ran("openssl pkeyutl -sign -rawin -inkey $key->{file} -in $input") if $alg eq 'EdDSA';
    my ($bits) = $alg =~ /(\d+)/;
    my $options = $alg =~ /\APS/ ? "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:-1" : '';
    my $signature = ran("openssl dgst -sha$bits -sign $key->{file} $options $input");
    return $alg =~ /\AES/ ? raw_signature($signature, $bits / 8) : $signature;
}

# A token of a header and claims in JSON, whatever they say.
sub raw_token {
    my ($key, $header, $claims) = @_;
    my $text = encode_base64url($header) . '.' . encode_base64url($claims);
    return $text . '.' . encode_base64url(signature($key, $text));
}

# token(KEY, claims => {…}, header => {…}): a good one but for what is said; undef takes a member away.
sub token {
    my ($key, %o) = @_;
    my %header = (alg => $key->{alg}, kid => $key->{kid}, %{ $o{header} // {} });
    my %claims = (iss => 'https://id.example', aud => 'otklik', sub => 'ivanova', exp => time + 600, iat => time, jti => 'id-' . ++$made, %{ $o{claims} // {} });
    for my $what (\%header, \%claims) { delete @{$what}{ grep { !defined $what->{$_} } keys %$what } }
    return raw_token($key, $json->encode(\%header), $json->encode(\%claims));
}

1;
