/* SPDX-License-Identifier: Apache-2.0 */

/* What a complete request may say.  Everything here is about one request by
 * itself; other tunnels, ports and the space in the switch are the
 * engine's. */

#include <config.h>
#include "tunnel/spec.h"

#include <stdio.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "util.h"

#define VNI_MAX 0xffffff
#define ETHERTYPE_TEB 0x6558    /* Transparent Ethernet bridging. */
#define SPI_MIN 256             /* IANA reserves 1..255, RFC 4303, 2.1. */

static bool
ip4_is_given(const struct in6_addr *ip)
{
    return otd_ip4_to_wire(ip) != 0;
}

static bool
ip_is_given(enum otd_family family, const struct in6_addr *ip)
{
    return (family == OTD_FAMILY_IPV4 ? ip4_is_given(ip)
            : family == OTD_FAMILY_IPV6 && !IN6_IS_ADDR_UNSPECIFIED(ip));
}

/* Multicast, or IPv4 broadcast: no address of one host. */
static bool
ip_is_many(enum otd_family family, const struct in6_addr *ip)
{
    if (family == OTD_FAMILY_IPV4) {
        return ((ip->s6_addr[12] & 0xf0) == 0xe0
                || otd_ip4_to_wire(ip) == UINT32_MAX);
    }
    return IN6_IS_ADDR_MULTICAST(ip);
}

static void
check_vni(uint32_t vni, enum otd_fault_kind kind, const char *path,
          struct otd_faults *faults)
{
    if (vni > VNI_MAX) {
        otd_fault(faults, kind, path, "%"PRIu32" does not fit 24 bits; use at "
                  "most %d", vni, VNI_MAX);
    }
}

static void
check_protocol_type(uint32_t type, const char *path, struct otd_faults *faults)
{
    if (type && type != ETHERTYPE_TEB) {
        otd_fault(faults, OTD_FAULT_GENEVE_FIELD, path, "0x%04"PRIx32" is not "
                  "supported; use 0x6558 (Ethernet) or leave it out", type);
    }
}

/* ---- Matches. */

static void
check_prefix(enum otd_family family, const struct in6_addr *ip, uint32_t plen,
             const char *parent, const char *end, struct otd_faults *faults)
{
    uint32_t max = family == OTD_FAMILY_IPV4 ? 32 : 128;
    bool ambiguous = !plen && ip_is_given(family, ip);

    if (plen <= max && !ambiguous) {
        return;
    }

    char path[128];
    snprintf(path, sizeof path, "%s%s.%s_prefix", parent,
             family == OTD_FAMILY_IPV4 ? "ipv4_match" : "ipv6_match", end);
    if (plen > max) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "%"PRIu32" is longer "
                  "than the address; use at most %"PRIu32, plen, max);
    } else {
        struct ds ds = DS_EMPTY_INITIALIZER;

        otd_ip_format(ip, &ds);
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "0 with the address %s "
                  "could mean this host or any; use %"PRIu32" for the host, "
                  "or leave both out for any", ds_cstr(&ds), max);
        ds_destroy(&ds);
    }
}

/* 'parent' is what stands before "ipv4_match" in the path. */
static void
check_ip_match(const struct otd_ip_match *match, const char *parent,
               struct otd_faults *faults)
{
    if (match->family != OTD_FAMILY_NONE) {
        check_prefix(match->family, &match->src, match->src_plen, parent,
                     "source_ip", faults);
        check_prefix(match->family, &match->dst, match->dst_plen, parent,
                     "destination_ip", faults);
    }
}

static void
check_mac_match(const struct otd_mac_pair *mac, const char *path,
                struct otd_faults *faults)
{
    if (mac->has_src && eth_addr_is_multicast(mac->src)) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, ETH_ADDR_FMT" is a "
                  "multicast address, which no frame has as its source; match "
                  "it as destination, or another source",
                  ETH_ADDR_ARGS(mac->src));
    }
}

static bool
ip_match_is_given(const struct otd_ip_match *match)
{
    return (match->src_plen || match->dst_plen
            || ip_is_given(match->family, &match->src)
            || ip_is_given(match->family, &match->dst));
}

