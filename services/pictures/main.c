/* otklik-pictures: makes of every file that came with an appeal one that may be shown. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config.h"
#include "files.h"
#include "log.h"
#include "pictures_queries.h"
#include "queue.h"
#include "service.h"

enum { PATH_BYTES = 512, MEGAPIXEL = 1000000 };

/* No public endpoint: health and metrics come with every service. */
static const struct route routes[] = {
    { .path = NULL },
};

/* The helper lies beside this program. */
static const char *helper_path(void)
{
    static char path[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "otklik-recoder");
    char *slash = n <= 0 ? NULL : memrchr(path, '/', (size_t)n);
    if (slash == NULL) {
        return NULL;
    }
    snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "otklik-recoder");
    return access(path, X_OK) == 0 ? path : NULL;
}

static int start(struct service *s)
{
    struct queue_settings settings = { .folder = getenv("OTKLIK_FILES"), .helper = helper_path() };
    if (settings.folder == NULL || strlen(settings.folder) > PATH_BYTES / 2) {
        log_write(LOG_ERROR, STR(""), "OTKLIK_FILES must name a folder");
        return -1;
    }
    if (settings.helper == NULL) {
        log_write(LOG_ERROR, STR(""), "otklik-recoder is not beside this program");
        return -1;
    }
    if (config_number("OTKLIK_PICTURES_AT_ONCE", 1, 16, 2, &settings.at_once) != 0 ||
        config_number("OTKLIK_PICTURES_SECONDS", 1, 600, 20, &settings.seconds) != 0 ||
        config_number("OTKLIK_PICTURES_MEGAPIXELS", 1, 1000, 120, &settings.pixels) != 0 ||
        file_folder(settings.folder, "cleaning") != 0 ||
        file_folder(settings.folder, "cleaned") != 0) {
        return -1;
    }
    settings.pixels *= MEGAPIXEL;
    s->state = queue_start(s, &settings);
    return s->state == NULL ? -1 : 0;
}

static void stop(struct service *s)
{
    queue_stop(s->state);
}

static int busy(struct service *s)
{
    return queue_busy(s->state);
}

int main(void)
{
    static struct service service = {
        .name = "pictures",
        .routes = routes,
        .statements = pictures_queries,
        .nstatements = PICTURES_QUERY_COUNT,
        .start = start,
        .stop = stop,
        .busy = busy,
    };
    return service_run(&service);
}
