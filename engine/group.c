/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(group);

/* A stream that has not ended is applied as it comes in from this many requests
 * on; it goes back to the spool if it pauses, or if another one waits, for this
 * long (milliseconds). */
#define EARLY_MIN 512
#define EARLY_IDLE_MS 500
#define EARLY_YIELD_MS 200

/* Bounded work per turn of the main loop. */
#define TURN_MS 20
#define TURN_REQUESTS 4096
#define BACKLOG_MAX (4 * 1024 * 1024)
#define KEEPALIVE_LOOK_MS 1000

/* Complete streams that share a group have at most this many requests in all. */
#define SHARED_MAX 4096

#define PORT_WAIT_MS 5000
#define READ_BACK_SOON_MS 1000
#define READ_BACK_RETRY_MS 5000
#define MAX_REREADS 2

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 20);

static void
touch_changed_ifaces(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;
    struct otd_iface *iface;
    struct otd_tunnel *t;

    HMAP_FOR_EACH (iface, node, &engine->table.ifaces) {
        if (iface->changed) {
            iface->changed = false;
            LIST_FOR_EACH (t, iface_node, &iface->tunnels) {
                otd_group_touch(group, t);
            }
        }
    }
    engine->ifaces_changed = false;
}

/* ---- Beginning and ending. */

static struct otd_group *
group_create(struct otd_engine *engine)
{
    struct otd_group *group = xzalloc(sizeof *group);

    ovs_assert(!engine->group);
    group->engine = engine;
    hmap_init(&group->leaving);
    ovs_list_init(&group->txns);
    ovs_list_init(&group->pendings);
    ovs_list_init(&group->pending_chunks);
    group->fixed_tlvs = engine->fixed_tlvs;
    otd_stage_init(&group->stage, engine->ctl);
    engine->group = group;
    return group;
}

static void
group_add_txn(struct otd_group *group, struct otd_txn *txn)
{
    ovs_list_remove(&txn->node);
    ovs_list_push_back(&group->txns, &txn->node);
    txn->state = OTD_TXN_IN_GROUP;
    otd_txn_clear_results(txn);
    otd_spool_rewind(&txn->spool, &txn->cursor);
}

/* Nothing that the group did stands: not in the table, the store or the switch. */
static void
group_roll_back(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;
    struct otd_pending *p;

    LIST_FOR_EACH (p, node, &group->pendings) {
        if (!p->txn && p->existed && p->tunnel->iface) {
            p->tunnel->iface->changed = true;
            engine->ifaces_changed = true;
        }
    }
    otd_group_undo(group);
    if (otd_store_in_transaction(engine->store)) {
        otd_store_rollback(engine->store);
    }
    otd_stage_destroy(&group->stage);
    otd_stage_init(&group->stage, engine->ctl);
    group->n_namings = 0;
}

static void
group_free(struct otd_group *group)
{
    otd_stage_destroy(&group->stage);
    group->engine->group = NULL;
    hmap_destroy(&group->leaving);
    free(group->namings);
    free(group);
}

/* Sends the group's transactions back to where they came from. */
static void
group_disband(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;
    struct ovs_list *place = &engine->waiting;
    struct otd_txn *txn;

    group_roll_back(group);
    LIST_FOR_EACH_REVERSE_SAFE (txn, node, &group->txns) {
        ovs_list_remove(&txn->node);
        otd_txn_clear_results(txn);
        if (txn->ended) {
            txn->state = OTD_TXN_WAITING;
            ovs_list_push_front(place, &txn->node);
        } else {
            txn->state = OTD_TXN_SPOOLING;
            ovs_list_push_back(&engine->spooling, &txn->node);
        }
    }
    group_free(group);
    poll_immediate_wake();
}

/* Answers the group's transactions and ends it.  'status' < 0: as each one's
 * entries say. */
