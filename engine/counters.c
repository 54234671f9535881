/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include "flows/pipeline.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(counters);

/* Counters survive three things.  A flow that is replaced or removed says its
 * last numbers in its FLOW_REMOVED, which go into the base.  A switch that
 * restarts says nothing: what was read last goes into the base when the flow is
 * installed anew.  And the daemon's own restart finds base and last in the store:
 * a flow that has counted on since then is still the same one. */

#define SAVE_TURN 4096          /* Rows a turn. */

struct otd_counters_poll {
    ovs_be32 xid;
    unsigned int change_number; /* Flows newer than this are not in the dump. */
    long long int started_at;
    size_t n_fixed, n_match;    /* Flows of ours in the dump, by cookie. */
    uint64_t n_groups, n_syncs; /* The engine's when it started. */
};

struct otd_refresh {
    struct ovs_list node;       /* In engine's 'refreshes'. */
    struct otd_engine *engine;
    bool all;
    bool started;
    uint64_t id;
    uint32_t key;
    ovs_be32 xid;               /* Of a single tunnel's dump. */
    unsigned int change_number;
    void (*done)(void *aux, const char *error);
    void *aux;
};

/* ---- Tallies. */

void
otd_tally_restart(struct otd_tally *tally)
{
    tally->base_packets += tally->last_packets;
    tally->base_bytes += tally->last_bytes;
    tally->last_packets = tally->last_bytes = 0;
}

void
otd_tally_bank(struct otd_tally *tally)
{
    tally->banked_packets += tally->last_packets;
    tally->banked_bytes += tally->last_bytes;
    tally->n_due++;
    otd_tally_restart(tally);
}

struct otd_tally *
otd_tally_of(struct otd_tunnel *t, uint64_t cookie)
{
    return otd_cookie_kind(cookie) == OTD_COOKIE_TUNNEL ? &t->match : &t->drop;
}

static void
settle(uint64_t *base, uint64_t *banked, uint64_t last_word)
{
    uint64_t known = MIN(*banked, last_word);

    *banked -= known;
    *base += last_word - known;
}

/* The last word of a flow that we removed: it adds what the flow had counted
 * beyond what we knew.  Several flows may be due; their sum comes out right. */
static void
tally_settle(struct otd_tally *tally, const struct otd_flow_report *r)
{
    settle(&tally->base_packets, &tally->banked_packets, r->packets);
    settle(&tally->base_bytes, &tally->banked_bytes, r->bytes);
    tally->n_due -= tally->n_due > 0;
}

void
otd_tally_update(struct otd_tunnel *t, struct otd_tally *tally,
                 uint64_t packets, uint64_t bytes)
{
    /* Less than before: read earlier, and told later. */
    if (packets > tally->last_packets || bytes > tally->last_bytes) {
        tally->last_packets = packets;
        tally->last_bytes = bytes;
        t->saved = false;
    }
}

void
otd_counters_of(const struct otd_tunnel *t, struct otd_counters *c)
{
    uint64_t packets = t->match.base_packets + t->match.last_packets;
    uint64_t bytes = t->match.base_bytes + t->match.last_bytes;
    uint64_t drops = t->drop.base_packets + t->drop.last_packets;
    uint64_t drop_bytes = t->drop.base_bytes + t->drop.last_bytes;

    memset(c, 0, sizeof *c);
    if (otd_kind_is_decapsulating(t->kind)) {
        c->in_packets = packets;
        c->in_bytes = bytes;
        c->in_packets_drops = drops;
        c->in_bytes_drops = drop_bytes;
    } else {
        /* What is dropped for want of a next step was not sent. */
        c->out_packets = packets - MIN(packets, drops);
        c->out_bytes = bytes - MIN(bytes, drop_bytes);
        c->out_packets_drops = drops;
        c->out_bytes_drops = drop_bytes;
    }
}

void
otd_counters_load(struct otd_tunnel *t, const struct otd_stored_counters *c)
{
    t->match.base_packets = c->base_packets;
    t->match.base_bytes = c->base_bytes;
    t->match.last_packets = c->last_packets;
    t->match.last_bytes = c->last_bytes;
    t->drop.base_packets = c->base_drop_packets;
    t->drop.base_bytes = c->base_drop_bytes;
    t->drop.last_packets = c->last_drop_packets;
    t->drop.last_bytes = c->last_drop_bytes;
    t->saved = true;
}

