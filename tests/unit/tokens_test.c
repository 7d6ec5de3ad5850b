// The memory of verified tokens: what is there is whole, good and of its policy; whatever is torn
// is not believed.
// sources: ngx_module/tokens.c ngx_module/siphash.c
// libs: -lpthread
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tokens.h"

enum { NOW = 1800000000, SIZE = 64 * 1024 };

static const uint8_t secret[SIPHASH_KEY_SIZE] = "sixteen bytes ok";

static struct tokens *table(void **memory, size_t size)
{
    *memory = aligned_alloc(64, size);
    assert_non_null(*memory);
    memset(*memory, 0xa5, size);
    struct tokens *tokens = tokens_create(*memory, size, secret);
    assert_non_null(tokens);
    return tokens;
}

static struct token a_token(const char *subject, int64_t until)
{
    struct token token = { .until = until, .print = "the print of it" };
    static const char *texts[TOKENS_TEXTS] = { "",    "moderator analyst", "67",
                                               "mfc", "appeals:read",      "id-1" };
    for (int i = 0; i < TOKENS_TEXTS; i++) {
        token.text[i] = i == TOKENS_SUBJECT ? subject : texts[i];
        token.n[i] = strlen(token.text[i]);
    }
    return token;
}

static void hash_of(uint64_t n, uint64_t hash[2])
{
    siphash128(secret, &n, sizeof(n), hash);
}

static void what_was_put_is_found(void **state)
{
    (void)state;
    void *memory;
    struct tokens *tokens = table(&memory, SIZE);
    uint64_t hash[2], other[2];
    hash_of(1, hash);
    hash_of(2, other);
    struct token token = a_token("ivanova", NOW + 10), found;
    struct tokens_room room;
    bool evicted = true;
    assert_false(tokens_find(tokens, hash, NOW, &room, &found));
    assert_true(tokens_put(tokens, hash, NOW, &token, &evicted));
    assert_false(evicted);
    assert_true(tokens_find(tokens, hash, NOW, &room, &found));
    assert_int_equal(found.until, NOW + 10);
    assert_memory_equal(found.print, token.print, TOKENS_PRINT_SIZE);
    for (int i = 0; i < TOKENS_TEXTS; i++) {
        assert_int_equal(found.n[i], token.n[i]);
        assert_memory_equal(found.text[i], token.text[i], token.n[i]);
    }
    assert_false(tokens_find(tokens, other, NOW, &room, &found));
    assert_true(tokens_find(tokens, hash, NOW + 9, &room, &found));
    assert_false(tokens_find(tokens, hash, NOW + 10, &room, &found)); /* its time is over */
    free(memory);
}

static void a_policy_has_a_key_of_its_own(void **state)
{
    (void)state;
    void *memory;
    struct tokens *tokens = table(&memory, SIZE);
    uint8_t one[SIPHASH_KEY_SIZE], two[SIPHASH_KEY_SIZE], again[SIPHASH_KEY_SIZE];
    tokens_policy(tokens, "aud=a", 5, one);
    tokens_policy(tokens, "aud=b", 5, two);
    tokens_policy(tokens, "aud=a", 5, again);
    assert_memory_equal(one, again, sizeof(one));
    assert_memory_not_equal(one, two, sizeof(one));
    free(memory);
}

static void a_table_is_taken_over_or_not(void **state)
{
    (void)state;
    void *memory;
    struct tokens *tokens = table(&memory, SIZE);
    assert_ptr_equal(tokens_attach(memory, SIZE), tokens);
    assert_null(tokens_attach(memory, SIZE - 4096));
    *(unsigned char *)memory ^= 1;
    assert_null(tokens_attach(memory, SIZE));
    assert_null(tokens_create(memory, 1024, secret));
    assert_int_equal(tokens_capacity(tokens), (SIZE - 64) / (4 * TOKENS_ENTRY_SIZE) * 4);
    free(memory);
}

