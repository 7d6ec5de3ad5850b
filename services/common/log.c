/* One JSON object a line on standard error. */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "json.h"

/* A message that fills its buffer never fits into the line: so only json_escape cuts, which knows
 * where. */
enum { LINE_BYTES = 2048, MESSAGE_BYTES = LINE_BYTES };

static const char *const names[] = { "error", "warn", "info", "debug" };

static struct {
    const char *program;
    enum log_level level;
} state = { "otklik", LOG_INFO };

void log_open(const char *program, const char *level)
{
    state.program = program;
    state.level = LOG_INFO;
    for (size_t i = 0; level != NULL && i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], level) == 0) {
            state.level = (enum log_level)i;
        }
    }
}

void log_write(enum log_level level, struct str request_id, const char *format, ...)
{
    if (level > state.level) {
        return;
    }
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int said = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    size_t n = said < 0 ? 0 : (size_t)said < sizeof message ? (size_t)said : sizeof message - 1;

    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    char stamp[32], id[64], line[LINE_BYTES];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    size_t id_length = json_escape(request_id, id, sizeof id);
    int head = snprintf(
        line, sizeof line,
        "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"program\":\"%s\"%s%.*s%s,\"message\":\"", stamp,
        now.tv_nsec / 1000000, names[level], state.program,
        id_length > 0 ? ",\"request_id\":\"" : "", (int)id_length, id, id_length > 0 ? "\"" : "");
    if (head < 0 || (size_t)head > sizeof line - 4) {
        return;
    }
    size_t length = (size_t)head;
    length += json_escape((struct str){ message, n }, line + length, sizeof line - 3 - length);
    line[length++] = '"';
    line[length++] = '}';
    line[length++] = '\n';
    /* One write a line: lines of several processes do not mix. Where the log itself fails there is
     * nobody to tell. */
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
}
