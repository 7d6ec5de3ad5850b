#!/usr/bin/env perl
# Migrations come one after the other, once, whole or not at all.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Copy qw(copy);
use Test::More;
use Otklik::Test;
use Otklik::Command;

my $database = "migrate_$$";
my $real = "$FindBin::Bin/../../sql/migrations";

# A database as sql/bootstrap.sql leaves it, without a schema in it.
sql("create database $database owner otklik_owner encoding 'UTF8' locale 'C.UTF-8' template template0", role => 'postgres');
sql("alter database $database set search_path = otklik, public", role => 'postgres');
{
    local $ENV{PGDATABASE} = $database;
    sql('create extension postgis', role => 'postgres');
    sql('create schema otklik authorization otklik_owner', role => 'postgres');
}
END { eval { sql("drop database if exists $database with (force)", role => 'postgres') } if $database }

sub migrate { return otklik('migrate', @_, { db => conninfo('otklik_owner', $database) }) }

sub rows {
    my ($query) = @_;
    local $ENV{PGDATABASE} = $database;
    return sql($query);
}

sub folder {
    my ($name) = @_;
    my $dir = scratch() . "/$name";
    mkdir $dir or die "$dir: $!";
    copy($_, $dir) or die "$_: $!" for glob "$real/*.sql";
    return $dir;
}

my @names = map { s{.*/}{}r } sort glob "$real/*.sql";

subtest 'two at once make one schema' => sub {
    my @runs = map { otklik_start('migrate', { db => conninfo('otklik_owner', $database) }) } 1 .. 2;
    my @ends = map { otklik_wait($_) } @runs;
    is_deeply [map { $_->{status} } @ends], [0, 0], 'both are content' or diag map { $_->{err} } @ends;
    is rows("select string_agg(name, ' ' order by name) from schema_migration"), "@names", 'each migration was remembered once';
    my $applied = () = ($ends[0]{out} . $ends[1]{out}) =~ /^applied /mg;
    is $applied, scalar(@names), 'and applied once';
};

subtest 'a second run finds nothing to do' => sub {
    my $again = migrate();
    is $again->{status}, 0, 'status 0';
    like $again->{out}, qr/up to date: \d+ migrations, 0 of them new/, 'says so';
    is $again->{err}, '', 'without a murmur';
    is rows("select count(*) from generate_series(0, 12) n where to_regclass('appeal_' || to_char(now() + n * interval '1 month', 'YYYY_MM')) is null"),
        '0', 'this month and the twelve after it have partitions';
};

my $dir = folder('migrations');

subtest 'a migration that fails leaves nothing behind, and the place is named' => sub {
    write_file("$dir/0900_wrong.sql", "-- Проверка.\ncreate table half (id integer);\n\ninsert into nowhere values (1);\n");
    my $wrong = migrate('--dir', $dir);
    is $wrong->{status}, 1, 'status 1';
    like $wrong->{err}, qr/0900_wrong\.sql:4: relation "nowhere" does not exist/, 'file and line';
    is rows("select to_regclass('otklik.half') is null"), 't', 'the first half is gone';
    is rows("select count(*) from schema_migration where name like '09%'"), '0', 'and not remembered';
};

subtest 'a migration may not end its transaction itself' => sub {
    write_file("$dir/0900_wrong.sql", "create table half (id integer);\ncommit;\n");
    my $wrong = migrate('--dir', $dir);
    is $wrong->{status}, 1, 'status 1';
    like $wrong->{err}, qr/0900_wrong\.sql: a migration must not begin or end transactions/, 'says why';
    rows('drop table if exists half');
    unlink "$dir/0900_wrong.sql";
};

subtest 'a new one is applied' => sub {
    write_file("$dir/0901_more.sql", "create table more (id integer primary key);\n");
    my $more = migrate('--dir', $dir);
    is $more->{status}, 0, 'status 0' or diag $more->{err};
    like $more->{out}, qr/^applied 0901_more\.sql/m, 'named';
    is rows("select to_regclass('otklik.more') is not null"), 't', 'the table is there';
};

subtest 'what has been applied is not changed' => sub {
    write_file("$dir/0901_more.sql", "create table more (id bigint primary key);\n");
    my $changed = migrate('--dir', $dir);
    is $changed->{status}, 1, 'status 1';
    like $changed->{err}, qr/0901_more\.sql: has been changed since it was applied/, 'says which';
    write_file("$dir/0901_more.sql", "create table more (id integer primary key);\n");
    write_file("$dir/0900_late.sql", "create table late (id integer);\n");
    my $late = migrate('--dir', $dir);
    is $late->{status}, 1, 'nor does a new one come before it';
    like $late->{err}, qr/0900_late\.sql: comes before 0901_more\.sql/, 'says so';
};

subtest 'an older program leaves a newer database alone' => sub {
    my $old = migrate();
    is $old->{status}, 1, 'status 1';
    like $old->{err}, qr/the database has had 0901_more\.sql, .* newer than this program/, 'says why';
};

subtest 'what is missing is named' => sub {
    my $nowhere = migrate('--dir', scratch() . '/nowhere');
    is $nowhere->{status}, 1, 'no folder: status 1';
    like $nowhere->{err}, qr/nowhere: there are no migrations here/, 'says so';
    my $unset = otklik('migrate', { db => '' , env => { PGHOST => '/nonexistent' } });
    is $unset->{status}, 1, 'no database: status 1';
    is otklik('migrate', '--frog')->{status}, 2, 'an unknown option: status 2';
    is otklik('migrate', 'frog')->{status}, 2, 'a word too many: status 2';
};

done_testing;
