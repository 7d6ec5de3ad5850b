/* otklik files sweep: every row of a file has its file, every file its row.
 *
 * A process that dies may leave a file that no row knows of: a file is safe before its row is
 * written. A row without its file can only come from a disk or a restore. Files are looked at
 * before rows, and only those that are not new: an upload in hand is nobody's leftover. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "database.h"
#include "files.h"
#include "progress.h"

enum { PAGE = 500, ID = 36, ARRAY_BYTES = PAGE * (ID + 1) + 3, READ_BYTES = 1 << 20 };

struct settings {
    const char *folder;
    int64_t older; /* s */
    int repair, digests;
};

/* Files of one folder of five hours, to be asked for together. */
struct page {
    int n;
    char ids[PAGE][ID + 1];
    int64_t sizes[PAGE];
};

struct sweep {
    const struct settings *s;
    PGconn *db;
    const char *folder;
    time_t before; /* newer ones are nobody's leftover */
    struct page page;
    int64_t files, rows;
    int64_t wrong, mended;
    struct progress progress;
};

/* PATH/NAME; 0, or -1 after a message. */
static int join(char out[FILE_PATH], const char *path, const char *name)
{
    if ((size_t)snprintf(out, FILE_PATH, "%s/%s", path, name) < FILE_PATH) {
        return 0;
    }
    cli_error("%s/%s: the path is too long", path, name);
    return -1;
}

/* One thing that is wrong; 1 when it should be mended. */
static int found(struct sweep *w, const char *what, const char *which)
{
    printf("%s %s\n", what, which);
    w->wrong++;
    return w->s->repair;
}

static int remove_it(struct sweep *w, const char *path)
{
    if (unlink(path) != 0) {
        cli_error("%s: %s", path, strerror(errno));
        return -1;
    }
    w->mended++;
    return 0;
}

/* ---- files */

/* A name that a file of ours can have. */
static int is_id(const char *name)
{
    return strlen(name) == ID && strspn(name, "0123456789abcdef-") == ID;
}

/* What a row says of file I: the folder is "originals" or "cleaned". */
static int judge(struct sweep *w, const char *kind, const char *path, int i, const PGresult *res,
                 int row)
{
    char file[FILE_PATH];
    int cleaned = strcmp(kind, "cleaned") == 0;
    snprintf(file, sizeof file, "%s/%s", path, w->page.ids[i]);
    if (PQgetisnull(res, row, 1)) {
        return found(w, "no row", file) ? remove_it(w, file) : 0;
    }
    const char *state = PQgetvalue(res, row, 2);
    if (cleaned && strcmp(state, "lost") == 0) {
        return 0; /* the best that is left */
    }
    if (cleaned && strcmp(state, "ready") != 0) {
        return found(w, "not shown", file) ? remove_it(w, file) : 0;
    }
    if (strtoll(PQgetvalue(res, row, cleaned ? 3 : 1), NULL, 10) != w->page.sizes[i]) {
        found(w, "size differs", file);
    }
    return 0;
}

static int ask_page(struct sweep *w, const char *kind, const char *region, const char *path)
{
    static char array[ARRAY_BYTES];
    struct page *p = &w->page;
    size_t n = (size_t)snprintf(array, sizeof array, "{");
    for (int i = 0; i < p->n; i++) {
        n += (size_t)snprintf(array + n, sizeof array - n, "%s%s", i > 0 ? "," : "", p->ids[i]);
    }
    snprintf(array + n, sizeof array - n, "}");
    const char *params[] = { region, array };
    PGresult *res = database_ask(w->db, path, QUERY_OTKLIK_FILES_KNOWN, params);
    int status = res == NULL ? -1 : 0;
    for (int row = 0; status == 0 && row < PQntuples(res); row++) {
        for (int i = 0; i < p->n; i++) {
            if (strcmp(p->ids[i], PQgetvalue(res, row, 0)) == 0) {
                status = judge(w, kind, path, i, res, row);
                break;
            }
        }
    }
    PQclear(res);
    w->files += p->n;
    p->n = 0;
    if (progress_due(&w->progress)) {
        progress_show(&w->progress, "%" PRId64 " files", w->files);
    }
    return status;
}

/* Calls EACH for every entry of PATH but dots, until one returns other than 0. A folder that is not
 * there has none. */
static int walk(struct sweep *w, const char *path, void *data,
                int (*each)(struct sweep *w, const char *path, const char *name, void *data))
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        if (errno == ENOENT) {
            return 0;
        }
        cli_error("%s: %s", path, strerror(errno));
        return -1;
    }
    int status = 0;
    const struct dirent *entry;
    while (status == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            status = each(w, path, entry->d_name, data);
        }
    }
    closedir(dir);
    return status;
}

