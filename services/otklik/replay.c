/* otklik replay: sends published appeals through the front door, at a rate or as fast as it takes
 * them.
 *
 * What makes it safe to stop, kill and repeat: each line has an Idempotency-Key made of itself, so
 * sending it again gives the first answer again. The state file only saves work. A line counts as
 * done when its 201 has come and its answer has been written down. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "answers.h"
#include "check.h"
#include "commands.h"
#include "http.h"
#include "jsonl.h"
#include "latency.h"
#include "letter.h"
#include "progress.h"
#include "state.h"
#include "themes.h"

struct settings {
    const char *key, *rate, *url, *state, *answers;
    int64_t connections, limit, retries;
    int again, check, no_send, json;
};

enum {
    NAMED = 10, /* errors told one by one */
    STATUSES = 600,
    SAVE_EVERY_US = 2000000,
    PAUSE_US = 100000, /* before the first repetition; doubled each time */
    PAUSE_MAX_US = 2000000,
    BEHIND_US = 1000000 /* a paced run never makes up for more than this */
};

/* An appeal on its way. */
struct flight {
    struct letter letter;
    int used; /* the slot holds an appeal that has not been answered for good */
    int sent; /* the request is out */
    int tries;
    int64_t again_us; /* monotonic; when to send it again */
};

struct replay {
    const struct settings *settings;
    const char *path;
    struct jsonl *file;
    struct http *http;
    struct themes *themes;
    struct state *state;
    struct answers *answers;
    struct flight *flights;
    size_t slots;

    int64_t interval_us;  /* between two appeals; 0: none */
    int64_t next_send_us; /* monotonic */
    int file_ended;
    int failed; /* no use in going on; the message is out */

