/* One file through the helper: original in, cleaned file out. */
#ifndef CLEAN_H
#define CLEAN_H

#include <uv.h>

#include "files.h"
#include "recoder.h"

enum clean_result {
    CLEAN_DONE,
    CLEAN_LOST,       /* there is no original */
    CLEAN_UNREADABLE, /* the file's fault, as are the next two */
    CLEAN_TOO_MANY_PIXELS,
    CLEAN_TOO_COSTLY,
    CLEAN_LATER /* the machine's fault: no space, no memory, no helper */
};

/* What the helper found; numbers are checked, texts are of their form. */
struct clean_report {
    char type[32];
    int64_t size;       /* bytes of the cleaned file */
    long width, height; /* of the original; 0: no picture */
    char taken[32];     /* "" without one */
    char lat[16], lon[16];
};

struct clean {
    const char *folder, *helper; /* the owner's, like all up to done */
    long pixels, seconds;
    uv_loop_t *loop;
    void (*done)(struct clean *c, enum clean_result result);
    void *data;

    struct clean_report report;
    /* within */
    char from[FILE_PATH], to[FILE_PATH], making[FILE_PATH];
    int in, out;
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t clock;
    uv_work_t work;
    char text[RECODER_REPORT_MAX];
    size_t ntext;
    int open_handles, exited, reported, killed;
    int64_t status;
    int signal;
    enum clean_result result;
};

/* Begins with file ID of REGION, which is of media type TYPE; DONE comes exactly once, at once or
 * later. One file at a time for each struct. */
void clean_start(struct clean *c, int region, const char *id, const char *type);
/* Reads the helper's report; 0, or -1 when it is not one. */
int clean_read_report(const char *text, size_t n, struct clean_report *out);

#endif
