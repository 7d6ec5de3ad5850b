/* The API keys of an edge: a text file becomes an immutable table. */

#include "keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define REGION_MAX  999

#define SOURCE_MAX  2048             /* bytes, a hundred networks and more */

struct keys {
    struct key  *list;           /* sorted by prefix */
    size_t       count;
    size_t       room;
    char        *text;           /* the file; the strings of list lie in it */
    EVP_MD      *sha256;
};

/* A word of a line; cut off in place, so it ends with NUL. */
struct word {
    char    *p;
    size_t   n;
};

/* Where the reader is. */
struct reader {
    char               *p;       /* the rest of the line */
    struct keys_error  *error;
};

/* One name=value of a line. */
struct attribute {
    const char  *name;
    bool       (*set)(struct key *key, struct word value);
    bool         required;
    size_t       most;               /* bytes */
    const char  *wrong;
};


static bool set_subject(struct key *key, struct word value);
static bool set_roles(struct key *key, struct word value);
static bool set_region(struct key *key, struct word value);
static bool set_body(struct key *key, struct word value);
static bool set_scopes(struct key *key, struct word value);
static bool set_hook(struct key *key, struct word value);
static bool set_source(struct key *key, struct word value);
static bool set_rate(struct key *key, struct word value);
static bool set_burst(struct key *key, struct word value);
static bool set_expires(struct key *key, struct word value);


static const struct attribute  attributes[] = {
    { "subject", set_subject, true, KEYS_VALUE_MAX,
      "subject is not 1 to 128 of A-Z a-z 0-9 . _ : @ -" },
    { "roles", set_roles, true, KEYS_VALUE_MAX,
      "roles is not a comma list of names of a-z 0-9 _" },
    { "region", set_region, true, KEYS_VALUE_MAX,
      "region is not a number from 1 to 999" },
    { "body", set_body, false, KEYS_VALUE_MAX,
      "body is not 1 to 128 of A-Z a-z 0-9 . _ : @ -" },
    { "scopes", set_scopes, false, KEYS_VALUE_MAX,
      "scopes is not a comma list of names of A-Z a-z 0-9 . _ : / -" },
    { "hook", set_hook, false, KEYS_VALUE_MAX,
      "hook is not a name of a-z 0-9 _" },
    { "source", set_source, false, SOURCE_MAX,
      "source is not a comma list of addresses and networks" },
    { "rate", set_rate, false, KEYS_VALUE_MAX,
      "rate is not like 100r/s, 30r/m, 500r/h or 1000r/d" },
    { "burst", set_burst, false, KEYS_VALUE_MAX,
      "burst is not a number from 1 to 999999999" },
    { "expires", set_expires, false, KEYS_VALUE_MAX,
      "expires is not a time like 2027-01-31T00:00:00Z" }
};

#define ATTRIBUTES  (sizeof(attributes) / sizeof(attributes[0]))


static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}


static bool
is_small(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z');
}


static bool
is_name(char c)
{
    return is_small(c) || (c >= 'A' && c <= 'Z')
           || (c != '\0' && strchr("._:@-", c) != NULL);
}


static bool
is_token(char c)
{
    return is_small(c) || c == '_';
}


static bool
is_scope(char c)
{
    return is_small(c) || (c >= 'A' && c <= 'Z')
           || (c != '\0' && strchr("._:/-", c) != NULL);
}


static bool
all(const char *p, size_t n, bool (*is)(char c))
{
    while (n > 0 && is(*p)) {
        p++;
        n--;
    }

    return n == 0;
}


/* Exactly n digits, at most 9. */

static bool
digits(const char *p, size_t n, int64_t *value)
{
    size_t  i;

    if (n == 0 || n > 9 || !all(p, n, is_digit)) {
        return false;
    }

    *value = 0;

    for (i = 0; i < n; i++) {
        *value = *value * 10 + (p[i] - '0');
    }

    return true;
}


static bool
set_subject(struct key *key, struct word value)
{
    key->subject = value.p;

    return all(value.p, value.n, is_name);
}


/* Of a comma list, which becomes one with blanks. */

