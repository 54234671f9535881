/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as bytes: what clients really send, what is hostile, and the way
 * back.  Bytes are written by hand, from the tables of the API. */
#include <config.h>
#include "grpcsvc/codec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "tests/unit/spec-fixture.h"
#include "tests/unit/wire.h"
#include "util.h"

static struct otd_codec *codec;
static struct ofpbuf request, match, sub, part;

static void
setup(void)
{
    codec = otd_codec_create();
    ofpbuf_init(&request, 0);
    ofpbuf_init(&match, 0);
    ofpbuf_init(&sub, 0);
    ofpbuf_init(&part, 0);
}

static void
teardown(void)
{
    otd_codec_destroy(codec);
    ofpbuf_uninit(&request);
    ofpbuf_uninit(&match);
    ofpbuf_uninit(&sub);
    ofpbuf_uninit(&part);
}

/* Decodes 'request', which must end like 'ok' and 'text' say, and empties
 * it. */
static struct otd_spec
decode(bool ok, const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct otd_spec spec;

    memset(&spec, 0x55, sizeof spec);
    ck_assert_int_eq(codec->decode(codec->aux, request.data, request.size,
                                   &spec, &faults), ok);
    ck_assert_str_eq(otd_faults_text(&faults), text);
    otd_faults_destroy(&faults);
    ofpbuf_clear(&request);
    return spec;
}

/* The same, and what the check says after it. */
static void
decode_and_check(enum otd_fault_kind kind, const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct otd_spec spec;

    ck_assert(codec->decode(codec->aux, request.data, request.size, &spec,
                            &faults));
    otd_spec_check(&spec, &all_caps, &faults);
    ck_assert_str_eq(otd_faults_text(&faults), text);
    if (text[0]) {
        ck_assert_str_eq(otd_fault_kind_to_string(faults.kind),
                         otd_fault_kind_to_string(kind));
    }
    otd_faults_destroy(&faults);
    ofpbuf_clear(&request);
}

static void
assert_spec(const struct otd_spec *spec, const struct otd_spec *expected)
{
    ck_assert_mem_eq(spec, expected, sizeof *spec);
}

/* Starts 'request' as a create with FORWARD; the other messages are empty. */
static void
begin(uint64_t id)
{
    ofpbuf_clear(&request);
    ofpbuf_clear(&match);
    ofpbuf_clear(&sub);
    put_varint(&request, 1, id);
    put_varint(&request, 2, 1);
    put_varint(&request, 4, 1);
}

/* Ends 'request' with 'match' and, as member 'field' of geneve, 'sub'. */
static void
end_geneve(uint32_t field)
{
    ofpbuf_clear(&part);
    put_message(&request, 3, &match);
    put_message(&part, field, &sub);
    put_message(&request, 6, &part);
}

static void
put_ip4_match(struct ofpbuf *b, uint32_t field, uint32_t src,
              uint32_t src_plen, uint32_t dst, uint32_t dst_plen)
{
    ofpbuf_clear(&part);
    put_fixed32(&part, 1, src);
    put_varint(&part, 2, src_plen);
    put_fixed32(&part, 3, dst);
    put_varint(&part, 4, dst_plen);
    put_message(b, field, &part);
}

static void
put_ip4_pair(struct ofpbuf *b, uint32_t field, uint32_t src, uint32_t dst)
{
    ofpbuf_clear(&part);
    put_fixed32(&part, 1, src);
    put_fixed32(&part, 2, dst);
    put_message(b, field, &part);
}

/* A legal encapsulation, without its match: 5.5.5.5 to 6.6.6.6, VNI 500. */
static void
put_encap(void)
{
    put_ip4_pair(&sub, 1, 84215045, 101058054);
    put_varint(&sub, 7, 500);
}

static void
put_option(uint32_t opt_class, uint32_t type, uint32_t length,
           const void *data, size_t n)
{
    ofpbuf_clear(&part);
    put_varint(&part, 1, opt_class);
    put_varint(&part, 2, type);
    put_varint(&part, 3, length);
    put_bytes(&part, 4, data, n);
    put_message(&sub, 9, &part);
}

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

/* ---- Hostile bytes. */

#define NO_MESSAGE(N) "the " #N " bytes are not an IpTunnelRequest of " \
                      "tunneloffload.v2; send one, in protobuf encoding"

START_TEST(test_truncated)
{
    struct otd_spec full = geneve_encap(), spec;
    struct otd_spec empty;
    struct ofpbuf bytes;
    size_t n_good = 0;

    add_option(&full, 1, 1, 8);
    ofpbuf_init(&bytes, 0);
    codec->encode(codec->aux, &full, &bytes);
    otd_spec_init(&empty);
    for (size_t n = 0; n < bytes.size; n++) {
        struct otd_faults faults = OTD_FAULTS_INITIALIZER;
        /* Malloc'ed to size, so that a sanitizer sees a read behind it. */
        void *copy = xmemdup(bytes.data, n ? n : 1);

        if (codec->decode(codec->aux, copy, n, &spec, &faults)) {
            /* Cut between two fields: what is left is a request. */
            n_good++;
            otd_spec_check(&spec, &all_caps, &faults);
            ck_assert(otd_faults_any(&faults));
        } else {
            ck_assert_uint_eq(faults.n, 1);
            assert_spec(&spec, &empty);
        }
        free(copy);
        otd_faults_destroy(&faults);
    }
    ck_assert_uint_eq(n_good, 5);       /* Of five fields, 0 to 4. */
    ofpbuf_uninit(&bytes);
}
END_TEST

