/* SPDX-License-Identifier: Apache-2.0 */
/* The RPCs over the fake transport and the fake engine: the real service, codec
 * and checks, no gRPC and no switch. */
#include <config.h>
#include "grpcsvc/service.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "grpcsvc/codec.h"
#include "grpcsvc/service-private.h"
#include "openvswitch/poll-loop.h"
#include "ovs-atomic.h"
#include "proto/tunneloffload.pb-c.h"
#include "simap.h"
#include "tests/fake-engine.h"
#include "tests/fake-transport.h"
#include "tests/unit/spec-fixture.h"
#include "tests/unit/wire.h"
#include "timeval.h"
#include "util.h"

static struct otd_codec *codec;
static struct otd_engine *engine;
static struct otd_service *service;
static struct fake_transport *transport;

static void
setup(void)
{
    codec = otd_codec_create();
    engine = otd_engine_create(NULL, NULL, codec);
    service = otd_service_create(engine);
    transport = fake_transport_create();
    otd_service_set_transport(service, fake_transport_up(transport));
}

/* Every test ends without an open call and without one in the engine. */
static void
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

static void
run(void)
{
    otd_service_run(service);
    otd_engine_run(engine);
}

/* Waits like a main loop.  There must be a reason to wake up. */
static void
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

/* Some turns that do not wait: for what must not happen. */
static void
settle(void)
{
    for (int i = 0; i < 20; i++) {
        run();
    }
}

static void
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

/* The next reply must be this, as format_message() writes it. */
static void
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

static void
expect_no_reply(struct fake_call *call)
{
    size_t size;

    ck_assert_ptr_eq(fake_call_take_reply(call, &size), NULL);
}

/* ---- Requests. */

/* Sends a create of a tunnel with a match of its own, derived from 'id'. */
static struct otd_spec
tunnel_spec(uint64_t id, enum otd_operation operation)
{
    struct otd_spec spec = geneve_encap();

    spec.id = id;
    spec.operation = operation;
    return spec;
}

static size_t
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

static size_t
send_tunnel(struct fake_call *call, uint64_t id)
{
    struct otd_spec spec = tunnel_spec(id, OTD_OP_CREATE);

    return send_spec(call, &spec);
}

/* Creates tunnels 1 to 'n'. */
static void
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

/* A call with one request and its half-close, of one field or none. */
static struct fake_call *
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

/* ---- CreateIpTunnel. */

START_TEST(test_create)
{
    create_tunnels(100);

    /* A server-chosen id, and one that exists. */
    struct fake_call *call = fake_call_start(transport, OTD_METHOD_CREATE);
    send_tunnel(call, 0);
    send_tunnel(call, 7);
    fake_call_half_close(call);
    finish(call, OTD_STATUS_OK, "");
    expect_reply(call, " 3 3.2 3.2.1 ",
                 "1:4 2:2 3:{1:4294967296} "
                 "3:{1:7 2:{2:\"tunnel_id: 7 exists\"}}");
    expect_no_reply(call);
    fake_call_destroy(call);
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), 101);
}
END_TEST

START_TEST(test_create_nothing)
{
    struct fake_call *call = fake_call_start(transport, OTD_METHOD_CREATE);

    settle();
    ck_assert_uint_eq(fake_engine_n_open(engine), 0);
    fake_call_half_close(call);
    finish(call, OTD_STATUS_OK, "");
    expect_reply(call, "", "");
    fake_call_destroy(call);
}
END_TEST

START_TEST(test_create_not_serving)
{
    struct fake_call *call = fake_call_start(transport, OTD_METHOD_CREATE);

    fake_engine_set_serving(engine, false);
    send_tunnel(call, 1);
    fake_call_half_close(call);
    finish(call, OTD_STATUS_OK, "");
    expect_reply(call, " 3 3.2 ",
                 "1:3 3:{2:{2:\"the fake switch is away\"}}");
    fake_call_destroy(call);
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), 0);
}
END_TEST

