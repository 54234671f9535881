/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/channel-private.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One call of any kind. */
struct call {
    struct otd_channel *channel;
    grpc_call *call;

    struct tag send;
    grpc_byte_buffer *sending;
    bool send_ok;

    struct tag end;             /* The batch with RECV_STATUS_ON_CLIENT. */
    bool ended;
    grpc_metadata_array initial, trailing;
    grpc_status_code code;
    grpc_slice details;

    struct tag recv;
    grpc_byte_buffer *message;

    /* otd_channel_start(). */
    void (*done)(const struct otd_bytes *, const struct otd_rpc_status *,
                 void *aux);
    void *aux;
    struct call *next_spare;
};

/* gRPC gathers messages that carry a buffer hint, but sends them on only with
 * the next one that does not.  Nobody can tell which message will be the last,
 * so one is always held back. */
struct otd_stream {
    struct call call;
    bool started;               /* Initial metadata has been sent. */
    grpc_byte_buffer *held;
};

#define OFFSET_OF(TAG, MEMBER) \
    ((struct call *) (void *) ((char *) (TAG) - offsetof(struct call, MEMBER)))

void *
otd_channel_alloc(size_t size)
{
    void *p = calloc(1, size);

    if (!p) {
        abort();
    }
    return p;
}

gpr_timespec
otd_channel_deadline(int timeout_ms)
{
    return timeout_ms > 0
           ? gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                          gpr_time_from_millis(timeout_ms, GPR_TIMESPAN))
           : gpr_inf_future(GPR_CLOCK_MONOTONIC);
}

/* ---- Status. */

void
otd_rpc_status_destroy(struct otd_rpc_status *status)
{
    free(status->text);
    status->text = NULL;
}

