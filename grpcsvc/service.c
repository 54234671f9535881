/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/service.h"

#include <stdlib.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/util.h"

#include "engine/engine.h"
#include "grpcsvc/service-private.h"
#include "simap.h"
#include "util.h"

/* What one turn of the main loop takes in at most, so that the engine and the
 * other clients come to their turn. */
#define TURN_EVENTS 512
#define TURN_BYTES (512u << 10)

static const struct svc_method *const methods[OTD_N_METHODS] = {
    [OTD_METHOD_CAPABILITIES] = &svc_capabilities_method,
    [OTD_METHOD_CREATE] = &svc_create_method,
    [OTD_METHOD_GET] = &svc_get_method,
    [OTD_METHOD_GET_STATS] = &svc_get_stats_method,
    [OTD_METHOD_GET_ALL] = &svc_get_all_method,
    [OTD_METHOD_GET_ALL_STATS] = &svc_get_all_stats_method,
    [OTD_METHOD_HEALTH_CHECK] = &svc_health_check_method,
    [OTD_METHOD_HEALTH_WATCH] = &svc_health_watch_method,
    [OTD_METHOD_REFLECTION] = &svc_reflection_method,
    [OTD_METHOD_REFLECTION_V1] = &svc_reflection_method,
};

struct otd_service *
otd_service_create(struct otd_engine *engine)
{
    struct otd_service *s = xzalloc(sizeof *s);

    s->engine = engine;
    s->apply_max = OTD_SERVICE_APPLY_MAX;
    s->spool_max = OTD_SERVICE_SPOOL_MAX;
    s->stream_max = OTD_SERVICE_STREAM_MAX;
    ovs_list_init(&s->calls);
    ovs_list_init(&s->streams);
    ovs_list_init(&s->pagers);
    ovs_list_init(&s->watchers);
    ovs_list_init(&s->listed);
    return s;
}

/* ---- Calls. */

static struct svc_call *
call_create(struct otd_service *s, const struct otd_event *ev)
{
    struct svc_call *c = xzalloc(sizeof *c);

    c->service = s;
    c->handle = ev->call;
    c->method = ev->method;
    ovs_list_init(&c->turn_node);
    ovs_list_push_back(&s->calls, &c->node);
    s->n_calls++;
    s->transport->class->set_data(c->handle, c);
    return c;
}

void
svc_finish(struct svc_call *c, enum otd_status status, const char *text)
{
    struct otd_service *s = c->service;

    s->n_finished[c->method]++;
    s->n_calls--;
    ovs_list_remove(&c->node);
    ovs_list_remove(&c->turn_node);
    s->transport->class->finish(c->handle, status, text);
    free(c);
}

void
svc_refuse_malformed(struct svc_call *c)
{
    svc_finish(c, OTD_STATUS_INVALID_ARGUMENT,
               "the request is not a valid protobuf message of its type");
}

void
svc_abort(struct svc_call *c, enum otd_status status, const char *text)
{
    if (methods[c->method]->abort) {
        methods[c->method]->abort(c);
    }
    svc_finish(c, status, text);
}

void
svc_send(struct svc_call *c, struct ofpbuf *message)
{
    c->service->transport->class->send(c->handle, message);
}

void
svc_answer(struct svc_call *c, struct ofpbuf *message)
{
    svc_send(c, message);
    svc_finish(c, OTD_STATUS_OK, NULL);
}

size_t
svc_send_pending(const struct svc_call *c)
{
    return c->service->transport->class->send_pending(c->handle);
}

void
svc_consumed(struct svc_call *c, size_t n)
{
    c->service->transport->class->consumed(c->handle, n);
}

void
otd_service_set_transport(struct otd_service *s,
                          struct otd_transport *transport)
{
    struct svc_call *c;

    LIST_FOR_EACH_SAFE (c, node, &s->calls) {
        svc_abort(c, OTD_STATUS_UNAVAILABLE,
                   "the server closes this connection; connect again");
    }
    s->transport = transport;
}

void
otd_service_destroy(struct otd_service *s)
{
    if (s) {
        otd_service_set_transport(s, NULL);
        free(s);
    }
}

/* ---- Events. */

static void
handle_messages(struct svc_call *c, const struct otd_event *ev)
{
    const struct svc_method *m = methods[c->method];
    uint32_t start = 0;

    if (otd_methods[c->method].client_streams) {
        for (size_t i = 0; i < ev->n; i++) {
            m->message(c, ev->data + start, ev->ends[i] - start);
            start = ev->ends[i];
        }
    } else if (ev->n && !c->asked) {
        c->asked = true;
        svc_consumed(c, ev->ends[ev->n - 1]);
        m->message(c, ev->data, ev->ends[0]);
    }
}

static void
handle_half_close(struct svc_call *c)
{
    if (otd_methods[c->method].client_streams) {
        methods[c->method]->half_close(c);
    } else if (!c->asked) {
        svc_abort(c, OTD_STATUS_INVALID_ARGUMENT, "the request is missing");
    }
}

static void
handle_event(struct otd_service *s, const struct otd_event *ev)
{
    struct svc_call *c = (ev->type == OTD_EV_CALL
                          ? call_create(s, ev)
                          : s->transport->class->get_data(ev->call));

    switch (ev->type) {
    case OTD_EV_CALL:
        break;
    case OTD_EV_MESSAGES:
        handle_messages(c, ev);
        break;
    case OTD_EV_HALF_CLOSE:
        handle_half_close(c);
        break;
    case OTD_EV_CANCELLED:
        s->n_cancelled++;
        svc_abort(c, OTD_STATUS_CANCELLED, NULL);
        break;
    case OTD_EV_WRITABLE:
        /* Whoever waits for it is in a list that each turn looks at. */
        break;
    }
}

void
otd_service_run(struct otd_service *s)
{
    if (!s->transport) {
        return;
    }

    size_t bytes = 0;
    for (int i = 0; i < TURN_EVENTS && bytes < TURN_BYTES; i++) {
        const struct otd_event *ev
            = s->transport->class->next_event(s->transport);
        if (!ev) {
            break;
        }
        if (ev->type == OTD_EV_MESSAGES && ev->n) {
            bytes += ev->ends[ev->n - 1];
        }
        handle_event(s, ev);
    }
    svc_create_run(s);
    svc_read_run(s);
    svc_probe_run(s);
}

void
otd_service_wait(struct otd_service *s)
{
    if (!s->transport) {
        return;
    }
    if (svc_create_needs_run(s) || svc_read_needs_run(s)
        || svc_probe_needs_run(s)) {
        poll_immediate_wake();
    }
    s->transport->class->wait(s->transport);
}

/* ---- For people. */

size_t
otd_service_spooled(const struct otd_service *s)
{
    return s->spooled;
}

void
otd_service_get_memory_usage(const struct otd_service *s, struct simap *usage)
{
    simap_increase(usage, "calls", s->n_calls);
    simap_increase(usage, "spooled-KiB", s->spooled / 1024);
}

void
otd_service_format_status(const struct otd_service *s, struct ds *out)
{
    ds_put_format(out, "calls: %"PRIuSIZE" open, %"PRIuSIZE" streams, "
                  "%"PRIuSIZE" KiB spooled, %"PRIu64" cancelled\n",
                  s->n_calls, ovs_list_size(&s->streams), s->spooled / 1024,
                  s->n_cancelled);
    for (enum otd_method m = 0; m < OTD_N_METHODS; m++) {
        if (s->n_finished[m]) {
            ds_put_format(out, "  %s: %"PRIu64" finished\n",
                          otd_methods[m].path + 1, s->n_finished[m]);
        }
    }
}
