/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_TEST_WIRE_H
#define OTD_TEST_WIRE_H 1

/* Protobuf by hand, so that the tests of the codec do not lean on protobuf-c:
 * a request is written field by field, right or wrong, and an answer is
 * printed as text. */

#include <stddef.h>
#include <stdint.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofpbuf.h"

void put_raw_varint(struct ofpbuf *, uint64_t);
void put_tag(struct ofpbuf *, uint32_t field, unsigned int wire_type);
void put_varint(struct ofpbuf *, uint32_t field, uint64_t);
void put_fixed32(struct ofpbuf *, uint32_t field, uint32_t);
void put_bytes(struct ofpbuf *, uint32_t field, const void *, size_t n);
void put_string(struct ofpbuf *, uint32_t field, const char *);
/* Appends 'message' as a submessage and frees what it holds. */
void put_message(struct ofpbuf *, uint32_t field, struct ofpbuf *message);

/* Appends the fields of a message as "1:5 3:{2:7} 4:"text"", one by one, in
 * the order of the bytes.  A length-delimited field whose path is in
 * 'messages', a string like " 3 3.1 ", is a message; others are printed as
 * text.  Appends "!" and stops where the bytes are no protobuf. */
void format_message(const void *, size_t n, const char *messages, struct ds *);

#endif /* tests/unit/wire.h */
