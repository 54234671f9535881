/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include <errno.h>
#include <inttypes.h>
#include "flows/decode.h"
#include "flows/pipeline.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* ---- Names. */

static void
name_tunnel(const void *engine_, uint32_t key, struct ds *s)
{
    const struct otd_engine *engine = engine_;
    const struct otd_tunnel *t = otd_table_by_key(&engine->table, key);

    if (t) {
        ds_put_format(s, "tunnel %"PRIu64, t->id);
    } else {
        ds_put_format(s, "no tunnel (key %"PRIu32")", key);
    }
}

static void
port_names(const struct otd_engine *engine, struct ofputil_port_map *map)
{
    struct otd_iface *iface;

    ofputil_port_map_init(map);
    for (enum otd_port_kind i = 0; i < OTD_N_PORT_KINDS; i++) {
        struct otd_port_status port = otd_ovsdb_port_status(engine->ovsdb, i);

        if (port.ofport != OFPP_NONE && port.name) {
            ofputil_port_map_put(map, port.ofport, port.name);
        }
    }
    HMAP_FOR_EACH (iface, node, &engine->table.ifaces) {
        if (iface->ofport != OFPP_NONE) {
            ofputil_port_map_put(map, iface->ofport, iface->name);
        }
    }
}

static struct otd_tunnel *
parse_tunnel(struct otd_engine *engine, struct unixctl_conn *conn,
             const char *arg)
{
    struct otd_tunnel *t = NULL;
    char *end;
    uint64_t id;

    errno = 0;
    id = strtoull(arg, &end, 0);
    if (errno || end == arg || *end) {
        char *text = xasprintf("\"%s\" is not a tunnel id", arg);

        unixctl_command_reply_error(conn, text);
        free(text);
    } else if (!(t = otd_table_find(&engine->table, id))) {
        char *text = xasprintf("there is no tunnel %"PRIu64, id);

        unixctl_command_reply_error(conn, text);
        free(text);
    }
    return t;
}

static void
compile_installed(const struct otd_engine *engine, const struct otd_tunnel *t,
                  struct otd_flows *flows)
{
    struct otd_spec spec;

    otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
    otd_compile_tunnel(&spec, &t->installed, &engine->bridge, &engine->tlvs,
                       flows);
}

static void
format_flows(const struct otd_engine *engine, const struct otd_tunnel *t,
             struct ds *s)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofputil_port_map ports;
    struct otd_names names = { &ports, name_tunnel, engine };

    port_names(engine, &ports);
    compile_installed(engine, t, &flows);
    for (size_t i = 0; i < flows.n; i++) {
        const struct otd_flow *f = &flows.flows[i];

        otd_decode_flow(s, f->table_id, f->priority, f->cookie, &f->match,
                        f->ofpacts.data, f->ofpacts.size, &names);
        ds_put_char(s, '\n');
    }
    otd_flows_destroy(&flows);
    ofputil_port_map_destroy(&ports);
}

/* ---- Commands. */

static void
cmd_flows(struct unixctl_conn *conn, int argc OVS_UNUSED, const char *argv[],
          void *engine)
{
    struct otd_tunnel *t = parse_tunnel(engine, conn, argv[1]);

    if (t) {
        struct ds s = DS_EMPTY_INITIALIZER;

        format_flows(engine, t, &s);
        unixctl_command_reply(conn, ds_cstr(&s));
        ds_destroy(&s);
    }
}

static void
cmd_keys(struct unixctl_conn *conn, int argc OVS_UNUSED,
         const char *argv[] OVS_UNUSED, void *engine_)
{
    struct otd_engine *engine = engine_;
    struct ds s = DS_EMPTY_INITIALIZER;

    for (struct otd_tunnel *t = otd_table_next_key(&engine->table, 0); t;
         t = otd_table_next_key(&engine->table, t->installed.key + 1)) {
        struct otd_spec spec;

        otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
        ds_put_format(&s, "%"PRIu32" %"PRIu64" ", t->installed.key, t->id);
        otd_spec_format(&spec, &s);
        ds_put_char(&s, '\n');
    }
    unixctl_command_reply(conn, ds_cstr(&s));
    ds_destroy(&s);
}

