/* SPDX-License-Identifier: Apache-2.0 */
/* The durable table: foreign, damaged and lost files, kills and full disks. */
#include <config.h>
#include "store/store.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "openvswitch/dynamic-string.h"
#include "tests/unit/store-fixture.h"
#include "util.h"

static void
run_sql(const char *sql)
{
    sqlite3 *db;
    char *error;

    ck_assert_int_eq(sqlite3_open(file("tunnels.db"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &error) == SQLITE_OK,
                  "%s: %s", sql, error);
    sqlite3_close(db);
}

/* Opening fails with 'format', and the file is as it was. */
static void
assert_refused(const char *format)
{
    size_t n_before, n_after;
    char *before = read_file(file("tunnels.db"), &n_before);

    assert_error(try_open(), format);
    char *after = read_file(file("tunnels.db"), &n_after);
    ck_assert_uint_eq(n_after, n_before);
    ck_assert_mem_eq(after, before, n_before);
    free(before);
    free(after);
}

/* ---- Files of others. */

START_TEST(test_foreign_database)
{
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    run_sql("PRAGMA application_id = 4711; CREATE TABLE t(x);");
    assert_refused("%s/tunnels.db: this is a database of another application "
                   "(application_id 0x00001267); ovs-tunneld leaves it alone");
    /* The name of no application, as most databases have it. */
    run_sql("PRAGMA application_id = 0");
    assert_refused("%s/tunnels.db: this is a database of another application "
                   "(application_id 0x00000000); ovs-tunneld leaves it alone");
}
END_TEST

START_TEST(test_newer_version)
{
    make_sample();
    run_sql("PRAGMA user_version = 2");
    assert_refused("%s/tunnels.db: the file has version 2, written by a newer "
                   "ovs-tunneld; this one knows versions up to 1");
    run_sql("PRAGMA user_version = 1");
    no_error(try_open());
}
END_TEST

START_TEST(test_not_a_database)
{
    char text[8192];

    make_sample();
    memset(text, 'x', sizeof text);
    write_file(file("tunnels.db"), text, sizeof text);
    assert_refused("%s/tunnels.db: cannot open it: the file is damaged (file "
                   "is not a database); restore it from a backup, or move it "
                   "and tunnels.db-created away to start empty");
}
END_TEST

/* ---- Lost files. */

START_TEST(test_empty_file)
{
    make_sample();
    write_file(file("tunnels.db"), "", 0);
    assert_refused("%s/tunnels.db: the file is damaged (it is empty, 0 bytes);"
                   " restore it from a backup, or move it and "
                   "tunnels.db-created away to start empty");
    ck_assert_int_eq(unlink(file("tunnels.db-created")), 0);
    write_file(file("tunnels.db-wal"), "x", 1);
    assert_refused("%s/tunnels.db: the file is damaged (it is empty, 0 bytes);"
                   " restore it from a backup, or move it and "
                   "tunnels.db-created away to start empty");
}
END_TEST

START_TEST(test_missing_file)
{
    make_sample();
    ck_assert_int_eq(unlink(file("tunnels.db")), 0);
    assert_error(try_open(), "%s/tunnels.db: the file is gone; restore it "
                 "from a backup, or remove tunnels.db-created to start empty");
    ck_assert_int_eq(access(file("tunnels.db"), F_OK), -1);

    write_file(file("tunnels.db-wal"), "x", 1);
    assert_error(try_open(), "%s/tunnels.db: the file is gone, but its "
                 "write-ahead log tunnels.db-wal is there; restore it from a "
                 "backup, or move the log and tunnels.db-created away to "
                 "start empty");
    ck_assert_int_eq(access(file("tunnels.db"), F_OK), -1);

    /* The way out that the sentences name. */
    ck_assert_int_eq(unlink(file("tunnels.db-wal")), 0);
    ck_assert_int_eq(unlink(file("tunnels.db-created")), 0);
    struct otd_store *s = open_store();
    assert_contents(s, "");
    otd_store_close(s);
}
END_TEST

START_TEST(test_first_start_cut_short)
{
    /* What a crash in the middle of the very first start can leave. */
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    write_file(file("tunnels.db.new"), "half a file", 11);
    write_file(file("tunnels.db.new-wal"), "half a log", 10);
    no_error(try_open());
    ck_assert_int_eq(access(file("tunnels.db.new"), F_OK), -1);
    ck_assert_int_eq(access(file("tunnels.db.new-wal"), F_OK), -1);
    /* Or, a little later, no marker. */
    ck_assert_int_eq(unlink(file("tunnels.db-created")), 0);
    no_error(try_open());
    ck_assert_int_eq(access(file("tunnels.db-created"), F_OK), 0);
}
END_TEST

/* ---- Damaged files. */

/* NULL if the store opens and loads 'expected'; else the error.  Fails the
 * test if it loads anything else. */
static char *
load_or_error(const char *expected)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct otd_store *s;
    char *error;

    error = otd_store_open(dir, &s);
    if (!error) {
        error = dump(s, &ds);
        if (!error) {
            ck_assert_str_eq(ds_cstr(&ds), expected);
        }
        otd_store_close(s);
    }
    ds_destroy(&ds);
    return error;
}

