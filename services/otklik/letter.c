/* From a published appeal to the body of POST /api/v1/appeals. */
#include "letter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_gen.h>

#include "cli.h"
#include "text.h"

static void put(yajl_gen g, struct str s)
{
    yajl_gen_string(g, (const unsigned char *)s.p, s.n);
}

static void put_member(yajl_gen g, struct str name, struct str value)
{
    put(g, name);
    put(g, value);
}

static void put_body(yajl_gen g, const struct record *r, const struct letter *l, const char *theme)
{
    yajl_gen_map_open(g);
    put_member(g, STR("text"), r->text);
    if (theme != NULL) {
        put_member(g, STR("theme"), str_of(theme));
    }
    if (r->lat.p != NULL && r->lon.p != NULL) {
        put(g, STR("point"));
        yajl_gen_map_open(g);
        put(g, STR("lat"));
        yajl_gen_number(g, r->lat.p, r->lat.n);
        put(g, STR("lon"));
        yajl_gen_number(g, r->lon.p, r->lon.n);
        yajl_gen_map_close(g);
    }
    /* who sends photos holds a telephone */
    put_member(g, STR("channel"), r->photos > 0 ? STR("mobile_app") : STR("site"));
    if (l->external_id[0] != '\0') {
        put_member(g, STR("external_id"), str_of(l->external_id));
    }
    yajl_gen_map_close(g);
}

static void make_key(struct letter *l, const struct record *r, struct str line, int64_t number)
{
    char digest[TEXT_SHA256];
    if (r->id.n > 0) {
        text_sha256(line, digest);
    } else { /* nothing tells two equal letters apart but their places */
        char *numbered = cli_printf("%" PRId64 " %.*s", number, (int)line.n, line.p);
        text_sha256(str_of(numbered), digest);
        free(numbered);
    }
    snprintf(l->key, sizeof(l->key), "replay-%.32s", digest);
}

int letter_write(struct letter *l, struct record *r, struct str line, int64_t number,
                 const struct themes *themes, char *err, size_t errlen)
{
    if (r->text.n == 0) {
        snprintf(err, errlen, "no text");
        return -1;
    }
    if (r->id.n >= LETTER_ID) {
        snprintf(err, errlen, "an id of more than %d bytes", LETTER_ID - 1);
        return -1;
    }
    l->line = number;
    make_key(l, r, line, number);
    snprintf(l->external_id, sizeof(l->external_id), "%.*s", (int)r->id.n, r->id.p);
    l->cleaned = text_clean((char *)r->text.p, r->text.n);
    const char *theme = NULL;
    l->theme_unknown = 0;
    if (r->category.n > 0 && r->reason.n > 0) {
        theme = themes_code(themes, r->object, r->category, r->reason);
        l->theme_unknown = theme == NULL;
    }
    yajl_gen g = yajl_gen_alloc(NULL);
    const unsigned char *json;
    size_t n = 0;
    int ok = g != NULL;
    if (ok) {
        put_body(g, r, l, theme);
        ok = yajl_gen_get_buf(g, &json, &n) == yajl_gen_status_ok && n > 0;
    }
    if (ok && n + 1 > l->size) {
        l->size = 2 * n + 256;
        l->body = cli_realloc(l->body, l->size);
    }
    if (ok) {
        memcpy(l->body, json, n);
        l->body[n] = '\0';
        l->n = n;
    } else {
        snprintf(err, errlen, "the request cannot be written as JSON");
    }
    if (g != NULL) {
        yajl_gen_free(g);
    }
    return ok ? 0 : -1;
}

void letter_free(struct letter *l)
{
    free(l->body);
    l->body = NULL;
}
