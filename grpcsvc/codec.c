/* SPDX-License-Identifier: Apache-2.0 */

/* Requests of tunneloffload.v2: bytes to model.  The way back is in
 * codec-encode.c, the answers are in codec-reply.c. */

#include <config.h>
#include "grpcsvc/codec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpcsvc/codec-private.h"
#include "util.h"

/* ---- The arena: what protobuf-c allocates while it unpacks one message.  Its
 * size is the bound on what hostile bytes can make us hold. */

#define ARENA_BYTES (256 * 1024)

struct arena {
    size_t used;
    bool exhausted;
    uint8_t bytes[ARENA_BYTES] OVS_ALIGNED_VAR(16);
};

/* Each block stands behind its size (see unpacked_string_len()). */
struct block {
    size_t size;
    uint8_t data[];
};

static void *
arena_alloc(void *arena_, size_t size)
{
    struct arena *arena = arena_;
    size_t whole = ROUND_UP(sizeof(struct block) + size, 8);

    if (size > ARENA_BYTES || whole > ARENA_BYTES - arena->used) {
        arena->exhausted = true;
        return NULL;
    }
    struct block *block = (void *) (arena->bytes + arena->used);
    arena->used += whole;
    block->size = size;
    return block->data;
}

static void
arena_free(void *arena OVS_UNUSED, void *data OVS_UNUSED)
{
    /* All at once, with the next message. */
}

static ProtobufCMessage *
unpack(struct arena *arena, const ProtobufCMessageDescriptor *type,
       const void *bytes, size_t n)
{
    ProtobufCAllocator allocator = {
        .alloc = arena_alloc, .free = arena_free, .allocator_data = arena
    };

    arena->used = 0;
    arena->exhausted = false;
    return protobuf_c_message_unpack(type, &allocator, n, bytes);
}

/* Bytes of a string that unpack() made.  protobuf-c gives strings as char *
 * without their length, so a NUL inside one cannot be seen in the string; but
 * it allocates exactly the bytes and a terminator, and the arena knows how
 * many. */
static size_t
unpacked_string_len(const char *s)
{
    if (s == protobuf_c_empty_string) {
        return 0;
    }
    const struct block *block = (const void *) (s - offsetof(struct block,
                                                             data));
    return block->size - 1;
}

/* ---- Bytes to model. */

static void
decode_mac_pair(const pb_mac_pair *pb, struct otd_mac_pair *mac,
                const char *dst_path, const char *src_path,
                struct otd_faults *faults)
{
    if (pb) {
        mac->present = true;
        otd_mac_from_bytes(pb->destination_mac.data, pb->destination_mac.len,
                           &mac->dst, &mac->has_dst, dst_path, faults);
        otd_mac_from_bytes(pb->source_mac.data, pb->source_mac.len,
                           &mac->src, &mac->has_src, src_path, faults);
    }
}

/* The path of each field is spelled once per place where a message may
 * stand. */
#define DECODE_MAC_PAIR(PB, MAC, PATH, FAULTS)                          \
    decode_mac_pair(PB, MAC, PATH ".destination_mac",                   \
                    PATH ".source_mac", FAULTS)

static void
decode_ip4_match(const pb_ip4_match *pb, struct otd_ip_match *match)
{
    if (pb) {
        match->family = OTD_FAMILY_IPV4;
        match->src = otd_ip4_from_wire(pb->source_ip);
        match->src_plen = pb->source_ip_prefix;
        match->dst = otd_ip4_from_wire(pb->destination_ip);
        match->dst_plen = pb->destination_ip_prefix;
    }
}

static void
decode_ip6_match(const pb_ip6_match *pb, struct otd_ip_match *match,
                 const char *src_path, const char *dst_path,
                 struct otd_faults *faults)
{
    if (pb) {
        match->family = OTD_FAMILY_IPV6;
        otd_ip6_from_bytes(pb->source_ip.data, pb->source_ip.len, &match->src,
                           src_path, faults);
        match->src_plen = pb->source_ip_prefix;
        otd_ip6_from_bytes(pb->destination_ip.data, pb->destination_ip.len,
                           &match->dst, dst_path, faults);
        match->dst_plen = pb->destination_ip_prefix;
    }
}

#define DECODE_IP6_MATCH(PB, MATCH, PATH, FAULTS)                       \
    decode_ip6_match(PB, MATCH, PATH ".source_ip",                      \
                     PATH ".destination_ip", FAULTS)

static void
decode_ip4_pair(const pb_ip4_pair *pb, struct otd_ip_pair *pair)
{
    if (pb) {
        pair->family = OTD_FAMILY_IPV4;
        pair->src = otd_ip4_from_wire(pb->source_ip);
        pair->dst = otd_ip4_from_wire(pb->destination_ip);
    }
}

