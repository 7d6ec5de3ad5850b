// What a challenge costs, without nginx: to make one, to hand it out, to check its solution.
// sources: ngx_module/altcha.c ngx_module/challenge_keys.c ngx_module/hmac_sha256.c ngx_module/nonces.c ngx_module/pool.c ngx_module/siphash.c
// libs: -lcrypto
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "altcha.h"
#include "nonces.h"
#include "pool.h"

enum { TURNS = 15, EACH = 4000, SLOTS = 16384, PAYLOAD = 2048, COST = 5000 };

#define NOW INT64_C(1800000000)
#define UNTIL (NOW + 600)
#define KIND 1

static const uint8_t secret[SIPHASH_KEY_SIZE] = "sixteen bytes ok";
static char payloads[EACH][PAYLOAD];
static size_t lengths[EACH];

/* ns of this process on a processor */
static int64_t spent(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void tell(const char *what, int64_t *ns, int64_t each)
{
    qsort(ns, TURNS, sizeof(ns[0]), by_size);
    printf("%-38s %9.2f us   (%.2f to %.2f)\n", what, (double)ns[TURNS / 2] / (double)each / 1e3,
           (double)ns[0] / (double)each / 1e3, (double)ns[TURNS - 1] / (double)each / 1e3);
}

static void *room(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "bench/altcha: %s\n", what);
        exit(1);
    }
}

static size_t base64(char *out, const char *p, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t used = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (i + k < n ? (unsigned char)p[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            out[used++] = i + k <= n ? letters[bits >> (18 - 6 * k) & 63] : '=';
        }
    }
    return used;
}

/* What a client sends that has solved the challenge. */
static size_t solve(char *out, const char *challenge, size_t n, const struct altcha_riddle *riddle)
{
    char json[PAYLOAD], hex[2 * ALTCHA_KEY_SIZE + 1];
    for (size_t i = 0; i < ALTCHA_KEY_SIZE; i++) {
        snprintf(hex + 2 * i, 3, "%02x", riddle->key[i]);
    }
    int used = snprintf(
        json, sizeof(json),
        "{\"challenge\":%.*s,\"solution\":{\"counter\":217,\"derivedKey\":\"%s\",\"time\":412.5}}",
        (int)n, challenge, hex);
    check(used > 0 && (size_t)used * 4 / 3 + 4 < PAYLOAD, "a payload is too long");
    return base64(out, json, (size_t)used);
}

static struct altcha_riddle riddle_of(uint64_t n)
{
    struct altcha_riddle riddle;
    memset(&riddle, 0x5a, sizeof(riddle));
    memcpy(riddle.nonce, &n, sizeof(n));
    memcpy(riddle.key, &n, sizeof(n));
    return riddle;
}

int main(void)
{
    static const char file[] =
        "first 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    static const struct altcha_policy policy = {
        { "appeal", 6 }, { "90", 2 }, { "00112233aabbccdd", 16 }, COST
    };
    struct challenge_keys_error error;
    struct challenge_keys *keys = challenge_keys_parse(file, sizeof(file) - 1, &error);
    check(keys != NULL, "no keys");
    struct pool *pool = pool_create(room(pool_size(SLOTS)), SLOTS, secret);
    check(pool != NULL, "no pool");
    char challenge[ALTCHA_CHALLENGE_MAX];
    int64_t making[TURNS], asking[TURNS], checking[TURNS], again[TURNS], forged[TURNS];
    uint64_t number = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        struct altcha_riddle riddle = riddle_of(number);
        int64_t start = spent();
        for (int i = 0; i < 20; i++) {
            altcha_derive(&riddle, (uint32_t)(150 + i), COST);
        }
        making[turn] = spent() - start;

        for (int i = 0; i < EACH; i++) {
            riddle = riddle_of(number++);
            check(pool_put(pool, 0, KIND, &riddle), "the pool is full");
        }
        start = spent();
        for (int i = 0; i < EACH; i++) {
            check(pool_take(pool, 0, KIND, &riddle), "the pool is empty");
            lengths[i] = altcha_write(keys, &policy, &riddle, UNTIL, challenge, sizeof(challenge));
            check(lengths[i] > 0, "nothing was written");
        }
        asking[turn] = spent() - start;

        for (int i = 0; i < EACH; i++) {
            riddle = riddle_of(number - EACH + (uint64_t)i);
            size_t n = altcha_write(keys, &policy, &riddle, UNTIL, challenge, sizeof(challenge));
            lengths[i] = solve(payloads[i], challenge, n - 1, &riddle);
        }
        size_t size = 4 * 1024 * 1024;
        void *memory = room(size);
        struct nonces *nonces = nonces_create(memory, size, secret, NOW);
        check(nonces != NULL, "no store");
        struct altcha_spent solution;
        start = spent();
        for (int i = 0; i < EACH; i++) {
            check(altcha_check(keys, &policy, payloads[i], lengths[i], NOW, &solution) ==
                          ALTCHA_GOOD &&
                      nonces_add(nonces, solution.nonce, ALTCHA_NONCE_SIZE, solution.until, NOW) ==
                          NONCES_ADDED,
                  "a good solution was refused");
        }
        checking[turn] = spent() - start;
        start = spent();
        for (int i = 0; i < EACH; i++) {
            check(altcha_check(keys, &policy, payloads[i], lengths[i], NOW, &solution) ==
                          ALTCHA_GOOD &&
                      nonces_add(nonces, solution.nonce, ALTCHA_NONCE_SIZE, solution.until, NOW) ==
                          NONCES_SPENT,
                  "a solution was good twice");
        }
        again[turn] = spent() - start;

        struct altcha_policy other = policy;
        other.store.p = "00112233aabbccde";
        start = spent();
        for (int i = 0; i < EACH; i++) {
            check(altcha_check(keys, &other, payloads[i], lengths[i], NOW, &solution) ==
                      ALTCHA_UNKNOWN,
                  "a strange solution was good");
        }
        forged[turn] = spent() - start;
        free(memory);
    }

    tell("make one, PBKDF2 of 5000 rounds", making, 20);
    tell("hand one out: take it, sign it", asking, EACH);
    tell("check a solution, add its nonce", checking, EACH);
    tell("check a solution that is spent", again, EACH);
    tell("refuse one of another store", forged, EACH);
    challenge_keys_free(keys);
    return 0;
}
