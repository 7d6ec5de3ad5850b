/* Signed tokens, judged strictly. */

#include "jws.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base64url.h"
#include "json_tree.h"

#define HEADER_MAX   1024                    /* bytes, decoded */
#define VALUES_MAX   512                     /* of JSON, header or claims */
#define DECIMALS     15                      /* of a time: below 2^53 */
#define REGION_MAX   999

struct jws {
    struct json_tree  *tree;
    uint8_t            bytes[BASE64URL_BYTES(JWS_TOKEN_MAX)];
    uint8_t            signature[JWKS_SIGNATURE_MAX];
    char               roles[JWS_ROLES_MAX];
    char               scopes[JWS_SCOPES_MAX];
};

/* The three parts of a token. */
struct parts {
    struct jws_text  header;
    struct jws_text  claims;
    struct jws_text  signature;
    struct jws_text  input;                  /* what is signed */
};

/* Where words of a claim are gathered. */
struct words {
    char    *p;
    size_t   size;
    size_t   n;
    bool   (*is)(const char *p, size_t n);
};


struct jws *
jws_create(void)
{
    struct jws  *jws;

    jws = calloc(1, sizeof(*jws));
    if (jws == NULL) {
        return NULL;
    }

    jws->tree = json_tree_create(VALUES_MAX, sizeof(jws->bytes));

    if (jws->tree == NULL) {
        free(jws);
        return NULL;
    }

    return jws;
}


void
jws_free(struct jws *jws)
{
    if (jws == NULL) {
        return;
    }

    json_tree_free(jws->tree);
    free(jws);
}


/* The text up to the next dot, or to the end if it is the last part. */

static bool
take(const char **p, const char *end, bool last, struct jws_text *part)
{
    const char  *dot;

    dot = memchr(*p, '.', (size_t) (end - *p));

    if ((dot == NULL) != last) {
        return false;
    }

    part->p = *p;
    part->n = (size_t) ((last ? end : dot) - *p);
    *p = last ? end : dot + 1;

    return part->n > 0;
}


static bool
split(const char *token, size_t n, struct parts *parts)
{
    const char  *p, *end;

    p = token;
    end = token + n;

    if (!take(&p, end, false, &parts->header)
        || !take(&p, end, false, &parts->claims)
        || !take(&p, end, true, &parts->signature))
    {
        return false;
    }

    parts->input.p = token;
    parts->input.n = (size_t) (parts->signature.p - 1 - token);

    return true;
}


static const struct json_value *
read_object(struct jws *jws, struct jws_text part, size_t size)
{
    size_t                    n;
    const struct json_value  *value;

    if (!base64url_decode(part.p, part.n, jws->bytes, size, &n)) {
        return NULL;
    }

    value = json_tree_read(jws->tree, (const char *) jws->bytes, n);

    return value != NULL && value->type == JSON_OBJECT ? value : NULL;
}


static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}


/* A media type, with or without "application/" (RFC 7515, section 4.1.9). */

static bool
is_type(const struct json_value *value, const char *type)
{
    size_t       i, n;
    const char  *p;

    static const char  application[] = "application/";

    if (value == NULL || value->type != JSON_STRING) {
        return false;
    }

    p = value->p;
    n = value->n;

    if (n >= sizeof(application) - 1) {
        for (i = 0; i < sizeof(application) - 1
                    && lower(p[i]) == application[i]; i++)
        {
            /* void */
        }

        if (i == sizeof(application) - 1) {
            p += i;
            n -= i;
        }
    }

    if (n != strlen(type)) {
        return false;
    }

    for (i = 0; i < n; i++) {
        if (lower(p[i]) != lower(type[i])) {
            return false;
        }
    }

    return true;
}


/*
 * Finds the key by the header.  Where else a key could come from (jku, jwk,
 * x5u, x5c) is not looked at.
 */

static enum jws_verdict
check_header(struct jws *jws, const struct jwks *keys,
    const struct jws_policy *policy, struct jws_text part,
    const struct jwk **key)
{
    const struct json_value  *header, *alg, *kid;

    header = read_object(jws, part, HEADER_MAX);

    if (header == NULL
        || json_member(header, "crit") != NULL
        || json_member(header, "b64") != NULL)
    {
        return JWS_MALFORMED;
    }

    alg = json_member(header, "alg");
    kid = json_member(header, "kid");

    if (alg == NULL || alg->type != JSON_STRING
        || (kid != NULL && kid->type != JSON_STRING))
    {
        return JWS_MALFORMED;
    }

    *key = jwks_find(keys, kid != NULL ? kid->p : NULL,
                     kid != NULL ? kid->n : 0);

    if (*key == NULL) {
        return JWS_UNKNOWN_KEY;
    }

    if (!json_is(alg, jwk_algorithm(*key))) {
        return JWS_WRONG_ALGORITHM;
    }

    if (policy->type != NULL
        && !is_type(json_member(header, "typ"), policy->type))
    {
        return JWS_WRONG_TYPE;
    }

    return JWS_GOOD;
}


