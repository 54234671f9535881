/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "ofctl/ovsdb.h"

#include <stdlib.h>
#include <string.h>

#include "openflow/openflow.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "dirs.h"
#include "flow.h"
#include "ofctl/ovsdb-private.h"
#include "ovsdb-idl.h"
#include "smap.h"
#include "timeval.h"
#include "util.h"
#include "vswitch-idl.h"

VLOG_DEFINE_THIS_MODULE(otd_ovsdb);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);

/* After a transaction that the database refused. */
#define RETRY_MS 1000

static void
monitor_columns(struct ovsdb_idl *idl)
{
    static const struct ovsdb_idl_table_class *const tables[] = {
        &ovsrec_table_open_vswitch, &ovsrec_table_bridge, &ovsrec_table_port,
        &ovsrec_table_interface,
    };
    const struct ovsdb_idl_column *const columns[] = {
        &ovsrec_open_vswitch_col_bridges,
        &ovsrec_open_vswitch_col_cur_cfg,
        &ovsrec_open_vswitch_col_external_ids,
        &ovsrec_open_vswitch_col_next_cfg,
        &ovsrec_bridge_col_datapath_type,
        &ovsrec_bridge_col_external_ids,
        &ovsrec_bridge_col_fail_mode,
        &ovsrec_bridge_col_name,
        &ovsrec_bridge_col_ports,
        &ovsrec_port_col_external_ids,
        &ovsrec_port_col_interfaces,
        &ovsrec_port_col_name,
        &ovsrec_interface_col_error,
        &ovsrec_interface_col_external_ids,
        &ovsrec_interface_col_name,
        &ovsrec_interface_col_ofport,
        &ovsrec_interface_col_options,
        &ovsrec_interface_col_type,
    };

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        ovsdb_idl_add_table(idl, tables[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        ovsdb_idl_add_column(idl, columns[i]);
    }
}

struct otd_ovsdb *
otd_ovsdb_create(const char *remote)
{
    static const struct smap no_ids = SMAP_INITIALIZER(&no_ids);
    struct otd_ovsdb *db = xzalloc(sizeof *db);

    db->idl = ovsdb_idl_create(remote, &ovsrec_idl_class, false, true);
    ovsdb_idl_set_leader_only(db->idl, false);
    monitor_columns(db->idl);
    db->remote = xstrdup(remote);
    db->why_down = xasprintf("%s: not connected yet", remote);
    otd_settings_parse(&db->settings, &no_ids);
    db->description = xasprintf("%s (unknown)", db->settings.bridge);
    shash_init(&db->ifaces);
    hmap_init(&db->by_ofport);
    ds_init(&db->facts);
    for (size_t i = 0; i < OTD_N_PORT_KINDS; i++) {
        db->ports[i].ofport = OFPP_NONE;
    }
    return db;
}

static void
ifaces_clear(struct otd_ovsdb *db)
{
    struct shash_node *node;

    hmap_clear(&db->by_ofport);
    SHASH_FOR_EACH_SAFE (node, &db->ifaces) {
        struct otd_iface *iface = node->data;

        shash_delete(&db->ifaces, node);
        free(iface->name);
        free(iface);
    }
}

void
otd_ovsdb_destroy(struct otd_ovsdb *db)
{
    if (!db) {
        return;
    }
    if (db->txn) {
        ovsdb_idl_txn_destroy(db->txn);
    }
    ovsdb_idl_destroy(db->idl);
    ifaces_clear(db);
    shash_destroy(&db->ifaces);
    hmap_destroy(&db->by_ofport);
    for (size_t i = 0; i < OTD_N_PORT_KINDS; i++) {
        free(db->ports[i].error);
        free(db->ports[i].warning);
    }
    otd_settings_destroy(&db->settings);
    ds_destroy(&db->facts);
    free(db->mgmt_path);
    free(db->description);
    free(db->txn_error);
    free(db->why_down);
    free(db->remote);
    free(db);
}

/* ---- What the database says. */

bool
otd_ovsdb_is_ours(const struct smap *external_ids)
{
    return !strcmp(smap_get_def(external_ids, OTD_OWNER_KEY, ""),
                   OTD_OWNER_VALUE);
}

static const struct ovsrec_bridge *
find_bridge(const struct otd_ovsdb *db, const struct ovsrec_open_vswitch *cfg)
{
    for (size_t i = 0; cfg && i < cfg->n_bridges; i++) {
        if (!strcmp(cfg->bridges[i]->name, db->settings.bridge)) {
            return cfg->bridges[i];
        }
    }
    return NULL;
}

static bool
is_tunnel_type(const char *type)
{
    static const char *const types[] = {
        "bareudp", "erspan", "geneve", "gre", "gtpu", "ip6erspan", "ip6gre",
        "lisp", "srv6", "stt", "vxlan",
    };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (!strcmp(type, types[i])) {
            return true;
        }
    }
    return false;
}

