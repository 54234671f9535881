/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's requests: flags and JSON to bytes, files, and errors.
 * The bytes are compared as the text that tests/unit/wire.c makes of them; the
 * field numbers are those of the API. */
#include <config.h>
#include "cli/request.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/input.h"
#include "cli/message.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "tests/unit/wire.h"
#include "util.h"

#define KEY_HEX "000102030405060708090a0b0c0d0e0f"
#define KEY_TEXT "0x" KEY_HEX

/* The fields of IpTunnelRequest that are messages. */
static const char messages[] =
    " 3 3.2 3.3 3.4 3.6 3.7 3.7.2 3.7.4 3.7.5 3.8"
    " 5 5.1 5.1.3 5.1.4 5.1.5 5.2 5.2.3"
    " 6 6.1 6.1.1 6.1.2 6.1.3 6.1.9 6.2 7 ";

/* The bytes of the request as text, or "error: " and the faults. */
static char *
finish(const struct json *json, Tunneloffload__V2__Operation operation,
       struct otd_faults *faults)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    Tunneloffload__V2__IpTunnelRequest *request = NULL;

    if (!otd_faults_any(faults)) {
        request = otd_request_from_json(json, operation, faults);
    }
    ck_assert_int_eq(request == NULL, otd_faults_any(faults));
    if (request) {
        size_t n = tunneloffload__v2__ip_tunnel_request__get_packed_size(
            request);
        uint8_t *bytes = xmalloc(n + 1);

        tunneloffload__v2__ip_tunnel_request__pack(request, bytes);
        format_message(bytes, n, messages, &ds);
        free(bytes);
        tunneloffload__v2__ip_tunnel_request__free_unpacked(request, NULL);
    } else {
        ds_put_format(&ds, "error: %s", otd_faults_text(faults));
    }
    otd_faults_destroy(faults);
    return ds_steal_cstr(&ds);
}

static void
check_json_as(Tunneloffload__V2__Operation operation, const char *text,
              const char *expected)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct json *json = json_from_string(text);
    char *got;

    ck_assert_msg(json->type == JSON_OBJECT, "%s: %s", text,
                  json->type == JSON_STRING ? json_string(json) : "");
    got = finish(json, operation, &faults);
    ck_assert_str_eq(got, expected);
    free(got);
    json_destroy(json);
}

static void
check_json(const char *text, const char *expected)
{
    check_json_as(TUNNELOFFLOAD__V2__OPERATION___CREATE, text, expected);
}

/* 'flags' is "--name=value --name ..."; values have no spaces. */
static void
check_flags(uint64_t id, enum otd_request_kind kind, const char *flags,
            const char *expected)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct otd_flag_value values[32];
    char *copy = xstrdup(flags), *save = NULL, *got;
    struct json *json;
    size_t n = 0;

    for (char *flag = strtok_r(copy, " ", &save); flag;
         flag = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(flag, '=');

        ck_assert_uint_lt(n, ARRAY_SIZE(values));
        values[n].name = flag + 2;
        values[n++].arg = equals ? equals + 1 : NULL;
        if (equals) {
            *equals = '\0';
        }
    }
    json = otd_request_from_flags(id, kind, values, n, &faults);
    got = finish(json, TUNNELOFFLOAD__V2__OPERATION___CREATE, &faults);
    ck_assert_str_eq(got, expected);
    json_destroy(json);
    free(copy);
    free(got);
}

/* ---- Flags. */

START_TEST(test_flags_encap)
{
    /* 11.0.0.2 is 0x0200000b in this API. */
    check_flags(5, OTD_REQUEST_GENEVE_ENCAP,
                "--match-dst=11.0.0.2 --src=10.0.0.1 --dst=10.0.0.2 --vni=100"
                " --next=forward",
                "1:5 2:1 3:{3:{3:0x0200000b 4:32}} 4:1"
                " 6:{1:{1:{1:0x0100000a 2:0x0200000a} 7:100}}");
    check_flags(0, OTD_REQUEST_GENEVE_ENCAP,
                "--in-if=vm1 --match-src=11.0.0.0/24 --match-dst=12.0.0.0/8"
                " --match-src-mac=10:20:30:40:50:60"
                " --match-dst-mac=706050403020 --match-tunnel=0xffffffffffffffff"
                " --inner-src-mac=00:00:00:00:00:01"
                " --inner-dst-mac=00:00:00:00:00:02 --protocol=0x6558 --control"
                " --next=RECIRCULATE",
                "2:1 3:{1:\"vm1\" 2:{1:\"p`P@0 \" 2:\"\\x10 0@P`\"}"
                " 3:{1:0x0000000b 2:24 3:0x0000000c 4:8}"
                " 5:18446744073709551615} 4:2 6:{1:{3:{1:\"\\x00\\x00\\x00\\x00"
                "\\x00\\x02\" 2:\"\\x00\\x00\\x00\\x00\\x00\\x01\"} 5:1"
                " 8:25944}}");
}
END_TEST

