/* SPDX-License-Identifier: Apache-2.0 */

/* Requests of tunneloffload.v2, the plain ones, without protobuf-c.
 *
 * protobuf-c interprets descriptors and copies every message: three quarters of a
 * microsecond each way, a quarter of all that a load of tunnels costs.  Most
 * requests are a Geneve tunnel of a few fields, and for these the wire format is
 * easily read and written directly.  Whatever is not plain here (options, IPsec,
 * hexadecimal digits, a field twice, an unknown one, a fault of any kind) is left
 * to protobuf-c, so that there is one place that judges and words it.  Where both
 * can do it, both do the same: the tests compare them. */

#include <config.h>
#include "grpcsvc/codec-private.h"

#include <string.h>

#include "packets.h"
#include "util.h"

/* Tags: all fields of ours that are plain have numbers below 16, so a tag is one
 * byte.  The numbers are those of proto/tunneloffload.proto. */
#define VARINT(FIELD) ((FIELD) << 3 | 0)
#define BYTES(FIELD) ((FIELD) << 3 | 2)
#define FIXED32(FIELD) ((FIELD) << 3 | 5)

/* ---- Bytes to model.  Each function returns false for "not plain". */

struct reader {
    const uint8_t *p, *end;
};

static bool
get_uint64(struct reader *r, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 63 && r->p < r->end; shift += 7) {
        uint8_t byte = *r->p++;

        *value |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;               /* Cut off, or above 2^63. */
}

static bool
get_uint32(struct reader *r, uint32_t *value)
{
    uint64_t wide;

    if (!get_uint64(r, &wide) || wide > UINT32_MAX) {
        return false;
    }
    *value = wide;
    return true;
}

static bool
get_bool(struct reader *r, bool *value)
{
    uint64_t wide;

    if (!get_uint64(r, &wide) || wide > 1) {
        return false;
    }
    *value = wide;
    return true;
}

static bool
get_fixed32(struct reader *r, uint32_t *value)
{
    if (r->end - r->p < 4) {
        return false;
    }
    *value = (r->p[0] | r->p[1] << 8 | r->p[2] << 16
              | (uint32_t) r->p[3] << 24);
    r->p += 4;
    return true;
}

/* A field with a length: a message, a string or bytes. */
static bool
get_bytes(struct reader *r, struct reader *bytes)
{
    uint64_t n;

    if (!get_uint64(r, &n) || n > r->end - r->p) {
        return false;
    }
    bytes->p = r->p;
    bytes->end = r->p += n;
    return true;
}

static bool
get_mac(struct reader *r, bool *given, struct eth_addr *mac)
{
    struct reader bytes;

    if (*given || !get_bytes(r, &bytes) || bytes.end - bytes.p != ETH_ADDR_LEN) {
        return false;
    }
    *given = true;
    memcpy(mac->ea, bytes.p, ETH_ADDR_LEN);
    return true;
}

static bool
get_mac_pair(struct reader *r, struct otd_mac_pair *pair)
{
    struct reader m;

    if (pair->present || !get_bytes(r, &m)) {
        return false;
    }
    pair->present = true;
    while (m.p < m.end) {
        switch (*m.p++) {
        case BYTES(1):
            if (!get_mac(&m, &pair->has_dst, &pair->dst)) {
                return false;
            }
            break;
        case BYTES(2):
            if (!get_mac(&m, &pair->has_src, &pair->src)) {
                return false;
            }
            break;
        default:
            return false;
        }
    }
    return true;
}

