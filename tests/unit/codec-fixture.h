/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CODEC_FIXTURE_H
#define OTD_CODEC_FIXTURE_H 1

/* A codec, and a request that is put together by hand. */

#include <stdbool.h>
#include <stdint.h>
#include "grpcsvc/codec.h"
#include "openvswitch/ofpbuf.h"

extern struct otd_codec *codec;
/* An IpTunnelRequest, its match_criteria, the message of its operation, and
 * one for short use.  Empty at the start of each test. */
extern struct ofpbuf request, match, sub, part;

void setup(void);
void teardown(void);

/* Decodes 'request', which must end like 'ok' and 'text' say, and empties
 * it. */
struct otd_spec decode(bool ok, const char *text);
/* The same, with what the check says after it; the first fault is of
 * 'kind'. */
void decode_and_check(enum otd_fault_kind, const char *text);
void assert_spec(const struct otd_spec *, const struct otd_spec *expected);

/* Starts 'request' as a create with FORWARD; the other messages are empty. */
void begin(uint64_t id);
/* Ends 'request' with 'match' and, as member 'field' of geneve, 'sub'. */
void end_geneve(uint32_t field);

void put_ip4_match(struct ofpbuf *, uint32_t field, uint32_t src,
                   uint32_t src_plen, uint32_t dst, uint32_t dst_plen);
void put_ip4_pair(struct ofpbuf *, uint32_t field, uint32_t src, uint32_t dst);
/* A legal GeneveEncap in 'sub': 5.5.5.5 to 6.6.6.6, VNI 500. */
void put_encap(void);
/* Adds a GeneveOption to it. */
void put_option(uint32_t opt_class, uint32_t type, uint32_t length,
                const void *data, size_t n);

#endif /* tests/unit/codec-fixture.h */
