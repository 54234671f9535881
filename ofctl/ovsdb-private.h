/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_OVSDB_PRIVATE_H
#define OTD_OVSDB_PRIVATE_H 1

/* Shared by the files ofctl/ovsdb*.c, and by their tests. */

#include "ofctl/ovsdb.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "openvswitch/shash.h"

struct ovsdb_idl;
struct ovsdb_idl_txn;
struct ovsrec_bridge;
struct ovsrec_open_vswitch;
struct smap;

/* The mark of what is ours. */
#define OTD_OWNER_KEY "owner"
#define OTD_OWNER_VALUE "ovs-tunneld"

/* ---- ovsdb-settings.c: pure. */

/* Sets every member of '*settings' from the external_ids; the old values are
 * overwritten, not freed. */
void otd_settings_parse(struct otd_settings *settings,
                        const struct smap *external_ids);
void otd_settings_destroy(struct otd_settings *);
void otd_settings_format(const struct otd_settings *, struct ds *);

/* ---- ovsdb.c. */

struct otd_iface {              /* An interface of our bridge. */
    struct hmap_node ofport_node;       /* In 'by_ofport', with a number. */
    char *name;
    ofp_port_t ofport;          /* OFPP_NONE if it has none. */
    bool is_tunnel;
};

enum otd_want { OTD_WANT_UNKNOWN, OTD_WANT_NOT, OTD_WANT };

struct otd_port {               /* A port that we own. */
    enum otd_want want;
    enum otd_port_state state;
    ofp_port_t ofport;
    char *error;                /* FAILED only. */
    char *warning;
    bool touched;               /* Changed in the transaction under way. */
    int64_t cfg;                /* The switch has answered when cur_cfg is
                                 * there. */
};

struct otd_ovsdb {
    struct ovsdb_idl *idl;
    unsigned int idl_seqno;     /* Of the contents last looked at... */
    bool connected;
    int idl_error;
    bool stale;                 /* ... and must be looked at anyway. */
    unsigned int seqno;
    bool up;
    char *remote;
    char *why_down;
    bool dirty;                 /* Look again what must be written. */
    bool cleaning;
    bool clean;                 /* Cleaning, and nothing of ours is left. */

    struct otd_settings settings;
    char *mgmt_path;            /* NULL if there is no bridge. */
    char *description;
    struct shash ifaces;        /* By name; of struct otd_iface. */
    struct hmap by_ofport;
    struct otd_port ports[OTD_N_PORT_KINDS];
    struct ds facts;            /* All of the above as text: a change of this
                                 * text is a change of 'seqno'. */

    struct ovsdb_idl_txn *txn;
    char *txn_error;            /* Why the database refused the last one. */
    long long int retry_at;     /* Not before, after a refusal. */
};

bool otd_ovsdb_is_ours(const struct smap *external_ids);

/* ---- ovsdb-ports.c. */

/* Sets state, ofport, error and warning of each port from the contents. */
void otd_ovsdb_ports_refresh(struct otd_ovsdb *,
                             const struct ovsrec_open_vswitch *,
                             const struct ovsrec_bridge *);
/* Adds to 'txn' what brings our ports to what is wanted.  Returns true if
 * anything. */
bool otd_ovsdb_ports_plan(struct otd_ovsdb *, struct ovsdb_idl_txn *,
                          const struct ovsrec_open_vswitch *,
                          const struct ovsrec_bridge *);
/* The transaction has been accepted; the switch answers at 'cfg'. */
void otd_ovsdb_ports_committed(struct otd_ovsdb *, int64_t cfg);

#endif /* ofctl/ovsdb-private.h */
