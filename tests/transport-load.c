/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/channel.h"

/* Load on transport-echo, to see what the transport alone can carry:
 *
 *   transport-load TARGET stream N SIZE       one stream of N messages
 *   transport-load TARGET calls N IN_FLIGHT SIZE   N streams of one message
 */

#define CREATE "/tunneloffload.v2.IpTunnelService/CreateIpTunnel"

struct load {
    struct otd_channel *channel;
    unsigned long n_left, n_failed;
    size_t size;
    char *message;
};

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void start_one(struct load *);

static void
done(const struct otd_bytes *reply, const struct otd_rpc_status *status,
     void *load_)
{
    struct load *load = load_;

    if (status->code) {
        if (!load->n_failed++) {
            fprintf(stderr, "%s: %s\n", otd_rpc_code_to_string(status->code),
                    status->text);
        }
    }
    start_one(load);
}

static void
start_one(struct load *load)
{
    if (load->n_left) {
        load->n_left--;
        otd_channel_start(load->channel, CREATE, load->message, load->size, 0,
                          done, load);
    }
}

static int
run_calls(struct otd_channel *channel, unsigned long n,
          unsigned long in_flight, size_t size)
{
    struct load load = { channel, n, 0, size, calloc(1, size + 1) };
    double start = now();
    double elapsed;

    while (in_flight--) {
        start_one(&load);
    }
    otd_channel_run(channel, -1);
    elapsed = now() - start;
    printf("%lu calls in %.3f s: %.0f calls/s, %lu failed\n", n, elapsed,
           n / elapsed, load.n_failed);
    free(load.message);
    return load.n_failed != 0;
}

static int
run_stream(struct otd_channel *channel, unsigned long n, size_t size)
{
    struct otd_stream *stream = otd_stream_open(channel, CREATE, 0);
    char *message = calloc(1, size + 1);
    struct otd_rpc_status status;
    double start = now(), elapsed;
    struct otd_bytes reply;
    unsigned long i;
    int retval;

    for (i = 0; i < n && otd_stream_write(stream, message, size); i++) {
        continue;
    }
    otd_stream_finish(stream, &reply, &status);
    elapsed = now() - start;
    retval = status.code != 0;
    printf("%lu messages of %zu bytes in %.3f s: %.0f messages/s; %s %s %.*s\n",
           i, size, elapsed, i / elapsed, otd_rpc_code_to_string(status.code),
           status.text, (int) reply.n, (char *) reply.data);
    free(message);
    free(reply.data);
    otd_rpc_status_destroy(&status);
    return retval;
}

int
main(int argc, char *argv[])
{
    struct otd_channel_config config = { .target = argc > 1 ? argv[1] : "" };
    struct otd_channel *channel;
    int retval = 2;
    char *error;

    error = otd_channel_open(&config, 5000, &channel);
    if (error) {
        fprintf(stderr, "%s\n", error);
        free(error);
        return 1;
    }
    if (argc == 5 && !strcmp(argv[2], "stream")) {
        retval = run_stream(channel, atol(argv[3]), atol(argv[4]));
    } else if (argc == 6 && !strcmp(argv[2], "calls")) {
        retval = run_calls(channel, atol(argv[3]), atol(argv[4]),
                           atol(argv[5]));
    } else {
        fprintf(stderr, "usage: transport-load TARGET stream N SIZE\n"
                "       transport-load TARGET calls N IN_FLIGHT SIZE\n");
    }
    otd_channel_close(channel);
    return retval;
}
