/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "flows/compile.h"

#include <string.h>
#include "flows/pipeline.h"
#include "nx-match.h"
#include "openflow/nicira-ext.h"
#include "openflow/openflow.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/ofp-actions.h"
#include "packets.h"
#include "unaligned.h"
#include "util.h"

/* ---- Building flows.
 *
 * The rules below are written once, in terms of a builder, which makes either
 * struct otd_flow (to compare and to print) or bytes (to send). */

/* Numbers of the protocol that the library keeps to itself: OpenFlow 1.2, A.2.5
 * and the Nicira extensions (lib/ofp-actions.c). */
#define OFPAT_SET_FIELD_TYPE 25
#define NXAST_RESUBMIT_TABLE_TYPE 14

struct builder {
    struct otd_flows *flows;    /* One of these two is NULL. */
    struct otd_flow_bytes_set *set;
    struct otd_flow *flow;      /* The one being built. */
    struct otd_flow_bytes *bytes;
};

static void
begin_flow(struct builder *b, enum otd_table_id table, uint16_t priority,
           uint64_t cookie)
{
    bool send_flow_rem = otd_cookie_kind(cookie) != OTD_COOKIE_FIXED;

    if (b->flows) {
        struct otd_flow *f = b->flow = otd_flows_add(b->flows);

        f->table_id = table;
        f->priority = priority;
        f->cookie = cookie;
        f->send_flow_rem = send_flow_rem;
    } else {
        struct otd_flow_bytes *f = b->bytes = &b->set->flows[b->set->n++];

        ovs_assert(b->set->n <= OTD_FLOWS_PER_TUNNEL);
        f->table_id = table;
        f->priority = priority;
        f->cookie = cookie;
        f->send_flow_rem = send_flow_rem;
        ofpbuf_clear(&f->match);
        ofpbuf_clear(&f->actions);
    }
}

/* Appends an OXM field with 'n' bytes of value and, unless it is NULL, mask. */
static void
put_oxm(struct ofpbuf *out, enum mf_field_id id, const void *value,
        const void *mask, size_t n)
{
    /* The length is the low byte of the header, the mask bit the one above. */
    uint32_t header = mf_nxm_header(id) & ~UINT32_C(0x1ff);
    ovs_be32 *p = ofpbuf_put_uninit(out, sizeof *p + n * (mask ? 2 : 1));

    put_unaligned_be32(p, htonl(header | (mask ? 0x100 | 2 * n : n)));
    memcpy(p + 1, value, n);
    if (mask) {
        memcpy((uint8_t *) (p + 1) + n, mask, n);
    }
}

/* Matches field 'id', whose size is 'n' bytes.  'mask' NULL: exactly. */
static void
put_match(struct builder *b, enum mf_field_id id, const void *value,
          const void *mask, size_t n)
{
    if (b->flows) {
        const struct mf_field *mf = mf_from_id(id);
        union mf_value v, m;

        ovs_assert(n == mf->n_bytes);
        memcpy(&v, value, n);
        if (mask) {
            memcpy(&m, mask, n);
        }
        mf_set(mf, &v, mask ? &m : NULL, &b->flow->match, NULL);
    } else {
        put_oxm(&b->bytes->match, id, value, mask, n);
    }
}

static void
put_match_reg(struct builder *b, enum otd_register reg, uint32_t value)
{
    ovs_be32 v = htonl(value);

    put_match(b, MFF_REG0 + reg, &v, NULL, sizeof v);
}

static void
put_match_in_port(struct builder *b, ofp_port_t port)
{
    ovs_be16 v = htons(ofp_to_u16(port));

    put_match(b, MFF_IN_PORT, &v, NULL, sizeof v);
}

static void
put_match_ip4(struct builder *b, enum mf_field_id id,
              const struct in6_addr *mapped, unsigned int plen)
{
    ovs_be32 ip = in6_addr_get_mapped_ipv4(mapped);
    ovs_be32 mask = be32_prefix_mask(plen);

    if (plen) {
        put_match(b, id, &ip, plen < 32 ? &mask : NULL, sizeof ip);
    }
}

