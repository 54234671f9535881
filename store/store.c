/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "store/store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/util.h"
#include "openvswitch/vlog.h"
#include "store/file.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(store);

/* Frames are pages of 4096 bytes.  An idle store tidies up from 4 MB on, so
 * that the fdatasync of the main file is shared by some hundred commits; a
 * busy one at 128 MB, so that a long load is not held up and the file is
 * bounded by that plus one transaction. */
#define WAL_IDLE_FRAMES 1024
#define WAL_BUSY_FRAMES 32768

enum statement {
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_INSERT,
    STMT_UPDATE,
    STMT_DELETE,
    STMT_DELETE_COUNTERS,
    STMT_PUT_META,
    STMT_PUT_TLV,
    STMT_DELETE_TLV,
    STMT_PUT_COUNTERS,
    N_STATEMENTS
};

/* What table meta holds, a row for each. */
struct otd_store_meta {
    uint64_t next_key;
    uint64_t n_tunnels;         /* By it a start finds that rows are lost. */
};

struct otd_store {
    struct otd_store_file file;
    sqlite3_stmt *stmts[N_STATEMENTS];
    bool in_transaction;
    struct otd_store_meta now;  /* The open transaction included. */
    struct otd_store_meta committed;
    int wal_frames;             /* Not yet copied to the main file. */
    int checkpoint_frames;      /* otd_store_idle() acts from here on. */
};

static const char *const statements_sql[N_STATEMENTS] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_INSERT] = "INSERT OR IGNORE INTO tunnel VALUES(?1, ?2, ?3, ?4)",
    [STMT_UPDATE] = "UPDATE tunnel SET request = ?3, sum = ?4"
        " WHERE key = ?1 AND id = ?2",
    [STMT_DELETE] = "DELETE FROM tunnel WHERE key = ?1",
    [STMT_DELETE_COUNTERS] = "DELETE FROM counters WHERE key = ?1",
    [STMT_PUT_META] = "INSERT OR REPLACE INTO meta VALUES(?1, ?2, ?3)",
    [STMT_PUT_TLV] = "INSERT INTO tlv VALUES(?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT(tun_metadata) DO UPDATE SET class = excluded.class,"
        " type = excluded.type, len = excluded.len, sum = excluded.sum",
    [STMT_DELETE_TLV] = "DELETE FROM tlv WHERE tun_metadata = ?1",
    [STMT_PUT_COUNTERS] = "INSERT OR REPLACE INTO counters"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
        " WHERE EXISTS(SELECT 1 FROM tunnel WHERE key = ?1)",
};

/* One step of row_sum(): bijective in each argument, so that a sum differs
 * whenever a single value differs. */
static uint64_t
sum_add(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15ULL;
    return sum ^ sum >> 32;
}

static uint64_t
little_endian(uint64_t word)
{
#if WORDS_BIGENDIAN
    return __builtin_bswap64(word);
#else
    return word;
#endif
}

/* SQLite finds a broken structure but not a flipped bit inside a row, and such
 * a bit can be in an address that a tenant's traffic goes to.  So each row
 * ends with a sum of its values.  The same on every host: it is stored. */
static int64_t
row_sum(const uint64_t values[], size_t n_values, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint64_t sum = n;

    for (size_t i = 0; i < n_values; i++) {
        sum = sum_add(sum, values[i]);
    }
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t word;

        memcpy(&word, p, 8);
        sum = sum_add(sum, little_endian(word));
    }
    if (n) {
        uint64_t word = 0;

        memcpy(&word, p, n);
        sum = sum_add(sum, little_endian(word));
    }
    return sum;
}

static int
wal_hook(void *s_, sqlite3 *db OVS_UNUSED, const char *name OVS_UNUSED,
         int n_frames)
{
    struct otd_store *s = s_;

    s->wal_frames = n_frames;
    return SQLITE_OK;
}

/* Walks the rows of 'sql', calling 'cb' for each until it returns an error. */
static char *
for_each_row(struct otd_store *s, const char *sql,
             char *(*cb)(struct otd_store *, sqlite3_stmt *, void *aux),
             void *aux)
{
    sqlite3_stmt *stmt = NULL;
    char *error = NULL;
    int rc;

    rc = sqlite3_prepare_v2(s->file.db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
            error = cb(s, stmt, aux);
            if (error) {
                break;
            }
        }
    }
    if (!error && rc != SQLITE_DONE) {
        error = otd_store_file_error(&s->file, "cannot read it");
    }
    sqlite3_finalize(stmt);
    return error;
}

