/* SPDX-License-Identifier: Apache-2.0 */
/* The model: what an _UPDATE changes, and which matches collide. */
#include <config.h>
#include "tunnel/spec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "tests/unit/spec-fixture.h"
#include "util.h"

/* Merges 'patch' into 'base', which must then be 'expected' to the last byte,
 * with the faults of 'text'. */
static void
assert_merge(struct otd_spec base, const struct otd_spec *patch,
             const struct otd_spec *expected, const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;

    otd_spec_merge(&base, patch, &faults);
    ck_assert_str_eq(otd_faults_text(&faults), text);
    if (expected) {
        ck_assert_mem_eq(&base, expected, sizeof base);
    }
    otd_faults_destroy(&faults);
}

static struct otd_spec
update(void)
{
    struct otd_spec s;

    otd_spec_init(&s);
    s.id = 1;
    s.operation = OTD_OP_UPDATE;
    return s;
}

/* A request in which nothing is left out. */
static struct otd_spec
full_encap(void)
{
    struct otd_spec s = geneve_encap();

    s.match.tunnel_id = 7;
    strcpy(s.match.ingress_interface, "eth0");
    s.match.mac.present = s.match.mac.has_dst = s.match.mac.has_src = true;
    s.match.mac.dst = mac("02:00:00:00:00:01");
    s.match.mac.src = mac("02:00:00:00:00:02");
    s.match.ip.src = ip("10.2.0.0");
    s.match.ip.src_plen = 15;
    s.encap.inner_mac = s.match.mac;
    s.encap.control_packet = true;
    s.encap.protocol_type = 0x6558;
    s.encap.critical_option_present = true;
    add_option(&s, 1, 0x81, 8);
    add_option(&s, 2, 0x01, 4);
    return s;
}

static struct otd_spec
nat(void)
{
    struct otd_spec s = geneve_encap();

    memset(&s.encap, 0, sizeof s.encap);
    s.kind = OTD_KIND_NAT;
    s.nat_source_ip = 33554443;
    return s;
}

/* One field at a time: the statements after KIND set it in the update and in
 * what comes out. */
#define MERGE(BASE, KIND, ...)                                          \
    do {                                                                \
        struct otd_spec base = BASE(), expected = base, patch = update(); \
        struct otd_spec *s = &patch;                                    \
        patch.kind = KIND;                                              \
        __VA_ARGS__;                                                    \
        s = &expected;                                                  \
        __VA_ARGS__;                                                    \
        assert_merge(base, &patch, &expected, "");                      \
    } while (0)

START_TEST(test_nothing)
{
    MERGE(full_encap, OTD_KIND_NONE, (void) s);
    MERGE(full_encap, OTD_KIND_GENEVE_ENCAP, (void) s);
    MERGE(full_encap, OTD_KIND_NONE, s->match.present = true);
    MERGE(geneve_decap, OTD_KIND_GENEVE_DECAP, (void) s);
}
END_TEST

START_TEST(test_scalars)
{
    MERGE(full_encap, OTD_KIND_NONE, s->next_action = OTD_ACTION_RECIRCULATE);
    MERGE(full_encap, OTD_KIND_GENEVE_ENCAP, s->encap.vni = 5);
    MERGE(full_encap, OTD_KIND_GENEVE_ENCAP, s->encap.protocol_type = 5);
    MERGE(geneve_encap, OTD_KIND_GENEVE_ENCAP, s->encap.control_packet = true);
    MERGE(geneve_encap, OTD_KIND_GENEVE_ENCAP,
          s->encap.critical_option_present = true);
    MERGE(full_encap, OTD_KIND_NONE,
          s->match.present = true; s->match.tunnel_id = 8);
    /* A shorter name: nothing of the longer one is left behind it. */
    MERGE(full_encap, OTD_KIND_NONE, s->match.present = true;
          memset(s->match.ingress_interface, 0, OTD_IFNAME_MAX);
          s->match.ingress_interface[0] = 'a');
    MERGE(nat, OTD_KIND_NAT, s->nat_source_ip = 16777230);
}
END_TEST

