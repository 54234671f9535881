/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "ofctl/ovsdb-private.h"

#include <stdlib.h>
#include <string.h>

#include "openflow/openflow.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/vlog.h"
#include "flow.h"
#include "ovsdb-idl.h"
#include "packets.h"
#include "smap.h"
#include "util.h"
#include "vswitch-idl.h"

VLOG_DEFINE_THIS_MODULE(otd_ports);

/* Names of other people's ports in one warning. */
#define MAX_NAMED 3

static const struct port_class {
    const char *name;
    const char *type;
    uint16_t default_udp_port;
} classes[] = {
    [OTD_PORT_GENEVE] = { "otd-geneve", "geneve", 6081 },
    [OTD_PORT_GENEVE_IPV4] = { "otd-geneve4", "geneve", 6081 },
    [OTD_PORT_GENEVE_IPV6] = { "otd-geneve6", "geneve", 6081 },
};
BUILD_ASSERT_DECL(ARRAY_SIZE(classes) == OTD_N_PORT_KINDS);

static uint16_t
wanted_udp_port(const struct otd_ovsdb *db, enum otd_port_kind kind)
{
    switch (kind) {
    case OTD_PORT_GENEVE:
    case OTD_PORT_GENEVE_IPV4:
    case OTD_PORT_GENEVE_IPV6:
        return db->settings.geneve_port;
    case OTD_N_PORT_KINDS:
        break;
    }
    OVS_NOT_REACHED();
}

/* The local_ip of our port 'kind'; the caller frees it.  NULL: its address is
 * not configured, so that there can be no such port. */
static char *
wanted_local_ip(const struct otd_ovsdb *db, enum otd_port_kind kind)
{
    const struct in6_addr *ip = NULL;
    struct ds s = DS_EMPTY_INITIALIZER;

    switch (kind) {
    case OTD_PORT_GENEVE:
        return xstrdup("flow");
    case OTD_PORT_GENEVE_IPV4:
        ip = &db->settings.encap_ip4;
        break;
    case OTD_PORT_GENEVE_IPV6:
        ip = &db->settings.encap_ip6;
        break;
    case OTD_N_PORT_KINDS:
        OVS_NOT_REACHED();
    }
    if (!ipv6_addr_is_set(ip)) {
        return NULL;
    }
    ipv6_format_mapped(ip, &s);
    return ds_steal_cstr(&s);
}

/* Whether the port is to be there, as far as is known. */
static enum otd_want
effective_want(const struct otd_ovsdb *db, enum otd_port_kind kind)
{
    enum otd_want want = db->ports[kind].want;

    if (want == OTD_WANT) {
        char *local_ip = wanted_local_ip(db, kind);

        want = local_ip ? OTD_WANT : OTD_WANT_NOT;
        free(local_ip);
    }
    return want;
}

/* The options of our port 'kind'; the caller destroys them. */
static void
wanted_options(const struct otd_ovsdb *db, enum otd_port_kind kind,
               struct smap *options)
{
    uint16_t udp_port = wanted_udp_port(db, kind);

    smap_init(options);
    smap_add(options, "remote_ip", "flow");
    char *local_ip = wanted_local_ip(db, kind);

    if (local_ip) {
        smap_add_nocopy(options, xstrdup("local_ip"), local_ip);
    }
    smap_add(options, "key", "flow");
    smap_add(options, "csum", "true");
    if (udp_port != classes[kind].default_udp_port) {
        smap_add_format(options, "dst_port", "%"PRIu16, udp_port);
    }
}

/* ---- Finding rows. */

struct place {                  /* Of an interface; all may be NULL. */
    const struct ovsrec_bridge *bridge;
    const struct ovsrec_port *port;
    const struct ovsrec_interface *iface;
};

static struct place
find_iface(const struct ovsrec_open_vswitch *cfg, const char *name)
{
    for (size_t i = 0; cfg && i < cfg->n_bridges; i++) {
        const struct ovsrec_bridge *br = cfg->bridges[i];

        for (size_t j = 0; j < br->n_ports; j++) {
            const struct ovsrec_port *port = br->ports[j];

            for (size_t k = 0; k < port->n_interfaces; k++) {
                if (!strcmp(port->interfaces[k]->name, name)) {
                    return (struct place) { br, port, port->interfaces[k] };
                }
            }
        }
    }
    return (struct place) { NULL, NULL, NULL };
}

