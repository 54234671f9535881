/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as bytes: the tunnel service, reflection, health. */
#include <config.h>
#include "grpcsvc/codec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "grpcsvc/health-codec.h"
#include "grpcsvc/reflection.h"
#include "tests/unit/spec-fixture.h"
#include "tests/unit/wire.h"
#include "util.h"

#define MIB (1024 * 1024)

/* 'b' (taken) is the message of 'text', in the form of format_message(). */
static void
assert_message(struct ofpbuf *b, const char *messages, const char *text)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    format_message(b->data, b->size, messages, &ds);
    ck_assert_str_eq(ds_cstr(&ds), text);
    ds_destroy(&ds);
    ofpbuf_delete(b);
}

START_TEST(test_capabilities)
{
    static const struct otd_caps none;

    assert_message(otd_codec_capabilities(&all_caps), " 1 2 3 ",
                   "1:{1:1 3:1 4:1} 2:{} 3:{1:31}");
    assert_message(otd_codec_capabilities(&none), " 1 2 3 ",
                   "1:{} 2:{} 3:{}");
}
END_TEST

/* ---- The answer to a stream. */

#define ENTRY " 3 3.2 3.2.1 "

START_TEST(test_create_statuses)
{
    static const struct {
        enum otd_txn_status status;
        const char *text;
    } cases[] = {
        { OTD_TXN_ACCEPTED, "" }, { OTD_TXN_REJECTED, "1:1" },
        { OTD_TXN_TABLE_FULL, "1:2" }, { OTD_TXN_TABLE_UNAVAILABLE, "1:3" },
        { OTD_TXN_ALREADY_EXISTS, "1:4" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct otd_txn_result result = { .status = cases[i].status };

        assert_message(otd_codec_create_responses(&result), ENTRY,
                       cases[i].text);
    }

    struct otd_txn_result result = {
        .status = OTD_TXN_TABLE_UNAVAILABLE, .error_bits = UINT64_MAX,
        .error = "br-int: connection refused",
    };
    assert_message(otd_codec_create_responses(&result), ENTRY,
                   "1:3 2:18446744073709551615 "
                   "3:{2:{2:\"br-int: connection refused\"}}");
}
END_TEST

/* Each kind of fault sets the sub-field that the API has for it; 0 is not on
 * the wire, only its empty message is. */
START_TEST(test_create_kinds)
{
    static const char *const texts[OTD_N_FAULT_KINDS] = {
        [OTD_FAULT_OTHER] = "2:\"p: m\"",
        [OTD_FAULT_MATCH_MISSING_FIELDS] = "1:{} 2:\"p: m\"",
        [OTD_FAULT_MATCH_TUNNEL_ID] = "1:{1:1} 2:\"p: m\"",
        [OTD_FAULT_MATCH_CAPABILITIES] = "1:{1:2} 2:\"p: m\"",
        [OTD_FAULT_MATCH_FIELD] = "1:{1:3} 2:\"p: m\"",
        [OTD_FAULT_TUNNEL_NOT_SUPPORTED] = "1:{} 2:\"p: m\"",
        [OTD_FAULT_IPSEC_KEY] = "1:{} 2:\"p: m\"",
        [OTD_FAULT_IPSEC_ENCRYPTION] = "1:{3:1} 2:\"p: m\"",
        [OTD_FAULT_IPSEC_TUNNEL_TYPE] = "1:{3:2} 2:\"p: m\"",
        [OTD_FAULT_IPSEC_MISSING_FIELDS] = "1:{3:3} 2:\"p: m\"",
        [OTD_FAULT_GENEVE_OPTION] = "1:{} 2:\"p: m\"",
        [OTD_FAULT_GENEVE_TOO_MANY_OPTIONS] = "1:{4:1} 2:\"p: m\"",
        [OTD_FAULT_GENEVE_FIELD] = "1:{4:2} 2:\"p: m\"",
        [OTD_FAULT_ALREADY_EXISTS] = "2:\"p: m\"",
        [OTD_FAULT_TABLE_FULL] = "2:\"p: m\"",
        [OTD_FAULT_UNAVAILABLE] = "2:\"p: m\"",
    };

    for (size_t i = 0; i < OTD_N_FAULT_KINDS; i++) {
        struct otd_txn_entry entry = { .id = 7 };
        struct otd_txn_result result = {
            .status = OTD_TXN_REJECTED, .error_bits = 1, .n_requests = 1,
            .n_entries = 1, .entries = &entry,
        };

        otd_faults_init(&entry.faults);
        otd_fault(&entry.faults, i, "p", "m");
        char *text = xasprintf("1:1 2:1 3:{1:7 2:{%s}}", texts[i]);
        assert_message(otd_codec_create_responses(&result), ENTRY, text);
        free(text);

        text = xasprintf("1:7 4:{%s}", texts[i]);
        assert_message(otd_codec_reply_error(OTD_REPLY_TUNNEL, 7,
                                             &entry.faults), " 4 4.1 ", text);
        text[4] = '3';
        assert_message(otd_codec_reply_error(OTD_REPLY_STATS, 7,
                                             &entry.faults), " 3 3.1 ", text);
        free(text);
        otd_faults_destroy(&entry.faults);
    }
}
END_TEST

START_TEST(test_create_chosen_ids)
{
    struct otd_txn_entry entries[2] = { { .id = 300 }, { .id = 0 } };
    struct otd_txn_result result = {
        .status = OTD_TXN_REJECTED, .error_bits = 2, .n_requests = 2,
        .n_entries = 2, .entries = entries,
    };

    otd_fault(&entries[1].faults, OTD_FAULT_OTHER, NULL, "all \303\244 wrong");
    assert_message(otd_codec_create_responses(&result), ENTRY,
                   "1:1 2:2 3:{1:300} 3:{2:{2:\"all \\xc3\\xa4 wrong\"}}");
    otd_faults_destroy(&entries[1].faults);
}
END_TEST

/* Builds an answer with 'n' failed entries of 'text_len' bytes of text each,
 * checks its size, and returns it as text (owned). */
static char *
large_answer(size_t n, size_t text_len, size_t *n_found)
{
    struct otd_txn_entry *entries = xcalloc(n, sizeof *entries);
    struct otd_txn_result result = {
        .status = OTD_TXN_REJECTED, .n_entries = n, .entries = entries,
    };
    struct ds ds = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < n; i++) {
        entries[i].id = i + 1;
        otd_faults_init(&entries[i].faults);
        if (text_len) {
            otd_fault(&entries[i].faults, OTD_FAULT_MATCH_FIELD, NULL, "%0*d",
                      (int) text_len, 0);
        }
    }
    struct ofpbuf *b = otd_codec_create_responses(&result);
    ck_assert_uint_lt(b->size, 4 * MIB);
    format_message(b->data, b->size, ENTRY, &ds);
    ofpbuf_delete(b);
    for (size_t i = 0; i < n; i++) {
        otd_faults_destroy(&entries[i].faults);
    }
    free(entries);

    /* Not strstr(): under a sanitizer it starts with a strlen(). */
    *n_found = 0;
    for (const char *p = ds_cstr(&ds); *p; p++) {
        *n_found += !strncmp(p, "3:{1:", 5);
    }
    return ds_steal_cstr(&ds);
}

