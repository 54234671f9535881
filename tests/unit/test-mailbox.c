/* SPDX-License-Identifier: Apache-2.0 */
/* The queue between threads: order, completeness, and the wake-up. */
#include <config.h>
#include "lib/mailbox.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "util.h"

struct letter {
    struct otd_mail mail;
    unsigned int producer, number;
};

static struct letter *
take(struct otd_mailbox *mb)
{
    struct otd_mail *mail = otd_mailbox_take(mb);

    return mail ? CONTAINER_OF(mail, struct letter, mail) : NULL;
}

/* Blocks until mail or the end of 'ms'; true if it was mail. */
static bool
sleep_for_mail(struct otd_mailbox *mb, int ms)
{
    long long int deadline = time_msec() + ms;

    otd_mailbox_wait(mb);
    poll_timer_wait_until(deadline);
    poll_block();
    return time_msec() < deadline;
}

START_TEST(test_mailq)
{
    struct otd_mailq q = { NULL };
    struct letter letters[3] = { { .number = 0 }, { .number = 1 },
                                 { .number = 2 } };
    struct otd_mail *chain;

    ck_assert(otd_mailq_is_empty(&q));
    ck_assert_ptr_null(otd_mailq_take_all(&q));
    ck_assert(otd_mailq_push(&q, &letters[0].mail));
    ck_assert(!otd_mailq_push(&q, &letters[1].mail));
    ck_assert(!otd_mailq_push(&q, &letters[2].mail));
    ck_assert(!otd_mailq_is_empty(&q));
    chain = otd_mailq_take_all(&q);
    ck_assert_ptr_eq(chain, &letters[0].mail);
    ck_assert_ptr_eq(chain->next, &letters[1].mail);
    ck_assert_ptr_eq(chain->next->next, &letters[2].mail);
    ck_assert_ptr_null(chain->next->next->next);
    ck_assert(otd_mailq_is_empty(&q));
    ck_assert(otd_mailq_push(&q, &letters[0].mail));
}
END_TEST

START_TEST(test_order)
{
    struct otd_mailbox *mb = otd_mailbox_create();
    struct letter letters[6];

    for (unsigned int i = 0; i < 6; i++) {
        letters[i].number = i;
    }
    ck_assert_ptr_null(take(mb));
    otd_mailbox_post(mb, &letters[0].mail);
    otd_mailbox_post(mb, &letters[1].mail);
    otd_mailbox_post(mb, &letters[2].mail);
    ck_assert_ptr_eq(take(mb), &letters[0]);
    /* What comes later stays behind what was there. */
    otd_mailbox_post(mb, &letters[3].mail);
    ck_assert_ptr_eq(take(mb), &letters[1]);
    ck_assert_ptr_eq(take(mb), &letters[2]);
    otd_mailbox_post(mb, &letters[4].mail);
    ck_assert_ptr_eq(take(mb), &letters[3]);
    ck_assert_ptr_eq(take(mb), &letters[4]);
    ck_assert_ptr_null(take(mb));
    /* A mail may be used again. */
    otd_mailbox_post(mb, &letters[0].mail);
    ck_assert_ptr_eq(take(mb), &letters[0]);
    ck_assert_ptr_null(take(mb));
    otd_mailbox_destroy(mb);
}
END_TEST

START_TEST(test_wait)
{
    struct otd_mailbox *mb = otd_mailbox_create();
    struct letter a, b;

    /* Nothing there: sleeps to the end. */
    ck_assert(!sleep_for_mail(mb, 20));
    ck_assert(!sleep_for_mail(mb, 20));

    /* Posted before the wait. */
    otd_mailbox_post(mb, &a.mail);
    ck_assert(sleep_for_mail(mb, 10000));
    /* Still there. */
    ck_assert(sleep_for_mail(mb, 10000));
    ck_assert_ptr_eq(take(mb), &a);
    ck_assert(!sleep_for_mail(mb, 20));

    /* Posted between the wait and the sleep: the case that must not be
     * lost. */
    otd_mailbox_wait(mb);
    otd_mailbox_post(mb, &a.mail);
    otd_mailbox_post(mb, &b.mail);
    poll_timer_wait(10000);
    long long int start = time_msec();
    poll_block();
    ck_assert_int_lt(time_msec() - start, 5000);

    /* One of them taken: the other must not be slept on. */
    ck_assert_ptr_eq(take(mb), &a);
    ck_assert(sleep_for_mail(mb, 10000));
    ck_assert_ptr_eq(take(mb), &b);

    /* And no signal is left over to wake it for nothing. */
    ck_assert_ptr_null(take(mb));
    ck_assert(!sleep_for_mail(mb, 20));
    otd_mailbox_destroy(mb);
}
END_TEST

