/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/server-private.h"

#include <grpc/grpc_security.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The gRPC thread: one completion queue, one thread for all traffic.  A queue
 * of this kind makes progress only while its thread is inside
 * grpc_completion_queue_next(), so nothing here may block elsewhere. */

/* Requests posted per method.  New calls beyond these queue inside gRPC until
 * one is taken, which is at once. */
#define N_SLOTS_STREAM 16
#define N_SLOTS_UNARY 4
#define N_SLOTS_UNKNOWN 4

/* Completions handled before gathered mail is posted in any case. */
#define MAX_UNFLUSHED 512

/* Microseconds that messages in the middle of a stream wait for more. */
#define LINGER_US 1000

/* Seconds that finished calls get to leave the house. */
#define STOP_GRACE 1

void *
otd_cq_alloc(size_t size)
{
    void *p = calloc(1, size);

    if (!p) {
        abort();
    }
    return p;
}

void
otd_cq_start_batch(struct otd_cq_call *call, struct otd_tag *tag,
                   const grpc_op *ops, size_t n)
{
    grpc_call_error error = grpc_call_start_batch(call->call, ops, n, tag,
                                                  NULL);

    if (error != GRPC_CALL_OK) {
        /* Only a batch that contradicts an earlier one fails: our mistake. */
        fprintf(stderr, "grpc_call_start_batch: %s\n",
                grpc_call_error_to_string(error));
        abort();
    }
    call->n_tags++;
}

/* The main thread writes the log.  While a line waits there, others are
 * dropped: a client that is refused a thousand times a second fills neither
 * the memory nor the disk. */
void
otd_cq_log(struct otd_cq *cq, bool is_warning, const char *format, ...)
{
    struct otd_cq_mail *mail;
    va_list args;

    if (atomic_exchange(&cq->log_posted, true)) {
        return;
    }
    mail = otd_cq_alloc(sizeof *mail);
    mail->is_warning = is_warning;
    va_start(args, format);
    if (vasprintf(&mail->log, format, args) < 0) {
        abort();
    }
    va_end(args);
    otd_mailbox_post(cq->mailbox, &mail->mail);
}

/* ---- New calls. */

static void
slot_post(struct otd_cq_slot *slot)
{
    struct otd_cq *cq = slot->cq;
    grpc_call_error error;

    slot->call = NULL;
    slot->payload = NULL;
    grpc_metadata_array_init(&slot->metadata);
    if (slot->method < 0) {
        grpc_call_details_init(&slot->details);
        error = grpc_server_request_call(cq->server, &slot->call,
                                         &slot->details, &slot->metadata,
                                         cq->queue, cq->queue, &slot->tag);
    } else {
        const struct otd_method_info *info = &otd_methods[slot->method];

        error = grpc_server_request_registered_call(
            cq->server, cq->methods[slot->method], &slot->call,
            &slot->deadline, &slot->metadata,
            info->client_streams ? NULL : &slot->payload,
            cq->queue, cq->queue, &slot->tag);
    }
    if (error != GRPC_CALL_OK) {
        abort();
    }
}

static void
on_new_call(struct otd_tag *tag, bool ok)
{
    struct otd_cq_slot *slot = OTD_CONTAINER(tag, struct otd_cq_slot, tag);
    struct otd_cq *cq = slot->cq;
    grpc_byte_buffer *payload = slot->payload;
    grpc_call *call = slot->call;

    grpc_metadata_array_destroy(&slot->metadata);
    if (slot->method < 0) {
        grpc_call_details_destroy(&slot->details);
    }
    if (!ok) {
        return;                 /* The server is shutting down. */
    }
    slot_post(slot);
    otd_cq_call_new(cq, slot->method, call, payload);
}

/* ---- The thread. */

static void
begin_stop(struct otd_cq *cq)
{
    struct otd_cq_list *elem, *next;

    cq->stopping = true;
    cq->stop_deadline
        = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                       gpr_time_from_seconds(STOP_GRACE, GPR_TIMESPAN));
    grpc_server_shutdown_and_notify(cq->server, cq->queue, &cq->server_tag);
    for (elem = cq->calls.next; elem != &cq->calls; elem = next) {
        next = elem->next;
        otd_cq_call_abort(OTD_CONTAINER(elem, struct otd_cq_call, all),
                          GRPC_STATUS_UNAVAILABLE,
                          "ovs-tunneld is shutting down");
    }
}

