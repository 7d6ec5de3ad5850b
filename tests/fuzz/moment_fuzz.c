// Moments of Open311 under any bytes: what is read as one is a second of our time.
// sources: services/intake/moment.c
#include <stdio.h>
#include <stdlib.h>

#include "moment.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    int64_t us;
    /* A copy of its own: what reads beyond it is seen. */
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        return 0;
    }
    memcpy(copy, data, size);
    if (moment_parse((struct str){ copy, size }, &us) == 0 &&
        (us < -14 * 3600 * (int64_t)1000000 || us % 1000000 != 0)) {
        fprintf(stderr, "no moment of our time in whole seconds: %lld\n", (long long)us);
        abort();
    }
    free(copy);
    return 0;
}
