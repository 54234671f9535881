/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/index.h"

#include <stdlib.h>
#include "util.h"

#define MIN_SLOTS 64

void
otd_index_init(struct otd_index *ix)
{
    memset(ix, 0, sizeof *ix);
}

void
otd_index_destroy(struct otd_index *ix)
{
    free(ix->slots);
    otd_index_init(ix);
}

static void
put(struct otd_index *ix, uint32_t hash, uint32_t key)
{
    size_t i = hash & ix->mask;

    while (ix->slots[i].key) {
        i = (i + 1) & ix->mask;
    }
    ix->slots[i].hash = hash;
    ix->slots[i].key = key;
}

static void
resize(struct otd_index *ix, size_t n_slots)
{
    struct otd_index_slot *old = ix->slots;
    size_t n_old = old ? ix->mask + 1 : 0;

    ix->slots = xcalloc(n_slots, sizeof *ix->slots);
    ix->mask = n_slots - 1;
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].key) {
            put(ix, old[i].hash, old[i].key);
        }
    }
    free(old);
}

/* Between a quarter and two thirds of the slots are in use. */
void
otd_index_insert(struct otd_index *ix, uint32_t hash, uint32_t key)
{
    if (!ix->slots || 3 * (ix->n + 1) > 2 * (ix->mask + 1)) {
        resize(ix, ix->slots ? 2 * (ix->mask + 1) : MIN_SLOTS);
    }
    put(ix, hash, key);
    ix->n++;
}

void
otd_index_remove(struct otd_index *ix, uint32_t hash, uint32_t key)
{
    size_t hole = hash & ix->mask;

    while (ix->slots[hole].key != key || ix->slots[hole].hash != hash) {
        ovs_assert(ix->slots[hole].key);
        hole = (hole + 1) & ix->mask;
    }

    /* Who stands behind the hole and could stand in it moves up, so that no probe
     * ends too early. */
    for (size_t i = (hole + 1) & ix->mask; ix->slots[i].key;
         i = (i + 1) & ix->mask) {
        size_t home = ix->slots[i].hash & ix->mask;

        if (((i - home) & ix->mask) >= ((i - hole) & ix->mask)) {
            ix->slots[hole] = ix->slots[i];
            hole = i;
        }
    }
    ix->slots[hole].key = 0;
    ix->n--;
    if (ix->mask + 1 > MIN_SLOTS && 8 * ix->n < ix->mask + 1) {
        resize(ix, (ix->mask + 1) / 2);
    }
}

uint32_t
otd_index_next(const struct otd_index *ix, uint32_t hash, size_t *pos)
{
    if (!ix->slots) {
        return 0;
    }
    for (;;) {
        const struct otd_index_slot *slot
            = &ix->slots[(hash + (*pos)++) & ix->mask];

        if (!slot->key || slot->hash == hash) {
            return slot->key;
        }
    }
}
