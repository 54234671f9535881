/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include <inttypes.h>
#include "hash.h"
#include "util.h"

static uint32_t
hash_id(uint64_t id)
{
    return hash_uint64(id);
}

void
otd_table_init(struct otd_table *table)
{
    memset(table, 0, sizeof *table);
    otd_index_init(&table->by_id);
    otd_index_init(&table->by_match);
    hmap_init(&table->followed);
    hmap_init(&table->ifaces);
    table->next_key = 1;
}

void
otd_table_destroy(struct otd_table *table)
{
    struct otd_tunnel *t;
    uint32_t key = 0;

    while ((t = otd_table_next_key(table, key)) != NULL) {
        key = t->installed.key + 1;
        otd_table_remove(table, t);
        otd_tunnel_free(t);
    }
    otd_index_destroy(&table->by_id);
    otd_index_destroy(&table->by_match);
    hmap_destroy(&table->followed);
    hmap_destroy(&table->ifaces);
    for (size_t i = 0; i < table->n_chunks; i++) {
        free(table->chunks[i]);
    }
    free(table->chunks);
    free(table->chunk_used);
}

struct otd_tunnel *
otd_table_find(const struct otd_table *table, uint64_t id)
{
    size_t pos = 0;
    uint32_t key;

    while ((key = otd_index_next(&table->by_id, hash_id(id), &pos)) != 0) {
        struct otd_tunnel *t = otd_table_by_key(table, key);

        if (t->id == id) {
            return t;
        }
    }
    return NULL;
}

void
otd_hashed_match_init(struct otd_hashed_match *match,
                      const struct otd_spec *spec)
{
    otd_match_key_init(&match->key, spec);
    match->hash = otd_match_key_hash(&match->key);
}

void
otd_table_prefetch(const struct otd_table *table, uint64_t id,
                   const struct otd_hashed_match *match)
{
    otd_index_prefetch(&table->by_id, hash_id(id));
    otd_index_prefetch(&table->by_match, match->hash);
}

/* ---- Keys: an array of arrays, since keys are dense and grow. */

struct otd_tunnel *
otd_table_by_key(const struct otd_table *table, uint32_t key)
{
    size_t c = key / OTD_KEY_CHUNK;

    return (c < table->n_chunks && table->chunks[c]
            ? table->chunks[c][key % OTD_KEY_CHUNK] : NULL);
}

struct otd_tunnel *
otd_table_next_key(const struct otd_table *table, uint32_t key)
{
    for (size_t c = key / OTD_KEY_CHUNK; c < table->n_chunks; c++) {
        size_t i = c == key / OTD_KEY_CHUNK ? key % OTD_KEY_CHUNK : 0;

        for (; table->chunks[c] && i < OTD_KEY_CHUNK; i++) {
            if (table->chunks[c][i]) {
                return table->chunks[c][i];
            }
        }
    }
    return NULL;
}

void
otd_table_insert_key(struct otd_table *table, struct otd_tunnel *t)
{
    size_t c = t->installed.key / OTD_KEY_CHUNK;

    if (c >= table->n_chunks) {
        size_t n = MAX(c + 1, table->n_chunks * 2);

        table->chunks = xrealloc(table->chunks, n * sizeof *table->chunks);
        table->chunk_used = xrealloc(table->chunk_used,
                                     n * sizeof *table->chunk_used);
        for (size_t i = table->n_chunks; i < n; i++) {
            table->chunks[i] = NULL;
            table->chunk_used[i] = 0;
        }
        table->n_chunks = n;
    }
    if (!table->chunks[c]) {
        table->chunks[c] = xcalloc(OTD_KEY_CHUNK, sizeof **table->chunks);
    }
    ovs_assert(!table->chunks[c][t->installed.key % OTD_KEY_CHUNK]);
    table->chunks[c][t->installed.key % OTD_KEY_CHUNK] = t;
    table->chunk_used[c]++;
}

void
otd_table_remove_key(struct otd_table *table, struct otd_tunnel *t)
{
    size_t c = t->installed.key / OTD_KEY_CHUNK;

    table->chunks[c][t->installed.key % OTD_KEY_CHUNK] = NULL;
    if (!--table->chunk_used[c]) {
        free(table->chunks[c]);
        table->chunks[c] = NULL;
    }
}

/* ---- Matches. */

