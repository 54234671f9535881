/* SPDX-License-Identifier: Apache-2.0 */

/* Requests of tunneloffload.v2: model to bytes.
 *
 * What protobuf-c packs is built on the stack and points into the spec.  All
 * that a request may hold is about 4 kB. */

#include <config.h>
#include "grpcsvc/codec.h"

#include <string.h>

#include "grpcsvc/codec-private.h"
#include "openvswitch/ofpbuf.h"
#include "util.h"

#define OPTIONS_MAX (OTD_GENEVE_OPTIONS_MAX / 8)        /* 4 of data each. */

struct pb_ip_match_parts {
    pb_ip4_match v4;
    pb_ip6_match v6;
};

struct pb_ip_pair_parts {
    pb_ip4_pair v4;
    pb_ip6_pair v6;
};

static ProtobufCBinaryData
bytes_of(const void *data, size_t n)
{
    return (ProtobufCBinaryData) {
        .len = n, .data = CONST_CAST(void *, data)
    };
}

static ProtobufCBinaryData
ip6_bytes(const struct in6_addr *ip)
{
    return bytes_of(ip->s6_addr, IN6_IS_ADDR_UNSPECIFIED(ip) ? 0 : 16);
}

static pb_mac_pair *
encode_mac_pair(const struct otd_mac_pair *mac, pb_mac_pair *pb)
{
    if (!mac->present && !mac->has_dst && !mac->has_src) {
        return NULL;
    }
    tunneloffload__v2__mac_pair__init(pb);
    pb->destination_mac = bytes_of(mac->dst.ea, mac->has_dst ? 6 : 0);
    pb->source_mac = bytes_of(mac->src.ea, mac->has_src ? 6 : 0);
    return pb;
}

static pb_ip4_match *
encode_ip4_match(const struct otd_ip_match *match, pb_ip4_match *pb)
{
    tunneloffload__v2__ipv4_match__init(pb);
    pb->source_ip = otd_ip4_to_wire(&match->src);
    pb->source_ip_prefix = match->src_plen;
    pb->destination_ip = otd_ip4_to_wire(&match->dst);
    pb->destination_ip_prefix = match->dst_plen;
    return pb;
}

static pb_ip6_match *
encode_ip6_match(const struct otd_ip_match *match, pb_ip6_match *pb)
{
    tunneloffload__v2__ipv6_match__init(pb);
    pb->source_ip = ip6_bytes(&match->src);
    pb->source_ip_prefix = match->src_plen;
    pb->destination_ip = ip6_bytes(&match->dst);
    pb->destination_ip_prefix = match->dst_plen;
    return pb;
}

static pb_ip4_pair *
encode_ip4_pair(const struct otd_ip_pair *pair, pb_ip4_pair *pb)
{
    tunneloffload__v2__ipv4_pair__init(pb);
    pb->source_ip = otd_ip4_to_wire(&pair->src);
    pb->destination_ip = otd_ip4_to_wire(&pair->dst);
    return pb;
}

static pb_ip6_pair *
encode_ip6_pair(const struct otd_ip_pair *pair, pb_ip6_pair *pb)
{
    tunneloffload__v2__ipv6_pair__init(pb);
    pb->source_ip = ip6_bytes(&pair->src);
    pb->destination_ip = ip6_bytes(&pair->dst);
    return pb;
}

/* Sets the member of an ip_match oneof in PB, whose three spellings differ
 * only in the prefix of their case constants. */
#define ENCODE_IP_MATCH(PB, PREFIX, MATCH, PARTS)                       \
    do {                                                                \
        switch ((MATCH)->family) {                                      \
        case OTD_FAMILY_NONE:                                           \
            break;                                                      \
        case OTD_FAMILY_IPV4:                                           \
            (PB)->ip_match_case = PREFIX##_IPV4_MATCH;                  \
            (PB)->ipv4_match = encode_ip4_match(MATCH, &(PARTS)->v4);   \
            break;                                                      \
        case OTD_FAMILY_IPV6:                                           \
            (PB)->ip_match_case = PREFIX##_IPV6_MATCH;                  \
            (PB)->ipv6_match = encode_ip6_match(MATCH, &(PARTS)->v6);   \
            break;                                                      \
        }                                                               \
    } while (0)