/* A time of a claim in s since 1970; fractions are cut off. */

static bool
read_time(const struct json_value *value, int64_t *time)
{
    size_t  i, digits;

    if (value->type != JSON_NUMBER) {
        return false;
    }

    *time = 0;

    for (i = 0; i < value->n && value->p[i] >= '0' && value->p[i] <= '9'
                && i <= DECIMALS; i++)
    {
        *time = *time * 10 + (value->p[i] - '0');
    }

    if (i == 0 || i > DECIMALS) {
        return false;
    }

    if (i == value->n) {
        return true;
    }

    if (value->p[i++] != '.') {
        return false;
    }

    for (digits = i; i < value->n && value->p[i] >= '0' && value->p[i] <= '9';
         i++)
    {
        /* void */
    }

    return i > digits && i == value->n;
}


static enum jws_verdict
check_times(const struct json_value *claims, const struct jws_policy *policy,
    int64_t now, int64_t *until)
{
    size_t                    i;
    int64_t                   time;
    const struct json_value  *value;

    static const char  *begin[] = { "nbf", "iat" };

    value = json_member(claims, "exp");

    if (value == NULL) {
        return JWS_MISSING_CLAIM;
    }

    if (!read_time(value, &time)) {
        return JWS_MALFORMED;
    }

    *until = time + policy->leeway;

    if (now >= *until) {
        return JWS_EXPIRED;
    }

    for (i = 0; i < sizeof(begin) / sizeof(begin[0]); i++) {
        value = json_member(claims, begin[i]);

        if (value == NULL) {
            continue;
        }

        if (!read_time(value, &time)) {
            return JWS_MALFORMED;
        }

        if (time > now + policy->leeway) {
            return JWS_NOT_YET_VALID;
        }
    }

    return JWS_GOOD;
}


/* "aud" is a string, or a list of nothing but strings. */

static enum jws_verdict
check_audience(const struct json_value *value, const char *audience)
{
    bool                      found;
    const struct json_value  *item;

    if (value == NULL || value->type == JSON_STRING) {
        return json_is(value, audience) ? JWS_GOOD : JWS_WRONG_AUDIENCE;
    }

    if (value->type != JSON_ARRAY) {
        return JWS_MALFORMED;
    }

    found = false;

    for (item = value->first; item != NULL; item = item->next) {
        if (item->type != JSON_STRING) {
            return JWS_MALFORMED;
        }

        found = found || json_is(item, audience);
    }

    return found ? JWS_GOOD : JWS_WRONG_AUDIENCE;
}


/* No control characters, neither of ASCII nor U+0080 to U+009F. */

static bool
is_clean(const char *p, size_t n)
{
    size_t         i;
    unsigned char  c;

    for (i = 0; i < n; i++) {
        c = (unsigned char) p[i];

        if (c < 0x20 || c == 0x7f
            || (c == 0xc2 && i + 1 < n && (unsigned char) p[i + 1] < 0xa0))
        {
            return false;
        }
    }

    return true;
}


static bool
is_name(const char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (!((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= 'A' && p[i] <= 'Z')
              || (p[i] >= '0' && p[i] <= '9')
              || (p[i] != '\0' && strchr("._:@-", p[i]) != NULL)))
        {
            return false;
        }
    }

    return n > 0;
}


/* A scope-token of RFC 6749, section 3.3. */

static bool
is_scope(const char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (p[i] <= ' ' || p[i] > '~' || p[i] == '"' || p[i] == '\\') {
            return false;
        }
    }

    return n > 0;
}


/* A string of 1 to max bytes, if the claim is there. */

static bool
read_text(const struct json_value *value, size_t max, struct jws_text *text)
{
    text->p = NULL;
    text->n = 0;

    if (value == NULL) {
        return true;
    }

    if (value->type != JSON_STRING || value->n == 0 || value->n > max
        || !is_clean(value->p, value->n))
    {
        return false;
    }

    text->p = value->p;
    text->n = value->n;

    return true;
}


static bool
add_word(struct words *words, const char *p, size_t n)
{
    if (!words->is(p, n) || n + 1 > words->size - words->n) {
        return false;
    }

    if (words->n > 0) {
        words->p[words->n++] = ' ';
    }

    memcpy(words->p + words->n, p, n);
    words->n += n;

    return true;
}


/* A list of words, or words with single blanks between. */

static bool
read_words(struct words *words, const struct json_value *value,
    struct jws_text *text)
{
    size_t                    start, end;
    const struct json_value  *item;

    if (value != NULL && value->type == JSON_ARRAY) {
        for (item = value->first; item != NULL; item = item->next) {
            if (item->type != JSON_STRING
                || !add_word(words, item->p, item->n))
            {
                return false;
            }
        }

    } else if (value != NULL && value->type == JSON_STRING) {
        for (start = 0; start < value->n; start = end + 1) {
            for (end = start; end < value->n && value->p[end] != ' '; end++) {
                /* void */
            }

            if (!add_word(words, value->p + start, end - start)) {
                return false;
            }
        }

    } else if (value != NULL) {
        return false;
    }