START_TEST(test_create_cancelled)
{
    struct fake_call *early = fake_call_start(transport, OTD_METHOD_CREATE);
    struct fake_call *middle = fake_call_start(transport, OTD_METHOD_CREATE);
    struct fake_call *late = fake_call_start(transport, OTD_METHOD_CREATE);

    send_tunnel(middle, 1);
    send_tunnel(late, 2);
    fake_call_half_close(late);
    fake_engine_hold(engine, true);
    settle();
    ck_assert_uint_eq(fake_engine_n_open(engine), 2);
    fake_call_cancel(early);
    fake_call_cancel(middle);
    fake_call_cancel(late);
    fake_engine_hold(engine, false);
    finish(early, OTD_STATUS_CANCELLED, "");
    finish(middle, OTD_STATUS_CANCELLED, "");
    finish(late, OTD_STATUS_CANCELLED, "");
    ck_assert_uint_eq(fake_engine_n_cancelled(engine), 2);
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), 0);
    expect_no_reply(late);
    fake_call_destroy(early);
    fake_call_destroy(middle);
    fake_call_destroy(late);
}
END_TEST

/* ---- The window of streams. */

static size_t
send_tunnels(struct fake_call *call, uint64_t first, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        bytes += send_tunnel(call, first + i);
    }
    return bytes;
}

/* Streams that wait are spooled up to a common limit, the oldest one beyond. */
START_TEST(test_window_of_spools)
{
    struct fake_call *a = fake_call_start(transport, OTD_METHOD_CREATE);
    struct fake_call *b = fake_call_start(transport, OTD_METHOD_CREATE);
    size_t of_a = send_tunnels(a, 1, 80);

    service->spool_max = of_a + of_a / 4;
    settle();
    ck_assert_uint_eq(fake_call_unconsumed(a), 0);
    ck_assert_uint_eq(otd_service_spooled(service), of_a);

    size_t of_b = send_tunnels(b, 101, 40);
    settle();
    ck_assert_uint_eq(fake_call_unconsumed(b), of_b);
    ck_assert_uint_eq(otd_service_spooled(service), of_a + of_b);

    /* The oldest goes on. */
    of_a += send_tunnels(a, 81, 10);
    settle();
    ck_assert_uint_eq(fake_call_unconsumed(a), 0);
    ck_assert_uint_eq(fake_call_unconsumed(b), of_b);

    /* When it is complete the next one is the oldest. */
    fake_engine_hold(engine, true);
    fake_call_half_close(a);
    settle();
    ck_assert_uint_eq(fake_call_unconsumed(b), 0);
    ck_assert_uint_eq(otd_service_spooled(service), of_a + of_b);

    fake_engine_hold(engine, false);
    finish(a, OTD_STATUS_OK, "");
    settle();
    ck_assert_uint_eq(otd_service_spooled(service), of_b);
    fake_call_half_close(b);
    finish(b, OTD_STATUS_OK, "");
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), 130);
    fake_call_destroy(a);
    fake_call_destroy(b);
}
END_TEST

/* One that is being applied gets its window back as the engine comes along. */
START_TEST(test_window_of_applied)
{
    struct fake_call *call = fake_call_start(transport, OTD_METHOD_CREATE);
    size_t n;

    service->apply_max = 1000;
    fake_engine_set_stream_rate(engine, 100);
    n = send_tunnels(call, 1, 100);
    ck_assert_uint_gt(n, 3000);

    /* The first turn finds nothing worked off: it looks like a waiting one. */
    run();
    n = send_tunnels(call, 101, 100);
    run();
    ck_assert_uint_eq(fake_call_unconsumed(call), n);
    size_t n_turns = 0;
    while (fake_call_unconsumed(call)) {
        ck_assert_uint_eq(fake_call_unconsumed(call), n);
        sleep_until_woken();
        run();
        n_turns++;
    }
    ck_assert_uint_gt(n_turns, 40);
    ck_assert_uint_lt(otd_service_spooled(service), 1000);
    fake_call_half_close(call);
    finish(call, OTD_STATUS_OK, "");
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), 200);
    fake_call_destroy(call);
}
END_TEST

/* ---- Reads of one tunnel. */

