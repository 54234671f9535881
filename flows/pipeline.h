/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_PIPELINE_H
#define OTD_PIPELINE_H 1

/* Every number of the pipeline, once.  The documents (docs/pipeline.md) and the
 * macros of the tests are printed from this header by tests/print-pipeline.c;
 * nothing else may spell a table, register, priority or cookie. */

#include <stdbool.h>
#include <stdint.h>

/* X(NAME, number, "name", "job") */
#define OTD_TABLES(X)                                                         \
    X(CLASSIFY, 0, "classification",                                          \
      "which tunnel takes this packet: what comes from a tunnel port goes on " \
      "to its own tables, all others are matched here")                                    \
    X(OUTER4, 2, "outer_ipv4",                                                \
      "packets that came in over IPv4: decapsulation rules that match the "   \
      "outer addresses; then decapsulation. A table for each family, since "  \
      "the kernel refuses a datapath mask with the outer addresses of both")  \
    X(STRIP, 4, "strip",                                                      \
      "a decapsulated packet that goes on (RECIRCULATE) forgets its outer "   \
      "header here, so that nothing of it can reach a second encapsulation")  \
    X(RECIRCULATE, 5, "recirculation",                                        \
      "every further pass: rules that name the tunnel before them by "        \
      "tunnel_id; what none of them takes is classified again by its own "    \
      "addresses")                                                            \
    X(LOOKUP, 7, "ingress_lookup",                                            \
      "delivery of decapsulated packets: the bridge's NORMAL action, or "     \
      "drop, as configured")                                                  \
    X(OUTER6, 8, "outer_ipv6",                                                \
      "the same for packets that came in over IPv6")                          \
    X(DECAP, 11, "decapsulation",                                             \
      "decapsulation rules that do not match the outer addresses; what none " \
      "takes is dropped and counted")                                         \
    X(EGRESS, 64, "egress",                                                   \
      "the one place where a packet leaves through a tunnel port: commits "   \
      "the lazy encapsulation")

enum otd_table_id {
#define X(NAME, NUMBER, STRING, JOB) OTD_TABLE_##NAME = NUMBER,
    OTD_TABLES(X)
#undef X
};

/* X(NAME, register number, "field", "meaning") */
#define OTD_REGISTERS(X)                                                      \
    X(STATE, 4, "reg4", "packet state: 0 plain, 1 encapsulation pending in "  \
      "the tun_* fields, 2 plain again after a decapsulation")                \
    X(LAST, 5, "reg5", "key of the last tunnel applied, 0 if none")

enum otd_register {
#define X(NAME, NUMBER, STRING, MEANING) OTD_REG_##NAME = NUMBER,
    OTD_REGISTERS(X)
#undef X
};

enum otd_packet_state {
    OTD_STATE_PLAIN = 0,
    OTD_STATE_PENDING = 1,
    OTD_STATE_AGAIN = 2,
};

/* Priorities.  A band holds rules at BASE + 8 * specificity + order, where
 * specificity is the number of bits that the match fixes
 * (otd_match_specificity(), at most 703) and order breaks ties between
 * operations.  X(NAME, value, "where and what") */
#define OTD_PRIORITIES(X)                                                     \
    X(TUNNEL_BAND, 0x9000, "classification: packets from a tunnel port; "     \
      "outer_ipv4, outer_ipv6 and decapsulation: their rules")                \
    X(PLAIN_BAND, 0x2000, "classification and recirculation: rules for all "  \
      "other packets (encapsulation)")                                        \
    X(MISSING_NEXT, 0x1fff, "the next step that a tunnel must have is not "   \
      "there: drop and count, per tunnel")                                    \
    X(AS_FORWARD, 0x1ffe, "nothing takes the packet in a further pass: go "   \
      "on as FORWARD would")                                                  \
    X(DEFAULT, 0x0001, "the table's default")

enum otd_priority {
#define X(NAME, VALUE, TEXT) OTD_PRIO_##NAME = VALUE,
    OTD_PRIORITIES(X)
#undef X
};

/* Ties between equally specific matches of different operations: the higher
 * wins. */
enum otd_order {
    OTD_ORDER_IPSEC_ENC = 0,
    OTD_ORDER_ENCAP = 1,
    OTD_ORDER_NAT = 2,
    OTD_ORDER_DECAP = 3,
    OTD_ORDER_IPSEC_DEC = 4,
};

/* Cookies: owner in bits 48-63, kind in 40-47, the tunnel's key in 0-31.
 * X(NAME, value, "meaning") */
#define OTD_COOKIE_OWNER 0x746eULL
#define OTD_COOKIE_OWNER_SHIFT 48
#define OTD_COOKIE_OWNER_MASK 0xffff000000000000ULL
#define OTD_COOKIE_KIND_SHIFT 40
#define OTD_COOKIE_KIND_MASK 0x0000ff0000000000ULL
#define OTD_COOKIE_KEY_MASK 0x00000000ffffffffULL
#define OTD_COOKIE_KINDS(X)                                                   \
    X(FIXED, 0, "the pipeline itself; the key is the flow's place in it")     \
    X(TUNNEL, 1, "a tunnel's match and actions")                              \
    X(MISSING_NEXT, 2, "drops what a tunnel hands on when its next step is "  \
      "missing")

enum otd_cookie_kind {
#define X(NAME, VALUE, TEXT) OTD_COOKIE_##NAME = VALUE,
    OTD_COOKIE_KINDS(X)
#undef X
};

static inline uint64_t
otd_cookie_make(enum otd_cookie_kind kind, uint32_t key)
{
    return OTD_COOKIE_OWNER << OTD_COOKIE_OWNER_SHIFT
           | (uint64_t) kind << OTD_COOKIE_KIND_SHIFT | key;
}

static inline bool
otd_cookie_is_ours(uint64_t cookie)
{
    return cookie >> OTD_COOKIE_OWNER_SHIFT == OTD_COOKIE_OWNER;
}

static inline uint8_t
otd_cookie_kind(uint64_t cookie)
{
    return (cookie & OTD_COOKIE_KIND_MASK) >> OTD_COOKIE_KIND_SHIFT;
}

static inline uint32_t
otd_cookie_key(uint64_t cookie)
{
    return cookie & OTD_COOKIE_KEY_MASK;
}

/* "classification", or NULL for a table that is not ours. */
const char *otd_table_name(uint8_t table_id);

#endif /* flows/pipeline.h */
