/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include <inttypes.h>
#include "hash.h"
#include "util.h"

/* A chain longer than this runs into the switch's own limit on resubmits. */
#define CHAIN_MAX 32

/* Ids that the server chooses start here, out of the way of ids that people
 * and counters choose. */
#define CHOSEN_ID_BASE (UINT64_C(1) << 40)

/* ---- What is being changed. */

/* Pendings go all at once, so they come from chunks, which grow from the few of a
 * small group to what malloc() maps and gives back to the system: one by one
 * among the tunnels, which stay, they would leave holes that nothing fits. */
#define CHUNK_MIN 4
#define CHUNK_MAX 1024

struct otd_pending_chunk {
    struct ovs_list node;       /* In the group's 'pending_chunks'. */
    size_t used, size;
    struct otd_pending pendings[];
};

static struct otd_pending *
new_pending(struct otd_group *group)
{
    struct otd_pending_chunk *chunk = NULL;

    if (!ovs_list_is_empty(&group->pending_chunks)) {
        chunk = CONTAINER_OF(ovs_list_back(&group->pending_chunks),
                             struct otd_pending_chunk, node);
    }
    if (!chunk || chunk->used >= chunk->size) {
        size_t size = chunk ? MIN(chunk->size * 8, CHUNK_MAX) : CHUNK_MIN;

        chunk = xmalloc(sizeof *chunk + size * sizeof *chunk->pendings);
        chunk->used = 0;
        chunk->size = size;
        ovs_list_push_back(&group->pending_chunks, &chunk->node);
    }

    struct otd_pending *p = &chunk->pendings[chunk->used++];
    memset(p, 0, sizeof *p);
    return p;
}

static void
forget_pendings(struct otd_group *group)
{
    struct otd_pending_chunk *chunk;

    LIST_FOR_EACH_POP (chunk, node, &group->pending_chunks) {
        free(chunk);
    }
    ovs_list_init(&group->pendings);
    group->n_pendings = 0;
    hmap_clear(&group->leaving);
}

struct otd_pending *
otd_group_touch(struct otd_group *group, struct otd_tunnel *t)
{
    struct otd_pending *p = t->pending;

    if (!p) {
        p = t->pending = new_pending(group);
        p->tunnel = t;
        p->existed = p->exists = true;
        p->old_installed = t->installed;
        p->old_match = t->match;
        p->old_drop = t->drop;
        ovs_list_push_back(&group->pendings, &p->node);
        group->n_pendings++;
    }
    return p;
}

/* Compiles what the switch holds (or has staged) for 't' into '*flows'. */
static void
compile_present(const struct otd_group *group, const struct otd_tunnel *t,
                struct otd_flows *flows)
{
    const struct otd_engine *engine = group->engine;
    const struct otd_pending *p = t->pending;
    struct otd_spec spec;

    otd_flows_clear(flows);
    if (!t->installed.active) {
        return;
    }
    if (p && p->old_bytes && !p->staged) {
        otd_tunnel_decode(engine, p->old_bytes, p->n_old, &spec);
    } else {
        otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
    }
    otd_compile_tunnel(&spec, &t->installed, &engine->bridge, &engine->tlvs,
                       flows);
}

struct otd_tunnel *
otd_group_find_leaving(const struct otd_group *group, uint64_t id)
{
    struct otd_pending *p;

    HMAP_FOR_EACH_WITH_HASH (p, leaving, hash_uint64(id), &group->leaving) {
        if (p->tunnel->id == id) {
            return p->tunnel;
        }
    }
    return NULL;
}

/* Remembers which request named another tunnel, to blame it if that is amiss. */
static void
note_naming(struct otd_group *group, struct otd_pending *p, struct otd_txn *txn,
            uint32_t index)
{
    if (group->n_namings >= group->allocated_namings) {
        group->namings = x2nrealloc(group->namings, &group->allocated_namings,
                                    sizeof *group->namings);
    }
    group->namings[group->n_namings++] = (struct otd_naming) {
        .pending = p, .txn = txn, .index = index, .after = p->tunnel->after,
    };
}

