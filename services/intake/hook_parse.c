/* Events of social networks and messengers: bytes in, a small struct out.
 *
 * yajl walks through the body once; a table a network says which members matter, and everything
 * else is passed over without being kept. Networks add members and kinds of events all the time, so
 * what is unknown is no error; what is known and has another form is one. Ids pass 2^53, so numbers
 * are taken as the text they are. */
#include "hook_parse.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "fields.h"
#include "ids.h"

enum {
    DEPTH_MAX = 64,
    PATH_BYTES = 128,    /* longer than any path of a table: such a member is passed over */
    EVENT_ID_MAX = 160,  /* bytes; a longer one is replaced by its digest */
    ADDRESS_MAX = 200,   /* bytes */
    DIGEST_TEXT = 2 + 64 /* "\x…" */
};

const char *const hook_names[HOOK_NETWORKS] = { "vk", "telegram", "ok", "max" };

/* What is taken out of an event. */
enum slot {
    S_TYPE,
    S_SECRET,
    S_EVENT,
    S_PAGE,
    S_ID,
    S_TALK_ID, /* VK: of a message within its conversation */
    S_MID,     /* OK, MAX: of a message */
    S_FROM,
    S_OWNER,
    S_WALL,   /* VK: owner_id, where nothing names the owner better */
    S_PARENT, /* post, video, photo, topic or product that is commented on */
    S_PEER,
    S_PEER_KIND,
    S_OUT,
    S_BOT,
    S_SENDER_CHAT,
    S_FORWARD,
    S_TEXT,
    S_CAPTION,
    S_TIME,
    S_LAT,
    S_LON,
    SLOTS
};

enum form { F_TEXT, F_ID, F_REAL, F_FLAG };

static const struct {
    const char *name; /* for messages */
    enum form form;
} slots[SLOTS] = {
    [S_TYPE] = { "type", F_TEXT },
    [S_SECRET] = { "secret", F_TEXT },
    [S_EVENT] = { "event id", F_TEXT },
    [S_PAGE] = { "group_id", F_ID },
    [S_ID] = { "id", F_ID },
    [S_TALK_ID] = { "conversation_message_id", F_ID },
    [S_MID] = { "mid", F_TEXT },
    [S_FROM] = { "author", F_TEXT },
    [S_OWNER] = { "owner", F_ID },
    [S_WALL] = { "owner_id", F_ID },
    [S_PARENT] = { "id of what is commented on", F_ID },
    [S_PEER] = { "chat", F_TEXT },
    [S_PEER_KIND] = { "kind of chat", F_TEXT },
    [S_OUT] = { "out", F_FLAG },
    [S_BOT] = { "is_bot", F_FLAG },
    [S_SENDER_CHAT] = { "sender_chat", F_ID },
    [S_FORWARD] = { "is_automatic_forward", F_FLAG },
    [S_TEXT] = { "text", F_TEXT },
    [S_CAPTION] = { "caption", F_TEXT },
    [S_TIME] = { "timestamp", F_ID },
    [S_LAT] = { "latitude", F_REAL },
    [S_LON] = { "longitude", F_REAL },
};

struct member {
    const char *path;
    enum slot slot;
};

/* An array on the way ends it: attachments and forwarded messages are not what somebody wrote. */
static const struct member vk_members[] = {
    { "type", S_TYPE },
    { "secret", S_SECRET },
    { "event_id", S_EVENT },
    { "group_id", S_PAGE },
    { "object.id", S_ID },
    { "object.message.id", S_ID },
    { "object.conversation_message_id", S_TALK_ID },
    { "object.message.conversation_message_id", S_TALK_ID },
    { "object.from_id", S_FROM },
    { "object.message.from_id", S_FROM },
    { "object.owner_id", S_WALL },
    { "object.post_owner_id", S_OWNER },
    { "object.video_owner_id", S_OWNER },
    { "object.photo_owner_id", S_OWNER },
    { "object.market_owner_id", S_OWNER },
    { "object.topic_owner_id", S_OWNER },
    { "object.post_id", S_PARENT },
    { "object.video_id", S_PARENT },
    { "object.photo_id", S_PARENT },
    { "object.item_id", S_PARENT },
    { "object.topic_id", S_PARENT },
    { "object.peer_id", S_PEER },
    { "object.message.peer_id", S_PEER },
    { "object.out", S_OUT },
    { "object.message.out", S_OUT },
    { "object.text", S_TEXT },
    { "object.message.text", S_TEXT },
    { "object.message.geo.coordinates.latitude", S_LAT },
    { "object.message.geo.coordinates.longitude", S_LON },
    { NULL, SLOTS },
};

