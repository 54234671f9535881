/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include "hash.h"
#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "util.h"

struct otd_txn *
otd_txn_begin(struct otd_engine *engine,
              void (*done)(void *aux, const struct otd_txn_result *), void *aux)
{
    struct otd_txn *txn = xzalloc(sizeof *txn);

    txn->engine = engine;
    txn->state = OTD_TXN_SPOOLING;
    txn->done = done;
    txn->aux = aux;
    txn->fed_at = time_msec();
    otd_spool_init(&txn->spool);
    otd_spool_rewind(&txn->spool, &txn->cursor);
    hmap_init(&txn->forced);
    ovs_list_push_back(&engine->spooling, &txn->node);
    return txn;
}

void
otd_txn_append(struct otd_txn *txn, const void *bytes, size_t n)
{
    ovs_assert(!txn->ended);
    otd_spool_append(&txn->spool, bytes, n);
    txn->fed_at = time_msec();
}

void
otd_txn_end(struct otd_txn *txn)
{
    ovs_assert(!txn->ended);
    txn->ended = true;
    txn->ended_at = time_msec();
    if (txn->state == OTD_TXN_SPOOLING) {
        txn->state = OTD_TXN_WAITING;
        ovs_list_remove(&txn->node);
        ovs_list_push_back(&txn->engine->waiting, &txn->node);
    }
    poll_immediate_wake();
}

size_t
otd_txn_backlog(const struct otd_txn *txn)
{
    return txn->spool.bytes - txn->applied_bytes;
}

void
otd_txn_cancel(struct otd_txn *txn)
{
    if (txn->state == OTD_TXN_IN_GROUP) {
        otd_group_cancel_txn(txn);
    } else {
        ovs_list_remove(&txn->node);
        otd_txn_free(txn);
    }
}

void
otd_txn_free(struct otd_txn *txn)
{
    struct otd_forced *f;

    otd_txn_clear_results(txn);
    free(txn->entries);
    HMAP_FOR_EACH_POP (f, node, &txn->forced) {
        otd_faults_destroy(&f->faults);
        free(f);
    }
    hmap_destroy(&txn->forced);
    otd_spool_destroy(&txn->spool);
    free(txn);
}

/* ---- Results. */

void
otd_txn_clear_results(struct otd_txn *txn)
{
    for (size_t i = 0; i < txn->n_entries; i++) {
        otd_faults_destroy(&txn->entries[i].faults);
    }
    txn->n_entries = 0;
    txn->n_failed = txn->n_exists = txn->n_created = 0;
    txn->fits = false;
    txn->error_bits = 0;
    txn->applied_bytes = 0;
}

void
otd_txn_add_entry(struct otd_txn *txn, uint32_t index, uint64_t id,
                  struct otd_faults *faults)
{
    struct otd_txn_entry *e;

    if (txn->n_entries >= txn->allocated_entries) {
        txn->entries = x2nrealloc(txn->entries, &txn->allocated_entries,
                                  sizeof *txn->entries);
    }
    e = &txn->entries[txn->n_entries++];
    e->index = index;
    e->id = id;
    e->faults = *faults;
    otd_faults_init(faults);

    if (otd_faults_any(&e->faults)) {
        txn->n_failed++;
        txn->n_exists += !!(e->faults.kinds
                            & 1u << OTD_FAULT_ALREADY_EXISTS);
        if (index < 64) {
            txn->error_bits |= UINT64_C(1) << index;
        }
    }
}

static enum otd_txn_status
txn_status(const struct otd_txn *txn)
{
    return (!txn->n_failed ? OTD_TXN_ACCEPTED
            : txn->n_failed == txn->n_exists ? OTD_TXN_ALREADY_EXISTS
            : OTD_TXN_REJECTED);
}

void
otd_txn_complete(struct otd_txn *txn, int status, const char *error)
{
    if (status >= 0) {
        /* Nothing of the stream stands: no request has a result of its own. */
        otd_txn_clear_results(txn);
        txn->error_bits = txn->spool.n >= 64 ? UINT64_MAX
                          : (UINT64_C(1) << txn->spool.n) - 1;
    }

    struct otd_txn_result result = {
        .status = status >= 0 ? (enum otd_txn_status) status : txn_status(txn),
        .error_bits = txn->error_bits,
        .n_requests = txn->spool.n,
        .n_entries = txn->n_entries,
        .entries = txn->entries,
        .error = error,
    };
    if (txn->done) {
        txn->done(txn->aux, &result);
    }
    otd_txn_free(txn);
}

/* ---- Requests that must fail in the next attempt. */

const struct otd_faults *
otd_txn_forced(const struct otd_txn *txn, uint32_t index)
{
    const struct otd_forced *f;

    HMAP_FOR_EACH_WITH_HASH (f, node, hash_int(index, 0), &txn->forced) {
        if (f->index == index) {
            return &f->faults;
        }
    }
    return NULL;
}

void
otd_txn_force_failure(struct otd_txn *txn, uint32_t index,
                      enum otd_fault_kind kind, const char *path,
                      const char *text)
{
    if (!otd_txn_forced(txn, index)) {
        struct otd_forced *f = xzalloc(sizeof *f);

        f->index = index;
        otd_faults_init(&f->faults);
        otd_fault(&f->faults, kind, path, "%s", text);
        hmap_insert(&txn->forced, &f->node, hash_int(index, 0));
    }
}