/* Takes back flows of 't' that this group has already staged. */
static void
unstage(struct otd_group *group, struct otd_tunnel *t)
{
    if (t->pending->staged) {
        struct otd_flows *flows = &group->engine->scratch;

        compile_present(group, t, flows);
        for (size_t i = 0; i < flows->n; i++) {
            otd_stage_flow(&group->stage, OTD_FLOW_DELETE_STRICT,
                           &flows->flows[i], t->installed.key);
            /* It, too, says its last word, maybe after the group has ended. */
            otd_tally_bank(otd_tally_of(t, flows->flows[i].cookie));
        }
        t->pending->staged = false;
        t->installed.active = false;
    }
}

/* Flows of 't' in 'scratch' that are not in 'scratch2' are going. */
static void
bank_removed(struct otd_engine *engine, struct otd_tunnel *t)
{
    for (size_t i = 0; i < engine->scratch.n; i++) {
        const struct otd_flow *f = &engine->scratch.flows[i];

        if (!otd_flows_find_rule(&engine->scratch2, f)) {
            otd_tally_bank(otd_tally_of(t, f->cookie));
            t->changed_at = ++engine->change_number;
            t->saved = false;
        }
    }
}

/* Removes all flows that the switch has of 't'. */
static void
unplug(struct otd_group *group, struct otd_tunnel *t)
{
    struct otd_engine *engine = group->engine;

    otd_flows_clear(&engine->scratch2);
    compile_present(group, t, &engine->scratch);
    otd_stage_difference(&group->stage, &engine->scratch, &engine->scratch2,
                         t->installed.key);
    bank_removed(engine, t);
    t->installed.active = false;
}

static bool
same_match(const struct otd_spec *a, const struct otd_spec *b)
{
    struct otd_match_key x, y;

    otd_match_key_init(&x, a);
    otd_match_key_init(&y, b);
    return !memcmp(&x, &y, sizeof x);
}

/* Brings the flows of 't' to what they should be now. */
static void
stage_tunnel(struct otd_group *group, struct otd_tunnel *t,
             const struct otd_spec *spec)
{
    struct otd_engine *engine = group->engine;
    struct otd_tunnel_facts facts;

    otd_flows_clear(&engine->scratch);
    otd_flows_clear(&engine->scratch2);
    compile_present(group, t, &engine->scratch);
    otd_tunnel_wanted_facts(engine, t, &facts, NULL);
    otd_compile_tunnel(spec, &facts, &engine->bridge, &engine->tlvs,
                       &engine->scratch2);
    otd_stage_difference(&group->stage, &engine->scratch, &engine->scratch2,
                         t->installed.key);
    bank_removed(engine, t);
    t->installed = facts;
    t->pending->staged = true;
}

/* ---- One request. */

static struct otd_tunnel *
new_tunnel(struct otd_engine *engine, uint64_t id)
{
    struct otd_tunnel *t = xzalloc(sizeof *t);

    t->id = id;
    t->installed.key = engine->table.next_key;
    t->installed.in_port = OFPP_NONE;
    t->saved = true;            /* No row of counters means zeros. */
    do {
        engine->table.next_key++;
        if (!engine->table.next_key) {
            engine->table.next_key = 1;
        }
    } while (otd_table_by_key(&engine->table, engine->table.next_key));
    otd_table_insert_key(&engine->table, t);
    return t;
}

static void
insert(struct otd_engine *engine, struct otd_tunnel *t,
       const struct otd_spec *spec, const struct otd_hashed_match *match,
       const struct ofpbuf *bytes)
{
    otd_table_insert(&engine->table, t, spec, match,
                     xmemdup(bytes->data, bytes->size), bytes->size);
    if (t->has_options) {
        otd_tlv_note_use(engine, &spec->encap);
    }
    if (t->iface && t->iface->ofport == OFPP_NONE) {
        t->iface->ofport = otd_ovsdb_ofport(engine->ovsdb, t->iface->name);
    }
}