START_TEST(test_macs)
{
    MERGE(full_encap, OTD_KIND_NONE, s->match.present = true;
          s->match.mac.present = s->match.mac.has_dst = true;
          s->match.mac.dst = mac("02:00:00:00:00:03"));
    MERGE(geneve_encap, OTD_KIND_NONE, s->match.present = true;
          s->match.mac.present = s->match.mac.has_src = true;
          s->match.mac.src = mac("02:00:00:00:00:04"));
    MERGE(full_encap, OTD_KIND_GENEVE_ENCAP,
          s->encap.inner_mac.present = s->encap.inner_mac.has_src = true;
          s->encap.inner_mac.src = mac("02:00:00:00:00:05"));
    MERGE(geneve_decap, OTD_KIND_NONE, s->match.present = true;
          s->match.kind = OTD_MATCH_GENEVE; s->match.overlay.vni = 3;
          s->match.overlay.mac.present = s->match.overlay.mac.has_dst = true;
          s->match.overlay.mac.dst = mac("02:00:00:00:00:06"));
}
END_TEST

START_TEST(test_addresses)
{
    struct otd_spec base = full_encap(), expected = base, patch = update();

    /* Of the same family: field by field. */
    patch.match.present = true;
    patch.match.ip.family = OTD_FAMILY_IPV4;
    patch.match.ip.src = ip("0.0.0.0");
    patch.match.ip.dst = ip("10.9.0.0");
    expected.match.ip.dst = patch.match.ip.dst;
    assert_merge(base, &patch, &expected, "");
    patch.match.ip.src = ip("10.8.0.0");
    patch.match.ip.src_plen = 24;
    patch.match.ip.dst_plen = 25;
    expected.match.ip = patch.match.ip;
    assert_merge(base, &patch, &expected, "");

    /* The other member of the oneof replaces it all. */
    patch.match.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV6, .dst = ip("fd00::1"), .dst_plen = 128 };
    expected.match.ip = patch.match.ip;
    assert_merge(base, &patch, &expected, "");

    patch = update();
    expected = base;
    patch.kind = OTD_KIND_GENEVE_ENCAP;
    patch.encap.outer.family = OTD_FAMILY_IPV4;
    patch.encap.outer.src = ip("0.0.0.0");
    patch.encap.outer.dst = ip("192.0.2.9");
    expected.encap.outer.dst = patch.encap.outer.dst;
    assert_merge(base, &patch, &expected, "");
    patch.encap.outer.src = ip("192.0.2.8");
    patch.encap.outer.dst = ip("0.0.0.0");
    expected.encap.outer.src = patch.encap.outer.src;
    expected.encap.outer.dst = base.encap.outer.dst;
    assert_merge(base, &patch, &expected, "");
    patch.encap.outer = (struct otd_ip_pair) {
        .family = OTD_FAMILY_IPV6, .dst = ip("fd00::1") };
    expected.encap.outer = patch.encap.outer;
    assert_merge(base, &patch, &expected, "");
}
END_TEST

START_TEST(test_match_oneof)
{
    struct otd_spec base = geneve_decap(), expected, patch = update();

    base.match.overlay.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV4, .src = ip("10.0.0.1"), .src_plen = 32,
        .dst = ip("0.0.0.0") };
    patch.match.present = true;

    /* The same member: its fields are merged. */
    patch.match.kind = OTD_MATCH_GENEVE;
    patch.match.overlay.protocol_type = 0x6558;
    patch.match.overlay.ip.family = OTD_FAMILY_IPV4;
    patch.match.overlay.ip.src = ip("0.0.0.0");
    patch.match.overlay.ip.dst = ip("10.0.0.2");
    patch.match.overlay.ip.dst_plen = 32;
    expected = base;
    expected.match.overlay.protocol_type = 0x6558;
    expected.match.overlay.ip.dst = ip("10.0.0.2");
    expected.match.overlay.ip.dst_plen = 32;
    assert_merge(base, &patch, &expected, "");

    /* Another one replaces. */
    patch = update();
    patch.match.present = true;
    patch.match.kind = OTD_MATCH_IPSEC;
    patch.match.spi = 1000;
    expected = base;
    expected.match.kind = OTD_MATCH_IPSEC;
    expected.match.spi = 1000;
    memset(&expected.match.overlay, 0, sizeof expected.match.overlay);
    assert_merge(base, &patch, &expected, "");

    base = expected;
    patch.match.spi = 0;
    patch.match.sn = 3;
    expected.match.sn = 3;
    assert_merge(base, &patch, &expected, "");
    base = expected;
    patch.match.spi = 1001;
    patch.match.sn = 0;
    expected.match.spi = 1001;
    assert_merge(base, &patch, &expected, "");
}
END_TEST

