/* The proof after a replay: each appeal answered 201 is asked for again. */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "answers.h"
#include "cli.h"
#include "progress.h"

enum { TRIES = 30, NAMED = 10, PAUSE_US = 500000 };

struct question {
    size_t answer; /* its number in the list */
    int tries;
    int64_t again_us; /* monotonic; when it is to be asked again, 0: now */
    int open, sent;
};

struct check {
    struct http *http;
    struct answer_list answers;
    struct question *questions; /* a slot each */
    size_t slots, next, there, missing, unknown;
};

static void name_it(const struct check *c, const struct answer *a, const char *why)
{
    if (c->missing + c->unknown <= NAMED) {
        cli_error("line %" PRId64 ", answered 201 as %.*s: %s", a->line, (int)a->number.n,
                  a->number.p, why);
    }
}

static void on_seen(void *data, size_t slot, const struct http_answer *answer)
{
    struct check *c = data;
    struct question *q = &c->questions[slot];
    const struct answer *a = &c->answers.list[q->answer];
    q->sent = 0;
    if (answer->status == 200) {
        q->open = 0;
        if (memmem(answer->body.p, answer->body.n, a->number.p, a->number.n) != NULL) {
            c->there++;
        } else {
            c->missing++;
            name_it(c, a, "another appeal came back");
        }
    } else if (answer->status == 404) {
        q->open = 0;
        c->missing++;
        name_it(c, a, "not there");
    } else if (q->tries >= TRIES) {
        q->open = 0;
        c->unknown++;
        char *why = answer->status == 0 ? cli_printf("%s", answer->error)
                                        : cli_printf("status %d", answer->status);
        name_it(c, a, why);
        free(why);
    } else {
        q->again_us = cli_now_us() +
                      (answer->retry_after > 0 ? answer->retry_after * INT64_C(1000000) : PAUSE_US);
    }
}

static int ask(struct check *c, size_t slot)
{
    struct question *q = &c->questions[slot];
    const struct answer *a = &c->answers.list[q->answer];
    char path[256];
    snprintf(path, sizeof(path), "/api/v1/appeals/%.*s?code=%.*s", (int)a->number.n, a->number.p,
             (int)a->code.n, a->code.p);
    q->tries++;
    q->again_us = 0;
    q->sent = 1;
    return http_send(c->http, slot, path, NULL, 0, NULL, on_seen, c);
}

/* The same request twice, as a resumed run has it, is one question. */
static void next_question(struct check *c, struct question *q)
{
    while (c->next > 0 && c->next < c->answers.n &&
           str_eq(c->answers.list[c->next].number, c->answers.list[c->next - 1].number)) {
        c->next++;
    }
    if (c->next < c->answers.n) {
        *q = (struct question){ .answer = c->next++, .open = 1 };
    }
}

/* Gives every free slot something to do; how many are in use, or -1 after a message. */
static int fill(struct check *c)
{
    int open = 0;
    int64_t now = cli_now_us();
    for (size_t i = 0; i < c->slots; i++) {
        struct question *q = &c->questions[i];
        if (!q->open) {
            next_question(c, q);
        }
        if (q->open && !q->sent && q->again_us <= now && ask(c, i) != 0) {
            return -1;
        }
        open += q->open;
    }
    return open;
}

static int ask_all(struct check *c, const volatile sig_atomic_t *stop)
{
    struct progress progress = progress_begin(0);
    int open, status = 0;
    while (!*stop && status == 0 && (open = fill(c)) != 0) {
        status = open < 0 || http_wait(c->http, 50000) != 0 ? -1 : 0;
        if (progress_due(&progress)) {
            progress_show(&progress, "checked %zu of %zu, missing %zu", c->there + c->missing,
                          c->answers.n, c->missing);
        }
    }
    progress_end(&progress);
    return status;
}

int check_answers(struct http *h, size_t slots, const char *path, const volatile sig_atomic_t *stop)
{
    struct check c = { .http = h, .slots = slots };
    if (answers_read(path, &c.answers) != 0) {
        return CLI_ERROR;
    }
    size_t contradictions = answers_contradictions(&c.answers);
    c.questions = cli_alloc(slots * sizeof(*c.questions));
    int bad = ask_all(&c, stop) != 0 || *stop;
    fprintf(stderr, "check: %zu appeals answered 201 are there, %zu missing, %zu double%s\n",
            c.there, c.missing, contradictions, bad ? "; not all were asked for" : "");
    if (c.unknown > 0) {
        cli_error("%zu could not be asked for", c.unknown);
    }
    bad = bad || c.missing > 0 || contradictions > 0 || c.unknown > 0;
    free(c.questions);
    answers_list_free(&c.answers);
    return bad ? CLI_ERROR : CLI_OK;
}