static void
decode_ip6_pair(const pb_ip6_pair *pb, struct otd_ip_pair *pair,
                const char *src_path, const char *dst_path,
                struct otd_faults *faults)
{
    if (pb) {
        pair->family = OTD_FAMILY_IPV6;
        otd_ip6_from_bytes(pb->source_ip.data, pb->source_ip.len, &pair->src,
                           src_path, faults);
        otd_ip6_from_bytes(pb->destination_ip.data, pb->destination_ip.len,
                           &pair->dst, dst_path, faults);
    }
}

#define DECODE_IP6_PAIR(PB, PAIR, PATH, FAULTS)                         \
    decode_ip6_pair(PB, PAIR, PATH ".source_ip",                        \
                    PATH ".destination_ip", FAULTS)

static void
decode_geneve_match(const pb_geneve_match *pb, struct otd_match *match,
                    struct otd_faults *faults)
{
    if (!pb) {
        return;
    }
    match->kind = OTD_MATCH_GENEVE;
    match->overlay.vni = pb->vni;
    match->overlay.protocol_type = pb->protocol_type;
    DECODE_MAC_PAIR(pb->mac_match, &match->overlay.mac,
                    "match_criteria.geneve_match.mac_match", faults);
    switch ((int) pb->ip_match_case) {
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__GENEVE_MATCH__IP_MATCH_IPV4_MATCH:
        decode_ip4_match(pb->ipv4_match, &match->overlay.ip);
        break;
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__GENEVE_MATCH__IP_MATCH_IPV6_MATCH:
        DECODE_IP6_MATCH(pb->ipv6_match, &match->overlay.ip,
                         "match_criteria.geneve_match.ipv6_match", faults);
        break;
    default:
        break;
    }
}

static void
decode_vxlan_match(const pb_vxlan_match *pb, struct otd_match *match,
                   struct otd_faults *faults)
{
    if (!pb) {
        return;
    }
    match->kind = OTD_MATCH_VXLAN;
    match->overlay.vni = pb->vni;
    DECODE_MAC_PAIR(pb->mac_match, &match->overlay.mac,
                    "match_criteria.vxlan_match.mac_match", faults);
    switch ((int) pb->ip_match_case) {
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__VXLAN_MATCH__IP_MATCH_IPV4_MATCH:
        decode_ip4_match(pb->ipv4_match, &match->overlay.ip);
        break;
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__VXLAN_MATCH__IP_MATCH_IPV6_MATCH:
        DECODE_IP6_MATCH(pb->ipv6_match, &match->overlay.ip,
                         "match_criteria.vxlan_match.ipv6_match", faults);
        break;
    default:
        break;
    }
}

static void
decode_match(const pb_match *pb, struct otd_match *match,
             struct otd_faults *faults)
{
    if (!pb) {
        return;
    }
    match->present = true;
    otd_ifname_from_bytes(pb->ingress_interface,
                          unpacked_string_len(pb->ingress_interface),
                          match->ingress_interface,
                          "match_criteria.ingress_interface", faults);
    DECODE_MAC_PAIR(pb->mac_match, &match->mac, "match_criteria.mac_match",
                    faults);
    switch ((int) pb->ip_match_case) {
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__IP_MATCH_IPV4_MATCH:
        decode_ip4_match(pb->ipv4_match, &match->ip);
        break;
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__IP_MATCH_IPV6_MATCH:
        DECODE_IP6_MATCH(pb->ipv6_match, &match->ip,
                         "match_criteria.ipv6_match", faults);
        break;
    default:
        break;
    }
    match->tunnel_id = pb->tunnel_id;
    switch ((int) pb->match_case) {
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__MATCH_IPSEC_MATCH:
        if (pb->ipsec_match) {
            match->kind = OTD_MATCH_IPSEC;
            match->spi = pb->ipsec_match->spi;
            match->sn = pb->ipsec_match->sn;
        }
        break;
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__MATCH_GENEVE_MATCH:
        decode_geneve_match(pb->geneve_match, match, faults);
        break;
    case TUNNELOFFLOAD__V2__MATCH_CRITERIA__MATCH_VXLAN_MATCH:
        decode_vxlan_match(pb->vxlan_match, match, faults);
        break;
    default:
        break;
    }
}