START_TEST(test_flags_ipv6)
{
    check_flags(1, OTD_REQUEST_GENEVE_ENCAP,
                "--match-dst=fd00::/16 --match-src=::1 --src=fd00::1"
                " --dst=fd00::2",
                "1:1 2:1 3:{4:{1:\"\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
                "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\" 2:128"
                " 3:\"\\xfd\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
                "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\" 4:16}}"
                " 6:{1:{2:{1:\"\\xfd\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
                "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\""
                " 2:\"\\xfd\\x00\\x00\\x00\\x00\\x00\\x00\\x00"
                "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\"}}}");
    check_flags(1, OTD_REQUEST_GENEVE_ENCAP, "--src=fd00::1 --dst=10.0.0.1",
                "error: geneve.geneve_encap.outer_ipv6_pair: excludes "
                "outer_ipv4_pair, which is given, too");
}
END_TEST

START_TEST(test_flags_options)
{
    /* The critical bit of a type sets the header's. */
    check_flags(1, OTD_REQUEST_GENEVE_ENCAP,
                "--option=0x102,1,0x41424344 --option=3,0x80,0x4142434445464748"
                " --option=4,5",
                "1:1 2:1 6:{1:{6:1 9:{1:258 2:1 4:\"ABCD\"}"
                " 9:{1:3 2:128 4:\"ABCDEFGH\"} 9:{1:4 2:5}}}");
    check_flags(1, OTD_REQUEST_GENEVE_ENCAP, "--option=3,5,base64:QUJDRA==",
                "1:1 2:1 6:{1:{9:{1:3 2:5 4:\"ABCD\"}}}");
    check_flags(1, OTD_REQUEST_GENEVE_ENCAP, "--option=3",
                "error: --option: \"3\" is not CLASS,TYPE,DATA");
}
END_TEST

START_TEST(test_flags_decap)
{
    check_flags(9, OTD_REQUEST_GENEVE_DECAP, "", "1:9 2:1 6:{2:{}}");
    /* Network 0 is a network. */
    check_flags(9, OTD_REQUEST_GENEVE_DECAP,
                "--match-vni=0 --match-inner-dst=11.0.0.0/24 --next=forward",
                "1:9 2:1 3:{7:{4:{3:0x0000000b 4:24}}} 4:1 6:{2:{}}");
    check_flags(9, OTD_REQUEST_GENEVE_DECAP,
                "--match-vni=7 --match-protocol=0x6558"
                " --match-inner-src-mac=414243444546",
                "1:9 2:1 3:{7:{1:7 2:{2:\"ABCDEF\"} 3:25944}} 6:{2:{}}");
}
END_TEST

