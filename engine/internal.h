/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_ENGINE_INTERNAL_H
#define OTD_ENGINE_INTERNAL_H 1

/* What the files of the engine share.
 *
 *   table.c     tunnels and their indexes; what a tunnel's flows depend on
 *   spool.c     the bytes of a stream, in order, replayable
 *   txn.c       transactions: who is applied when, results
 *   apply.c     one request against the table; undo
 *   group.c     the transactions that are under way together: the state machine
 *               from the first staged flow to the answer
 *   stage.c     flows on their way to the switch: plain messages or bundles
 *   sync.c      read back, diff, repair, at every connection
 *   tlv.c       the Geneve option map of the bridge
 *   counters.c  counters of flows to counters of tunnels
 *   inspect.c   appctl
 *   engine.c    the four verbs
 */

#include "engine/engine.h"
#include "engine/index.h"
#include "flows/compile.h"
#include "flows/flow.h"
#include "ofctl/messages.h"
#include "ofctl/ovsdb.h"
#include "ofctl/session.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "openvswitch/ofpbuf.h"
#include "store/store.h"

struct otd_group;
struct otd_pending;
struct otd_sync;

/* ---- Tunnels (table.c). */

/* Packets and bytes of one kind of flow: the total is base + last. */
struct otd_tally {
    uint64_t base_packets, base_bytes;  /* Of flows that are gone. */
    uint64_t last_packets, last_bytes;  /* Of the flow that is there, when read. */
    uint64_t banked_packets, banked_bytes;      /* Of 'base', what is of a flow
                                 * that we removed and whose last word is due. */
    unsigned int n_due;         /* Such flows. */
};

struct otd_iface {              /* An ingress interface that tunnels name. */
    struct hmap_node node;      /* In otd_table's 'ifaces', by name. */
    struct ovs_list tunnels;    /* Of struct otd_tunnel's 'iface_node'. */
    ofp_port_t ofport;          /* As last taken from the database. */
    bool changed;               /* Its tunnels' flows may have to follow. */
    char name[OTD_IFNAME_MAX + 1];
};

struct otd_followed {           /* An id that tunnels name by tunnel_id. */
    struct hmap_node node;      /* In otd_table's 'followed', by id. */
    struct ovs_list followers;  /* Of struct otd_tunnel's 'after_node'. */
    uint64_t id;
};

struct otd_tunnel {
    uint32_t match_hash;        /* Of the otd_match_key. */
    struct ovs_list after_node; /* In 'followed->followers', if 'followed'. */
    struct otd_followed *followed;      /* For 'after'; NULL if that is 0. */
    struct ovs_list iface_node; /* In 'iface->tunnels', if 'iface'. */
    struct otd_iface *iface;
    uint64_t id;
    uint64_t after;             /* match.tunnel_id, or 0. */
    uint8_t *bytes;             /* Canonical request; owned. */
    uint16_t n_bytes;
    uint8_t kind;               /* enum otd_kind. */
    uint8_t next_action;        /* enum otd_action. */
    uint8_t outer_family;       /* Of a decapsulation's match; enum otd_family. */
    uint16_t seen;              /* sync.c: what the switch has of it. */
    uint8_t present;            /* counters.c: flows found, by kind of cookie. */
    bool saved;                 /* The store has the counters. */
    bool has_options;           /* A Geneve encapsulation with options. */
    struct otd_tunnel_facts installed;  /* Of the flows that were last sent. */
    struct otd_pending *pending;        /* While a group changes it. */
    unsigned int changed_at;    /* Engine's change number of the last new flow. */
    struct otd_tally match;     /* The match flow. */
    struct otd_tally drop;      /* The flow of a missing next step. */
};

#define OTD_KEY_CHUNK 4096
struct otd_table {
    struct otd_index by_id, by_match;
    struct hmap followed;       /* Of struct otd_followed. */
    struct hmap ifaces;
    struct otd_tunnel ***chunks;        /* By key / OTD_KEY_CHUNK; NULL if empty. */
    uint32_t *chunk_used;               /* Tunnels in each chunk. */
    size_t n_chunks;
    uint32_t next_key;
};

