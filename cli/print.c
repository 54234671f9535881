/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/print.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "openvswitch/dynamic-string.h"
#include "util.h"

#define GENEVE_IP(NAME) PB(MATCH_CRITERIA__GENEVE_MATCH__IP_MATCH_##NAME)
#define VXLAN_IP(NAME) PB(MATCH_CRITERIA__VXLAN_MATCH__IP_MATCH_##NAME)
#define GENEVE_KIND(NAME) PB(GENEVE__ENCAP_DECAP_##NAME)

/* Takes 'text'. */
static void
put_owned(struct ds *ds, char *text)
{
    ds_put_cstr(ds, text);
    free(text);
}

static void
put_ip4(struct ds *ds, uint32_t ip)
{
    if (ip) {
        put_owned(ds, otd_ip4_to_text(ip));
    } else {
        ds_put_cstr(ds, "any");
    }
}

static void
put_bytes(struct ds *ds, enum otd_field_role role, ProtobufCBinaryData b)
{
    if (b.len) {
        put_owned(ds, otd_bytes_to_text(role, b.data, b.len));
    } else {
        ds_put_cstr(ds, "any");
    }
}

static void
put_pair4(struct ds *ds, const Tunneloffload__V2__IPV4Pair *p)
{
    put_ip4(ds, p->source_ip);
    ds_put_cstr(ds, " > ");
    put_ip4(ds, p->destination_ip);
}

static void
put_pair6(struct ds *ds, const Tunneloffload__V2__IPV6Pair *p)
{
    put_bytes(ds, OTD_ROLE_IPV6, p->source_ip);
    ds_put_cstr(ds, " > ");
    put_bytes(ds, OTD_ROLE_IPV6, p->destination_ip);
}

static void
put_prefix_len(struct ds *ds, bool given, uint32_t len, uint32_t full)
{
    if (given && len != full) {
        ds_put_format(ds, "/%"PRIu32, len);
    }
}

static void
put_match4(struct ds *ds, const Tunneloffload__V2__IPV4Match *m)
{
    put_ip4(ds, m->source_ip);
    put_prefix_len(ds, m->source_ip, m->source_ip_prefix, 32);
    ds_put_cstr(ds, " > ");
    put_ip4(ds, m->destination_ip);
    put_prefix_len(ds, m->destination_ip, m->destination_ip_prefix, 32);
}

static void
put_match6(struct ds *ds, const Tunneloffload__V2__IPV6Match *m)
{
    put_bytes(ds, OTD_ROLE_IPV6, m->source_ip);
    put_prefix_len(ds, m->source_ip.len, m->source_ip_prefix, 128);
    ds_put_cstr(ds, " > ");
    put_bytes(ds, OTD_ROLE_IPV6, m->destination_ip);
    put_prefix_len(ds, m->destination_ip.len, m->destination_ip_prefix, 128);
}

static void
put_macs(struct ds *ds, const char *what, const Tunneloffload__V2__MacPair *p)
{
    if (p && (p->source_mac.len || p->destination_mac.len)) {
        ds_put_format(ds, "%s", what);
        put_bytes(ds, OTD_ROLE_MAC, p->source_mac);
        ds_put_cstr(ds, " > ");
        put_bytes(ds, OTD_ROLE_MAC, p->destination_mac);
    }
}

/* ---- The match. */

static void
put_geneve_match(struct ds *ds,
                 const Tunneloffload__V2__MatchCriteria__GeneveMatch *m)
{
    ds_put_format(ds, ", geneve vni %"PRIu32, m->vni);
    if (m->protocol_type) {
        ds_put_format(ds, " protocol 0x%04"PRIx32, m->protocol_type);
    }
    put_macs(ds, " inner ", m->mac_match);
    if (m->ip_match_case == GENEVE_IP(IPV4_MATCH)) {
        ds_put_cstr(ds, " inner ");
        put_match4(ds, m->ipv4_match);
    } else if (m->ip_match_case == GENEVE_IP(IPV6_MATCH)) {
        ds_put_cstr(ds, " inner ");
        put_match6(ds, m->ipv6_match);
    }
}

