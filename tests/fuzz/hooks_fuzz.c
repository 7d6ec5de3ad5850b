// Events of networks under any bytes: what comes out can be stored, and comes out the same again.
// sources: services/intake/hook_parse.c services/intake/relevance.c services/common/arena.c
// sources: services/common/utf8.c services/common/ids.c
// libs: -lyajl -lcrypto -luuid -lm
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fields.h"
#include "hook_parse.h"
#include "relevance.h"

enum { ARENA_BYTES = 8 * 1024 * 1024, SHORT_OF_MEMORY = 4 };

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "not so: %s\n", what);
        abort();
    }
}

/* What the database takes as text. */
static int is_text(struct str s)
{
    return s.p != NULL && utf8_valid(s, &(size_t){ 0 });
}

/* No control characters but line ends and tabs. */
static int is_tidy(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            return 0;
        }
    }
    return s.n == 0 || (strchr(" \n\t", s.p[0]) == NULL && strchr(" \n\t", s.p[s.n - 1]) == NULL);
}

static void check_hook(enum hook_network network, enum otk_err err, const struct hook *h)
{
    check(err == OTK_OK || err == OTK_INVALID || err == OTK_MALFORMED, "it is told what it is");
    check(is_text(h->event_id) && h->event_id.n > 0 && h->event_id.n <= 160, "it has an id");
    check((err == OTK_OK) == (h->error.p == NULL), "an error has a text");
    check(h->error.p == NULL || is_text(h->error), "which can be stored");
    if (err == OTK_MALFORMED) {
        check(h->secret.p == NULL && h->act == HOOK_NOTHING, "of what is unread nothing is told");
        return;
    }
    check(is_text(h->text) && is_tidy(h->text), "the text can be stored");
    check(is_text(h->address) && h->address.n < 200, "the address can be stored");
    check(is_text(h->type), "the kind is text");
    check((h->act == HOOK_NOTHING) <= (h->reason != NULL), "nothing has a reason");
    check(network == HOOK_VK || (h->secret.p == NULL && h->act != HOOK_CONFIRMATION),
          "only VK shows secrets");
    check(!h->has_point || (fabs(h->lat) <= 90 && fabs(h->lon) <= 180), "a place is on the earth");
    if (err == OTK_OK && h->act != HOOK_NOTHING && h->act != HOOK_CONFIRMATION) {
        check(h->address.n > 0, "a message has an address");
    }
    check(h->text.n > 0 || relevance_reason(h->text) != NULL, "no text is no appeal");
    relevance_reason(h->text);
}

static struct arena *new_arena(int flags, size_t size)
{
    return arena_new((flags & SHORT_OF_MEMORY) != 0 ? 1024 + size % 4096 : ARENA_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    int flags = data[0];
    enum hook_network network = (enum hook_network)(flags & 3);
    /* In memory of its own, so that a read behind its end is seen. */
    char *copy = malloc(size);
    struct arena *a = new_arena(flags, size), *b = new_arena(flags, size);
    check(copy != NULL && a != NULL && b != NULL, "there is memory");
    memcpy(copy, data + 1, size - 1);
    struct str body = { copy, size - 1 };
    struct hook first, second;
    enum otk_err err = hook_parse(a, network, body, &first);
    check(memcmp(copy, data + 1, size - 1) == 0, "the body is left as it is");
    check(hook_parse(b, network, body, &second) == err, "it is the same again");
    if (err != OTK_INTERNAL) {
        check_hook(network, err, &first);
        check(str_eq(first.event_id, second.event_id) && str_eq(first.text, second.text) &&
                  str_eq(first.address, second.address),
              "it says the same again");
    } else {
        check((flags & SHORT_OF_MEMORY) != 0, "there is enough memory");
    }
    arena_free(a);
    arena_free(b);
    free(copy);
    return 0;
}
