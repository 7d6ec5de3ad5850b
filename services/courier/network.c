/* Back to where the resident wrote: what each network wants to be asked, and what its answers mean.
 *
 * Tokens lie in files named CHANNEL-ACCOUNT of one folder, read at each call: never in the
 * database, changed without a restart. Ids that the networks take against doubles are made of the
 * notice's own id, so that a second try after a crash is the same message to them. */
#include "parcel.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_tree.h>

#include "json.h"
#include "log.h"

enum { TOKEN_BYTES = 512, IDS = 3, PATH_BYTES = 512, SECOND = 1000000 };

/* The parts of an address such as "reply:-5:6:7". */
struct place {
    struct str what;
    struct str ids[IDS];
    int n;
};

struct network {
    struct str channel;
    const char *setting, *base; /* where its API is; the setting replaces it */
    size_t most;                /* characters of a message */
    int64_t pause_us;           /* between two calls of an account */
    int (*ask)(struct wire *w, struct parcel *p, const struct network *n, const struct place *place,
               const char *token, struct str text);
    void (*judge)(const struct parcel *p, yajl_val answer, struct parcel_result *out);
};

static const char *tokens; /* the folder */

/* ---- what all share */

static yajl_val member(yajl_val v, yajl_type type, const char *a, const char *b)
{
    const char *path[] = { a, b, NULL };
    return v == NULL ? NULL : yajl_tree_get(v, path, type);
}

static int64_t number_in(yajl_val v, const char *a, const char *b)
{
    yajl_val n = member(v, yajl_t_number, a, b);
    return YAJL_IS_INTEGER(n) ? YAJL_GET_INTEGER(n) : -1;
}

/* A number of 31 bits, never 0, that is the same for the same notice. */
static int32_t small_id(struct str id)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)id.p, id.n, digest);
    uint32_t n = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 |
                 digest[3];
    return (int32_t)((n & 0x7fffffff) | 1);
}

static int read_place(struct str address, struct place *out)
{
    const char *end = address.p + address.n, *at = memchr(address.p, ':', address.n);
    *out =
        (struct place){ .what = { address.p, at == NULL ? address.n : (size_t)(at - address.p) } };
    /* The last takes the rest: a mid may hold colons. */
    while (at != NULL && out->n < IDS) {
        const char *next = out->n == IDS - 1 ? NULL : memchr(at + 1, ':', (size_t)(end - at - 1));
        const char *stop = next == NULL ? end : next;
        out->ids[out->n++] = (struct str){ at + 1, (size_t)(stop - at - 1) };
        at = next;
    }
    return out->n > 0 ? 0 : -1;
}

/* 1 if S is a whole number as networks write them; it goes into JSON as it is. */
static int is_number(struct str s)
{
    size_t from = s.n > 0 && s.p[0] == '-';
    for (size_t i = from; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return 0;
        }
    }
    return s.n > from && s.n <= 20;
}

static int add_header(struct parcel *p, const char *header)
{
    struct curl_slist *more = curl_slist_append(p->call.headers, header);
    if (more == NULL) {
        return -1;
    }
    p->call.headers = more;
    return 0;
}

/* A POST of BODY, which lives in the parcel's arena. */
static int post(struct wire *w, struct parcel *p, struct str url, struct str body, const char *type)
{
    char header[80];
    snprintf(header, sizeof header, "Content-Type: %s", type);
    if (url.p == NULL || body.p == NULL || wire_begin(w, &p->call, url.p, "https,http") != 0 ||
        add_header(p, header) != 0) {
        return -1;
    }
    return curl_easy_setopt(p->call.easy, CURLOPT_POSTFIELDS, body.p) == CURLE_OK &&
                   curl_easy_setopt(p->call.easy, CURLOPT_POSTFIELDSIZE, (long)body.n) == CURLE_OK
               ? 0
               : -1;
}

/* &NAME=VALUE, escaped, behind BODY. */
static struct str add_field(struct arena *a, struct str body, const char *name, struct str value)
{
    static const char digits[] = "0123456789ABCDEF";
    char *p = arena_alloc(a, value.n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; p != NULL && i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            c == '-' || c == '_' || c == '.') {
            p[n++] = (char)c;
        } else {
            p[n++] = '%';
            p[n++] = digits[c >> 4];
            p[n++] = digits[c & 15];
        }
    }
    return p == NULL || body.p == NULL ? (struct str){ NULL, 0 }
                                       : arena_printf(a, "%.*s%s%s=%.*s", (int)body.n, body.p,
                                                      body.n > 0 ? "&" : "", name, (int)n, p);
}

