// Kinds of files by their first bytes, and the report of the helper, under any bytes.
// sources: services/common/media.c services/pictures/report.c
#include <stdio.h>
#include <stdlib.h>

#include "clean.h"
#include "media.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = { (const char *)data, size };
    enum media m = media_sniff(s);
    check(m < MEDIA_COUNT && media_named(str_of(media_type(m))) == m, "a kind has its name");
    if (m != MEDIA_UNKNOWN && size >= MEDIA_HEAD) {
        check(media_sniff((struct str){ s.p, MEDIA_HEAD }) == m, "the head is enough");
    }
    (void)media_guess(s);

    struct clean_report report;
    if (clean_read_report(s.p, s.n, &report) == 0) {
        check(report.type[0] != '\0', "a report has a type");
        check(report.width >= 0 && report.width <= 1000000, "a width is one");
        check((report.lat[0] == '\0') == (report.lon[0] == '\0'), "both or none");
        check(strlen(report.taken) == 0 || strlen(report.taken) >= 19, "a time is one");
        check(strspn(report.lat, "-.0123456789") == strlen(report.lat), "a number is one");
    }
    return 0;
}