    text->p = words->p;
    text->n = words->n;

    return true;
}


/* A number from 1 to 999, as a string or not. */

static bool
read_region(const struct json_value *value, struct jws_text *region)
{
    size_t    i;
    unsigned  number;

    region->p = NULL;
    region->n = 0;

    if (value == NULL) {
        return true;
    }

    if ((value->type != JSON_STRING && value->type != JSON_NUMBER)
        || value->n == 0 || value->n > 3 || value->p[0] == '0')
    {
        return false;
    }

    for (number = 0, i = 0; i < value->n; i++) {
        if (value->p[i] < '0' || value->p[i] > '9') {
            return false;
        }

        number = number * 10 + (unsigned) (value->p[i] - '0');
    }

    region->p = value->p;
    region->n = value->n;

    return number <= REGION_MAX;
}


static const struct json_value *
claim(const struct json_value *claims, const char *path)
{
    return path != NULL ? json_path(claims, path) : NULL;
}


static enum jws_verdict
read_identity(struct jws *jws, const struct json_value *claims,
    const struct jws_policy *policy, struct jws_identity *identity)
{
    struct words  roles = { jws->roles, sizeof(jws->roles), 0, is_name };
    struct words  scopes = { jws->scopes, sizeof(jws->scopes), 0, is_scope };

    if (!read_text(json_member(claims, "sub"), JWS_SUBJECT_MAX,
                   &identity->subject)
        || !read_text(json_member(claims, "jti"), REVOKED_JTI_MAX,
                      &identity->jti)
        || !read_text(claim(claims, policy->body), JWS_BODY_MAX,
                      &identity->body)
        || (identity->body.n > 0
            && !is_name(identity->body.p, identity->body.n))
        || !read_region(claim(claims, policy->region), &identity->region)
        || !read_words(&roles, claim(claims, policy->roles), &identity->roles)
        || !read_words(&scopes, claim(claims, policy->scopes),
                       &identity->scopes))
    {
        return JWS_MALFORMED;
    }

    return identity->subject.n > 0 ? JWS_GOOD : JWS_MISSING_CLAIM;
}


static enum jws_verdict
check_claims(struct jws *jws, const struct jws_policy *policy,
    struct jws_text part, int64_t now, struct jws_identity *identity)
{
    enum jws_verdict          verdict;
    const struct json_value  *claims;

    claims = read_object(jws, part, sizeof(jws->bytes));

    if (claims == NULL) {
        return JWS_MALFORMED;
    }

    verdict = check_times(claims, policy, now, &identity->until);

    if (verdict != JWS_GOOD) {
        return verdict;
    }

    if (!json_is(json_member(claims, "iss"), policy->issuer)) {
        return JWS_WRONG_ISSUER;
    }

    verdict = check_audience(json_member(claims, "aud"), policy->audience);

    if (verdict != JWS_GOOD) {
        return verdict;
    }

    return read_identity(jws, claims, policy, identity);
}


static enum jws_verdict
check_signature(struct jws *jws, const struct jwk *key,
    const struct parts *parts)
{
    switch (jwk_verify(key, parts->input.p, parts->input.n, jws->signature)) {

    case JWKS_GOOD:
        return JWS_GOOD;

    case JWKS_BAD:
        return JWS_BAD_SIGNATURE;

    default: /* JWKS_FAILED */
        return JWS_FAILED;
    }
}


enum jws_verdict
jws_check(struct jws *jws, const struct jwks *keys,
    const struct revoked *revoked, const struct jws_policy *policy,
    const char *token, size_t n, int64_t now, struct jws_identity *identity)
{
    size_t             length;
    struct parts       parts;
    enum jws_verdict   verdict;
    const struct jwk  *key;

    memset(identity, 0, sizeof(*identity));

    if (n > JWS_TOKEN_MAX) {
        return JWS_TOO_LONG;
    }

    if (!split(token, n, &parts)) {
        return JWS_MALFORMED;
    }

    verdict = check_header(jws, keys, policy, parts.header, &key);

    if (verdict != JWS_GOOD) {
        return verdict;
    }

    if (!base64url_decode(parts.signature.p, parts.signature.n,
                          jws->signature, sizeof(jws->signature), &length))
    {
        return JWS_MALFORMED;
    }

    if (length != jwk_signature_size(key)) {
        return JWS_BAD_SIGNATURE;
    }

    verdict = check_claims(jws, policy, parts.claims, now, identity);

    if (verdict != JWS_GOOD) {
        return verdict;
    }

    if (revoked != NULL && identity->jti.n == 0) {
        return JWS_MISSING_CLAIM;
    }

    verdict = check_signature(jws, key, &parts);

    if (verdict != JWS_GOOD) {
        return verdict;
    }

    /* not before: a stranger must not learn what was revoked */

    if (revoked != NULL
        && revoked_holds(revoked, identity->jti.p, identity->jti.n))
    {
        return JWS_REVOKED;
    }

    identity->print = jwk_print(key);

    return JWS_GOOD;
}
