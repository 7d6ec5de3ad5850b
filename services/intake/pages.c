/* Drawing pages: a context as JSON, the texts of a language, a template. */
#include "page.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "intake.h"
#include "json.h"
#include "language.h"
#include "log.h"
#include "problem.h"

enum { TEXTS_MAX = 256 * 1024 };

struct pages {
    struct template *templates[PAGE_COUNT];
    yajl_val texts[LANG_COUNT];
};

/* A file of texts as a tree; NULL with the reason logged. */
static yajl_val read_texts(const char *web, enum lang lang)
{
    char path[512], why[256] = "", *text = malloc(TEXTS_MAX);
    snprintf(path, sizeof path, "%s/i18n/%s.json", web, language_tag(lang));
    FILE *file = text == NULL ? NULL : fopen(path, "re");
    yajl_val tree = NULL;
    if (file == NULL) {
        snprintf(why, sizeof why, "%s", strerror(errno));
    } else {
        size_t n = fread(text, 1, TEXTS_MAX - 1, file);
        text[n] = '\0';
        tree = yajl_tree_parse(text, why, sizeof why);
        fclose(file);
    }
    free(text);
    if (tree == NULL) {
        log_write(LOG_ERROR, STR(""), "%s: %s", path, why);
    }
    return tree;
}

struct pages *pages_load(const char *web)
{
    static const char *const names[PAGE_COUNT] = { [PAGE_FORM] = "form",
                                                   [PAGE_TRACK] = "track",
                                                   [PAGE_ENTRY] = "entry",
                                                   [PAGE_NOTICE] = "notice" };
    static struct pages pages; /* a process has one set of them */
    struct pages *p = &pages;
    char dir[512], why[256];
    if (web == NULL) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_WEB is not set");
        return NULL;
    }
    snprintf(dir, sizeof dir, "%s/pages", web);
    for (int i = 0; i < PAGE_COUNT; i++) {
        p->templates[i] = template_load(dir, names[i], why, sizeof why);
        if (p->templates[i] == NULL) {
            log_write(LOG_ERROR, STR(""), "%s", why);
            return NULL; /* the program ends */
        }
    }
    for (int i = 0; i < LANG_COUNT; i++) {
        p->texts[i] = read_texts(web, (enum lang)i);
        if (p->texts[i] == NULL) {
            return NULL;
        }
    }
    return p;
}

struct str page_html(struct request *r, enum page page, struct str context)
{
    char why[128];
    const struct pages *pages = intake_of(r)->pages;
    yajl_val tree = context.p == NULL ? NULL : yajl_tree_parse(context.p, why, sizeof why);
    struct str html = { NULL, 0 };
    if (tree != NULL) {
        yajl_val roots[] = { tree, pages->texts[r->lang] };
        html = template_render(pages->templates[page], roots, 2, r->arena);
        yajl_tree_free(tree);
    }
    if (html.p != NULL) {
        reply_header(r, "Cache-Control", STR("no-store"));
        reply_header(r, "Content-Language", str_of(language_tag(r->lang)));
    }
    return html;
}

void page_draw(struct request *r, enum page page, int status, struct str context)
{
    struct str html = page_html(r, page, context);
    if (html.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    reply(r, status, "text/html; charset=utf-8", html);
}

struct str page_string(struct request *r, struct str s)
{
    return s.p == NULL ? STR("null") : json_string(r->arena, s);
}

int page_member(struct request *r, struct str *object, struct str name, struct str value)
{
    struct str key = arena_dup(r->arena, name);
    for (char *p = (char *)key.p; p != NULL && *p != '\0'; p++) { /* ours since arena_dup */
        *p = *p == '.' ? '_' : *p;
    }
    struct str quoted = key.p == NULL ? key : page_string(r, key);
    struct str text = page_string(r, value);
    if (quoted.p == NULL || text.p == NULL) {
        return -1;
    }
    *object = arena_printf(r->arena, "%s%s%.*s:%.*s", object->p, object->n > 0 ? "," : "",
                           (int)quoted.n, quoted.p, (int)text.n, text.p);
    return object->p == NULL ? -1 : 0;
}

struct str page_common(struct request *r)
{
    return arena_printf(r->arena, "\"lang\":\"%s\",\"lang_ru\":%s,\"lang_en\":%s,\"notices\":%s",
                        language_tag(r->lang), r->lang == LANG_RU ? "true" : "false",
                        r->lang == LANG_EN ? "true" : "false",
                        intake_of(r)->notices ? "true" : "false");
}

struct str page_problem(struct request *r, enum otk_err err, struct str detail)
{
    const struct problem *p = problem_of(err);
    struct str title = page_string(r, str_of(p->title[r->lang]));
    struct str text = page_string(r, detail.n > 0 ? detail : str_of(p->detail[r->lang]));
    if (p->retry_after > 0) {
        char seconds[12];
        snprintf(seconds, sizeof seconds, "%d", p->retry_after);
        reply_header(r, "Retry-After", str_of(seconds));
    }
    return title.p == NULL || text.p == NULL
               ? (struct str){ NULL, 0 }
               : arena_printf(r->arena, "{\"title\":%s,\"detail\":%s}", title.p, text.p);
}
