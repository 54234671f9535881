/* SPDX-License-Identifier: Apache-2.0 */
/* The durable table: what is kept, and who may open it. */
#include <config.h>
#include "store/store.h"

#include <check.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "openvswitch/dynamic-string.h"
#include "tests/unit/store-fixture.h"
#include "util.h"

/* ---- What is kept. */

START_TEST(test_first_start)
{
    struct otd_store *s = open_store();
    struct stat st;

    ck_assert_uint_eq(otd_store_next_key(s), 1);
    ck_assert(!otd_store_in_transaction(s));
    assert_contents(s, "");
    ck_assert_int_eq(stat(dir, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    ck_assert_int_eq(stat(file("tunnels.db"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(stat(file("tunnels.db-wal"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    otd_store_close(s);
}
END_TEST

START_TEST(test_umask_is_put_back)
{
    mode_t old = umask(0);
    struct stat st;

    no_error(try_open());
    ck_assert_uint_eq(umask(old), 0);
    ck_assert_int_eq(stat(file("tunnels.db"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_round_trip)
{
    const char *expected = make_sample();
    struct otd_store *s = open_store();

    assert_contents(s, expected);
    ck_assert_uint_eq(otd_store_next_key(s), 4);
    otd_store_close(s);
}
END_TEST

START_TEST(test_every_id_and_key)
{
    struct otd_store *s = open_store();

    no_error(otd_store_begin(s));
    put(s, 0, UINT32_MAX, "a");
    put(s, (uint64_t) 1 << 63, 0, "b");
    put(s, INT64_MAX, 0x80000000, "c");
    no_error(otd_store_put(s, 1, 5, "\0x", 2));
    no_error(otd_store_commit(s));
    otd_store_close(s);

    s = open_store();
    ck_assert_uint_eq(otd_store_next_key(s), UINT32_MAX);
    no_error(otd_store_begin(s));
    no_error(otd_store_delete(s, 5));
    no_error(otd_store_commit(s));
    assert_contents(s, "0 9223372036854775808 b\n"
                       "2147483648 9223372036854775807 c\n"
                       "4294967295 0 a\n");
    otd_store_close(s);
}
END_TEST

START_TEST(test_replace_and_delete)
{
    struct otd_stored_counters c = { .base_packets = 9 };
    struct otd_store *s = open_store();

    no_error(otd_store_begin(s));
    put(s, 10, 1, "one");
    put(s, 20, 2, "two");
    no_error(otd_store_put_counters(s, 1, &c));
    no_error(otd_store_commit(s));

    no_error(otd_store_begin(s));
    put(s, 10, 1, "one again");         /* The counters stay. */
    no_error(otd_store_commit(s));
    assert_contents(s, "1 10 one again [9 0 0 0 0 0 0 0]\n2 20 two\n");

    no_error(otd_store_begin(s));
    no_error(otd_store_delete(s, 1));
    put(s, 10, 3, "moved");             /* A new row: from zero. */
    no_error(otd_store_commit(s));
    assert_contents(s, "2 20 two\n3 10 moved\n");

    no_error(otd_store_begin(s));
    no_error(otd_store_put_counters(s, 3, &c));
    no_error(otd_store_delete(s, 3));
    no_error(otd_store_delete(s, 4711));
    no_error(otd_store_put_counters(s, 3, &c));
    put(s, 30, 3, "heir");              /* No counters of the former key 3. */
    no_error(otd_store_commit(s));
    assert_contents(s, "2 20 two\n3 30 heir\n");
    otd_store_close(s);
    s = open_store();
    assert_contents(s, "2 20 two\n3 30 heir\n");
    otd_store_close(s);
}
END_TEST

/* What is below the next key is looked for first, what is above is not; both
 * kinds of tunnel may be there already, or not. */
START_TEST(test_replace_around_next_key)
{
    struct otd_store *s = open_store();

    no_error(otd_store_begin(s));
    put(s, 50, 5, "above, new");
    no_error(otd_store_commit(s));
    no_error(otd_store_begin(s));
    put(s, 50, 5, "above, there");
    no_error(otd_store_set_next_key(s, 6));
    put(s, 40, 4, "below, new");
    no_error(otd_store_commit(s));
    assert_contents(s, "4 40 below, new\n5 50 above, there\n");
    no_error(otd_store_begin(s));
    put(s, 40, 4, "below, there");
    no_error(otd_store_commit(s));
    otd_store_close(s);

    s = open_store();
    assert_contents(s, "4 40 below, there\n5 50 above, there\n");
    otd_store_close(s);
}
END_TEST

START_TEST(test_keys_are_unique)
{
    struct otd_stored_counters c = { .base_packets = 9 };
    struct otd_store *s = open_store();

    no_error(otd_store_begin(s));
    put(s, 10, 1, "one");
    put(s, 20, 2, "two");
    no_error(otd_store_put_counters(s, 1, &c));
    no_error(otd_store_put_counters(s, 2, &c));
    no_error(otd_store_commit(s));

    for (int i = 0; i < 4; i++) {
        no_error(otd_store_begin(s));
        no_error(otd_store_set_next_key(s, i < 2 ? 1 : 3));
        assert_error(otd_store_put(s, i % 2 ? 20 : 30, 1, "x", 1), i % 2
                     ? "tunnel 20: %s/tunnels.db: key 1 belongs to another "
                       "tunnel"
                     : "tunnel 30: %s/tunnels.db: key 1 belongs to another "
                       "tunnel");
        otd_store_rollback(s);
    }
    assert_contents(s, "1 10 one [9 0 0 0 0 0 0 0]\n"
                       "2 20 two [9 0 0 0 0 0 0 0]\n");
    otd_store_close(s);
}
END_TEST

START_TEST(test_ids_are_unique)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct otd_store *s = open_store();

    /* In whatever order the ids are, and next to each other or not. */
    no_error(otd_store_begin(s));
    put(s, 10, 1, "one");
    put(s, UINT64_MAX, 2, "two");
    put(s, 5, 3, "three");
    no_error(otd_store_commit(s));
    for (uint32_t key = 1; key <= 3; key++) {
        no_error(otd_store_begin(s));
        put(s, UINT64_MAX, 10, "again");
        no_error(otd_store_commit(s));
        assert_error(dump(s, &ds), "%s/tunnels.db: the file is damaged "
                     "(tunnel 18446744073709551615 stands twice); restore it "
                     "from a backup, or move it and tunnels.db-created away "
                     "to start empty");
        no_error(otd_store_begin(s));
        no_error(otd_store_delete(s, 10));
        if (key != 2) {
            no_error(otd_store_delete(s, key));
        }
        no_error(otd_store_commit(s));
    }
    assert_contents(s, "2 18446744073709551615 two\n");
    ds_destroy(&ds);
    otd_store_close(s);
}
END_TEST

START_TEST(test_tlv)
{
    struct otd_store_tlv a = { .opt_class = 0xffff, .type = 0xff, .len = 124,
                               .index = 63 };
    struct otd_store_tlv b = { .opt_class = 1, .type = 2, .len = 8 };
    struct otd_store *s = open_store();

    no_error(otd_store_begin(s));
    no_error(otd_store_put_tlv(s, &a));
    no_error(otd_store_put_tlv(s, &b));
    b.len = 12;
    no_error(otd_store_put_tlv(s, &b));
    no_error(otd_store_commit(s));
    assert_contents(s, "tlv 0 0x1 0x2 12\ntlv 63 0xffff 0xff 124\n");

    no_error(otd_store_begin(s));
    no_error(otd_store_delete_tlv(s, 63));
    no_error(otd_store_delete_tlv(s, 5));
    no_error(otd_store_commit(s));
    assert_contents(s, "tlv 0 0x1 0x2 12\n");
    otd_store_close(s);
}
END_TEST

START_TEST(test_rollback)
{
    const char *expected = make_sample();
    struct otd_store *s = open_store();

    otd_store_rollback(s);              /* Without a transaction: nothing. */
    no_error(otd_store_begin(s));
    ck_assert(otd_store_in_transaction(s));
    put(s, 7, 1, "changed");
    put(s, 8, 51, "new");
    no_error(otd_store_delete(s, 3));
    no_error(otd_store_delete_tlv(s, 0));
    no_error(otd_store_set_next_key(s, 52));
    ck_assert_uint_eq(otd_store_next_key(s), 52);
    otd_store_rollback(s);
    ck_assert(!otd_store_in_transaction(s));
    ck_assert_uint_eq(otd_store_next_key(s), 4);
    assert_contents(s, expected);

    /* Closing with an open transaction is a rollback, too. */
    no_error(otd_store_begin(s));
    put(s, 8, 51, "new");
    otd_store_close(s);
    s = open_store();
    assert_contents(s, expected);
    otd_store_close(s);
}
END_TEST

START_TEST(test_misuse)
{
    struct otd_store *s = open_store();
    struct otd_store_tlv tlv = { .len = 4 };

    assert_error(otd_store_put(s, 5, 1, "x", 1),
                 "tunnel 5: %s/tunnels.db: there is no open transaction");
    assert_error(otd_store_delete(s, 1),
                 "%s/tunnels.db: there is no open transaction");
    assert_error(otd_store_put_tlv(s, &tlv),
                 "%s/tunnels.db: there is no open transaction");
    assert_error(otd_store_set_next_key(s, 9),
                 "%s/tunnels.db: there is no open transaction");
    assert_error(otd_store_commit(s),
                 "%s/tunnels.db: there is no open transaction");
    no_error(otd_store_begin(s));
    assert_error(otd_store_begin(s),
                 "%s/tunnels.db: a transaction is open already");
    no_error(otd_store_commit(s));
    ck_assert_uint_eq(otd_store_next_key(s), 1);
    assert_contents(s, "");
    otd_store_close(s);
    otd_store_close(NULL);
}
END_TEST

static char *
refuse_row(const struct otd_store_row *row, void *n)
{
    ++*(int *) n;
    return row->key == 2 ? xstrdup("do not like it") : NULL;
}

START_TEST(test_load_stops)
{
    struct otd_store *s;
    int n = 0;

    make_sample();
    s = open_store();
    assert_error(otd_store_load(s, refuse_row, NULL, &n),
                 "%s/tunnels.db: do not like it");
    ck_assert_int_eq(n, 2);
    otd_store_close(s);
}
END_TEST

START_TEST(test_next_key_is_above_all_keys)
{
    struct otd_store *s = open_store();

    no_error(otd_store_begin(s));
    put(s, 1, 100, "x");
    no_error(otd_store_commit(s));
    otd_store_close(s);
    s = open_store();
    ck_assert_uint_eq(otd_store_next_key(s), 101);
    otd_store_close(s);
}
END_TEST

START_TEST(test_deleted_bytes_are_gone)
{
    static const char secret[] = "0123456789abcdefSECRET";
    struct otd_store *s = open_store();
    size_t n;
    char *data;

    no_error(otd_store_begin(s));
    put(s, 1, 1, secret);
    put(s, 2, 2, "other");
    no_error(otd_store_commit(s));
    otd_store_close(s);
    data = read_file(file("tunnels.db"), &n);
    ck_assert_ptr_nonnull(memmem(data, n, secret, strlen(secret)));
    free(data);

    s = open_store();
    no_error(otd_store_begin(s));
    no_error(otd_store_delete(s, 1));
    no_error(otd_store_commit(s));
    otd_store_close(s);
    data = read_file(file("tunnels.db"), &n);
    ck_assert_ptr_null(memmem(data, n, secret, strlen(secret)));
    free(data);
    ck_assert_int_eq(access(file("tunnels.db-wal"), F_OK), -1);
}
END_TEST

/* ---- Who may open it. */

START_TEST(test_second_opener)
{
    struct otd_store *s = open_store();
    struct otd_store *second;
    pid_t pid;
    int status;

    assert_error(otd_store_open(dir, &second),
                 "%s: another ovs-tunneld is using this store");
    pid = fork();
    if (!pid) {
        char *error = otd_store_open(dir, &second);
        char *expected = xasprintf("%s: another ovs-tunneld is using this "
                                   "store", dir);

        _exit(error && !strcmp(error, expected) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);

    /* The first one is none the worse for it. */
    no_error(otd_store_begin(s));
    put(s, 1, 1, "x");
    no_error(otd_store_commit(s));
    otd_store_close(s);
    no_error(try_open());
}
END_TEST

START_TEST(test_other_program_has_it_open)
{
    sqlite3 *db;

    make_sample();
    ck_assert_int_eq(sqlite3_open(file("tunnels.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE;"
                                  "BEGIN EXCLUSIVE", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_error(try_open(), "%s/tunnels.db: cannot open it: another program "
                 "has this file open");
    sqlite3_close(db);
    no_error(try_open());
}
END_TEST

START_TEST(test_other_program_cannot_read)
{
    struct otd_store *s = open_store();
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(file("tunnels.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "SELECT * FROM tunnel", NULL, NULL,
                                  NULL), SQLITE_BUSY);
    sqlite3_close(db);
    otd_store_close(s);
}
END_TEST

/* ---- The directory. */

START_TEST(test_directory_mode)
{
    ck_assert_int_eq(mkdir(dir, 0755), 0);
    ck_assert_int_eq(chmod(dir, 0750), 0);
    assert_error(try_open(), "%s: the store's directory has mode 0750, which "
                 "lets others in; make it 0700");
    ck_assert_int_eq(chmod(dir, 0700), 0);
    no_error(try_open());
}
END_TEST

START_TEST(test_directory_symlink)
{
    char *real = xasprintf("%s/real", base);

    ck_assert_int_eq(mkdir(real, 0700), 0);
    ck_assert_int_eq(symlink(real, dir), 0);
    assert_error(try_open(), "%s: cannot open the store's directory: it is a "
                 "symbolic link; name the directory itself");
    free(real);
}
END_TEST

START_TEST(test_directory_is_a_file)
{
    write_file(dir, "x", 1);
    assert_error(try_open(), "%s: cannot open the store's directory: "
                 "Not a directory");
}
END_TEST

START_TEST(test_directory_without_parent)
{
    ck_assert_int_eq(rmdir(base), 0);
    assert_error(try_open(), "%s: cannot create the store's directory: "
                 "No such file or directory");
    ck_assert_int_eq(mkdir(base, 0700), 0);
}
END_TEST

START_TEST(test_file_symlink)
{
    make_sample();
    ck_assert_int_eq(rename(file("tunnels.db"), file("real")), 0);
    ck_assert_int_eq(symlink("real", file("tunnels.db")), 0);
    assert_error(try_open(), "%s/tunnels.db: tunnels.db is not a plain file "
                 "with a single name");
}
END_TEST

/* Runs 'cb' as a user who is not root and owns 'base', in a process of its
 * own; its return value tells what went wrong. */
static void
as_user(char *(*cb)(void))
{
    int fds[2];
    char text[1024];
    pid_t pid;
    ssize_t n;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    if (!pid) {
        char *error;

        if (!geteuid() && (chown(base, 65534, 65534)
                           || setresgid(65534, 65534, 65534)
                           || setresuid(65534, 65534, 65534))) {
            error = xstrdup("cannot become an ordinary user");
        } else {
            error = cb();
        }
        if (error) {
            ignore(write(fds[1], error, strlen(error)));
        }
        _exit(0);
    }
    close(fds[1]);
    n = read(fds[0], text, sizeof text - 1);
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_ge(n, 0);
    text[n] = '\0';
    ck_assert_str_eq(text, "");
}

/* NULL if 'error' is 'format' with the directory, else what it is. */
static char *
differs(char *error, const char *format)
{
    char *expected = xasprintf(format, dir);

    return error && !strcmp(error, expected) ? NULL
           : xasprintf("got \"%s\", want \"%s\"", error ? error : "no error",
                       expected);
}

static char *
read_only_directory(void)
{
    struct otd_store *s;
    char *error = otd_store_open(dir, &s);

    if (error) {
        return error;
    }
    otd_store_close(s);
    if (chmod(dir, 0500)) {
        return xstrdup("chmod");
    }
    error = differs(otd_store_open(dir, &s),
                    "%s: cannot write the store's directory: Permission "
                    "denied");
    chmod(dir, 0700);
    return error;
}

static char *
read_only_file(void)
{
    struct otd_store *s;
    char *error = otd_store_open(dir, &s);

    if (error) {
        return error;
    }
    otd_store_close(s);
    if (chmod(file("tunnels.db"), 0400)) {
        return xstrdup("chmod");
    }
    return differs(otd_store_open(dir, &s),
                   "%s/tunnels.db: cannot write it: Permission denied");
}

static char *
directory_of_another(void)
{
    struct otd_store *s;

    /* Of root, if this program is root; the root directory else. */
    if (strcmp(dir, "/") && access(dir, F_OK)) {
        free(dir);
        dir = xstrdup("/");
    }
    char *expected = xasprintf("%%s: the store's directory belongs to user 0, "
                               "not to user %u, who runs this program",
                               (unsigned int) geteuid());
    return differs(otd_store_open(dir, &s), expected);
}

START_TEST(test_read_only_directory)
{
    as_user(read_only_directory);
}
END_TEST

START_TEST(test_read_only_file)
{
    as_user(read_only_file);
}
END_TEST

START_TEST(test_directory_of_another)
{
    as_user(directory_of_another);
}
END_TEST

/* ---- The log. */

static off_t
log_size(void)
{
    struct stat st;

    ck_assert_int_eq(stat(file("tunnels.db-wal"), &st), 0);
    return st.st_size;
}

/* 'fill' has to differ from what is there: equal pages are not written. */
static void
commit_blob(struct otd_store *s, uint32_t key, size_t n, int fill)
{
    char *bytes = xmalloc(n);

    memset(bytes, fill, n);
    no_error(otd_store_begin(s));
    no_error(otd_store_put(s, key, key, bytes, n));
    no_error(otd_store_commit(s));
    free(bytes);
}

START_TEST(test_idle_bounds_the_log)
{
    struct otd_store *s = open_store();

    for (int i = 1; i <= 200; i++) {
        commit_blob(s, i % 50 + 1, 200000, i);
        otd_store_idle(s);
    }
    ck_assert_int_gt(log_size(), 4 << 20);
    ck_assert_int_lt(log_size(), 6 << 20);
    otd_store_close(s);
}
END_TEST

START_TEST(test_busy_bounds_the_log)
{
    struct otd_store *s = open_store();
    off_t max = 0;

    for (int i = 1; i <= 150; i++) {
        commit_blob(s, i % 5 + 1, 1 << 20, i);
        max = MAX(max, log_size());
    }
    ck_assert_int_gt(max, 120 << 20);
    ck_assert_int_lt(max, 132 << 20);
    /* After the log began anew it was cut to its usual size. */
    ck_assert_int_le(log_size(), 64 << 20);
    otd_store_close(s);
}
END_TEST

Suite *
table_suite(void)
{
    const TTest *const tests[] = {
        test_first_start,
        test_umask_is_put_back,
        test_round_trip,
        test_every_id_and_key,
        test_replace_and_delete,
        test_replace_around_next_key,
        test_keys_are_unique,
        test_ids_are_unique,
        test_tlv,
        test_rollback,
        test_misuse,
        test_load_stops,
        test_next_key_is_above_all_keys,
        test_deleted_bytes_are_gone,
        test_second_opener,
        test_other_program_has_it_open,
        test_other_program_cannot_read,
        test_directory_mode,
        test_directory_symlink,
        test_directory_is_a_file,
        test_directory_without_parent,
        test_file_symlink,
        test_read_only_directory,
        test_read_only_file,
        test_directory_of_another,
        test_idle_bounds_the_log,
        test_busy_bounds_the_log,
    };
    Suite *suite = suite_create("store");
    TCase *tc = tcase_create("table");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(suite, tc);
    return suite;
}

int
main(void)
{
    SRunner *runner = srunner_create(table_suite());
    int n_failed;

    srunner_add_suite(runner, faults_suite());
    srunner_run_all(runner, CK_NORMAL);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
