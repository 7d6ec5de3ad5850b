/* A request between the server and its handler: begun, finished, written, freed.
 *
 * The handler finishes and the reply is written in either order, since the clock may answer for a
 * slow handler; the memory goes with the later of the two. */
#include "exchange.h"

#include "metrics.h"

static struct {
    struct exchange *oldest, *newest; /* whose handler has not finished, in order of arrival */
    long in_hand;
} state;

static struct histogram duration = { .name = "otklik_request_duration_seconds",
                                     .help =
                                         "From the last byte of a request to its handler's end" };

void exchange_register(void)
{
    histogram_register(&duration);
}

void exchange_begin(struct exchange *x)
{
    x->r.started_us = (int64_t)(uv_hrtime() / 1000);
    x->older = state.newest;
    *(state.newest == NULL ? &state.oldest : &state.newest->newer) = x;
    state.newest = x;
    state.in_hand++;
}

void exchange_finished(struct exchange *x)
{
    *(x->older == NULL ? &state.oldest : &x->older->newer) = x->newer;
    *(x->newer == NULL ? &state.newest : &x->newer->older) = x->older;
    state.in_hand--;
    x->finished = 1;
    histogram_observe(&duration, (double)((int64_t)(uv_hrtime() / 1000) - x->r.started_us) / 1e6);
}

void exchange_release(struct exchange *x)
{
    if (x->finished && x->written) {
        if (x->call->sink != NULL) {
            x->call->sink->drop(x->call->sink);
        }
        arena_free(x->r.arena);
    }
}

struct exchange *exchange_oldest(void)
{
    return state.oldest;
}

long exchanges_in_hand(void)
{
    return state.in_hand;
}
