/* SPDX-License-Identifier: Apache-2.0 */
/* How faults are collected into one text. */
#include <config.h>
#include "lib/fault.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/utf8.h"
#include "util.h"

static struct otd_faults faults;

static void
setup(void)
{
    otd_faults_init(&faults);
}

static void
teardown(void)
{
    otd_faults_destroy(&faults);
}

START_TEST(test_none)
{
    ck_assert(!otd_faults_any(&faults));
    ck_assert_str_eq(otd_faults_text(&faults), "");
    ck_assert_ptr_null(faults.text);
    otd_faults_destroy(NULL);
}
END_TEST

START_TEST(test_join)
{
    otd_fault(&faults, OTD_FAULT_GENEVE_FIELD, "geneve.geneve_encap.vni",
              "%u does not fit %d bits; use at most %u", 16777216, 24,
              16777215);
    ck_assert_str_eq(otd_faults_text(&faults),
                     "geneve.geneve_encap.vni: 16777216 does not fit 24 bits; "
                     "use at most 16777215");
    otd_fault(&faults, OTD_FAULT_OTHER, NULL, "no path");
    otd_fault(&faults, OTD_FAULT_OTHER, "", "empty path");
    ck_assert_str_eq(otd_faults_text(&faults),
                     "geneve.geneve_encap.vni: 16777216 does not fit 24 bits; "
                     "use at most 16777215; no path; empty path");
    ck_assert_uint_eq(faults.n, 3);
    ck_assert_uint_eq(faults.n_dropped, 0);
    ck_assert_uint_eq(faults.len, strlen(faults.text));
    ck_assert_int_eq(faults.kind, OTD_FAULT_GENEVE_FIELD);

    otd_faults_destroy(&faults);
    ck_assert(!otd_faults_any(&faults));
    ck_assert_str_eq(otd_faults_text(&faults), "");
}
END_TEST

START_TEST(test_sanitize)
{
    otd_fault(&faults, OTD_FAULT_OTHER, "a\nb", "%s",
              "tab\t nl\n esc\033 del\177 c1\302\205 lone\200 short\303 "
              "long\300\257 surrogate\355\240\200 high\364\220\200\200 "
              "cut\342\202");
    ck_assert_str_eq(otd_faults_text(&faults),
                     "a?b: tab? nl? esc? del? c1?? lone? short? long?? "
                     "surrogate??? high???? cut??");
}
END_TEST

START_TEST(test_utf8_stays)
{
    const char *s = "\302\240 \303\244 \340\240\200 \342\202\254 \355\237\277 "
                    "\356\200\200 \360\220\200\200 \364\217\277\277";

    otd_fault(&faults, OTD_FAULT_OTHER, NULL, "%s", s);
    ck_assert_str_eq(otd_faults_text(&faults), s);
}
END_TEST

START_TEST(test_one_too_long)
{
    char *s = xmalloc(3 * OTD_FAULTS_TEXT_MAX + 1);

    /* The cut would be inside a three-byte character. */
    for (size_t i = 0; i < OTD_FAULTS_TEXT_MAX; i++) {
        memcpy(s + 3 * i, "\342\202\254", 3);
    }
    s[3 * OTD_FAULTS_TEXT_MAX] = '\0';
    otd_fault(&faults, OTD_FAULT_OTHER, NULL, "%s", s);

    size_t n = (OTD_FAULTS_TEXT_MAX - 3) / 3 * 3;
    ck_assert_uint_eq(faults.len, n + 3);
    ck_assert_mem_eq(faults.text, s, n);
    ck_assert_str_eq(faults.text + n, "...");

    /* Then nothing else fits. */
    otd_fault(&faults, OTD_FAULT_MATCH_FIELD, "p", "m");
    ck_assert_str_eq(faults.text + n, "...; ... and 1 more");
    ck_assert_int_eq(faults.kind, OTD_FAULT_OTHER);
    free(s);
}
END_TEST

START_TEST(test_many)
{
    size_t kept = 0;

    for (size_t i = 0; i < 1000; i++) {
        otd_fault(&faults, OTD_FAULT_OTHER, "path", "fault %03"PRIuSIZE, i);
        ck_assert_uint_eq(faults.len, strlen(faults.text));
        kept += !faults.n_dropped;
    }
    /* 15 bytes each, and 2 between them. */
    ck_assert_uint_eq(kept, (OTD_FAULTS_TEXT_MAX + 2) / 17);
    ck_assert_uint_eq(faults.n, 1000);
    ck_assert_uint_eq(faults.n_dropped, 1000 - kept);

    char *tail = xasprintf("; path: fault %03"PRIuSIZE"; ... and %"PRIuSIZE
                           " more", kept - 1, 1000 - kept);
    ck_assert_str_eq(faults.text + faults.len - strlen(tail), tail);
    free(tail);

    /* A short one is not squeezed in out of order. */
    otd_fault(&faults, OTD_FAULT_OTHER, NULL, "x");
    ck_assert_uint_eq(faults.n_dropped, 1001 - kept);
}
END_TEST

START_TEST(test_exact_fit)
{
    otd_fault(&faults, OTD_FAULT_OTHER, NULL, "%0*d", OTD_FAULTS_TEXT_MAX - 5,
              0);
    otd_fault(&faults, OTD_FAULT_OTHER, NULL, "abc");
    ck_assert_uint_eq(faults.len, OTD_FAULTS_TEXT_MAX);
    ck_assert_str_eq(faults.text + OTD_FAULTS_TEXT_MAX - 6, "0; abc");
    otd_faults_destroy(&faults);

    otd_fault(&faults, OTD_FAULT_OTHER, NULL, "%0*d", OTD_FAULTS_TEXT_MAX - 5,
              0);
    otd_fault(&faults, OTD_FAULT_OTHER, NULL, "abcd");
    ck_assert_str_eq(faults.text + OTD_FAULTS_TEXT_MAX - 6,
                     "0; ... and 1 more");
}
END_TEST

