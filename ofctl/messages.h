/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_MESSAGES_H
#define OTD_MESSAGES_H 1

/* Flows to OpenFlow 1.5 messages and back.  Pure: bytes in, bytes out.  All
 * xids are chosen by the caller, so that an error message names the flow that
 * caused it.
 *
 * 'out' is any ofpbuf that can grow, usually otd_session_output(): each
 * function appends one complete message with its length set, whatever stands
 * before it. 'out->header' and 'out->msg' are left pointing anywhere.  A
 * received message is one ofpbuf as otd_session_recv() returns it; what a
 * switch puts into it is trusted nowhere. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "flows/flow.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/types.h"

struct ds;
struct ofp_header;
struct ofpact;
struct ofpbuf;

enum otd_flow_verb {
    /* Add, or replace the one with the same table, priority and match.
     * Counters of a replaced flow go on; its cookie and actions are the new
     * ones, and no FLOW_REMOVED is sent for it. */
    OTD_FLOW_ADD,
    /* Delete the flow with this table, priority and match if its cookie is the
     * given one too: what somebody else has put in its place stays. */
    OTD_FLOW_DELETE_STRICT,
};

/* Appends one flow_mod to 'out' (several messages may stand in it). */
void otd_msg_flow_mod(struct ofpbuf *out, ovs_be32 xid, enum otd_flow_verb,
                      const struct otd_flow *);
/* The same, wrapped in a bundle_add of bundle 'id'. */
void otd_msg_bundle_flow_mod(struct ofpbuf *out, ovs_be32 xid, uint32_t id,
                             enum otd_flow_verb, const struct otd_flow *);
/* Non-strict delete of all flows in all tables with (cookie & mask) ==
 * cookie. */
void otd_msg_delete_by_cookie(struct ofpbuf *out, ovs_be32 xid,
                              uint64_t cookie, uint64_t mask);

/* The same for an add of a flow that was compiled to bytes; 'bundle' 0: a plain
 * flow_mod. */
void otd_msg_add_bytes(struct ofpbuf *out, ovs_be32 xid, uint32_t bundle,
                       const struct otd_flow_bytes *);

enum otd_bundle_verb {
    OTD_BUNDLE_OPEN,
    OTD_BUNDLE_COMMIT,
    OTD_BUNDLE_DISCARD,
};
/* Bundles are opened atomic and ordered (OFPBF_ATOMIC | OFPBF_ORDERED). */
void otd_msg_bundle_ctrl(struct ofpbuf *out, ovs_be32 xid, uint32_t id,
                         enum otd_bundle_verb);
void otd_msg_barrier(struct ofpbuf *out, ovs_be32 xid);

/* Asks for all flows of all tables with (cookie & mask) == cookie; mask 0:
 * all. */
void otd_msg_flow_dump(struct ofpbuf *out, ovs_be32 xid, uint64_t cookie,
                       uint64_t mask);

/* A flow that the switch reported (a dump entry or a FLOW_REMOVED). */
struct otd_flow_report {
    uint8_t table_id;
    uint16_t priority;
    uint64_t cookie;            /* Host byte order. */
    uint64_t packets, bytes;    /* UINT64_MAX if the switch does not know. */
    bool send_flow_rem;
    struct match match;
    const struct ofpact *ofpacts;       /* Borrowed; NULL in a FLOW_REMOVED. */
    size_t ofpacts_len;
};

/* Iterates over the entries of a flow stats reply.  'msg' is consumed as it
 * goes; 'ofpacts' is the caller's scratch.  Returns 0, EOF at the end of this
 * message, or an OFPERR_* (the rest of the message cannot be used then).
 * '*more' (may be NULL) is set with 0 and EOF and tells whether further
 * messages of the same dump follow.  A dump is several messages with the
 * request's xid; one without flows is one message without entries.
 *
 * Compare with the plan by otd_flow_same_rule() and otd_ofpacts_equal(). */
int otd_msg_flow_dump_next(struct ofpbuf *msg, struct otd_flow_report *,
                           struct ofpbuf *ofpacts, bool *more);
/* Only cookie, packets and bytes of each entry, read straight from the bytes
 * (for counters; several times faster than a full decode). */
int otd_msg_flow_dump_next_counters(struct ofpbuf *msg, uint64_t *cookie,
                                    uint8_t *table_id, uint64_t *packets,
                                    uint64_t *bytes, bool *more);
bool otd_msg_flow_removed(const struct ofp_header *, struct otd_flow_report *);

/* The bridge's Geneve TLV table. */
struct otd_tlv_entry {
    uint16_t opt_class;
    uint8_t type;
    uint8_t len;                /* Bytes of data. */
    uint16_t index;             /* tun_metadata<index>. */
};
struct otd_tlv_table {
    uint32_t max_space;         /* Bytes in all (256). */
    uint16_t max_fields;        /* 64. */
    size_t n;
    struct otd_tlv_entry entries[64];
};
void otd_msg_tlv_request(struct ofpbuf *out, ovs_be32 xid);
void otd_msg_tlv_mod(struct ofpbuf *out, ovs_be32 xid, bool add,
                     const struct otd_tlv_entry *, size_t n);
enum ofperr otd_msg_tlv_reply(const struct ofp_header *,
                              struct otd_tlv_table *);

/* The class of a received message, all that the engine distinguishes. */
enum otd_msg_type {
    OTD_MSG_ERROR,
    OTD_MSG_BARRIER_REPLY,
    OTD_MSG_FLOW_STATS,
    OTD_MSG_FLOW_REMOVED,
    OTD_MSG_BUNDLE_REPLY,
    OTD_MSG_TLV_REPLY,
    OTD_MSG_OTHER,
};
enum otd_msg_type otd_msg_type(const struct ofpbuf *msg);
ovs_be32 otd_msg_xid(const struct ofpbuf *msg);
/* The error of an OTD_MSG_ERROR (0: of a kind that this library does not
 * know), and its name, "OFPBMC_BAD_FIELD" ...; borrowed, static. */
enum ofperr otd_msg_error(const struct ofpbuf *msg);
const char *otd_msg_error_name(const struct ofpbuf *msg);

/* The flow as ovs-ofctl would print it (no counters), appended. */
void otd_flow_report_format(const struct otd_flow_report *, struct ds *);

#endif /* ofctl/messages.h */