static void
iface_add(struct otd_ovsdb *db, const struct ovsrec_interface *row)
{
    struct otd_iface *iface = xzalloc(sizeof *iface);

    iface->name = xstrdup(row->name);
    iface->is_tunnel = is_tunnel_type(row->type);
    iface->ofport = OFPP_NONE;
    if (row->n_ofport && row->ofport[0] > 0
        && row->ofport[0] < ofp_to_u16(OFPP_NONE)) {
        iface->ofport = u16_to_ofp(row->ofport[0]);
        hmap_insert(&db->by_ofport, &iface->ofport_node,
                    hash_ofp_port(iface->ofport));
    }
    /* The schema makes names unique; add_once only guards against a database
     * that is being changed under it. */
    if (!shash_add_once(&db->ifaces, iface->name, iface)) {
        if (iface->ofport != OFPP_NONE) {
            hmap_remove(&db->by_ofport, &iface->ofport_node);
        }
        free(iface->name);
        free(iface);
        return;
    }
    ds_put_format(&db->facts, "iface %s %"PRIu32"%s\n", iface->name,
                  iface->ofport, iface->is_tunnel ? " tunnel" : "");
}

static void
refresh_bridge(struct otd_ovsdb *db, const struct ovsrec_bridge *br)
{
    free(db->mgmt_path);
    free(db->description);
    db->mgmt_path = NULL;
    ifaces_clear(db);

    if (!br) {
        db->description = xasprintf("%s (does not exist)",
                                    db->settings.bridge);
    } else {
        db->mgmt_path = xasprintf("%s/%s.mgmt", ovs_rundir(), br->name);
        db->description = xasprintf(
            "%s (%s), fail mode %s", br->name,
            br->datapath_type[0] ? br->datapath_type : "system",
            br->fail_mode ? br->fail_mode : "standalone");
        for (size_t i = 0; i < br->n_ports; i++) {
            const struct ovsrec_port *port = br->ports[i];

            for (size_t j = 0; j < port->n_interfaces; j++) {
                iface_add(db, port->interfaces[j]);
            }
        }
    }
    ds_put_format(&db->facts, "bridge %s %s\n", db->description,
                  db->mgmt_path ? db->mgmt_path : "");
}

/* What is wrong with the connection or the contents; NULL if nothing. */
static char *
find_why_down(const struct otd_ovsdb *db,
              const struct ovsrec_open_vswitch *cfg)
{
    if (!ovsdb_idl_has_ever_connected(db->idl)) {
        return xasprintf("%s: %s", db->remote,
                         db->idl_error ? ovs_retval_to_string(db->idl_error)
                         : "not connected yet");
    } else if (!db->connected) {
        return xasprintf("%s: the connection was lost", db->remote);
    } else if (!cfg) {
        return xasprintf("%s: the database is empty: run \"ovs-vsctl init\"",
                         db->remote);
    }
    return NULL;
}

static void
refresh(struct otd_ovsdb *db)
{
    const struct ovsrec_open_vswitch *cfg = ovsrec_open_vswitch_first(db->idl);
    char *old_facts = ds_steal_cstr(&db->facts);

    free(db->why_down);
    db->why_down = find_why_down(db, cfg);
    db->up = !db->why_down;
    ds_put_format(&db->facts, "%s\n", db->up ? "up" : db->why_down);

    /* Without contents the last known settings stand: a database that is gone
     * for a moment must not look like one that was emptied. */
    if (cfg) {
        struct otd_settings settings;

        otd_settings_parse(&settings, &cfg->external_ids);
        if (settings.complaints[0]
            && strcmp(settings.complaints, db->settings.complaints)) {
            VLOG_WARN("%s", settings.complaints);
        }
        otd_settings_destroy(&db->settings);
        db->settings = settings;
    }
    otd_settings_format(&db->settings, &db->facts);

    const struct ovsrec_bridge *br = find_bridge(db, cfg);
    refresh_bridge(db, br);
    otd_ovsdb_ports_refresh(db, cfg, br);

    if (!old_facts || strcmp(old_facts, ds_cstr(&db->facts))) {
        db->seqno++;
    }
    free(old_facts);
}