START_TEST(test_get)
{
    create_tunnels(2);
    const struct otd_counters counters = {
        .out_packets = 5, .out_bytes = 500, .in_packets_drops = 1,
    };
    fake_engine_set_counters(engine, 2, &counters);

    struct fake_call *call = ask(OTD_METHOD_GET, 1, 2);
    finish(call, OTD_STATUS_OK, "");
    size_t size;
    void *reply = fake_call_take_reply(call, &size);
    struct otd_tunnel_view view;
    ck_assert(otd_engine_get(engine, 2, &view));
    struct ofpbuf *want = otd_codec_reply(OTD_REPLY_TUNNEL, &view);
    ck_assert_uint_eq(size, want->size);
    ck_assert_mem_eq(reply, want->data, size);
    ofpbuf_delete(want);
    free(reply);
    fake_call_destroy(call);

    call = ask(OTD_METHOD_GET_STATS, 1, 2);
    finish(call, OTD_STATUS_OK, "");
    expect_reply(call, " 2 ", "1:2 2:{2:5 4:500 5:1}");
    fake_call_destroy(call);

    /* Without the switch the table still answers. */
    fake_engine_set_serving(engine, false);
    fake_engine_set_refresh_error(engine, "no connection");
    call = ask(OTD_METHOD_GET, 1, 1);
    finish(call, OTD_STATUS_OK, "");
    fake_call_destroy(call);
    call = ask(OTD_METHOD_GET_STATS, 1, 1);
    finish(call, OTD_STATUS_UNAVAILABLE, "no fresh counters: no connection");
    expect_no_reply(call);
    fake_call_destroy(call);
    call = ask(OTD_METHOD_GET_ALL_STATS, 0, 0);
    finish(call, OTD_STATUS_UNAVAILABLE, "no fresh counters: no connection");
    expect_no_reply(call);
    fake_call_destroy(call);
}
END_TEST

START_TEST(test_get_unknown)
{
    struct fake_call *call = ask(OTD_METHOD_GET, 1, 9);
    finish(call, OTD_STATUS_OK, "");
    expect_reply(call, " 4 4.1 ", "1:9 4:{1:{1:1} "
                 "2:\"tunnel_id: there is no tunnel 9\"}");
    fake_call_destroy(call);

    call = ask(OTD_METHOD_GET_STATS, 1, 9);
    finish(call, OTD_STATUS_OK, "");
    expect_reply(call, " 3 3.1 ", "1:9 3:{1:{1:1} "
                 "2:\"tunnel_id: there is no tunnel 9\"}");
    fake_call_destroy(call);
}
END_TEST

/* A tunnel that goes while its counters are read. */
START_TEST(test_get_stats_deleted)
{
    create_tunnels(1);
    fake_engine_hold(engine, true);
    struct fake_call *stats = ask(OTD_METHOD_GET_STATS, 1, 1);
    struct fake_call *cancelled = ask(OTD_METHOD_GET_STATS, 1, 1);
    struct fake_call *delete = fake_call_start(transport, OTD_METHOD_CREATE);
    struct otd_spec spec = tunnel_spec(1, OTD_OP_DELETE);
    send_spec(delete, &spec);
    fake_call_half_close(delete);
    settle();
    fake_call_cancel(cancelled);
    settle();
    ck_assert_uint_eq(fake_engine_n_open(engine), 2);
    fake_engine_hold(engine, false);
    finish(delete, OTD_STATUS_OK, "");
    finish(stats, OTD_STATUS_OK, "");
    expect_reply(stats, " 3 3.1 ", "1:1 3:{1:{1:1} "
                 "2:\"tunnel_id: there is no tunnel 1\"}");
    fake_call_destroy(stats);
    fake_call_destroy(cancelled);
    fake_call_destroy(delete);
}
END_TEST

START_TEST(test_malformed)
{
    static const enum otd_method single[] = {
        OTD_METHOD_CAPABILITIES, OTD_METHOD_GET, OTD_METHOD_GET_STATS,
        OTD_METHOD_GET_ALL, OTD_METHOD_GET_ALL_STATS,
        OTD_METHOD_HEALTH_CHECK, OTD_METHOD_HEALTH_WATCH,
        OTD_METHOD_REFLECTION, OTD_METHOD_REFLECTION_V1,
    };

    for (size_t i = 0; i < ARRAY_SIZE(single); i++) {
        struct fake_call *call = fake_call_start(transport, single[i]);
        fake_call_send(call, "\x0a\x7f", 2);
        finish(call, OTD_STATUS_INVALID_ARGUMENT,
               "the request is not a valid protobuf message of its type");
        expect_no_reply(call);
        fake_call_destroy(call);

        if (!otd_methods[single[i]].client_streams) {
            call = fake_call_start(transport, single[i]);
            fake_call_half_close(call);
            finish(call, OTD_STATUS_INVALID_ARGUMENT,
                   "the request is missing");
            fake_call_destroy(call);
        }
    }
}
END_TEST

