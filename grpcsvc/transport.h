/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_TRANSPORT_H
#define OTD_TRANSPORT_H 1

/* Calls as bytes: the border between the gRPC thread and the main thread.
 *
 * The real transport (server.c: gRPC C core, one completion queue, one thread)
 * and the fake one of the tests both implement struct otd_transport_class; the
 * service (service.c, main thread) sees only this header.  The transport knows
 * methods by name and streaming shape, but no message type.
 *
 * A call's life, seen from the main thread:
 *
 *   OTD_EV_CALL  (OTD_EV_MESSAGES)*  [OTD_EV_HALF_CLOSE | OTD_EV_CANCELLED]
 *
 * A unary or server-streaming call's single request arrives as one
 * OTD_EV_MESSAGES followed by OTD_EV_HALF_CLOSE.  OTD_EV_CANCELLED may come at
 * any time until finish() (client gone, deadline, connection lost, a message
 * that is too long), at once if the client is still sending and within 0.2 s
 * if it is not; the owner then still calls finish().  That is called exactly
 * once for every call; after it the handle is gone and no event for it is
 * delivered.
 *
 * Flow control: the transport reads ahead at most a window (256 KiB a call, 64
 * MiB all together, and the message that goes beyond) that the service gives
 * back with consumed(); until then the client is held by HTTP/2 flow control.
 * For sends, send_pending() tells what the peer has not taken; the service
 * sends no more above its own limit and goes on at OTD_EV_WRITABLE.
 *
 * What the service says with consumed(), send() and finish() gets to the other
 * thread not later than the next wait(), with one wake-up for all of it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ofpbuf;

/* Every method that is served.  Unknown ones are answered UNIMPLEMENTED by the
 * transport itself. */
enum otd_method {
    OTD_METHOD_CAPABILITIES,
    OTD_METHOD_CREATE,          /* Client stream. */
    OTD_METHOD_GET,
    OTD_METHOD_GET_STATS,
    OTD_METHOD_GET_ALL,         /* Server stream. */
    OTD_METHOD_GET_ALL_STATS,   /* Server stream. */
    OTD_METHOD_HEALTH_CHECK,
    OTD_METHOD_HEALTH_WATCH,    /* Server stream. */
    OTD_METHOD_REFLECTION,      /* Bidirectional, grpc.reflection.v1alpha. */
    OTD_METHOD_REFLECTION_V1,   /* Bidirectional, grpc.reflection.v1. */
    OTD_N_METHODS
};
struct otd_method_info {
    const char *path;           /* "/package.Service/Method" */
    bool client_streams, server_streams;
};
extern const struct otd_method_info otd_methods[OTD_N_METHODS];

/* gRPC status codes that we use (values of the protocol). */
enum otd_status {
    OTD_STATUS_OK = 0,
    OTD_STATUS_CANCELLED = 1,
    OTD_STATUS_INVALID_ARGUMENT = 3,
    OTD_STATUS_NOT_FOUND = 5,
    OTD_STATUS_RESOURCE_EXHAUSTED = 8,
    OTD_STATUS_INTERNAL = 13,
    OTD_STATUS_UNIMPLEMENTED = 12,
    OTD_STATUS_UNAVAILABLE = 14,
};

struct otd_transport;
struct otd_call;

enum otd_event_type {
    OTD_EV_CALL,                /* A new call; the first event of each. */
    OTD_EV_MESSAGES,
    OTD_EV_HALF_CLOSE,          /* The client has sent all, in good order. */
    OTD_EV_CANCELLED,           /* The client, or what it sends, is broken. */
    OTD_EV_WRITABLE,            /* send_pending() fell to 0, or from above
                                 * OTD_SEND_LOW_WATER to it or below. */
};

#define OTD_SEND_LOW_WATER (64u << 10)      /* Bytes. */

/* Request messages in a row: 'n' messages; message i is bytes
 * [ends[i-1], ends[i]) of 'data'. */
struct otd_event {
    enum otd_event_type type;
    struct otd_call *call;
    enum otd_method method;
    const uint8_t *data;        /* OTD_EV_MESSAGES only; owned by the event. */
    const uint32_t *ends;
    size_t n;
};

struct otd_transport_class {
    /* The next event, or NULL; borrowed until the next call of next_event. */
    const struct otd_event *(*next_event)(struct otd_transport *);
    void (*wait)(struct otd_transport *);       /* poll_loop. */

    void (*set_data)(struct otd_call *, void *);
    void *(*get_data)(const struct otd_call *);
    /* 'n_bytes' of request data have been used up: the window reopens. */
    void (*consumed)(struct otd_call *, size_t n_bytes);
    /* Queues one response message (takes it; freed on another thread, so it
     * must own its memory: ofpbuf_new(), not ofpbuf_use_stub()). */
    void (*send)(struct otd_call *, struct ofpbuf *message);
    size_t (*send_pending)(const struct otd_call *);    /* Bytes. */
    /* Ends the call after everything queued is sent. 'text' may be NULL;
     * copied. */
    void (*finish)(struct otd_call *, enum otd_status, const char *text);
};
struct otd_transport {
    const struct otd_transport_class *class;
};

#endif /* grpcsvc/transport.h */