static const char *base_of(const struct network *n)
{
    const char *set = getenv(n->setting);
    return set != NULL && *set != '\0' ? set : n->base;
}

/* ---- ВКонтакте */

/* A comment is answered where it stands; a message in its talk. The names are VK's. */
static const struct {
    struct str what;
    const char *method;
    const char *ids[IDS];   /* what the address's parts are called */
    const char *in_name_of; /* says that the page writes; NULL: it cannot be otherwise */
    int page_number;        /* … by its number, not by 1 */
    const char *once;       /* what VK knows doubles by */
} vk_methods[] = {
    { STR("message"), "messages.send", { "peer_id", NULL, NULL }, NULL, 0, "random_id" },
    { STR("reply"),
      "wall.createComment",
      { "owner_id", "post_id", "reply_to_comment" },
      "from_group",
      1,
      "guid" },
    { STR("post"), "wall.createComment", { "owner_id", "post_id", NULL }, "from_group", 1, "guid" },
    { STR("video"),
      "video.createComment",
      { "owner_id", "video_id", "reply_to_comment" },
      "from_group",
      0,
      "guid" },
    { STR("photo"),
      "photos.createComment",
      { "owner_id", "photo_id", "reply_to_comment" },
      "from_group",
      0,
      "guid" },
    { STR("market"),
      "market.createComment",
      { "owner_id", "item_id", "reply_to_comment" },
      "from_group",
      0,
      "guid" },
    { STR("board"),
      "board.createComment",
      { "group_id", "topic_id", NULL },
      "from_group",
      0,
      "guid" },
};

static int ask_vk(struct wire *w, struct parcel *p, const struct network *n,
                  const struct place *place, const char *token, struct str text)
{
    for (size_t i = 0; i < sizeof vk_methods / sizeof *vk_methods; i++) {
        if (!str_eq(place->what, vk_methods[i].what)) {
            continue;
        }
        struct arena *a = p->arena;
        char once[16], page[24];
        snprintf(once, sizeof once, "%" PRId32, small_id(p->id));
        snprintf(page, sizeof page, "%" PRId64, p->page_id);
        struct str body = add_field(a, STR("v=5.199"), "message", text);
        for (int k = 0; k < place->n; k++) {
            struct str id = place->ids[k];
            if (vk_methods[i].ids[k] == NULL) {
                continue;
            }
            if (strcmp(vk_methods[i].ids[k], "group_id") == 0 && id.n > 0 && id.p[0] == '-') {
                id = (struct str){ id.p + 1,
                                   id.n - 1 }; /* an owner's number is negative, a group's is not */
            }
            body = add_field(a, body, vk_methods[i].ids[k], id);
        }
        if (vk_methods[i].in_name_of != NULL) {
            body = add_field(a, body, vk_methods[i].in_name_of,
                             vk_methods[i].page_number ? str_of(page) : STR("1"));
        }
        body = add_field(a, body, vk_methods[i].once, str_of(once));
        body = add_field(a, body, "access_token", str_of(token));
        return post(w, p, arena_printf(a, "%s/method/%s", base_of(n), vk_methods[i].method), body,
                    "application/x-www-form-urlencoded");
    }
    return -1;
}

static void judge_vk(const struct parcel *p, yajl_val answer, struct parcel_result *out)
{
    enum { TOO_MANY = 6, FLOOD = 9, INTERNAL = 10 };
    (void)p;
    int64_t code = number_in(answer, "error", "error_code");
    const char *response[] = { "response", NULL };
    if (answer != NULL && yajl_tree_get(answer, response, yajl_t_any) != NULL) {
        out->fate = PARCEL_SENT;
    } else if (code == TOO_MANY || code == FLOOD) {
        out->fate = PARCEL_SLOWER;
        out->after_s = code == FLOOD ? 60 : 1;
    } else {
        out->fate = code == INTERNAL || code < 0 ? PARCEL_LATER : PARCEL_REFUSED;
    }
    snprintf(out->error, sizeof out->error, "VK says error %" PRId64, code);
}

/* ---- Telegram */