static void
assert_ends(const char *s, const char *end)
{
    ck_assert_uint_ge(strlen(s), strlen(end));
    ck_assert_str_eq(s + strlen(s) - strlen(end), end);
}

START_TEST(test_create_large)
{
    size_t n_found;

    /* 1,000 texts of 4,000 bytes fit, 1,100 do not and are cut to 512. */
    char *s = large_answer(1000, 4000, &n_found);
    ck_assert_uint_eq(n_found, 1000);
    ck_assert_ptr_null(strstr(s, "..."));
    free(s);
    s = large_answer(1100, 4000, &n_found);
    ck_assert_uint_eq(n_found, 1100);
    char *end = xasprintf("3:{1:1100 2:{1:{1:3} 2:\"%0*d...\"}}", 509, 0);
    assert_ends(s, end);
    free(end);
    free(s);

    s = large_answer(20000, 600, &n_found);
    ck_assert_uint_eq(n_found, 20000);
    end = xasprintf("3:{1:20000 2:{1:{1:3} 2:\"%0*d...\"}}", 125, 0);
    assert_ends(s, end);
    free(end);
    free(s);

    s = large_answer(80000, 100, &n_found);
    ck_assert_uint_eq(n_found, 80000);
    end = xasprintf("3:{1:80000 2:{1:{1:3} 2:\"%0*d...\"}}", 29, 0);
    assert_ends(s, end);
    free(end);
    free(s);

    /* What the header promises. */
    s = large_answer(240000, 0, &n_found);
    ck_assert_uint_eq(n_found, 240000);
    assert_ends(s, " 3:{1:240000}");
    free(s);
    /* More than can be said: the last entry says so. */
    s = large_answer(200000, 100, &n_found);
    ck_assert_uint_lt(n_found, 200000);
    end = xasprintf(" 3:{1:%"PRIuSIZE" 2:{2:\"%"PRIuSIZE" more entries do not "
                    "fit this message; send shorter streams\"}}", n_found,
                    200000 - n_found + 1);
    assert_ends(s, end);
    free(end);
    free(s);
}
END_TEST

