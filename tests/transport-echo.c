/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "grpcsvc/server.h"
#include "grpcsvc/transport.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/list.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "simap.h"
#include "socket-util.h"
#include "util.h"

/* The real transport with a service that knows no protobuf, so that tests can
 * drive each corner of it:
 *
 *   Capabilities            answers with the request
 *   CreateIpTunnel          answers "messages=N bytes=N sum=N"; a message
 *                           "hold" in front stops giving back the window,
 *                           "stop" ends the call at once
 *   GetIpTunnel             a command, see run_command()
 *   GetIpTunnelStats        never answers
 *   GetAllIpTunnels         request "N SIZE": N messages of SIZE bytes
 *   Health/Watch            one message, then stays open
 *   reflection              echoes each message
 *
 * Ends at the end of its standard input; for each line of it the server is
 * destroyed and another one created. */

struct call {
    struct ovs_list node;       /* In 'calls'. */
    struct otd_call *call;
    enum otd_method method;
    uint64_t n_messages, n_bytes, sum;
    uint64_t held;              /* Bytes not given back. */
    bool hold;
    struct ofpbuf request;
    unsigned int n_to_send;
    size_t size_to_send;
};

static const struct otd_transport_class *class;
static struct ovs_list calls = OVS_LIST_INITIALIZER(&calls);
static struct otd_server *server;
static uint64_t n_events[OTD_EV_WRITABLE + 1];
static uint64_t n_wakeups;

static void
send_text(struct call *c, const char *text)
{
    class->send(c->call, ofpbuf_clone_data(text, strlen(text)));
}

static void
finish(struct call *c, enum otd_status status, const char *text)
{
    class->finish(c->call, status, text);
    ovs_list_remove(&c->node);
    ofpbuf_uninit(&c->request);
    free(c);
}

static void
release_holds(void)
{
    struct call *c;

    LIST_FOR_EACH (c, node, &calls) {
        c->hold = false;
        if (c->held) {
            class->consumed(c->call, c->held);
            c->held = 0;
        }
    }
}

static char *
format_stats(void)
{
    struct simap usage = SIMAP_INITIALIZER(&usage);
    struct rusage ru;
    char *s;

    getrusage(RUSAGE_SELF, &ru);
    otd_server_get_memory_usage(server, &usage);
    s = xasprintf("calls=%"PRIu64" messages=%"PRIu64" half_close=%"PRIu64" "
                  "cancelled=%"PRIu64" writable=%"PRIu64" open=%"PRIuSIZE" "
                  "wakeups=%"PRIu64" grpc_calls=%u grpc_kib=%u "
                  "user_us=%lld system_us=%lld",
                  n_events[OTD_EV_CALL], n_events[OTD_EV_MESSAGES],
                  n_events[OTD_EV_HALF_CLOSE], n_events[OTD_EV_CANCELLED],
                  n_events[OTD_EV_WRITABLE], ovs_list_size(&calls), n_wakeups,
                  simap_get(&usage, "grpc-calls"),
                  simap_get(&usage, "grpc-KiB"),
                  ru.ru_utime.tv_sec * 1000000LL + ru.ru_utime.tv_usec,
                  ru.ru_stime.tv_sec * 1000000LL + ru.ru_stime.tv_usec);
    simap_destroy(&usage);
    return s;
}

static void
run_command(struct call *c, const char *command)
{
    if (!strcmp(command, "stats")) {
        char *s = format_stats();

        send_text(c, s);
        free(s);
        finish(c, OTD_STATUS_OK, NULL);
    } else if (!strcmp(command, "release")) {
        release_holds();
        send_text(c, "released");
        finish(c, OTD_STATUS_OK, NULL);
    } else if (!strncmp(command, "block ", 6)) {
        usleep(atoi(command + 6) * 1000);       /* A busy main thread. */
        send_text(c, "blocked");
        finish(c, OTD_STATUS_OK, NULL);
    } else if (!strcmp(command, "not-found")) {
        finish(c, OTD_STATUS_NOT_FOUND, "tunnel 7: no such tunnel");
    } else {
        finish(c, OTD_STATUS_INVALID_ARGUMENT, command);
    }
}