static const char *
make_larger_sample(struct ds *ds)
{
    struct otd_store *s;

    make_sample();
    s = open_store();
    no_error(otd_store_begin(s));
    for (int i = 0; i < 300; i++) {
        char bytes[64];

        snprintf(bytes, sizeof bytes, "tunnel %d of the larger sample", i);
        put(s, 1000 + i * 7, 10 + i, bytes);
    }
    no_error(otd_store_commit(s));
    no_error(dump(s, ds));
    otd_store_close(s);
    return ds_cstr(ds);
}

START_TEST(test_truncated)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    const char *expected = make_larger_sample(&ds);
    size_t n;
    char *data = read_file(file("tunnels.db"), &n);

    ck_assert_uint_gt(n, 6 * 4096);
    for (size_t size = 0; size < n; size += size % 512 ? 511 : 1) {
        write_file(file("tunnels.db"), data, size);
        char *error = load_or_error(expected);
        ck_assert_msg(error != NULL, "%"PRIuSIZE" bytes of %"PRIuSIZE
                      " were accepted", size, n);
        ck_assert_msg(strstr(error, "the file is damaged"), "%s", error);
        free(error);
    }
    write_file(file("tunnels.db"), data, n);
    no_error(load_or_error(expected));
    free(data);
    ds_destroy(&ds);
}
END_TEST

START_TEST(test_header_overwritten)
{
    const char *expected = make_sample();
    size_t n;
    char *data = read_file(file("tunnels.db"), &n);

    for (size_t size = 16; size <= 4096; size *= 4) {
        char *copy = xmemdup(data, n);

        memset(copy, 0, size);
        write_file(file("tunnels.db"), copy, n);
        char *error = load_or_error(expected);
        ck_assert_msg(error != NULL, "%"PRIuSIZE" zeros", size);
        free(error);
        free(copy);
    }
    free(data);
}
END_TEST

/* A flipped byte anywhere is either found or does not matter: never is
 * anything else loaded than what was stored. */
START_TEST(test_flipped_bytes)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    const char *expected = make_larger_sample(&ds);
    size_t n, n_found = 0, n_rows = 0;
    char *data = read_file(file("tunnels.db"), &n);

    for (size_t i = 0; i < n; i += 13) {
        char flipped = data[i];
        char *error;

        data[i] ^= 1 << (i % 8);
        write_file(file("tunnels.db"), data, n);
        error = load_or_error(expected);
        n_found += error != NULL;
        n_rows += error && strstr(error, "fails its check sum");
        free(error);
        unlink(file("tunnels.db-wal"));
        data[i] = flipped;
    }
    /* Most of the file is in use; much of that is inside rows. */
    ck_assert_uint_gt(n_found, n / 13 / 3);
    ck_assert_uint_gt(n_rows, n / 13 / 10);
    free(data);
    ds_destroy(&ds);
}
END_TEST

START_TEST(test_zeroed_page)
{
    struct ds ds = DS_EMPTY_INITIALIZER;
    const char *expected = make_larger_sample(&ds);
    size_t n;
    char *data = read_file(file("tunnels.db"), &n);

    for (size_t page = 0; page < n; page += 4096) {
        char *copy = xmemdup(data, n);
        char *error;

        memset(copy + page, 0, 4096);
        write_file(file("tunnels.db"), copy, n);
        error = load_or_error(expected);
        ck_assert_msg(error != NULL, "page at %"PRIuSIZE, page);
        free(error);
        free(copy);
    }
    free(data);
    ds_destroy(&ds);
}
END_TEST

