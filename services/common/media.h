/* What kind of file bytes are, by themselves: no name, no claim of the sender counts. */
#ifndef MEDIA_H
#define MEDIA_H

#include "otklik.h"

enum media { MEDIA_UNKNOWN, MEDIA_JPEG, MEDIA_PNG, MEDIA_WEBP, MEDIA_HEIC, MEDIA_PDF, MEDIA_COUNT };

enum { MEDIA_HEAD = 64 }; /* bytes that are enough to tell */

/* The kind of a file that begins with HEAD (of a longer file at least MEDIA_HEAD bytes). */
enum media media_sniff(struct str head);
/* "image/jpeg"; "application/octet-stream" for the unknown. */
const char *media_type(enum media m);
/* "jpg" */
const char *media_extension(enum media m);
/* The kind that has this media type; MEDIA_UNKNOWN without one. */
enum media media_named(struct str type);
/* What bytes that are not taken seem to be, for the message of a refusal: "image/gif". NULL when
 * nothing is known of them. */
const char *media_guess(struct str head);

#endif