    int64_t before; /* lines done by earlier runs */
    int64_t created, replayed, errors, skipped_themes, cleaned;
    int64_t last_line;
    uint64_t statuses[STATUSES]; /* of all answers; 0: none came */
    uint64_t again;              /* requests sent again */
    char theme_place[300];       /* the first line whose theme is unknown */
    struct latency latency;
    int64_t began_us, ended_us, save_us;
    double began_at; /* how much of the file earlier runs had done, 0 … 1 */
    struct progress progress;
    int64_t shown_us, shown_count; /* at the last line of progress */
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* The first asks for an orderly end, the second one ends it. */
static void catch_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- answers */

/* No use in going on; only the first reason is told. */
static void fail(struct replay *r, const char *why, const char *what)
{
    if (!r->failed) {
        progress_end(&r->progress);
        cli_error("%s%s", why, what);
    }
    r->failed = 1;
}

/* An appeal that will not be taken, however often it is sent. */
static void count_error(struct replay *r, int64_t line, const char *why)
{
    if (r->errors++ < NAMED) {
        progress_end(&r->progress);
        cli_error("%s:%" PRId64 ": %s", r->path, line, why);
    }
}

static struct str member(yajl_val tree, const char *name)
{
    return str_of(
        YAJL_GET_STRING(yajl_tree_get(tree, (const char *[]){ name, NULL }, yajl_t_string)));
}

static void take_created(struct replay *r, struct flight *f, const struct http_answer *answer)
{
    char why[128];
    yajl_val tree = yajl_tree_parse(answer->body.p, why, sizeof(why));
    struct answer kept = { .external_id = str_of(f->letter.external_id),
                           .line = f->letter.line,
                           .key = str_of(f->letter.key) };
    if (tree != NULL) {
        kept.number = member(tree, "number");
        kept.code = member(tree, "code");
        kept.id = member(tree, "id");
    }
    f->used = 0;
    if (kept.number.p == NULL || kept.code.p == NULL || kept.id.p == NULL) {
        count_error(r, f->letter.line, "a 201 without number, code or id");
    } else if (answers_add(r->answers, &kept) != 0) {
        r->failed = 1;
    } else {
        latency_add(&r->latency, answer->us);
        *(answer->replayed ? &r->replayed : &r->created) += 1;
        state_mark(r->state, f->letter.line);
    }
    yajl_tree_free(tree);
}

static void plan_again(struct replay *r, struct flight *f, const struct http_answer *answer)
{
    if (f->tries > r->settings->retries) {
        char *why = answer->status == 0
                        ? cli_printf("%s", answer->error)
                        : cli_printf("status %d %.300s", answer->status, answer->body.p);
        char *what = cli_printf("%s:%" PRId64 ": given up after %d tries: %s", r->path,
                                f->letter.line, f->tries, why);
        fail(r, what, "");
        free(what);
        free(why);
        f->used = 0;
        return;
    }
    int64_t pause = answer->retry_after * INT64_C(1000000);
    if (pause == 0) {
        pause = f->tries > 5 ? PAUSE_MAX_US : (int64_t)PAUSE_US << (f->tries - 1);
        pause = pause > PAUSE_MAX_US ? PAUSE_MAX_US : pause;
    }
    /* so that they do not all come back at once */
    pause += pause * (random() % 256) / 1024;
    f->again_us = cli_now_us() + pause;
    r->again++;
}

static void on_answer(void *data, size_t slot, const struct http_answer *answer)
{
    struct replay *r = data;
    struct flight *f = &r->flights[slot];
    int status = answer->status;
    f->sent = 0;
    r->statuses[status >= 0 && status < STATUSES ? status : 0]++;
    if (status == 201) {
        take_created(r, f, answer);
    } else if (status == 0 || status >= 500 || status == 429 || status == 409 || status == 408) {
        plan_again(r, f, answer);
    } else {
        char *why = cli_printf("status %d %.500s", status, answer->body.p);
        f->used = 0;
        if (status == 401 || status == 403) {
            fail(r, "the key is refused: ", why);
        } else {
            count_error(r, f->letter.line, why);
        }
        free(why);
    }
}

/* ---- requests */

static double fraction_read(const struct replay *r)
{
    int64_t limit = r->settings->limit;
    return limit > 0 ? (double)r->last_line / (double)limit : jsonl_fraction(r->file);
}

/* The next line that is not done yet, as a letter; 0 when there is none now. */
static int take_line(struct replay *r, struct flight *f)
{
    struct str line;
    while (!r->file_ended) {
        int64_t limit = r->settings->limit;
        int more = limit > 0 && jsonl_line(r->file) >= limit ? 0 : jsonl_next(r->file, &line);
        int64_t number = jsonl_line(r->file);
        if (more <= 0 || (limit > 0 && number > limit)) {
            r->file_ended = 1;
            r->failed = r->failed || more < 0;
            return 0;
        }
        r->last_line = number;
        if (state_has(r->state, number)) {
            r->began_at = r->created + r->replayed == 0 ? fraction_read(r) : r->began_at;
            continue;
        }
        struct record record;
        char why[700];
        int ok = record_read(&record, line, why, sizeof(why)) == 0 &&
                 letter_write(&f->letter, &record, line, number, r->themes, why, sizeof(why)) == 0;
        record_free(&record);
        if (ok) {
            return 1;
        }
        count_error(r, number, why);
    }
    return 0;
}

static int send_letter(struct replay *r, size_t slot)
{
    struct flight *f = &r->flights[slot];
    f->sent = 1;
    f->tries++;
    if (http_send(r->http, slot, "/api/v1/appeals", f->letter.body, f->letter.n, f->letter.key,
                  on_answer, r) != 0) {
        r->failed = 1;
        return -1;
    }
    return 0;
}

static int begin_flight(struct replay *r, size_t slot, int64_t now)
{
    struct flight *f = &r->flights[slot];
    if (!take_line(r, f)) {
        return 0;
    }
    f->used = 1;
    f->tries = 0;
    r->cleaned += f->letter.cleaned > 0;
    if (f->letter.theme_unknown && r->skipped_themes++ == 0) {
        snprintf(r->theme_place, sizeof(r->theme_place), "%s", jsonl_place(r->file));
    }
    if (r->interval_us > 0) {
        int64_t earliest = now - BEHIND_US;
        r->next_send_us =
            (r->next_send_us < earliest ? earliest : r->next_send_us) + r->interval_us;
    }
    return send_letter(r, slot);
}

/* Sends what is due; returns how long nothing else will be. */
static int64_t send_due(struct replay *r)
{
    int64_t now = cli_now_us(), wait = 250000;
    int stopping = stopped || r->failed;
    for (size_t i = 0; i < r->slots; i++) {
        struct flight *f = &r->flights[i];
        if (f->used && !f->sent) {
            if (stopping) {
                f->used = 0;
            } else if (f->again_us <= now) {
                send_letter(r, i);
            } else if (f->again_us - now < wait) {
                wait = f->again_us - now;
            }
        } else if (!f->used && !stopping && !r->file_ended) {
            if (r->interval_us > 0 && r->next_send_us > now) {
                wait = r->next_send_us - now < wait ? r->next_send_us - now : wait;
            } else {
                begin_flight(r, i, now);
            }
        }
    }
    return wait;
}

static int in_flight(const struct replay *r)
{
    for (size_t i = 0; i < r->slots; i++) {
        if (r->flights[i].used) {
            return 1;
        }
    }
    return 0;
}

/* ---- keeping and showing */

/* Answers first: a line must not count as done before its answer is written down. */
static int save(struct replay *r)
{
    r->save_us = cli_now_us() + SAVE_EVERY_US;
    return answers_flush(r->answers) != 0 || state_save(r->state) != 0 ? -1 : 0;
}

static void statuses_text(const struct replay *r, char *out, size_t n)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < STATUSES && used + 40 < n; i++) {
        if (r->statuses[i] > 0 && i != 201) {
            char name[16] = "no answer";
            if (i > 0) {
                snprintf(name, sizeof(name), "%d", i);
            }
            used += (size_t)snprintf(out + used, n - used, "%s%s: %" PRIu64, used > 0 ? ", " : "",
                                     name, r->statuses[i]);
        }
    }
}

