/* The state of a replay: an identity, and the lines done as ranges ("1-4711 4713"). */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "text.h"

enum { IDENTITY_BYTES = 1 << 20, STATE_MAX = 256 << 20, HIGHEST_LINE = 1 << 30 };

static const char magic[] = "otklik replay 1";

struct state {
    char *path;
    char *identity;
    uint64_t *bits; /* line n is bit n - 1 */
    size_t words;
    int64_t done, contiguous, highest;
    int changed;
};

int state_has(const struct state *s, int64_t line)
{
    size_t word = (size_t)(line - 1) / 64;
    return word < s->words && (s->bits[word] >> ((line - 1) % 64) & 1) != 0;
}

void state_mark(struct state *s, int64_t line)
{
    size_t word = (size_t)(line - 1) / 64;
    if (word >= s->words) {
        size_t words = 2 * word + 64;
        s->bits = cli_realloc(s->bits, words * sizeof(*s->bits));
        memset(s->bits + s->words, 0, (words - s->words) * sizeof(*s->bits));
        s->words = words;
    }
    if (state_has(s, line)) {
        return;
    }
    s->bits[word] |= UINT64_C(1) << ((line - 1) % 64);
    s->done++;
    s->changed = 1;
    s->highest = line > s->highest ? line : s->highest;
    while (state_has(s, s->contiguous + 1)) {
        s->contiguous++;
    }
}

int64_t state_done(const struct state *s)
{
    return s->done;
}

int64_t state_contiguous(const struct state *s)
{
    return s->contiguous;
}

/* "1-3 5 7-9" */
static int read_ranges(struct state *s, const char *p)
{
    while (*p == ' ') {
        char *end;
        int64_t from = strtoll(p + 1, &end, 10), to = from;
        if (end == p + 1) {
            return -1;
        }
        if (*end == '-') {
            p = end;
            to = strtoll(p + 1, &end, 10);
        }
        if (end == p + 1 || from < 1 || to < from || to > HIGHEST_LINE) {
            return -1;
        }
        for (int64_t line = from; line <= to; line++) {
            state_mark(s, line);
        }
        p = end;
    }
    return *p == '\0' || *p == '\n' ? 0 : -1;
}

static int read_state(struct state *s)
{
    struct stat st;
    if (stat(s->path, &st) != 0 && errno == ENOENT) {
        return 0;
    }
    struct str text = cli_read_file(s->path, STATE_MAX);
    if (text.p == NULL) {
        return -1;
    }
    char *saved = NULL;
    char *first = strtok_r((char *)text.p, "\n", &saved);
    char *identity = strtok_r(NULL, "\n", &saved);
    char *ranges = strtok_r(NULL, "\n", &saved);
    int status = 0;
    if (first == NULL || strcmp(first, magic) != 0 || identity == NULL || ranges == NULL ||
        strncmp(ranges, "done", 4) != 0) {
        status = cli_error("%s: not the state of a replay", s->path);
    } else if (strcmp(identity, s->identity) != 0) {
        status =
            cli_error("%s: is the state of another file or another address; use --state for a new "
                      "one, or --again to forget it",
                      s->path);
    } else if (read_ranges(s, ranges + 4) != 0) {
        status = cli_error("%s:3: not a list of lines", s->path);
    }
    s->changed = 0;
    free((char *)text.p);
    return status == 0 ? 0 : -1;
}

struct state *state_open(const char *path, const char *identity, int again)
{
    struct state *s = cli_alloc(sizeof(*s));
    s->path = cli_printf("%s", path);
    s->identity = cli_printf("%s", identity);
    if (!again && read_state(s) != 0) {
        state_free(s);
        return NULL;
    }
    s->changed = 1;
    return s;
}

void state_free(struct state *s)
{
    if (s != NULL) {
        free(s->path);
        free(s->identity);
        free(s->bits);
        free(s);
    }
}

static void write_ranges(const struct state *s, FILE *out)
{
    fputs("done", out);
    for (int64_t line = 1; line <= s->highest; line++) {
        if (!state_has(s, line)) {
            continue;
        }
        int64_t last = line;
        while (state_has(s, last + 1)) {
            last++;
        }
        fprintf(out, line == last ? " %" PRId64 : " %" PRId64 "-%" PRId64, line, last);
        line = last;
    }
    fputc('\n', out);
}

int state_save(struct state *s)
{
    if (!s->changed) {
        return 0;
    }
    char *new_path = cli_printf("%s.new", s->path);
    int fd = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    int bad = out == NULL;
    if (!bad) {
        fprintf(out, "%s\n%s\n", magic, s->identity);
        write_ranges(s, out);
        bad = fflush(out) != 0 || fsync(fd) != 0;
        bad = fclose(out) != 0 || bad;
        bad = bad || rename(new_path, s->path) != 0;
    }
    if (bad) {
        cli_error("%s: %s", s->path, strerror(errno));
    }
    free(new_path);
    s->changed = bad;
    return bad ? -1 : 0;
}

/* Makes a folder and those above it, for the owner alone. */
static int make_folders(char *path)
{
    for (char *p = path + 1;; p++) {
        if (*p == '/' || *p == '\0') {
            char end = *p;
            *p = '\0';
            int bad = mkdir(path, 0700) != 0 && errno != EEXIST;
            *p = end;
            if (bad) {
                cli_error("%s: %s", path, strerror(errno));
                return -1;
            }
            if (end == '\0') {
                return 0;
            }
        }
    }
}

char *state_path(const char *file, const char *key)
{
    const char *state_home = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char *folder;
    if (state_home != NULL && state_home[0] == '/') {
        folder = cli_printf("%s/otklik", state_home);
    } else if (home != NULL && home[0] == '/') {
        folder = cli_printf("%s/.local/state/otklik", home);
    } else {
        cli_error(
            "neither XDG_STATE_HOME nor HOME is set: say with --state where the state shall be");
        return NULL;
    }
    if (make_folders(folder) != 0) {
        free(folder);
        return NULL;
    }
    char digest[TEXT_SHA256];
    text_sha256(str_of(key), digest);
    int is_ours = strncmp(key, "otk_", 4) == 0 && strlen(key) > 12;
    const char *name = strrchr(file, '/');
    char *path = cli_printf("%s/%s.%.8s.replay", folder, name == NULL ? file : name + 1,
                            is_ours ? key + 4 : digest);
    free(folder);
    return path;
}

char *state_identity(const char *file, const char *url)
{
    struct stat st;
    FILE *in = fopen(file, "rb");
    if (in == NULL || fstat(fileno(in), &st) != 0) {
        cli_error("%s: %s", file, strerror(errno));
        if (in != NULL) {
            fclose(in);
        }
        return NULL;
    }
    char *bytes = cli_alloc(IDENTITY_BYTES);
    char digest[TEXT_SHA256];
    text_sha256((struct str){ bytes, fread(bytes, 1, IDENTITY_BYTES, in) }, digest);
    fclose(in);
    free(bytes);
    return cli_printf("file sha256:%s bytes:%jd url:%s", digest, (intmax_t)st.st_size, url);
}