/* Does the match name anything, so that it does not take every packet? */
static bool
match_is_given(const struct otd_match *match)
{
    return (match->ingress_interface[0]
            || match->mac.has_dst || match->mac.has_src
            || ip_match_is_given(&match->ip)
            || match->tunnel_id
            || (match->kind == OTD_MATCH_IPSEC && (match->spi || match->sn))
            || match->kind == OTD_MATCH_GENEVE
            || match->kind == OTD_MATCH_VXLAN);
}

static void
check_overlay_match(const struct otd_match *match, const char *parent,
                    struct otd_faults *faults)
{
    char path[64];

    snprintf(path, sizeof path, "%svni", parent);
    check_vni(match->overlay.vni, OTD_FAULT_MATCH_FIELD, path, faults);
    snprintf(path, sizeof path, "%smac_match.source_mac", parent);
    check_mac_match(&match->overlay.mac, path, faults);
    check_ip_match(&match->overlay.ip, parent, faults);
    if (match->kind == OTD_MATCH_GENEVE) {
        check_protocol_type(match->overlay.protocol_type,
                            "match_criteria.geneve_match.protocol_type",
                            faults);
    }
}

static void
check_match_capabilities(const struct otd_match *match,
                         const struct otd_caps *caps,
                         struct otd_faults *faults)
{
    static const char no[] = "this server cannot match on it now; see "
                             "Capabilities";

    if (match->ingress_interface[0] && !caps->ingress_interface_matching) {
        otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                  "match_criteria.ingress_interface", "%s", no);
    }
    if (match->tunnel_id && !caps->tunnel_matching) {
        otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                  "match_criteria.tunnel_id", "%s", no);
    }
    switch (match->kind) {
    case OTD_MATCH_PLAIN:
        break;
    case OTD_MATCH_IPSEC:
        if (match->spi && !caps->spi_matching) {
            otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                      "match_criteria.ipsec_match.spi", "%s", no);
        }
        if (match->sn) {
            otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                      "match_criteria.ipsec_match.sn", "no datapath matches a "
                      "sequence number; leave it out");
        }
        break;
    case OTD_MATCH_GENEVE:
        if (!caps->geneve_matching) {
            otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                      "match_criteria.geneve_match", "%s", no);
        }
        break;
    case OTD_MATCH_VXLAN:
        if (!caps->vxlan_matching) {
            otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                      "match_criteria.vxlan_match", "%s", no);
        }
        break;
    }
}

static void
check_match(const struct otd_spec *spec, const struct otd_caps *caps,
            struct otd_faults *faults)
{
    const struct otd_match *match = &spec->match;

    if (!match->present) {
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS, "match_criteria",
                  "missing; say which packets the tunnel takes");
        return;
    }
    if (!match_is_given(match)) {
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS, "match_criteria",
                  "names no field and so would take every packet; name at "
                  "least one");
    }
    check_match_capabilities(match, caps, faults);
    check_mac_match(&match->mac, "match_criteria.mac_match.source_mac",
                    faults);
    check_ip_match(&match->ip, "match_criteria.", faults);
    if (match->tunnel_id && match->tunnel_id == spec->id) {
        otd_fault(faults, OTD_FAULT_MATCH_TUNNEL_ID,
                  "match_criteria.tunnel_id", "%"PRIu64" is the tunnel "
                  "itself; name the tunnel that comes before it", spec->id);
    }
    if (match->kind == OTD_MATCH_GENEVE) {
        check_overlay_match(match, "match_criteria.geneve_match.", faults);
    } else if (match->kind == OTD_MATCH_VXLAN) {
        check_overlay_match(match, "match_criteria.vxlan_match.", faults);
    }
}

/* ---- Geneve. */

static void
check_outer(const struct otd_ip_pair *outer, const char *parent,
            const char *v4_field, const char *v6_field,
            enum otd_fault_kind kind, struct otd_faults *faults)
{
    const struct {
        const char *name;
        const struct in6_addr *ip;
    } ends[] = {
        { "source_ip", &outer->src },
        { "destination_ip", &outer->dst },
    };

    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        bool is_dst = i == 1;
        bool given = ip_is_given(outer->family, ends[i].ip);
        bool many = given && ip_is_many(outer->family, ends[i].ip);

