/* A server that is far away: a delay in front of a real server, or of canned answers.
 *
 *   far PORT proxy BACKEND_PORT     passes on to 127.0.0.1:BACKEND_PORT
 *   far PORT canned FILE KINDS      answers itself (canned.c), the addresses in KINDS turns
 *
 * It listens on every address of 127.0.0.0/8, says its port in the first line of its output, and
 * ends when its input does. Orders, one a line: "rtt MICROSECONDS", "reset", "stats"; each is
 * answered by one line.
 *
 * The round trip: the kernel accepts at once, so that what connecting costs is charged to the first
 * answer, which comes no sooner than two round trips after the accept. Every answer comes no sooner
 * than one round trip after the client's bytes before it. */
#define _GNU_SOURCE
#include "far.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512 };

static int epoll, timer, listener;
static micros rtt;
static uint16_t backend; /* 0: canned */
static unsigned kinds;
static struct conn *dead;

void die(const char *what) {
    perror(what);
    exit(1);
}

static micros now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (micros)t.tv_sec * 1000000 + (micros)t.tv_nsec / 1000;
}

static void watch(struct side *side, uint32_t wants) {
    struct epoll_event event = {.events = wants, .data.ptr = side};
    int how = side->wants == UINT32_MAX ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (side->wants == wants) return;
    side->wants = wants;
    if (epoll_ctl(epoll, how, side->fd, &event)) die("epoll_ctl");
}

/* The client has gone, or has said that it will say no more. */
static void left(struct conn *c) {
    if (c->client_done) return;
    c->client_done = 1;
    count_left(c->place);
}

static void shut(int fd, int reset) {
    struct linger linger = {1, 0};
    if (fd < 0) return;
    if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

static void drop(struct conn *c, int reset) {
    if (c->dead) return;
    c->dead = 1;
    left(c);
    unwait(c);
    shut(c->client.fd, reset);
    shut(c->server.fd, 1); /* no TIME_WAIT between us and the backend */
    c->next = dead;
    dead = c;
}

static void bury(void) {
    while (dead) {
        struct conn *c = dead;
        dead = c->next;
        while (c->head) {
            struct chunk *next = c->head->next;
            free(c->head);
            c->head = next;
        }
        free(c->held);
        free(c);
    }
}

/* Let the client hear all that is due. */
static void release(struct conn *c, micros t) {
    while (c->head && c->head->due <= t) {
        struct chunk *chunk = c->head;
        if (chunk->kind == RST) {
            drop(c, 1);
            return;
        }
        if (chunk->kind == FIN) {
            shutdown(c->client.fd, SHUT_WR);
            c->told_end = 1;
        } else {
            ssize_t n = send(c->client.fd, chunk->bytes + chunk->sent,
                             chunk->length - chunk->sent, MSG_NOSIGNAL);
            if (n < 0 && errno != EAGAIN) {
                drop(c, 0);
                return;
            }
            if (n > 0) chunk->sent += (size_t)n;
            if (chunk->sent < chunk->length) { /* until there is room again */
                unwait(c);
                watch(&c->client, c->client.wants | EPOLLOUT);
                return;
            }
        }
        count_answer(c->place, c->epoch, t);
        if (c->at) unwait(c);
        if (!(c->head = chunk->next)) c->tail = NULL;
        free(chunk);
        if (c->head) await(c);
    }
    if (c->told_end && c->client_done) drop(c, 0);
}

/* The server said this just now; the client hears it when it would have come so far. */
static void say(struct conn *c, int kind, const void *bytes, size_t length) {
    struct chunk *chunk = malloc(sizeof *chunk + length);
    micros t = now(), due = c->cause + rtt;
    if (!chunk) die("memory");
    if (!c->answered && due < c->accepted + 2 * rtt) due = c->accepted + 2 * rtt;
    if (due < c->last) due = c->last;
    if (due < t) due = t;
    *chunk = (struct chunk){.due = due, .kind = kind, .length = length};
    if (length) memcpy(chunk->bytes, bytes, length);
    c->answered = 1;
    c->last = due;
    if (c->tail) c->tail->next = chunk;
    else c->head = chunk;
    c->tail = chunk;
    if (due <= t && c->head == chunk) release(c, t);
    else if (c->head == chunk) await(c);
}

static void hold(struct conn *c, const unsigned char *bytes, size_t length) {
    if (!(c->held = realloc(c->held, c->held_length + length))) die("memory");
    memcpy(c->held + c->held_length, bytes, length);
    c->held_length += length;
}

static void pass_on(struct conn *c) {
    size_t sent = 0;
    while (sent < c->held_length) {
        ssize_t n = send(c->server.fd, c->held + sent, c->held_length - sent, MSG_NOSIGNAL);
        if (n < 0) break; /* a fault of the backend shows when we read from it */
        sent += (size_t)n;
    }
    c->held_length -= sent;
    memmove(c->held, c->held + sent, c->held_length);
    watch(&c->server, c->held_length ? EPOLLIN | EPOLLOUT : EPOLLIN);
    if (c->held_length) watch(&c->client, c->client.wants & ~(uint32_t)EPOLLIN);
    else if (c->client_done) shutdown(c->server.fd, SHUT_WR);
    else watch(&c->client, c->client.wants | EPOLLIN);
}

static void answer(struct conn *c) {
    static struct answer out;
    unsigned turn = kinds ? (ntohl(c->place->address) & 0xFF) % kinds : 0;
    if (c->answered) return;
    canned_reply(c->held, c->held_length, turn, &out);
    if (!out.length) return;
    say(c, DATA, out.bytes, out.length);
    if (out.closes && !c->dead) say(c, FIN, NULL, 0);
}

static void hear_client(struct conn *c) {
    static unsigned char buffer[65536];
    ssize_t n = recv(c->client.fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0 || (n == 0 && !backend)) {
        drop(c, n < 0);
        return;
    }
    if (n == 0) {
        left(c);
        watch(&c->client, c->client.wants & ~(uint32_t)EPOLLIN);
        if (c->told_end) drop(c, 0);
        else if (!c->held_length) shutdown(c->server.fd, SHUT_WR);
        return;
    }
    c->cause = now();
    if (backend || c->held_length < HELLO_MOST) hold(c, buffer, (size_t)n);
    if (backend) pass_on(c);
    else answer(c);
}

static void hear_server(struct conn *c) {
    static unsigned char buffer[65536];
    ssize_t n = recv(c->server.fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n > 0) {
        say(c, DATA, buffer, (size_t)n);
        return;
    }
    c->server_done = 1;
    watch(&c->server, 0);
    epoll_ctl(epoll, EPOLL_CTL_DEL, c->server.fd, NULL); /* it would go on about its end */
    c->server.wants = UINT32_MAX;
    say(c, n == 0 ? FIN : RST, NULL, 0);
}

static void to_backend(struct conn *c) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(backend)};
    int one = 1;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->server.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->server.fd < 0) die("socket");
    setsockopt(c->server.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->server.fd, (struct sockaddr *)&at, sizeof at) && errno != EINPROGRESS)
        die("connect");
    watch(&c->server, EPOLLIN);
}

