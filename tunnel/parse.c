/* SPDX-License-Identifier: Apache-2.0 */

/* Bytes of the wire to values of the model.
 *
 * A value that cannot be taken is replaced by a stand-in that is "given" and
 * otherwise unremarkable, so that otd_spec_check(), which runs afterwards to
 * report all other faults, does not call the same field missing. */

#include <config.h>
#include "tunnel/spec.h"

#include <string.h>

#include "lib/utf8.h"
#include "packets.h"
#include "util.h"

/* Decodes 2 * 'n' hexadecimal digits into 'n' bytes. */
static bool
decode_hex(const uint8_t *digits, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = hexit_value(digits[2 * i]);
        int low = hexit_value(digits[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = high << 4 | low;
    }
    return true;
}

/* Takes 'size' raw bytes or twice as many hexadecimal digits. */
static bool
raw_or_hex(const uint8_t *bytes, size_t n, uint8_t *out, size_t size,
           const char *path, struct otd_faults *faults)
{
    if (n == size) {
        memcpy(out, bytes, size);
        return true;
    }
    if (n != 2 * size) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "%"PRIuSIZE" bytes; "
                  "send %"PRIuSIZE" raw bytes or %"PRIuSIZE" hexadecimal "
                  "digits", n, size, 2 * size);
        return false;
    }
    if (!decode_hex(bytes, out, size)) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "\"%.*s\" is not "
                  "hexadecimal; send %"PRIuSIZE" raw bytes or %"PRIuSIZE" hexadecimal "
                  "digits", (int) n, (const char *) bytes, size, 2 * size);
        return false;
    }
    return true;
}

bool
otd_mac_from_bytes(const uint8_t *bytes, size_t n, struct eth_addr *mac,
                   bool *given, const char *path, struct otd_faults *faults)
{
    *mac = eth_addr_zero;
    *given = n > 0;
    if (n && !raw_or_hex(bytes, n, mac->ea, sizeof mac->ea, path, faults)) {
        *mac = eth_addr_zero;   /* Not half of it. */
        return false;
    }
    return true;
}

bool
otd_ip6_from_bytes(const uint8_t *bytes, size_t n, struct in6_addr *ip,
                   const char *path, struct otd_faults *faults)
{
    *ip = in6addr_any;
    if (!n) {
        return true;
    }
    bool ok = raw_or_hex(bytes, n, ip->s6_addr, sizeof ip->s6_addr, path,
                         faults);
    /* The model marks IPv4 by mapping it; a mapped address that came as IPv6
     * would turn into IPv4 somewhere below, where nobody asked for it. */
    if (ok && IN6_IS_ADDR_V4MAPPED(ip)) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "an IPv4 address "
                  "mapped into IPv6; use the IPv4 form of this field");
        ok = false;
    }
    if (!ok) {
        /* Stand-in: a host of the discard prefix, RFC 6666. */
        *ip = (struct in6_addr) { .s6_addr = { [0] = 1, [15] = 1 } };
    }
    return ok;
}

struct in6_addr
otd_ip4_from_wire(uint32_t value)
{
    return (struct in6_addr) {
        .s6_addr = { [10] = 0xff, [11] = 0xff, [12] = value, [13] = value >> 8,
                     [14] = value >> 16, [15] = value >> 24 }
    };
}

uint32_t
otd_ip4_to_wire(const struct in6_addr *ip)
{
    return (ip->s6_addr[12] | ip->s6_addr[13] << 8 | ip->s6_addr[14] << 16
            | (uint32_t) ip->s6_addr[15] << 24);
}

bool
otd_ifname_from_bytes(const char *bytes, size_t n,
                      char name[OTD_IFNAME_MAX + 1], const char *path,
                      struct otd_faults *faults)
{
    bool ok = true;

