/* SPDX-License-Identifier: Apache-2.0 */
/* Flows to OpenFlow bytes and back, without a switch: the library's own
 * encoders and decoders are the other side. */
#include <config.h>
#include "ofctl/messages.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flows/flow.h"
#include "openflow/openflow.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/list.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-bundle.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-match.h"
#include "openvswitch/ofp-monitor.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-protocol.h"
#include "openvswitch/vlog.h"
#include "byte-order.h"
#include "util.h"

#define PROTOCOL OFPUTIL_P_OF15_OXM
#define XID htonl(0x12345678)

/* What the pipeline uses, and some that somebody else may have in a table. */
static const char *const flow_texts[] = {
    "actions=drop",
    "table=64,priority=1,actions=NORMAL",
    "table=0,cookie=0x746e010000000007,send_flow_rem,priority=9000,in_port=5,"
        "ip,nw_src=10.0.0.0/8,nw_dst=10.1.2.3,vlan_tci=0x0/0x1fff,"
        "actions=set_field:0x64->tun_id,set_field:172.16.0.1->tun_src,"
        "set_field:172.16.0.2->tun_dst,set_field:52:54:00:00:00:01->eth_src,"
        "set_field:52:54:00:00:00:02->eth_dst,set_field:1->reg4,"
        "set_field:0x7->reg5,resubmit(,64)",
    "table=5,priority=8192,reg4=1,reg5=0x7,ipv6,ipv6_dst=fd00::/64,"
        "actions=set_field:fd00::1->tun_ipv6_src,"
        "set_field:fd00::2->tun_ipv6_dst,resubmit(,64)",
    "table=0,priority=40000,in_port=7,tun_id=0x64,tun_src=172.16.0.2,"
        "tun_dst=172.16.0.1,tun_flags=oam,dl_dst=52:54:00:00:00:01,"
        "actions=set_field:9->reg5,resubmit(,7)",
    "actions=set_field:0x01020304->tun_metadata0,"
        "set_field:0x00000304->tun_metadata63,set_field:0->tun_metadata1,"
        "delete_field:tun_metadata2,resubmit(,5)",
    "tun_metadata0=0x1,tun_metadata3=0x5/0xff,actions=drop",
    "actions=set_field:0->in_port,output:7,output:in_port",
    "pkt_mark=0x100000/0xf00000,"
        "actions=set_field:0x200000/0xf00000->pkt_mark,LOCAL",
    "metadata=0x5/0xff,actions=goto_table:5",
    "udp,tp_dst=6081,actions=CONTROLLER:128,write_metadata:0x5,goto_table:9",
    "ip,ct_state=+trk,actions=ct(commit,zone=5,exec(set_field:1->ct_mark)),"
        "clone(set_field:1->reg1,output:1)",
};

/* ---- Fixture. */

static void
flow_from_text(const char *s, struct otd_flows *flows,
               struct ofputil_flow_mod *fm)
{
    enum ofputil_protocol usable;
    char *error = parse_ofp_str(fm, OFPFC_ADD, s, NULL, NULL, &usable);

    ck_assert_msg(!error, "%s: %s", s, error);
    if (fm->table_id == OFPTT_ALL) {
        fm->table_id = 0;       /* No "table=" in the text. */
    }
    struct otd_flow *flow = otd_flows_add(flows);
    flow->table_id = fm->table_id;
    flow->priority = fm->priority;
    flow->cookie = ntohll(fm->new_cookie);
    flow->send_flow_rem = (fm->flags & OFPUTIL_FF_SEND_FLOW_REM) != 0;
    minimatch_expand(&fm->match, &flow->match);
    ofpbuf_put(&flow->ofpacts, fm->ofpacts, fm->ofpacts_len);
}

static void
fm_destroy(struct ofputil_flow_mod *fm)
{
    free(fm->ofpacts);
    minimatch_destroy(&fm->match);
}

