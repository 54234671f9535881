/* SPDX-License-Identifier: Apache-2.0 */
/* The reads, health and reflection over the fake transport and the fake
 * engine. */
#include <config.h>
#include "tests/unit/service-fixture.h"

#include <stdlib.h>

#include "proto/tunneloffload.pb-c.h"
#include "util.h"

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

/* Takes all replies of a GetAllIpTunnelsStats; returns the number of tunnels
 * in them.  Their ids must ascend from '*last'. */
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

/* A reader that does not read holds a bounded amount, and gets all of it in
 * the end. */
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

    struct fake_call *all = fake_call_start(transport,
                                            OTD_METHOD_GET_ALL_STATS);
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

TCase *
read_tests(void)
{
    TCase *t = tcase_create("read");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
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
    return t;
}
