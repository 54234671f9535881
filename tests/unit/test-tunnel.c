/* SPDX-License-Identifier: Apache-2.0 */
/* The model: what a request may say.  Every fault is compared as the whole
 * text that the client reads. */
#include <config.h>
#include "tunnel/spec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "tests/unit/spec-fixture.h"
#include "util.h"

/* 's' has exactly the faults in 'text', the first one of 'kind'.  Frees
 * them. */
static void
assert_faults(struct otd_faults *faults, enum otd_fault_kind kind,
              const char *text)
{
    ck_assert_str_eq(otd_faults_text(faults), text);
    if (text[0]) {
        ck_assert_str_eq(otd_fault_kind_to_string(faults->kind),
                         otd_fault_kind_to_string(kind));
    }
    otd_faults_destroy(faults);
}

static void
assert_check(const struct otd_spec *s, const struct otd_caps *caps,
             enum otd_fault_kind kind, const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;

    otd_spec_check(s, caps, &faults);
    assert_faults(&faults, kind, text);
}

/* The request BASE(), changed by the statements after TEXT, has one fault. */
#define BAD(BASE, KIND, TEXT, ...)                                      \
    do {                                                                \
        struct otd_spec s = BASE();                                     \
        __VA_ARGS__;                                                    \
        assert_check(&s, &all_caps, OTD_FAULT_##KIND, TEXT);            \
    } while (0)

#define GOOD(BASE, ...) BAD(BASE, OTHER, "", __VA_ARGS__)

/* ---- Addresses. */

START_TEST(test_ip4_vectors)
{
    static const struct {
        uint32_t wire;
        const char *text;
    } vectors[] = {
        { 33554443, "11.0.0.2" }, { 16777227, "11.0.0.1" },
        { 84215045, "5.5.5.5" }, { 101058054, "6.6.6.6" },
        { 50529027, "3.3.3.3" }, { 16777230, "14.0.0.1" },
        { 0, "0.0.0.0" }, { UINT32_MAX, "255.255.255.255" },
        { 0x80000001, "1.0.0.128" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        struct in6_addr addr = otd_ip4_from_wire(vectors[i].wire);
        struct in6_addr expected = ip(vectors[i].text);
        struct ds ds = DS_EMPTY_INITIALIZER;

        ck_assert_mem_eq(&addr, &expected, sizeof addr);
        ck_assert_uint_eq(otd_ip4_to_wire(&addr), vectors[i].wire);
        otd_ip_format(&addr, &ds);
        ck_assert_str_eq(ds_cstr(&ds), vectors[i].text);
        ds_destroy(&ds);
    }
}
END_TEST

static void
assert_ip6(const char *bytes, size_t n, const char *expected, const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct in6_addr addr, want = ip(expected);

    ck_assert_int_eq(otd_ip6_from_bytes((const uint8_t *) bytes, n, &addr,
                                        "f", &faults), !text[0]);
    ck_assert_mem_eq(&addr, &want, sizeof addr);
    assert_faults(&faults, OTD_FAULT_MATCH_FIELD, text);
}

START_TEST(test_ip6_bytes)
{
    assert_ip6("", 0, "::", "");
    assert_ip6("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16, "fd00::1", "");
    assert_ip6("fd0000000000000000000000000000aB", 32, "fd00::ab", "");
    /* The stand-in is no address that anybody sends. */
    assert_ip6("\xfd\0", 2, "100::1",
               "f: 2 bytes; send 16 raw bytes or 32 hexadecimal digits");
    assert_ip6("\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 17, "100::1",
               "f: 17 bytes; send 16 raw bytes or 32 hexadecimal digits");
    assert_ip6("fd00000000000000000000000000000g", 32, "100::1",
               "f: \"fd00000000000000000000000000000g\" is not hexadecimal; "
               "send 16 raw bytes or 32 hexadecimal digits");
    assert_ip6("\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4", 16, "100::1",
               "f: an IPv4 address mapped into IPv6; use the IPv4 form of "
               "this field");
}
END_TEST

static void
assert_mac(const char *bytes, size_t n, bool given, const char *expected,
           const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct eth_addr ea, want = mac(expected);
    bool given_;

    ck_assert_int_eq(otd_mac_from_bytes((const uint8_t *) bytes, n, &ea,
                                        &given_, "f", &faults), !text[0]);
    ck_assert_int_eq(given_, given);
    ck_assert(eth_addr_equals(ea, want));
    assert_faults(&faults, OTD_FAULT_MATCH_FIELD, text);
}

START_TEST(test_mac_bytes)
{
    assert_mac("", 0, false, "00:00:00:00:00:00", "");
    assert_mac("\x10\x20\x30\x40\x50\x60", 6, true, "10:20:30:40:50:60", "");
    assert_mac("102030405060", 12, true, "10:20:30:40:50:60", "");
    assert_mac("aAbBcCdDeEfF", 12, true, "aa:bb:cc:dd:ee:ff", "");
    assert_mac("\0\0\0\0\0\0", 6, true, "00:00:00:00:00:00", "");
    assert_mac("60504302010", 11, true, "00:00:00:00:00:00",
               "f: 11 bytes; send 6 raw bytes or 12 hexadecimal digits");
    assert_mac("10:20:30:40:", 12, true, "00:00:00:00:00:00",
               "f: \"10:20:30:40:\" is not hexadecimal; send 6 raw bytes or "
               "12 hexadecimal digits");
}
END_TEST

static void
assert_ifname(const char *bytes, size_t n, const char *expected,
              const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    char name[OTD_IFNAME_MAX + 1];

    memset(name, 'x', sizeof name);
    ck_assert_int_eq(otd_ifname_from_bytes(bytes, n, name, "f", &faults),
                     !text[0]);
    ck_assert_str_eq(name, expected);
    assert_faults(&faults, OTD_FAULT_MATCH_FIELD, text);
}

START_TEST(test_ifname_bytes)
{
    assert_ifname("", 0, "", "");
    assert_ifname("eth0", 4, "eth0", "");
    assert_ifname("123456789012345", 15, "123456789012345", "");
    assert_ifname("p\303\266rt", 5, "p\303\266rt", "");
    assert_ifname("1234567890123456", 16, "?",
                  "f: a name of 16 bytes; at most 15 are possible");
    assert_ifname("eth0\0evil", 9, "?", "f: holds a NUL byte; send the name "
                  "without a terminator");
    assert_ifname("eth\377", 4, "?", "f: not UTF-8: byte 0xff at offset 3; "
                  "send the port's name");
    assert_ifname("eth\303", 4, "?", "f: not UTF-8: byte 0xc3 at offset 3; "
                  "send the port's name");
    assert_ifname("\0\377aaaaaaaaaaaaaa", 16, "?",
                  "f: a name of 16 bytes; at most 15 are possible; "
                  "f: holds a NUL byte; send the name without a terminator; "
                  "f: not UTF-8: byte 0xff at offset 1; send the port's name");
}
END_TEST

/* ---- Options. */

static void
assert_option(struct otd_geneve_encap *encap, uint32_t opt_class,
              uint32_t type, uint32_t declared_len, size_t n,
              enum otd_fault_kind kind, const char *text)
{
    static const uint8_t data[256] = { 1, 2, 3, 4 };
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct otd_geneve_encap before = *encap;

    ck_assert_int_eq(otd_geneve_option_add(encap, opt_class, type,
                                           declared_len, data, n, "o",
                                           &faults), !text[0]);
    if (text[0]) {
        ck_assert_mem_eq(&before, encap, sizeof before);
    }
    assert_faults(&faults, kind, text);
}

START_TEST(test_option_bytes)
{
    struct otd_geneve_encap encap = { .options_len = 0 };
    struct otd_geneve_option option;
    size_t ofs = 0;

    assert_option(&encap, 0x0104, 0x91, 1, 4, OTD_FAULT_OTHER, "");
    assert_option(&encap, 0xffff, 0x00, 8, 8, OTD_FAULT_OTHER, "");
    ck_assert_uint_eq(encap.options_len, 20);
    ck_assert_mem_eq(encap.options, "\x01\x04\x91\x01\1\2\3\4"
                     "\xff\xff\x00\x02\1\2\3\4\0\0\0\0", 20);

    ck_assert(otd_geneve_option_next(&encap, &ofs, &option));
    ck_assert_uint_eq(option.opt_class, 0x0104);
    ck_assert_uint_eq(option.type, 0x91);
    ck_assert_uint_eq(option.len, 4);
    ck_assert_mem_eq(option.data, "\1\2\3\4", 4);
    ck_assert(otd_geneve_option_next(&encap, &ofs, &option));
    ck_assert_uint_eq(option.opt_class, 0xffff);
    ck_assert_uint_eq(option.len, 8);
    ck_assert(!otd_geneve_option_next(&encap, &ofs, &option));
}
END_TEST

START_TEST(test_option_limits)
{
    struct otd_geneve_encap encap = { .options_len = 0 };

    assert_option(&encap, 65536, 1, 0, 4, OTD_FAULT_GENEVE_OPTION,
                  "o: option_class 65536 does not fit 16 bits; use at most "
                  "65535");
    assert_option(&encap, 1, 256, 0, 4, OTD_FAULT_GENEVE_OPTION,
                  "o: type 256 does not fit 8 bits; use at most 255");
    for (size_t n = 0; n <= 160; n++) {
        if (n % 4 || n < 4 || n > 124) {
            char *text = xasprintf("o: %"PRIuSIZE" bytes of data; send 4 to "
                                   "124, a multiple of 4", n);
            assert_option(&encap, 1, 1, 0, n, OTD_FAULT_GENEVE_OPTION, text);
            free(text);
        }
    }
    assert_option(&encap, 1, 1, 3, 8, OTD_FAULT_GENEVE_OPTION,
                  "o: length 3 with 8 bytes of data; send 2 (units of 4 "
                  "bytes), or leave it out");
    assert_option(&encap, 99999, 999, 1, 3, OTD_FAULT_GENEVE_OPTION,
                  "o: option_class 99999 does not fit 16 bits; use at most "
                  "65535; o: type 999 does not fit 8 bits; use at most 255; "
                  "o: 3 bytes of data; send 4 to 124, a multiple of 4");
    ck_assert_uint_eq(encap.options_len, 0);

    assert_option(&encap, 1, 1, 0, 124, OTD_FAULT_OTHER, "");
    assert_option(&encap, 1, 1, 0, 4, OTD_FAULT_GENEVE_OPTION,
                  "o: class 0x0001 type 0x01 stands twice; send each pair "
                  "once");
    assert_option(&encap, 2, 1, 0, 116, OTD_FAULT_OTHER, "");
    /* 248 are used: 4 are left, and the smallest option takes 8. */
    assert_option(&encap, 1, 2, 0, 4, OTD_FAULT_GENEVE_TOO_MANY_OPTIONS,
                  "o: 8 bytes with the header, after 248 bytes of other "
                  "options; a packet carries at most 252 bytes of options");

    encap = (struct otd_geneve_encap) { .options_len = 0 };
    for (uint32_t i = 0; i < 31; i++) {
        assert_option(&encap, 1, i, 0, 4, OTD_FAULT_OTHER, "");
    }
    assert_option(&encap, 1, 31, 0, 4, OTD_FAULT_GENEVE_TOO_MANY_OPTIONS,
                  "o: 8 bytes with the header, after 248 bytes of other "
                  "options; a packet carries at most 252 bytes of options");
    encap = (struct otd_geneve_encap) { .options_len = 0 };
    assert_option(&encap, 1, 1, 0, 124, OTD_FAULT_OTHER, "");
    assert_option(&encap, 1, 2, 0, 120, OTD_FAULT_OTHER, "");   /* All 252. */
    ck_assert_uint_eq(encap.options_len, OTD_GENEVE_OPTIONS_MAX);
}
END_TEST

/* ---- The check of a whole request. */

START_TEST(test_check_good)
{
    GOOD(geneve_encap);
    GOOD(geneve_decap);
    GOOD(geneve_encap, s.operation = OTD_OP_UPDATE);
    GOOD(geneve_encap, s.next_action = OTD_ACTION_RECIRCULATE);
    GOOD(geneve_encap, s.id = 0);
    GOOD(geneve_encap, s.encap.vni = 0);
    GOOD(geneve_encap, s.encap.vni = 0xffffff);
    GOOD(geneve_encap, s.encap.protocol_type = 0x6558);
    GOOD(geneve_encap, s.encap.outer.src = ip("0.0.0.0"));
    GOOD(geneve_encap, s.match.tunnel_id = UINT64_MAX);
    GOOD(geneve_encap, strcpy(s.match.ingress_interface, "eth0"));
    GOOD(geneve_decap, s.match.overlay.vni = 0);
    GOOD(geneve_decap, s.match.overlay.protocol_type = 0x6558);
    /* The Geneve match is implied by the tunnel before it. */
    GOOD(geneve_decap, s.match.kind = OTD_MATCH_PLAIN; s.match.tunnel_id = 7);
}
END_TEST

START_TEST(test_check_head)
{
    BAD(geneve_encap, MATCH_MISSING_FIELDS, "operation: missing; use _CREATE "
        "(1), _UPDATE (2) or _DELETE (3)", s.operation = 0);
    BAD(geneve_encap, MATCH_FIELD, "operation: 4 is not known; use _CREATE "
        "(1), _UPDATE (2) or _DELETE (3)", s.operation = 4);
    BAD(geneve_encap, MATCH_MISSING_FIELDS, "next_action: missing; use "
        "FORWARD (1) or RECIRCULATE (2)", s.next_action = 0);
    BAD(geneve_encap, MATCH_FIELD, "next_action: 4294967295 is not known; use "
        "FORWARD (1) or RECIRCULATE (2)", s.next_action = UINT32_MAX);
    BAD(geneve_encap, MATCH_MISSING_FIELDS, "tunnel: missing; give geneve "
        "with geneve_encap or geneve_decap", s.kind = OTD_KIND_NONE);
    BAD(geneve_encap, MATCH_MISSING_FIELDS, "match_criteria: missing; say "
        "which packets the tunnel takes", memset(&s.match, 0, sizeof s.match));
    BAD(geneve_encap, MATCH_TUNNEL_ID, "match_criteria.tunnel_id: 5 is the "
        "tunnel itself; name the tunnel that comes before it",
        s.id = s.match.tunnel_id = 5);
}
END_TEST

#define EVERY_PACKET \
    "match_criteria: names no field and so would take every packet; name at " \
    "least one"

static struct otd_spec
encap_of_nothing(void)
{
    struct otd_spec s = geneve_encap();

    memset(&s.match, 0, sizeof s.match);
    s.match.present = true;
    return s;
}

START_TEST(test_check_every_packet)
{
    BAD(encap_of_nothing, MATCH_MISSING_FIELDS, EVERY_PACKET);
    BAD(encap_of_nothing, MATCH_MISSING_FIELDS, EVERY_PACKET,
        s.match.mac.present = true);
    BAD(encap_of_nothing, MATCH_MISSING_FIELDS, EVERY_PACKET,
        s.match.ip.family = OTD_FAMILY_IPV6);
    BAD(encap_of_nothing, MATCH_MISSING_FIELDS, EVERY_PACKET,
        s.match.ip = (struct otd_ip_match) {
            .family = OTD_FAMILY_IPV4, .src = ip("0.0.0.0"),
            .dst = ip("0.0.0.0") });
    BAD(encap_of_nothing, MATCH_MISSING_FIELDS, EVERY_PACKET,
        s.match.kind = OTD_MATCH_IPSEC);

    GOOD(encap_of_nothing, s.match.tunnel_id = 7);
    GOOD(encap_of_nothing, s.match.ingress_interface[0] = 'a');
    GOOD(encap_of_nothing, s.match.mac.present = s.match.mac.has_dst = true);
    GOOD(encap_of_nothing, s.match.mac.present = s.match.mac.has_src = true);
    GOOD(encap_of_nothing, s.match.ip = (struct otd_ip_match) {
            .family = OTD_FAMILY_IPV4, .src = ip("0.0.0.0"),
            .dst = ip("0.0.0.0"), .dst_plen = 8 });
    GOOD(encap_of_nothing, s.match.ip.family = OTD_FAMILY_IPV6;
         s.match.ip.src_plen = 1);
}
END_TEST

START_TEST(test_check_prefix)
{
    BAD(geneve_encap, MATCH_FIELD, "match_criteria.ipv4_match.source_ip_prefix"
        ": 33 is longer than the address; use at most 32",
        s.match.ip.src_plen = 33);
    BAD(geneve_encap, MATCH_FIELD, "match_criteria.ipv4_match."
        "destination_ip_prefix: 4294967295 is longer than the address; use at "
        "most 32", s.match.ip.dst_plen = UINT32_MAX);
    BAD(geneve_encap, MATCH_FIELD, "match_criteria.ipv4_match."
        "destination_ip_prefix: 0 with the address 10.1.0.0 could mean this "
        "host or any; use 32 for the host, or leave both out for any",
        s.match.ip.dst_plen = 0);
    BAD(geneve_encap, MATCH_FIELD, "match_criteria.ipv6_match."
        "source_ip_prefix: 0 with the address fd00::1 could mean this host or "
        "any; use 128 for the host, or leave both out for any; "
        "match_criteria.ipv6_match.destination_ip_prefix: 129 is longer than "
        "the address; use at most 128",
        s.match.ip = (struct otd_ip_match) {
            .family = OTD_FAMILY_IPV6, .src = ip("fd00::1"),
            .dst = ip("fd00::2"), .dst_plen = 129 });
    GOOD(geneve_encap, s.match.ip.dst = ip("10.1.2.3"));    /* Host bits. */
    GOOD(geneve_encap, s.match.ip.dst_plen = 32; s.match.ip.src_plen = 32;
         s.match.ip.src = ip("10.9.9.9"));
    GOOD(geneve_encap, s.match.ip = (struct otd_ip_match) {
            .family = OTD_FAMILY_IPV6, .src = ip("fd00::1"), .src_plen = 128,
            .dst = ip("fd00::2"), .dst_plen = 1 });

    BAD(geneve_decap, MATCH_FIELD, "match_criteria.geneve_match.ipv4_match."
        "source_ip_prefix: 40 is longer than the address; use at most 32",
        s.match.overlay.ip = (struct otd_ip_match) {
            .family = OTD_FAMILY_IPV4, .src = ip("10.0.0.1"), .src_plen = 40,
            .dst = ip("0.0.0.0") });
}
END_TEST

START_TEST(test_check_mac)
{
    BAD(geneve_encap, MATCH_FIELD, "match_criteria.mac_match.source_mac: "
        "01:00:00:00:00:01 is a multicast address, which no frame has as its "
        "source; match it as destination, or another source",
        s.match.mac.present = s.match.mac.has_src = true;
        s.match.mac.src = mac("01:00:00:00:00:01"));
    GOOD(geneve_encap, s.match.mac.present = s.match.mac.has_dst = true;
         s.match.mac.dst = mac("ff:ff:ff:ff:ff:ff"));
    BAD(geneve_decap, MATCH_FIELD, "match_criteria.geneve_match.mac_match."
        "source_mac: ff:ff:ff:ff:ff:ff is a multicast address, which no frame "
        "has as its source; match it as destination, or another source",
        s.match.overlay.mac.present = s.match.overlay.mac.has_src = true;
        s.match.overlay.mac.src = mac("ff:ff:ff:ff:ff:ff"));
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap.inner_mac_pair."
        "source_mac: 01:00:5e:00:00:01 is a multicast address; use the "
        "address of one host",
        s.encap.inner_mac.present = s.encap.inner_mac.has_src = true;
        s.encap.inner_mac.src = mac("01:00:5e:00:00:01"));
}
END_TEST

#define NO_MATCH ": this server cannot match on it now; see Capabilities"

START_TEST(test_check_capabilities)
{
    static const struct otd_caps no_caps;
    static const struct otd_caps spi_caps = { .spi_matching = true };
    static const struct otd_caps vxlan_caps = { .vxlan_matching = true };
    struct otd_spec s = geneve_encap();

    s.match.tunnel_id = 7;
    strcpy(s.match.ingress_interface, "eth0");
    assert_check(&s, &no_caps, OTD_FAULT_MATCH_CAPABILITIES,
                 "match_criteria.ingress_interface" NO_MATCH
                 "; match_criteria.tunnel_id" NO_MATCH);
    s = geneve_decap();
    assert_check(&s, &no_caps, OTD_FAULT_MATCH_CAPABILITIES,
                 "match_criteria.geneve_match" NO_MATCH);
    s = geneve_encap();
    s.match.kind = OTD_MATCH_VXLAN;
    assert_check(&s, &no_caps, OTD_FAULT_MATCH_CAPABILITIES,
                 "match_criteria.vxlan_match" NO_MATCH);
    s.match.kind = OTD_MATCH_IPSEC;
    s.match.spi = 1000;
    s.match.sn = 1;
    assert_check(&s, &no_caps, OTD_FAULT_MATCH_CAPABILITIES,
                 "match_criteria.ipsec_match.spi" NO_MATCH
                 "; match_criteria.ipsec_match.sn: no datapath matches a "
                 "sequence number; leave it out");
    s.match.sn = 0;
    assert_check(&s, &spi_caps, OTD_FAULT_OTHER, "");

    s = geneve_encap();
    s.match.kind = OTD_MATCH_VXLAN;
    s.match.overlay.vni = 0xffffff;
    assert_check(&s, &vxlan_caps, OTD_FAULT_OTHER, "");
    s.match.overlay.vni++;
    s.match.overlay.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV6, .dst = ip("fd00::1") };
    assert_check(&s, &vxlan_caps, OTD_FAULT_MATCH_FIELD,
                 "match_criteria.vxlan_match.vni: 16777216 does not fit 24 "
                 "bits; use at most 16777215; match_criteria.vxlan_match."
                 "ipv6_match.destination_ip_prefix: 0 with the address "
                 "fd00::1 could mean this host or any; use 128 for the host, "
                 "or leave both out for any");
}
END_TEST

START_TEST(test_check_encap)
{
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap.ip: missing; give "
        "outer_ipv4_pair or outer_ipv6_pair",
        memset(&s.encap.outer, 0, sizeof s.encap.outer));
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap.outer_ipv4_pair."
        "destination_ip: missing; name the other end of the tunnel",
        s.encap.outer.dst = ip("0.0.0.0"));
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap.outer_ipv4_pair."
        "source_ip: 255.255.255.255 is no unicast address; use the address of "
        "one host; geneve.geneve_encap.outer_ipv4_pair.destination_ip: "
        "224.0.0.1 is no unicast address; use the address of one host",
        s.encap.outer.src = ip("255.255.255.255");
        s.encap.outer.dst = ip("224.0.0.1"));
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap.outer_ipv6_pair."
        "destination_ip: ff02::1 is no unicast address; use the address of "
        "one host",
        s.encap.outer.family = OTD_FAMILY_IPV6;
        s.encap.outer.src = ip("::"); s.encap.outer.dst = ip("ff02::1"));
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap.outer_ipv6_pair."
        "destination_ip: missing; name the other end of the tunnel",
        s.encap.outer = (struct otd_ip_pair) { .family = OTD_FAMILY_IPV6 });
    GOOD(geneve_encap, s.encap.outer = (struct otd_ip_pair) {
            .family = OTD_FAMILY_IPV6, .dst = ip("fd00::2") });
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap.vni: 16777216 does "
        "not fit 24 bits; use at most 16777215", s.encap.vni = 1 << 24);
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap.protocol_type: "
        "0x0800 is not supported; use 0x6558 (Ethernet) or leave it out",
        s.encap.protocol_type = 0x0800);
    BAD(geneve_encap, MATCH_CAPABILITIES, "match_criteria.geneve_match: an "
        "encapsulating tunnel sees no Geneve header; make a decapsulating "
        "tunnel with this match and name it in match_criteria.tunnel_id",
        s.match.kind = OTD_MATCH_GENEVE);
}
END_TEST