static void what_is_too_long_is_not_kept(void **state)
{
    (void)state;
    void *memory;
    struct tokens *tokens = table(&memory, SIZE);
    char subject[TOKENS_TEXT_MAX + 2];
    memset(subject, 'x', sizeof(subject));
    struct token token = a_token("", NOW + 10), found;
    size_t rest = token.n[1] + token.n[2] + token.n[3] + token.n[4] + token.n[5];
    struct tokens_room room;
    bool evicted;
    uint64_t hash[2];
    hash_of(1, hash);
    token.text[TOKENS_SUBJECT] = subject;
    token.n[TOKENS_SUBJECT] = TOKENS_TEXT_MAX - rest + 1;
    assert_false(tokens_put(tokens, hash, NOW, &token, &evicted));
    token.n[TOKENS_SUBJECT] = SIZE_MAX;
    assert_false(tokens_put(tokens, hash, NOW, &token, &evicted));
    token.n[TOKENS_SUBJECT] = TOKENS_TEXT_MAX - rest;
    assert_true(tokens_put(tokens, hash, NOW, &token, &evicted));
    assert_true(tokens_find(tokens, hash, NOW, &room, &found));
    assert_int_equal(found.n[TOKENS_SUBJECT], TOKENS_TEXT_MAX - rest);
    assert_memory_equal(found.text[TOKENS_JTI], "id-1", 4);
    free(memory);
}

static void who_has_the_least_time_goes_first(void **state)
{
    (void)state;
    void *memory;
    struct tokens *tokens = table(&memory, 64 + 4 * TOKENS_ENTRY_SIZE); /* one row of four */
    struct token found;
    struct tokens_room room;
    bool evicted;
    uint64_t hash[2];
    for (uint64_t i = 0; i < 4; i++) {
        struct token token = a_token("a", NOW + 100 + (int64_t)(i ^ 2));
        hash_of(i, hash);
        assert_true(tokens_put(tokens, hash, NOW, &token, &evicted));
        assert_false(evicted);
    }
    struct token token = a_token("new", NOW + 200);
    hash_of(10, hash);
    assert_true(tokens_put(tokens, hash, NOW, &token, &evicted));
    assert_true(evicted);
    for (uint64_t i = 0; i < 4; i++) {
        hash_of(i, hash);
        assert_int_equal(tokens_find(tokens, hash, NOW, &room, &found), i != 2);
    }
    /* The same token again takes its own place; one whose time is over is a free place. */
    hash_of(10, hash);
    assert_true(tokens_put(tokens, hash, NOW, &token, &evicted));
    assert_false(evicted);
    hash_of(11, hash);
    assert_true(tokens_put(tokens, hash, NOW + 101, &token, &evicted));
    assert_false(evicted);
    free(memory);
}

static void tokens_that_are_held_are_counted(void **state)
{
    (void)state;
    static const size_t sizes[] = { SIZE, (size_t)16 << 20 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *memory;
        struct tokens *tokens = table(&memory, sizes[i]);
        assert_int_equal(tokens_held(tokens, NOW), 0);
        uint64_t n = tokens_capacity(tokens) / 4, gone = 0;
        for (uint64_t k = 0; k < n; k++) {
            uint64_t hash[2];
            hash_of(k, hash);
            struct token token = a_token("a", NOW + 100);
            bool evicted;
            assert_true(tokens_put(tokens, hash, NOW, &token, &evicted));
            gone += evicted;
        }
        /* All of a small table, a sample of a large one: 160 is its standard deviation. */
        uint64_t slack = i == 0 ? 0 : 700;
        assert_in_range(tokens_held(tokens, NOW), n - gone - slack, n - gone + slack);
        assert_int_equal(tokens_held(tokens, NOW + 100), 0);
        free(memory);
    }
}