static uint64_t
choose_id(const struct otd_engine *engine)
{
    uint64_t id = CHOSEN_ID_BASE + engine->table.next_key;

    while (otd_table_find(&engine->table, id)) {
        id++;
    }
    return id;
}

/* Checks 'spec' by itself.  How many options there is room for takes a walk, and
 * most requests have none. */
static void
check_spec(const struct otd_engine *engine, const struct otd_spec *spec,
           struct otd_faults *faults)
{
    struct otd_caps caps;

    otd_engine_caps_for(engine, spec->kind == OTD_KIND_GENEVE_ENCAP
                        && spec->encap.options_len, &caps);
    otd_spec_check(spec, &caps, faults);
}

/* What only this host and the other tunnels can say against a request. */
static void
check_here(struct otd_group *group, const struct otd_spec *spec,
           const struct otd_hashed_match *match,
           const struct otd_tunnel *self, struct otd_faults *faults)
{
    struct otd_engine *engine = group->engine;
    const char *ifname = spec->match.ingress_interface;
    const struct otd_tunnel *other;

    if (ifname[0] && otd_ovsdb_is_tunnel_port(engine->ovsdb, ifname)) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD,
                  "match_criteria.ingress_interface",
                  "%s is a tunnel port; match what it delivers with a "
                  "decapsulating tunnel and name that in tunnel_id", ifname);
    } else if (ifname[0]
               && otd_ovsdb_ofport(engine->ovsdb, ifname) == OFPP_NONE) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD,
                  "match_criteria.ingress_interface",
                  "there is no interface %s on bridge %s; add it to the bridge "
                  "first", ifname, otd_ovsdb_settings(engine->ovsdb)->bridge);
    }

    other = otd_table_find_match(&engine->table, engine->codec, match, self);
    if (other) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, "match_criteria",
                  "tunnel %"PRIu64" has the same effective match; change one "
                  "of them, or delete that tunnel first", other->id);
    }
    if (spec->kind == OTD_KIND_GENEVE_ENCAP) {
        otd_tlv_check_options(engine, &spec->encap, faults);
    }
}

static char *
put_row(struct otd_group *group, const struct otd_tunnel *t)
{
    struct otd_engine *engine = group->engine;

    return otd_store_put(engine->store, t->id, t->installed.key, t->bytes,
                         t->n_bytes);
}

/* A tunnel whose flows depend on nothing that a later request of the stream could
 * change is staged at once, so that the switch works while the stream comes in. */
static void
stage_early(struct otd_group *group, struct otd_tunnel *t,
            const struct otd_spec *spec)
{
    struct otd_engine *engine = group->engine;

    if (!t->after && otd_session_is_up(engine->ctl)) {
        struct otd_tunnel_facts facts;

        otd_tunnel_wanted_facts(engine, t, &facts, NULL);
        t->installed = facts;
        otd_compile_tunnel_bytes(spec, &t->installed, &engine->bridge,
                                 &engine->tlvs, &engine->scratch_set);
        otd_stage_add_bytes(&group->stage, &engine->scratch_set,
                            t->installed.key);
        t->pending->staged = true;
    }
}

/* New options of a good request are mapped, durably, before anything uses them:
 * the map has no mark of whose a mapping is, so that only our store can tell. */
static bool
must_map_first(struct otd_group *group, const struct otd_spec *spec)
{
    return (spec->kind == OTD_KIND_GENEVE_ENCAP && spec->encap.options_len
            && otd_tlv_reserve(group, &spec->encap));
}

