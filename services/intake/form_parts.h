/* multipart/form-data in memory: forms whose fields come as parts, without files. */
#ifndef FORM_PARTS_H
#define FORM_PARTS_H

#include "fields.h"

/* The fields of BODY under the boundary that CONTENT_TYPE names, pointing into BODY; at most MAX.
 * OTK_OK; OTK_MALFORMED when it cannot be read; OTK_MEDIA_TYPE when a part brings a file, *file is
 * its field's name; OTK_TOO_LARGE: more parts. A file input that was left empty is passed over. */
enum otk_err form_parts(struct str content_type, struct str body, struct form_pair *pairs,
                        size_t max, size_t *n, struct str *file);

#endif
