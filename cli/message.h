/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_MESSAGE_H
#define OTD_CLI_MESSAGE_H 1

/* Protobuf messages as JSON that people write and read, driven by the
 * generated descriptors, so that a field that is added to the .proto is known
 * here.
 *
 * The JSON is protobuf's own mapping (names in snake_case or lowerCamelCase,
 * enums by name, 64-bit numbers as strings), except that values may, and our
 * own do, look as a person writes them:
 *
 * IPv4 address   "11.0.0.2"; a number is taken as the API's own number IPv6
 * address   "fd00::2"; base64 is taken, too MAC
 * "10:20:30:40:50:60", "102030405060" or base64 option data    "0x00010203" or
 * base64 key            hexadecimal digits or base64; never written
 *
 * Numbers may be strings, also in hexadecimal ("0x6558").  Enum names are
 * taken in either case and without the API's leading underscore.  Pure. */

#include <protobuf-c/protobuf-c.h>
#include "lib/fault.h"

struct json;

/* Makes a message (free it with protobuf_c_message_free_unpacked(m, NULL)),
 * with a fault for each member that is unknown, given twice or has a bad
 * value; its path is that of the .proto ("geneve.geneve_encap.vni").  NULL if
 * there are faults. */
ProtobufCMessage *otd_message_from_json(const ProtobufCMessageDescriptor *,
                                        const struct json *,
                                        struct otd_faults *);

/* The members that are not their default, without keys.  Returns owned. */
struct json *otd_message_to_json(const ProtobufCMessage *);

/* What a field holds, beyond its type: read from its name. */
enum otd_field_role {
    OTD_ROLE_PLAIN,
    OTD_ROLE_IPV4,              /* A number that is an address. */
    OTD_ROLE_IPV6,
    OTD_ROLE_MAC,
    OTD_ROLE_KEY,
    OTD_ROLE_DATA,              /* Any other bytes. */
};
enum otd_field_role otd_field_role(const ProtobufCFieldDescriptor *);

/* The text of an IPv4 number of the API, of an address or MAC as it came in
 * bytes (raw or in hexadecimal digits), or of other bytes.  Returns owned. */
char *otd_ip4_to_text(uint32_t);
char *otd_bytes_to_text(enum otd_field_role, const uint8_t *, size_t n);

/* Bytes from text, as described above.  NULL, or an owned sentence without the
 * value if it is a key. */
char *otd_bytes_from_text(enum otd_field_role, const char *text,
                          uint8_t **bytes, size_t *n);

#endif /* cli/message.h */