static void
assert_bytes(const void *got, size_t n_got, const void *wanted, size_t n)
{
    ck_assert_uint_eq(n_got, n);
    ck_assert_mem_eq(got, wanted, n);
}

/* All flows of 'flow_texts', with counters that tell them apart, as the
 * replies of a switch to a dump. */
static void
make_replies(struct ovs_list *replies, struct otd_flows *flows)
{
    struct ofpbuf request;

    ofpbuf_init(&request, 0);
    otd_msg_flow_dump(&request, XID, 0, 0);
    ofpmp_init(replies, request.data);
    for (size_t i = 0; i < ARRAY_SIZE(flow_texts); i++) {
        struct ofputil_flow_mod fm;

        flow_from_text(flow_texts[i], flows, &fm);
        const struct otd_flow *flow = &flows->flows[i];
        struct ofputil_flow_stats fs = {
            .match = flow->match,
            .cookie = htonll(flow->cookie),
            .table_id = flow->table_id,
            .priority = flow->priority,
            .duration_sec = 5,
            .idle_age = 3,
            .hard_age = -1,
            .packet_count = 1000 + i,
            .byte_count = 0x100000000ULL * i,
            .ofpacts = flow->ofpacts.data,
            .ofpacts_len = flow->ofpacts.size,
            .flags = flow->send_flow_rem ? OFPUTIL_FF_SEND_FLOW_REM : 0,
        };
        ofputil_append_flow_stats_reply(&fs, replies, NULL);
        fm_destroy(&fm);
    }
    ofpbuf_uninit(&request);
}

static struct ofpbuf *
make_reply(struct otd_flows *flows)
{
    struct ovs_list replies;

    make_replies(&replies, flows);
    ck_assert(ovs_list_is_singleton(&replies));
    struct ofpbuf *msg = ofpbuf_from_list(ovs_list_pop_front(&replies));
    ofpmsg_update_length(msg);

    /* As it comes from a session. */
    struct ofpbuf *copy = ofpbuf_clone_data(msg->data, msg->size);
    ofpbuf_delete(msg);
    return copy;
}

/* ---- Requests. */

START_TEST(test_flow_mod_is_the_library_s)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofputil_flow_mod fm;
    struct ofpbuf out;

    ofpbuf_init(&out, 0);
    flow_from_text(flow_texts[_i], &flows, &fm);
    otd_msg_flow_mod(&out, XID, OTD_FLOW_ADD, &flows.flows[0]);

    struct ofpbuf *wanted = ofputil_encode_flow_mod(&fm, PROTOCOL);
    ((struct ofp_header *) wanted->data)->xid = XID;
    assert_bytes(out.data, out.size, wanted->data, wanted->size);

    ofpbuf_delete(wanted);
    ofpbuf_uninit(&out);
    fm_destroy(&fm);
    otd_flows_destroy(&flows);
}
END_TEST

START_TEST(test_deletion)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofputil_flow_mod fm, got;
    struct ofpbuf out, ofpacts;

    ofpbuf_init(&out, 0);
    ofpbuf_init(&ofpacts, 0);
    flow_from_text(flow_texts[_i], &flows, &fm);
    const struct otd_flow *flow = &flows.flows[0];
    otd_msg_flow_mod(&out, XID, OTD_FLOW_DELETE_STRICT, flow);

    ck_assert_int_eq(ofputil_decode_flow_mod(&got, out.data, PROTOCOL, NULL,
                                             NULL, &ofpacts, OFPP_MAX, 255),
                     0);
    struct match match;
    minimatch_expand(&got.match, &match);
    ck_assert_int_eq(got.command, OFPFC_DELETE_STRICT);
    ck_assert(otd_flow_same_rule(flow, got.table_id, got.priority, &match));
    ck_assert_uint_eq(ntohll(got.cookie), flow->cookie);
    ck_assert_uint_eq(ntohll(got.cookie_mask), UINT64_MAX);
    ck_assert_uint_eq(got.out_port, OFPP_ANY);
    ck_assert_uint_eq(got.out_group, OFPG_ANY);
    ck_assert_uint_eq(got.ofpacts_len, 0);

    minimatch_destroy(&got.match);
    ofpbuf_uninit(&ofpacts);
    ofpbuf_uninit(&out);
    fm_destroy(&fm);
    otd_flows_destroy(&flows);
}
END_TEST

