/* SPDX-License-Identifier: Apache-2.0 */
/* The index against a plain list that does the same. */
#include <config.h>
#include "engine/index.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

#define N_KEYS 3000

static struct otd_index ix;
static uint32_t hashes[N_KEYS + 1];     /* Of the keys that are in. */
static bool in[N_KEYS + 1];
static uint64_t state;

static uint32_t
random_below(uint32_t n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % n;
}

static void
check_hash(uint32_t hash)
{
    bool found[N_KEYS + 1] = { false };
    size_t pos = 0;
    uint32_t key;

    while ((key = otd_index_next(&ix, hash, &pos)) != 0) {
        ck_assert_uint_le(key, N_KEYS);
        ck_assert(!found[key]);
        found[key] = true;
    }
    for (key = 1; key <= N_KEYS; key++) {
        ck_assert_int_eq(found[key], in[key] && hashes[key] == hash);
    }
}

static void
toggle(uint32_t key, uint32_t hash)
{
    if (in[key]) {
        otd_index_remove(&ix, hashes[key], key);
    } else {
        hashes[key] = hash;
        otd_index_insert(&ix, hash, key);
    }
    in[key] = !in[key];
}

/* 'n_hashes' makes collisions, 'step' makes neighbours. */
static void
run(uint32_t n_hashes, uint32_t step)
{
    size_t n = 0;

    otd_index_init(&ix);
    check_hash(0);
    for (int i = 0; i < 40000; i++) {
        uint32_t key = 1 + random_below(N_KEYS);

        toggle(key, random_below(n_hashes) * step);
        n += in[key] ? 1 : -1;
        ck_assert_uint_eq(ix.n, n);
        if (i % 50 == 0) {
            check_hash(random_below(n_hashes) * step);
        }
    }
    for (uint32_t key = 1; key <= N_KEYS; key++) {      /* Shrinks. */
        if (in[key]) {
            toggle(key, 0);
            if (key % 50 == 0) {
                check_hash(hashes[key]);
            }
        }
    }
    ck_assert_uint_eq(ix.n, 0);
    ck_assert_uint_lt(ix.mask, 64);
    otd_index_destroy(&ix);
}

START_TEST(test_spread)
{
    run(UINT32_MAX, 1);
}
END_TEST

START_TEST(test_equal)
{
    run(7, 1);
}
END_TEST

START_TEST(test_neighbours)
{
    run(500, 1);
}
END_TEST

START_TEST(test_same_slot)
{
    run(500, 1u << 16);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("index");
    TCase *tc = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int n_failed;

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_spread);
    tcase_add_test(tc, test_equal);
    tcase_add_test(tc, test_neighbours);
    tcase_add_test(tc, test_same_slot);
    suite_add_tcase(suite, tc);
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
