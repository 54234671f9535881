/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include "flows/pipeline.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(engine);

/* Messages of the switch that are handled in one turn. */
#define TURN_MESSAGES 256

/* How long the switch may take to confirm what is under way at the end. */
#define EXIT_WAIT_MS 5000

struct otd_engine *
otd_engine_create(struct otd_store *store, struct otd_ovsdb *ovsdb,
                  const struct otd_codec *codec)
{
    struct otd_engine *engine = xzalloc(sizeof *engine);

    engine->store = store;
    engine->ovsdb = ovsdb;
    engine->codec = codec;
    otd_table_init(&engine->table);
    engine->ctl = otd_session_create("control");
    engine->reader = otd_session_create("reader");
    otd_session_want_flow_removed(engine->reader, false);
    engine->ctl_seqno = otd_session_seqno(engine->ctl);
    engine->bridge.geneve_port = OFPP_NONE;
    engine->bridge.geneve_in4 = engine->bridge.geneve_in6 = OFPP_NONE;
    /* Until the switch has said what it has. */
    engine->tlv_space = 256;
    engine->tlv_fields = OTD_TLV_MAX;
    engine->port_wanted_since = LLONG_MAX;
    ovs_list_init(&engine->spooling);
    ovs_list_init(&engine->waiting);
    ovs_list_init(&engine->refreshes);
    ovs_list_init(&engine->checks);
    ofpbuf_init(&engine->scratch_bytes, 256);
    otd_flow_bytes_set_init(&engine->scratch_set);
    return engine;
}

static void receive(struct otd_engine *);

/* What is durable waits for the switch's word, so that the answer is true; what is
 * not is dropped. */
static void
end_group(struct otd_engine *engine)
{
    long long int deadline = time_msec() + EXIT_WAIT_MS;

    otd_group_disconnected(engine);
    while (engine->group) {
        if (time_msec() >= deadline) {
            otd_session_set_target(engine->ctl, NULL);
        }
        otd_session_run(engine->ctl);
        receive(engine);
        otd_group_disconnected(engine);
        if (engine->group) {
            otd_session_wait(engine->ctl);
            poll_timer_wait_until(deadline);
            poll_block();
        }
    }
}

void
otd_engine_destroy(struct otd_engine *engine)
{
    struct otd_txn *txn;

    if (!engine) {
        return;
    }
    end_group(engine);
    otd_tlv_stop(engine);
    otd_sync_abort(engine, "the daemon is exiting");
    otd_counters_stop(engine, "the daemon is exiting");
    otd_counters_save_all(engine);
    LIST_FOR_EACH_SAFE (txn, node, &engine->waiting) {
        ovs_list_remove(&txn->node);
        otd_txn_complete(txn, OTD_TXN_TABLE_UNAVAILABLE,
                         "the daemon is exiting");
    }
    LIST_FOR_EACH_SAFE (txn, node, &engine->spooling) {
        ovs_list_remove(&txn->node);
        otd_txn_complete(txn, OTD_TXN_TABLE_UNAVAILABLE,
                         "the daemon is exiting");
    }
    otd_session_destroy(engine->ctl);
    otd_session_destroy(engine->reader);
    otd_table_destroy(&engine->table);
    otd_flows_destroy(&engine->scratch);
    otd_flows_destroy(&engine->scratch2);
    ofpbuf_uninit(&engine->scratch_bytes);
    otd_flow_bytes_set_destroy(&engine->scratch_set);
    free(engine->sync_error);
    free(engine->refusal);
    free(engine->bridge_name);
    free(engine);
}

/* ---- Loading. */

