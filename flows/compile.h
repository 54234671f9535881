/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_COMPILE_H
#define OTD_COMPILE_H 1

/* The compiler: a tunnel and what must be known of its surroundings, to flows.
 *
 * Pure: the same inputs give the same flows, on any thread, at any time.  That is
 * what lets the engine keep no flows in memory: what is installed is what these
 * functions say for the inputs that were in force when it was sent. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "flows/flow.h"
#include "openvswitch/flow.h"
#include "tunnel/spec.h"

/* Where the Geneve options of the bridge stand: tun_metadata<index>. */
#define OTD_TLV_MAX 64
struct otd_tlv {
    bool used;
    uint16_t opt_class;
    uint8_t type;
    uint8_t len;                /* Bytes of data. */
};
struct otd_tlv_map {            /* Indexed by tun_metadata number. */
    struct otd_tlv slots[OTD_TLV_MAX];
};

/* Index of the mapping for (class, type), or -1. */
int otd_tlv_map_find(const struct otd_tlv_map *, uint16_t opt_class, uint8_t type);

/* The bridge, as far as flows depend on it; the same for every tunnel. */
struct otd_bridge_facts {
    /* OFPP_NONE while there is none.  Packets leave by 'geneve_port'; they come
     * in by 'geneve_in4' and 'geneve_in6', which are the ports with an address of
     * their own if one is configured, else 'geneve_port' too. */
    ofp_port_t geneve_port, geneve_in4, geneve_in6;
    struct in6_addr encap_ip4, encap_ip6;       /* Zero: not configured. */
    bool default_drop;          /* tunneld-default-action=drop. */
    bool share;                 /* Table 0's default belongs to somebody else. */
};

/* What one tunnel's flows depend on beyond its own request and the bridge.
 * Twelve bytes that the tunnel table keeps per tunnel. */
struct otd_tunnel_facts {
    uint32_t key;               /* Never 0. */
    uint32_t after_key;         /* Key of match.tunnel_id's tunnel, or 0. */
    ofp_port_t in_port;         /* Of match.ingress_interface, or OFPP_NONE. */
    bool named;                 /* Some tunnel names this one by tunnel_id. */
    bool active;                /* Has its match flow (otherwise only what a
                                 * protected tunnel must keep: nothing yet). */
};

/* IPv6 outer addresses can be matched: they have a port of their own. */
static inline bool
otd_bridge_has_outer_ipv6(const struct otd_bridge_facts *b)
{
    return b->geneve_in6 != OFPP_NONE && b->geneve_in6 != b->geneve_in4;
}

/* Appends the flows of one tunnel to '*flows': at most OTD_FLOWS_PER_TUNNEL, none
 * if it is not active.  'spec' has passed otd_spec_check() and every option of it
 * is in 'tlvs'. */
void otd_compile_tunnel(const struct otd_spec *, const struct otd_tunnel_facts *,
                        const struct otd_bridge_facts *,
                        const struct otd_tlv_map *, struct otd_flows *);

/* The very same flows as bytes.  '*set' is overwritten. */
void otd_compile_tunnel_bytes(const struct otd_spec *,
                              const struct otd_tunnel_facts *,
                              const struct otd_bridge_facts *,
                              const struct otd_tlv_map *,
                              struct otd_flow_bytes_set *set);

/* Appends the flows of the pipeline itself, in the order in which they may be
 * installed: the default of table 0 last. */
void otd_compile_fixed(const struct otd_bridge_facts *, const struct otd_tlv_map *,
                       struct otd_flows *);

/* Tunnels whose flows could take a packet with this one's result by address, not
 * by tunnel_id, exist only for these. */
static inline bool
otd_kind_is_decapsulating(enum otd_kind kind)
{
    return kind == OTD_KIND_GENEVE_DECAP || kind == OTD_KIND_IPSEC_DEC;
}

#endif /* flows/compile.h */