START_TEST(test_check_critical)
{
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap."
        "critical_option_present: true without an option whose type has the "
        "critical bit 0x80; leave it out, as the switch does",
        s.encap.critical_option_present = true);
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap."
        "critical_option_present: true without an option whose type has the "
        "critical bit 0x80; leave it out, as the switch does",
        s.encap.critical_option_present = true; add_option(&s, 1, 0x7f, 4));
    BAD(geneve_encap, GENEVE_FIELD, "geneve.geneve_encap."
        "critical_option_present: false with an option whose type has the "
        "critical bit 0x80; set it, as the switch does",
        add_option(&s, 1, 1, 4); add_option(&s, 1, 0x80, 4));
    GOOD(geneve_encap, s.encap.critical_option_present = true;
         add_option(&s, 1, 1, 4); add_option(&s, 1, 0xff, 4));
}
END_TEST

START_TEST(test_check_decap)
{
    BAD(geneve_decap, MATCH_MISSING_FIELDS, EVERY_PACKET
        "; match_criteria.geneve_match: missing; a decapsulating tunnel needs "
        "it, or the tunnel_id of the tunnel before it",
        s.match.kind = OTD_MATCH_PLAIN);
    BAD(geneve_decap, MATCH_MISSING_FIELDS, "match_criteria: missing; say "
        "which packets the tunnel takes", s.match.present = false);
    BAD(geneve_decap, MATCH_CAPABILITIES, "match_criteria.mac_match: the "
        "outer Ethernet header is gone when the switch looks; match the inner one "
        "with geneve_match.mac_match",
        s.match.mac.present = s.match.mac.has_dst = true);
    BAD(geneve_decap, MATCH_CAPABILITIES, "match_criteria.ingress_interface: "
        "decapsulated packets arrive on the server's own Geneve port; match "
        "the outer addresses instead",
        strcpy(s.match.ingress_interface, "eth0"));
    BAD(geneve_decap, MATCH_FIELD, "match_criteria.geneve_match.vni: 16777216 "
        "does not fit 24 bits; use at most 16777215",
        s.match.overlay.vni = 1 << 24);
    BAD(geneve_decap, GENEVE_FIELD, "match_criteria.geneve_match."
        "protocol_type: 0x86dd is not supported; use 0x6558 (Ethernet) or "
        "leave it out", s.match.overlay.protocol_type = 0x86dd);
    BAD(geneve_decap, MATCH_CAPABILITIES, "match_criteria.vxlan_match"
        NO_MATCH "; match_criteria.vxlan_match: a Geneve packet has no VXLAN "
        "header; use geneve_match", s.match.kind = OTD_MATCH_VXLAN);
    BAD(geneve_decap, MATCH_MISSING_FIELDS, "match_criteria.ipv6_match: names "
        "no outer address; name one, or leave it out",
        s.match.ip.family = OTD_FAMILY_IPV6);
    GOOD(geneve_decap, s.match.ip = (struct otd_ip_match) {
            .family = OTD_FAMILY_IPV4, .src = ip("192.0.2.0"), .src_plen = 24,
            .dst = ip("0.0.0.0") });
}
END_TEST

