// The FastCGI codec: what nginx sends in every slicing, and what nobody should send.
// sources: services/common/fcgi.c services/common/arena.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "fcgi.h"

enum {
    BEGIN = 1,
    ABORT = 2,
    END = 3,
    PARAMS = 4,
    IN = 5,
    OUT = 6,
    GET_VALUES = 9,
    RESULT = 10,
    UNKNOWN = 11
};

/* A conversation being written. */
struct script {
    unsigned char p[4 * 1024 * 1024];
    size_t n;
};

static struct script script;

static void put(const void *bytes, size_t n)
{
    assert_true(n <= sizeof script.p - script.n);
    memcpy(script.p + script.n, bytes, n);
    script.n += n;
}

static void record(int type, int id, const void *content, size_t n, unsigned padding)
{
    unsigned char header[8] = { 1,
                                (unsigned char)type,
                                (unsigned char)(id >> 8),
                                (unsigned char)id,
                                (unsigned char)(n >> 8),
                                (unsigned char)n,
                                (unsigned char)padding,
                                0 };
    static const unsigned char zeros[256];
    put(header, sizeof header);
    put(content, n);
    put(zeros, padding);
}

static void begin(int id, int role, int keep)
{
    unsigned char content[8] = { 0, (unsigned char)role, (unsigned char)keep };
    record(BEGIN, id, content, sizeof content, 0);
}

static size_t pair(unsigned char *p, const char *name, const char *value, int long_form)
{
    size_t n = 0, lengths[2] = { strlen(name), strlen(value) };
    for (int i = 0; i < 2; i++) {
        if (long_form || lengths[i] > 127) {
            p[n++] = (unsigned char)(0x80 | lengths[i] >> 24);
            p[n++] = (unsigned char)(lengths[i] >> 16);
            p[n++] = (unsigned char)(lengths[i] >> 8);
        }
        p[n++] = (unsigned char)lengths[i];
    }
    memcpy(p + n, name, lengths[0]);
    memcpy(p + n + lengths[0], value, lengths[1]);
    return n + lengths[0] + lengths[1];
}

/* A whole request; BODY in records of at most PIECE bytes. */
static void request(int id, const char *uri, const char *body, size_t length, size_t piece)
{
    unsigned char params[512];
    char text[24];
    snprintf(text, sizeof text, "%zu", length);
    size_t n = pair(params, "DOCUMENT_URI", uri, 0);
    n += pair(params + n, "CONTENT_LENGTH", text, 1);
    n += pair(params + n, "EMPTY", "", 0);
    begin(id, 1, 1);
    record(PARAMS, id, params, n / 2, 3);
    record(PARAMS, id, params + n / 2, n - n / 2, 0);
    record(PARAMS, id, "", 0, 0);
    for (size_t at = 0; at < length; at += piece) {
        record(IN, id, body + at, length - at < piece ? length - at : piece, 5);
    }
    record(IN, id, "", 0, 0);
}

static struct str param(const struct fcgi_request *r, const char *name)
{
    for (size_t i = 0; i < r->nparams; i++) {
        if (str_eq(r->params[i].name, str_of(name))) {
            return r->params[i].value;
        }
    }
    return (struct str){ NULL, 0 };
}

/* Feeds the script in slices and gives the first event that is not FCGI_MORE; *at moves on. */
static enum fcgi_event feed(struct fcgi *f, size_t slice, size_t *at)
{
    enum fcgi_event event = FCGI_MORE;
    while (*at < script.n && event == FCGI_MORE) {
        size_t n = script.n - *at < slice ? script.n - *at : slice, used = 0;
        /* A copy of its own, so that a sanitizer sees a byte read too many. */
        char *copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, script.p + *at, n);
        event = fcgi_feed(f, copy, n, &used);
        free(copy);
        assert_true(used <= n && (used > 0 || event != FCGI_MORE));
        *at += used;
    }
    return event;
}

static enum fcgi_event feed_all(struct fcgi *f)
{
    size_t at = 0;
    return feed(f, script.n == 0 ? 1 : script.n, &at);
}

static int start(void **state)
{
    (void)state;
    script.n = 0;
    return 0;
}