        if (!many && (given || !is_dst)) {
            continue;
        }

        char path[128];
        snprintf(path, sizeof path, "%s%s.%s", parent,
                 outer->family == OTD_FAMILY_IPV4 ? v4_field : v6_field,
                 ends[i].name);
        if (many) {
            struct ds ds = DS_EMPTY_INITIALIZER;

            otd_ip_format(ends[i].ip, &ds);
            otd_fault(faults, kind, path, "%s is no unicast address; use the "
                      "address of one host", ds_cstr(&ds));
            ds_destroy(&ds);
        } else {
            otd_fault(faults, kind, path, "missing; name the other end of the "
                      "tunnel");
        }
    }
}

static void
check_encap(const struct otd_spec *spec, struct otd_faults *faults)
{
    const struct otd_geneve_encap *encap = &spec->encap;
    bool critical = otd_geneve_has_critical(encap);

    if (encap->outer.family == OTD_FAMILY_NONE) {
        otd_fault(faults, OTD_FAULT_GENEVE_FIELD, "geneve.geneve_encap.ip",
                  "missing; give outer_ipv4_pair or outer_ipv6_pair");
    } else {
        check_outer(&encap->outer, "geneve.geneve_encap.", "outer_ipv4_pair",
                    "outer_ipv6_pair", OTD_FAULT_GENEVE_FIELD, faults);
    }
    if (encap->inner_mac.has_src
        && eth_addr_is_multicast(encap->inner_mac.src)) {
        otd_fault(faults, OTD_FAULT_GENEVE_FIELD,
                  "geneve.geneve_encap.inner_mac_pair.source_mac",
                  ETH_ADDR_FMT" is a multicast address; use the address of "
                  "one host", ETH_ADDR_ARGS(encap->inner_mac.src));
    }
    check_vni(encap->vni, OTD_FAULT_GENEVE_FIELD, "geneve.geneve_encap.vni",
              faults);
    check_protocol_type(encap->protocol_type,
                        "geneve.geneve_encap.protocol_type", faults);
    if (encap->critical_option_present != critical) {
        otd_fault(faults, OTD_FAULT_GENEVE_FIELD,
                  "geneve.geneve_encap.critical_option_present",
                  critical
                  ? "false with an option whose type has the critical bit "
                    "0x80; set it, as the switch does"
                  : "true without an option whose type has the critical bit "
                    "0x80; leave it out, as the switch does");
    }
    if (spec->match.kind == OTD_MATCH_GENEVE) {
        otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                  "match_criteria.geneve_match", "an encapsulating tunnel "
                  "sees no Geneve header; make a decapsulating tunnel with "
                  "this match and name it in match_criteria.tunnel_id");
    }
}

static void
check_decap(const struct otd_spec *spec, struct otd_faults *faults)
{
    const struct otd_match *match = &spec->match;

    if (!match->present) {
        return;                 /* Reported already. */
    }
    if (match->kind == OTD_MATCH_VXLAN) {
        otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                  "match_criteria.vxlan_match", "a Geneve packet has no VXLAN "
                  "header; use geneve_match");
    } else if (match->kind != OTD_MATCH_GENEVE && !match->tunnel_id) {
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS,
                  "match_criteria.geneve_match", "missing; a decapsulating "
                  "tunnel needs it, or the tunnel_id of the tunnel before it");
    }
    if (match->mac.has_dst || match->mac.has_src) {
        otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                  "match_criteria.mac_match", "the outer Ethernet header is "
                  "gone when the switch looks; match the inner one with "
                  "geneve_match.mac_match");
    }
    if (match->ingress_interface[0]) {
        otd_fault(faults, OTD_FAULT_MATCH_CAPABILITIES,
                  "match_criteria.ingress_interface", "decapsulated packets "
                  "arrive on the server's own Geneve port; match the outer "
                  "addresses instead");
    }
    /* OpenFlow has no field for the outer family alone. */
    if (match->ip.family != OTD_FAMILY_NONE
        && !ip_match_is_given(&match->ip)) {
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS,
                  match->ip.family == OTD_FAMILY_IPV4
                  ? "match_criteria.ipv4_match" : "match_criteria.ipv6_match",
                  "names no outer address; name one, or leave it out");
    }
}