static void
apply_create(struct otd_group *group, struct otd_spec *spec,
             const struct otd_hashed_match *match,
             struct otd_faults *faults, struct otd_tunnel **tp)
{
    struct otd_engine *engine = group->engine;
    struct otd_tunnel *t = otd_table_find(&engine->table, spec->id);

    if (spec->id && t) {
        otd_fault(faults, OTD_FAULT_ALREADY_EXISTS, "tunnel_id",
                  "tunnel %"PRIu64" exists; update it, or delete it first",
                  spec->id);
    }
    check_spec(engine, spec, faults);
    if (otd_faults_any(faults)) {
        return;
    }
    check_here(group, spec, match, NULL, faults);
    if (otd_faults_any(faults) || must_map_first(group, spec)) {
        return;
    }

    if (!spec->id) {
        spec->id = choose_id(engine);
    }
    t = new_tunnel(engine, spec->id);
    ofpbuf_clear(&engine->scratch_bytes);
    engine->codec->encode(engine->codec->aux, spec, &engine->scratch_bytes);
    insert(engine, t, spec, match, &engine->scratch_bytes);
    otd_group_touch(group, t)->existed = false;
    stage_early(group, t, spec);
    *tp = t;
}

static void
apply_update(struct otd_group *group, const struct otd_spec *patch,
             struct otd_faults *faults, struct otd_tunnel **tp)
{
    struct otd_engine *engine = group->engine;
    struct otd_tunnel *t = otd_table_find(&engine->table, patch->id);
    struct otd_hashed_match match;
    struct otd_spec old, spec;

    if (!t) {
        otd_fault(faults, OTD_FAULT_MATCH_TUNNEL_ID, "tunnel_id",
                  "there is no tunnel %"PRIu64" to update; create it",
                  patch->id);
    }
    if (otd_faults_any(faults)) {
        return;
    }
    otd_tunnel_decode(engine, t->bytes, t->n_bytes, &old);
    spec = old;
    otd_spec_merge(&spec, patch, faults);
    if (otd_faults_any(faults)) {
        return;
    }
    check_spec(engine, &spec, faults);
    if (!otd_faults_any(faults)) {
        otd_hashed_match_init(&match, &spec);
        check_here(group, &spec, &match, t, faults);
    }
    if (otd_faults_any(faults) || must_map_first(group, &spec)) {
        return;
    }

    struct otd_pending *p = otd_group_touch(group, t);

    unstage(group, t);
    if (!same_match(&old, &spec)) {
        /* Now, not at the end: a later request may take over the match. */
        unplug(group, t);
    }
    engine->tlv_gc_wanted |= t->has_options;
    otd_table_remove(&engine->table, t);
    if (p->existed && !p->old_bytes) {
        p->old_bytes = t->bytes;
        p->n_old = t->n_bytes;
    } else {
        free(t->bytes);
    }
    ofpbuf_clear(&engine->scratch_bytes);
    engine->codec->encode(engine->codec->aux, &spec, &engine->scratch_bytes);
    insert(engine, t, &spec, &match, &engine->scratch_bytes);
    *tp = t;
}

static void
apply_delete(struct otd_group *group, const struct otd_spec *spec,
             struct otd_faults *faults, struct otd_tunnel **tp)
{
    struct otd_engine *engine = group->engine;
    struct otd_tunnel *t = otd_table_find(&engine->table, spec->id);

    if (!t) {
        otd_fault(faults, OTD_FAULT_MATCH_TUNNEL_ID, "tunnel_id",
                  "there is no tunnel %"PRIu64" to delete", spec->id);
        return;
    }
    otd_faults_destroy(faults); /* Only the id counts in a delete. */
    otd_group_touch(group, t);
    unstage(group, t);
    engine->tlv_gc_wanted |= t->has_options;
    /* Now, not at the end: a later request may take over the match. */
    unplug(group, t);
    t->pending->exists = false;
    otd_table_remove(&engine->table, t);
    if (t->pending->existed) {
        hmap_insert(&group->leaving, &t->pending->leaving,
                    hash_uint64(t->id));
    }
    *tp = t;
}