/* "*" stands for the kinds below. */
static const struct member telegram_members[] = {
    { "update_id", S_EVENT },
    { "*.message_id", S_ID },
    { "*.chat.id", S_PEER },
    { "*.chat.type", S_PEER_KIND },
    { "*.from.is_bot", S_BOT },
    { "*.sender_chat.id", S_SENDER_CHAT },
    { "*.is_automatic_forward", S_FORWARD },
    { "*.text", S_TEXT },
    { "*.caption", S_CAPTION },
    { "*.location.latitude", S_LAT },
    { "*.location.longitude", S_LON },
    { NULL, SLOTS },
};

static const struct member ok_members[] = {
    { "webhookType", S_TYPE },  { "timestamp", S_TIME },         { "message.mid", S_MID },
    { "message.text", S_TEXT }, { "recipient.chat_id", S_PEER }, { NULL, SLOTS },
};

static const struct member max_members[] = {
    { "update_type", S_TYPE },
    { "timestamp", S_TIME },
    { "message_id", S_MID },
    { "message.body.mid", S_MID },
    { "message.body.text", S_TEXT },
    { "message.recipient.chat_id", S_PEER },
    { "message.sender.is_bot", S_BOT },
    { NULL, SLOTS },
};

static const struct member *const members[HOOK_NETWORKS] = {
    [HOOK_VK] = vk_members,
    [HOOK_TELEGRAM] = telegram_members,
    [HOOK_OK] = ok_members,
    [HOOK_MAX] = max_members,
};

/* Members of an update of Telegram that hold a message. */
static const struct {
    const char *name;
    enum hook_act act;
} telegram_kinds[] = {
    { "message", HOOK_NEW },
    { "edited_message", HOOK_EDIT },
    { "channel_post", HOOK_NEW },
    { "edited_channel_post", HOOK_EDIT },
};
enum { TELEGRAM_KINDS = sizeof telegram_kinds / sizeof *telegram_kinds };

enum is { IS_ABSENT, IS_STRING, IS_NUMBER, IS_FLAG, IS_OTHER };

struct cell {
    enum is is;
    struct str text; /* IS_FLAG: "1" or "0" */
};

struct reader {
    struct arena *arena;
    enum hook_network network;
    char path[PATH_BYTES];
    size_t path_length;         /* of the member being read; PATH_BYTES: it is none of ours */
    size_t ends[DEPTH_MAX + 1]; /* the same of what we are in, at each depth */
    unsigned char lists[DEPTH_MAX + 1]; /* that is an array */
    int depth;
    int too_deep, no_object, no_memory;
    struct cell cells[SLOTS];
    int kind; /* of telegram_kinds; -1 */
};

/* ---- reading */

static void put(struct reader *r, enum is is, struct str text)
{
    if (r->depth == 0) {
        r->no_object = 1;
        return;
    }
    if (r->lists[r->depth] || r->path_length >= PATH_BYTES) {
        return;
    }
    for (const struct member *m = members[r->network]; m->path != NULL; m++) {
        if (!str_eq((struct str){ r->path, r->path_length }, str_of(m->path))) {
            continue;
        }
        struct str copy = arena_dup(r->arena, text);
        r->no_memory |= copy.p == NULL;
        r->cells[m->slot] = (struct cell){ copy.p == NULL ? IS_ABSENT : is, copy };
    }
}

static int go_on(const struct reader *r)
{
    return !r->too_deep && !r->no_object && !r->no_memory;
}

static int on_null(void *data)
{
    struct reader *r = data;
    r->no_object |= r->depth == 0;
    return go_on(r);
}

static int on_boolean(void *data, int value)
{
    put(data, IS_FLAG, value ? STR("1") : STR("0"));
    return go_on(data);
}

static int on_number(void *data, const char *p, size_t n)
{
    put(data, IS_NUMBER, (struct str){ p, n });
    return go_on(data);
}

