/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CHANNEL_H
#define OTD_CHANNEL_H 1

/* A small gRPC client: calls as bytes, for the command line and the load
 * generator.  Knows no message type and no method.
 *
 * One thread.  Two ways to use a channel, which may be mixed:
 *
 *   - Blocking: otd_channel_unary(), struct otd_stream, otd_channel_read().
 *   - Any number of calls in flight: otd_channel_start() with a callback, then
 *     otd_channel_run() until it returns 0.
 *
 * While a blocking function waits, callbacks of calls in flight run, too. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct otd_channel;
struct otd_stream;

struct otd_channel_config {
    /* "unix:PATH", "tls:HOST:PORT" or "insecure:HOST:PORT". */
    const char *target;

    /* PEM files for "tls:", each may be NULL: the CA that signed the server's
     * certificate (else the system's), our own certificate with its key. */
    const char *ca_cert, *certificate, *private_key;

    /* Name expected in the server's certificate, if it is not HOST; or
     * NULL. */
    const char *server_name;
};

/* How a call ended.  'code' is gRPC's (0 is OK), 'text' is never NULL. */
struct otd_rpc_status {
    int code;
    char *text;                 /* Owned. */
};
void otd_rpc_status_destroy(struct otd_rpc_status *);
/* gRPC's name of a code, as in "UNAVAILABLE"; "UNKNOWN" if it has none. */
const char *otd_rpc_code_to_string(int code);

struct otd_bytes {
    uint8_t *data;              /* Owned, by malloc().  NULL if 'n' is 0. */
    size_t n;
};

/* Connects and waits until the channel is ready, at most 'timeout_ms'.
 * Returns NULL on success, or an owned sentence: which address, why, and a
 * remedy. */
char *otd_channel_open(const struct otd_channel_config *, int timeout_ms,
                       struct otd_channel **);
/* No call may be in flight. */
void otd_channel_close(struct otd_channel *);

/* ---- Blocking.  'timeout_ms' is the call's deadline, 0 for none.  '*reply'
 * and '*status' are set in any case and owned by the caller; '*reply' is empty
 * unless the status is OK. */

void otd_channel_unary(struct otd_channel *, const char *method,
                       const void *request, size_t n, int timeout_ms,
                       struct otd_bytes *reply, struct otd_rpc_status *);

/* Server stream.  'message' is called for each message, with bytes that it
 * borrows; false ends the call (the status is then CANCELLED). */
void otd_channel_read(struct otd_channel *, const char *method,
                      const void *request, size_t n, int timeout_ms,
                      bool (*message)(const void *data, size_t n, void *aux),
                      void *aux, struct otd_rpc_status *);

/* Client stream.  Messages gather in a buffer and go out in large writes;
 * otd_stream_flush() sends them on, as does the end.  After a false, which
 * means that the call has ended, the caller goes straight to
 * otd_stream_finish() for the reason. */
struct otd_stream *otd_stream_open(struct otd_channel *, const char *method,
                                   int timeout_ms);
bool otd_stream_write(struct otd_stream *, const void *data, size_t n);
bool otd_stream_flush(struct otd_stream *);
/* Half-closes, waits for the answer, frees the stream. */
void otd_stream_finish(struct otd_stream *, struct otd_bytes *reply,
                       struct otd_rpc_status *);
/* Ends the call without an answer, frees the stream. */
void otd_stream_cancel(struct otd_stream *);

/* ---- Many in flight. */

/* Sends one request message and the end of the stream, expects one response
 * message: a unary call, or a client stream of one message.  'done' is called
 * from otd_channel_run(), borrows its arguments and may start further
 * calls. */
void otd_channel_start(struct otd_channel *, const char *method,
                       const void *request, size_t n, int timeout_ms,
                       void (*done)(const struct otd_bytes *reply,
                                    const struct otd_rpc_status *, void *aux),
                       void *aux);

/* Handles completions until no call is in flight or 'timeout_ms' (-1: none)
 * has passed.  Returns the number of calls in flight. */
size_t otd_channel_run(struct otd_channel *, int timeout_ms);

#endif /* cli/channel.h */
