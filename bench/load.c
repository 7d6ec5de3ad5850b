// Load over kept-alive connections: so many requests or so long, each with an address or a line
// of its own, pipelined so that nginx is the limit and not this. Prints what came of it.
// sources:
// libs:
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    PIPELINE_MAX = 64,
    REQUEST_MAX = 16384,
    ANSWER_MAX = 16384, // the unread part of what came
    ADDRESSES_MAX = 1 << 24,
    ADDRESS_STRIDE = 611953 // a prime: neighbours in time are none in memory
};

struct connection {
    int fd;
    size_t waiting; // answers
    size_t skip;    // bytes of a body
    size_t unsent;  // bytes, the first of them at out + sent
    size_t sent;
    size_t held; // bytes in in[]
    char *out;
    char in[ANSWER_MAX];
};

static struct {
    const char *address;
    int port;
    int connections;
    int pipeline;
    double seconds;
    uint64_t requests;
    uint64_t addresses;
    const char *path;
    const char *header;
    char **lines;
    size_t nlines;
} option = { .address = "127.0.0.1", .connections = 64, .pipeline = 1, .path = "/" };

static uint64_t begun, answered, status_count[600], next_address, next_line;
static struct timespec start;
static bool over;

static double seconds_since(const struct timespec *then)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        err(1, "clock_gettime");
    }
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

// One request at out, which has room for REQUEST_MAX bytes.
static size_t write_request(char *out)
{
    int n = snprintf(out, REQUEST_MAX, "GET %s HTTP/1.1\r\nHost: bench\r\n", option.path);
    if (option.addresses > 0) {
        uint64_t address = next_address;
        next_address = (next_address + ADDRESS_STRIDE) % option.addresses;
        n += snprintf(out + n, REQUEST_MAX - (size_t)n, "X-Real-IP: 10.%u.%u.%u\r\n",
                      (unsigned)(address >> 16), (unsigned)(address >> 8 & 255),
                      (unsigned)(address & 255));
    }
    if (option.header != NULL) {
        n += snprintf(out + n, REQUEST_MAX - (size_t)n, "%s\r\n", option.header);
    }
    if (option.nlines > 0) {
        n += snprintf(out + n, REQUEST_MAX - (size_t)n, "%s\r\n",
                      option.lines[next_line++ % option.nlines]);
    }
    n += snprintf(out + n, REQUEST_MAX - (size_t)n, "\r\n");
    if (n >= REQUEST_MAX) {
        errx(1, "a request is too long");
    }
    return (size_t)n;
}

static void push(struct connection *c)
{
    while (c->unsent > 0) {
        ssize_t n = send(c->fd, c->out + c->sent, c->unsent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                return; // the answers to what was sent make room
            }
            err(1, "send");
        }
        c->sent += (size_t)n;
        c->unsent -= (size_t)n;
    }
}

static void ask(struct connection *c)
{
    c->sent = 0;
    for (int i = 0; i < option.pipeline; i++) {
        if (over || (option.requests > 0 && begun == option.requests)) {
            break;
        }
        c->unsent += write_request(c->out + c->unsent);
        c->waiting++;
        begun++;
    }
    push(c);
}

// Takes the answers that are whole off the front of in[].
static void take(struct connection *c)
{
    char *p = c->in;
    char *end = c->in + c->held;
    while (p < end) {
        if (c->skip > 0) {
            size_t n = c->skip < (size_t)(end - p) ? c->skip : (size_t)(end - p);
            p += n;
            c->skip -= n;
            if (c->skip > 0) {
                break;
            }
        } else {
            char *last = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);
            if (last == NULL) {
                break;
            }
            last[2] = '\0';
            int status = atoi(p + strlen("HTTP/1.1 "));
            if (c->waiting == 0 || strncmp(p, "HTTP/1.1 ", 9) != 0 || status < 200 ||
                status > 599) {
                errx(1, "no answer that was asked for: %.40s", p);
            }
            status_count[status]++;
            const char *length = strstr(p, "\r\nContent-Length: ");
            c->skip = length == NULL ? 0 : strtoul(length + 18, NULL, 10);
            p = last + 4;
        }
        if (c->skip == 0) {
            c->waiting--;
            answered++;
        }
    }
    c->held = (size_t)(end - p);
    memmove(c->in, p, c->held);
    if (c->held == sizeof(c->in)) {
        errx(1, "the head of an answer is too long");
    }
}

static void pull(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->held, sizeof(c->in) - c->held, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        errx(1, "nginx closed a connection");
    }
    c->held += (size_t)n;
    take(c);
}

