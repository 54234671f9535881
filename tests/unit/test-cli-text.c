/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line prints: requests in short, chains, decoded traces. */
#include <config.h>
#include "cli/print.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/links.h"
#include "cli/request.h"
#include "cli/trace.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "util.h"

static Tunneloffload__V2__IpTunnelRequest *
request_from_text(const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct json *json = json_from_string(text);
    Tunneloffload__V2__IpTunnelRequest *request;

    ck_assert_msg(json->type == JSON_OBJECT, "%s: %s", text,
                  json->type == JSON_STRING ? json_string(json) : "");
    request = otd_request_from_json(json, TUNNELOFFLOAD__V2__OPERATION___CREATE,
                                    &faults);
    ck_assert_msg(request != NULL, "%s", otd_faults_text(&faults));
    json_destroy(json);
    return request;
}

/* ---- Requests. */

static void
check_summary(const char *text, const char *expected)
{
    Tunneloffload__V2__IpTunnelRequest *request = request_from_text(text);
    struct ds ds = DS_EMPTY_INITIALIZER;

    otd_format_match(&ds, request->match_criteria);
    ds_put_cstr(&ds, " | ");
    otd_format_tunnel(&ds, request);
    ds_put_format(&ds, " | %s", otd_action_to_string(request->next_action));
    ck_assert_str_eq(ds_cstr(&ds), expected);
    ds_destroy(&ds);
    tunneloffload__v2__ip_tunnel_request__free_unpacked(request, NULL);
}

START_TEST(test_summaries)
{
    check_summary("{}", "any | - | -");
    check_summary("{\"geneve\": {}, \"match_criteria\": {}}",
                  "any | geneve | -");
    check_summary("{\"geneve\": {\"geneve_encap\": {}}, \"next_action\": 2}",
                  "any | geneve encap any > any vni 0 | recirculate");
    check_summary("{\"match_criteria\": {\"ingress_interface\": \"vm1\","
                  " \"mac_match\": {\"source_mac\": \"10:20:30:40:50:60\"},"
                  " \"ipv4_match\": {\"source_ip\": \"11.0.0.0\","
                  " \"source_ip_prefix\": 24, \"destination_ip\": \"12.0.0.1\","
                  " \"destination_ip_prefix\": 32}, \"tunnel_id\": 7},"
                  " \"geneve\": {\"geneve_encap\": {\"outer_ipv4_pair\":"
                  " {\"destination_ip\": \"10.0.0.2\"}, \"vni\": 100,"
                  " \"control_packet\": true, \"protocol_type\": 25944,"
                  " \"inner_mac_pair\": {\"destination_mac\":"
                  " \"000000000001\"}, \"geneve_option\": [{\"option_class\":"
                  " 258, \"type\": 128, \"data\": \"0x00000001\"}]}},"
                  " \"next_action\": \"FORWARD\"}",
                  "in vm1, 10:20:30:40:50:60 > any, 11.0.0.0/24 > 12.0.0.1, "
                  "after tunnel 7 | geneve encap any > 10.0.0.2 vni 100 inner "
                  "any > 00:00:00:00:00:01 protocol 0x6558 control option "
                  "0x0102/0x80=0x00000001 | forward");
    check_summary("{\"match_criteria\": {\"ipv6_match\": {\"source_ip\":"
                  " \"fd00::\", \"source_ip_prefix\": 16}, \"geneve_match\":"
                  " {\"vni\": 5, \"protocol_type\": 2048, \"ipv6_match\":"
                  " {\"destination_ip\": \"fd01::2\","
                  " \"destination_ip_prefix\": 128}}}, \"geneve\":"
                  " {\"geneve_decap\": {}}, \"next_action\": 1}",
                  "fd00::/16 > any, geneve vni 5 protocol 0x0800 inner any > "
                  "fd01::2 | geneve decap | forward");
    check_summary("{\"match_criteria\": {\"vxlan_match\": {\"vni\": 5,"
                  " \"ipv4_match\": {\"source_ip\": \"1.1.1.1\","
                  " \"source_ip_prefix\": 8}}}, \"nat\": {\"source_ip\":"
                  " \"5.5.5.5\"}}",
                  "vxlan vni 5 inner 1.1.1.1/8 > any | nat 5.5.5.5 | -");
    check_summary("{\"match_criteria\": {\"ipsec_match\": {\"spi\": 920}},"
                  " \"ipsec_tunnel\": {\"ipsec_enc\": {\"tunnel_type\": 3,"
                  " \"encryption_type\": 2, \"ipsec_sa\": {\"spi\": 300,"
                  " \"encryption_key\": \"000102030405060708090a0b0c0d0e0f\"},"
                  " \"ipv4_tunnel\": {\"source_ip\": \"10.0.0.1\","
                  " \"destination_ip\": \"10.0.0.2\"}}}}",
                  "spi 920 | ipsec enc tunnel-nat-traversal aes256gcm128 "
                  "10.0.0.1 > 10.0.0.2 spi 300 | -");
    check_summary("{\"ipsec_tunnel\": {\"ipsec_dec\": {\"ipsec_sas\": ["
                  "{\"spi\": 300}, {\"spi\": 301}]}}}",
                  "any | ipsec dec transport aes256gcm64 spi 300 spi 301 | -");
}
END_TEST