static void every_slicing_gives_the_same_request(void **state)
{
    (void)state;
    const char body[] = "text=во дворе третий день не горит фонарь";
    request(7, "/api/v1/appeals", body, sizeof body - 1, 11);
    for (size_t slice = 1; slice <= script.n; slice++) {
        struct fcgi f;
        fcgi_init(&f);
        size_t at = 0;
        assert_int_equal(feed(&f, slice, &at), FCGI_REQUEST);
        assert_int_equal(at, script.n);
        struct fcgi_request r = fcgi_take(&f);
        assert_int_equal(r.id, 7);
        assert_true(r.keep);
        assert_int_equal(r.nparams, 3);
        assert_true(str_eq(param(&r, "DOCUMENT_URI"), STR("/api/v1/appeals")));
        assert_int_equal(param(&r, "EMPTY").n, 0);
        assert_true(str_eq(r.body, (struct str){ body, sizeof body - 1 }));
        fcgi_replied(&f);
        arena_free(r.arena);
        assert_int_equal(f.phase, FCGI_IDLE);
        fcgi_close(&f);
    }
}

/* Five times what would be gathered, in every slicing of its first kilobytes. */
static void a_streamed_body_comes_in_pieces_and_is_not_kept(void **state)
{
    (void)state;
    enum { PIECE = 60000, PIECES = 175 };
    static char piece[PIECE];
    for (size_t i = 0; i < PIECE; i++) {
        piece[i] = (char)(i % 251);
    }
    for (size_t slice = 1; slice < 70000; slice = slice * 7 + 1) {
        size_t pieces = slice < 100 ? 1 : PIECES, total = 0;
        struct fcgi f;
        fcgi_init(&f);
        f.announces = 1;
        for (size_t i = 0; i < pieces + 2; i++) {
            script.n = 0;
            if (i == 0) {
                begin(1, 1, 1);
                unsigned char params[64];
                size_t n = pair(params, "CONTENT_LENGTH", "99999999", 0);
                record(PARAMS, 1, params, n, 0);
                record(PARAMS, 1, "", 0, 0);
            } else if (i <= pieces) {
                record(IN, 1, piece, PIECE, (unsigned)(i % 8));
            } else {
                record(IN, 1, "", 0, 0);
            }
            size_t in_piece = 0;
            for (size_t at = 0; at < script.n;) {
                size_t n = script.n - at < slice ? script.n - at : slice, used = 0;
                enum fcgi_event event = fcgi_feed(&f, (const char *)script.p + at, n, &used);
                at += used;
                if (event == FCGI_BEGUN) {
                    assert_int_equal(i, 0);
                    assert_true(str_eq(param(&f.request, "CONTENT_LENGTH"), STR("99999999")));
                    fcgi_stream(&f);
                } else if (event == FCGI_BODY) {
                    assert_memory_equal(f.piece.p, piece + in_piece, f.piece.n);
                    in_piece += f.piece.n;
                    total += f.piece.n;
                } else if (event == FCGI_REQUEST) {
                    assert_int_equal(i, pieces + 1);
                } else {
                    assert_int_equal(event, FCGI_MORE);
                }
            }
        }
        assert_int_equal(total, pieces * PIECE);
        struct fcgi_request r = fcgi_take(&f);
        assert_int_equal(r.body.n, 0);
        assert_false(r.too_large);
        fcgi_replied(&f);
        assert_false(f.streaming); /* the next one is asked about again */
        arena_free(r.arena);
        fcgi_close(&f);
    }
}

/* Who is told of a request and does not want its body in pieces gets it as before. */
static void a_body_that_is_not_wanted_in_pieces_is_gathered(void **state)
{
    (void)state;
    request(3, "/", "0123456789", 10, 3);
    for (size_t slice = 1; slice <= script.n; slice++) {
        struct fcgi f;
        fcgi_init(&f);
        f.announces = 1;
        size_t at = 0;
        assert_int_equal(feed(&f, slice, &at), FCGI_BEGUN);
        assert_int_equal(feed(&f, slice, &at), FCGI_REQUEST);
        struct fcgi_request r = fcgi_take(&f);
        assert_true(str_eq(r.body, STR("0123456789")));
        arena_free(r.arena);
        fcgi_replied(&f);
        fcgi_close(&f);
    }
}

static void requests_follow_each_other_on_one_connection(void **state)
{
    (void)state;
    for (int i = 1; i <= 100; i++) {
        request(1, i % 2 ? "/odd" : "/even", "abc", 3, 3);
    }
    struct fcgi f;
    fcgi_init(&f);
    size_t at = 0;
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(feed(&f, 1000, &at), FCGI_REQUEST);
        struct fcgi_request r = fcgi_take(&f);
        assert_true(str_eq(param(&r, "DOCUMENT_URI"), i % 2 ? STR("/odd") : STR("/even")));
        fcgi_replied(&f);
        arena_free(r.arena);
    }
    assert_int_equal(at, script.n);
    fcgi_close(&f);
}

