/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as bytes: what clients really send, and values that are wrong.
 * Bytes are written by hand, from the tables of the API. */
#include <config.h>
#include "grpcsvc/codec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "tests/unit/codec-fixture.h"
#include "tests/unit/spec-fixture.h"
#include "tests/unit/wire.h"
#include "util.h"

/* ---- What clients send. */

START_TEST(test_encap_as_sent)
{
    struct otd_spec spec, expected;

    /* Tunnel 10001 of the public client, with a match by address. */
    begin(10001);
    put_ip4_match(&match, 3, 16777227, 32, 33554443, 32);
    put_varint(&match, 5, 10000);
    put_ip4_pair(&sub, 1, 84215045, 101058054);
    put_bytes(&part, 1, "605040302010", 12);
    put_bytes(&part, 2, "102030405060", 12);
    put_message(&sub, 3, &part);
    put_varint(&sub, 4, 4);
    put_varint(&sub, 7, 500);
    put_option(0x0104, 0x11, 1, "\x10\x20\x30\x40", 4);
    end_geneve(1);
    spec = decode(true, "");

    otd_spec_init(&expected);
    expected.id = 10001;
    expected.operation = OTD_OP_CREATE;
    expected.next_action = OTD_ACTION_FORWARD;
    expected.match.present = true;
    expected.match.tunnel_id = 10000;
    expected.match.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV4, .src = ip("11.0.0.1"), .src_plen = 32,
        .dst = ip("11.0.0.2"), .dst_plen = 32 };
    expected.kind = OTD_KIND_GENEVE_ENCAP;
    expected.encap.outer = (struct otd_ip_pair) {
        .family = OTD_FAMILY_IPV4, .src = ip("5.5.5.5"),
        .dst = ip("6.6.6.6") };
    expected.encap.inner_mac.present = true;
    expected.encap.inner_mac.has_dst = expected.encap.inner_mac.has_src = true;
    expected.encap.inner_mac.dst = mac("60:50:40:30:20:10");
    expected.encap.inner_mac.src = mac("10:20:30:40:50:60");
    expected.encap.vni = 500;
    expected.encap.options_len = 8;
    memcpy(expected.encap.options, "\x01\x04\x11\x01\x10\x20\x30\x40", 8);
    assert_spec(&spec, &expected);
}
END_TEST

START_TEST(test_decap_as_sent)
{
    struct otd_spec spec, expected;

    /* Tunnel 10002: the address that was meant as the destination stands in
     * source_ip, and stays there. */
    begin(10002);
    ofpbuf_clear(&part);
    put_fixed32(&part, 1, 33554443);
    put_varint(&part, 2, 32);
    put_message(&match, 3, &part);
    put_varint(&part, 1, 500);
    put_message(&match, 7, &part);
    end_geneve(2);
    spec = decode(true, "");

    otd_spec_init(&expected);
    expected.id = 10002;
    expected.operation = OTD_OP_CREATE;
    expected.next_action = OTD_ACTION_FORWARD;
    expected.match.present = true;
    expected.match.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV4, .src = ip("11.0.0.2"), .src_plen = 32,
        .dst = ip("0.0.0.0") };
    expected.match.kind = OTD_MATCH_GENEVE;
    expected.match.overlay.vni = 500;
    expected.kind = OTD_KIND_GENEVE_DECAP;
    assert_spec(&spec, &expected);

    /* Tunnel 20001: no geneve_match, but a tunnel_id. */
    begin(20001);
    put_varint(&match, 5, 20000);
    end_geneve(2);
    decode_and_check(OTD_FAULT_OTHER, "");
}
END_TEST

START_TEST(test_ipv6)
{
    struct otd_spec spec, expected = geneve_encap();

    /* 16 bytes in one place, 32 digits in the other. */
    begin(1);
    put_bytes(&part, 1, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    put_varint(&part, 2, 128);
    put_bytes(&part, 3, "fd000000000000000000000000000000", 32);
    put_varint(&part, 4, 64);
    put_message(&match, 4, &part);
    put_bytes(&part, 2, "fd0000000000000000000000000000ff", 32);
    put_message(&sub, 2, &part);
    put_varint(&sub, 7, 100);
    end_geneve(1);
    spec = decode(true, "");
    expected.match.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV6, .src = ip("fd00::1"), .src_plen = 128,
        .dst = ip("fd00::"), .dst_plen = 64 };
    expected.encap.outer = (struct otd_ip_pair) {
        .family = OTD_FAMILY_IPV6, .src = ip("::"), .dst = ip("fd00::ff") };
    assert_spec(&spec, &expected);
}
END_TEST