static int on_string(void *data, const unsigned char *p, size_t n)
{
    put(data, IS_STRING, (struct str){ (const char *)p, n });
    return go_on(data);
}

/* 1 when the member that has just been named is one of Telegram's kinds of messages. */
static int telegram_kind(struct reader *r, struct str name)
{
    for (int i = 0; r->network == HOOK_TELEGRAM && r->depth == 1 && i < TELEGRAM_KINDS; i++) {
        if (str_eq(name, str_of(telegram_kinds[i].name))) {
            r->kind = i;
            return 1;
        }
    }
    return 0;
}

static int on_key(void *data, const unsigned char *p, size_t n)
{
    struct reader *r = data;
    struct str name = { (const char *)p, n };
    size_t base = r->ends[r->depth];
    /* A dot in a name would make it another path. */
    if (base >= PATH_BYTES || n >= PATH_BYTES - base - 1 || n == 0 || memchr(p, '.', n) != NULL ||
        memchr(p, '*', n) != NULL) {
        r->path_length = PATH_BYTES;
        return 1;
    }
    if (telegram_kind(r, name)) {
        name = STR("*");
    }
    r->path_length = base;
    if (base > 0) {
        r->path[r->path_length++] = '.';
    }
    memcpy(r->path + r->path_length, name.p, name.n);
    r->path_length += name.n;
    return 1;
}

static int enter(struct reader *r, int is_list)
{
    if (r->depth == 0 && is_list) {
        r->no_object = 1;
        return 0;
    }
    if (r->depth == DEPTH_MAX) {
        r->too_deep = 1;
        return 0;
    }
    int inside_list = r->lists[r->depth];
    if (r->depth > 0 && !inside_list) {
        put(r, IS_OTHER, STR(""));
    }
    size_t end = is_list || inside_list ? PATH_BYTES : r->path_length;
    r->depth++;
    r->lists[r->depth] = (unsigned char)is_list;
    r->ends[r->depth] = end;
    return go_on(r);
}

static int on_object(void *data)
{
    return enter(data, 0);
}

static int on_array(void *data)
{
    return enter(data, 1);
}

static int on_end(void *data)
{
    struct reader *r = data;
    r->depth--;
    return 1;
}

static const yajl_callbacks callbacks = { .yajl_null = on_null,
                                          .yajl_boolean = on_boolean,
                                          .yajl_number = on_number,
                                          .yajl_string = on_string,
                                          .yajl_start_map = on_object,
                                          .yajl_map_key = on_key,
                                          .yajl_end_map = on_end,
                                          .yajl_start_array = on_array,
                                          .yajl_end_array = on_end };

/* NULL, or why BODY is no JSON object. */
static const char *read_body(struct reader *r, struct str body)
{
    if (body.n >= 3 && memcmp(body.p, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark */
        body = (struct str){ body.p + 3, body.n - 3 };
    }
    size_t at;
    if (!utf8_valid(body, &at)) {
        return "it is not UTF-8, or holds NUL";
    }
    yajl_handle y = yajl_alloc(&callbacks, NULL, r);
    if (y == NULL) {
        r->no_memory = 1;
        return "memory is out";
    }
    yajl_status status = yajl_parse(y, (const unsigned char *)body.p, body.n);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(y);
    }
    yajl_free(y);
    if (r->too_deep) {
        return "it is nested deeper than 64 levels";
    }
    return status == yajl_status_ok && !r->no_object ? NULL : "it is no JSON object";
}

/* ---- values */

/* A whole number of 64 bits in its decimal form, from a number or a string. */
static int whole(struct str s, int64_t *out)
{
    size_t digits = s.n - (s.n > 0 && s.p[0] == '-');
    if (digits < 1 || digits > 19) {
        return 0;
    }
    for (size_t i = s.n - digits; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return 0;
        }
    }
    errno = 0;
    *out = strtoll(s.p, NULL, 10); /* arena_dup ends it with NUL */
    return errno == 0;
}

static int real(struct str s, double *out)
{
    char *end;
    *out = strtod(s.p, &end);
    return s.n > 0 && end == s.p + s.n && isfinite(*out);
}