/* A match as the table looks it up: made once, used several times. */
struct otd_hashed_match {
    struct otd_match_key key;
    uint32_t hash;
};
void otd_hashed_match_init(struct otd_hashed_match *, const struct otd_spec *);

void otd_table_init(struct otd_table *);
void otd_table_destroy(struct otd_table *);
struct otd_tunnel *otd_table_find(const struct otd_table *, uint64_t id);
struct otd_tunnel *otd_table_by_key(const struct otd_table *, uint32_t key);
/* The first tunnel with a key >= 'key', or NULL. */
struct otd_tunnel *otd_table_next_key(const struct otd_table *, uint32_t key);
/* Gets ready for a look at 'id' and for tunnels with this match. */
void otd_table_prefetch(const struct otd_table *, uint64_t id,
                        const struct otd_hashed_match *);
/* All of them, by key; none may go meanwhile. */
#define OTD_TABLE_FOR_EACH(T, TABLE)                                    \
    for ((T) = otd_table_next_key(TABLE, 0); (T);                       \
         (T) = otd_table_next_key(TABLE, (T)->installed.key + 1))
/* The tunnel other than 'except' with this match, or NULL. */
struct otd_tunnel *otd_table_find_match(const struct otd_table *,
                                        const struct otd_codec *,
                                        const struct otd_hashed_match *,
                                        const struct otd_tunnel *except);
/* Some tunnel that names 'id' by tunnel_id, or NULL; and the next such one. */
struct otd_tunnel *otd_table_first_after(const struct otd_table *, uint64_t id);
struct otd_tunnel *otd_table_next_after(const struct otd_tunnel *);

/* Puts 't' (its id and key are set) into all indexes as 'spec', the match in it
 * and 'bytes' say (takes 'bytes'); and out of them again. */
void otd_table_insert(struct otd_table *, struct otd_tunnel *t,
                      const struct otd_spec *spec,
                      const struct otd_hashed_match *, uint8_t *bytes,
                      size_t n);
void otd_table_remove(struct otd_table *, struct otd_tunnel *t);
/* The index of keys stands apart: it holds a tunnel that is being deleted until
 * that is confirmed, so that readers still find it. */
void otd_table_insert_key(struct otd_table *, struct otd_tunnel *t);
void otd_table_remove_key(struct otd_table *, struct otd_tunnel *t);
void otd_tunnel_free(struct otd_tunnel *);
struct otd_iface *otd_table_find_iface(const struct otd_table *, const char *name);

/* ---- A stream's requests (spool.c). */

struct otd_spool_chunk;
struct otd_spool {
    struct ovs_list chunks;
    size_t n;                   /* Requests in it. */
    size_t bytes;
};
struct otd_spool_cursor {
    struct otd_spool_chunk *chunk;
    size_t ofs;
    size_t index;               /* Of the next request. */
};
void otd_spool_init(struct otd_spool *);
void otd_spool_destroy(struct otd_spool *);
void otd_spool_append(struct otd_spool *, const void *, size_t n);
void otd_spool_rewind(const struct otd_spool *, struct otd_spool_cursor *);
/* The request at the cursor, which moves on; false at the end (so far). */
bool otd_spool_next(const struct otd_spool *, struct otd_spool_cursor *,
                    const void **, size_t *n);

/* ---- Transactions (txn.c). */

enum otd_txn_state {
    OTD_TXN_SPOOLING,           /* Streaming in, not being applied. */
    OTD_TXN_WAITING,            /* Complete; waits for its group. */
    OTD_TXN_IN_GROUP,           /* Being applied, staged or confirmed. */
};

struct otd_txn {
    struct ovs_list node;       /* In engine's 'spooling' or 'waiting', or the group's 'txns'. */
    struct otd_engine *engine;
    enum otd_txn_state state;
    bool ended;
    bool no_early;              /* Has been sent back to spooling once. */
    bool needs_port;            /* Waits for the Geneve port. */
    bool full;                  /* Did not fit the table. */
    bool fits;                  /* Compared with the capacity. */
    size_t n_before;            /* Tunnels before its first request. */
    int n_rereads;              /* How often it had to read the switch again. */
    long long int ended_at;     /* time_msec(). */
    long long int fed_at;       /* Last append. */
    struct otd_spool spool;
    struct otd_spool_cursor cursor;     /* What has been applied in this group. */
    uint64_t applied_bytes;