static void
run_commands(struct otd_cq *cq)
{
    struct otd_mail *mail, *next;

    for (mail = otd_mailq_take_all(&cq->commands); mail; mail = next) {
        struct otd_command *cmd = OTD_CONTAINER(mail, struct otd_command,
                                                mail);

        next = mail->next;      /* Before the command frees it. */
        if (cmd->type == OTD_CMD_STOP) {
            begin_stop(cq);
        } else if (cmd->type == OTD_CMD_FEED) {
            otd_cq_feed_starved(cq);
        } else {
            bool more = next && (OTD_CONTAINER(next, struct otd_command, mail)
                                 ->call == cmd->call);

            otd_cq_call_run_command(cmd, more);
        }
    }
}

static void
on_bell(struct otd_tag *tag, bool ok)
{
    /* run_commands() comes anyway. */
}

static void
on_server_down(struct otd_tag *tag, bool ok)
{
    struct otd_cq *cq = OTD_CONTAINER(tag, struct otd_cq, server_tag);

    cq->server_down = true;
    cq->stop_deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    grpc_completion_queue_shutdown(cq->queue);
}

/* Posts mail when no completion is at hand. */
static void
flush_mail(struct otd_cq *cq)
{
    gpr_timespec now;

    if (!otd_cq_flush_mail(cq, false)) {
        cq->lingering = false;
        return;
    }
    now = gpr_now(GPR_CLOCK_MONOTONIC);
    if (!cq->lingering) {
        cq->lingering = true;
        cq->linger = gpr_time_add(now, gpr_time_from_micros(LINGER_US,
                                                            GPR_TIMESPAN));
    } else if (gpr_time_cmp(now, cq->linger) >= 0) {
        otd_cq_flush_mail(cq, true);
        cq->lingering = false;
    }
}

static gpr_timespec
next_deadline(const struct otd_cq *cq)
{
    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);

    if (cq->stopping) {
        deadline = cq->stop_deadline;
    } else if (otd_cq_any_young(cq)) {
        deadline = cq->tick;
    }
    return cq->lingering ? gpr_time_min(deadline, cq->linger) : deadline;
}

/* Waits for the next completion, or until something else is due. */
static grpc_event
next_event(struct otd_cq *cq)
{
    grpc_event event;

    event = grpc_completion_queue_next(cq->queue,
                                       gpr_time_0(GPR_CLOCK_MONOTONIC), NULL);
    if (event.type != GRPC_QUEUE_TIMEOUT) {
        return event;
    }

    flush_mail(cq);
    otd_cq_age_calls(cq);
    atomic_store(&cq->sleeping, true);
    if (otd_mailq_is_empty(&cq->commands)) {
        event = grpc_completion_queue_next(cq->queue, next_deadline(cq),
                                           NULL);
        if (event.type == GRPC_QUEUE_TIMEOUT && cq->stopping
            && gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC),
                            cq->stop_deadline) >= 0) {
            grpc_server_cancel_all_calls(cq->server);
            cq->stop_deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
        }
    }
    atomic_store(&cq->sleeping, false);
    return event;
}

static void *
cq_main(void *cq_)
{
    struct otd_cq *cq = cq_;
    unsigned int n_unflushed = 0;
    size_t i;

    for (i = 0; i < cq->n_slots; i++) {
        slot_post(&cq->slots[i]);
    }

    for (;;) {
        grpc_event event;

        run_commands(cq);
        event = next_event(cq);
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            break;
        } else if (event.type == GRPC_OP_COMPLETE) {
            struct otd_tag *tag = event.tag;

            tag->done(tag, event.success != 0);
            if (++n_unflushed >= MAX_UNFLUSHED) {
                otd_cq_flush_mail(cq, true);
                cq->lingering = false;
                otd_cq_age_calls(cq);
                n_unflushed = 0;
            }
        } else {
            n_unflushed = 0;
        }
    }
    otd_cq_flush_mail(cq, true);
    return NULL;
}

