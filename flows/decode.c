/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "flows/decode.h"

#include "byte-order.h"
#include "flows/flow.h"
#include "flows/pipeline.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/match.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-table.h"

static void
put_tunnel(struct ds *s, uint32_t key, const struct otd_names *names)
{
    if (names->tunnel) {
        names->tunnel(names->aux, key, s);
    } else {
        ds_put_format(s, "key %"PRIu32, key);
    }
}

void
otd_decode_flow(struct ds *s, uint8_t table_id, uint16_t priority,
                uint64_t cookie, const struct match *match,
                const struct ofpact *ofpacts, size_t ofpacts_len,
                const struct otd_names *names)
{
    const char *table = otd_table_name(table_id);
    struct ofputil_table_map tables;

    if (table) {
        ds_put_format(s, "%s: ", table);
    } else {
        ds_put_format(s, "table %"PRIu8": ", table_id);
    }
    if (otd_cookie_is_ours(cookie)) {
        switch ((enum otd_cookie_kind) otd_cookie_kind(cookie)) {
        case OTD_COOKIE_FIXED:
            ds_put_cstr(s, "pipeline: ");
            break;
        case OTD_COOKIE_TUNNEL:
            put_tunnel(s, otd_cookie_key(cookie), names);
            ds_put_cstr(s, ": ");
            break;
        case OTD_COOKIE_MISSING_NEXT:
            put_tunnel(s, otd_cookie_key(cookie), names);
            ds_put_cstr(s, " (next step missing): ");
            break;
        }
    } else {
        ds_put_format(s, "foreign cookie 0x%"PRIx64": ", cookie);
    }

    match_format(match, names->ports, s, priority);
    ds_put_cstr(s, " actions=");

    ofputil_table_map_init(&tables);
#define X(NAME, NUMBER, STRING, JOB) \
    ofputil_table_map_put(&tables, NUMBER, STRING);
    OTD_TABLES(X)
#undef X
    struct ofpact_format_params fp = {
        .port_map = names->ports, .table_map = &tables, .s = s,
    };
    ofpacts_format(ofpacts, ofpacts_len, &fp);
    ofputil_table_map_destroy(&tables);
}

void
otd_flow_format(struct ds *s, const struct otd_flow *f)
{
    struct ofputil_flow_stats fs = {
        .match = f->match,
        .cookie = htonll(f->cookie),
        .table_id = f->table_id,
        .priority = f->priority,
        .idle_age = -1,
        .hard_age = -1,
        .ofpacts = f->ofpacts.data,
        .ofpacts_len = f->ofpacts.size,
        .flags = f->send_flow_rem ? OFPUTIL_FF_SEND_FLOW_REM : 0,
    };

    ofputil_flow_stats_format(s, &fs, NULL, NULL, false);
}
