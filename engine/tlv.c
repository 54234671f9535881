/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include <inttypes.h>
#include "ofctl/appctl-client.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(tlv);

/* RFC 8926: 63 four-byte words of options in a header; an option with 4 bytes of
 * data takes two. */
#define OPTIONS_PER_PACKET 31

/* A rule that is being destroyed holds its mappings a moment longer. */
#define GC_RETRY_MS 20
#define GC_TRIES 50

/* A mapping may go only when no flow in the tables and none in the datapath
 * can hold it: rules first, then the revalidators, then the mapping. */
enum gc_state { GC_REVALIDATING, GC_REMOVING };
struct otd_tlv_gc {
    enum gc_state state;
    struct otd_appctl *call;
    struct otd_stage stage;
    uint64_t victims;           /* Bits. */
    ovs_be32 mod_xid, barrier_xid;
    bool refused;
    int tries;
    long long int retry_at;     /* LLONG_MAX: waiting for the switch. */
};

static uint64_t
slot_bit(int i)
{
    return UINT64_C(1) << i;
}

static uint32_t
space_used(const struct otd_tlv_map *map)
{
    uint32_t sum = 0;

    for (int i = 0; i < OTD_TLV_MAX; i++) {
        sum += map->slots[i].used ? map->slots[i].len : 0;
    }
    return sum;
}

static int
free_slot(const struct otd_engine *engine)
{
    for (int i = 0; i < MIN(OTD_TLV_MAX, engine->tlv_fields); i++) {
        if (!engine->tlvs.slots[i].used) {
            return i;
        }
    }
    return -1;
}

static uint32_t
free_slots(const struct otd_engine *engine)
{
    uint32_t n = 0;

    for (int i = 0; i < MIN(OTD_TLV_MAX, engine->tlv_fields); i++) {
        n += !engine->tlvs.slots[i].used;
    }
    return n;
}

uint32_t
otd_tlv_room(const struct otd_engine *engine)
{
    uint32_t used = space_used(&engine->tlvs);
    uint32_t room = engine->tlv_space > used ? engine->tlv_space - used : 0;

    return MIN(OPTIONS_PER_PACKET, MIN(free_slots(engine), room / 4));
}

static void
set_slot(struct otd_engine *engine, int i, uint16_t opt_class, uint8_t type,
         uint8_t len, bool own)
{
    struct otd_tlv *t = &engine->tlvs.slots[i];

    t->used = true;
    t->opt_class = opt_class;
    t->type = type;
    t->len = len;
    if (own) {
        engine->own_tlvs |= slot_bit(i);
    }
}

static struct otd_tlv_entry
slot_entry(const struct otd_engine *engine, int i)
{
    const struct otd_tlv *t = &engine->tlvs.slots[i];

    return (struct otd_tlv_entry) {
        .opt_class = t->opt_class, .type = t->type, .len = t->len, .index = i,
    };
}

static struct otd_store_tlv
slot_row(const struct otd_engine *engine, int i)
{
    const struct otd_tlv *t = &engine->tlvs.slots[i];

    return (struct otd_store_tlv) {
        .opt_class = t->opt_class, .type = t->type, .len = t->len, .index = i,
    };
}

/* Some tunnel that sends option (class, type), for an error's sake. */
static const struct otd_tunnel *
find_user(const struct otd_engine *engine, uint16_t opt_class, uint8_t type)
{
    struct otd_tunnel *t;

    OTD_TABLE_FOR_EACH (t, &engine->table) {
        struct otd_geneve_option opt;
        struct otd_spec spec;
        size_t ofs = 0;

        if (!t->has_options) {
            continue;
        }
        otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
        while (otd_geneve_option_next(&spec.encap, &ofs, &opt)) {
            if (opt.opt_class == opt_class && opt.type == type) {
                return t;
            }
        }
    }
    return NULL;
}

