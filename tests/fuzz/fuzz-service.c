/* SPDX-License-Identifier: Apache-2.0 */

/* A fuzz target for the life of calls: clients that start, send, stop reading,
 * half-close and cancel in any order, while the engine is held, the switch
 * goes and the transport is replaced.  Over the fake transport and the fake
 * engine, on one thread.
 *
 * It holds the service to what grpcsvc/service.h promises:
 *
 *   - window is given back at most once, and all of it for what is not a
 *     waiting stream (the fake transport checks the first);
 *   - in the end no call is open, nothing is left in the engine, and nothing
 *     is spooled.
 *
 * Input: a sequence of steps, each a byte of what to do (high bits) and with
 * which call (low bits), some followed by a byte of length and so many bytes.
 */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "grpcsvc/codec.h"
#include "grpcsvc/service-private.h"
#include "openvswitch/ofpbuf.h"
#include "tests/fake-engine.h"
#include "tests/fake-transport.h"
#include "tests/unit/spec-fixture.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define MUST(CONDITION)                                                 \
    do {                                                                \
        if (!(CONDITION)) {                                             \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,  \
                    #CONDITION);                                        \
            abort();                                                    \
        }                                                               \
    } while (0)

#define N_CALLS 8

struct world {
    struct otd_codec *codec;
    struct otd_engine *engine;
    struct otd_service *service;
    struct fake_transport *transport;
    struct fake_call *calls[N_CALLS];
    bool closed[N_CALLS];       /* After a half-close nothing is sent. */
};

struct input {
    const uint8_t *p;
    size_t n;
};

static uint8_t
next_byte(struct input *in)
{
    if (!in->n) {
        return 0;
    }
    in->n--;
    return *in->p++;
}

static void
turn(struct world *w)
{
    otd_service_run(w->service);
    otd_engine_run(w->engine);
    /* What the wait would look at. */
    svc_create_needs_run(w->service);
    svc_read_needs_run(w->service);
    svc_probe_needs_run(w->service);
}

/* A message out of the input, as long as its first byte says. */
static void
send_raw(struct fake_call *call, struct input *in)
{
    size_t n = next_byte(in);
    n = MIN(n, in->n);

    fake_call_send(call, in->p, n);
    in->p += n;
    in->n -= n;
}

/* Good requests, many in one event. */
static void
send_good(struct fake_call *call, struct input *in)
{
    uint8_t what = next_byte(in);
    size_t n = 1 + what % 64;
    uint32_t ends[64];
    struct ofpbuf bytes;

    ofpbuf_init(&bytes, 0);
    for (size_t i = 0; i < n; i++) {
        struct otd_spec spec = geneve_encap();
        spec.id = (what & 0x40 ? 0 : i);
        spec.operation = what & 0x80 ? OTD_OP_DELETE : OTD_OP_CREATE;
        otd_codec_encode_request(&spec, &bytes);
        ends[i] = bytes.size;
    }
    fake_call_send_many(call, bytes.data, ends, n);
    ofpbuf_uninit(&bytes);
}

static void
replace_transport(struct world *w)
{
    otd_service_set_transport(w->service, NULL);
    MUST(!fake_engine_n_open(w->engine));
    for (int i = 0; i < N_CALLS; i++) {
        fake_call_destroy(w->calls[i]);
        w->calls[i] = NULL;
    }
    fake_transport_destroy(w->transport);
    w->transport = fake_transport_create();
    otd_service_set_transport(w->service, fake_transport_up(w->transport));
}

/* What needs no call. */
static void
step_world(struct world *w, unsigned int what)
{
    switch (what) {
    case 0:
        fake_engine_hold(w->engine, true);
        break;
    case 1:
        fake_engine_hold(w->engine, false);
        break;
    case 2:
        fake_engine_set_serving(w->engine, false);
        fake_engine_set_refresh_error(w->engine, "gone");
        break;
    case 3:
        fake_engine_set_serving(w->engine, true);
        fake_engine_set_refresh_error(w->engine, NULL);
        break;
    case 4:
        fake_engine_set_stream_rate(w->engine, 100);
        break;
    case 5:
        fake_engine_set_stream_rate(w->engine, 0);
        break;
    case 6:
        fake_engine_set_capacity(w->engine, 200);
        break;
    default:
        replace_transport(w);
        break;
    }
}

static void
step(struct world *w, struct input *in)
{
    uint8_t byte = next_byte(in);
    struct fake_call **slot = &w->calls[byte % N_CALLS];
    bool *closed = &w->closed[byte % N_CALLS];
    unsigned int what = byte / N_CALLS;

    if (what < OTD_N_METHODS) {
        fake_call_destroy(*slot);
        *slot = fake_call_start(w->transport, what);
        *closed = false;
    } else if (what == OTD_N_METHODS) {
        step_world(w, byte % N_CALLS);
    } else if (what == OTD_N_METHODS + 1 || !*slot) {
        turn(w);
    } else if (what < OTD_N_METHODS + 4) {
        fake_call_set_reading(*slot, what % 2);
    } else if (what < OTD_N_METHODS + 5) {
        fake_call_cancel(*slot);
    } else if (*closed) {
        turn(w);
    } else if (what < OTD_N_METHODS + 8) {
        fake_call_half_close(*slot);
        *closed = true;
    } else if (what < OTD_N_METHODS + 16) {
        send_raw(*slot, in);
    } else {
        send_good(*slot, in);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    struct world w = { .codec = otd_codec_create() };

    w.engine = otd_engine_create(NULL, NULL, w.codec);
    w.service = otd_service_create(w.engine);
    w.service->apply_max = 500;
    w.service->spool_max = 2000;
    w.service->stream_max = 8000;
    w.transport = fake_transport_create();
    otd_service_set_transport(w.service, fake_transport_up(w.transport));

    while (in.n) {
        step(&w, &in);
    }

    /* Every client goes; so must everything of theirs. */
    for (int i = 0; i < N_CALLS; i++) {
        fake_call_destroy(w.calls[i]);
    }
    turn(&w);
    MUST(!fake_transport_n_open(w.transport));
    MUST(!fake_engine_n_open(w.engine));
    MUST(!otd_service_spooled(w.service));

    otd_service_destroy(w.service);
    fake_transport_destroy(w.transport);
    otd_engine_destroy(w.engine);
    otd_codec_destroy(w.codec);
    return 0;
}
