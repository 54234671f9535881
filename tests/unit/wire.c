/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "tests/unit/wire.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

void
put_raw_varint(struct ofpbuf *b, uint64_t value)
{
    do {
        uint8_t byte = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);

        ofpbuf_put(b, &byte, 1);
        value >>= 7;
    } while (value);
}

void
put_tag(struct ofpbuf *b, uint32_t field, unsigned int wire_type)
{
    put_raw_varint(b, (uint64_t) field << 3 | wire_type);
}

void
put_varint(struct ofpbuf *b, uint32_t field, uint64_t value)
{
    put_tag(b, field, 0);
    put_raw_varint(b, value);
}

void
put_fixed32(struct ofpbuf *b, uint32_t field, uint32_t value)
{
    uint8_t bytes[] = { value, value >> 8, value >> 16, value >> 24 };

    put_tag(b, field, 5);
    ofpbuf_put(b, bytes, sizeof bytes);
}

void
put_bytes(struct ofpbuf *b, uint32_t field, const void *bytes, size_t n)
{
    put_tag(b, field, 2);
    put_raw_varint(b, n);
    ofpbuf_put(b, bytes, n);
}

void
put_string(struct ofpbuf *b, uint32_t field, const char *s)
{
    put_bytes(b, field, s, strlen(s));
}

void
put_message(struct ofpbuf *b, uint32_t field, struct ofpbuf *message)
{
    put_bytes(b, field, message->data, message->size);
    ofpbuf_uninit(message);
    ofpbuf_init(message, 0);
}

static bool
take_varint(const uint8_t **p, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;

        *value |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static void format_fields(const uint8_t *, size_t n, const char *messages,
                          const char *parent, struct ds *);

static void
format_bytes(const uint8_t *p, size_t n, const char *messages,
             const char *path, struct ds *ds)
{
    char *word = xasprintf(" %s ", path);

    if (strstr(messages, word)) {
        char *parent = xasprintf("%s.", path);

        ds_put_char(ds, '{');
        format_fields(p, n, messages, parent, ds);
        ds_put_char(ds, '}');
        free(parent);
    } else {
        ds_put_char(ds, '"');
        for (size_t i = 0; i < n; i++) {
            if (isprint(p[i])) {
                ds_put_char(ds, p[i]);
            } else {
                ds_put_format(ds, "\\x%02x", p[i]);
            }
        }
        ds_put_char(ds, '"');
    }
    free(word);
}

static void
format_fields(const uint8_t *p, size_t n, const char *messages,
              const char *parent, struct ds *ds)
{
    const uint8_t *end = n ? p + n : p;
    bool first = true;

    while (p < end) {
        uint64_t tag, value;

        ds_put_cstr(ds, first ? "" : " ");
        first = false;
        if (!take_varint(&p, end, &tag)) {
            ds_put_char(ds, '!');
            return;
        }
        ds_put_format(ds, "%"PRIu64":", tag >> 3);
        switch (tag & 7) {
        case 0:
            if (!take_varint(&p, end, &value)) {
                ds_put_char(ds, '!');
                return;
            }
            ds_put_format(ds, "%"PRIu64, value);
            break;
        case 2: {
            if (!take_varint(&p, end, &value) || value > end - p) {
                ds_put_char(ds, '!');
                return;
            }
            char *path = xasprintf("%s%"PRIu64, parent, tag >> 3);
            format_bytes(p, value, messages, path, ds);
            free(path);
            p += value;
            break;
        }
        case 5:
            if (end - p < 4) {
                ds_put_char(ds, '!');
                return;
            }
            ds_put_format(ds, "0x%02x%02x%02x%02x", p[3], p[2], p[1], p[0]);
            p += 4;
            break;
        default:
            ds_put_char(ds, '!');
            return;
        }
    }
}

void
format_message(const void *bytes, size_t n, const char *messages,
               struct ds *ds)
{
    format_fields(bytes, n, messages, "", ds);
}