/* Rows that vanish without breaking the structure. */
START_TEST(test_row_count)
{
    static const char *const damages[] = {
        "DELETE FROM tunnel WHERE key = 20",
        "DELETE FROM tunnel",
        "INSERT INTO tunnel SELECT 999, id, request, sum FROM tunnel LIMIT 1",
        "DELETE FROM meta WHERE name = 'n_tunnels'",
    };
    struct ds ds = DS_EMPTY_INITIALIZER;
    const char *expected = make_larger_sample(&ds);
    size_t n;
    char *data = read_file(file("tunnels.db"), &n);

    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        run_sql(damages[i]);
        assert_error(try_open(), "%s/tunnels.db: the file is damaged (rows "
                     "are missing or too many); restore it from a backup, or "
                     "move it and tunnels.db-created away to start empty");
        unlink(file("tunnels.db-wal"));
        write_file(file("tunnels.db"), data, n);
        no_error(load_or_error(expected));
    }

    /* The whole table replaced by an empty one behind its back. */
    run_sql("PRAGMA writable_schema = ON;"
            "CREATE TABLE z(k INTEGER PRIMARY KEY);"
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM"
            " sqlite_schema WHERE name = 'z') WHERE name = 'tunnel';");
    run_sql("PRAGMA writable_schema = ON;"
            "DELETE FROM sqlite_schema WHERE name = 'z'");
    char *error = try_open();
    ck_assert_ptr_nonnull(error);
    ck_assert_msg(strstr(error, "the file is damaged") != NULL, "%s", error);
    free(error);
    free(data);
    ds_destroy(&ds);
}
END_TEST

START_TEST(test_meta)
{
    static const struct {
        const char *sql;
        const char *what;
    } damages[] = {
        { "UPDATE meta SET value = 5 WHERE name = 'next_key'",
          "the next key fails its check sum" },
        { "UPDATE meta SET value = 5 WHERE name = 'n_tunnels'",
          "the number of tunnels fails its check sum" },
        { "UPDATE meta SET name = 'oext_key' WHERE name = 'next_key'",
          "table meta has a row of another name" },
    };

    make_sample();
    size_t n;
    char *data = read_file(file("tunnels.db"), &n);

    for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
        run_sql(damages[i].sql);
        char *format = xasprintf(
            "%%s/tunnels.db: the file is damaged (%s); restore it from a "
            "backup, or move it and tunnels.db-created away to start empty",
            damages[i].what);
        assert_error(try_open(), format);
        free(format);
        unlink(file("tunnels.db-wal"));
        write_file(file("tunnels.db"), data, n);
    }
    no_error(try_open());
    free(data);
}
END_TEST

/* ---- Kills. */

/* Commits transactions of two tunnels each, writing the number of each commit
 * to 'fd' when it is done, until killed. */
static void OVS_NO_RETURN
commit_forever(int fd)
{
    struct otd_store *s;

    if (otd_store_open(dir, &s)) {
        _exit(1);
    }
    for (uint32_t i = 0; ; i++) {
        char bytes[32];
        uint32_t key = otd_store_next_key(s);

        snprintf(bytes, sizeof bytes, "of %"PRIu32, key);
        if (otd_store_begin(s)
            || otd_store_put(s, key * 1000ULL, key, bytes, strlen(bytes))
            || otd_store_put(s, key * 1000ULL + 1, key + 1, "", 0)
            || otd_store_set_next_key(s, key + 2)
            || otd_store_commit(s)
            || write(fd, &key, sizeof key) != sizeof key) {
            _exit(1);
        }
        otd_store_idle(s);
    }
}

/* What commit_forever() stores under 'key'. */
static void
pair_bytes(char bytes[32], uint32_t key)
{
    bytes[0] = '\0';
    if (key % 2) {
        snprintf(bytes, 32, "of %"PRIu32, key);
    }
}

struct pairs {
    uint32_t n;
    bool ok;
};

static char *
check_pair(const struct otd_store_row *row, void *pairs_)
{
    struct pairs *p = pairs_;
    uint32_t key = ++p->n;
    uint32_t first = key % 2 ? key : key - 1;
    char bytes[32];

    pair_bytes(bytes, key);
    if (row->key != key || row->id != first * 1000ULL + (key != first)
        || row->n != strlen(bytes) || memcmp(row->bytes, bytes, row->n)) {
        p->ok = false;
    }
    return NULL;
}

