/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_ENGINE_H
#define OTD_ENGINE_H 1

/* The engine owns the tunnel table and orders the effects: store, switch,
 * database.  Main thread only.  Four verbs; requests go in as bytes and come out
 * as results when they are durable and confirmed by the switch.
 *
 * A *transaction* is one client stream.  Its requests are spooled; a transaction
 * that nobody can be held up by is applied while it still streams in (its flows
 * are staged in uncommitted bundles, its rows in an uncommitted store
 * transaction, so that a cancel leaves nothing), all others when they are
 * complete; complete ones that are waiting together share one store commit and
 * one barrier. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/fault.h"
#include "tunnel/codec.h"
#include "tunnel/spec.h"

struct ds;
struct otd_engine;
struct otd_ovsdb;
struct otd_store;
struct otd_txn;

struct otd_engine *otd_engine_create(struct otd_store *, struct otd_ovsdb *,
                                     const struct otd_codec *);       /* Borrows. */
/* Reads the store.  NULL, or an owned sentence: then do not start. */
char *otd_engine_load(struct otd_engine *);
void otd_engine_destroy(struct otd_engine *);
void otd_engine_run(struct otd_engine *);
void otd_engine_wait(struct otd_engine *);

/* The pipeline is in and equals the plan.  If not, '*why' (may be NULL) is set to
 * a sentence, borrowed until the next run. */
bool otd_engine_is_serving(const struct otd_engine *, const char **why);

void otd_engine_caps(const struct otd_engine *, struct otd_caps *);

/* ---- Writes. */

enum otd_txn_status {           /* Values of the API's AddTunnelStatus. */
    OTD_TXN_ACCEPTED = 0,
    OTD_TXN_REJECTED = 1,
    OTD_TXN_TABLE_FULL = 2,
    OTD_TXN_TABLE_UNAVAILABLE = 3,
    OTD_TXN_ALREADY_EXISTS = 4,
};

struct otd_txn_entry {          /* A request worth reporting on. */
    uint32_t index;             /* Its place in the stream, from 0. */
    uint64_t id;                /* The tunnel's id (chosen, if it was 0). */
    struct otd_faults faults;   /* Empty: accepted, reported for its chosen id. */
};

struct otd_txn_result {
    enum otd_txn_status status;
    uint64_t error_bits;        /* Bit n: request n (0..63) failed. */
    size_t n_requests;
    size_t n_entries;
    struct otd_txn_entry *entries;      /* In order of 'index'. */
    const char *error;          /* Of the stream as a whole, or NULL. */
};

/* 'done' is called once, from otd_engine_run(), with a result that it borrows;
 * the transaction is gone after it.  Not called after otd_txn_cancel(). */
struct otd_txn *otd_txn_begin(struct otd_engine *,
                              void (*done)(void *aux, const struct otd_txn_result *),
                              void *aux);
void otd_txn_append(struct otd_txn *, const void *bytes, size_t n);    /* Copies. */
void otd_txn_end(struct otd_txn *);     /* The client half-closed. */
void otd_txn_cancel(struct otd_txn *);  /* Nothing of it stays; frees. */
/* Bytes appended and not yet applied.  The service grants the client more window
 * only while this is small or the transaction must be complete to go on. */
size_t otd_txn_backlog(const struct otd_txn *);

/* ---- Reads. */

struct otd_counters {           /* Monotonic totals. */
    uint64_t in_packets, out_packets, in_bytes, out_bytes;
    uint64_t in_packets_drops, out_packets_drops, in_bytes_drops, out_bytes_drops;
};

struct otd_tunnel_view {
    uint64_t id;
    const void *bytes;          /* Canonical request; borrowed until the next run. */
    size_t n;
    struct otd_counters counters;
};

size_t otd_engine_n_tunnels(const struct otd_engine *);
bool otd_engine_get(const struct otd_engine *, uint64_t id, struct otd_tunnel_view *);
/* Walks all tunnels in order of their creation: '*cursor' starts at 0.  Tunnels
 * that come or go meanwhile may or may not show up; no other is missed or twice. */
bool otd_engine_next(const struct otd_engine *, uint64_t *cursor,
                     struct otd_tunnel_view *);

/* Reads fresh counters from the switch, of one tunnel ('all' false) or of all,
 * then calls 'done' from otd_engine_run() (with an error, borrowed, if the switch
 * could not be asked: the last known counters then stand).  Calls that wait for the
 * same dump share it.  Returns a handle for otd_engine_refresh_cancel(). */
struct otd_refresh;
struct otd_refresh *otd_engine_refresh(struct otd_engine *, bool all, uint64_t id,
                                       void (*done)(void *aux, const char *error),
                                       void *aux);
void otd_engine_refresh_cancel(struct otd_refresh *);

/* ---- For people (appctl and ovs-tunnelctl). */

void otd_engine_format_status(const struct otd_engine *, struct ds *);
/* Registers tunnel/..., flows/... and pipeline/... with unixctl. */
void otd_engine_unixctl_register(struct otd_engine *);

/* Removes every flow and mapping of ours; true once confirmed. */
bool otd_engine_cleanup_run(struct otd_engine *);

#endif /* engine/engine.h */