static void
group_complete(struct otd_group *group, int status, const char *error)
{
    struct ovs_list txns;
    struct otd_txn *txn;
    char *text = nullable_xstrdup(error);

    ovs_list_init(&txns);
    ovs_list_splice(&txns, group->txns.next, &group->txns);
    group->engine->n_groups++;
    group_free(group);
    LIST_FOR_EACH_SAFE (txn, node, &txns) {
        ovs_list_remove(&txn->node);
        otd_txn_complete(txn, status, text);
    }
    free(text);
    poll_immediate_wake();
}

static void
group_fail(struct otd_group *group, const char *error)
{
    struct otd_engine *engine = group->engine;

    group_roll_back(group);
    if (ovs_list_is_empty(&group->txns)) {
        /* Nobody is told, and to try again at once would go on for ever: a
         * read-back does what can be done, and says what cannot. */
        VLOG_WARN_RL(&rl, "flows could not follow their interfaces: %s", error);
        engine->ifaces_changed = false;
        engine->resync = true;
        engine->resync_at = time_msec() + READ_BACK_RETRY_MS;
    }
    group_complete(group, OTD_TXN_TABLE_UNAVAILABLE, error);
}

/* The store has the changes but the switch does not: the store takes them back
 * before anybody is answered. */
static void
group_unstore(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;
    struct otd_pending *p;
    char *error = otd_store_begin(engine->store);

    LIST_FOR_EACH (p, node, &group->pendings) {
        const struct otd_tunnel *t = p->tunnel;

        if (error) {
            break;
        } else if (!p->txn) {
            continue;
        } else if (!p->existed) {
            error = (p->exists
                     ? otd_store_delete(engine->store, t->installed.key)
                     : NULL);
        } else if (!p->exists || p->old_bytes) {
            error = otd_store_put(engine->store, t->id, t->installed.key,
                                  p->old_bytes ? p->old_bytes : t->bytes,
                                  p->old_bytes ? p->n_old : t->n_bytes);
        }
    }
    if (!error) {
        error = otd_store_commit(engine->store);
    }
    if (error) {
        VLOG_ERR("changes that the switch refused stay in the store and will "
                 "be tried again at the next start: %s", error);
        free(error);
        otd_store_rollback(engine->store);
    }
    group->stored = false;
    engine->resync = true;
    engine->resync_at = time_msec();
}

static char *
group_open_store(struct otd_group *group)
{
    return (ovs_list_is_empty(&group->txns) ? NULL
            : otd_store_begin(group->engine->store));
}

/* Tries again from the first request, with what has been found wanting, in
 * requests or in the option map. */
static void
group_restart(struct otd_group *group)
{
    struct otd_txn *txn;
    char *error;

    group_roll_back(group);
    LIST_FOR_EACH (txn, node, &group->txns) {
        otd_txn_clear_results(txn);
        otd_spool_rewind(&txn->spool, &txn->cursor);
    }
    group->state = OTD_GROUP_APPLYING;
    error = otd_tlv_map(group, group->reserving);
    group->reserving = 0;
    touch_changed_ifaces(group);
    if (!error) {
        error = group_open_store(group);
    }
    if (error) {
        group_fail(group, error);
        free(error);
    }
    poll_immediate_wake();
}

/* ---- Applying. */

/* A request waits for our ports: the group steps back until they are there. */
static void
group_wait_for_port(struct otd_group *group, struct otd_txn *txn)
{
    struct otd_engine *engine = group->engine;

    txn->needs_port = true;
    if (engine->port_wanted_since == LLONG_MAX) {
        engine->port_wanted_since = time_msec();
    }
    group_disband(group);
}

/* At the end of 'txn''s requests: false if it did not fit. */
static bool
group_check_capacity(struct otd_group *group, struct otd_txn *txn)
{
    struct otd_engine *engine = group->engine;
    size_t capacity = otd_ovsdb_settings(engine->ovsdb)->capacity;

    if (txn->fits || !txn->n_created) {
        return true;
    }
    capacity = MAX(capacity, txn->n_before);    /* It may have shrunk. */
    txn->fits = true;
    if (engine->table.by_id.n <= capacity) {
        return true;
    }
    txn->full = true;
    group_disband(group);
    return false;
}