/* ---- Chains. */

static struct otd_links *
make_links(const char *const requests[])
{
    struct otd_links *links = otd_links_create();

    for (size_t i = 0; requests[i]; i++) {
        Tunneloffload__V2__IpTunnelRequest *r = request_from_text(requests[i]);

        otd_links_add(links, r->tunnel_id, r);
        tunneloffload__v2__ip_tunnel_request__free_unpacked(r, NULL);
    }
    otd_links_resolve(links);
    return links;
}

/* "ID:PLACE[>FOLLOWER...][~MAYBE...]" for each tunnel. */
static void
check_links(const char *const requests[], const char *expected)
{
    static const char places[OTD_N_LINK_PLACES] = {
        [OTD_LINK_NOWHERE] = '-',
        [OTD_LINK_ALONE] = 'a',
        [OTD_LINK_CHAIN] = 'c',
        [OTD_LINK_MISSING] = 'm',
    };
    struct otd_links *links = make_links(requests);
    struct ds ds = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < otd_links_count(links); i++) {
        const struct otd_link *l = otd_links_get(links, i);

        ds_put_format(&ds, "%s%"PRIu64":%c", i ? " " : "", l->id,
                      places[l->place]);
        for (size_t j = 0; j < l->n_followers; j++) {
            ds_put_format(&ds, ">%"PRIu64,
                          otd_links_get(links, l->followers[j])->id);
        }
        for (size_t j = 0; j < l->n_maybe; j++) {
            ds_put_format(&ds, "~%"PRIu64,
                          otd_links_get(links, l->maybe[j])->id);
        }
        if (l->more_maybe) {
            ds_put_cstr(&ds, "~more");
        }
    }
    ck_assert_str_eq(ds_cstr(&ds), expected);
    ds_destroy(&ds);
    otd_links_destroy(links);
}

#define ENCAP(ID, ACTION, MATCH, DST)                                   \
    "{\"tunnel_id\": " #ID ", \"next_action\": \"" ACTION "\","         \
    " \"match_criteria\": {" MATCH "}, \"geneve\": {\"geneve_encap\":"  \
    " {\"outer_ipv4_pair\": {\"source_ip\": \"10.0.0.1\","              \
    " \"destination_ip\": \"" DST "\"}}}}"
#define TO(IP, LEN)                                                     \
    "\"ipv4_match\": {\"destination_ip\": \"" IP "\","                  \
    " \"destination_ip_prefix\": " #LEN "}"
#define FROM(IP, LEN)                                                   \
    "\"ipv4_match\": {\"source_ip\": \"" IP "\","                       \
    " \"source_ip_prefix\": " #LEN "}"
#define AFTER(ID) "\"tunnel_id\": " #ID

START_TEST(test_chains_by_id)
{
    const char *const requests[] = {
        ENCAP(4, "FORWARD", AFTER(2), "10.0.0.9"),
        ENCAP(1, "RECIRCULATE", TO("11.0.0.0", 8), "10.0.0.2"),
        ENCAP(3, "FORWARD", AFTER(2), "10.0.0.9"),
        ENCAP(2, "RECIRCULATE", AFTER(1), "10.0.0.3"),
        ENCAP(5, "FORWARD", TO("12.0.0.0", 8), "10.0.0.9"),
        ENCAP(6, "FORWARD", AFTER(99), "10.0.0.9"),
        /* Would match what 1 leaves, but 1 has its follower. */
        ENCAP(7, "FORWARD", TO("10.0.0.2", 32), "10.0.0.9"),
        NULL,
    };

    check_links(requests, "1:c>2 2:->3>4 3:- 4:- 5:a 6:m 7:a");
}
END_TEST

