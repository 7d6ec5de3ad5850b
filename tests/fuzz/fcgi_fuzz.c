// The FastCGI codec under any bytes in any slices: no crash, no leak, and its limits hold.
// sources: services/common/fcgi.c services/common/arena.c
#include <assert.h>
#include <stdlib.h>

#include "fcgi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how finely the rest is sliced, its highest bits whether bodies are streamed.
 * Whatever is complete is answered. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t slice = data[0] % 64 + 1;
    struct fcgi f;
    size_t streamed = 0;
    fcgi_init(&f);
    f.announces = data[0] >= 128;
    enum fcgi_event event = FCGI_MORE;
    for (size_t at = 1; at < size && event != FCGI_BROKEN;) {
        size_t n = size - at < slice ? size - at : slice, used = 0;
        event = fcgi_feed(&f, (const char *)data + at, n, &used);
        at += used;
        assert(f.nout <= FCGI_OUT_MAX);
        f.nout = 0;
        streamed = f.phase == FCGI_IDLE ? 0 : streamed;
        if (event == FCGI_BEGUN) {
            assert(f.announces && !f.streaming && !f.request.too_large);
            streamed = 0;
            if (data[0] >= 192) {
                fcgi_stream(&f);
            }
        } else if (event == FCGI_BODY) {
            assert(f.streaming && f.piece.n > 0);
            for (size_t j = 0; j < f.piece.n; j++) {
                streamed += (unsigned char)f.piece.p[j] + 1u;
            }
        } else if (event == FCGI_REQUEST) {
            assert(!f.streaming || f.body.n == 0);
            assert(streamed == 0 || f.streaming);
            struct fcgi_request r = fcgi_take(&f);
            assert(r.body.n <= FCGI_BODY_MAX);
            size_t sum = 0;
            for (size_t i = 0; i < r.nparams; i++) {
                for (size_t j = 0; j < r.params[i].value.n; j++) {
                    sum += (unsigned char)r.params[i].value.p[j];
                }
            }
            struct iovec *iov;
            size_t pieces = fcgi_reply(&r, STR("Status: 200\r\n\r\n"), r.body, &iov);
            assert(pieces > 0 || sum == SIZE_MAX);
            fcgi_replied(&f);
            streamed = 0;
            arena_free(r.arena);
        }
    }
    fcgi_close(&f);
    return 0;
}