static char *
load_row(const struct otd_store_row *row, void *engine_)
{
    struct otd_engine *engine = engine_;
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct otd_hashed_match match;
    struct otd_spec spec;
    struct otd_tunnel *t;
    char *error = NULL;

    if (!engine->codec->decode(engine->codec->aux, row->bytes, row->n, &spec,
                               &faults)
        || otd_faults_any(&faults) || spec.id != row->id || !row->key
        || row->n > UINT16_MAX) {
        error = xasprintf("tunnel %"PRIu64": the stored request is damaged%s%s",
                          row->id, otd_faults_any(&faults) ? ": " : "",
                          otd_faults_text(&faults));
    } else if (otd_table_find(&engine->table, row->id)
               || otd_table_by_key(&engine->table, row->key)) {
        error = xasprintf("tunnel %"PRIu64": its id or key %"PRIu32" stands "
                          "twice", row->id, row->key);
    } else {
        otd_hashed_match_init(&match, &spec);
        if (otd_table_find_match(&engine->table, engine->codec, &match,
                                 NULL)) {
            error = xasprintf("tunnel %"PRIu64": its match stands twice",
                              row->id);
        }
    }
    otd_faults_destroy(&faults);
    if (error) {
        return error;
    }

    t = xzalloc(sizeof *t);
    t->id = row->id;
    t->installed.key = row->key;
    t->installed.in_port = OFPP_NONE;
    otd_table_insert_key(&engine->table, t);
    otd_table_insert(&engine->table, t, &spec, &match,
                     xmemdup(row->bytes, row->n), row->n);
    otd_counters_load(t, &row->counters);
    return NULL;
}

static char *
load_tlv(const struct otd_store_tlv *tlv, void *engine)
{
    otd_tlv_restore(engine, tlv);
    return NULL;
}

char *
otd_engine_load(struct otd_engine *engine)
{
    char *error = otd_store_load(engine->store, load_row, load_tlv, engine);

    if (!error) {
        engine->table.next_key = MAX(1, otd_store_next_key(engine->store));
        VLOG_INFO("%"PRIuSIZE" tunnels in the store",
                  engine->table.by_id.n);
    }
    return error;
}

/* ---- Facts. */

/* Whether there is to be a port of this kind while there are tunnels. */
static bool
uses_port(const struct otd_engine *engine, enum otd_port_kind kind)
{
    const struct otd_settings *s = otd_ovsdb_settings(engine->ovsdb);

    switch (kind) {
    case OTD_PORT_GENEVE:
        return true;
    case OTD_PORT_GENEVE_IPV4:
        return ipv6_addr_is_set(&s->encap_ip4);
    case OTD_PORT_GENEVE_IPV6:
        return ipv6_addr_is_set(&s->encap_ip6);
    case OTD_N_PORT_KINDS:
        break;
    }
    OVS_NOT_REACHED();
}

void
otd_engine_want_ports(struct otd_engine *engine, bool wanted)
{
    for (enum otd_port_kind i = 0; i < OTD_N_PORT_KINDS; i++) {
        otd_ovsdb_want_port(engine->ovsdb, i, wanted);
    }
}

enum otd_port_state
otd_engine_ports_state(const struct otd_engine *engine, const char **error)
{
    enum otd_port_state state = OTD_PORT_READY;

    *error = NULL;
    for (enum otd_port_kind i = 0; i < OTD_N_PORT_KINDS; i++) {
        struct otd_port_status port = otd_ovsdb_port_status(engine->ovsdb, i);

        if (!uses_port(engine, i) || state == OTD_PORT_FAILED) {
            continue;
        } else if (port.state == OTD_PORT_FAILED) {
            *error = port.error;
            state = OTD_PORT_FAILED;
        } else if (port.state != OTD_PORT_READY) {
            state = port.state;
        }
    }
    return state;
}

static ofp_port_t
port_number(const struct otd_engine *engine, enum otd_port_kind kind)
{
    return otd_ovsdb_port_status(engine->ovsdb, uses_port(engine, kind)
                                 ? kind : OTD_PORT_GENEVE).ofport;
}

static void
take_facts(struct otd_engine *engine, struct otd_bridge_facts *facts)
{
    const struct otd_settings *s = otd_ovsdb_settings(engine->ovsdb);

    memset(facts, 0, sizeof *facts);
    facts->geneve_port = port_number(engine, OTD_PORT_GENEVE);
    facts->geneve_in4 = port_number(engine, OTD_PORT_GENEVE_IPV4);
    facts->geneve_in6 = port_number(engine, OTD_PORT_GENEVE_IPV6);
    facts->encap_ip4 = s->encap_ip4;
    facts->encap_ip6 = s->encap_ip6;
    facts->default_drop = s->default_action == OTD_DEFAULT_DROP;
    facts->share = s->share_bridge;
}

bool
otd_engine_ports_in_force(const struct otd_engine *engine)
{
    const struct otd_bridge_facts *b = &engine->bridge;

    return (b->geneve_port == port_number(engine, OTD_PORT_GENEVE)
            && b->geneve_in4 == port_number(engine, OTD_PORT_GENEVE_IPV4)
            && b->geneve_in6 == port_number(engine, OTD_PORT_GENEVE_IPV6));
}