/* Tunnel 10003 and its rekey. */
START_TEST(test_ipsec_as_sent)
{
    static const char key[] = "f9cb6358b98ebdd029142048bdee473a"
                              "c72bc1fad0325d61f68f85bcb06bb602";
    struct otd_spec spec, expected;

    put_varint(&request, 1, 10003);
    put_varint(&request, 2, 2);
    put_varint(&part, 1, 4590);
    put_bytes(&part, 2, key, 64);
    put_message(&sub, 3, &part);
    put_message(&part, 1, &sub);
    put_message(&request, 5, &part);
    spec = decode(true, "");
    otd_spec_init(&expected);
    expected.id = 10003;
    expected.operation = OTD_OP_UPDATE;
    expected.kind = OTD_KIND_IPSEC_ENC;
    expected.ipsec.n_sas = 1;
    expected.ipsec.sas[0].spi = 4590;
    expected.ipsec.sas[0].key_len = 64;
    expected.ipsec.sas[0].key_is_hex = true;
    assert_spec(&spec, &expected);

    begin(10003);
    put_varint(&match, 5, 10002);
    put_varint(&part, 1, 4587);
    put_bytes(&part, 2, key, 64);
    put_message(&sub, 3, &part);
    put_varint(&sub, 1, 3);
    put_ip4_pair(&sub, 4, 33554443, 16777227);
    put_message(&part, 1, &sub);
    put_message(&request, 3, &match);
    put_message(&request, 5, &part);
    decode_and_check(OTD_FAULT_TUNNEL_NOT_SUPPORTED, "ipsec_tunnel: IPsec is "
                     "not supported by this build's data plane yet");
}
END_TEST

START_TEST(test_key_never_shown)
{
    begin(1);
    put_varint(&match, 5, 2);
    put_varint(&part, 1, 1000);
    put_string(&part, 2, "SECRETSECRETSECRET");
    put_varint(&part, 3, 1);
    put_message(&sub, 3, &part);
    put_message(&part, 2, &sub);
    put_message(&request, 3, &match);
    put_message(&request, 5, &part);
    decode_and_check(OTD_FAULT_IPSEC_KEY, "ipsec_tunnel.ipsec_dec.ipsec_sas"
                     "[0].encryption_key: 18 bytes; AES256GCM64 takes 32, or "
                     "36 with the salt, or twice as many hexadecimal digits; "
                     "ipsec_tunnel: IPsec is not supported by this build's "
                     "data plane yet");
}
END_TEST

START_TEST(test_too_many_sas)
{
    put_varint(&request, 1, 1);
    for (int i = 0; i < 17; i++) {
        put_varint(&part, 1, 256 + i);
        put_message(&sub, 3, &part);
    }
    put_message(&part, 2, &sub);
    put_message(&request, 5, &part);
    struct otd_spec spec = decode(true, "ipsec_tunnel.ipsec_dec.ipsec_sas: 17 "
                                  "entries; a tunnel has at most 16");
    ck_assert_uint_eq(spec.ipsec.n_sas, 16);
    ck_assert_uint_eq(spec.ipsec.sas[15].spi, 256 + 15);

    struct otd_spec again;
    otd_codec_encode_request(&spec, &request);
    again = decode(true, "");           /* Exactly 16 are none too many. */
    assert_spec(&again, &spec);
}
END_TEST

START_TEST(test_nat)
{
    begin(1);
    put_varint(&match, 5, 2);
    put_message(&request, 3, &match);
    put_varint(&part, 1, 33554443);
    put_message(&request, 7, &part);
    struct otd_spec spec = decode(true, "");
    ck_assert_int_eq(spec.kind, OTD_KIND_NAT);
    ck_assert_uint_eq(spec.nat_source_ip, 33554443);
}
END_TEST

/* ---- Values that cannot be represented: each by name, and all at once. */

static void
encap_with_interface(const char *name, size_t n)
{
    begin(1);
    put_bytes(&match, 1, name, n);
    put_encap();
    end_geneve(1);
}