static void
put_match_ip6(struct builder *b, enum mf_field_id id,
              const struct in6_addr *ip, unsigned int plen)
{
    struct in6_addr mask = ipv6_create_mask(plen);

    if (plen) {
        put_match(b, id, ip, plen < 128 ? &mask : NULL, sizeof *ip);
    }
}

/* Sets field 'id' to 'n' bytes, or those bits of them that 'mask' has unless it is
 * NULL.  Fields of variable length stand right-justified in an mf_value, and take
 * their length from 'n' in bytes. */
static void
put_set_masked(struct builder *b, enum mf_field_id id, const void *value,
               const void *mask, size_t n)
{
    if (b->flows) {
        const struct mf_field *mf = mf_from_id(id);
        union mf_value v, m;

        ovs_assert(n <= mf->n_bytes);
        memset(&v, 0, mf->n_bytes);
        memcpy(&v.b[mf->n_bytes - n], value, n);
        if (mask) {
            memset(&m, 0, mf->n_bytes);
            memcpy(&m.b[mf->n_bytes - n], mask, n);
        }
        ofpact_put_set_field(&b->flow->ofpacts, mf, &v, mask ? &m : NULL);
    } else {
        struct ofpbuf *out = &b->bytes->actions;
        size_t size = 8 + (mask ? 2 * n : n);
        size_t len = ROUND_UP(size, 8);
        ovs_be16 *h = ofpbuf_put_uninit(out, 4);

        h[0] = htons(OFPAT_SET_FIELD_TYPE);
        h[1] = htons(len);
        put_oxm(out, id, value, mask, n);
        ofpbuf_put_zeros(out, len - size);
    }
}

static void
put_set(struct builder *b, enum mf_field_id id, const void *value, size_t n)
{
    put_set_masked(b, id, value, NULL, n);
}

/* Setting all flags would put all of them into the datapath's mask, also those that
 * only the datapath sets, and an IPv6 packet would never match that in the kernel:
 * each would be an upcall. */
static void
put_set_oam(struct builder *b, bool oam)
{
    const ovs_be16 mask = htons(NX_TUN_FLAG_OAM);
    const ovs_be16 value = oam ? mask : htons(0);

    put_set_masked(b, MFF_TUN_FLAGS, &value, &mask, sizeof value);
}

static void
put_set_be32(struct builder *b, enum mf_field_id id, ovs_be32 value)
{
    put_set(b, id, &value, sizeof value);
}

static void
put_set_reg(struct builder *b, enum otd_register reg, uint32_t value)
{
    put_set_be32(b, MFF_REG0 + reg, htonl(value));
}

static void
put_resubmit(struct builder *b, enum otd_table_id table, ofp_port_t in_port)
{
    if (b->flows) {
        struct ofpact_resubmit *r = ofpact_put_RESUBMIT(&b->flow->ofpacts);

        r->in_port = in_port;
        r->table_id = table;
    } else {
        /* struct nx_action_resubmit: type, length, vendor, subtype, port,
         * table, padding. */
        uint8_t *p = ofpbuf_put_zeros(&b->bytes->actions, 16);

        put_unaligned_be16((ovs_be16 *) p, htons(0xffff));
        put_unaligned_be16((ovs_be16 *) (p + 2), htons(16));
        put_unaligned_be32((ovs_be32 *) (p + 4), htonl(NX_VENDOR_ID));
        put_unaligned_be16((ovs_be16 *) (p + 8), htons(NXAST_RESUBMIT_TABLE_TYPE));
        put_unaligned_be16((ovs_be16 *) (p + 10), htons(ofp_to_u16(in_port)));
        p[12] = table;
    }
}

/* The rest is for the pipeline itself, which is never sent as bytes. */

static void
put_output(struct builder *b, ofp_port_t port)
{
    struct ofpact_output *o = ofpact_put_OUTPUT(&b->flow->ofpacts);

    o->port = port;
    o->max_len = 0;
}