static bool
split(struct word value, bool (*is)(char c))
{
    size_t  i, length;

    for (length = 0, i = 0; i < value.n; i++) {
        if (value.p[i] != ',') {
            length++;

            if (!is(value.p[i])) {
                return false;
            }

        } else if (length == 0) {
            return false;

        } else {
            value.p[i] = ' ';
            length = 0;
        }
    }

    return length > 0;
}


static bool
set_roles(struct key *key, struct word value)
{
    key->roles = value.p;

    return split(value, is_token);
}


static bool
set_region(struct key *key, struct word value)
{
    int64_t  number;

    key->region = value.p;

    return digits(value.p, value.n, &number) && value.p[0] != '0'
           && number <= REGION_MAX;
}


static bool
set_body(struct key *key, struct word value)
{
    key->body = value.p;

    return all(value.p, value.n, is_name);
}


static bool
set_scopes(struct key *key, struct word value)
{
    key->scopes = value.p;

    return split(value, is_scope);
}


static bool
set_hook(struct key *key, struct word value)
{
    key->hook = value.p;

    return all(value.p, value.n, is_token);
}


static bool
set_source(struct key *key, struct word value)
{
    key->source = networks_parse_list(value.p, value.n);

    return key->source != NULL;
}


static bool
set_rate(struct key *key, struct word value)
{
    return limits_parse_rate(value.p, value.n, &key->rate.period);
}


static bool
set_burst(struct key *key, struct word value)
{
    return digits(value.p, value.n, &key->rate.burst)
           && key->rate.burst > 0;
}


/* Days from 1970-01-01 in the Gregorian calendar (Howard Hinnant's
 * days_from_civil): timegm() would normalise 31 February. */

static int64_t
days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t  era, of_era, of_year;

    year -= month <= 2;
    era = year / 400;
    of_era = year - era * 400;
    of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year
           - 719468;
}


static int64_t
days_in_month(int64_t year, int64_t month)
{
    return days_since_1970(month == 12 ? year + 1 : year,
                           month == 12 ? 1 : month + 1, 1)
           - days_since_1970(year, month, 1);
}


/* RFC 3339: "Z", "+03:00" or "-03:00" as seconds east of Greenwich. */

static bool
offset_of(const char *p, size_t n, int64_t *offset)
{
    int64_t  hours, minutes;

    if (n == 1 && (p[0] == 'Z' || p[0] == 'z')) {
        *offset = 0;
        return true;
    }

    if (n != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':'
        || !digits(p + 1, 2, &hours) || !digits(p + 4, 2, &minutes)
        || hours > 23 || minutes > 59)
    {
        return false;
    }

    *offset = (hours * 60 + minutes) * 60;

    if (p[0] == '-') {
        *offset = -*offset;
    }

    return true;
}


static bool
set_expires(struct key *key, struct word value)
{
    size_t       i;
    int64_t      year, month, day, hour, minute, second, offset;
    const char  *p;

    p = value.p;

    if (value.n < sizeof("2027-01-31T00:00:00Z") - 1
        || p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != 't')
        || p[13] != ':' || p[16] != ':'
        || !digits(p, 4, &year) || !digits(p + 5, 2, &month)
        || !digits(p + 8, 2, &day) || !digits(p + 11, 2, &hour)
        || !digits(p + 14, 2, &minute) || !digits(p + 17, 2, &second)
        || year < 1970 || month < 1 || month > 12
        || day < 1 || day > days_in_month(year, month)
        || hour > 23 || minute > 59 || second > 60)
    {
        return false;
    }

    i = 19;

    if (p[i] == '.') {
        for (i++; is_digit(p[i]); i++) { /* void */ }

        if (i == 20) {
            return false;
        }
    }

    if (!offset_of(p + i, value.n - i, &offset)) {
        return false;
    }

    key->expires = ((days_since_1970(year, month, day) * 24 + hour) * 60
                    + minute) * 60 + second - offset;

    return true;
}


static bool
wrong(struct reader *reader, const char *what)
{
    reader->error->what = what;

    return false;
}


/* The next word of the line; of no length at its end or before a comment. */