static bool
get_ip4_match(struct reader *r, struct otd_ip_match *match)
{
    uint32_t src = 0, dst = 0;
    struct reader m;

    if (match->family != OTD_FAMILY_NONE || !get_bytes(r, &m)) {
        return false;
    }
    while (m.p < m.end) {
        bool ok = false;

        switch (*m.p++) {
        case FIXED32(1):
            ok = get_fixed32(&m, &src);
            break;
        case VARINT(2):
            ok = get_uint32(&m, &match->src_plen);
            break;
        case FIXED32(3):
            ok = get_fixed32(&m, &dst);
            break;
        case VARINT(4):
            ok = get_uint32(&m, &match->dst_plen);
            break;
        }
        if (!ok) {
            return false;
        }
    }
    match->family = OTD_FAMILY_IPV4;
    match->src = otd_ip4_from_wire(src);
    match->dst = otd_ip4_from_wire(dst);
    return true;
}

static bool
get_ip4_pair(struct reader *r, struct otd_ip_pair *pair)
{
    uint32_t src = 0, dst = 0;
    struct reader m;

    if (pair->family != OTD_FAMILY_NONE || !get_bytes(r, &m)) {
        return false;
    }
    while (m.p < m.end) {
        bool ok = false;

        switch (*m.p++) {
        case FIXED32(1):
            ok = get_fixed32(&m, &src);
            break;
        case FIXED32(2):
            ok = get_fixed32(&m, &dst);
            break;
        }
        if (!ok) {
            return false;
        }
    }
    pair->family = OTD_FAMILY_IPV4;
    pair->src = otd_ip4_from_wire(src);
    pair->dst = otd_ip4_from_wire(dst);
    return true;
}

/* Printable ASCII, which no rule on names can object to. */
static bool
get_ifname(struct reader *r, char name[OTD_IFNAME_MAX + 1])
{
    struct reader bytes;

    if (name[0] || !get_bytes(r, &bytes)
        || bytes.end - bytes.p > OTD_IFNAME_MAX) {
        return false;
    }
    for (const uint8_t *p = bytes.p; p < bytes.end; p++) {
        if (*p < 0x21 || *p > 0x7e) {
            return false;
        }
    }
    memcpy(name, bytes.p, bytes.end - bytes.p);
    return true;
}

