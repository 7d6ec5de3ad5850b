/* POST /hooks/{network}/{account}: a network tells that something was written.
 *
 * The raw event is stored for good and acknowledged; what it means is found out later
 * (hook_queue.c), so that no event, however odd, keeps a network waiting or makes it give up on us.
 * Nothing is acknowledged that was not stored: an account that is switched off is refused. */
#include "hooks.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>

#include "hook_parse.h"
#include "hook_queue.h"
#include "ids.h"
#include "intake.h"
#include "intake_queries.h"

enum { BODY_MAX = 256 * 1024 /* conf/nginx/hook.conf says the same */, DIGEST = 67 };

/* Columns of hook_account.sql. */
enum { C_MODE, C_PAGE, C_SECRET, C_CONFIRMATION };

struct call_of_hook {
    enum hook_network network;
    struct hook hook;
    char region[12];
};

static struct metric events_total = { .name = "otklik_intake_hook_events_total",
                                      .help = "Events of networks stored",
                                      .type = "counter" };
static struct metric repeats_total = { .name = "otklik_intake_hook_repeats_total",
                                       .help = "Events of networks that had been stored before",
                                       .type = "counter" };

void hooks_register(void)
{
    metric_register(&events_total);
    metric_register(&repeats_total);
}

/* Every network takes any 200; VK wants just this in the body. */
static void acknowledge(struct request *r)
{
    reply_header(r, "Cache-Control", STR("no-store"));
    reply(r, 200, "text/plain; charset=utf-8", STR("ok"));
}

static void on_stored(void *data, const struct db_result *result)
{
    struct request *r = data;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
        return;
    }
    if (PQntuples(result->res) == 0) {
        repeats_total.value++;
    } else {
        events_total.value++;
        hook_queue_hint(intake_of(r)->hooks, r->region);
    }
    acknowledge(r);
}

/* The body as a bytea parameter; .p NULL when memory is out. */
static struct str hex_of(struct arena *a, struct str s)
{
    static const char digits[] = "0123456789abcdef";
    char *p = arena_alloc(a, 2 * s.n + 3);
    if (p == NULL) {
        return (struct str){ NULL, 0 };
    }
    memcpy(p, "\\x", 2);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        p[2 + 2 * i] = digits[c >> 4];
        p[3 + 2 * i] = digits[c & 15];
    }
    p[2 + 2 * s.n] = '\0';
    return (struct str){ p, 2 * s.n + 2 };
}

/* Events of one message carry the same digest; the address itself may be personal data. */
static int message_digest(struct request *r, const struct call_of_hook *c, char out[DIGEST])
{
    struct str name =
        arena_printf(r->arena, "%s\n%.*s\n%.*s", hook_names[c->network], (int)r->path_arg.n,
                     r->path_arg.p, (int)c->hook.address.n, c->hook.address.p);
    if (name.p == NULL) {
        return -1;
    }
    sha256_bytea(name, out);
    return 0;
}

static void store(struct request *r)
{
    const struct call_of_hook *c = r->state;
    char id[37], received[24], digest[DIGEST];
    int64_t at_us;
    struct str account = arena_dup(r->arena, r->path_arg);
    struct str event = arena_dup(r->arena, c->hook.event_id);
    struct str request_id = arena_dup(r->arena, r->request_id);
    struct str raw = hex_of(r->arena, r->body);
    if (account.p == NULL || event.p == NULL || request_id.p == NULL || raw.p == NULL ||
        uuid7(id, &at_us) != 0 || message_digest(r, c, digest) != 0) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    snprintf(received, sizeof received, "%" PRId64, at_us);
    const char *params[] = { c->region,    id,       hook_names[c->network],
                             account.p,    event.p,  c->hook.address.n > 0 ? digest : NULL,
                             request_id.p, received, raw.p };
    enum otk_err err = db_ask(r->service->db, QUERY_INTAKE_HOOK_STORE, params, on_stored, r);
    if (err != OTK_OK) {
        reply_problem(r, err, STR(""));
    }
}

/* Is SECRET the one whose digest is WANTED, the text of a bytea? Takes as long when it is not. */
static int is_secret(struct str secret, struct str wanted)
{
    char digest[DIGEST];
    sha256_bytea(secret, digest);
    return secret.p != NULL && wanted.n == DIGEST - 1 &&
           CRYPTO_memcmp(digest, wanted.p, DIGEST - 1) == 0;
}

