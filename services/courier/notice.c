/* What a notice says. The sentences are data (web/letters); a name in braces is replaced by what
 * the notice has under it. */
#include "notice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_tree.h>

#include "language.h"
#include "log.h"

enum { TEXTS_MAX = 64 * 1024, PARAGRAPHS = 8 };

static yajl_val texts[LANG_COUNT];

int notice_load(const char *web)
{
    for (int i = 0; i < LANG_COUNT; i++) {
        char path[512], why[256] = "", *text = malloc(TEXTS_MAX);
        snprintf(path, sizeof path, "%s/letters/%s.json", web, language_tag((enum lang)i));
        FILE *file = text == NULL ? NULL : fopen(path, "re");
        if (file == NULL) {
            snprintf(why, sizeof why, "%s", strerror(errno));
        } else {
            text[fread(text, 1, TEXTS_MAX - 1, file)] = '\0';
            texts[i] = yajl_tree_parse(text, why, sizeof why);
            fclose(file);
        }
        free(text);
        if (texts[i] == NULL) {
            log_write(LOG_ERROR, STR(""), "%s: %s", path, why);
            return -1;
        }
    }
    return 0;
}

/* The sentence under GROUP.NAME, or under NAME alone. */
static struct str find(enum lang lang, const char *group, const char *name)
{
    const char *deep[] = { group, name, NULL }, *flat[] = { name, NULL };
    yajl_val v = yajl_tree_get(texts[lang], group == NULL ? flat : deep, yajl_t_string);
    return v == NULL ? STR("") : str_of(YAJL_GET_STRING(v));
}

static struct str value_of(const struct notice *n, struct str name)
{
    const struct {
        struct str name, value;
    } values[] = {
        { STR("number"), n->number },       { STR("received"), n->received },
        { STR("body"), n->body },           { STR("first_due"), n->first_due },
        { STR("final_due"), n->final_due },
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (str_eq(values[i].name, name)) {
            return values[i].value;
        }
    }
    return STR("");
}

/* SENTENCE with its names replaced. */
static struct str fill(struct arena *a, const struct notice *n, struct str sentence)
{
    struct str out = STR("");
    while (sentence.n > 0) {
        const char *open = memchr(sentence.p, '{', sentence.n);
        const char *end = sentence.p + sentence.n;
        const char *close = open == NULL ? NULL : memchr(open, '}', (size_t)(end - open));
        struct str before = { sentence.p,
                              close == NULL ? sentence.n : (size_t)(open - sentence.p) };
        struct str value = close == NULL
                               ? STR("")
                               : value_of(n, (struct str){ open + 1, (size_t)(close - open - 1) });
        out = arena_printf(a, "%.*s%.*s%.*s", (int)out.n, out.p, (int)before.n, before.p,
                           (int)value.n, value.p);
        if (out.p == NULL || close == NULL) {
            break;
        }
        sentence = (struct str){ close + 1, (size_t)(end - close - 1) };
    }
    return out;
}

/* What is said of a kind of step that we have no words for is that there is news. */
static struct str about_kind(const struct notice *n, const char *group)
{
    char kind[32];
    snprintf(kind, sizeof kind, "%.*s", n->confirm ? 7 : (int)n->kind.n,
             n->confirm ? "confirm" : n->kind.p);
    struct str sentence = find(n->lang, group, kind);
    return sentence.n > 0 ? sentence : find(n->lang, group, "other");
}

/* The paragraphs of all forms, in their order; how many, or -1 when memory is out. */
static int paragraphs(struct arena *a, const struct notice *n, struct str out[PARAGRAPHS])
{
    const struct {
        struct str sentence;
        int said;
    } rows[] = {
        { about_kind(n, "what"), 1 },
        { find(n->lang, NULL, "body"), !n->confirm && n->body.n > 0 },
        { find(n->lang, NULL, "first_due"), !n->confirm && n->first_due.n > 0 },
        { find(n->lang, NULL, "final_due"), !n->confirm && n->final_due.n > 0 },
    };
    int count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].said) {
            out[count] = fill(a, n, rows[i].sentence);
            if (out[count++].p == NULL) {
                return -1;
            }
        }
    }
    return count;
}

static struct str escaped(struct arena *a, struct str s)
{
    enum { LONGEST = 6 }; /* &quot; */
    char *p = arena_alloc(a, s.n * LONGEST + 1);
    size_t n = 0;
    for (size_t i = 0; p != NULL && i < s.n; i++) {
        const char *name = s.p[i] == '&'   ? "&amp;"
                           : s.p[i] == '<' ? "&lt;"
                           : s.p[i] == '>' ? "&gt;"
                           : s.p[i] == '"' ? "&quot;"
                                           : NULL;
        if (name == NULL) {
            p[n++] = s.p[i];
        } else {
            n += (size_t)snprintf(p + n, LONGEST + 1, "%s", name);
        }
    }
    return (struct str){ p, n };
}

static struct str add(struct arena *a, struct str to, const char *before, struct str s,
                      const char *after)
{
    return to.p == NULL || s.p == NULL
               ? (struct str){ NULL, 0 }
               : arena_printf(a, "%.*s%s%.*s%s", (int)to.n, to.p, before, (int)s.n, s.p, after);
}