/* ---- Tunnels and counters. */

static const struct otd_tunnel_view view = {
    .id = 42, .bytes = "\x08\x2a\x10\x01", .n = 4,
    .counters = { 1, 2, 3, 4, 5, 6, 7, 300 },
};

START_TEST(test_replies)
{
    struct otd_tunnel_view idle = { .id = 1, .bytes = "", .n = 0 };

    assert_message(otd_codec_reply(OTD_REPLY_TUNNEL, &view), " 2 3 ",
                   "1:42 3:{1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:300} "
                   "2:{1:42 2:1}");
    assert_message(otd_codec_reply(OTD_REPLY_STATS, &view), " 2 ",
                   "1:42 2:{1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:300}");
    assert_message(otd_codec_reply(OTD_REPLY_TUNNEL, &idle), " 2 3 ",
                   "1:1 3:{} 2:{}");
    assert_message(otd_codec_reply(OTD_REPLY_STATS, &idle), " 2 ",
                   "1:1 2:{}");
}
END_TEST

/* Around the lengths where a varint grows by a byte. */
START_TEST(test_embedded_lengths)
{
    for (size_t n = 2; n < 17000; n += n < 200 || n > 16000 ? 1 : 100) {
        struct otd_tunnel_view v = { .id = 1, .n = n };
        struct otd_page page;
        struct ofpbuf bytes;
        struct ds ds = DS_EMPTY_INITIALIZER;

        ofpbuf_init(&bytes, n);
        ofpbuf_put_zeros(&bytes, n);    /* Field 0: no message, only bytes. */
        v.bytes = bytes.data;
        otd_page_init(&page, OTD_REPLY_TUNNEL, 0);
        ck_assert(otd_page_add(&page, &v));
        struct ofpbuf *b = otd_page_take(&page);
        format_message(b->data, b->size, " 1 1.3 ", &ds);
        char *expected = xzalloc(4 * n + 64), *p = expected;
        p += sprintf(p, "1:{1:1 3:{} 2:\"");
        for (size_t i = 0; i < n; i++) {
            p += sprintf(p, "\\x00");
        }
        sprintf(p, "\"}");
        if (strcmp(ds_cstr(&ds), expected)) {
            ck_abort_msg("%"PRIuSIZE": %.100s", n, ds_cstr(&ds));
        }
        free(expected);
        ofpbuf_delete(b);
        ofpbuf_uninit(&bytes);
        ds_destroy(&ds);
    }
}
END_TEST

START_TEST(test_pages_by_number)
{
    struct otd_page page;

    otd_page_init(&page, OTD_REPLY_TUNNEL, 2);
    ck_assert_ptr_null(otd_page_take(&page));
    ck_assert(otd_page_add(&page, &view));
    ck_assert(otd_page_add(&page, &view));
    ck_assert(!otd_page_add(&page, &view));
    ck_assert(!otd_page_add(&page, &view));
    static const char one[] = "1:{1:42 3:{1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:300} "
                              "2:{1:42 2:1}}";
    char *two = xasprintf("%s %s", one, one);
    assert_message(otd_page_take(&page), " 1 1.2 1.3 ", two);
    free(two);

    ck_assert(otd_page_add(&page, &view));
    assert_message(otd_page_take(&page), " 1 1.2 1.3 ", one);
    ck_assert_ptr_null(otd_page_take(&page));
    otd_page_destroy(&page);

    otd_page_init(&page, OTD_REPLY_STATS, 1);
    ck_assert(otd_page_add(&page, &view));
    ck_assert(!otd_page_add(&page, &view));
    assert_message(otd_page_take(&page), " 1 1.2 ",
                   "1:{1:42 2:{1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:300}}");
    ck_assert(otd_page_add(&page, &view));
    otd_page_destroy(&page);
}
END_TEST

