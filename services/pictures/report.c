/* The helper's report. The helper is shut in because it may be taken over: so what it says is read
 * as a stranger's words. */
#include <stdio.h>
#include <stdlib.h>

#include "clean.h"
#include "media.h"

enum { LINE_BYTES = 64 };

/* A whole decimal number from MIN to MAX, in characters that PostgreSQL reads the same. */
static int number(const char *s, double min, double max, double *out)
{
    char *end;
    if (*s == '\0' || strspn(s, "-0123456789.") != strlen(s)) {
        return -1;
    }
    *out = strtod(s, &end);
    return *end == '\0' && *out >= min && *out <= max ? 0 : -1;
}

static int pixels(const char *s, long *out)
{
    double n;
    if (number(s, 1, 1000000, &n) != 0) {
        return -1;
    }
    *out = (long)n;
    return 0;
}

/* YYYY-MM-DDTHH:MM:SS, ±HH:MM */
static int is_time(const char *s)
{
    static const char form[] = "0000-00-00T00:00:00+00:00";
    size_t n = strlen(s);
    for (size_t i = 0; i < n && i < sizeof form - 1; i++) {
        int digit = s[i] >= '0' && s[i] <= '9';
        int same = form[i] == '0' ? digit : s[i] == form[i] || (form[i] == '+' && s[i] == '-');
        if (!same) {
            return 0;
        }
    }
    return n == 19 || n == sizeof form - 1;
}

static int take_line(const char *key, const char *value, struct clean_report *out)
{
    double n;
    if (strcmp(key, "type") == 0) {
        snprintf(out->type, sizeof out->type, "%s", value);
        return media_named(str_of(value)) == MEDIA_UNKNOWN ? -1 : 0;
    }
    if (strcmp(key, "width") == 0) {
        return pixels(value, &out->width);
    }
    if (strcmp(key, "height") == 0) {
        return pixels(value, &out->height);
    }
    if (strcmp(key, "taken") == 0) {
        snprintf(out->taken, sizeof out->taken, "%s", value);
        return is_time(value) ? 0 : -1;
    }
    if (strcmp(key, "lat") == 0) {
        snprintf(out->lat, sizeof out->lat, "%.15s", value);
        return number(value, -90, 90, &n);
    }
    if (strcmp(key, "lon") == 0) {
        snprintf(out->lon, sizeof out->lon, "%.15s", value);
        return number(value, -180, 180, &n);
    }
    return -1;
}

int clean_read_report(const char *text, size_t n, struct clean_report *out)
{
    *out = (struct clean_report){ .size = 0 };
    for (size_t at = 0; at < n;) {
        char line[LINE_BYTES];
        const char *end = memchr(text + at, '\n', n - at);
        size_t length = end == NULL ? 0 : (size_t)(end - text) - at;
        if (length == 0 || length >= sizeof line || memchr(text + at, '\0', length) != NULL) {
            return -1;
        }
        memcpy(line, text + at, length);
        line[length] = '\0';
        char *blank = strchr(line, ' ');
        if (blank == NULL) {
            return -1;
        }
        *blank = '\0';
        if (take_line(line, blank + 1, out) != 0) {
            return -1;
        }
        at += length + 1;
    }
    return out->type[0] != '\0' && (out->lat[0] == '\0') == (out->lon[0] == '\0') ? 0 : -1;
}