static int fits(enum slot slot, const struct cell *c)
{
    switch (slots[slot].form) {
    case F_TEXT:
        return c->is == IS_STRING || (c->is == IS_NUMBER && slot != S_TEXT && slot != S_CAPTION &&
                                      whole(c->text, &(int64_t){ 0 }));
    case F_ID:
        return (c->is == IS_NUMBER || c->is == IS_STRING) && whole(c->text, &(int64_t){ 0 });
    case F_REAL:
        return c->is == IS_NUMBER && real(c->text, &(double){ 0 });
    case F_FLAG:
        return c->is == IS_FLAG ||
               (c->is == IS_NUMBER && (str_eq(c->text, STR("0")) || str_eq(c->text, STR("1"))));
    }
    return 0;
}

static int given(const struct reader *r, enum slot s)
{
    return r->cells[s].is != IS_ABSENT;
}

static struct str text_of(const struct reader *r, enum slot s)
{
    return given(r, s) ? r->cells[s].text : (struct str){ NULL, 0 };
}

static int flag(const struct reader *r, enum slot s)
{
    return str_eq(text_of(r, s), STR("1"));
}

static int64_t number(const struct reader *r, enum slot s)
{
    int64_t n = 0;
    return given(r, s) && whole(r->cells[s].text, &n) ? n : 0;
}

/* Makes TEXT what the register takes, in place: controls become blanks (escapes may hold any, NUL
 * included), halves of surrogate pairs U+FFFD, and what is around goes. */
static struct str tidy(struct str s)
{
    char *p = (char *)s.p;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            p[i] = ' ';
        } else if (c == 0xC2 && i + 1 < s.n && (unsigned char)p[i + 1] < 0xA0) { /* C1 controls */
            p[i] = p[i + 1] = ' ';
        } else if (c == 0xED && i + 2 < s.n && (unsigned char)p[i + 1] >= 0xA0) {
            p[i] = (char)0xEF;
            p[i + 1] = (char)0xBF;
            p[i + 2] = (char)0xBD;
        }
    }
    while (s.n > 0 && strchr(" \n\t", s.p[0]) != NULL) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && strchr(" \n\t", s.p[s.n - 1]) != NULL) {
        s.n--;
    }
    return s;
}

/* ---- what it means */

/* The place of an event in a network: which ids are needed is said by who asks. */
static struct str address(struct reader *r, const char *what, const enum slot *ids, size_t n)
{
    char text[ADDRESS_MAX];
    int length = snprintf(text, sizeof text, "%s", what);
    for (size_t i = 0; i < n; i++) {
        struct str id = text_of(r, ids[i]);
        if (id.n == 0 || id.n > ADDRESS_MAX || length >= ADDRESS_MAX) {
            return (struct str){ NULL, 0 };
        }
        length += snprintf(text + length, sizeof text - (size_t)length, ":%.*s", (int)id.n, id.p);
    }
    if (length >= ADDRESS_MAX) {
        return (struct str){ NULL, 0 };
    }
    struct str copy = arena_dup(r->arena, (struct str){ text, (size_t)length });
    r->no_memory |= copy.p == NULL;
    return copy;
}

static const struct {
    const char *prefix, *what;
} vk_comments[] = {
    { "wall_reply_", "reply" },      { "video_comment_", "video" }, { "photo_comment_", "photo" },
    { "market_comment_", "market" }, { "board_post_", "board" },
};

static const struct {
    const char *name;
    enum hook_act act;
} vk_acts[] = {
    { "new", HOOK_NEW },
    { "edit", HOOK_EDIT },
    { "delete", HOOK_DELETE },
    { "restore", HOOK_RESTORE },
};

static enum hook_act vk_act(struct str name)
{
    for (size_t i = 0; i < sizeof vk_acts / sizeof *vk_acts; i++) {
        if (str_eq(name, str_of(vk_acts[i].name))) {
            return vk_acts[i].act;
        }
    }
    return HOOK_NOTHING;
}

static void vk_comment(struct reader *r, struct hook *h)
{
    for (size_t i = 0; i < sizeof vk_comments / sizeof *vk_comments; i++) {
        size_t n = strlen(vk_comments[i].prefix);
        if (h->type.n <= n || memcmp(h->type.p, vk_comments[i].prefix, n) != 0) {
            continue;
        }
        h->act = vk_act((struct str){ h->type.p + n, h->type.n - n });
        /* A deletion names the owner differently. */
        enum slot owner = given(r, S_OWNER) ? S_OWNER : S_WALL;
        const enum slot ids[] = { owner, S_PARENT, S_ID };
        if (h->act != HOOK_NOTHING) {
            h->address = address(r, vk_comments[i].what, ids, 3);
        }
    }
}

