/* SPDX-License-Identifier: Apache-2.0 */
/* Golden test of the compiler.  Reads a file in which an unindented line is a
 * request, in words, and the indented lines after it are the flows that it must
 * compile to; writes the same file with what it does compile to.  The test is a
 * diff of the two (tests/golden/run.sh).
 *
 * Words of a request: "encap" or "decap" or "pipeline", then any of
 *     key=N after=N named=1 in_port=N next=forward|recirculate   (facts)
 *     src=A/P dst=A/P             packet's addresses, or outer ones for a decap
 *     dl_src=MAC dl_dst=MAC       packet's
 *     outer=A>B vni=N o=1 inner_src=MAC inner_dst=MAC
 *     opt=CLASS:TYPE:HEX          (repeatable; mapped in the order of appearance)
 *     gvni=N gsrc=A/P gdst=A/P gdl_src=MAC gdl_dst=MAC      geneve_match
 *     drop=1 share=1 noport=1 no4=1 no6=1 encap_ip=A                   (the bridge) */

#include <config.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "flows/compile.h"
#include "flows/decode.h"
#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "util.h"

struct test_case {
    struct otd_spec spec;
    struct otd_tunnel_facts facts;
    struct otd_bridge_facts bridge;
    struct otd_tlv_map tlvs;
    bool pipeline;
};

static enum otd_family
parse_ip(char *text, struct in6_addr *ip, uint32_t *plen)
{
    char *slash = strchr(text, '/');
    ovs_be32 ip4;

    if (slash) {
        *slash = '\0';
        *plen = atoi(slash + 1);
    }
    if (ip_parse(text, &ip4)) {
        in6_addr_set_mapped_ipv4(ip, ip4);
        return OTD_FAMILY_IPV4;
    }
    if (!ipv6_parse(text, ip)) {
        ovs_fatal(0, "%s: not an address", text);
    }
    return OTD_FAMILY_IPV6;
}

static void
parse_mac(const char *text, struct eth_addr *mac, bool *given,
          struct otd_mac_pair *pair)
{
    if (!eth_addr_from_string(text, mac)) {
        ovs_fatal(0, "%s: not a MAC", text);
    }
    *given = pair->present = true;
}

static void
parse_option(struct test_case *c, const char *text)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    unsigned int opt_class, type;
    uint8_t data[124];
    size_t n = 0;
    int ofs, i;

    if (sscanf(text, "%x:%x:%n", &opt_class, &type, &ofs) != 2) {
        ovs_fatal(0, "%s: not an option", text);
    }
    for (const char *p = text + ofs; isxdigit((unsigned char) p[0]); p += 2) {
        data[n++] = hexit_value(p[0]) * 16 + hexit_value(p[1]);
    }
    otd_geneve_option_add(&c->spec.encap, opt_class, type, 0, data, n, "opt",
                          &faults);
    if (otd_faults_any(&faults)) {
        ovs_fatal(0, "%s", otd_faults_text(&faults));
    }
    for (i = 0; c->tlvs.slots[i].used; i++) {
        continue;
    }
    c->tlvs.slots[i] = (struct otd_tlv) { true, opt_class, type, n };
}

static void
parse_match(struct test_case *c, const char *name, char *value)
{
    struct otd_match *m = &c->spec.match;

    if (!strcmp(name, "src")) {
        m->ip.family = parse_ip(value, &m->ip.src, &m->ip.src_plen);
    } else if (!strcmp(name, "dst")) {
        m->ip.family = parse_ip(value, &m->ip.dst, &m->ip.dst_plen);
    } else if (!strcmp(name, "gsrc")) {
        m->overlay.ip.family = parse_ip(value, &m->overlay.ip.src,
                                        &m->overlay.ip.src_plen);
    } else if (!strcmp(name, "gdst")) {
        m->overlay.ip.family = parse_ip(value, &m->overlay.ip.dst,
                                        &m->overlay.ip.dst_plen);
    } else if (!strcmp(name, "dl_src")) {
        parse_mac(value, &m->mac.src, &m->mac.has_src, &m->mac);
    } else if (!strcmp(name, "dl_dst")) {
        parse_mac(value, &m->mac.dst, &m->mac.has_dst, &m->mac);
    } else if (!strcmp(name, "gdl_src")) {
        parse_mac(value, &m->overlay.mac.src, &m->overlay.mac.has_src,
                  &m->overlay.mac);
    } else if (!strcmp(name, "gdl_dst")) {
        parse_mac(value, &m->overlay.mac.dst, &m->overlay.mac.has_dst,
                  &m->overlay.mac);
    } else if (!strcmp(name, "gvni")) {
        m->kind = OTD_MATCH_GENEVE;
        m->overlay.vni = atoi(value);
    } else {
        ovs_fatal(0, "%s: unknown word", name);
    }
}