/* Faults of mapping 'encap''s options; the number and the bytes of new ones. */
static void
check_options(const struct otd_engine *engine,
              const struct otd_geneve_encap *encap, struct otd_faults *faults,
              uint32_t *n_new, uint32_t *new_bytes)
{
    struct otd_geneve_option opt;
    size_t ofs = 0;
    int n = 0;

    *n_new = *new_bytes = 0;
    for (; otd_geneve_option_next(encap, &ofs, &opt); n++) {
        int i = otd_tlv_map_find(&engine->tlvs, opt.opt_class, opt.type);
        char path[64];

        if (i < 0) {
            ++*n_new;
            *new_bytes += opt.len;
        } else if (engine->tlvs.slots[i].len != opt.len) {
            const struct otd_tunnel *user = find_user(engine, opt.opt_class,
                                                      opt.type);
            char *who = (user ? xasprintf("tunnel %"PRIu64" sends", user->id)
                         : xstrdup("the bridge's option map has"));

            snprintf(path, sizeof path, "geneve.geneve_encap.geneve_option[%d]",
                     n);
            otd_fault(faults, OTD_FAULT_GENEVE_OPTION, path,
                      "%"PRIu8" bytes of data, but %s class 0x%04"PRIx16" type "
                      "0x%02"PRIx8" with %"PRIu8" bytes, and a bridge has one "
                      "length for a class and type; use that length or another "
                      "type", opt.len, who, opt.opt_class, opt.type,
                      engine->tlvs.slots[i].len);
            free(who);
        }
    }
}

void
otd_tlv_check_options(const struct otd_engine *engine,
                      const struct otd_geneve_encap *encap,
                      struct otd_faults *faults)
{
    uint32_t n_new, new_bytes, used;

    if (!encap->options_len) {
        return;
    }
    used = space_used(&engine->tlvs);
    check_options(engine, encap, faults, &n_new, &new_bytes);
    if (n_new > free_slots(engine) || used + new_bytes > engine->tlv_space) {
        otd_fault(faults, OTD_FAULT_GENEVE_TOO_MANY_OPTIONS,
                  "geneve.geneve_encap.geneve_option",
                  "%"PRIu32" new options with %"PRIu32" bytes of data, but the "
                  "bridge's option map has room for %"PRIu32" options and "
                  "%"PRIu32" bytes; use options that other tunnels use already",
                  n_new, new_bytes, free_slots(engine),
                  engine->tlv_space > used ? engine->tlv_space - used : 0);
    }
}

bool
otd_tlv_reserve(struct otd_group *group, const struct otd_geneve_encap *encap)
{
    struct otd_engine *engine = group->engine;
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct otd_geneve_option opt;
    size_t ofs = 0;

    otd_tlv_check_options(engine, encap, &faults);
    while (!otd_faults_any(&faults)
           && otd_geneve_option_next(encap, &ofs, &opt)) {
        if (otd_tlv_map_find(&engine->tlvs, opt.opt_class, opt.type) < 0) {
            int i = free_slot(engine);

            set_slot(engine, i, opt.opt_class, opt.type, opt.len, true);
            group->reserving |= slot_bit(i);
        }
    }
    otd_faults_destroy(&faults);
    return group->reserving != 0;
}

char *
otd_tlv_map(struct otd_group *group, uint64_t slots)
{
    struct otd_engine *engine = group->engine;
    char *error;

    if (!slots) {
        return NULL;
    }
    engine->tlv_gc_wanted = true;       /* The request may yet be refused. */
    error = otd_store_begin(engine->store);
    for (int i = 0; i < OTD_TLV_MAX && !error; i++) {
        if (slots & slot_bit(i)) {
            struct otd_store_tlv row = slot_row(engine, i);

            error = otd_store_put_tlv(engine->store, &row);
        }
    }
    if (!error) {
        error = otd_store_commit(engine->store);
    }
    for (int i = 0; i < OTD_TLV_MAX && !error; i++) {
        if (slots & slot_bit(i)) {
            struct otd_tlv_entry entry = slot_entry(engine, i);
            struct ofpbuf *msg = ofpbuf_new(64);
            ovs_be32 xid = otd_session_next_xid(engine->ctl);

            otd_msg_tlv_mod(msg, xid, true, &entry, 1);
            otd_stage_message(&group->stage, msg, xid);
        }
    }
    return error;
}

/* ---- Reading back. */

bool
otd_tlv_is_mapped(const struct otd_engine *engine, const struct otd_tunnel *t,
                  struct ds *why)
{
    struct otd_geneve_option opt;
    struct otd_spec spec;
    size_t ofs = 0;

    otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
    while (otd_geneve_option_next(&spec.encap, &ofs, &opt)) {
        int i = otd_tlv_map_find(&engine->tlvs, opt.opt_class, opt.type);

        if (i < 0 || engine->tlvs.slots[i].len != opt.len) {
            if (why) {
                ds_put_format(why, "%sGeneve option class 0x%04"PRIx16" type "
                              "0x%02"PRIx8" of %"PRIu8" bytes cannot be "
                              "mapped: the bridge's option map %s",
                              why->length ? "; " : "", opt.opt_class, opt.type,
                              opt.len, i < 0 ? "has no room"
                              : "has it with another length");
            }
            return false;
        }
    }
    return true;
}

void
otd_tlv_restore(struct otd_engine *engine, const struct otd_store_tlv *row)
{
    if (row->index < OTD_TLV_MAX) {
        set_slot(engine, row->index, row->opt_class, row->type, row->len, true);
    }
}

/* Maps (class, type) of a tunnel in the table, if it is not; false: no room. */
static bool
ensure_mapped(struct otd_engine *engine, const struct otd_geneve_option *opt,
              uint64_t *added)
{
    int i = otd_tlv_map_find(&engine->tlvs, opt->opt_class, opt->type);

    if (i >= 0) {
        return engine->tlvs.slots[i].len == opt->len;
    }
    i = free_slot(engine);
    if (i < 0 || space_used(&engine->tlvs) + opt->len > engine->tlv_space) {
        return false;
    }
    set_slot(engine, i, opt->opt_class, opt->type, opt->len, true);
    *added |= slot_bit(i);
    return true;
}

static void
map_all_tunnels(struct otd_engine *engine, uint64_t *added, size_t *n_unmapped)
{
    struct otd_tunnel *t;

    *n_unmapped = 0;
    OTD_TABLE_FOR_EACH (t, &engine->table) {
        struct otd_geneve_option opt;
        struct otd_spec spec;
        size_t ofs = 0;

        if (!t->has_options) {
            continue;
        }
        otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
        while (otd_geneve_option_next(&spec.encap, &ofs, &opt)) {
            if (!ensure_mapped(engine, &opt, added)) {
                ++*n_unmapped;
                break;          /* It is inactive, and says why. */
            }
        }
    }
}

static void
send_adds(struct otd_engine *engine, uint64_t added)
{
    struct otd_tlv_entry entries[OTD_TLV_MAX];
    struct ofpbuf *out = otd_session_output(engine->ctl);
    size_t n = 0;

    for (int i = 0; i < OTD_TLV_MAX; i++) {
        if (added & slot_bit(i)) {
            entries[n++] = slot_entry(engine, i);
        }
    }
    if (n && out) {
        otd_msg_tlv_mod(out, otd_session_next_xid(engine->ctl), true, entries,
                        n);
    }
}

/* Writes which mappings are ours, as they now stand. */
static void
save_own(struct otd_engine *engine, uint64_t before)
{
    char *error;

    if (before == engine->own_tlvs) {
        return;
    }
    error = otd_store_begin(engine->store);
    for (int i = 0; i < OTD_TLV_MAX && !error; i++) {
        if (engine->own_tlvs & slot_bit(i)) {
            struct otd_store_tlv row = slot_row(engine, i);

            error = otd_store_put_tlv(engine->store, &row);
        } else if (before & slot_bit(i)) {
            error = otd_store_delete_tlv(engine->store, i);
        }
    }
    if (!error) {
        error = otd_store_commit(engine->store);
    }
    if (error) {
        VLOG_WARN("which option mappings are ours could not be stored: %s",
                  error);
        otd_store_rollback(engine->store);
        free(error);
    }
}