/* ---- IPsec and NAT. */

/* Bytes of key and of salt for each EncType: RFC 4106 (GCM), 4309 (CCM). */
static const struct cipher {
    const char *name;
    uint8_t key, salt;
} ciphers[] = {
    { "AES256GCM64", 32, 4 }, { "AES256GCM96", 32, 4 },
    { "AES256GCM128", 32, 4 }, { "AES128GCM64", 16, 4 },
    { "AES128GCM96", 16, 4 }, { "AES128GCM128", 16, 4 },
    { "AES256CCM64", 32, 3 }, { "AES256CCM96", 32, 3 },
    { "AES256CCM128", 32, 3 }, { "AES128CCM64", 16, 3 },
    { "AES128CCM96", 16, 3 }, { "AES128CCM128", 16, 3 },
};

enum { TRANSPORT, TUNNEL, TRANSPORT_NAT_TRAVERSAL, TUNNEL_NAT_TRAVERSAL,
       N_TUNNEL_TYPES };

static void
check_sa(const struct otd_ipsec_sa *sa, const struct cipher *cipher,
         const char *parent, struct otd_faults *faults)
{
    char path[128];

    snprintf(path, sizeof path, "%s.spi", parent);
    if (!sa->spi) {
        otd_fault(faults, OTD_FAULT_IPSEC_MISSING_FIELDS, path, "missing; use "
                  "%d or more", SPI_MIN);
    } else if (sa->spi < SPI_MIN) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "%"PRIu32" is "
                  "reserved; use %d or more", sa->spi, SPI_MIN);
    }
    if (sa->operation > OTD_OP_DELETE) {
        snprintf(path, sizeof path, "%s.operation", parent);
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "%"PRIu32" is not "
                  "known; use _CREATE (1), _UPDATE (2) or _DELETE (3)",
                  sa->operation);
    }

    snprintf(path, sizeof path, "%s.encryption_key", parent);
    if (!sa->key_len) {
        if (sa->operation != OTD_OP_DELETE) {
            otd_fault(faults, OTD_FAULT_IPSEC_MISSING_FIELDS, path, "missing");
        }
    } else if (cipher) {
        unsigned int key = cipher->key;
        unsigned int all = cipher->key + cipher->salt;
        bool raw = sa->key_len == key || sa->key_len == all;
        bool hex = sa->key_len == 2 * key || sa->key_len == 2 * all;

        if (!raw && !hex) {
            otd_fault(faults, OTD_FAULT_IPSEC_KEY, path, "%"PRIu32" bytes; %s "
                      "takes %u, or %u with the salt, or twice as many "
                      "hexadecimal digits", sa->key_len, cipher->name, key,
                      all);
        } else if (!raw && !sa->key_is_hex) {
            otd_fault(faults, OTD_FAULT_IPSEC_KEY, path, "%"PRIu32" bytes "
                      "that are not all hexadecimal digits; %s takes %u raw bytes, "
                      "or %u with the salt", sa->key_len, cipher->name, key,
                      all);
        }
    }
}

