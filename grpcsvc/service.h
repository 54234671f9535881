/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SERVICE_H
#define OTD_SERVICE_H 1

/* What the RPCs mean: takes calls from a transport, drives the engine,
 * answers.
 *
 * Main thread only, and no gRPC type: the transport is a table of functions
 * (grpcsvc/transport.h), so the same code runs under the tests' fake one.
 *
 * A client stream becomes one engine transaction at its first request.  A call
 * that waits (for the engine, for fresh counters, for a slow reader) is a
 * struct of some hundred bytes in a list; nothing here blocks, and each turn
 * of the main loop does a bounded amount of work, so a slow client holds
 * nobody up.
 *
 * Memory.  The transport's window (256 KiB a call) is given back as the engine
 * works off the bytes of a transaction: a transaction that is being applied
 * holds at most OTD_SERVICE_APPLY_MAX here, however fast its client is.  One
 * that waits for others must be spooled to its end, so it gets its window back
 * at once, until all spools together reach OTD_SERVICE_SPOOL_MAX; beyond that
 * only the oldest incomplete stream is granted more, and the others are held
 * by HTTP/2 flow control until there is room.  No stream may be longer than
 * OTD_SERVICE_STREAM_MAX (the engine keeps its requests until it is answered,
 * to be able to start over): it ends with RESOURCE_EXHAUSTED, and nothing of
 * it is done.  An answer is produced only as far as the peer takes it
 * (OTD_SERVICE_SEND_MAX a call).
 *
 * Answers.  GetIpTunnel, GetAllIpTunnels and Capabilities answer from the
 * table whether or not the switch is there.  The Stats calls read fresh
 * counters, and end with UNAVAILABLE if the switch cannot be asked.  A create
 * while the switch is away is answered by the engine
 * (_TUNNEL_TABLE_UNAVAILABLE). */

#include <stddef.h>

struct ds;
struct otd_engine;
struct otd_service;
struct otd_transport;
struct simap;

#define OTD_SERVICE_APPLY_MAX (4u << 20)        /* Bytes, one call. */
#define OTD_SERVICE_SPOOL_MAX (256u << 20)      /* Bytes, all calls. */
#define OTD_SERVICE_STREAM_MAX (1u << 30)       /* Bytes, one call. */
#define OTD_SERVICE_SEND_MAX (1u << 20)         /* Bytes, one call. */

/* Borrows the engine, which must outlive the service. */
struct otd_service *otd_service_create(struct otd_engine *);
void otd_service_destroy(struct otd_service *);

/* Serves 'transport' (borrowed), or nobody if it is NULL.  Every call of the
 * transport before it is ended with UNAVAILABLE, its transaction cancelled;
 * after this returns the old transport may be destroyed. */
void otd_service_set_transport(struct otd_service *, struct otd_transport *);

void otd_service_run(struct otd_service *);
void otd_service_wait(struct otd_service *);

/* Bytes of requests that are spooled and not yet applied, in all calls. */
size_t otd_service_spooled(const struct otd_service *);

/* For memory/show: "calls", "spooled-KiB", ... */
void otd_service_get_memory_usage(const struct otd_service *, struct simap *);
/* For tunneld/status: appends lines about calls. */
void otd_service_format_status(const struct otd_service *, struct ds *);

#endif /* grpcsvc/service.h */