struct otd_tunnel *
otd_table_find_match(const struct otd_table *table,
                     const struct otd_codec *codec,
                     const struct otd_hashed_match *match,
                     const struct otd_tunnel *except)
{
    uint32_t tunnel_key;
    size_t pos = 0;

    while ((tunnel_key = otd_index_next(&table->by_match, match->hash,
                                        &pos)) != 0) {
        struct otd_tunnel *t = otd_table_by_key(table, tunnel_key);
        struct otd_faults faults = OTD_FAULTS_INITIALIZER;
        struct otd_match_key other;
        struct otd_spec spec;

        if (t == except) {
            continue;
        }
        codec->decode(codec->aux, t->bytes, t->n_bytes, &spec, &faults);
        otd_faults_destroy(&faults);
        otd_match_key_init(&other, &spec);
        if (!memcmp(&match->key, &other, sizeof other)) {
            return t;
        }
    }
    return NULL;
}

/* ---- Who follows whom.  A list for each id that is followed: one hash bucket
 * with 100,000 followers would be searched for each that goes. */

static struct otd_followed *
find_followed(const struct otd_table *table, uint64_t id)
{
    struct otd_followed *f;

    HMAP_FOR_EACH_WITH_HASH (f, node, hash_id(id), &table->followed) {
        if (f->id == id) {
            return f;
        }
    }
    return NULL;
}

static void
follow(struct otd_table *table, struct otd_tunnel *t)
{
    struct otd_followed *f = find_followed(table, t->after);

    if (!f) {
        f = xzalloc(sizeof *f);
        f->id = t->after;
        ovs_list_init(&f->followers);
        hmap_insert(&table->followed, &f->node, hash_id(f->id));
    }
    t->followed = f;
    ovs_list_push_back(&f->followers, &t->after_node);
}

static void
unfollow(struct otd_table *table, struct otd_tunnel *t)
{
    ovs_list_remove(&t->after_node);
    if (ovs_list_is_empty(&t->followed->followers)) {
        hmap_remove(&table->followed, &t->followed->node);
        free(t->followed);
    }
    t->followed = NULL;
}

struct otd_tunnel *
otd_table_first_after(const struct otd_table *table, uint64_t id)
{
    struct otd_followed *f = find_followed(table, id);

    return (f ? CONTAINER_OF(ovs_list_front(&f->followers), struct otd_tunnel,
                             after_node) : NULL);
}

struct otd_tunnel *
otd_table_next_after(const struct otd_tunnel *t)
{
    struct ovs_list *next = t->after_node.next;

    return (next != &t->followed->followers
            ? CONTAINER_OF(next, struct otd_tunnel, after_node) : NULL);
}

/* ---- Interfaces. */

struct otd_iface *
otd_table_find_iface(const struct otd_table *table, const char *name)
{
    struct otd_iface *iface;

    HMAP_FOR_EACH_WITH_HASH (iface, node, hash_string(name, 0),
                             &table->ifaces) {
        if (!strcmp(iface->name, name)) {
            return iface;
        }
    }
    return NULL;
}

static struct otd_iface *
iface_ref(struct otd_table *table, const char *name)
{
    struct otd_iface *iface = otd_table_find_iface(table, name);

    if (!iface) {
        iface = xzalloc(sizeof *iface);
        ovs_strlcpy(iface->name, name, sizeof iface->name);
        iface->ofport = OFPP_NONE;
        ovs_list_init(&iface->tunnels);
        hmap_insert(&table->ifaces, &iface->node, hash_string(name, 0));
    }
    return iface;
}

/* ---- In and out. */

void
otd_table_insert(struct otd_table *table, struct otd_tunnel *t,
                 const struct otd_spec *spec,
                 const struct otd_hashed_match *match, uint8_t *bytes,
                 size_t n)
{
    t->bytes = bytes;
    t->n_bytes = n;
    t->kind = spec->kind;
    t->next_action = spec->next_action;
    t->after = spec->match.tunnel_id;
    t->outer_family = (spec->kind == OTD_KIND_GENEVE_DECAP
                       ? spec->match.ip.family : OTD_FAMILY_NONE);
    t->has_options = (spec->kind == OTD_KIND_GENEVE_ENCAP
                      && spec->encap.options_len > 0);

    t->match_hash = match->hash;
    otd_index_insert(&table->by_id, hash_id(t->id), t->installed.key);
    otd_index_insert(&table->by_match, t->match_hash, t->installed.key);
    if (t->after) {
        follow(table, t);
    }
    if (spec->match.ingress_interface[0]) {
        t->iface = iface_ref(table, spec->match.ingress_interface);
        ovs_list_push_back(&t->iface->tunnels, &t->iface_node);
    }
}

