/* Files that come with a request, on their way to the disk: multipart/form-data, or one file as the
 * whole body.
 *
 * They are written while they arrive, by libuv's threads, in a folder for what is not finished.
 * When the body has ended they are flushed and moved to their places; only then is the handler
 * asked, so that a row of the database never speaks of a file that is not there. What no handler
 * keeps goes away with the request. A process that dies in between leaves files that no row knows
 * of: `otklik files sweep` takes them away. */
#ifndef UPLOAD_H
#define UPLOAD_H

#include "media.h"
#include "request.h"
#include "server.h"

enum {
    UPLOAD_FILES_MAX = 10,
    UPLOAD_NAME_MAX = 200,        /* bytes of a file's name */
    UPLOAD_FORM_MAX = 512 * 1024, /* bytes of the other fields, as a form body */
    UPLOAD_PARTS_MAX = 256
};

/* Where files of a service go. */
struct uploads;
/* FOLDER gets "incoming" and "originals"; a file may have FILE_MAX bytes, AT_ONCE requests may
 * bring files at the same time. NULL with the reason logged. */
struct uploads *uploads_open(uv_loop_t *loop, const char *folder, int64_t file_max, int at_once);

/* A file that came. */
struct upload_file {
    char id[37]; /* UUIDv7: its name under originals */
    char
        name[UPLOAD_NAME_MAX + 1]; /* as the client says, without folders; valid UTF-8; may be "" */
    enum media media;
    int64_t size;
    char digest[67]; /* SHA-256 as "\x…" */
};

/* For the files row of a route: begins an upload by the request's Content-Type. What comes is read
 * to its end and thrown away when REFUSE is not OTK_OK. NULL when memory is out. */
struct sink *upload_begin(struct uploads *store, const struct request *r, int region,
                          enum otk_err refuse);
/* The same of a request that will have to come again: only the other fields are read, no file is
 * looked at or written. */
struct sink *upload_skim(struct uploads *store, const struct request *r);
/* 1 when the request's body is multipart/form-data. */
int upload_is_multipart(const struct request *r);

/* The body has ended: calls DONE when the files are safe or the upload has failed, at once or
 * later. Then r->body has the other fields as a form body. */
void upload_finish(struct request *r, void (*done)(struct request *r));
/* How it went: OTK_OK, or why not. With OTK_TOO_LARGE, OTK_MEDIA_TYPE and OTK_INVALID *error names
 * the field; *detail names the file. */
enum otk_err upload_result(const struct request *r, struct field_error *error, struct str *detail);
size_t upload_count(const struct request *r);
const struct upload_file *upload_file(const struct request *r, size_t i);
/* A row knows of file I, or may: it stays. */
void upload_keep(struct request *r, size_t i);

#endif