static bool
get_geneve_match(struct reader *r, struct otd_match *match)
{
    struct reader m;

    if (match->kind != OTD_MATCH_PLAIN || !get_bytes(r, &m)) {
        return false;
    }
    match->kind = OTD_MATCH_GENEVE;
    while (m.p < m.end) {
        bool ok = false;

        switch (*m.p++) {
        case VARINT(1):
            ok = get_uint32(&m, &match->overlay.vni);
            break;
        case BYTES(2):
            ok = get_mac_pair(&m, &match->overlay.mac);
            break;
        case VARINT(3):
            ok = get_uint32(&m, &match->overlay.protocol_type);
            break;
        case BYTES(4):
            ok = get_ip4_match(&m, &match->overlay.ip);
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool
get_match(struct reader *r, struct otd_match *match)
{
    struct reader m;

    if (match->present || !get_bytes(r, &m)) {
        return false;
    }
    match->present = true;
    while (m.p < m.end) {
        bool ok = false;

        switch (*m.p++) {
        case BYTES(1):
            ok = get_ifname(&m, match->ingress_interface);
            break;
        case BYTES(2):
            ok = get_mac_pair(&m, &match->mac);
            break;
        case BYTES(3):
            ok = get_ip4_match(&m, &match->ip);
            break;
        case VARINT(5):
            ok = get_uint64(&m, &match->tunnel_id);
            break;
        case BYTES(7):
            ok = get_geneve_match(&m, match);
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool
get_encap(struct reader *r, struct otd_geneve_encap *encap)
{
    uint32_t option_length;     /* Informative. */
    struct reader m;

    if (!get_bytes(r, &m)) {
        return false;
    }
    while (m.p < m.end) {
        bool ok = false;

        switch (*m.p++) {
        case BYTES(1):
            ok = get_ip4_pair(&m, &encap->outer);
            break;
        case BYTES(3):
            ok = get_mac_pair(&m, &encap->inner_mac);
            break;
        case VARINT(4):
            ok = get_uint32(&m, &option_length);
            break;
        case VARINT(5):
            ok = get_bool(&m, &encap->control_packet);
            break;
        case VARINT(6):
            ok = get_bool(&m, &encap->critical_option_present);
            break;
        case VARINT(7):
            ok = get_uint32(&m, &encap->vni);
            break;
        case VARINT(8):
            ok = get_uint32(&m, &encap->protocol_type);
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool
get_geneve(struct reader *r, struct otd_spec *spec)
{
    struct reader m, decap;

    if (spec->kind != OTD_KIND_NONE || !get_bytes(r, &m) || m.p == m.end) {
        return false;
    }
    switch (*m.p++) {
    case BYTES(1):
        spec->kind = OTD_KIND_GENEVE_ENCAP;
        if (!get_encap(&m, &spec->encap)) {
            return false;
        }
        break;
    case BYTES(2):
        spec->kind = OTD_KIND_GENEVE_DECAP;
        if (!get_bytes(&m, &decap) || decap.p < decap.end) {
            return false;
        }
        break;
    default:
        return false;
    }
    return m.p == m.end;
}

bool
codec_quick_decode(const void *bytes, size_t n, struct otd_spec *spec)
{
    struct reader r = { bytes, (const uint8_t *) bytes + n };

    while (r.p < r.end) {
        bool ok = false;

        switch (*r.p++) {
        case VARINT(1):
            ok = get_uint64(&r, &spec->id);
            break;
        case VARINT(2):
            ok = get_uint32(&r, &spec->operation);
            break;
        case BYTES(3):
            ok = get_match(&r, &spec->match);
            break;
        case VARINT(4):
            ok = get_uint32(&r, &spec->next_action);
            break;
        case BYTES(6):
            ok = get_geneve(&r, spec);
            break;
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* ---- Model to bytes.  'p' is where the next byte goes; each function returns
 * where it goes then.  What is plain is bounded far below CODEC_QUICK_BYTES_MAX. */

static uint8_t *
put_uint64(uint8_t *p, uint8_t tag, uint64_t value)
{
    if (value) {
        *p++ = tag;
        for (; value >= 0x80; value >>= 7) {
            *p++ = value | 0x80;
        }
        *p++ = value;
    }
    return p;
}

static uint8_t *
put_ip4(uint8_t *p, uint8_t tag, const struct in6_addr *ip)
{
    uint32_t value = otd_ip4_to_wire(ip);

    if (value) {
        *p++ = tag;
        for (int i = 0; i < 4; i++) {
            *p++ = value >> 8 * i;
        }
    }
    return p;
}

static uint8_t *
put_bytes(uint8_t *p, uint8_t tag, const void *bytes, size_t n)
{
    *p++ = tag;
    *p++ = n;
    memcpy(p, bytes, n);
    return p + n;
}

/* Starts a message, with room for one byte of length. */
static uint8_t *
begin(uint8_t *p, uint8_t tag)
{
    *p++ = tag;
    return p + 1;
}

/* Ends the message that was begun at 'start'. */
static uint8_t *
end(uint8_t *p, uint8_t *start)
{
    size_t n = p - start;

    if (n >= 0x80) {            /* At most two bytes of length. */
        memmove(start + 1, start, n);
        *start = n >> 7;
        p++;
        n |= 0x80;
    }
    start[-1] = n;
    return p;
}

static uint8_t *
put_mac_pair(uint8_t *p, uint8_t tag, const struct otd_mac_pair *pair)
{
    if (pair->present || pair->has_dst || pair->has_src) {
        uint8_t *m = p = begin(p, tag);

        if (pair->has_dst) {
            p = put_bytes(p, BYTES(1), pair->dst.ea, ETH_ADDR_LEN);
        }
        if (pair->has_src) {
            p = put_bytes(p, BYTES(2), pair->src.ea, ETH_ADDR_LEN);
        }
        p = end(p, m);
    }
    return p;
}

static uint8_t *
put_ip4_match(uint8_t *p, uint8_t tag, const struct otd_ip_match *match)
{
    if (match->family == OTD_FAMILY_IPV4) {
        uint8_t *m = p = begin(p, tag);

        p = put_ip4(p, FIXED32(1), &match->src);
        p = put_uint64(p, VARINT(2), match->src_plen);
        p = put_ip4(p, FIXED32(3), &match->dst);
        p = put_uint64(p, VARINT(4), match->dst_plen);
        p = end(p, m);
    }
    return p;
}

static uint8_t *
put_match(uint8_t *p, const struct otd_match *match)
{
    uint8_t *m = p = begin(p, BYTES(3));

    if (match->ingress_interface[0]) {
        p = put_bytes(p, BYTES(1), match->ingress_interface,
                      strlen(match->ingress_interface));
    }
    p = put_mac_pair(p, BYTES(2), &match->mac);
    p = put_ip4_match(p, BYTES(3), &match->ip);
    p = put_uint64(p, VARINT(5), match->tunnel_id);
    if (match->kind == OTD_MATCH_GENEVE) {
        uint8_t *g = p = begin(p, BYTES(7));

        p = put_uint64(p, VARINT(1), match->overlay.vni);
        p = put_mac_pair(p, BYTES(2), &match->overlay.mac);
        p = put_uint64(p, VARINT(3), match->overlay.protocol_type);
        p = put_ip4_match(p, BYTES(4), &match->overlay.ip);
        p = end(p, g);
    }
    return end(p, m);
}

static uint8_t *
put_geneve(uint8_t *p, const struct otd_spec *spec)
{
    uint8_t *m = p = begin(p, BYTES(6));

    if (spec->kind == OTD_KIND_GENEVE_ENCAP) {
        const struct otd_geneve_encap *encap = &spec->encap;
        uint8_t *g = p = begin(p, BYTES(1));

        if (encap->outer.family == OTD_FAMILY_IPV4) {
            uint8_t *o = p = begin(p, BYTES(1));

            p = put_ip4(p, FIXED32(1), &encap->outer.src);
            p = put_ip4(p, FIXED32(2), &encap->outer.dst);
            p = end(p, o);
        }
        p = put_mac_pair(p, BYTES(3), &encap->inner_mac);
        p = put_uint64(p, VARINT(5), encap->control_packet);
        p = put_uint64(p, VARINT(6), encap->critical_option_present);
        p = put_uint64(p, VARINT(7), encap->vni);
        p = put_uint64(p, VARINT(8), encap->protocol_type);
        p = end(p, g);
    } else {
        p = put_bytes(p, BYTES(2), "", 0);
    }
    return end(p, m);
}

static bool
is_plain(const struct otd_spec *spec)
{
    const struct otd_match *match = &spec->match;

    return ((spec->kind == OTD_KIND_GENEVE_DECAP
             || (spec->kind == OTD_KIND_GENEVE_ENCAP
                 && !spec->encap.options_len
                 && spec->encap.outer.family != OTD_FAMILY_IPV6))
            && match->present
            && match->ip.family != OTD_FAMILY_IPV6
            && (match->kind == OTD_MATCH_PLAIN
                || (match->kind == OTD_MATCH_GENEVE
                    && match->overlay.ip.family != OTD_FAMILY_IPV6)));
}

size_t
codec_quick_encode(const struct otd_spec *spec, uint32_t operation,
                   uint8_t bytes[CODEC_QUICK_BYTES_MAX])
{
    uint8_t *p = bytes;

    if (!is_plain(spec) || operation > INT32_MAX
        || spec->next_action > INT32_MAX) {
        return 0;
    }
    p = put_uint64(p, VARINT(1), spec->id);
    p = put_uint64(p, VARINT(2), operation);
    p = put_match(p, &spec->match);
    p = put_uint64(p, VARINT(4), spec->next_action);
    p = put_geneve(p, spec);
    ovs_assert(p - bytes <= CODEC_QUICK_BYTES_MAX);
    return p - bytes;
}
