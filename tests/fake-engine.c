/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tests/fake-engine.h"

#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/util.h"

#include "engine/engine.h"
#include "hash.h"
#include "util.h"

struct tunnel {
    struct hmap_node node;
    uint64_t id;
    size_t place;               /* In otd_engine's 'order'. */
    struct ofpbuf bytes;
    struct otd_counters counters;
};

struct otd_engine {
    const struct otd_codec *codec;
    struct hmap tunnels;
    struct tunnel **order;      /* In order of creation; NULL where deleted. */
    size_t n_order, allocated_order;
    uint64_t next_id;

    struct ovs_list txns;       /* Oldest first. */
    struct ovs_list refreshes;

    bool serving, held;
    size_t stream_rate, capacity, n_cancelled;
    const char *refresh_error;
};

struct otd_txn {
    struct ovs_list node;
    struct otd_engine *engine;
    void (*done)(void *aux, const struct otd_txn_result *);
    void *aux;
    struct ofpbuf bytes;
    size_t *ends;
    size_t n, allocated;
    size_t worked_off;          /* Of 'bytes'. */
    bool ended;
};

struct otd_refresh {
    struct ovs_list node;
    void (*done)(void *aux, const char *error);
    void *aux;
};

struct otd_engine *
otd_engine_create(struct otd_store *store OVS_UNUSED,
                  struct otd_ovsdb *ovsdb OVS_UNUSED,
                  const struct otd_codec *codec)
{
    struct otd_engine *e = xzalloc(sizeof *e);

    e->codec = codec;
    e->serving = true;
    e->capacity = SIZE_MAX;
    e->next_id = UINT64_C(1) << 32;
    hmap_init(&e->tunnels);
    ovs_list_init(&e->txns);
    ovs_list_init(&e->refreshes);
    return e;
}

char *
otd_engine_load(struct otd_engine *e OVS_UNUSED)
{
    return NULL;
}

static struct tunnel *
find(const struct otd_engine *e, uint64_t id)
{
    struct tunnel *t;

    HMAP_FOR_EACH_WITH_HASH (t, node, hash_uint64(id), &e->tunnels) {
        if (t->id == id) {
            return t;
        }
    }
    return NULL;
}

static void
tunnel_destroy(struct otd_engine *e, struct tunnel *t)
{
    hmap_remove(&e->tunnels, &t->node);
    e->order[t->place] = NULL;
    ofpbuf_uninit(&t->bytes);
    free(t);
}

static void
tunnel_put(struct otd_engine *e, const struct otd_spec *spec)
{
    struct tunnel *t = find(e, spec->id);

    if (!t) {
        t = xzalloc(sizeof *t);
        t->id = spec->id;
        ofpbuf_init(&t->bytes, 0);
        hmap_insert(&e->tunnels, &t->node, hash_uint64(t->id));
        if (e->n_order >= e->allocated_order) {
            e->order = x2nrealloc(e->order, &e->allocated_order,
                                  sizeof *e->order);
        }
        t->place = e->n_order++;
        e->order[t->place] = t;
    }
    ofpbuf_clear(&t->bytes);
    e->codec->encode(e->codec->aux, spec, &t->bytes);
}

static void
txn_destroy(struct otd_txn *txn)
{
    ovs_list_remove(&txn->node);
    ofpbuf_uninit(&txn->bytes);
    free(txn->ends);
    free(txn);
}

void
otd_engine_destroy(struct otd_engine *e)
{
    struct otd_txn *txn;
    struct otd_refresh *r;

    LIST_FOR_EACH_SAFE (txn, node, &e->txns) {
        txn_destroy(txn);
    }
    LIST_FOR_EACH_SAFE (r, node, &e->refreshes) {
        otd_engine_refresh_cancel(r);
    }
    for (size_t i = 0; i < e->n_order; i++) {
        if (e->order[i]) {
            tunnel_destroy(e, e->order[i]);
        }
    }
    hmap_destroy(&e->tunnels);
    free(e->order);
    free(e);
}

/* ---- Writes. */

struct otd_txn *
otd_txn_begin(struct otd_engine *e,
              void (*done)(void *aux, const struct otd_txn_result *),
              void *aux)
{
    struct otd_txn *txn = xzalloc(sizeof *txn);

    txn->engine = e;
    txn->done = done;
    txn->aux = aux;
    ofpbuf_init(&txn->bytes, 64);      /* Never NULL. */
    ovs_list_push_back(&e->txns, &txn->node);
    return txn;
}

void
otd_txn_append(struct otd_txn *txn, const void *bytes, size_t n)
{
    ovs_assert(!txn->ended);
    ofpbuf_put(&txn->bytes, bytes, n);
    if (txn->n >= txn->allocated) {
        txn->ends = x2nrealloc(txn->ends, &txn->allocated, sizeof *txn->ends);
    }
    txn->ends[txn->n++] = txn->bytes.size;
}

