/* otklik-recoder: makes of one picture another one that shows the same and tells nothing else:
 * turned upright, in sRGB, at most SHOWN_MAX pixels long, without EXIF, profiles, comments,
 * thumbnails. What the EXIF said of time and place goes into the report.
 *
 * It reads what strangers sent, with decoders that have had holes: so it is a process of its own
 * for each file, shut in before it reads the first byte (sandbox.h). Only the decoder of the kind
 * that was found by content is let in. A PDF is looked at and copied: nobody shows it in a page. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vips/vips.h>

#include "media.h"
#include "recoder.h"
#include "sandbox.h"

enum {
    CPU_S = 15,
    OUTPUT_BYTES = 64 * 1024 * 1024,
    SHOWN_MAX = 4096, /* pixels on the longer side */
    QUALITY = 82,
    TAIL_BYTES = 1024 /* in which a PDF ends */
};
static const long memory_bytes = 1536L * 1024 * 1024;

/* What libvips calls the only loader that a kind may have. */
static const char *loader_of(enum media m)
{
    switch (m) {
    case MEDIA_JPEG:
        return "VipsForeignLoadJpeg";
    case MEDIA_PNG:
        return "VipsForeignLoadPng";
    case MEDIA_WEBP:
        return "VipsForeignLoadWebp";
    case MEDIA_HEIC:
        return "VipsForeignLoadHeif";
    default:
        return NULL;
    }
}

/* ---- the report */

static struct {
    char text[RECODER_REPORT_MAX];
    size_t n;
} report;

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(report.text + report.n, sizeof report.text - report.n, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof report.text - report.n) {
        report.n += (size_t)n;
    }
}

static int send_report(void)
{
    return write(RECODER_REPORT, report.text, report.n) == (ssize_t)report.n ? 0 : -1;
}

/* ---- EXIF */

static int digits_at(const char *s, const char *form)
{
    for (; *form != '\0'; form++, s++) {
        int good = *form == '0' ? *s >= '0' && *s <= '9' : *s == *form;
        if (!good) {
            return 0;
        }
    }
    return 1;
}

/* "2026:11:24 10:20:30 (…)", as libvips prints a tag. The offset is a tag of its own. */
static void tell_time(VipsImage *image)
{
    const char *taken, *offset;
    if (vips_image_get_string(image, "exif-ifd2-DateTimeOriginal", &taken) != 0 ||
        !digits_at(taken, "0000:00:00 00:00:00")) {
        return;
    }
    char zone[7] = "";
    if (vips_image_get_string(image, "exif-ifd2-OffsetTimeOriginal", &offset) == 0 &&
        (digits_at(offset, "+00:00") || digits_at(offset, "-00:00"))) {
        snprintf(zone, sizeof zone, "%.6s", offset);
    }
    tell("taken %.4s-%.2s-%.2sT%.8s%s\n", taken, taken + 5, taken + 8, taken + 11, zone);
}

/* "57/1 48/1 3000/100 (…)": degrees, minutes, seconds. -1 when it is not of the form. */
static int degrees(VipsImage *image, const char *tag, const char *tag_ref, char negative,
                   double most, double *out)
{
    const char *text, *ref;
    double part[3];
    if (vips_image_get_string(image, tag, &text) != 0 ||
        vips_image_get_string(image, tag_ref, &ref) != 0) {
        return -1;
    }
    for (int i = 0; i < 3; i++) {
        char *end;
        long above = strtol(text, &end, 10);
        if (end == text || *end != '/') {
            return -1;
        }
        text = end + 1;
        long below = strtol(text, &end, 10);
        if (end == text || below <= 0 || above < 0) {
            return -1;
        }
        text = end;
        part[i] = (double)above / (double)below;
    }
    *out = part[0] + part[1] / 60 + part[2] / 3600;
    *out = *ref == negative ? -*out : *out;
    return *out >= -most && *out <= most ? 0 : -1;
}

static void tell_place(VipsImage *image)
{
    double lat, lon;
    if (degrees(image, "exif-ifd3-GPSLatitude", "exif-ifd3-GPSLatitudeRef", 'S', 90, &lat) == 0 &&
        degrees(image, "exif-ifd3-GPSLongitude", "exif-ifd3-GPSLongitudeRef", 'W', 180, &lon) ==
            0) {
        tell("lat %.6f\nlon %.6f\n", lat, lon);
    }
}

/* ---- pictures */

/* Takes off all that is not the picture itself. "strip" alone leaves the EXIF of WebP. */
static VipsImage *bare(VipsImage *image)
{
    VipsImage *copy;
    if (vips_copy(image, &copy, NULL) != 0) {
        return NULL;
    }
    char **fields = vips_image_get_fields(copy);
    for (int i = 0; fields[i] != NULL; i++) {
        vips_image_remove(copy, fields[i]); /* no-op for width and the like */
    }
    g_strfreev(fields);
    return copy;
}

