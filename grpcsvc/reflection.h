/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_REFLECTION_H
#define OTD_REFLECTION_H 1

/* Server reflection: which services there are, and the descriptors of their
 * messages, so that generic gRPC tools work without our .proto files.  Answers
 * from the descriptor set that the build embeds (proto/descriptor-set.h).
 *
 * grpc.reflection.v1alpha and v1 are the same bytes on the wire, so one
 * function answers both.  Pure; any thread. */

#include <stddef.h>

struct ofpbuf;

/* Answers one ServerReflectionRequest of 'n' bytes with a
 * ServerReflectionResponse (returned owned).  What is unknown is answered in
 * the message with its own error (NOT_FOUND), as the protocol has it.  NULL if
 * the bytes are no such request: end the call with INVALID_ARGUMENT. */
struct ofpbuf *otd_reflection_answer(const void *bytes, size_t n);

#endif /* grpcsvc/reflection.h */