START_TEST(test_capabilities)
{
    struct fake_call *call = ask(OTD_METHOD_CAPABILITIES, 0, 0);

    finish(call, OTD_STATUS_OK, "");
    expect_reply(call, " 1 2 3 ", "1:{1:1 3:1 4:1} 2:{} 3:{1:31}");
    fake_call_destroy(call);
}
END_TEST

/* ---- Reads of all tunnels. */

typedef Tunneloffload__V2__IpTunnelStatsResponses pb_stats_page;

/* Takes all replies of a GetAllIpTunnelsStats; returns the number of tunnels in
 * them.  Their ids must ascend from '*last'. */
static size_t
take_stats(struct fake_call *call, uint64_t *last, size_t *n_messages)
{
    size_t n = 0;
    size_t size;
    uint8_t *reply;

    while ((reply = fake_call_take_reply(call, &size))) {
        pb_stats_page *page
            = tunneloffload__v2__ip_tunnel_stats_responses__unpack(
                NULL, size, reply);

        ck_assert_ptr_ne(page, NULL);
        for (size_t i = 0; i < page->n_responses; i++) {
            ck_assert_uint_gt(page->responses[i]->tunnel_id, *last);
            *last = page->responses[i]->tunnel_id;
        }
        n += page->n_responses;
        ++*n_messages;
        tunneloffload__v2__ip_tunnel_stats_responses__free_unpacked(page,
                                                                    NULL);
        free(reply);
    }
    return n;
}