static int save(enum media kind, VipsImage *image, VipsTarget *target)
{
    if (kind == MEDIA_PNG) {
        return vips_pngsave_target(image, target, "strip", TRUE, NULL);
    }
    if (kind == MEDIA_WEBP) {
        return vips_webpsave_target(image, target, "Q", QUALITY, "strip", TRUE, NULL);
    }
    return vips_jpegsave_target(image, target, "Q", QUALITY, "strip", TRUE, "optimize_coding", TRUE,
                                NULL);
}

static enum recoder_exit recode(enum media kind, long pixels_max)
{
    VipsSource *source = vips_source_new_from_descriptor(STDIN_FILENO);
    VipsTarget *target = vips_target_new_to_descriptor(STDOUT_FILENO);
    if (source == NULL || target == NULL) {
        return RECODER_NO_OUTPUT;
    }
    VipsImage *original = vips_image_new_from_source(source, "", NULL); /* its header only */
    if (original == NULL) {
        return RECODER_UNREADABLE;
    }
    long width = vips_image_get_width(original), height = vips_image_get_height(original);
    if (width * height > pixels_max) {
        return RECODER_TOO_MANY_PIXELS;
    }
    enum media made = kind == MEDIA_HEIC ? MEDIA_JPEG : kind;
    tell("type %s\nwidth %ld\nheight %ld\n", media_type(made), width, height);
    tell_time(original);
    tell_place(original);
    g_object_unref(original);

    VipsImage *shown;
    if (vips_thumbnail_source(source, &shown, SHOWN_MAX, "height", SHOWN_MAX, "size",
                              VIPS_SIZE_DOWN, "export_profile", "srgb", "option_string",
                              "[fail_on=truncated]", NULL) != 0) {
        return RECODER_UNREADABLE;
    }
    shown = bare(shown);
    errno = 0;
    if (shown == NULL || save(made, shown, target) != 0) {
        return errno == ENOSPC || errno == EDQUOT ? RECODER_NO_OUTPUT : RECODER_UNREADABLE;
    }
    return send_report() == 0 ? RECODER_DONE : RECODER_NO_OUTPUT;
}

/* ---- PDF */

static enum recoder_exit copy_pdf(void)
{
    static char buffer[65536];
    char tail[TAIL_BYTES];
    off_t size = lseek(STDIN_FILENO, 0, SEEK_END);
    off_t from = size > TAIL_BYTES ? size - TAIL_BYTES : 0;
    ssize_t n = size <= 0 ? -1 : pread(STDIN_FILENO, tail, sizeof tail, from);
    if (n <= 0 || memmem(tail, (size_t)n, "%%EOF", 5) == NULL) {
        return RECODER_UNREADABLE;
    }
    for (off_t at = 0; at < size; at += n) {
        n = pread(STDIN_FILENO, buffer, sizeof buffer, at);
        if (n <= 0 || write(STDOUT_FILENO, buffer, (size_t)n) != n) {
            return RECODER_NO_OUTPUT;
        }
    }
    tell("type %s\n", media_type(MEDIA_PDF));
    return send_report() == 0 ? RECODER_DONE : RECODER_NO_OUTPUT;
}

/* Everything is loaded, nothing is read. */
static int prepare(enum media kind)
{
    /* A picture that does not fit into memory would go to a file. */
    setenv("VIPS_DISC_THRESHOLD", "2g", 1);
    setenv("VIPS_NOVECTOR", "1", 1); /* it would write programs and run them */
    if (sandbox_limits(CPU_S, memory_bytes, OUTPUT_BYTES) != 0) {
        return -1;
    }
    if (kind != MEDIA_PDF) {
        if (VIPS_INIT("otklik-recoder") != 0) {
            return -1;
        }
        vips_concurrency_set(1);
        vips_cache_set_max(0);
        vips_operation_block_set("VipsForeignLoad", TRUE);
        vips_operation_block_set(loader_of(kind), FALSE);
    }
    return sandbox_close();
}

int main(int argc, char **argv)
{
    enum media kind = argc == 3 ? media_named(str_of(argv[1])) : MEDIA_UNKNOWN;
    long pixels_max = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    if (kind == MEDIA_UNKNOWN || pixels_max <= 0) {
        fputs("usage: otklik-recoder TYPE PIXELS < ORIGINAL > CLEANED 3> REPORT\n", stderr);
        return RECODER_USAGE;
    }
    if (prepare(kind) != 0) {
        return RECODER_NO_SANDBOX;
    }
    /* Nothing is tidied up: the end of the process is. */
    _exit(kind == MEDIA_PDF ? copy_pdf() : recode(kind, pixels_max));
}