static int ask_telegram(struct wire *w, struct parcel *p, const struct network *n,
                        const struct place *place, const char *token, struct str text)
{
    struct str quoted = json_string(p->arena, text);
    if (place->n < 2 || !is_number(place->ids[0]) || !is_number(place->ids[1]) ||
        quoted.p == NULL) {
        return -1;
    }
    return post(
        w, p, arena_printf(p->arena, "%s/bot%s/sendMessage", base_of(n), token),
        arena_printf(p->arena,
                     "{\"chat_id\":%.*s,\"text\":%.*s,\"reply_parameters\":{\"message_id\":%.*s,"
                     "\"allow_sending_without_reply\":true},"
                     "\"link_preview_options\":{\"is_disabled\":true}}",
                     (int)place->ids[0].n, place->ids[0].p, (int)quoted.n, quoted.p,
                     (int)place->ids[1].n, place->ids[1].p),
        "application/json");
}

static void judge_telegram(const struct parcel *p, yajl_val answer, struct parcel_result *out)
{
    int64_t after = number_in(answer, "parameters", "retry_after");
    const char *ok[] = { "ok", NULL };
    if (answer != NULL && yajl_tree_get(answer, ok, yajl_t_true) != NULL) {
        out->fate = PARCEL_SENT;
    } else if (p->call.status == 429) {
        out->fate = PARCEL_SLOWER;
        out->after_s = after > 0 && after < 86400 ? (int)after : 30;
    } else {
        out->fate = p->call.status >= 400 && p->call.status < 500 ? PARCEL_REFUSED : PARCEL_LATER;
    }
    snprintf(out->error, sizeof out->error, "Telegram answers %ld", p->call.status);
}

/* ---- Одноклассники and MAX: a message belongs to a talk, which its own address does not tell */

static int ask_ok(struct wire *w, struct parcel *p, const struct network *n,
                  const struct place *place, const char *token, struct str text)
{
    (void)place;
    struct str quoted = json_string(p->arena, text), talk = json_string(p->arena, p->talk);
    char *chat = p->talk.n == 0 ? NULL : curl_easy_escape(NULL, p->talk.p, (int)p->talk.n);
    struct str key = add_field(p->arena, STR(""), "access_token", str_of(token));
    if (quoted.p == NULL || talk.p == NULL || chat == NULL || key.p == NULL) {
        curl_free(chat);
        return -1;
    }
    struct str url =
        arena_printf(p->arena, "%s/graph/me/messages/%s?%.*s", base_of(n), chat, (int)key.n, key.p);
    curl_free(chat);
    return post(w, p, url,
                arena_printf(p->arena,
                             "{\"recipient\":{\"chat_id\":%.*s},\"message\":{\"text\":%.*s}}",
                             (int)talk.n, talk.p, (int)quoted.n, quoted.p),
                "application/json;charset=utf-8");
}

static void judge_ok(const struct parcel *p, yajl_val answer, struct parcel_result *out)
{
    const char *success[] = { "success", NULL };
    int64_t code = number_in(answer, "error_code", NULL);
    if (answer != NULL && yajl_tree_get(answer, success, yajl_t_true) != NULL) {
        out->fate = PARCEL_SENT;
    } else if (p->call.status == 429 || code == 11) { /* 11: too many calls */
        out->fate = PARCEL_SLOWER;
        out->after_s = 60;
    } else {
        out->fate = p->call.status >= 500 || p->call.status == 0 || code == 1 || code == 2
                        ? PARCEL_LATER
                        : PARCEL_REFUSED;
    }
    snprintf(out->error, sizeof out->error, "OK answers %ld, error %" PRId64, p->call.status, code);
}

static int ask_max(struct wire *w, struct parcel *p, const struct network *n,
                   const struct place *place, const char *token, struct str text)
{
    struct str quoted = json_string(p->arena, text), mid = json_string(p->arena, place->ids[0]);
    char header[TOKEN_BYTES + 24];
    snprintf(header, sizeof header, "Authorization: %s", token);
    if (!is_number(p->talk) || quoted.p == NULL || mid.p == NULL) {
        return -1;
    }
    struct str url =
        arena_printf(p->arena, "%s/messages?chat_id=%.*s", base_of(n), (int)p->talk.n, p->talk.p);
    struct str body =
        arena_printf(p->arena,
                     "{\"text\":%.*s,\"link\":{\"type\":\"reply\",\"mid\":%.*s},\"notify\":true}",
                     (int)quoted.n, quoted.p, (int)mid.n, mid.p);
    return post(w, p, url, body, "application/json") == 0 ? add_header(p, header) : -1;
}