/* Fills one page as far as it goes, and returns how many tunnels that were. */
static size_t
fill(enum otd_reply reply, uint32_t per_request, size_t *size)
{
    struct otd_page page;
    struct otd_tunnel_view large = {
        .id = UINT64_MAX, .bytes = xzalloc(2000), .n = 2000,
    };
    size_t n = 0;

    memset(&large.counters, 0xff, sizeof large.counters);
    otd_page_init(&page, reply, per_request);
    while (n < 10 * 1000 * 1000 && otd_page_add(&page, &large)) {
        n++;
    }
    struct ofpbuf *b = otd_page_take(&page);
    *size = b->size;
    ofpbuf_delete(b);
    free(CONST_CAST(void *, large.bytes));
    return n;
}

START_TEST(test_pages_by_size)
{
    size_t size;

    ck_assert_uint_eq(fill(OTD_REPLY_STATS, 12345, &size), 12345);
    ck_assert_uint_gt(fill(OTD_REPLY_STATS, 0, &size), 1000);
    ck_assert_uint_le(size, 256 * 1024);
    ck_assert_uint_gt(fill(OTD_REPLY_STATS, UINT32_MAX, &size), 30000);
    ck_assert_uint_lt(size, 4 * MIB);
    ck_assert_uint_gt(size, 3 * MIB);
    ck_assert_uint_gt(fill(OTD_REPLY_TUNNEL, 0, &size), 100);
    ck_assert_uint_le(size, 256 * 1024);
    ck_assert_uint_gt(fill(OTD_REPLY_TUNNEL, UINT32_MAX, &size), 1800);
    ck_assert_uint_lt(size, 4 * MIB);
    ck_assert_uint_gt(size, 3 * MIB);
}
END_TEST

/* ---- The small requests. */

START_TEST(test_small_requests)
{
    uint64_t id = 5;
    uint32_t n = 5;
    char zeros[4097] = "";

    ck_assert(otd_codec_parse_tunnel_id("\x08\xac\x02", 3, &id));
    ck_assert_uint_eq(id, 300);
    ck_assert(otd_codec_parse_tunnel_id("", 0, &id));
    ck_assert_uint_eq(id, 0);
    ck_assert(!otd_codec_parse_tunnel_id("\x08\xac", 2, &id));
    ck_assert(otd_codec_parse_request_args("\x08\x02", 2, &n));
    ck_assert_uint_eq(n, 2);
    ck_assert(otd_codec_parse_request_args("", 0, &n));
    ck_assert_uint_eq(n, 0);
    ck_assert(!otd_codec_parse_request_args("\x08", 1, &n));
    ck_assert(otd_codec_parse_capability_request("", 0));
    ck_assert(!otd_codec_parse_capability_request("\xff", 1));

    /* Too large, though an unknown field is all that it has. */
    memcpy(zeros, "\x7a\xfd\x1f", 3);
    ck_assert(otd_codec_parse_tunnel_id(zeros, 4096, &id));
    memcpy(zeros, "\x7a\xfe\x1f", 3);
    ck_assert(!otd_codec_parse_tunnel_id(zeros, 4097, &id));
}
END_TEST

/* ---- Health. */