static void
ovsdb_changed(struct otd_engine *engine)
{
    struct otd_bridge_facts facts;
    struct otd_iface *iface;

    if (!otd_ovsdb_is_up(engine->ovsdb)) {
        return;                 /* What was last known stands. */
    }
    if (!engine->bridge_name
        || strcmp(engine->bridge_name,
                  otd_ovsdb_settings(engine->ovsdb)->bridge)) {
        free(engine->bridge_name);
        engine->bridge_name
            = xstrdup(otd_ovsdb_settings(engine->ovsdb)->bridge);
        engine->has_served = false;
    }
    otd_session_set_target(engine->ctl, otd_ovsdb_mgmt_path(engine->ovsdb));
    otd_session_set_target(engine->reader, otd_ovsdb_mgmt_path(engine->ovsdb));
    otd_engine_want_ports(engine, engine->table.by_id.n
                          || engine->port_wanted_since != LLONG_MAX
                          || engine->group);

    HMAP_FOR_EACH (iface, node, &engine->table.ifaces) {
        ofp_port_t ofport = otd_ovsdb_ofport(engine->ovsdb, iface->name);

        if (ofport != iface->ofport) {
            iface->ofport = ofport;
            iface->changed = true;
            engine->ifaces_changed = true;
        }
    }
    take_facts(engine, &facts);
    if (memcmp(&facts, &engine->bridge, sizeof facts)) {
        /* Taken up by the next read-back, which recompiles everything. */
        engine->resync = true;
        engine->resync_at = time_msec();
    } else if (engine->refusal && !engine->sync) {
        engine->resync = true;
    }
}

/* ---- The four verbs. */

static void
session_changed(struct otd_engine *engine)
{
    engine->ctl_seqno = otd_session_seqno(engine->ctl);
    engine->synced = false;
    otd_group_disconnected(engine);
    otd_tlv_stop(engine);
    if (engine->sync) {
        otd_sync_abort(engine, "the connection was lost");
    }
    engine->resync = true;
    engine->resync_at = time_msec();
}

static void
receive(struct otd_engine *engine)
{
    struct ofpbuf *msg;

    for (int i = 0; i < TURN_MESSAGES; i++) {
        msg = otd_session_recv(engine->ctl);
        if (!msg) {
            break;
        }
        if (otd_msg_type(msg) == OTD_MSG_FLOW_REMOVED) {
            struct otd_flow_report r;

            if (otd_msg_flow_removed(msg->data, &r)) {
                otd_counters_flow_removed(engine, &r);
            }
        } else if (!otd_sync_receive(engine, msg)
                   && !otd_tlv_receive(engine, msg)
                   && !otd_group_receive(engine, msg)
                   && otd_msg_type(msg) == OTD_MSG_ERROR) {
            VLOG_DBG("unexpected error of the switch: %s",
                     otd_msg_error_name(msg));
        }
        ofpbuf_delete(msg);
        if (i == TURN_MESSAGES - 1) {
            poll_immediate_wake();
        }
    }
    for (int i = 0; i < TURN_MESSAGES; i++) {
        msg = otd_session_recv(engine->reader);
        if (!msg) {
            break;
        }
        otd_counters_receive(engine, msg);
        ofpbuf_delete(msg);
        if (i == TURN_MESSAGES - 1) {
            poll_immediate_wake();
        }
    }
}

static void
start_reading_back(struct otd_engine *engine)
{
    bool check = false, repair = false;
    struct otd_check *c;

    LIST_FOR_EACH (c, node, &engine->checks) {
        check = true;
        repair |= c->repair;
    }
    repair |= engine->resync && time_msec() >= engine->resync_at;
    if (engine->sync || engine->tlv_busy || !(check || repair)) {
        return;
    }
    if (!otd_session_is_up(engine->ctl)) {
        if (check) {
            otd_sync_abort(engine, otd_session_why_down(engine->ctl));
        }
        return;
    }
    if (!otd_group_make_way(engine)) {
        return;
    }
    if (repair) {
        take_facts(engine, &engine->bridge);
    }
    otd_sync_start(engine, !repair);
}

