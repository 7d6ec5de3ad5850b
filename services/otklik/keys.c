/* otklik keys: adds, lists and removes API keys in the file that the edge reads.
 *
 * The file holds digests only; a key is shown once, when it is made. It is replaced as a whole by
 * rename, so the edge never reads half of it, and two who change it at once wait for each other at
 * a lock on its folder. */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../ngx_module/networks.h"
#include "commands.h"
#include "text.h"

enum { FILE_MAX = 16 << 20, SUBJECT_MAX = 64, HOOK_MAX = 32, SOURCE_MAX = 2048, SCOPES_MAX = 128 };

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char *const known_roles[] = { "integrator", "staff", "channel", "moderator", "registrar", NULL };

/* ---- making */

/* N random characters; a byte beyond the last multiple of 36 is drawn anew, so that all are equally
 * likely. */
static int draw(char *out, size_t n)
{
    size_t done = 0;
    while (done < n) {
        unsigned char bytes[64];
        ssize_t got = getrandom(bytes, sizeof(bytes), 0);
        if (got < 0) {
            return -1;
        }
        for (ssize_t i = 0; i < got && done < n; i++) {
            if (bytes[i] < 252) {
                out[done++] = alphabet[bytes[i] % 36];
            }
        }
    }
    return 0;
}

int key_make(char out[KEY_TEXT])
{
    memcpy(out, "otk_", 4);
    if (draw(out + 4, KEY_PREFIX) != 0 || draw(out + 4 + KEY_PREFIX + 1, KEY_SECRET) != 0) {
        return -1;
    }
    out[4 + KEY_PREFIX] = '_';
    out[KEY_TEXT - 1] = '\0';
    return 0;
}

/* ---- checking what an administrator typed */

