/* Places of files outside of the database. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

enum { DIR_MODE = 0770 }; /* what the group may, umask says */

void file_place(int region, const char *id, char out[FILE_PLACE])
{
    snprintf(out, FILE_PLACE, "%02d/%.6s/%.36s", region, id, id);
}

int file_folder(const char *folder, const char *name)
{
    char path[FILE_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (mkdir(path, DIR_MODE) != 0 && errno != EEXIST) {
        log_write(LOG_ERROR, STR(""), "%s: %s", path, strerror(errno));
        return -1;
    }
    if (access(path, W_OK | X_OK) != 0) {
        log_write(LOG_ERROR, STR(""), "%s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

/* Makes a folder's entries durable. */
static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || fsync(fd) != 0;
    if (fd >= 0) {
        close(fd);
    }
    return bad ? -1 : 0;
}

/* Makes the folder PATH, durably. 0, or -1. */
static int make_durable(char *path)
{
    if (mkdir(path, DIR_MODE) != 0) {
        return errno == EEXIST ? 0 : -1;
    }
    char *end = strrchr(path, '/');
    *end = '\0';
    int status = sync_folder(path);
    *end = '/';
    return status;
}

/* The two folders above PATH; leaves PATH as it was. */
static int make_parents(char *path)
{
    char *inner = strrchr(path, '/');
    *inner = '\0';
    char *outer = strrchr(path, '/');
    *outer = '\0';
    int status = make_durable(path);
    *outer = '/';
    status = status == 0 ? make_durable(path) : status;
    *inner = '/';
    return status;
}

int file_settle(int fd, const char *from, char *to)
{
    if (fsync(fd) != 0 || make_parents(to) != 0 || rename(from, to) != 0) {
        return -1;
    }
    char *end = strrchr(to, '/');
    *end = '\0';
    int status = sync_folder(to);
    *end = '/';
    return status;
}
