/* SPDX-License-Identifier: Apache-2.0 */
/* The fake transport keeps the promises of grpcsvc/transport.h; with its
 * clients on other threads, as the thread sanitizer wants them. */
#include <config.h>
#include "tests/fake-transport.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "util.h"

/* A service that answers a stream with its number of bytes. */
struct counted {
    size_t n_bytes;
};

static unsigned int n_cancelled, n_writable;

static void
handle(const struct otd_transport_class *class, const struct otd_event *e)
{
    struct counted *counted = (e->type == OTD_EV_CALL ? NULL
                               : class->get_data(e->call));

    switch (e->type) {
    case OTD_EV_CALL:
        class->set_data(e->call, xzalloc(sizeof *counted));
        return;
    case OTD_EV_MESSAGES:
        ck_assert_uint_gt(e->n, 0);
        counted->n_bytes += e->ends[e->n - 1];
        class->consumed(e->call, e->ends[e->n - 1]);
        return;
    case OTD_EV_HALF_CLOSE:
        class->send(e->call, ofpbuf_clone_data(&counted->n_bytes,
                                               sizeof counted->n_bytes));
        class->finish(e->call, OTD_STATUS_OK, NULL);
        break;
    case OTD_EV_CANCELLED:
        n_cancelled++;
        class->finish(e->call, OTD_STATUS_CANCELLED, "gone");
        break;
    case OTD_EV_WRITABLE:
        n_writable++;
        return;
    }
    free(counted);
}

static void
serve(struct fake_transport *ft)
{
    struct otd_transport *up = fake_transport_up(ft);
    const struct otd_event *e;

    while ((e = up->class->next_event(up)) != NULL) {
        handle(up->class, e);
    }
}

START_TEST(test_one_thread)
{
    struct fake_transport *ft = fake_transport_create();
    struct fake_call *call = fake_call_start(ft, OTD_METHOD_CREATE);
    const uint32_t ends[] = { 2, 2, 5 };
    size_t size;
    void *reply;

    ck_assert(!fake_call_wait(call, 0));
    fake_call_send(call, "abc", 3);
    fake_call_send_many(call, (const uint8_t *) "defgh", ends, 3);
    fake_call_send(call, "", 0);
    ck_assert_uint_eq(fake_call_unconsumed(call), 8);
    serve(ft);
    ck_assert_uint_eq(fake_call_unconsumed(call), 0);
    ck_assert_uint_eq(fake_transport_n_open(ft), 1);
    ck_assert_ptr_null(fake_call_take_reply(call, &size));

    fake_call_half_close(call);
    serve(ft);
    ck_assert(fake_call_wait(call, 0));
    ck_assert_int_eq(fake_call_status(call), OTD_STATUS_OK);
    ck_assert_str_eq(fake_call_text(call), "");
    reply = fake_call_take_reply(call, &size);
    ck_assert_uint_eq(size, sizeof(size_t));
    ck_assert_uint_eq(*(size_t *) reply, 8);
    free(reply);
    ck_assert_uint_eq(fake_transport_n_open(ft), 0);

    /* What comes after the end is not seen. */
    fake_call_send(call, "xyz", 3);
    fake_call_cancel(call);
    serve(ft);
    fake_call_destroy(call);
    ck_assert_uint_eq(n_cancelled, 0);
    fake_transport_destroy(ft);
}
END_TEST

