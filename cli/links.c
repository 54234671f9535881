/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/links.h"

#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "hash.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "util.h"

struct otd_links {
    struct otd_link *links;
    size_t n, allocated;
};

struct otd_links *
otd_links_create(void)
{
    return xzalloc(sizeof(struct otd_links));
}

void
otd_links_destroy(struct otd_links *ls)
{
    for (size_t i = 0; i < ls->n; i++) {
        free(ls->links[i].summary);
        free(ls->links[i].followers);
        free(ls->links[i].maybe);
    }
    free(ls->links);
    free(ls);
}

size_t
otd_links_count(const struct otd_links *ls)
{
    return ls->n;
}

const struct otd_link *
otd_links_get(const struct otd_links *ls, size_t i)
{
    return &ls->links[i];
}

/* ---- Addresses. */

static const struct otd_link_addr unknown = { .len = -1 };

static struct otd_link_addr
addr4(uint32_t wire, uint32_t len)
{
    /* The API's number has the address's first byte lowest. */
    uint8_t b[4] = { wire, wire >> 8, wire >> 16, wire >> 24 };
    struct otd_link_addr a = { .len = 96 + MIN(len, 32) };

    if (!wire) {
        return unknown;
    }
    a.ip.s6_addr[10] = a.ip.s6_addr[11] = 0xff;
    memcpy(&a.ip.s6_addr[12], b, 4);
    return a;
}

static struct otd_link_addr
addr6(ProtobufCBinaryData bytes, uint32_t len)
{
    struct otd_link_addr a = { .len = MIN(len, 128), .ipv6 = true };

    if (bytes.len == 16) {
        memcpy(&a.ip, bytes.data, 16);
        return a;
    }
    if (bytes.len == 32) {
        for (int i = 0; i < 16; i++) {
            a.ip.s6_addr[i] = hexit_value(bytes.data[2 * i]) << 4
                              | hexit_value(bytes.data[2 * i + 1]);
        }
        return a;
    }
    return unknown;
}

static void
from_pair4(struct otd_link *l, const Tunneloffload__V2__IPV4Pair *p)
{
    l->result_src = addr4(p->source_ip, 32);
    l->result_dst = addr4(p->destination_ip, 32);
}

static void
from_pair6(struct otd_link *l, const Tunneloffload__V2__IPV6Pair *p)
{
    l->result_src = addr6(p->source_ip, 128);
    l->result_dst = addr6(p->destination_ip, 128);
}

static void
from_match4(const Tunneloffload__V2__IPV4Match *m,
            struct otd_link_addr *src, struct otd_link_addr *dst)
{
    *src = addr4(m->source_ip, m->source_ip_prefix);
    *dst = addr4(m->destination_ip, m->destination_ip_prefix);
}

static void
from_match6(const Tunneloffload__V2__IPV6Match *m,
            struct otd_link_addr *src, struct otd_link_addr *dst)
{
    *src = addr6(m->source_ip, m->source_ip_prefix);
    *dst = addr6(m->destination_ip, m->destination_ip_prefix);
}

/* The addresses that the packet has after the tunnel. */
static void
set_result(struct otd_link *l, const Tunneloffload__V2__IpTunnelRequest *r)
{
    const Tunneloffload__V2__MatchCriteria *m = r->match_criteria;
    const Tunneloffload__V2__MatchCriteria__GeneveMatch *gm
        = m && m->match_case == PB(MATCH_CRITERIA__MATCH_GENEVE_MATCH)
          ? m->geneve_match : NULL;
    const Tunneloffload__V2__GeneveEncap *encap = NULL;
    const Tunneloffload__V2__IPSecEnc *enc = NULL;
    bool decap = false;

    if (r->tunnel_case == PB(IP_TUNNEL_REQUEST__TUNNEL_GENEVE)) {
        decap = r->geneve->encap_decap_case
                == PB(GENEVE__ENCAP_DECAP_GENEVE_DECAP);
        if (r->geneve->encap_decap_case
            == PB(GENEVE__ENCAP_DECAP_GENEVE_ENCAP)) {
            encap = r->geneve->geneve_encap;
        }
    } else if (r->tunnel_case == PB(IP_TUNNEL_REQUEST__TUNNEL_IPSEC_TUNNEL)
               && r->ipsec_tunnel->ipsec_case
                  == PB(IPSEC_TUNNEL__IPSEC_IPSEC_ENC)) {
        enc = r->ipsec_tunnel->ipsec_enc;
    } else if (r->tunnel_case == PB(IP_TUNNEL_REQUEST__TUNNEL_NAT)) {
        l->result_dst = l->match_dst;
        l->result_src = addr4(r->nat->source_ip, 32);
    }

    if (encap && encap->ip_case == PB(GENEVE_ENCAP__IP_OUTER_IPV4_PAIR)) {
        from_pair4(l, encap->outer_ipv4_pair);
    } else if (encap
               && encap->ip_case == PB(GENEVE_ENCAP__IP_OUTER_IPV6_PAIR)) {
        from_pair6(l, encap->outer_ipv6_pair);
    } else if (enc && enc->tunnel_ips_case
               == PB(IPSEC_ENC__TUNNEL_IPS_IPV4_TUNNEL)) {
        from_pair4(l, enc->ipv4_tunnel);
    } else if (enc && enc->tunnel_ips_case
               == PB(IPSEC_ENC__TUNNEL_IPS_IPV6_TUNNEL)) {
        from_pair6(l, enc->ipv6_tunnel);
    } else if (decap && gm && gm->ip_match_case == PB(
                   MATCH_CRITERIA__GENEVE_MATCH__IP_MATCH_IPV4_MATCH)) {
        from_match4(gm->ipv4_match, &l->result_src, &l->result_dst);
    } else if (decap && gm && gm->ip_match_case == PB(
                   MATCH_CRITERIA__GENEVE_MATCH__IP_MATCH_IPV6_MATCH)) {
        from_match6(gm->ipv6_match, &l->result_src, &l->result_dst);
    }
    l->has_result = l->recirculates
                    && (l->result_src.len >= 0 || l->result_dst.len >= 0);
}