static char *
load_meta(struct otd_store *s, sqlite3_stmt *stmt, void *aux OVS_UNUSED)
{
    const char *name = (const char *) sqlite3_column_text(stmt, 0);
    uint64_t value = sqlite3_column_int64(stmt, 1);
    bool is_key = name && !strcmp(name, "next_key");

    if (!is_key && (!name || strcmp(name, "n_tunnels"))) {
        return otd_store_file_damaged(&s->file,
                                      "table meta has a row of another name");
    }
    if (row_sum(&value, 1, NULL, 0) != sqlite3_column_int64(stmt, 2)
        || value > UINT32_MAX) {
        return otd_store_file_damaged(
            &s->file, is_key ? "the next key fails its check sum"
                      : "the number of tunnels fails its check sum");
    }
    *(is_key ? &s->now.next_key : &s->now.n_tunnels) = value;
    return NULL;
}

static char *
read_meta(struct otd_store *s)
{
    int64_t n_rows, max = 0;
    char *error;

    s->now.next_key = 1;
    error = for_each_row(s, "SELECT name, value, sum FROM meta",
                         load_meta, NULL);
    if (!error) {
        error = otd_store_file_query(
            &s->file, "SELECT coalesce(max(key), 0) FROM tunnel", &max);
    }
    if (!error && (max < 0 || max > UINT32_MAX)) {
        error = otd_store_file_damaged(&s->file, "a key is out of range");
    }
    if (!error) {
        error = otd_store_file_query(&s->file, "SELECT count(*) FROM tunnel",
                                     &n_rows);
    }
    if (!error && n_rows != s->now.n_tunnels) {
        error = otd_store_file_damaged(&s->file,
                                       "rows are missing or too many");
    }
    s->now.next_key = MAX(s->now.next_key, MIN(max + 1, UINT32_MAX));
    s->committed = s->now;
    return error;
}

static char *
prepare_statements(struct otd_store *s)
{
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        if (sqlite3_prepare_v3(s->file.db, statements_sql[i], -1,
                               SQLITE_PREPARE_PERSISTENT, &s->stmts[i], NULL)
            != SQLITE_OK) {
            return otd_store_file_error(&s->file, "cannot use its tables");
        }
    }
    return NULL;
}

/* Finds out at start, not at the first request, that nothing can be written.
 */
static char *
check_writable(struct otd_store *s)
{
    char *error = otd_store_begin(s);

    if (!error) {
        error = otd_store_set_next_key(s, s->now.next_key);
    }
    if (!error) {
        error = otd_store_commit(s);
    }
    otd_store_rollback(s);
    return error;
}

char *
otd_store_open(const char *dir, struct otd_store **storep)
{
    struct otd_store *s = xzalloc(sizeof *s);
    char *error = otd_store_file_open(dir, &s->file);

    *storep = NULL;
    if (error) {
        free(s);
        return error;
    }

    s->checkpoint_frames = WAL_IDLE_FRAMES;
    sqlite3_wal_hook(s->file.db, wal_hook, s);
    error = prepare_statements(s);
    if (!error) {
        error = read_meta(s);
    }
    if (!error) {
        error = check_writable(s);
    }
    if (!error) {
        error = otd_store_file_confirm(&s->file);
    }
    if (error) {
        otd_store_close(s);
    } else {
        *storep = s;
    }
    return error;
}

void
otd_store_close(struct otd_store *s)
{
    if (s) {
        otd_store_rollback(s);
        for (size_t i = 0; i < N_STATEMENTS; i++) {
            sqlite3_finalize(s->stmts[i]);
        }
        otd_store_file_close(&s->file);
        free(s);
    }
}

/* ---- Reading. */

struct load_callbacks {
    char *(*row)(const struct otd_store_row *, void *aux);
    char *(*tlv)(const struct otd_store_tlv *, void *aux);
    void *aux;

    uint64_t *ids;              /* Of all rows so far. */
    size_t n_ids, allocated_ids;
    bool ids_ascend;            /* As most clients choose them. */
};

/* Puts the file's name before what a callback returned. */
static char *
name_file(const struct otd_store *s, char *error)
{
    char *named = NULL;

    if (error) {
        named = xasprintf("%s: %s", s->file.path, error);
        free(error);
    }
    return named;
}