#define NO_IPSEC "ipsec_tunnel: IPsec is not supported by this build's data " \
                 "plane yet"

START_TEST(test_check_ipsec)
{
    BAD(ipsec_enc, TUNNEL_NOT_SUPPORTED, NO_IPSEC);
    BAD(ipsec_dec, TUNNEL_NOT_SUPPORTED, NO_IPSEC);
    BAD(ipsec_enc, IPSEC_TUNNEL_TYPE, "ipsec_tunnel.ipsec_enc.tunnel_type: 4 "
        "is not known; use 0 to 3; " NO_IPSEC, s.ipsec.tunnel_type = 4);
    BAD(ipsec_dec, IPSEC_ENCRYPTION, "ipsec_tunnel.ipsec_dec.encryption_type: "
        "12 is not known; use 0 to 11; " NO_IPSEC,
        s.ipsec.encryption_type = 12; s.ipsec.sas[0].key_len = 5);
    BAD(ipsec_enc, IPSEC_MISSING_FIELDS, "ipsec_tunnel.ipsec_enc.ipsec_sa: "
        "missing; give an SPI and a key; " NO_IPSEC, s.ipsec.n_sas = 0);
    BAD(ipsec_dec, IPSEC_MISSING_FIELDS, "ipsec_tunnel.ipsec_dec.ipsec_sas: "
        "missing; give an SPI and a key; " NO_IPSEC, s.ipsec.n_sas = 0);
    BAD(ipsec_enc, IPSEC_MISSING_FIELDS, "ipsec_tunnel.ipsec_enc.tunnelIps: "
        "missing; give ipv4_tunnel or ipv6_tunnel; " NO_IPSEC,
        s.ipsec.outer.family = OTD_FAMILY_NONE);
    BAD(ipsec_enc, TUNNEL_NOT_SUPPORTED, NO_IPSEC, s.ipsec.tunnel_type = 0;
        s.ipsec.outer.family = OTD_FAMILY_NONE);
    BAD(ipsec_enc, IPSEC_MISSING_FIELDS, "ipsec_tunnel.ipsec_enc.ipv4_tunnel."
        "destination_ip: missing; name the other end of the tunnel; " NO_IPSEC,
        s.ipsec.outer.dst = ip("0.0.0.0"));
}
END_TEST

