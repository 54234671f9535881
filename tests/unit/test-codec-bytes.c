/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as bytes: hostile ones, and the way back. */
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
    Suite *suite_ = suite_create("codec-bytes");
    TCase *tcase = tcase_create("codec-bytes");

    tcase_add_checked_fixture(tcase, setup, teardown);
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