char *
otd_tlv_adopt(struct otd_engine *engine, const struct otd_tlv_table *table)
{
    struct otd_tlv_map wanted = engine->tlvs;
    uint64_t own = engine->own_tlvs, added = 0;
    size_t n_unmapped;

    engine->tlv_space = table->max_space;
    engine->tlv_fields = table->max_fields;
    memset(&engine->tlvs, 0, sizeof engine->tlvs);
    engine->own_tlvs = 0;
    for (size_t j = 0; j < table->n; j++) {
        const struct otd_tlv_entry *e = &table->entries[j];

        if (e->index < OTD_TLV_MAX) {
            const struct otd_tlv *t = &wanted.slots[e->index];
            bool ours = (own & slot_bit(e->index) && t->used
                         && t->opt_class == e->opt_class && t->type == e->type
                         && t->len == e->len);

            set_slot(engine, e->index, e->opt_class, e->type, e->len, ours);
        }
    }
    /* What the switch forgot comes back in the same place, if that is free. */
    for (int i = 0; i < MIN(OTD_TLV_MAX, engine->tlv_fields); i++) {
        const struct otd_tlv *t = &wanted.slots[i];

        if (own & slot_bit(i) && !engine->tlvs.slots[i].used
            && space_used(&engine->tlvs) + t->len <= engine->tlv_space
            && otd_tlv_map_find(&engine->tlvs, t->opt_class, t->type) < 0) {
            set_slot(engine, i, t->opt_class, t->type, t->len, true);
            added |= slot_bit(i);
        }
    }
    map_all_tunnels(engine, &added, &n_unmapped);
    send_adds(engine, added);
    save_own(engine, own);
    engine->tlv_gc_wanted = true;
    return (n_unmapped
            ? xasprintf("%"PRIuSIZE" tunnels are inactive because the bridge's "
                        "Geneve option map has no room for their options or "
                        "has them with another length (tunnel/inactive)",
                        n_unmapped)
            : NULL);
}

/* ---- Mappings without users. */

/* A slot that is used again, however shortly, needs a wait of its own. */
void
otd_tlv_note_use(struct otd_engine *engine, const struct otd_geneve_encap *encap)
{
    struct otd_tlv_gc *gc = engine->tlv_gc;
    struct otd_geneve_option opt;
    size_t ofs = 0;

    while (gc && otd_geneve_option_next(encap, &ofs, &opt)) {
        int i = otd_tlv_map_find(&engine->tlvs, opt.opt_class, opt.type);

        gc->victims &= ~(i >= 0 ? slot_bit(i) : 0);
    }
}

static uint64_t
used_slots(const struct otd_engine *engine)
{
    struct otd_tunnel *t;
    uint64_t used = 0;

    OTD_TABLE_FOR_EACH (t, &engine->table) {
        struct otd_geneve_option opt;
        struct otd_spec spec;
        size_t ofs = 0;

        if (!t->has_options) {
            continue;
        }
        otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
        while (otd_geneve_option_next(&spec.encap, &ofs, &opt)) {
            int i = otd_tlv_map_find(&engine->tlvs, opt.opt_class, opt.type);

            used |= i >= 0 ? slot_bit(i) : 0;
        }
    }
    return used;
}

static void
gc_end(struct otd_engine *engine)
{
    struct otd_tlv_gc *gc = engine->tlv_gc;

    if (gc) {
        otd_appctl_destroy(gc->call);
        if (gc->state == GC_REMOVING) {
            otd_stage_destroy(&gc->stage);
        }
        free(gc);
        engine->tlv_gc = NULL;
    }
    engine->tlv_busy = false;
}

void
otd_tlv_stop(struct otd_engine *engine)
{
    gc_end(engine);
}

void
otd_tlv_delete_own(struct otd_engine *engine, struct ofpbuf *out)
{
    struct otd_tlv_entry entries[OTD_TLV_MAX];
    size_t n = 0;

    for (int i = 0; i < OTD_TLV_MAX; i++) {
        if (engine->own_tlvs & slot_bit(i)) {
            entries[n++] = slot_entry(engine, i);
        }
    }
    otd_msg_tlv_mod(out, otd_session_next_xid(engine->ctl), false, entries, n);
}

static void
gc_send_delete(struct otd_engine *engine)
{
    struct otd_tlv_gc *gc = engine->tlv_gc;
    struct otd_tlv_entry entries[OTD_TLV_MAX];
    struct ofpbuf *out = otd_session_output(engine->ctl);
    size_t n = 0;

    for (int i = 0; i < OTD_TLV_MAX; i++) {
        if (gc->victims & slot_bit(i)) {
            entries[n++] = slot_entry(engine, i);
        }
    }
    gc->refused = false;
    gc->tries++;
    gc->retry_at = LLONG_MAX;
    gc->mod_xid = otd_session_next_xid(engine->ctl);
    gc->barrier_xid = otd_session_next_xid(engine->ctl);
    if (out) {
        otd_msg_tlv_mod(out, gc->mod_xid, false, entries, n);
        otd_msg_barrier(out, gc->barrier_xid);
    }
}