START_TEST(test_flags_other_kinds)
{
    char key_file[] = "/tmp/otd-key-XXXXXX", *flags;
    int fd = mkstemp(key_file);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, KEY_HEX "\n", 33), 33);
    close(fd);
    flags = xasprintf("--mode=transport-nat-traversal --cipher=aes128gcm128"
                      " --src=10.0.0.1 --dst=10.0.0.2 --spi=300"
                      " --key-file=%s", key_file);
    check_flags(2, OTD_REQUEST_IPSEC_ENC, flags,
                "1:2 2:1 5:{1:{1:2 2:5 3:{1:300 2:\"\\x00\\x01\\x02\\x03"
                "\\x04\\x05\\x06\\x07\\x08\\x09\\x0a\\x0b\\x0c\\x0d\\x0e\\x0f"
                "\"} 4:{1:0x0100000a 2:0x0200000a}}}");
    free(flags);
    flags = xasprintf("--mode=tunnel --cipher=_AES256GCM64 --sa=300,%s"
                      " --match-spi=5", key_file);
    check_flags(2, OTD_REQUEST_IPSEC_DEC, flags,
                "1:2 2:1 3:{6:{1:5}} 5:{2:{1:1 3:{1:300 2:\"\\x00\\x01\\x02"
                "\\x03\\x04\\x05\\x06\\x07\\x08\\x09\\x0a\\x0b\\x0c\\x0d\\x0e"
                "\\x0f\"}}}");
    free(flags);

    /* The bytes themselves, and a text that is no key. */
    ck_assert_int_eq(truncate(key_file, 0), 0);
    FILE *f = fopen(key_file, "w");
    fwrite("\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 1, 16, f);
    fclose(f);
    flags = xasprintf("--key-file=%s", key_file);
    check_flags(2, OTD_REQUEST_IPSEC_ENC, flags,
                "1:2 2:1 5:{1:{3:{2:\"\\x00\\x01\\x02\\x03\\x04\\x05\\x06"
                "\\x07\\x08\\x09\\x0a\\x0b\\x0c\\x0d\\x0e\\x0f\"}}}");
    f = fopen(key_file, "w");
    fputs("a secret that is no key", f);
    fclose(f);
    check_flags(2, OTD_REQUEST_IPSEC_ENC, flags,
                "error: ipsec_tunnel.ipsec_enc.ipsec_sa.encryption_key: 46 "
                "characters that are not a key; write its 16 or 32 bytes, "
                "with or without the salt of 3 or 4, in hexadecimal or "
                "base64");
    free(flags);
    unlink(key_file);
    check_flags(2, OTD_REQUEST_IPSEC_ENC, "--key-file=/nonexistent/key",
                "error: --key-file: /nonexistent/key: No such file or "
                "directory");

    check_flags(3, OTD_REQUEST_NAT, "--src=5.5.5.5",
                "1:3 2:1 7:{1:84215045}");
}
END_TEST

START_TEST(test_flags_errors)
{
    check_flags(1, OTD_REQUEST_GENEVE_DECAP, "--vni=5 --spi=7",
                "error: --vni: belongs to another kind of tunnel: "
                "geneve-encap; --spi: belongs to another kind of tunnel: "
                "ipsec-enc");
    check_flags(1, OTD_REQUEST_ANY, "--src=1.1.1.1",
                "error: --src: say the kind of tunnel first: geneve-encap or "
                "ipsec-enc or nat");
    check_flags(1, OTD_REQUEST_GENEVE_ENCAP,
                "--vni=5 --vni=6 --match-src=1.1.1.1 --match-src=2.2.2.2/8",
                "error: --vni: given twice; --match-src: given twice");
    check_flags(1, OTD_REQUEST_GENEVE_ENCAP,
                "--vni=x --src=1.2.3 --next=sideways --match-src=1.1.1.1/x"
                " --match-src-mac=zz --match-tunnel=-1 --option=1,2,z",
                "error: geneve.geneve_encap.geneve_option[0].data: \"z\" is "
                "neither hexadecimal (0x...) nor base64; "
                "geneve.geneve_encap.outer_ipv4_pair.source_ip: \"1.2.3\" is "
                "not an IPv4 address; "
                "geneve.geneve_encap.vni: \"x\" is not a number; "
                "match_criteria.ipv4_match.source_ip_prefix: \"x\" is not a "
                "number; match_criteria.mac_match.source_mac: \"zz\" is not a "
                "MAC address; write xx:xx:xx:xx:xx:xx; "
                "match_criteria.tunnel_id: -1 is out of range; at least 0; "
                "next_action: \"sideways\" is none of NONE, FORWARD, "
                "RECIRCULATE");
}
END_TEST

/* An update names only what changes; without a kind, too. */
START_TEST(test_flags_update)
{
    check_flags(7, OTD_REQUEST_ANY, "--next=recirculate", "1:7 2:1 4:2");
    check_flags(7, OTD_REQUEST_ANY, "", "1:7 2:1");
    /* One flag that only one kind has, or two that only one has both. */
    check_flags(7, OTD_REQUEST_ANY, "--vni=5 --src=10.0.0.1",
                "1:7 2:1 6:{1:{1:{1:0x0100000a} 7:5}}");
    check_flags(7, OTD_REQUEST_ANY, "--dst=10.0.0.1 --spi=1",
                "1:7 2:1 5:{1:{3:{1:1} 4:{2:0x0100000a}}}");
    check_flags(7, OTD_REQUEST_ANY, "--vni=5 --spi=1",
                "error: --vni: say the kind of tunnel first: geneve-encap; "
                "--spi: say the kind of tunnel first: ipsec-enc");
}
END_TEST