    /* Results so far; emptied when the group starts over. */
    struct otd_txn_entry *entries;
    size_t n_entries, allocated_entries;
    size_t n_failed, n_exists;
    uint64_t error_bits;
    size_t n_created;           /* Net new tunnels. */

    /* Requests that must fail in the next attempt, as found by an earlier one
     * (dangling references, the switch's refusal); by index. */
    struct hmap forced;

    void (*done)(void *aux, const struct otd_txn_result *);
    void *aux;
};

struct otd_forced {             /* In otd_txn's 'forced'. */
    struct hmap_node node;
    uint32_t index;
    struct otd_faults faults;
};
void otd_txn_force_failure(struct otd_txn *, uint32_t index,
                           enum otd_fault_kind, const char *path,
                           const char *text);
const struct otd_faults *otd_txn_forced(const struct otd_txn *, uint32_t index);
/* Records how request 'index' ended; takes the faults (empty: a chosen id). */
void otd_txn_add_entry(struct otd_txn *, uint32_t index, uint64_t id,
                       struct otd_faults *);
void otd_txn_clear_results(struct otd_txn *);
/* Calls done and frees.  'status' < 0: as the entries say. */
void otd_txn_complete(struct otd_txn *, int status, const char *error);
void otd_txn_free(struct otd_txn *);

/* ---- Staging (stage.c): flows on their way to the switch. */

/* Up to this many messages go as plain flow_mods behind one barrier; more go as
 * bundles of at most OTD_BUNDLE_MAX. */
#define OTD_PLAIN_MAX 64
#define OTD_BUNDLE_MAX 100000

struct otd_bundle {
    uint32_t id;
    size_t n;
    long long int used_at;      /* The switch drops a bundle that is idle for 10 s. */
    struct ofpbuf keepalive;    /* Its last message, to be added again. */
};

struct otd_stage {
    struct otd_session *session;
    unsigned int seqno;         /* The session's when it began. */
    size_t flush_at;            /* Backlog at which to write. */
    bool bundled;
    bool loose;                 /* No bundles: each message is sent at once and
                                 * taken or refused by itself. */
    struct ofpbuf plain;        /* Messages held back while not 'bundled'. */
    size_t n;                   /* Flow messages. */
    bool has_add, has_delete;
    struct otd_bundle *bundles;
    size_t n_bundles, allocated_bundles;
    size_t n_committed;
    ovs_be32 barrier;           /* Outstanding barrier, or 0. */

    /* Which tunnel a message was for: refs[xid - first_xid]. */
    uint32_t first_xid;
    uint32_t *refs;             /* Keys; 0: not a tunnel's. */
    size_t n_refs, allocated_refs;

    bool message_refused;       /* One that was not a flow. */
    char *error;                /* First refusal that names no tunnel; owned. */
    struct ovs_list refusals;   /* Of struct otd_refusal. */
    bool failed;
};
struct otd_refusal {            /* The switch refused a tunnel's flow. */
    struct ovs_list node;
    uint32_t key;
    char *text;                 /* "OFPBMC_BAD_FIELD: cookie=..., ..." */
};

void otd_stage_init(struct otd_stage *, struct otd_session *);
void otd_stage_destroy(struct otd_stage *);     /* Discards what is open. */
void otd_stage_flow(struct otd_stage *, enum otd_flow_verb,
                    const struct otd_flow *, uint32_t key);
/* Adds flows of a tunnel that has none yet. */
void otd_stage_add_bytes(struct otd_stage *, const struct otd_flow_bytes_set *,
                         uint32_t key);
/* A complete message that is not a flow (TLV table); sent at once, in order. */
void otd_stage_message(struct otd_stage *, struct ofpbuf *, ovs_be32 xid);
void otd_stage_keepalive(struct otd_stage *);
/* Begins the wait for "everything staged so far was taken"; otd_stage_ready() is
 * true when the answer is in.  Nothing is visible in the switch yet. */