/* True if the flow is one that 't' should have. */
static bool
is_wanted(struct otd_engine *engine, const struct otd_tunnel *t,
          const struct otd_flow_report *r)
{
    struct otd_flows *flows = &engine->scratch;
    struct otd_spec spec;

    otd_flows_clear(flows);
    otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
    otd_compile_tunnel(&spec, &t->installed, &engine->bridge, &engine->tlvs,
                       flows);
    for (size_t i = 0; i < flows->n; i++) {
        if (otd_flow_same_rule(&flows->flows[i], r->table_id, r->priority,
                               &r->match)) {
            return true;
        }
    }
    return false;
}

void
otd_counters_flow_removed(struct otd_engine *engine,
                          const struct otd_flow_report *r)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);
    struct otd_tunnel *t = otd_table_by_key(&engine->table,
                                            otd_cookie_key(r->cookie));
    struct otd_tally *tally;

    if (!otd_cookie_is_ours(r->cookie) || !t
        || otd_cookie_kind(r->cookie) == OTD_COOKIE_FIXED) {
        return;
    }
    tally = otd_tally_of(t, r->cookie);
    t->saved = false;
    if (t->pending || tally->n_due || !is_wanted(engine, t, r)) {
        tally_settle(tally, r); /* Our own doing. */
        return;
    }
    otd_tally_update(t, tally, r->packets, r->bytes);
    otd_tally_restart(tally);
    t->changed_at = ++engine->change_number;
    if (!engine->sync && engine->synced && !engine->resync) {
        VLOG_WARN_RL(&rl, "tunnel %"PRIu64": somebody else removed a flow of "
                     "ours from table %"PRIu8"; putting it back", t->id,
                     r->table_id);
        engine->resync = true;
        engine->resync_at = time_msec() + 100;
    }
}

/* ---- Reading. */

static void
poll_start(struct otd_engine *engine)
{
    struct otd_counters_poll *poll = engine->poll = xzalloc(sizeof *poll);
    struct ofpbuf *out = otd_session_output(engine->reader);
    struct otd_refresh *r;

    poll->xid = otd_session_next_xid(engine->reader);
    poll->change_number = engine->change_number;
    poll->started_at = time_msec();
    poll->n_groups = engine->n_groups;
    poll->n_syncs = engine->n_syncs;
    LIST_FOR_EACH (r, node, &engine->refreshes) {
        r->started |= r->all;
    }
    if (out) {
        otd_msg_flow_dump(out, poll->xid, otd_cookie_make(0, 0),
                          OTD_COOKIE_OWNER_MASK);
        otd_session_flush(engine->reader);
    }
}

/* Ends the refreshes that the dump with 'xid' (0: the big one) was for. */
static void
finish_refreshes(struct otd_engine *engine, ovs_be32 xid, const char *error)
{
    struct ovs_list done = OVS_LIST_INITIALIZER(&done);
    struct otd_refresh *r;

    LIST_FOR_EACH_SAFE (r, node, &engine->refreshes) {
        if (r->started && (xid ? !r->all && r->xid == xid : r->all)) {
            ovs_list_remove(&r->node);
            ovs_list_push_back(&done, &r->node);
        }
    }
    LIST_FOR_EACH_SAFE (r, node, &done) {
        ovs_list_remove(&r->node);
        r->done(r->aux, error);
        free(r);
    }
}

/* A flow that somebody removed without our hearing of it is noticed here, by
 * number, if nothing of ours has changed since the dump began. */
static void
check_numbers(struct otd_engine *engine)
{
    const struct otd_counters_poll *poll = engine->poll;
    struct otd_flows *fixed = &engine->scratch;
    const struct otd_tunnel *t;
    size_t n = 0;

    if (!engine->synced || engine->sync || engine->group || engine->resync
        || engine->tlv_busy || poll->n_groups != engine->n_groups
        || poll->n_syncs != engine->n_syncs) {
        return;
    }
    for (t = otd_table_next_key(&engine->table, 0); t;
         t = otd_table_next_key(&engine->table, t->installed.key + 1)) {
        n += t->installed.active;
    }
    otd_flows_clear(fixed);
    otd_compile_fixed(&engine->bridge, &engine->fixed_tlvs, fixed);
    if (poll->n_match != n || poll->n_fixed != fixed->n) {
        VLOG_WARN("the switch has %"PRIuSIZE" flows of the pipeline and "
                  "%"PRIuSIZE" of tunnels instead of %"PRIuSIZE" and "
                  "%"PRIuSIZE"; somebody else removed or added some",
                  poll->n_fixed, poll->n_match, fixed->n, n);
        engine->resync = true;
        engine->resync_at = time_msec();
    }
}

