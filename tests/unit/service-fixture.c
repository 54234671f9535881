/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tests/unit/service-fixture.h"

#include <stdlib.h>

#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "util.h"

struct otd_codec *codec;
struct otd_engine *engine;
struct otd_service *service;
struct fake_transport *transport;

void
setup(void)
{
    codec = otd_codec_create();
    engine = otd_engine_create(NULL, NULL, codec);
    service = otd_service_create(engine);
    transport = fake_transport_create();
    otd_service_set_transport(service, fake_transport_up(transport));
}

void
teardown(void)
{
    otd_service_run(service);
    ck_assert_uint_eq(fake_transport_n_open(transport), 0);
    ck_assert_uint_eq(fake_engine_n_open(engine), 0);
    ck_assert_uint_eq(otd_service_spooled(service), 0);
    otd_service_destroy(service);
    fake_transport_destroy(transport);
    otd_engine_destroy(engine);
    otd_codec_destroy(codec);
}

void
run(void)
{
    otd_service_run(service);
    otd_engine_run(engine);
}

void
sleep_until_woken(void)
{
    long long int start = time_msec();

    otd_service_wait(service);
    otd_engine_wait(engine);
    poll_timer_wait(10000);
    poll_block();
    if (time_msec() - start >= 10000) {
        ck_abort_msg("the main loop sleeps for ever");
    }
}

void
settle(void)
{
    for (int i = 0; i < 20; i++) {
        run();
    }
}

void
finish(struct fake_call *call, enum otd_status status, const char *text)
{
    for (;;) {
        run();
        if (fake_call_wait(call, 0)) {
            break;
        }
        sleep_until_woken();
    }
    ck_assert_int_eq(fake_call_status(call), status);
    ck_assert_str_eq(fake_call_text(call), text);
}

void
expect_reply(struct fake_call *call, const char *messages, const char *want)
{
    size_t size;
    void *reply = fake_call_take_reply(call, &size);
    struct ds s = DS_EMPTY_INITIALIZER;

    ck_assert_ptr_ne(reply, NULL);
    format_message(reply, size, messages, &s);
    ck_assert_str_eq(ds_cstr(&s), want);
    ds_destroy(&s);
    free(reply);
}

void
expect_no_reply(struct fake_call *call)
{
    size_t size;

    ck_assert_ptr_eq(fake_call_take_reply(call, &size), NULL);
}

/* ---- Requests. */

struct otd_spec
tunnel_spec(uint64_t id, enum otd_operation operation)
{
    struct otd_spec spec = geneve_encap();

    spec.id = id;
    spec.operation = operation;
    return spec;
}

size_t
send_spec(struct fake_call *call, const struct otd_spec *spec)
{
    struct ofpbuf bytes;
    size_t n;

    ofpbuf_init(&bytes, 0);
    otd_codec_encode_request(spec, &bytes);
    n = bytes.size;
    fake_call_send(call, bytes.data, n);
    ofpbuf_uninit(&bytes);
    return n;
}

size_t
send_tunnel(struct fake_call *call, uint64_t id)
{
    struct otd_spec spec = tunnel_spec(id, OTD_OP_CREATE);

    return send_spec(call, &spec);
}

void
create_tunnels(uint64_t n)
{
    struct fake_call *call = fake_call_start(transport, OTD_METHOD_CREATE);

    for (uint64_t id = 1; id <= n; id++) {
        send_tunnel(call, id);
    }
    fake_call_half_close(call);
    finish(call, OTD_STATUS_OK, "");
    expect_reply(call, "", "");
    fake_call_destroy(call);
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), n);
}

struct fake_call *
ask(enum otd_method method, uint32_t field, uint64_t value)
{
    struct fake_call *call = fake_call_start(transport, method);
    struct ofpbuf bytes;

    ofpbuf_init(&bytes, 0);
    if (field) {
        put_varint(&bytes, field, value);
    }
    fake_call_send(call, bytes.data, bytes.size);
    fake_call_half_close(call);
    ofpbuf_uninit(&bytes);
    return call;
}

size_t
send_tunnels(struct fake_call *call, uint64_t first, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += send_tunnel(call, first + i);
    }
    return bytes;
}