static void
counters_to_array(const struct otd_stored_counters *c, uint64_t a[8])
{
    a[0] = c->base_packets;
    a[1] = c->base_bytes;
    a[2] = c->base_drop_packets;
    a[3] = c->base_drop_bytes;
    a[4] = c->last_packets;
    a[5] = c->last_bytes;
    a[6] = c->last_drop_packets;
    a[7] = c->last_drop_bytes;
}

static bool
load_counters(sqlite3_stmt *stmt, int column, struct otd_stored_counters *c)
{
    uint64_t a[8];

    if (sqlite3_column_type(stmt, column) == SQLITE_NULL) {
        return true;            /* This tunnel has no row of counters. */
    }
    for (int i = 0; i < 8; i++) {
        a[i] = sqlite3_column_int64(stmt, column + i);
    }
    *c = (struct otd_stored_counters) {
        .base_packets = a[0], .base_bytes = a[1],
        .base_drop_packets = a[2], .base_drop_bytes = a[3],
        .last_packets = a[4], .last_bytes = a[5],
        .last_drop_packets = a[6], .last_drop_bytes = a[7],
    };
    return row_sum(a, 8, NULL, 0) == sqlite3_column_int64(stmt, column + 8);
}

static char *
load_tunnel(struct otd_store *s, sqlite3_stmt *stmt, void *cbs_)
{
    struct load_callbacks *cbs = cbs_;
    const uint64_t key_and_id[] = {
        sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
    };
    struct otd_store_row row = {
        .key = key_and_id[0],
        .id = key_and_id[1],
        .bytes = sqlite3_column_blob(stmt, 2),
        .n = sqlite3_column_bytes(stmt, 2),
    };

    if (!row.bytes) {
        row.bytes = "";         /* SQLite's empty blob is a null pointer. */
    }
    if (key_and_id[0] > UINT32_MAX
        || row_sum(key_and_id, 2, row.bytes, row.n)
           != sqlite3_column_int64(stmt, 3)
        || !load_counters(stmt, 4, &row.counters)) {
        char *what = xasprintf("tunnel %"PRIu64" fails its check sum", row.id);
        char *error = otd_store_file_damaged(&s->file, what);

        free(what);
        return error;
    }
    if (cbs->n_ids >= cbs->allocated_ids) {
        cbs->ids = x2nrealloc(cbs->ids, &cbs->allocated_ids,
                              sizeof *cbs->ids);
    }
    if (cbs->n_ids && cbs->ids[cbs->n_ids - 1] >= row.id) {
        cbs->ids_ascend = false;
    }
    cbs->ids[cbs->n_ids++] = row.id;
    return name_file(s, cbs->row(&row, cbs->aux));
}

static int
compare_ids(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return *a < *b ? -1 : *a > *b;
}

/* The file itself keeps only the keys unique. */
static char *
check_ids(const struct otd_store *s, struct load_callbacks *cbs)
{
    if (!cbs->ids_ascend) {
        qsort(cbs->ids, cbs->n_ids, sizeof *cbs->ids, compare_ids);
        for (size_t i = 1; i < cbs->n_ids; i++) {
            if (cbs->ids[i] == cbs->ids[i - 1]) {
                char *what = xasprintf("tunnel %"PRIu64" stands twice",
                                       cbs->ids[i]);
                char *error = otd_store_file_damaged(&s->file, what);

                free(what);
                return error;
            }
        }
    }
    return NULL;
}

static char *
load_tlv(struct otd_store *s, sqlite3_stmt *stmt, void *cbs_)
{
    const struct load_callbacks *cbs = cbs_;
    uint64_t v[4];

    for (int i = 0; i < 4; i++) {
        v[i] = sqlite3_column_int64(stmt, i);
    }
    if (v[0] > UINT8_MAX || v[1] > UINT16_MAX || v[2] > UINT8_MAX
        || v[3] > UINT8_MAX
        || row_sum(v, 4, NULL, 0) != sqlite3_column_int64(stmt, 4)) {
        return otd_store_file_damaged(
            &s->file, "a Geneve option mapping fails its check sum");
    }

    struct otd_store_tlv tlv = {
        .index = v[0], .opt_class = v[1], .type = v[2], .len = v[3],
    };
    return name_file(s, cbs->tlv(&tlv, cbs->aux));
}