static void show(struct replay *r)
{
    int64_t now = cli_now_us(), count = r->created + r->replayed;
    double fraction = fraction_read(r);
    double here = (double)(now - r->began_us) / 1e6;
    double rate = (double)(count - r->shown_count) * 1e6 / (double)(now - r->shown_us + 1);
    double part = fraction - r->began_at;
    double left = part > 0.0001 ? here * (1 - fraction) / part : 0;
    char statuses[200];
    statuses_text(r, statuses, sizeof(statuses));
    progress_show(&r->progress,
                  "%3.0f %%  201: %" PRId64 "  replayed: %" PRId64 "  errors: %" PRId64
                  "%s%s%s  %.0f/s  "
                  "%d:%02d left",
                  100 * fraction, r->created, r->replayed, r->errors,
                  statuses[0] == '\0' ? "" : "  (", statuses, statuses[0] == '\0' ? "" : ")", rate,
                  (int)left / 60, (int)left % 60);
    r->shown_us = now;
    r->shown_count = count;
}

static void loop(struct replay *r)
{
    r->began_us = r->shown_us = r->next_send_us = cli_now_us();
    r->save_us = r->began_us + SAVE_EVERY_US;
    r->progress = progress_begin(0);
    for (;;) {
        int64_t wait = send_due(r);
        if (!in_flight(r) && (r->file_ended || stopped || r->failed)) {
            break;
        }
        if (http_wait(r->http, wait) != 0) {
            r->failed = 1;
            break;
        }
        if (cli_now_us() >= r->save_us && save(r) != 0) {
            r->failed = 1;
        }
        if (progress_due(&r->progress)) {
            show(r);
        }
    }
    r->ended_us = cli_now_us();
    progress_end(&r->progress);
}

static double seconds(const struct replay *r)
{
    return (double)(r->ended_us - r->began_us) / 1e6;
}

static double rate(const struct replay *r)
{
    return seconds(r) > 0 ? (double)(r->created + r->replayed) / seconds(r) : 0;
}