static void long_values_and_long_forms_are_read(void **state)
{
    (void)state;
    char value[301];
    memset(value, 'v', 300);
    value[300] = '\0';
    unsigned char params[512];
    size_t n = pair(params, "LONG", value, 0);
    begin(1, 1, 0);
    record(PARAMS, 1, params, n, 0);
    record(PARAMS, 1, "", 0, 0);
    record(IN, 1, "", 0, 0);
    struct fcgi f;
    fcgi_init(&f);
    assert_int_equal(feed_all(&f), FCGI_REQUEST);
    struct fcgi_request r = fcgi_take(&f);
    assert_int_equal(param(&r, "LONG").n, 300);
    assert_false(r.keep);
    assert_int_equal(r.body.n, 0);
    arena_free(r.arena);
    fcgi_close(&f);
}

static void lengths_that_do_not_add_up_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        unsigned char bytes[12];
        size_t n;
    } bad[] = {
        { "a value longer than what is there", { 1, 5, 'a', 'b' }, 4 },
        { "a name longer than what is there", { 9, 0, 'a' }, 3 },
        { "a length cut off", { 0x80, 0, 0 }, 3 },
        { "no second length", { 1 }, 1 },
        { "two gigabytes", { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'a' }, 9 },
        { "lengths that overflow when added", { 0x80, 0, 0, 8, 0xff, 0xff, 0xff, 0xf8, 'a' }, 9 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        script.n = 0;
        begin(1, 1, 1);
        record(PARAMS, 1, bad[i].bytes, bad[i].n, 0);
        record(PARAMS, 1, "", 0, 0);
        struct fcgi f;
        fcgi_init(&f);
        if (feed_all(&f) != FCGI_BROKEN) {
            fail_msg("taken: %s", bad[i].what);
        }
        fcgi_close(&f);
    }
}

static void a_body_too_large_is_drained_and_reported(void **state)
{
    (void)state;
    static char body[FCGI_BODY_MAX + 1];
    memset(body, 'x', sizeof body);
    request(1, "/", body, sizeof body, 65535);
    struct fcgi f;
    fcgi_init(&f);
    size_t at = 0;
    assert_int_equal(feed(&f, 65536, &at), FCGI_REQUEST);
    assert_int_equal(at, script.n);
    struct fcgi_request r = fcgi_take(&f);
    assert_true(r.too_large);
    assert_int_equal(r.body.n, 0);
    arena_free(r.arena);
    fcgi_replied(&f);

    script.n = 0;
    request(2, "/next", body, FCGI_BODY_MAX, 65535);
    at = 0;
    assert_int_equal(feed(&f, 65536, &at), FCGI_REQUEST);
    r = fcgi_take(&f);
    assert_false(r.too_large);
    assert_int_equal(r.body.n, FCGI_BODY_MAX);
    arena_free(r.arena);
    fcgi_close(&f);
}

/* Without CONTENT_LENGTH the body's memory doubles as it grows: no size may need more than a
 * request has. */
static void a_body_of_any_size_fits_without_its_length(void **state)
{
    (void)state;
    static const size_t first[] = { 1, 2048, 32768, 65528, 65535 };
    static char body[FCGI_BODY_MAX];
    memset(body, 'x', sizeof body);
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        for (size_t less = 0; less < 512; less += 255) {
            script.n = 0;
            begin(1, 1, 1);
            record(PARAMS, 1, "", 0, 0);
            size_t length = sizeof body - less, at = 0;
            for (size_t n; at < length; at += n) {
                n = at == 0 ? first[i] : 65535;
                n = length - at < n ? length - at : n;
                record(IN, 1, body + at, n, 0);
            }
            record(IN, 1, "", 0, 0);
            struct fcgi f;
            fcgi_init(&f);
            at = 0;
            assert_int_equal(feed(&f, 65536, &at), FCGI_REQUEST);
            struct fcgi_request r = fcgi_take(&f);
            assert_int_equal(r.body.n, length);
            /* Half of it is left for the handler. */
            assert_non_null(arena_alloc(r.arena, FCGI_ARENA_MAX / 2));
            arena_free(r.arena);
            fcgi_close(&f);
        }
    }
}

