/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "flows/compile.h"

#include <string.h>
#include "flows/pipeline.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/ofp-actions.h"
#include "packets.h"
#include "util.h"

/* ---- Actions. */

static void
put_set(struct ofpbuf *ofpacts, enum mf_field_id id, const void *value, size_t n)
{
    const struct mf_field *mf = mf_from_id(id);
    union mf_value v;

    /* Fields of variable length (tun_metadata) stand right-justified. */
    ovs_assert(n <= mf->n_bytes);
    memset(&v, 0, mf->n_bytes);
    memcpy(&v.b[mf->n_bytes - n], value, n);
    ofpact_put_set_field(ofpacts, mf, &v, NULL);
}

static void
put_set_be32(struct ofpbuf *ofpacts, enum mf_field_id id, ovs_be32 value)
{
    put_set(ofpacts, id, &value, sizeof value);
}

static void
put_set_reg(struct ofpbuf *ofpacts, enum otd_register reg, uint32_t value)
{
    put_set_be32(ofpacts, MFF_REG0 + reg, htonl(value));
}

static void
put_resubmit(struct ofpbuf *ofpacts, enum otd_table_id table, ofp_port_t in_port)
{
    struct ofpact_resubmit *r = ofpact_put_RESUBMIT(ofpacts);

    r->in_port = in_port;
    r->table_id = table;
}

static void
put_output(struct ofpbuf *ofpacts, ofp_port_t port)
{
    struct ofpact_output *o = ofpact_put_OUTPUT(ofpacts);

    o->port = port;
    o->max_len = 0;
}

static void
put_default(struct ofpbuf *ofpacts, const struct otd_bridge_facts *bridge)
{
    if (!bridge->default_drop) {
        put_output(ofpacts, OFPP_NORMAL);
    }
}

/* ---- Matches. */

static void
match_macs(struct match *match, const struct otd_match_key *key)
{
    if (key->eth_given & 1) {
        match_set_dl_dst(match, key->eth_dst);
    }
    if (key->eth_given & 2) {
        match_set_dl_src(match, key->eth_src);
    }
}

/* The addresses in the packet that the switch parsed: the packet's own on the
 * plain side, the inner ones on the tunnel side. */
static void
match_packet_ips(struct match *match, enum otd_family family,
                 const struct in6_addr *src, unsigned int src_plen,
                 const struct in6_addr *dst, unsigned int dst_plen)
{
    struct in6_addr mask;

    switch (family) {
    case OTD_FAMILY_NONE:
        break;
    case OTD_FAMILY_IPV4:
        match_set_dl_type(match, htons(ETH_TYPE_IP));
        if (src_plen) {
            match_set_nw_src_masked(match, in6_addr_get_mapped_ipv4(src),
                                    be32_prefix_mask(src_plen));
        }
        if (dst_plen) {
            match_set_nw_dst_masked(match, in6_addr_get_mapped_ipv4(dst),
                                    be32_prefix_mask(dst_plen));
        }
        break;
    case OTD_FAMILY_IPV6:
        match_set_dl_type(match, htons(ETH_TYPE_IPV6));
        if (src_plen) {
            mask = ipv6_create_mask(src_plen);
            match_set_ipv6_src_masked(match, src, &mask);
        }
        if (dst_plen) {
            mask = ipv6_create_mask(dst_plen);
            match_set_ipv6_dst_masked(match, dst, &mask);
        }
        break;
    }
}