static void summarise(const struct replay *r)
{
    char statuses[400];
    statuses_text(r, statuses, sizeof(statuses));
    fprintf(stderr, "%" PRId64 " appeals in %.2f s: %.0f/s\n", r->created + r->replayed, seconds(r),
            rate(r));
    fprintf(stderr, "  201 stored now    %" PRId64 "\n", r->created);
    fprintf(stderr, "  201 replayed      %" PRId64 "\n", r->replayed);
    fprintf(stderr, "  errors            %" PRId64 "\n", r->errors);
    fprintf(stderr, "  sent again        %" PRIu64 "%s%s%s\n", r->again, statuses[0] ? "  (" : "",
            statuses, statuses[0] ? ")" : "");
    fprintf(stderr, "  latency           p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, longest %.1f ms\n",
            latency_ms(&r->latency, 0.5), latency_ms(&r->latency, 0.95),
            latency_ms(&r->latency, 0.99), (double)r->latency.max_us / 1000);
    if (r->cleaned > 0) {
        fprintf(stderr, "  cleaned           %" PRId64 " texts had control characters\n",
                r->cleaned);
    }
    if (r->skipped_themes > 0) {
        fprintf(stderr,
                "  without theme     %" PRId64
                " name one that the region has not (first: %s); import "
                "the catalogue\n",
                r->skipped_themes, r->theme_place);
    }
}

static void print_json(const struct replay *r)
{
    printf("{\"created\":%" PRId64 ",\"replayed\":%" PRId64 ",\"before\":%" PRId64
           ",\"errors\":%" PRId64 ",\"sent_again\":%" PRIu64 ",\"no_answer\":%" PRIu64
           ",\"seconds\":%.3f,\"rate\":%.1f,"
           "\"p50_ms\":%.3f,\"p95_ms\":%.3f,\"p99_ms\":%.3f,\"interrupted\":%s}\n",
           r->created, r->replayed, r->before, r->errors, r->again, r->statuses[0], seconds(r),
           rate(r), latency_ms(&r->latency, 0.5), latency_ms(&r->latency, 0.95),
           latency_ms(&r->latency, 0.99), stopped ? "true" : "false");
}

/* ---- begin and end */

/* Opens everything; 0, or -1 after a message. */
static int prepare(struct replay *r, const char *url, const char *state_file,
                   const char *answers_file)
{
    char *identity = state_identity(r->path, url);
    if (identity == NULL) {
        return -1;
    }
    r->state = state_open(state_file, identity, r->settings->again);
    free(identity);
    if (r->state == NULL) {
        return -1;
    }
    r->before = state_done(r->state);
    r->answers = answers_open(answers_file, r->before == 0);
    if (r->answers == NULL) {
        return -1;
    }
    if (r->before > 0) {
        fprintf(stderr,
                "going on where the last run ended: %" PRId64
                " lines are done, all up to line %" PRId64 " (state: %s)\n",
                r->before, state_contiguous(r->state), state_file);
    }
    r->file = jsonl_open(r->path);
    return r->file == NULL ? -1 : 0;
}

static int send_all(struct replay *r, const char *state_file)
{
    r->themes = themes_fetch(r->http, r->settings->retries);
    if (r->themes == NULL) {
        return CLI_ERROR;
    }
    loop(r);
    if (save(r) != 0) {
        r->failed = 1;
    }
    summarise(r);
    if (r->settings->json) {
        print_json(r);
    }
    if (stopped || r->failed) {
        fprintf(stderr, "stopped%s; the same command goes on from here (state: %s)\n",
                stopped ? " as asked" : "", state_file);
        return CLI_ERROR;
    }
    return r->errors > 0 ? CLI_ERROR : CLI_OK;
}

static int run_with(struct replay *r, const char *url, const char *state_file,
                    const char *answers_file)
{
    const struct settings *s = r->settings;
    r->slots = (size_t)s->connections;
    r->http = http_open(url, s->key, r->slots);
    if (r->http == NULL) {
        return CLI_ERROR;
    }
    int status = CLI_OK;
    if (!s->no_send) {
        status =
            prepare(r, url, state_file, answers_file) != 0 ? CLI_ERROR : send_all(r, state_file);
    }
    if (s->check && !stopped && !r->failed) {
        int checked = check_answers(r->http, r->slots, answers_file, &stopped);
        status = status == CLI_OK ? checked : status;
    }
    return status;
}

static void release(struct replay *r)
{
    http_close(r->http);
    for (size_t i = 0; r->flights != NULL && i < r->slots; i++) {
        letter_free(&r->flights[i].letter);
    }
    free(r->flights);
    themes_free(r->themes);
    state_free(r->state);
    answers_close(r->answers);
    jsonl_close(r->file);
}