static void
decode_encap(const pb_encap *pb, struct otd_geneve_encap *encap,
             struct otd_faults *faults)
{
    switch ((int) pb->ip_case) {
    case TUNNELOFFLOAD__V2__GENEVE_ENCAP__IP_OUTER_IPV4_PAIR:
        decode_ip4_pair(pb->outer_ipv4_pair, &encap->outer);
        break;
    case TUNNELOFFLOAD__V2__GENEVE_ENCAP__IP_OUTER_IPV6_PAIR:
        DECODE_IP6_PAIR(pb->outer_ipv6_pair, &encap->outer,
                        "geneve.geneve_encap.outer_ipv6_pair", faults);
        break;
    default:
        break;
    }
    DECODE_MAC_PAIR(pb->inner_mac_pair, &encap->inner_mac,
                    "geneve.geneve_encap.inner_mac_pair", faults);
    encap->control_packet = pb->control_packet;
    encap->critical_option_present = pb->critical_option_present;
    encap->vni = pb->vni;
    encap->protocol_type = pb->protocol_type;
    for (size_t i = 0; i < pb->n_geneve_option; i++) {
        const pb_option *option = pb->geneve_option[i];
        char path[64];

        snprintf(path, sizeof path,
                 "geneve.geneve_encap.geneve_option[%"PRIuSIZE"]", i);
        otd_geneve_option_add(encap, option->option_class, option->type,
                              option->length, option->data.data,
                              option->data.len, path, faults);
    }
}

static void
decode_sa(const pb_sa *pb, struct otd_ipsec_sa *sa)
{
    sa->spi = pb->spi;
    sa->operation = pb->operation;
    /* Only what a check needs to know of the key, never a byte of it. */
    sa->key_len = pb->encryption_key.len;
    sa->key_is_hex = sa->key_len > 0;
    for (size_t i = 0; i < pb->encryption_key.len; i++) {
        sa->key_is_hex &= isxdigit(pb->encryption_key.data[i]) != 0;
    }
}

static void
decode_ipsec_enc(const pb_ipsec_enc *pb, struct otd_ipsec *ipsec,
                 struct otd_faults *faults)
{
    ipsec->tunnel_type = pb->tunnel_type;
    ipsec->encryption_type = pb->encryption_type;
    if (pb->ipsec_sa) {
        ipsec->n_sas = 1;
        decode_sa(pb->ipsec_sa, &ipsec->sas[0]);
    }
    switch ((int) pb->tunnel_ips_case) {
    case TUNNELOFFLOAD__V2__IPSEC_ENC__TUNNEL_IPS_IPV4_TUNNEL:
        decode_ip4_pair(pb->ipv4_tunnel, &ipsec->outer);
        break;
    case TUNNELOFFLOAD__V2__IPSEC_ENC__TUNNEL_IPS_IPV6_TUNNEL:
        DECODE_IP6_PAIR(pb->ipv6_tunnel, &ipsec->outer,
                        "ipsec_tunnel.ipsec_enc.ipv6_tunnel", faults);
        break;
    default:
        break;
    }
}

static void
decode_ipsec_dec(const pb_ipsec_dec *pb, struct otd_ipsec *ipsec,
                 struct otd_faults *faults)
{
    ipsec->tunnel_type = pb->tunnel_type;
    ipsec->encryption_type = pb->encryption_type;
    if (pb->n_ipsec_sas > OTD_IPSEC_SAS_MAX) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD,
                  "ipsec_tunnel.ipsec_dec.ipsec_sas",
                  "%"PRIuSIZE" entries; a tunnel has at most %d",
                  pb->n_ipsec_sas, OTD_IPSEC_SAS_MAX);
    }
    ipsec->n_sas = MIN(pb->n_ipsec_sas, OTD_IPSEC_SAS_MAX);
    for (size_t i = 0; i < ipsec->n_sas; i++) {
        decode_sa(pb->ipsec_sas[i], &ipsec->sas[i]);
    }
}

static void
decode_kind(const pb_request *pb, struct otd_spec *spec,
            struct otd_faults *faults)
{
    switch ((int) pb->tunnel_case) {
    case TUNNELOFFLOAD__V2__IP_TUNNEL_REQUEST__TUNNEL_IPSEC_TUNNEL: {
        const pb_ipsec *ipsec = pb->ipsec_tunnel;

        if (!ipsec) {
            break;
        }
        if (ipsec->ipsec_case
            == TUNNELOFFLOAD__V2__IPSEC_TUNNEL__IPSEC_IPSEC_ENC
            && ipsec->ipsec_enc) {
            spec->kind = OTD_KIND_IPSEC_ENC;
            decode_ipsec_enc(ipsec->ipsec_enc, &spec->ipsec, faults);
        } else if (ipsec->ipsec_case
                   == TUNNELOFFLOAD__V2__IPSEC_TUNNEL__IPSEC_IPSEC_DEC
                   && ipsec->ipsec_dec) {
            spec->kind = OTD_KIND_IPSEC_DEC;
            decode_ipsec_dec(ipsec->ipsec_dec, &spec->ipsec, faults);
        }
        break;
    }
    case TUNNELOFFLOAD__V2__IP_TUNNEL_REQUEST__TUNNEL_GENEVE: {
        const pb_geneve *geneve = pb->geneve;

        if (!geneve) {
            break;
        }
        if (geneve->encap_decap_case
            == TUNNELOFFLOAD__V2__GENEVE__ENCAP_DECAP_GENEVE_ENCAP
            && geneve->geneve_encap) {
            spec->kind = OTD_KIND_GENEVE_ENCAP;
            decode_encap(geneve->geneve_encap, &spec->encap, faults);
        } else if (geneve->encap_decap_case
                   == TUNNELOFFLOAD__V2__GENEVE__ENCAP_DECAP_GENEVE_DECAP
                   && geneve->geneve_decap) {
            spec->kind = OTD_KIND_GENEVE_DECAP;
        }
        break;
    }
    case TUNNELOFFLOAD__V2__IP_TUNNEL_REQUEST__TUNNEL_NAT:
        if (pb->nat) {
            spec->kind = OTD_KIND_NAT;
            spec->nat_source_ip = pb->nat->source_ip;
        }
        break;
    default:
        break;
    }
}