/* One only: those that went before this one came must have been seen to go, or more are counted at
 * once than there were. */
static void come_in(void) {
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct conn *c;
    if (fd < 0) {
        if (errno == EAGAIN || errno == ECONNABORTED) return;
        die("accept");
    }
    getsockname(fd, (struct sockaddr *)&at, &size);
    if (ntohl(at.sin_addr.s_addr) >> 24 != 127) { /* for this machine alone */
        close(fd);
        return;
    }
    if (!(c = calloc(1, sizeof *c))) die("memory");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->client = (struct side){c, fd, UINT32_MAX};
    c->server = (struct side){c, -1, UINT32_MAX};
    c->accepted = c->cause = now();
    c->place = count_came(at.sin_addr.s_addr, c->accepted, &c->epoch);
    watch(&c->client, EPOLLIN);
    if (backend) to_backend(c);
}

static void obey(void) {
    char line[128];
    unsigned long value;
    ssize_t n = read(0, line, sizeof line - 1);
    if (n <= 0) exit(0);
    line[n] = 0;
    if (!strcmp(line, "stats\n")) count_tell();
    else if (!strcmp(line, "reset\n")) count_reset(), puts("{}");
    else if (sscanf(line, "rtt %lu", &value) == 1) rtt = value, puts("{}");
    else exit(2);
    fflush(stdout);
}

static void listen_on(uint16_t port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof at;
    int one = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 65535)) die("listen");
    getsockname(listener, (struct sockaddr *)&at, &size);
    printf("%u\n", ntohs(at.sin_port));
    fflush(stdout);
}

static void arm(void) {
    static micros armed;
    micros due = soonest() ? soonest()->head->due : 0;
    struct itimerspec when = {.it_value = {(time_t)(due / 1000000), (long)(due % 1000000) * 1000}};
    if (due == armed) return;
    armed = due;
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL)) die("timer");
}

static void serve(void) {
    static struct side control = {.fd = 0}, door, alarm_;
    struct epoll_event events[EVENTS];
    struct { struct side *side; int fd; } ours[] = {{&control, 0}, {&door, listener}, {&alarm_, timer}};
    for (int i = 0; i < 3; i++) {
        *ours[i].side = (struct side){NULL, ours[i].fd, UINT32_MAX};
        watch(ours[i].side, EPOLLIN);
    }
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1), knocks = 0;
        for (int i = 0; i < n; i++) {
            struct side *side = events[i].data.ptr;
            struct conn *c = side->conn;
            uint32_t is = events[i].events;
            if (side == &control) obey();
            else if (side == &door) knocks = 1;
            else if (side == &alarm_) {
                uint64_t times;
                if (read(timer, &times, sizeof times) < 0 && errno != EAGAIN) die("timer");
            } else if (c->dead) continue;
            else if (side == &c->server) {
                if (is & EPOLLOUT) pass_on(c);
                if (!c->dead && is & (EPOLLIN | EPOLLERR | EPOLLHUP)) hear_server(c);
            } else {
                if (is & (EPOLLERR | EPOLLHUP)) {
                    drop(c, 0);
                    continue;
                }
                if (is & EPOLLIN) hear_client(c);
                if (!c->dead && is & EPOLLOUT) {
                    watch(side, side->wants & ~(uint32_t)EPOLLOUT);
                    release(c, now());
                    if (!c->dead && c->head && !(side->wants & EPOLLOUT)) await(c);
                }
            }
        }
        if (knocks) come_in();
        if (soonest())
            for (micros t = now(); soonest() && soonest()->head->due <= t;) release(soonest(), t);
        arm();
        bury();
    }
}

int main(int count, char **words) {
    struct rlimit files;
    if (count == 4 && !strcmp(words[2], "proxy")) backend = (uint16_t)atoi(words[3]);
    else if (count == 5 && !strcmp(words[2], "canned")) {
        canned_setup(words[3]);
        kinds = (unsigned)atoi(words[4]);
    } else return fprintf(stderr, "see the head of far.c\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (epoll < 0 || timer < 0) die("epoll");
    listen_on((uint16_t)atoi(words[1]));
    serve();
}