void
otd_table_remove(struct otd_table *table, struct otd_tunnel *t)
{
    otd_index_remove(&table->by_id, hash_id(t->id), t->installed.key);
    otd_index_remove(&table->by_match, t->match_hash, t->installed.key);
    if (t->followed) {
        unfollow(table, t);
    }
    if (t->iface) {
        ovs_list_remove(&t->iface_node);
        if (ovs_list_is_empty(&t->iface->tunnels)) {
            hmap_remove(&table->ifaces, &t->iface->node);
            free(t->iface);
        }
        t->iface = NULL;
    }
}

void
otd_tunnel_free(struct otd_tunnel *t)
{
    if (t) {
        free(t->bytes);
        free(t);
    }
}

/* ---- What a tunnel's flows depend on. */

void
otd_tunnel_decode(const struct otd_engine *engine, const uint8_t *bytes,
                  size_t n, struct otd_spec *spec)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;

    engine->codec->decode(engine->codec->aux, bytes, n, spec, &faults);
    ovs_assert(!otd_faults_any(&faults));
}

static void
inactive(struct otd_tunnel_facts *facts, struct ds *why, const char *format, ...)
    OVS_PRINTF_FORMAT(3, 4);

static void
inactive(struct otd_tunnel_facts *facts, struct ds *why, const char *format, ...)
{
    facts->active = false;
    if (why) {
        va_list args;

        if (why->length) {
            ds_put_cstr(why, "; ");
        }
        va_start(args, format);
        ds_put_format_valist(why, format, args);
        va_end(args);
    }
}

/* Whether, and why not, 't' can follow the tunnel that it names. */
static void
wanted_after(const struct otd_engine *engine, const struct otd_tunnel *t,
             struct otd_tunnel_facts *facts, struct ds *why)
{
    const struct otd_tunnel *prev = otd_table_find(&engine->table, t->after);

    if (!prev) {
        inactive(facts, why, "tunnel %"PRIu64", which match_criteria.tunnel_id "
                 "names, does not exist", t->after);
        return;
    }
    facts->after_key = prev->installed.key;
    if (prev->next_action != OTD_ACTION_RECIRCULATE) {
        inactive(facts, why, "tunnel %"PRIu64" hands nothing on: its "
                 "next_action is FORWARD", t->after);
    } else if (t->iface) {
        inactive(facts, why, "what tunnel %"PRIu64" hands on came out of a "
                 "tunnel, not from interface %s; leave out "
                 "match_criteria.ingress_interface", t->after, t->iface->name);
    } else if (t->kind == OTD_KIND_GENEVE_DECAP) {
        inactive(facts, why, "tunnel %"PRIu64" is a %s, and the switch takes "
                 "an overlay header off a packet only when it comes in from "
                 "the wire", t->after, otd_kind_to_string(prev->kind));
    } else if (!otd_kind_is_decapsulating(prev->kind)) {
        inactive(facts, why, "tunnel %"PRIu64" is a %s, and the switch cannot "
                 "put a second overlay encapsulation around its packets",
                 t->after, otd_kind_to_string(prev->kind));
    }
}

void
otd_tunnel_wanted_facts(const struct otd_engine *engine,
                        const struct otd_tunnel *t,
                        struct otd_tunnel_facts *facts, struct ds *why)
{
    memset(facts, 0, sizeof *facts);
    facts->key = t->installed.key;
    facts->in_port = OFPP_NONE;
    facts->active = true;
    facts->named = otd_table_first_after(&engine->table, t->id) != NULL;

    if (t->after) {
        wanted_after(engine, t, facts, why);
    }
    if (t->iface) {
        facts->in_port = t->iface->ofport;
        if (facts->in_port == OFPP_NONE) {
            inactive(facts, why, "interface %s is not on the bridge",
                     t->iface->name);
        }
    }
    if (engine->bridge.geneve_port == OFPP_NONE
        || engine->bridge.geneve_in4 == OFPP_NONE) {
        const char *error;

        otd_engine_ports_state(engine, &error);
        inactive(facts, why, "the Geneve ports are not ready%s%s",
                 error ? ": " : "", error ? error : "");
    } else if (t->outer_family == OTD_FAMILY_IPV6
               && !otd_bridge_has_outer_ipv6(&engine->bridge)) {
        inactive(facts, why, "external_ids:tunneld-encap-ip is not set, and "
                 "without it IPv6 has no port of its own to match on");
    }
    if (t->has_options && facts->active
        && !otd_tlv_is_mapped(engine, t, why)) {
        facts->active = false;
    }
    if (!facts->active) {
        uint32_t key = facts->key;

        /* Equal facts for equal flows: an inactive tunnel has none. */
        memset(facts, 0, sizeof *facts);
        facts->key = key;
        facts->in_port = OFPP_NONE;
    }
}