START_TEST(test_options)
{
    struct otd_spec base = full_encap(), expected, patch = update();

    /* A list replaces the list; shorter ones leave nothing behind. */
    patch.kind = OTD_KIND_GENEVE_ENCAP;
    patch.encap.critical_option_present = true;
    add_option(&patch, 9, 0x99, 4);
    expected = base;
    memcpy(expected.encap.options, patch.encap.options,
           sizeof expected.encap.options);
    expected.encap.options_len = 8;
    assert_merge(base, &patch, &expected, "");

    /* The flag stays if it is true of the new list... */
    patch.encap.critical_option_present = false;
    assert_merge(base, &patch, &expected, "");

    /* ...and falls with the last critical option. */
    patch.encap.options_len = 0;
    add_option(&patch, 9, 0x19, 4);
    memcpy(expected.encap.options, patch.encap.options,
           sizeof expected.encap.options);
    expected.encap.critical_option_present = false;
    assert_merge(base, &patch, &expected, "");

    /* It is not made up where nobody said it. */
    base.encap.critical_option_present = false;
    patch.encap.options_len = 0;
    add_option(&patch, 9, 0x99, 4);
    memcpy(expected.encap.options, patch.encap.options,
           sizeof expected.encap.options);
    assert_merge(base, &patch, &expected, "");
}
END_TEST

START_TEST(test_another_kind)
{
    struct otd_spec patch = update();

    patch.kind = OTD_KIND_GENEVE_DECAP;
    assert_merge(geneve_encap(), &patch, NULL, "tunnel: geneve decap, but "
                 "tunnel 1 is geneve encap; to change the kind, delete the "
                 "tunnel and create it anew");
    patch.kind = OTD_KIND_IPSEC_DEC;
    assert_merge(ipsec_enc(), &patch, NULL, "tunnel: ipsec dec, but tunnel 1 "
                 "is ipsec enc; to change the kind, delete the tunnel and "
                 "create it anew");
}
END_TEST

/* ---- IPsec: the rekeys of the public client. */

START_TEST(test_ipsec_scalars)
{
    MERGE(ipsec_enc, OTD_KIND_IPSEC_ENC, s->ipsec.tunnel_type = 3);
    MERGE(ipsec_enc, OTD_KIND_IPSEC_ENC, s->ipsec.encryption_type = 11);
    MERGE(ipsec_enc, OTD_KIND_IPSEC_ENC,
          s->ipsec.outer = (struct otd_ip_pair) {
              .family = OTD_FAMILY_IPV6, .dst = ip("fd00::1") });
}
END_TEST

START_TEST(test_rekey_enc)
{
    struct otd_spec base = ipsec_enc(), expected = base, patch = update();

    patch.kind = OTD_KIND_IPSEC_ENC;
    patch.ipsec.n_sas = 1;
    patch.ipsec.sas[0].spi = 4590;
    patch.ipsec.sas[0].key_len = 64;
    patch.ipsec.sas[0].key_is_hex = true;
    expected.ipsec.sas[0] = patch.ipsec.sas[0];
    assert_merge(base, &patch, &expected, "");

    base.ipsec.n_sas = 0;
    memset(base.ipsec.sas, 0, sizeof base.ipsec.sas);
    assert_merge(base, &patch, &expected, "");
}
END_TEST

#define SAS "ipsec_tunnel.ipsec_dec.ipsec_sas"