/* The outer addresses of a packet that came out of a tunnel port. */
static void
match_outer_ips(struct match *match, const struct otd_match_key *key)
{
    struct in6_addr mask;

    switch ((enum otd_family) key->family) {
    case OTD_FAMILY_NONE:
        break;
    case OTD_FAMILY_IPV4:
        if (key->src_plen) {
            match_set_tun_src_masked(match, in6_addr_get_mapped_ipv4(&key->src),
                                     be32_prefix_mask(key->src_plen));
        }
        if (key->dst_plen) {
            match_set_tun_dst_masked(match, in6_addr_get_mapped_ipv4(&key->dst),
                                     be32_prefix_mask(key->dst_plen));
        }
        break;
    case OTD_FAMILY_IPV6:
        if (key->src_plen) {
            mask = ipv6_create_mask(key->src_plen);
            match_set_tun_ipv6_src_masked(match, &key->src, &mask);
        }
        if (key->dst_plen) {
            mask = ipv6_create_mask(key->dst_plen);
            match_set_tun_ipv6_dst_masked(match, &key->dst, &mask);
        }
        break;
    }
}

static struct otd_flow *
add_flow(struct otd_flows *flows, enum otd_table_id table, uint16_t priority,
         uint64_t cookie)
{
    struct otd_flow *f = otd_flows_add(flows);

    f->table_id = table;
    f->priority = priority;
    f->cookie = cookie;
    f->send_flow_rem = otd_cookie_kind(cookie) != OTD_COOKIE_FIXED;
    return f;
}

static uint16_t
band_priority(enum otd_priority base, const struct otd_match_key *key,
              enum otd_order order)
{
    return base + 8 * otd_match_specificity(key) + order;
}

/* ---- Tunnels. */

int
otd_tlv_map_find(const struct otd_tlv_map *map, uint16_t opt_class, uint8_t type)
{
    for (int i = 0; i < OTD_TLV_MAX; i++) {
        const struct otd_tlv *t = &map->slots[i];

        if (t->used && t->opt_class == opt_class && t->type == type) {
            return i;
        }
    }
    return -1;
}

static void
put_outer(struct ofpbuf *ofpacts, const struct otd_ip_pair *outer,
          const struct otd_bridge_facts *bridge)
{
    struct in6_addr src = outer->src;

    if (outer->family == OTD_FAMILY_IPV4) {
        if (!in6_addr_get_mapped_ipv4(&src)) {
            src = bridge->encap_ip4;
        }
        if (ipv6_addr_is_set(&src)) {
            put_set_be32(ofpacts, MFF_TUN_SRC, in6_addr_get_mapped_ipv4(&src));
        }
        put_set_be32(ofpacts, MFF_TUN_DST,
                     in6_addr_get_mapped_ipv4(&outer->dst));
    } else {
        if (!ipv6_addr_is_set(&src)) {
            src = bridge->encap_ip6;
        }
        if (ipv6_addr_is_set(&src)) {
            put_set(ofpacts, MFF_TUN_IPV6_SRC, &src, sizeof src);
        }
        put_set(ofpacts, MFF_TUN_IPV6_DST, &outer->dst, sizeof outer->dst);
    }
}

static void
put_encap(struct ofpbuf *ofpacts, const struct otd_geneve_encap *encap,
          const struct otd_bridge_facts *bridge, const struct otd_tlv_map *tlvs)
{
    struct otd_geneve_option opt;
    ovs_be64 vni = htonll(encap->vni);
    size_t ofs = 0;

    put_set(ofpacts, MFF_TUN_ID, &vni, sizeof vni);
    put_outer(ofpacts, &encap->outer, bridge);
    if (encap->control_packet) {
        ovs_be16 flags = htons(NX_TUN_FLAG_OAM);

        put_set(ofpacts, MFF_TUN_FLAGS, &flags, sizeof flags);
    }
    while (otd_geneve_option_next(encap, &ofs, &opt)) {
        int index = otd_tlv_map_find(tlvs, opt.opt_class, opt.type);

        ovs_assert(index >= 0);
        put_set(ofpacts, MFF_TUN_METADATA0 + index, opt.data, opt.len);
    }
    if (encap->inner_mac.has_dst) {
        put_set(ofpacts, MFF_ETH_DST, &encap->inner_mac.dst, ETH_ADDR_LEN);
    }
    if (encap->inner_mac.has_src) {
        put_set(ofpacts, MFF_ETH_SRC, &encap->inner_mac.src, ETH_ADDR_LEN);
    }
}