static void
set_match(struct otd_link *l, const Tunneloffload__V2__IpTunnelRequest *r)
{
    const Tunneloffload__V2__MatchCriteria *m = r->match_criteria;
    bool takes_off = r->tunnel_case == PB(IP_TUNNEL_REQUEST__TUNNEL_GENEVE)
                     ? r->geneve->encap_decap_case
                       == PB(GENEVE__ENCAP_DECAP_GENEVE_DECAP)
                     : r->tunnel_case
                       == PB(IP_TUNNEL_REQUEST__TUNNEL_IPSEC_TUNNEL)
                       && r->ipsec_tunnel->ipsec_case
                          == PB(IPSEC_TUNNEL__IPSEC_IPSEC_DEC);

    if (m && m->ip_match_case == PB(MATCH_CRITERIA__IP_MATCH_IPV4_MATCH)) {
        from_match4(m->ipv4_match, &l->match_src, &l->match_dst);
    } else if (m && m->ip_match_case
               == PB(MATCH_CRITERIA__IP_MATCH_IPV6_MATCH)) {
        from_match6(m->ipv6_match, &l->match_src, &l->match_dst);
    }
    /* A tunnel that takes something off matches what comes from the wire. */
    l->by_ip = !l->follows && !takes_off
               && (l->match_src.len >= 0 || l->match_dst.len >= 0);
}

void
otd_links_add(struct otd_links *ls, uint64_t id,
              const Tunneloffload__V2__IpTunnelRequest *r)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct otd_link *l;

    if (ls->n >= ls->allocated) {
        ls->links = x2nrealloc(ls->links, &ls->allocated, sizeof *ls->links);
    }
    l = &ls->links[ls->n++];
    memset(l, 0, sizeof *l);
    l->id = id;
    l->follows = r->match_criteria ? r->match_criteria->tunnel_id : 0;
    l->recirculates = r->next_action == PB(ACTION__RECIRCULATE);
    l->match_src = l->match_dst = unknown;
    l->result_src = l->result_dst = unknown;
    set_match(l, r);
    set_result(l, r);

    otd_format_match(&ds, r->match_criteria);
    ds_put_cstr(&ds, ": ");
    otd_format_tunnel(&ds, r);
    ds_put_format(&ds, "; %s", otd_action_to_string(r->next_action));
    l->summary = ds_steal_cstr(&ds);
}

/* ---- Links by tunnel_id. */

static int
compare_links(const void *a_, const void *b_)
{
    const struct otd_link *a = a_, *b = b_;

    return a->id < b->id ? -1 : a->id > b->id;
}

static struct otd_link *
find_link(const struct otd_links *ls, uint64_t id)
{
    struct otd_link key = { .id = id };

    return bsearch(&key, ls->links, ls->n, sizeof key, compare_links);
}

static void
append(size_t **array, size_t *n, size_t *allocated, size_t value)
{
    if (*n >= *allocated) {
        *array = x2nrealloc(*array, allocated, sizeof **array);
    }
    (*array)[(*n)++] = value;
}

/* ---- Links by address.
 *
 * Candidates with a destination stand in a hash table by family and prefix, so
 * that a packet's destination finds them with one look-up per prefix length.
 */

struct candidate {
    struct hmap_node node;      /* By prefix. */
    size_t i;
};

struct candidates {
    struct hmap by_dst;
    struct candidate *array;
    bool lens[129];             /* Prefix lengths that occur. */
    size_t *others;             /* Without a destination. */
    size_t n_others, allocated_others;
};

static uint32_t
hash_prefix(const struct in6_addr *ip, int len)
{
    struct in6_addr masked = *ip;

    for (int i = len; i < 128; i++) {
        masked.s6_addr[i / 8] &= ~(0x80 >> i % 8);
    }
    return hash_bytes(&masked, sizeof masked, len);
}

