# Holds answers against docs/openapi.yaml: statuses, headers, media types, bodies by their schema. A keyword this does not know is an error, so
# that nothing in the document goes unchecked in silence.
package Otklik::OpenAPI;
use strict;
use warnings;
use utf8;

use B ();
use Exporter qw(import);
use JSON::PP ();

our @EXPORT = qw(openapi_load openapi_operations openapi_resolve openapi_check_schema openapi_check_answer);

# Headers of HTTP itself, which a document does not list (OpenAPI 3.1, Response Object, says so of Content-Type).
my %of_http = map { $_ => 1 } qw(connection content-length content-type date keep-alive server transfer-encoding);

# The document as data; node turns YAML into JSON, for core Perl has no YAML.
sub openapi_load {
    my ($path) = @_;
    my $script = 'import("yaml").then(({ parse }) => process.stdout.write(JSON.stringify('
        . 'parse(require("fs").readFileSync(process.argv[1], "utf8"), { strict: true, uniqueKeys: true }))))';
    open my $from_node, '-|', 'node', '--eval', $script, $path or die "node: $!";
    my $text = do { local $/ = undef; <$from_node> } // '';
    close $from_node or die "$path cannot be read";
    return JSON::PP->new->utf8->decode($text);
}

# Follows $ref inside the document.
sub openapi_resolve {
    my ($api, $node) = @_;
    while (ref $node eq 'HASH' && exists $node->{'$ref'}) {
        my $ref = $node->{'$ref'};
        my ($pointer) = $ref =~ m{\A#/(.+)\z} or die "$ref leads out of the document";
        $node = $api;
        for my $step (split m{/}, $pointer) {
            $step =~ s/~1/\//g;
            $step =~ s/~0/~/g;
            $node = $node->{$step} // die "$ref leads nowhere";
        }
    }
    return $node;
}

# Every operation: { method, path, operation, parameters }.
sub openapi_operations {
    my ($api) = @_;
    my @all;
    for my $path (sort keys %{ $api->{paths} }) {
        my $item = $api->{paths}{$path};
        for my $method (grep { exists $item->{$_} } qw(get post put patch delete)) {
            my @parameters = map { openapi_resolve($api, $_) } @{ $item->{parameters} // [] }, @{ $item->{$method}{parameters} // [] };
            push @all, { method => uc $method, path => $path, operation => $item->{$method}, parameters => \@parameters };
        }
    }
    return @all;
}

# ---- schemas

sub is_number { my ($v) = @_; return defined $v && !ref $v && (B::svref_2object(\$v)->FLAGS & (B::SVf_IOK | B::SVf_NOK)) && !(B::svref_2object(\$v)->FLAGS & B::SVf_POK) }

my %is = (
    object => sub { ref $_[0] eq 'HASH' },
    array => sub { ref $_[0] eq 'ARRAY' },
    boolean => sub { JSON::PP::is_bool($_[0]) },
    null => sub { !defined $_[0] },
    number => sub { is_number($_[0]) },
    integer => sub { is_number($_[0]) && $_[0] == int $_[0] },
    string => sub { defined $_[0] && !ref $_[0] && !is_number($_[0]) },
);

sub days_of { my ($y, $m) = @_; return $m == 2 ? 28 + ($y % 4 == 0 && ($y % 100 != 0 || $y % 400 == 0)) : $m =~ /\A(?:4|6|9|11)\z/ ? 30 : 31 }
sub is_day {
    my ($y, $m, $d) = $_[0] =~ /\A(\d{4})-(\d\d)-(\d\d)\z/a or return 0;
    return $m >= 1 && $m <= 12 && $d >= 1 && $d <= days_of($y, 0 + $m);
}
sub is_moment {
    my ($day, $h, $min, $s) = $_[0] =~ /\A(\d{4}-\d\d-\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)\z/a or return 0;
    return is_day($day) && $h <= 23 && $min <= 59 && $s <= 60;
}
my %format = (
    date => \&is_day,
    'date-time' => \&is_moment,
    uuid => sub { $_[0] =~ /\A[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\z/i },
);

sub same { my ($a, $b) = @_; my $j = JSON::PP->new->canonical->allow_nonref; return $j->encode([$a]) eq $j->encode([$b]) }

# Each keyword: what is wrong with the value, as a list of sentences; () when nothing is. Gets (api, schema, value, place).
my %keyword = (
    type => sub {
        my ($api, $s, $v) = @_;
        my @types = ref $s->{type} ? @{ $s->{type} } : $s->{type};
        return grep({ ($is{$_} // die "type $_ is unknown")->($v) } @types) ? () : 'is not of type ' . join ' or ', @types;
    },
    enum => sub { my ($api, $s, $v) = @_; return grep({ same($_, $v) } @{ $s->{enum} }) ? () : 'is none of the options: ' . ($v // 'null') },
    const => sub { my ($api, $s, $v) = @_; return same($s->{const}, $v) ? () : 'is not the constant' },
    pattern => sub { my ($api, $s, $v) = @_; return $is{string}->($v) && $v !~ /$s->{pattern}/ ? "does not match $s->{pattern}: $v" : () },
    format => sub {
        my ($api, $s, $v) = @_;
        my $good = $format{ $s->{format} } // die "format $s->{format} is unknown";
        return $is{string}->($v) && !$good->($v) ? "is no $s->{format}: $v" : ();
    },
    minLength => sub { my ($api, $s, $v) = @_; return $is{string}->($v) && length $v < $s->{minLength} ? 'is too short' : () },
    maxLength => sub { my ($api, $s, $v) = @_; return $is{string}->($v) && length $v > $s->{maxLength} ? 'is too long' : () },
    minimum => sub { my ($api, $s, $v) = @_; return is_number($v) && $v < $s->{minimum} ? "is too small: $v" : () },
    maximum => sub { my ($api, $s, $v) = @_; return is_number($v) && $v > $s->{maximum} ? "is too large: $v" : () },
    minItems => sub { my ($api, $s, $v) = @_; return ref $v eq 'ARRAY' && @$v < $s->{minItems} ? 'has too few items' : () },
    maxItems => sub { my ($api, $s, $v) = @_; return ref $v eq 'ARRAY' && @$v > $s->{maxItems} ? 'has too many items' : () },
    required => sub { my ($api, $s, $v) = @_; return ref $v eq 'HASH' ? map({ "has no $_" } grep { !exists $v->{$_} } @{ $s->{required} }) : () },
    properties => sub {
        my ($api, $s, $v, $at) = @_;
        return () unless ref $v eq 'HASH';
        return map { openapi_check_schema($api, $s->{properties}{$_}, $v->{$_}, "$at.$_") } grep { exists $v->{$_} } sort keys %{ $s->{properties} };
    },
    additionalProperties => sub {
        my ($api, $s, $v, $at) = @_;
        return () unless ref $v eq 'HASH';
        my @more = grep { !exists $s->{properties}{$_} } sort keys %$v;
        my $rule = $s->{additionalProperties};
        return map { openapi_check_schema($api, $rule, $v->{$_}, "$at.$_") } @more if ref $rule eq 'HASH';
        return $rule ? () : map { "has a member that is not documented: $_" } @more;
    },
    items => sub {
        my ($api, $s, $v, $at) = @_;
        return ref $v eq 'ARRAY' ? map({ openapi_check_schema($api, $s->{items}, $v->[$_], "$at\[$_]") } 0 .. $#$v) : ();
    },
    oneOf => sub {
        my ($api, $s, $v, $at) = @_;
        my $n = grep { !openapi_check_schema($api, $_, $v, $at) } @{ $s->{oneOf} };
        return $n == 1 ? () : "fits $n of the variants, not one";
    },
    '$ref' => sub { my ($api, $s, $v, $at) = @_; return openapi_check_schema($api, openapi_resolve($api, { '$ref' => $s->{'$ref'} }), $v, $at) },
);
my %says_nothing = map { $_ => 1 } qw(description title default example examples summary);

# What is wrong with VALUE by SCHEMA, each with its place; () when nothing is. Dies of a keyword it does not know.
sub openapi_check_schema {
    my ($api, $schema, $value, $at) = @_;
    my @wrong;
    for my $name (sort keys %$schema) {
        next if $says_nothing{$name};
        my $check = $keyword{$name} // die "$at: the keyword $name is unknown";
        push @wrong, map { /\A\$/ ? $_ : "$at $_" } $check->($api, $schema, $value, $at);
    }
    return @wrong;
}

# ---- answers

# A header is text; a number in it is read as one.
sub check_header {
    my ($api, $name, $rule, $value) = @_;
    return $rule->{required} ? "header $name is missing" : () unless defined $value;
    return "header $name comes more than once" if ref $value;
    my $schema = openapi_resolve($api, $rule->{schema});
    my $type = $schema->{type} // '';
    return map { s/\A\$/header $name/r } openapi_check_schema($api, $schema, $type eq 'integer' && $value =~ /\A-?\d+\z/ ? 0 + $value : $value, '$');
}

sub check_body {
    my ($api, $content, $answer) = @_;
    my $type = lc(($answer->{headers}{'content-type'} // '') =~ s/\s*;.*//sr);
    my $bytes = $answer->{content} // '';
    return length $bytes || $type ne '' ? 'a body that is not documented' : () unless $content;
    my $media = $content->{$type} // return "content type \"$type\" is not documented";
    if ($type =~ /json\z/) {
        my $value = eval { JSON::PP->new->utf8->allow_nonref->decode($bytes) };
        return "the body is no JSON: $@" if $@;
        return openapi_check_schema($api, $media->{schema}, $value, '$');
    }
    return () unless $media->{schema}; # a picture: any bytes
    return utf8::decode($bytes) ? openapi_check_schema($api, $media->{schema}, $bytes, '$') : 'the body is no UTF-8';
}

# What is wrong with ANSWER (of Otklik::Test) to an operation, by the document; () when nothing is.
sub openapi_check_answer {
    my ($api, $operation, $answer) = @_;
    my $response = openapi_resolve($api, $operation->{responses}{ $answer->{status} })
        // return "status $answer->{status} is not documented";
    my %documented = map { lc $_ => openapi_resolve($api, $response->{headers}{$_}) } keys %{ $response->{headers} // {} };
    my @wrong = map { check_header($api, $_, $documented{$_}, $answer->{headers}{$_}) } sort keys %documented;
    push @wrong, map { "header $_ is not documented" } grep { !$documented{$_} && !$of_http{$_} } sort keys %{ $answer->{headers} };
    push @wrong, check_body($api, $response->{content}, $answer);
    return @wrong;
}

1;
