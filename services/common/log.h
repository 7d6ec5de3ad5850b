/* One JSON object a line on standard error. */
#ifndef LOG_H
#define LOG_H

#include "otklik.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* PROGRAM is kept. LEVEL by name ("info"); unknown names mean info. */
void log_open(const char *program, const char *level);
/* Writes {"time","level","program","request_id"?,"message", …}; REQUEST_ID may be empty. The
 * message is escaped; never pass secrets, texts of appeals or contacts. */
void log_write(enum log_level level, struct str request_id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