START_TEST(test_rekey_dec)
{
    struct otd_spec base = ipsec_dec(), expected = base, patch = update();

    patch.kind = OTD_KIND_IPSEC_DEC;
    patch.ipsec.n_sas = 1;
    patch.ipsec.sas[0] = (struct otd_ipsec_sa) {
        .spi = 1030, .key_len = 36, .operation = OTD_OP_CREATE };
    expected.ipsec.n_sas = 2;
    expected.ipsec.sas[1] = patch.ipsec.sas[0];
    assert_merge(base, &patch, &expected, "");
    assert_merge(expected, &patch, NULL, SAS "[0]: the tunnel has an SA with "
                 "SPI 1030 already; use _UPDATE");

    base = expected;
    patch.ipsec.sas[0] = (struct otd_ipsec_sa) {
        .spi = 256, .operation = OTD_OP_DELETE };
    expected.ipsec.n_sas = 1;
    expected.ipsec.sas[0] = expected.ipsec.sas[1];
    memset(&expected.ipsec.sas[1], 0, sizeof expected.ipsec.sas[1]);
    assert_merge(base, &patch, &expected, "");
    assert_merge(expected, &patch, NULL, SAS "[0]: the tunnel has no SA with "
                 "SPI 256 to delete");

    base = expected;
    patch.ipsec.sas[0] = (struct otd_ipsec_sa) {
        .spi = 1030, .key_len = 32, .operation = OTD_OP_UPDATE };
    expected.ipsec.sas[0].key_len = 32;
    assert_merge(base, &patch, &expected, "");
    patch.ipsec.sas[0].spi = 1;
    assert_merge(base, &patch, NULL, SAS "[0]: the tunnel has no SA with SPI "
                 "1; use _CREATE");
}
END_TEST

START_TEST(test_dec_lists)
{
    struct otd_spec base = ipsec_dec(), expected = base, patch = update();

    /* All _NONE: the list replaces. */
    patch.kind = OTD_KIND_IPSEC_DEC;
    patch.ipsec.n_sas = 2;
    patch.ipsec.sas[0] = (struct otd_ipsec_sa) { .spi = 300, .key_len = 36 };
    patch.ipsec.sas[1] = (struct otd_ipsec_sa) { .spi = 301, .key_len = 36 };
    memcpy(expected.ipsec.sas, patch.ipsec.sas, sizeof expected.ipsec.sas);
    expected.ipsec.n_sas = 2;
    assert_merge(base, &patch, &expected, "");

    patch.ipsec.sas[1].operation = OTD_OP_CREATE;
    assert_merge(base, &patch, NULL, SAS "[0]: operation 0 among entries that "
                 "have one; use _CREATE (1), _UPDATE (2) or _DELETE (3) for "
                 "each, or leave it out in all");

    for (size_t i = 0; i < OTD_IPSEC_SAS_MAX; i++) {
        base.ipsec.sas[i].spi = 1000 + i;
    }
    base.ipsec.n_sas = OTD_IPSEC_SAS_MAX;
    patch.ipsec.n_sas = 1;
    patch.ipsec.sas[0].operation = OTD_OP_CREATE;
    assert_merge(base, &patch, NULL, SAS "[0]: the tunnel has 16 SAs, which "
                 "is the limit; delete one first");
}
END_TEST

/* ---- Match keys. */

static bool
same_key(const struct otd_spec *a, const struct otd_spec *b)
{
    struct otd_match_key ka, kb;

    memset(&ka, 0x55, sizeof ka);
    memset(&kb, 0xaa, sizeof kb);
    otd_match_key_init(&ka, a);
    otd_match_key_init(&kb, b);
    bool same = !memcmp(&ka, &kb, sizeof ka);
    ck_assert_int_eq(otd_match_key_hash(&ka) == otd_match_key_hash(&kb), same);
    return same;
}

/* BASE() with the change has, or has not, the same key as without. */
#define KEY(BASE, SAME, ...)                                            \
    do {                                                                \
        struct otd_spec a = BASE(), s = a;                              \
        __VA_ARGS__;                                                    \
        ck_assert_int_eq(same_key(&a, &s), SAME);                       \
    } while (0)

static struct otd_spec
full_decap(void)
{
    struct otd_spec s = geneve_decap();

    s.match.tunnel_id = 7;
    s.match.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV6, .src = ip("fd00::"), .src_plen = 64,
        .dst = ip("fd00::2"), .dst_plen = 128 };
    s.match.overlay.mac = full_encap().match.mac;
    s.match.overlay.ip = full_encap().match.ip;
    return s;
}