START_TEST(test_delete_by_cookie)
{
    struct ofputil_flow_mod got;
    struct ofpbuf out, ofpacts;
    struct match match;

    ofpbuf_init(&out, 0);
    ofpbuf_init(&ofpacts, 0);
    otd_msg_delete_by_cookie(&out, XID, 0x746e00000000ffff,
                             0xffff000000000000);
    ck_assert_int_eq(ofputil_decode_flow_mod(&got, out.data, PROTOCOL, NULL,
                                             NULL, &ofpacts, OFPP_MAX, 255),
                     0);
    minimatch_expand(&got.match, &match);
    ck_assert_int_eq(got.command, OFPFC_DELETE);
    ck_assert_uint_eq(got.table_id, OFPTT_ALL);
    ck_assert_uint_eq(ntohll(got.cookie), 0x746e000000000000);
    ck_assert_uint_eq(ntohll(got.cookie_mask), 0xffff000000000000);
    ck_assert(flow_wildcards_is_catchall(&match.wc));
    ck_assert_uint_eq(got.out_port, OFPP_ANY);
    ck_assert_uint_eq(got.out_group, OFPG_ANY);
    minimatch_destroy(&got.match);
    ofpbuf_uninit(&ofpacts);
    ofpbuf_uninit(&out);
}
END_TEST

START_TEST(test_messages_in_a_row)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofputil_flow_mod fm;
    struct ofpbuf out, one;

    ofpbuf_init(&out, 0);
    ofpbuf_init(&one, 0);
    flow_from_text(flow_texts[2], &flows, &fm);
    otd_msg_flow_mod(&one, XID, OTD_FLOW_ADD, &flows.flows[0]);

    otd_msg_bundle_ctrl(&out, htonl(1), 77, OTD_BUNDLE_OPEN);
    otd_msg_bundle_flow_mod(&out, XID, 77, OTD_FLOW_ADD, &flows.flows[0]);
    otd_msg_barrier(&out, htonl(2));
    otd_msg_bundle_ctrl(&out, htonl(3), 77, OTD_BUNDLE_COMMIT);
    otd_msg_bundle_ctrl(&out, htonl(4), 77, OTD_BUNDLE_DISCARD);

    const struct ofp_header *oh = out.data;
    struct ofputil_bundle_ctrl_msg bc;
    struct ofputil_bundle_add_msg ba;
    enum ofptype type;
    ck_assert_int_eq(ofputil_decode_bundle_ctrl(oh, &bc), 0);
    ck_assert_uint_eq(ntohl(oh->xid), 1);
    ck_assert_uint_eq(bc.bundle_id, 77);
    ck_assert_uint_eq(bc.type, OFPBCT_OPEN_REQUEST);
    ck_assert_uint_eq(bc.flags, OFPBF_ATOMIC | OFPBF_ORDERED);

    oh = ofpbuf_at(&out, 16, 8);
    ck_assert_int_eq(ofputil_decode_bundle_add(oh, &ba, &type), 0);
    ck_assert_int_eq(type, OFPTYPE_FLOW_MOD);
    ck_assert_uint_eq(ba.bundle_id, 77);
    ck_assert_uint_eq(ba.flags, OFPBF_ATOMIC | OFPBF_ORDERED);
    ck_assert_uint_eq(oh->xid, XID);
    assert_bytes(ba.msg, ntohs(ba.msg->length), one.data, one.size);

    oh = ofpbuf_at(&out, 16 + ntohs(oh->length), 40);
    ck_assert_int_eq(ofptype_decode(&type, oh), 0);
    ck_assert_int_eq(type, OFPTYPE_BARRIER_REQUEST);
    ck_assert_uint_eq(ntohs(oh->length), 8);
    ck_assert_uint_eq(ntohl(oh->xid), 2);
    ck_assert_int_eq(ofputil_decode_bundle_ctrl(oh + 1, &bc), 0);
    ck_assert_uint_eq(bc.type, OFPBCT_COMMIT_REQUEST);
    ck_assert_int_eq(ofputil_decode_bundle_ctrl(oh + 3, &bc), 0);
    ck_assert_uint_eq(bc.type, OFPBCT_DISCARD_REQUEST);
    ck_assert_ptr_eq(oh + 5, ofpbuf_tail(&out));

    ofpbuf_uninit(&one);
    ofpbuf_uninit(&out);
    fm_destroy(&fm);
    otd_flows_destroy(&flows);
}
END_TEST