/* The rules let go of the victims, then the map does. */
static void
gc_remove(struct otd_engine *engine)
{
    struct otd_tlv_gc *gc = engine->tlv_gc;
    struct otd_tlv_map without = engine->tlvs;

    gc->victims &= engine->own_tlvs & ~used_slots(engine);
    if (!gc->victims) {
        gc_end(engine);
        return;
    }
    for (int i = 0; i < OTD_TLV_MAX; i++) {
        if (gc->victims & slot_bit(i)) {
            memset(&without.slots[i], 0, sizeof without.slots[i]);
        }
    }

    gc->state = GC_REMOVING;
    engine->tlv_busy = true;
    otd_stage_init(&gc->stage, engine->ctl);
    otd_flows_clear(&engine->scratch);
    otd_flows_clear(&engine->scratch2);
    otd_compile_fixed(&engine->bridge, &engine->fixed_tlvs, &engine->scratch);
    otd_compile_fixed(&engine->bridge, &without, &engine->scratch2);
    engine->fixed_tlvs = without;
    otd_stage_difference(&gc->stage, &engine->scratch, &engine->scratch2, 0);
    otd_stage_commit(&gc->stage);
    gc->retry_at = time_msec() + GC_RETRY_MS;
}

static void
gc_removed(struct otd_engine *engine)
{
    struct otd_tlv_gc *gc = engine->tlv_gc;
    uint64_t own = engine->own_tlvs;

    if (gc->refused) {
        if (gc->tries < GC_TRIES) {
            gc->retry_at = time_msec() + GC_RETRY_MS;
        } else {
            /* Somebody else's flows use it: it stays, and the pipeline's own
             * flow goes back to what the map is. */
            engine->own_tlvs &= ~gc->victims;
            save_own(engine, own);
            engine->resync = true;
            engine->resync_at = time_msec();
            gc_end(engine);
        }
        return;
    }
    for (int i = 0; i < OTD_TLV_MAX; i++) {
        if (gc->victims & slot_bit(i)) {
            memset(&engine->tlvs.slots[i], 0, sizeof engine->tlvs.slots[i]);
        }
    }
    engine->own_tlvs &= ~gc->victims;
    save_own(engine, own);
    gc_end(engine);
    poll_immediate_wake();
}

bool
otd_tlv_receive(struct otd_engine *engine, const struct ofpbuf *msg)
{
    struct otd_tlv_gc *gc = engine->tlv_gc;

    if (!gc || gc->state != GC_REMOVING) {
        return false;
    }
    if (otd_msg_xid(msg) == gc->mod_xid) {
        gc->refused = true;
        return true;
    } else if (otd_msg_xid(msg) == gc->barrier_xid) {
        gc_removed(engine);
        return true;
    }
    return otd_stage_receive(&gc->stage, msg);
}

void
otd_tlv_run(struct otd_engine *engine)
{
    struct otd_tlv_gc *gc = engine->tlv_gc;

    if (gc) {
        if (gc->state == GC_REVALIDATING) {
            otd_appctl_run(gc->call);
            if (otd_appctl_is_done(gc->call) && !engine->group
                && !engine->sync) {
                if (otd_appctl_error(gc->call)) {
                    /* Without this answer nothing is known to be unused. */
                    VLOG_DBG("%s", otd_appctl_error(gc->call));
                    gc_end(engine);
                } else {
                    gc_remove(engine);
                }
            }
        } else if (otd_stage_lost(&gc->stage)) {
            gc_end(engine);
        } else if (time_msec() >= gc->retry_at) {
            gc_send_delete(engine);
        }
    } else if (engine->tlv_gc_wanted && engine->synced && !engine->group
               && !engine->sync) {
        engine->tlv_gc_wanted = false;
        uint64_t victims = engine->own_tlvs & ~used_slots(engine);

        if (victims) {
            gc = engine->tlv_gc = xzalloc(sizeof *gc);
            gc->victims = victims;
            gc->call = otd_appctl_call("ovs-vswitchd", "revalidator/wait", NULL,
                                       0, 30000);
        }
    }
}

void
otd_tlv_wait(const struct otd_engine *engine)
{
    if (engine->tlv_gc && engine->tlv_gc->state == GC_REVALIDATING) {
        otd_appctl_wait(engine->tlv_gc->call);
        if (otd_appctl_is_done(engine->tlv_gc->call)) {
            poll_timer_wait(20);
        }
    } else if (engine->tlv_gc) {
        poll_timer_wait_until(engine->tlv_gc->retry_at);
    }
}