static void
put_vxlan_match(struct ds *ds,
                const Tunneloffload__V2__MatchCriteria__VXLanMatch *m)
{
    ds_put_format(ds, ", vxlan vni %"PRIu32, m->vni);
    put_macs(ds, " inner ", m->mac_match);
    if (m->ip_match_case == VXLAN_IP(IPV4_MATCH)) {
        ds_put_cstr(ds, " inner ");
        put_match4(ds, m->ipv4_match);
    } else if (m->ip_match_case == VXLAN_IP(IPV6_MATCH)) {
        ds_put_cstr(ds, " inner ");
        put_match6(ds, m->ipv6_match);
    }
}

void
otd_format_match(struct ds *ds, const Tunneloffload__V2__MatchCriteria *m)
{
    size_t start = ds->length;

    if (!m) {
        ds_put_cstr(ds, "any");
        return;
    }
    if (m->ingress_interface[0]) {
        ds_put_format(ds, ", in %s", m->ingress_interface);
    }
    put_macs(ds, ", ", m->mac_match);
    if (m->ip_match_case == PB(MATCH_CRITERIA__IP_MATCH_IPV4_MATCH)) {
        ds_put_cstr(ds, ", ");
        put_match4(ds, m->ipv4_match);
    } else if (m->ip_match_case == PB(MATCH_CRITERIA__IP_MATCH_IPV6_MATCH)) {
        ds_put_cstr(ds, ", ");
        put_match6(ds, m->ipv6_match);
    }
    if (m->tunnel_id) {
        ds_put_format(ds, ", after tunnel %"PRIu64, m->tunnel_id);
    }
    if (m->match_case == PB(MATCH_CRITERIA__MATCH_IPSEC_MATCH)) {
        ds_put_format(ds, ", spi %"PRIu32, m->ipsec_match->spi);
    } else if (m->match_case == PB(MATCH_CRITERIA__MATCH_GENEVE_MATCH)) {
        put_geneve_match(ds, m->geneve_match);
    } else if (m->match_case == PB(MATCH_CRITERIA__MATCH_VXLAN_MATCH)) {
        put_vxlan_match(ds, m->vxlan_match);
    }
    if (ds->length == start) {
        ds_put_cstr(ds, "any");
    } else {
        memmove(ds->string + start, ds->string + start + 2,
                ds->length - start - 2);
        ds_truncate(ds, ds->length - 2);
    }
}

/* ---- The tunnel. */

static void
put_encap(struct ds *ds, const Tunneloffload__V2__GeneveEncap *e)
{
    ds_put_cstr(ds, "geneve encap ");
    if (e->ip_case == PB(GENEVE_ENCAP__IP_OUTER_IPV4_PAIR)) {
        put_pair4(ds, e->outer_ipv4_pair);
    } else if (e->ip_case == PB(GENEVE_ENCAP__IP_OUTER_IPV6_PAIR)) {
        put_pair6(ds, e->outer_ipv6_pair);
    } else {
        ds_put_cstr(ds, "any > any");
    }
    ds_put_format(ds, " vni %"PRIu32, e->vni);
    put_macs(ds, " inner ", e->inner_mac_pair);
    if (e->protocol_type) {
        ds_put_format(ds, " protocol 0x%04"PRIx32, e->protocol_type);
    }
    if (e->control_packet) {
        ds_put_cstr(ds, " control");
    }
    for (size_t i = 0; i < e->n_geneve_option; i++) {
        const Tunneloffload__V2__GeneveOption *o = e->geneve_option[i];

        ds_put_format(ds, " option 0x%04"PRIx32"/0x%02"PRIx32"=",
                      o->option_class, o->type);
        put_owned(ds, otd_bytes_to_text(OTD_ROLE_DATA, o->data.data,
                                        o->data.len));
    }
}

