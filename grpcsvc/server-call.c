/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/server-private.h"

#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <stdlib.h>
#include <string.h>

/* One call on the gRPC thread, from its arrival to grpc_call_unref().
 *
 * C-core forgets nothing: a call may be unreferenced only when every batch
 * that was started on it has completed, so 'n_tags' counts them, and
 * call_reap() after each completion looks whether the end has come. */

static void on_recv(struct otd_tag *, bool ok);
static void on_close(struct otd_tag *, bool ok);
static void on_send(struct otd_tag *, bool ok);
static void call_pump(struct otd_cq_call *);

/* ---- Life. */

static struct otd_cq_call *
call_cast(struct otd_call *pub)
{
    return OTD_CONTAINER(pub, struct otd_cq_call, pub);
}

static void
remove_young(struct otd_cq_call *call)
{
    if (call->young.next) {
        otd_cq_list_remove(&call->young);
    }
}

/* Ends the gRPC side of the call if nothing is left to wait for. */
static void
call_reap(struct otd_cq_call *call)
{
    if (!call->finished || call->n_tags
        || (!call->status_sent && !call->dead)) {
        return;
    }

    if (call->starved.next) {
        otd_cq_list_remove(&call->starved);
    }
    remove_young(call);
    otd_cq_list_remove(&call->all);
    atomic_fetch_sub(&call->cq->n_calls, 1);
    grpc_call_unref(call->call);
    call->call = NULL;
    otd_cq_call_unref(call);
}

static void
start_close(struct otd_cq_call *call)
{
    grpc_op op = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER };

    op.data.recv_close_on_server.cancelled = &call->cancelled;
    call->close_started = true;
    otd_cq_start_batch(call, &call->close, &op, 1);
}

/* RECV_CLOSE_ON_SERVER tells of a client that went away.  Most calls end too
 * soon for that to matter, and take it in their final batch, where it costs no
 * completion of its own.  Only a call that gets older than a tick has it
 * started separately. */
#define TICK_MS 100

bool
otd_cq_any_young(const struct otd_cq *cq)
{
    return (!otd_cq_list_is_empty(&cq->young[0])
            || !otd_cq_list_is_empty(&cq->young[1]));
}

void
otd_cq_age_calls(struct otd_cq *cq)
{
    gpr_timespec now;

    if (!otd_cq_any_young(cq) || cq->server_down) {
        return;
    }
    now = gpr_now(GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(now, cq->tick) < 0) {
        return;
    }
    cq->tick = gpr_time_add(now, gpr_time_from_millis(TICK_MS, GPR_TIMESPAN));

    while (!otd_cq_list_is_empty(&cq->young[1])) {
        struct otd_cq_call *call = OTD_CONTAINER(cq->young[1].next,
                                                 struct otd_cq_call, young);

        remove_young(call);
        start_close(call);
    }
    while (!otd_cq_list_is_empty(&cq->young[0])) {
        struct otd_cq_list *elem = cq->young[0].next;

        otd_cq_list_remove(elem);
        otd_cq_list_push(&cq->young[1], elem);
    }
}

static struct otd_cq_call *
call_create(struct otd_cq *cq, grpc_call *gcall)
{
    struct otd_cq_call *call = otd_cq_alloc(sizeof *call);

    call->cq = cq;
    call->call = gcall;
    atomic_init(&call->refs, 1);
    call->recv.done = on_recv;
    call->close.done = on_close;
    call->send.done = on_send;
    call->read.type = OTD_CMD_READ;
    call->read.call = call;
    call->finish.type = OTD_CMD_FINISH;
    call->finish.call = call;
    call->out_last = &call->out_first;
    otd_cq_list_push(&cq->calls, &call->all);
    otd_cq_list_push(&cq->young[0], &call->young);
    atomic_fetch_add(&cq->n_calls, 1);
    return call;
}

/* The client is gone, or what it sends is broken. */
static void
call_broken(struct otd_cq_call *call)
{
    call->dead = true;
    call->eof = true;
    if (!call->told_cancelled) {
        call->told_cancelled = true;
        otd_cq_tell(call, OTD_CQ_CANCELLED);
    }
}

