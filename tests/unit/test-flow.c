/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as the same flow. */
#include <config.h>
#include "flows/flow.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "openflow/openflow.h"
#include "openvswitch/flow.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-flow.h"
#include "util.h"

/* Two lists of actions from text, with garbage where the library leaves memory
 * unwritten and the marks of another encoding. */
static bool
actions_equal(const char *a, const char *b)
{
    struct ofpbuf actions[2];

    for (int i = 0; i < 2; i++) {
        enum ofputil_protocol usable;
        struct ofpbuf *ofpacts = &actions[i];
        struct ofpact_parse_params pp = {
            .ofpacts = ofpacts,
            .usable_protocols = &usable,
        };

        ofpbuf_init(ofpacts, 0);
        char *error = ofpacts_parse_instructions(i ? b : a, &pp);
        ck_assert_msg(!error, "%s", error);

        struct ofpact *ofpact;
        OFPACT_FOR_EACH (ofpact, ofpacts->data, ofpacts->size) {
            if (ofpact->type == OFPACT_SET_FIELD) {
                struct ofpact_set_field *sf = ofpact_get_SET_FIELD(ofpact);
                size_t n = sf->field->n_bytes;

                memset((uint8_t *) sf->value + n, 0x50 + i,
                       ROUND_UP(n, OFPACT_ALIGNTO) - n);
                sf->flow_has_vlan = i;
            }
            ofpact->raw = i ? 0xff : 3;
        }
    }
    bool equal = otd_ofpacts_equal(actions[0].data, actions[0].size,
                                   actions[1].data, actions[1].size);
    ofpbuf_uninit(&actions[0]);
    ofpbuf_uninit(&actions[1]);
    return equal;
}

START_TEST(test_actions_equal)
{
    ck_assert(actions_equal("drop", "drop"));
    ck_assert(actions_equal("set_field:1->reg5,resubmit(,64)",
                            "set_field:1->reg5,resubmit(,64)"));
    ck_assert(actions_equal("set_field:1.2.3.4->tun_src,output:1",
                            "set_field:1.2.3.4->tun_src,output:1"));
    ck_assert(!actions_equal("set_field:1->reg5", "set_field:2->reg5"));
    ck_assert(!actions_equal("set_field:1->reg5", "set_field:1/1->reg5"));
    ck_assert(!actions_equal("set_field:1->reg5", "set_field:1->reg6"));
    ck_assert(!actions_equal("set_field:1->reg5,set_field:2->reg6",
                             "set_field:2->reg6,set_field:1->reg5"));
    ck_assert(!actions_equal("resubmit(,64)", "resubmit(,5)"));
    ck_assert(!actions_equal("resubmit(1,64)", "resubmit(2,64)"));
    ck_assert(!actions_equal("output:1", "output:2"));
    ck_assert(!actions_equal("output:1", "drop"));
    ck_assert(!actions_equal("output:1", "resubmit(,1)"));
    ck_assert(!actions_equal("output:1", "output:1,output:1"));
    ck_assert(!actions_equal("delete_field:tun_metadata0",
                             "delete_field:tun_metadata1"));
    ck_assert(!actions_equal("goto_table:1", "goto_table:2"));
    ck_assert(actions_equal("dec_ttl,output:1", "dec_ttl,output:1"));
    ck_assert(!actions_equal("move:reg1[]->reg2[]", "move:reg1[]->reg3[]"));
    ck_assert(!actions_equal("set_field:0x01->tun_metadata0",
                             "set_field:0x02->tun_metadata0"));
}
END_TEST

START_TEST(test_match_equal)
{
    struct otd_flow flow;
    struct match match;

    match_init_catchall(&flow.match);
    match_init_catchall(&match);
    flow.table_id = 5;
    flow.priority = 7;
    ck_assert(otd_flow_same_rule(&flow, 5, 7, &match));
    ck_assert(!otd_flow_same_rule(&flow, 4, 7, &match));
    ck_assert(!otd_flow_same_rule(&flow, 5, 8, &match));

    /* The packet type that every Ethernet match implies. */
    match_set_default_packet_type(&match);
    ck_assert(otd_match_equal(&flow.match, &match));
    ck_assert(otd_match_equal(&match, &flow.match));
    match_set_packet_type(&match, htonl(0x10800));
    ck_assert(!otd_match_equal(&flow.match, &match));
    match_set_default_packet_type(&flow.match);
    ck_assert(!otd_match_equal(&flow.match, &match));

    match_init_catchall(&flow.match);
    match_init_catchall(&match);
    match_set_nw_dst_masked(&match, htonl(0x0a000000), htonl(0xff000000));
    ck_assert(!otd_match_equal(&flow.match, &match));
    match_set_nw_dst_masked(&flow.match, htonl(0x0a000000), htonl(0xffff0000));
    ck_assert(!otd_match_equal(&flow.match, &match));
    match_set_nw_dst_masked(&flow.match, htonl(0x0a000000), htonl(0xff000000));
    ck_assert(otd_match_equal(&flow.match, &match));
    match_set_in_port(&match, OFP_PORT_C(1));
    match_set_in_port(&flow.match, OFP_PORT_C(2));
    ck_assert(!otd_match_equal(&flow.match, &match));
}
END_TEST

START_TEST(test_flows_keep_their_memory)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;

    for (int i = 0; i < 10; i++) {
        ofpact_put_OUTPUT(&otd_flows_add(&flows)->ofpacts)->port = i;
    }
    ck_assert_uint_eq(flows.n, 10);
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(
            ofpact_get_OUTPUT(flows.flows[i].ofpacts.data)->port, i);
    }
    struct otd_flow *first = flows.flows;
    otd_flows_clear(&flows);
    ck_assert_uint_eq(flows.n, 0);
    ck_assert_ptr_eq(otd_flows_add(&flows), first);
    ck_assert_uint_eq(first->ofpacts.size, 0);
    otd_flows_destroy(&flows);
    ck_assert_ptr_null(flows.flows);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("flow");
    TCase *tc = tcase_create("flow");

    tcase_add_test(tc, test_actions_equal);
    tcase_add_test(tc, test_match_equal);
    tcase_add_test(tc, test_flows_keep_their_memory);
    suite_add_tcase(suite, tc);

    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