static void
parse_word(struct test_case *c, char *word)
{
    char *value = strchr(word, '=');
    struct otd_geneve_encap *e = &c->spec.encap;

    if (!value) {
        ovs_fatal(0, "%s: a word is NAME=VALUE", word);
    }
    *value++ = '\0';
    if (!strcmp(word, "key")) {
        c->facts.key = atoi(value);
    } else if (!strcmp(word, "after")) {
        c->facts.after_key = atoi(value);
        c->spec.match.tunnel_id = 1000 + c->facts.after_key;
    } else if (!strcmp(word, "named")) {
        c->facts.named = true;
    } else if (!strcmp(word, "in_port")) {
        c->facts.in_port = OFP_PORT_C(atoi(value));
        ovs_strlcpy(c->spec.match.ingress_interface, "vm", 16);
    } else if (!strcmp(word, "next")) {
        c->spec.next_action = (!strcmp(value, "recirculate")
                               ? OTD_ACTION_RECIRCULATE : OTD_ACTION_FORWARD);
    } else if (!strcmp(word, "outer")) {
        char *dst = strchr(value, '>');
        uint32_t plen;

        *dst++ = '\0';
        e->outer.family = parse_ip(dst, &e->outer.dst, &plen);
        if (*value) {
            parse_ip(value, &e->outer.src, &plen);
        } else if (e->outer.family == OTD_FAMILY_IPV4) {
            in6_addr_set_mapped_ipv4(&e->outer.src, 0);
        }
    } else if (!strcmp(word, "vni")) {
        e->vni = atoi(value);
    } else if (!strcmp(word, "o")) {
        e->control_packet = true;
    } else if (!strcmp(word, "inner_src")) {
        parse_mac(value, &e->inner_mac.src, &e->inner_mac.has_src,
                  &e->inner_mac);
    } else if (!strcmp(word, "inner_dst")) {
        parse_mac(value, &e->inner_mac.dst, &e->inner_mac.has_dst,
                  &e->inner_mac);
    } else if (!strcmp(word, "opt")) {
        parse_option(c, value);
    } else if (!strcmp(word, "drop")) {
        c->bridge.default_drop = true;
    } else if (!strcmp(word, "share")) {
        c->bridge.share = true;
    } else if (!strcmp(word, "noport")) {
        c->bridge.geneve_port = OFPP_NONE;
        c->bridge.geneve_in4 = c->bridge.geneve_in6 = OFPP_NONE;
    } else if (!strcmp(word, "no4")) {
        c->bridge.geneve_in4 = c->bridge.geneve_port;
    } else if (!strcmp(word, "no6")) {
        c->bridge.geneve_in6 = c->bridge.geneve_port;
    } else if (!strcmp(word, "encap_ip")) {
        uint32_t plen;

        if (parse_ip(value, &c->bridge.encap_ip4, &plen) == OTD_FAMILY_IPV6) {
            c->bridge.encap_ip6 = c->bridge.encap_ip4;
            c->bridge.encap_ip4 = in6addr_any;
        }
    } else {
        parse_match(c, word, value);
    }
}

static void
compile_line(const char *line)
{
    struct otd_flows flows = OTD_FLOWS_INITIALIZER;
    struct ds out = DS_EMPTY_INITIALIZER;
    char *copy = xstrdup(line), *save = NULL, *word;
    struct test_case c;

    memset(&c, 0, sizeof c);
    otd_spec_init(&c.spec);
    c.spec.match.present = true;
    c.spec.next_action = OTD_ACTION_FORWARD;
    c.facts.in_port = OFPP_NONE;
    c.facts.active = true;
    c.bridge.geneve_port = OFP_PORT_C(100);
    c.bridge.geneve_in4 = OFP_PORT_C(104);
    c.bridge.geneve_in6 = OFP_PORT_C(106);

    word = strtok_r(copy, " ", &save);
    c.pipeline = !strcmp(word, "pipeline");
    c.spec.kind = (!strcmp(word, "decap") ? OTD_KIND_GENEVE_DECAP
                   : OTD_KIND_GENEVE_ENCAP);
    while ((word = strtok_r(NULL, " ", &save))) {
        parse_word(&c, word);
    }
    if (c.pipeline) {
        otd_compile_fixed(&c.bridge, &c.tlvs, &flows);
    } else {
        otd_compile_tunnel(&c.spec, &c.facts, &c.bridge, &c.tlvs, &flows);
        ovs_assert(flows.n <= OTD_FLOWS_PER_TUNNEL);
    }
    for (size_t i = 0; i < flows.n; i++) {
        ds_put_cstr(&out, "    ");
        otd_flow_format(&out, &flows.flows[i]);
        ds_put_char(&out, '\n');
    }
    fputs(ds_cstr(&out), stdout);
    ds_destroy(&out);
    otd_flows_destroy(&flows);
    free(copy);
}

int
main(int argc, char *argv[])
{
    char line[4096];
    FILE *f;

    set_program_name(argv[0]);
    if (argc != 2) {
        ovs_fatal(0, "usage: %s FILE", argv[0]);
    }
    f = fopen(argv[1], "r");
    if (!f) {
        ovs_fatal(errno, "%s", argv[1]);
    }
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == ' ') {
            continue;           /* An old answer. */
        }
        puts(line);
        if (line[0] && line[0] != '#') {
            compile_line(line);
        }
    }
    fclose(f);
    return 0;
}
