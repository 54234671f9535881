/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_TUNNEL_SPEC_H
#define OTD_TUNNEL_SPEC_H 1

/* The model: one tunnel request as a plain struct.
 *
 * A *spec* is what a client asked for, after the wire's quirks (addresses as
 * s_addr in a host integer, hex MACs, ...) are gone and before anything of
 * this host (port numbers, keys, table numbers) comes in.  It keeps presence:
 * a submessage that the client did not send is 'false' in its has_* member, so
 * that an _UPDATE, which names only what changes, is the same struct
 * (otd_spec_merge()).  It has no pointers: copy it with '='.  It is half a
 * kB, so it lives on the stack; the tunnel table keeps the canonical bytes
 * that the codec makes of it (tunnel/codec.h).
 *
 * Byte order: addresses and MACs are network-order byte arrays; every other
 * number is a host integer.  IPv4 addresses are stored IPv4-mapped
 * (::ffff:a.b.c.d) as Open vSwitch does; prefix lengths count the bits of the
 * family as a person writes them (0..32 or 0..128).
 *
 * All functions here are pure: any thread, no clock, no I/O. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/types.h"
#include "lib/fault.h"

struct ds;

enum otd_operation {            /* Values of the API's Operation. */
    OTD_OP_NONE = 0,
    OTD_OP_CREATE = 1,
    OTD_OP_UPDATE = 2,
    OTD_OP_DELETE = 3,
};

enum otd_action {               /* Values of the API's Action. */
    OTD_ACTION_NONE = 0,
    OTD_ACTION_FORWARD = 1,
    OTD_ACTION_RECIRCULATE = 2,
};

/* What the tunnel does with a packet.  OTD_KIND_NONE: the client left the
 * oneof out (legal in an update and a delete only). */
enum otd_kind {
    OTD_KIND_NONE,
    OTD_KIND_GENEVE_ENCAP,
    OTD_KIND_GENEVE_DECAP,
    OTD_KIND_IPSEC_ENC,
    OTD_KIND_IPSEC_DEC,
    OTD_KIND_NAT,
    OTD_N_KINDS
};

enum otd_family { OTD_FAMILY_NONE, OTD_FAMILY_IPV4, OTD_FAMILY_IPV6 };

struct otd_mac_pair {           /* MacPair. */
    bool present;
    bool has_dst, has_src;      /* An empty bytes field is "not given". */
    struct eth_addr dst, src;
};

struct otd_ip_pair {            /* IPV4Pair or IPV6Pair: outer addresses. */
    enum otd_family family;     /* NONE: not given. */
    struct in6_addr src, dst;   /* All-zero (mapped for IPv4): not given. */
};

struct otd_ip_match {           /* IPV4Match or IPV6Match. */
    enum otd_family family;     /* NONE: not given. */
    struct in6_addr src, dst;   /* As sent: host bits may be set. */
    uint32_t src_plen, dst_plen;        /* As sent, unchecked. */
};

enum otd_match_kind {
    OTD_MATCH_PLAIN,
    OTD_MATCH_IPSEC,
    OTD_MATCH_GENEVE,
    OTD_MATCH_VXLAN,
};

#define OTD_IFNAME_MAX 15       /* Bytes, without the NUL (Linux's limit). */

struct otd_match {              /* MatchCriteria. */
    bool present;
    char ingress_interface[OTD_IFNAME_MAX + 1]; /* "": not given (untagged). */
    struct otd_mac_pair mac;
    struct otd_ip_match ip;
    uint64_t tunnel_id;         /* 0: not given. */

    enum otd_match_kind kind;   /* The oneof 'match'. */
    uint32_t spi, sn;           /* OTD_MATCH_IPSEC. */
    struct {                    /* OTD_MATCH_GENEVE and OTD_MATCH_VXLAN. */
        uint32_t vni;
        uint32_t protocol_type; /* Geneve only; 0 means 0x6558. */
        struct otd_mac_pair mac;
        struct otd_ip_match ip;
    } overlay;
};