START_TEST(test_no_protobuf)
{
    put_bytes(&request, 3, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11);
    decode(false, NO_MESSAGE(13));
    put_tag(&request, 3, 3);            /* A group. */
    decode(false, NO_MESSAGE(1));
    put_tag(&request, 0, 0);            /* Field 0. */
    put_raw_varint(&request, 1);
    decode(false, NO_MESSAGE(2));
    put_fixed32(&request, 3, 7);        /* A message as a number. */
    decode(false, NO_MESSAGE(5));
    put_tag(&request, 3, 2);            /* More bytes than there are. */
    put_raw_varint(&request, UINT64_C(1) << 62);
    decode(false, NO_MESSAGE(10));

    /* Numbers of fields that we do not have are skipped. */
    begin(1);
    put_varint(&request, 999, 5);
    put_string(&request, 1001, "an extension");
    put_varint(&match, 5, 2);
    put_encap();
    end_geneve(1);
    decode_and_check(OTD_FAULT_OTHER, "");
}
END_TEST

START_TEST(test_too_large)
{
    put_varint(&request, 1, 1);
    while (request.size <= OTD_REQUEST_BYTES_MAX) {
        put_varint(&request, 1, 1);
    }
    decode(false, "the request has 65538 bytes; send at most 65536");
}
END_TEST

/* Bytes that are few, and unfold to a hundred times as much. */
START_TEST(test_unfolds)
{
    static const struct {
        uint32_t field;         /* Of GeneveEncap. */
        const char *what;
    } bombs[] = {
        { 9, "empty options" },
        { 20, "unknown fields" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(bombs); i++) {
        begin(1);
        while (sub.size < OTD_REQUEST_BYTES_MAX - 100) {
            put_bytes(&sub, bombs[i].field, "", 0);
        }
        put_message(&part, 1, &sub);
        put_message(&request, 6, &part);
        char *text = xasprintf("the %"PRIu32" bytes of the request unfold to "
                               "more than 262144; send fewer fields",
                               request.size);
        decode(false, text);
        free(text);

        /* And the next request is decoded as if nothing had been. */
        begin(1);
        put_varint(&match, 5, 2);
        put_encap();
        end_geneve(1);
        decode_and_check(OTD_FAULT_OTHER, "");
    }
}
END_TEST

/* Random changes to legal bytes: whatever comes out, it is a verdict. */
START_TEST(test_mutations)
{
    struct rng rng = { 3 };
    size_t n_ok = 0, n_bad = 0;

    for (int i = 0; i < 20000; i++) {
        struct otd_faults faults = OTD_FAULTS_INITIALIZER;
        struct otd_spec spec;

        random_spec(&rng, &spec);
        codec->encode(codec->aux, &spec, &request);
        uint8_t *bytes = xmemdup(request.data, request.size);
        for (uint32_t n = 1 + rng_range(&rng, 3); n; n--) {
            bytes[rng_range(&rng, request.size)] = rng_next(&rng);
        }
        if (codec->decode(codec->aux, bytes, request.size, &spec, &faults)) {
            n_ok++;
            otd_spec_check(&spec, &all_caps, &faults);
            if (!otd_faults_any(&faults)) {
                struct otd_match_key key;
                otd_match_key_init(&key, &spec);
            }
        } else {
            n_bad++;
        }
        free(bytes);
        ofpbuf_clear(&request);
        otd_faults_destroy(&faults);
    }
    ck_assert_uint_gt(n_ok, 1000);
    ck_assert_uint_gt(n_bad, 1000);
}
END_TEST

/* ---- And back. */

START_TEST(test_canonical_bytes)
{
    struct otd_spec spec = geneve_encap();

    spec.operation = OTD_OP_UPDATE;
    add_option(&spec, 0x104, 0x91, 4);
    add_option(&spec, 0x105, 0x01, 8);
    spec.encap.critical_option_present = true;
    codec->encode(codec->aux, &spec, &request);

    struct ds ds = DS_EMPTY_INITIALIZER;
    format_message(request.data, request.size,
                   " 3 3.3 6 6.1 6.1.1 6.1.9 ", &ds);
    ck_assert_str_eq(ds_cstr(&ds),
                     "1:1 2:1 3:{3:{3:0x0000010a 4:16}} 4:1 "
                     "6:{1:{1:{1:0x010200c0 2:0x020200c0} 4:12 6:1 7:100 "
                     "9:{1:260 2:145 3:1 4:\"\\x91\\x92\\x93\\x94\"} "
                     "9:{1:261 2:1 3:2 4:\"\\x01\\x02\\x03\\x04\\x05\\x06"
                     "\\x07\\x08\"}}}");
    ds_clear(&ds);
    ofpbuf_clear(&request);

    /* As a client would send it: the operation stays. */
    otd_codec_encode_request(&spec, &request);
    format_message(request.data, 4, "", &ds);
    ck_assert_str_eq(ds_cstr(&ds), "1:1 2:2");
    ds_clear(&ds);
    ofpbuf_clear(&request);

    spec = geneve_decap();
    spec.match.overlay.mac.present = spec.match.overlay.mac.has_src = true;
    spec.match.overlay.mac.src = mac("61:62:63:64:65:66");
    spec.match.overlay.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV6, .src = ip("4142:4344:4546:4748:494a::"),
        .src_plen = 80 };
    codec->encode(codec->aux, &spec, &request);
    format_message(request.data, request.size,
                   " 3 3.7 3.7.2 3.7.5 6 6.2 ", &ds);
    ck_assert_str_eq(ds_cstr(&ds),
                     "1:2 2:1 3:{7:{1:100 2:{2:\"abcdef\"} 5:{1:\"ABCDEFGHIJ"
                     "\\x00\\x00\\x00\\x00\\x00\\x00\" 2:80}}} 4:1 6:{2:{}}");
    ds_destroy(&ds);
}
END_TEST

