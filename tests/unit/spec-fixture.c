/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tests/unit/spec-fixture.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "util.h"

const struct otd_caps all_caps = {
    .ingress_interface_matching = true,
    .geneve_matching = true,
    .vxlan_matching = false,
    .tunnel_matching = true,
    .spi_matching = false,
    .n_geneve_options = 31,
};

struct in6_addr
ip(const char *s)
{
    struct in6_addr addr = in6addr_any;

    if (!strchr(s, ':')) {
        addr.s6_addr[10] = addr.s6_addr[11] = 0xff;
    }
    if (inet_pton(strchr(s, ':') ? AF_INET6 : AF_INET, s,
                  addr.s6_addr + (strchr(s, ':') ? 0 : 12)) != 1) {
        abort();
    }
    return addr;
}

struct eth_addr
mac(const char *s)
{
    struct eth_addr ea;

    if (!eth_addr_from_string(s, &ea)) {
        abort();
    }
    return ea;
}

struct otd_spec
geneve_encap(void)
{
    struct otd_spec s;

    otd_spec_init(&s);
    s.id = 1;
    s.operation = OTD_OP_CREATE;
    s.next_action = OTD_ACTION_FORWARD;
    s.match.present = true;
    s.match.ip.family = OTD_FAMILY_IPV4;
    s.match.ip.src = ip("0.0.0.0");
    s.match.ip.dst = ip("10.1.0.0");
    s.match.ip.dst_plen = 16;
    s.kind = OTD_KIND_GENEVE_ENCAP;
    s.encap.outer.family = OTD_FAMILY_IPV4;
    s.encap.outer.src = ip("192.0.2.1");
    s.encap.outer.dst = ip("192.0.2.2");
    s.encap.vni = 100;
    return s;
}

struct otd_spec
geneve_decap(void)
{
    struct otd_spec s;

    otd_spec_init(&s);
    s.id = 2;
    s.operation = OTD_OP_CREATE;
    s.next_action = OTD_ACTION_FORWARD;
    s.match.present = true;
    s.match.kind = OTD_MATCH_GENEVE;
    s.match.overlay.vni = 100;
    s.kind = OTD_KIND_GENEVE_DECAP;
    return s;
}

struct otd_spec
ipsec_enc(void)
{
    struct otd_spec s = geneve_encap();

    memset(&s.encap, 0, sizeof s.encap);
    s.kind = OTD_KIND_IPSEC_ENC;
    s.ipsec.tunnel_type = 1;
    s.ipsec.encryption_type = 2;
    s.ipsec.outer.family = OTD_FAMILY_IPV4;
    s.ipsec.outer.src = ip("192.0.2.1");
    s.ipsec.outer.dst = ip("192.0.2.2");
    s.ipsec.n_sas = 1;
    s.ipsec.sas[0].spi = 256;
    s.ipsec.sas[0].key_len = 36;
    return s;
}

struct otd_spec
ipsec_dec(void)
{
    struct otd_spec s = ipsec_enc();

    memset(&s.ipsec.outer, 0, sizeof s.ipsec.outer);
    s.kind = OTD_KIND_IPSEC_DEC;
    s.ipsec.sas[0].operation = OTD_OP_CREATE;
    return s;
}

void
add_option(struct otd_spec *s, uint16_t opt_class, uint8_t type, size_t len)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    uint8_t data[OTD_GENEVE_OPTION_DATA_MAX];

    for (size_t i = 0; i < len; i++) {
        data[i] = type + i;
    }
    if (!otd_geneve_option_add(&s->encap, opt_class, type, len, data, len,
                               "option", &faults)) {
        abort();
    }
}

/* ---- Random requests. */

uint32_t
rng_next(struct rng *rng)
{
    /* SplitMix64: any seed is as good as another. */
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) >> 16;
}

uint32_t
rng_range(struct rng *rng, uint32_t n)
{
    return rng_next(rng) % n;
}

static bool
chance(struct rng *rng)
{
    return rng_next(rng) & 1;
}

static uint64_t
random_id(struct rng *rng)
{
    uint64_t id = rng_next(rng);

    /* Short and long varints, and never 0. */
    return (chance(rng) ? id % 1000 : id << 32 | rng_next(rng)) + 1;
}

static struct in6_addr
random_ip(struct rng *rng, enum otd_family family)
{
    struct in6_addr addr = in6addr_any;
    size_t ofs = family == OTD_FAMILY_IPV4 ? 12 : 0;

    if (ofs) {
        addr.s6_addr[10] = addr.s6_addr[11] = 0xff;
    }
    for (size_t i = ofs; i < 16; i++) {
        addr.s6_addr[i] = rng_next(rng);
    }
    addr.s6_addr[ofs] = 1 + rng_range(rng, 0xdf);       /* Unicast, not 0. */
    return addr;
}