const char *
otd_rpc_code_to_string(int code)
{
    static const char *const names[] = {
        [GRPC_STATUS_OK] = "OK",
        [GRPC_STATUS_CANCELLED] = "CANCELLED",
        [GRPC_STATUS_UNKNOWN] = "UNKNOWN",
        [GRPC_STATUS_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
        [GRPC_STATUS_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
        [GRPC_STATUS_NOT_FOUND] = "NOT_FOUND",
        [GRPC_STATUS_ALREADY_EXISTS] = "ALREADY_EXISTS",
        [GRPC_STATUS_PERMISSION_DENIED] = "PERMISSION_DENIED",
        [GRPC_STATUS_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
        [GRPC_STATUS_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
        [GRPC_STATUS_ABORTED] = "ABORTED",
        [GRPC_STATUS_OUT_OF_RANGE] = "OUT_OF_RANGE",
        [GRPC_STATUS_UNIMPLEMENTED] = "UNIMPLEMENTED",
        [GRPC_STATUS_INTERNAL] = "INTERNAL",
        [GRPC_STATUS_UNAVAILABLE] = "UNAVAILABLE",
        [GRPC_STATUS_DATA_LOSS] = "DATA_LOSS",
        [GRPC_STATUS_UNAUTHENTICATED] = "UNAUTHENTICATED",
    };

    return (code >= 0 && code < (int) (sizeof names / sizeof names[0])
            ? names[code] : "UNKNOWN");
}

static char *
slice_to_string(grpc_slice slice)
{
    size_t n = GRPC_SLICE_LENGTH(slice);
    char *s = otd_channel_alloc(n + 1);

    memcpy(s, GRPC_SLICE_START_PTR(slice), n);
    return s;
}

/* Takes 'bb'. */
static struct otd_bytes
bytes_from_buffer(grpc_byte_buffer *bb)
{
    struct otd_bytes bytes = { NULL, 0 };
    grpc_byte_buffer_reader reader;

    if (bb && grpc_byte_buffer_reader_init(&reader, bb)) {
        grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);

        bytes.n = GRPC_SLICE_LENGTH(slice);
        if (bytes.n) {
            bytes.data = otd_channel_alloc(bytes.n);
            memcpy(bytes.data, GRPC_SLICE_START_PTR(slice), bytes.n);
        }
        grpc_slice_unref(slice);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    if (bb) {
        grpc_byte_buffer_destroy(bb);
    }
    return bytes;
}

static grpc_byte_buffer *
buffer_from_bytes(const void *data, size_t n)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(data, n);
    grpc_byte_buffer *bb = grpc_raw_byte_buffer_create(&slice, 1);

    grpc_slice_unref(slice);
    return bb;
}

/* ---- The loop. */

/* Handles one completion.  Returns false at the deadline. */
static bool
run_one(struct otd_channel *channel, gpr_timespec deadline)
{
    grpc_event event = grpc_completion_queue_next(channel->queue, deadline,
                                                  NULL);

    if (event.type == GRPC_OP_COMPLETE) {
        struct tag *tag = event.tag;

        tag->pending = false;
        tag->done(tag, event.success != 0);
        return true;
    }
    return false;
}

void
otd_channel_run_until(struct otd_channel *channel, const struct tag *tag)
{
    while (tag->pending) {
        run_one(channel, gpr_inf_future(GPR_CLOCK_MONOTONIC));
    }
}

/* ---- Calls. */

static void
start_batch(struct call *call, struct tag *tag, const grpc_op *ops, size_t n)
{
    grpc_call_error error = grpc_call_start_batch(call->call, ops, n, tag,
                                                  NULL);

    if (error != GRPC_CALL_OK) {
        fprintf(stderr, "grpc_call_start_batch: %s\n",
                grpc_call_error_to_string(error));
        abort();
    }
    tag->pending = true;
}

static void
on_send(struct tag *tag, bool ok)
{
    struct call *call = OFFSET_OF(tag, send);

    call->send_ok = ok;
    if (call->sending) {
        grpc_byte_buffer_destroy(call->sending);
        call->sending = NULL;
    }
}

static void
on_recv(struct tag *tag, bool ok)
{
    /* The waiter looks at 'message'. */
}

static void
on_end(struct tag *tag, bool ok)
{
    OFFSET_OF(tag, end)->ended = true;
}

static void
call_init(struct call *call, struct otd_channel *channel, const char *method,
          int timeout_ms)
{
    grpc_slice path = grpc_slice_from_copied_string(method);

    memset(call, 0, sizeof *call);
    call->channel = channel;
    call->call = grpc_channel_create_call(channel->channel, NULL,
                                          GRPC_PROPAGATE_DEFAULTS,
                                          channel->queue, path, NULL,
                                          otd_channel_deadline(timeout_ms),
                                          NULL);
    grpc_slice_unref(path);
    call->send.done = on_send;
    call->send_ok = true;
    call->recv.done = on_recv;
    call->end.done = on_end;
    grpc_metadata_array_init(&call->initial);
    grpc_metadata_array_init(&call->trailing);
}

/* Waits for whatever is outstanding and releases what gRPC gave. */
static void
call_destroy(struct call *call, struct otd_rpc_status *status)
{
    otd_channel_run_until(call->channel, &call->send);
    otd_channel_run_until(call->channel, &call->recv);
    otd_channel_run_until(call->channel, &call->end);
    if (status) {
        status->code = call->code;
        status->text = slice_to_string(call->details);
    }
    if (call->ended) {
        grpc_slice_unref(call->details);
    }
    if (call->message) {
        grpc_byte_buffer_destroy(call->message);
    }
    if (call->sending) {
        grpc_byte_buffer_destroy(call->sending);
    }
    grpc_metadata_array_destroy(&call->initial);
    grpc_metadata_array_destroy(&call->trailing);
    grpc_call_unref(call->call);
}

static grpc_op
op_recv_status(struct call *call)
{
    grpc_op op = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT };

    op.data.recv_status_on_client.trailing_metadata = &call->trailing;
    op.data.recv_status_on_client.status = &call->code;
    op.data.recv_status_on_client.status_details = &call->details;
    return op;
}

static grpc_op
op_recv_initial(struct call *call)
{
    grpc_op op = { .op = GRPC_OP_RECV_INITIAL_METADATA };

    op.data.recv_initial_metadata.recv_initial_metadata = &call->initial;
    return op;
}

static grpc_op
op_recv_message(struct call *call)
{
    grpc_op op = { .op = GRPC_OP_RECV_MESSAGE };

    op.data.recv_message.recv_message = &call->message;
    return op;
}

static grpc_op
op_send_message(struct call *call, const void *data, size_t n)
{
    grpc_op op = { .op = GRPC_OP_SEND_MESSAGE };

    call->sending = buffer_from_bytes(data, n);
    op.data.send_message.send_message = call->sending;
    return op;
}

static const grpc_op op_send_initial = {
    .op = GRPC_OP_SEND_INITIAL_METADATA
};
static const grpc_op op_send_close = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };

/* One request, one response: all in one batch, so that the call costs one
 * completion. */
static void
call_start_simple(struct call *call, const void *request, size_t n)
{
    grpc_op ops[6];

    ops[0] = op_send_initial;
    ops[1] = op_send_message(call, request, n);
    ops[2] = op_send_close;
    ops[3] = op_recv_initial(call);
    ops[4] = op_recv_message(call);
    ops[5] = op_recv_status(call);
    start_batch(call, &call->end, ops, 6);
}

static void
take_reply(struct call *call, struct otd_bytes *reply)
{
    *reply = bytes_from_buffer(call->message);
    call->message = NULL;
    if (call->code != GRPC_STATUS_OK) {
        free(reply->data);
        reply->data = NULL;
        reply->n = 0;
    }
}

void
otd_channel_unary(struct otd_channel *channel, const char *method,
                  const void *request, size_t n, int timeout_ms,
                  struct otd_bytes *reply, struct otd_rpc_status *status)
{
    struct call call;

    call_init(&call, channel, method, timeout_ms);
    call_start_simple(&call, request, n);
    otd_channel_run_until(channel, &call.end);
    take_reply(&call, reply);
    call_destroy(&call, status);
}

void
otd_channel_read(struct otd_channel *channel, const char *method,
                 const void *request, size_t n, int timeout_ms,
                 bool (*message)(const void *data, size_t n, void *aux),
                 void *aux, struct otd_rpc_status *status)
{
    struct call call;
    grpc_op ops[4];

    call_init(&call, channel, method, timeout_ms);
    ops[0] = op_send_initial;
    ops[1] = op_send_message(&call, request, n);
    ops[2] = op_send_close;
    ops[3] = op_recv_initial(&call);
    start_batch(&call, &call.send, ops, 4);
    ops[0] = op_recv_status(&call);
    start_batch(&call, &call.end, ops, 1);

    for (;;) {
        struct otd_bytes bytes;

        ops[0] = op_recv_message(&call);
        start_batch(&call, &call.recv, ops, 1);
        otd_channel_run_until(channel, &call.recv);
        if (!call.message) {
            break;
        }
        bytes = bytes_from_buffer(call.message);
        call.message = NULL;
        if (!message(bytes.data, bytes.n, aux)) {
            grpc_call_cancel(call.call, NULL);
            free(bytes.data);
            break;
        }
        free(bytes.data);
    }
    call_destroy(&call, status);
}

/* ---- Client streams. */

struct otd_stream *
otd_stream_open(struct otd_channel *channel, const char *method,
                int timeout_ms)
{
    struct otd_stream *stream = otd_channel_alloc(sizeof *stream);
    grpc_op ops[3];

    call_init(&stream->call, channel, method, timeout_ms);
    ops[0] = op_recv_initial(&stream->call);
    ops[1] = op_recv_message(&stream->call);
    ops[2] = op_recv_status(&stream->call);
    start_batch(&stream->call, &stream->call.end, ops, 3);
    return stream;
}

/* Sends the held message, if any, and half-closes if 'last'. */
static void
stream_send_held(struct otd_stream *stream, bool hint, bool last)
{
    struct call *call = &stream->call;
    grpc_op ops[3];
    size_t n = 0;

    if (!stream->started) {
        /* Initial metadata and a hint in one batch would never be flushed. */
        ops[n++] = op_send_initial;
        stream->started = true;
        hint = false;
    }
    if (stream->held) {
        call->sending = stream->held;
        stream->held = NULL;
        ops[n] = (grpc_op) { .op = GRPC_OP_SEND_MESSAGE };
        ops[n].flags = hint ? GRPC_WRITE_BUFFER_HINT : 0;
        ops[n++].data.send_message.send_message = call->sending;
    }
    if (last) {
        ops[n++] = op_send_close;
    }
    if (n) {
        start_batch(call, &call->send, ops, n);
        otd_channel_run_until(call->channel, &call->send);
    }
}

bool
otd_stream_write(struct otd_stream *stream, const void *data, size_t n)
{
    if (stream->held && !stream->call.ended && stream->call.send_ok) {
        stream_send_held(stream, true, false);
    }
    if (stream->call.ended || !stream->call.send_ok) {
        return false;
    }
    stream->held = buffer_from_bytes(data, n);
    return true;
}

bool
otd_stream_flush(struct otd_stream *stream)
{
    if (!stream->call.ended && stream->call.send_ok) {
        stream_send_held(stream, false, false);
    }
    return !stream->call.ended && stream->call.send_ok;
}

void
otd_stream_finish(struct otd_stream *stream, struct otd_bytes *reply,
                  struct otd_rpc_status *status)
{
    struct call *call = &stream->call;

    if (!call->ended && call->send_ok) {
        stream_send_held(stream, false, true);
    }
    otd_channel_run_until(call->channel, &call->end);
    take_reply(call, reply);
    if (stream->held) {
        grpc_byte_buffer_destroy(stream->held);
    }
    call_destroy(call, status);
    free(stream);
}

void
otd_stream_cancel(struct otd_stream *stream)
{
    grpc_call_cancel(stream->call.call, NULL);
    if (stream->held) {
        grpc_byte_buffer_destroy(stream->held);
    }
    call_destroy(&stream->call, NULL);
    free(stream);
}

/* ---- Many in flight. */

static void
on_simple_end(struct tag *tag, bool ok)
{
    struct call *call = OFFSET_OF(tag, end);
    struct otd_channel *channel = call->channel;
    struct otd_rpc_status status;
    struct otd_bytes reply;

    call->ended = true;
    take_reply(call, &reply);
    call_destroy(call, &status);
    channel->n_in_flight--;
    call->done(&reply, &status, call->aux);
    free(reply.data);
    otd_rpc_status_destroy(&status);
    call->next_spare = channel->spare;
    channel->spare = call;
}

void
otd_channel_start(struct otd_channel *channel, const char *method,
                  const void *request, size_t n, int timeout_ms,
                  void (*done)(const struct otd_bytes *reply,
                               const struct otd_rpc_status *, void *aux),
                  void *aux)
{
    struct call *call = channel->spare;

    if (call) {
        channel->spare = call->next_spare;
    } else {
        call = otd_channel_alloc(sizeof *call);
    }
    call_init(call, channel, method, timeout_ms);
    call->end.done = on_simple_end;
    call->done = done;
    call->aux = aux;
    channel->n_in_flight++;
    call_start_simple(call, request, n);
}

size_t
otd_channel_run(struct otd_channel *channel, int timeout_ms)
{
    gpr_timespec deadline
        = (timeout_ms < 0 ? gpr_inf_future(GPR_CLOCK_MONOTONIC)
           : gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                          gpr_time_from_millis(timeout_ms, GPR_TIMESPAN)));

    while (channel->n_in_flight && run_one(channel, deadline)) {
        continue;
    }
    return channel->n_in_flight;
}

void
otd_channel_close(struct otd_channel *channel)
{
    if (!channel) {
        return;
    }
    if (channel->channel) {
        grpc_channel_destroy(channel->channel);
    }
    grpc_completion_queue_shutdown(channel->queue);
    while (grpc_completion_queue_next(channel->queue,
                                      gpr_inf_future(GPR_CLOCK_MONOTONIC),
                                      NULL).type != GRPC_QUEUE_SHUTDOWN) {
        continue;
    }
    grpc_completion_queue_destroy(channel->queue);
    while (channel->spare) {
        struct call *next = channel->spare->next_spare;

        free(channel->spare);
        channel->spare = next;
    }
    free(channel);
    /* No grpc_shutdown(): after a write that had to wait for its reader it
     * takes up to 10 s (gRPC 1.51: the backup poller of tcp_posix.cc). */
}