START_TEST(test_strings)
{
    encap_with_interface("eth0", 4);
    decode_and_check(OTD_FAULT_OTHER, "");
    encap_with_interface("eth0\0evil", 9);
    decode_and_check(OTD_FAULT_MATCH_FIELD,
                     "match_criteria.ingress_interface: holds a NUL byte; "
                     "send the name without a terminator");
    encap_with_interface("\0", 1);
    decode_and_check(OTD_FAULT_MATCH_FIELD,
                     "match_criteria.ingress_interface: holds a NUL byte; "
                     "send the name without a terminator");
    encap_with_interface("eth\xff", 4);
    decode_and_check(OTD_FAULT_MATCH_FIELD,
                     "match_criteria.ingress_interface: not UTF-8: byte 0xff "
                     "at offset 3; send the port's name");
    encap_with_interface("a-name-too-long-for-linux", 25);
    decode_and_check(OTD_FAULT_MATCH_FIELD,
                     "match_criteria.ingress_interface: a name of 25 bytes; "
                     "at most 15 are possible");
    /* Sent empty: not given, and then the match takes every packet. */
    encap_with_interface("", 0);
    decode_and_check(OTD_FAULT_MATCH_MISSING_FIELDS,
                     "match_criteria: names no field and so would take every "
                     "packet; name at least one");
    /* Sent twice: the last one counts. */
    begin(1);
    put_bytes(&match, 1, "eth\0", 4);
    put_string(&match, 1, "eth0");
    put_encap();
    end_geneve(1);
    decode_and_check(OTD_FAULT_OTHER, "");
}
END_TEST

START_TEST(test_enums)
{
    begin(1);
    put_varint(&match, 5, 2);
    put_encap();
    end_geneve(1);
    put_varint(&request, 2, 17);
    put_varint(&request, 4, UINT64_MAX);        /* -1, as an enum has it. */
    decode_and_check(OTD_FAULT_MATCH_FIELD, "operation: 17 is not known; use "
                     "_CREATE (1), _UPDATE (2) or _DELETE (3); next_action: "
                     "4294967295 is not known; use FORWARD (1) or RECIRCULATE "
                     "(2)");
}
END_TEST

START_TEST(test_oneofs_missing)
{
    static const char text[] = "tunnel: missing; give geneve with "
                               "geneve_encap or geneve_decap";

    begin(1);
    put_varint(&match, 5, 2);
    put_message(&request, 3, &match);
    decode_and_check(OTD_FAULT_MATCH_MISSING_FIELDS, text);

    begin(1);
    put_varint(&match, 5, 2);
    put_message(&request, 3, &match);
    put_message(&request, 6, &sub);             /* geneve {} */
    decode_and_check(OTD_FAULT_MATCH_MISSING_FIELDS, text);

    begin(1);
    put_varint(&match, 5, 2);
    put_message(&request, 3, &match);
    put_message(&request, 5, &sub);             /* ipsec_tunnel {} */
    decode_and_check(OTD_FAULT_MATCH_MISSING_FIELDS, text);

    begin(1);
    put_encap();
    put_message(&part, 1, &sub);
    put_message(&request, 6, &part);            /* No match_criteria. */
    decode_and_check(OTD_FAULT_MATCH_MISSING_FIELDS, "match_criteria: "
                     "missing; say which packets the tunnel takes");

    /* Nothing at all is a message, too. */
    decode_and_check(OTD_FAULT_MATCH_MISSING_FIELDS,
                     "operation: missing; use _CREATE (1), _UPDATE (2) or "
                     "_DELETE (3); next_action: missing; use FORWARD (1) or "
                     "RECIRCULATE (2); match_criteria: missing; say which "
                     "packets the tunnel takes; tunnel: missing; give geneve "
                     "with geneve_encap or geneve_decap");
}
END_TEST

START_TEST(test_two_of_a_oneof)
{
    /* The last one counts, as protobuf has it. */
    begin(1);
    put_varint(&match, 5, 2);
    put_message(&request, 3, &match);
    put_message(&part, 1, &sub);
    put_message(&request, 5, &part);
    put_encap();
    put_message(&part, 1, &sub);
    put_message(&request, 6, &part);
    decode_and_check(OTD_FAULT_OTHER, "");
}
END_TEST

