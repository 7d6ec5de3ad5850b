/* An e-mail as bytes: RFC 5322 headers, words in other scripts by RFC 2047, both bodies in base 64,
 * so that no line is long, none begins with a dot, and nothing that somebody wrote is ever a
 * header. */
#include "letter.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <time.h>

enum {
    ADDRESS_MAX = 254,
    WORD_BYTES =
        42, /* of text in an encoded word: 56 letters of base 64, 68 with what stands around */
    LINE_BYTES = 57, /* of a body in a line of 76 */
    URL_MAX = 900    /* a header's line may have 998 */
};

/* A buffer in an arena, sized before it is written. */
struct out {
    char *p;
    size_t n, size;
};

static void put(struct out *o, struct str s)
{
    if (o->n + s.n <= o->size) {
        memcpy(o->p + o->n, s.p, s.n);
        o->n += s.n;
    }
}

static void put_base64(struct out *o, struct str s)
{
    if (o->n + (s.n + 2) / 3 * 4 + 1 <= o->size) { /* it writes a NUL, too */
        o->n += (size_t)EVP_EncodeBlock((unsigned char *)o->p + o->n, (const unsigned char *)s.p,
                                        (int)s.n);
    }
}

int letter_address_good(struct str address)
{
    const char *at = address.n == 0 ? NULL : memchr(address.p, '@', address.n);
    if (at == NULL || at == address.p || at + 1 == address.p + address.n ||
        address.n > ADDRESS_MAX) {
        return 0;
    }
    for (size_t i = 0; i < address.n; i++) {
        unsigned char c = (unsigned char)address.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("<>()[]\\,;:\"", c) != NULL) {
            return 0;
        }
    }
    return memchr(at + 1, '@', address.n - (size_t)(at + 1 - address.p)) == NULL;
}

/* How many bytes of S fit into MOST without cutting a character. */
static size_t whole_characters(struct str s, size_t most)
{
    if (s.n <= most) {
        return s.n;
    }
    while (most > 0 && ((unsigned char)s.p[most] & 0xc0) == 0x80) {
        most--;
    }
    return most;
}

/* S as encoded words, folded; even what is plain: then it can neither end the header nor look like
 * an encoded word itself. */
static void put_words(struct out *o, struct str s)
{
    for (int first = 1; s.n > 0 || first; first = 0) {
        size_t n = whole_characters(s, WORD_BYTES);
        n = n == 0 && s.n > 0 ? s.n < WORD_BYTES ? s.n : WORD_BYTES : n;
        put(o, first ? STR("=?UTF-8?B?") : STR("\r\n =?UTF-8?B?"));
        put_base64(o, (struct str){ s.p, n });
        put(o, STR("?="));
        s = (struct str){ s.p + n, s.n - n };
    }
}

static void put_part(struct out *o, struct str boundary, struct str type, struct str body)
{
    put(o, STR("--"));
    put(o, boundary);
    put(o, STR("\r\nContent-Type: "));
    put(o, type);
    put(o, STR("; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"));
    for (size_t at = 0; at < body.n; at += LINE_BYTES) {
        size_t n = body.n - at < LINE_BYTES ? body.n - at : LINE_BYTES;
        put_base64(o, (struct str){ body.p + at, n });
        put(o, STR("\r\n"));
    }
}

static void put_header(struct out *o, struct str name, struct str value)
{
    put(o, name);
    put(o, value);
    put(o, STR("\r\n"));
}

/* Visible ASCII only: what would break a header is not a URL or an id of ours. */
static int is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '<' || s.p[i] == '>') {
            return 0;
        }
    }
    return s.n <= URL_MAX;
}

static size_t size_of(const struct letter *l)
{
    size_t words = l->subject.n + l->from_name.n, bodies = l->plain.n + l->html.n;
    return 2048 + words * 3 + bodies * 3 / 2 + l->from.n * 2 + l->to.n * 2 + l->stop_url.n * 2 +
           l->message_id.n * 2;
}

struct str letter_make(struct arena *a, const struct letter *l)
{
    const struct str none = { NULL, 0 };
    struct tm tm;
    char date[48];
    time_t at = (time_t)l->date;
    if (!letter_address_good(l->from) || !letter_address_good(l->to) || !is_plain(l->message_id) ||
        !is_plain(l->stop_url) || gmtime_r(&at, &tm) == NULL ||
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &tm) == 0) {
        return none;
    }
    struct out o = { .size = size_of(l) };
    o.p = arena_alloc(a, o.size + 1);
    if (o.p == NULL) {
        return none;
    }
    /* No body holds it: base 64 has no dashes. */
    struct str boundary = STR("=-otklik-letter-=");

    put(&o, STR("From: "));
    put_words(&o, l->from_name);
    put(&o, STR("\r\n <"));
    put(&o, l->from);
    put(&o, STR(">\r\nTo: <"));
    put(&o, l->to);
    put(&o, STR(">\r\nSubject: "));
    put_words(&o, l->subject);
    put(&o, STR("\r\n"));
    put_header(&o, STR("Date: "), str_of(date));
    put(&o, STR("Message-ID:\r\n <"));
    put(&o, l->message_id);
    put(&o, STR(">\r\n"));
    if (l->stop_url.n > 0) { /* RFC 8058 */
        put(&o, STR("List-Unsubscribe:\r\n <"));
        put(&o, l->stop_url);
        put(&o, STR(">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    }
    put_header(&o, STR("Auto-Submitted: "), STR("auto-generated"));
    put_header(&o, STR("Content-Language: "), l->lang);
    put(&o, STR("MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\""));
    put(&o, boundary);
    put(&o, STR("\"\r\n\r\n"));
    put_part(&o, boundary, STR("text/plain"), l->plain);
    put_part(&o, boundary, STR("text/html"), l->html);
    put(&o, STR("--"));
    put(&o, boundary);
    put(&o, STR("--\r\n"));
    return o.n < o.size ? (struct str){ o.p, o.n } : none;
}
