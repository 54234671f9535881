/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_DESCRIPTOR_SET_H
#define OTD_DESCRIPTOR_SET_H 1

/* The descriptors of all our .proto files, as protoc made them at build time:
 * a serialised google.protobuf.FileDescriptorSet. */

#include <stddef.h>
#include <stdint.h>

extern const uint8_t otd_descriptor_set[];
extern const size_t otd_descriptor_set_len;

#endif /* proto/descriptor-set.h */