    memset(name, 0, OTD_IFNAME_MAX + 1);
    if (n > OTD_IFNAME_MAX) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path,
                  "a name of %"PRIuSIZE" bytes; at most %d are possible", n,
                  OTD_IFNAME_MAX);
        ok = false;
    }
    if (memchr(bytes, '\0', n)) {
        otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "holds a NUL byte; "
                  "send the name without a terminator");
        ok = false;
    }
    for (size_t i = 0; i < n; ) {
        size_t len = otd_utf8_char_len((const uint8_t *) bytes + i, n - i);

        if (!len) {
            otd_fault(faults, OTD_FAULT_MATCH_FIELD, path, "not UTF-8: byte "
                      "0x%02x at offset %"PRIuSIZE"; send the port's name",
                      (uint8_t) bytes[i], i);
            ok = false;
            break;
        }
        i += len;
    }

    if (ok) {
        memcpy(name, bytes, n);
    } else {
        name[0] = '?';          /* Stand-in. */
    }
    return ok;
}

bool
otd_geneve_option_next(const struct otd_geneve_encap *encap, size_t *ofs,
                       struct otd_geneve_option *option)
{
    if (*ofs + 4 > encap->options_len) {
        return false;
    }
    const uint8_t *p = encap->options + *ofs;
    option->opt_class = p[0] << 8 | p[1];
    option->type = p[2];
    option->len = (p[3] & 0x1f) * 4;
    option->data = p + 4;
    *ofs += 4 + option->len;
    return *ofs <= encap->options_len;
}

bool
otd_geneve_has_critical(const struct otd_geneve_encap *encap)
{
    struct otd_geneve_option option;

    for (size_t ofs = 0; otd_geneve_option_next(encap, &ofs, &option); ) {
        if (option.type & 0x80) {
            return true;
        }
    }
    return false;
}

static bool
has_option(const struct otd_geneve_encap *encap, uint16_t opt_class,
           uint8_t type)
{
    struct otd_geneve_option option;

    for (size_t ofs = 0; otd_geneve_option_next(encap, &ofs, &option); ) {
        if (option.opt_class == opt_class && option.type == type) {
            return true;
        }
    }
    return false;
}

bool
otd_geneve_option_add(struct otd_geneve_encap *encap, uint32_t opt_class,
                      uint32_t type, uint32_t declared_len,
                      const uint8_t *data, size_t n, const char *path,
                      struct otd_faults *faults)
{
    bool ok = true;

    if (opt_class > UINT16_MAX) {
        otd_fault(faults, OTD_FAULT_GENEVE_OPTION, path, "option_class "
                  "%"PRIu32" does not fit 16 bits; use at most 65535",
                  opt_class);
        ok = false;
    }
    if (type > UINT8_MAX) {
        otd_fault(faults, OTD_FAULT_GENEVE_OPTION, path, "type %"PRIu32" does "
                  "not fit 8 bits; use at most 255", type);
        ok = false;
    }
    if (n % 4 || n < 4 || n > OTD_GENEVE_OPTION_DATA_MAX) {
        otd_fault(faults, OTD_FAULT_GENEVE_OPTION, path, "%"PRIuSIZE" bytes "
                  "of data; send 4 to %d, a multiple of 4", n,
                  OTD_GENEVE_OPTION_DATA_MAX);
        ok = false;
    } else if (declared_len && declared_len != n && declared_len != n / 4) {
        otd_fault(faults, OTD_FAULT_GENEVE_OPTION, path, "length %"PRIu32" "
                  "with %"PRIuSIZE" bytes of data; send %"PRIuSIZE" (units of "
                  "4 bytes), or leave it out", declared_len, n, n / 4);
        ok = false;
    }
    if (!ok) {
        return false;
    }

    if (has_option(encap, opt_class, type)) {
        otd_fault(faults, OTD_FAULT_GENEVE_OPTION, path, "class 0x%04"PRIx32" "
                  "type 0x%02"PRIx32" stands twice; send each pair once",
                  opt_class, type);
        return false;
    }
    if (encap->options_len + 4 + n > OTD_GENEVE_OPTIONS_MAX) {
        otd_fault(faults, OTD_FAULT_GENEVE_TOO_MANY_OPTIONS, path, "%"PRIuSIZE
                  " bytes with the header, after %u bytes of other options; a "
                  "packet carries at most %d bytes of options", 4 + n,
                  encap->options_len, OTD_GENEVE_OPTIONS_MAX);
        return false;
    }

    uint8_t *p = encap->options + encap->options_len;
    p[0] = opt_class >> 8;
    p[1] = opt_class;
    p[2] = type;
    p[3] = n / 4;
    memcpy(p + 4, data, n);
    encap->options_len += 4 + n;
    return true;
}
