/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include "bitmap.h"
#include "flows/decode.h"
#include "flows/pipeline.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(sync);

/* A report names at most this many differences. */
#define REPORT_MAX 20
#define BACKLOG_MAX (4 * 1024 * 1024)
#define TURN_TUNNELS 4096
#define RETRY_MS 5000

/* In a tunnel's 'seen'.  By place in its plan: the switch has the flow; it has it
 * with other actions, which an add replaces without touching the counters.  By
 * cookie: it has one that is not in the plan, whose counts are banked and which
 * will say its last word when it goes. */
#define SEEN(I) (1u << (I))
#define SEEN_OTHER(I) (1u << (OTD_FLOWS_PER_TUNNEL + (I)))
#define SEEN_EXTRA(COOKIE) \
    (1u << (2 * OTD_FLOWS_PER_TUNNEL + otd_cookie_kind(COOKIE) % 8))

enum sync_state {
    SYNC_READING,               /* The TLV table, then all flows. */
    SYNC_STAGING,
    SYNC_CHECKING,
    SYNC_COMMITTING,
};

struct otd_sync {
    struct otd_engine *engine;
    enum sync_state state;
    bool dry_run;
    unsigned int seqno;         /* The session's. */
    ovs_be32 tlv_xid, dump_xid;

    struct otd_flows fixed;     /* The pipeline itself, and what of it is there. */
    unsigned long fixed_seen;
    struct otd_flows extra;     /* Ours by cookie, but not in the plan. */
    struct ofpbuf ofpacts;      /* Scratch. */

    size_t n_foreign;
    uint64_t foreign_cookie;
    uint8_t foreign_table;

    struct otd_stage stage;
    uint32_t cursor;            /* Next key to look at. */
    size_t n_adds, n_deletes;
    struct ds report;
    size_t n_differences;
    long long int started_at;
};

/* ---- Beginning and ending. */

static void
sync_free(struct otd_sync *sync)
{
    sync->engine->sync = NULL;
    otd_flows_destroy(&sync->fixed);
    otd_flows_destroy(&sync->extra);
    ofpbuf_uninit(&sync->ofpacts);
    otd_stage_destroy(&sync->stage);
    ds_destroy(&sync->report);
    free(sync);
}

static void
answer_checks(struct otd_engine *engine, const struct ds *report, bool equal,
              bool all)
{
    struct otd_check *check;

    LIST_FOR_EACH_SAFE (check, node, &engine->checks) {
        if (check->taken || all) {
            ovs_list_remove(&check->node);
            check->done(check->aux, report, equal);
            free(check);
        }
    }
}

void
otd_sync_abort(struct otd_engine *engine, const char *why)
{
    struct ds report = DS_EMPTY_INITIALIZER;

    if (engine->sync) {
        sync_free(engine->sync);
    }
    ds_put_format(&report, "the switch could not be read: %s\n", why);
    answer_checks(engine, &report, false, true);
    ds_destroy(&report);
}

void
otd_sync_start(struct otd_engine *engine, bool dry_run)
{
    struct otd_sync *sync = xzalloc(sizeof *sync);
    struct ofpbuf *out;
    struct otd_check *check;

    ovs_assert(!engine->sync && !engine->group);
    engine->sync = sync;
    sync->engine = engine;
    sync->dry_run = dry_run;
    sync->seqno = otd_session_seqno(engine->ctl);
    sync->started_at = time_msec();
    ofpbuf_init(&sync->ofpacts, 256);
    otd_stage_init(&sync->stage, engine->ctl);
    if (!dry_run) {
        sync->stage.loose = engine->sync_loose;
        engine->sync_loose = false;
    }
    ds_init(&sync->report);
    LIST_FOR_EACH (check, node, &engine->checks) {
        check->taken = dry_run ? !check->repair : true;
    }
    if (!dry_run) {
        engine->resync = false;
    }

    sync->tlv_xid = otd_session_next_xid(engine->ctl);
    sync->dump_xid = otd_session_next_xid(engine->ctl);
    out = otd_session_output(engine->ctl);
    if (out) {
        otd_msg_tlv_request(out, sync->tlv_xid);
        otd_msg_flow_dump(out, sync->dump_xid, 0, 0);
        otd_session_flush(engine->ctl);
    }
}

/* ---- Reading. */