START_TEST(test_dump_request)
{
    struct ofputil_flow_stats_request fsr;
    struct ofpbuf out;

    ofpbuf_init(&out, 0);
    otd_msg_flow_dump(&out, XID, 0x746e000000000005, 0xffff000000000000);
    ck_assert_int_eq(ofputil_decode_flow_stats_request(&fsr, out.data, NULL,
                                                       NULL), 0);
    ck_assert(!fsr.aggregate);
    ck_assert_uint_eq(((struct ofp_header *) out.data)->xid, XID);
    ck_assert_uint_eq(ntohll(fsr.cookie), 0x746e000000000000);
    ck_assert_uint_eq(ntohll(fsr.cookie_mask), 0xffff000000000000);
    ck_assert_uint_eq(fsr.table_id, OFPTT_ALL);
    ck_assert_uint_eq(fsr.out_port, OFPP_ANY);
    ck_assert_uint_eq(fsr.out_group, OFPG_ANY);
    ofpbuf_uninit(&out);
}
END_TEST

/* ---- Dumps. */

START_TEST(test_dump_comes_back)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofpbuf *msg = make_reply(&flows);
    struct otd_flow_report report;
    struct ofpbuf ofpacts;
    bool more = true;

    ofpbuf_init(&ofpacts, 0);
    ck_assert_int_eq(otd_msg_type(msg), OTD_MSG_FLOW_STATS);
    for (size_t i = 0; i < flows.n; i++) {
        const struct otd_flow *flow = &flows.flows[i];

        ck_assert_int_eq(otd_msg_flow_dump_next(msg, &report, &ofpacts,
                                                &more), 0);
        ck_assert_uint_eq(report.cookie, flow->cookie);
        ck_assert_uint_eq(report.packets, 1000 + i);
        ck_assert_uint_eq(report.bytes, 0x100000000ULL * i);
        ck_assert(report.send_flow_rem == flow->send_flow_rem);
        ck_assert_msg(otd_flow_same_rule(flow, report.table_id,
                                         report.priority, &report.match),
                      "%s", flow_texts[i]);
        ck_assert_msg(otd_ofpacts_equal(flow->ofpacts.data,
                                        flow->ofpacts.size, report.ofpacts,
                                        report.ofpacts_len),
                      "%s", flow_texts[i]);
        ck_assert(!more);
    }
    ck_assert_int_eq(otd_msg_flow_dump_next(msg, &report, &ofpacts, &more),
                     EOF);
    ck_assert_uint_eq(otd_msg_xid(msg), XID);
    ck_assert_int_eq(otd_msg_type(msg), OTD_MSG_FLOW_STATS);

    ofpbuf_uninit(&ofpacts);
    ofpbuf_delete(msg);
    otd_flows_destroy(&flows);
}
END_TEST