/* ---- Receiving. */

/* Reads the next message, unless a window is full. */
static void
read_on(struct otd_cq_call *call)
{
    struct otd_cq *cq = call->cq;
    size_t unposted = otd_cq_unposted(call);
    grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

    if (call->reading || call->eof || call->finished || call->starved.next) {
        return;
    }

    if (atomic_load_explicit(&call->charge, memory_order_relaxed) + unposted
        >= OTD_CQ_CALL_WINDOW) {
        /* Announce, then look again: the last credit may have come in between.
         * Whoever clears 'held' goes on, and if that is not us then
         * OTD_CMD_READ is on its way. */
        atomic_store(&call->held, true);
        otd_cq_post_mail(call);
        if (atomic_load(&call->charge) > OTD_CQ_CALL_REOPEN
            || !atomic_exchange(&call->held, false)) {
            return;
        }
    }

    if (atomic_load_explicit(&cq->charge, memory_order_relaxed) + unposted
        >= OTD_CQ_TOTAL_WINDOW) {
        otd_cq_list_push(&cq->starved, &call->starved);
        if (!cq->feed_awaited) {
            cq->feed_awaited = true;
            atomic_store(&cq->any_starved, true);
        }
        otd_cq_post_mail(call);
        if (atomic_load(&cq->charge) <= OTD_CQ_TOTAL_REOPEN
            && atomic_exchange(&cq->any_starved, false)) {
            otd_cq_feed_starved(cq);
        }
        return;
    }

    op.data.recv_message.recv_message = &call->message;
    call->reading = true;
    otd_cq_start_batch(call, &call->recv, &op, 1);
}

/* Lets calls read that waited for the total window, oldest first. */
void
otd_cq_feed_starved(struct otd_cq *cq)
{
    struct otd_cq_list waiting, *elem;

    cq->feed_awaited = false;
    otd_cq_list_init(&waiting);
    while ((elem = cq->starved.next) != &cq->starved) {
        otd_cq_list_remove(elem);
        otd_cq_list_push(&waiting, elem);
    }
    while ((elem = waiting.next) != &waiting) {
        otd_cq_list_remove(elem);
        read_on(OTD_CONTAINER(elem, struct otd_cq_call, starved));
    }
}

static void
call_unreadable(struct otd_cq_call *call)
{
    call_broken(call);
    grpc_call_cancel_with_status(call->call, GRPC_STATUS_RESOURCE_EXHAUSTED,
                                 "the message does not decompress to 4 MiB "
                                 "or less", NULL);
}

static void
on_recv(struct otd_tag *tag, bool ok)
{
    struct otd_cq_call *call = OTD_CONTAINER(tag, struct otd_cq_call, recv);
    grpc_byte_buffer *bb = call->message;

    call->n_tags--;
    call->reading = false;
    call->message = NULL;
    if (call->finished || call->dead) {
        call->eof = true;
    } else if (!ok) {
        call_broken(call);      /* Oversized; gRPC has answered. */
    } else if (!bb) {
        /* Clean end or broken stream?  Both look the same up to here. */
        if (grpc_call_failed_before_recv_message(call->call)) {
            call_broken(call);
        } else {
            call->eof = true;
            otd_cq_tell(call, OTD_CQ_HALF_CLOSE);
        }
    } else if (!otd_cq_append_message(call, bb)) {
        call_unreadable(call);
    } else {
        read_on(call);
    }
    if (bb) {
        grpc_byte_buffer_destroy(bb);
    }
    call_reap(call);
}

static void
on_close(struct otd_tag *tag, bool ok)
{
    struct otd_cq_call *call = OTD_CONTAINER(tag, struct otd_cq_call, close);

    call->n_tags--;
    if (call->cancelled || !ok) {
        call_broken(call);
        call_pump(call);
    }
    call_reap(call);
}

/* ---- Sending. */