static void
difference(struct otd_sync *sync, const char *what, uint8_t table_id,
           uint16_t priority, uint64_t cookie, const struct match *match,
           const struct ofpact *ofpacts, size_t ofpacts_len)
{
    struct otd_names names = { NULL, NULL, NULL };

    if (sync->n_differences++ < REPORT_MAX) {
        ds_put_format(&sync->report, "%s: ", what);
        otd_decode_flow(&sync->report, table_id, priority, cookie, match,
                        ofpacts, ofpacts_len, &names);
        ds_put_char(&sync->report, '\n');
    }
}

static void
flow_difference(struct otd_sync *sync, const char *what,
                const struct otd_flow *f)
{
    difference(sync, what, f->table_id, f->priority, f->cookie, &f->match,
               f->ofpacts.data, f->ofpacts.size);
}

static void
add_extra(struct otd_sync *sync, const struct otd_flow_report *r)
{
    struct otd_flow *f = otd_flows_add(&sync->extra);

    f->table_id = r->table_id;
    f->priority = r->priority;
    f->cookie = r->cookie;
    f->match = r->match;
}

/* The flow that OVS itself puts into a bridge that is in standalone mode. */
static bool
is_standalone_default(const struct otd_flow_report *r)
{
    const struct ofpact *a = r->ofpacts;

    return (!r->table_id && !r->priority && !r->cookie
            && flow_wildcards_is_catchall(&r->match.wc)
            && r->ofpacts_len && a->type == OFPACT_OUTPUT
            && ofpact_get_OUTPUT(a)->port == OFPP_NORMAL
            && ofpact_next(a) == ofpact_end(r->ofpacts, r->ofpacts_len));
}

/* Index in 'flows' of the flow with the match of '*r', or -1. */
static int
find_rule(const struct otd_flows *flows, const struct otd_flow_report *r)
{
    for (size_t i = 0; i < flows->n; i++) {
        if (otd_flow_same_rule(&flows->flows[i], r->table_id, r->priority,
                               &r->match)) {
            return i;
        }
    }
    return -1;
}

static bool
is_equal(const struct otd_flow *f, const struct otd_flow_report *r)
{
    return (f->cookie == r->cookie
            && f->send_flow_rem == r->send_flow_rem
            && otd_ofpacts_equal(f->ofpacts.data, f->ofpacts.size,
                                 r->ofpacts, r->ofpacts_len));
}

static void
compile_wanted(struct otd_engine *engine, const struct otd_tunnel *t,
               struct otd_tunnel_facts *facts, struct otd_flows *flows)
{
    struct otd_spec spec;

    otd_flows_clear(flows);
    otd_tunnel_wanted_facts(engine, t, facts, NULL);
    if (facts->active) {
        otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
        otd_compile_tunnel(&spec, facts, &engine->bridge, &engine->tlvs, flows);
    }
}

static void
read_ours(struct otd_sync *sync, const struct otd_flow_report *r)
{
    struct otd_engine *engine = sync->engine;
    struct otd_tunnel_facts facts;
    struct otd_tunnel *t = NULL;
    struct otd_flows *plan;
    int i;

    if (otd_cookie_kind(r->cookie) == OTD_COOKIE_FIXED) {
        plan = &sync->fixed;
    } else {
        t = otd_table_by_key(&engine->table, otd_cookie_key(r->cookie));
        plan = &engine->scratch;
        otd_flows_clear(plan);
        if (t) {
            compile_wanted(engine, t, &facts, plan);
        }
    }

    if (t && !sync->dry_run) {
        struct otd_tally *tally = otd_tally_of(t, r->cookie);

        if (!engine->synced && r->packets < tally->last_packets) {
            otd_tally_restart(tally);   /* Another flow than the last time. */
        }
        otd_tally_update(t, tally, r->packets, r->bytes);
    }
    i = find_rule(plan, r);
    if (i >= 0) {
        bool equal = is_equal(&plan->flows[i], r);

        if (t) {
            t->seen |= equal ? SEEN(i) : SEEN_OTHER(i);
        } else if (equal) {
            sync->fixed_seen |= 1ul << i;
        }
    } else {
        if (t && !sync->dry_run) {
            otd_tally_bank(otd_tally_of(t, r->cookie));
            t->changed_at = engine->change_number + 1;
            t->seen |= SEEN_EXTRA(r->cookie);
        }
        difference(sync, "not in the plan", r->table_id, r->priority, r->cookie,
                   &r->match, r->ofpacts, r->ofpacts_len);
        add_extra(sync, r);
    }
}