START_TEST(test_get_all)
{
    struct fake_call *call = ask(OTD_METHOD_GET_ALL, 0, 0);
    finish(call, OTD_STATUS_OK, "");
    expect_no_reply(call);
    fake_call_destroy(call);

    create_tunnels(20000);
    static const struct { uint32_t per_page; size_t n_messages; } cases[] = {
        { 1, 20000 }, { 3000, 7 }, { 20000, 1 }, { 1000000, 1 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        call = ask(OTD_METHOD_GET_ALL_STATS, 1, cases[i].per_page);
        finish(call, OTD_STATUS_OK, "");
        uint64_t last = 0;
        size_t n_messages = 0;
        ck_assert_uint_eq(take_stats(call, &last, &n_messages), 20000);
        ck_assert_uint_eq(n_messages, cases[i].n_messages);
        fake_call_destroy(call);
    }
}
END_TEST

/* A reader that does not read holds a bounded amount, and gets all of it in the
 * end. */
START_TEST(test_slow_reader)
{
    create_tunnels(60000);

    struct fake_call *slow = fake_call_start(transport, OTD_METHOD_GET_ALL);
    struct fake_call *gone = fake_call_start(transport, OTD_METHOD_GET_ALL);
    fake_call_set_reading(slow, false);
    fake_call_set_reading(gone, false);
    fake_call_send(slow, "", 0);
    fake_call_send(gone, "", 0);
    settle();
    size_t n_messages = 0;
    size_t sum = 0;
    size_t size;
    void *reply;
    while ((reply = fake_call_take_reply(slow, &size))) {
        free(reply);
        sum += size;
        n_messages++;
    }
    ck_assert_uint_ge(sum, OTD_SERVICE_SEND_MAX);
    ck_assert_uint_lt(sum, OTD_SERVICE_SEND_MAX + 300 * 1024);
    settle();
    expect_no_reply(slow);

    /* Others are not held up, and one that goes leaves nothing. */
    struct fake_call *other = ask(OTD_METHOD_GET, 1, 1);
    finish(other, OTD_STATUS_OK, "");
    fake_call_destroy(other);
    fake_call_cancel(gone);
    finish(gone, OTD_STATUS_CANCELLED, "");
    fake_call_destroy(gone);

    fake_call_set_reading(slow, true);
    finish(slow, OTD_STATUS_OK, "");
    while ((reply = fake_call_take_reply(slow, &size))) {
        free(reply);
        sum += size;
        n_messages++;
    }
    ck_assert_uint_gt(sum, 2 * OTD_SERVICE_SEND_MAX);
    fake_call_destroy(slow);
}
END_TEST

/* Tunnels that go while all are read: no other is missed or shown twice. */
START_TEST(test_delete_while_reading)
{
    create_tunnels(20000);

    struct fake_call *all = fake_call_start(transport, OTD_METHOD_GET_ALL_STATS);
    fake_call_set_reading(all, false);  /* No event for each message. */
    fake_call_send(all, "\x08\x01", 2);         /* One tunnel a message. */
    otd_service_run(service);
    otd_engine_run(engine);
    otd_service_run(service);
    uint64_t last = 0;
    size_t n_messages = 0;
    size_t n = take_stats(all, &last, &n_messages);
    ck_assert_uint_gt(n, 0);
    ck_assert_uint_lt(n, 20000);

    /* All in one event, so that they are done before the next page. */
    struct fake_call *delete = fake_call_start(transport, OTD_METHOD_CREATE);
    struct ofpbuf bytes;
    uint32_t ends[2000];
    ofpbuf_init(&bytes, 0);
    for (int i = 0; i < 2000; i++) {
        struct otd_spec spec = tunnel_spec(10 * (i + 1), OTD_OP_DELETE);
        otd_codec_encode_request(&spec, &bytes);
        ends[i] = bytes.size;
    }
    fake_call_send_many(delete, bytes.data, ends, ARRAY_SIZE(ends));
    ofpbuf_uninit(&bytes);
    fake_call_half_close(delete);
    finish(delete, OTD_STATUS_OK, "");
    fake_call_destroy(delete);

    finish(all, OTD_STATUS_OK, "");
    n += take_stats(all, &last, &n_messages);
    ck_assert_uint_ge(n, 18000);
    ck_assert_uint_lt(n, 20000);
    ck_assert_uint_eq(last, 19999);
    fake_call_destroy(all);
}
END_TEST

/* ---- Health and reflection. */

static struct fake_call *
ask_health(enum otd_method method, const char *name)
{
    struct fake_call *call = fake_call_start(transport, method);
    struct ofpbuf bytes;

    ofpbuf_init(&bytes, 0);
    put_string(&bytes, 1, name);
    fake_call_send(call, bytes.data, bytes.size);
    fake_call_half_close(call);
    ofpbuf_uninit(&bytes);
    return call;
}

START_TEST(test_health_check)
{
    static const char *const names[] = {
        "", "tunneloffload.v2.IpTunnelService",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct fake_call *call = ask_health(OTD_METHOD_HEALTH_CHECK, names[i]);
        finish(call, OTD_STATUS_OK, "");
        expect_reply(call, "", "1:1");
        fake_call_destroy(call);

        fake_engine_set_serving(engine, false);
        call = ask_health(OTD_METHOD_HEALTH_CHECK, names[i]);
        finish(call, OTD_STATUS_OK, "");
        expect_reply(call, "", "1:2");
        fake_call_destroy(call);
        fake_engine_set_serving(engine, true);
    }

    struct fake_call *call = ask_health(OTD_METHOD_HEALTH_CHECK, "no.such");
    finish(call, OTD_STATUS_NOT_FOUND, "no such service");
    expect_no_reply(call);
    fake_call_destroy(call);
}
END_TEST

START_TEST(test_health_watch)
{
    struct fake_call *watch = ask_health(OTD_METHOD_HEALTH_WATCH, "");
    struct fake_call *slow = ask_health(OTD_METHOD_HEALTH_WATCH, "");
    struct fake_call *unknown = ask_health(OTD_METHOD_HEALTH_WATCH, "no.such");

    settle();
    expect_reply(watch, "", "1:1");
    expect_no_reply(watch);
    expect_reply(slow, "", "1:1");
    expect_reply(unknown, "", "1:3");

    fake_call_set_reading(slow, false);
    for (int i = 0; i < 5; i++) {
        fake_engine_set_serving(engine, false);
        sleep_until_woken();    /* The change alone is a reason. */
        settle();
        expect_reply(watch, "", "1:2");
        expect_no_reply(watch);
        fake_engine_set_serving(engine, true);
        sleep_until_woken();
        settle();
        expect_reply(watch, "", "1:1");
        expect_no_reply(watch);
    }
    fake_engine_set_serving(engine, false);
    settle();
    /* One was on its way to the slow one; of the rest it gets the latest. */
    expect_reply(slow, "", "1:2");
    expect_no_reply(slow);
    fake_engine_set_serving(engine, true);
    settle();
    fake_call_set_reading(slow, true);
    settle();
    expect_reply(slow, "", "1:1");
    expect_no_reply(slow);
    expect_no_reply(unknown);

    fake_call_destroy(watch);
    fake_call_destroy(slow);
    fake_call_destroy(unknown);
    settle();
}
END_TEST

START_TEST(test_reflection)
{
    struct fake_call *call = fake_call_start(transport,
                                             OTD_METHOD_REFLECTION_V1);
    struct ofpbuf bytes;

    ofpbuf_init(&bytes, 0);
    put_string(&bytes, 7, "");          /* list_services. */
    for (int i = 0; i < 3; i++) {
        fake_call_send(call, bytes.data, bytes.size);
    }
    settle();
    ck_assert_uint_eq(fake_call_unconsumed(call), 0);
    for (int i = 0; i < 3; i++) {
        size_t size;
        void *reply = fake_call_take_reply(call, &size);
        ck_assert_ptr_ne(reply, NULL);
        ck_assert_uint_gt(size, 50);
        free(reply);
    }
    expect_no_reply(call);
    fake_call_half_close(call);
    finish(call, OTD_STATUS_OK, "");
    fake_call_destroy(call);

    call = fake_call_start(transport, OTD_METHOD_REFLECTION);
    fake_call_half_close(call);
    finish(call, OTD_STATUS_OK, "");
    fake_call_destroy(call);
    ofpbuf_uninit(&bytes);
}
END_TEST

/* Small questions, large answers, and a client that does not read them. */
START_TEST(test_reflection_flood)
{
    struct fake_call *call = fake_call_start(transport, OTD_METHOD_REFLECTION);
    struct fake_call *gone = fake_call_start(transport, OTD_METHOD_REFLECTION);
    struct ofpbuf bytes;
    size_t sent = 0;

    ofpbuf_init(&bytes, 0);
    put_string(&bytes, 4, "tunneloffload.v2.IpTunnelService");
    fake_call_set_reading(call, false);
    fake_call_set_reading(gone, false);
    for (int i = 0; i < 500; i++) {
        fake_call_send(call, bytes.data, bytes.size);
        fake_call_send(gone, bytes.data, bytes.size);
        sent += bytes.size;
    }
    ofpbuf_uninit(&bytes);
    settle();
    size_t held = fake_call_unconsumed(call);
    ck_assert_uint_gt(held, sent / 4);
    fake_call_cancel(gone);
    finish(gone, OTD_STATUS_CANCELLED, "");
    fake_call_destroy(gone);
    ck_assert_uint_eq(fake_call_unconsumed(call), held);

    fake_call_half_close(call);
    fake_call_set_reading(call, true);
    finish(call, OTD_STATUS_OK, "");
    size_t n = 0;
    size_t size;
    void *reply;
    while ((reply = fake_call_take_reply(call, &size))) {
        free(reply);
        n++;
    }
    ck_assert_uint_eq(n, 500);
    fake_call_destroy(call);
}
END_TEST

/* ---- The transport goes. */

START_TEST(test_transport_goes)
{
    struct fake_call *calls[OTD_N_METHODS];

    create_tunnels(60000);
    fake_engine_hold(engine, true);
    for (enum otd_method m = 0; m < OTD_N_METHODS; m++) {
        calls[m] = fake_call_start(transport, m);
        fake_call_set_reading(calls[m], false);
    }
    send_tunnel(calls[OTD_METHOD_CREATE], 100000);
    fake_call_half_close(calls[OTD_METHOD_CREATE]);
    fake_call_send(calls[OTD_METHOD_GET_STATS], "\x08\x01", 2);
    fake_call_send(calls[OTD_METHOD_GET_ALL], "", 0);
    fake_call_send(calls[OTD_METHOD_GET_ALL_STATS], "", 0);
    fake_call_send(calls[OTD_METHOD_HEALTH_WATCH], "", 0);
    fake_call_send(calls[OTD_METHOD_REFLECTION], "\x3a\x00", 2);
    settle();
    ck_assert_uint_eq(fake_transport_n_open(transport), OTD_N_METHODS);

    struct simap usage = SIMAP_INITIALIZER(&usage);
    otd_service_get_memory_usage(service, &usage);
    ck_assert_uint_eq(simap_get(&usage, "calls"), OTD_N_METHODS);
    simap_destroy(&usage);

    otd_service_set_transport(service, NULL);
    for (enum otd_method m = 0; m < OTD_N_METHODS; m++) {
        finish(calls[m], OTD_STATUS_UNAVAILABLE,
               "the server closes this connection; connect again");
        fake_call_destroy(calls[m]);
    }
    ck_assert_uint_eq(fake_engine_n_open(engine), 0);
    fake_engine_hold(engine, false);
    settle();
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), 60000);

    /* Another one takes its place. */
    fake_transport_destroy(transport);
    transport = fake_transport_create();
    otd_service_set_transport(service, fake_transport_up(transport));
    struct fake_call *call = ask(OTD_METHOD_GET, 1, 1);
    finish(call, OTD_STATUS_OK, "");
    fake_call_destroy(call);
}
END_TEST