void
otd_cq_flush(struct otd_cq *cq)
{
    /* The commands were pushed before this; the thread announces its sleep and
     * looks at the list after that.  At least one sees the other. */
    if (!otd_mailq_is_empty(&cq->commands)
        && atomic_load(&cq->sleeping)
        && atomic_exchange(&cq->sleeping, false)) {
        grpc_call_start_batch(cq->bell_call, NULL, 0, &cq->bell, NULL);
    }
}

void
otd_cq_get_stats(const struct otd_cq *cq, struct otd_cq_stats *stats)
{
    stats->n_calls = atomic_load(&cq->n_calls);
    stats->charge = atomic_load(&cq->charge);
}

/* ---- Start and stop, on the main thread. */

static grpc_arg
int_arg(const char *key, int value)
{
    grpc_arg arg = { .type = GRPC_ARG_INTEGER, .key = (char *) key };

    arg.value.integer = value;
    return arg;
}

static grpc_server *
create_server(void)
{
    grpc_resource_quota *quota = grpc_resource_quota_create("ovs-tunneld");
    grpc_arg args[] = {
        /* A second daemon must not silently share a TCP port. */
        int_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, OTD_CQ_MESSAGE_MAX),
        int_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1024),
        /* We decompress ourselves, see server-mail.c. */
        int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0),
        /* A stream's HTTP/2 window stays what it is: the estimator would
         * let a client that nobody reads send megabytes ahead. */
        int_arg(GRPC_ARG_HTTP2_BDP_PROBE, 0),
        int_arg(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, OTD_CQ_CALL_WINDOW),
        /* Finds clients that are dead or never were alive; and those that
         * look for a dead server more often than gRPC thinks proper are not
         * thrown out. */
        int_arg(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 20 * 1000),
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 60 * 1000),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20 * 1000),
        int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
        int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        int_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000),
        int_arg(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 20),
        { .type = GRPC_ARG_POINTER, .key = (char *) GRPC_ARG_RESOURCE_QUOTA },
    };
    grpc_channel_args channel_args = { sizeof args / sizeof args[0], args };
    grpc_server *server;

    grpc_resource_quota_resize(quota, 4 * OTD_CQ_TOTAL_WINDOW);
    args[channel_args.num_args - 1].value.pointer.p = quota;
    args[channel_args.num_args - 1].value.pointer.vtable
        = grpc_resource_quota_arg_vtable();
    server = grpc_server_create(&channel_args, NULL);
    grpc_resource_quota_unref(quota);
    return server;
}

static void
create_slots(struct otd_cq *cq)
{
    int method;

    for (method = -1; method < (int) OTD_N_METHODS; method++) {
        size_t n = method < 0 ? N_SLOTS_UNKNOWN
                   : otd_methods[method].client_streams ? N_SLOTS_STREAM
                   : N_SLOTS_UNARY;
        size_t i;

        cq->slots = realloc(cq->slots,
                            (cq->n_slots + n) * sizeof *cq->slots);
        if (!cq->slots) {
            abort();
        }
        for (i = 0; i < n; i++) {
            struct otd_cq_slot *slot = &cq->slots[cq->n_slots++];

            memset(slot, 0, sizeof *slot);
            slot->tag.done = on_new_call;
            slot->cq = cq;
            slot->method = method;
        }
    }
}

static char *
bind_addresses(struct otd_cq *cq, const struct otd_cq_config *config,
               ssize_t *failed)
{
    size_t i;

    for (i = 0; i < config->n_addresses; i++) {
        struct otd_cq_address *address = &config->addresses[i];
        grpc_server_credentials *creds
            = (address->tls ? otd_tls_credentials(cq->tls)
               : grpc_insecure_server_credentials_create());

        address->port = grpc_server_add_http2_port(cq->server,
                                                   address->target, creds);
        grpc_server_credentials_release(creds);
        if (!address->port) {
            *failed = i;
            return strdup("cannot listen on the address");
        }
    }
    return NULL;
}

