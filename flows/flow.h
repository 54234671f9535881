/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_FLOW_H
#define OTD_FLOW_H 1

/* One OpenFlow flow of the plan: what the compiler makes, what ofctl/ sends
 * and what is compared with the flows that the switch reports. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/match.h"
#include "openvswitch/ofpbuf.h"

struct ofpact;

/* A tunnel compiles to at most this many flows, whatever its request says. */
#define OTD_FLOWS_PER_TUNNEL 4

struct otd_flow {
    uint8_t table_id;
    uint16_t priority;
    uint64_t cookie;            /* Host byte order. */
    bool send_flow_rem;         /* Tunnel flows: last counters come back. */
    struct match match;
    struct ofpbuf ofpacts;      /* 'struct ofpact's; owned. */
};

/* The same as bytes of OpenFlow 1.5, ready to be sent: what the hot path makes
 * instead, because a struct match is 1.4 kB that would be filled only to be
 * packed again.  The buffers belong to the flow and are reused. */
struct otd_flow_bytes {
    uint8_t table_id;
    uint16_t priority;
    uint64_t cookie;            /* Host byte order. */
    bool send_flow_rem;
    struct ofpbuf match;        /* OXM fields, in an order that OVS accepts. */
    struct ofpbuf actions;      /* OpenFlow actions, each padded to 8 bytes. */
};
struct otd_flow_bytes_set {     /* All flows of one tunnel. */
    size_t n;
    struct otd_flow_bytes flows[OTD_FLOWS_PER_TUNNEL];
};
void otd_flow_bytes_set_init(struct otd_flow_bytes_set *);
void otd_flow_bytes_set_destroy(struct otd_flow_bytes_set *);

struct otd_flows {              /* Growable; the flows own their actions. */
    size_t n, allocated;
    struct otd_flow *flows;
};

#define OTD_FLOWS_INITIALIZER { 0, 0, NULL }
/* Appends an empty flow (match catch-all, no actions) and returns it;
 * borrowed, valid until the next append. */
struct otd_flow *otd_flows_add(struct otd_flows *);
void otd_flows_clear(struct otd_flows *);       /* Keeps the memory. */
void otd_flows_destroy(struct otd_flows *);

/* Same table, priority and match: the identity of a flow in the switch. */
bool otd_flow_same_rule(const struct otd_flow *, uint8_t table_id,
                        uint16_t priority, const struct match *);

/* True if the switch cannot tell the two matches apart.  The switch adds the
 * match on the Ethernet packet type that most fields imply and reports it
 * back; it is not looked at unless both sides name a packet type.
 *
 * Matches on tun_metadata fields compare equal only if they were added in
 * ascending order of their index, as they are decoded. */
bool otd_match_equal(const struct match *, const struct match *);

/* True if the switch would do the same for both lists of actions.  Padding and
 * the marks that tell which OpenFlow encoding an action once had differ
 * between what was compiled and what was decoded, so ofpacts_equal() will not
 * do.  Like in the switch the order of actions counts. */
bool otd_ofpacts_equal(const struct ofpact *a, size_t a_len,
                       const struct ofpact *b, size_t b_len);

#endif /* flows/flow.h */