START_TEST(test_all_at_once)
{
    begin(9);
    put_bytes(&match, 1, "a\0b", 3);
    put_bytes(&part, 1, "1234", 4);
    put_bytes(&part, 2, "xyxyxyxyxyxy", 12);
    put_message(&match, 2, &part);
    put_ip4_match(&match, 3, 1, 33, 0, 99);
    put_varint(&match, 5, 9);
    put_bytes(&part, 1, "123", 3);
    put_message(&sub, 2, &part);
    put_varint(&sub, 7, 1 << 24);
    put_varint(&sub, 8, 0x0800);
    put_option(1 << 16, 256, 0, "abcd", 4);
    put_option(1, 1, 0, "abc", 3);
    put_option(1, 2, 9, "abcd", 4);
    end_geneve(1);
    decode_and_check(
        OTD_FAULT_MATCH_FIELD,
        "match_criteria.ingress_interface: holds a NUL byte; send the name "
        "without a terminator; "
        "match_criteria.mac_match.destination_mac: 4 bytes; send 6 raw bytes "
        "or 12 hexadecimal digits; "
        "match_criteria.mac_match.source_mac: \"xyxyxyxyxyxy\" is not "
        "hexadecimal; send 6 raw bytes or 12 hexadecimal digits; "
        "geneve.geneve_encap.outer_ipv6_pair.source_ip: 3 bytes; send 16 raw "
        "bytes or 32 hexadecimal digits; "
        "geneve.geneve_encap.geneve_option[0]: option_class 65536 does not "
        "fit 16 bits; use at most 65535; "
        "geneve.geneve_encap.geneve_option[0]: type 256 does not fit 8 bits; "
        "use at most 255; "
        "geneve.geneve_encap.geneve_option[1]: 3 bytes of data; send 4 to "
        "124, a multiple of 4; "
        "geneve.geneve_encap.geneve_option[2]: length 9 with 4 bytes of data; "
        "send 1 (units of 4 bytes), or leave it out; "
        "match_criteria.ipv4_match.source_ip_prefix: 33 is longer than the "
        "address; use at most 32; "
        "match_criteria.ipv4_match.destination_ip_prefix: 99 is longer than "
        "the address; use at most 32; "
        "match_criteria.tunnel_id: 9 is the tunnel itself; name the tunnel "
        "that comes before it; "
        "geneve.geneve_encap.outer_ipv6_pair.destination_ip: missing; name "
        "the other end of the tunnel; "
        "geneve.geneve_encap.vni: 16777216 does not fit 24 bits; use at most "
        "16777215; "
        "geneve.geneve_encap.protocol_type: 0x0800 is not supported; use "
        "0x6558 (Ethernet) or leave it out");
}
END_TEST

START_TEST(test_options)
{
    char data[128];

    /* Two options of 124 bytes are 256 bytes with their headers. */
    memset(data, 'd', sizeof data);
    begin(1);
    put_varint(&match, 5, 2);
    put_encap();
    put_option(1, 1, 31, data, 124);
    put_option(1, 2, 31, data, 124);
    put_option(1, 3, 0, data, 128);
    end_geneve(1);
    decode_and_check(
        OTD_FAULT_GENEVE_TOO_MANY_OPTIONS,
        "geneve.geneve_encap.geneve_option[1]: 128 bytes with the header, "
        "after 128 bytes of other options; a packet carries at most 252 bytes "
        "of options; "
        "geneve.geneve_encap.geneve_option[2]: 128 bytes of data; send 4 to "
        "124, a multiple of 4");

    begin(1);
    put_varint(&match, 5, 2);
    put_encap();
    put_option(1, 1, 0, data, 4);
    put_option(1, 1, 0, data, 8);
    end_geneve(1);
    decode_and_check(OTD_FAULT_GENEVE_OPTION,
                     "geneve.geneve_encap.geneve_option[1]: class 0x0001 type "
                     "0x01 stands twice; send each pair once");

    /* A thousand: the text ends, the count goes on. */
    begin(1);
    put_varint(&match, 5, 2);
    put_encap();
    for (int i = 0; i < 1000; i++) {
        put_option(1, i % 256, 0, data, 4);
    }
    end_geneve(1);
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct otd_spec spec;
    ck_assert(codec->decode(codec->aux, request.data, request.size, &spec,
                            &faults));
    ck_assert_uint_eq(faults.n, 1000 - 31);
    ck_assert_int_eq(faults.kind, OTD_FAULT_GENEVE_TOO_MANY_OPTIONS);
    ck_assert_uint_eq(spec.encap.options_len, 31 * 8);
    otd_faults_destroy(&faults);
}
END_TEST

static Suite *
suite(void)
{
    Suite *suite_ = suite_create("codec");
    TCase *tcase = tcase_create("codec");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_encap_as_sent);
    tcase_add_test(tcase, test_decap_as_sent);
    tcase_add_test(tcase, test_ipv6);
    tcase_add_test(tcase, test_ipsec_as_sent);
    tcase_add_test(tcase, test_key_never_shown);
    tcase_add_test(tcase, test_too_many_sas);
    tcase_add_test(tcase, test_nat);
    tcase_add_test(tcase, test_strings);
    tcase_add_test(tcase, test_enums);
    tcase_add_test(tcase, test_oneofs_missing);
    tcase_add_test(tcase, test_two_of_a_oneof);
    tcase_add_test(tcase, test_all_at_once);
    tcase_add_test(tcase, test_options);
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
