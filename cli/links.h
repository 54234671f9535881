/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_LINKS_H
#define OTD_CLI_LINKS_H 1

/* How tunnels are linked: by tunnel_id, which is certain, and by what a
 * RECIRCULATE leaves of the packet, which another tunnel's IP match could
 * take. Pure. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "proto/tunneloffload.pb-c.h"

/* Where a tunnel is to be shown. */
enum otd_link_place {
    OTD_LINK_NOWHERE,           /* Below the tunnel that it follows, or only
                                 * among those that might be chained. */
    OTD_LINK_ALONE,
    OTD_LINK_CHAIN,             /* First of a chain. */
    OTD_LINK_MISSING,           /* Follows a tunnel that is not there. */
    OTD_N_LINK_PLACES
};

/* Addresses that a packet may have: 'len' bits of 'ip' (IPv4 mapped, so that
 * it is 96 more); -1 if nothing is known. */
struct otd_link_addr {
    struct in6_addr ip;
    int len;
    bool ipv6;
};

struct otd_link {
    uint64_t id;
    uint64_t follows;           /* match_criteria.tunnel_id, 0: none. */
    char *summary;              /* "MATCH: TUNNEL, NEXT". */
    bool recirculates;

    bool has_result;            /* It recirculates, and leaves this: */
    struct otd_link_addr result_src, result_dst;
    bool by_ip;                 /* It takes packets by their addresses: */
    struct otd_link_addr match_src, match_dst;

    enum otd_link_place place;
    size_t *followers;          /* Places in the table, by id. */
    size_t n_followers, allocated_followers;
    size_t *maybe;
    size_t n_maybe, allocated_maybe;
    bool more_maybe;            /* More than OTD_LINKS_MAX_MAYBE. */
    bool is_maybe;              /* Another tunnel has this one in 'maybe'. */
};

#define OTD_LINKS_MAX_MAYBE 16
#define OTD_LINKS_MAX_DEPTH 1000

struct otd_links *otd_links_create(void);
void otd_links_destroy(struct otd_links *);

void otd_links_add(struct otd_links *, uint64_t id,
                   const Tunneloffload__V2__IpTunnelRequest *);
/* Sorts by id and fills in places, followers and guesses. */
void otd_links_resolve(struct otd_links *);

size_t otd_links_count(const struct otd_links *);
const struct otd_link *otd_links_get(const struct otd_links *, size_t);

#endif /* cli/links.h */
