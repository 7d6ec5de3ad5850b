/* otklik-reporting: reports out of counters. It sees no appeal and no person. */
#include "reporting_queries.h"
#include "summary.h"

static const struct route routes[] = {
    { .method = METHOD_GET,
      .path = "/api/v1/reports/summary",
      .roles = ROLE_STAFF,
      .fields = summary_fields,
      .ask = summary_ask },
    { .path = NULL },
};

int main(void)
{
    static struct service service = {
        .name = "reporting",
        .routes = routes,
        .statements = reporting_queries,
        .nstatements = REPORTING_QUERY_COUNT,
    };
    return service_run(&service);
}
