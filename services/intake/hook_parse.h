/* Events of social networks and messengers: bytes in, a small struct out. No sockets, no database.
 */
#ifndef HOOK_PARSE_H
#define HOOK_PARSE_H

#include "arena.h"
#include "otklik.h"

enum hook_network { HOOK_VK, HOOK_TELEGRAM, HOOK_OK, HOOK_MAX, HOOK_NETWORKS };

/* "vk": what a network is called in addresses and in appeal.channel. */
extern const char *const hook_names[HOOK_NETWORKS];

enum hook_act {
    HOOK_NOTHING,      /* nobody wrote anything */
    HOOK_CONFIRMATION, /* VK asks whether the address is ours */
    HOOK_NEW,
    HOOK_EDIT,
    HOOK_DELETE,
    HOOK_RESTORE
};

struct hook {
    enum hook_act act;
    const char *reason;  /* why it can be no appeal whatever it says; NULL: it can */
    struct str type;     /* as the network calls it */
    struct str event_id; /* the same for repeats of an event; never empty */
    struct str address; /* of the message within its network, ids as decimal text; empty: of none */
    struct str
        talk; /* OK, MAX: the chat it stands in, which the address does not say; empty: none */
    struct str text;   /* valid UTF-8, no control characters but \n and \t, no blanks around */
    struct str secret; /* VK; .p NULL: none */
    int64_t page;      /* VK: group_id; 0: none */
    int has_point;
    double lat, lon;  /* degrees, WGS 84 */
    struct str error; /* OTK_MALFORMED, OTK_INVALID: what is wrong, in English, for the staff */
};

/* Reads BODY. OTK_OK; OTK_MALFORMED: it is no JSON object; OTK_INVALID: it is one, but ids or texts
 * are none; OTK_INTERNAL: memory is out. After MALFORMED and INVALID, event_id and error are set;
 * after INVALID type, secret and page, too. OUT points into ARENA. */
enum otk_err hook_parse(struct arena *a, enum hook_network network, struct str body,
                        struct hook *out);

#endif