/* Requests that need our ports wait for them before anything is done. */
static bool
must_wait_for_port(struct otd_group *group, const struct otd_spec *spec)
{
    struct otd_engine *engine = group->engine;

    if (spec->operation != OTD_OP_CREATE
        || (engine->bridge.geneve_port != OFPP_NONE
            && engine->bridge.geneve_in4 != OFPP_NONE
            && engine->bridge.geneve_in6 != OFPP_NONE)
        || (spec->kind != OTD_KIND_GENEVE_ENCAP
            && spec->kind != OTD_KIND_GENEVE_DECAP)) {
        return false;
    }
    otd_engine_want_ports(engine, true);
    return true;
}

static void
dispatch(struct otd_group *group, struct otd_decoded *d, struct otd_tunnel **t)
{
    struct otd_faults *faults = &d->faults;
    struct otd_spec *spec = &d->spec;

    switch (spec->operation) {
    case OTD_OP_CREATE:
        apply_create(group, spec, &d->match, faults, t);
        break;
    case OTD_OP_UPDATE:
        apply_update(group, spec, faults, t);
        break;
    case OTD_OP_DELETE:
        apply_delete(group, spec, faults, t);
        break;
    default:
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS, "operation",
                  "%"PRIu32" is none of _CREATE (1), _UPDATE (2) and _DELETE "
                  "(3)", spec->operation);
        break;
    }
}

void
otd_group_decode(const struct otd_engine *engine, const void *bytes, size_t n,
                 struct otd_decoded *d)
{
    otd_faults_init(&d->faults);
    d->ok = engine->codec->decode(engine->codec->aux, bytes, n, &d->spec,
                                  &d->faults);
    if (d->ok) {
        otd_hashed_match_init(&d->match, &d->spec);
        otd_table_prefetch(&engine->table, d->spec.id, &d->match);
    }
}

bool
otd_group_apply(struct otd_group *group, struct otd_txn *txn, uint32_t index,
                struct otd_decoded *d)
{
    struct otd_engine *engine = group->engine;
    const struct otd_faults *forced = otd_txn_forced(txn, index);
    struct otd_spec *spec = &d->spec;
    struct otd_tunnel *t = NULL;
    bool chosen;

    if (!d->ok) {
        otd_txn_add_entry(txn, index, 0, &d->faults);
        return true;
    }
    chosen = !spec->id && spec->operation == OTD_OP_CREATE;
    if (forced) {
        otd_faults_append(&d->faults, forced);
    } else if (must_wait_for_port(group, spec)) {
        otd_faults_destroy(&d->faults);
        return false;
    } else {
        dispatch(group, d, &t);
        if (group->reserving) {
            otd_faults_destroy(&d->faults);
            return false;
        }
    }

    if (t) {
        struct otd_pending *p = t->pending;
        bool gone = spec->operation == OTD_OP_DELETE;
        char *error;

        p->txn = txn;
        p->index = index;
        if (spec->match.tunnel_id && !gone) {
            note_naming(group, p, txn, index);
        }
        txn->n_created += spec->operation == OTD_OP_CREATE;
        error = (gone ? otd_store_delete(engine->store, t->installed.key)
                 : put_row(group, t));
        if (error) {
            /* The stage carries what stops the whole group. */
            group->stage.failed = true;
            free(group->stage.error);
            group->stage.error = error;
        }
    }
    if (otd_faults_any(&d->faults) || chosen) {
        otd_txn_add_entry(txn, index, spec->id, &d->faults);
    }
    otd_faults_destroy(&d->faults);
    engine->n_requests++;
    return true;
}

/* ---- The end of the last stream: what depends on other tunnels. */