void otd_stage_check(struct otd_stage *);
/* Makes it visible: plain messages and a barrier, or the commits one by one. */
void otd_stage_commit(struct otd_stage *);
bool otd_stage_ready(const struct otd_stage *);
bool otd_stage_lost(const struct otd_stage *);  /* The connection went down. */
/* Offers a received message; true if it was for this stage. */
bool otd_stage_receive(struct otd_stage *, const struct ofpbuf *);

/* ---- The group (group.c, apply.c). */

enum otd_group_state {
    OTD_GROUP_APPLYING,
    OTD_GROUP_CHECKING,         /* Staged; waits for the switch's errors. */
    OTD_GROUP_COMMITTING,       /* Durable; waits until it is visible. */
};

/* A tunnel that the group changes, or whose flows it changes. */
struct otd_pending {
    struct ovs_list node;       /* In the group's 'pendings'. */
    struct otd_tunnel *tunnel;
    bool existed, exists;
    bool dangling;              /* Its reference cannot stand. */
    struct hmap_node leaving;   /* In the group's 'leaving', if it was deleted. */
    bool staged;                /* Flows of 'tunnel->bytes' with 'installed' are sent. */
    uint8_t *old_bytes;         /* Owned; NULL: unchanged or did not exist. */
    size_t n_old;
    struct otd_tunnel_facts old_installed;
    struct otd_tally old_match, old_drop;

    /* The last request that touched it. */
    struct otd_txn *txn;
    uint32_t index;
};

/* A request that set, or repeated, a tunnel's match.tunnel_id. */
struct otd_naming {
    struct otd_pending *pending;
    struct otd_txn *txn;
    uint32_t index;
    uint64_t after;
};

struct otd_group {
    struct otd_engine *engine;
    enum otd_group_state state;
    struct ovs_list txns;
    struct ovs_list pendings;
    struct ovs_list pending_chunks;     /* apply.c: where they are. */
    size_t n_pendings;
    struct otd_stage stage;
    bool stored;                /* The store has been committed. */
    struct hmap leaving;        /* Pendings that are deleted, by id. */
    struct otd_tlv_map fixed_tlvs;      /* Of the fixed flows, once committed. */
    struct otd_naming *namings; /* Requests that named another tunnel. */
    size_t n_namings, allocated_namings;
    uint64_t reserving;         /* Bits: slots to be mapped before it goes on. */
};

/* ---- The engine. */

struct otd_engine {
    struct otd_store *store;
    struct otd_ovsdb *ovsdb;
    const struct otd_codec *codec;

    struct otd_table table;
    struct otd_tlv_map tlvs;    /* As the switch has it (with ours on the way). */
    struct otd_tlv_map fixed_tlvs;      /* That the pipeline's flows there know. */
    uint64_t own_tlvs;          /* Bits: slots that we mapped. */
    uint32_t tlv_space;         /* Bytes the switch has in all. */
    uint16_t tlv_fields;        /* Mappings the switch can have. */
    bool tlv_gc_wanted;         /* A mapping may have lost its last user. */
    bool tlv_busy;              /* One is being removed: no group may start. */
    struct otd_tlv_gc *tlv_gc;

    struct otd_session *ctl;    /* Changes, and the read-back at a connection. */
    struct otd_session *reader; /* Dumps for counters. */
    unsigned int ctl_seqno, ovsdb_seqno;

    struct otd_bridge_facts bridge;     /* In force (compiled in). */
    struct otd_sync *sync;      /* While one is under way. */
    bool synced;
    bool resync;                /* One is wanted. */
    long long int resync_at;
    struct ovs_list checks;     /* Of struct otd_check. */
    char *sync_error;           /* What the last read-back could not mend; owned. */
    char *refusal;              /* Why we do not serve this bridge; owned, or NULL. */
    char *bridge_name;          /* That 'has_served' is about; owned. */