static struct word
next_word(struct reader *reader)
{
    struct word  word;

    while (*reader->p == ' ' || *reader->p == '\t') {
        reader->p++;
    }

    word.p = reader->p;

    if (*reader->p == '#') {
        word.n = 0;
        return word;
    }

    word.n = strcspn(word.p, " \t");
    reader->p += word.n;

    if (*reader->p != '\0') {
        *reader->p++ = '\0';
    }

    return word;
}


static int
hex_value(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static bool
read_digest(struct word word, uint8_t *digest)
{
    int     high, low;
    size_t  i;

    if (word.n != 2 * KEYS_DIGEST_SIZE) {
        return false;
    }

    for (i = 0; i < KEYS_DIGEST_SIZE; i++) {
        high = hex_value(word.p[2 * i]);
        low = hex_value(word.p[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }

        digest[i] = (uint8_t) (high << 4 | low);
    }

    return true;
}


static bool
read_attribute(struct reader *reader, struct key *key, struct word word,
    unsigned *seen)
{
    char         *equals;
    size_t        i;
    struct word   value;

    equals = memchr(word.p, '=', word.n);

    if (equals == NULL) {
        return wrong(reader, "an attribute is not of the form name=value");
    }

    *equals = '\0';
    value.p = equals + 1;
    value.n = word.n - (size_t) (value.p - word.p);

    for (i = 0; i < ATTRIBUTES; i++) {
        if (strcmp(word.p, attributes[i].name) != 0) {
            continue;
        }

        if (*seen & (1u << i)) {
            return wrong(reader, "an attribute is given twice");
        }

        *seen |= 1u << i;

        if (value.n == 0 || value.n > attributes[i].most
            || !attributes[i].set(key, value))
        {
            return wrong(reader, attributes[i].wrong);
        }

        return true;
    }

    return wrong(reader, "an attribute has an unknown name");
}


static bool
read_key(struct reader *reader, struct key *key, struct word word)
{
    size_t    i;
    unsigned  seen;

    memset(key, 0, sizeof(*key));
    key->body = "";
    key->scopes = "";
    key->hook = "";
    key->expires = INT64_MAX;

    if (word.n != KEYS_PREFIX_SIZE || !all(word.p, word.n, is_small)) {
        return wrong(reader, "the prefix is not 8 of a-z 0-9");
    }

    memcpy(key->prefix, word.p, KEYS_PREFIX_SIZE);

    if (!read_digest(next_word(reader), key->digest)) {
        return wrong(reader, "the digest is not 64 of 0-9 a-f");
    }

    seen = 0;

    for (word = next_word(reader); word.n > 0; word = next_word(reader)) {
        if (!read_attribute(reader, key, word, &seen)) {
            return false;
        }
    }

    for (i = 0; i < ATTRIBUTES; i++) {
        if (attributes[i].required && !(seen & (1u << i))) {
            return wrong(reader, "subject, roles or region is missing");
        }
    }

    if (key->rate.period == 0 && key->rate.burst > 0) {
        return wrong(reader, "burst is given without rate");
    }

    if (key->rate.period > 0) {
        if (key->rate.burst == 0) {
            key->rate.burst = 1;
        }

        if (!limits_rate_valid(&key->rate)) {
            return wrong(reader, "rate and burst make a debt over 104 days");
        }
    }

    return true;
}


static bool
append(struct keys *keys, const struct key *key)
{
    size_t       room;
    struct key  *list;

    if (keys->count == keys->room) {
        room = keys->room ? 2 * keys->room : 16;
        list = realloc(keys->list, room * sizeof(*list));

        if (list == NULL) {
            return false;
        }

        keys->list = list;
        keys->room = room;
    }

    keys->list[keys->count++] = *key;

    return true;
}


static int
by_prefix(const void *one, const void *two)
{
    return memcmp(((const struct key *) one)->prefix,
                  ((const struct key *) two)->prefix, KEYS_PREFIX_SIZE);
}


static bool
read_lines(struct keys *keys, size_t n, struct reader *reader)
{
    char         *line, *end;
    struct key    key;
    struct word   word;

    for (line = keys->text; line < keys->text + n; line = end + 1) {
        reader->error->line++;
        end = line + strcspn(line, "\n");

        if (*end == '\0' && end != keys->text + n) {
            return wrong(reader, "the line holds a NUL");
        }

        *end = '\0';

        if (end > line && end[-1] == '\r') {
            end[-1] = '\0';
        }

        reader->p = line;
        word = next_word(reader);

        if (word.n == 0) {
            continue;
        }

        if (!read_key(reader, &key, word)) {
            networks_free(key.source);
            return false;
        }

        if (!append(keys, &key)) {
            networks_free(key.source);
            return wrong(reader, "no memory");
        }
    }

    return true;
}


static bool
sort(struct keys *keys, struct reader *reader)
{
    size_t  i;

    if (keys->count == 0) {
        return true;
    }

    qsort(keys->list, keys->count, sizeof(keys->list[0]), by_prefix);

    for (i = 1; i < keys->count; i++) {
        if (by_prefix(&keys->list[i - 1], &keys->list[i]) == 0) {
            reader->error->line = 0;
            return wrong(reader, "two keys have the same prefix");
        }
    }

    return true;
}


struct keys *
keys_parse(const char *text, size_t n, struct keys_error *error)
{
    struct keys    *keys;
    struct reader   reader;

    error->line = 0;
    error->what = "no memory";
    reader.error = error;

    /* what a reader sees while somebody writes in place */

    if (n == 0 || text[n - 1] != '\n') {
        error->what = "the file does not end with a whole line";
        return NULL;
    }

    keys = calloc(1, sizeof(*keys));
    if (keys == NULL) {
        return NULL;
    }

    keys->text = malloc(n + 1);
    keys->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);

    if (keys->text == NULL || keys->sha256 == NULL) {
        goto failed;
    }

    memcpy(keys->text, text, n);
    keys->text[n] = '\0';

    if (!read_lines(keys, n, &reader) || !sort(keys, &reader)) {
        goto failed;
    }

    return keys;

failed:

    keys_free(keys);

    return NULL;
}


void
keys_free(struct keys *keys)
{
    size_t  i;

    if (keys == NULL) {
        return;
    }

    for (i = 0; i < keys->count; i++) {
        networks_free(keys->list[i].source);
    }

    EVP_MD_free(keys->sha256);
    free(keys->list);
    free(keys->text);
    free(keys);
}


size_t
keys_count(const struct keys *keys)
{
    return keys->count;
}


enum keys_verdict
keys_check(const struct keys *keys, const char *text, size_t n, int64_t now,
    const struct key **key)
{
    bool                same;
    uint8_t             digest[KEYS_DIGEST_SIZE];
    struct key          sought;
    const struct key   *known;

    static const uint8_t  nobody[KEYS_DIGEST_SIZE];

    *key = NULL;

    if (n != KEYS_TEXT_SIZE || memcmp(text, "otk_", 4) != 0
        || !all(text + 4, KEYS_PREFIX_SIZE, is_small)
        || text[4 + KEYS_PREFIX_SIZE] != '_'
        || !all(text + 5 + KEYS_PREFIX_SIZE, KEYS_SECRET_SIZE, is_small))
    {
        return KEYS_MALFORMED;
    }

    memset(&sought, 0, sizeof(sought));
    memcpy(sought.prefix, text + 4, KEYS_PREFIX_SIZE);
    known = keys->count == 0 ? NULL
            : bsearch(&sought, keys->list, keys->count, sizeof(sought),
                      by_prefix);

    if (!EVP_Digest(text, n, digest, NULL, keys->sha256, NULL)) {
        return KEYS_FAILED;
    }

    same = CRYPTO_memcmp(known != NULL ? known->digest : nobody, digest,
                         KEYS_DIGEST_SIZE) == 0;

    if (known == NULL) {
        return KEYS_UNKNOWN;
    }

    if (!same) {
        return KEYS_WRONG;
    }

    *key = known;

    return now < known->expires ? KEYS_GOOD : KEYS_EXPIRED;
}