/* The whole plan, as ovs-ofctl --no-stats dump-flows would print it. */
static void
cmd_plan(struct unixctl_conn *conn, int argc OVS_UNUSED,
         const char *argv[] OVS_UNUSED, void *engine_)
{
    struct otd_engine *engine = engine_;
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ds s = DS_EMPTY_INITIALIZER;

    otd_compile_fixed(&engine->bridge, &engine->fixed_tlvs, &flows);
    for (struct otd_tunnel *t = otd_table_next_key(&engine->table, 0); t;
         t = otd_table_next_key(&engine->table, t->installed.key + 1)) {
        compile_installed(engine, t, &flows);
    }
    for (size_t i = 0; i < flows.n; i++) {
        ds_put_char(&s, ' ');
        otd_flow_format(&s, &flows.flows[i]);
        ds_put_char(&s, '\n');
    }
    otd_flows_destroy(&flows);
    unixctl_command_reply(conn, ds_cstr(&s));
    ds_destroy(&s);
}

static void
check_done(void *conn, const struct ds *report, bool equal)
{
    if (equal) {
        unixctl_command_reply(conn, ds_cstr_ro(report));
    } else {
        unixctl_command_reply_error(conn, ds_cstr_ro(report));
    }
}

/* A repair that found something to mend did what it was asked to do. */
static void
recompute_done(void *conn, const struct ds *report, bool equal OVS_UNUSED)
{
    unixctl_command_reply(conn, ds_cstr_ro(report));
}

static void
add_check(struct otd_engine *engine, struct unixctl_conn *conn, bool repair)
{
    struct otd_check *check = xzalloc(sizeof *check);

    check->repair = repair;
    check->done = repair ? recompute_done : check_done;
    check->aux = conn;
    ovs_list_push_back(&engine->checks, &check->node);
}

static void
cmd_check(struct unixctl_conn *conn, int argc OVS_UNUSED,
          const char *argv[] OVS_UNUSED, void *engine)
{
    add_check(engine, conn, false);
}

static void
cmd_recompute(struct unixctl_conn *conn, int argc OVS_UNUSED,
              const char *argv[] OVS_UNUSED, void *engine)
{
    add_check(engine, conn, true);
}

/* One line for each of our ports. */
static void
format_ports(const struct otd_engine *engine, const char *prefix, struct ds *s)
{
    for (enum otd_port_kind i = 0; i < OTD_N_PORT_KINDS; i++) {
        struct otd_port_status port = otd_ovsdb_port_status(engine->ovsdb, i);

        switch (port.state) {
        case OTD_PORT_ABSENT:
            continue;
        case OTD_PORT_PENDING:
            ds_put_format(s, "%s%s (being created)", prefix, port.name);
            break;
        case OTD_PORT_READY:
            ds_put_format(s, "%s%s (%"PRIu32")", prefix, port.name,
                          port.ofport);
            break;
        case OTD_PORT_FAILED:
            ds_put_format(s, "%s%s failed: %s", prefix, port.name, port.error);
            break;
        }
        ds_put_format(s, "%s%s\n", port.warning ? "; " : "",
                      port.warning ? port.warning : "");
    }
}

/* ---- Explaining one tunnel. */

struct explain {
    struct otd_engine *engine;
    struct unixctl_conn *conn;
    uint64_t id;
};

static void
explain_chain(const struct otd_engine *engine, const struct otd_tunnel *t,
              struct ds *s)
{
    const struct otd_tunnel *o;

    if (t->after) {
        o = otd_table_find(&engine->table, t->after);
        ds_put_format(s, "after:   tunnel %"PRIu64"%s\n", t->after,
                      o ? "" : " (does not exist)");
    }
    for (o = otd_table_first_after(&engine->table, t->id); o;
         o = otd_table_next_after(o)) {
        ds_put_format(s, "before:  tunnel %"PRIu64"\n", o->id);
    }
}