/* An awake consumer is not signalled. */
START_TEST(test_no_needless_signal)
{
    struct otd_mailbox *mb = otd_mailbox_create();
    struct letter letters[100];

    for (int i = 0; i < 100; i++) {
        otd_mailbox_post(mb, &letters[i].mail);
    }
    for (int i = 0; i < 100; i++) {
        ck_assert_ptr_eq(take(mb), &letters[i]);
    }
    ck_assert(!sleep_for_mail(mb, 20));
    otd_mailbox_destroy(mb);
}
END_TEST

enum { N_PRODUCERS = 4, N_LETTERS = 50000 };

struct producer {
    struct otd_mailbox *mb;
    unsigned int id;
    pthread_t thread;
};

static void *
producer_main(void *producer_)
{
    struct producer *producer = producer_;

    for (unsigned int i = 0; i < N_LETTERS; i++) {
        struct letter *letter = malloc(sizeof *letter);

        letter->producer = producer->id;
        letter->number = i;
        otd_mailbox_post(producer->mb, &letter->mail);
        if (i % 1000 == producer->id) {
            sched_yield();      /* Lets the consumer fall asleep. */
        }
    }
    return NULL;
}

START_TEST(test_threads)
{
    struct otd_mailbox *mb = otd_mailbox_create();
    struct producer producers[N_PRODUCERS];
    unsigned int next[N_PRODUCERS] = { 0 };
    unsigned int n = 0;

    for (unsigned int i = 0; i < N_PRODUCERS; i++) {
        producers[i].mb = mb;
        producers[i].id = i;
        ck_assert_int_eq(pthread_create(&producers[i].thread, NULL,
                                        producer_main, &producers[i]), 0);
    }
    while (n < N_PRODUCERS * N_LETTERS) {
        struct letter *letter;

        while ((letter = take(mb)) != NULL) {
            ck_assert_uint_lt(letter->producer, N_PRODUCERS);
            /* Each producer's letters in their order, none lost. */
            ck_assert_uint_eq(letter->number, next[letter->producer]++);
            free(letter);
            n++;
        }
        if (n < N_PRODUCERS * N_LETTERS) {
            ck_assert_msg(sleep_for_mail(mb, 30000), "a wake-up was lost");
        }
    }
    for (unsigned int i = 0; i < N_PRODUCERS; i++) {
        pthread_join(producers[i].thread, NULL);
    }
    ck_assert_ptr_null(take(mb));
    ck_assert(!sleep_for_mail(mb, 20));
    otd_mailbox_destroy(mb);
}
END_TEST

/* One letter to and fro: each side sleeps each time, so that every single
 * wake-up counts. */
struct ping_pong {
    struct otd_mailbox *ping, *pong;
};
enum { N_ROUNDS = 20000 };

static void *
pong_main(void *pp_)
{
    struct ping_pong *pp = pp_;

    for (int i = 0; i < N_ROUNDS; i++) {
        struct otd_mail *mail;

        while (!(mail = otd_mailbox_take(pp->ping))) {
            otd_mailbox_wait(pp->ping);
            poll_block();
        }
        otd_mailbox_post(pp->pong, mail);
    }
    return NULL;
}

START_TEST(test_ping_pong)
{
    struct ping_pong pp = { otd_mailbox_create(), otd_mailbox_create() };
    struct letter letter;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, pong_main, &pp), 0);
    for (int i = 0; i < N_ROUNDS; i++) {
        otd_mailbox_post(pp.ping, &letter.mail);
        while (!take(pp.pong)) {
            otd_mailbox_wait(pp.pong);
            poll_block();
        }
    }
    pthread_join(thread, NULL);
    otd_mailbox_destroy(pp.ping);
    otd_mailbox_destroy(pp.pong);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("mailbox");
    TCase *tc = tcase_create("mailbox");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_mailq);
    tcase_add_test(tc, test_order);
    tcase_add_test(tc, test_wait);
    tcase_add_test(tc, test_no_needless_signal);
    tcase_add_test(tc, test_threads);
    tcase_add_test(tc, test_ping_pong);
    suite_add_tcase(suite, tc);

    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