START_TEST(test_dump_of_nothing)
{
    struct ofpbuf request, *msg;
    struct otd_flow_report report;
    struct ovs_list replies;
    uint64_t cookie, packets, bytes;
    bool more = true;
    uint8_t table;

    ofpbuf_init(&request, 0);
    otd_msg_flow_dump(&request, XID, 0, 0);
    ofpmp_init(&replies, request.data);
    msg = ofpbuf_from_list(ovs_list_pop_front(&replies));
    ofpmsg_update_length(msg);
    struct ofpbuf *copy = ofpbuf_clone_data(msg->data, msg->size);
    ck_assert_int_eq(otd_msg_flow_dump_next(copy, &report, &request, &more),
                     EOF);
    ck_assert(!more);
    ofpbuf_delete(copy);

    /* OFPMPF_REPLY_MORE, in the flags after the header and the type. */
    ((uint8_t *) msg->data)[sizeof(struct ofp_header) + 3] = 1;
    copy = ofpbuf_clone_data(msg->data, msg->size);
    ck_assert_int_eq(otd_msg_flow_dump_next_counters(copy, &cookie, &table,
                                                     &packets, &bytes, &more),
                     EOF);
    ck_assert(more);
    ofpbuf_delete(copy);
    ofpbuf_delete(msg);
    ofpbuf_uninit(&request);
}
END_TEST

/* Walks a message by both decoders.  Whatever the full one understands the
 * fast one must understand too, and see the same; and neither may read beyond
 * the end (run under a sanitizer, 'msg' being a heap block of its exact size).
 * Returns the number of entries. */
static size_t
walk(const void *bytes, size_t n)
{
    struct ofpbuf *full = ofpbuf_new(0), *fast = ofpbuf_new(0);
    struct otd_flow_report report;
    struct ofpbuf ofpacts;
    size_t n_entries = 0;

    ofpbuf_init(&ofpacts, 0);
    full->base = full->data = xmemdup(bytes, n);
    full->size = full->allocated = n;
    fast->base = fast->data = xmemdup(bytes, n);
    fast->size = fast->allocated = n;

    otd_msg_type(full);
    otd_msg_error_name(full);
    otd_msg_flow_removed(full->data, &report);
    for (;;) {
        uint64_t cookie, packets, cbytes;
        uint8_t table_id;
        int e = otd_msg_flow_dump_next(full, &report, &ofpacts, NULL);
        int f = otd_msg_flow_dump_next_counters(fast, &cookie, &table_id,
                                                &packets, &cbytes, NULL);

        if (e) {
            ck_assert(e == EOF || ofperr_is_valid(e));
            ck_assert(!f || f == EOF || ofperr_is_valid(f));
            break;
        }
        ck_assert_int_eq(f, 0);
        ck_assert_uint_eq(cookie, report.cookie);
        ck_assert_uint_eq(table_id, report.table_id);
        ck_assert_uint_eq(packets, report.packets);
        ck_assert_uint_eq(cbytes, report.bytes);
        n_entries++;
    }
    ofpbuf_uninit(&ofpacts);
    ofpbuf_delete(full);
    ofpbuf_delete(fast);
    return n_entries;
}

START_TEST(test_counters_equal_full_decode)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofpbuf *msg = make_reply(&flows);

    ck_assert_uint_eq(walk(msg->data, msg->size), ARRAY_SIZE(flow_texts));
    ofpbuf_delete(msg);
    otd_flows_destroy(&flows);
}
END_TEST

START_TEST(test_truncated_dump)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofpbuf *msg = make_reply(&flows);
    struct ofp_header *oh = msg->data;

    for (size_t n = sizeof *oh; n < msg->size; n++) {
        oh->length = htons(n);
        ck_assert_uint_lt(walk(oh, n), ARRAY_SIZE(flow_texts));
    }

    /* A header that does not tell the truth. */
    struct otd_flow_report report;
    oh->length = htons(msg->size - 8);
    ck_assert_int_eq(otd_msg_flow_dump_next(msg, &report, NULL, NULL),
                     OFPERR_OFPBRC_BAD_LEN);
    ofpbuf_delete(msg);
    otd_flows_destroy(&flows);
}
END_TEST

