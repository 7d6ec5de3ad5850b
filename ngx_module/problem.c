/* Why a request was not served, as a body of application/problem+json. */

#include "problem.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "decimal.h"

/* languages of one header that are told apart by their order */
#define RANKS  1000

/* What a status means; the slugs are those that the services use too. */
struct kind {
    int          status;
    const char  *slug;
    const char  *title[PROBLEM_LANGUAGES];
    const char  *detail[PROBLEM_LANGUAGES];
};

struct reason {
    const char  *name;
    int          status;
    const char  *detail[PROBLEM_LANGUAGES];
};

/* Where the body grows. */
struct writer {
    char    *p;
    char    *end;
    bool     full;
};


static const struct kind  kinds[] = {
    { 400, "malformed",
      { "Запрос не разобран", "Malformed request" },
      { "Сервер не смог прочитать запрос.",
        "The server could not read the request." } },

    { 401, "unauthorized",
      { "Нужен ключ доступа", "Unauthorized" },
      { "Для этого адреса нужен ключ доступа.",
        "This address needs a credential." } },

    { 403, "forbidden",
      { "Доступ запрещён", "Forbidden" },
      { "У этого ключа нет права на такое действие.",
        "This credential may not do that." } },

    { 404, "not-found",
      { "Не найдено", "Not found" },
      { "По этому адресу ничего нет.",
        "There is nothing at this address." } },

    { 405, "method-not-allowed",
      { "Метод не поддерживается", "Method not allowed" },
      { "Этот адрес не принимает такой метод.",
        "This address does not take that method." } },

    { 408, "malformed",
      { "Запрос не дождались", "Request timeout" },
      { "Запрос пришёл не целиком за отведённое время.",
        "The request did not arrive in full in time." } },

    { 413, "too-large",
      { "Слишком большой запрос", "Request too large" },
      { "Тело запроса больше допустимого.",
        "The body of the request is larger than allowed." } },

    { 414, "too-large",
      { "Слишком длинный адрес", "Address too long" },
      { "Адрес запроса длиннее допустимого.",
        "The address of the request is longer than allowed." } },

    { 415, "unsupported-media-type",
      { "Формат не поддерживается", "Unsupported media type" },
      { "Этот адрес не принимает данные такого типа.",
        "This address does not take data of that type." } },

    { 429, "quota-exceeded",
      { "Слишком много запросов", "Too many requests" },
      { "Запросов больше, чем разрешено. Повторите позже.",
        "There were more requests than allowed. Try again later." } },

    { 431, "too-large",
      { "Слишком длинные заголовки", "Headers too long" },
      { "Заголовки запроса длиннее допустимого.",
        "The headers of the request are longer than allowed." } },

    { 500, "internal",
      { "Внутренняя ошибка", "Internal error" },
      { "Сервер не справился с запросом. Мы уже знаем об этом.",
        "The server failed on this request. We know of it already." } },

    { 502, "unavailable",
      { "Сервис недоступен", "Service unavailable" },
      { "Сервис перезапускается. Повторите запрос через несколько секунд.",
        "The service is restarting. Try again in a few seconds." } },

    { 503, "unavailable",
      { "Сервис недоступен", "Service unavailable" },
      { "Сервис временно недоступен. Повторите запрос позже.",
        "The service is unavailable for the moment. Try again later." } },

    { 504, "unavailable",
      { "Сервис не ответил вовремя", "Service timed out" },
      { "Сервис не ответил вовремя. Повторите запрос с тем же ключом "
        "идемпотентности.",
        "The service did not answer in time. Try again with the same "
        "idempotency key." } }
};

/* for any other status; the class is what counts (RFC 9110, section 15) */
static const struct kind  client_kind = {
    400, "malformed",
    { "Запрос не принят", "Request not accepted" },
    { "Сервер не принял запрос.", "The server did not accept the request." }
};

static const struct kind  server_kind = {
    500, "internal",
    { "Ошибка сервера", "Server error" },
    { "Сервер не справился с запросом.", "The server failed on this request." }
};


