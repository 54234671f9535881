/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_FLOW_H
#define OTD_FLOW_H 1

/* One OpenFlow flow of the plan: what the compiler makes, what ofctl/ sends and
 * what is compared with the flows that the switch reports. */

#include <stdbool.h>
#include <stdint.h>
#include "openvswitch/match.h"
#include "openvswitch/ofpbuf.h"

/* A tunnel compiles to at most this many flows, whatever its request says. */
#define OTD_FLOWS_PER_TUNNEL 4

struct otd_flow {
    uint8_t table_id;
    uint16_t priority;
    uint64_t cookie;            /* Host byte order. */
    bool send_flow_rem;         /* Tunnel flows: their last counters come back. */
    struct match match;
    struct ofpbuf ofpacts;      /* 'struct ofpact's; owned. */
};

struct otd_flows {              /* A growable array; flows own their actions. */
    size_t n, allocated;
    struct otd_flow *flows;
};

#define OTD_FLOWS_INITIALIZER { 0, 0, NULL }
/* Appends an empty flow (match catch-all, no actions) and returns it; borrowed,
 * valid until the next append. */
struct otd_flow *otd_flows_add(struct otd_flows *);
void otd_flows_clear(struct otd_flows *);       /* Keeps the memory for reuse. */
void otd_flows_destroy(struct otd_flows *);

/* Same table, priority and match: the identity of a flow in the switch. */
bool otd_flow_same_rule(const struct otd_flow *, uint8_t table_id,
                        uint16_t priority, const struct match *);

#endif /* flows/flow.h */