static void
explain_state(const struct otd_engine *engine, const struct otd_tunnel *t,
              const char *error, struct ds *s)
{
    struct ds why = DS_EMPTY_INITIALIZER;
    struct otd_tunnel_facts facts;
    uint8_t wanted = 1u << OTD_COOKIE_TUNNEL;

    otd_tunnel_wanted_facts(engine, t, &facts, &why);
    if (facts.named && t->next_action == OTD_ACTION_RECIRCULATE) {
        wanted |= 1u << OTD_COOKIE_MISSING_NEXT;
    }
    if (!facts.active) {
        ds_put_format(s, "state:   inactive: %s\n", ds_cstr(&why));
    } else if (error) {
        ds_put_format(s, "state:   unknown, the switch cannot be asked: %s\n",
                      error);
    } else if ((t->present & wanted) != wanted) {
        ds_put_cstr(s, "state:   incomplete: the switch lacks ");
        ds_put_cstr(s, t->present & 1u << OTD_COOKIE_TUNNEL
                    ? "the flow that drops for a missing next step\n"
                    : "its flow; pipeline/recompute mends that\n");
    } else {
        ds_put_cstr(s, "state:   realised\n");
    }
    ds_destroy(&why);
}

static void
explain_done(void *explain_, const char *error)
{
    struct explain *x = explain_;
    struct otd_engine *engine = x->engine;
    struct otd_tunnel *t = otd_table_find(&engine->table, x->id);
    struct ds s = DS_EMPTY_INITIALIZER;
    struct otd_counters c;
    struct otd_spec spec;

    if (!t) {
        unixctl_command_reply_error(x->conn, "the tunnel was deleted meanwhile");
        free(x);
        return;
    }
    otd_tunnel_decode(engine, t->bytes, t->n_bytes, &spec);
    ds_put_format(&s, "tunnel %"PRIu64"\nasked:   ", t->id);
    otd_spec_format(&spec, &s);
    ds_put_format(&s, "\nstored:  %"PRIu16" bytes, key %"PRIu32" "
                  "(cookie 0x%"PRIx64")\n", t->n_bytes, t->installed.key,
                  otd_cookie_make(OTD_COOKIE_TUNNEL, t->installed.key));
    format_ports(engine, "port:    ", &s);
    explain_chain(engine, t, &s);
    explain_state(engine, t, error, &s);
    otd_counters_of(t, &c);
    ds_put_format(&s, "packets: in %"PRIu64", out %"PRIu64", dropped in "
                  "%"PRIu64", dropped out %"PRIu64"\n", c.in_packets,
                  c.out_packets, c.in_packets_drops, c.out_packets_drops);
    format_flows(engine, t, &s);
    unixctl_command_reply(x->conn, ds_cstr(&s));
    ds_destroy(&s);
    free(x);
}

static void
cmd_explain(struct unixctl_conn *conn, int argc OVS_UNUSED, const char *argv[],
            void *engine)
{
    struct otd_tunnel *t = parse_tunnel(engine, conn, argv[1]);

    if (t) {
        struct explain *x = xmalloc(sizeof *x);

        *x = (struct explain) { engine, conn, t->id };
        otd_engine_refresh(engine, false, t->id, explain_done, x);
    }
}

static void
cmd_inactive(struct unixctl_conn *conn, int argc OVS_UNUSED,
             const char *argv[] OVS_UNUSED, void *engine_)
{
    struct otd_engine *engine = engine_;
    struct ds s = DS_EMPTY_INITIALIZER;

    for (struct otd_tunnel *t = otd_table_next_key(&engine->table, 0); t;
         t = otd_table_next_key(&engine->table, t->installed.key + 1)) {
        struct ds why = DS_EMPTY_INITIALIZER;
        struct otd_tunnel_facts facts;

        otd_tunnel_wanted_facts(engine, t, &facts, &why);
        if (!facts.active) {
            ds_put_format(&s, "tunnel %"PRIu64": %s\n", t->id, ds_cstr(&why));
        }
        ds_destroy(&why);
    }
    unixctl_command_reply(conn, ds_cstr(&s));
    ds_destroy(&s);
}

void
otd_engine_unixctl_register(struct otd_engine *engine)
{
    unixctl_command_register("tunnel/flows", "ID", 1, 1, cmd_flows, engine);
    unixctl_command_register("tunnel/explain", "ID", 1, 1, cmd_explain, engine);
    unixctl_command_register("tunnel/keys", "", 0, 0, cmd_keys, engine);
    unixctl_command_register("tunnel/inactive", "", 0, 0, cmd_inactive, engine);
    unixctl_command_register("pipeline/plan", "", 0, 0, cmd_plan, engine);
    unixctl_command_register("pipeline/check", "", 0, 0, cmd_check, engine);
    unixctl_command_register("pipeline/recompute", "", 0, 0, cmd_recompute,
                             engine);
}