void
otd_txn_end(struct otd_txn *txn)
{
    ovs_assert(!txn->ended);
    txn->ended = true;
}

void
otd_txn_cancel(struct otd_txn *txn)
{
    txn->engine->n_cancelled++;
    txn_destroy(txn);
}

size_t
otd_txn_backlog(const struct otd_txn *txn)
{
    return txn->bytes.size - txn->worked_off;
}

/* Checks one request against the table and carries it out. */
static void
apply_one(struct otd_engine *e, const void *bytes, size_t n, uint64_t *id,
          struct otd_faults *faults)
{
    struct otd_caps caps;
    struct otd_spec spec;

    otd_engine_caps(e, &caps);
    if (!e->codec->decode(e->codec->aux, bytes, n, &spec, faults)) {
        return;
    }
    *id = spec.id;

    struct tunnel *t = find(e, spec.id);
    switch (spec.operation) {
    case OTD_OP_CREATE:
        if (t) {
            otd_fault(faults, OTD_FAULT_ALREADY_EXISTS, "tunnel_id",
                      "%"PRIu64" exists", spec.id);
        }
        otd_spec_check(&spec, &caps, faults);
        if (!otd_faults_any(faults)) {
            *id = spec.id = spec.id ? spec.id : e->next_id++;
            tunnel_put(e, &spec);
        }
        break;

    case OTD_OP_UPDATE:
        if (t) {
            struct otd_spec base;
            e->codec->decode(e->codec->aux, t->bytes.data, t->bytes.size,
                             &base, faults);
            otd_spec_merge(&base, &spec, faults);
            otd_spec_check(&base, &caps, faults);
            if (!otd_faults_any(faults)) {
                tunnel_put(e, &base);
            }
            break;
        }
        /* Fall through. */
    case OTD_OP_DELETE:
        if (!t) {
            otd_fault(faults, OTD_FAULT_MATCH_TUNNEL_ID, "tunnel_id",
                      "there is no tunnel %"PRIu64, spec.id);
        } else {
            tunnel_destroy(e, t);
        }
        break;

    default:
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS, "operation",
                  "%"PRIu32" is none of create, update, delete",
                  spec.operation);
        break;
    }
}

static void
add_entry(struct otd_txn_result *r, size_t *allocated, size_t index,
          uint64_t id, const struct otd_faults *faults)
{
    if (r->n_entries >= *allocated) {
        r->entries = x2nrealloc(r->entries, allocated, sizeof *r->entries);
    }
    r->entries[r->n_entries++] = (struct otd_txn_entry) {
        .index = index, .id = id, .faults = *faults,
    };
}

static void
apply(struct otd_engine *e, const struct otd_txn *txn,
      struct otd_txn_result *r)
{
    size_t allocated = 0;
    bool only_exists = true;
    size_t start = 0;

    for (size_t i = 0; i < txn->n; i++) {
        struct otd_faults faults = OTD_FAULTS_INITIALIZER;
        uint64_t next_id = e->next_id;
        uint64_t id = 0;

        apply_one(e, (const char *) txn->bytes.data + start,
                  txn->ends[i] - start, &id, &faults);
        start = txn->ends[i];
        if (otd_faults_any(&faults)) {
            only_exists &= faults.kind == OTD_FAULT_ALREADY_EXISTS;
            r->status = OTD_TXN_REJECTED;
            r->error_bits |= i < 64 ? UINT64_C(1) << i : 0;
        }
        if (otd_faults_any(&faults) || next_id != e->next_id) {
            add_entry(r, &allocated, i, id, &faults);
        }
    }
    if (r->status == OTD_TXN_REJECTED && only_exists) {
        r->status = OTD_TXN_ALREADY_EXISTS;
    }
}

static void
txn_complete(struct otd_engine *e, struct otd_txn *txn)
{
    struct otd_txn_result r = { .n_requests = txn->n };

    if (!e->serving) {
        r.status = OTD_TXN_TABLE_UNAVAILABLE;
        r.error = "the fake switch is away";
    } else if (hmap_count(&e->tunnels) + txn->n > e->capacity) {
        r.status = OTD_TXN_TABLE_FULL;
        r.error = "the fake table is full";
    } else {
        apply(e, txn, &r);
    }

    /* As in the real engine the transaction is gone before 'done' returns. */
    void (*done)(void *, const struct otd_txn_result *) = txn->done;
    void *aux = txn->aux;
    txn_destroy(txn);
    done(aux, &r);
    for (size_t i = 0; i < r.n_entries; i++) {
        otd_faults_destroy(&r.entries[i].faults);
    }
    free(r.entries);
}