static void
free_send(struct otd_cq_call *call, struct otd_cq_send *send)
{
    call->cq->free_message(send->owner);
    free(send);
}

static void
drop_queued(struct otd_cq_call *call)
{
    while (call->out_first) {
        struct otd_cq_send *send = call->out_first;

        call->out_first = send->next;
        atomic_fetch_sub(&call->pending, send->n);
        free_send(call, send);
    }
    call->out_last = &call->out_first;
}

/* What a slice owns that stands in the main thread's memory. */
struct slice_owner {
    void (*free_message)(void *);
    void *owner;
};

static void
free_slice(void *owner_)
{
    struct slice_owner *owner = owner_;

    owner->free_message(owner->owner);
    free(owner);
}

static grpc_byte_buffer *
send_to_byte_buffer(struct otd_cq_call *call, struct otd_cq_send *send)
{
    grpc_byte_buffer *bb;
    grpc_slice slice;

    if (send->n <= 1024) {
        slice = grpc_slice_from_copied_buffer(send->data, send->n);
        call->cq->free_message(send->owner);
    } else {
        struct slice_owner *owner = otd_cq_alloc(sizeof *owner);

        owner->free_message = call->cq->free_message;
        owner->owner = send->owner;
        slice = grpc_slice_new_with_user_data((void *) send->data, send->n,
                                              free_slice, owner);
    }
    free(send);
    bb = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return bb;
}

/* Starts the next batch of sends, if none is outstanding: one message,
 * together with the initial metadata if it is the first and with the status if
 * it is the last, so that a call with one answer needs one batch and one
 * write. */
static void
call_pump(struct otd_cq_call *call)
{
    grpc_slice details;
    grpc_op ops[4];
    size_t n = 0;
    bool hint;

    if (call->cq->server_down) {
        call->dead = true;      /* Its queue takes no more batches. */
    }
    if (call->dead) {
        drop_queued(call);
        return;
    }
    if (call->sending || call->status_sent
        || (!call->out_first && !call->finished)) {
        return;
    }

    memset(ops, 0, sizeof ops);
    /* Initial metadata and a buffer hint in one batch would never be
     * flushed. */
    hint = call->metadata_sent;
    if (!call->metadata_sent) {
        ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
        call->metadata_sent = true;
    }
    if (call->out_first) {
        struct otd_cq_send *send = call->out_first;

        call->out_first = send->next;
        if (!call->out_first) {
            call->out_last = &call->out_first;
        }
        call->sending_n = send->n;
        call->sending = send_to_byte_buffer(call, send);
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n].flags = hint && call->out_first ? GRPC_WRITE_BUFFER_HINT : 0;
        ops[n++].data.send_message.send_message = call->sending;
    }
    if (!call->out_first && call->finished) {
        details = grpc_slice_from_copied_string(call->text ? call->text : "");
        ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        ops[n].data.send_status_from_server.status = call->status;
        ops[n++].data.send_status_from_server.status_details
            = call->text ? &details : NULL;
        call->status_sent = true;
        if (!call->close_started) {
            ops[n].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
            ops[n++].data.recv_close_on_server.cancelled = &call->cancelled;
            call->close_started = true;
            remove_young(call);
        }
    }
    otd_cq_start_batch(call, &call->send, ops, n);
    if (call->status_sent) {
        grpc_slice_unref(details);
    }
}

static void
on_send(struct otd_tag *tag, bool ok)
{
    struct otd_cq_call *call = OTD_CONTAINER(tag, struct otd_cq_call, send);

    call->n_tags--;
    if (call->sending) {
        size_t before = atomic_fetch_sub(&call->pending, call->sending_n);
        size_t after = before - call->sending_n;

        grpc_byte_buffer_destroy(call->sending);
        call->sending = NULL;
        if (!after || (before > OTD_SEND_LOW_WATER
                       && after <= OTD_SEND_LOW_WATER)) {
            otd_cq_tell(call, OTD_CQ_WRITABLE);
        }
    }
    if (!ok && !call->status_sent) {
        call_broken(call);
    }
    call_pump(call);
    call_reap(call);
}