START_TEST(test_mutated_dump)
{
    static const uint8_t values[] = { 0, 1, 4, 7, 8, 0x7f, 0x80, 0xff };
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofpbuf *msg = make_reply(&flows);
    uint8_t *bytes = msg->data;

    for (size_t i = sizeof(struct ofp_header); i < msg->size; i++) {
        uint8_t old = bytes[i];

        for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
            bytes[i] = values[j];
            walk(bytes, msg->size);
        }
        bytes[i] = old + 1;
        walk(bytes, msg->size);
        bytes[i] = old - 1;
        walk(bytes, msg->size);
        bytes[i] = old;
    }
    ck_assert_uint_eq(walk(bytes, msg->size), ARRAY_SIZE(flow_texts));
    ofpbuf_delete(msg);
    otd_flows_destroy(&flows);
}
END_TEST

START_TEST(test_unknown_counters)
{
    /* An entry with a duration only: the switch need not count. */
    static const uint8_t bytes[] = {
        6, 19, 0, 64, 0, 0, 0, 1,       /* MULTIPART_REPLY, 64 bytes. */
        0, 1, 0, 0, 0, 0, 0, 0,         /* FLOW_DESC. */
        0, 48, 0, 0, 3, 0, 0, 5,        /* 48 bytes, table 3, priority 5. */
        0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 9,         /* Cookie. */
        0, 1, 0, 4, 0, 0, 0, 0,         /* Empty OXM match. */
        0, 0, 0, 16, 0x80, 0x02, 0, 8,  /* OXS: duration. */
        0, 0, 0, 1, 0, 0, 0, 0,
    };
    struct ofpbuf *msg = ofpbuf_clone_data(bytes, sizeof bytes);
    uint64_t cookie, packets, n_bytes;
    uint8_t table_id;

    ck_assert_int_eq(otd_msg_flow_dump_next_counters(
                         msg, &cookie, &table_id, &packets, &n_bytes, NULL),
                     0);
    ck_assert_uint_eq(cookie, 9);
    ck_assert_uint_eq(table_id, 3);
    ck_assert_uint_eq(packets, UINT64_MAX);
    ck_assert_uint_eq(n_bytes, UINT64_MAX);
    ofpbuf_delete(msg);
    ck_assert_uint_eq(walk(bytes, sizeof bytes), 1);
}
END_TEST

START_TEST(test_flow_removed)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ofputil_flow_mod fm;
    struct otd_flow_report report;

    flow_from_text(flow_texts[2], &flows, &fm);
    const struct otd_flow *flow = &flows.flows[0];
    struct ofputil_flow_removed fr = {
        .match = flow->match,
        .cookie = htonll(flow->cookie),
        .priority = flow->priority,
        .reason = OFPRR_DELETE,
        .table_id = 5,
        .packet_count = 77,
        .byte_count = 7777,
    };
    struct ofpbuf *msg = ofputil_encode_flow_removed(&fr, PROTOCOL);
    ofpmsg_update_length(msg);

    ck_assert_int_eq(otd_msg_type(msg), OTD_MSG_FLOW_REMOVED);
    ck_assert(otd_msg_flow_removed(msg->data, &report));
    ck_assert_uint_eq(report.cookie, flow->cookie);
    ck_assert_uint_eq(report.table_id, 5);
    ck_assert_uint_eq(report.priority, flow->priority);
    ck_assert_uint_eq(report.packets, 77);
    ck_assert_uint_eq(report.bytes, 7777);
    ck_assert(otd_match_equal(&report.match, &flow->match));
    ck_assert_ptr_null(report.ofpacts);

    for (size_t n = sizeof(struct ofp_header); n < msg->size; n++) {
        struct ofp_header *oh = xmemdup(msg->data, n);

        oh->length = htons(n);
        ck_assert(!otd_msg_flow_removed(oh, &report));
        free(oh);
    }
    ofpbuf_delete(msg);
    fm_destroy(&fm);
    otd_flows_destroy(&flows);
}
END_TEST

