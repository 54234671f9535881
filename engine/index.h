/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_ENGINE_INDEX_H
#define OTD_ENGINE_INDEX_H 1

/* From hashes to keys of tunnels; any number of keys may have one hash.
 *
 * An array of eight bytes per slot, probed in a row.  With an hmap each look-up
 * walks from tunnel to tunnel, and in a table of a million each step waits for
 * memory; here it waits once, for the slots, and a tunnel is touched only if its
 * hash fits.  One thread. */

#include <stddef.h>
#include <stdint.h>

struct otd_index {
    struct otd_index_slot {
        uint32_t hash;
        uint32_t key;           /* 0: empty. */
    } *slots;
    size_t n;                   /* Slots in use. */
    size_t mask;                /* Number of slots less one; 0 if none. */
};

void otd_index_init(struct otd_index *);
void otd_index_destroy(struct otd_index *);

/* 'key' is not 0, and is not in with this hash. */
void otd_index_insert(struct otd_index *, uint32_t hash, uint32_t key);
/* 'key' is in with this hash. */
void otd_index_remove(struct otd_index *, uint32_t hash, uint32_t key);

/* Returns a key with this hash, 0 if there is none (any more).  '*pos' starts at
 * 0; the index must not change between two calls. */
uint32_t otd_index_next(const struct otd_index *, uint32_t hash, size_t *pos);

/* Gets the slot where a look-up of 'hash' begins into the cache. */
static inline void
otd_index_prefetch(const struct otd_index *ix, uint32_t hash)
{
    if (ix->slots) {
        __builtin_prefetch(&ix->slots[hash & ix->mask], 1);
    }
}

#endif /* engine/index.h */
