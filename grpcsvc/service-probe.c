/* SPDX-License-Identifier: Apache-2.0 */

/* What generic gRPC tools ask of any server: health and reflection. */

#include <config.h>
#include "grpcsvc/service-private.h"

#include "openvswitch/ofpbuf.h"

#include "grpcsvc/health-codec.h"
#include "grpcsvc/reflection.h"
#include "util.h"

/* ---- Health. */

static enum otd_health
health_status(bool serving)
{
    return serving ? OTD_HEALTH_SERVING : OTD_HEALTH_NOT_SERVING;
}

static void
health_check_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    bool known;

    if (!otd_health_parse_request(bytes, n, &known)) {
        svc_refuse_malformed(c);
    } else if (!known) {
        svc_finish(c, OTD_STATUS_NOT_FOUND, "no such service");
    } else {
        bool serving = otd_engine_is_serving(c->service->engine, NULL);
        svc_answer(c, otd_health_response(health_status(serving)));
    }
}

/* Tells a watcher what 'c->service->serving' has become.  One that does not
 * read is told later, and then only the latest. */
static void
health_watch_tell(struct svc_call *c)
{
    enum otd_health status = health_status(c->service->serving);

    if (c->watch.told != status && !svc_send_pending(c)) {
        svc_send(c, otd_health_response(status));
        c->watch.told = status;
    }
}

static void
health_watch_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    bool known;

    if (!otd_health_parse_request(bytes, n, &known)) {
        svc_refuse_malformed(c);
    } else if (!known) {
        /* The protocol wants the call to stay open: services may come later.
         * Ours do not. */
        svc_send(c, otd_health_response(OTD_HEALTH_SERVICE_UNKNOWN));
    } else {
        ovs_list_push_back(&c->service->watchers, &c->turn_node);
    }
}

const struct svc_method svc_health_check_method = {
    .message = health_check_message,
};
const struct svc_method svc_health_watch_method = {
    .message = health_watch_message,
};

/* ---- Reflection.  An answer is some hundred times as large as its question,
 * so questions are copied and answered one by one as the peer takes the
 * answers. */

static void
reflection_message(struct svc_call *c, const uint8_t *bytes, size_t n)
{
    uint32_t len = n;

    if (!c->listed.questions) {
        c->listed.questions = ofpbuf_new(256);
        ovs_list_push_back(&c->service->listed, &c->turn_node);
    }
    ofpbuf_put(c->listed.questions, &len, sizeof len);
    ofpbuf_put(c->listed.questions, bytes, n);
}

static void
reflection_abort(struct svc_call *c)
{
    ofpbuf_delete(c->listed.questions);
    c->listed.questions = NULL;
}

static void
reflection_half_close(struct svc_call *c)
{
    c->listed.ended = true;
    if (!c->listed.questions) {
        svc_finish(c, OTD_STATUS_OK, NULL);
    }
}

static bool
reflection_may_answer(const struct svc_call *c)
{
    return ((c->listed.questions->size || c->listed.ended)
            && svc_send_pending(c) < OTD_SERVICE_SEND_MAX / 4);
}

/* Answers one question.  Returns false if that ended the call. */
static bool
reflection_answer_one(struct svc_call *c)
{
    struct ofpbuf *questions = c->listed.questions;
    if (!questions->size) {
        reflection_abort(c);
        svc_finish(c, OTD_STATUS_OK, NULL);
        return false;
    }

    uint32_t len;
    memcpy(&len, ofpbuf_pull(questions, sizeof len), sizeof len);
    struct ofpbuf *answer = otd_reflection_answer(questions->data, len);
    if (!answer) {
        reflection_abort(c);
        svc_refuse_malformed(c);
        return false;
    }
    ofpbuf_pull(questions, len);
    if (!questions->size) {
        ofpbuf_clear(questions);        /* Takes the pulled room back. */
    }
    svc_consumed(c, len);
    svc_send(c, answer);
    return true;
}

const struct svc_method svc_reflection_method = {
    .message = reflection_message,
    .half_close = reflection_half_close,
    .abort = reflection_abort,
};

/* ---- Turns. */

#define TURN_QUESTIONS 64

void
svc_probe_run(struct otd_service *s)
{
    struct svc_call *c;

    s->serving = otd_engine_is_serving(s->engine, NULL);
    LIST_FOR_EACH (c, turn_node, &s->watchers) {
        health_watch_tell(c);
    }
    LIST_FOR_EACH_SAFE (c, turn_node, &s->listed) {
        for (int i = 0; i < TURN_QUESTIONS && reflection_may_answer(c); i++) {
            if (!reflection_answer_one(c)) {
                break;
            }
        }
    }
}

bool
svc_probe_needs_run(const struct otd_service *s)
{
    const struct svc_call *c;

    if (!ovs_list_is_empty(&s->watchers)
        && s->serving != otd_engine_is_serving(s->engine, NULL)) {
        return true;
    }
    LIST_FOR_EACH (c, turn_node, &s->listed) {
        if (reflection_may_answer(c)) {
            return true;
        }
    }
    return false;
}