static void
send_more(struct call *c)
{
    while (c->n_to_send && class->send_pending(c->call) < 1 << 20) {
        struct ofpbuf *b = ofpbuf_new(c->size_to_send);

        memset(ofpbuf_put_uninit(b, c->size_to_send), c->n_to_send & 0xff,
               c->size_to_send);
        class->send(c->call, b);
        c->n_to_send--;
    }
    if (!c->n_to_send) {
        finish(c, OTD_STATUS_OK, NULL);
    }
}

static void
handle_half_close(struct call *c)
{
    char *request = xmemdup0(c->request.data ? c->request.data : "",
                             c->request.size);

    switch (c->method) {
    case OTD_METHOD_CAPABILITIES:
        class->send(c->call, ofpbuf_clone(&c->request));
        finish(c, OTD_STATUS_OK, NULL);
        break;
    case OTD_METHOD_CREATE: {
        char *s = xasprintf("messages=%"PRIu64" bytes=%"PRIu64" sum=%"PRIu64,
                            c->n_messages, c->n_bytes, c->sum);

        send_text(c, s);
        free(s);
        finish(c, OTD_STATUS_OK, NULL);
        break;
    }
    case OTD_METHOD_GET:
        run_command(c, request);
        break;
    case OTD_METHOD_GET_ALL:
        c->n_to_send = atoi(request);
        c->size_to_send = strchr(request, ' ') ? atoi(strchr(request, ' '))
                                               : 1;
        send_more(c);
        break;
    case OTD_METHOD_HEALTH_WATCH:
        send_text(c, "watching");
        break;
    case OTD_METHOD_REFLECTION:
    case OTD_METHOD_REFLECTION_V1:
        finish(c, OTD_STATUS_OK, NULL);
        break;
    case OTD_METHOD_GET_STATS:
    case OTD_METHOD_GET_ALL_STATS:
    case OTD_METHOD_HEALTH_CHECK:
    case OTD_N_METHODS:
        break;
    }
    free(request);
}

static void
handle_messages(struct call *c, const struct otd_event *e)
{
    uint32_t start = 0;

    for (size_t i = 0; i < e->n; i++) {
        uint32_t size = e->ends[i] - start;
        const uint8_t *p = e->data + start;

        if (!c->n_messages && size == 4 && !memcmp(p, "hold", 4)) {
            c->hold = true;
        } else if (size == 4 && !memcmp(p, "stop", 4)) {
            finish(c, OTD_STATUS_RESOURCE_EXHAUSTED, "no more, please");
            return;
        }
        c->n_messages++;
        c->n_bytes += size;
        c->sum += size ? p[0] + p[size - 1] : 0;
        if (!otd_methods[c->method].client_streams) {
            ofpbuf_put(&c->request, p, size);
        } else if (otd_methods[c->method].server_streams) {
            class->send(c->call, ofpbuf_clone_data(p, size));
        }
        start = e->ends[i];
    }
    if (c->hold) {
        c->held += start;
    } else {
        class->consumed(c->call, start);
    }
}

static void
handle_event(const struct otd_event *e)
{
    struct call *c = e->type == OTD_EV_CALL ? NULL : class->get_data(e->call);

    n_events[e->type]++;
    switch (e->type) {
    case OTD_EV_CALL:
        c = xzalloc(sizeof *c);
        c->call = e->call;
        c->method = e->method;
        ofpbuf_init(&c->request, 0);
        ovs_list_push_back(&calls, &c->node);
        class->set_data(e->call, c);
        break;
    case OTD_EV_MESSAGES:
        handle_messages(c, e);
        break;
    case OTD_EV_HALF_CLOSE:
        handle_half_close(c);
        break;
    case OTD_EV_CANCELLED:
        finish(c, OTD_STATUS_CANCELLED, NULL);
        break;
    case OTD_EV_WRITABLE:
        if (c->method == OTD_METHOD_GET_ALL) {
            send_more(c);
        }
        break;
    }
}