/* The link that matters most. */
static struct str main_url(const struct notice *n)
{
    return n->confirm ? n->confirm_url : n->track_url;
}

static struct str plain_text(struct arena *a, const struct notice *n, const struct str *said,
                             int count, struct str about)
{
    struct str out = add(a, STR(""), "", find(n->lang, NULL, "hello"), "\n\n");
    out = add(a, out, "", about, "\n\n");
    for (int i = 0; i < count; i++) {
        out = add(a, out, "", said[i], "\n");
    }
    out = add(a, out, "\n", find(n->lang, NULL, n->confirm ? "confirm" : "open"), ":\n");
    out = add(a, out, "", main_url(n), "\n");
    if (!n->confirm && n->stop_url.n > 0) {
        out = add(a, out, "\n", find(n->lang, NULL, "stop"), ":\n");
        out = add(a, out, "", n->stop_url, "\n");
    }
    out = add(a, out, "\n-- \n", find(n->lang, NULL, "foot"), "\n");
    return add(a, out, "", n->region, "\n");
}

/* Plain HTML: what mail programs agree on. */
static struct str html_text(struct arena *a, const struct notice *n, const struct str *said,
                            int count, struct str about, struct str subject)
{
    struct str out =
        add(a, STR(""), "<!doctype html>\n<html lang=\"", str_of(language_tag(n->lang)),
            "\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" "
            "content=\"width=device-width\"><title>");
    out =
        add(a, out, "", escaped(a, subject),
            "</title></head>\n<body style=\"margin:0;padding:24px;background:#f3f4ef;color:#1b2430;"
            "font:16px/1.5 Arial,sans-serif\">\n<div style=\"max-width:560px;margin:0 auto;padding:"
            "24px;background:#ffffff;border-top:4px solid #b3372f\">\n");
    out = add(a, out, "<p style=\"margin:0 0 16px;color:#566070\">", escaped(a, about), "</p>\n");
    out = add(a, out, "<h1 style=\"margin:0 0 16px;font-size:22px;line-height:1.3\">",
              escaped(a, subject), "</h1>\n");
    for (int i = 0; i < count; i++) {
        out = add(a, out, "<p style=\"margin:0 0 12px\">", escaped(a, said[i]), "</p>\n");
    }
    out = add(a, out, "<p style=\"margin:24px 0\"><a href=\"", escaped(a, main_url(n)),
              "\" style=\"display:inline-block;padding:12px 20px;background:#1f4e79;color:#ffffff;"
              "text-decoration:none\">");
    out = add(a, out, "", escaped(a, find(n->lang, NULL, n->confirm ? "confirm" : "open")),
              "</a></p>\n");
    out = add(a, out, "<p style=\"margin:0;font-size:14px;color:#566070\">",
              escaped(a, find(n->lang, NULL, "foot")), "<br>");
    out = add(a, out, "", escaped(a, n->region), "</p>\n");
    if (!n->confirm && n->stop_url.n > 0) {
        out = add(a, out, "<p style=\"margin:12px 0 0;font-size:14px\"><a href=\"",
                  escaped(a, n->stop_url), "\" style=\"color:#1f4e79\">");
        out = add(a, out, "", escaped(a, find(n->lang, NULL, "stop")), "</a></p>\n");
    }
    return add(a, out, "</div>\n", STR("</body>\n</html>"), "\n");
}

int notice_letter(struct arena *a, const struct notice *n, struct notice_words *out)
{
    struct str said[PARAGRAPHS];
    int count = paragraphs(a, n, said);
    struct str about = fill(a, n, find(n->lang, NULL, "about"));
    out->subject = fill(a, n, about_kind(n, "subject"));
    if (count < 0 || about.p == NULL || out->subject.p == NULL) {
        return -1;
    }
    out->plain = plain_text(a, n, said, count, about);
    out->html = html_text(a, n, said, count, about, out->subject);
    return out->plain.p == NULL || out->html.p == NULL ? -1 : 0;
}

/* The first characters of S, MOST at most, ended between words if there is a blank. */
static struct str cut(struct str s, size_t most)
{
    size_t characters = 0, end = 0, blank = 0;
    while (end < s.n && characters < most) {
        blank = s.p[end] == ' ' || s.p[end] == '\n' ? end : blank;
        end++;
        while (end < s.n && ((unsigned char)s.p[end] & 0xc0) == 0x80) {
            end++;
        }
        characters++;
    }
    return (struct str){ s.p, end == s.n ? end : blank > 0 ? blank : end };
}

static size_t characters_in(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    }
    return n;
}

struct str notice_message(struct arena *a, const struct notice *n, size_t most)
{
    struct str said[PARAGRAPHS], url = main_url(n);
    int count = paragraphs(a, n, said);
    struct str out = fill(a, n, find(n->lang, NULL, "about"));
    for (int i = 0; i < count; i++) {
        out = add(a, out, i == 0 ? ".\n" : "\n", said[i], "");
    }
    size_t for_link = url.n > 0 ? characters_in(url) + 1 : 0;
    if (count < 0 || out.p == NULL || for_link >= most) {
        return (struct str){ NULL, 0 };
    }
    out = cut(out, most - for_link);
    return url.n > 0 ? add(a, out, "\n", url, "") : arena_dup(a, out);
}
