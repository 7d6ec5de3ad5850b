# Invented pictures and other files, made as the tests go, and the ways to send them.
package Otklik::Files;
use strict;
use warnings;
use utf8;

use Compress::Zlib qw(crc32 compress);
use Digest::SHA qw(sha256_hex);
use Exporter qw(import);
use File::Temp ();
use IO::Socket::UNIX;
use Otklik::Test;

our @EXPORT = qw(picture with_exif exif_of bomb pdf multipart fastcgi_begin files_under digest file_states address_of);

my $dir = File::Temp->newdir('otklik-pictures-XXXXXX', TMPDIR => 1);
my $count = 0;

sub slurp { my ($path) = @_; open my $in, '<:raw', $path or die "$path: $!"; local $/ = undef; return scalar <$in> }
sub spill { my ($path, $bytes) = @_; open my $out, '>:raw', $path or die "$path: $!"; print {$out} $bytes; close $out or die $!; return $path }

sub run { my (@command) = @_; system(@command) == 0 or die "@command: $?"; return }

# picture('jpg', 64, 48): noise, so that no two are alike; jpg, png, webp or heic.
sub picture {
    my ($kind, $width, $height) = @_;
    my $base = sprintf '%s/%d', $dir, ++$count;
    my %options = (heic => ['--compression', 'hevc']);
    run('vips', 'gaussnoise', "$base.v", $width, $height, '--seed', int rand 1e9);
    run('vips', 'cast', "$base.v", "$base.u.v", 'uchar');
    run('vips', 'bandjoin', join(' ', ("$base.u.v") x 3), "$base.rgb.v");
    run('vips', 'copy', "$base.rgb.v", "$base.srgb.v", '--interpretation', 'srgb');
    my $out = "$base.$kind";
    if ($kind eq 'heic') { run('vips', 'heifsave', "$base.srgb.v", $out, '--compression', 'hevc') }
    else { run('vips', 'copy', "$base.srgb.v", $out) }
    return slurp($out);
}

# The same picture with the EXIF of a telephone in it.
sub with_exif {
    my ($bytes, $kind, %more) = @_;
    require Image::ExifTool;
    my $path = spill(sprintf('%s/%d.%s', $dir, ++$count, $kind), $bytes);
    my $exif = Image::ExifTool->new;
    my %tags = (
        'EXIF:DateTimeOriginal' => '2026:11:24 10:20:30', 'EXIF:OffsetTimeOriginal' => '+03:00', 'EXIF:Artist' => 'Secretive',
        'EXIF:GPSLatitude' => 57.8, 'EXIF:GPSLatitudeRef' => 'N', 'EXIF:GPSLongitude' => 61.2, 'EXIF:GPSLongitudeRef' => 'E', 'XMP:Creator' => 'Secretive', %more,
    );
    $exif->SetNewValue($_, $tags{$_}) for sort keys %tags;
    $exif->WriteInfo($path) or die $exif->GetValue('Error');
    return slurp($path);
}

# Tags of EXIF, XMP and IPTC by name.
sub exif_of {
    my ($bytes) = @_;
    require Image::ExifTool;
    my $exif = Image::ExifTool->new;
    $exif->Options(FastScan => 0, Group0 => ['EXIF', 'XMP', 'IPTC', 'MakerNotes']);
    my $info = $exif->ImageInfo(\$bytes);
    return { map { $_ => $info->{$_} } grep { $exif->GetGroup($_, 0) =~ /\A(?:EXIF|XMP|IPTC|MakerNotes|Composite)\z/ } keys %$info };
}

# A PNG of WIDTH × HEIGHT white pixels in a few kilobytes.
sub bomb {
    my ($width, $height) = @_;
    my $chunk = sub { my ($type, $data) = @_; return pack('N', length $data) . $type . $data . pack 'N', crc32($type . $data) };
    my $line = "\0" . "\xff" x int(($width + 7) / 8);
    return "\x89PNG\r\n\x1a\n" . $chunk->('IHDR', pack 'NNCCCCC', $width, $height, 1, 0, 0, 0, 0) . $chunk->('IDAT', compress($line x $height)) . $chunk->('IEND', '');
}

sub pdf { return "%PDF-1.4\n% ${\new_key()}\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n" }

# multipart([name => 'value'], [name => 'bytes', 'file name', 'type'] …): (content type, body).
sub multipart {
    my (@parts) = @_;
    my $boundary = 'otklik-' . int rand 1e12;
    my $body = '';
    for my $part (@parts) {
        my ($name, $bytes, $file, $type) = @$part;
        $body .= "--$boundary\r\nContent-Disposition: form-data; name=\"$name\"";
        if (defined $file) {
            utf8::encode($file) if utf8::is_utf8($file);
            $body .= "; filename=\"$file\"";
        }
        $body .= "\r\nContent-Type: $type" if defined $type;
        utf8::encode($bytes) if utf8::is_utf8($bytes);
        $body .= "\r\n\r\n$bytes\r\n";
    }
    return ("multipart/form-data; boundary=$boundary", "$body--$boundary--\r\n");
}

# Begins a request to a service as nginx would, sends BYTES of its body and leaves the rest out: the socket.
sub fastcgi_begin {
    my ($service, $params, $bytes) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => test_dir() . "/run/$service.sock") or die "$service: $!";
    my $record = sub { my ($type, $content) = @_; return pack('CCnnCC', 1, $type, 1, length $content, 0, 0) . $content };
    my $length = sub { my ($n) = @_; return $n < 128 ? pack 'C', $n : pack 'N', $n | 0x80000000 };
    my $pairs = join '', map { $length->(length $_) . $length->(length $params->{$_}) . $_ . $params->{$_} } sort keys %$params;
    my $out = $record->(1, pack 'nCx5', 1, 1) . $record->(4, $pairs) . $record->(4, '');
    $out .= $record->(5, $_) for unpack '(a32768)*', $bytes;
    while (length $out) {
        my $n = $socket->syswrite($out) // die "$service: $!";
        substr $out, 0, $n, '';
    }
    return $socket;
}

# Names of files somewhere under OTKLIK_FILES.
sub files_under {
    my ($folder) = @_;
    my @found = glob test_dir() . "/files/$folder/*";
    return map { -d $_ ? files_under(s{.*/files/}{}r) : $_ } @found;
}

sub digest { my ($bytes) = @_; return sha256_hex($bytes) }

sub address_of { my ($letter, $more) = @_; return "/api/v1/appeals/$letter->{number}/attachments" . ($more // '') . '?code=' . $letter->{code} }

# State of each file of a letter when none waits any more, by id.
sub file_states {
    my ($letter) = @_;
    my $list = wait_for(sub {
        my $list = get("/api/v1/appeals/$letter->{number}?code=$letter->{code}")->{json}{attachments} // [];
        return (grep { $_->{state} eq 'waiting' } @$list) ? undef : $list;
    }, 60, 'pictures to be cleaned');
    return { map { $_->{id} => $_ } @$list };
}

1;