void
otd_engine_run(struct otd_engine *e)
{
    struct otd_txn *txn;
    struct otd_refresh *r;

    LIST_FOR_EACH_SAFE (txn, node, &e->txns) {
        size_t backlog = otd_txn_backlog(txn);
        txn->worked_off += MIN(backlog, e->stream_rate);
        if (txn->ended && !e->held) {
            txn_complete(e, txn);
        }
    }
    LIST_FOR_EACH_SAFE (r, node, &e->refreshes) {
        if (!e->held) {
            ovs_list_remove(&r->node);
            r->done(r->aux, e->refresh_error);
            free(r);
        }
    }
}

void
otd_engine_wait(struct otd_engine *e)
{
    const struct otd_txn *txn;

    if (e->held) {
        return;
    }
    if (!ovs_list_is_empty(&e->refreshes)) {
        poll_immediate_wake();
    }
    LIST_FOR_EACH (txn, node, &e->txns) {
        if (txn->ended || (e->stream_rate && otd_txn_backlog(txn))) {
            poll_immediate_wake();
        }
    }
}

/* ---- Reads. */

bool
otd_engine_is_serving(const struct otd_engine *e, const char **why)
{
    if (why) {
        *why = e->serving ? NULL : "the fake switch is away";
    }
    return e->serving;
}

void
otd_engine_caps(const struct otd_engine *e OVS_UNUSED, struct otd_caps *caps)
{
    *caps = (struct otd_caps) {
        .ingress_interface_matching = true,
        .geneve_matching = true,
        .tunnel_matching = true,
        .n_geneve_options = 31,
    };
}

static void
view(const struct tunnel *t, struct otd_tunnel_view *v)
{
    v->id = t->id;
    v->bytes = t->bytes.data;
    v->n = t->bytes.size;
    v->counters = t->counters;
}

size_t
otd_engine_n_tunnels(const struct otd_engine *e)
{
    return hmap_count(&e->tunnels);
}

bool
otd_engine_get(const struct otd_engine *e, uint64_t id,
               struct otd_tunnel_view *v)
{
    const struct tunnel *t = find(e, id);

    if (t) {
        view(t, v);
    }
    return t != NULL;
}

bool
otd_engine_next(const struct otd_engine *e, uint64_t *cursor,
                struct otd_tunnel_view *v)
{
    while (*cursor < e->n_order) {
        const struct tunnel *t = e->order[(*cursor)++];
        if (t) {
            view(t, v);
            return true;
        }
    }
    return false;
}

struct otd_refresh *
otd_engine_refresh(struct otd_engine *e, bool all OVS_UNUSED,
                   uint64_t id OVS_UNUSED,
                   void (*done)(void *aux, const char *error), void *aux)
{
    struct otd_refresh *r = xzalloc(sizeof *r);

    r->done = done;
    r->aux = aux;
    ovs_list_push_back(&e->refreshes, &r->node);
    return r;
}

void
otd_engine_refresh_cancel(struct otd_refresh *r)
{
    ovs_list_remove(&r->node);
    free(r);
}

void
otd_engine_format_status(const struct otd_engine *e, struct ds *s)
{
    ds_put_format(s, "fake engine: %"PRIuSIZE" tunnels\n",
                  hmap_count(&e->tunnels));
}

void
otd_engine_unixctl_register(struct otd_engine *e OVS_UNUSED)
{
}

bool
otd_engine_cleanup_run(struct otd_engine *e OVS_UNUSED)
{
    return true;
}

/* ---- The tests' side. */

void
fake_engine_set_serving(struct otd_engine *e, bool serving)
{
    e->serving = serving;
}

void
fake_engine_set_stream_rate(struct otd_engine *e, size_t n)
{
    e->stream_rate = n;
}

void
fake_engine_hold(struct otd_engine *e, bool held)
{
    e->held = held;
}

void
fake_engine_set_capacity(struct otd_engine *e, size_t n)
{
    e->capacity = n;
}

void
fake_engine_set_refresh_error(struct otd_engine *e, const char *error)
{
    e->refresh_error = error;
}

void
fake_engine_set_counters(struct otd_engine *e, uint64_t id,
                         const struct otd_counters *counters)
{
    struct tunnel *t = find(e, id);

    ovs_assert(t);
    t->counters = *counters;
}

size_t
fake_engine_n_open(const struct otd_engine *e)
{
    return ovs_list_size(&e->txns) + ovs_list_size(&e->refreshes);
}

size_t
fake_engine_n_cancelled(const struct otd_engine *e)
{
    return e->n_cancelled;
}
