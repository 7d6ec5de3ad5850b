// Clients for bench/flood: many addresses at full speed, or many clients each at its own pace.
//
//   flood addresses PORT CONNECTIONS FIRST COUNT    one request from each address, as fast as the
//   connections go flood clients PORT RATE SECONDS < HEADERS       a connection for each header
//   line, RATE requests a second on each
//
// Prints one line: seconds, answers by status, and for clients the times of answers from when each
// was due.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 4096, REQUEST_MAX = 2048, ANSWER_MAX = 4096, SAMPLES_MAX = 1 << 20 };

struct client {
    int fd;
    bool asked;
    int64_t due; /* ns: of the request on its way, or the next */
    size_t got;
    char header[REQUEST_MAX];
    char answer[ANSWER_MAX];
};

static struct {
    struct client clients[CLIENTS_MAX];
    size_t n;
    long by_status[600];
    int64_t samples[SAMPLES_MAX];
    size_t taken;
} all;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static long number(const char *text)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 0) {
        fprintf(stderr, "flood: %s is no number\n", text);
        exit(2);
    }
    return value;
}

static void open_client(struct client *c, int epoll, long port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        give_up("connect");
    }
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        give_up("epoll_ctl");
    }
}

static void ask(struct client *c, const char *path, const char *header)
{
    char text[REQUEST_MAX + 128];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", path, header);
    if (n < 0 || (size_t)n >= sizeof text || write(c->fd, text, (size_t)n) != n) {
        give_up("write");
    }
    c->asked = true;
    c->got = 0;
}

/* The status once an answer is whole, 0 before. All of ours have no body, or say its length. */
static int answered(struct client *c)
{
    ssize_t n = read(c->fd, c->answer + c->got, sizeof c->answer - 1 - c->got);
    if (n <= 0) {
        give_up("read");
    }
    c->got += (size_t)n;
    c->answer[c->got] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL || strncmp(c->answer, "HTTP/1.1 ", 9) != 0) {
        return 0;
    }
    int status = (int)strtol(c->answer + 9, NULL, 10);
    if (status < 100 || status > 599) {
        fprintf(stderr, "flood: no answer: %.40s\n", c->answer);
        exit(1);
    }
    const char *length = strstr(c->answer, "Content-Length: ");
    size_t body = length != NULL && length < end ? (size_t)strtoul(length + 16, NULL, 10) : 0;
    if (c->got < (size_t)(end + 4 - c->answer) + body) {
        return 0;
    }
    c->asked = false;
    all.by_status[status]++;
    return status;
}

static void print_statuses(int64_t began)
{
    printf("seconds=%.3f", (double)(now() - began) / 1e9);
    for (int status = 0; status < 600; status++) {
        if (all.by_status[status] > 0) {
            printf(" %d=%ld", status, all.by_status[status]);
        }
    }
}

static void from_address(struct client *c, uint32_t address)
{
    char header[64];
    snprintf(header, sizeof header, "X-Real-IP: %u.%u.%u.%u", address >> 24, address >> 16 & 255,
             address >> 8 & 255, address & 255);
    ask(c, "/anonymous", header);
}

static void addresses(int epoll, long port, long connections, long first, long count)
{
    int64_t began = now();
    long asked = 0, done = 0;
    for (all.n = 0; all.n < (size_t)connections && all.n < CLIENTS_MAX && asked < count; all.n++) {
        open_client(&all.clients[all.n], epoll, port);
        from_address(&all.clients[all.n], 0x0a000000U + (uint32_t)(first + asked++));
    }
    while (done < count) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, 10000);
        if (n <= 0 && errno != EINTR) {
            give_up("no answer within ten seconds");
        }
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (answered(c) == 0) {
                continue;
            }
            done++;
            if (asked < count) {
                from_address(c, 0x0a000000U + (uint32_t)(first + asked++));
            }
        }
    }
    print_statuses(began);
    putchar('\n');
}

static int by_size(const void *one, const void *two)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)two;
    return (a > b) - (a < b);
}

static double quantile(double q)
{
    return all.taken ? (double)all.samples[(size_t)(q * (double)(all.taken - 1))] / 1000 : 0;
}

/* Asks all that are due; ns until the next one is. */
static int64_t ask_due(int64_t end)
{
    int64_t t = now(), next = end;
    for (size_t i = 0; i < all.n; i++) {
        struct client *c = &all.clients[i];
        if (!c->asked && c->due <= t && t < end) {
            ask(c, "/client", c->header);
        } else if (!c->asked && c->due < next) {
            next = c->due;
        }
    }
    return next > t ? next - t : 0;
}

static void clients(int epoll, long port, long rate, long seconds)
{
    while (all.n < CLIENTS_MAX &&
           fgets(all.clients[all.n].header, sizeof all.clients[0].header, stdin) != NULL) {
        struct client *c = &all.clients[all.n++];
        c->header[strcspn(c->header, "\n")] = '\0';
        open_client(c, epoll, port);
    }
    int64_t began = now(), pace = 1000000000 / rate, end = began + seconds * 1000000000;
    for (size_t i = 0; i < all.n; i++) {
        all.clients[i].due = began + pace * (int64_t)i / (int64_t)all.n;
    }
    size_t waiting = 1;
    while (now() < end || waiting > 0) {
        int64_t left = ask_due(end);
        struct epoll_event events[256];
        struct timespec patience = { left / 1000000000, left % 1000000000 };
        if (now() >= end) {
            patience = (struct timespec){ 5, 0 };
        }
        int n = epoll_pwait2(epoll, events, 256, &patience, NULL);
        if (n == 0 && now() >= end + 4000000000) {
            break;
        }
        int64_t t = now();
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            if (answered(c) == 0) {
                continue;
            }
            if (all.taken < SAMPLES_MAX) {
                all.samples[all.taken++] = t - c->due;
            }
            c->due += pace;
        }
        waiting = 0;
        for (size_t i = 0; i < all.n; i++) {
            waiting += all.clients[i].asked;
        }
    }
    qsort(all.samples, all.taken, sizeof all.samples[0], by_size);
    print_statuses(began);
    printf(" lost=%zu p50=%.0f p90=%.0f p99=%.0f max=%.0f\n", waiting, quantile(0.5), quantile(0.9),
           quantile(0.99), quantile(1));
}

int main(int argc, char **argv)
{
    int epoll = epoll_create1(0);
    if (epoll < 0) {
        give_up("epoll_create1");
    }
    if (argc == 6 && strcmp(argv[1], "addresses") == 0) {
        addresses(epoll, number(argv[2]), number(argv[3]), number(argv[4]), number(argv[5]));
    } else if (argc == 5 && strcmp(argv[1], "clients") == 0 && number(argv[3]) > 0) {
        clients(epoll, number(argv[2]), number(argv[3]), number(argv[4]));
    } else {
        fprintf(stderr, "usage: flood addresses PORT CONNECTIONS FIRST COUNT | clients PORT RATE "
                        "SECONDS < HEADERS\n");
        return 2;
    }
    return 0;
}