    struct ovs_list spooling, waiting;  /* Of struct otd_txn. */
    struct otd_group *group;
    bool ifaces_changed;        /* Some otd_iface has 'changed' set. */
    long long int port_wanted_since;    /* LLONG_MAX: nobody waits for it. */
    unsigned int change_number;
    bool sync_loose;            /* A read-back's bundle was refused as a whole. */
    bool has_served;            /* This bridge has been ours since we started. */

    struct otd_counters_poll *poll;
    struct ovs_list refreshes;  /* Of struct otd_refresh. */
    long long int next_poll;
    uint32_t save_cursor;
    bool save_pending;

    struct otd_flows scratch, scratch2;
    struct otd_flow_bytes_set scratch_set;
    struct ofpbuf scratch_bytes;

    int cleanup_tries;          /* `exit --cleanup`: what has been sent. */
    bool cleanup_refused;
    ovs_be32 cleanup_xid;
    long long int cleanup_retry_at;

    /* For `status`. */
    uint64_t n_syncs, n_groups, n_requests;
    long long int synced_at;
    unsigned int last_sync_adds, last_sync_deletes;
};

/* table.c: what 't' 's flows should depend on now.  If it can have none,
 * 'active' is false and a sentence is appended to 'why' (may be NULL). */
void otd_tunnel_wanted_facts(const struct otd_engine *, const struct otd_tunnel *,
                             struct otd_tunnel_facts *, struct ds *why);
/* Decodes stored bytes, which were checked when they came in. */
void otd_tunnel_decode(const struct otd_engine *, const uint8_t *bytes, size_t n,
                       struct otd_spec *);

/* engine.c: the capabilities as far as a request without 'options' needs them. */
void otd_engine_caps_for(const struct otd_engine *, bool options,
                         struct otd_caps *);

/* engine.c: our ports.  They are wanted while any tunnel is there. */
void otd_engine_want_ports(struct otd_engine *, bool);
/* READY if all that are wanted are; else the worst state, and '*error' (borrowed)
 * if that is FAILED. */
enum otd_port_state otd_engine_ports_state(const struct otd_engine *,
                                           const char **error);
/* The facts in force have the ports that the database has. */
bool otd_engine_ports_in_force(const struct otd_engine *);

/* apply.c */
struct otd_pending *otd_group_touch(struct otd_group *, struct otd_tunnel *);
/* A request as a spec.  It is decoded one request ahead of being applied, so that
 * what the tables will be asked for is in the cache by then. */
struct otd_decoded {
    bool ok;                    /* False: no request at all, 'faults' say why. */
    struct otd_spec spec;
    struct otd_hashed_match match;      /* Of 'spec'. */
    struct otd_faults faults;
};
void otd_group_decode(const struct otd_engine *, const void *bytes, size_t n,
                      struct otd_decoded *);
/* Applies one request; adds its entry to 'txn' if it is worth one.  Uses up its
 * faults.  False, and nothing was done: the group must begin anew when options
 * are mapped (it has 'reserving'), or else when our ports are there. */
bool otd_group_apply(struct otd_group *, struct otd_txn *, uint32_t index,
                     struct otd_decoded *);
/* After the last request: references, and flows of everything touched.  False: some
 * request was found wanting and is forced to fail; start over. */
bool otd_group_finish(struct otd_group *);
void otd_group_undo(struct otd_group *);
/* The tunnel 'id' as it was before the group began to delete it, or NULL. */
struct otd_tunnel *otd_group_find_leaving(const struct otd_group *, uint64_t id);
void otd_group_free_pendings(struct otd_group *);

/* group.c */
void otd_group_run(struct otd_engine *);
void otd_group_wait(const struct otd_engine *);
void otd_group_cancel_txn(struct otd_txn *);
bool otd_group_receive(struct otd_engine *, const struct ofpbuf *);
/* Drops what is not durable yet; goes on with what is, which ends when the switch
 * has confirmed it or the connection is down. */
void otd_group_disconnected(struct otd_engine *);
/* Takes back a group whose stream has not ended, so that something else has its
 * turn; true if no group is left. */
bool otd_group_make_way(struct otd_engine *);
const struct otd_flow *otd_flows_find_rule(const struct otd_flows *,
                                           const struct otd_flow *);