static struct connection *open_connection(int epoll)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)option.port) };
    if (inet_pton(AF_INET, option.address, &address.sin_addr) != 1) {
        errx(2, "%s is not an address", option.address);
    }
    struct connection *c = calloc(1, sizeof(*c));
    int one = 1;
    if (c == NULL || (c->out = malloc((size_t)option.pipeline * REQUEST_MAX)) == NULL) {
        err(1, "memory");
    }
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
        fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0) {
        err(1, "port %d", option.port);
    }
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        err(1, "epoll_ctl");
    }
    return c;
}

static void read_lines(const char *path)
{
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        err(1, "%s", path);
    }
    char *line = NULL;
    size_t size = 0;
    for (ssize_t n; (n = getline(&line, &size, in)) > 0;) {
        line[n - (line[n - 1] == '\n')] = '\0';
        char **lines = realloc(option.lines, (option.nlines + 1) * sizeof(*lines));
        if (lines == NULL || (lines[option.nlines] = strdup(line)) == NULL) {
            err(1, "memory");
        }
        option.lines = lines;
        option.nlines++;
    }
    free(line);
    fclose(in);
    if (option.nlines == 0) {
        errx(1, "%s is empty", path);
    }
}

static double number(const char *text, double least, double most)
{
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= least && value <= most)) {
        errx(2, "%s is not a number from %.0f to %.0f", text, least, most);
    }
    return value;
}

static void read_options(int argc, char **argv)
{
    static const struct option options[] = {
        { "port", required_argument, NULL, 'p' },
        { "path", required_argument, NULL, 'u' },
        { "connections", required_argument, NULL, 'c' },
        { "pipeline", required_argument, NULL, 'd' },
        { "seconds", required_argument, NULL, 's' },
        { "requests", required_argument, NULL, 'n' },
        { "addresses", required_argument, NULL, 'a' },
        { "from", required_argument, NULL, 'f' },
        { "header", required_argument, NULL, 'h' },
        { "address", required_argument, NULL, 'i' },
        { "lines", required_argument, NULL, 'l' },
        { NULL, 0, NULL, 0 },
    };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'p':
            option.port = (int)number(optarg, 1, 65535);
            break;
        case 'u':
            option.path = optarg;
            break;
        case 'c':
            option.connections = (int)number(optarg, 1, CONNECTIONS_MAX);
            break;
        case 'd':
            option.pipeline = (int)number(optarg, 1, PIPELINE_MAX);
            break;
        case 's':
            option.seconds = number(optarg, 0, 3600);
            break;
        case 'n':
            option.requests = (uint64_t)number(optarg, 1, 1e12);
            break;
        case 'a':
            option.addresses = (uint64_t)number(optarg, 1, ADDRESSES_MAX);
            break;
        case 'f':
            next_address = (uint64_t)number(optarg, 0, ADDRESSES_MAX);
            break;
        case 'i':
            option.address = optarg;
            break;
        case 'h':
            option.header = optarg;
            break;
        case 'l':
            read_lines(optarg);
            break;
        default:
            exit(2);
        }
    }
    if (optind != argc || option.port == 0 || (option.seconds > 0) == (option.requests > 0)) {
        errx(
            2,
            "usage: load [--address 127.0.0.1] --port N (--seconds S | --requests N) [--path /] [--connections 64] "
            "[--pipeline 1] [--addresses N [--from N]] [--header LINE] [--lines FILE]");
    }
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) {
        err(1, "epoll_create1");
    }
    struct connection *connections[CONNECTIONS_MAX];
    for (int i = 0; i < option.connections; i++) {
        connections[i] = open_connection(epoll);
    }
    if (clock_gettime(CLOCK_MONOTONIC, &start) != 0) {
        err(1, "clock_gettime");
    }
    for (int i = 0; i < option.connections; i++) {
        ask(connections[i]);
    }
    while (answered < begun) {
        struct epoll_event events[64];
        int n = epoll_wait(epoll, events, 64, 10000);
        if (n == 0) {
            errx(1, "no answer for ten seconds");
        }
        if (n < 0 && errno != EINTR) {
            err(1, "epoll_wait");
        }
        over = option.seconds > 0 && seconds_since(&start) >= option.seconds;
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            pull(c);
            push(c);
            if (c->waiting == 0 && c->unsent == 0) {
                ask(c);
            }
        }
    }
    printf("%llu requests in %.6f s", (unsigned long long)answered, seconds_since(&start));
    for (int status = 200; status < 600; status++) {
        if (status_count[status] > 0) {
            printf(", %d: %llu", status, (unsigned long long)status_count[status]);
        }
    }
    putchar('\n');
    return 0;
}
