/* Lists of servers, turned: what libpq would be given. */
// sources: services/common/hosts.c
// libs: -lpq
#include "hosts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char given[400];

/* Instead of libpq's: notes what it was given. */
PGconn *PQconnectStartParams(const char *const *keywords, const char *const *values, int expand)
{
    size_t n = 0;
    given[0] = '\0';
    assert_int_equal(expand, 0);
    for (size_t i = 0; keywords[i] != NULL; i++) {
        n += (size_t)snprintf(given + n, sizeof given - n, "%s=%s ", keywords[i], values[i]);
    }
    return NULL;
}

static void expect(const char *conninfo, unsigned turn, const char *wanted)
{
    assert_null(hosts_connect_start(conninfo, turn));
    if (strstr(given, wanted) == NULL) {
        fail_msg("%s by %u: no \"%s\" in \"%s\"", conninfo, turn, wanted, given);
    }
}

static void lists_are_turned_together(void **state)
{
    (void)state;
    const char *three = "host=a,b,c port=1,2,3 dbname=otklik";
    expect(three, 0, "host=a,b,c ");
    expect(three, 1, "host=b,c,a ");
    expect(three, 1, "port=2,3,1 ");
    expect(three, 2, "host=c,a,b ");
    expect(three, 2, "dbname=otklik ");
    expect(three, 3, "host=a,b,c ");
    expect(three, 4000000003u, "host=b,c,a ");
    expect("hostaddr=10.0.0.1,10.0.0.2 host=x,y", 1, "hostaddr=10.0.0.2,10.0.0.1 ");
}

static void one_for_all_stays(void **state)
{
    (void)state;
    expect("host=a,b port=5432", 1, "port=5432 ");
    expect("host=/run/postgresql user=x", 7, "host=/run/postgresql ");
    expect("host=a,,b", 1, "host=,b,a ");
    expect("host=a, port=1,", 1, "host=,a ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_turned_together),
        cmocka_unit_test(one_for_all_stays),
    };
    return cmocka_run_group_tests_name("hosts", tests, NULL, NULL);
}
