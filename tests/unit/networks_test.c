// Sets of addresses: what is one and what is not, and that an address is found if and only if a
// network of the text holds it.
// sources: ngx_module/networks.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "networks.h"

static void bytes_of(const char *text, uint8_t address[16])
{
    memset(address, 0, 16);
    address[10] = address[11] = 0xff;
    if (inet_pton(AF_INET, text, address + 12) != 1) {
        assert_int_equal(inet_pton(AF_INET6, text, address), 1);
    }
}

static int holds(const char *text, const char *address)
{
    struct networks_error error;
    struct networks *networks = networks_parse(text, strlen(text), &error);
    if (networks == NULL) {
        fail_msg("line %u: %s", error.line, error.what);
    }
    uint8_t bytes[16];
    bytes_of(address, bytes);
    int found = networks_hold(networks, bytes);
    networks_free(networks);
    return found;
}

static void an_address_is_in_its_networks_only(void **state)
{
    (void)state;
    static const struct {
        const char *text, *address;
        int in;
    } cases[] = {
        { "198.51.100.0/24\n", "198.51.100.0", 1 },
        { "198.51.100.0/24\n", "198.51.100.255", 1 },
        { "198.51.100.0/24\n", "198.51.99.255", 0 },
        { "198.51.100.0/24\n", "198.51.101.0", 0 },
        { "198.51.100.128/25\n", "198.51.100.127", 0 },
        { "198.51.100.128/25\n", "198.51.100.128", 1 },
        { "203.0.113.7\n", "203.0.113.7", 1 },
        { "203.0.113.7/32\n", "203.0.113.6", 0 },
        { "0.0.0.0/0\n", "255.255.255.255", 1 },
        { "0.0.0.0/0\n", "2001:db8::1", 0 },
        { "::/0\n", "2001:db8::1", 1 },
        { "::/0\n", "10.0.0.1", 1 },
        { "2001:db8::/32\n", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 1 },
        { "2001:db8::/32\n", "2001:db9::", 0 },
        { "2001:db8::/33\n", "2001:db8:8000::", 0 },
        { "::ffff:10.0.0.0/104\n", "10.255.0.1", 1 },
        { "# none\n", "10.0.0.1", 0 },
        { "\n \t\r\n", "10.0.0.1", 0 },
        { "  10.0.0.1\t# the office\r\n10.0.0.3\n", "10.0.0.1", 1 },
        { "10.0.0.1\n10.0.0.3\n", "10.0.0.2", 0 },
        /* the wide one comes first and holds the narrow one */
        { "10.0.0.0/8\n10.1.0.0/16\n", "10.200.0.1", 1 },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n::\n",
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (holds(cases[i].text, cases[i].address) != cases[i].in) {
            fail_msg("%s in %s", cases[i].address, cases[i].text);
        }
    }
}

static void what_touches_is_one(void **state)
{
    (void)state;
    static const char text[] = "10.0.0.0/25\n10.0.0.128/25\n10.0.1.0/24\n10.0.0.7\n192.0.2.1\n";
    struct networks_error error;
    struct networks *networks = networks_parse(text, sizeof text - 1, &error);
    assert_non_null(networks);
    assert_int_equal(networks_count(networks), 2);
    networks_free(networks);
}

static void what_is_none_is_refused_with_its_line(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "10.0.0.1/33",
        "10.0.0.0/-1",
        "10.0.0.0/",
        "10.0.0.0/08",
        "10.0.0",
        "10.0.0.256",
        "2001:db8::/129",
        "2001:db8::g",
        "10.0.0.1 10.0.0.2",
        "example.org",
        "10.0.0.0/8/8",
        "/8",
        "10.0.0.1/8",
        "2001:db8::1/64",
        "010.0.0.1",
        "10.0.0.0/0x8",
        "1",
        "1234:5678:9abc:def0:1234:5678:9abc:def0/128000000000000000000000",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char text[256];
        int n = snprintf(text, sizeof text, "10.0.0.1\n%s\n", lines[i]);
        struct networks_error error;
        struct networks *networks = networks_parse(text, (size_t)n, &error);
        if (networks != NULL) {
            fail_msg("%s is taken", lines[i]);
        }
        assert_int_equal(error.line, 2);
        assert_non_null(error.what);
    }
    struct networks_error error;
    assert_null(networks_parse("10.0.0.1\n10.0.0.2", 17, &error));
    assert_int_equal(error.line, 0);
    assert_null(networks_parse("", 0, &error));
    assert_null(networks_parse("10.0.0.1\0\n", 10, &error));
}

static void a_list_has_commas(void **state)
{
    (void)state;
    static const char good[] = "149.154.160.0/20,91.108.4.0/22,2001:67c:4e8::/48";
    struct networks *networks = networks_parse_list(good, sizeof good - 1);
    assert_non_null(networks);
    assert_int_equal(networks_count(networks), 3);
    uint8_t address[16];
    bytes_of("91.108.7.255", address);
    assert_true(networks_hold(networks, address));
    bytes_of("91.108.8.0", address);
    assert_false(networks_hold(networks, address));
    networks_free(networks);

    static const char *const bad[] = {
        "", ",", "10.0.0.1,", ",10.0.0.1", "10.0.0.1, 10.0.0.2", "10.0.0.1#"
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (networks_parse_list(bad[i], strlen(bad[i])) != NULL) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
    }
}

/* Thousands of random networks of both kinds, against asking each of them. */
static void many_are_as_one_by_one(void **state)
{
    (void)state;
    enum { NETWORKS = 300, ASKED = 4000 };
    static char text[NETWORKS * 64];
    static struct {
        uint32_t first, last;
    } plain[NETWORKS];
    srand(7);
    for (int turn = 0; turn < 20; turn++) {
        size_t n = 0;
        for (int i = 0; i < NETWORKS; i++) {
            int bits = 8 + rand() % 25;
            uint32_t mask = bits == 32 ? 0 : UINT32_MAX >> bits;
            uint32_t first = ((uint32_t)rand() << 8 ^ (uint32_t)rand()) & ~mask & 0x0fffffff;
            plain[i].first = first;
            plain[i].last = first | mask;
            n += (size_t)snprintf(text + n, sizeof text - n, "%u.%u.%u.%u/%d\n", first >> 24,
                                  first >> 16 & 255, first >> 8 & 255, first & 255, bits);
        }
        struct networks_error error;
        struct networks *networks = networks_parse(text, n, &error);
        assert_non_null(networks);
        for (int i = 0; i < ASKED; i++) {
            uint32_t ip =
                i % 2 ? ((uint32_t)rand() << 8 ^ (uint32_t)rand()) & 0x0fffffff
                      : (rand() % 2 ? plain[rand() % NETWORKS].last + (uint32_t)(rand() % 2)
                                    : plain[rand() % NETWORKS].first - (uint32_t)(rand() % 2));
            int expected = 0;
            for (int k = 0; k < NETWORKS; k++) {
                expected |= ip >= plain[k].first && ip <= plain[k].last;
            }
            uint8_t address[16] = { [10] = 0xff,
                                    [11] = 0xff,
                                    [12] = (uint8_t)(ip >> 24),
                                    [13] = (uint8_t)(ip >> 16),
                                    [14] = (uint8_t)(ip >> 8),
                                    [15] = (uint8_t)ip };
            assert_int_equal(networks_hold(networks, address), expected);
        }
        networks_free(networks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_in_its_networks_only),
        cmocka_unit_test(what_touches_is_one),
        cmocka_unit_test(what_is_none_is_refused_with_its_line),
        cmocka_unit_test(a_list_has_commas),
        cmocka_unit_test(many_are_as_one_by_one),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
