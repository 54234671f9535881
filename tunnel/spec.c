/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tunnel/spec.h"

#include <arpa/inet.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "util.h"

void
otd_spec_init(struct otd_spec *spec)
{
    memset(spec, 0, sizeof *spec);
}

const char *
otd_kind_to_string(enum otd_kind kind)
{
    static const char *const names[] = {
        [OTD_KIND_NONE] = "none",
        [OTD_KIND_GENEVE_ENCAP] = "geneve encap",
        [OTD_KIND_GENEVE_DECAP] = "geneve decap",
        [OTD_KIND_IPSEC_ENC] = "ipsec enc",
        [OTD_KIND_IPSEC_DEC] = "ipsec dec",
        [OTD_KIND_NAT] = "nat",
    };
    BUILD_ASSERT_DECL(ARRAY_SIZE(names) == OTD_N_KINDS);

    return kind < OTD_N_KINDS ? names[kind] : "?";
}

void
otd_ip_format(const struct in6_addr *ip, struct ds *ds)
{
    char s[INET6_ADDRSTRLEN];

    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        inet_ntop(AF_INET, ip->s6_addr + 12, s, sizeof s);
    } else {
        inet_ntop(AF_INET6, ip, s, sizeof s);
    }
    ds_put_cstr(ds, s);
}

static bool
ip_is_given(const struct in6_addr *ip)
{
    return (IN6_IS_ADDR_V4MAPPED(ip)
            ? ip->s6_addr[12] || ip->s6_addr[13] || ip->s6_addr[14]
              || ip->s6_addr[15]
            : !IN6_IS_ADDR_UNSPECIFIED(ip));
}

static void
format_ip_pair(const struct otd_ip_pair *pair, struct ds *ds)
{
    if (pair->family == OTD_FAMILY_NONE) {
        return;
    }
    ds_put_char(ds, ' ');
    if (ip_is_given(&pair->src)) {
        otd_ip_format(&pair->src, ds);
    } else {
        ds_put_cstr(ds, "any");
    }
    ds_put_cstr(ds, " > ");
    otd_ip_format(&pair->dst, ds);
}

static void
format_prefix(const char *name, const struct in6_addr *ip, uint32_t plen,
              uint32_t full, struct ds *ds)
{
    if (plen || ip_is_given(ip)) {
        ds_put_format(ds, " %s ", name);
        otd_ip_format(ip, ds);
        if (plen != full) {
            ds_put_format(ds, "/%"PRIu32, plen);
        }
    }
}

static void
format_ip_match(const struct otd_ip_match *match, struct ds *ds)
{
    if (match->family != OTD_FAMILY_NONE) {
        bool v4 = match->family == OTD_FAMILY_IPV4;

        ds_put_cstr(ds, v4 ? " ip" : " ipv6");
        format_prefix("src", &match->src, match->src_plen, v4 ? 32 : 128, ds);
        format_prefix("dst", &match->dst, match->dst_plen, v4 ? 32 : 128, ds);
    }
}

static void
format_mac_pair(const struct otd_mac_pair *pair, struct ds *ds)
{
    if (pair->has_src) {
        ds_put_format(ds, " mac src "ETH_ADDR_FMT, ETH_ADDR_ARGS(pair->src));
    }
    if (pair->has_dst) {
        ds_put_format(ds, " mac dst "ETH_ADDR_FMT, ETH_ADDR_ARGS(pair->dst));
    }
}

static void
format_options(const struct otd_geneve_encap *encap, struct ds *ds)
{
    struct otd_geneve_option option;

    for (size_t ofs = 0; otd_geneve_option_next(encap, &ofs, &option); ) {
        ds_put_format(ds, " option 0x%04x/0x%02x=0x", option.opt_class,
                      option.type);
        for (size_t i = 0; i < option.len; i++) {
            ds_put_format(ds, "%02x", option.data[i]);
        }
    }
}

static void
format_ipsec(const struct otd_ipsec *ipsec, struct ds *ds)
{
    format_ip_pair(&ipsec->outer, ds);
    ds_put_format(ds, " type %"PRIu32" cipher %"PRIu32, ipsec->tunnel_type,
                  ipsec->encryption_type);
    for (size_t i = 0; i < ipsec->n_sas; i++) {
        ds_put_format(ds, " spi %"PRIu32, ipsec->sas[i].spi);
    }
}

static void
format_kind(const struct otd_spec *spec, struct ds *ds)
{
    ds_put_cstr(ds, otd_kind_to_string(spec->kind));
    switch (spec->kind) {
    case OTD_KIND_GENEVE_ENCAP:
        format_ip_pair(&spec->encap.outer, ds);
        ds_put_format(ds, " vni %"PRIu32, spec->encap.vni);
        format_mac_pair(&spec->encap.inner_mac, ds);
        if (spec->encap.control_packet) {
            ds_put_cstr(ds, " control");
        }
        format_options(&spec->encap, ds);
        break;
    case OTD_KIND_IPSEC_ENC:
    case OTD_KIND_IPSEC_DEC:
        format_ipsec(&spec->ipsec, ds);
        break;
    case OTD_KIND_NAT: {
        struct in6_addr ip = otd_ip4_from_wire(spec->nat_source_ip);

        ds_put_cstr(ds, " to ");
        otd_ip_format(&ip, ds);
        break;
    }
    case OTD_KIND_NONE:
    case OTD_KIND_GENEVE_DECAP:
    case OTD_N_KINDS:
        break;
    }
}

static void
format_match(const struct otd_match *match, struct ds *ds)
{
    ds_put_cstr(ds, "; match");
    if (match->tunnel_id) {
        ds_put_format(ds, " tunnel %"PRIu64, match->tunnel_id);
    }
    if (match->ingress_interface[0]) {
        ds_put_format(ds, " port %s", match->ingress_interface);
    }
    format_mac_pair(&match->mac, ds);
    format_ip_match(&match->ip, ds);
    switch (match->kind) {
    case OTD_MATCH_PLAIN:
        return;
    case OTD_MATCH_IPSEC:
        ds_put_format(ds, " ipsec spi %"PRIu32, match->spi);
        return;
    case OTD_MATCH_GENEVE:
        ds_put_format(ds, " geneve vni %"PRIu32, match->overlay.vni);
        break;
    case OTD_MATCH_VXLAN:
        ds_put_format(ds, " vxlan vni %"PRIu32, match->overlay.vni);
        break;
    }
    format_mac_pair(&match->overlay.mac, ds);
    format_ip_match(&match->overlay.ip, ds);
}

void
otd_spec_format(const struct otd_spec *spec, struct ds *ds)
{
    format_kind(spec, ds);
    if (spec->match.present) {
        format_match(&spec->match, ds);
    }
    switch (spec->next_action) {
    case OTD_ACTION_FORWARD:
        ds_put_cstr(ds, "; forward");
        break;
    case OTD_ACTION_RECIRCULATE:
        ds_put_cstr(ds, "; recirculate");
        break;
    case OTD_ACTION_NONE:
        break;
    default:                    /* Not an enum: what the client sent. */
        ds_put_format(ds, "; action %"PRIu32, spec->next_action);
        break;
    }
}
