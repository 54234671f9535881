/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that read from the server: capabilities, list, show. */
#include <config.h>
#include "cli/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/print.h"
#include "cli/stats.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

static void
add_text(struct table *table, char *text)
{
    table_add_cell(table)->text = text;
}

static void
print_and_destroy(const struct ctl *ctl, struct table *table)
{
    table_print(table, &ctl->style);
    table_destroy(table);
}

/* ---- capabilities. */

static void
add_capability(struct table *table, const char *name, char *value)
{
    table_add_row(table);
    add_text(table, xstrdup(name));
    add_text(table, value);
}

/* Names of the enum values, or "none".  Returns owned. */
static char *
enum_list(const ProtobufCEnumDescriptor *desc, const void *values_, size_t n)
{
    const int *values = values_;
    struct ds ds = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < n; i++) {
        ds_put_cstr(&ds, i ? ", " : "");
        otd_format_enum(&ds, desc, values[i], 0);
    }
    if (!n) {
        ds_put_cstr(&ds, "none");
    }
    return ds_steal_cstr(&ds);
}

static void
print_capabilities(const struct ctl *ctl,
                   const Tunneloffload__V2__CapabilityResponse *r)
{
    static const Tunneloffload__V2__CapabilityResponse__MatchCapabilities no
        = PB(CAPABILITY_RESPONSE__MATCH_CAPABILITIES__INIT);
    const Tunneloffload__V2__CapabilityResponse__MatchCapabilities *m
        = r->match_capabilities ? r->match_capabilities : &no;
    const Tunneloffload__V2__CapabilityResponse__IPSecCapabilities *ipsec
        = r->ipsec_capabilities;
    const struct { const char *name; bool value; } matches[] = {
        { "match on ingress interface", m->ingress_interface_matching },
        { "match on Geneve header", m->geneve_matching },
        { "match on VXLAN header", m->vxlan_matching },
        { "match on tunnel id", m->tunnel_matching },
        { "match on SPI", m->spi_matching },
    };
    struct table table;

    table_init(&table);
    table_add_column(&table, "capability");
    table_add_column(&table, "value");
    for (size_t i = 0; i < ARRAY_SIZE(matches); i++) {
        add_capability(&table, matches[i].name,
                       xstrdup(matches[i].value ? "yes" : "no"));
    }
    add_capability(&table, "Geneve options of 4 bytes", xasprintf(
        "%"PRIu32, r->geneve_capabilities
        ? r->geneve_capabilities->number_geneve_options_supported : 0));
    add_capability(&table, "IPsec modes", enum_list(
        &tunneloffload__v2__ipsec_tunnel_type__descriptor,
        ipsec ? ipsec->tunnel_type_supported : NULL,
        ipsec ? ipsec->n_tunnel_type_supported : 0));
    add_capability(&table, "IPsec ciphers", enum_list(
        &tunneloffload__v2__enc_type__descriptor,
        ipsec ? ipsec->encryption_supported : NULL,
        ipsec ? ipsec->n_encryption_supported : 0));
    print_and_destroy(ctl, &table);
}

int
ctl_capabilities(struct ctl *ctl)
{
    Tunneloffload__V2__CapabilityRequest request
        = PB(CAPABILITY_REQUEST__INIT);
    ProtobufCMessage *m;

    m = ctl_unary(ctl, CTL_METHOD("Capabilities"), &request.base,
                  &tunneloffload__v2__capability_response__descriptor);
    if (!m) {
        return CTL_FAILED;
    }
    if (ctl_is_json(ctl)) {
        ctl_json_print(ctl, otd_message_to_json(m));
    } else {
        print_capabilities(
            ctl, (const Tunneloffload__V2__CapabilityResponse *) m);
    }
    protobuf_c_message_free_unpacked(m, NULL);
    return CTL_OK;
}

/* ---- list. */

struct lister {
    const struct ctl *ctl;
    struct ctl_json_array json;
    struct table table;
};