START_TEST(test_kill)
{
    uint32_t last = 0;

    /* Each round goes on where the last one was killed. */
    for (int round = 0; round < 12; round++) {
        struct pairs pairs = { .ok = true };
        uint32_t key, stop_at = last + 2 * (1 + round * 40);
        struct otd_store *s;
        int fds[2], status;
        pid_t pid;

        ck_assert_int_eq(pipe(fds), 0);
        pid = fork();
        if (!pid) {
            close(fds[0]);
            commit_forever(fds[1]);
        }
        close(fds[1]);
        while (last < stop_at) {
            ck_assert_int_eq(read(fds[0], &key, sizeof key), sizeof key);
            last = key;
        }
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
        while (read(fds[0], &key, sizeof key) == sizeof key) {
            last = key;
        }
        close(fds[0]);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert(WIFSIGNALED(status));

        /* All that was reported is there, whole pairs only, and at most one
         * pair more: it was committed, but not yet reported. */
        s = open_store();
        no_error(otd_store_load(s, check_pair, NULL, &pairs));
        ck_assert(pairs.ok);
        ck_assert_uint_eq(pairs.n % 2, 0);
        ck_assert_uint_ge(pairs.n, last + 1);
        ck_assert_uint_le(pairs.n, last + 3);
        ck_assert_uint_eq(otd_store_next_key(s), pairs.n + 1);
        last = pairs.n - 1;
        otd_store_close(s);
    }
}
END_TEST

START_TEST(test_kill_in_transaction)
{
    const char *expected = make_sample();
    int fds[2], status;
    char byte;
    pid_t pid;

    /* So large that SQLite writes most of it to the log before the commit. */
    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    if (!pid) {
        struct otd_store *s;

        if (otd_store_open(dir, &s) || otd_store_begin(s)) {
            _exit(1);
        }
        for (uint32_t i = 0; i < 200000; i++) {
            char bytes[100] = "";

            if (otd_store_put(s, 100 + i, 100 + i, bytes, sizeof bytes)) {
                _exit(1);
            }
        }
        ignore(write(fds[1], "x", 1));
        for (;;) {
            pause();
        }
    }
    close(fds[1]);
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    close(fds[0]);

    struct stat st;
    ck_assert_int_eq(stat(file("tunnels.db-wal"), &st), 0);
    ck_assert_int_gt(st.st_size, 1 << 20);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);

    struct otd_store *s = open_store();
    assert_contents(s, expected);
    ck_assert_uint_eq(otd_store_next_key(s), 4);
    otd_store_close(s);
}
END_TEST

/* ---- Full disks. */

/* Fills the store until it refuses; then frees room with 'more_room' and
 * checks that it goes on with what was committed.  NULL, or what went wrong.
 */
static char *
fill(struct otd_store *s, void (*more_room)(void))
{
    struct pairs pairs = { .ok = true };
    char *bytes = xzalloc(1000);
    char *error = NULL;
    uint32_t key = 1;

    while (!error) {
        if (key > 100000) {
            return xstrdup("the disk does not get full");
        }
        error = otd_store_begin(s);
        for (uint32_t i = 0; i < 20 && !error; i++) {
            error = otd_store_put(s, key + i, key + i, bytes, 1000);
        }
        if (!error) {
            error = otd_store_commit(s);
        }
        key += error ? 0 : 20;
    }
    if (!strstr(error, "tunnels.db: cannot ")) {
        return error;
    }
    free(error);
    otd_store_rollback(s);
    if (otd_store_in_transaction(s)) {
        return xstrdup("still in a transaction");
    }
    otd_store_idle(s);

    more_room();
    error = otd_store_begin(s);
    for (uint32_t i = 1; i < key && !error; i++) {
        /* What check_pair() expects. */
        uint32_t first = i % 2 ? i : i - 1;
        char text[32];

        error = otd_store_delete(s, i);
        pair_bytes(text, i);
        if (!error) {
            error = otd_store_put(s, first * 1000ULL + (i != first), i,
                                  text, strlen(text));
        }
    }
    if (!error) {
        error = otd_store_commit(s);
    }
    if (!error) {
        error = otd_store_load(s, check_pair, NULL, &pairs);
    }
    if (!error && (!pairs.ok || pairs.n != key - 1 || key < 40)) {
        error = xasprintf("%"PRIu32" tunnels of %"PRIu32, pairs.n, key - 1);
    }
    free(bytes);
    return error;
}

