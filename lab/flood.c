/* A paced UDP flood with exact loss accounting.
 *
 *     flood LOCAL PEER PORT RATE [SECONDS]
 *
 * Run one on each side, with the addresses swapped.  The two say hello until
 * they hear each other (exit status 2 after 20 seconds without), then each
 * sends RATE numbered packets a second, until SECONDS have passed or SIGTERM
 * arrives.  At the end each tells the other how many packets it sent, so that
 * packets lost at the very end are counted too.  "contact" goes to stderr at
 * the first packet from the peer; at the end one line goes to stdout:
 *
 *     sent=N expected=N received=N lost=N duplicate=N reordered=N rate=N
 *         longest_gap_ms=N first_lost=N last_lost=N
 *
 * 'expected' is what the peer says it sent.  The exit status is 0 if nothing
 * was lost, 1 if something was. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_SEQ (1u << 24)
#define MAGIC 0x6c616266u

enum { HELLO, DATA, FIN };

struct packet {                 /* All in network byte order. */
    uint32_t magic;
    uint32_t type;
    uint32_t n;                 /* DATA: sequence number.  FIN: packets sent. */
    uint32_t heard;             /* FIN: the sender has the peer's FIN. */
    char pad[48];
};

static volatile sig_atomic_t stop;

struct address {
    union {
        struct sockaddr sa;
        struct sockaddr_in sin;
        struct sockaddr_in6 sin6;
    };
    socklen_t len;
};

static int fd;
static struct address peer;

static uint32_t sent, received, duplicate, reordered, next_seq, expected;
static int contact, peer_fin, peer_heard;
static long long last_data, longest_gap;
static uint8_t seen[MAX_SEQ / 8];

static void
on_term(int sig)
{
    (void) sig;
    stop = 1;
}

static long long
now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static void
die(const char *what)
{
    fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
    exit(3);
}

/* getaddrinfo() would not do: this program is linked statically. */
static struct address
address(const char *host, const char *port)
{
    struct address a = { .len = sizeof a.sin6 };

    if (inet_pton(AF_INET6, host, &a.sin6.sin6_addr) == 1) {
        a.sin6.sin6_family = AF_INET6;
        a.sin6.sin6_port = htons(atoi(port));
    } else if (inet_pton(AF_INET, host, &a.sin.sin_addr) == 1) {
        a.sin.sin_family = AF_INET;
        a.sin.sin_port = htons(atoi(port));
        a.len = sizeof a.sin;
    } else {
        fprintf(stderr, "flood: %s: not an address\n", host);
        exit(3);
    }
    return a;
}

/* A packet that the sender's own host refuses counts as sent and lost. */
static void
transmit(uint32_t type, uint32_t n)
{
    struct packet p = {
        .magic = htonl(MAGIC), .type = htonl(type),
        .n = htonl(n), .heard = htonl(peer_fin),
    };
    (void) !sendto(fd, &p, sizeof p, 0, &peer.sa, peer.len);
}

static void
receive_data(uint32_t seq)
{
    long long now = now_us();

    if (seq >= MAX_SEQ) {
        return;
    }
    if (seen[seq / 8] & (1u << seq % 8)) {
        duplicate++;
        return;
    }
    seen[seq / 8] |= 1u << seq % 8;
    received++;
    if (seq < next_seq) {
        reordered++;
    } else {
        next_seq = seq + 1;
    }
    if (last_data && now - last_data > longest_gap) {
        longest_gap = now - last_data;
    }
    last_data = now;
}

/* Receives what arrives until 'deadline' (in microseconds of now_us()). */
static void
receive_until(long long deadline)
{
    for (;;) {
        struct packet p;
        while (recv(fd, &p, sizeof p, MSG_DONTWAIT) == (ssize_t) sizeof p) {
            if (ntohl(p.magic) != MAGIC) {
                continue;
            }
            contact = 1;
            switch (ntohl(p.type)) {
            case DATA:
                receive_data(ntohl(p.n));
                break;
            case FIN:
                peer_fin = 1;
                expected = ntohl(p.n);
                peer_heard |= ntohl(p.heard);
                break;
            }
        }

        long long left = deadline - now_us();
        if (left <= 0) {
            return;
        }
        struct timespec ts = { left / 1000000, left % 1000000 * 1000 };
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        ppoll(&pfd, 1, &ts, NULL);
    }
}

int
main(int argc, char *argv[])
{
    if (argc < 5 || argc > 6 || atoi(argv[4]) <= 0) {
        fprintf(stderr, "usage: flood LOCAL PEER PORT RATE [SECONDS]\n");
        return 3;
    }
    struct address local = address(argv[1], argv[3]);
    peer = address(argv[2], argv[3]);
    long long interval = 1000000 / atoi(argv[4]);
    double seconds = argc > 5 ? atof(argv[5]) : 0;

    signal(SIGTERM, on_term);
    fd = socket(local.sa.sa_family, SOCK_DGRAM, 0);
    if (fd < 0) {
        die("socket");
    }
    int size = 8 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size)) {
        die("SO_RCVBUFFORCE");
    }
    if (bind(fd, &local.sa, local.len)) {
        die("bind");
    }

    long long start = now_us();
    while (!contact && !stop) {
        if (now_us() - start > 20000000) {
            fprintf(stderr, "flood: no contact\n");
            return 2;
        }
        transmit(HELLO, 0);
        receive_until(now_us() + 10000);
    }
    /* The peer may still wait for our hello: it takes data for one. */
    fprintf(stderr, "contact\n");

    start = now_us();
    while (!stop && sent < MAX_SEQ
           && (!seconds || now_us() - start < seconds * 1000000)) {
        transmit(DATA, sent++);
        receive_until(start + sent * interval);
    }
    long long took = now_us() - start;

    /* Exchange totals; stop when both have them and no data is on its way. */
    long long deadline = now_us() + 5000000;
    long long quiet = now_us();
    while (now_us() < deadline) {
        uint32_t before = received;

        transmit(FIN, sent);
        receive_until(now_us() + 20000);
        if (received != before) {
            quiet = now_us();
        }
        if (peer_fin && peer_heard
            && (received == expected || now_us() - quiet > 500000)) {
            break;
        }
    }
    for (int i = 0; i < 5; i++) {       /* For a peer that has not heard. */
        transmit(FIN, sent);
    }
    if (!peer_fin) {
        fprintf(stderr, "flood: the peer's total is unknown\n");
        expected = next_seq;
    }

    long long first_lost = -1, last_lost = -1;
    uint32_t lost = 0;
    for (uint32_t i = 0; i < expected && i < MAX_SEQ; i++) {
        if (!(seen[i / 8] & (1u << i % 8))) {
            lost++;
            last_lost = i;
            if (first_lost < 0) {
                first_lost = i;
            }
        }
    }
    printf("sent=%u expected=%u received=%u lost=%u duplicate=%u reordered=%u "
           "rate=%lld longest_gap_ms=%lld first_lost=%lld last_lost=%lld\n",
           sent, expected, received, lost, duplicate, reordered,
           took ? sent * 1000000LL / took : 0, longest_gap / 1000,
           first_lost, last_lost);
    return !peer_fin || lost ? 1 : 0;
}