/* 1 when PATH/NAME is an old file, with its size. */
static int is_old(const struct sweep *w, const char *path, const char *name, int64_t *size)
{
    char file[FILE_PATH];
    struct stat st;
    if (join(file, path, name) != 0 || lstat(file, &st) != 0 || !S_ISREG(st.st_mode) ||
        st.st_mtime > w->before) {
        return 0;
    }
    *size = st.st_size;
    return 1;
}

struct within {
    const char *kind, *region;
};

static int each_file(struct sweep *w, const char *path, const char *name, void *data)
{
    const struct within *in = data;
    struct page *p = &w->page;
    if (!is_id(name)) {
        char file[FILE_PATH];
        if (join(file, path, name) != 0) {
            return -1;
        }
        found(w, "not ours", file);
        return 0;
    }
    if (!is_old(w, path, name, &p->sizes[p->n])) {
        return 0;
    }
    snprintf(p->ids[p->n++], ID + 1, "%s", name);
    return p->n == PAGE ? ask_page(w, in->kind, in->region, path) : 0;
}

static int each_hours(struct sweep *w, const char *path, const char *name, void *data)
{
    const struct within *in = data;
    char folder[FILE_PATH];
    if (join(folder, path, name) != 0) {
        return -1;
    }
    int status = walk(w, folder, data, each_file);
    return status == 0 && w->page.n > 0 ? ask_page(w, in->kind, in->region, folder) : status;
}

static int each_region(struct sweep *w, const char *path, const char *name, void *data)
{
    char folder[FILE_PATH];
    struct within in = { data, name };
    if (join(folder, path, name) != 0) {
        return -1;
    }
    if (strlen(name) != 2 || strspn(name, "0123456789") != 2) {
        found(w, "not ours", folder);
        return 0;
    }
    return walk(w, folder, &in, each_hours);
}

/* Of an upload or a cleaning that never ended. */
static int each_unfinished(struct sweep *w, const char *path, const char *name, void *data)
{
    (void)data;
    int64_t size;
    char file[FILE_PATH];
    if (join(file, path, name) != 0) {
        return -1;
    }
    return is_old(w, path, name, &size) && found(w, "unfinished", file) ? remove_it(w, file) : 0;
}

static int sweep_files(struct sweep *w)
{
    static char *const kinds[] = { "originals", "cleaned" };
    static const char *const unfinished[] = { "incoming", "cleaning" };
    char path[FILE_PATH];
    int status = 0;
    for (size_t i = 0; i < 2 && status == 0; i++) {
        snprintf(path, sizeof path, "%s/%s", w->folder, unfinished[i]);
        status = walk(w, path, NULL, each_unfinished);
    }
    for (size_t i = 0; i < 2 && status == 0; i++) {
        snprintf(path, sizeof path, "%s/%s", w->folder, kinds[i]);
        status = walk(w, path, kinds[i], each_region);
    }
    return status;
}

/* ---- rows */

static int set_state(struct sweep *w, const char *region, const char *id, const char *state)
{
    const char *params[] = { region, id, state };
    PGresult *res = database_ask(w->db, id, QUERY_OTKLIK_FILES_STATE, params);
    if (res == NULL) {
        return -1;
    }
    PQclear(res);
    w->mended++;
    return 0;
}

/* 1: the file has this SHA-256; 0: another; -1 after a message. */
static int has_digest(const char *path, const char *wanted)
{
    static unsigned char buffer[READ_BYTES];
    unsigned char hash[32];
    char text[65];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    ssize_t n = fd < 0 || sha == NULL || EVP_DigestInit_ex(sha, EVP_sha256(), NULL) != 1 ? -1 : 1;
    while (n > 0) {
        n = read(fd, buffer, sizeof buffer);
        if (n > 0 && EVP_DigestUpdate(sha, buffer, (size_t)n) != 1) {
            n = -1;
        }
    }
    int done = n == 0 && EVP_DigestFinal_ex(sha, hash, NULL) == 1;
    if (!done) {
        cli_error("%s: %s", path, strerror(errno));
    }
    EVP_MD_CTX_free(sha);
    if (fd >= 0) {
        close(fd);
    }
    for (size_t i = 0; done && i < sizeof hash; i++) {
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    }
    return done ? strcmp(text, wanted) == 0 : -1;
}