static void
put_delete(struct builder *b, enum mf_field_id id)
{
    ofpact_put_DELETE_FIELD(&b->flow->ofpacts)->field = mf_from_id(id);
}

static void
put_default(struct builder *b, const struct otd_bridge_facts *bridge)
{
    if (!bridge->default_drop) {
        put_output(b, OFPP_NORMAL);
    }
}

/* ---- Matches. */

static void
match_macs(struct builder *b, const struct otd_match_key *key)
{
    if (key->eth_given & 1) {
        put_match(b, MFF_ETH_DST, &key->eth_dst, NULL, ETH_ADDR_LEN);
    }
    if (key->eth_given & 2) {
        put_match(b, MFF_ETH_SRC, &key->eth_src, NULL, ETH_ADDR_LEN);
    }
}

static void
match_eth_type(struct builder *b, uint16_t type)
{
    ovs_be16 v = htons(type);

    put_match(b, MFF_ETH_TYPE, &v, NULL, sizeof v);
}

/* The addresses in the packet that the switch parsed: the packet's own on the
 * plain side, the inner ones on the tunnel side. */
static void
match_packet_ips(struct builder *b, enum otd_family family,
                 const struct in6_addr *src, unsigned int src_plen,
                 const struct in6_addr *dst, unsigned int dst_plen)
{
    switch (family) {
    case OTD_FAMILY_NONE:
        break;
    case OTD_FAMILY_IPV4:
        match_eth_type(b, ETH_TYPE_IP);
        put_match_ip4(b, MFF_IPV4_SRC, src, src_plen);
        put_match_ip4(b, MFF_IPV4_DST, dst, dst_plen);
        break;
    case OTD_FAMILY_IPV6:
        match_eth_type(b, ETH_TYPE_IPV6);
        put_match_ip6(b, MFF_IPV6_SRC, src, src_plen);
        put_match_ip6(b, MFF_IPV6_DST, dst, dst_plen);
        break;
    }
}