enum feed { FEED_MORE, FEED_DONE, FEED_DISBANDED /* Or begun anew. */ };

/* Applies requests of 'txn' until there are none, the turn is over or the switch
 * is behind. */
static enum feed
group_feed(struct otd_group *group, struct otd_txn *txn, long long int deadline)
{
    struct otd_engine *engine = group->engine;
    enum feed result = FEED_MORE;
    struct otd_decoded d[2];    /* This request and the next one. */
    bool ahead = false;
    int this = 0;

    if (!txn->cursor.index) {
        txn->n_before = otd_engine_n_tunnels(engine);
    }
    /* What the switch has not taken is looked at before each request, not after:
     * a turn that begins behind must not do a single one, or a loop of such turns
     * takes the switch's processor away from it. */
    for (int i = 0; (i < TURN_REQUESTS
                     && otd_session_backlog(engine->ctl) <= BACKLOG_MAX); i++) {
        struct otd_spool_cursor cursor = txn->cursor, next;
        const void *bytes, *next_bytes;
        size_t n, n_next;

        if (!otd_spool_next(&txn->spool, &txn->cursor, &bytes, &n)) {
            return txn->ended ? FEED_DONE : FEED_MORE;
        }
        if (!ahead) {
            otd_group_decode(engine, bytes, n, &d[this]);
        }
        next = txn->cursor;
        ahead = otd_spool_next(&txn->spool, &next, &next_bytes, &n_next);
        if (ahead) {
            otd_group_decode(engine, next_bytes, n_next, &d[!this]);
        }
        if (!otd_group_apply(group, txn, cursor.index, &d[this])) {
            if (group->reserving) {
                group_restart(group);
            } else {
                group_wait_for_port(group, txn);
            }
            result = FEED_DISBANDED;
        }
        this = !this;
        if (result != FEED_MORE) {
            break;
        }
        txn->applied_bytes += n;
        if (group->stage.failed || (i % 64 == 63 && time_msec() > deadline)) {
            break;
        }
    }
    if (ahead) {
        otd_faults_destroy(&d[this].faults);
    }
    return result;
}

static void
group_stage_fixed(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;

    group->fixed_tlvs = engine->tlvs;
    if (memcmp(&engine->fixed_tlvs, &engine->tlvs, sizeof engine->tlvs)) {
        otd_flows_clear(&engine->scratch);
        otd_flows_clear(&engine->scratch2);
        otd_compile_fixed(&engine->bridge, &engine->fixed_tlvs,
                          &engine->scratch);
        otd_compile_fixed(&engine->bridge, &engine->tlvs, &engine->scratch2);
        otd_stage_difference(&group->stage, &engine->scratch,
                             &engine->scratch2, 0);
    }
}

static void
group_run_applying(struct otd_group *group)
{
    long long int deadline = time_msec() + TURN_MS;
    struct otd_txn *txn;

    if (otd_stage_lost(&group->stage)) {
        group_disband(group);
        return;
    }
    LIST_FOR_EACH (txn, node, &group->txns) {
        switch (group_feed(group, txn, deadline)) {
        case FEED_DISBANDED:
            return;
        case FEED_MORE:
            if (group->stage.failed) {
                goto check;     /* There will be no more than this. */
            }
            otd_stage_keepalive(&group->stage);
            return;
        case FEED_DONE:
            if (!group_check_capacity(group, txn)) {
                return;
            }
            break;
        }
    }
    if (!otd_group_finish(group)) {
        group_restart(group);
        return;
    }
    group_stage_fixed(group);
check:
    otd_stage_check(&group->stage);
    group->state = OTD_GROUP_CHECKING;
}

/* ---- Checking and committing. */

