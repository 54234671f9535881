/* SPDX-License-Identifier: Apache-2.0 */

/* A gRPC client that loads ovs-tunneld:
 *
 *   bench-load TARGET stream FIRST N            one stream of N creates
 *   bench-load TARGET create FIRST N IN_FLIGHT  N streams of one create
 *   bench-load TARGET stats N                   GetAllIpTunnelsStats, N expected
 *   bench-load TARGET delete FIRST N            one stream of N deletes
 *
 * The tunnels are those of tunnels.h, with the ids FIRST, FIRST + 1, ...  All
 * messages are packed and the connection stands before the clock starts.  Prints
 * one line of NAME=VALUE: "s" is seconds until the answer, or the last message,
 * is in; "p50" and "p99" are microseconds of one call.  An answer that is not
 * "accepted, nothing to report" is a failure. */

#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/channel.h"
#include "proto/tunneloffload.pb-c.h"
#include "tests/bench/tunnels.h"

#define SERVICE "/tunneloffload.v2.IpTunnelService/"
#define CREATE SERVICE "CreateIpTunnel"
#define STATS SERVICE "GetAllIpTunnelsStats"

struct messages {
    uint8_t *data;
    size_t size, allocated;
    size_t *ends;               /* Message i is data[ends[i], ends[i + 1]). */
    size_t n;
};

struct calls {                  /* Creates in flight. */
    struct otd_channel *channel;
    const struct messages *messages;
    size_t next;                /* The next message to send. */
    size_t n_done;
    double *latencies;          /* Seconds, of each call that ended. */
};
struct call {
    struct calls *calls;
    double started;
};

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void
fail(const char *what, const char *why)
{
    fprintf(stderr, "bench-load: %s: %s\n", what, why);
    exit(1);
}

static void *
allocate(size_t size)
{
    void *p = calloc(1, size);

    if (!p) {
        fail("out of memory", strerror(errno));
    }
    return p;
}

static void
append(struct messages *m, const ProtobufCMessage *message)
{
    size_t n = protobuf_c_message_get_packed_size(message);

    if (m->size + n > m->allocated) {
        m->allocated = (m->size + n) * 2;
        m->data = realloc(m->data, m->allocated);
        if (!m->data) {
            fail("out of memory", strerror(errno));
        }
    }
    protobuf_c_message_pack(message, m->data + m->size);
    m->size += n;
    m->ends[++m->n] = m->size;
}

static void
pack(struct messages *m, uint32_t first, uint32_t n, bool create)
{
    Tunneloffload__V2__IpTunnelRequest r;
    Tunneloffload__V2__MatchCriteria match;
    Tunneloffload__V2__IPV4Match dst;
    Tunneloffload__V2__Geneve geneve;
    Tunneloffload__V2__GeneveEncap encap;
    Tunneloffload__V2__IPV4Pair outer;

    tunneloffload__v2__ip_tunnel_request__init(&r);
    tunneloffload__v2__match_criteria__init(&match);
    tunneloffload__v2__ipv4_match__init(&dst);
    tunneloffload__v2__geneve__init(&geneve);
    tunneloffload__v2__geneve_encap__init(&encap);
    tunneloffload__v2__ipv4_pair__init(&outer);
    r.operation = TUNNELOFFLOAD__V2__OPERATION___DELETE;
    if (create) {
        r.operation = TUNNELOFFLOAD__V2__OPERATION___CREATE;
        r.match_criteria = &match;
        match.ip_match_case
            = TUNNELOFFLOAD__V2__MATCH_CRITERIA__IP_MATCH_IPV4_MATCH;
        match.ipv4_match = &dst;
        dst.destination_ip_prefix = 32;
        r.next_action = TUNNELOFFLOAD__V2__ACTION__FORWARD;
        r.tunnel_case = TUNNELOFFLOAD__V2__IP_TUNNEL_REQUEST__TUNNEL_GENEVE;
        r.geneve = &geneve;
        geneve.encap_decap_case
            = TUNNELOFFLOAD__V2__GENEVE__ENCAP_DECAP_GENEVE_ENCAP;
        geneve.geneve_encap = &encap;
        encap.ip_case = TUNNELOFFLOAD__V2__GENEVE_ENCAP__IP_OUTER_IPV4_PAIR;
        encap.outer_ipv4_pair = &outer;
        outer.source_ip = htonl(BENCH_OUTER_SRC);
    }

    memset(m, 0, sizeof *m);
    m->ends = allocate((n + 1) * sizeof *m->ends);
    for (uint32_t id = first; id < first + n; id++) {
        r.tunnel_id = id;
        dst.destination_ip = htonl(bench_match_dst(id));
        encap.vni = id;
        outer.destination_ip = htonl(bench_outer_dst(id));
        append(m, &r.base);
    }
}

static void
check(const struct otd_bytes *reply, const struct otd_rpc_status *status)
{
    Tunneloffload__V2__CreateIpTunnelResponses *r;

    if (status->code) {
        fail(otd_rpc_code_to_string(status->code), status->text);
    }
    r = tunneloffload__v2__create_ip_tunnel_responses__unpack(NULL, reply->n,
                                                              reply->data);
    if (!r) {
        fail("answer", "not a CreateIpTunnelResponses");
    } else if (r->request_status || r->n_responses) {
        fail("not accepted",
             r->n_responses && r->responses[0]->error
             ? r->responses[0]->error->error_string : "no reason given");
    }
    tunneloffload__v2__create_ip_tunnel_responses__free_unpacked(r, NULL);
}

