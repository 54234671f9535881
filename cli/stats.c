/* SPDX-License-Identifier: Apache-2.0 */
/* The command stats: counters, once or again and again. */
#include <config.h>
#include "cli/stats.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/ctl.h"
#include "cli/message.h"
#include "cli/print.h"
#include "hash.h"
#include "openvswitch/hmap.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "util.h"

static const char *const counter_names[] = {
    "in packets", "in bytes", "out packets", "out bytes",
    "in drops", "in drop bytes", "out drops", "out drop bytes",
};

static void
counters_to_array(const Tunneloffload__V2__Counters *c, uint64_t values[8])
{
    static const Tunneloffload__V2__Counters zero = PB(COUNTERS__INIT);

    c = c ? c : &zero;
    values[0] = c->in_packets;
    values[1] = c->in_bytes;
    values[2] = c->out_packets;
    values[3] = c->out_bytes;
    values[4] = c->in_packets_drops;
    values[5] = c->in_bytes_drops;
    values[6] = c->out_packets_drops;
    values[7] = c->out_bytes_drops;
}

void
otd_stats_add_columns(struct table *table)
{
    for (size_t i = 0; i < ARRAY_SIZE(counter_names); i++) {
        table_add_column(table, "%s", counter_names[i]);
    }
}

void
otd_stats_add_cells(struct table *table, const Tunneloffload__V2__Counters *c)
{
    uint64_t values[8];

    counters_to_array(c, values);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        table_add_cell(table)->text = xasprintf("%"PRIu64, values[i]);
    }
}

/* What --watch showed last of a tunnel. */
struct seen {
    struct hmap_node node;      /* In 'seen', by id. */
    uint64_t id;
    uint64_t packets[2];        /* In, out. */
    long long int when;
};

/* One reading, of one tunnel or of all. */
struct reading {
    const struct ctl *ctl;
    struct hmap *seen;          /* NULL without --watch. */
    long long int now;
    struct ctl_json_array json;
    struct table table;
};

/* Adds a rate per second since the last reading; "-" at the first. */
static void
add_rates(struct reading *r, uint64_t id,
          const Tunneloffload__V2__Counters *counters)
{
    uint32_t hash = hash_uint64(id);
    struct seen *s, *found = NULL;
    uint64_t values[8];

    counters_to_array(counters, values);
    HMAP_FOR_EACH_WITH_HASH (s, node, hash, r->seen) {
        if (s->id == id) {
            found = s;
        }
    }
    s = found ? found : xzalloc(sizeof *s);
    for (int i = 0; i < 2; i++) {
        double ms = MAX(1, r->now - s->when);
        uint64_t now = values[2 * i];

        table_add_cell(&r->table)->text = found && now >= s->packets[i]
            ? xasprintf("%.0f", (now - s->packets[i]) * 1000 / ms)
            : xstrdup("-");
        s->packets[i] = now;
    }
    s->when = r->now;
    if (!found) {
        s->id = id;
        hmap_insert(r->seen, &s->node, hash);
    }
}

static void
add_stats(struct reading *r, const Tunneloffload__V2__IpTunnelStatsResponse *s)
{
    if (ctl_is_json(r->ctl)) {
        ctl_json_array_add(&r->json, otd_message_to_json(&s->base));
        return;
    }
    table_add_row(&r->table);
    table_add_cell(&r->table)->text = xasprintf("%"PRIu64, s->tunnel_id);
    otd_stats_add_cells(&r->table, s->tunnel_counters);
    if (r->seen) {
        add_rates(r, s->tunnel_id, s->tunnel_counters);
    }
}

static void
stats_page(const ProtobufCMessage *m, void *r)
{
    const Tunneloffload__V2__IpTunnelStatsResponses *page
        = (const Tunneloffload__V2__IpTunnelStatsResponses *) m;

    for (size_t i = 0; i < page->n_responses; i++) {
        add_stats(r, page->responses[i]);
    }
}

static bool
read_one(struct ctl *ctl, uint64_t tunnel_id, struct reading *r)
{
    Tunneloffload__V2__TunnelId id = PB(TUNNEL_ID__INIT);
    const Tunneloffload__V2__IpTunnelStatsResponse *s;
    ProtobufCMessage *m;
    bool ok;

    id.tunnel_id = tunnel_id;
    m = ctl_unary(ctl, CTL_METHOD("GetIpTunnelStats"), &id.base,
                  &tunneloffload__v2__ip_tunnel_stats_response__descriptor);
    if (!m) {
        return false;
    }
    s = (const Tunneloffload__V2__IpTunnelStatsResponse *) m;
    ok = !s->error;
    if (ok) {
        add_stats(r, s);
    } else {
        ctl_error("tunnel %"PRIu64": %s", tunnel_id, s->error->error_string);
    }
    protobuf_c_message_free_unpacked(m, NULL);
    return ok;
}

static bool
read_stats(struct ctl *ctl, uint64_t id, struct hmap *seen)
{
    Tunneloffload__V2__TunnelRequestArgs args = PB(TUNNEL_REQUEST_ARGS__INIT);
    struct reading r = { .ctl = ctl, .seen = seen, .now = time_msec() };
    bool ok;

    if (!ctl_connect(ctl)) {
        return false;
    }
    table_init(&r.table);
    table_add_column(&r.table, "id");
    otd_stats_add_columns(&r.table);
    if (seen) {
        table_add_column(&r.table, "in/s");
        table_add_column(&r.table, "out/s");
        table_set_timestamp(&r.table, true);
    }
    if (ctl_is_json(ctl)) {
        ctl_json_array_begin(&r.json, ctl);
    }
    ok = id ? read_one(ctl, id, &r)
         : ctl_read(ctl, CTL_METHOD("GetAllIpTunnelsStats"), &args.base,
                    &tunneloffload__v2__ip_tunnel_stats_responses__descriptor,
                    stats_page, &r);
    if (ctl_is_json(ctl)) {
        ctl_json_array_end(&r.json);
    } else if (ok) {
        table_print(&r.table, &ctl->style);
    }
    fflush(stdout);
    table_destroy(&r.table);
    return ok;
}

int
ctl_stats(struct ctl *ctl)
{
    struct hmap seen = HMAP_INITIALIZER(&seen);
    struct seen *s;
    uint64_t id = 0;
    bool ok;

    if (ctl->argc && !ctl_parse_id(ctl->argv[0], &id)) {
        return CTL_USAGE;
    }
    for (unsigned int i = 1; ; i++) {
        ok = read_stats(ctl, id, ctl->watch ? &seen : NULL);
        if (!ok || !ctl->watch || (ctl->count && i >= ctl->count)) {
            break;
        }
        poll(NULL, 0, ctl->watch * 1000);
    }
    HMAP_FOR_EACH_POP (s, node, &seen) {
        free(s);
    }
    hmap_destroy(&seen);
    return ok ? CTL_OK : CTL_FAILED;
}