/* ---- JSON. */

START_TEST(test_json_spellings)
{
    static const char expected[] =
        "1:10000 2:1 3:{3:{3:0x0200000b 4:32}} 4:1"
        " 6:{1:{1:{1:0x05050505 2:0x06060606} 7:700}}";

    check_json("{\"tunnel_id\": 10000, \"operation\": \"_CREATE\","
               " \"match_criteria\": {\"ipv4_match\": {\"destination_ip\":"
               " \"11.0.0.2\", \"destination_ip_prefix\": 32}},"
               " \"next_action\": \"FORWARD\", \"geneve\": {\"geneve_encap\":"
               " {\"outer_ipv4_pair\": {\"source_ip\": \"5.5.5.5\","
               " \"destination_ip\": \"6.6.6.6\"}, \"vni\": 700}}}",
               expected);
    /* lowerCamelCase; numbers as strings; the API's own address numbers. */
    check_json("{\"tunnelId\": \"10000\", \"operation\": 1,"
               " \"matchCriteria\": {\"ipv4Match\": {\"destinationIp\":"
               " 33554443, \"destinationIpPrefix\": \"0x20\"}},"
               " \"nextAction\": \"forward\", \"geneve\": {\"geneveEncap\":"
               " {\"outerIpv4Pair\": {\"sourceIp\": \"84215045\","
               " \"destinationIp\": 101058054}, \"vni\": \"700\"}},"
               " \"nat\": null}",
               expected);
}
END_TEST

START_TEST(test_json_values)
{
    /* 64 bits; a MAC in four spellings; empty strings are nothing. */
    check_json("{\"tunnel_id\": \"18446744073709551615\","
               " \"match_criteria\": {\"ingress_interface\": \"\","
               " \"mac_match\": {\"source_mac\": \"41:42:43:44:45:46\","
               " \"destination_mac\": \"QUJDREVG\"}, \"geneve_match\":"
               " {\"mac_match\": {\"source_mac\": \"414243444546\","
               " \"destination_mac\": \"\"}}}}",
               "1:18446744073709551615 2:1 3:{2:{1:\"ABCDEF\" 2:\"ABCDEF\"}"
               " 7:{2:{2:\"ABCDEF\"}}}");
    /* Hexadecimal digits as bytes, in base64, as some clients send them. */
    check_json("{\"match_criteria\": {\"mac_match\": {\"source_mac\":"
               " \"NDE0MjQzNDQ0NTQ2\"}}}",
               "2:1 3:{2:{2:\"414243444546\"}}");
    /* The same as show prints 12 bytes that are no digits. */
    check_json("{\"match_criteria\": {\"mac_match\": {\"source_mac\":"
               " \"0x4142434445464748494a4b4c\"}}}",
               "2:1 3:{2:{2:\"ABCDEFGHIJKL\"}}");
    check_json("{\"geneve\": {\"geneve_encap\": {\"outer_ipv6_pair\":"
               " {\"source_ip\": \"QUJDREVGR0hJSktMTU5PUA==\","
               " \"destination_ip\": \"4142434445464748494a4b4c4d4e4f50\"},"
               " \"control_packet\": true, \"critical_option_present\": false"
               "}}}",
               "2:1 6:{1:{2:{1:\"ABCDEFGHIJKLMNOP\" 2:\"ABCDEFGHIJKLMNOP\"}"
               " 5:1}}");
    check_json("{\"ipsec_tunnel\": {\"ipsec_dec\": {\"ipsec_sas\": ["
               "{\"spi\": 1, \"operation\": \"_delete\"}, {\"spi\": 2}]}}}",
               "2:1 5:{2:{3:{1:1 3:3} 3:{1:2}}}");
}
END_TEST

