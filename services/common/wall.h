/* The time of day, as it is stored. */
#ifndef WALL_H
#define WALL_H

#include <stdint.h>
#include <time.h>

/* Microseconds UTC since 1970. The clock may be set back: for waiting there is uv_now. */
static inline int64_t wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

#endif