static void a_torn_entry_is_not_believed(void **state)
{
    (void)state;
    void *memory;
    struct tokens *tokens = table(&memory, 64 + 4 * TOKENS_ENTRY_SIZE);
    struct token token = a_token("ivanova", NOW + 10), found;
    struct tokens_room room;
    bool evicted;
    uint64_t hash[2];
    hash_of(1, hash);
    assert_true(tokens_put(tokens, hash, NOW, &token, &evicted));
    unsigned char *entry = (unsigned char *)memory + 64;
    size_t used = 64 + 7 + 17 + 2 + 3 + 4;
    for (size_t i = 0; i < used; i++) {
        for (int bit = 0; bit < 8; bit++) {
            entry[i] ^= (unsigned char)(1 << bit);
            assert_false(tokens_find(tokens, hash, NOW, &room, &found));
            entry[i] ^= (unsigned char)(1 << bit);
        }
    }
    assert_true(tokens_find(tokens, hash, NOW, &room, &found));

    /* A writer that died after any of its words: another token half over this one. */
    unsigned char whole[TOKENS_ENTRY_SIZE], next[TOKENS_ENTRY_SIZE];
    memcpy(whole, entry, sizeof(whole));
    token.print[0] ^= 1;
    token.text[TOKENS_ROLES] = "administrator all";
    assert_true(tokens_put(tokens, hash, NOW, &token, &evicted));
    memcpy(next, entry, sizeof(next));
    for (size_t words = 1; words * 8 < used; words++) {
        memcpy(entry, next, words * 8);
        memcpy(entry + words * 8, whole + words * 8, sizeof(whole) - words * 8);
        if (memcmp(entry, whole, used) != 0 && memcmp(entry, next, used) != 0) {
            assert_false(tokens_find(tokens, hash, NOW, &room, &found));
        }
    }
    assert_true(tokens_put(tokens, hash, NOW, &token, &evicted)); /* and it is no obstacle */
    assert_true(tokens_find(tokens, hash, NOW, &room, &found));
    free(memory);
}

/* ---- many at once */

enum { THREADS = 4, ROUNDS = 100000, NAMES = 12 };

struct crowd {
    struct tokens *tokens;
    atomic_int wrong;
    atomic_int hits;
};

static void *one_of_many(void *data)
{
    struct crowd *crowd = data;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char subject[64], expected[64];
        uint64_t n = (i * 2654435761u >> 16) % NAMES, hash[2];
        hash_of(n, hash);
        snprintf(expected, sizeof(expected), "subject-%llu-%0*d", (unsigned long long)n, (int)n + 1,
                 0);
        struct tokens_room room;
        struct token found;
        if (i % 3 == 0) {
            struct token token = a_token(expected, NOW + 100 + (int64_t)n);
            bool evicted;
            tokens_put(crowd->tokens, hash, NOW, &token, &evicted);
        } else if (tokens_find(crowd->tokens, hash, NOW, &room, &found)) {
            snprintf(subject, sizeof(subject), "%.*s", (int)found.n[TOKENS_SUBJECT],
                     found.text[TOKENS_SUBJECT]);
            crowd->hits++;
            crowd->wrong += strcmp(subject, expected) != 0 || found.until != NOW + 100 + (int64_t)n;
        }
    }
    return NULL;
}

static void many_at_once_never_see_another(void **state)
{
    (void)state;
    void *memory;
    struct crowd crowd = {
        .tokens = table(&memory, 64 + 4 * TOKENS_ENTRY_SIZE)
    }; /* twelve tokens fight for four places */
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, one_of_many, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.hits > 0);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(a_policy_has_a_key_of_its_own),
        cmocka_unit_test(a_table_is_taken_over_or_not),
        cmocka_unit_test(what_is_too_long_is_not_kept),
        cmocka_unit_test(who_has_the_least_time_goes_first),
        cmocka_unit_test(tokens_that_are_held_are_counted),
        cmocka_unit_test(a_torn_entry_is_not_believed),
        cmocka_unit_test(many_at_once_never_see_another),
    };
    return cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
}