START_TEST(test_json_option_data)
{
#define OPTION(DATA) "{\"geneve\": {\"geneve_encap\": {\"geneve_option\": [" \
                     "{\"data\": \"" DATA "\"}]}}}"
    check_json(OPTION("41424344"), "2:1 6:{1:{9:{4:\"ABCD\"}}}");
    check_json(OPTION("0x41424344"), "2:1 6:{1:{9:{4:\"ABCD\"}}}");
    check_json(OPTION("QUJDRA=="), "2:1 6:{1:{9:{4:\"ABCD\"}}}");
    check_json(OPTION("QUJDRA"), "2:1 6:{1:{9:{4:\"ABCD\"}}}");
    /* 8 bytes in hexadecimal, or 12 in base64. */
    check_json(OPTION("AAAAAAAAAAAAAAAA"),
               "error: geneve.geneve_encap.geneve_option[0].data: "
               "\"AAAAAAAAAAAAAAAA\" can be read as hexadecimal and as "
               "base64; begin it with 0x or base64:");
    check_json(OPTION("base64:QUJDREVGR0hJSktM"),
               "2:1 6:{1:{9:{4:\"ABCDEFGHIJKL\"}}}");
    check_json(OPTION("Q"), "error: geneve.geneve_encap.geneve_option[0].data:"
               " \"Q\" is neither hexadecimal (0x...) nor base64");
}
END_TEST

START_TEST(test_json_errors)
{
    check_json("{\"tunel_id\": 1, \"geneve\": {\"geneve_decap\": {\"vni\": 1}"
               "}, \"match_criteria\": {\"mac_match\": {\"source\": 1}}}",
               "error: geneve.geneve_decap: unknown field \"vni\"; "
               "GeneveDecap has no fields; "
               "match_criteria.mac_match: unknown field \"source\"; MacPair "
               "has destination_mac, source_mac; "
               "unknown field \"tunel_id\"; IpTunnelRequest has tunnel_id, "
               "operation, match_criteria, next_action, ipsec_tunnel, geneve, "
               "nat");
    check_json("{\"tunnel_id\": 1, \"tunnelId\": 2}",
               "error: tunnel_id: given twice, in two spellings");
    check_json("{\"geneve\": {}, \"nat\": {}}",
               "error: nat: excludes geneve, which is given, too");
    check_json("{\"tunnel_id\": 18446744073709551615,"
               " \"geneve\": [], \"next_action\": true, \"match_criteria\":"
               " {\"ingress_interface\": 7, \"tunnel_id\": -1, \"ipv4_match\":"
               " {\"source_ip\": \"fd00::1\", \"destination_ip\": \"1.2.3.4.5\","
               " \"source_ip_prefix\": 4294967296}}}",
               "error: geneve: an array, want an object with the fields of "
               "Geneve; "
               "match_criteria.ingress_interface: a number, want a string; "
               "match_criteria.ipv4_match.destination_ip: \"1.2.3.4.5\" is "
               "not an IPv4 address; "
               "match_criteria.ipv4_match.source_ip: \"fd00::1\" is not an "
               "IPv4 address; "
               "match_criteria.ipv4_match.source_ip_prefix: 4294967296 is out "
               "of range; at most 4294967295; "
               "match_criteria.tunnel_id: -1 is out of range; at least 0; "
               "next_action: true, want one of NONE, FORWARD, RECIRCULATE; "
               "tunnel_id: a fraction or a number over 63 bits, want a "
               "number; write one over 63 bits as a string");
    check_json("{\"geneve\": {\"geneve_encap\": {\"geneve_option\": ["
               "{\"type\": 1}, null, {\"type\": \" 1\"}, 5],"
               " \"control_packet\": 1}}, \"next_action\": 3}",
               "error: geneve.geneve_encap.control_packet: a number, want "
               "true or false; "
               "geneve.geneve_encap.geneve_option[1]: null cannot stand in "
               "an array; "
               "next_action: 3 is the number of none of NONE, FORWARD, "
               "RECIRCULATE");
    check_json("{\"tunnel_id\": \"18446744073709551616\"}",
               "error: tunnel_id: \"18446744073709551616\" is not a number of "
               "64 bits");
}
END_TEST