/* ---- Many clients, each on a thread of its own. */

#define N_THREADS 8
#define N_ROUNDS 50

struct client {
    pthread_t thread;
    uint64_t first_id;
    struct ofpbuf creates[N_ROUNDS];    /* Made by the main thread. */
    size_t n_good;
};

static atomic_count n_running;

static bool
client_call(enum otd_method method, const void *bytes, size_t n)
{
    struct fake_call *call = fake_call_start(transport, method);

    fake_call_send(call, bytes, n);
    fake_call_half_close(call);
    bool good = (fake_call_wait(call, 60000)
                 && fake_call_status(call) == OTD_STATUS_OK);
    fake_call_destroy(call);
    return good;
}

/* No function of Open vSwitch's, as in a gRPC thread. */
static void *
client_main(void *client_)
{
    struct client *c = client_;

    for (size_t i = 0; i < N_ROUNDS; i++) {
        c->n_good += client_call(OTD_METHOD_CREATE, c->creates[i].data,
                                 c->creates[i].size);
        c->n_good += client_call(OTD_METHOD_GET_ALL_STATS, "", 0);

        /* One that goes in the middle of it all. */
        struct fake_call *gone = fake_call_start(transport,
                                                 OTD_METHOD_GET_ALL);
        fake_call_send(gone, "", 0);
        fake_call_destroy(gone);
    }
    atomic_count_dec(&n_running);
    return NULL;
}

