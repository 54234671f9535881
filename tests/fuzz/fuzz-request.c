/* SPDX-License-Identifier: Apache-2.0 */

/* A fuzz target for everything that touches a client's bytes before the engine
 * does.  Besides "no crash" it holds the model to what it promises:
 *
 *   - whatever decodes, encodes to bytes that decode to the same;
 *   - its match key does not change on the way;
 *   - an empty update changes nothing, and the same update twice no more than
 *     once.
 *
 * Input: two bytes of length (little-endian; a larger one than there are bytes
 * means all), a request of that length, and the rest as its update. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpcsvc/codec.h"
#include "grpcsvc/health-codec.h"
#include "grpcsvc/reflection.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofpbuf.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define MUST(CONDITION)                                                 \
    do {                                                                \
        if (!(CONDITION)) {                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,  \
                    #CONDITION);                                        \
            abort();                                                    \
        }                                                               \
    } while (0)

static const struct otd_caps caps = {
    true, true, true, true, true, 31,
};

/* Decodes, with the bytes in a block of their own so that a sanitizer sees a
 * read behind their end.  Faults of values do not count: the stand-ins must
 * hold. */
static bool
decode(const struct otd_codec *codec, const void *bytes, size_t n,
       struct otd_spec *spec)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    void *copy = xmemdup(bytes, n);

    bool ok = codec->decode(codec->aux, copy, n, spec, &faults);
    MUST(ok || faults.n == 1);
    MUST(otd_faults_any(&faults) == (otd_faults_text(&faults)[0] != '\0'));
    otd_faults_destroy(&faults);
    free(copy);
    return ok;
}

static void
check(const struct otd_spec *spec)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct ds ds = DS_EMPTY_INITIALIZER;

    otd_spec_check(spec, &caps, &faults);
    MUST(spec->kind == OTD_KIND_GENEVE_ENCAP
         || spec->kind == OTD_KIND_GENEVE_DECAP || otd_faults_any(&faults));
    otd_spec_format(spec, &ds);
    ds_destroy(&ds);
    otd_faults_destroy(&faults);
}

static void
round_trip(const struct otd_codec *codec, const struct otd_spec *spec)
{
    struct otd_match_key key, key_again;
    struct ofpbuf bytes, bytes_again;
    struct otd_spec expected, again;

    ofpbuf_init(&bytes, 0);
    codec->encode(codec->aux, spec, &bytes);
    MUST(decode(codec, bytes.data, bytes.size, &again));

    /* What the canonical bytes leave out on purpose. */
    expected = *spec;
    expected.operation = OTD_OP_CREATE;
    if (spec->kind == OTD_KIND_IPSEC_ENC || spec->kind == OTD_KIND_IPSEC_DEC) {
        for (size_t i = 0; i < spec->ipsec.n_sas; i++) {
            expected.ipsec.sas[i].key_len = 0;
            expected.ipsec.sas[i].key_is_hex = false;
        }
    }
    MUST(!memcmp(&again, &expected, sizeof again));

    otd_match_key_init(&key, spec);
    otd_match_key_init(&key_again, &again);
    MUST(!memcmp(&key, &key_again, sizeof key));

    ofpbuf_init(&bytes_again, 0);
    codec->encode(codec->aux, &again, &bytes_again);
    MUST(bytes.size == bytes_again.size);
    MUST(!memcmp(bytes.data, bytes_again.data, bytes.size));
    ofpbuf_uninit(&bytes);
    ofpbuf_uninit(&bytes_again);
}

static void
merge(const struct otd_codec *codec, const struct otd_spec *base,
      const struct otd_spec *patch)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct otd_spec empty, once = *base, twice;

    otd_spec_init(&empty);
    otd_spec_merge(&once, &empty, &faults);
    MUST(!otd_faults_any(&faults));
    MUST(!memcmp(&once, base, sizeof once));

    otd_spec_merge(&once, patch, &faults);
    if (!otd_faults_any(&faults)) {
        MUST(once.id == base->id && once.operation == base->operation);
        check(&once);
        round_trip(codec, &once);
        /* An SA can be created or deleted only once. */
        if (patch->kind != OTD_KIND_IPSEC_DEC) {
            twice = once;
            otd_spec_merge(&twice, patch, &faults);
            MUST(!otd_faults_any(&faults));
            MUST(!memcmp(&twice, &once, sizeof twice));
        }
    }
    otd_faults_destroy(&faults);
}

/* The requests that are no tunnels. */
static void
others(const uint8_t *bytes, size_t n)
{
    uint64_t id;
    uint32_t number;
    bool known;

    ofpbuf_delete(otd_reflection_answer(bytes, n));
    otd_health_parse_request(bytes, n, &known);
    otd_codec_parse_tunnel_id(bytes, n, &id);
    otd_codec_parse_request_args(bytes, n, &number);
    otd_codec_parse_capability_request(bytes, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct otd_codec *codec = otd_codec_create();
    struct otd_spec spec, patch;

    if (size >= 2) {
        size_t n = MIN(data[0] | data[1] << 8, size - 2);
        const uint8_t *rest = data + 2 + n;
        size_t n_rest = size - 2 - n;
        bool have_patch = decode(codec, rest, n_rest, &patch);

        if (decode(codec, data + 2, n, &spec)) {
            check(&spec);
            round_trip(codec, &spec);
            if (have_patch) {
                merge(codec, &spec, &patch);
            }
        }
        others(data + 2, n);
    }
    otd_codec_destroy(codec);
    return 0;
}