static bool
decode(void *arena_, const void *bytes, size_t n, struct otd_spec *spec,
       struct otd_faults *faults)
{
    struct arena *arena = arena_;

    otd_spec_init(spec);
    if (n > OTD_REQUEST_BYTES_MAX) {
        otd_fault(faults, OTD_FAULT_OTHER, NULL, "the request has %"PRIuSIZE
                  " bytes; send at most %d", n, OTD_REQUEST_BYTES_MAX);
        return false;
    }
    if (codec_quick_decode(bytes, n, spec)) {
        return true;
    }
    otd_spec_init(spec);

    const pb_request *pb = (const pb_request *) unpack(
        arena, &tunneloffload__v2__ip_tunnel_request__descriptor, bytes, n);
    if (!pb) {
        if (arena->exhausted) {
            otd_fault(faults, OTD_FAULT_OTHER, NULL, "the %"PRIuSIZE" bytes "
                      "of the request unfold to more than %d; send fewer fields",
                      n, ARENA_BYTES);
        } else {
            otd_fault(faults, OTD_FAULT_OTHER, NULL, "the %"PRIuSIZE" bytes "
                      "are not an IpTunnelRequest of tunneloffload.v2; send "
                      "one, in protobuf encoding", n);
        }
        return false;
    }

    spec->id = pb->tunnel_id;
    spec->operation = pb->operation;
    spec->next_action = pb->next_action;
    decode_match(pb->match_criteria, &spec->match, faults);
    decode_kind(pb, spec, faults);
    return true;
}

/* ---- The other requests, and the codec itself. */

/* These have a number or nothing in them.  Bounds what unpacking hostile bytes
 * can allocate. */
#define SMALL_REQUEST_BYTES_MAX 4096

static void *
unpack_small(const ProtobufCMessageDescriptor *type, const void *bytes,
             size_t n)
{
    return (n <= SMALL_REQUEST_BYTES_MAX
            ? protobuf_c_message_unpack(type, NULL, n, bytes)
            : NULL);
}

bool
otd_codec_parse_capability_request(const void *bytes, size_t n)
{
    ProtobufCMessage *pb = unpack_small(
        &tunneloffload__v2__capability_request__descriptor, bytes, n);

    if (!pb) {
        return false;
    }
    protobuf_c_message_free_unpacked(pb, NULL);
    return true;
}

bool
otd_codec_parse_tunnel_id(const void *bytes, size_t n, uint64_t *id)
{
    Tunneloffload__V2__TunnelId *pb = unpack_small(
        &tunneloffload__v2__tunnel_id__descriptor, bytes, n);

    if (!pb) {
        return false;
    }
    *id = pb->tunnel_id;
    tunneloffload__v2__tunnel_id__free_unpacked(pb, NULL);
    return true;
}

bool
otd_codec_parse_request_args(const void *bytes, size_t n,
                             uint32_t *tunnels_per_request)
{
    Tunneloffload__V2__TunnelRequestArgs *pb = unpack_small(
        &tunneloffload__v2__tunnel_request_args__descriptor, bytes, n);

    if (!pb) {
        return false;
    }
    *tunnels_per_request = pb->tunnels_per_request;
    tunneloffload__v2__tunnel_request_args__free_unpacked(pb, NULL);
    return true;
}

struct otd_codec *
otd_codec_create(void)
{
    struct otd_codec *codec = xmalloc(sizeof *codec);

    *codec = (struct otd_codec) {
        .decode = decode,
        .encode = codec_encode,
        .aux = xmalloc(sizeof(struct arena))
    };
    return codec;
}

void
otd_codec_destroy(struct otd_codec *codec)
{
    if (codec) {
        free(codec->aux);
        free(codec);
    }
}
