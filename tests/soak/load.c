// Full load on a web server of this machine, and a record of every request.
//
//     load PORT CONNECTIONS SECONDS FILE
//
// So many connections that are kept alive, each of which sends its next request as soon as it has its
// answer: 999 times /alloc?n=200, whose answer is known once it has been had, then /order?customer=x. It
// ends with its standard input, or after so many seconds; requests under way are still answered.
//
// FILE gets 16 bytes a request: when it was sent (CLOCK_REALTIME, ns), how long it took (us), its HTTP
// status (0: the connection was lost; 1: a wrong answer), and 1 for an order.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 256, ORDER_EVERY = 1000, ANSWER = 4096, PATIENCE_MS = 30000 };

struct record {
    uint64_t sent;
    uint32_t took;
    uint16_t status;
    uint16_t is_order;
};

struct connection {
    int fd;
    unsigned requests;
    struct record now;
    size_t len;
    char answer[ANSWER];
};

static struct connection connections[CONNECTIONS_MAX];
static char expected[64]; // Body of an answer to /alloc
static FILE *records;
static int epoll, busy;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void finish(struct connection *c, unsigned status)
{
    c->now.took = (uint32_t)((now_ns() - c->now.sent) / 1000);
    c->now.status = (uint16_t)status;
    fwrite(&c->now, sizeof(c->now), 1, records);
    busy--;
}

static void lose(struct connection *c)
{
    finish(c, 0);
    close(c->fd);
    c->fd = -1;
}

static void send_next(struct connection *c)
{
    static const char alloc[] = "GET /alloc?n=200 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    static const char order[] = "GET /order?customer=x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    bool is_order = ++c->requests % ORDER_EVERY == 0;
    const char *request = is_order ? order : alloc;
    c->len = 0;
    c->now = (struct record){ .sent = now_ns(), .is_order = is_order };
    busy++;
    if (send(c->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
        lose(c);
}

// The body of a whole answer, as ASP.NET Core sends it: one chunk, or with a length; NULL: not all
// there.
static const char *body_of(const struct connection *c, size_t *len_ret)
{
    const char *body = strstr(c->answer, "\r\n\r\n");
    if (!body)
        return NULL;
    body += 4;
    const char *length = strcasestr(c->answer, "\r\ncontent-length: ");
    if (length) {
        *len_ret = strtoul(length + 18, NULL, 10);
        return strlen(body) >= *len_ret ? body : NULL;
    }
    char *chunk;
    *len_ret = strtoul(body, &chunk, 16);
    size_t left = strlen(chunk);
    return left >= 2 + *len_ret + 7 ? chunk + 2
                                    : NULL; // Its end and that of the last: CRLF 0 CRLF CRLF.
}

static void receive(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->len, ANSWER - 1 - c->len, 0);
    if (n <= 0) {
        lose(c);
        return;
    }
    c->len += (size_t)n;
    c->answer[c->len] = '\0';
    size_t len;
    const char *body = body_of(c, &len);
    if (!body)
        return;
    unsigned status = (unsigned)atoi(c->answer + 9);
    if (!c->now.is_order && !expected[0])
        snprintf(expected, sizeof(expected), "%.*s", (int)len, body);
    bool is_right = c->now.is_order ? len > 0 && strspn(body, "0123456789") >= len
                                    : len == strlen(expected) && memcmp(body, expected, len) == 0;
    finish(c, status == 200 && !is_right ? 1 : status);
}

static bool open_all(int port, int count)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        struct connection *c = &connections[i];
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        c->requests = (unsigned)(i * 7); // Not all order at the same time.
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        if (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0
            || epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
            return false;
    }
    return true;
}

static bool is_told_to_end(void)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    char byte;
    return poll(&input, 1, 0) > 0 && read(0, &byte, 1) <= 0;
}

static void run(int count, int seconds)
{
    uint64_t end = now_ns() + (uint64_t)seconds * 1000000000, looked = 0;
    bool is_ending = false;
    for (int i = 0; i < count; i++)
        send_next(&connections[i]);
    while (busy > 0) {
        struct epoll_event events[CONNECTIONS_MAX];
        int n = epoll_wait(epoll, events, CONNECTIONS_MAX, PATIENCE_MS);
        for (int i = 0; n == 0 && i < count; i++) {
            if (connections[i].fd >= 0)
                lose(&connections[i]); // It does not answer any more.
        }
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            int before = busy;
            receive(c);
            if (busy < before && c->fd >= 0 && !is_ending)
                send_next(c);
        }
        uint64_t now = now_ns();
        if (now - looked > 10000000) {
            is_ending |= now > end || is_told_to_end();
            looked = now;
        }
    }
}

int main(int argc, char **argv)
{
    int count = argc == 5 ? atoi(argv[2]) : 0;
    if (count < 1 || count > CONNECTIONS_MAX) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SECONDS FILE\n");
        return 2;
    }
    records = fopen(argv[4], "we");
    if (!records || !open_all(atoi(argv[1]), count)) {
        perror("load");
        return 3;
    }
    run(count, atoi(argv[3]));
    return fclose(records) == 0 ? 0 : 3;
}