START_TEST(test_check_sa)
{
    BAD(ipsec_enc, IPSEC_MISSING_FIELDS, "ipsec_tunnel.ipsec_enc.ipsec_sa.spi"
        ": missing; use 256 or more; " NO_IPSEC, s.ipsec.sas[0].spi = 0);
    BAD(ipsec_enc, MATCH_FIELD, "ipsec_tunnel.ipsec_enc.ipsec_sa.spi: 255 is "
        "reserved; use 256 or more; " NO_IPSEC, s.ipsec.sas[0].spi = 255);
    BAD(ipsec_dec, IPSEC_MISSING_FIELDS, "ipsec_tunnel.ipsec_dec.ipsec_sas[1]."
        "spi: missing; use 256 or more; ipsec_tunnel.ipsec_dec.ipsec_sas[1]."
        "encryption_key: missing; " NO_IPSEC, s.ipsec.n_sas = 2);
    BAD(ipsec_dec, MATCH_FIELD, "ipsec_tunnel.ipsec_dec.ipsec_sas[0]."
        "operation: 9 is not known; use _CREATE (1), _UPDATE (2) or _DELETE "
        "(3); " NO_IPSEC, s.ipsec.sas[0].operation = 9);
    BAD(ipsec_dec, TUNNEL_NOT_SUPPORTED, NO_IPSEC,
        s.ipsec.sas[0].operation = OTD_OP_DELETE; s.ipsec.sas[0].key_len = 0);
}
END_TEST