static void
touch_around(struct otd_group *group, const struct otd_tunnel *t,
             uint64_t old_after)
{
    struct otd_table *table = &group->engine->table;
    struct otd_tunnel *o;

    for (o = otd_table_first_after(table, t->id); o;
         o = otd_table_next_after(o)) {
        otd_group_touch(group, o);
    }
    if (t->after && (o = otd_table_find(table, t->after))) {
        otd_group_touch(group, o);
    }
    if (old_after && old_after != t->after
        && (o = otd_table_find(table, old_after))) {
        otd_group_touch(group, o);
    }
}

static uint64_t
old_after(const struct otd_engine *engine, const struct otd_pending *p)
{
    struct otd_spec spec;

    if (!p->old_bytes) {
        return 0;
    }
    otd_tunnel_decode(engine, p->old_bytes, p->n_old, &spec);
    return spec.match.tunnel_id;
}

/* What is wrong with the tunnel that 't' names: it is not there, it leads in a
 * circle or too far.  Owned; NULL if nothing is. */
static char *
check_reference(const struct otd_group *group, const struct otd_tunnel *t)
{
    const struct otd_table *table = &group->engine->table;
    const struct otd_tunnel *o = t;
    char *text = NULL;

    if (!otd_table_find(table, t->after)) {
        text = xasprintf("there is no tunnel %"PRIu64"; create it before or in "
                         "the same stream", t->after);
    }
    for (int depth = 0; !text && o && o->after; depth++) {
        o = otd_table_find(table, o->after);
        if (o == t) {
            text = xasprintf("tunnel %"PRIu64" follows itself through tunnel "
                             "%"PRIu64"; break the circle", t->id, t->after);
        } else if (depth >= CHAIN_MAX) {
            text = xasprintf("the chain through tunnel %"PRIu64" is longer than "
                             "%d tunnels", t->after, CHAIN_MAX);
        }
    }
    return text;
}

/* What a chain of overlays cannot be in one pass of the switch. */
static char *
check_chain_kind(const struct otd_group *group, const struct otd_tunnel *t)
{
    const struct otd_tunnel *prev = otd_table_find(&group->engine->table,
                                                   t->after);

    return (prev && prev->kind == OTD_KIND_GENEVE_ENCAP
            && t->kind == OTD_KIND_GENEVE_ENCAP
            ? xasprintf("a geneve encap after tunnel %"PRIu64" (geneve "
                        "encap): a second overlay encapsulation cannot be "
                        "expressed in one pass of the switch", prev->id)
            : NULL);
}

/* Without its last request a tunnel would name what the one before it named: what
 * cannot stand of that is refused now, too, and not one pass later each. */
static void
blame_earlier(struct otd_group *group)
{
    for (size_t i = 0; i < group->n_namings; i++) {
        const struct otd_naming *n = &group->namings[i];

        if (n->pending->dangling
            && !otd_table_find(&group->engine->table, n->after)) {
            char *text = xasprintf("there is no tunnel %"PRIu64"; create it "
                                   "before or in the same stream", n->after);

            otd_txn_force_failure(n->txn, n->index, OTD_FAULT_MATCH_TUNNEL_ID,
                                  "match_criteria.tunnel_id", text);
            free(text);
        }
    }
}

/* Finds references that cannot stand and forces the requests that made them to
 * fail: all that named the same tunnel, at once.  True if there are none. */
static bool
check_references(struct otd_group *group)
{
    bool ok = true;

    for (size_t i = 0; i < group->n_namings; i++) {
        const struct otd_naming *n = &group->namings[i];
        const struct otd_tunnel *t = n->pending->tunnel;
        enum otd_fault_kind kind = OTD_FAULT_MATCH_TUNNEL_ID;
        char *text;

        if (!n->pending->exists || t->after != n->after) {
            continue;           /* Deleted, or it names another one since. */
        }
        text = check_reference(group, t);
        if (!text) {
            text = check_chain_kind(group, t);
            kind = OTD_FAULT_TUNNEL_NOT_SUPPORTED;
        }
        if (text) {
            otd_txn_force_failure(n->txn, n->index, kind,
                                  "match_criteria.tunnel_id", text);
            free(text);
            n->pending->dangling = true;
            ok = false;
        }
    }
    if (!ok) {
        blame_earlier(group);
    }
    return ok;
}