START_TEST(test_json_operation)
{
    check_json("{\"operation\": \"_UPDATE\"}",
               "error: operation: _UPDATE, but this command sends _CREATE");
    check_json_as(TUNNELOFFLOAD__V2__OPERATION___DELETE, "{\"tunnel_id\": 1}",
                  "1:1 2:3");
    /* A delete takes the id from whatever it is given. */
    check_json_as(TUNNELOFFLOAD__V2__OPERATION___DELETE,
                  "{\"tunnel_id\": 1, \"operation\": \"_CREATE\","
                  " \"nat\": {\"source_ip\": \"1.1.1.1\"}}",
                  "1:1 2:3");
    check_json_as(TUNNELOFFLOAD__V2__OPERATION___DELETE, "{\"nat\": {}}",
                  "error: tunnel_id: not given; a delete needs it");
    check_json_as(TUNNELOFFLOAD__V2__OPERATION___NONE, "{\"tunnel_id\": 1}",
                  "error: operation: not given; _CREATE, _UPDATE or _DELETE");
    check_json_as(TUNNELOFFLOAD__V2__OPERATION___NONE,
                  "{\"operation\": \"update\"}", "2:2");
}
END_TEST

/* A key is never part of an error, nor of what is printed. */
START_TEST(test_keys_are_not_shown)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct json *json;
    ProtobufCMessage *m;
    char *text;

    check_json("{\"ipsec_tunnel\": {\"ipsec_enc\": {\"ipsec_sa\":"
               " {\"encryption_key\": \"" KEY_HEX "0\"}}}}",
               "error: ipsec_tunnel.ipsec_enc.ipsec_sa.encryption_key: 33 "
               "characters that are not a key; write its 16 or 32 bytes, with "
               "or without the salt of 3 or 4, in hexadecimal or base64");
    json = json_from_string("{\"spi\": 5, \"encryption_key\": \"" KEY_TEXT
                            "\"}");
    m = otd_message_from_json(&tunneloffload__v2__ipsec_saparams__descriptor,
                              json, &faults);
    ck_assert_ptr_nonnull(m);
    json_destroy(json);
    json = otd_message_to_json(m);
    text = json_to_string(json, JSSF_SORT);
    ck_assert_str_eq(text, "{\"spi\":5}");
    free(text);
    json_destroy(json);
    protobuf_c_message_free_unpacked(m, NULL);
    otd_faults_destroy(&faults);
}
END_TEST

/* What is printed can be read again, and says the same. */
START_TEST(test_json_round_trip)
{
    static const char text[] =
        "{\"geneve\":{\"geneve_encap\":{\"control_packet\":true,"
        "\"critical_option_present\":true,\"geneve_option\":[{\"data\":"
        "\"0xaaaaaaaaaaaaaaaa\",\"option_class\":258,\"type\":128}],"
        "\"inner_mac_pair\":{\"destination_mac\":\"10:20:30:40:50:60\"},"
        "\"outer_ipv6_pair\":{\"destination_ip\":\"fd00::2\",\"source_ip\":"
        "\"fd00::1\"},\"vni\":100}},\"match_criteria\":{\"geneve_match\":"
        "{\"ipv4_match\":{\"source_ip\":\"11.0.0.0\",\"source_ip_prefix\":8},"
        "\"vni\":7},\"ingress_interface\":\"vm1\",\"tunnel_id\":\"3\"},"
        "\"next_action\":\"RECIRCULATE\",\"operation\":\"_CREATE\","
        "\"tunnel_id\":\"18446744073709551615\"}";
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    struct json *json = json_from_string(text);
    ProtobufCMessage *m = otd_message_from_json(
        &tunneloffload__v2__ip_tunnel_request__descriptor, json, &faults);
    char *again;

    ck_assert_msg(m != NULL, "%s", otd_faults_text(&faults));
    json_destroy(json);
    json = otd_message_to_json(m);
    again = json_to_string(json, JSSF_SORT);
    ck_assert_str_eq(again, text);
    free(again);
    json_destroy(json);
    protobuf_c_message_free_unpacked(m, NULL);
}
END_TEST

/* ---- Files. */

/* The objects of a file, one per line with "LINE,ENTRY: ", then "end" or the
 * error, in which the file is called FILE. */
static void
check_file(const char *contents, const char *expected)
{
    char path[] = "/tmp/otd-input-XXXXXX";
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct otd_input *in;
    struct json *json;
    int fd = mkstemp(path);
    char *error;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, contents, strlen(contents)), strlen(contents));
    close(fd);
    ck_assert_ptr_null(otd_input_open(path, &in));
    ck_assert_uint_eq(otd_input_size(in), strlen(contents));
    while (!(error = otd_input_next(in, &json)) && json) {
        unsigned int line, entry;
        char *text = json_to_string(json, JSSF_SORT);

        ck_assert_int_eq(sscanf(otd_input_where(in) + strlen(path),
                                ", line %u, entry %u", &line, &entry), 2);
        ds_put_format(&ds, "%u,%u: %s\n", line, entry, text);
        free(text);
        json_destroy(json);
    }
    if (error) {
        ck_assert_mem_eq(error, path, strlen(path));
        ds_put_format(&ds, "FILE%s", error + strlen(path));
        free(error);
    } else {
        ck_assert_uint_eq(otd_input_offset(in), strlen(contents));
        ds_put_cstr(&ds, "end");
    }
    ck_assert_str_eq(ds_cstr(&ds), expected);
    ds_destroy(&ds);
    otd_input_close(in);
    unlink(path);
}

