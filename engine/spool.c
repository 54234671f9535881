/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "engine/internal.h"

#include "util.h"

/* Large enough that malloc() maps each chunk by itself and gives it back to the
 * system when it is freed: a stream of a million requests leaves nothing behind. */
#define CHUNK_SIZE (256 * 1024)

struct otd_spool_chunk {
    struct ovs_list node;
    size_t used, size;
    uint8_t data[];             /* Length (4 bytes, unaligned), bytes; repeated. */
};

void
otd_spool_init(struct otd_spool *spool)
{
    ovs_list_init(&spool->chunks);
    spool->n = 0;
    spool->bytes = 0;
}

void
otd_spool_destroy(struct otd_spool *spool)
{
    struct otd_spool_chunk *chunk;

    LIST_FOR_EACH_SAFE (chunk, node, &spool->chunks) {
        free(chunk);
    }
    otd_spool_init(spool);
}

void
otd_spool_append(struct otd_spool *spool, const void *bytes, size_t n)
{
    struct otd_spool_chunk *chunk = NULL;
    uint32_t len = n;

    if (!ovs_list_is_empty(&spool->chunks)) {
        chunk = CONTAINER_OF(ovs_list_back(&spool->chunks),
                             struct otd_spool_chunk, node);
    }
    if (!chunk || chunk->size - chunk->used < sizeof len + n) {
        /* A stream of one request, which is most of them, stays small. */
        size_t size = MAX(sizeof len + n, chunk ? CHUNK_SIZE : 512);

        chunk = xmalloc(sizeof *chunk + size);
        chunk->used = 0;
        chunk->size = size;
        ovs_list_push_back(&spool->chunks, &chunk->node);
    }
    memcpy(chunk->data + chunk->used, &len, sizeof len);
    nullable_memcpy(chunk->data + chunk->used + sizeof len, bytes, n);
    chunk->used += sizeof len + n;
    spool->n++;
    spool->bytes += n;
}

void
otd_spool_rewind(const struct otd_spool *spool OVS_UNUSED,
                 struct otd_spool_cursor *cursor)
{
    memset(cursor, 0, sizeof *cursor);
}

bool
otd_spool_next(const struct otd_spool *spool, struct otd_spool_cursor *cursor,
               const void **bytes, size_t *n)
{
    struct otd_spool_chunk *chunk = cursor->chunk;
    uint32_t len;

    if (cursor->index >= spool->n) {
        return false;
    }
    if (!chunk) {
        chunk = CONTAINER_OF(ovs_list_front(&spool->chunks),
                             struct otd_spool_chunk, node);
        cursor->ofs = 0;
    } else if (cursor->ofs >= chunk->used) {
        chunk = CONTAINER_OF(chunk->node.next, struct otd_spool_chunk, node);
        cursor->ofs = 0;
    }
    cursor->chunk = chunk;
    memcpy(&len, chunk->data + cursor->ofs, sizeof len);
    *bytes = chunk->data + cursor->ofs + sizeof len;
    *n = len;
    cursor->ofs += sizeof len + len;
    cursor->index++;
    return true;
}