/* A server that is not ours may have a circle; it has no first tunnel. */
START_TEST(test_chains_in_a_circle)
{
    const char *const requests[] = {
        ENCAP(1, "RECIRCULATE", AFTER(2), "10.0.0.2"),
        ENCAP(2, "RECIRCULATE", AFTER(1), "10.0.0.2"),
        NULL,
    };

    check_links(requests, "1:->2 2:->1");
}
END_TEST

START_TEST(test_chains_by_ip)
{
    const char *const requests[] = {
        ENCAP(1, "RECIRCULATE", TO("11.0.0.0", 8), "10.0.0.2"),
        ENCAP(2, "FORWARD", TO("10.0.0.2", 32), "10.0.0.9"),
        ENCAP(3, "FORWARD", TO("10.0.0.0", 30), "10.0.0.9"),
        ENCAP(4, "FORWARD", TO("10.0.0.4", 30), "10.0.0.9"),
        ENCAP(5, "FORWARD", FROM("10.0.0.0", 31), "10.0.0.9"),
        ENCAP(6, "FORWARD", FROM("10.0.0.2", 31), "10.0.0.9"),
        /* Does not recirculate. */
        ENCAP(7, "FORWARD", TO("13.0.0.0", 8), "10.0.0.4"),
        /* Matches more than the addresses. */
        ENCAP(8, "FORWARD", TO("10.0.0.2", 32) "," AFTER(99), "10.0.0.9"),
        NULL,
    };

    check_links(requests,
                "1:-~2~3~5 2:- 3:- 4:a 5:- 6:a 7:a 8:m");
}
END_TEST

START_TEST(test_chains_of_prefixes)
{
    const char *const requests[] = {
        /* What comes out is known by its prefix only. */
        "{\"tunnel_id\": 1, \"next_action\": 2, \"match_criteria\":"
        " {\"geneve_match\": {\"vni\": 1, " TO("11.0.0.0", 16) "}},"
        " \"geneve\": {\"geneve_decap\": {}}}",
        ENCAP(2, "FORWARD", TO("11.0.5.0", 24), "10.0.0.9"),
        ENCAP(3, "FORWARD", TO("11.0.0.0", 8), "10.0.0.9"),
        ENCAP(4, "FORWARD", TO("11.1.0.0", 16), "10.0.0.9"),
        /* Nothing is known of what comes out. */
        "{\"tunnel_id\": 5, \"next_action\": 2, \"match_criteria\":"
        " {\"geneve_match\": {\"vni\": 2}}, \"geneve\": {\"geneve_decap\": {}"
        "}}",
        /* Takes its packets from the wire. */
        "{\"tunnel_id\": 6, \"match_criteria\": {\"geneve_match\": {\"vni\":"
        " 3}, " TO("11.0.0.0", 16) "}, \"geneve\": {\"geneve_decap\": {}}}",
        /* Another family. */
        "{\"tunnel_id\": 7, \"match_criteria\": {\"ipv6_match\":"
        " {\"destination_ip\": \"::\", \"destination_ip_prefix\": 1}},"
        " \"geneve\": {\"geneve_encap\": {}}}",
        "{\"tunnel_id\": 8, \"next_action\": 2, \"match_criteria\": {},"
        " \"geneve\": {\"geneve_encap\": {\"outer_ipv6_pair\":"
        " {\"destination_ip\": \"1::2\"}}}}",
        NULL,
    };

    check_links(requests, "1:-~2~3 2:- 3:- 4:a 5:a 6:a 7:- 8:-~7");
}
END_TEST