static void
parse_options(int argc, char *argv[], struct otd_server_config *config)
{
    enum { CLEAR = 256, NO_CLIENT_CERT };
    static const struct option options[] = {
        { "private-key", required_argument, NULL, 'p' },
        { "certificate", required_argument, NULL, 'c' },
        { "ca-cert", required_argument, NULL, 'C' },
        { "allowed-subjects", required_argument, NULL, 's' },
        { "group", required_argument, NULL, 'g' },
        { "allow-clear-loopback", no_argument, NULL, CLEAR },
        { "allow-tls-without-client-certificate", no_argument, NULL, NO_CLIENT_CERT },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            config->private_key = optarg;
            break;
        case 'c':
            config->certificate = optarg;
            break;
        case 'C':
            config->ca_cert = optarg;
            break;
        case 's':
            config->allowed_subjects = optarg;
            break;
        case 'g':
            config->unix_group = optarg;
            break;
        case CLEAR:
            config->allow_clear_loopback = true;
            break;
        case NO_CLIENT_CERT:
            config->allow_tls_no_client_cert = true;
            break;
        default:
            exit(EXIT_FAILURE);
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: transport-echo [OPTION]... LISTEN\n");
        exit(EXIT_FAILURE);
    }
    config->listen = argv[optind];
}

enum input { INPUT_NONE, INPUT_AGAIN, INPUT_END };

static enum input
read_input(int fd)
{
    char buf[64];
    ssize_t n;

    n = read(fd, buf, sizeof buf);
    return (n > 0 ? INPUT_AGAIN
            : n < 0 && (errno == EAGAIN || errno == EINTR) ? INPUT_NONE
            : INPUT_END);
}

static bool
start(const struct otd_server_config *config)
{
    char *error = otd_server_create(config, &server);

    if (error) {
        printf("error: %s\n", error);
        free(error);
        return false;
    }
    printf("listening: %s\n", otd_server_addresses(server));
    fflush(stdout);
    class = otd_server_transport(server)->class;
    return true;
}

static void
stop(void)
{
    /* The calls that are left are the server's to end; ours is the memory. */
    otd_server_destroy(server);
    while (!ovs_list_is_empty(&calls)) {
        struct call *c = CONTAINER_OF(ovs_list_pop_front(&calls), struct call,
                                      node);

        ofpbuf_uninit(&c->request);
        free(c);
    }
}

int
main(int argc, char *argv[])
{
    struct otd_server_config config = { .listen = NULL };
    enum input input;
    int fd;

    ovs_set_program_name(argv[0], "0");
    vlog_set_levels(NULL, VLF_CONSOLE, VLL_INFO);
    vlog_set_levels(NULL, VLF_SYSLOG, VLL_OFF);
    parse_options(argc, argv, &config);

    fd = dup(STDIN_FILENO);     /* poll_fd_wait() does not take 0. */
    xset_nonblocking(fd);

    if (!start(&config)) {
        return EXIT_FAILURE;
    }
    while ((input = read_input(fd)) != INPUT_END) {
        struct otd_transport *transport;
        const struct otd_event *e;

        if (input == INPUT_AGAIN) {
            stop();
            if (!start(&config)) {
                return EXIT_FAILURE;
            }
        }
        transport = otd_server_transport(server);
        while ((e = class->next_event(transport)) != NULL) {
            handle_event(e);
        }
        class->wait(transport);
        poll_fd_wait(fd, POLLIN);
        poll_block();
        n_wakeups++;
    }
    stop();
    printf("ended\n");
    return EXIT_SUCCESS;
}
