/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/message.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/packets.h"
#include "packets.h"
#include "util.h"

enum otd_field_role
otd_field_role(const ProtobufCFieldDescriptor *f)
{
    size_t n = strlen(f->name);
    bool ip = n >= 3 && !strcmp(f->name + n - 3, "_ip");

    switch (f->type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT32:
        return ip ? OTD_ROLE_IPV4 : OTD_ROLE_PLAIN;
    case PROTOBUF_C_TYPE_BYTES:
        return ip ? OTD_ROLE_IPV6
               : n >= 4 && !strcmp(f->name + n - 4, "_mac") ? OTD_ROLE_MAC
               : n >= 4 && !strcmp(f->name + n - 4, "_key") ? OTD_ROLE_KEY
               : OTD_ROLE_DATA;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_BOOL:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return OTD_ROLE_PLAIN;
    }
    OVS_NOT_REACHED();
}

/* ---- Hexadecimal and base64. */

/* Returns the number of bytes, or -1 if 'text' is not pairs of digits. */
static ssize_t
hex_decode(const char *text, uint8_t *out)
{
    size_t n = strlen(text) / 2;

    if (strlen(text) % 2 || strspn(text, "0123456789abcdefABCDEF") != n * 2) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = hexit_value(text[2 * i]) << 4 | hexit_value(text[2 * i + 1]);
    }
    return n;
}

static int
base64_value(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
           : -1;
}

/* Takes both alphabets, with or without padding, as protobuf's JSON parsers
 * do. Returns the number of bytes, or -1. */
static ssize_t
base64_decode(const char *text, uint8_t *out)
{
    size_t len = strlen(text), n = 0;
    uint32_t bits = 0;

    if (len % 4 == 0) {
        for (int i = 0; i < 2 && len && text[len - 1] == '='; i++) {
            len--;
        }
    }
    if (len % 4 == 1) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        int value = base64_value(text[i]);

        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | value;
        if (i % 4) {
            out[n++] = bits >> (6 - 2 * (i % 4));
        }
    }
    return n;
}

/* ---- Text to bytes. */

/* Each of these returns the number of bytes written to 'out', which has room
 * for as many bytes as the text has characters, or -1. */

/* 'want' bytes, or twice as many: the API takes them as hexadecimal digits, too.
 * By length no text can be read in two ways. */
static ssize_t
raw_from_text(const char *text, uint8_t *out, size_t want)
{
    bool prefixed = !strncmp(text, "0x", 2);
    ssize_t n = hex_decode(text + 2 * prefixed, out);

    if (n == want || (prefixed && n == 2 * want)) {
        return n;
    }
    n = base64_decode(text, out);
    return n == want || n == 2 * want ? n : -1;
}

static ssize_t
mac_from_text(const char *text, uint8_t *out)
{
    struct eth_addr mac;

    if (eth_addr_from_string(text, &mac)) {
        memcpy(out, &mac, sizeof mac);
        return sizeof mac;
    }
    return raw_from_text(text, out, 6);
}

static ssize_t
ip6_from_text(const char *text, uint8_t *out)
{
    struct in6_addr ip6;

    if (inet_pton(AF_INET6, text, &ip6) == 1) {
        memcpy(out, &ip6, sizeof ip6);
        return sizeof ip6;
    }
    return raw_from_text(text, out, 16);
}

/* A key of 16 or 32 bytes, alone or with a salt of 3 or 4. */
static bool
is_key_length(ssize_t n)
{
    return n == 16 || n == 19 || n == 20 || n == 32 || n == 35 || n == 36;
}

static ssize_t
key_from_text(const char *text, uint8_t *out)
{
    ssize_t n = hex_decode(text + (!strncmp(text, "0x", 2) ? 2 : 0), out);

    if (!is_key_length(n)) {
        n = base64_decode(text, out);
        if (!is_key_length(n) && (n % 2 || !is_key_length(n / 2))) {
            return -1;
        }
    }
    return n;
}

