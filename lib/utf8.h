/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_UTF8_H
#define OTD_UTF8_H 1

/* UTF-8 of bytes with a length.  Protobuf strings must be UTF-8, but
 * protobuf-c checks neither what it reads nor what it writes, so we do. (OVS's
 * utf8_validate() wants a NUL-terminated string and allocates its answer.) */

#include <stddef.h>
#include <stdint.h>

/* Returns how many of the 'n' bytes at 'p' the first character takes (1 to 4),
 * or 0 if 'n' is 0 or they do not start with a well-formed one (Unicode,
 * table 3-7: no overlong form, no surrogate, nothing over U+10FFFF). */
static inline size_t
otd_utf8_char_len(const uint8_t *p, size_t n)
{
    if (!n || (p[0] >= 0x80 && p[0] < 0xc2) || p[0] > 0xf4) {
        return 0;
    }
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > n) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if (len > 2) {
        uint8_t min = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
        uint8_t max = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
        if (p[1] < min || p[1] > max) {
            return 0;
        }
    }
    return len;
}

#endif /* lib/utf8.h */
