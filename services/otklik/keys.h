/* The key file of the edge: one line a key, its digest and what it may do. */
#ifndef KEYS_H
#define KEYS_H

enum { KEY_PREFIX = 8, KEY_SECRET = 32, KEY_TEXT = 4 + KEY_PREFIX + 1 + KEY_SECRET + 1 };

/* A new random key "otk_<prefix>_<secret>", NUL-terminated. -1 when the system gives no random
 * bytes. */
int key_make(char out[KEY_TEXT]);

#endif