START_TEST(test_files)
{
    check_file("", "end");
    check_file(" \n\t\r\n", "end");
    check_file("[]", "end");
    check_file("{\"a\": 1}", "1,1: {\"a\":1}\nend");
    check_file("{\"a\": 1}\n{\"a\":\n\n2}\n{}{}\n",
               "1,1: {\"a\":1}\n2,2: {\"a\":2}\n5,3: {}\n5,4: {}\nend");
    check_file("[{\"a\": \"]},{\"},\n {\"b\": [1, {}]}\n]\n[{}] {}",
               "1,1: {\"a\":\"]},{\"}\n2,2: {\"b\":[1,{}]}\n4,3: {}\n"
               "4,4: {}\nend");
}
END_TEST

START_TEST(test_file_errors)
{
    check_file("{}\n5", "1,1: {}\nFILE, line 2: expected an object or an "
               "array of objects");
    check_file("{},{}", "1,1: {}\nFILE, line 1: expected an object or an "
               "array of objects");
    check_file("[{} {}]", "1,1: {}\nFILE, line 1: expected ',' or ']'");
    check_file("[{},]", "1,1: {}\nFILE, line 1: expected an object");
    check_file("[,]", "FILE, line 1: expected an object or ']'");
    check_file("[[]]", "FILE, line 1: expected an object or ']'");
    check_file("[{}\n", "1,1: {}\nFILE, line 2: the file ends in an array");
    check_file("{}]", "1,1: {}\nFILE, line 1: expected an object or an array "
               "of objects");
    check_file("{}\n\n{\"a\": 1,\n \"b\" 2}\n{}",
               "1,1: {}\nFILE, line 3, entry 2: syntax error parsing object "
               "expecting ':' (line 4)");
    check_file("{\"a\":\n1", "FILE, line 1, entry 1: unexpected end of input "
               "(line 2)");
    check_file("{\"a\": 1, \"a\": 2", "FILE, line 1, entry 1: unexpected end "
               "of input (line 1)");
}
END_TEST

START_TEST(test_file_missing)
{
    struct otd_input *in;
    char *error = otd_input_open("/nonexistent/file", &in);

    ck_assert_str_eq(error, "/nonexistent/file: No such file or directory");
    ck_assert_ptr_null(in);
    free(error);
}
END_TEST

/* Objects that lie across the pieces in which a file is read. */
START_TEST(test_large_file)
{
    struct ds contents = DS_EMPTY_INITIALIZER;
    struct ds expected = DS_EMPTY_INITIALIZER;

    ds_put_cstr(&contents, "[");
    for (int i = 1; i <= 5000; i++) {
        ds_put_format(&contents, "%s{\"tunnel_id\": %d, \"x\": \"%*s\"}",
                      i > 1 ? ",\n" : "", i, i % 97, "");
        ds_put_format(&expected, "%d,%d: {\"tunnel_id\":%d,\"x\":\"%*s\"}\n",
                      i, i, i, i % 97, "");
    }
    ds_put_cstr(&contents, "]");
    ds_put_cstr(&expected, "end");
    check_file(ds_cstr(&contents), ds_cstr(&expected));
    ds_destroy(&contents);
    ds_destroy(&expected);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        test_flags_encap,
        test_flags_ipv6,
        test_flags_options,
        test_flags_decap,
        test_flags_other_kinds,
        test_flags_errors,
        test_flags_update,
        test_json_spellings,
        test_json_values,
        test_json_option_data,
        test_json_errors,
        test_json_operation,
        test_keys_are_not_shown,
        test_json_round_trip,
        test_files,
        test_file_errors,
        test_file_missing,
        test_large_file,
    };
    Suite *suite = suite_create("requests of the command line");
    TCase *tc = tcase_create("requests");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