static void
lift_limit(void)
{
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* Runs 'cb' in a process of its own and passes its error sentence on.  A
 * return value of "SKIP..." is printed, not failed. */
static void
in_child(char *(*cb)(void))
{
    int fds[2];
    char text[1024];
    size_t n;
    pid_t pid;
    FILE *f;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    if (!pid) {
        char *error = cb();

        if (error) {
            ignore(write(fds[1], error, strlen(error)));
        }
        _exit(0);
    }
    close(fds[1]);
    f = fdopen(fds[0], "r");
    n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    text[n] = '\0';
    if (!strncmp(text, "SKIP", 4)) {
        fprintf(stderr, "%s\n", text);
    } else {
        ck_assert_str_eq(text, "");
    }
}

static char *
fill_to_limit(void)
{
    struct otd_store *s;
    struct rlimit limit;
    char *error = otd_store_open(dir, &s);

    if (error) {
        return error;
    }
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 1 << 20;
    setrlimit(RLIMIT_FSIZE, &limit);
    error = fill(s, lift_limit);
    otd_store_close(s);
    return error;
}

START_TEST(test_file_size_limit)
{
    in_child(fill_to_limit);
}
END_TEST

static void
grow_tmpfs(void)
{
    ignore(mount("none", base, NULL, MS_REMOUNT, "size=64m"));
}

/* Makes this process able to mount, if the host lets it: in a namespace of its
 * own, in which only this user exists. */
static bool
become_mounter(void)
{
    unsigned int uid = geteuid(), gid = getegid();
    bool ok;

    if (!uid) {
        return !unshare(CLONE_NEWNS);
    }
    if (unshare(CLONE_NEWNS | CLONE_NEWUSER)) {
        return false;
    }
    FILE *setgroups = fopen("/proc/self/setgroups", "w");
    FILE *uid_map = fopen("/proc/self/uid_map", "w");
    ok = setgroups && uid_map && fputs("deny", setgroups) >= 0
         && !fclose(setgroups) && fprintf(uid_map, "%u %u 1", uid, uid) > 0
         && !fclose(uid_map);
    FILE *gid_map = fopen("/proc/self/gid_map", "w");
    return ok && gid_map && fprintf(gid_map, "%u %u 1", gid, gid) > 0
           && !fclose(gid_map);
}

static char *
fill_tmpfs(void)
{
    struct otd_store *s;
    char *error;

    if (!become_mounter()
        || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)
        || mount("none", base, "tmpfs", 0, "size=1m,mode=0700")) {
        return xasprintf("SKIP full tmpfs: cannot mount one here (%s)",
                         ovs_strerror(errno));
    }
    error = otd_store_open(dir, &s);
    if (!error) {
        error = fill(s, grow_tmpfs);
        otd_store_close(s);
    }
    return error;
}

START_TEST(test_full_tmpfs)
{
    in_child(fill_tmpfs);
}
END_TEST

static char *
first_start_without_room(void)
{
    struct otd_store *s;
    struct rlimit limit;
    char *error;

    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 5000;
    setrlimit(RLIMIT_FSIZE, &limit);
    error = otd_store_open(dir, &s);
    if (!error) {
        return xstrdup("opened without room");
    }
    if (!strstr(error, "/tunnels.db.new: cannot create it: ")) {
        return error;
    }
    lift_limit();
    error = otd_store_open(dir, &s);    /* It was no first start yet. */
    if (!error) {
        otd_store_close(s);
    }
    return error;
}

START_TEST(test_first_start_without_room)
{
    in_child(first_start_without_room);
}
END_TEST

Suite *
faults_suite(void)
{
    const TTest *const tests[] = {
        test_foreign_database,
        test_newer_version,
        test_not_a_database,
        test_empty_file,
        test_missing_file,
        test_first_start_cut_short,
        test_truncated,
        test_header_overwritten,
        test_flipped_bytes,
        test_zeroed_page,
        test_row_count,
        test_meta,
        test_kill,
        test_kill_in_transaction,
        test_file_size_limit,
        test_full_tmpfs,
        test_first_start_without_room,
    };
    Suite *suite = suite_create("store under faults");
    TCase *tc = tcase_create("faults");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        tcase_add_test(tc, tests[i]);
    }
    suite_add_tcase(suite, tc);
    return suite;
}