/* ---- Other people's ports with our UDP port.
 *
 * Tunnel ports belong to the whole ovs-vswitchd.  A received packet goes to
 * the port that fits it best: fixed addresses before "flow", a fixed or no
 * local address before local_ip=flow, a fixed key before key=flow.  So any
 * other port with our UDP port takes some of our packets, and one with exactly
 * our settings cannot exist at the same time. */

static bool
option_is_flow(const struct smap *options, const char *key)
{
    return !strcmp(smap_get_def(options, key, ""), "flow");
}

static bool
has_udp_port(const struct ovsrec_interface *iface,
             const struct port_class *class, uint16_t udp_port)
{
    return (!strcmp(iface->type, class->type)
            && (smap_get_uint(&iface->options, "dst_port",
                              class->default_udp_port) == udp_port));
}

static bool
is_our_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        if (!strcmp(name, classes[i].name)) {
            return true;
        }
    }
    return false;
}

static bool
has_settings(const struct ovsrec_interface *iface, const char *local_ip)
{
    const struct smap *o = &iface->options;

    return (option_is_flow(o, "remote_ip")
            && !strcmp(smap_get_def(o, "local_ip", ""), local_ip)
            && (option_is_flow(o, "key") || option_is_flow(o, "in_key")));
}

static void
name_rival(struct ds *s, const struct ovsrec_bridge *br,
           const struct ovsrec_interface *iface)
{
    const char *local_ip = smap_get(&iface->options, "local_ip");
    const char *remote_ip = smap_get_def(&iface->options, "remote_ip", "");

    ds_put_format(s, "%sport %s of bridge %s with remote_ip %s",
                  s->length ? ", " : "", iface->name, br->name, remote_ip);
    if (local_ip) {
        ds_put_format(s, " and local_ip %s", local_ip);
    }
}

/* Sets '*same' to the names of those with the very same settings,
 * '*same_lives' if the switch has given any of them a number, and '*rivals' to
 * the names of the others; owned, NULL if there are none. */
static void
find_rivals(const struct ovsrec_open_vswitch *cfg,
            const struct port_class *class, uint16_t udp_port,
            const char *local_ip, char **same, bool *same_lives, char **rivals)
{
    struct ds s = DS_EMPTY_INITIALIZER, r = DS_EMPTY_INITIALIZER;
    size_t n_rivals = 0;

    *same_lives = false;

    for (size_t i = 0; cfg && i < cfg->n_bridges; i++) {
        const struct ovsrec_bridge *br = cfg->bridges[i];

        for (size_t j = 0; j < br->n_ports; j++) {
            const struct ovsrec_port *port = br->ports[j];

            for (size_t k = 0; k < port->n_interfaces; k++) {
                const struct ovsrec_interface *iface = port->interfaces[k];

                if (!has_udp_port(iface, class, udp_port)
                    || is_our_name(iface->name)) {
                    continue;
                } else if (has_settings(iface, local_ip)) {
                    ds_put_format(&s, "%sport %s of bridge %s",
                                  s.length ? ", " : "", iface->name, br->name);
                    *same_lives |= iface->n_ofport && iface->ofport[0] > 0;
                } else if (n_rivals++ < MAX_NAMED) {
                    name_rival(&r, br, iface);
                }
            }
        }
    }
    if (n_rivals > MAX_NAMED) {
        ds_put_format(&r, " and %"PRIuSIZE" more", n_rivals - MAX_NAMED);
    }
    *same = s.length ? ds_steal_cstr(&s) : NULL;
    *rivals = r.length ? ds_steal_cstr(&r) : NULL;
    ds_destroy(&s);
    ds_destroy(&r);
}

/* ---- State. */

static void OVS_PRINTF_FORMAT(2, 3)
port_fail(struct otd_port *port, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    port->state = OTD_PORT_FAILED;
    port->error = xvasprintf(format, args);
    va_end(args);
}

/* The state of a row of ours on our bridge, from what the switch wrote
 * there. */
static void
refresh_row(struct otd_ovsdb *db, enum otd_port_kind kind,
            const struct ovsrec_open_vswitch *cfg,
            const struct ovsrec_interface *iface, const char *same)
{
    const struct port_class *class = &classes[kind];
    struct otd_port *port = &db->ports[kind];
    struct smap options;

    wanted_options(db, kind, &options);
    bool as_wanted = (!strcmp(iface->type, class->type)
                      && smap_equal(&iface->options, &options));
    smap_destroy(&options);

    int64_t ofport = iface->n_ofport ? iface->ofport[0] : 0;
    const char *error = iface->error && iface->error[0] ? iface->error : NULL;

    if (!as_wanted || port->touched || cfg->cur_cfg < port->cfg) {
        port->state = OTD_PORT_PENDING;
    } else if (ofport > 0 && !error) {
        port->state = OTD_PORT_READY;
        port->ofport = u16_to_ofp(ofport);
    } else if (ofport < 0 || error) {
        port_fail(port, "port %s on UDP port %"PRIu16": %s%s%s%s",
                  class->name, wanted_udp_port(db, kind),
                  error ? error : "ovs-vswitchd could not create it",
                  same ? "; " : "", same ? same : "",
                  same ? " has the same settings: remove it, or set "
                         "external_ids:tunneld-geneve-port" : "");
    } else {
        port->state = OTD_PORT_PENDING;
    }
}

