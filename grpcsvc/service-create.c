/* SPDX-License-Identifier: Apache-2.0 */

/* CreateIpTunnel: a client stream becomes a transaction of the engine. */

#include <config.h>
#include "grpcsvc/service-private.h"

#include <stdlib.h>

#include "openvswitch/ofpbuf.h"
#include "openvswitch/util.h"

#include "engine/engine.h"
#include "grpcsvc/codec.h"
#include "util.h"

static void
create_leave(struct svc_call *c)
{
    c->service->spooled -= c->create.backlog;
    c->create.backlog = 0;
    c->create.txn = NULL;
}

static void
create_done(void *c_, const struct otd_txn_result *result)
{
    struct svc_call *c = c_;

    create_leave(c);
    svc_answer(c, otd_codec_create_responses(result));
}

/* A stream that has not sent anything yet is no transaction: an idle client
 * must not stand in anybody's way. */
static void
create_begin(struct svc_call *c)
{
    struct otd_service *s = c->service;

    if (!c->create.txn) {
        c->create.txn = otd_txn_begin(s->engine, create_done, c);
        ovs_list_push_back(&s->streams, &c->turn_node);
    }
}

/* Takes note of how far the engine has come. */
static void
create_measure(struct svc_call *c)
{
    size_t backlog = otd_txn_backlog(c->create.txn);

    c->service->spooled += backlog;
    c->service->spooled -= c->create.backlog;
    c->create.backlog = backlog;
}

static void
create_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    create_begin(c);
    otd_txn_append(c->create.txn, bytes, n);
    c->create.appended += n;
}

static void
create_half_close(struct svc_call *c)
{
    create_begin(c);
    c->create.ended = true;
    otd_txn_end(c->create.txn);
}

static void
create_abort(struct svc_call *c)
{
    struct otd_txn *txn = c->create.txn;

    if (txn) {
        create_leave(c);
        otd_txn_cancel(txn);
    }
}

/* May the client of 'c' send on?  'first': no older stream is incomplete. */
static bool
create_may_grant(const struct svc_call *c, bool first)
{
    /* Something was worked off: it is being applied, and its client only needs
     * to stay ahead of the engine. */
    if (c->create.backlog < c->create.appended) {
        return c->create.backlog < c->service->apply_max;
    }
    return first || c->service->spooled < c->service->spool_max;
}

/* Looks at every stream and gives back what window it may, or, if not 'grant',
 * only says whether it would. */
static bool
create_step(struct otd_service *s, bool grant)
{
    struct svc_call *c;
    bool any = false;
    bool first = true;

    LIST_FOR_EACH (c, turn_node, &s->streams) {
        create_measure(c);
    }
    LIST_FOR_EACH (c, turn_node, &s->streams) {
        if (c->create.ended) {
            continue;
        }
        if (c->create.returned < c->create.appended
            && create_may_grant(c, first)) {
            any = true;
            if (grant) {
                svc_consumed(c, c->create.appended - c->create.returned);
                c->create.returned = c->create.appended;
            }
        }
        first = false;
    }
    return any;
}

/* Not where the request arrives: others of the same event follow it. */
static void
create_refuse_long(struct svc_call *c)
{
    char *text = xasprintf("the stream is longer than %"PRIuSIZE" bytes; send "
                           "it in parts", c->service->stream_max);

    svc_abort(c, OTD_STATUS_RESOURCE_EXHAUSTED, text);
    free(text);
}

void
svc_create_run(struct otd_service *s)
{
    struct svc_call *c;

    LIST_FOR_EACH_SAFE (c, turn_node, &s->streams) {
        if (c->create.appended > s->stream_max) {
            create_refuse_long(c);
        }
    }
    create_step(s, true);
}

/* The engine runs after the service, and may have made room since. */
bool
svc_create_needs_run(struct otd_service *s)
{
    return create_step(s, false);
}

const struct svc_method svc_create_method = {
    .message = create_message,
    .half_close = create_half_close,
    .abort = create_abort,
};