/* ---- Geneve's TLV table. */

START_TEST(test_tlv)
{
    static const struct otd_tlv_entry entries[] = {
        { 0x102, 0x80, 4, 0 }, { 0xffff, 1, 124, 63 },
    };
    struct ofputil_tlv_table_mod ttm;
    struct otd_tlv_table table;
    struct ofpbuf out;

    ofpbuf_init(&out, 0);
    otd_msg_tlv_mod(&out, XID, true, entries, ARRAY_SIZE(entries));
    ck_assert_int_eq(ofputil_decode_tlv_table_mod(out.data, &ttm), 0);
    ck_assert_uint_eq(ttm.command, NXTTMC_ADD);
    ck_assert_uint_eq(ovs_list_size(&ttm.mappings), 2);

    /* The same mappings come back in a reply. */
    struct ofputil_tlv_table_reply ttr = {
        .max_option_space = 256, .max_fields = 64,
    };
    ovs_list_move(&ttr.mappings, &ttm.mappings);
    ofpbuf_clear(&out);
    otd_msg_tlv_request(&out, XID);
    struct ofpbuf *reply = ofputil_encode_tlv_table_reply(out.data, &ttr);
    ofpmsg_update_length(reply);
    ck_assert_int_eq(otd_msg_type(reply), OTD_MSG_TLV_REPLY);
    ck_assert_int_eq(otd_msg_tlv_reply(reply->data, &table), 0);
    ck_assert_uint_eq(table.max_space, 256);
    ck_assert_uint_eq(table.max_fields, 64);
    ck_assert_uint_eq(table.n, 2);
    for (size_t i = 0; i < table.n; i++) {
        ck_assert_uint_eq(table.entries[i].opt_class, entries[i].opt_class);
        ck_assert_uint_eq(table.entries[i].type, entries[i].type);
        ck_assert_uint_eq(table.entries[i].len, entries[i].len);
        ck_assert_uint_eq(table.entries[i].index, entries[i].index);
    }
    ck_assert_int_ne(otd_msg_tlv_reply(out.data, &table), 0);
    for (size_t n = sizeof(struct ofp_header); n < reply->size; n++) {
        struct ofp_header *oh = xmemdup(reply->data, n);

        oh->length = htons(n);
        /* Cut between two mappings it is a shorter table. */
        ck_assert(otd_msg_tlv_reply(oh, &table) || table.n < 2);
        free(oh);
    }

    ofpbuf_clear(&out);
    otd_msg_tlv_mod(&out, XID, false, entries, 1);
    ofputil_uninit_tlv_table(&ttr.mappings);
    ck_assert_int_eq(ofputil_decode_tlv_table_mod(out.data, &ttm), 0);
    ck_assert_uint_eq(ttm.command, NXTTMC_DELETE);
    ofputil_uninit_tlv_table(&ttm.mappings);
    ofpbuf_delete(reply);
    ofpbuf_uninit(&out);
}
END_TEST

/* More mappings than there are fields is nothing that a switch may say. */
START_TEST(test_tlv_too_many)
{
    struct ofputil_tlv_table_reply ttr = {
        .max_option_space = 256, .max_fields = 1000,
        .mappings = OVS_LIST_INITIALIZER(&ttr.mappings),
    };
    struct otd_tlv_table table;
    struct ofpbuf out;

    for (int i = 0; i < 65; i++) {
        struct ofputil_tlv_map *map = xzalloc(sizeof *map);

        map->option_len = 4;
        map->index = i;
        ovs_list_push_back(&ttr.mappings, &map->list_node);
    }
    ofpbuf_init(&out, 0);
    otd_msg_tlv_request(&out, XID);
    struct ofpbuf *reply = ofputil_encode_tlv_table_reply(out.data, &ttr);
    ofpmsg_update_length(reply);
    ck_assert_int_eq(otd_msg_tlv_reply(reply->data, &table),
                     OFPERR_NXTTMFC_TABLE_FULL);
    ck_assert_uint_eq(table.n, 64);
    ofputil_uninit_tlv_table(&ttr.mappings);
    ofpbuf_delete(reply);
    ofpbuf_uninit(&out);
}
END_TEST

