/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/server.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "grpcsvc/listen.h"
#include "grpcsvc/server-cq.h"
#include "lib/mailbox.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/vlog.h"
#include "simap.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(grpc_server);

/* The main thread's half: configuration, the log, and the mail of the gRPC
 * thread spelt out as events. */

struct otd_server {
    struct otd_transport up;
    struct otd_cq *cq;
    struct otd_mailbox *mailbox;
    char *addresses;

    /* The mail that next_event() is working off, one flag at a time. */
    struct otd_cq_mail *mail;
    unsigned int flags_left;
    bool messages_left;
    struct otd_event event;
};

static const struct otd_transport_class server_class;

/* ---- The transport. */

static struct otd_server *
server_cast(struct otd_transport *transport)
{
    ovs_assert(transport->class == &server_class);
    return CONTAINER_OF(transport, struct otd_server, up);
}

static void
server_release_mail(struct otd_server *server)
{
    if (server->mail) {
        otd_cq_mail_done(server->cq, server->mail);
        server->mail = NULL;
    }
}

static void
server_log(const struct otd_cq_mail *mail)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

    if (mail->is_warning) {
        VLOG_WARN_RL(&rl, "%s", mail->log);
    } else {
        VLOG_INFO_RL(&rl, "%s", mail->log);
    }
}

/* Makes the next mail the current one.  Returns false if there is none. */
static bool
server_next_mail(struct otd_server *server)
{
    struct otd_mail *mail;

    server_release_mail(server);
    mail = otd_mailbox_take(server->mailbox);
    if (!mail) {
        return false;
    }
    server->mail = CONTAINER_OF(mail, struct otd_cq_mail, mail);
    server->flags_left = server->mail->flags;
    server->messages_left = server->mail->n > 0;
    if (!server->mail->call) {
        server_log(server->mail);
    }
    return true;
}

/* Takes the first thing that is left of the current mail. */
static bool
server_next_part(struct otd_server *server)
{
    static const struct {
        unsigned int flag;      /* 0 for the messages. */
        enum otd_event_type type;
    } parts[] = {
        { OTD_CQ_NEW, OTD_EV_CALL },
        { 0, OTD_EV_MESSAGES },
        { OTD_CQ_HALF_CLOSE, OTD_EV_HALF_CLOSE },
        { OTD_CQ_CANCELLED, OTD_EV_CANCELLED },
        { OTD_CQ_WRITABLE, OTD_EV_WRITABLE },
    };

    if (!server->mail || !server->mail->call
        || server->mail->call->finished) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        bool here = (parts[i].flag ? server->flags_left & parts[i].flag
                     : server->messages_left);

        if (here) {
            server->event.type = parts[i].type;
            if (parts[i].flag) {
                server->flags_left &= ~parts[i].flag;
            } else {
                server->messages_left = false;
            }
            return true;
        }
    }
    return false;
}

static const struct otd_event *
server_next_event(struct otd_transport *transport)
{
    struct otd_server *server = server_cast(transport);
    struct otd_event *event = &server->event;

    while (!server_next_part(server)) {
        if (!server_next_mail(server)) {
            return NULL;
        }
    }
    event->call = server->mail->call;
    event->method = server->mail->call->method;
    event->data = server->mail->data;
    event->ends = server->mail->ends;
    event->n = event->type == OTD_EV_MESSAGES ? server->mail->n : 0;
    return event;
}

static void
server_wait(struct otd_transport *transport)
{
    struct otd_server *server = server_cast(transport);

    /* Everything that this turn of the main loop sent, with one wake-up. */
    otd_cq_flush(server->cq);
    otd_mailbox_wait(server->mailbox);
}

static void
server_set_data(struct otd_call *call, void *data)
{
    call->data = data;
}

static void *
server_get_data(const struct otd_call *call)
{
    return call->data;
}

static void
server_send(struct otd_call *call, struct ofpbuf *message)
{
    otd_cq_send(call, message->data, message->size, message);
}

/* Runs on the gRPC thread: ofpbuf_delete() is two times free(). */
static void
free_message(void *message)
{
    ofpbuf_delete(message);
}

static const struct otd_transport_class server_class = {
    .next_event = server_next_event,
    .wait = server_wait,
    .set_data = server_set_data,
    .get_data = server_get_data,
    .consumed = otd_cq_consumed,
    .send = server_send,
    .send_pending = otd_cq_send_pending,
    .finish = otd_cq_finish,
};

/* ---- Life. */

/* Each client is a file, and gRPC 1.51 stops accepting for good on an address
 * whose accept() finds no file left: so there must always be one left. */