START_TEST(test_chains_to_many)
{
    const char *requests[OTD_LINKS_MAX_MAYBE + 3];
    char *texts[OTD_LINKS_MAX_MAYBE + 3];
    size_t n = 0;

    texts[n++] = xstrdup(ENCAP(1, "RECIRCULATE", TO("11.0.0.0", 8),
                               "10.0.0.2"));
    for (int i = 0; i <= OTD_LINKS_MAX_MAYBE; i++) {
        texts[n++] = xasprintf("{\"tunnel_id\": %d, \"match_criteria\": {"
                               "\"ipv4_match\": {\"destination_ip\":"
                               " \"10.0.0.2\", \"destination_ip_prefix\": %d"
                               "}}, \"geneve\": {\"geneve_encap\": {}}}",
                               i + 2, 32 - i);
    }
    for (size_t i = 0; i < n; i++) {
        requests[i] = texts[i];
    }
    requests[n] = NULL;

    struct otd_links *links = make_links(requests);
    const struct otd_link *first = otd_links_get(links, 0);

    ck_assert_uint_eq(first->n_maybe, OTD_LINKS_MAX_MAYBE);
    ck_assert(first->more_maybe);
    otd_links_destroy(links);
    for (size_t i = 0; i < n; i++) {
        free(texts[i]);
    }
}
END_TEST

START_TEST(test_no_tunnels)
{
    const char *const requests[] = { NULL };

    check_links(requests, "");
}
END_TEST

/* ---- Traces. */

static void
check_trace(const char *trace, const char *expected)
{
    struct otd_trace_names *names = otd_trace_names_parse(
        "1 10000 geneve encap to there\n"
        "nonsense\n"
        "16 18446744073709551615 geneve decap\n");
    struct ds ds = DS_EMPTY_INITIALIZER;

    otd_trace_decode(&ds, trace, "br-int", names);
    ck_assert_str_eq(ds_cstr(&ds), expected);
    ds_destroy(&ds);
    otd_trace_names_destroy(names);
}

START_TEST(test_trace)
{
    check_trace(
        "Flow: ip,in_port=1\n\n"
        "bridge(\"br-int\")\n"
        "----------------\n"
        " 0. ip, priority 8641, cookie 0x746e010000000001\n"
        "    set_field:0x1->reg5\n"
        "    resubmit(,64)\n"
        "64. reg4=0x1, priority 1, cookie 0x746e000000000001\n"
        " 5. reg5=0x10, priority 8191, cookie 0x746e020000000010\n"
        " 5. reg5=0x11,priority 3, cookie 0x746e010000000011\n"
        " 9. No match.\n"
        " 0. ip, cookie 0x1234010000000001\n"
        "\n"
        "Final flow: ip,reg4=0x1,reg5=0x10,xreg5=0x10\n",
        "Flow: ip,in_port=1\n\n"
        "bridge(\"br-int\")\n"
        "----------------\n"
        " 0. classification: ip, priority 8641, cookie 0x746e010000000001"
        "  [tunnel 10000: geneve encap to there]\n"
        "    set_field:0x1->reg5(tunnel 10000)\n"
        "    resubmit(,64)\n"
        "64. egress: reg4=0x1, priority 1, cookie 0x746e000000000001\n"
        " 5. recirculation: reg5=0x10(tunnel 18446744073709551615), "
        "priority 8191, cookie 0x746e020000000010"
        "  [tunnel 18446744073709551615: geneve decap: its next step is "
        "missing]\n"
        " 5. recirculation: reg5=0x11,priority 3, cookie 0x746e010000000011\n"
        " 9. No match.\n"
        " 0. classification: ip, cookie 0x1234010000000001\n"
        "\n"
        "Final flow: ip,reg4=0x1,reg5=0x10(tunnel 18446744073709551615),"
        "xreg5=0x10\n");
}
END_TEST

/* Tables of other bridges have other names. */
START_TEST(test_trace_through_bridges)
{
    check_trace("bridge(\"br-ex\")\n 0. priority 0\n"
                "bridge(\"br-int\")\n 0. priority 0\n"
                "bridge(\"br-int2\")\n 0. priority 0",
                "bridge(\"br-ex\")\n 0. priority 0\n"
                "bridge(\"br-int\")\n 0. classification: priority 0\n"
                "bridge(\"br-int2\")\n 0. priority 0\n");
    check_trace("", "");
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        test_summaries,
        test_chains_by_id,
        test_chains_in_a_circle,
        test_chains_by_ip,
        test_chains_of_prefixes,
        test_chains_to_many,
        test_no_tunnels,
        test_trace,
        test_trace_through_bridges,
    };
    Suite *suite = suite_create("text of the command line");
    TCase *tc = tcase_create("text");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
