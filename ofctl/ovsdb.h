/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_OVSDB_H
#define OTD_OVSDB_H 1

/* The Open_vSwitch database: settings, facts about the bridge, and the ports
 * that this daemon owns (marked external_ids:owner=ovs-tunneld).
 * ofctl/ovsdb*.c are the only files that know ovsrec_* types.  Main thread,
 * non-blocking, four verbs.
 *
 * It touches only rows with our mark, and creates the bridge if it is missing
 * and the database has said so (never while merely disconnected).  What
 * somebody else deletes or changes of ours is put back.  Everything below, the
 * borrowed strings too, changes in otd_ovsdb_run() only. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/flow.h"
#include "openvswitch/types.h"

struct otd_ovsdb;
struct sset;

enum otd_default_action { OTD_DEFAULT_NORMAL, OTD_DEFAULT_DROP };

/* Open_vSwitch external_ids:tunneld-*.  A value that cannot be read keeps the
 * default and adds a line to 'complaints' (for the log and for `status`). */
struct otd_settings {
    char *bridge;               /* tunneld-bridge; "br-int". */
    char *datapath_type;        /* tunneld-bridge-datapath-type; "".  Used only
                                 * when this daemon creates the bridge. */
    /* tunneld-encap-ip (IPv4 and/or IPv6, comma); all zero if not set.
     * 'encap_ip4' is IPv4-mapped. */
    struct in6_addr encap_ip4, encap_ip6;
    char *listen;               /* tunneld-listen: addresses, space-separated;
                                 * "" = default. */
    enum otd_default_action default_action;     /* tunneld-default-action;
                                                 * normal. */
    uint32_t mark_base;         /* tunneld-mark-base; 0. */
    uint32_t mark_mask;         /* tunneld-mark-mask; 0xffffff. */
    uint16_t geneve_port;       /* tunneld-geneve-port; 6081. */
    bool share_bridge;          /* tunneld-share-bridge; false. */
    uint32_t capacity;          /* tunneld-capacity; 1048576 tunnels. */
    uint32_t poll_interval_ms;  /* tunneld-stats-interval (ms); 10000. */
    char *complaints;           /* "" or sentences, joined by "; ". */
};

/* 'remote' as ovs-vsctl --db takes it. */
struct otd_ovsdb *otd_ovsdb_create(const char *remote);
void otd_ovsdb_destroy(struct otd_ovsdb *);
void otd_ovsdb_run(struct otd_ovsdb *);
void otd_ovsdb_wait(struct otd_ovsdb *);

/* Connected, and the contents have arrived.  While it is not up, everything
 * below is what was last known. */
bool otd_ovsdb_is_up(const struct otd_ovsdb *);
/* NULL if it is up; borrowed. */
const char *otd_ovsdb_why_down(const struct otd_ovsdb *);

/* Grows whenever an answer below has changed (and only then: rows of others
 * that come and go elsewhere do not count). */
unsigned int otd_ovsdb_seqno(const struct otd_ovsdb *);

/* Borrowed. */
const struct otd_settings *otd_ovsdb_settings(const struct otd_ovsdb *);

/* Path of the bridge's management socket, or NULL while there is no bridge.
 * (The socket itself may not exist yet.)  Borrowed. */
const char *otd_ovsdb_mgmt_path(const struct otd_ovsdb *);
/* datapath_id etc. for people: "br-int (system), fail mode secure". */
const char *otd_ovsdb_bridge_description(const struct otd_ovsdb *);

/* OpenFlow port of the interface 'name' of our bridge; OFPP_NONE if there is
 * no such interface on this bridge or the switch has not given it a number.
 * These three are hash lookups. */
ofp_port_t otd_ovsdb_ofport(const struct otd_ovsdb *, const char *name);
/* Name for a port number of our bridge, or NULL.  Borrowed. */
const char *otd_ovsdb_port_name(const struct otd_ovsdb *, ofp_port_t);
/* True if 'port' is a tunnel port (of anybody) on our bridge. */
bool otd_ovsdb_is_tunnel_port(const struct otd_ovsdb *, const char *name);

/* Ports that we own, created when first wanted and removed when not. */
/* Ovs-vswitchd puts the outer addresses of both families into one datapath
 * mask when rules for both stand in one table, and the kernel refuses such a
 * mask: every packet is then an upcall.  So each family comes in by a port of
 * its own (local_ip=tunneld-encap-ip), which leads to a table of its own, and
 * a third port (local_ip=flow) sends for both, and takes in what has no port
 * of its own. */
enum otd_port_kind {
    OTD_PORT_GENEVE,
    OTD_PORT_GENEVE_IPV4,       /* Only with an IPv4 tunneld-encap-ip. */
    OTD_PORT_GENEVE_IPV6,       /* Only with an IPv6 tunneld-encap-ip. */
    OTD_N_PORT_KINDS
};
enum otd_port_state {
    OTD_PORT_ABSENT,
    OTD_PORT_PENDING,           /* Asked for; the switch has not answered. */
    OTD_PORT_READY,
    OTD_PORT_FAILED,            /* 'error' says why and names another port. */
};
struct otd_port_status {
    enum otd_port_state state;
    ofp_port_t ofport;          /* READY only, else OFPP_NONE. */
    const char *name;           /* Borrowed: "otd-geneve". */
    const char *error;          /* FAILED only.  Borrowed. */
    const char *warning;        /* NULL, or which port of somebody else takes
                                 * packets meant for this one.  Borrowed. */
};
/* Until the first call for a kind its port is left as it is found. */
void otd_ovsdb_want_port(struct otd_ovsdb *, enum otd_port_kind, bool wanted);
struct otd_port_status otd_ovsdb_port_status(const struct otd_ovsdb *,
                                             enum otd_port_kind);

/* `exit --cleanup`: removes every port and bridge with our mark, and creates
 * nothing any more.  A bridge of ours that has got ports of somebody else
 * stays. True once the database has confirmed it; call in each turn until
 * then. */
bool otd_ovsdb_cleanup_run(struct otd_ovsdb *);

#endif /* ofctl/ovsdb.h */