/* Geneve options in the wire format of RFC 8926, 3.5: class (2 bytes), type
 * (1), rsvd|length in 4-byte words (1), data.  63 words is the header's
 * limit. */
#define OTD_GENEVE_OPTIONS_MAX 252
#define OTD_GENEVE_OPTION_DATA_MAX 124

struct otd_geneve_encap {
    struct otd_ip_pair outer;
    struct otd_mac_pair inner_mac;
    bool control_packet;        /* The O bit. */
    bool critical_option_present;       /* As sent (the C bit). */
    uint32_t vni;
    uint32_t protocol_type;     /* 0 means 0x6558. */
    uint16_t options_len;       /* Bytes used in 'options'. */
    uint8_t options[OTD_GENEVE_OPTIONS_MAX];
};

/* One option, as an iterator over 'options' gives it. */
struct otd_geneve_option {
    uint16_t opt_class;
    uint8_t type;               /* With the critical bit 0x80. */
    uint8_t len;                /* Bytes of data: a multiple of 4, 4..124. */
    const uint8_t *data;        /* Borrows from the spec. */
};

/* The IPsec kinds are decoded and checked, and then refused as not supported
 * until the data plane has them; key bytes are never kept, only their
 * number. */
struct otd_ipsec_sa {
    uint32_t spi;
    uint32_t key_len;           /* Bytes as sent: raw or hex. */
    bool key_is_hex;
    uint32_t operation;
};
#define OTD_IPSEC_SAS_MAX 16
struct otd_ipsec {
    uint32_t tunnel_type;       /* IPSecTunnelType, unchecked. */
    uint32_t encryption_type;   /* EncType, unchecked. */
    struct otd_ip_pair outer;   /* Encryption only. */
    size_t n_sas;               /* Encryption: 0 or 1. */
    struct otd_ipsec_sa sas[OTD_IPSEC_SAS_MAX];
};

struct otd_spec {
    uint64_t id;                /* tunnel_id; 0 in a create: server chooses. */
    uint32_t operation;         /* enum otd_operation, unchecked. */
    uint32_t next_action;       /* enum otd_action, unchecked. */
    struct otd_match match;
    enum otd_kind kind;
    union {
        struct otd_geneve_encap encap;
        struct otd_ipsec ipsec;
        uint32_t nat_source_ip; /* For otd_ip4_from_wire(). */
    };
};

/* Makes '*spec' the empty request. */
void otd_spec_init(struct otd_spec *);

/* "geneve encap", ...: the words of the documents and of error texts. */
const char *otd_kind_to_string(enum otd_kind);

/* ---- Bytes of the wire to values.  Each adds a fault at 'path' and returns
 * false if the bytes are not acceptable; the value is then a stand-in that
 * counts as given, so that otd_spec_check() does not call the same field
 * missing. */

/* 6 raw bytes or 12 ASCII hex digits.  Empty: '*given' false, true
 * returned. */
bool otd_mac_from_bytes(const uint8_t *, size_t n, struct eth_addr *,
                        bool *given, const char *path, struct otd_faults *);
/* 16 raw bytes or 32 ASCII hex digits.  Empty: all zero, true returned.  An
 * IPv4-mapped address is a fault: the model would take it for IPv4. */
bool otd_ip6_from_bytes(const uint8_t *, size_t n, struct in6_addr *,
                        const char *path, struct otd_faults *);
/* The API's IPv4 numbers are the address's s_addr read as a little-endian
 * integer: 33554443 (0x0200000b) is 11.0.0.2, whatever this host's byte
 * order. */
struct in6_addr otd_ip4_from_wire(uint32_t);
uint32_t otd_ip4_to_wire(const struct in6_addr *);
/* Interface name: UTF-8, no NUL, at most OTD_IFNAME_MAX bytes. */
bool otd_ifname_from_bytes(const char *, size_t n,
                           char name[OTD_IFNAME_MAX + 1], const char *path,
                           struct otd_faults *);