static const struct reason  reasons[PROBLEM_REASONS] = {
    [PROBLEM_NO_REASON] = { "", 0, { NULL, NULL } },

    [PROBLEM_MISSING_CREDENTIAL] = { "missing_credential", 401,
      { "Запрос пришёл без ключа и без маркера доступа.",
        "The request came without a key and without a token." } },

    [PROBLEM_SEVERAL_CREDENTIALS] = { "several_credentials", 401,
      { "В запросе больше одного ключа или маркера. Передайте ровно один.",
        "The request holds more than one key or token. Send exactly one." } },

    [PROBLEM_INVALID_KEY] = { "invalid_key", 401,
      { "Такого ключа нет.", "There is no such key." } },

    [PROBLEM_EXPIRED_KEY] = { "expired_key", 401,
      { "Срок действия ключа истёк. Запросите новый.",
        "The key has expired. Ask for a new one." } },

    [PROBLEM_WRONG_SOURCE] = { "wrong_source", 403,
      { "С этого сетевого адреса ключ не действует.",
        "The key does not hold from this network address." } },

    [PROBLEM_DENIED_ADDRESS] = { "denied_address", 403,
      { "С этого сетевого адреса запросы не принимаются.",
        "Requests from this network address are not taken." } },

    [PROBLEM_TOKEN_TOO_LONG] = { "token_too_long", 401,
      { "Маркер длиннее 8 килобайт.",
        "The token is longer than 8 kilobytes." } },

    [PROBLEM_MALFORMED_TOKEN] = { "malformed_token", 401,
      { "Маркер составлен неверно.",
        "The token is not well formed." } },

    [PROBLEM_UNKNOWN_KEY] = { "unknown_key", 401,
      { "Маркер подписан неизвестным ключом. Получите новый.",
        "The token is signed with an unknown key. Get a new one." } },

    [PROBLEM_WRONG_ALGORITHM] = { "wrong_algorithm", 401,
      { "Алгоритм подписи маркера не тот, что у ключа.",
        "The algorithm of the token is not that of its key." } },

    [PROBLEM_WRONG_TYPE] = { "wrong_type", 401,
      { "Здесь нужен маркер другого вида.",
        "Another kind of token is needed here." } },

    [PROBLEM_MISSING_CLAIM] = { "missing_claim", 401,
      { "В маркере недостаёт обязательного поля.",
        "The token lacks a claim that it must have." } },

    [PROBLEM_EXPIRED_TOKEN] = { "expired_token", 401,
      { "Срок действия маркера истёк. Получите новый.",
        "The token has expired. Get a new one." } },

    [PROBLEM_NOT_YET_VALID] = { "not_yet_valid", 401,
      { "Маркер ещё не действует.",
        "The token is not valid yet." } },

    [PROBLEM_WRONG_ISSUER] = { "wrong_issuer", 401,
      { "Маркер выдан не тем, кому здесь доверяют.",
        "The token is not from an issuer trusted here." } },

    [PROBLEM_WRONG_AUDIENCE] = { "wrong_audience", 401,
      { "Маркер выдан не для этого сервиса.",
        "The token is meant for another service." } },

    [PROBLEM_BAD_SIGNATURE] = { "bad_signature", 401,
      { "Подпись маркера неверна.",
        "The signature of the token is wrong." } },

    [PROBLEM_REVOKED_TOKEN] = { "revoked_token", 401,
      { "Маркер отозван. Получите новый.",
        "The token was revoked. Get a new one." } },

    [PROBLEM_MALFORMED_CHALLENGE] = { "malformed_challenge", 401,
      { "Решение задачи составлено неверно.",
        "The solution of the challenge is not well formed." } },

    [PROBLEM_UNKNOWN_CHALLENGE] = { "unknown_challenge", 401,
      { "Такой задачи этот сервер сейчас не знает. Запросите новую.",
        "This server does not know the challenge now. Ask for a new one." } },

    [PROBLEM_BAD_CHALLENGE_SIGNATURE] = { "bad_challenge_signature", 401,
      { "Подпись задачи неверна.",
        "The signature of the challenge is wrong." } },

    [PROBLEM_EXPIRED_CHALLENGE] = { "expired_challenge", 401,
      { "Время на решение задачи истекло. Запросите новую.",
        "The time for the challenge is over. Ask for a new one." } },

    [PROBLEM_WRONG_PURPOSE] = { "wrong_purpose", 401,
      { "Эта задача выдана для другого действия или региона.",
        "The challenge is meant for another purpose or region." } },

    [PROBLEM_WRONG_PROOF] = { "wrong_proof", 401,
      { "Решение задачи неверно.",
        "The solution of the challenge is wrong." } },

    [PROBLEM_SPENT_CHALLENGE] = { "spent_challenge", 401,
      { "Это решение уже использовано. Запросите новую задачу.",
        "This solution was used before. Ask for a new challenge." } },

    [PROBLEM_CHALLENGES_FULL] = { "challenges_full", 503,
      { "Решений сейчас больше, чем сервер может запомнить. Повторите "
        "позже с тем же решением.",
        "There are more solutions now than the server can remember. Try "
        "again later with the same one." } },

    [PROBLEM_NO_CHALLENGE_READY] = { "no_challenge_ready", 503,
      { "Готовых задач сейчас нет. Повторите через несколько секунд.",
        "No challenge is ready now. Try again in a few seconds." } },
    [PROBLEM_INSUFFICIENT_SCOPE] = { "insufficient_scope", 403,
      { "У ключа или маркера нет права на такое действие.",
        "The key or the token has no scope for that." } },

    [PROBLEM_RATE_EXCEEDED] = { "rate_exceeded", 429, { NULL, NULL } }
};