/* ---- Commands, main thread. */

void
otd_cq_send(struct otd_call *pub, const void *data, size_t n, void *owner)
{
    struct otd_cq_call *call = call_cast(pub);
    struct otd_cq_send *send = otd_cq_alloc(sizeof *send);

    send->cmd.type = OTD_CMD_SEND;
    send->cmd.call = call;
    send->data = data;
    send->n = n;
    send->owner = owner;
    atomic_fetch_add(&call->pending, n);
    otd_mailq_push(&call->cq->commands, &send->cmd.mail);
}

size_t
otd_cq_send_pending(const struct otd_call *pub)
{
    return atomic_load(&call_cast((struct otd_call *) pub)->pending);
}

void
otd_cq_finish(struct otd_call *pub, enum otd_status status, const char *text)
{
    struct otd_cq_call *call = call_cast(pub);

    pub->finished = true;
    call->status = status;
    if (text && !(call->text = strdup(text))) {
        abort();
    }
    otd_mailq_push(&call->cq->commands, &call->finish.mail);
}

/* ---- Commands, gRPC thread. */

/* Applies one command.  'more' says that the next one is for the same call:
 * then nothing is sent yet, so that an answer and its status go out in one
 * batch. */
void
otd_cq_call_run_command(struct otd_command *cmd, bool more)
{
    struct otd_cq_call *call = cmd->call;

    switch (cmd->type) {
    case OTD_CMD_SEND: {
        struct otd_cq_send *send = OTD_CONTAINER(cmd, struct otd_cq_send, cmd);

        send->next = NULL;
        *call->out_last = send;
        call->out_last = &send->next;
        break;
    }
    case OTD_CMD_FINISH:
        call->finished = true;
        call->eof = true;
        break;

    case OTD_CMD_READ:
        read_on(call);
        break;

    case OTD_CMD_FEED:
    case OTD_CMD_STOP:
        return;
    }
    if (!more) {
        call_pump(call);
        call_reap(call);
    }
}

/* Ends a call of which the main thread knows nothing, or no longer. */
void
otd_cq_call_abort(struct otd_cq_call *call, grpc_status_code status,
                  const char *text)
{
    if (call->finished) {
        return;
    }
    call->finished = true;
    call->eof = true;
    call->status = status;
    call->text = strdup(text);
    call_pump(call);
    call_reap(call);
}

/* ---- Arrival. */

void
otd_cq_call_new(struct otd_cq *cq, int method, grpc_call *gcall,
                grpc_byte_buffer *payload)
{
    struct otd_cq_call *call = call_create(cq, gcall);
    char *refusal = cq->tls ? otd_tls_refuse(cq->tls, gcall) : NULL;

    if (refusal) {
        otd_cq_log(cq, true, "%s", refusal);
        otd_cq_call_abort(call, GRPC_STATUS_PERMISSION_DENIED, refusal);
        free(refusal);
    } else if (cq->stopping) {
        otd_cq_call_abort(call, GRPC_STATUS_UNAVAILABLE,
                          "ovs-tunneld is shutting down");
    } else if (method < 0) {
        otd_cq_call_abort(call, GRPC_STATUS_UNIMPLEMENTED,
                          "ovs-tunneld does not have this method");
    } else if (otd_methods[method].client_streams) {
        call->pub.method = method;
        call->announced = true;
        otd_cq_tell(call, OTD_CQ_NEW);
        read_on(call);
    } else if (!payload) {
        /* Also where the message was too long; then gRPC has answered. */
        otd_cq_call_abort(call, GRPC_STATUS_INVALID_ARGUMENT,
                          "the call carries no request message");
    } else {
        call->pub.method = method;
        call->announced = true;
        call->eof = true;
        otd_cq_tell(call, OTD_CQ_NEW | OTD_CQ_HALF_CLOSE);
        if (!otd_cq_append_message(call, payload)) {
            call_unreadable(call);
        }
    }
    if (payload) {
        grpc_byte_buffer_destroy(payload);
    }
}