/* Which lengths of a key each EncType takes: raw, with salt, and hex of
 * both. */
START_TEST(test_check_key)
{
    static const struct {
        const char *name;
        uint32_t key, salt;
    } types[] = {
        { "AES256GCM64", 32, 4 }, { "AES256GCM96", 32, 4 },
        { "AES256GCM128", 32, 4 }, { "AES128GCM64", 16, 4 },
        { "AES128GCM96", 16, 4 }, { "AES128GCM128", 16, 4 },
        { "AES256CCM64", 32, 3 }, { "AES256CCM96", 32, 3 },
        { "AES256CCM128", 32, 3 }, { "AES128CCM64", 16, 3 },
        { "AES128CCM96", 16, 3 }, { "AES128CCM128", 16, 3 },
    };

    for (uint32_t type = 0; type < ARRAY_SIZE(types); type++) {
        uint32_t key = types[type].key;
        uint32_t all = key + types[type].salt;

        for (uint32_t len = 1; len <= 2 * all + 1; len++) {
            bool raw = len == key || len == all;
            bool hex = len == 2 * key || len == 2 * all;

            for (int is_hex = 0; is_hex < 2; is_hex++) {
                char *text
                    = raw || (hex && is_hex) ? xasprintf("%s", NO_IPSEC)
                    : hex ? xasprintf(
                        "ipsec_tunnel.ipsec_enc.ipsec_sa.encryption_key: %u "
                        "bytes that are not all hexadecimal digits; %s takes "
                        "%u raw bytes, or %u with the salt; " NO_IPSEC,
                        len, types[type].name, key, all)
                    : xasprintf(
                        "ipsec_tunnel.ipsec_enc.ipsec_sa.encryption_key: %u "
                        "bytes; %s takes %u, or %u with the salt, or twice as "
                        "many hexadecimal digits; " NO_IPSEC,
                        len, types[type].name, key, all);

                struct otd_spec s = ipsec_enc();
                s.ipsec.encryption_type = type;
                s.ipsec.sas[0].key_len = len;
                s.ipsec.sas[0].key_is_hex = is_hex;
                assert_check(&s, &all_caps,
                             raw || (hex && is_hex)
                             ? OTD_FAULT_TUNNEL_NOT_SUPPORTED
                             : OTD_FAULT_IPSEC_KEY, text);
                free(text);
            }
        }
    }
}
END_TEST