static void
list_page(const ProtobufCMessage *m, void *lister_)
{
    const Tunneloffload__V2__IpTunnelResponses *page
        = (const Tunneloffload__V2__IpTunnelResponses *) m;
    struct lister *l = lister_;

    for (size_t i = 0; i < page->n_responses; i++) {
        const Tunneloffload__V2__IpTunnelResponse *r = page->responses[i];
        struct ds tunnel = DS_EMPTY_INITIALIZER;
        struct ds match = DS_EMPTY_INITIALIZER;

        if (!r->ip_tunnel) {
            continue;
        }
        if (ctl_is_json(l->ctl)) {
            /* Requests, so that the output can be given to create --file. */
            ctl_json_array_add(&l->json,
                               otd_message_to_json(&r->ip_tunnel->base));
            continue;
        }
        otd_format_tunnel(&tunnel, r->ip_tunnel);
        otd_format_match(&match, r->ip_tunnel->match_criteria);
        table_add_row(&l->table);
        add_text(&l->table, xasprintf("%"PRIu64, r->tunnel_id));
        add_text(&l->table, ds_steal_cstr(&match));
        add_text(&l->table, ds_steal_cstr(&tunnel));
        add_text(&l->table, xstrdup(otd_action_to_string(
                                        r->ip_tunnel->next_action)));
    }
}

int
ctl_list(struct ctl *ctl)
{
    Tunneloffload__V2__TunnelRequestArgs args = PB(TUNNEL_REQUEST_ARGS__INIT);
    struct lister l = { .ctl = ctl };
    bool ok;

    if (!ctl_connect(ctl)) {
        return CTL_FAILED;
    }
    table_init(&l.table);
    table_add_column(&l.table, "id");
    table_add_column(&l.table, "match");
    table_add_column(&l.table, "tunnel");
    table_add_column(&l.table, "next");
    if (ctl_is_json(ctl)) {
        ctl_json_array_begin(&l.json, ctl);
    }
    ok = ctl_read(ctl, CTL_METHOD("GetAllIpTunnels"), &args.base,
                  &tunneloffload__v2__ip_tunnel_responses__descriptor,
                  list_page, &l);
    if (ctl_is_json(ctl)) {
        ctl_json_array_end(&l.json);
    } else if (ok) {
        table_print(&l.table, &ctl->style);
    }
    table_destroy(&l.table);
    return ok ? CTL_OK : CTL_FAILED;
}

/* ---- show. */

static void
print_tunnel(const struct ctl *ctl,
             const Tunneloffload__V2__IpTunnelResponse *r)
{
    static const char *const names[] = { "id", "match", "tunnel", "next" };
    struct ds tunnel = DS_EMPTY_INITIALIZER;
    struct ds match = DS_EMPTY_INITIALIZER;
    struct table_style style = ctl->style;
    struct table table;

    if (!ctl->format_given) {
        style.format = TF_LIST;         /* Twelve columns are too wide. */
    }
    table_init(&table);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        table_add_column(&table, "%s", names[i]);
    }
    otd_stats_add_columns(&table);
    otd_format_tunnel(&tunnel, r->ip_tunnel);
    otd_format_match(&match, r->ip_tunnel->match_criteria);
    table_add_row(&table);
    add_text(&table, xasprintf("%"PRIu64, r->tunnel_id));
    add_text(&table, ds_steal_cstr(&match));
    add_text(&table, ds_steal_cstr(&tunnel));
    add_text(&table, xstrdup(otd_action_to_string(r->ip_tunnel->next_action)));
    otd_stats_add_cells(&table, r->tunnel_counters);
    table_print(&table, &style);
    table_destroy(&table);
}

int
ctl_show(struct ctl *ctl)
{
    Tunneloffload__V2__TunnelId id = PB(TUNNEL_ID__INIT);
    const Tunneloffload__V2__IpTunnelResponse *r;
    ProtobufCMessage *m;
    int retval = CTL_OK;

    if (!ctl_parse_id(ctl->argv[0], &id.tunnel_id)) {
        return CTL_USAGE;
    }
    m = ctl_unary(ctl, CTL_METHOD("GetIpTunnel"), &id.base,
                  &tunneloffload__v2__ip_tunnel_response__descriptor);
    if (!m) {
        return CTL_FAILED;
    }
    r = (const Tunneloffload__V2__IpTunnelResponse *) m;
    if (r->error || !r->ip_tunnel) {
        retval = ctl_error("tunnel %"PRIu64": %s", id.tunnel_id,
                           r->error ? r->error->error_string
                           : "the answer is empty");
    } else if (ctl_is_json(ctl)) {
        ctl_json_print(ctl, otd_message_to_json(m));
    } else {
        print_tunnel(ctl, r);
    }
    protobuf_c_message_free_unpacked(m, NULL);
    return retval;
}