static void
refresh_port(struct otd_ovsdb *db, enum otd_port_kind kind,
             const struct ovsrec_open_vswitch *cfg,
             const struct ovsrec_bridge *br)
{
    const struct port_class *class = &classes[kind];
    struct otd_port *port = &db->ports[kind];
    struct place place = find_iface(cfg, class->name);
    uint16_t udp_port = wanted_udp_port(db, kind);
    enum otd_want want = effective_want(db, kind);
    char *local_ip = wanted_local_ip(db, kind);
    char *same, *rivals;
    bool same_lives;

    free(port->error);
    free(port->warning);
    port->error = port->warning = NULL;
    port->ofport = OFPP_NONE;
    find_rivals(cfg, class, udp_port, local_ip ? local_ip : "flow", &same,
                &same_lives, &rivals);
    free(local_ip);

    if (place.iface && !otd_ovsdb_is_ours(&place.port->external_ids)) {
        if (want == OTD_WANT) {
            port_fail(port, "port %s of bridge %s exists and is not ours: it "
                      "has no external_ids:" OTD_OWNER_KEY "="
                      OTD_OWNER_VALUE"; remove or rename it",
                      place.port->name, place.bridge->name);
        } else {
            port->state = OTD_PORT_ABSENT;
        }
    } else if (place.iface && place.bridge == br) {
        refresh_row(db, kind, cfg, place.iface, same);
    } else if (want != OTD_WANT) {
        port->state = OTD_PORT_ABSENT;
    } else if (db->txn_error) {
        port_fail(port, "port %s: the database refused it: %s", class->name,
                  db->txn_error);
    } else {
        port->state = OTD_PORT_PENDING;
    }

    if (port->state == OTD_PORT_READY && same_lives) {
        port->warning = xasprintf("UDP port %"PRIu16" is shared: %s has the "
                                  "same settings as %s, and only one of them "
                                  "can work", udp_port, same, class->name);
    } else if (port->state != OTD_PORT_ABSENT && rivals) {
        port->warning = xasprintf("UDP port %"PRIu16" is shared: %s takes "
                                  "packets that are meant for %s", udp_port,
                                  rivals, class->name);
    }
    free(same);
    free(rivals);
}

void
otd_ovsdb_ports_refresh(struct otd_ovsdb *db,
                        const struct ovsrec_open_vswitch *cfg,
                        const struct ovsrec_bridge *br)
{
    for (size_t i = 0; i < OTD_N_PORT_KINDS; i++) {
        struct otd_port *port = &db->ports[i];

        if (cfg) {
            refresh_port(db, i, cfg, br);
        }
        ds_put_format(&db->facts, "port %s %d %"PRIu32" %s; %s\n",
                      classes[i].name, port->state, port->ofport,
                      port->error ? port->error : "",
                      port->warning ? port->warning : "");
    }
}

/* ---- Writing. */

static void
insert_port(struct otd_ovsdb *db, enum otd_port_kind kind,
            struct ovsdb_idl_txn *txn, const struct ovsrec_bridge *br)
{
    const struct smap mark = SMAP_CONST1(&mark, OTD_OWNER_KEY,
                                         OTD_OWNER_VALUE);
    const struct port_class *class = &classes[kind];
    struct smap options;

    VLOG_INFO("adding port %s to bridge %s", class->name, br->name);
    ovsdb_idl_txn_add_comment(txn, "ovs-tunneld: add port %s", class->name);

    wanted_options(db, kind, &options);
    struct ovsrec_interface *iface = ovsrec_interface_insert(txn);
    ovsrec_interface_set_name(iface, class->name);
    ovsrec_interface_set_type(iface, class->type);
    ovsrec_interface_set_options(iface, &options);
    ovsrec_interface_set_external_ids(iface, &mark);
    smap_destroy(&options);