static void judge_max(const struct parcel *p, yajl_val answer, struct parcel_result *out)
{
    if (p->call.status == 200 && member(answer, yajl_t_object, "message", NULL) != NULL) {
        out->fate = PARCEL_SENT;
    } else if (p->call.status == 429) {
        out->fate = PARCEL_SLOWER;
        out->after_s = 5;
    } else {
        out->fate = p->call.status >= 400 && p->call.status < 500 ? PARCEL_REFUSED : PARCEL_LATER;
    }
    snprintf(out->error, sizeof out->error, "MAX answers %ld", p->call.status);
}

static const struct network networks[] = {
    { STR("vk"), "OTKLIK_VK_URL", "https://api.vk.com", 4096, SECOND / 20, ask_vk, judge_vk },
    { STR("telegram"), "OTKLIK_TELEGRAM_URL", "https://api.telegram.org", 4096, SECOND / 25,
      ask_telegram, judge_telegram },
    { STR("ok"), "OTKLIK_OK_URL", "https://api.ok.ru", 4000, SECOND / 10, ask_ok, judge_ok },
    { STR("max"), "OTKLIK_MAX_URL", "https://platform-api.max.ru", 4000, SECOND / 25, ask_max,
      judge_max },
};

static const struct network *find_network(struct str channel)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        if (str_eq(networks[i].channel, channel)) {
            return &networks[i];
        }
    }
    return NULL;
}

int64_t network_pause(struct str channel)
{
    const struct network *n = find_network(channel);
    return n == NULL ? 0 : n->pause_us;
}

int network_configure(void)
{
    tokens = getenv("OTKLIK_TOKENS");
    if (tokens == NULL || *tokens == '\0') {
        tokens = getenv("CREDENTIALS_DIRECTORY"); /* systemd's */
    }
    if (tokens != NULL && strlen(tokens) > PATH_BYTES / 2) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_TOKENS is too long");
        return -1;
    }
    return 0;
}

/* Visible ASCII in one line, or it is none: it goes into a header. */
static int read_token(const struct parcel *p, char out[TOKEN_BYTES])
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/%.*s-%.*s", tokens == NULL ? "" : tokens,
                     (int)p->channel.n, p->channel.p, (int)p->account.n, p->account.p);
    FILE *file = tokens == NULL || n < 0 || (size_t)n >= sizeof path ? NULL : fopen(path, "re");
    if (file == NULL) {
        return -1;
    }
    out[fread(out, 1, TOKEN_BYTES - 1, file)] = '\0';
    fclose(file);
    out[strcspn(out, "\r\n")] = '\0';
    for (const char *c = out; *c != '\0'; c++) {
        if (*c <= ' ' || *c >= 0x7f) {
            return -1;
        }
    }
    return out[0] == '\0' ? -1 : 0;
}

int network_address(struct wire *w, struct parcel *p, struct parcel_result *why)
{
    const struct network *n = find_network(p->channel);
    struct place place;
    char token[TOKEN_BYTES];
    why->fate = PARCEL_LATER;
    if (n == NULL || read_place(p->address, &place) != 0) {
        why->fate = PARCEL_REFUSED;
        snprintf(why->error, sizeof why->error, "no address that can be answered");
        return -1;
    }
    if (read_token(p, token) != 0) {
        snprintf(why->error, sizeof why->error, "no token of the account %.*s-%.*s",
                 (int)p->channel.n, p->channel.p, (int)p->account.n, p->account.p);
        return -1;
    }
    struct str text = notice_message(p->arena, &p->notice, n->most);
    if (text.p == NULL || n->ask(w, p, n, &place, token, text) != 0) {
        snprintf(why->error, sizeof why->error, "the message could not be made");
        return -1;
    }
    return 0;
}

void network_judge(const struct parcel *p, struct parcel_result *out)
{
    if (p->call.code != CURLE_OK) {
        out->fate = PARCEL_LATER;
        snprintf(out->error, sizeof out->error, "%s", curl_easy_strerror(p->call.code));
        return;
    }
    yajl_val answer = yajl_tree_parse(p->call.answer, NULL, 0);
    find_network(p->channel)->judge(p, answer, out);
    yajl_tree_free(answer);
}