static struct in6_addr
no_ip(enum otd_family family)
{
    return family == OTD_FAMILY_IPV4 ? otd_ip4_from_wire(0) : in6addr_any;
}

static void
random_mac_pair(struct rng *rng, struct otd_mac_pair *pair)
{
    pair->present = true;
    if (chance(rng)) {
        pair->has_dst = true;
        for (size_t i = 0; i < 6; i++) {
            pair->dst.ea[i] = rng_next(rng);
        }
    }
    if (chance(rng)) {
        pair->has_src = true;
        for (size_t i = 0; i < 6; i++) {
            pair->src.ea[i] = rng_next(rng);
        }
        pair->src.ea[0] &= ~1;
    }
}

static enum otd_family
random_family(struct rng *rng)
{
    return chance(rng) ? OTD_FAMILY_IPV4 : OTD_FAMILY_IPV6;
}

static void
random_ip_match(struct rng *rng, struct otd_ip_match *match)
{
    enum otd_family family = random_family(rng);
    uint32_t max = family == OTD_FAMILY_IPV4 ? 32 : 128;
    uint32_t which = 1 + rng_range(rng, 3);

    match->family = family;
    match->src = which & 1 ? random_ip(rng, family) : no_ip(family);
    match->src_plen = which & 1 ? 1 + rng_range(rng, max) : 0;
    match->dst = which & 2 ? random_ip(rng, family) : no_ip(family);
    match->dst_plen = which & 2 ? 1 + rng_range(rng, max) : 0;
}

static void
random_encap(struct rng *rng, struct otd_spec *s)
{
    struct otd_geneve_encap *encap = &s->encap;

    s->kind = OTD_KIND_GENEVE_ENCAP;
    encap->outer.family = random_family(rng);
    encap->outer.src = (chance(rng) ? random_ip(rng, encap->outer.family)
                        : no_ip(encap->outer.family));
    encap->outer.dst = random_ip(rng, encap->outer.family);
    if (chance(rng)) {
        random_mac_pair(rng, &encap->inner_mac);
    }
    encap->control_packet = chance(rng);
    encap->vni = chance(rng) ? rng_range(rng, 1 << 24) : rng_range(rng, 2);
    encap->protocol_type = chance(rng) ? 0x6558 : 0;

    for (uint32_t n = rng_range(rng, 5), i = 0; i < n; i++) {
        size_t len = 4 + 4 * rng_range(rng, chance(rng) ? 2 : 31);

        if (encap->options_len + 4 + len <= OTD_GENEVE_OPTIONS_MAX) {
            /* The class tells them apart. */
            add_option(s, i << 12 | rng_range(rng, 4096), rng_next(rng), len);
        }
    }
    encap->critical_option_present = otd_geneve_has_critical(encap);
}

void
random_spec(struct rng *rng, struct otd_spec *s)
{
    bool decap = rng_range(rng, 3) == 0;

    otd_spec_init(s);
    s->id = random_id(rng);
    s->operation = OTD_OP_CREATE;
    s->next_action = chance(rng) ? OTD_ACTION_FORWARD : OTD_ACTION_RECIRCULATE;
    s->match.present = true;
    if (chance(rng)) {
        do {
            s->match.tunnel_id = random_id(rng);
        } while (s->match.tunnel_id == s->id);
    }
    if (chance(rng)) {
        random_ip_match(rng, &s->match.ip);
    }

    if (decap) {
        s->kind = OTD_KIND_GENEVE_DECAP;
        if (!s->match.tunnel_id || chance(rng)) {
            s->match.kind = OTD_MATCH_GENEVE;
            s->match.overlay.vni = rng_range(rng, 1 << 24);
            s->match.overlay.protocol_type = chance(rng) ? 0x6558 : 0;
            if (chance(rng)) {
                random_mac_pair(rng, &s->match.overlay.mac);
            }
            if (chance(rng)) {
                random_ip_match(rng, &s->match.overlay.ip);
            }
        }
        return;
    }

    if (chance(rng)) {
        random_mac_pair(rng, &s->match.mac);
    }
    if (chance(rng) || (!s->match.tunnel_id && !s->match.ip.family)) {
        uint32_t n = 1 + rng_range(rng, OTD_IFNAME_MAX);

        for (uint32_t i = 0; i < n; i++) {
            s->match.ingress_interface[i] = 'a' + rng_range(rng, 26);
        }
    }
    random_encap(rng, s);
}
