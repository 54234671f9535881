/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SERVICE_PRIVATE_H
#define OTD_SERVICE_PRIVATE_H 1

/* Between the files of the service only.
 *
 *   service.c          calls: their life, events, turns
 *   service-create.c   CreateIpTunnel
 *   service-read.c     Capabilities and the four reads
 *   service-probe.c    health and reflection */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grpcsvc/codec.h"
#include "grpcsvc/health-codec.h"
#include "grpcsvc/service.h"
#include "grpcsvc/transport.h"
#include "openvswitch/list.h"

struct ofpbuf;

struct otd_service {
    struct otd_engine *engine;
    struct otd_transport *transport;    /* NULL: nobody is served. */

    struct ovs_list calls;      /* Every 'struct svc_call', by 'node'. */
    size_t n_calls;

    /* Calls that need a look each turn, by 'turn_node', oldest first. */
    struct ovs_list streams;    /* CreateIpTunnel with a transaction. */
    struct ovs_list pagers;     /* A server stream that is being answered. */
    struct ovs_list watchers;   /* Health Watch. */
    struct ovs_list listed;     /* Reflection. */

    size_t spooled;             /* Sum of the streams' 'backlog'. */
    size_t apply_max;           /* OTD_SERVICE_APPLY_MAX; tests have less. */
    size_t spool_max;           /* OTD_SERVICE_SPOOL_MAX; likewise. */
    size_t stream_max;          /* OTD_SERVICE_STREAM_MAX; likewise. */
    bool serving;               /* What the watchers were told. */

    uint64_t n_finished[OTD_N_METHODS]; /* Calls that ended, by method. */
    uint64_t n_cancelled;       /* Of these, by the client. */
};

struct svc_call {
    struct ovs_list node;
    struct ovs_list turn_node;  /* In one of the four, or linked to itself. */
    struct otd_service *service;
    struct otd_call *handle;
    enum otd_method method;
    bool asked;                 /* A single request has arrived. */

    union {
        struct {                /* OTD_METHOD_CREATE. */
            struct otd_txn *txn;        /* NULL until the first request. */
            uint64_t appended;  /* Bytes given to 'txn'. */
            uint64_t returned;  /* Of these, bytes of window given back. */
            size_t backlog;     /* otd_txn_backlog() when last looked at. */
            bool ended;         /* The client half-closed. */
        } create;
        struct {                /* The four reads. */
            struct otd_refresh *refresh;        /* Awaited, or NULL. */
            uint64_t id;        /* GetIpTunnelStats. */
            uint64_t cursor;    /* otd_engine_next(). */
            uint32_t per_page;  /* tunnels_per_request. */
            struct otd_page page;
        } read;
        struct {                /* OTD_METHOD_HEALTH_WATCH. */
            enum otd_health told;       /* Last sent; UNKNOWN: nothing yet. */
        } watch;
        struct {                /* OTD_METHOD_REFLECTION*. */
            /* Not answered yet: length (4 bytes), bytes; repeated.  NULL:
             * there was none. */
            struct ofpbuf *questions;
            bool ended;         /* The client half-closed. */
        } listed;
    };
};

/* How the methods differ.
 *
 * A method whose client streams takes any number of messages and one
 * half-close, and gives the window back in its own time.  Any other takes its
 * one message, which may end the call; a missing one is refused before it gets
 * here. */
struct svc_method {
    void (*message)(struct svc_call *, const uint8_t *, size_t n);
    void (*half_close)(struct svc_call *);      /* Client streams only. */
    /* Releases what waits elsewhere for the call, before it ends early; or
     * NULL. */
    void (*abort)(struct svc_call *);
};

extern const struct svc_method svc_create_method;
extern const struct svc_method svc_capabilities_method, svc_get_method,
    svc_get_stats_method, svc_get_all_method, svc_get_all_stats_method;
extern const struct svc_method svc_health_check_method,
    svc_health_watch_method, svc_reflection_method;

/* Queues 'message' (takes it) for the client. */
void svc_send(struct svc_call *, struct ofpbuf *message);
size_t svc_send_pending(const struct svc_call *);
void svc_consumed(struct svc_call *, size_t n);
/* Ends a call that may still wait for something. */
void svc_abort(struct svc_call *, enum otd_status, const char *text);
/* Ends the call and frees it. */
void svc_finish(struct svc_call *, enum otd_status, const char *text);
/* The same, because the request is no message of its type. */
void svc_refuse_malformed(struct svc_call *);
/* svc_send() and svc_finish() of a good call. */
void svc_answer(struct svc_call *, struct ofpbuf *message);

/* One turn over the lists; each does a bounded amount of work. */
void svc_create_run(struct otd_service *);
bool svc_create_needs_run(struct otd_service *);
void svc_read_run(struct otd_service *);
bool svc_read_needs_run(const struct otd_service *);
void svc_probe_run(struct otd_service *);
bool svc_probe_needs_run(const struct otd_service *);

#endif /* grpcsvc/service-private.h */