/* ---- What we write. */

static void
plan_bridge(struct otd_ovsdb *db, struct ovsdb_idl_txn *txn,
            const struct ovsrec_open_vswitch *cfg)
{
    const struct smap mark = SMAP_CONST1(&mark, OTD_OWNER_KEY,
                                         OTD_OWNER_VALUE);
    const char *name = db->settings.bridge;

    VLOG_INFO("creating bridge %s", name);
    ovsdb_idl_txn_add_comment(txn, "ovs-tunneld: add bridge %s", name);

    struct ovsrec_interface *iface = ovsrec_interface_insert(txn);
    ovsrec_interface_set_name(iface, name);
    ovsrec_interface_set_type(iface, "internal");

    struct ovsrec_port *port = ovsrec_port_insert(txn);
    ovsrec_port_set_name(port, name);
    ovsrec_port_set_interfaces(port, &iface, 1);

    struct ovsrec_bridge *br = ovsrec_bridge_insert(txn);
    ovsrec_bridge_set_name(br, name);
    ovsrec_bridge_set_fail_mode(br, "secure");
    ovsrec_bridge_set_datapath_type(br, db->settings.datapath_type);
    ovsrec_bridge_set_external_ids(br, &mark);
    ovsrec_bridge_set_ports(br, &port, 1);
    ovsrec_open_vswitch_update_bridges_addvalue(cfg, br);
}

/* A bridge that we made goes only if it holds nothing but its own port and
 * ours: somebody else's virtual machines may hang on it by now. */
static bool
bridge_is_removable(const struct ovsrec_bridge *br)
{
    if (!otd_ovsdb_is_ours(&br->external_ids)) {
        return false;
    }
    for (size_t i = 0; i < br->n_ports; i++) {
        if (strcmp(br->ports[i]->name, br->name)
            && !otd_ovsdb_is_ours(&br->ports[i]->external_ids)) {
            return false;
        }
    }
    return true;
}

static bool
plan_cleanup(struct ovsdb_idl_txn *txn, const struct ovsrec_open_vswitch *cfg)
{
    bool changed = false;

    for (size_t i = 0; i < cfg->n_bridges; i++) {
        const struct ovsrec_bridge *br = cfg->bridges[i];

        if (bridge_is_removable(br)) {
            ovsrec_open_vswitch_update_bridges_delvalue(cfg, br);
            changed = true;
            continue;
        }
        for (size_t j = 0; j < br->n_ports; j++) {
            if (otd_ovsdb_is_ours(&br->ports[j]->external_ids)) {
                ovsrec_bridge_update_ports_delvalue(br, br->ports[j]);
                changed = true;
            }
        }
    }
    if (changed) {
        ovsdb_idl_txn_add_comment(txn, "ovs-tunneld: remove all that is ours");
    }
    return changed;
}

static void
plan(struct otd_ovsdb *db)
{
    const struct ovsrec_open_vswitch *cfg = ovsrec_open_vswitch_first(db->idl);

    if (!db->up || !cfg || db->txn || !db->dirty
        || time_msec() < db->retry_at) {
        return;
    }
    db->dirty = false;

    const struct ovsrec_bridge *br = find_bridge(db, cfg);
    struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(db->idl);
    bool changed;

    if (db->cleaning) {
        changed = plan_cleanup(txn, cfg);
        db->clean = !changed;
    } else if (!br) {
        plan_bridge(db, txn, cfg);
        changed = true;
    } else {
        changed = otd_ovsdb_ports_plan(db, txn, cfg, br);
    }

    if (changed) {
        /* Makes ovs-vswitchd say in cur_cfg when it has acted. */
        ovsdb_idl_txn_increment(txn, &cfg->header_,
                                &ovsrec_open_vswitch_col_next_cfg, false);
        db->txn = txn;
    } else {
        ovsdb_idl_txn_abort(txn);
        ovsdb_idl_txn_destroy(txn);
    }
}