START_TEST(test_append)
{
    struct otd_faults other = OTD_FAULTS_INITIALIZER;

    otd_faults_append(&faults, &other);
    ck_assert(!otd_faults_any(&faults));

    otd_fault(&other, OTD_FAULT_MATCH_FIELD, "a", "1");
    otd_fault(&other, OTD_FAULT_IPSEC_KEY, "b", "2");
    otd_faults_append(&faults, &other);
    ck_assert_str_eq(otd_faults_text(&faults), "a: 1; b: 2");
    ck_assert_uint_eq(faults.n, 2);
    ck_assert_int_eq(faults.kind, OTD_FAULT_MATCH_FIELD);

    otd_faults_append(&faults, &other);
    ck_assert_str_eq(otd_faults_text(&faults), "a: 1; b: 2; a: 1; b: 2");
    ck_assert_str_eq(otd_faults_text(&other), "a: 1; b: 2");
    ck_assert_uint_eq(faults.n, 4);

    /* What did not fit there does not come back here. */
    while (other.n_dropped < 3) {
        otd_fault(&other, OTD_FAULT_OTHER, NULL, "0123456789");
    }
    size_t n = faults.n + other.n;
    otd_faults_append(&faults, &other);
    ck_assert_uint_eq(faults.n, n);
    ck_assert_uint_eq(faults.n_dropped, other.n);       /* No room for it. */
    char *text = xasprintf("a: 1; b: 2; a: 1; b: 2; ... and %"PRIuSIZE" more",
                           other.n);
    ck_assert_str_eq(otd_faults_text(&faults), text);
    free(text);

    otd_faults_destroy(&faults);
    otd_faults_append(&faults, &other);
    ck_assert_str_eq(otd_faults_text(&faults), otd_faults_text(&other));
    ck_assert_uint_eq(faults.n, other.n);
    ck_assert_uint_eq(faults.n_dropped, 3);
    otd_faults_destroy(&other);
}
END_TEST

START_TEST(test_kinds)
{
    /* The names are those of the API's enums. */
    static const char *const names[OTD_N_FAULT_KINDS] = {
        "OTHER", "MISING_FIELDS", "INVALID_TUNNEL_ID", "INVALID_CAPABILITIES",
        "INVALID_FIELD", "NOT_SUPPORTED_TUNNEL", "INVALID_KEY",
        "NON_SUPPORTED_ENCRYPTION", "NON_SUPPORTED_TUNNEL_TYPE",
        "IPSEC_MISSING_FIELDS", "INVALID_OPTION", "TOO_MANY_OPTIONS",
        "INVALID_GENEVE_FIELD", "ALREADY_EXISTS", "TABLE_FULL", "UNAVAILABLE",
    };

    for (size_t i = 0; i < OTD_N_FAULT_KINDS; i++) {
        ck_assert_str_eq(otd_fault_kind_to_string(i), names[i]);
    }
    ck_assert_str_eq(otd_fault_kind_to_string(OTD_N_FAULT_KINDS), "?");
}
END_TEST

/* Against the definition: exactly the encodings of the scalar values. */
static bool
is_right_len(const uint8_t p[3], size_t n)
{
    uint32_t c;

    switch (n) {
    case 0:
        return true;            /* Those that are 0 in error are counted. */
    case 1:
        return p[0] < 0x80;
    case 2:
        c = (p[0] & 0x1f) << 6 | (p[1] & 0x3f);
        return p[0] >> 5 == 6 && p[1] >> 6 == 2 && c >= 0x80;
    case 3:
        c = (p[0] & 0xf) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
        return (p[0] >> 4 == 14 && p[1] >> 6 == 2 && p[2] >> 6 == 2
                && c >= 0x800 && (c < 0xd800 || c > 0xdfff));
    default:
        return false;
    }
}

START_TEST(test_utf8_exhaustive)
{
    size_t n_of_len[5] = { 0 };

    for (uint32_t x = 0; x < 1 << 24; x++) {
        const uint8_t p[3] = { x >> 16, x >> 8, x };
        size_t n = otd_utf8_char_len(p, 3);

        /* Not ck_assert() for each: it is a write to a pipe. */
        if (!is_right_len(p, n) || (n && (otd_utf8_char_len(p, n) != n
                                          || otd_utf8_char_len(p, n - 1)))) {
            ck_abort_msg("%06x: %"PRIuSIZE, x, n);
        }
        n_of_len[n]++;
    }
    ck_assert_uint_eq(n_of_len[1], 0x80 << 16);
    ck_assert_uint_eq(n_of_len[2], (0x800 - 0x80) << 8);
    ck_assert_uint_eq(n_of_len[3], 0x10000 - 0x800 - 0x800);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("fault");
    TCase *tcase = tcase_create("fault");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_none);
    tcase_add_test(tcase, test_join);
    tcase_add_test(tcase, test_sanitize);
    tcase_add_test(tcase, test_utf8_stays);
    tcase_add_test(tcase, test_one_too_long);
    tcase_add_test(tcase, test_many);
    tcase_add_test(tcase, test_exact_fit);
    tcase_add_test(tcase, test_append);
    tcase_add_test(tcase, test_kinds);
    tcase_add_test(tcase, test_utf8_exhaustive);
    tcase_set_timeout(tcase, 60);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
