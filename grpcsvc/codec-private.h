/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CODEC_PRIVATE_H
#define OTD_CODEC_PRIVATE_H 1

/* Shared by the two halves of the request codec, and by nobody else: short
 * names for the types that protoc-c makes. */

#include "proto/tunneloffload.pb-c.h"
#include "tunnel/spec.h"

struct ofpbuf;

typedef Tunneloffload__V2__IpTunnelRequest pb_request;
typedef Tunneloffload__V2__MatchCriteria pb_match;
typedef Tunneloffload__V2__MatchCriteria__IPSecMatch pb_ipsec_match;
typedef Tunneloffload__V2__MatchCriteria__GeneveMatch pb_geneve_match;
typedef Tunneloffload__V2__MatchCriteria__VXLanMatch pb_vxlan_match;
typedef Tunneloffload__V2__MacPair pb_mac_pair;
typedef Tunneloffload__V2__IPV4Pair pb_ip4_pair;
typedef Tunneloffload__V2__IPV6Pair pb_ip6_pair;
typedef Tunneloffload__V2__IPV4Match pb_ip4_match;
typedef Tunneloffload__V2__IPV6Match pb_ip6_match;
typedef Tunneloffload__V2__Geneve pb_geneve;
typedef Tunneloffload__V2__GeneveEncap pb_encap;
typedef Tunneloffload__V2__GeneveDecap pb_decap;
typedef Tunneloffload__V2__GeneveOption pb_option;
typedef Tunneloffload__V2__IPSecTunnel pb_ipsec;
typedef Tunneloffload__V2__IPSecEnc pb_ipsec_enc;
typedef Tunneloffload__V2__IPSecDec pb_ipsec_dec;
typedef Tunneloffload__V2__IPSecSAParams pb_sa;
typedef Tunneloffload__V2__Nat pb_nat;

/* otd_codec's 'encode'; 'aux' is not used. */
void codec_encode(void *aux, const struct otd_spec *, struct ofpbuf *out);

/* codec-quick.c.  False, and '*spec' is spoilt, if the bytes are not plain;
 * '*spec' must be initialised. */
bool codec_quick_decode(const void *bytes, size_t n, struct otd_spec *spec);
/* Returns the number of bytes, 0 if the request is not plain. */
#define CODEC_QUICK_BYTES_MAX 512
size_t codec_quick_encode(const struct otd_spec *, uint32_t operation,
                          uint8_t bytes[CODEC_QUICK_BYTES_MAX]);

#endif /* grpcsvc/codec-private.h */