static const char  *tags[PROBLEM_LANGUAGES] = { "ru", "en" };


static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}


static size_t
skip_blanks(const char *p, size_t i, size_t n)
{
    while (i < n && (p[i] == ' ' || p[i] == '\t')) {
        i++;
    }

    return i;
}


/* A weight, "0" to "1" with up to three decimals, in thousandths; -1 if bad. */

static int
weight_of(const char *p, size_t n)
{
    int     value, unit;
    size_t  i;

    if (n == 0 || n > 5 || (p[0] != '0' && p[0] != '1')
        || (n > 1 && p[1] != '.'))
    {
        return -1;
    }

    value = (p[0] - '0') * 1000;
    unit = 100;

    for (i = 2; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        value += (p[i] - '0') * unit;
        unit /= 10;
    }

    return value <= 1000 ? value : -1;
}


/* "ru-RU;q=0.8" without blanks around it: is it of that language, how much? */

static int
range_weight(const char *p, size_t n, const char *tag)
{
    size_t  i, length;

    for (length = 0; length < n && p[length] != ';' && p[length] != ' '
                     && p[length] != '\t'; length++)
    {
        /* void */
    }

    if (!(length == 1 && p[0] == '*')
        && !(length >= 2 && lower(p[0]) == tag[0] && lower(p[1]) == tag[1]
             && (length == 2 || p[2] == '-')))
    {
        return -1;
    }

    i = skip_blanks(p, length, n);

    if (i == n) {
        return 1000;
    }

    if (p[i] != ';') {
        return -1;
    }

    i = skip_blanks(p, i + 1, n);

    if (n - i < 2 || lower(p[i]) != 'q' || p[i + 1] != '=') {
        return -1;
    }

    return weight_of(p + i + 2, n - i - 2);
}


/*
 * What the whole header gives a language, 0 or less: nothing.  A name goes
 * before "*"; of two names with the same weight the earlier one wins.
 */

static int
header_weight(const char *p, size_t n, const char *tag)
{
    int     named, any, weight, rank;
    size_t  start, end, last;

    named = -1;
    any = -1;
    rank = RANKS;

    for (start = 0; start < n; start = end + 1) {
        start = skip_blanks(p, start, n);

        for (end = start; end < n && p[end] != ','; end++) { /* void */ }

        for (last = end; last > start
                         && (p[last - 1] == ' ' || p[last - 1] == '\t');
             last--)
        {
            /* void */
        }

        if (last == start) {
            continue;
        }

        weight = range_weight(p + start, last - start, tag);

        if (p[start] == '*') {
            any = weight > any ? weight : any;

        } else {
            rank -= rank > 1;
            weight = weight > 0 ? weight * RANKS + rank : weight;
            named = weight > named ? weight : named;
        }
    }

    if (named < 0 && any > 0) {
        return any * RANKS;
    }

    return named >= 0 ? named : any;
}


enum problem_language
problem_language(const char *header, size_t n, enum problem_language otherwise)
{
    int  ru, en;

    ru = header_weight(header, n, tags[PROBLEM_RU]);
    en = header_weight(header, n, tags[PROBLEM_EN]);

    if (ru == en || (ru <= 0 && en <= 0)) {
        return otherwise;
    }

    return ru > en ? PROBLEM_RU : PROBLEM_EN;
}