void
otd_engine_format_status(const struct otd_engine *engine, struct ds *s)
{
    const struct otd_settings *settings = otd_ovsdb_settings(engine->ovsdb);
    const char *why;

    if (otd_engine_is_serving(engine, &why)) {
        ds_put_cstr(s, "serving: yes\n");
    } else {
        ds_put_format(s, "serving: no: %s\n", why);
    }
    ds_put_format(s, "bridge: %s\n",
                  otd_ovsdb_bridge_description(engine->ovsdb));
    ds_put_format(s, "tunnels: %"PRIuSIZE" of %"PRIu32"\n",
                  engine->table.by_id.n, settings->capacity);
    format_ports(engine, "port: ", s);
    ds_put_format(s, "geneve options: room for %"PRIu32" more of 4 bytes\n",
                  otd_tlv_room(engine));
    if (engine->n_syncs) {
        ds_put_format(s, "last read-back: %lld ms ago, %u flows added, %u "
                      "deleted\n", time_msec() - engine->synced_at,
                      engine->last_sync_adds, engine->last_sync_deletes);
    }
    if (engine->sync_error) {
        ds_put_format(s, "trouble: %s\n", engine->sync_error);
    }
    if (settings->complaints[0]) {
        ds_put_format(s, "settings: %s\n", settings->complaints);
    }
    ds_put_format(s, "requests: %"PRIu64" in %"PRIu64" groups\n",
                  engine->n_requests, engine->n_groups);
}

/* ---- `exit --cleanup`. */

/* The flows first; then the option mappings, which the switch holds as long as a
 * flow that is being destroyed uses them. */
#define CLEANUP_RETRY_MS 50
#define CLEANUP_TRIES 40

static void
cleanup_send(struct otd_engine *engine)
{
    struct ofpbuf *out = otd_session_output(engine->ctl);

    if (!out) {
        return;
    }
    engine->cleanup_refused = false;
    engine->cleanup_retry_at = LLONG_MAX;
    if (!engine->cleanup_tries++) {
        otd_msg_delete_by_cookie(out, otd_session_next_xid(engine->ctl),
                                 otd_cookie_make(0, 0), OTD_COOKIE_OWNER_MASK);
    } else {
        otd_tlv_delete_own(engine, out);
    }
    engine->cleanup_xid = otd_session_next_xid(engine->ctl);
    otd_msg_barrier(out, engine->cleanup_xid);
    otd_session_flush(engine->ctl);
}

/* Takes the switch's answers; true if the last thing sent is done with. */
static bool
cleanup_receive(struct otd_engine *engine)
{
    for (struct ofpbuf *msg; (msg = otd_session_recv(engine->ctl)); ) {
        bool done = otd_msg_xid(msg) == engine->cleanup_xid;

        engine->cleanup_refused |= otd_msg_type(msg) == OTD_MSG_ERROR;
        ofpbuf_delete(msg);
        if (done) {
            return true;
        }
    }
    return false;
}

bool
otd_engine_cleanup_run(struct otd_engine *engine)
{
    otd_session_run(engine->ctl);
    if (!otd_session_is_up(engine->ctl)) {
        return engine->cleanup_tries || !otd_ovsdb_mgmt_path(engine->ovsdb);
    }
    if (!engine->cleanup_tries) {
        otd_group_disconnected(engine);
        otd_tlv_stop(engine);
        cleanup_send(engine);
    } else if (cleanup_receive(engine)) {
        bool flows = engine->cleanup_tries == 1;

        if (!engine->own_tlvs || engine->cleanup_tries > CLEANUP_TRIES
            || (!flows && !engine->cleanup_refused)) {
            return true;
        }
        engine->cleanup_retry_at = time_msec() + CLEANUP_RETRY_MS;
    }
    if (engine->cleanup_tries && time_msec() >= engine->cleanup_retry_at) {
        cleanup_send(engine);
    }
    poll_timer_wait_until(engine->cleanup_retry_at);
    return false;
}