START_TEST(test_key_same)
{
    /* What is no part of the match. */
    KEY(full_encap, true, s.id = 99; s.next_action = OTD_ACTION_RECIRCULATE);
    KEY(full_encap, true, s.encap.vni = 99; s.encap.outer.dst = ip("1.1.1.1"));
    KEY(full_encap, true, s.encap.options_len = 0);
    KEY(full_decap, true, s.match.overlay.protocol_type = 0x6558);
    /* Bits behind the prefix. */
    KEY(geneve_encap, true, s.match.ip.dst = ip("10.1.255.255"));
    KEY(full_encap, true, s.match.ip.src = ip("10.3.0.1"));     /* /15 */
    KEY(full_decap, true, s.match.ip.src = ip("fd00::ffff"));
    KEY(full_decap, true, s.match.overlay.ip.dst = ip("10.1.0.1"));
    /* An empty message names nothing. */
    KEY(geneve_encap, true, s.match.mac.present = true);
    KEY(geneve_encap, true, s.match.mac.dst = mac("02:00:00:00:00:01"));
}
END_TEST

START_TEST(test_key_differs)
{
    KEY(full_encap, false, s.match.tunnel_id = 0);
    KEY(full_encap, false, s.match.tunnel_id = UINT64_C(7) << 32);
    KEY(full_encap, false, s.match.ingress_interface[3] = '1');
    KEY(full_encap, false, s.match.ingress_interface[3] = '\0');
    KEY(full_encap, false, s.match.mac.dst.ea[5] ^= 1);
    KEY(full_encap, false, s.match.mac.src.ea[0] ^= 2);
    KEY(full_encap, false, s.match.mac.has_src = false);
    KEY(geneve_encap, false, s.match.mac.has_dst = true);
    KEY(full_encap, false, s.match.ip.dst_plen = 17);
    KEY(full_encap, false, s.match.ip.src_plen = 16);
    KEY(full_encap, false, s.match.ip.dst = ip("10.0.0.0"));
    KEY(full_encap, false, s.match.ip.src = ip("10.4.0.0"));
    KEY(full_encap, false, s.match.ip = (struct otd_ip_match) {
            .dst_plen = 0 });
    KEY(full_encap, false, s.kind = OTD_KIND_GENEVE_DECAP);
    KEY(full_encap, false, s.kind = OTD_KIND_IPSEC_DEC);

    KEY(full_decap, false, s.match.overlay.vni = 101);
    KEY(full_decap, false, s.match.ip.src_plen = 63);
    KEY(full_decap, false, s.match.ip.dst = ip("fd00::3"));
    KEY(full_decap, false, s.match.overlay.mac.has_dst = false);
    KEY(full_decap, false, s.match.overlay.ip.src_plen = 16);
    KEY(full_decap, false, s.match.overlay.ip.dst = ip("10.0.0.0"));
    /* VNI 0 is a network; the match that is implied names none. */
    KEY(full_decap, false, s.match.kind = OTD_MATCH_PLAIN);
    struct otd_spec zero = geneve_decap(), implied = zero;
    zero.match.overlay.vni = 0;
    zero.match.tunnel_id = implied.match.tunnel_id = 7;
    implied.match.kind = OTD_MATCH_PLAIN;
    ck_assert(!same_key(&zero, &implied));
}
END_TEST

START_TEST(test_key_fields)
{
    struct otd_spec s = full_decap();
    struct otd_match_key key, expected;

    otd_match_key_init(&key, &s);
    memset(&expected, 0, sizeof expected);
    expected.tunnel_id = 7;
    expected.side = 1;
    expected.family = OTD_FAMILY_IPV6;
    expected.src = ip("fd00::");
    expected.src_plen = 64;
    expected.dst = ip("fd00::2");
    expected.dst_plen = 128;
    expected.inner_family = OTD_FAMILY_IPV4;
    expected.inner_src = ip("10.2.0.0");
    expected.inner_src_plen = 15;
    expected.inner_dst = ip("10.1.0.0");
    expected.inner_dst_plen = 16;
    expected.eth_given = 3;
    expected.eth_dst = mac("02:00:00:00:00:01");
    expected.eth_src = mac("02:00:00:00:00:02");
    expected.has_vni = 1;
    expected.vni = 100;
    ck_assert_mem_eq(&key, &expected, sizeof key);
    ck_assert_uint_eq(otd_match_specificity(&key),
                      32 + 64 + 128 + 16 + 15 + 16 + 48 + 48 + 24);

    s = full_encap();
    otd_match_key_init(&key, &s);
    memset(&expected, 0, sizeof expected);
    expected.tunnel_id = 7;
    strcpy(expected.ingress_interface, "eth0");
    expected.family = OTD_FAMILY_IPV4;
    expected.src = ip("10.2.0.0");
    expected.src_plen = 15;
    expected.dst = ip("10.1.0.0");
    expected.dst_plen = 16;
    expected.eth_given = 3;
    expected.eth_dst = mac("02:00:00:00:00:01");
    expected.eth_src = mac("02:00:00:00:00:02");
    ck_assert_mem_eq(&key, &expected, sizeof key);
    ck_assert_uint_eq(otd_match_specificity(&key),
                      32 + 16 + 16 + 15 + 16 + 48 + 48);
}
END_TEST