const char *
problem_language_tag(enum problem_language language)
{
    return tags[language];
}


const char *
problem_reason_name(enum problem_reason reason)
{
    return reasons[reason].name;
}


int
problem_reason_status(enum problem_reason reason)
{
    return reasons[reason].status;
}


static const struct kind *
kind_of(int status)
{
    size_t  i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].status == status) {
            return &kinds[i];
        }
    }

    return status < 500 ? &client_kind : &server_kind;
}


static inline void
put(struct writer *writer, const char *p, size_t n)
{
    if (n > (size_t) (writer->end - writer->p)) {
        writer->full = true;
        return;
    }

    memcpy(writer->p, p, n);
    writer->p += n;
}


static inline void
put_text(struct writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}


static void
put_number(struct writer *writer, int64_t number)
{
    char  text[DECIMAL_SIZE];

    put(writer, text, decimal_write(text, (uint64_t) number));
}


static bool
plain(char c)
{
    return c != '"' && c != '\\' && c != 0x7f && (unsigned char) c >= 0x20;
}


static void
put_string(struct writer *writer, const char *p, size_t n)
{
    char    escaped[8];
    size_t  i, run;

    put(writer, "\"", 1);

    for (i = 0; i < n; i += run) {

        for (run = 0; i + run < n && plain(p[i + run]); run++) { /* void */ }

        put(writer, p + i, run);

        if (i + run < n) {
            snprintf(escaped, sizeof(escaped), "\\u%04x",
                     (unsigned char) p[i + run]);
            put_text(writer, escaped);
            run++;
        }
    }

    put(writer, "\"", 1);
}


/* A member whose value is one of the texts above: nothing is to be escaped. */

static void
put_member(struct writer *writer, const char *name, const char *value)
{
    put_text(writer, ",\"");
    put_text(writer, name);
    put_text(writer, "\":\"");
    put_text(writer, value);
    put_text(writer, "\"");
}


static void
put_head(struct writer *writer, const struct problem *problem)
{
    const char         *detail;
    const struct kind  *kind;

    kind = kind_of(problem->status);
    detail = reasons[problem->reason].detail[problem->language];

    put_text(writer, "{\"type\":\"/problems/");
    put_text(writer, kind->slug);
    put_text(writer, "\"");
    put_member(writer, "title", kind->title[problem->language]);
    put_text(writer, ",\"status\":");
    put_number(writer, problem->status);
    put_member(writer, "detail",
               detail != NULL ? detail : kind->detail[problem->language]);

    if (problem->reason != PROBLEM_NO_REASON) {
        put_member(writer, "reason", reasons[problem->reason].name);
    }
}


static size_t
written(const struct writer *writer, const char *out)
{
    return writer->full ? 0 : (size_t) (writer->p - out);
}


size_t
problem_head(char *out, size_t size, const struct problem *problem)
{
    struct writer  writer;

    writer.p = out;
    writer.end = out + size;
    writer.full = false;

    put_head(&writer, problem);

    return written(&writer, out);
}


size_t
problem_write(char *out, size_t size, const struct problem *problem)
{
    size_t         i;
    struct writer  writer;

    writer.p = out;
    writer.end = out + size;
    writer.full = false;

    if (problem->head.n > 0) {
        put(&writer, problem->head.p, problem->head.n);

    } else {
        put_head(&writer, problem);
    }

    if (problem->request_id.n > 0) {
        put_text(&writer, ",\"instance\":\"urn:uuid:");
        put(&writer, problem->request_id.p, problem->request_id.n);
        put_text(&writer, "\"");
    }

    if (problem->retry > 0) {
        put_text(&writer, ",\"retry_after\":");
        put_number(&writer, problem->retry);
    }

    if (problem->npolicies > 0) {
        put_text(&writer, ",\"violated-policies\":[");

        for (i = 0; i < problem->npolicies; i++) {
            put(&writer, ",", i > 0);
            put_string(&writer, problem->policies[i].p,
                       problem->policies[i].n);
        }

        put_text(&writer, "]");
    }

    put_text(&writer, "}\n");

    return written(&writer, out);
}