START_TEST(test_health)
{
    static const char *const known[] = {
        "", "tunneloffload.v2.IpTunnelService", "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    };
    struct ofpbuf b;
    bool is_known;

    ofpbuf_init(&b, 0);
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        ofpbuf_clear(&b);
        put_string(&b, 1, known[i]);
        ck_assert(otd_health_parse_request(b.data, b.size, &is_known));
        ck_assert(is_known);
    }
    ck_assert(otd_health_parse_request("", 0, &is_known));
    ck_assert(is_known);
    ck_assert(otd_health_parse_request("\x0a\x01x", 3, &is_known));
    ck_assert(!is_known);
    ck_assert(!otd_health_parse_request("\x0a\x02x", 3, &is_known));
    ofpbuf_uninit(&b);

    assert_message(otd_health_response(OTD_HEALTH_UNKNOWN), "", "");
    assert_message(otd_health_response(OTD_HEALTH_SERVING), "", "1:1");
    assert_message(otd_health_response(OTD_HEALTH_NOT_SERVING), "", "1:2");
    assert_message(otd_health_response(OTD_HEALTH_SERVICE_UNKNOWN), "",
                   "1:3");
}
END_TEST

/* ---- Reflection. */

/* Asks with one string in 'field'; the answer (owned) has no descriptors in
 * it, but the name and package of each. */
static char *
ask(uint32_t field, const char *value)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct ofpbuf request;

    ofpbuf_init(&request, 0);
    put_string(&request, field, value);
    struct ofpbuf *b = otd_reflection_answer(request.data, request.size);
    format_message(b->data, b->size, " 2 4 5 6 6.1 7 ", &ds);
    ofpbuf_delete(b);
    ofpbuf_uninit(&request);

    /* A descriptor starts with field 1, the name: cut it after that. */
    char *s = ds_steal_cstr(&ds);
    char *file = strstr(s, "4:{1:\"\\x0a\\x");
    if (file) {
        char *proto = strstr(file, ".proto");

        ck_assert_ptr_nonnull(proto);
        strcpy(proto + strlen(".proto"), "");
    }
    return s;
}

static void
assert_answer(uint32_t field, const char *value, const char *text)
{
    char *s = ask(field, value);
    char *expected = xasprintf("2:{%"PRIu32":\"%s\"} %s", field, value, text);

    ck_assert_str_eq(s, expected);
    free(expected);
    free(s);
}

#define TUNNEL_FILE "4:{1:\"\\x0a\\x13tunneloffload.proto"
#define HEALTH_FILE "4:{1:\"\\x0a\\x0chealth.proto"
#define V1_FILE "4:{1:\"\\x0a\\x10reflection.proto"
#define V1ALPHA_FILE "4:{1:\"\\x0a\\x18reflection-v1alpha.proto"
#define NO_SYMBOL "7:{1:5 2:\"no such symbol\"}"

START_TEST(test_reflection_services)
{
    assert_answer(7, "*", "6:{1:{1:\"grpc.health.v1.Health\"} "
                  "1:{1:\"grpc.reflection.v1alpha.ServerReflection\"} "
                  "1:{1:\"grpc.reflection.v1.ServerReflection\"} "
                  "1:{1:\"tunneloffload.v2.IpTunnelService\"}}");
}
END_TEST

START_TEST(test_reflection_files)
{
    assert_answer(3, "tunneloffload.proto", TUNNEL_FILE);
    assert_answer(3, "health.proto", HEALTH_FILE);
    assert_answer(3, "reflection.proto", V1_FILE);
    assert_answer(3, "reflection-v1alpha.proto", V1ALPHA_FILE);
    assert_answer(3, "tunneloffload", "7:{1:5 2:\"no such file\"}");
    assert_answer(3, "", "7:{1:5 2:\"no such file\"}");
}
END_TEST

