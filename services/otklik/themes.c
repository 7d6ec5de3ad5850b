/* Themes by object, group and name. */
#include "themes.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <yajl/yajl_tree.h>

#include "cli.h"
#include "names.h"
#include "text.h"

enum { PAUSE_MS = 500, KEY_BYTES = 3 * 1000 };

struct themes {
    int region;
    struct names *keys; /* object, group, name; and the same without the object */
    char **codes;       /* by number of the key; NULL where several share it */
};

struct fetch {
    int done, status;
    char *body; /* of an answer 200 */
    char *why;
};

static void on_themes(void *data, size_t slot, const struct http_answer *answer)
{
    struct fetch *f = data;
    (void)slot;
    f->done = 1;
    f->status = answer->status;
    if (answer->status == 200) {
        f->body = cli_printf("%.*s", (int)answer->body.n, answer->body.p);
    } else {
        f->why = answer->status == 0
                     ? cli_printf("%s", answer->error)
                     : cli_printf("status %d %.300s", answer->status, answer->body.p);
    }
}

/* Names as the import of a catalogue keeps them: a file may have two blanks where the region has
 * one. */
static size_t make_key(struct str object, struct str group, struct str name, char out[KEY_BYTES])
{
    char o[TEXT_NAME], g[TEXT_NAME], s[TEXT_NAME];
    int n = snprintf(out, KEY_BYTES, "%s\x1f%s\x1f%s", text_name(object, o, sizeof(o)).p,
                     text_name(group, g, sizeof(g)).p, text_name(name, s, sizeof(s)).p);
    return n < KEY_BYTES ? (size_t)n : KEY_BYTES - 1;
}

static void add_theme(struct themes *t, struct str object, struct str group, struct str name,
                      const char *code)
{
    char key[KEY_BYTES];
    size_t number = names_add(t->keys, (struct str){ key, make_key(object, group, name, key) });
    int is_new = names_times(t->keys, number) == 1;
    if (is_new) {
        t->codes = cli_realloc(t->codes, (number + 1) * sizeof(*t->codes));
        t->codes[number] = cli_printf("%s", code);
    } else if (t->codes[number] != NULL && strcmp(t->codes[number], code) != 0) {
        free(t->codes[number]);
        t->codes[number] = NULL;
    }
}

static struct str member(yajl_val theme, const char *name)
{
    return str_of(
        YAJL_GET_STRING(yajl_tree_get(theme, (const char *[]){ name, NULL }, yajl_t_string)));
}

static struct themes *read_themes(const char *body)
{
    char why[256];
    yajl_val tree = yajl_tree_parse(body, why, sizeof(why));
    yajl_val list =
        tree == NULL ? NULL : yajl_tree_get(tree, (const char *[]){ "themes", NULL }, yajl_t_array);
    if (list == NULL) {
        cli_error("GET /api/v1/themes: not a list of themes");
        yajl_tree_free(tree);
        return NULL;
    }
    struct themes *t = cli_alloc(sizeof(*t));
    t->keys = names_new();
    yajl_val region = yajl_tree_get(tree, (const char *[]){ "region", NULL }, yajl_t_number);
    t->region = region == NULL ? 0 : (int)YAJL_GET_INTEGER(region);
    for (size_t i = 0; i < list->u.array.len; i++) {
        yajl_val theme = list->u.array.values[i];
        struct str object = member(theme, "object"), code = member(theme, "code");
        struct str group = member(theme, "group"), name = member(theme, "name");
        if (code.p != NULL && name.p != NULL) {
            add_theme(t, object, group, name, code.p);
            if (object.n > 0) {
                add_theme(t, STR(""), group, name, code.p);
            }
        }
    }
    yajl_tree_free(tree);
    return t;
}

struct themes *themes_fetch(struct http *h, int64_t retries)
{
    struct fetch f = { 0 };
    for (int64_t i = 0; i <= retries; i++) {
        free(f.why);
        f = (struct fetch){ 0 };
        if (http_send(h, 0, "/api/v1/themes", NULL, 0, NULL, on_themes, &f) != 0) {
            return NULL;
        }
        while (!f.done) {
            if (http_wait(h, 1000000) != 0) {
                return NULL;
            }
        }
        if (f.status != 0 && f.status < 500 && f.status != 429) {
            break;
        }
        if (i == 0 && retries > 0) {
            cli_error("the service does not answer yet (%s); trying again", f.why);
        }
        if (i == retries) {
            break;
        }
        struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
        if (nanosleep(&pause, NULL) != 0) {
            break; /* a signal */
        }
    }
    struct themes *t = NULL;
    if (f.status == 200) {
        t = read_themes(f.body);
    } else {
        cli_error("GET /api/v1/themes: %s", f.why);
    }
    free(f.body);
    free(f.why);
    return t;
}

void themes_free(struct themes *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < names_count(t->keys); i++) {
        free(t->codes[i]);
    }
    free(t->codes);
    names_free(t->keys);
    free(t);
}

const char *themes_code(const struct themes *t, struct str object, struct str group,
                        struct str name)
{
    char key[KEY_BYTES];
    size_t number = names_find(t->keys, (struct str){ key, make_key(object, group, name, key) });
    return number == SIZE_MAX ? NULL : t->codes[number];
}

int themes_region(const struct themes *t)
{
    return t->region;
}