/* Appeals a second to µs between two; 0 for max, -1 for what is neither. */
static int64_t interval_of(const char *text)
{
    char *end;
    if (strcmp(text, "max") == 0) {
        return 0;
    }
    double per_second = strtod(text, &end);
    if (end == text || (*end != '\0' && strcmp(end, "/s") != 0 && strcmp(end, "r/s") != 0) ||
        !(per_second >= 0.001 && per_second <= 1e6)) {
        return -1;
    }
    return (int64_t)(1e6 / per_second);
}

static int run(const void *settings, char *const *arguments)
{
    const struct settings *s = settings;
    const char *url = s->url != NULL ? s->url : getenv("OTKLIK_URL");
    int64_t interval_us = s->no_send ? 0 : s->rate == NULL ? -1 : interval_of(s->rate);
    if (interval_us < 0) {
        return cli_usage(&command_replay, "--rate takes appeals a second, or max");
    }
    if (url == NULL) {
        return cli_usage(&command_replay, "neither --url nor OTKLIK_URL says where to");
    }
    if (s->no_send && !s->check) {
        return cli_usage(&command_replay, "--no-send goes with --check");
    }
    struct replay *r = cli_alloc(sizeof(*r));
    r->settings = s;
    r->path = arguments[0];
    r->interval_us = interval_us;
    char *state_file = s->state != NULL ? cli_printf("%s", s->state) : state_path(r->path, s->key);
    if (state_file == NULL) {
        free(r);
        return CLI_ERROR;
    }
    char *answers_file =
        s->answers != NULL ? cli_printf("%s", s->answers) : cli_printf("%s.answers", state_file);
    r->flights = cli_alloc((size_t)s->connections * sizeof(*r->flights));
    catch_signals();
    int status = run_with(r, url, state_file, answers_file);
    release(r);
    free(answers_file);
    free(state_file);
    free(r);
    return status;
}

static const struct option_row options[] = {
    { .name = "key",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, key),
      .value = "KEY",
      .help = "API key with the role integrator; its region takes the appeals",
      .required = 1 },
    { .name = "rate",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, rate),
      .value = "R",
      .help = "appeals a second, or max" },
    { .name = "url",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, url),
      .value = "URL",
      .help = "the front door; OTKLIK_URL by default" },
    { .name = "connections",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct settings, connections),
      .value = "N",
      .help = "requests at once; 16 by default",
      .min = 1,
      .max = 256,
      .fallback = 16 },
    { .name = "limit",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct settings, limit),
      .value = "N",
      .help = "only the first N lines of the file",
      .min = 1,
      .max = INT32_MAX },
    { .name = "retries",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct settings, retries),
      .value = "N",
      .help = "how often to try again while the service is away; 30 by default",
      .max = 10000,
      .fallback = 30 },
    { .name = "state",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, state),
      .value = "FILE",
      .help =
          "where to remember what is done; a name of file and key in ~/.local/state/otklik by default" },
    { .name = "answers",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, answers),
      .value = "FILE",
      .help =
          "where to write the answers: id, number, code, UUID, line, Idempotency-Key; tabs between" },
    { .name = "again",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct settings, again),
      .help = "begin anew whatever the state says" },
    { .name = "check",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct settings, check),
      .help = "then ask for every appeal that was answered 201" },
    { .name = "no-send",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct settings, no_send),
      .help = "with --check: only that" },
    { .name = "json",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct settings, json),
      .help = "the summary as one JSON object on standard output, too" },
    { .name = NULL },
};

const struct command command_replay = {
    .name = "replay",
    .arguments = "FILE.jsonl[.gz]",
    .summary = "Send published appeals through the front door",
    .details =
        "Sends each line of the file to POST /api/v1/appeals: text, theme (found by object, category and reason), point,\n"
        "id. Shows progress, rate and errors every second. When the service is away, or asks for patience, the same\n"
        "request is sent again with the same Idempotency-Key, so nothing is stored twice. After Ctrl-C the same\n"
        "command goes on where it was. Ends with status 1 if an appeal was not taken.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .narguments = 1,
    .run = run,
};