char *
otd_store_load(struct otd_store *s,
               char *(*row)(const struct otd_store_row *, void *aux),
               char *(*tlv)(const struct otd_store_tlv *, void *aux),
               void *aux)
{
    struct load_callbacks cbs = {
        .row = row, .tlv = tlv, .aux = aux, .ids_ascend = true,
    };
    char *error;

    error = for_each_row(
        s, "SELECT t.key, t.id, t.request, t.sum,"
        " base_packets, base_bytes, base_drop_packets, base_drop_bytes,"
        " last_packets, last_bytes, last_drop_packets, last_drop_bytes, c.sum"
        " FROM tunnel AS t LEFT JOIN counters AS c USING(key) ORDER BY t.key",
        load_tunnel, &cbs);
    if (!error) {
        error = check_ids(s, &cbs);
    }
    free(cbs.ids);
    if (!error) {
        error = for_each_row(s, "SELECT tun_metadata, class, type, len, sum"
                             " FROM tlv ORDER BY tun_metadata",
                             load_tlv, &cbs);
    }
    return error;
}

uint32_t
otd_store_next_key(const struct otd_store *s)
{
    return s->now.next_key;
}

/* ---- Writing. */

/* SQLite ends a transaction by itself after some failures (disk full); a write
 * after that would stand alone, and be committed at once. */
static char *
check_transaction(const struct otd_store *s)
{
    if (OVS_LIKELY(s->in_transaction && !sqlite3_get_autocommit(s->file.db))) {
        return NULL;
    }
    return xasprintf("%s: there is no open transaction%s", s->file.path,
                     s->in_transaction ? " any more: an earlier step failed"
                                       : "");
}

static char *
run(struct otd_store *s, enum statement which, const char *what)
{
    sqlite3_stmt *stmt = s->stmts[which];
    int rc = sqlite3_step(stmt);
    char *error = rc == SQLITE_DONE ? NULL
                  : otd_store_file_error(&s->file, what);

    sqlite3_reset(stmt);
    return error;
}

/* The same for a statement that only makes sense inside a transaction. */
static char *
run_inside(struct otd_store *s, enum statement which, const char *what)
{
    char *error = check_transaction(s);

    return error ? error : run(s, which, what);
}

/* Copies the WAL into the main file; the next commit then starts the WAL from
 * its beginning. */
static void
checkpoint(struct otd_store *s)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 1);
    int n_log = 0, n_done = 0;
    int rc = sqlite3_wal_checkpoint_v2(s->file.db, NULL,
                                       SQLITE_CHECKPOINT_PASSIVE,
                                       &n_log, &n_done);

    if (rc == SQLITE_OK && n_log == n_done) {
        s->wal_frames = 0;
        s->checkpoint_frames = WAL_IDLE_FRAMES;
    } else {
        /* Nothing is lost, the WAL has it all.  Try again when it has grown.
         */
        char *error = otd_store_file_error(
            &s->file, "cannot copy the write-ahead log to it");

        VLOG_WARN_RL(&rl, "%s", error);
        free(error);
        s->checkpoint_frames = s->wal_frames + WAL_IDLE_FRAMES;
    }
}

char *
otd_store_begin(struct otd_store *s)
{
    char *error;

    if (s->in_transaction) {
        return xasprintf("%s: a transaction is open already", s->file.path);
    }
    if (s->wal_frames >= MAX(WAL_BUSY_FRAMES, s->checkpoint_frames)) {
        checkpoint(s);
    }
    error = run(s, STMT_BEGIN, "cannot begin a transaction");
    s->in_transaction = !error;
    return error;
}

static void
bind_tunnel(sqlite3_stmt *stmt, uint64_t id, uint32_t key,
            const void *bytes, size_t n)
{
    const uint64_t key_and_id[] = { key, id };

    sqlite3_bind_int64(stmt, 1, key);
    sqlite3_bind_int64(stmt, 2, (int64_t) id);
    sqlite3_bind_blob64(stmt, 3, n ? bytes : "", n, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, row_sum(key_and_id, 2, bytes, n));
}

char *
otd_store_put(struct otd_store *s, uint64_t id, uint32_t key,
              const void *bytes, size_t n)
{
    /* Almost always the first of the two does it. */
    bool insert = key >= s->now.next_key;
    char *error = check_transaction(s);
    bool done = false;

    for (int i = 0; i < 2 && !error && !done; i++, insert = !insert) {
        enum statement which = insert ? STMT_INSERT : STMT_UPDATE;

        bind_tunnel(s->stmts[which], id, key, bytes, n);
        error = run(s, which, "cannot store a tunnel");
        done = !error && sqlite3_changes(s->file.db);
        s->now.n_tunnels += done && insert;
    }
    if (OVS_UNLIKELY(!done)) {
        char *named = error
            ? xasprintf("tunnel %"PRIu64": %s", id, error)
            : xasprintf("tunnel %"PRIu64": %s: key %"PRIu32" belongs to "
                        "another tunnel", id, s->file.path, key);

        free(error);
        error = named;
    }
    return error;
}