static void
compile_encap(const struct otd_spec *spec, const struct otd_match_key *key,
              const struct otd_tunnel_facts *facts,
              const struct otd_bridge_facts *bridge,
              const struct otd_tlv_map *tlvs, struct otd_flows *flows)
{
    bool chained = spec->match.tunnel_id != 0;
    struct otd_flow *f = add_flow(
        flows, chained ? OTD_TABLE_RECIRCULATE : OTD_TABLE_CLASSIFY,
        band_priority(OTD_PRIO_PLAIN_BAND, key, OTD_ORDER_ENCAP),
        otd_cookie_make(OTD_COOKIE_TUNNEL, facts->key));

    if (chained) {
        match_set_reg(&f->match, OTD_REG_STATE, OTD_STATE_AGAIN);
        match_set_reg(&f->match, OTD_REG_LAST, facts->after_key);
    }
    if (spec->match.ingress_interface[0]) {
        match_set_in_port(&f->match, facts->in_port);
    } else {
        match_set_vlan_vid(&f->match, htons(0));        /* Untagged only. */
    }
    match_macs(&f->match, key);
    match_packet_ips(&f->match, key->family, &key->src, key->src_plen,
                     &key->dst, key->dst_plen);

    put_encap(&f->ofpacts, &spec->encap, bridge, tlvs);
    put_set_reg(&f->ofpacts, OTD_REG_STATE, OTD_STATE_PENDING);
    put_set_reg(&f->ofpacts, OTD_REG_LAST, facts->key);
    put_resubmit(&f->ofpacts,
                 spec->next_action == OTD_ACTION_RECIRCULATE
                 ? OTD_TABLE_RECIRCULATE : OTD_TABLE_EGRESS, OFPP_IN_PORT);
}

/* A rule that matches outer addresses stands in the table of their family. */
static enum otd_table_id
decap_table(const struct otd_match_key *key)
{
    switch ((enum otd_family) key->family) {
    case OTD_FAMILY_NONE:
        return OTD_TABLE_DECAP;
    case OTD_FAMILY_IPV4:
        return OTD_TABLE_OUTER4;
    case OTD_FAMILY_IPV6:
        return OTD_TABLE_OUTER6;
    }
    OVS_NOT_REACHED();
}

static void
compile_decap(const struct otd_spec *spec, const struct otd_match_key *key,
              const struct otd_tunnel_facts *facts, struct otd_flows *flows)
{
    struct otd_flow *f = add_flow(
        flows, decap_table(key),
        band_priority(OTD_PRIO_TUNNEL_BAND, key, OTD_ORDER_DECAP),
        otd_cookie_make(OTD_COOKIE_TUNNEL, facts->key));

    if (key->has_vni) {
        match_set_tun_id(&f->match, htonll(key->vni));
    }
    match_outer_ips(&f->match, key);
    match_macs(&f->match, key);
    match_packet_ips(&f->match, key->inner_family, &key->inner_src,
                     key->inner_src_plen, &key->inner_dst, key->inner_dst_plen);

    put_set_reg(&f->ofpacts, OTD_REG_LAST, facts->key);
    if (spec->next_action == OTD_ACTION_RECIRCULATE) {
        put_set_reg(&f->ofpacts, OTD_REG_STATE, OTD_STATE_AGAIN);
        put_resubmit(&f->ofpacts, OTD_TABLE_STRIP, OFPP_IN_PORT);
    } else {
        put_resubmit(&f->ofpacts, OTD_TABLE_LOOKUP, OFPP_IN_PORT);
    }
}

/* A tunnel that others name must be followed by one of them: what none of them
 * takes has lost its next step. */