struct pb_match_parts {
    pb_match match;
    pb_mac_pair mac, overlay_mac;
    struct pb_ip_match_parts ip, overlay_ip;
    union {
        pb_ipsec_match ipsec;
        pb_geneve_match geneve;
        pb_vxlan_match vxlan;
    };
};

static pb_match *
encode_match(const struct otd_match *match, struct pb_match_parts *parts)
{
    pb_match *pb = &parts->match;

    if (!match->present) {
        return NULL;
    }
    tunneloffload__v2__match_criteria__init(pb);
    if (match->ingress_interface[0]) {
        pb->ingress_interface = CONST_CAST(char *, match->ingress_interface);
    }
    pb->mac_match = encode_mac_pair(&match->mac, &parts->mac);
    ENCODE_IP_MATCH(pb, TUNNELOFFLOAD__V2__MATCH_CRITERIA__IP_MATCH,
                    &match->ip, &parts->ip);
    pb->tunnel_id = match->tunnel_id;

    switch (match->kind) {
    case OTD_MATCH_PLAIN:
        break;
    case OTD_MATCH_IPSEC:
        tunneloffload__v2__match_criteria__ipsec_match__init(&parts->ipsec);
        parts->ipsec.spi = match->spi;
        parts->ipsec.sn = match->sn;
        pb->match_case = TUNNELOFFLOAD__V2__MATCH_CRITERIA__MATCH_IPSEC_MATCH;
        pb->ipsec_match = &parts->ipsec;
        break;
    case OTD_MATCH_GENEVE:
        tunneloffload__v2__match_criteria__geneve_match__init(&parts->geneve);
        parts->geneve.vni = match->overlay.vni;
        parts->geneve.protocol_type = match->overlay.protocol_type;
        parts->geneve.mac_match = encode_mac_pair(&match->overlay.mac,
                                                  &parts->overlay_mac);
        ENCODE_IP_MATCH(
            &parts->geneve,
            TUNNELOFFLOAD__V2__MATCH_CRITERIA__GENEVE_MATCH__IP_MATCH,
            &match->overlay.ip, &parts->overlay_ip);
        pb->match_case = TUNNELOFFLOAD__V2__MATCH_CRITERIA__MATCH_GENEVE_MATCH;
        pb->geneve_match = &parts->geneve;
        break;
    case OTD_MATCH_VXLAN:
        tunneloffload__v2__match_criteria__vxlan_match__init(&parts->vxlan);
        parts->vxlan.vni = match->overlay.vni;
        parts->vxlan.mac_match = encode_mac_pair(&match->overlay.mac,
                                                 &parts->overlay_mac);
        ENCODE_IP_MATCH(
            &parts->vxlan,
            TUNNELOFFLOAD__V2__MATCH_CRITERIA__VXLAN_MATCH__IP_MATCH,
            &match->overlay.ip, &parts->overlay_ip);
        pb->match_case = TUNNELOFFLOAD__V2__MATCH_CRITERIA__MATCH_VXLAN_MATCH;
        pb->vxlan_match = &parts->vxlan;
        break;
    }
    return pb;
}

struct pb_encap_parts {
    pb_geneve geneve;
    pb_encap encap;
    pb_decap decap;
    struct pb_ip_pair_parts outer;
    pb_mac_pair inner_mac;
    pb_option options[OPTIONS_MAX];
    pb_option *option_pointers[OPTIONS_MAX];
};

static pb_encap *
encode_encap(const struct otd_geneve_encap *encap,
             struct pb_encap_parts *parts)
{
    pb_encap *pb = &parts->encap;
    struct otd_geneve_option option;