static struct otd_spec
nat(void)
{
    struct otd_spec s = geneve_encap();

    memset(&s.encap, 0, sizeof s.encap);
    s.kind = OTD_KIND_NAT;
    s.nat_source_ip = 33554443;
    return s;
}

START_TEST(test_check_nat)
{
    BAD(nat, TUNNEL_NOT_SUPPORTED, "nat: NAT is not supported by this build's "
        "data plane yet");
    BAD(nat, MATCH_MISSING_FIELDS, "nat.source_ip: missing; give the new "
        "source address; nat: NAT is not supported by this build's data plane "
        "yet", s.nat_source_ip = 0);
}
END_TEST

START_TEST(test_check_all_at_once)
{
    BAD(geneve_encap, MATCH_FIELD,
        "operation: 77 is not known; use _CREATE (1), _UPDATE (2) or _DELETE "
        "(3); next_action: missing; use FORWARD (1) or RECIRCULATE (2); "
        "match_criteria.ipv4_match.destination_ip_prefix: 64 is longer than "
        "the address; use at most 32; match_criteria.tunnel_id: 1 is the "
        "tunnel itself; name the tunnel that comes before it; "
        "geneve.geneve_encap.outer_ipv4_pair.destination_ip: missing; name "
        "the other end of the tunnel; geneve.geneve_encap.vni: 99999999 does "
        "not fit 24 bits; use at most 16777215; geneve.geneve_encap."
        "protocol_type: 0x0001 is not supported; use 0x6558 (Ethernet) or "
        "leave it out; geneve.geneve_encap.critical_option_present: true "
        "without an option whose type has the critical bit 0x80; leave it "
        "out, as the switch does",
        s.operation = 77; s.next_action = 0; s.match.ip.dst_plen = 64;
        s.match.tunnel_id = 1; s.encap.outer.dst = ip("0.0.0.0");
        s.encap.vni = 99999999; s.encap.protocol_type = 1;
        s.encap.critical_option_present = true);
}
END_TEST