static void a_false_content_length_is_only_a_hint(void **state)
{
    (void)state;
    static const char *const said[] = {
        "0", "1", "2000000", "99999999999999999999", "-1", "1x", ""
    };
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        script.n = 0;
        unsigned char params[64];
        size_t n = pair(params, "CONTENT_LENGTH", said[i], 0);
        begin(1, 1, 1);
        record(PARAMS, 1, params, n, 0);
        record(PARAMS, 1, "", 0, 0);
        record(IN, 1, "hello", 5, 0);
        record(IN, 1, "", 0, 0);
        struct fcgi f;
        fcgi_init(&f);
        assert_int_equal(feed_all(&f), FCGI_REQUEST);
        struct fcgi_request r = fcgi_take(&f);
        assert_true(str_eq(r.body, STR("hello")));
        arena_free(r.arena);
        fcgi_close(&f);
    }
}

static void too_many_parameters_are_drained_and_reported(void **state)
{
    (void)state;
    static unsigned char chunk[60000];
    begin(1, 1, 1);
    record(PARAMS, 1, chunk, sizeof chunk, 0);
    record(PARAMS, 1, chunk, sizeof chunk, 0);
    record(PARAMS, 1, "", 0, 0);
    record(IN, 1, "body", 4, 0);
    record(IN, 1, "", 0, 0);
    struct fcgi f;
    fcgi_init(&f);
    assert_int_equal(feed_all(&f), FCGI_REQUEST);
    struct fcgi_request r = fcgi_take(&f);
    assert_true(r.too_large);
    assert_int_equal(r.nparams, 0);
    arena_free(r.arena);
    fcgi_close(&f);
}

static void records_out_of_order_end_the_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        script.n = 0;
        begin(1, 1, 1);
        if (i == 0) {
            record(IN, 1, "early", 5, 0);
        } else if (i == 1) {
            record(IN, 1, "", 0, 0);
        } else if (i == 2) {
            record(PARAMS, 1, "", 0, 0);
            record(PARAMS, 1, "late", 4, 0);
        } else {
            begin(1, 1, 1); /* the same id again */
        }
        struct fcgi f;
        fcgi_init(&f);
        assert_int_equal(feed_all(&f), FCGI_BROKEN);
        fcgi_close(&f);
    }
}

static void another_version_ends_the_connection(void **state)
{
    (void)state;
    request(1, "/", "", 0, 1);
    script.p[0] = 2;
    struct fcgi f;
    fcgi_init(&f);
    assert_int_equal(feed_all(&f), FCGI_BROKEN);
    fcgi_close(&f);
}

/* The first record of what the codec says by itself. */
static void assert_answer(const struct fcgi *f, int type, int id, size_t content)
{
    const unsigned char *p = (const unsigned char *)f->out;
    assert_true(f->nout >= 8);
    assert_int_equal(p[1], type);
    assert_int_equal(p[2] << 8 | p[3], id);
    assert_int_equal(p[4] << 8 | p[5], content);
}

static void another_role_is_refused(void **state)
{
    (void)state;
    begin(3, 2, 1);
    struct fcgi f;
    fcgi_init(&f);
    assert_int_equal(feed_all(&f), FCGI_MORE);
    assert_answer(&f, END, 3, 8);
    assert_int_equal(f.out[8 + 4], 3); /* FCGI_UNKNOWN_ROLE */
    assert_int_equal(f.phase, FCGI_IDLE);
    fcgi_close(&f);
}

static void a_second_request_at_once_is_refused(void **state)
{
    (void)state;
    request(1, "/", "", 0, 1);
    begin(2, 1, 1);
    struct fcgi f;
    fcgi_init(&f);
    size_t at = 0;
    assert_int_equal(feed(&f, 4096, &at), FCGI_REQUEST);
    assert_int_equal(feed(&f, 4096, &at), FCGI_MORE);
    assert_answer(&f, END, 2, 8);
    assert_int_equal(f.out[8 + 4], 1); /* FCGI_CANT_MPX_CONN */
    fcgi_close(&f);
}

static void values_are_told_and_strange_types_answered(void **state)
{
    (void)state;
    unsigned char names[64];
    size_t n = pair(names, "FCGI_MPXS_CONNS", "", 0);
    n += pair(names + n, "SOMETHING_ELSE", "", 0);
    record(GET_VALUES, 0, names, n, 0);
    struct fcgi f;
    fcgi_init(&f);
    assert_int_equal(feed_all(&f), FCGI_MORE);
    assert_answer(&f, RESULT, 0, 2 + 15 + 1);
    assert_memory_equal(f.out + 8,
                        "\x0f\x01"
                        "FCGI_MPXS_CONNS0",
                        18);
    f.nout = 0;
    script.n = 0;
    record(77, 0, "what is this", 12, 0);
    assert_int_equal(feed_all(&f), FCGI_MORE);
    assert_answer(&f, UNKNOWN, 0, 8);
    assert_int_equal(f.out[8], 77);
    fcgi_close(&f);
}

