/* By e-mail: SMTP submission to one server, which goes on from there.
 *
 * A letter has one recipient, so that nobody learns of another and each is accepted or refused by
 * itself. Line ends, dots at their beginning and the dialogue are curl's. */
#include "parcel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "language.h"
#include "letter.h"
#include "log.h"

enum { URL_BYTES = 300, SECRET_BYTES = 256 };

static struct {
    char url[URL_BYTES]; /* "": there is no server, nothing is sent */
    const char *from;
    const char *user;
    char password[SECRET_BYTES];
    const char *ca;
    int no_tls;
} smtp;

/* The password lies in a file of its own (systemd: LoadCredential=). */
static int read_password(void)
{
    const char *path = getenv("OTKLIK_SMTP_PASSWORD_FILE");
    if (path == NULL || *path == '\0') {
        return 0;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        log_write(LOG_ERROR, STR(""), "%s: %s", path, strerror(errno));
        return -1;
    }
    size_t n = fread(smtp.password, 1, sizeof smtp.password, file);
    int bad = ferror(file) || n == sizeof smtp.password;
    fclose(file);
    if (bad) {
        log_write(LOG_ERROR, STR(""), "%s cannot be read, or is longer than %d bytes", path,
                  SECRET_BYTES - 1);
        return -1;
    }
    smtp.password[n] = '\0';
    smtp.password[strcspn(smtp.password, "\r\n")] = '\0';
    return 0;
}

static int is_set(const char *text)
{
    return text != NULL && *text != '\0';
}

int mail_configure(void)
{
    const char *url = getenv("OTKLIK_SMTP_URL"), *tls = getenv("OTKLIK_SMTP_TLS");
    if (!is_set(url)) {
        return 0;
    }
    smtp.from = getenv("OTKLIK_SMTP_FROM");
    smtp.user = getenv("OTKLIK_SMTP_USER");
    smtp.ca = getenv("OTKLIK_SMTP_CA");
    smtp.no_tls = is_set(tls) && strcmp(tls, "none") == 0;
    if (strncmp(url, "smtp://", 7) != 0 && strncmp(url, "smtps://", 8) != 0) {
        log_write(LOG_ERROR, STR(""),
                  "OTKLIK_SMTP_URL must be smtp://HOST:PORT or smtps://HOST:PORT");
        return -1;
    }
    if (is_set(tls) && !smtp.no_tls && strcmp(tls, "required") != 0) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_SMTP_TLS must be required or none");
        return -1;
    }
    if (!is_set(smtp.from) || !letter_address_good(str_of(smtp.from))) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_SMTP_FROM must be an e-mail address");
        return -1;
    }
    if (smtp.no_tls && is_set(smtp.user)) {
        log_write(LOG_ERROR, STR(""), "a password is sent by TLS only: OTKLIK_SMTP_TLS is none");
        return -1;
    }
    /* How we greet the server: by the domain that we write from. */
    int n = snprintf(smtp.url, sizeof smtp.url, "%s%s%s", url,
                     url[strlen(url) - 1] == '/' ? "" : "/", strchr(smtp.from, '@') + 1);
    if (n < 0 || (size_t)n >= sizeof smtp.url) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_SMTP_URL is too long");
        return -1;
    }
    return read_password();
}

static int refuse(struct parcel_result *why, enum parcel_fate fate, const char *text)
{
    why->fate = fate;
    snprintf(why->error, sizeof why->error, "%s", text);
    return -1;
}

/* The letter itself; .p is NULL when memory is out. */
static struct str write_letter(struct parcel *p)
{
    struct notice_words words;
    if (notice_letter(p->arena, &p->notice, &words) != 0) {
        return (struct str){ NULL, 0 };
    }
    struct str host = str_of(strchr(smtp.from, '@') + 1);
    struct str id = arena_printf(p->arena, "%.*s@%.*s", (int)p->id.n, p->id.p, (int)host.n, host.p);
    struct letter letter = { .from = str_of(smtp.from),
                             .from_name = p->region_name,
                             .to = p->address,
                             .subject = words.subject,
                             .message_id = id,
                             .stop_url = p->notice.confirm ? STR("") : p->notice.stop_url,
                             .lang = str_of(language_tag(p->notice.lang)),
                             .plain = words.plain,
                             .html = words.html,
                             .date = (int64_t)time(NULL) };
    return id.p == NULL ? id : letter_make(p->arena, &letter);
}

int mail_address(struct wire *w, struct parcel *p, struct parcel_result *why)
{
    if (smtp.url[0] == '\0') {
        return refuse(why, PARCEL_LATER, "no mail server is set up");
    }
    if (!letter_address_good(p->address)) {
        return refuse(why, PARCEL_REFUSED,
                      "not an address that mail servers take (SMTPUTF8 is not spoken)");
    }
    struct str letter = write_letter(p),
               to = arena_printf(p->arena, "<%.*s>", (int)p->address.n, p->address.p);
    struct str from = arena_printf(p->arena, "<%s>", smtp.from);
    if (letter.p == NULL || to.p == NULL || from.p == NULL ||
        wire_begin(w, &p->call, smtp.url, "smtp,smtps") != 0 ||
        (p->call.recipients = curl_slist_append(NULL, to.p)) == NULL) {
        return refuse(why, PARCEL_LATER, "memory is out");
    }
    CURL *e = p->call.easy;
    p->call.upload = letter;
    curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)letter.n);
    curl_easy_setopt(e, CURLOPT_USE_SSL, (long)(smtp.no_tls ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    int bad = curl_easy_setopt(e, CURLOPT_MAIL_FROM, from.p) != CURLE_OK;
    if (is_set(smtp.ca)) {
        bad |= curl_easy_setopt(e, CURLOPT_CAINFO, smtp.ca) != CURLE_OK;
    }
    if (is_set(smtp.user)) {
        bad |= curl_easy_setopt(e, CURLOPT_USERNAME, smtp.user) != CURLE_OK;
        bad |= curl_easy_setopt(e, CURLOPT_PASSWORD, smtp.password) != CURLE_OK;
    }
    return bad ? refuse(why, PARCEL_LATER, "libcurl does not take the settings") : 0;
}

/* 4xx and silence are the server's trouble, 5xx is a no: the password's is ours. What the server
 * says in words may hold the address, so only its number is kept. */
void mail_judge(const struct parcel *p, struct parcel_result *out)
{
    const struct wire_call *c = &p->call;
    if (c->code == CURLE_OK) {
        out->fate = PARCEL_SENT;
        return;
    }
    out->fate = c->status >= 500 && c->status < 600 && c->code != CURLE_LOGIN_DENIED
                    ? PARCEL_REFUSED
                    : PARCEL_LATER;
    snprintf(out->error, sizeof out->error, "%s%s%.0ld", curl_easy_strerror(c->code),
             c->status > 0 ? ", the mail server says " : "", c->status);
}