START_TEST(test_reflection_symbols)
{
    static const char *const ours[] = {
        "tunneloffload.v2.IpTunnelService",
        "tunneloffload.v2.IpTunnelService.CreateIpTunnel",
        "tunneloffload.v2.IpTunnelRequest",
        ".tunneloffload.v2.IpTunnelRequest",
        "tunneloffload.v2.IpTunnelRequest.tunnel_id",
        "tunneloffload.v2.IpTunnelRequest.tunnel",          /* A oneof. */
        "tunneloffload.v2.MatchCriteria.GeneveMatch",
        "tunneloffload.v2.MatchCriteria.GeneveMatch.vni",
        "tunneloffload.v2.EncType",
        "tunneloffload.v2._AES256GCM64",
        "tunneloffload.v2.EncType._AES256GCM64",
    };
    static const char *const nobodys[] = {
        "", ".", "tunneloffload", "tunneloffload.v2", "tunneloffload.v2.",
        "tunneloffload.v2.Ip", "tunneloffload.v2.IpTunnelRequestX",
        "tunneloffload.v2.IpTunnelRequest.", "IpTunnelRequest",
        "tunneloffload.v2.IpTunnelRequest.vni",
        "tunneloffload.v2.IpTunnelRequest.tunnel_id.x",
        "tunneloffload.v2.GeneveMatch", "tunneloffload.v3.IpTunnelRequest",
        "tunneloffload.v2._AES256GCM64.EncType",
    };

    for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
        assert_answer(4, ours[i], TUNNEL_FILE);
    }
    for (size_t i = 0; i < ARRAY_SIZE(nobodys); i++) {
        assert_answer(4, nobodys[i], NO_SYMBOL);
    }
    assert_answer(4, "grpc.health.v1.HealthCheckResponse.SERVING",
                  HEALTH_FILE);
    assert_answer(4, "grpc.health.v1.HealthCheckResponse.ServingStatus",
                  HEALTH_FILE);
    assert_answer(4, "grpc.reflection.v1.ServerReflection", V1_FILE);
    assert_answer(4, "grpc.reflection.v1alpha.ServerReflection", V1ALPHA_FILE);
}
END_TEST

START_TEST(test_reflection_extensions)
{
    assert_answer(6, "tunneloffload.v2.Nat", "5:{1:\"tunneloffload.v2.Nat\"}");
    assert_answer(6, "tunneloffload.v2.MatchCriteria.IPSecMatch",
                  "5:{1:\"tunneloffload.v2.MatchCriteria.IPSecMatch\"}");
    assert_answer(6, "tunneloffload.v2.EncType",
                  "7:{1:5 2:\"no such message type\"}");
    assert_answer(6, "tunneloffload.v2.IpTunnelService",
                  "7:{1:5 2:\"no such message type\"}");

    char *s = ask(5, "\x0a\x03""a.b");
    ck_assert_str_eq(s, "2:{5:\"\\x0a\\x03a.b\"} "
                     "7:{1:5 2:\"no message has extensions\"}");
    free(s);
}
END_TEST

START_TEST(test_reflection_others)
{
    struct ofpbuf b;

    /* The host comes back; no question is answered, too. */
    ofpbuf_init(&b, 0);
    put_string(&b, 1, "here");
    assert_message(otd_reflection_answer(b.data, b.size), " 2 7 ",
                   "1:\"here\" 2:{1:\"here\"} 7:{1:12 2:\"no such kind of "
                   "request\"}");
    ck_assert_ptr_null(otd_reflection_answer("\xff", 1));
    while (b.size <= 4096) {
        put_string(&b, 1, "here");
    }
    ck_assert_ptr_null(otd_reflection_answer(b.data, b.size));
    ofpbuf_uninit(&b);
}
END_TEST

static Suite *
suite(void)
{
    Suite *suite_ = suite_create("reply");
    TCase *tcase = tcase_create("reply");

    tcase_add_test(tcase, test_capabilities);
    tcase_add_test(tcase, test_create_statuses);
    tcase_add_test(tcase, test_create_kinds);
    tcase_add_test(tcase, test_create_chosen_ids);
    tcase_add_test(tcase, test_create_large);
    tcase_add_test(tcase, test_replies);
    tcase_add_test(tcase, test_embedded_lengths);
    tcase_add_test(tcase, test_pages_by_number);
    tcase_add_test(tcase, test_pages_by_size);
    tcase_add_test(tcase, test_small_requests);
    tcase_add_test(tcase, test_health);
    tcase_add_test(tcase, test_reflection_services);
    tcase_add_test(tcase, test_reflection_files);
    tcase_add_test(tcase, test_reflection_symbols);
    tcase_add_test(tcase, test_reflection_extensions);
    tcase_add_test(tcase, test_reflection_others);
    tcase_set_timeout(tcase, 120);
    suite_add_tcase(suite_, tcase);
    return suite_;
}

int
main(void)
{
    SRunner *runner = srunner_create(suite());

    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