START_TEST(test_no_key_in_bytes)
{
    struct otd_spec spec = ipsec_dec();

    codec->encode(codec->aux, &spec, &request);
    struct ds ds = DS_EMPTY_INITIALIZER;
    format_message(request.data, request.size,
                   " 3 3.3 5 5.2 5.2.3 ", &ds);
    ck_assert_str_eq(ds_cstr(&ds), "1:1 2:1 3:{3:{3:0x0000010a 4:16}} 4:1 "
                     "5:{2:{1:1 2:2 3:{1:256 3:1}}}");
    ds_destroy(&ds);
}
END_TEST

START_TEST(test_round_trip)
{
    struct rng rng = { 4 };
    struct ofpbuf again;

    ofpbuf_init(&again, 0);
    for (int i = 0; i < 10000; i++) {
        struct otd_faults faults = OTD_FAULTS_INITIALIZER;
        struct otd_spec spec, back;

        random_spec(&rng, &spec);
        ofpbuf_clear(&request);
        codec->encode(codec->aux, &spec, &request);
        ck_assert(codec->decode(codec->aux, request.data, request.size, &back,
                                &faults));
        ck_assert_str_eq(otd_faults_text(&faults), "");
        assert_spec(&back, &spec);

        ofpbuf_clear(&again);
        codec->encode(codec->aux, &back, &again);
        ck_assert_uint_eq(again.size, request.size);
        ck_assert_mem_eq(again.data, request.data, again.size);
    }
    ofpbuf_uninit(&again);
}
END_TEST

/* Requests that are never stored come back, too: a client reads its own. */
START_TEST(test_round_trip_others)
{
    struct otd_spec specs[4] = {
        ipsec_enc(), ipsec_dec(), geneve_encap(), geneve_encap(),
    };

    specs[1].ipsec.n_sas = 2;
    specs[1].ipsec.sas[1].spi = 999;
    specs[0].ipsec.outer = (struct otd_ip_pair) {
        .family = OTD_FAMILY_IPV6, .src = ip("fd00::1"), .dst = ip("fd00::2")
    };
    memset(&specs[2].encap, 0, sizeof specs[2].encap);
    specs[2].kind = OTD_KIND_NAT;
    specs[2].nat_source_ip = UINT32_MAX;
    specs[2].match.kind = OTD_MATCH_IPSEC;
    specs[2].match.spi = 7;
    specs[2].match.sn = 8;
    specs[3].match.kind = OTD_MATCH_VXLAN;
    specs[3].match.overlay.vni = 77;
    specs[3].match.overlay.mac.present = true;
    specs[3].match.overlay.ip = specs[3].match.ip;
    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        if (specs[i].kind == OTD_KIND_IPSEC_ENC
            || specs[i].kind == OTD_KIND_IPSEC_DEC) {
            specs[i].ipsec.sas[0].key_len = 0;
        }
        specs[i].operation = OTD_OP_UPDATE;
        otd_codec_encode_request(&specs[i], &request);
        struct otd_spec back = decode(true, "");
        assert_spec(&back, &specs[i]);
    }
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
    tcase_add_test(tcase, test_truncated);
    tcase_add_test(tcase, test_no_protobuf);
    tcase_add_test(tcase, test_too_large);
    tcase_add_test(tcase, test_unfolds);
    tcase_add_test(tcase, test_mutations);
    tcase_add_test(tcase, test_canonical_bytes);
    tcase_add_test(tcase, test_no_key_in_bytes);
    tcase_add_test(tcase, test_round_trip);
    tcase_add_test(tcase, test_round_trip_others);
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