/* The outer addresses of a packet that came out of a tunnel port. */
static void
match_outer_ips(struct builder *b, const struct otd_match_key *key)
{
    switch ((enum otd_family) key->family) {
    case OTD_FAMILY_NONE:
        break;
    case OTD_FAMILY_IPV4:
        put_match_ip4(b, MFF_TUN_SRC, &key->src, key->src_plen);
        put_match_ip4(b, MFF_TUN_DST, &key->dst, key->dst_plen);
        break;
    case OTD_FAMILY_IPV6:
        put_match_ip6(b, MFF_TUN_IPV6_SRC, &key->src, key->src_plen);
        put_match_ip6(b, MFF_TUN_IPV6_DST, &key->dst, key->dst_plen);
        break;
    }
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
put_outer(struct builder *b, const struct otd_ip_pair *outer,
          const struct otd_bridge_facts *bridge)
{
    struct in6_addr src = outer->src;

    if (outer->family == OTD_FAMILY_IPV4) {
        if (!in6_addr_get_mapped_ipv4(&src)) {
            src = bridge->encap_ip4;
        }
        if (ipv6_addr_is_set(&src)) {
            put_set_be32(b, MFF_TUN_SRC, in6_addr_get_mapped_ipv4(&src));
        }
        put_set_be32(b, MFF_TUN_DST,
                     in6_addr_get_mapped_ipv4(&outer->dst));
    } else {
        if (!ipv6_addr_is_set(&src)) {
            src = bridge->encap_ip6;
        }
        if (ipv6_addr_is_set(&src)) {
            put_set(b, MFF_TUN_IPV6_SRC, &src, sizeof src);
        }
        put_set(b, MFF_TUN_IPV6_DST, &outer->dst, sizeof outer->dst);
    }
}

static void
put_encap(struct builder *b, const struct otd_geneve_encap *encap,
          const struct otd_bridge_facts *bridge, const struct otd_tlv_map *tlvs)
{
    struct otd_geneve_option opt;
    ovs_be64 vni = htonll(encap->vni);
    size_t ofs = 0;

    put_set(b, MFF_TUN_ID, &vni, sizeof vni);
    put_outer(b, &encap->outer, bridge);
    if (encap->control_packet) {
        put_set_oam(b, true);
    }
    while (otd_geneve_option_next(encap, &ofs, &opt)) {
        int index = otd_tlv_map_find(tlvs, opt.opt_class, opt.type);

        /* Callers activate no tunnel with an option that is not mapped. */
        if (index >= 0) {
            put_set(b, MFF_TUN_METADATA0 + index, opt.data, opt.len);
        }
    }
    if (encap->inner_mac.has_dst) {
        put_set(b, MFF_ETH_DST, &encap->inner_mac.dst, ETH_ADDR_LEN);
    }
    if (encap->inner_mac.has_src) {
        put_set(b, MFF_ETH_SRC, &encap->inner_mac.src, ETH_ADDR_LEN);
    }
}

static void
compile_encap(const struct otd_spec *spec, const struct otd_match_key *key,
              const struct otd_tunnel_facts *facts,
              const struct otd_bridge_facts *bridge,
              const struct otd_tlv_map *tlvs, struct builder *b)
{
    bool chained = spec->match.tunnel_id != 0;

    begin_flow(
        b, chained ? OTD_TABLE_RECIRCULATE : OTD_TABLE_CLASSIFY,
        band_priority(OTD_PRIO_PLAIN_BAND, key, OTD_ORDER_ENCAP),
        otd_cookie_make(OTD_COOKIE_TUNNEL, facts->key));

    if (chained) {
        put_match_reg(b, OTD_REG_STATE, OTD_STATE_AGAIN);
        put_match_reg(b, OTD_REG_LAST, facts->after_key);
    }
    if (spec->match.ingress_interface[0]) {
        put_match_in_port(b, facts->in_port);
    } else {
        const ovs_be16 untagged = htons(0);

        put_match(b, MFF_VLAN_VID, &untagged, NULL, sizeof untagged);
    }
    match_macs(b, key);
    match_packet_ips(b, key->family, &key->src, key->src_plen,
                     &key->dst, key->dst_plen);

    put_encap(b, &spec->encap, bridge, tlvs);
    put_set_reg(b, OTD_REG_STATE, OTD_STATE_PENDING);
    put_set_reg(b, OTD_REG_LAST, facts->key);
    put_resubmit(b,
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
              const struct otd_tunnel_facts *facts, struct builder *b)
{
    begin_flow(
        b, decap_table(key),
        band_priority(OTD_PRIO_TUNNEL_BAND, key, OTD_ORDER_DECAP),
        otd_cookie_make(OTD_COOKIE_TUNNEL, facts->key));

    if (key->has_vni) {
        ovs_be64 vni = htonll(key->vni);

        put_match(b, MFF_TUN_ID, &vni, NULL, sizeof vni);
    }
    match_outer_ips(b, key);
    match_macs(b, key);
    match_packet_ips(b, key->inner_family, &key->inner_src,
                     key->inner_src_plen, &key->inner_dst, key->inner_dst_plen);

    put_set_reg(b, OTD_REG_LAST, facts->key);
    if (spec->next_action == OTD_ACTION_RECIRCULATE) {
        put_set_reg(b, OTD_REG_STATE, OTD_STATE_AGAIN);
        put_resubmit(b, OTD_TABLE_STRIP, OFPP_IN_PORT);
    } else {
        put_resubmit(b, OTD_TABLE_LOOKUP, OFPP_IN_PORT);
    }
}

/* A tunnel that others name must be followed by one of them: what none of them
 * takes has lost its next step. */
static void
compile_missing_next(const struct otd_spec *spec,
                     const struct otd_tunnel_facts *facts,
                     struct builder *b)
{
    bool plain = otd_kind_is_decapsulating(spec->kind);

    begin_flow(
        b, plain ? OTD_TABLE_CLASSIFY : OTD_TABLE_RECIRCULATE,
        OTD_PRIO_MISSING_NEXT,
        otd_cookie_make(OTD_COOKIE_MISSING_NEXT, facts->key));

    put_match_reg(b, OTD_REG_STATE,
                  plain ? OTD_STATE_AGAIN : OTD_STATE_PENDING);
    put_match_reg(b, OTD_REG_LAST, facts->key);
}

static void
compile_tunnel(const struct otd_spec *spec,
               const struct otd_tunnel_facts *facts,
               const struct otd_bridge_facts *bridge,
               const struct otd_tlv_map *tlvs, struct builder *b)
{
    struct otd_match_key key;

    if (!facts->active) {
        return;
    }

    otd_match_key_init(&key, spec);
    switch (spec->kind) {
    case OTD_KIND_GENEVE_ENCAP:
        compile_encap(spec, &key, facts, bridge, tlvs, b);
        break;
    case OTD_KIND_GENEVE_DECAP:
        compile_decap(spec, &key, facts, b);
        break;
    case OTD_KIND_NONE:
    case OTD_KIND_IPSEC_ENC:
    case OTD_KIND_IPSEC_DEC:
    case OTD_KIND_NAT:
    case OTD_N_KINDS:
        OVS_NOT_REACHED();
    }
    if (facts->named && spec->next_action == OTD_ACTION_RECIRCULATE) {
        compile_missing_next(spec, facts, b);
    }
}

void
otd_compile_tunnel(const struct otd_spec *spec,
                   const struct otd_tunnel_facts *facts,
                   const struct otd_bridge_facts *bridge,
                   const struct otd_tlv_map *tlvs, struct otd_flows *flows)
{
    struct builder b = { .flows = flows };

    compile_tunnel(spec, facts, bridge, tlvs, &b);
}

void
otd_compile_tunnel_bytes(const struct otd_spec *spec,
                         const struct otd_tunnel_facts *facts,
                         const struct otd_bridge_facts *bridge,
                         const struct otd_tlv_map *tlvs,
                         struct otd_flow_bytes_set *set)
{
    struct builder b = { .set = set };

    set->n = 0;
    compile_tunnel(spec, facts, bridge, tlvs, &b);
}

/* ---- The pipeline itself. */

static void
begin_fixed(struct builder *b, enum otd_table_id table, uint16_t priority,
            uint32_t *place)
{
    begin_flow(b, table, priority,
               otd_cookie_make(OTD_COOKIE_FIXED, ++*place));
}

/* Packets of one family: by their outer addresses, then without. */
static void
compile_ingress(ofp_port_t in_port, enum otd_table_id table,
                struct builder *b, uint32_t *place)
{
    begin_fixed(b, OTD_TABLE_CLASSIFY, OTD_PRIO_TUNNEL_BAND, place);
    put_match_in_port(b, in_port);
    put_resubmit(b, table, OFPP_IN_PORT);

    begin_fixed(b, table, OTD_PRIO_DEFAULT, place);
    put_resubmit(b, OTD_TABLE_DECAP, OFPP_IN_PORT);
}

static void
compile_egress(const struct otd_bridge_facts *bridge, struct builder *b,
               uint32_t *place)
{
    const ovs_be16 no_port = htons(0);

    if (bridge->geneve_port == OFPP_NONE) {
        return;
    }
    begin_fixed(b, OTD_TABLE_EGRESS, OTD_PRIO_DEFAULT, place);
    put_match_reg(b, OTD_REG_STATE, OTD_STATE_PENDING);
    /* Output to the port that a packet came in by is dropped, and a decapsulated
     * packet came in by this one. */
    put_set(b, MFF_IN_PORT, &no_port, sizeof no_port);
    put_output(b, bridge->geneve_port);

    if (bridge->geneve_in4 != OFPP_NONE) {
        compile_ingress(bridge->geneve_in4, OTD_TABLE_OUTER4, b, place);
    }
    if (otd_bridge_has_outer_ipv6(bridge)) {
        compile_ingress(bridge->geneve_in6, OTD_TABLE_OUTER6, b, place);
    }
    if (bridge->geneve_port != bridge->geneve_in4
        && bridge->geneve_port != bridge->geneve_in6) {
        /* Sent to an address of this host that is not ours to serve. */
        begin_fixed(b, OTD_TABLE_CLASSIFY, OTD_PRIO_TUNNEL_BAND, place);
        put_match_in_port(b, bridge->geneve_port);
    }
}

/* A packet that goes on forgets its outer header: only the family that it had,
 * since to name the other would put both into one datapath mask. */
static void
compile_strip(ofp_port_t in_port, bool ipv6, const struct otd_tlv_map *tlvs,
              struct builder *b, uint32_t *place)
{
    const struct in6_addr zero = IN6ADDR_ANY_INIT;

    begin_fixed(b, OTD_TABLE_STRIP, OTD_PRIO_DEFAULT, place);
    put_match_in_port(b, in_port);
    put_set(b, MFF_TUN_ID, &zero, 8);
    if (ipv6) {
        put_set(b, MFF_TUN_IPV6_SRC, &zero, 16);
        put_set(b, MFF_TUN_IPV6_DST, &zero, 16);
    } else {
        put_set(b, MFF_TUN_SRC, &zero, 4);
        put_set(b, MFF_TUN_DST, &zero, 4);
    }
    put_set_oam(b, false);
    for (int i = 0; i < OTD_TLV_MAX; i++) {
        /* Deleted, not set to zero: a zero would be sent as an option. */
        if (tlvs->slots[i].used) {
            put_delete(b, MFF_TUN_METADATA0 + i);
        }
    }
    put_resubmit(b, OTD_TABLE_RECIRCULATE, OFPP_IN_PORT);
}

void
otd_compile_fixed(const struct otd_bridge_facts *bridge,
                  const struct otd_tlv_map *tlvs, struct otd_flows *flows)
{
    struct builder builder = { .flows = flows }, *b = &builder;
    uint32_t place = 0;

    compile_egress(bridge, b, &place);
    if (bridge->geneve_in4 != OFPP_NONE) {
        compile_strip(bridge->geneve_in4, false, tlvs, b, &place);
    }
    if (otd_bridge_has_outer_ipv6(bridge)) {
        compile_strip(bridge->geneve_in6, true, tlvs, b, &place);
    }
    place = 15;                 /* Places stay put when the port comes late. */

    begin_fixed(b, OTD_TABLE_LOOKUP, OTD_PRIO_DEFAULT, &place);
    put_default(b, bridge);

    begin_fixed(b, OTD_TABLE_RECIRCULATE, OTD_PRIO_AS_FORWARD, &place);
    put_match_reg(b, OTD_REG_STATE, OTD_STATE_PENDING);
    put_resubmit(b, OTD_TABLE_EGRESS, OFPP_IN_PORT);

    /* Classified again as if it had come from no port: not by the tunnel side's
     * rules, which would take it for ever. */
    begin_fixed(b, OTD_TABLE_RECIRCULATE, OTD_PRIO_AS_FORWARD, &place);
    put_match_reg(b, OTD_REG_STATE, OTD_STATE_AGAIN);
    put_resubmit(b, OTD_TABLE_CLASSIFY, OFPP_NONE);

    begin_fixed(b, OTD_TABLE_CLASSIFY, OTD_PRIO_AS_FORWARD, &place);
    put_match_reg(b, OTD_REG_STATE, OTD_STATE_AGAIN);
    put_resubmit(b, OTD_TABLE_LOOKUP, OFPP_IN_PORT);

    begin_fixed(b, OTD_TABLE_DECAP, OTD_PRIO_DEFAULT, &place);

    if (!bridge->share) {
        begin_fixed(b, OTD_TABLE_CLASSIFY, OTD_PRIO_DEFAULT, &place);
        put_default(b, bridge);
    }
}