static void
read_flow(struct otd_sync *sync, const struct otd_flow_report *r)
{
    if (otd_cookie_is_ours(r->cookie)) {
        read_ours(sync, r);
    } else if (!is_standalone_default(r)) {
        if (!sync->n_foreign++) {
            sync->foreign_cookie = r->cookie;
            sync->foreign_table = r->table_id;
        }
    }
}

static void
refuse_foreign(struct otd_sync *sync)
{
    struct otd_engine *engine = sync->engine;
    const char *bridge = otd_ovsdb_settings(engine->ovsdb)->bridge;
    char *text = xasprintf(
        "bridge %s carries %"PRIuSIZE" flows of another controller, the first "
        "in table %"PRIu8" with cookie 0x%"PRIx64"; give ovs-tunneld a bridge of "
        "its own (external_ids:tunneld-bridge) or let it share this one "
        "(external_ids:tunneld-share-bridge=true)",
        bridge, sync->n_foreign, sync->foreign_table, sync->foreign_cookie);

    if (!engine->refusal || strcmp(engine->refusal, text)) {
        VLOG_ERR("%s", text);
    }
    free(engine->refusal);
    engine->refusal = text;
}

static void
reading_done(struct otd_sync *sync)
{
    struct otd_engine *engine = sync->engine;

    if (sync->n_foreign && !engine->bridge.share) {
        if (!engine->has_served && !sync->dry_run) {
            refuse_foreign(sync);
            otd_sync_abort(engine, engine->refusal);
            return;
        }
        /* They came while we were here: ours stay, and so do theirs. */
    }
    free(engine->refusal);
    engine->refusal = NULL;
    sync->state = SYNC_STAGING;
    poll_immediate_wake();
}

static void
start_compare(struct otd_sync *sync)
{
    struct otd_engine *engine = sync->engine;
    struct otd_tunnel *t;

    OTD_TABLE_FOR_EACH (t, &engine->table) {
        t->seen = 0;
        if (!engine->synced) {
            /* What was due on the connection before will never come. */
            t->match.banked_packets = t->match.banked_bytes = 0;
            t->drop.banked_packets = t->drop.banked_bytes = 0;
            t->match.n_due = t->drop.n_due = 0;
        }
    }
    otd_compile_fixed(&engine->bridge, sync->dry_run ? &engine->fixed_tlvs
                      : &engine->tlvs, &sync->fixed);
    ovs_assert(sync->fixed.n <= sizeof sync->fixed_seen * CHAR_BIT);
}

static void
read_tlvs(struct otd_sync *sync, const struct ofpbuf *msg)
{
    struct otd_tlv_table table;
    enum ofperr err = otd_msg_tlv_reply(msg->data, &table);
    char *error = NULL;

    if (err) {
        VLOG_WARN("the switch's Geneve option table cannot be read: %s",
                  ofperr_to_string(err));
    } else if (!sync->dry_run) {
        error = otd_tlv_adopt(sync->engine, &table);
    }
    if (error) {
        VLOG_ERR("%s", error);
        free(sync->engine->sync_error);
        sync->engine->sync_error = error;
    }
    start_compare(sync);
}

static void
read_flows(struct otd_sync *sync, struct ofpbuf *msg)
{
    bool more = false;
    int error;

    for (;;) {
        struct otd_flow_report r;

        error = otd_msg_flow_dump_next(msg, &r, &sync->ofpacts, &more);
        if (error) {
            break;
        }
        read_flow(sync, &r);
    }
    if (error != EOF) {
        VLOG_ERR("a flow that the switch reports cannot be read: %s",
                 ofperr_to_string(error));
    }
    if (!more) {
        reading_done(sync);
    }
}