/* Turns the switch's refusals into failures of the requests.  False if something
 * that belongs to no request was refused. */
static bool
group_blame(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;
    struct otd_refusal *r;
    size_t n = 0;

    LIST_FOR_EACH (r, node, &group->stage.refusals) {
        struct otd_tunnel *t = otd_table_by_key(&engine->table, r->key);

        if (t && t->pending && t->pending->txn) {
            otd_txn_force_failure(t->pending->txn, t->pending->index,
                                  OTD_FAULT_OTHER, "", r->text);
            n++;
        } else {
            VLOG_WARN_RL(&rl, "flow of key %"PRIu32": %s", r->key, r->text);
        }
    }
    return n && !group->stage.error;
}

/* Somebody else has changed the option map meanwhile: reads it again, and then
 * tries again.  False if that has been tried often enough. */
static bool
group_reread(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;
    struct otd_txn *txn;

    if (!group->stage.message_refused) {
        return false;
    }
    LIST_FOR_EACH (txn, node, &group->txns) {
        if (txn->n_rereads++ >= MAX_REREADS) {
            return false;
        }
    }
    engine->resync = true;
    engine->resync_at = time_msec();
    group_disband(group);
    return true;
}

static const char *
stage_error(const struct otd_stage *stage)
{
    return stage->error ? stage->error : "the switch refused a flow";
}

static void
group_run_checking(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;
    char *error;

    if (otd_stage_lost(&group->stage)) {
        group_disband(group);
        return;
    } else if (!otd_stage_ready(&group->stage)) {
        otd_stage_keepalive(&group->stage);
        return;
    } else if (group->stage.failed) {
        if (group_reread(group)) {
            return;
        } else if (group_blame(group)) {
            group_restart(group);
        } else {
            char *text = xstrdup(stage_error(&group->stage));

            group_fail(group, text);
            free(text);
        }
        return;
    }

    if (otd_store_in_transaction(engine->store)) {
        error = otd_store_set_next_key(engine->store, engine->table.next_key);
        if (!error) {
            error = otd_store_commit(engine->store);
        }
        if (error) {
            group_fail(group, error);
            free(error);
            return;
        }
        group->stored = true;
    }
    otd_stage_commit(&group->stage);
    group->state = OTD_GROUP_COMMITTING;
}

static void
group_succeed(struct otd_group *group)
{
    struct otd_engine *engine = group->engine;

    otd_group_free_pendings(group);
    engine->fixed_tlvs = group->fixed_tlvs;
    if (!engine->table.by_id.n) {
        otd_engine_want_ports(engine, false);
    }
    group_complete(group, -1, NULL);
}

static void
group_run_committing(struct otd_group *group)
{
    bool lost = otd_stage_lost(&group->stage);

    if (!lost && !otd_stage_ready(&group->stage)) {
        otd_stage_keepalive(&group->stage);
        return;
    }
    if (!lost && !group->stage.failed) {
        group_succeed(group);
        return;
    }
    if (group->stored) {
        group_unstore(group);
    }
    if (!lost && group_reread(group)) {
        return;
    } else if (!lost && group_blame(group)) {
        group_restart(group);
    } else {
        char *text = xstrdup(lost ? "the connection to the switch was lost "
                                    "before it confirmed the change"
                             : stage_error(&group->stage));

        group_fail(group, text);
        free(text);
    }
}

/* ---- Who is next. */

static void
fail_waiting(struct otd_engine *engine, bool needing_port, int status,
             const char *error)
{
    struct otd_txn *txn;
    char *text = xstrdup(error);

    LIST_FOR_EACH_SAFE (txn, node, &engine->waiting) {
        if (txn->needs_port || !needing_port) {
            ovs_list_remove(&txn->node);
            otd_txn_complete(txn, status, text);
        }
    }
    free(text);
}

