/* SPDX-License-Identifier: Apache-2.0 */
/* A commit of the store is on the disk when it returns: SQLite asks the kernel for
 * that, and this program counts how often. */
#include <config.h>
#include "store/store.h"

#include <check.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "openvswitch/util.h"
#include "util.h"

static int n_syncs;

/* In the place of the C library's, for the SQLite library too. */
int fdatasync(int fd);
int fsync(int fd);

int
fdatasync(int fd)
{
    n_syncs++;
    return syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
    n_syncs++;
    return syscall(SYS_fsync, fd);
}

START_TEST(test_commit_syncs)
{
    char base[] = "/tmp/test-durable.XXXXXX";
    struct otd_store *store;

    ck_assert_ptr_nonnull(mkdtemp(base));
    char *dir = xasprintf("%s/store", base);
    ck_assert_ptr_null(otd_store_open(dir, &store));

    for (int i = 1; i <= 3; i++) {
        ck_assert_ptr_null(otd_store_begin(store));
        ck_assert_ptr_null(otd_store_put(store, i, i, "tunnel", 6));
        int before = n_syncs;
        ck_assert_ptr_null(otd_store_commit(store));
        ck_assert_int_gt(n_syncs, before);
    }

    otd_store_close(store);
    char *command = xasprintf("rm -r %s", base);
    ck_assert_int_eq(system(command), 0);
    free(command);
    free(dir);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("durable");
    TCase *tcase = tcase_create("commit");

    tcase_add_test(tcase, test_commit_syncs);
    suite_add_tcase(suite, tcase);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