static void a_peer_that_only_asks_is_cut_off(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        record(77, 0, "", 0, 0);
    }
    struct fcgi f;
    fcgi_init(&f);
    assert_int_equal(feed_all(&f), FCGI_BROKEN);
    assert_true(f.nout <= FCGI_OUT_MAX);
    fcgi_close(&f);
}

static void aborts_are_seen(void **state)
{
    (void)state;
    struct fcgi f;
    fcgi_init(&f);
    begin(5, 1, 1); /* while it is being sent: answered by the codec */
    record(ABORT, 5, "", 0, 0);
    assert_int_equal(feed_all(&f), FCGI_MORE);
    assert_answer(&f, END, 5, 8);
    f.nout = 0;
    script.n = 0;
    request(6, "/", "", 0, 1); /* while it is worked on: the owner is told */
    record(ABORT, 6, "", 0, 0);
    size_t at = 0;
    assert_int_equal(feed(&f, 4096, &at), FCGI_REQUEST);
    struct fcgi_request r = fcgi_take(&f);
    assert_int_equal(feed(&f, 4096, &at), FCGI_ABORTED);
    fcgi_replied(&f);
    arena_free(r.arena);
    fcgi_close(&f);
}

static void a_reply_of_any_size_comes_out_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 65515, 65516, 65528, 65529, 200000 };
    static char body[200000];
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (char)('a' + i % 26);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct fcgi_request r = { .arena = arena_new(FCGI_ARENA_MAX), .id = 258 };
        assert_non_null(r.arena);
        struct str head = STR("Status: 200\r\n\r\n");
        struct iovec *iov;
        size_t n = fcgi_reply(&r, head, (struct str){ body, sizes[i] }, &iov);
        assert_true(n > 0);
        script.n = 0;
        for (size_t j = 0; j < n; j++) {
            put(iov[j].iov_base, iov[j].iov_len);
        }
        size_t at = 0, got = 0;
        int ended = 0;
        while (at < script.n) {
            const unsigned char *p = script.p + at;
            size_t length = (size_t)(p[4] << 8 | p[5]);
            assert_false(ended);
            assert_int_equal(p[2] << 8 | p[3], 258);
            if (p[1] == OUT) {
                for (size_t j = 0; j < length; j++, got++) {
                    char wanted = got < head.n ? head.p[got] : body[got - head.n];
                    assert_int_equal(p[8 + j], wanted);
                }
            } else {
                assert_int_equal(p[1], END);
                ended = 1;
            }
            at += 8 + length;
        }
        assert_true(ended);
        assert_int_equal(at, script.n);
        assert_int_equal(got, head.n + sizes[i]);
        arena_free(r.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_slicing_gives_the_same_request, start),
        cmocka_unit_test_setup(a_streamed_body_comes_in_pieces_and_is_not_kept, start),
        cmocka_unit_test_setup(a_body_that_is_not_wanted_in_pieces_is_gathered, start),
        cmocka_unit_test_setup(requests_follow_each_other_on_one_connection, start),
        cmocka_unit_test_setup(long_values_and_long_forms_are_read, start),
        cmocka_unit_test_setup(lengths_that_do_not_add_up_end_the_connection, start),
        cmocka_unit_test_setup(a_body_too_large_is_drained_and_reported, start),
        cmocka_unit_test_setup(a_body_of_any_size_fits_without_its_length, start),
        cmocka_unit_test_setup(a_false_content_length_is_only_a_hint, start),
        cmocka_unit_test_setup(too_many_parameters_are_drained_and_reported, start),
        cmocka_unit_test_setup(records_out_of_order_end_the_connection, start),
        cmocka_unit_test_setup(another_version_ends_the_connection, start),
        cmocka_unit_test_setup(another_role_is_refused, start),
        cmocka_unit_test_setup(a_second_request_at_once_is_refused, start),
        cmocka_unit_test_setup(values_are_told_and_strange_types_answered, start),
        cmocka_unit_test_setup(a_peer_that_only_asks_is_cut_off, start),
        cmocka_unit_test_setup(aborts_are_seen, start),
        cmocka_unit_test_setup(a_reply_of_any_size_comes_out_whole, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