    tunneloffload__v2__geneve_encap__init(pb);
    switch (encap->outer.family) {
    case OTD_FAMILY_NONE:
        break;
    case OTD_FAMILY_IPV4:
        pb->ip_case = TUNNELOFFLOAD__V2__GENEVE_ENCAP__IP_OUTER_IPV4_PAIR;
        pb->outer_ipv4_pair = encode_ip4_pair(&encap->outer, &parts->outer.v4);
        break;
    case OTD_FAMILY_IPV6:
        pb->ip_case = TUNNELOFFLOAD__V2__GENEVE_ENCAP__IP_OUTER_IPV6_PAIR;
        pb->outer_ipv6_pair = encode_ip6_pair(&encap->outer, &parts->outer.v6);
        break;
    }
    pb->inner_mac_pair = encode_mac_pair(&encap->inner_mac, &parts->inner_mac);
    pb->control_packet = encap->control_packet;
    pb->critical_option_present = encap->critical_option_present;
    pb->vni = encap->vni;
    pb->protocol_type = encap->protocol_type;

    pb->geneve_option = parts->option_pointers;
    for (size_t ofs = 0; otd_geneve_option_next(encap, &ofs, &option); ) {
        pb_option *o = &parts->options[pb->n_geneve_option];

        tunneloffload__v2__geneve_option__init(o);
        o->option_class = option.opt_class;
        o->type = option.type;
        o->length = option.len / 4;
        o->data = bytes_of(option.data, option.len);
        parts->option_pointers[pb->n_geneve_option++] = o;
        /* Bytes of data, as clients fill it in. */
        pb->option_length += option.len;
    }
    return pb;
}

struct pb_ipsec_parts {
    pb_ipsec ipsec;
    union {
        pb_ipsec_enc enc;
        pb_ipsec_dec dec;
    };
    struct pb_ip_pair_parts outer;
    pb_sa sas[OTD_IPSEC_SAS_MAX];
    pb_sa *sa_pointers[OTD_IPSEC_SAS_MAX];
};

static pb_ipsec *
encode_ipsec(const struct otd_ipsec *ipsec, enum otd_kind kind,
             struct pb_ipsec_parts *parts)
{
    pb_ipsec *pb = &parts->ipsec;

    for (size_t i = 0; i < ipsec->n_sas; i++) {
        tunneloffload__v2__ipsec_saparams__init(&parts->sas[i]);
        parts->sas[i].spi = ipsec->sas[i].spi;
        parts->sas[i].operation = ipsec->sas[i].operation;
        parts->sa_pointers[i] = &parts->sas[i];
    }

    tunneloffload__v2__ipsec_tunnel__init(pb);
    if (kind == OTD_KIND_IPSEC_DEC) {
        tunneloffload__v2__ipsec_dec__init(&parts->dec);
        parts->dec.tunnel_type = ipsec->tunnel_type;
        parts->dec.encryption_type = ipsec->encryption_type;
        parts->dec.n_ipsec_sas = ipsec->n_sas;
        parts->dec.ipsec_sas = parts->sa_pointers;
        pb->ipsec_case = TUNNELOFFLOAD__V2__IPSEC_TUNNEL__IPSEC_IPSEC_DEC;
        pb->ipsec_dec = &parts->dec;
        return pb;
    }