static int check_row(struct sweep *w, const char *region, const char *id, const char *state,
                     const char *sha256)
{
    char place[FILE_PLACE], original[FILE_PATH], cleaned[FILE_PATH];
    file_place((int)strtol(region, NULL, 10), id, place);
    snprintf(original, sizeof original, "%s/originals/%s", w->folder, place);
    snprintf(cleaned, sizeof cleaned, "%s/cleaned/%s", w->folder, place);
    if (access(original, F_OK) != 0) {
        if (strcmp(state, "lost") == 0) {
            return 0; /* known */
        }
        return found(w, "no file", original) ? set_state(w, region, id, "lost") : 0;
    }
    if (strcmp(state, "lost") == 0) {
        return found(w, "file is back", original) ? set_state(w, region, id, "waiting") : 0;
    }
    if (strcmp(state, "ready") == 0 && access(cleaned, F_OK) != 0) {
        return found(w, "no file", cleaned) ? set_state(w, region, id, "waiting") : 0;
    }
    if (w->s->digests) {
        int same = has_digest(original, sha256);
        if (same == 0) {
            found(w, "digest differs", original);
        }
        return same < 0 ? -1 : 0;
    }
    return 0;
}

static int sweep_rows(struct sweep *w)
{
    char region[8] = "0", id[ID + 1] = "00000000-0000-0000-0000-000000000000", page[8];
    snprintf(page, sizeof page, "%d", PAGE);
    for (int n = PAGE, status; n == PAGE;) {
        const char *params[] = { region, id, page };
        PGresult *res = database_ask(w->db, NULL, QUERY_OTKLIK_FILES_ROWS, params);
        if (res == NULL) {
            return -1;
        }
        n = PQntuples(res);
        status = 0;
        for (int i = 0; i < n && status == 0; i++) {
            status = check_row(w, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1),
                               PQgetvalue(res, i, 2), PQgetvalue(res, i, 3));
        }
        if (n > 0) {
            snprintf(region, sizeof region, "%s", PQgetvalue(res, n - 1, 0));
            snprintf(id, sizeof id, "%s", PQgetvalue(res, n - 1, 1));
        }
        PQclear(res);
        w->rows += n;
        if (status != 0) {
            return -1;
        }
        if (progress_due(&w->progress)) {
            progress_show(&w->progress, "%" PRId64 " rows", w->rows);
        }
    }
    return 0;
}

static int run(const void *settings, char *const *arguments)
{
    static struct sweep w;
    const struct settings *s = settings;
    (void)arguments;
    w.s = s;
    w.folder = s->folder != NULL ? s->folder : getenv("OTKLIK_FILES");
    w.before = time(NULL) - (time_t)s->older;
    if (w.folder == NULL || *w.folder == '\0') {
        return cli_error("say where the files are: --folder or OTKLIK_FILES");
    }
    if (strlen(w.folder) > FILE_PATH / 2 || access(w.folder, R_OK | X_OK) != 0) {
        return cli_error("%s: %s", w.folder, strerror(errno));
    }
    w.db = database_open();
    if (w.db == NULL) {
        return CLI_ERROR;
    }
    w.progress = progress_begin(1);
    int status = sweep_files(&w) != 0 ? -1 : sweep_rows(&w);
    progress_end(&w.progress);
    PQfinish(w.db);
    if (status != 0) {
        return CLI_ERROR;
    }
    printf("%" PRId64 " files, %" PRId64 " rows: %" PRId64 " wrong, %" PRId64 " mended\n", w.files,
           w.rows, w.wrong, w.mended);
    return w.wrong == w.mended ? CLI_OK : CLI_ERROR;
}

static const struct option_row options[] = {
    { .name = "folder",
      .kind = OPTION_TEXT,
      .offset = offsetof(struct settings, folder),
      .value = "DIR",
      .help = "where the files are; OTKLIK_FILES without it" },
    { .name = "older",
      .kind = OPTION_NUMBER,
      .offset = offsetof(struct settings, older),
      .value = "SECONDS",
      .help = "only files that have not been changed for so long; 3600 without it",
      .min = 0,
      .max = 31536000,
      .fallback = 3600 },
    { .name = "repair",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct settings, repair),
      .help = "mend what is found" },
    { .name = "digests",
      .kind = OPTION_FLAG,
      .offset = offsetof(struct settings, digests),
      .help = "read every original and compare its SHA-256" },
    { .name = NULL },
};

const struct command command_files_sweep = {
    .name = "files sweep",
    .arguments = "",
    .summary = "Prove that every file has its row and every row its file",
    .details =
        "Names each file that no row knows of, each that was never finished, each row whose file is not there, each size that\n"
        "differs. --repair removes the first two, and marks the rows: lost, or to be cleaned once more. Ends with status 1\n"
        "when something is left that is wrong.",
    .options = options,
    .settings_size = sizeof(struct settings),
    .run = run,
};