void
otd_format_enum(struct ds *ds, const ProtobufCEnumDescriptor *desc, int value,
                size_t skip)
{
    const ProtobufCEnumValue *v
        = protobuf_c_enum_descriptor_get_value(desc, value);

    if (!v) {
        ds_put_format(ds, "%d", value);
        return;
    }
    for (const char *p = v->name + MIN(skip, strlen(v->name)); *p; p++) {
        if (*p == '_') {
            ds_put_cstr(ds, p > v->name ? "-" : "");
        } else {
            ds_put_char(ds, tolower((unsigned char) *p));
        }
    }
}

static void
put_ipsec(struct ds *ds, const char *what, int mode, int cipher)
{
    ds_put_format(ds, "%s ", what);
    otd_format_enum(ds, &tunneloffload__v2__ipsec_tunnel_type__descriptor,
                    mode, 0);
    ds_put_char(ds, ' ');
    otd_format_enum(ds, &tunneloffload__v2__enc_type__descriptor, cipher, 0);
}

static void
put_ipsec_enc(struct ds *ds, const Tunneloffload__V2__IPSecEnc *e)
{
    put_ipsec(ds, "ipsec enc", e->tunnel_type, e->encryption_type);
    if (e->tunnel_ips_case == PB(IPSEC_ENC__TUNNEL_IPS_IPV4_TUNNEL)) {
        ds_put_char(ds, ' ');
        put_pair4(ds, e->ipv4_tunnel);
    } else if (e->tunnel_ips_case == PB(IPSEC_ENC__TUNNEL_IPS_IPV6_TUNNEL)) {
        ds_put_char(ds, ' ');
        put_pair6(ds, e->ipv6_tunnel);
    }
    if (e->ipsec_sa) {
        ds_put_format(ds, " spi %"PRIu32, e->ipsec_sa->spi);
    }
}

static void
put_ipsec_dec(struct ds *ds, const Tunneloffload__V2__IPSecDec *d)
{
    put_ipsec(ds, "ipsec dec", d->tunnel_type, d->encryption_type);
    for (size_t i = 0; i < d->n_ipsec_sas; i++) {
        ds_put_format(ds, " spi %"PRIu32, d->ipsec_sas[i]->spi);
    }
}

static void
put_geneve(struct ds *ds, const Tunneloffload__V2__Geneve *g)
{
    if (g->encap_decap_case == GENEVE_KIND(GENEVE_ENCAP)) {
        put_encap(ds, g->geneve_encap);
    } else {
        ds_put_cstr(ds, g->encap_decap_case == GENEVE_KIND(GENEVE_DECAP)
                    ? "geneve decap" : "geneve");
    }
}

void
otd_format_tunnel(struct ds *ds, const Tunneloffload__V2__IpTunnelRequest *r)
{
    if (r->tunnel_case == PB(IP_TUNNEL_REQUEST__TUNNEL_GENEVE)) {
        put_geneve(ds, r->geneve);
    } else if (r->tunnel_case == PB(IP_TUNNEL_REQUEST__TUNNEL_IPSEC_TUNNEL)) {
        const Tunneloffload__V2__IPSecTunnel *t = r->ipsec_tunnel;

        if (t->ipsec_case == PB(IPSEC_TUNNEL__IPSEC_IPSEC_ENC)) {
            put_ipsec_enc(ds, t->ipsec_enc);
        } else if (t->ipsec_case == PB(IPSEC_TUNNEL__IPSEC_IPSEC_DEC)) {
            put_ipsec_dec(ds, t->ipsec_dec);
        } else {
            ds_put_cstr(ds, "ipsec");
        }
    } else if (r->tunnel_case == PB(IP_TUNNEL_REQUEST__TUNNEL_NAT)) {
        ds_put_cstr(ds, "nat ");
        put_ip4(ds, r->nat->source_ip);
    } else {
        ds_put_cstr(ds, "-");
    }
}

const char *
otd_action_to_string(Tunneloffload__V2__Action action)
{
    return action == PB(ACTION__FORWARD) ? "forward"
           : action == PB(ACTION__RECIRCULATE) ? "recirculate"
           : "-";
}
