/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_STORE_H
#define OTD_STORE_H 1

/* The durable tunnel table: SQLite (WAL, synchronous=FULL, secure_delete), one
 * row per tunnel, in a directory of mode 0700.  A row is known by its tunnel's
 * key.
 *
 * It is a log of what was promised, not a cache: the engine reads all of it
 * once at start and afterwards only writes.  One thread.  At most one
 * transaction is open at a time.  Every function that can fail returns NULL on
 * success or an owned sentence that names the file and what SQLite said.
 * After any failure inside a transaction the caller calls
 * otd_store_rollback().
 *
 * A damaged, foreign, newer, read-only or locked file is an error of
 * otd_store_open(): it never starts empty over a file that it cannot read.
 * Every row carries a check sum; a flipped bit inside one is found by
 * otd_store_load().
 *
 * Files: tunnels.db, its write-ahead log tunnels.db-wal, and
 * tunnels.db-created, which says that a store was made here: as long as it
 * stands, a missing tunnels.db is an error and not a first start. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct otd_store;

/* One direction's counters of a tunnel as the store keeps them.  'base' is
 * what earlier flows counted; 'last' is the current flow's own counter when it
 * was last read (engine/counters.c tells how the total follows). */
struct otd_stored_counters {
    uint64_t base_packets, base_bytes, base_drop_packets, base_drop_bytes;
    uint64_t last_packets, last_bytes, last_drop_packets, last_drop_bytes;
};

struct otd_store_row {
    uint64_t id;                /* Tunnel id: any 64-bit value. */
    uint32_t key;               /* The tunnel's key: names the row. */
    const void *bytes;          /* Canonical request; borrowed, not NULL. */
    size_t n;
    struct otd_stored_counters counters;
};

/* A Geneve option mapping that this daemon made in the bridge's TLV table. */
struct otd_store_tlv {
    uint16_t opt_class;
    uint8_t type;
    uint8_t len;                /* Bytes of data. */
    uint8_t index;              /* tun_metadata index, 0..63. */
};

/* Opens, and creates if the directory holds none, the table in 'dir' (created
 * with mode 0700; an existing one must belong to the caller and be closed to
 * others).  Takes an exclusive lock for its life: a second daemon on the same
 * directory gets an error that says so. */
char *otd_store_open(const char *dir, struct otd_store **);
void otd_store_close(struct otd_store *);

/* Calls 'row' for every tunnel, in ascending key order, and 'tlv' for every
 * mapping.  A callback returns NULL to go on or an owned sentence to stop,
 * which is then returned (prefixed with the file's name).  An id that stands
 * twice is an error, which comes after the last 'row'. */
char *otd_store_load(struct otd_store *,
                     char *(*row)(const struct otd_store_row *, void *aux),
                     char *(*tlv)(const struct otd_store_tlv *, void *aux),
                     void *aux);

/* The first key that was never given out (1 in a new store; always above every
 * stored key).  Read at start; written in each transaction that allocates
 * keys. */
uint32_t otd_store_next_key(const struct otd_store *);

char *otd_store_begin(struct otd_store *);
/* Inserts, or replaces the request of the row of 'key'; its counters stay.
 * The row of a key keeps its id: another one is an error.  That no id stands
 * under two keys is the caller's part; only otd_store_load() looks.  Cheapest
 * for a key that is above all others, and for a new one that is not below
 * otd_store_next_key(). */
char *otd_store_put(struct otd_store *, uint64_t id, uint32_t key,
                    const void *bytes, size_t n);
/* With its counters.  A key that is not stored is no error. */
char *otd_store_delete(struct otd_store *, uint32_t key);
char *otd_store_set_next_key(struct otd_store *, uint32_t);
char *otd_store_put_tlv(struct otd_store *, const struct otd_store_tlv *);
char *otd_store_delete_tlv(struct otd_store *, uint8_t index);
/* A key that is not stored is no error; nothing is written then. */
char *otd_store_put_counters(struct otd_store *, uint32_t key,
                             const struct otd_stored_counters *);
/* Durable (fdatasync'ed) when this returns NULL. */
char *otd_store_commit(struct otd_store *);
void otd_store_rollback(struct otd_store *);
bool otd_store_in_transaction(const struct otd_store *);

/* Housekeeping for idle moments; cheap when nothing is to do.  Once the log
 * has 4 MB, copies it into the main file (about 0.2 s for the log of a million
 * new tunnels).  Without idle moments the same happens in otd_store_begin() at
 * 128 MB. */
void otd_store_idle(struct otd_store *);

#endif /* store/store.h */
