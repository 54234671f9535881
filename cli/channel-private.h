/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CHANNEL_PRIVATE_H
#define OTD_CHANNEL_PRIVATE_H 1

/* Shared by channel.c (calls) and channel-open.c (connecting). */

#include <grpc/grpc.h>

#include "cli/channel.h"

/* Something that completes on the queue; its address is the tag. */
struct tag {
    void (*done)(struct tag *, bool ok);
    bool pending;
};

struct otd_channel {
    grpc_channel *channel;
    grpc_completion_queue *queue;
    size_t n_in_flight;         /* Calls of otd_channel_start(). */
    struct call *spare;         /* Finished ones, to be used again. */
    struct tag connect;         /* Connectivity watch. */
};

/* Calloc or abort; asprintf or abort. */
void *otd_channel_alloc(size_t);
char *otd_channel_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

gpr_timespec otd_channel_deadline(int timeout_ms);

/* Handles completions until 'tag' is no longer pending. */
void otd_channel_run_until(struct otd_channel *, const struct tag *);

#endif /* cli/channel-private.h */