/* True while no group may start because of our ports. */
static bool
must_wait_for_port(struct otd_engine *engine)
{
    long long int now = time_msec();
    enum otd_port_state state;
    const char *error;

    if (engine->port_wanted_since == LLONG_MAX) {
        return false;
    }
    state = otd_engine_ports_state(engine, &error);
    if (state == OTD_PORT_READY) {
        if (otd_engine_ports_in_force(engine)) {
            engine->port_wanted_since = LLONG_MAX;
            return false;
        }
    } else if (state == OTD_PORT_FAILED) {
        fail_waiting(engine, true, OTD_TXN_TABLE_UNAVAILABLE, error);
        engine->port_wanted_since = LLONG_MAX;
        return false;
    }
    if (now - engine->port_wanted_since > PORT_WAIT_MS) {
        fail_waiting(engine, true, OTD_TXN_TABLE_UNAVAILABLE,
                     "ovs-vswitchd did not create the Geneve ports in time; is "
                     "it running?");
        engine->port_wanted_since = LLONG_MAX;
        return false;
    }
    return true;
}

static void
answer_full(struct otd_engine *engine)
{
    struct otd_txn *txn;

    LIST_FOR_EACH_SAFE (txn, node, &engine->waiting) {
        if (txn->full) {
            char *text = xasprintf(
                "the table holds at most %"PRIu32" tunnels (tunneld-capacity) "
                "and has %"PRIuSIZE"; nothing of this stream was inserted",
                otd_ovsdb_settings(engine->ovsdb)->capacity,
                engine->table.by_id.n);

            ovs_list_remove(&txn->node);
            otd_txn_complete(txn, OTD_TXN_TABLE_FULL, text);
            free(text);
        }
    }
}

static struct otd_txn *
find_early(struct otd_engine *engine)
{
    struct otd_txn *txn;

    LIST_FOR_EACH (txn, node, &engine->spooling) {
        if (!txn->no_early && !txn->full && !txn->needs_port
            && txn->spool.n >= EARLY_MIN) {
            return txn;
        }
    }
    return NULL;
}

static void
group_start(struct otd_engine *engine)
{
    struct otd_txn *early = find_early(engine);
    struct otd_group *group;
    size_t n = 0;
    char *error;

    if (ovs_list_is_empty(&engine->waiting) && !early
        && !engine->ifaces_changed) {
        return;
    }
    group = group_create(engine);
    touch_changed_ifaces(group);
    if (!ovs_list_is_empty(&engine->waiting)) {
        struct otd_txn *txn;

        LIST_FOR_EACH_SAFE (txn, node, &engine->waiting) {
            if (n && n + txn->spool.n > SHARED_MAX) {
                break;
            }
            n += txn->spool.n;
            group_add_txn(group, txn);
        }
    } else if (early) {
        group_add_txn(group, early);
    }
    error = group_open_store(group);
    if (error) {
        group_fail(group, error);
        free(error);
    }
}

bool
otd_group_make_way(struct otd_engine *engine)
{
    struct otd_group *group = engine->group;

    if (group && group->state == OTD_GROUP_APPLYING
        && !ovs_list_is_empty(&group->txns)) {
        struct otd_txn *txn = CONTAINER_OF(ovs_list_front(&group->txns),
                                           struct otd_txn, node);
        if (!txn->ended) {
            txn->no_early = true;
            group_disband(group);
        }
    }
    return !engine->group;
}

/* A stream that is applied while it comes in must neither pause nor hold up one
 * that is complete. */
static void
check_early(struct otd_engine *engine)
{
    struct otd_group *group = engine->group;
    long long int now = time_msec();
    struct otd_txn *txn, *first;

    if (!group || group->state != OTD_GROUP_APPLYING
        || ovs_list_is_empty(&group->txns)) {
        return;
    }
    txn = CONTAINER_OF(ovs_list_front(&group->txns), struct otd_txn, node);
    if (txn->ended) {
        return;
    }
    if (now - txn->fed_at > EARLY_IDLE_MS
        && txn->cursor.index >= txn->spool.n) {
        otd_group_make_way(engine);
    } else if (!ovs_list_is_empty(&engine->waiting)) {
        first = CONTAINER_OF(ovs_list_front(&engine->waiting), struct otd_txn,
                             node);
        if (now - first->ended_at > EARLY_YIELD_MS) {
            otd_group_make_way(engine);
        }
    }
}

