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

#endif /* grpcsvc/codec-private.h */
