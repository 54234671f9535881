/* SPDX-License-Identifier: Apache-2.0 */
/* The RPCs over the fake transport and the fake engine: the real service,
 * codec and checks, no gRPC and no switch.  Here: CreateIpTunnel, and the
 * transport; test-service-read.c: all other methods. */
#include <config.h>
#include "tests/unit/service-fixture.h"

#include <pthread.h>
#include <stdlib.h>

#include "openvswitch/poll-loop.h"
#include "ovs-atomic.h"
#include "simap.h"
#include "util.h"

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

/* Streams that wait are spooled up to a common limit, the oldest one beyond.
 */
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

/* A stream without an end does not take all memory. */
START_TEST(test_long_stream)
{
    struct fake_call *call = fake_call_start(transport, OTD_METHOD_CREATE);
    struct fake_call *other = fake_call_start(transport, OTD_METHOD_CREATE);
    size_t n = send_tunnels(call, 1, 100);

    service->stream_max = n;
    settle();
    ck_assert_uint_eq(fake_engine_n_open(engine), 1);
    send_tunnels(call, 101, 3);
    fake_call_half_close(call);
    char *text = xasprintf("the stream is longer than %"PRIuSIZE" bytes; send "
                           "it in parts", n);
    finish(call, OTD_STATUS_RESOURCE_EXHAUSTED, text);
    free(text);
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), 0);
    send_tunnels(other, 1, 100);
    fake_call_half_close(other);
    finish(other, OTD_STATUS_OK, "");
    ck_assert_uint_eq(otd_engine_n_tunnels(engine), 100);
    fake_call_destroy(call);
    fake_call_destroy(other);
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
create_tests(void)
{
    TCase *t = tcase_create("create");

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_create);
    tcase_add_test(t, test_create_nothing);
    tcase_add_test(t, test_create_not_serving);
    tcase_add_test(t, test_create_cancelled);
    tcase_add_test(t, test_window_of_spools);
    tcase_add_test(t, test_window_of_applied);
    tcase_add_test(t, test_long_stream);
    tcase_add_test(t, test_transport_goes);
    tcase_add_test(t, test_threads);
    return t;
}

int
main(void)
{
    Suite *suite = suite_create("service");
    suite_add_tcase(suite, create_tests());
    suite_add_tcase(suite, read_tests());

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