static void
compile_missing_next(const struct otd_spec *spec,
                     const struct otd_tunnel_facts *facts,
                     struct otd_flows *flows)
{
    bool plain = otd_kind_is_decapsulating(spec->kind);
    struct otd_flow *f = add_flow(
        flows, plain ? OTD_TABLE_CLASSIFY : OTD_TABLE_RECIRCULATE,
        OTD_PRIO_MISSING_NEXT,
        otd_cookie_make(OTD_COOKIE_MISSING_NEXT, facts->key));

    match_set_reg(&f->match, OTD_REG_STATE,
                  plain ? OTD_STATE_AGAIN : OTD_STATE_PENDING);
    match_set_reg(&f->match, OTD_REG_LAST, facts->key);
}

void
otd_compile_tunnel(const struct otd_spec *spec,
                   const struct otd_tunnel_facts *facts,
                   const struct otd_bridge_facts *bridge,
                   const struct otd_tlv_map *tlvs, struct otd_flows *flows)
{
    struct otd_match_key key;

    if (!facts->active) {
        return;
    }

    otd_match_key_init(&key, spec);
    switch (spec->kind) {
    case OTD_KIND_GENEVE_ENCAP:
        compile_encap(spec, &key, facts, bridge, tlvs, flows);
        break;
    case OTD_KIND_GENEVE_DECAP:
        compile_decap(spec, &key, facts, flows);
        break;
    case OTD_KIND_NONE:
    case OTD_KIND_IPSEC_ENC:
    case OTD_KIND_IPSEC_DEC:
    case OTD_KIND_NAT:
    case OTD_N_KINDS:
        OVS_NOT_REACHED();
    }
    if (facts->named && spec->next_action == OTD_ACTION_RECIRCULATE) {
        compile_missing_next(spec, facts, flows);
    }
}

/* ---- The pipeline itself. */

static struct otd_flow *
add_fixed(struct otd_flows *flows, enum otd_table_id table, uint16_t priority,
          uint32_t *place)
{
    return add_flow(flows, table, priority,
                    otd_cookie_make(OTD_COOKIE_FIXED, ++*place));
}

/* Packets of one family: by their outer addresses, then without. */
static void
compile_ingress(ofp_port_t in_port, enum otd_table_id table,
                struct otd_flows *flows, uint32_t *place)
{
    struct otd_flow *f;

    f = add_fixed(flows, OTD_TABLE_CLASSIFY, OTD_PRIO_TUNNEL_BAND, place);
    match_set_in_port(&f->match, in_port);
    put_resubmit(&f->ofpacts, table, OFPP_IN_PORT);

    f = add_fixed(flows, table, OTD_PRIO_DEFAULT, place);
    put_resubmit(&f->ofpacts, OTD_TABLE_DECAP, OFPP_IN_PORT);
}

static void
compile_egress(const struct otd_bridge_facts *bridge, struct otd_flows *flows,
               uint32_t *place)
{
    const ovs_be16 no_port = htons(0);
    struct otd_flow *f;

    if (bridge->geneve_port == OFPP_NONE) {
        return;
    }
    f = add_fixed(flows, OTD_TABLE_EGRESS, OTD_PRIO_DEFAULT, place);
    match_set_reg(&f->match, OTD_REG_STATE, OTD_STATE_PENDING);
    /* Output to the port that a packet came in by is dropped, and a decapsulated
     * packet came in by this one. */
    put_set(&f->ofpacts, MFF_IN_PORT, &no_port, sizeof no_port);
    put_output(&f->ofpacts, bridge->geneve_port);

    compile_ingress(bridge->geneve_in4, OTD_TABLE_OUTER4, flows, place);
    if (otd_bridge_has_outer_ipv6(bridge)) {
        compile_ingress(bridge->geneve_in6, OTD_TABLE_OUTER6, flows, place);
    }
    if (bridge->geneve_port != bridge->geneve_in4
        && bridge->geneve_port != bridge->geneve_in6) {
        /* Sent to an address of this host that is not ours to serve. */
        f = add_fixed(flows, OTD_TABLE_CLASSIFY, OTD_PRIO_TUNNEL_BAND, place);
        match_set_in_port(&f->match, bridge->geneve_port);
    }
}