START_TEST(test_random_specs_are_legal)
{
    struct rng rng = { 1 };

    for (int i = 0; i < 5000; i++) {
        struct otd_faults faults = OTD_FAULTS_INITIALIZER;
        struct otd_spec s;

        random_spec(&rng, &s);
        otd_spec_check(&s, &all_caps, &faults);
        if (otd_faults_any(&faults)) {
            ck_abort_msg("%d: %s", i, otd_faults_text(&faults));
        }
    }
}
END_TEST

START_TEST(test_format)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct otd_spec s = geneve_encap();

    otd_spec_format(&s, &ds);
    ck_assert_str_eq(ds_cstr(&ds), "geneve encap 192.0.2.1 > 192.0.2.2 vni "
                     "100; match ip dst 10.1.0.0/16; forward");

    ds_clear(&ds);
    add_option(&s, 0x104, 0x91, 4);
    s.encap.control_packet = true;
    s.encap.outer.src = ip("0.0.0.0");
    s.encap.inner_mac.has_dst = true;
    s.encap.inner_mac.dst = mac("02:00:00:00:00:01");
    strcpy(s.match.ingress_interface, "eth0");
    s.match.tunnel_id = 7;
    s.match.ip.dst_plen = 32;
    s.next_action = OTD_ACTION_RECIRCULATE;
    otd_spec_format(&s, &ds);
    ck_assert_str_eq(ds_cstr(&ds), "geneve encap any > 192.0.2.2 vni 100 mac "
                     "dst 02:00:00:00:00:01 control option 0x0104/0x91="
                     "0x91929394; match tunnel 7 port eth0 ip dst 10.1.0.0; "
                     "recirculate");

    ds_clear(&ds);
    s = geneve_decap();
    s.match.ip = (struct otd_ip_match) {
        .family = OTD_FAMILY_IPV6, .src = ip("fd00::"), .src_plen = 64 };
    s.match.overlay.mac.has_src = true;
    s.next_action = 9;
    otd_spec_format(&s, &ds);
    ck_assert_str_eq(ds_cstr(&ds), "geneve decap; match ipv6 src fd00::/64 "
                     "geneve vni 100 mac src 00:00:00:00:00:00; action 9");

    ds_clear(&ds);
    s = ipsec_dec();
    otd_spec_format(&s, &ds);
    ck_assert_str_eq(ds_cstr(&ds), "ipsec dec type 1 cipher 2 spi 256; match "
                     "ip dst 10.1.0.0/16; forward");
    ds_clear(&ds);
    s = nat();
    otd_spec_format(&s, &ds);
    ck_assert_str_eq(ds_cstr(&ds), "nat to 11.0.0.2; match ip dst "
                     "10.1.0.0/16; forward");
    ds_destroy(&ds);
}
END_TEST