    pb_ipsec_enc *enc = &parts->enc;
    tunneloffload__v2__ipsec_enc__init(enc);
    enc->tunnel_type = ipsec->tunnel_type;
    enc->encryption_type = ipsec->encryption_type;
    enc->ipsec_sa = ipsec->n_sas ? parts->sa_pointers[0] : NULL;
    switch (ipsec->outer.family) {
    case OTD_FAMILY_NONE:
        break;
    case OTD_FAMILY_IPV4:
        enc->tunnel_ips_case
            = TUNNELOFFLOAD__V2__IPSEC_ENC__TUNNEL_IPS_IPV4_TUNNEL;
        enc->ipv4_tunnel = encode_ip4_pair(&ipsec->outer, &parts->outer.v4);
        break;
    case OTD_FAMILY_IPV6:
        enc->tunnel_ips_case
            = TUNNELOFFLOAD__V2__IPSEC_ENC__TUNNEL_IPS_IPV6_TUNNEL;
        enc->ipv6_tunnel = encode_ip6_pair(&ipsec->outer, &parts->outer.v6);
        break;
    }
    pb->ipsec_case = TUNNELOFFLOAD__V2__IPSEC_TUNNEL__IPSEC_IPSEC_ENC;
    pb->ipsec_enc = enc;
    return pb;
}

static void
encode_operation(const struct otd_spec *spec, uint32_t operation,
                 struct ofpbuf *out)
{
    pb_request pb = TUNNELOFFLOAD__V2__IP_TUNNEL_REQUEST__INIT;
    struct pb_match_parts match;
    union {
        struct pb_encap_parts encap;
        struct pb_ipsec_parts ipsec;
        pb_nat nat;
    } parts;
    uint8_t quick[CODEC_QUICK_BYTES_MAX];
    size_t n = codec_quick_encode(spec, operation, quick);

    if (n) {
        ofpbuf_put(out, quick, n);
        return;
    }
    pb.tunnel_id = spec->id;
    pb.operation = operation;
    pb.match_criteria = encode_match(&spec->match, &match);
    pb.next_action = spec->next_action;

    switch (spec->kind) {
    case OTD_KIND_NONE:
    case OTD_N_KINDS:
        break;
    case OTD_KIND_GENEVE_ENCAP:
    case OTD_KIND_GENEVE_DECAP:
        pb.tunnel_case = TUNNELOFFLOAD__V2__IP_TUNNEL_REQUEST__TUNNEL_GENEVE;
        pb.geneve = &parts.encap.geneve;
        tunneloffload__v2__geneve__init(pb.geneve);
        if (spec->kind == OTD_KIND_GENEVE_ENCAP) {
            pb.geneve->encap_decap_case
                = TUNNELOFFLOAD__V2__GENEVE__ENCAP_DECAP_GENEVE_ENCAP;
            pb.geneve->geneve_encap = encode_encap(&spec->encap,
                                                   &parts.encap);
        } else {
            tunneloffload__v2__geneve_decap__init(&parts.encap.decap);
            pb.geneve->encap_decap_case
                = TUNNELOFFLOAD__V2__GENEVE__ENCAP_DECAP_GENEVE_DECAP;
            pb.geneve->geneve_decap = &parts.encap.decap;
        }
        break;
    case OTD_KIND_IPSEC_ENC:
    case OTD_KIND_IPSEC_DEC:
        pb.tunnel_case
            = TUNNELOFFLOAD__V2__IP_TUNNEL_REQUEST__TUNNEL_IPSEC_TUNNEL;
        pb.ipsec_tunnel = encode_ipsec(&spec->ipsec, spec->kind, &parts.ipsec);
        break;
    case OTD_KIND_NAT:
        pb.tunnel_case = TUNNELOFFLOAD__V2__IP_TUNNEL_REQUEST__TUNNEL_NAT;
        tunneloffload__v2__nat__init(&parts.nat);
        parts.nat.source_ip = spec->nat_source_ip;
        pb.nat = &parts.nat;
        break;
    }

    n = tunneloffload__v2__ip_tunnel_request__get_packed_size(&pb);
    tunneloffload__v2__ip_tunnel_request__pack(&pb, ofpbuf_put_uninit(out, n));
}

void
codec_encode(void *aux OVS_UNUSED, const struct otd_spec *spec,
             struct ofpbuf *out)
{
    encode_operation(spec, OTD_OP_CREATE, out);
}

void
otd_codec_encode_request(const struct otd_spec *spec, struct ofpbuf *out)
{
    encode_operation(spec, spec->operation, out);
}