char *
otd_store_delete(struct otd_store *s, uint32_t key)
{
    char *error;

    sqlite3_bind_int64(s->stmts[STMT_DELETE_COUNTERS], 1, key);
    sqlite3_bind_int64(s->stmts[STMT_DELETE], 1, key);
    error = run_inside(s, STMT_DELETE_COUNTERS, "cannot delete counters");
    if (!error) {
        error = run(s, STMT_DELETE, "cannot delete a tunnel");
    }
    if (!error) {
        s->now.n_tunnels -= sqlite3_changes(s->file.db);
    }
    return error;
}

/* 'name' is a literal. */
static char *
put_meta(struct otd_store *s, const char *name, uint64_t value,
         const char *what)
{
    sqlite3_stmt *stmt = s->stmts[STMT_PUT_META];

    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, value);
    sqlite3_bind_int64(stmt, 3, row_sum(&value, 1, NULL, 0));
    return run_inside(s, STMT_PUT_META, what);
}

char *
otd_store_set_next_key(struct otd_store *s, uint32_t next_key)
{
    char *error = put_meta(s, "next_key", next_key,
                           "cannot store the next key");

    if (!error) {
        s->now.next_key = next_key;
    }
    return error;
}

char *
otd_store_put_tlv(struct otd_store *s, const struct otd_store_tlv *tlv)
{
    const uint64_t values[] = {
        tlv->index, tlv->opt_class, tlv->type, tlv->len,
    };
    sqlite3_stmt *stmt = s->stmts[STMT_PUT_TLV];

    for (int i = 0; i < 4; i++) {
        sqlite3_bind_int64(stmt, 1 + i, values[i]);
    }
    sqlite3_bind_int64(stmt, 5, row_sum(values, 4, NULL, 0));
    return run_inside(s, STMT_PUT_TLV, "cannot store a Geneve option mapping");
}

char *
otd_store_delete_tlv(struct otd_store *s, uint8_t idx)
{
    sqlite3_bind_int64(s->stmts[STMT_DELETE_TLV], 1, idx);
    return run_inside(s, STMT_DELETE_TLV,
                      "cannot delete a Geneve option mapping");
}

char *
otd_store_put_counters(struct otd_store *s, uint32_t key,
                       const struct otd_stored_counters *c)
{
    sqlite3_stmt *stmt = s->stmts[STMT_PUT_COUNTERS];
    uint64_t values[8];

    counters_to_array(c, values);
    sqlite3_bind_int64(stmt, 1, key);
    for (int i = 0; i < 8; i++) {
        sqlite3_bind_int64(stmt, 2 + i, (int64_t) values[i]);
    }
    sqlite3_bind_int64(stmt, 10, row_sum(values, 8, NULL, 0));
    return run_inside(s, STMT_PUT_COUNTERS, "cannot store counters");
}

char *
otd_store_commit(struct otd_store *s)
{
    char *error = NULL;

    if (s->now.n_tunnels != s->committed.n_tunnels) {
        error = put_meta(s, "n_tunnels", s->now.n_tunnels,
                         "cannot store the number of tunnels");
    }
    if (!error) {
        error = run_inside(s, STMT_COMMIT, "cannot commit");
    }
    if (!error) {
        s->in_transaction = false;
        s->committed = s->now;
    }
    return error;
}

void
otd_store_rollback(struct otd_store *s)
{
    if (s->in_transaction) {
        /* Fails only if SQLite has rolled back by itself already. */
        if (!sqlite3_get_autocommit(s->file.db)) {
            sqlite3_step(s->stmts[STMT_ROLLBACK]);
            sqlite3_reset(s->stmts[STMT_ROLLBACK]);
        }
        s->in_transaction = false;
        s->now = s->committed;
    }
}

bool
otd_store_in_transaction(const struct otd_store *s)
{
    return s->in_transaction;
}

void
otd_store_idle(struct otd_store *s)
{
    if (!s->in_transaction && s->wal_frames >= s->checkpoint_frames) {
        checkpoint(s);
        /* Pages that a load filled are of no use to single writes. */
        sqlite3_db_release_memory(s->file.db);
    }
}