START_TEST(test_stalled_reader)
{
    struct fake_transport *ft = fake_transport_create();
    struct otd_transport *up = fake_transport_up(ft);
    struct fake_call *call = fake_call_start(ft, OTD_METHOD_GET_ALL);
    const struct otd_event *e = up->class->next_event(up);
    struct otd_call *handle_ = e->call;
    size_t size;

    ck_assert_int_eq(e->type, OTD_EV_CALL);
    ck_assert_int_eq(e->method, OTD_METHOD_GET_ALL);
    up->class->set_data(handle_, xzalloc(sizeof(struct counted)));
    fake_call_set_reading(call, false);
    up->class->send(handle_, ofpbuf_clone_data("12345", 5));
    up->class->send(handle_, ofpbuf_clone_data("678", 3));
    ck_assert_uint_eq(up->class->send_pending(handle_), 8);
    ck_assert_ptr_null(up->class->next_event(up));

    fake_call_set_reading(call, true);
    e = up->class->next_event(up);
    ck_assert_ptr_nonnull(e);
    ck_assert_int_eq(e->type, OTD_EV_WRITABLE);
    ck_assert_uint_eq(up->class->send_pending(handle_), 0);

    free(fake_call_take_reply(call, &size));
    ck_assert_uint_eq(size, 5);

    /* The client goes: the service is told, and lets go. */
    fake_call_destroy(call);
    n_cancelled = 0;
    serve(ft);
    ck_assert_uint_eq(n_cancelled, 1);
    ck_assert_uint_eq(fake_transport_n_open(ft), 0);
    fake_transport_destroy(ft);
}
END_TEST

START_TEST(test_destroy_ends_calls)
{
    struct fake_transport *ft = fake_transport_create();
    struct fake_call *call = fake_call_start(ft, OTD_METHOD_CREATE);

    fake_transport_destroy(ft);
    ck_assert(fake_call_wait(call, 0));
    ck_assert_int_eq(fake_call_status(call), OTD_STATUS_UNAVAILABLE);
    fake_call_destroy(call);
}
END_TEST

enum { N_CLIENTS = 4, N_CALLS = 500 };

struct client {
    struct fake_transport *ft;
    pthread_t thread;
    atomic_int *n_running;
    bool ok;
};

static bool
client_call(struct fake_transport *ft, int i)
{
    struct fake_call *call = fake_call_start(ft, OTD_METHOD_CREATE);
    size_t n = i % 10, size = 0;
    bool ok;

    for (size_t j = 0; j < n; j++) {
        fake_call_send(call, "0123456789", j);
    }
    if (i % 3) {
        size_t *reply;

        fake_call_half_close(call);
        ok = (fake_call_wait(call, 30000)
              && fake_call_status(call) == OTD_STATUS_OK);
        reply = fake_call_take_reply(call, &size);
        ok = ok && reply && *reply == n * (n - 1) / 2;
        free(reply);
    } else {
        fake_call_cancel(call);
        ok = (fake_call_wait(call, 30000)
              && fake_call_status(call) == OTD_STATUS_CANCELLED
              && !strcmp(fake_call_text(call), "gone"));
    }
    fake_call_destroy(call);
    return ok;
}

static void *
client_main(void *client_)
{
    struct client *client = client_;

    client->ok = true;
    for (int i = 0; i < N_CALLS; i++) {
        client->ok = client_call(client->ft, i) && client->ok;
    }
    atomic_fetch_sub(client->n_running, 1);
    /* Wakes the service a last time. */
    fake_call_destroy(fake_call_start(client->ft, OTD_METHOD_CREATE));
    return NULL;
}

START_TEST(test_threads)
{
    struct fake_transport *ft = fake_transport_create();
    struct otd_transport *up = fake_transport_up(ft);
    struct client clients[N_CLIENTS];
    atomic_int n_running = N_CLIENTS;

    for (int i = 0; i < N_CLIENTS; i++) {
        clients[i].ft = ft;
        clients[i].n_running = &n_running;
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL,
                                        client_main, &clients[i]), 0);
    }
    for (;;) {
        serve(ft);
        /* After the look at the events: a client wakes us after it has counted
         * itself out, so what comes from here on is seen by wait(). */
        if (!atomic_load(&n_running)) {
            break;
        }
        up->class->wait(up);
        poll_block();
    }
    for (int i = 0; i < N_CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        ck_assert(clients[i].ok);
    }
    serve(ft);
    ck_assert_uint_eq(fake_transport_n_open(ft), 0);
    fake_transport_destroy(ft);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fake-transport");
    TCase *tc = tcase_create("fake-transport");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_one_thread);
    tcase_add_test(tc, test_stalled_reader);
    tcase_add_test(tc, test_destroy_ends_calls);
    tcase_add_test(tc, test_threads);
    suite_add_tcase(suite, tc);

    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