/* Appends one option to 'encap', or adds a fault (class over 16 bits, type
 * over 8, data not a multiple of 4, none or over 124 bytes, a (class, type)
 * pair twice, no room).  'declared_len' is the message's own length field: 0,
 * n / 4 (what the public client sends, and the unit of the header) or n. */
bool otd_geneve_option_add(struct otd_geneve_encap *, uint32_t opt_class,
                           uint32_t type, uint32_t declared_len,
                           const uint8_t *data, size_t n,
                           const char *path, struct otd_faults *);

/* Iterates: '*ofs' starts at 0; returns false at the end. */
bool otd_geneve_option_next(const struct otd_geneve_encap *, size_t *ofs,
                            struct otd_geneve_option *);

/* Does an option have the critical bit (0x80 of its type)? */
bool otd_geneve_has_critical(const struct otd_geneve_encap *);

/* ---- Whole specs. */

/* What this daemon can do at this moment, for otd_spec_check() and for the
 * Capabilities RPC: one source, so that what is announced is what works. */
struct otd_caps {
    bool ingress_interface_matching;
    bool geneve_matching;
    bool vxlan_matching;
    bool tunnel_matching;
    bool spi_matching;
    uint32_t n_geneve_options;  /* 4-byte options that fit packet and map. */
};

/* Adds every fault that 'spec', a complete request (a create, or an update
 * after its merge), has by itself, without looking at other tunnels or at this
 * host.  Kinds that the data plane does not have are checked field by field
 * and then refused as OTD_FAULT_TUNNEL_NOT_SUPPORTED, in that order. */
void otd_spec_check(const struct otd_spec *, const struct otd_caps *,
                    struct otd_faults *);

/* The merge of an _UPDATE: what 'patch' names replaces what '*base' has,
 * recursively; scalars that are 0 in 'patch' stay; a non-empty option list
 * replaces, and critical_option_present with it; another member of a oneof
 * replaces; another kind of tunnel is a fault, and '*base' is then
 * unspecified.  'id' and 'operation' of '*base' stay. */
void otd_spec_merge(struct otd_spec *base, const struct otd_spec *patch,
                    struct otd_faults *);

/* The effective match in a canonical form: prefixes masked, absent fields
 * zero, implied protocol matches added.  Two tunnels collide exactly if their
 * keys are equal as bytes (no padding is left undefined). */
struct otd_match_key {
    uint64_t tunnel_id;
    char ingress_interface[OTD_IFNAME_MAX + 1];
    struct in6_addr src, dst;   /* Side 0: the packet's.  1, 2: outer. */
    struct in6_addr inner_src, inner_dst;
    struct eth_addr eth_src, eth_dst;   /* Side 0: the packet's.  1: inner. */
    uint8_t side;               /* 0 plain (encap), 1 Geneve port, 2 ESP. */
    uint8_t family, inner_family;       /* enum otd_family. */
    uint8_t eth_given;                  /* Bit 0 dst, bit 1 src. */
    uint32_t vni;
    uint8_t has_vni;
    uint8_t src_plen, dst_plen, inner_src_plen, inner_dst_plen;
    uint8_t pad[7];
};
void otd_match_key_init(struct otd_match_key *, const struct otd_spec *);
uint32_t otd_match_key_hash(const struct otd_match_key *);

/* Bits of the packet that the match fixes: the sum of prefix lengths and field
 * widths that decides which of two overlapping tunnels wins
 * (docs/pipeline.md).  A port counts 16, an Ethertype 16, a MAC 48, a VNI 24,
 * a tunnel id 32 (its key in a register). */
unsigned int otd_match_specificity(const struct otd_match_key *);

/* One line for people: "geneve encap 10.0.0.1 > 10.0.0.2 vni 100 ...". */
void otd_spec_format(const struct otd_spec *, struct ds *);

/* An address as a person writes it (dotted quad if IPv4-mapped), appended. */
void otd_ip_format(const struct in6_addr *, struct ds *);

#endif /* tunnel/spec.h */