/* Sets '*ambiguous' if the text can be read in two ways. */
static ssize_t
data_from_text(const char *text, uint8_t *out, bool *ambiguous)
{
    ssize_t n_hex, n_base64;
    uint8_t *dummy;

    if (!strncmp(text, "0x", 2)) {
        return hex_decode(text + 2, out);
    }
    if (!strncmp(text, "base64:", 7)) {
        return base64_decode(text + 7, out);
    }
    dummy = xmalloc(strlen(text) + 1);
    n_hex = hex_decode(text, dummy);
    free(dummy);
    n_base64 = base64_decode(text, out);
    /* Option data comes in units of 4 bytes. */
    if (n_hex > 0 && n_hex % 4 == 0) {
        *ambiguous = n_base64 > 0 && n_base64 % 4 == 0;
        return *ambiguous ? -1 : hex_decode(text, out);
    }
    return n_base64;
}

char *
otd_bytes_from_text(enum otd_field_role role, const char *text,
                    uint8_t **bytes, size_t *n)
{
    uint8_t *out = xmalloc(strlen(text) + 16);
    bool ambiguous = false;
    ssize_t len = -1;
    char *error = NULL;

    switch (role) {
    case OTD_ROLE_MAC:
        len = mac_from_text(text, out);
        if (len < 0) {
            error = xasprintf("\"%s\" is not a MAC address; write "
                              "xx:xx:xx:xx:xx:xx", text);
        }
        break;
    case OTD_ROLE_IPV6:
        len = ip6_from_text(text, out);
        if (len < 0) {
            error = xasprintf("\"%s\" is not an IPv6 address", text);
        }
        break;
    case OTD_ROLE_KEY:
        len = key_from_text(text, out);
        if (len < 0) {
            error = xasprintf("%"PRIuSIZE" characters that are not a key; "
                              "write its 16 or 32 bytes, with or without the "
                              "salt of 3 or 4, in hexadecimal or base64",
                              strlen(text));
        }
        break;
    case OTD_ROLE_PLAIN:
    case OTD_ROLE_IPV4:
    case OTD_ROLE_DATA:
        len = data_from_text(text, out, &ambiguous);
        if (ambiguous) {
            error = xasprintf("\"%s\" can be read as hexadecimal and as "
                              "base64; begin it with 0x or base64:", text);
        } else if (len < 0) {
            error = xasprintf("\"%s\" is neither hexadecimal (0x...) nor "
                              "base64", text);
        }
        break;
    }
    if (error) {
        free(out);
        out = NULL;
        len = 0;
    }
    *bytes = out;
    *n = len;
    return error;
}

/* ---- Bytes to text. */

char *
otd_ip4_to_text(uint32_t wire)
{
    return xasprintf("%"PRIu32".%"PRIu32".%"PRIu32".%"PRIu32, wire & 0xff,
                     wire >> 8 & 0xff, wire >> 16 & 0xff, wire >> 24);
}

/* 'n' bytes that may be 'n / 2' bytes in hexadecimal digits, as some clients
 * send addresses.  Returns false if they are neither. */
static bool
unhex(const uint8_t *bytes, size_t n, size_t want, uint8_t *out)
{
    char text[33];

    if (n == want) {
        memcpy(out, bytes, n);
        return true;
    }
    if (n != 2 * want || memchr(bytes, 0, n)) {
        return false;
    }
    memcpy(text, bytes, n);
    text[n] = '\0';
    return hex_decode(text, out) == want;
}

char *
otd_bytes_to_text(enum otd_field_role role, const uint8_t *bytes, size_t n)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    uint8_t raw[16];

    if (role == OTD_ROLE_KEY) {
        ds_put_cstr(&ds, "<key>");
    } else if (role == OTD_ROLE_MAC && unhex(bytes, n, 6, raw)) {
        struct eth_addr mac;

        memcpy(&mac, raw, sizeof mac);
        ds_put_format(&ds, ETH_ADDR_FMT, ETH_ADDR_ARGS(mac));
    } else if (role == OTD_ROLE_IPV6 && unhex(bytes, n, 16, raw)) {
        char text[INET6_ADDRSTRLEN];

        ds_put_cstr(&ds, inet_ntop(AF_INET6, raw, text, sizeof text));
    } else {
        ds_put_cstr(&ds, "0x");
        for (size_t i = 0; i < n; i++) {
            ds_put_format(&ds, "%02x", bytes[i]);
        }
    }
    return ds_steal_cstr(&ds);
}
