/* What kind of file bytes are, by themselves. */
#include "media.h"

static const struct {
    const char *type, *extension;
} kinds[MEDIA_COUNT] = {
    [MEDIA_UNKNOWN] = { "application/octet-stream", "bin" },
    [MEDIA_JPEG] = { "image/jpeg", "jpg" },
    [MEDIA_PNG] = { "image/png", "png" },
    [MEDIA_WEBP] = { "image/webp", "webp" },
    [MEDIA_HEIC] = { "image/heic", "heic" },
    [MEDIA_PDF] = { "application/pdf", "pdf" },
};

static int has(struct str s, size_t at, struct str magic)
{
    return s.n >= at + magic.n && memcmp(s.p + at, magic.p, magic.n) == 0;
}

/* ISO/IEC 23008-12: a box "ftyp" with the brands of HEVC pictures; mif1 alone may be AVIF, too, and
 * then one of the compatible brands says so. */
static enum media sniff_heif(struct str s)
{
    static const char brands[][5] = { "heic", "heix", "heim", "heis" };
    if (!has(s, 4, STR("ftyp"))) {
        return MEDIA_UNKNOWN;
    }
    size_t size = (size_t)(unsigned char)s.p[2] << 8 | (unsigned char)s.p[3];
    if (s.p[0] != 0 || s.p[1] != 0 || size < 16) {
        return MEDIA_UNKNOWN;
    }
    size_t end = size < s.n ? size : s.n;
    end = end < MEDIA_HEAD ? end : MEDIA_HEAD;
    for (size_t at = 8; at + 4 <= end; at += at == 8 ? 8 : 4) { /* past the version */
        for (size_t i = 0; i < sizeof brands / sizeof *brands; i++) {
            if (memcmp(s.p + at, brands[i], 4) == 0) {
                return MEDIA_HEIC;
            }
        }
    }
    return MEDIA_UNKNOWN;
}

enum media media_sniff(struct str head)
{
    if (has(head, 0, STR("\xff\xd8\xff"))) {
        return MEDIA_JPEG;
    }
    if (has(head, 0, STR("\x89PNG\r\n\x1a\n"))) {
        return MEDIA_PNG;
    }
    if (has(head, 0, STR("RIFF")) && has(head, 8, STR("WEBPVP8"))) {
        return MEDIA_WEBP;
    }
    if (has(head, 0, STR("%PDF-"))) {
        return MEDIA_PDF;
    }
    return sniff_heif(head);
}

const char *media_type(enum media m)
{
    return kinds[m].type;
}

const char *media_extension(enum media m)
{
    return kinds[m].extension;
}

enum media media_named(struct str type)
{
    for (int i = MEDIA_UNKNOWN + 1; i < MEDIA_COUNT; i++) {
        if (str_eq(type, str_of(kinds[i].type))) {
            return (enum media)i;
        }
    }
    return MEDIA_UNKNOWN;
}

const char *media_guess(struct str head)
{
    static const struct {
        struct str magic;
        size_t at;
        const char *type;
    } others[] = {
        { STR("GIF8"), 0, "image/gif" },
        { STR("BM"), 0, "image/bmp" },
        { STR("II*\0"), 0, "image/tiff" },
        { STR("MM\0*"), 0, "image/tiff" },
        { STR("ftypavif"), 4, "image/avif" },
        { STR("ftyp"), 4, "video/mp4" },
        { STR("\x1a\x45\xdf\xa3"), 0, "video/webm" },
        { STR("PK\x03\x04"), 0, "application/zip" },
        { STR("\xd0\xcf\x11\xe0"), 0, "application/msword" },
        { STR("Rar!"), 0, "application/vnd.rar" },
        { STR("<svg"), 0, "image/svg+xml" },
        { STR("<?xml"), 0, "application/xml" },
        { STR("<!DOCTYPE html"), 0, "text/html" },
        { STR("MZ"), 0, "application/vnd.microsoft.portable-executable" },
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (has(head, others[i].at, others[i].magic)) {
            return others[i].type;
        }
    }
    return NULL;
}