bool
otd_sync_receive(struct otd_engine *engine, struct ofpbuf *msg)
{
    struct otd_sync *sync = engine->sync;
    ovs_be32 xid = otd_msg_xid(msg);

    if (!sync) {
        return false;
    }
    if (sync->state == SYNC_READING
        && (xid == sync->tlv_xid || xid == sync->dump_xid)) {
        switch (otd_msg_type(msg)) {
        case OTD_MSG_TLV_REPLY:
            read_tlvs(sync, msg);
            return true;
        case OTD_MSG_FLOW_STATS:
            read_flows(sync, msg);
            return true;
        case OTD_MSG_ERROR:
            VLOG_ERR("the switch cannot be read back: %s",
                     otd_msg_error_name(msg));
            engine->resync = true;
            engine->resync_at = time_msec() + RETRY_MS;
            otd_sync_abort(engine, otd_msg_error_name(msg));
            return true;
        case OTD_MSG_BARRIER_REPLY:
        case OTD_MSG_FLOW_REMOVED:
        case OTD_MSG_BUNDLE_REPLY:
        case OTD_MSG_OTHER:
            break;
        }
        return true;
    }
    return otd_stage_receive(&sync->stage, msg);
}

/* ---- Mending. */

static void
stage_add(struct otd_sync *sync, const struct otd_flow *f, uint32_t key)
{
    flow_difference(sync, "missing or different", f);
    if (!sync->dry_run) {
        otd_stage_flow(&sync->stage, OTD_FLOW_ADD, f, key);
        sync->n_adds++;
    }
}

/* 'late': the default of table 0, which comes after everything else. */
static void
stage_fixed(struct otd_sync *sync, bool late)
{
    for (size_t i = 0; i < sync->fixed.n; i++) {
        const struct otd_flow *f = &sync->fixed.flows[i];
        bool is_late = (f->table_id == OTD_TABLE_CLASSIFY
                        && f->priority == OTD_PRIO_DEFAULT);

        if (is_late == late && !(sync->fixed_seen & 1ul << i)) {
            stage_add(sync, f, 0);
        }
    }
}

static void
stage_extra(struct otd_sync *sync)
{
    for (size_t i = 0; i < sync->extra.n && !sync->dry_run; i++) {
        otd_stage_flow(&sync->stage, OTD_FLOW_DELETE_STRICT,
                       &sync->extra.flows[i], 0);
        sync->n_deletes++;
    }
}

/* A tunnel of which the switch has nothing, as after its restart: all its flows
 * are new. */
static void
stage_whole(struct otd_sync *sync, struct otd_tunnel *t)
{
    struct otd_engine *engine = sync->engine;
    struct otd_tunnel_facts facts;
    struct otd_spec spec;

    otd_tunnel_wanted_facts(engine, t, &facts, NULL);
    t->installed = facts;
    if (t->installed.active) {
        otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
        otd_compile_tunnel_bytes(&spec, &t->installed, &engine->bridge,
                                 &engine->tlvs, &engine->scratch_set);
        otd_stage_add_bytes(&sync->stage, &engine->scratch_set,
                            t->installed.key);
        sync->n_adds += engine->scratch_set.n;
        sync->n_differences += engine->scratch_set.n;
        otd_tally_restart(&t->match);
        otd_tally_restart(&t->drop);
        t->changed_at = engine->change_number;
        t->saved = false;
    }
}

static void
stage_one(struct otd_sync *sync, struct otd_tunnel *t)
{
    struct otd_engine *engine = sync->engine;
    struct otd_tunnel_facts facts;

    if (!t->seen && !sync->dry_run && sync->n_differences >= REPORT_MAX) {
        stage_whole(sync, t);
        return;
    }
    compile_wanted(engine, t, &facts, &engine->scratch);
    if (!sync->dry_run) {
        t->installed = facts;
    }
    for (size_t i = 0; i < engine->scratch.n; i++) {
        const struct otd_flow *f = &engine->scratch.flows[i];

        if (!(t->seen & SEEN(i))) {
            stage_add(sync, f, t->installed.key);
            if (!sync->dry_run
                && !(t->seen & (SEEN_OTHER(i) | SEEN_EXTRA(f->cookie)))) {
                otd_tally_restart(otd_tally_of(t, f->cookie));
                t->changed_at = engine->change_number;
                t->saved = false;
            }
        }
    }
}

