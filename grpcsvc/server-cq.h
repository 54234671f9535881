/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SERVER_CQ_H
#define OTD_SERVER_CQ_H 1

/* The seam inside the real transport: server.c (main thread, Open vSwitch's
 * headers) above, server-cq.c, server-call.c and server-tls.c (gRPC thread,
 * gRPC's headers) below.  Plain C, so that no file needs both sets of headers.
 *
 * Upwards everything travels as a struct otd_cq_mail in one mailbox.
 * Downwards everything travels as a command in one list; the gRPC thread is
 * woken at most once per otd_cq_flush(), and only if it sleeps.
 *
 * Memory is accounted in *charge*: the bytes of request messages plus what it
 * costs to hold them.  A call with a charge of OTD_CQ_CALL_WINDOW is not read
 * any further, and none is while all calls together hold
 * OTD_CQ_TOTAL_WINDOW. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "grpcsvc/transport.h"
#include "lib/mailbox.h"

#define OTD_CQ_CALL_WINDOW (256u << 10)     /* Bytes of charge, one call. */
#define OTD_CQ_TOTAL_WINDOW (64u << 20)     /* Bytes of charge, all calls. */
#define OTD_CQ_MESSAGE_MAX (4u << 20)       /* Bytes of one request message. */
#define OTD_CQ_CHUNK (64u << 10)            /* Bytes of data in one mail. */

/* ---- From the gRPC thread to the main thread. */

enum {                          /* struct otd_cq_mail's 'flags'. */
    OTD_CQ_NEW = 1 << 0,        /* First mail of this call. */
    OTD_CQ_HALF_CLOSE = 1 << 1,
    OTD_CQ_CANCELLED = 1 << 2,
    OTD_CQ_WRITABLE = 1 << 3,
};

/* What happened to one call, in the order NEW, messages, HALF_CLOSE,
 * CANCELLED, WRITABLE.  If 'call' is NULL it is a sentence for the log
 * instead. */
struct otd_cq_mail {
    struct otd_mail mail;
    struct otd_call *call;      /* The mail holds a reference. */
    unsigned int flags;         /* OTD_CQ_*. */
    bool is_warning;            /* Of 'log'. */
    char *log;                  /* Owned. */

    uint8_t *data;              /* 'n' messages, as in struct otd_event. */
    uint32_t *ends;
    size_t n;
    size_t size;                /* Bytes of data. */
};

struct otd_cq;

/* Main thread.  Takes the mail.  The first argument is NULL for what a failed
 * otd_cq_start() left in the mailbox. */
void otd_cq_mail_done(struct otd_cq *, struct otd_cq_mail *);

/* The main thread's part of a call: valid until otd_cq_finish(). */
struct otd_call {
    enum otd_method method;     /* Constant. */
    bool finished;              /* otd_cq_finish() was called. */
    void *data;                 /* The service's. */
};

/* ---- From the main thread to the gRPC thread. */

struct otd_cq_address {
    const char *target;         /* For gRPC: "unix:/p", "127.0.0.1:80". */
    bool tls;
    int port;                   /* Set by otd_cq_start(): the bound port. */
};

struct otd_cq_config {
    struct otd_mailbox *mailbox;        /* Borrowed until otd_cq_stop(). */
    struct otd_cq_address *addresses;   /* Borrowed for otd_cq_start(). */
    size_t n_addresses;
    const char *private_key, *certificate, *ca_cert;    /* Files, or NULL. */
    const char *allowed_subjects;       /* Comma-separated, or NULL for all. */

    /* Frees a message given to otd_cq_send().  Called on the gRPC thread, so
     * it must not touch RCU. */
    void (*free_message)(void *owner);
};

/* Initialises gRPC, binds, starts the thread.  Returns NULL on success.  On
 * failure returns an owned sentence; if an address could not be bound its
 * index is stored in '*failed', else -1. */
char *otd_cq_start(const struct otd_cq_config *, struct otd_cq **,
                   ssize_t *failed);

/* Ends open calls with UNAVAILABLE, gives finished ones a second to be sent,
 * joins the thread.  Afterwards the mailbox may hold mail, which the caller
 * gives to otd_cq_mail_done(), and then calls otd_cq_destroy(). */
void otd_cq_stop(struct otd_cq *);
void otd_cq_destroy(struct otd_cq *);

/* Gives back 'n' bytes of the call's window. */
void otd_cq_consumed(struct otd_call *, size_t n);

/* Queues one response message, 'n' bytes at 'data', which live until
 * free_message('owner'). */
void otd_cq_send(struct otd_call *, const void *data, size_t n, void *owner);

/* Bytes that were queued and not yet accepted by the peer's flow control. */
size_t otd_cq_send_pending(const struct otd_call *);

/* Ends the call behind everything queued.  'text' may be NULL; copied. */
void otd_cq_finish(struct otd_call *, enum otd_status, const char *text);

/* Wakes the gRPC thread if commands wait and it sleeps. */
void otd_cq_flush(struct otd_cq *);

struct otd_cq_stats {
    size_t n_calls;             /* Calls that are open. */
    size_t charge;              /* Bytes held for the main thread. */
};
void otd_cq_get_stats(const struct otd_cq *, struct otd_cq_stats *);

#endif /* grpcsvc/server-cq.h */
