/* SPDX-License-Identifier: Apache-2.0 */

/* Capabilities, and the reads of one tunnel and of all. */

#include <config.h>
#include "grpcsvc/service-private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "openvswitch/ofpbuf.h"
#include "openvswitch/util.h"

#include "engine/engine.h"
#include "grpcsvc/codec.h"
#include "util.h"

/* What one reader gets in a turn of the main loop. */
#define TURN_TUNNELS 8192

static enum otd_reply
reply_kind(const struct svc_call *c)
{
    return (c->method == OTD_METHOD_GET || c->method == OTD_METHOD_GET_ALL
            ? OTD_REPLY_TUNNEL : OTD_REPLY_STATS);
}

static void
capabilities_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    if (!otd_codec_parse_capability_request(bytes, n)) {
        svc_refuse_malformed(c);
        return;
    }

    struct otd_caps caps;
    otd_engine_caps(c->service->engine, &caps);
    svc_answer(c, otd_codec_capabilities(&caps));
}

/* Answers with what the table has for 'id'. */
static void
answer_one(struct svc_call *c, uint64_t id)
{
    struct otd_tunnel_view view;

    if (otd_engine_get(c->service->engine, id, &view)) {
        svc_answer(c, otd_codec_reply(reply_kind(c), &view));
        return;
    }

    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    otd_fault(&faults, OTD_FAULT_MATCH_TUNNEL_ID, "tunnel_id",
              "there is no tunnel %"PRIu64, id);
    svc_answer(c, otd_codec_reply_error(reply_kind(c), id, &faults));
    otd_faults_destroy(&faults);
}

static void
get_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    uint64_t id;

    if (!otd_codec_parse_tunnel_id(bytes, n, &id)) {
        svc_refuse_malformed(c);
    } else {
        answer_one(c, id);
    }
}

/* ---- Fresh counters. */

static void
read_abort(struct svc_call *c)
{
    if (c->read.refresh) {
        otd_engine_refresh_cancel(c->read.refresh);
        c->read.refresh = NULL;
    }
}

/* Returns false, and ends the call, if there is no fresh answer. */
static bool
read_refreshed(struct svc_call *c, const char *error)
{
    c->read.refresh = NULL;
    if (!error) {
        return true;
    }
    char *text = xasprintf("no fresh counters: %s", error);
    svc_finish(c, OTD_STATUS_UNAVAILABLE, text);
    free(text);
    return false;
}

static void
get_stats_refreshed(void *c_, const char *error)
{
    struct svc_call *c = c_;

    if (read_refreshed(c, error)) {
        answer_one(c, c->read.id);
    }
}

static void
get_stats_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    struct otd_engine *engine = c->service->engine;
    struct otd_tunnel_view view;

    if (!otd_codec_parse_tunnel_id(bytes, n, &c->read.id)) {
        svc_refuse_malformed(c);
    } else if (!otd_engine_get(engine, c->read.id, &view)) {
        answer_one(c, c->read.id);
    } else {
        c->read.refresh = otd_engine_refresh(engine, false, c->read.id,
                                             get_stats_refreshed, c);
    }
}

/* ---- All tunnels, in pages. */

static void
pages_start(struct svc_call *c)
{
    otd_page_init(&c->read.page, reply_kind(c), c->read.per_page);
    ovs_list_push_back(&c->service->pagers, &c->turn_node);
}

static void
get_all_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    if (!otd_codec_parse_request_args(bytes, n, &c->read.per_page)) {
        svc_refuse_malformed(c);
    } else {
        pages_start(c);
    }
}

static void
get_all_stats_refreshed(void *c_, const char *error)
{
    struct svc_call *c = c_;

    if (read_refreshed(c, error)) {
        pages_start(c);
    }
}

static void
get_all_stats_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    if (!otd_codec_parse_request_args(bytes, n, &c->read.per_page)) {
        svc_refuse_malformed(c);
    } else {
        c->read.refresh = otd_engine_refresh(c->service->engine, true, 0,
                                             get_all_stats_refreshed, c);
    }
}

static void
get_all_abort(struct svc_call *c)
{
    read_abort(c);
    otd_page_destroy(&c->read.page);
}

static bool
may_send(const struct svc_call *c)
{
    return svc_send_pending(c) < OTD_SERVICE_SEND_MAX;
}

/* Sends what one turn may send to one reader.  Ends the call behind the last
 * page. */
static void
send_pages(struct svc_call *c)
{
    struct otd_tunnel_view view;

    for (int i = 0; i < TURN_TUNNELS; i++) {
        uint64_t cursor = c->read.cursor;

        if (!otd_engine_next(c->service->engine, &cursor, &view)) {
            struct ofpbuf *last = otd_page_take(&c->read.page);
            if (last) {
                svc_send(c, last);
            }
            otd_page_destroy(&c->read.page);
            svc_finish(c, OTD_STATUS_OK, NULL);
            return;
        }
        if (!otd_page_add(&c->read.page, &view)) {
            svc_send(c, otd_page_take(&c->read.page));
            if (!may_send(c)) {
                return;         /* The tunnel is added the next time. */
            }
            otd_page_add(&c->read.page, &view);
        }
        c->read.cursor = cursor;
    }
}

void
svc_read_run(struct otd_service *s)
{
    struct svc_call *c;

    LIST_FOR_EACH_SAFE (c, turn_node, &s->pagers) {
        if (may_send(c)) {
            send_pages(c);
        }
    }
}

bool
svc_read_needs_run(const struct otd_service *s)
{
    const struct svc_call *c;

    LIST_FOR_EACH (c, turn_node, &s->pagers) {
        if (may_send(c)) {
            return true;
        }
    }
    return false;
}

const struct svc_method svc_capabilities_method = {
    .message = capabilities_message,
};
const struct svc_method svc_get_method = {
    .message = get_message,
};
const struct svc_method svc_get_stats_method = {
    .message = get_stats_message,
    .abort = read_abort,
};
const struct svc_method svc_get_all_method = {
    .message = get_all_message,
    .abort = get_all_abort,
};
const struct svc_method svc_get_all_stats_method = {
    .message = get_all_stats_message,
    .abort = get_all_abort,
};
