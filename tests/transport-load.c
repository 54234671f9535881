/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/channel.h"

/* Load on transport-echo, to see what the transport alone can carry, and the
 * client library at work.  The arguments stand in usage(). */

#define TUNNELS "/tunneloffload.v2.IpTunnelService/"
#define CREATE TUNNELS "CreateIpTunnel"

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
    printf("%lu messages of %zu bytes in %.3f s: %.0f messages/s; "
           "%s %s %.*s\n", i, size, elapsed, i / elapsed,
           otd_rpc_code_to_string(status.code), status.text, (int) reply.n,
           (char *) reply.data);
    free(message);
    free(reply.data);
    otd_rpc_status_destroy(&status);
    return retval;
}

struct reading {
    unsigned long n, n_bytes, stop_after;
};

static bool
on_message(const void *data, size_t n, void *reading_)
{
    struct reading *reading = reading_;

    reading->n++;
    reading->n_bytes += n;
    return reading->n != reading->stop_after;
}

static int
run_read(struct otd_channel *channel, const char *request,
         unsigned long stop_after)
{
    struct reading reading = { 0, 0, stop_after };
    struct otd_rpc_status status;
    double start = now(), elapsed;
    int retval;

    otd_channel_read(channel, TUNNELS "GetAllIpTunnels", request,
                     strlen(request), 0, on_message, &reading, &status);
    elapsed = now() - start;
    retval = status.code != 0;
    printf("%lu messages, %lu bytes; %s %s\n", reading.n, reading.n_bytes,
           otd_rpc_code_to_string(status.code), status.text);
    fprintf(stderr, "%.0f MB/s\n", reading.n_bytes / elapsed / 1e6);
    otd_rpc_status_destroy(&status);
    return retval;
}

static int
run_unary(struct otd_channel *channel, const char *method,
          const char *request, int timeout_ms)
{
    struct otd_rpc_status status;
    struct otd_bytes reply;
    int retval;

    otd_channel_unary(channel, method, request, strlen(request), timeout_ms,
                      &reply, &status);
    retval = status.code != 0;
    printf("%.*s; %s %s\n", (int) reply.n, (char *) reply.data,
           otd_rpc_code_to_string(status.code), status.text);
    free(reply.data);
    otd_rpc_status_destroy(&status);
    return retval;
}

static int
usage(void)
{
    fprintf(stderr,
            "usage: transport-load [OPTION]... TARGET stream N SIZE\n"
            "       transport-load [OPTION]... TARGET calls N IN_FLIGHT SIZE\n"
            "       transport-load [OPTION]... TARGET read REQUEST STOP_AT\n"
            "       transport-load [OPTION]... TARGET unary METHOD REQUEST "
            "MS\n"
            "options: --ca-cert, --certificate, --private-key, "
            "--server-name\n");
    return 2;
}

static int
run(struct otd_channel *channel, int argc, char *argv[])
{
    const char *what = argc > 1 ? argv[1] : "";

    if (argc == 4 && !strcmp(what, "stream")) {
        return run_stream(channel, atol(argv[2]), atol(argv[3]));
    } else if (argc == 5 && !strcmp(what, "calls")) {
        return run_calls(channel, atol(argv[2]), atol(argv[3]),
                         atol(argv[4]));
    } else if (argc == 4 && !strcmp(what, "read")) {
        return run_read(channel, argv[2], atol(argv[3]));
    } else if (argc == 5 && !strcmp(what, "unary")) {
        return run_unary(channel, argv[2], argv[3], atoi(argv[4]));
    }
    return usage();
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "ca-cert", required_argument, NULL, 'C' },
        { "certificate", required_argument, NULL, 'c' },
        { "private-key", required_argument, NULL, 'p' },
        { "server-name", required_argument, NULL, 'n' },
        { NULL, 0, NULL, 0 },
    };
    struct otd_channel_config config = { .target = "" };
    struct otd_channel *channel;
    int retval, c;
    char *error;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'C') {
            config.ca_cert = optarg;
        } else if (c == 'c') {
            config.certificate = optarg;
        } else if (c == 'p') {
            config.private_key = optarg;
        } else if (c == 'n') {
            config.server_name = optarg;
        } else {
            return usage();
        }
    }
    config.target = optind < argc ? argv[optind] : "";
    error = otd_channel_open(&config, 5000, &channel);
    if (error) {
        printf("%s\n", error);
        free(error);
        return 1;
    }
    retval = run(channel, argc - optind, argv + optind);
    otd_channel_close(channel);
    return retval;
}
