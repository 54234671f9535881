/* SPDX-License-Identifier: Apache-2.0 */
/* The codec has a short way for plain requests and protobuf-c for all others:
 * nobody may be able to tell which one it was. */
#include <config.h>
#include "grpcsvc/codec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "proto/tunneloffload.pb-c.h"
#include "tests/unit/codec-fixture.h"
#include "tests/unit/spec-fixture.h"
#include "tests/unit/wire.h"

#define N_RUNS 20000

struct outcome {
    bool ok;
    struct otd_spec spec;
    struct otd_faults faults;
};

static void
decode_into(const struct ofpbuf *bytes, struct outcome *o)
{
    /* Malloc'ed to size, so that a sanitizer sees a read behind it. */
    void *copy = xmemdup(bytes->data, MAX(bytes->size, 1));

    otd_faults_init(&o->faults);
    o->ok = codec->decode(codec->aux, copy, bytes->size, &o->spec, &o->faults);
    free(copy);
}

/* A field that we do not have is skipped, and is not plain: the same request
 * with and without one takes both ways. */
static void
assert_same_both_ways(const struct ofpbuf *bytes)
{
    struct outcome quick, slow;
    struct ofpbuf longer;

    ofpbuf_init(&longer, bytes->size + 16);
    put_varint(&longer, 999, 5);
    ofpbuf_put(&longer, bytes->data, bytes->size);
    decode_into(bytes, &quick);
    decode_into(&longer, &slow);
    ofpbuf_uninit(&longer);

    ck_assert_int_eq(quick.ok, slow.ok);
    assert_spec(&quick.spec, &slow.spec);
    if (quick.ok) {             /* Otherwise the text tells the length. */
        ck_assert_str_eq(otd_faults_text(&quick.faults),
                         otd_faults_text(&slow.faults));
    }
    otd_faults_destroy(&quick.faults);
    otd_faults_destroy(&slow.faults);
}

START_TEST(test_decode)
{
    struct rng rng = { 1 };

    for (int i = 0; i < N_RUNS; i++) {
        struct otd_spec spec;

        random_spec(&rng, &spec);
        ofpbuf_clear(&request);
        codec->encode(codec->aux, &spec, &request);
        assert_same_both_ways(&request);
    }
}
END_TEST

START_TEST(test_decode_broken)
{
    struct rng rng = { 2 };

    for (int i = 0; i < N_RUNS; i++) {
        struct otd_spec spec;

        random_spec(&rng, &spec);
        ofpbuf_clear(&request);
        codec->encode(codec->aux, &spec, &request);
        if (rng_range(&rng, 4) == 0) {  /* Two in one: fields twice. */
            random_spec(&rng, &spec);
            codec->encode(codec->aux, &spec, &request);
        }
        for (uint32_t n = rng_range(&rng, 4); n; n--) {
            uint8_t *byte = ofpbuf_at_assert(&request,
                                             rng_range(&rng, request.size), 1);
            *byte = rng_range(&rng, 2) ? rng_next(&rng)
                    : *byte ^ 1 << rng_range(&rng, 8);
        }
        if (rng_range(&rng, 8) == 0) {
            request.size = rng_range(&rng, request.size + 1);
        }
        assert_same_both_ways(&request);
    }
}
END_TEST

START_TEST(test_encode)
{
    struct rng rng = { 3 };

    for (int i = 0; i < N_RUNS; i++) {
        Tunneloffload__V2__IpTunnelRequest *pb;
        struct otd_spec spec;
        uint8_t *packed;
        size_t n;

        random_spec(&rng, &spec);
        ofpbuf_clear(&request);
        codec->encode(codec->aux, &spec, &request);

        pb = tunneloffload__v2__ip_tunnel_request__unpack(NULL, request.size,
                                                          request.data);
        ck_assert_ptr_nonnull(pb);
        n = tunneloffload__v2__ip_tunnel_request__get_packed_size(pb);
        packed = xmalloc(n);
        tunneloffload__v2__ip_tunnel_request__pack(pb, packed);
        ck_assert_uint_eq(n, request.size);
        ck_assert_mem_eq(packed, request.data, n);
        free(packed);
        tunneloffload__v2__ip_tunnel_request__free_unpacked(pb, NULL);
    }
}
END_TEST

/* A match of more than 127 bytes, whose length takes two. */
START_TEST(test_long)
{
    struct otd_spec spec = geneve_decap(), back;
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;

    spec.id = UINT64_MAX;
    spec.match.tunnel_id = UINT64_MAX - 1;
    ovs_strlcpy(spec.match.ingress_interface, "abcdefghijklmno",
                sizeof spec.match.ingress_interface);
    spec.match.mac = spec.match.overlay.mac = (struct otd_mac_pair) {
        .present = true, .has_dst = true, .has_src = true,
        .dst = mac("02:00:00:00:00:01"), .src = mac("02:00:00:00:00:02"),
    };
    spec.match.ip = spec.match.overlay.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV4,
        .src = ip("255.255.255.255"), .src_plen = UINT32_MAX,
        .dst = ip("255.255.255.254"), .dst_plen = UINT32_MAX,
    };
    codec->encode(codec->aux, &spec, &request);
    ck_assert_uint_gt(request.size, 130);
    ck_assert(codec->decode(codec->aux, request.data, request.size, &back,
                            &faults));
    ck_assert_str_eq(otd_faults_text(&faults), "");
    assert_spec(&back, &spec);
    assert_same_both_ways(&request);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("codec-quick");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_decode);
    tcase_add_test(tc, test_decode_broken);
    tcase_add_test(tc, test_encode);
    tcase_add_test(tc, test_long);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
