/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tests/unit/store-fixture.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "openvswitch/dynamic-string.h"
#include "util.h"

char *base;
char *dir;

void
setup(void)
{
    const char *tmp = getenv("TMPDIR");

    base = xasprintf("%s/otd-store-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(base));
    dir = xasprintf("%s/store", base);
}

static void
remove_tree(const char *path)
{
    struct dirent *e;
    DIR *d = opendir(path);

    while (d && (e = readdir(d))) {
        char *name = xasprintf("%s/%s", path, e->d_name);

        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")
            && unlink(name) && (errno == EISDIR || errno == EPERM)) {
            remove_tree(name);
        }
        free(name);
    }
    if (d) {
        closedir(d);
    }
    rmdir(path);
}

void
teardown(void)
{
    remove_tree(base);
    free(base);
    free(dir);
}

char *
file(const char *name)
{
    static char path[4][512];
    static int which;

    which = (which + 1) % 4;
    snprintf(path[which], sizeof path[which], "%s/%s", dir, name);
    return path[which];
}

void
no_error(char *error)
{
    if (error) {
        ck_abort_msg("unexpected error: %s", error);
    }
}

void
assert_error(char *error, const char *format)
{
    char *expected = xasprintf(format, dir);

    ck_assert_ptr_nonnull(error);
    ck_assert_str_eq(error, expected);
    free(expected);
    free(error);
}

struct otd_store *
open_store(void)
{
    struct otd_store *s;

    no_error(otd_store_open(dir, &s));
    return s;
}

char *
try_open(void)
{
    struct otd_store *s;
    char *error = otd_store_open(dir, &s);

    if (!error) {
        ck_assert_ptr_nonnull(s);
        otd_store_close(s);
    } else {
        ck_assert_ptr_null(s);
    }
    return error;
}

void
put(struct otd_store *s, uint64_t id, uint32_t key, const char *bytes)
{
    no_error(otd_store_put(s, id, key, bytes, strlen(bytes)));
}

static char *
dump_row(const struct otd_store_row *row, void *ds_)
{
    struct ds *ds = ds_;
    const struct otd_stored_counters *c = &row->counters;

    ds_put_format(ds, "%"PRIu32" %"PRIu64" %.*s", row->key, row->id,
                  (int) row->n, (const char *) row->bytes);
    if (c->base_packets || c->last_packets) {
        ds_put_format(ds, " [%"PRIu64" %"PRIu64" %"PRIu64" %"PRIu64
                      " %"PRIu64" %"PRIu64" %"PRIu64" %"PRIu64"]",
                      c->base_packets, c->base_bytes, c->base_drop_packets,
                      c->base_drop_bytes, c->last_packets, c->last_bytes,
                      c->last_drop_packets, c->last_drop_bytes);
    }
    ds_put_char(ds, '\n');
    return NULL;
}

static char *
dump_tlv(const struct otd_store_tlv *tlv, void *ds_)
{
    ds_put_format(ds_, "tlv %u %#x %#x %u\n", tlv->index, tlv->opt_class,
                  tlv->type, tlv->len);
    return NULL;
}

char *
dump(struct otd_store *s, struct ds *ds)
{
        return otd_store_load(s, dump_row, dump_tlv, ds);
}

void
assert_contents(struct otd_store *s, const char *expected)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    no_error(dump(s, &ds));
    ck_assert_str_eq(ds_cstr(&ds), expected);
    ds_destroy(&ds);
}

char *
read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "r");
    char *data;

    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    fseek(f, 0, SEEK_END);
    *n = ftell(f);
    rewind(f);
    data = xmalloc(*n + 1);
    ck_assert_uint_eq(fread(data, 1, *n, f), *n);
    fclose(f);
    return data;
}

void
write_file(const char *path, const char *data, size_t n)
{
    FILE *f = fopen(path, "w");

    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

const char *
make_sample(void)
{
    struct otd_stored_counters c = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct otd_store_tlv tlv = { .opt_class = 0x102, .type = 0x80, .len = 4 };
    struct otd_store *s = open_store();

    no_error(otd_store_begin(s));
    put(s, 7, 1, "seven");
    put(s, UINT64_MAX, 2, "most");
    put(s, 9, 3, "");
    no_error(otd_store_put_counters(s, 1, &c));
    no_error(otd_store_put_tlv(s, &tlv));
    no_error(otd_store_set_next_key(s, 4));
    no_error(otd_store_commit(s));
    otd_store_close(s);
    return "1 7 seven [1 2 3 4 5 6 7 8]\n"
           "2 18446744073709551615 most\n"
           "3 9 \n"
           "tlv 0 0x102 0x80 4\n";
}