static void
run_stream(struct otd_channel *channel, const struct messages *m)
{
    struct otd_rpc_status status;
    struct otd_stream *stream;
    struct otd_bytes reply;
    double start = now();

    stream = otd_stream_open(channel, CREATE, 0);
    for (size_t i = 0; i < m->n; i++) {
        if (!otd_stream_write(stream, m->data + m->ends[i],
                              m->ends[i + 1] - m->ends[i])) {
            break;
        }
    }
    otd_stream_finish(stream, &reply, &status);
    printf("s=%.6f\n", now() - start);
    check(&reply, &status);
    free(reply.data);
    otd_rpc_status_destroy(&status);
}

/* ---- Creates in flight. */

static void start_call(struct call *);

static void
call_done(const struct otd_bytes *reply, const struct otd_rpc_status *status,
          void *call_)
{
    struct call *call = call_;
    struct calls *calls = call->calls;

    calls->latencies[calls->n_done++] = now() - call->started;
    check(reply, status);
    start_call(call);
}

static void
start_call(struct call *call)
{
    struct calls *calls = call->calls;
    const struct messages *m = calls->messages;

    if (calls->next < m->n) {
        size_t i = calls->next++;

        call->started = now();
        otd_channel_start(calls->channel, CREATE, m->data + m->ends[i],
                          m->ends[i + 1] - m->ends[i], 0, call_done, call);
    }
}

static int
compare_doubles(const void *a_, const void *b_)
{
    const double *a = a_;
    const double *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
run_creates(struct otd_channel *channel, const struct messages *m,
            size_t in_flight)
{
    struct calls calls = { .channel = channel, .messages = m };
    struct call *all = allocate(in_flight * sizeof *all);
    double start, elapsed;

    calls.latencies = allocate(m->n * sizeof *calls.latencies);
    start = now();
    for (size_t i = 0; i < in_flight; i++) {
        all[i].calls = &calls;
        start_call(&all[i]);
    }
    otd_channel_run(channel, -1);
    elapsed = now() - start;

    qsort(calls.latencies, calls.n_done, sizeof *calls.latencies,
          compare_doubles);
    printf("s=%.6f p50=%.1f p99=%.1f\n", elapsed,
           calls.latencies[calls.n_done / 2] * 1e6,
           calls.latencies[calls.n_done * 99 / 100] * 1e6);
    free(calls.latencies);
    free(all);
}

/* ---- Reading. */

struct pages {                  /* Kept as they are until the clock has stopped. */
    struct otd_bytes *pages;
    size_t n, allocated;
};

static bool
take_page(const void *data, size_t n, void *pages_)
{
    struct pages *pages = pages_;
    struct otd_bytes *page;

    if (pages->n >= pages->allocated) {
        pages->allocated = pages->allocated * 2 + 16;
        pages->pages = realloc(pages->pages,
                               pages->allocated * sizeof *pages->pages);
        if (!pages->pages) {
            fail("out of memory", strerror(errno));
        }
    }
    page = &pages->pages[pages->n++];
    page->data = allocate(n + 1);
    page->n = n;
    memcpy(page->data, data, n);
    return true;
}

static size_t
count_page(const struct otd_bytes *page)
{
    Tunneloffload__V2__IpTunnelStatsResponses *r
        = tunneloffload__v2__ip_tunnel_stats_responses__unpack(NULL, page->n,
                                                               page->data);
    size_t n = 0;

    if (!r) {
        fail("answer", "not an IpTunnelStatsResponses");
    }
    for (size_t i = 0; i < r->n_responses; i++) {
        if (r->responses[i]->error) {
            fail("stats", r->responses[i]->error->error_string);
        }
        n += r->responses[i]->tunnel_counters != NULL;
    }
    tunneloffload__v2__ip_tunnel_stats_responses__free_unpacked(r, NULL);
    return n;
}

static void
run_stats(struct otd_channel *channel, size_t n_expected)
{
    struct otd_rpc_status status;
    struct pages pages = { .n = 0 };
    double start = now(), elapsed;
    size_t n = 0;

    otd_channel_read(channel, STATS, NULL, 0, 0, take_page, &pages, &status);
    elapsed = now() - start;
    if (status.code) {
        fail(otd_rpc_code_to_string(status.code), status.text);
    }
    for (size_t i = 0; i < pages.n; i++) {
        n += count_page(&pages.pages[i]);
        free(pages.pages[i].data);
    }
    free(pages.pages);
    printf("s=%.6f n=%zu messages=%zu\n", elapsed, n, pages.n);
    if (n != n_expected) {
        fail("stats", "not the expected number of tunnels");
    }
    otd_rpc_status_destroy(&status);
}

static unsigned long
number(int argc, char *argv[], int i)
{
    return i < argc ? strtoul(argv[i], NULL, 10) : 0;
}

int
main(int argc, char *argv[])
{
    struct otd_channel_config config = { .target = argc > 1 ? argv[1] : "" };
    const char *verb = argc > 2 ? argv[2] : "";
    unsigned long first = number(argc, argv, 3);
    unsigned long n = number(argc, argv, 4);
    struct otd_channel *channel;
    struct messages m;
    char *error;

    pack(&m, first, n, strcmp(verb, "delete") != 0);
    error = otd_channel_open(&config, 10000, &channel);
    if (error) {
        fail("cannot connect", error);
    }
    if (!strcmp(verb, "stream") || !strcmp(verb, "delete")) {
        run_stream(channel, &m);
    } else if (!strcmp(verb, "create")) {
        run_creates(channel, &m, number(argc, argv, 5));
    } else if (!strcmp(verb, "stats")) {
        run_stats(channel, first);
    } else {
        fail(verb, "usage: bench-load TARGET stream|create|stats|delete ...");
    }
    otd_channel_close(channel);
    free(m.data);
    free(m.ends);
    return 0;
}
