/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tests/unit/codec-fixture.h"

#include <check.h>
#include <string.h>

#include "tests/unit/spec-fixture.h"
#include "tests/unit/wire.h"

struct otd_codec *codec;
struct ofpbuf request, match, sub, part;

void
setup(void)
{
    codec = otd_codec_create();
    ofpbuf_init(&request, 0);
    ofpbuf_init(&match, 0);
    ofpbuf_init(&sub, 0);
    ofpbuf_init(&part, 0);
}

void
teardown(void)
{
    otd_codec_destroy(codec);
    ofpbuf_uninit(&request);
    ofpbuf_uninit(&match);
    ofpbuf_uninit(&sub);
    ofpbuf_uninit(&part);
}

struct otd_spec
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

void
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

void
assert_spec(const struct otd_spec *spec, const struct otd_spec *expected)
{
    ck_assert_mem_eq(spec, expected, sizeof *spec);
}

void
begin(uint64_t id)
{
    ofpbuf_clear(&request);
    ofpbuf_clear(&match);
    ofpbuf_clear(&sub);
    put_varint(&request, 1, id);
    put_varint(&request, 2, 1);
    put_varint(&request, 4, 1);
}

void
end_geneve(uint32_t field)
{
    ofpbuf_clear(&part);
    put_message(&request, 3, &match);
    put_message(&part, field, &sub);
    put_message(&request, 6, &part);
}

void
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

void
put_ip4_pair(struct ofpbuf *b, uint32_t field, uint32_t src, uint32_t dst)
{
    ofpbuf_clear(&part);
    put_fixed32(&part, 1, src);
    put_fixed32(&part, 2, dst);
    put_message(b, field, &part);
}

void
put_encap(void)
{
    put_ip4_pair(&sub, 1, 84215045, 101058054);
    put_varint(&sub, 7, 500);
}

void
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
