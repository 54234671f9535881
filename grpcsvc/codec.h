/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_GRPC_CODEC_H
#define OTD_GRPC_CODEC_H 1

/* The messages of tunneloffload.v2 as bytes.
 *
 * codec.c (requests) and codec-reply.c (answers) are the only files that see
 * the types which protoc-c makes of proto/tunneloffload.proto.  Everybody else
 * has bytes on one side and plain structs on the other.
 *
 * Pure functions of their arguments; any thread, except that one codec is used
 * by one thread at a time.  Messages are returned owned. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "engine/engine.h"
#include "lib/fault.h"
#include "tunnel/codec.h"
#include "tunnel/spec.h"

struct ofpbuf;

/* A request larger than this is refused unread.  The largest one that could be
 * accepted, with 252 bytes of options, is under 2 kB. */
#define OTD_REQUEST_BYTES_MAX (64 * 1024)

/* No message of ours is larger than this: clients refuse one of 4 MiB or more
 * unless they are told otherwise, and the rest is left for their framing. */
#define OTD_MESSAGE_BYTES_MAX (4 * 1024 * 1024 - 64 * 1024)

/* ---- Requests. */

/* Returned owned.  Memory that a decode needs comes from an arena of fixed
 * size in the codec, so a hostile request costs an error and nothing else. */
struct otd_codec *otd_codec_create(void);
void otd_codec_destroy(struct otd_codec *);

/* Appends 'spec' as a client would send it: like the canonical bytes
 * (tunnel/codec.h), but with the operation that it has. */
void otd_codec_encode_request(const struct otd_spec *, struct ofpbuf *out);

/* The other requests.  False: the bytes are no such message. */
bool otd_codec_parse_capability_request(const void *, size_t n);
bool otd_codec_parse_tunnel_id(const void *, size_t n, uint64_t *id);
bool otd_codec_parse_request_args(const void *, size_t n,
                                  uint32_t *tunnels_per_request);

/* ---- Answers. */

/* Announces no IPsec: no build has it yet. */
struct ofpbuf *otd_codec_capabilities(const struct otd_caps *);

/* All entries, in their order.  If the message would be larger than
 * OTD_MESSAGE_BYTES_MAX the texts are cut, to 512, 128 and then 32 bytes each;
 * if that does not help, the last entries are left out and the text of the
 * last one that stays says how many (about 100,000 failed entries, or 240,000
 * chosen ids, always fit). result->error, if any, becomes a first entry with
 * tunnel_id 0, which is nobody's. */
struct ofpbuf *otd_codec_create_responses(const struct otd_txn_result *);

enum otd_reply {
    OTD_REPLY_TUNNEL,           /* IpTunnelResponse(s). */
    OTD_REPLY_STATS,            /* IpTunnelStatsResponse(s). */
};

struct ofpbuf *otd_codec_reply(enum otd_reply, const struct otd_tunnel_view *);
struct ofpbuf *otd_codec_reply_error(enum otd_reply, uint64_t id,
                                     const struct otd_faults *);

/* One page of a GetAll: an IpTunnel(Stats)Responses message that grows.
 *
 *     otd_page_init(&page, OTD_REPLY_STATS, per_request);
 *     while (otd_engine_next(engine, &cursor, &view)) {
 *         if (!otd_page_add(&page, &view)) {
 *             send(otd_page_take(&page));
 *             otd_page_add(&page, &view);
 *         }
 *     }
 *     send what otd_page_take() returns, if not NULL
 */
struct otd_page {
    enum otd_reply reply;
    uint32_t n_max;             /* Tunnels. */
    size_t bytes_max;
    uint32_t n;
    struct ofpbuf *message;     /* Owned; NULL if 'n' is 0. */
};

/* 'tunnels_per_request' as the client sent it; 0: pages of about 256 KiB,
 * large enough to be cheap and small enough to keep a slow client's queue
 * short. */
void otd_page_init(struct otd_page *, enum otd_reply,
                   uint32_t tunnels_per_request);
void otd_page_destroy(struct otd_page *);
/* False, and nothing is added, if the page is full (an empty one never is). */
bool otd_page_add(struct otd_page *, const struct otd_tunnel_view *);
/* Returns the page (owned) and starts a new one; NULL if it is empty. */
struct ofpbuf *otd_page_take(struct otd_page *);

#endif /* grpcsvc/codec.h */