/* VK proves itself by what stands in the body; 1 when the request has been answered. */
static int refuse_vk(struct request *r, const struct call_of_hook *c, const PGresult *account)
{
    int confirmation = c->hook.act == HOOK_CONFIRMATION;
    /* The confirmation may come before VK has been told the secret. */
    if (!(confirmation && c->hook.secret.p == NULL) &&
        !is_secret(c->hook.secret, db_cell(account, 0, C_SECRET))) {
        reply_problem(r, OTK_UNAUTHORIZED, STR(""));
        return 1;
    }
    if (c->hook.page == 0 || c->hook.page != strtoll(PQgetvalue(account, 0, C_PAGE), NULL, 10)) {
        struct field_error wrong = { STR("group_id"), c->hook.page == 0 ? FE_REQUIRED : FE_NO_SUCH,
                                     0 };
        reply_invalid(r, &wrong, 1);
        return 1;
    }
    if (!confirmation) {
        return 0;
    }
    struct str text = arena_dup(r->arena, db_cell(account, 0, C_CONFIRMATION));
    if (text.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
    } else if (text.n == 0) {
        reply_problem(r, OTK_NOT_FOUND, STR(""));
    } else {
        reply_header(r, "Cache-Control", STR("no-store"));
        reply(r, 200, "text/plain; charset=utf-8", text);
    }
    return 1;
}

static void on_account(void *data, const struct db_result *result)
{
    struct request *r = data;
    const struct call_of_hook *c = r->state;
    if (result->err != OTK_OK) {
        reply_db_problem(r, result);
    } else if (PQntuples(result->res) == 0) {
        reply_problem(r, OTK_NOT_FOUND, STR(""));
    } else if (c->network == HOOK_VK && refuse_vk(r, c, result->res)) {
        return;
    } else if (str_eq(db_cell(result->res, 0, C_MODE), STR("off"))) {
        reply_problem(r, OTK_FORBIDDEN, STR(""));
    } else {
        store(r);
    }
}

/* OTK_OK, or why nothing needs to be asked. */
static enum otk_err check(struct request *r, struct call_of_hook *c, struct str *detail)
{
    if (!str_eq(r->auth, STR("hook"))) {
        return OTK_UNAUTHORIZED;
    }
    /* The secret at the edge is of one account; VK's is checked here. */
    if (r->region == 0 || (c->network != HOOK_VK && !str_eq(r->subject, r->path_arg))) {
        return OTK_FORBIDDEN;
    }
    if (r->body.n > BODY_MAX) {
        return OTK_TOO_LARGE;
    }
    enum otk_err err =
        r->body.n == 0 ? OTK_MALFORMED : hook_parse(r->arena, c->network, r->body, &c->hook);
    if (err == OTK_MALFORMED && (c->network == HOOK_VK || r->body.n == 0)) {
        /* Nobody has proved to be VK, or there is nothing to keep. */
        *detail = r->body.n == 0 ? STR("") : c->hook.error;
        return OTK_MALFORMED;
    }
    return err == OTK_INTERNAL ? OTK_INTERNAL : OTK_OK;
}

static void take(struct request *r, enum hook_network network)
{
    struct call_of_hook *c = arena_zero(r->arena, sizeof *c);
    struct str detail = STR("");
    struct str account = arena_dup(r->arena, r->path_arg);
    if (c == NULL || account.p == NULL) {
        reply_problem(r, OTK_INTERNAL, STR(""));
        return;
    }
    r->state = c;
    c->network = network;
    snprintf(c->region, sizeof c->region, "%d", r->region);
    enum otk_err err = check(r, c, &detail);
    if (err == OTK_OK) {
        const char *params[] = { c->region, hook_names[network], account.p };
        err = db_ask(r->service->db, QUERY_INTAKE_HOOK_ACCOUNT, params, on_account, r);
    }
    if (err != OTK_OK) {
        reply_problem(r, err, detail);
    }
}

void hooks_vk(struct request *r)
{
    take(r, HOOK_VK);
}

void hooks_telegram(struct request *r)
{
    take(r, HOOK_TELEGRAM);
}

void hooks_ok(struct request *r)
{
    take(r, HOOK_OK);
}

void hooks_max(struct request *r)
{
    take(r, HOOK_MAX);
}