static void vk_message(struct reader *r, struct hook *h)
{
    static const struct {
        const char *type;
        enum hook_act act;
    } types[] = {
        { "message_new", HOOK_NEW },
        { "message_edit", HOOK_EDIT },
        { "message_reply", HOOK_NEW }, /* we wrote it */
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (str_eq(h->type, str_of(types[i].type))) {
            const enum slot ids[] = { S_PEER, given(r, S_TALK_ID) ? S_TALK_ID : S_ID };
            h->act = types[i].act;
            h->address = address(r, "message", ids, 2);
        }
    }
}

static int vk_own(const struct reader *r, const struct hook *h)
{
    int64_t from = number(r, S_FROM);
    return flag(r, S_OUT) || str_eq(h->type, STR("message_reply")) ||
           (from < 0 &&
            (from == -h->page || from == number(r, S_OWNER) || from == number(r, S_WALL)));
}

static void mean_vk(struct reader *r, struct hook *h)
{
    h->page = number(r, S_PAGE);
    h->secret = text_of(r, S_SECRET);
    h->event_id = text_of(r, S_EVENT);
    if (str_eq(h->type, STR("confirmation"))) {
        h->act = HOOK_CONFIRMATION;
        return;
    }
    vk_comment(r, h);
    vk_message(r, h);
    if (str_eq(h->type, STR("wall_post_new"))) {
        const enum slot ids[] = { given(r, S_WALL) ? S_WALL : S_OWNER, S_ID };
        h->act = HOOK_NEW;
        h->address = address(r, "post", ids, 2);
    }
    if (h->act == HOOK_NEW || h->act == HOOK_EDIT || h->act == HOOK_RESTORE) {
        h->reason = vk_own(r, h) ? "own" : NULL;
    }
}

static void mean_telegram(struct reader *r, struct hook *h)
{
    static const enum slot ids[] = { S_PEER, S_ID };
    struct str update = text_of(r, S_EVENT);
    if (update.n > 0) {
        h->event_id = arena_printf(r->arena, "update:%.*s", (int)update.n, update.p);
        r->no_memory |= h->event_id.p == NULL;
    }
    if (r->kind < 0) {
        return;
    }
    h->type = str_of(telegram_kinds[r->kind].name);
    h->act = telegram_kinds[r->kind].act;
    h->address = address(r, "message", ids, 2);
    /* A post of the channel, its copy in the group of its comments, or the group itself. */
    int ours = str_eq(text_of(r, S_PEER_KIND), STR("channel")) || flag(r, S_FORWARD) ||
               (given(r, S_SENDER_CHAT) && str_eq(text_of(r, S_SENDER_CHAT), text_of(r, S_PEER)));
    h->reason = ours ? "own" : flag(r, S_BOT) ? "bot" : NULL;
}

/* OK and MAX number messages alike, and say again and again of one message that it was edited. */
static void mean_mid(struct reader *r, struct hook *h, const char *const types[3])
{
    static const enum slot ids[] = { S_MID };
    static const enum hook_act acts[] = { HOOK_NEW, HOOK_EDIT, HOOK_DELETE };
    struct str mid = text_of(r, S_MID), time = text_of(r, S_TIME);
    for (int i = 0; i < 3; i++) {
        if (str_eq(h->type, str_of(types[i]))) {
            h->act = acts[i];
            h->address = address(r, "message", ids, 1);
        }
    }
    if (mid.n > 0 && mid.n <= EVENT_ID_MAX && h->type.n <= EVENT_ID_MAX) {
        h->event_id =
            arena_printf(r->arena, "%.*s:%.*s%s%.*s", (int)h->type.n, h->type.p, (int)mid.n, mid.p,
                         h->act == HOOK_NEW ? "" : ":", h->act == HOOK_NEW ? 0 : (int)time.n,
                         time.p == NULL ? "" : time.p);
        r->no_memory |= h->event_id.p == NULL;
    }
    h->reason = flag(r, S_BOT) ? "bot" : NULL;
}