static void
raise_file_limit(void)
{
    const rlim_t enough = 65536, few = 4096;
    struct rlimit limit, more = { enough, enough };

    if (getrlimit(RLIMIT_NOFILE, &limit)
        || (limit.rlim_max < enough && !setrlimit(RLIMIT_NOFILE, &more))) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit)) {
        VLOG_WARN("cannot raise the limit of open files: %s",
                  ovs_strerror(errno));
    }
    if (limit.rlim_max < few) {
        VLOG_WARN("at most %llu files may be open, clients and all; when they "
                  "are used up no client can connect until a restart: raise "
                  "the limit (LimitNOFILE) to %llu",
                  (unsigned long long int) limit.rlim_max,
                  (unsigned long long int) enough);
    }
}

static char *
prepare_sockets(const struct otd_listen *listens, size_t n,
                const char *group)
{
    char *error = NULL;

    for (size_t i = 0; i < n && !error; i++) {
        if (listens[i].path) {
            char *warning;

            error = otd_listen_unix_prepare(listens[i].path, group, &warning);
            if (warning) {
                VLOG_WARN("%s", warning);
                free(warning);
            }
        }
    }
    return error;
}

static char *
finish_sockets(const struct otd_listen *listens, size_t n, const char *group)
{
    char *error = NULL;

    for (size_t i = 0; i < n && !error; i++) {
        if (listens[i].path) {
            error = otd_listen_unix_finish(listens[i].path, group);
        }
    }
    return error;
}

static char *
format_addresses(const struct otd_listen *listens,
                 const struct otd_cq_address *addresses, size_t n)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < n; i++) {
        const struct otd_listen *listen = &listens[i];

        if (i) {
            ds_put_char(&s, ' ');
        }
        if (listen->path) {
            ds_put_cstr(&s, listen->text);
        } else {
            bool v6 = strchr(listen->host, ':') != NULL;

            ds_put_format(&s, "%s:%s%s%s:%d",
                          listen->type == OTD_LISTEN_TLS ? "tls" : "insecure",
                          v6 ? "[" : "", listen->host, v6 ? "]" : "",
                          addresses[i].port);
        }
    }
    return ds_steal_cstr(&s);
}

/* Starts the gRPC thread on 'listens', whose directories are prepared. */
static char *
server_start(struct otd_server *server, const struct otd_server_config *config,
             const struct otd_listen *listens, size_t n)
{
    struct otd_cq_address *addresses = xcalloc(n, sizeof *addresses);
    struct otd_cq_config cq_config = {
        .mailbox = server->mailbox,
        .addresses = addresses,
        .n_addresses = n,
        .private_key = config->private_key,
        .certificate = config->certificate,
        .ca_cert = config->ca_cert,
        .allowed_subjects = config->allowed_subjects,
        .free_message = free_message,
    };
    ssize_t failed;
    char *error;

    for (size_t i = 0; i < n; i++) {
        addresses[i].target = listens[i].target;
        addresses[i].tls = listens[i].type == OTD_LISTEN_TLS;
    }
    error = otd_cq_start(&cq_config, &server->cq, &failed);
    if (error && failed >= 0) {
        free(error);
        error = otd_listen_diagnose(&listens[failed]);
    } else if (!error) {
        server->addresses = format_addresses(listens, addresses, n);
    }
    free(addresses);
    return error;
}

char *
otd_server_create(const struct otd_server_config *config,
                  struct otd_server **serverp)
{
    struct otd_listen *listens;
    struct otd_server *server;
    size_t n;
    char *error;

    *serverp = NULL;
    error = otd_listen_parse(config, &listens, &n);
    if (error) {
        return error;
    }
    raise_file_limit();

    server = xzalloc(sizeof *server);
    server->up.class = &server_class;
    server->mailbox = otd_mailbox_create();
    error = prepare_sockets(listens, n, config->unix_group);
    if (!error) {
        error = server_start(server, config, listens, n);
    }
    if (!error) {
        error = finish_sockets(listens, n, config->unix_group);
    }
    otd_listen_free(listens, n);

    if (error) {
        otd_server_destroy(server);
        return error;
    }
    VLOG_INFO("listening on %s", server->addresses);
    *serverp = server;
    return NULL;
}

void
otd_server_destroy(struct otd_server *server)
{
    if (!server) {
        return;
    }
    if (server->cq) {
        otd_cq_stop(server->cq);
    }
    while (server_next_mail(server)) {
        continue;
    }
    if (server->cq) {
        otd_cq_destroy(server->cq);
    }
    otd_mailbox_destroy(server->mailbox);
    free(server->addresses);
    free(server);
}

struct otd_transport *
otd_server_transport(struct otd_server *server)
{
    return &server->up;
}

const char *
otd_server_addresses(const struct otd_server *server)
{
    return server->addresses;
}

void
otd_server_get_memory_usage(const struct otd_server *server,
                            struct simap *usage)
{
    struct otd_cq_stats stats;

    otd_cq_get_stats(server->cq, &stats);
    simap_increase(usage, "grpc-calls", stats.n_calls);
    simap_increase(usage, "grpc-KiB", stats.charge >> 10);
}