bool
otd_group_finish(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;
    struct otd_pending *p;

    if (!check_references(group)) {
        return false;
    }
    /* The list grows while it is walked, at its end, by tunnels that no request
     * touched: these have neighbours already taken care of. */
    LIST_FOR_EACH (p, node, &group->pendings) {
        if (p->txn) {
            touch_around(group, p->tunnel, old_after(engine, p));
        }
    }

    LIST_FOR_EACH (p, node, &group->pendings) {
        struct otd_tunnel *t = p->tunnel;
        struct otd_tunnel_facts facts;
        struct otd_spec spec;

        if (!p->exists) {
            continue;
        }
        otd_tunnel_wanted_facts(engine, t, &facts, NULL);
        if ((p->staged || (p->existed && !p->old_bytes))
            && !memcmp(&facts, &t->installed, sizeof facts)) {
            continue;
        }
        otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
        stage_tunnel(group, t, &spec);
    }
    return true;
}

/* ---- Back to how it was. */

static void
undo_one(struct otd_engine *engine, struct otd_pending *p)
{
    struct otd_tunnel *t = p->tunnel;

    if (p->exists) {
        otd_table_remove(&engine->table, t);
    }
    if (p->existed) {
        struct otd_hashed_match match;
        struct otd_spec spec;
        uint8_t *bytes = p->old_bytes ? p->old_bytes : t->bytes;
        size_t n = p->old_bytes ? p->n_old : t->n_bytes;

        if (p->old_bytes) {
            free(t->bytes);
            p->old_bytes = NULL;
        }
        otd_tunnel_decode(engine, bytes, n, &spec);
        otd_hashed_match_init(&match, &spec);
        otd_table_insert(&engine->table, t, &spec, &match, bytes, n);
        if (t->iface && t->iface->ofport == OFPP_NONE) {
            t->iface->ofport = otd_ovsdb_ofport(engine->ovsdb, t->iface->name);
        }
        t->installed = p->old_installed;
        if (t->iface && t->installed.active
            && t->installed.in_port != t->iface->ofport) {
            t->iface->changed = true;   /* It moved meanwhile. */
            engine->ifaces_changed = true;
        }
        t->match = p->old_match;
        t->drop = p->old_drop;
        t->pending = NULL;
    } else {
        otd_table_remove_key(&engine->table, t);
        otd_tunnel_free(t);
    }
}

void
otd_group_undo(struct otd_group *group)
{
    struct otd_pending *p;

    /* First all new ones out, so that no index holds two of one id or match. */
    LIST_FOR_EACH (p, node, &group->pendings) {
        if (p->exists) {
            otd_table_remove(&group->engine->table, p->tunnel);
            p->exists = false;
        }
    }
    LIST_FOR_EACH (p, node, &group->pendings) {
        undo_one(group->engine, p);
        free(p->old_bytes);
    }
    forget_pendings(group);
}

/* The changes stand: forgets how it was. */
void
otd_group_free_pendings(struct otd_group *group)
{
    struct otd_pending *p;

    unsigned int now = ++group->engine->change_number;

    LIST_FOR_EACH (p, node, &group->pendings) {
        if (p->exists) {
            /* A dump that began before has counters of flows before. */
            p->tunnel->changed_at = now;
            p->tunnel->pending = NULL;
        } else {
            otd_table_remove_key(&group->engine->table, p->tunnel);
            otd_tunnel_free(p->tunnel);
        }
        free(p->old_bytes);
    }
    forget_pendings(group);
}