static void mean_ok(struct reader *r, struct hook *h)
{
    static const char *const types[] = { "MESSAGE_CREATED", "MESSAGE_EDITED", "MESSAGE_REMOVED" };
    mean_mid(r, h, types);
}

static void mean_max(struct reader *r, struct hook *h)
{
    static const char *const types[] = { "message_created", "message_edited", "message_removed" };
    mean_mid(r, h, types);
}

static void (*const mean[HOOK_NETWORKS])(struct reader *r, struct hook *h) = {
    [HOOK_VK] = mean_vk,
    [HOOK_TELEGRAM] = mean_telegram,
    [HOOK_OK] = mean_ok,
    [HOOK_MAX] = mean_max,
};

/* A place is worth having, never worth an error. */
static void take_point(const struct reader *r, struct hook *h)
{
    if (given(r, S_LAT) && given(r, S_LON) && real(r->cells[S_LAT].text, &h->lat) &&
        real(r->cells[S_LON].text, &h->lon)) {
        h->has_point = fabs(h->lat) <= 90 && fabs(h->lon) <= 180;
    }
}

/* Without an id of the network's own, the same bytes are the same event. */
static int put_event_id(struct arena *a, struct str body, struct hook *h)
{
    if (h->event_id.n > 0 && h->event_id.n <= EVENT_ID_MAX) {
        h->event_id = tidy(h->event_id);
        if (h->event_id.n > 0) {
            return 0;
        }
    }
    char digest[DIGEST_TEXT + 1];
    sha256_bytea(body, digest);
    h->event_id = arena_printf(a, "sha256:%s", digest + 2);
    return h->event_id.p == NULL ? -1 : 0;
}

/* Cells of a wrong form; the first is told. */
static struct str wrong_cell(struct reader *r)
{
    for (int i = 0; i < SLOTS; i++) {
        if (given(r, i) && !fits(i, &r->cells[i])) {
            r->cells[i].is = IS_ABSENT;
            if (slots[i].form != F_REAL && i != S_TIME) {
                return arena_printf(r->arena, "%s has another form than it should", slots[i].name);
            }
        }
    }
    return (struct str){ NULL, 0 };
}

enum otk_err hook_parse(struct arena *a, enum hook_network network, struct str body,
                        struct hook *out)
{
    struct reader *r = arena_zero(a, sizeof *r);
    *out = (struct hook){
        .type = STR(""), .event_id = STR(""), .address = STR(""), .talk = STR(""), .text = STR("")
    };
    if (r == NULL) {
        return OTK_INTERNAL;
    }
    r->arena = a;
    r->network = network;
    r->kind = -1;
    const char *broken = read_body(r, body);
    if (broken != NULL) {
        out->error = str_of(broken);
        return r->no_memory || put_event_id(a, body, out) != 0 ? OTK_INTERNAL : OTK_MALFORMED;
    }
    while (1) { /* until the rest is as it should be: who sent it can be told from the good part */
        struct str wrong = wrong_cell(r);
        if (wrong.p == NULL) {
            break;
        }
        out->error = wrong;
    }
    out->type = given(r, S_TYPE) ? tidy(text_of(r, S_TYPE)) : STR("");
    mean[network](r, out);
    take_point(r, out);
    out->text = given(r, S_TEXT)      ? tidy(text_of(r, S_TEXT))
                : given(r, S_CAPTION) ? tidy(text_of(r, S_CAPTION))
                                      : STR("");
    if (out->act == HOOK_NOTHING) {
        out->reason = "not_a_message";
    } else if (out->act != HOOK_CONFIRMATION && out->address.n == 0 && out->error.p == NULL) {
        out->error = STR("an id of the message is missing or too long");
    }
    out->address = out->address.n > 0 ? tidy(out->address) : STR("");
    if ((network == HOOK_OK || network == HOOK_MAX) && given(r, S_PEER) &&
        text_of(r, S_PEER).n < ADDRESS_MAX) {
        out->talk = tidy(text_of(r, S_PEER));
    }
    if (put_event_id(a, body, out) != 0 || r->no_memory) {
        return OTK_INTERNAL;
    }
    return out->error.p != NULL ? OTK_INVALID : OTK_OK;
}
