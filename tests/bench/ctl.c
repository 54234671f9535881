/* SPDX-License-Identifier: Apache-2.0 */

/* What the benchmarks ask of the daemons' control sockets, over one connection:
 *
 *   bench-ctl wait CTL              until ovs-tunneld serves
 *   bench-ctl trace CTL PORT N COUNT SEED
 *                                   trace packets from PORT to COUNT random ones
 *                                   of the tunnels 1 to N (tunnels.h)
 *   bench-ctl flood CTL IN_PORT N RATE FILE
 *                                   RATE packets a second to tunnels 1 to N in
 *                                   turn, on dummy port IN_PORT, until FILE is
 *                                   there
 *
 * Prints one line of NAME=VALUE.  A trace whose datapath actions are not, to the
 * last character, what the tunnel asks for is a failure. */

#include <config.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "openvswitch/vlog.h"
#include "jsonrpc.h"
#include "packets.h"
#include "random.h"
#include "tests/bench/tunnels.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

static struct jsonrpc *
connect_to(const char *path)
{
    struct jsonrpc *client;
    int error = unixctl_client_create(path, &client);

    if (error) {
        ovs_fatal(error, "%s", path);
    }
    return client;
}

/* The reply of 'command'; returns owned. */
static char *
ask(struct jsonrpc *client, const char *command, int argc, char *argv[])
{
    char *result, *error;
    int retval = unixctl_client_transact(client, command, argc, argv, &result,
                                         &error);

    if (retval || error) {
        ovs_fatal(retval, "%s: %s", command, error ? error : "no reply");
    }
    return result;
}

static void
run_wait(const char *path)
{
    for (;;) {
        struct jsonrpc *client;
        bool serving = false;

        if (!unixctl_client_create(path, &client)) {
            char *result, *error;

            if (!unixctl_client_transact(client, "tunneld/status", 0, NULL,
                                         &result, &error)) {
                serving = result && !strncmp(result, "serving: yes\n", 13);
                free(result);
                free(error);
            }
            jsonrpc_close(client);
        }
        if (serving) {
            return;
        }
        poll(NULL, 0, 1);
    }
}

/* ---- Traces. */

static char *
expected_actions(uint32_t id)
{
    return xasprintf("set(tunnel(tun_id=0x%"PRIx32",src="IP_FMT",dst="IP_FMT","
                     "ttl=64,tp_dst=6081,flags(df|csum|key))),genev_sys_6081",
                     id, IP_ARGS(htonl(BENCH_OUTER_SRC)),
                     IP_ARGS(htonl(bench_outer_dst(id))));
}

static bool
trace_one(struct jsonrpc *client, const char *port, uint32_t id)
{
    static const char heading[] = "\nDatapath actions: ";
    char *flow = xasprintf("in_port=%s,ip,nw_dst="IP_FMT, port,
                           IP_ARGS(htonl(bench_match_dst(id))));
    char *argv[] = { "--names", "br-int", flow };
    char *result = ask(client, "ofproto/trace", ARRAY_SIZE(argv), argv);
    char *actions = strstr(result, heading);
    char *expected = expected_actions(id);
    bool ok;

    actions = actions ? actions + strlen(heading) : result;
    actions[strcspn(actions, "\n")] = '\0';
    ok = !strcmp(actions, expected);
    if (!ok) {
        fprintf(stderr, "tunnel %"PRIu32": trace has %s\nexpected %s\n", id,
                actions, expected);
    }
    free(expected);
    free(result);
    free(flow);
    return ok;
}

static void
run_trace(const char *path, const char *port, uint32_t n, uint32_t count,
          uint32_t seed)
{
    struct jsonrpc *client = connect_to(path);
    uint32_t n_ok = 0;

    random_set_seed(seed);
    for (uint32_t i = 0; i < count; i++) {
        n_ok += trace_one(client, port, 1 + random_range(n));
    }
    jsonrpc_close(client);
    printf("n=%"PRIu32" ok=%"PRIu32"\n", count, n_ok);
    if (n_ok < count) {
        exit(1);
    }
}

/* ---- A paced flood. */

static void
run_flood(const char *path, const char *in_port, uint32_t n, uint32_t rate,
          const char *file)
{
    struct jsonrpc *client = connect_to(path);
    long long int start = time_msec();
    uint64_t sent = 0;

    while (access(file, F_OK)) {
        if (sent * 1000 <= rate * (time_msec() - start)) {
            char *packet = xasprintf(
                "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),"
                "eth_type(0x0800),ipv4(src=10.255.0.1,dst="IP_FMT",proto=17,"
                "tos=0,ttl=64,frag=no),udp(src=1,dst=2)",
                IP_ARGS(htonl(bench_match_dst(1 + sent % n))));
            char *argv[] = { CONST_CAST(char *, in_port), packet };

            free(ask(client, "netdev-dummy/receive", ARRAY_SIZE(argv), argv));
            free(packet);
            sent++;
        } else {
            poll(NULL, 0, 1);
        }
    }
    jsonrpc_close(client);
    printf("sent=%"PRIu64"\n", sent);
}

int
main(int argc, char *argv[])
{
    const char *verb = argc > 2 ? argv[1] : "";

    set_program_name(argv[0]);
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    if (!strcmp(verb, "wait")) {
        run_wait(argv[2]);
    } else if (!strcmp(verb, "trace") && argc == 7) {
        run_trace(argv[2], argv[3], strtoul(argv[4], NULL, 10),
                  strtoul(argv[5], NULL, 10), strtoul(argv[6], NULL, 10));
    } else if (!strcmp(verb, "flood") && argc == 7) {
        run_flood(argv[2], argv[3], strtoul(argv[4], NULL, 10),
                  strtoul(argv[5], NULL, 10), argv[6]);
    } else {
        ovs_fatal(0, "usage: see the top of tests/bench/ctl.c");
    }
    return 0;
}