static void
check_ipsec(const struct otd_spec *spec, struct otd_faults *faults)
{
    const struct otd_ipsec *ipsec = &spec->ipsec;
    bool enc = spec->kind == OTD_KIND_IPSEC_ENC;
    const char *parent = enc ? "ipsec_tunnel.ipsec_enc."
                             : "ipsec_tunnel.ipsec_dec.";
    const struct cipher *cipher = NULL;
    char path[64];

    if (ipsec->tunnel_type >= N_TUNNEL_TYPES) {
        snprintf(path, sizeof path, "%stunnel_type", parent);
        otd_fault(faults, OTD_FAULT_IPSEC_TUNNEL_TYPE, path, "%"PRIu32" is "
                  "not known; use 0 to %d", ipsec->tunnel_type,
                  N_TUNNEL_TYPES - 1);
    }
    if (ipsec->encryption_type < ARRAY_SIZE(ciphers)) {
        cipher = &ciphers[ipsec->encryption_type];
    } else {
        snprintf(path, sizeof path, "%sencryption_type", parent);
        otd_fault(faults, OTD_FAULT_IPSEC_ENCRYPTION, path, "%"PRIu32" is not "
                  "known; use 0 to %"PRIuSIZE, ipsec->encryption_type,
                  ARRAY_SIZE(ciphers) - 1);
    }

    if (!ipsec->n_sas) {
        snprintf(path, sizeof path, "%s%s", parent,
                 enc ? "ipsec_sa" : "ipsec_sas");
        otd_fault(faults, OTD_FAULT_IPSEC_MISSING_FIELDS, path, "missing; "
                  "give an SPI and a key");
    }
    for (size_t i = 0; i < ipsec->n_sas; i++) {
        if (enc) {
            snprintf(path, sizeof path, "%sipsec_sa", parent);
        } else {
            snprintf(path, sizeof path, "%sipsec_sas[%"PRIuSIZE"]", parent, i);
        }
        check_sa(&ipsec->sas[i], cipher, path, faults);
    }

    if (ipsec->outer.family != OTD_FAMILY_NONE) {
        check_outer(&ipsec->outer, parent, "ipv4_tunnel", "ipv6_tunnel",
                    OTD_FAULT_IPSEC_MISSING_FIELDS, faults);
    } else if (enc && (ipsec->tunnel_type == TUNNEL
                       || ipsec->tunnel_type == TUNNEL_NAT_TRAVERSAL)) {
        snprintf(path, sizeof path, "%stunnelIps", parent);
        otd_fault(faults, OTD_FAULT_IPSEC_MISSING_FIELDS, path, "missing; "
                  "give ipv4_tunnel or ipv6_tunnel");
    }

    otd_fault(faults, OTD_FAULT_TUNNEL_NOT_SUPPORTED, "ipsec_tunnel", "IPsec "
              "is not supported by this build's data plane yet");
}

static void
check_nat(const struct otd_spec *spec, struct otd_faults *faults)
{
    if (!spec->nat_source_ip) {
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS, "nat.source_ip",
                  "missing; give the new source address");
    }
    otd_fault(faults, OTD_FAULT_TUNNEL_NOT_SUPPORTED, "nat", "NAT is not "
              "supported by this build's data plane yet");
}

/* ---- The whole. */

static void
check_operation(uint32_t operation, struct otd_faults *faults)
{
    if (operation == OTD_OP_NONE) {
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS, "operation",
                  "missing; use _CREATE (1), _UPDATE (2) or _DELETE (3)");
    } else if (operation > OTD_OP_DELETE) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, "operation", "%"PRIu32" is "
                  "not known; use _CREATE (1), _UPDATE (2) or _DELETE (3)",
                  operation);
    }
}

static void
check_next_action(uint32_t action, struct otd_faults *faults)
{
    if (action == OTD_ACTION_NONE) {
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS, "next_action",
                  "missing; use FORWARD (1) or RECIRCULATE (2)");
    } else if (action > OTD_ACTION_RECIRCULATE) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, "next_action", "%"PRIu32" is "
                  "not known; use FORWARD (1) or RECIRCULATE (2)", action);
    }
}

void
otd_spec_check(const struct otd_spec *spec, const struct otd_caps *caps,
               struct otd_faults *faults)
{
    check_operation(spec->operation, faults);
    check_next_action(spec->next_action, faults);
    check_match(spec, caps, faults);

    switch (spec->kind) {
    case OTD_KIND_NONE:
    case OTD_N_KINDS:
        otd_fault(faults, OTD_FAULT_MATCH_MISSING_FIELDS, "tunnel", "missing; "
                  "give geneve with geneve_encap or geneve_decap");
        break;
    case OTD_KIND_GENEVE_ENCAP:
        check_encap(spec, faults);
        break;
    case OTD_KIND_GENEVE_DECAP:
        check_decap(spec, faults);
        break;
    case OTD_KIND_IPSEC_ENC:
    case OTD_KIND_IPSEC_DEC:
        check_ipsec(spec, faults);
        break;
    case OTD_KIND_NAT:
        check_nat(spec, faults);
        break;
    }
}
