/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler's two forms of a flow are the same flow, and no request, however
 * it is made up, compiles to more than its share. */
#include <config.h>
#include <check.h>
#include <stdlib.h>
#include "byte-order.h"
#include "flows/compile.h"
#include "flows/decode.h"
#include "flows/pipeline.h"
#include "ofctl/messages.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-msgs.h"
#include "tests/unit/spec-fixture.h"

static void
check_same(const struct otd_flow *flow, const struct otd_flow_bytes *bytes)
{
    struct ofpbuf msg, ofpacts;
    struct ofputil_flow_mod fm;
    enum ofperr err;

    ofpbuf_init(&msg, 0);
    ofpbuf_init(&ofpacts, 0);
    otd_msg_add_bytes(&msg, htonl(7), 0, bytes);
    err = ofputil_decode_flow_mod(&fm, msg.data, OFPUTIL_P_OF15_OXM, NULL, NULL,
                                  &ofpacts, OFPP_MAX, 255);
    ck_assert_msg(!err, "%s", ofperr_to_string(err));

    struct match match;
    minimatch_expand(&fm.match, &match);
    ck_assert(otd_flow_same_rule(flow, fm.table_id, fm.priority, &match));
    ck_assert(otd_ofpacts_equal(flow->ofpacts.data, flow->ofpacts.size,
                                fm.ofpacts, fm.ofpacts_len));
    ck_assert_uint_eq(flow->cookie, ntohll(fm.new_cookie));
    ck_assert_int_eq(flow->send_flow_rem,
                     !!(fm.flags & OFPUTIL_FF_SEND_FLOW_REM));
    minimatch_destroy(&fm.match);
    ofpbuf_uninit(&msg);
    ofpbuf_uninit(&ofpacts);
}

static void
map_options(const struct otd_spec *spec, struct otd_tlv_map *tlvs)
{
    struct otd_geneve_option opt;
    size_t ofs = 0;
    int i = 0;

    memset(tlvs, 0, sizeof *tlvs);
    while (spec->kind == OTD_KIND_GENEVE_ENCAP
           && otd_geneve_option_next(&spec->encap, &ofs, &opt)) {
        tlvs->slots[i++] = (struct otd_tlv) { true, opt.opt_class, opt.type,
                                              opt.len };
    }
}

START_TEST(test_both_forms)
{
    struct otd_flow_bytes_set set;
    struct rng rng = { 1 + _i };
    size_t n_flows = 0;

    otd_flow_bytes_set_init(&set);
    for (int i = 0; i < 2000; i++) {
        struct otd_flows flows = OTD_FLOWS_INITIALIZER;
        struct otd_spec spec;
        struct otd_tlv_map tlvs;
        struct otd_tunnel_facts facts = {
            .key = 1 + i, .after_key = 7, .in_port = OFP_PORT_C(1 + i % 100),
            .named = i % 3 == 0, .active = i % 50 != 0,
        };
        struct otd_bridge_facts bridge = {
            .geneve_port = OFP_PORT_C(100), .geneve_in4 = OFP_PORT_C(104),
            .geneve_in6 = OFP_PORT_C(106),
        };

        random_spec(&rng, &spec);
        if (spec.kind != OTD_KIND_GENEVE_ENCAP
            && spec.kind != OTD_KIND_GENEVE_DECAP) {
            continue;
        }
        map_options(&spec, &tlvs);
        otd_compile_tunnel(&spec, &facts, &bridge, &tlvs, &flows);
        otd_compile_tunnel_bytes(&spec, &facts, &bridge, &tlvs, &set);
        ck_assert_uint_eq(flows.n, set.n);
        ck_assert_uint_le(flows.n, OTD_FLOWS_PER_TUNNEL);
        ck_assert(facts.active == (flows.n > 0));
        for (size_t j = 0; j < flows.n; j++) {
            check_same(&flows.flows[j], &set.flows[j]);
        }
        n_flows += flows.n;
        otd_flows_destroy(&flows);
    }
    ck_assert_uint_gt(n_flows, 1000);
    otd_flow_bytes_set_destroy(&set);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("compile");
    TCase *tc = tcase_create("forms");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, tc);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_both_forms, 0, 4);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
