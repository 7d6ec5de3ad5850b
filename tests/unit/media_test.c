// What kind of file bytes are, and what the helper may say of them.
// sources: services/common/media.c services/pictures/report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "clean.h"
#include "media.h"

static void kinds_by_content(void **state)
{
    (void)state;
    static const struct {
        struct str head;
        enum media media;
    } cases[] = {
        { STR("\xff\xd8\xff\xe0\0\x10JFIF"), MEDIA_JPEG },
        { STR("\xff\xd8\xff"), MEDIA_JPEG },
        { STR("\xff\xd8"), MEDIA_UNKNOWN },
        { STR("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), MEDIA_PNG },
        { STR("\x89PNG\n\x1a\n\0\0\0\rIHDR"), MEDIA_UNKNOWN },
        { STR("RIFF\x10\0\0\0WEBPVP8 "), MEDIA_WEBP },
        { STR("RIFF\x10\0\0\0WEBPVP8X"), MEDIA_WEBP },
        { STR("RIFF\x10\0\0\0WAVEfmt "), MEDIA_UNKNOWN },
        { STR("\0\0\0\x18"
              "ftypheic\0\0\0\0mif1heic"),
          MEDIA_HEIC },
        { STR("\0\0\0\x18"
              "ftypmif1\0\0\0\0mif1heix"),
          MEDIA_HEIC },
        { STR("\0\0\0\x18"
              "ftypmif1\0\0\0\0mif1avif"),
          MEDIA_UNKNOWN },
        { STR("\0\0\0\x14"
              "ftypmif1\0\0\0\0mif1heic"),
          MEDIA_UNKNOWN }, /* behind the box */
        { STR("\0\0\0\x18"
              "ftypmp42\0\0\0\0isommp42"),
          MEDIA_UNKNOWN },
        { STR("\1\0\0\x18"
              "ftypheic\0\0\0\0mif1heic"),
          MEDIA_UNKNOWN },
        { STR("\0\0\0\x08"
              "ftyp"),
          MEDIA_UNKNOWN },
        { STR("%PDF-1.7\n"), MEDIA_PDF },
        { STR(" %PDF-1.7\n"), MEDIA_UNKNOWN },
        { STR("GIF89a"), MEDIA_UNKNOWN },
        { STR("<svg xmlns="), MEDIA_UNKNOWN },
        { STR(""), MEDIA_UNKNOWN },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(media_sniff(cases[i].head), cases[i].media);
    }
}

static void names(void **state)
{
    (void)state;
    for (int m = MEDIA_UNKNOWN; m < MEDIA_COUNT; m++) {
        assert_int_equal(media_named(str_of(media_type((enum media)m))), m);
    }
    assert_int_equal(media_named(STR("image/gif")), MEDIA_UNKNOWN);
    assert_string_equal(media_extension(MEDIA_HEIC), "heic");
    assert_string_equal(media_guess(STR("GIF89a")), "image/gif");
    assert_string_equal(media_guess(STR("PK\3\4")), "application/zip");
    assert_null(media_guess(STR("hello")));
}

static int reads(const char *text, struct clean_report *r)
{
    return clean_read_report(text, strlen(text), r);
}

static void a_report(void **state)
{
    (void)state;
    struct clean_report r;
    assert_int_equal(reads("type image/jpeg\nwidth 4000\nheight 3000\ntaken 2026-11-24T10:20:30\n"
                           "lat -57.800000\nlon 61.200000\n",
                           &r),
                     0);
    assert_string_equal(r.type, "image/jpeg");
    assert_int_equal(r.width, 4000);
    assert_int_equal(r.height, 3000);
    assert_string_equal(r.taken, "2026-11-24T10:20:30");
    assert_string_equal(r.lat, "-57.800000");
    assert_int_equal(reads("type application/pdf\n", &r), 0);
    assert_int_equal(r.width, 0);
    assert_int_equal(reads("type image/png\ntaken 2026-11-24T10:20:30-03:00\n", &r), 0);
}

static void what_is_no_report(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "type image/jpeg",
        "type text/html\n",
        "width 1\nheight 1\n",
        "type image/jpeg\nwidth 0\n",
        "type image/jpeg\nwidth 1000001\n",
        "type image/jpeg\nwidth 1e3\n",
        "type image/jpeg\nwidth 0x10\n",
        "type image/jpeg\nwidth nan\n",
        "type image/jpeg\nwidth \n",
        "type image/jpeg\nlat 57\n",
        "type image/jpeg\nlat 91\nlon 1\n",
        "type image/jpeg\nlat inf\nlon 1\n",
        "type image/jpeg\ntaken 2026-11-24\n",
        "type image/jpeg\ntaken 2026-11-24T10:20:30'); drop\n",
        "type image/jpeg\nfile /etc/passwd\n",
        "type image/jpeg\n\n",
        "type image/jpeg\nnothing\n",
        "type image/jpeg\ntaken 2026-11-24T10:20:30+03:00+03:00+03:00+03:00+03:00+03:00+03:00\n",
    };
    struct clean_report r;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (reads(bad[i], &r) == 0) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    assert_int_equal(clean_read_report("type image/jpeg\0\n", 17, &r), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_by_content),
        cmocka_unit_test(names),
        cmocka_unit_test(a_report),
        cmocka_unit_test(what_is_no_report),
    };
    return cmocka_run_group_tests_name("media", tests, NULL, NULL);
}