static void
run_txn(struct otd_ovsdb *db)
{
    if (!db->txn) {
        return;
    }

    enum ovsdb_idl_txn_status status = ovsdb_idl_txn_commit(db->txn);
    switch (status) {
    case TXN_INCOMPLETE:
        return;

    case TXN_SUCCESS:
    case TXN_UNCHANGED:
        otd_ovsdb_ports_committed(
            db, status == TXN_SUCCESS
                ? ovsdb_idl_txn_get_increment_new_value(db->txn) : 0);
        free(db->txn_error);
        db->txn_error = NULL;
        break;

    case TXN_UNCOMMITTED:
    case TXN_ABORTED:
    case TXN_TRY_AGAIN:
    case TXN_NOT_LOCKED:
        /* The connection went, or somebody was faster. */
        break;

    case TXN_ERROR:
        free(db->txn_error);
        db->txn_error = xstrdup(ovsdb_idl_txn_get_error(db->txn));
        db->retry_at = time_msec() + RETRY_MS;
        VLOG_WARN_RL(&rl, "%s: transaction refused: %s", db->remote,
                     db->txn_error);
        break;
    }
    ovsdb_idl_txn_destroy(db->txn);
    db->txn = NULL;
    db->dirty = true;
    refresh(db);
}

/* ---- Four verbs. */

void
otd_ovsdb_run(struct otd_ovsdb *db)
{
    ovsdb_idl_run(db->idl);

    unsigned int idl_seqno = ovsdb_idl_get_seqno(db->idl);
    bool connected = ovsdb_idl_is_connected(db->idl);
    int error = ovsdb_idl_get_last_error(db->idl);
    if (db->stale || idl_seqno != db->idl_seqno
        || connected != db->connected || error != db->idl_error) {
        db->stale = false;
        db->idl_seqno = idl_seqno;
        db->connected = connected;
        db->idl_error = error;
        db->dirty = true;
        refresh(db);
    }

    run_txn(db);
    plan(db);
    run_txn(db);
}

void
otd_ovsdb_wait(struct otd_ovsdb *db)
{
    ovsdb_idl_wait(db->idl);
    if (db->stale) {
        poll_immediate_wake();
    } else if (db->txn) {
        ovsdb_idl_txn_wait(db->txn);
    } else if (db->dirty && db->up) {
        poll_timer_wait_until(db->retry_at);
    }
}

bool
otd_ovsdb_cleanup_run(struct otd_ovsdb *db)
{
    if (!db->cleaning) {
        db->cleaning = db->dirty = true;
    }
    otd_ovsdb_run(db);
    return db->up && db->clean && !db->txn;
}

/* ---- Answers. */

bool
otd_ovsdb_is_up(const struct otd_ovsdb *db)
{
    return db->up;
}

const char *
otd_ovsdb_why_down(const struct otd_ovsdb *db)
{
    return db->why_down;
}

unsigned int
otd_ovsdb_seqno(const struct otd_ovsdb *db)
{
    return db->seqno;
}

const struct otd_settings *
otd_ovsdb_settings(const struct otd_ovsdb *db)
{
    return &db->settings;
}

const char *
otd_ovsdb_mgmt_path(const struct otd_ovsdb *db)
{
    return db->mgmt_path;
}

const char *
otd_ovsdb_bridge_description(const struct otd_ovsdb *db)
{
    return db->description;
}

ofp_port_t
otd_ovsdb_ofport(const struct otd_ovsdb *db, const char *name)
{
    const struct otd_iface *iface = shash_find_data(&db->ifaces, name);

    return iface ? iface->ofport : OFPP_NONE;
}

const char *
otd_ovsdb_port_name(const struct otd_ovsdb *db, ofp_port_t ofport)
{
    const struct otd_iface *iface;

    HMAP_FOR_EACH_WITH_HASH (iface, ofport_node, hash_ofp_port(ofport),
                             &db->by_ofport) {
        if (iface->ofport == ofport) {
            return iface->name;
        }
    }
    return NULL;
}

bool
otd_ovsdb_is_tunnel_port(const struct otd_ovsdb *db, const char *name)
{
    const struct otd_iface *iface = shash_find_data(&db->ifaces, name);

    return iface && iface->is_tunnel;
}