/* Every prefix length masks exactly the bits behind it. */
START_TEST(test_key_masks)
{
    for (uint32_t plen = 0; plen <= 128; plen++) {
        for (int v4 = 0; v4 < 2; v4++) {
            struct otd_spec s = geneve_encap();
            struct otd_match_key key;
            uint32_t ofs = v4 ? 96 : 0;

            if (plen + ofs > 128) {
                continue;
            }
            s.match.ip.family = v4 ? OTD_FAMILY_IPV4 : OTD_FAMILY_IPV6;
            s.match.ip.src = v4 ? ip("255.255.255.255")
                : ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
            s.match.ip.src_plen = plen;
            otd_match_key_init(&key, &s);
            for (uint32_t i = ofs; i < 128; i++) {
                bool bit = key.src.s6_addr[i / 8] >> (7 - i % 8) & 1;

                ck_assert_int_eq(bit, i < ofs + plen);
            }
            ck_assert_uint_eq(key.src.s6_addr[11], v4 || plen >= 96 ? 255
                              : plen > 88 ? 0xff & (0xff00 >> (plen - 88))
                              : 0);
        }
    }
}
END_TEST

/* A match that names more never wins less. */
START_TEST(test_specificity_grows)
{
    struct rng rng = { 2 };

    for (int i = 0; i < 5000; i++) {
        struct otd_match_key key;
        struct otd_spec s;

        random_spec(&rng, &s);
        otd_match_key_init(&key, &s);
        unsigned int before = otd_match_specificity(&key);
        switch (rng_range(&rng, 4)) {
        case 0:
            if (s.match.ip.src_plen == (s.match.ip.family == OTD_FAMILY_IPV4
                                        ? 32 : 128)) {
                continue;
            }
            if (!s.match.ip.family) {
                s.match.ip.family = OTD_FAMILY_IPV4;
            }
            s.match.ip.src_plen++;
            break;
        case 1:
            if (s.match.tunnel_id) {
                continue;
            }
            s.match.tunnel_id = 1;
            break;
        case 2:
            if (s.kind == OTD_KIND_GENEVE_DECAP
                || s.match.ingress_interface[0]) {
                continue;
            }
            s.match.ingress_interface[0] = 'x';
            break;
        case 3: {
            struct otd_mac_pair *pair = (s.kind == OTD_KIND_GENEVE_DECAP
                                         ? &s.match.overlay.mac
                                         : &s.match.mac);
            if (pair->has_dst || (s.kind == OTD_KIND_GENEVE_DECAP
                                  && s.match.kind != OTD_MATCH_GENEVE)) {
                continue;
            }
            pair->has_dst = true;
            break;
        }
        }
        otd_match_key_init(&key, &s);
        ck_assert_uint_gt(otd_match_specificity(&key), before);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("merge");
    TCase *tcase = tcase_create("merge");

    tcase_add_test(tcase, test_nothing);
    tcase_add_test(tcase, test_scalars);
    tcase_add_test(tcase, test_macs);
    tcase_add_test(tcase, test_addresses);
    tcase_add_test(tcase, test_match_oneof);
    tcase_add_test(tcase, test_options);
    tcase_add_test(tcase, test_another_kind);
    tcase_add_test(tcase, test_ipsec_scalars);
    tcase_add_test(tcase, test_rekey_enc);
    tcase_add_test(tcase, test_rekey_dec);
    tcase_add_test(tcase, test_dec_lists);
    tcase_add_test(tcase, test_key_same);
    tcase_add_test(tcase, test_key_differs);
    tcase_add_test(tcase, test_key_fields);
    tcase_add_test(tcase, test_key_masks);
    tcase_add_test(tcase, test_specificity_grows);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