/* The server and everything it stands on; no thread yet. */
static char *
open_server(struct otd_cq *cq, const struct otd_cq_config *config,
            ssize_t *failed)
{
    grpc_slice method = grpc_slice_from_static_string("/bell");
    bool any_tls = false;
    char *error;
    size_t i;

    for (i = 0; i < config->n_addresses; i++) {
        any_tls = any_tls || config->addresses[i].tls;
    }
    if (any_tls) {
        error = otd_tls_create(config, cq, &cq->tls);
        if (error) {
            return error;
        }
    }

    cq->queue = grpc_completion_queue_create_for_next(NULL);
    cq->server = create_server();
    grpc_server_register_completion_queue(cq->server, cq->queue, NULL);
    for (i = 0; i < OTD_N_METHODS; i++) {
        cq->methods[i] = grpc_server_register_method(
            cq->server, otd_methods[i].path, NULL,
            otd_methods[i].client_streams ? GRPC_SRM_PAYLOAD_NONE
            : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
    }
    create_slots(cq);

    error = bind_addresses(cq, config, failed);
    if (error) {
        return error;
    }

    cq->bell_channel = grpc_lame_client_channel_create(
        "bell", GRPC_STATUS_UNAVAILABLE, "");
    cq->bell_call = grpc_channel_create_call(
        cq->bell_channel, NULL, 0, cq->queue, method, NULL,
        gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_server_start(cq->server);
    return NULL;
}

/* For a server whose thread never started. */
static void
abandon_server(struct otd_cq *cq)
{
    grpc_event event;

    if (!cq->server) {
        return;
    }
    grpc_server_shutdown_and_notify(cq->server, cq->queue, &cq->server_tag);
    do {
        event = grpc_completion_queue_next(
            cq->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_OP_COMPLETE) {
            struct otd_tag *tag = event.tag;

            tag->done(tag, event.success != 0);
        }
    } while (event.type != GRPC_QUEUE_SHUTDOWN);
}

char *
otd_cq_start(const struct otd_cq_config *config, struct otd_cq **cqp,
             ssize_t *failed)
{
    struct otd_cq *cq = otd_cq_alloc(sizeof *cq);
    sigset_t all, old;
    char *error;

    *cqp = NULL;
    *failed = -1;
    cq->mailbox = config->mailbox;
    cq->free_message = config->free_message;
    otd_cq_list_init(&cq->calls);
    otd_cq_list_init(&cq->starved);
    otd_cq_list_init(&cq->young[0]);
    otd_cq_list_init(&cq->young[1]);
    cq->tick = gpr_time_0(GPR_CLOCK_MONOTONIC);
    cq->bell.done = on_bell;
    cq->server_tag.done = on_server_down;
    cq->feed.type = OTD_CMD_FEED;
    cq->stop.type = OTD_CMD_STOP;

    /* gRPC starts threads of its own here and later; signals are for the main
     * thread only, and a mask is inherited. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    grpc_init();
    error = open_server(cq, config, failed);
    if (!error) {
        int retval = pthread_create(&cq->thread, NULL, cq_main, cq);

        if (retval && asprintf(&error, "cannot start the gRPC thread: %s",
                               strerror(retval)) < 0) {
            abort();
        }
    }
    if (error) {
        abandon_server(cq);
        otd_cq_destroy(cq);
    } else {
        *cqp = cq;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

void
otd_cq_stop(struct otd_cq *cq)
{
    otd_mailq_push(&cq->commands, &cq->stop.mail);
    otd_cq_flush(cq);
    pthread_join(cq->thread, NULL);
}

void
otd_cq_destroy(struct otd_cq *cq)
{
    if (cq->bell_call) {
        grpc_call_unref(cq->bell_call);
        grpc_channel_destroy(cq->bell_channel);
    }
    if (cq->server) {
        grpc_server_destroy(cq->server);
        grpc_completion_queue_destroy(cq->queue);
    }
    otd_tls_destroy(cq->tls);
    /* No grpc_shutdown(): after a write that had to wait for its reader it
     * takes up to 10 s (gRPC 1.51: the backup poller of tcp_posix.cc), with a
     * lock held that the next grpc_init() wants.  What it would free is used
     * again by the next server, or is gone with the process. */
    free(cq->slots);
    free(cq);
}
