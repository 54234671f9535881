/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_PRINT_H
#define OTD_CLI_PRINT_H 1

/* Requests as short text for people, appended. */

#include "proto/tunneloffload.pb-c.h"

struct ds;

/* A constant of the generated header, with less of a name. */
#define PB(NAME) TUNNELOFFLOAD__V2__##NAME

/* "geneve encap 10.0.0.1 > 10.0.0.2 vni 100 option 0x102/0x80=0x00000001". */
void otd_format_tunnel(struct ds *,
                       const Tunneloffload__V2__IpTunnelRequest *);

/* "in vif1, 11.0.0.0/24 > any, after tunnel 5"; "any" if there is none. */
void otd_format_match(struct ds *, const Tunneloffload__V2__MatchCriteria *);

/* "forward", "recirculate", "-". */
const char *otd_action_to_string(Tunneloffload__V2__Action);

/* The first letters of an enum's name in small letters, without underscores:
 * "accepted" of _TUNNEL_ACCEPTED with 'skip' 8. */
void otd_format_enum(struct ds *, const ProtobufCEnumDescriptor *, int value,
                     size_t skip);

#endif /* cli/print.h */