/* True if a packet may have both: addresses that are not known may be any. */
static bool
overlap(const struct otd_link_addr *a, const struct otd_link_addr *b)
{
    int len = MIN(a->len, b->len);

    if (len < 0) {
        return true;
    }
    return a->ipv6 == b->ipv6
           && !memcmp(&a->ip, &b->ip, len / 8)
           && (len % 8 == 0
               || !((a->ip.s6_addr[len / 8] ^ b->ip.s6_addr[len / 8])
                    & (0xff00 >> len % 8)));
}

static void
try_candidate(struct otd_links *ls, struct otd_link *from, size_t i)
{
    struct otd_link *to = &ls->links[i];

    if (to == from || from->more_maybe
        || !overlap(&from->result_src, &to->match_src)
        || !overlap(&from->result_dst, &to->match_dst)) {
        return;
    }
    /* One address that both know; else everything might follow everything. */
    if (!(from->result_src.len >= 0 && to->match_src.len >= 0)
        && !(from->result_dst.len >= 0 && to->match_dst.len >= 0)) {
        return;
    }
    if (from->n_maybe >= OTD_LINKS_MAX_MAYBE) {
        from->more_maybe = true;
        return;
    }
    append(&from->maybe, &from->n_maybe, &from->allocated_maybe, i);
    to->is_maybe = true;
}

static int
compare_sizes(const void *a_, const void *b_)
{
    const size_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static void
guess_followers(struct otd_links *ls, const struct candidates *cs,
                struct otd_link *from)
{
    const struct otd_link_addr *dst = &from->result_dst;
    const struct candidate *c;

    if (dst->len < 0) {
        HMAP_FOR_EACH (c, node, &cs->by_dst) {
            try_candidate(ls, from, c->i);
        }
    }
    for (int len = 0; dst->len >= 0 && len <= 128; len++) {
        if (!cs->lens[len]) {
            continue;
        }
        if (len > dst->len) {
            /* More specific than what is known: no single bucket. */
            HMAP_FOR_EACH (c, node, &cs->by_dst) {
                if (ls->links[c->i].match_dst.len == len) {
                    try_candidate(ls, from, c->i);
                }
            }
            continue;
        }
        HMAP_FOR_EACH_WITH_HASH (c, node, hash_prefix(&dst->ip, len),
                                 &cs->by_dst) {
            if (ls->links[c->i].match_dst.len == len) {
                try_candidate(ls, from, c->i);
            }
        }
    }
    for (size_t i = 0; i < cs->n_others; i++) {
        try_candidate(ls, from, cs->others[i]);
    }
    if (from->n_maybe) {
        qsort(from->maybe, from->n_maybe, sizeof *from->maybe, compare_sizes);
    }
}

static void
resolve_by_ip(struct otd_links *ls)
{
    struct candidates cs = { .array = xcalloc(ls->n + 1, sizeof *cs.array) };

    hmap_init(&cs.by_dst);
    for (size_t i = 0; i < ls->n; i++) {
        const struct otd_link *l = &ls->links[i];

        if (l->by_ip && l->match_dst.len >= 0) {
            cs.array[i].i = i;
            cs.lens[l->match_dst.len] = true;
            hmap_insert(&cs.by_dst, &cs.array[i].node,
                        hash_prefix(&l->match_dst.ip, l->match_dst.len));
        } else if (l->by_ip) {
            append(&cs.others, &cs.n_others, &cs.allocated_others, i);
        }
    }
    for (size_t i = 0; i < ls->n; i++) {
        struct otd_link *l = &ls->links[i];

        /* What others name by tunnel_id goes there, and nowhere else. */
        if (l->has_result && !l->n_followers) {
            guess_followers(ls, &cs, l);
        }
    }
    hmap_destroy(&cs.by_dst);
    free(cs.array);
    free(cs.others);
}

void
otd_links_resolve(struct otd_links *ls)
{
    if (!ls->n) {
        return;
    }
    qsort(ls->links, ls->n, sizeof *ls->links, compare_links);
    for (size_t i = 0; i < ls->n; i++) {
        struct otd_link *l = &ls->links[i];
        struct otd_link *before = l->follows ? find_link(ls, l->follows)
                                  : NULL;

        if (before) {
            append(&before->followers, &before->n_followers,
                   &before->allocated_followers, i);
        } else if (l->follows) {
            l->place = OTD_LINK_MISSING;
        }
    }
    resolve_by_ip(ls);
    for (size_t i = 0; i < ls->n; i++) {
        struct otd_link *l = &ls->links[i];

        if (!l->follows) {
            l->place = l->n_followers ? OTD_LINK_CHAIN
                       : l->n_maybe || l->is_maybe ? OTD_LINK_NOWHERE
                       : OTD_LINK_ALONE;
        }
    }
}
