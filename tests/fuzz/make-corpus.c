/* SPDX-License-Identifier: Apache-2.0 */

/* Writes seeds for fuzz-request into a directory: legal requests, with and
 * without an update, and the questions that reflection and health get. */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grpcsvc/codec.h"
#include "openvswitch/ofpbuf.h"
#include "tests/unit/spec-fixture.h"
#include "util.h"

#define N_RANDOM 64

static void
write_seed(const char *dir, const char *name, const void *first, size_t n,
           const void *second, size_t n_second)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    uint8_t length[] = { n, n >> 8 };

    if (!file || fwrite(length, 1, 2, file) != 2
        || fwrite(first, 1, n, file) != n
        || fwrite(second, 1, n_second, file) != n_second || fclose(file)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    free(path);
}

static void
write_specs(const char *dir, const char *name, const struct otd_spec *spec,
            const struct otd_spec *patch)
{
    struct ofpbuf first, second;

    ofpbuf_init(&first, 0);
    ofpbuf_init(&second, 0);
    otd_codec_encode_request(spec, &first);
    if (patch) {
        otd_codec_encode_request(patch, &second);
    }
    write_seed(dir, name, first.data, first.size, second.data, second.size);
    ofpbuf_uninit(&first);
    ofpbuf_uninit(&second);
}

static void
write_fixtures(const char *dir)
{
    struct otd_spec encap = geneve_encap(), decap = geneve_decap();
    struct otd_spec enc = ipsec_enc(), dec = ipsec_dec();
    struct otd_spec vxlan = encap, spi = encap, nat = encap;

    vxlan.match.kind = OTD_MATCH_VXLAN;
    vxlan.match.overlay.ip = vxlan.match.ip;
    spi.match.kind = OTD_MATCH_IPSEC;
    spi.match.spi = 1000;
    memset(&nat.encap, 0, sizeof nat.encap);
    nat.kind = OTD_KIND_NAT;
    nat.nat_source_ip = 33554443;

    write_specs(dir, "encap", &encap, NULL);
    write_specs(dir, "decap", &decap, NULL);
    write_specs(dir, "ipsec-enc", &enc, &enc);
    write_specs(dir, "ipsec-dec", &dec, &dec);
    write_specs(dir, "vxlan", &vxlan, &spi);
    write_specs(dir, "spi", &spi, &vxlan);
    write_specs(dir, "nat", &nat, &nat);
    add_option(&encap, 0x104, 0x91, 124);
    add_option(&encap, 0x104, 0x92, 120);
    write_specs(dir, "options", &encap, &decap);
}

int
main(int argc, char *argv[])
{
    static const char *const questions[] = {
        "\x1a\x13tunneloffload.proto", "\x22\003a.b",
        "\x22\x18tunneloffload.v2.EncType", "\x3a\x01*", "\x0a\x01x",
        "\x32\x14tunneloffload.v2.Nat",
    };
    struct rng rng = { 5 };

    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return EXIT_FAILURE;
    }
    write_fixtures(argv[1]);
    for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
        char *name = xasprintf("question-%"PRIuSIZE, i);

        write_seed(argv[1], name, questions[i], strlen(questions[i]), "", 0);
        free(name);
    }
    for (int i = 0; i < N_RANDOM; i++) {
        char *name = xasprintf("random-%d", i);
        struct otd_spec spec, patch;

        random_spec(&rng, &spec);
        random_spec(&rng, &patch);
        patch.operation = OTD_OP_UPDATE;
        if (i % 4) {
            patch.kind = OTD_KIND_NONE; /* Else most patches are refused. */
        }
        write_specs(argv[1], name, &spec, i % 2 ? &patch : NULL);
        free(name);
    }
    return EXIT_SUCCESS;
}