    struct ovsrec_port *port = ovsrec_port_insert(txn);
    ovsrec_port_set_name(port, class->name);
    ovsrec_port_set_interfaces(port, &iface, 1);
    ovsrec_port_set_external_ids(port, &mark);
    ovsrec_bridge_update_ports_addvalue(br, port);
}

static void
delete_port(struct ovsdb_idl_txn *txn, const struct place *place)
{
    VLOG_INFO("removing port %s from bridge %s", place->port->name,
              place->bridge->name);
    ovsdb_idl_txn_add_comment(txn, "ovs-tunneld: remove port %s",
                              place->port->name);
    ovsrec_bridge_update_ports_delvalue(place->bridge, place->port);
}

/* Puts the options back to what they have to be.  Returns true if they were
 * not.
 *
 * A port that changes its UDP port or address must really go and come back:
 * when it is only reconfigured and the new place is taken, ovs-vswitchd (up to
 * 3.7) logs that and leaves a port that has a number and no error and gets no
 * packet. */
static bool
repair_port(struct otd_ovsdb *db, enum otd_port_kind kind,
            struct ovsdb_idl_txn *txn, const struct place *place)
{
    const struct ovsrec_interface *iface = place->iface;
    struct smap options;
    bool changed = false;

    wanted_options(db, kind, &options);
    if (!has_udp_port(iface, &classes[kind], wanted_udp_port(db, kind))
        || strcmp(smap_get_def(&iface->options, "local_ip", ""),
                  smap_get_def(&options, "local_ip", ""))) {
        smap_destroy(&options);
        delete_port(txn, place);
        return true;
    }
    if (!smap_equal(&iface->options, &options)) {
        ovsrec_interface_set_options(iface, &options);
        changed = true;
    }
    smap_destroy(&options);
    if (changed) {
        VLOG_INFO("setting the options of port %s", iface->name);
        ovsdb_idl_txn_add_comment(txn, "ovs-tunneld: set port %s",
                                  iface->name);
    }
    return changed;
}

static bool
plan_port(struct otd_ovsdb *db, enum otd_port_kind kind,
          struct ovsdb_idl_txn *txn, const struct ovsrec_open_vswitch *cfg,
          const struct ovsrec_bridge *br)
{
    struct place place = find_iface(cfg, classes[kind].name);
    bool ours = place.iface && otd_ovsdb_is_ours(&place.port->external_ids);

    switch (effective_want(db, kind)) {
    case OTD_WANT_UNKNOWN:
        return false;

    case OTD_WANT_NOT:
        if (ours) {
            delete_port(txn, &place);
        }
        return ours;

    case OTD_WANT:
        if (place.iface && !ours) {
            return false;
        } else if (place.bridge == br) {
            return repair_port(db, kind, txn, &place);
        } else if (place.bridge) {
            delete_port(txn, &place);
            return true;
        } else if (cfg->cur_cfg < db->ports[kind].cfg) {
            /* The switch has not seen the old one go. */
            return false;
        }
        insert_port(db, kind, txn, br);
        return true;
    }
    OVS_NOT_REACHED();
}

bool
otd_ovsdb_ports_plan(struct otd_ovsdb *db, struct ovsdb_idl_txn *txn,
                     const struct ovsrec_open_vswitch *cfg,
                     const struct ovsrec_bridge *br)
{
    bool changed = false;

    for (size_t i = 0; i < OTD_N_PORT_KINDS; i++) {
        db->ports[i].touched = plan_port(db, i, txn, cfg, br);
        changed |= db->ports[i].touched;
    }
    return changed;
}

void
otd_ovsdb_ports_committed(struct otd_ovsdb *db, int64_t cfg)
{
    for (size_t i = 0; i < OTD_N_PORT_KINDS; i++) {
        if (db->ports[i].touched) {
            db->ports[i].touched = false;
            db->ports[i].cfg = cfg;
        }
    }
}

void
otd_ovsdb_want_port(struct otd_ovsdb *db, enum otd_port_kind kind, bool wanted)
{
    enum otd_want want = wanted ? OTD_WANT : OTD_WANT_NOT;

    if (db->ports[kind].want != want) {
        db->ports[kind].want = want;
        db->stale = true;
    }
}

struct otd_port_status
otd_ovsdb_port_status(const struct otd_ovsdb *db, enum otd_port_kind kind)
{
    const struct otd_port *port = &db->ports[kind];

    return (struct otd_port_status) {
        .state = port->state,
        .ofport = port->ofport,
        .name = classes[kind].name,
        .error = port->error,
        .warning = port->warning,
    };
}