void
otd_engine_run(struct otd_engine *engine)
{
    if (engine->ovsdb_seqno != otd_ovsdb_seqno(engine->ovsdb)) {
        engine->ovsdb_seqno = otd_ovsdb_seqno(engine->ovsdb);
        ovsdb_changed(engine);
    }
    otd_session_run(engine->ctl);
    otd_session_run(engine->reader);
    if (engine->ctl_seqno != otd_session_seqno(engine->ctl)) {
        session_changed(engine);
    }
    receive(engine);
    start_reading_back(engine);
    otd_sync_run(engine);
    otd_tlv_run(engine);
    otd_group_run(engine);
    otd_counters_run(engine);
    if (!engine->group && !engine->sync) {
        otd_store_idle(engine->store);
    }
    otd_session_flush(engine->ctl);
    otd_session_flush(engine->reader);
}

void
otd_engine_wait(struct otd_engine *engine)
{
    otd_session_wait(engine->ctl);
    otd_session_wait(engine->reader);
    if (engine->ovsdb_seqno != otd_ovsdb_seqno(engine->ovsdb)) {
        poll_immediate_wake();
    }
    if (engine->resync && !engine->sync && otd_session_is_up(engine->ctl)) {
        poll_timer_wait_until(engine->resync_at);
    }
    otd_sync_wait(engine);
    otd_tlv_wait(engine);
    otd_group_wait(engine);
    otd_counters_wait(engine);
}

/* ---- State. */

bool
otd_engine_is_serving(const struct otd_engine *engine, const char **why)
{
    const char *text = NULL;

    if (!otd_session_is_up(engine->ctl)) {
        text = (otd_ovsdb_is_up(engine->ovsdb)
                ? otd_session_why_down(engine->ctl)
                : otd_ovsdb_why_down(engine->ovsdb));
        text = text ? text : "the switch is not connected";
    } else if (engine->refusal) {
        text = engine->refusal;
    } else if (!engine->synced) {
        text = "the bridge is being read back";
    } else if (!otd_ovsdb_is_up(engine->ovsdb)) {
        text = otd_ovsdb_why_down(engine->ovsdb);
    }
    if (why) {
        *why = text;
    }
    return !text;
}

void
otd_engine_caps(const struct otd_engine *engine, struct otd_caps *caps)
{
    otd_engine_caps_for(engine, true, caps);
}

void
otd_engine_caps_for(const struct otd_engine *engine, bool options,
                    struct otd_caps *caps)
{
    const char *error;

    memset(caps, 0, sizeof *caps);
    caps->ingress_interface_matching = true;
    caps->tunnel_matching = true;
    caps->geneve_matching = (otd_engine_ports_state(engine, &error)
                             != OTD_PORT_FAILED);
    caps->n_geneve_options = (caps->geneve_matching && options
                              ? otd_tlv_room(engine) : 0);
}

size_t
otd_engine_n_tunnels(const struct otd_engine *engine)
{
    return engine->table.by_id.n;
}

/* What is under way is not yet there, and what is being deleted still is, but
 * only what is durable and confirmed may be shown: the old request. */
static bool
fill_view(const struct otd_tunnel *t, struct otd_tunnel_view *view)
{
    const struct otd_pending *p = t->pending;

    if (p && !p->existed) {
        return false;
    }
    view->id = t->id;
    view->bytes = p && p->old_bytes ? p->old_bytes : t->bytes;
    view->n = p && p->old_bytes ? p->n_old : t->n_bytes;
    otd_counters_of(t, &view->counters);
    return true;
}

bool
otd_engine_get(const struct otd_engine *engine, uint64_t id,
               struct otd_tunnel_view *view)
{
    const struct otd_tunnel *t = otd_table_find(&engine->table, id);

    if (t && fill_view(t, view)) {
        return true;
    }
    t = engine->group ? otd_group_find_leaving(engine->group, id) : NULL;
    return t && fill_view(t, view);
}

bool
otd_engine_next(const struct otd_engine *engine, uint64_t *cursor,
                struct otd_tunnel_view *view)
{
    while (*cursor <= UINT32_MAX) {
        const struct otd_tunnel *t = otd_table_next_key(&engine->table,
                                                        *cursor);
        if (!t) {
            *cursor = UINT64_C(1) << 32;
            return false;
        }
        *cursor = (uint64_t) t->installed.key + 1;
        if (fill_view(t, view)) {
            return true;
        }
    }
    return false;
}
