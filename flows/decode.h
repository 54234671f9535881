/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_DECODE_H
#define OTD_DECODE_H 1

/* Flows as text for people: tables, ports and tunnels by name. */

#include <stddef.h>
#include <stdint.h>
#include "openvswitch/types.h"

struct ds;
struct match;
struct ofpact;
struct ofputil_port_map;
struct otd_flow;

/* What the caller knows and the flow does not say. */
struct otd_names {
    const struct ofputil_port_map *ports;       /* May be NULL. */
    /* Appends "tunnel 42" or the like for a tunnel's key.  May be NULL. */
    void (*tunnel)(const void *aux, uint32_t key, struct ds *);
    const void *aux;
};

/* One line, no newline:
 * "classification: tunnel 42: priority=8448,ip,... actions=...". */
void otd_decode_flow(struct ds *, uint8_t table_id, uint16_t priority,
                     uint64_t cookie, const struct match *,
                     const struct ofpact *, size_t ofpacts_len,
                     const struct otd_names *);

/* The flow as `ovs-ofctl --no-stats --no-names dump-flows` prints it. */
void otd_flow_format(struct ds *, const struct otd_flow *);

#endif /* flows/decode.h */