static Suite *
suite(void)
{
    Suite *suite_ = suite_create("tunnel");
    TCase *tcase = tcase_create("tunnel");

    tcase_add_test(tcase, test_ip4_vectors);
    tcase_add_test(tcase, test_ip6_bytes);
    tcase_add_test(tcase, test_mac_bytes);
    tcase_add_test(tcase, test_ifname_bytes);
    tcase_add_test(tcase, test_option_bytes);
    tcase_add_test(tcase, test_option_limits);
    tcase_add_test(tcase, test_check_good);
    tcase_add_test(tcase, test_check_head);
    tcase_add_test(tcase, test_check_every_packet);
    tcase_add_test(tcase, test_check_prefix);
    tcase_add_test(tcase, test_check_mac);
    tcase_add_test(tcase, test_check_capabilities);
    tcase_add_test(tcase, test_check_encap);
    tcase_add_test(tcase, test_check_critical);
    tcase_add_test(tcase, test_check_decap);
    tcase_add_test(tcase, test_check_ipsec);
    tcase_add_test(tcase, test_check_sa);
    tcase_add_test(tcase, test_check_key);
    tcase_add_test(tcase, test_check_nat);
    tcase_add_test(tcase, test_check_all_at_once);
    tcase_add_test(tcase, test_random_specs_are_legal);
    tcase_add_test(tcase, test_format);
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