/* Nothing else is changing flows, or about to. */
static bool
may_start(const struct otd_engine *engine)
{
    return (!engine->sync && !engine->tlv_busy
            && !(engine->resync && time_msec() >= engine->resync_at));
}

void
otd_group_run(struct otd_engine *engine)
{
    const char *why;

    answer_full(engine);
    check_early(engine);
    if (!engine->group) {
        if (!otd_engine_is_serving(engine, &why)) {
            bool soon = (engine->sync
                         || (engine->resync && engine->resync_at
                             <= time_msec() + READ_BACK_SOON_MS));

            engine->port_wanted_since = LLONG_MAX;
            /* A read-back that is under way is soon over: wait for it. */
            if (!otd_session_is_up(engine->ctl) || !soon) {
                fail_waiting(engine, false, OTD_TXN_TABLE_UNAVAILABLE, why);
            }
            return;
        }
        if (!may_start(engine) || must_wait_for_port(engine)) {
            return;
        }
        group_start(engine);
    }
    if (engine->group && engine->group->state == OTD_GROUP_APPLYING) {
        group_run_applying(engine->group);
    }
    if (engine->group && engine->group->state == OTD_GROUP_CHECKING) {
        group_run_checking(engine->group);
    }
    if (engine->group && engine->group->state == OTD_GROUP_COMMITTING) {
        group_run_committing(engine->group);
    }
}

void
otd_group_wait(const struct otd_engine *engine)
{
    const struct otd_group *group = engine->group;

    if (engine->port_wanted_since != LLONG_MAX && may_start(engine)) {
        poll_timer_wait_until(engine->port_wanted_since + PORT_WAIT_MS + 1);
    }
    if (group && group->state == OTD_GROUP_APPLYING) {
        if (otd_session_backlog(engine->ctl) <= BACKLOG_MAX
            && !ovs_list_is_empty(&group->txns)) {
            const struct otd_txn *txn = CONTAINER_OF(
                ovs_list_front(&group->txns), struct otd_txn, node);

            if (txn->ended || txn->cursor.index < txn->spool.n) {
                poll_immediate_wake();
            }
        }
        poll_timer_wait(EARLY_YIELD_MS);
    } else if (!group && find_early(CONST_CAST(struct otd_engine *, engine))
               && otd_engine_is_serving(engine, NULL)
               && may_start(engine)
               && engine->port_wanted_since == LLONG_MAX) {
        poll_immediate_wake();
    } else if (!group && engine->ifaces_changed) {
        poll_timer_wait(100);
    } else if (group && group->stage.bundled) {
        poll_timer_wait(KEEPALIVE_LOOK_MS);
    }
}

void
otd_group_cancel_txn(struct otd_txn *txn)
{
    struct otd_group *group = txn->engine->group;

    if (group->state != OTD_GROUP_APPLYING && txn->ended) {
        /* The client is gone, but its requests were complete: they stand. */
        txn->done = NULL;
        return;
    }
    group_disband(group);
    ovs_list_remove(&txn->node);
    otd_txn_free(txn);
}

bool
otd_group_receive(struct otd_engine *engine, const struct ofpbuf *msg)
{
    return engine->group && otd_stage_receive(&engine->group->stage, msg);
}

void
otd_group_disconnected(struct otd_engine *engine)
{
    struct otd_group *group = engine->group;

    if (group) {
        if (group->state == OTD_GROUP_COMMITTING) {
            group_run_committing(group);
        } else {
            group_disband(group);
        }
    }
}
