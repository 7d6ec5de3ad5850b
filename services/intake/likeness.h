/* Are two texts the same to a reader? Digests that do not see case, blanks, punctuation and letters
 * that only look alike. */
#ifndef LIKENESS_H
#define LIKENESS_H

#include "arena.h"
#include "otklik.h"

/* SHA-256 of what is left of TEXT (valid UTF-8) when letters are folded and all but letters and
 * digits is dropped, as "\x…" in the arena; .p NULL when less than twenty characters are left (the
 * like comes by chance), or when memory is out: then the letter goes on unwatched. */
struct str likeness_of_text(struct arena *a, struct str text);
/* Who writes, by an e-mail address or else a telephone (either .p NULL): SHA-256 in hex, other in
 * each region; .p NULL without both. */
struct str likeness_of_resident(struct arena *a, int region, struct str email, struct str phone);

#endif