static int is_subject(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= SUBJECT_MAX &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* Commas between known roles, none twice. */
static int are_roles(const char *s)
{
    unsigned seen = 0;
    for (;;) {
        size_t n = strcspn(s, ","), i = 0;
        while (known_roles[i] != NULL &&
               !(strlen(known_roles[i]) == n && memcmp(known_roles[i], s, n) == 0)) {
            i++;
        }
        if (known_roles[i] == NULL || (seen & (1U << i)) != 0) {
            return 0;
        }
        seen |= 1U << i;
        if (s[n] == '\0') {
            return 1;
        }
        s += n + 1;
    }
}

/* 100r/s or 30r/m */
static int is_rate(const char *s)
{
    size_t n = strspn(s, "0123456789");
    return n > 0 && n <= 7 && s[0] != '0' &&
           (strcmp(s + n, "r/s") == 0 || strcmp(s + n, "r/m") == 0);
}

/* The kind of a hook, as appeal_hook of the edge has it. */
static int is_hook(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= HOOK_MAX && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

/* Names with single commas between, as the edge has them. */
static int are_scopes(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= SCOPES_MAX && s[0] != ',' && s[n - 1] != ',' && strstr(s, ",,") == NULL &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-,") == n;
}

/* What the edge would take: one wrong line, and it goes by the file before. */
static int is_source(const char *s)
{
    struct networks *networks = networks_parse_list(s, strlen(s));
    int good = networks != NULL && strlen(s) <= SOURCE_MAX;
    networks_free(networks);
    return good;
}

/* An RFC 3339 moment in UTC or with an offset; *at gets it. */
static int is_moment(const char *s, time_t *at)
{
    struct tm tm = { 0 };
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (rest == NULL) {
        return 0;
    }
    long offset = 0;
    if (strcmp(rest, "Z") != 0) {
        struct tm east = { 0 };
        const char *end =
            rest[0] == '+' || rest[0] == '-' ? strptime(rest + 1, "%H:%M", &east) : NULL;
        if (end == NULL || *end != '\0') {
            return 0;
        }
        offset = (rest[0] == '-' ? -1L : 1L) * (east.tm_hour * 3600L + east.tm_min * 60L);
    }
    *at = timegm(&tm) - offset;
    return 1;
}

/* ---- the file */

/* A key file in hand: locked, read as a whole. */
struct keyfile {
    const char *path;
    int folder; /* locked until closed */
    struct str text;
    int exists;
    mode_t mode;
    uid_t owner;
    gid_t group;
};

static void keyfile_close(struct keyfile *f)
{
    if (f->folder >= 0) {
        close(f->folder);
    }
    free((char *)f->text.p);
}

/* The file need not exist if MAY_BE_NEW. */
static int keyfile_open(struct keyfile *f, const char *path, int may_be_new)
{
    *f = (struct keyfile){ .path = path, .folder = -1, .mode = 0640 };
    char *copy = cli_printf("%s", path);
    f->folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (f->folder < 0 || flock(f->folder, LOCK_EX) != 0) {
        return cli_error("%s: its folder: %s", path, strerror(errno));
    }
    struct stat st;
    if (stat(path, &st) == 0) {
        f->exists = 1;
        f->mode = st.st_mode & 07777;
        f->owner = st.st_uid;
        f->group = st.st_gid;
        f->text = cli_read_file(path, FILE_MAX);
        return f->text.p == NULL ? CLI_ERROR : CLI_OK;
    }
    if (errno != ENOENT || !may_be_new) {
        return cli_error("%s: %s", path, strerror(errno));
    }
    f->text = (struct str){ cli_alloc(1), 0 };
    return CLI_OK;
}

/* Puts TEXT in the place of the file: whole, durable, with the rights the old one had. */
static int keyfile_replace(struct keyfile *f, struct str text)
{
    char *new_path = cli_printf("%s.XXXXXX", f->path);
    int fd = mkostemp(new_path, O_CLOEXEC);
    int bad = fd < 0;
    for (size_t done = 0; !bad && done < text.n;) {
        ssize_t n = write(fd, text.p + done, text.n - done);
        bad = n < 0;
        done += n < 0 ? 0 : (size_t)n;
    }
    if (!bad && f->exists && (f->owner != geteuid() || f->group != getegid())) {
        bad = fchown(fd, f->owner, f->group) != 0;
    }
    bad = bad || fchmod(fd, f->mode) != 0 || fsync(fd) != 0 || rename(new_path, f->path) != 0 ||
          fsync(f->folder) != 0;
    if (bad) {
        cli_error("%s: %s", f->path, strerror(errno));
        if (fd >= 0) {
            unlink(new_path);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    free(new_path);
    return bad ? CLI_ERROR : CLI_OK;
}

/* One line of the file: prefix, digest and the words behind them, in place. */
struct keyline {
    struct str prefix, digest, words;
};

static struct str cut_word(struct str *s)
{
    while (s->n > 0 && (*s->p == ' ' || *s->p == '\t')) {
        s->p++;
        s->n--;
    }
    struct str word = { s->p, 0 };
    while (s->n > 0 && *s->p != ' ' && *s->p != '\t') {
        s->p++;
        s->n--;
        word.n++;
    }
    return word;
}

/* 1 a key, 0 a comment or an empty line, -1 neither. */
static int keyline_read(struct str line, struct keyline *out)
{
    struct str rest = line;
    if (rest.n > 0 && rest.p[rest.n - 1] == '\r') {
        rest.n--;
    }
    out->prefix = cut_word(&rest);
    if (out->prefix.n == 0 || out->prefix.p[0] == '#') {
        return 0;
    }
    out->digest = cut_word(&rest);
    out->words = rest;
    return out->prefix.n == KEY_PREFIX && out->digest.n == TEXT_SHA256 - 1 ? 1 : -1;
}

/* The next line of REST, which moves on; 0 at the end. */
static int next_line(struct str *rest, struct str *line)
{
    if (rest->n == 0) {
        return 0;
    }
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end == NULL ? rest->n : (size_t)(end - rest->p);
    *line = (struct str){ rest->p, n };
    rest->p += n + (end != NULL);
    rest->n -= n + (end != NULL);
    return 1;
}

/* 1 if a key of that prefix is in the file. */
static int has_prefix(struct str text, struct str prefix)
{
    struct str line;
    struct keyline k;
    while (next_line(&text, &line)) {
        if (keyline_read(line, &k) == 1 && str_eq(k.prefix, prefix)) {
            return 1;
        }
    }
    return 0;
}

/* ---- keys add */

struct add_settings {
    const char *file, *subject, *roles, *scopes, *hook, *source, *rate, *expires;
    int64_t region, body, burst;
};

static int check_add(const struct add_settings *s)
{
    time_t at;
    if (!is_subject(s->subject)) {
        return cli_usage(&command_keys_add,
                         "--subject takes 1 to %d letters, digits, dots, - and _", SUBJECT_MAX);
    }
    if (!are_roles(s->roles)) {
        return cli_usage(&command_keys_add,
                         "--roles takes integrator, staff, moderator, registrar, channel, with commas between");
    }
    if (s->scopes != NULL && !are_scopes(s->scopes)) {
        return cli_usage(&command_keys_add,
                         "--scopes takes names of A-Z a-z 0-9 . _ : / - with commas between");
    }
    if (s->hook != NULL && !is_hook(s->hook)) {
        return cli_usage(&command_keys_add, "--hook takes 1 to %d of a-z 0-9 _", HOOK_MAX);
    }
    if (s->source != NULL && !is_source(s->source)) {
        return cli_usage(&command_keys_add,
                         "--source takes networks such as 198.51.100.0/24,2001:db8::/32");
    }
    if (s->rate != NULL && !is_rate(s->rate)) {
        return cli_usage(&command_keys_add, "--rate takes a rate such as 100r/s or 30r/m");
    }
    if (s->burst > 0 && s->rate == NULL) {
        return cli_usage(&command_keys_add, "--burst goes with --rate");
    }
    if (s->expires != NULL && !is_moment(s->expires, &at)) {
        return cli_usage(&command_keys_add,
                         "--expires takes a moment such as 2027-12-31T23:59:59Z");
    }
    if (s->expires != NULL && at <= time(NULL)) {
        return cli_error("--expires %s is in the past", s->expires);
    }
    return CLI_OK;
}

static int append_key(struct keyfile *f, const struct add_settings *s, const char *key)
{
    char digest[TEXT_SHA256];
    text_sha256(str_of(key), digest);
    char body[40] = "", burst[40] = "";
    if (s->body > 0) {
        snprintf(body, sizeof(body), " body=%" PRId64, s->body);
    }
    if (s->burst > 0) {
        snprintf(burst, sizeof(burst), " burst=%" PRId64, s->burst);
    }
    int ends = f->text.n == 0 || f->text.p[f->text.n - 1] == '\n';
    char *text =
        cli_printf("%.*s%s%.*s %s subject=%s roles=%s region=%" PRId64 "%s%s%s%s%s%s%s%s%s%s%s%s\n",
                   (int)f->text.n, f->text.p, ends ? "" : "\n", KEY_PREFIX, key + 4, digest,
                   s->subject, s->roles, s->region, body,
                   s->scopes == NULL ? "" : " scopes=", s->scopes == NULL ? "" : s->scopes,
                   s->hook == NULL ? "" : " hook=", s->hook == NULL ? "" : s->hook,
                   s->source == NULL ? "" : " source=", s->source == NULL ? "" : s->source,
                   s->rate == NULL ? "" : " rate=", s->rate == NULL ? "" : s->rate, burst,
                   s->expires == NULL ? "" : " expires=", s->expires == NULL ? "" : s->expires);
    int status = keyfile_replace(f, str_of(text));
    free(text);
    return status;
}

static int run_add(const void *settings, char *const *arguments)
{
    const struct add_settings *s = settings;
    (void)arguments;
    int status = check_add(s);
    if (status != CLI_OK) {
        return status;
    }
    struct keyfile f;
    char key[KEY_TEXT];
    status = keyfile_open(&f, s->file, 1);
    do {
        if (status == CLI_OK && key_make(key) != 0) {
            status = cli_error("no random bytes: %s", strerror(errno));
        }
    } while (status == CLI_OK && has_prefix(f.text, (struct str){ key + 4, KEY_PREFIX }));
    if (status == CLI_OK) {
        status = append_key(&f, s, key);
    }
    if (status == CLI_OK) {
        puts(key);
    }
    keyfile_close(&f);
    return status;
}

/* ---- keys list */

struct file_settings {
    const char *file;
};

/* Prints the value of a word such as region=90, or a dash. */
static struct str word_of(struct str words, const char *name)
{
    size_t n = strlen(name);
    struct str word;
    while ((word = cut_word(&words)).n > 0) {
        if (word.n > n && memcmp(word.p, name, n) == 0 && word.p[n] == '=') {
            return (struct str){ word.p + n + 1, word.n - n - 1 };
        }
    }
    return STR("-");
}

static void print_key(const struct keyline *k)
{
    static const struct {
        const char *name;
        int width;
    } columns[] = { { "subject", 24 }, { "roles", 18 }, { "region", 6 }, { "body", 6 },
                    { "hook", 8 },     { "rate", 10 },  { "burst", 6 } };
    printf("%.*s  ", (int)k->prefix.n, k->prefix.p);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        struct str value = word_of(k->words, columns[i].name);
        printf("%-*.*s  ", columns[i].width, (int)value.n, value.p);
    }
    struct str expires = word_of(k->words, "expires");
    char text[64];
    time_t at;
    snprintf(text, sizeof(text), "%.*s", (int)expires.n, expires.p);
    printf("%s%s\n", text, is_moment(text, &at) && at <= time(NULL) ? " (over)" : "");
}

static int run_list(const void *settings, char *const *arguments)
{
    const struct file_settings *s = settings;
    (void)arguments;
    struct str text = cli_read_file(s->file, FILE_MAX);
    if (text.p == NULL) {
        return CLI_ERROR;
    }
    printf("%-8s  %-24s  %-18s  %-6s  %-6s  %-8s  %-10s  %-6s  %s\n", "prefix", "subject", "roles",
           "region", "body", "hook", "rate", "burst", "expires");
    struct str rest = text, line;
    int status = CLI_OK;
    for (int number = 1; next_line(&rest, &line); number++) {
        struct keyline k;
        int kind = keyline_read(line, &k);
        if (kind == 1) {
            print_key(&k);
        } else if (kind < 0) {
            status =
                cli_error("%s:%d: not a key line (prefix, SHA-256, subject=… roles=… region=…)",
                          s->file, number);
        }
    }
    free((char *)text.p);
    return status;
}

/* ---- keys remove */

/* The file without the line of PREFIX, allocated; .p is NULL if there is none. */
static struct str without(struct str text, struct str prefix)
{
    char *kept = cli_alloc(text.n + 1);
    size_t n = 0;
    int found = 0;
    struct str rest = text, line;
    while (next_line(&rest, &line)) {
        struct keyline k;
        if (keyline_read(line, &k) == 1 && str_eq(k.prefix, prefix)) {
            found = 1;
            continue;
        }
        memcpy(kept + n, line.p, line.n);
        n += line.n;
        kept[n++] = '\n';
    }
    if (!found) {
        free(kept);
        return (struct str){ NULL, 0 };
    }
    return (struct str){ kept, n };
}

static int run_remove(const void *settings, char *const *arguments)
{
    const struct file_settings *s = settings;
    struct str prefix = str_of(arguments[0]);
    if (prefix.n > 4 + KEY_PREFIX && memcmp(prefix.p, "otk_", 4) == 0) {
        prefix = (struct str){ prefix.p + 4, KEY_PREFIX }; /* the whole key */
    }
    struct keyfile f;
    int status = keyfile_open(&f, s->file, 0);
    if (status == CLI_OK) {
        struct str kept = without(f.text, prefix);
        status = kept.p == NULL
                     ? cli_error("%s: there is no key %.*s", s->file, (int)prefix.n, prefix.p)
                     : keyfile_replace(&f, kept);
        free((char *)kept.p);
    }
    if (status == CLI_OK) {
        printf("removed %.*s; the edge reads the file again within a second\n", (int)prefix.n,
               prefix.p);
    }
    keyfile_close(&f);
    return status;
}

/* ---- the table's rows */

#define FILE_OPTION(type)                                                           \
    {                                                                               \
        .name = "file", .kind = OPTION_TEXT, .offset = offsetof(struct type, file), \
        .value = "FILE", .help = "the key file that the edge reads", .required = 1  \
    }

static const struct option_row add_options[] = {
    FILE_OPTION(add_settings),
    { .name = "subject",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct add_settings, subject),
      .value = "NAME",
      .help = "who holds the key; appeals carry this name",
      .required = 1 },
    { .name = "roles",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct add_settings, roles),
      .value = "A,B",
      .help = "integrator (sends appeals), staff (reads reports), channel (a hook)",
      .required = 1 },
    { .name = "region",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct add_settings, region),
      .value = "N",
      .help = "number of the region it acts in",
      .required = 1,
      .min = 1,
      .max = 99 },
    { .name = "body",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct add_settings, body),
      .value = "ID",
      .help = "the body it acts for",
      .min = 1,
      .max = INT32_MAX },
    { .name = "scopes",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct add_settings, scopes),
      .value = "A,B",
      .help = "what it is good for, where the edge asks (appeal_scope)" },
    { .name = "hook",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct add_settings, hook),
      .value = "KIND",
      .help = "it is the secret of such a hook (telegram, ok, max …), not a client's key" },
    { .name = "source",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct add_settings, source),
      .value = "A,B",
      .help = "addresses and networks it holds from; from everywhere by default" },
    { .name = "rate",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct add_settings, rate),
      .value = "R",
      .help = "its limit, such as 100r/s; none by default" },
    { .name = "burst",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct add_settings, burst),
      .value = "N",
      .help = "how many at once within that rate",
      .min = 1,
      .max = 1000000 },
    { .name = "expires",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct add_settings, expires),
      .value = "T",
      .help = "until when it holds, such as 2027-12-31T23:59:59Z" },
    { .name = NULL },
};

const struct command command_keys_add = {
    .name = "keys add",
    .arguments = "",
    .summary = "Make an API key",
    .details =
        "Makes a random key, adds its digest to the key file and prints the key. It cannot be shown again. A running\n"
        "edge knows it within a second. A new file gets the mode 0640; an old one keeps its owner and mode.",
    .options = add_options,
    .settings_size = sizeof(struct add_settings),
    .run = run_add,
};

static const struct option_row list_options[] = { FILE_OPTION(file_settings), { .name = NULL } };

const struct command command_keys_list = {
    .name = "keys list",
    .arguments = "",
    .summary = "Show the API keys, without their secrets",
    .details = "Prints one line a key: prefix, subject, roles, region, body, rate, burst, end.",
    .options = list_options,
    .settings_size = sizeof(struct file_settings),
    .run = run_list,
};

const struct command command_keys_remove = {
    .name = "keys remove",
    .arguments = "PREFIX",
    .summary = "Take an API key back",
    .details =
        "Removes the key with that prefix (the eight characters behind otk_) from the key file. A running edge refuses\n"
        "it within a second.",
    .options = list_options,
    .settings_size = sizeof(struct file_settings),
    .narguments = 1,
    .run = run_remove,
};