START_TEST(test_threads)
{
    struct client clients[N_THREADS];

    atomic_count_init(&n_running, N_THREADS);
    for (size_t i = 0; i < N_THREADS; i++) {
        struct client *c = &clients[i];
        c->n_good = 0;
        for (size_t j = 0; j < N_ROUNDS; j++) {
            struct otd_spec spec = tunnel_spec(1 + i * N_ROUNDS + j,
                                               OTD_OP_CREATE);
            ofpbuf_init(&c->creates[j], 0);
            otd_codec_encode_request(&spec, &c->creates[j]);
        }
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, client_main,
                                        &clients[i]), 0);
    }
    while (atomic_count_get(&n_running)) {
        otd_service_run(service);
        otd_engine_run(engine);
        otd_service_wait(service);
        otd_engine_wait(engine);
        poll_timer_wait(10);    /* The last thread's end wakes nobody. */
        poll_block();
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        pthread_join(clients[i].thread, NULL);
        ck_assert_uint_eq(clients[i].n_good, 2 * N_ROUNDS);
        for (size_t j = 0; j < N_ROUNDS; j++) {
            ofpbuf_uninit(&clients[i].creates[j]);
        }
    }
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), N_THREADS * N_ROUNDS);
    settle();
}
END_TEST

static TCase *
tests(void)
{
    TCase *t = tcase_create("service");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_create);
    tcase_add_test(t, test_create_nothing);
    tcase_add_test(t, test_create_not_serving);
    tcase_add_test(t, test_create_cancelled);
    tcase_add_test(t, test_window_of_spools);
    tcase_add_test(t, test_window_of_applied);
    tcase_add_test(t, test_get);
    tcase_add_test(t, test_get_unknown);
    tcase_add_test(t, test_get_stats_deleted);
    tcase_add_test(t, test_malformed);
    tcase_add_test(t, test_capabilities);
    tcase_add_test(t, test_get_all);
    tcase_add_test(t, test_slow_reader);
    tcase_add_test(t, test_delete_while_reading);
    tcase_add_test(t, test_health_check);
    tcase_add_test(t, test_health_watch);
    tcase_add_test(t, test_reflection);
    tcase_add_test(t, test_reflection_flood);
    tcase_add_test(t, test_transport_goes);
    tcase_add_test(t, test_threads);
    return t;
}

int
main(void)
{
    Suite *suite = suite_create("service");
    suite_add_tcase(suite, tests());

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