static void
run_staging(struct otd_sync *sync)
{
    struct otd_engine *engine = sync->engine;

    if (!sync->cursor) {
        engine->change_number++;
        stage_extra(sync);
        stage_fixed(sync, false);
        sync->cursor = 1;
    }
    for (int i = 0; i < TURN_TUNNELS; i++) {
        struct otd_tunnel *t = otd_table_next_key(&engine->table, sync->cursor);

        if (!t) {
            stage_fixed(sync, true);
            otd_stage_check(&sync->stage);
            sync->state = SYNC_CHECKING;
            return;
        }
        stage_one(sync, t);
        sync->cursor = t->installed.key + 1;
        if (otd_session_backlog(engine->ctl) > BACKLOG_MAX) {
            otd_stage_keepalive(&sync->stage);
            return;
        }
    }
    poll_immediate_wake();
}

static void
note_refusals(struct otd_sync *sync)
{
    struct otd_engine *engine = sync->engine;
    struct otd_stage *stage = &sync->stage;
    struct otd_refusal *r;
    size_t n = 0;

    if (!stage->failed) {
        return;
    }
    LIST_FOR_EACH (r, node, &stage->refusals) {
        struct otd_tunnel *t = otd_table_by_key(&engine->table, r->key);

        if (t) {
            t->installed.active = false;
            if (n++ < REPORT_MAX) {
                VLOG_ERR("tunnel %"PRIu64": %s", t->id, r->text);
            }
        }
    }
    free(engine->sync_error);
    engine->sync_error = (stage->error ? xstrdup(stage->error)
                          : xasprintf("the switch refused the flows of "
                                      "%"PRIuSIZE" tunnels", n));
    VLOG_ERR("%s", engine->sync_error);
    engine->resync = true;
    engine->resync_at = time_msec() + RETRY_MS;
    stage->failed = false;
}

static void
sync_done(struct otd_sync *sync)
{
    struct otd_engine *engine = sync->engine;
    bool equal = !sync->n_differences;
    struct ds report = DS_EMPTY_INITIALIZER;

    if (!sync->dry_run) {
        engine->fixed_tlvs = engine->tlvs;
        engine->synced = true;
        engine->has_served = true;
        engine->synced_at = time_msec();
        engine->n_syncs++;
        engine->last_sync_adds = sync->n_adds;
        engine->last_sync_deletes = sync->n_deletes;
        VLOG_INFO("in sync with %"PRIuSIZE" tunnels after %lld ms: %"PRIuSIZE
                  " flows added, %"PRIuSIZE" deleted",
                  engine->table.by_id.n,
                  time_msec() - sync->started_at, sync->n_adds,
                  sync->n_deletes);
    }
    if (equal) {
        ds_put_cstr(&report, "in sync\n");
    } else {
        ds_put_cstr(&report, ds_cstr(&sync->report));
        ds_put_format(&report, "%"PRIuSIZE" differences%s\n",
                      sync->n_differences,
                      sync->dry_run ? "" : ", mended");
    }
    answer_checks(engine, &report, equal, false);
    ds_destroy(&report);
    sync_free(sync);
    poll_immediate_wake();
}

void
otd_sync_run(struct otd_engine *engine)
{
    struct otd_sync *sync = engine->sync;

    if (!sync) {
        return;
    }
    if (sync->seqno != otd_session_seqno(engine->ctl)) {
        otd_sync_abort(engine, "the connection was lost");
        return;
    }
    if (sync->state == SYNC_STAGING) {
        run_staging(sync);
    }
    if (sync->state == SYNC_CHECKING && otd_stage_ready(&sync->stage)) {
        note_refusals(sync);
        otd_stage_commit(&sync->stage);
        sync->state = SYNC_COMMITTING;
    }
    if (sync->state == SYNC_COMMITTING && otd_stage_ready(&sync->stage)) {
        bool lost = sync->stage.failed && sync->stage.bundled;

        note_refusals(sync);
        if (lost) {
            /* A commit that is refused takes all of its bundle with it.  Once
             * more, each message by itself: what is not to blame must not wait
             * for what is. */
            engine->sync_loose = true;
            engine->resync_at = time_msec();
            engine->synced = false;
            otd_sync_abort(engine, engine->sync_error);
        } else {
            sync_done(sync);
        }
    } else if (sync->state != SYNC_READING) {
        otd_stage_keepalive(&sync->stage);
    }
}

void
otd_sync_wait(const struct otd_engine *engine)
{
    if (engine->sync && engine->sync->state == SYNC_STAGING
        && otd_session_backlog(engine->ctl) <= BACKLOG_MAX) {
        poll_immediate_wake();
    }
}
