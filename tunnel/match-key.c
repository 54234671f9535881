/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tunnel/spec.h"

#include <string.h>

#include "hash.h"
#include "openvswitch/compiler.h"
#include "util.h"

/* Equal keys are compared and hashed as bytes: no hole may hide in there. */
BUILD_ASSERT_DECL(sizeof(struct otd_match_key)
                  == 8 + 16 + 4 * 16 + 2 * 6 + 4 * 1 + 4 + 5 * 1 + 7);
BUILD_ASSERT_DECL(sizeof(struct otd_match_key) % 8 == 0);

enum { SIDE_PLAIN, SIDE_GENEVE, SIDE_ESP };

/* Clears the bits of the mapped or plain address 'ip' after its prefix. */
static void
mask_ip(enum otd_family family, struct in6_addr *ip, uint32_t plen)
{
    unsigned int bits = (family == OTD_FAMILY_IPV4 ? 96 : 0) + plen;

    for (unsigned int i = 0; i < 16; i++) {
        unsigned int keep = bits > 8 * i ? bits - 8 * i : 0;

        if (keep < 8) {
            ip->s6_addr[i] &= 0xff00 >> keep;
        }
    }
}

static void
set_ips(const struct otd_ip_match *match, uint8_t *family,
        struct in6_addr *src, uint8_t *src_plen,
        struct in6_addr *dst, uint8_t *dst_plen)
{
    if (match->family != OTD_FAMILY_NONE) {
        *family = match->family;
        *src = match->src;
        *dst = match->dst;
        *src_plen = match->src_plen;
        *dst_plen = match->dst_plen;
        mask_ip(match->family, src, match->src_plen);
        mask_ip(match->family, dst, match->dst_plen);
    }
}

static void
set_macs(const struct otd_mac_pair *mac, struct otd_match_key *key)
{
    if (mac->has_dst) {
        key->eth_given |= 1;
        key->eth_dst = mac->dst;
    }
    if (mac->has_src) {
        key->eth_given |= 2;
        key->eth_src = mac->src;
    }
}

static uint8_t
side_of(enum otd_kind kind)
{
    switch (kind) {
    case OTD_KIND_GENEVE_DECAP:
        return SIDE_GENEVE;
    case OTD_KIND_IPSEC_DEC:
        return SIDE_ESP;
    case OTD_KIND_NONE:
    case OTD_KIND_GENEVE_ENCAP:
    case OTD_KIND_IPSEC_ENC:
    case OTD_KIND_NAT:
    case OTD_N_KINDS:
        break;
    }
    return SIDE_PLAIN;
}

void
otd_match_key_init(struct otd_match_key *key, const struct otd_spec *spec)
{
    const struct otd_match *match = &spec->match;

    memset(key, 0, sizeof *key);
    key->side = side_of(spec->kind);
    key->tunnel_id = match->tunnel_id;
    /* Copied up to the NUL only: what stands after it is nobody's business. */
    const char *name = match->ingress_interface;
    for (size_t i = 0; i < OTD_IFNAME_MAX && name[i]; i++) {
        key->ingress_interface[i] = name[i];
    }
    set_ips(&match->ip, &key->family, &key->src, &key->src_plen, &key->dst,
            &key->dst_plen);
    if (key->side == SIDE_GENEVE) {
        if (match->kind == OTD_MATCH_GENEVE) {
            key->has_vni = 1;
            key->vni = match->overlay.vni;
            set_macs(&match->overlay.mac, key);
            set_ips(&match->overlay.ip, &key->inner_family, &key->inner_src,
                    &key->inner_src_plen, &key->inner_dst,
                    &key->inner_dst_plen);
        }
    } else {
        set_macs(&match->mac, key);
    }
}

uint32_t
otd_match_key_hash(const struct otd_match_key *key)
{
    return hash_bytes(key, sizeof *key, 0);
}

unsigned int
otd_match_specificity(const struct otd_match_key *key)
{
    unsigned int bits = (key->src_plen + key->dst_plen + key->inner_src_plen
                         + key->inner_dst_plen);

    bits += key->tunnel_id ? 32 : 0;    /* As wide as the key in a register. */
    bits += key->ingress_interface[0] ? 16 : 0;
    bits += key->eth_given & 1 ? 48 : 0;
    bits += key->eth_given & 2 ? 48 : 0;
    bits += key->has_vni ? 24 : 0;
    /* An outer family is not matched as an Ethertype. */
    bits += key->side != SIDE_GENEVE && key->family ? 16 : 0;
    bits += key->inner_family ? 16 : 0;
    return bits;
}