/* A packet that goes on forgets its outer header: only the family that it had,
 * since to name the other would put both into one datapath mask. */
static void
compile_strip(ofp_port_t in_port, bool ipv6, const struct otd_tlv_map *tlvs,
              struct otd_flows *flows, uint32_t *place)
{
    struct otd_flow *f = add_fixed(flows, OTD_TABLE_STRIP, OTD_PRIO_DEFAULT,
                                   place);
    const struct in6_addr zero = IN6ADDR_ANY_INIT;

    match_set_in_port(&f->match, in_port);
    put_set(&f->ofpacts, MFF_TUN_ID, &zero, 8);
    if (ipv6) {
        put_set(&f->ofpacts, MFF_TUN_IPV6_SRC, &zero, 16);
        put_set(&f->ofpacts, MFF_TUN_IPV6_DST, &zero, 16);
    } else {
        put_set(&f->ofpacts, MFF_TUN_SRC, &zero, 4);
        put_set(&f->ofpacts, MFF_TUN_DST, &zero, 4);
    }
    put_set(&f->ofpacts, MFF_TUN_FLAGS, &zero, 2);
    for (int i = 0; i < OTD_TLV_MAX; i++) {
        /* Deleted, not set to zero: a zero would be sent as an option. */
        if (tlvs->slots[i].used) {
            ofpact_put_DELETE_FIELD(&f->ofpacts)->field
                = mf_from_id(MFF_TUN_METADATA0 + i);
        }
    }
    put_resubmit(&f->ofpacts, OTD_TABLE_RECIRCULATE, OFPP_IN_PORT);
}

void
otd_compile_fixed(const struct otd_bridge_facts *bridge,
                  const struct otd_tlv_map *tlvs, struct otd_flows *flows)
{
    uint32_t place = 0;
    struct otd_flow *f;

    compile_egress(bridge, flows, &place);
    if (bridge->geneve_in4 != OFPP_NONE) {
        compile_strip(bridge->geneve_in4, false, tlvs, flows, &place);
    }
    if (otd_bridge_has_outer_ipv6(bridge)) {
        compile_strip(bridge->geneve_in6, true, tlvs, flows, &place);
    }
    place = 15;                 /* Places stay put when the port comes late. */

    f = add_fixed(flows, OTD_TABLE_LOOKUP, OTD_PRIO_DEFAULT, &place);
    put_default(&f->ofpacts, bridge);

    f = add_fixed(flows, OTD_TABLE_RECIRCULATE, OTD_PRIO_AS_FORWARD, &place);
    match_set_reg(&f->match, OTD_REG_STATE, OTD_STATE_PENDING);
    put_resubmit(&f->ofpacts, OTD_TABLE_EGRESS, OFPP_IN_PORT);

    /* Classified again as if it had come from no port: not by the tunnel side's
     * rules, which would take it for ever. */
    f = add_fixed(flows, OTD_TABLE_RECIRCULATE, OTD_PRIO_AS_FORWARD, &place);
    match_set_reg(&f->match, OTD_REG_STATE, OTD_STATE_AGAIN);
    put_resubmit(&f->ofpacts, OTD_TABLE_CLASSIFY, OFPP_NONE);

    f = add_fixed(flows, OTD_TABLE_CLASSIFY, OTD_PRIO_AS_FORWARD, &place);
    match_set_reg(&f->match, OTD_REG_STATE, OTD_STATE_AGAIN);
    put_resubmit(&f->ofpacts, OTD_TABLE_LOOKUP, OFPP_IN_PORT);

    add_fixed(flows, OTD_TABLE_DECAP, OTD_PRIO_DEFAULT, &place);

    if (!bridge->share) {
        f = add_fixed(flows, OTD_TABLE_CLASSIFY, OTD_PRIO_DEFAULT, &place);
        put_default(&f->ofpacts, bridge);
    }
}