static void
poll_end(struct otd_engine *engine, const char *error)
{
    long long int interval
        = otd_ovsdb_settings(engine->ovsdb)->poll_interval_ms;
    long long int now = time_msec();
    long long int took = now - engine->poll->started_at;

    if (!error) {
        check_numbers(engine);
    }
    free(engine->poll);
    engine->poll = NULL;
    /* A dump holds up the switch: never more than a tenth of its time. */
    engine->next_poll = now + MAX(interval, 10 * took);
    engine->save_pending = true;
    finish_refreshes(engine, 0, error);
}

/* Takes the entries of one message; true if it was the last of its dump.  'poll':
 * the dump is of everything. */
static bool
read_counters(struct otd_engine *engine, struct ofpbuf *msg,
              unsigned int change_number, struct otd_counters_poll *poll)
{
    uint64_t cookie, packets, bytes;
    uint8_t table_id;
    bool more = false;

    while (!otd_msg_flow_dump_next_counters(msg, &cookie, &table_id, &packets,
                                            &bytes, &more)) {
        struct otd_tunnel *t;

        if (!otd_cookie_is_ours(cookie)) {
            continue;
        }
        if (poll) {
            poll->n_fixed += otd_cookie_kind(cookie) == OTD_COOKIE_FIXED;
            poll->n_match += otd_cookie_kind(cookie) == OTD_COOKIE_TUNNEL;
        }
        if (otd_cookie_kind(cookie) == OTD_COOKIE_FIXED) {
            continue;
        }
        t = otd_table_by_key(&engine->table, otd_cookie_key(cookie));
        if (t && !t->pending && (int) (t->changed_at - change_number) <= 0) {
            otd_tally_update(t, otd_tally_of(t, cookie), packets, bytes);
            t->present |= 1u << otd_cookie_kind(cookie);
        }
    }
    return !more;
}

static struct otd_refresh *
find_refresh(struct otd_engine *engine, ovs_be32 xid)
{
    struct otd_refresh *r;

    LIST_FOR_EACH (r, node, &engine->refreshes) {
        if (r->started && !r->all && r->xid == xid) {
            return r;
        }
    }
    return NULL;
}

void
otd_counters_receive(struct otd_engine *engine, struct ofpbuf *msg)
{
    enum otd_msg_type type = otd_msg_type(msg);
    ovs_be32 xid = otd_msg_xid(msg);
    struct otd_refresh *r;

    if (type == OTD_MSG_FLOW_STATS) {
        if (engine->poll && xid == engine->poll->xid) {
            if (read_counters(engine, msg, engine->poll->change_number,
                              engine->poll)) {
                poll_end(engine, NULL);
            }
        } else if ((r = find_refresh(engine, xid))) {
            if (read_counters(engine, msg, r->change_number, NULL)) {
                finish_refreshes(engine, xid, NULL);
            }
        }
    } else if (type == OTD_MSG_ERROR) {
        const char *error = otd_msg_error_name(msg);

        VLOG_WARN("counters cannot be read: %s", error);
        if (engine->poll && xid == engine->poll->xid) {
            poll_end(engine, error);
        } else {
            finish_refreshes(engine, xid, error);
        }
    }
}

static void
refresh_start(struct otd_engine *engine, struct otd_refresh *r)
{
    struct otd_tunnel *t = otd_table_find(&engine->table, r->id);
    struct ofpbuf *out = otd_session_output(engine->reader);

    r->started = true;
    r->key = t ? t->installed.key : 0;
    if (t) {
        t->present = 0;
    }
    r->xid = otd_session_next_xid(engine->reader);
    r->change_number = engine->change_number;
    if (out) {
        otd_msg_flow_dump(out, r->xid, otd_cookie_make(0, r->key),
                          OTD_COOKIE_OWNER_MASK | OTD_COOKIE_KEY_MASK);
        otd_session_flush(engine->reader);
    }
}