/* ---- Errors. */

START_TEST(test_error)
{
    struct ofpbuf request;

    ofpbuf_init(&request, 0);
    otd_msg_barrier(&request, XID);
    struct ofpbuf *msg = ofperr_encode_reply(OFPERR_NXFMFC_INVALID_TLV_FIELD,
                                             request.data);
    ck_assert_int_eq(otd_msg_type(msg), OTD_MSG_ERROR);
    ck_assert_uint_eq(otd_msg_xid(msg), XID);
    ck_assert_int_eq(otd_msg_error(msg), OFPERR_NXFMFC_INVALID_TLV_FIELD);
    ck_assert_str_eq(otd_msg_error_name(msg), "NXFMFC_INVALID_TLV_FIELD");
    ofpbuf_delete(msg);

    static const uint8_t unknown[] = { 6, 1, 0, 12, 0, 0, 0, 1,
                                       0x77, 0x77, 0x77, 0x77 };
    msg = ofpbuf_clone_data(unknown, sizeof unknown);
    ck_assert_int_eq(otd_msg_type(msg), OTD_MSG_ERROR);
    ck_assert_str_eq(otd_msg_error_name(msg), "an error of unknown kind");
    ofpbuf_delete(msg);
    ofpbuf_uninit(&request);
}
END_TEST

/* ---- Text. */

START_TEST(test_format)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ds s = DS_EMPTY_INITIALIZER;
    struct ofputil_flow_mod fm;

    flow_from_text("table=5,cookie=0x7,send_flow_rem,priority=9,ip,"
                   "actions=resubmit(,64)", &flows, &fm);
    const struct otd_flow *flow = &flows.flows[0];
    struct otd_flow_report report = {
        .table_id = 5, .priority = 9, .cookie = 7, .packets = 5, .bytes = 6,
        .send_flow_rem = true, .match = flow->match,
        .ofpacts = flow->ofpacts.data, .ofpacts_len = flow->ofpacts.size,
    };
    otd_flow_report_format(&report, &s);
    ck_assert_str_eq(ds_cstr(&s), "cookie=0x7, table=5, send_flow_rem "
                     "priority=9,ip actions=resubmit(,64)");
    ds_destroy(&s);
    fm_destroy(&fm);
    otd_flows_destroy(&flows);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("ofctl");
    TCase *tc = tcase_create("messages");

    /* Hostile input is logged, which is right in the daemon. */
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_flow_mod_is_the_library_s, 0,
                        ARRAY_SIZE(flow_texts));
    tcase_add_loop_test(tc, test_deletion, 0, ARRAY_SIZE(flow_texts));
    tcase_add_test(tc, test_delete_by_cookie);
    tcase_add_test(tc, test_messages_in_a_row);
    tcase_add_test(tc, test_dump_request);
    tcase_add_test(tc, test_dump_comes_back);
    tcase_add_test(tc, test_dump_of_nothing);
    tcase_add_test(tc, test_counters_equal_full_decode);
    tcase_add_test(tc, test_truncated_dump);
    tcase_add_test(tc, test_mutated_dump);
    tcase_add_test(tc, test_unknown_counters);
    tcase_add_test(tc, test_flow_removed);
    tcase_add_test(tc, test_tlv);
    tcase_add_test(tc, test_tlv_too_many);
    tcase_add_test(tc, test_error);
    tcase_add_test(tc, test_format);
    suite_add_tcase(suite, tc);

    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