/* Stages the difference between two sets of flows of one tunnel, deletes first. */
void otd_stage_difference(struct otd_stage *, const struct otd_flows *old,
                          const struct otd_flows *new, uint32_t key);

/* sync.c: reads the bridge back, compares it with the plan and mends it.  Only
 * while there is no group.  'dry_run': compares and reports only. */
void otd_sync_start(struct otd_engine *, bool dry_run);
void otd_sync_run(struct otd_engine *);
void otd_sync_wait(const struct otd_engine *);
void otd_sync_abort(struct otd_engine *, const char *why);
bool otd_sync_receive(struct otd_engine *, struct ofpbuf *);
struct otd_check {              /* Somebody waits for a read-back (appctl). */
    struct ovs_list node;       /* In engine's 'checks'. */
    bool repair;                /* Recompute; otherwise only compare. */
    bool taken;                 /* By the read-back that is under way. */
    void (*done)(void *aux, const struct ds *report, bool equal);
    void *aux;
};

/* tlv.c: the bridge's Geneve option map. */
/* Adds a fault for each option of 'encap' that cannot be mapped. */
void otd_tlv_check_options(const struct otd_engine *,
                           const struct otd_geneve_encap *, struct otd_faults *);
/* True if options of 'encap' can and must be mapped first: they have slots now,
 * and stand in group->reserving. */
bool otd_tlv_reserve(struct otd_group *, const struct otd_geneve_encap *);
/* Makes the mappings in 'slots' ours: durable, then in the switch (staged in the
 * group).  NULL, or an owned sentence. */
char *otd_tlv_map(struct otd_group *, uint64_t slots);
/* A tunnel with 'encap' is put into the table: its mappings are not for removal. */
void otd_tlv_note_use(struct otd_engine *, const struct otd_geneve_encap *);
/* Every option that 't' sends is mapped, with its length. */
bool otd_tlv_is_mapped(const struct otd_engine *, const struct otd_tunnel *t,
                       struct ds *why);
uint32_t otd_tlv_room(const struct otd_engine *);       /* 4-byte options, now. */
/* Takes what the switch has, and sends what tunnels need beyond it.  NULL, or an
 * owned sentence if some option cannot be mapped. */
char *otd_tlv_adopt(struct otd_engine *, const struct otd_tlv_table *);
/* A mapping of ours as the store has it, at start. */
void otd_tlv_restore(struct otd_engine *, const struct otd_store_tlv *);
void otd_tlv_run(struct otd_engine *);  /* Removes mappings without users. */
/* Appends the message that removes all mappings of ours. */
void otd_tlv_delete_own(struct otd_engine *, struct ofpbuf *out);
void otd_tlv_wait(const struct otd_engine *);
void otd_tlv_stop(struct otd_engine *);
bool otd_tlv_receive(struct otd_engine *, const struct ofpbuf *);

/* counters.c */
void otd_counters_run(struct otd_engine *);
void otd_counters_wait(const struct otd_engine *);
void otd_counters_receive(struct otd_engine *, struct ofpbuf *);  /* Reader. */
/* A flow of ours left the switch, by our hand or another's. */
void otd_counters_flow_removed(struct otd_engine *, const struct otd_flow_report *);
/* The flow that 'tally' counts is (about to be) a new one that starts at 0. */
void otd_tally_restart(struct otd_tally *);
/* The same, because we are removing it: its FLOW_REMOVED is yet to come. */
void otd_tally_bank(struct otd_tally *);
struct otd_tally *otd_tally_of(struct otd_tunnel *, uint64_t cookie);
/* The flow that 'tally' of 't' counts was read. */
void otd_tally_update(struct otd_tunnel *t, struct otd_tally *,
                      uint64_t packets, uint64_t bytes);
void otd_counters_of(const struct otd_tunnel *, struct otd_counters *);
void otd_counters_stop(struct otd_engine *, const char *why);
void otd_counters_load(struct otd_tunnel *, const struct otd_stored_counters *);
/* Writes what is not saved yet, all of it (before the daemon ends). */
void otd_counters_save_all(struct otd_engine *);

#endif /* engine/internal.h */