/* Nobody can be asked: the last known counters stand. */
void
otd_counters_stop(struct otd_engine *engine, const char *why)
{
    struct otd_refresh *r;

    free(engine->poll);
    engine->poll = NULL;
    LIST_FOR_EACH_SAFE (r, node, &engine->refreshes) {
        ovs_list_remove(&r->node);
        r->done(r->aux, why);
        free(r);
    }
}

struct otd_refresh *
otd_engine_refresh(struct otd_engine *engine, bool all, uint64_t id,
                   void (*done)(void *aux, const char *error), void *aux)
{
    struct otd_refresh *r = xzalloc(sizeof *r);

    r->engine = engine;
    r->all = all;
    r->id = id;
    r->done = done;
    r->aux = aux;
    ovs_list_push_back(&engine->refreshes, &r->node);
    poll_immediate_wake();
    return r;
}

void
otd_engine_refresh_cancel(struct otd_refresh *r)
{
    if (r) {
        ovs_list_remove(&r->node);
        free(r);
    }
}

/* ---- Saving. */

static void
to_stored(const struct otd_tunnel *t, struct otd_stored_counters *c)
{
    c->base_packets = t->match.base_packets;
    c->base_bytes = t->match.base_bytes;
    c->last_packets = t->match.last_packets;
    c->last_bytes = t->match.last_bytes;
    c->base_drop_packets = t->drop.base_packets;
    c->base_drop_bytes = t->drop.base_bytes;
    c->last_drop_packets = t->drop.last_packets;
    c->last_drop_bytes = t->drop.last_bytes;
}

/* Writes up to 'max' rows; true if there may be more. */
static bool
save_some(struct otd_engine *engine, size_t max)
{
    struct otd_tunnel *t;
    uint32_t first = engine->save_cursor;
    char *error = NULL;
    size_t n = 0;

    for (t = otd_table_next_key(&engine->table, engine->save_cursor);
         t && n < max;
         t = otd_table_next_key(&engine->table, t->installed.key + 1)) {
        struct otd_stored_counters c;

        engine->save_cursor = t->installed.key + 1;
        if (t->saved) {
            continue;
        }
        if (!n++) {
            error = otd_store_begin(engine->store);
        }
        to_stored(t, &c);
        if (!error) {
            error = otd_store_put_counters(engine->store, t->installed.key,
                                           &c);
        }
        if (error) {
            break;
        }
    }
    if (n && !error) {
        error = otd_store_commit(engine->store);
    }
    if (error) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 2);

        VLOG_WARN_RL(&rl, "counters could not be stored: %s", error);
        free(error);
        otd_store_rollback(engine->store);
        return false;
    }
    if (n) {
        for (t = otd_table_next_key(&engine->table, first);
             t && t->installed.key < engine->save_cursor;
             t = otd_table_next_key(&engine->table, t->installed.key + 1)) {
            t->saved = true;
        }
    }
    return t != NULL;
}

void
otd_counters_save_all(struct otd_engine *engine)
{
    engine->save_cursor = 0;
    while (save_some(engine, SAVE_TURN)) {
        continue;
    }
}

/* ---- Verbs. */

void
otd_counters_run(struct otd_engine *engine)
{
    struct otd_refresh *r;
    bool want_all = false;

    if (!otd_session_is_up(engine->reader)) {
        if (engine->poll || !ovs_list_is_empty(&engine->refreshes)) {
            otd_counters_stop(engine, otd_session_why_down(engine->reader));
        }
        return;
    } else if (engine->sync && !engine->synced) {
        /* At a new connection the read-back comes first: it takes lower numbers
         * than the last ones for another flow's. */
        return;
    }
    LIST_FOR_EACH (r, node, &engine->refreshes) {
        if (!r->started && !r->all) {
            refresh_start(engine, r);
        }
        want_all |= !r->started;
    }
    /* Once every so often while in sync, and whenever somebody asks. */
    if (!engine->poll
        && (want_all || (engine->synced && time_msec() >= engine->next_poll))) {
        poll_start(engine);
    }
    if (engine->save_pending && !engine->group && !engine->sync
        && !otd_store_in_transaction(engine->store)) {
        if (save_some(engine, SAVE_TURN)) {
            poll_immediate_wake();
        } else {
            engine->save_pending = false;
            engine->save_cursor = 0;
        }
    }
}

void
otd_counters_wait(const struct otd_engine *engine)
{
    if (engine->synced && !engine->poll) {
        poll_timer_wait_until(engine->next_poll);
    }
}
