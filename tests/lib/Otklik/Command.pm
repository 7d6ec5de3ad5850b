# Runs the administrator's command as an administrator would, and keeps what it says.
package Otklik::Command;
use strict;
use warnings;
use utf8;

use Exporter qw(import);
use File::Temp ();
use Otklik::Test;

our @EXPORT = qw(otklik otklik_start otklik_wait conninfo scratch write_file read_file);

my $scratch = File::Temp->newdir('otklik-XXXXXX', TMPDIR => 1);

# A folder that goes away with the test.
sub scratch { return "$scratch" }

sub write_file {
    my ($name, $content) = @_;
    my $path = $name =~ m{^/} ? $name : "$scratch/$name";
    utf8::encode($content) if utf8::is_utf8($content);
    open my $out, '>:raw', $path or die "$path: $!";
    print {$out} $content;
    close $out or die "$path: $!";
    return $path;
}

sub read_file {
    my ($path) = @_;
    open my $in, '<:encoding(UTF-8)', $path or return undef;
    my $content = do { local $/ = undef; <$in> };
    return $content // '';
}

# Where the database is, for a role.
sub conninfo {
    my ($role, $database) = @_;
    return sprintf 'host=%s port=%s dbname=%s user=%s', $ENV{PGHOST}, $ENV{PGPORT}, $database // $ENV{PGDATABASE}, $role;
}

# otklik_start(ARGUMENT …, { role => …, db => …, env => {…} }): begins it; give the result to otklik_wait.
sub otklik_start {
    my @arguments = @_;
    my %o = ref $arguments[-1] eq 'HASH' ? %{ pop @arguments } : ();
    my $run = { out => File::Temp->new(DIR => "$scratch"), err => File::Temp->new(DIR => "$scratch") };
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my %env = (OTKLIK_DB => $o{db} // conninfo($o{role} // 'otklik_admin'), XDG_STATE_HOME => "$scratch", %{ $o{env} // {} });
        @ENV{ keys %env } = values %env;
        open STDOUT, '>&', $run->{out};
        open STDERR, '>&', $run->{err};
        utf8::encode($_) for grep { utf8::is_utf8($_) } @arguments;
        exec test_dir() . '/app/bin/otklik', @arguments;
        exit 127;
    }
    $run->{pid} = $pid;
    return $run;
}

# Waits for its end: { status, out, err }; a death by a signal is a status above 255.
sub otklik_wait {
    my ($run) = @_;
    waitpid $run->{pid}, 0;
    my $status = $? & 127 ? 256 + ($? & 127) : $? >> 8;
    return { status => $status, out => read_file("$run->{out}"), err => read_file("$run->{err}") };
}

sub otklik { return otklik_wait(otklik_start(@_)) }

1;
