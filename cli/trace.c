/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flows/pipeline.h"
#include "hash.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "util.h"

struct name {
    struct hmap_node node;      /* By key. */
    uint32_t key;
    uint64_t id;
    char *description;
};

struct otd_trace_names {
    struct hmap names;
};

struct otd_trace_names *
otd_trace_names_parse(const char *keys)
{
    struct otd_trace_names *ns = xmalloc(sizeof *ns);
    char *copy = xstrdup(keys), *save = NULL;

    hmap_init(&ns->names);
    for (char *line = strtok_r(copy, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        uint32_t key;
        uint64_t id;
        int n = 0;

        if (sscanf(line, "%"SCNu32" %"SCNu64" %n", &key, &id, &n) == 2 && n) {
            struct name *name = xmalloc(sizeof *name);

            name->key = key;
            name->id = id;
            name->description = xstrdup(line + n);
            hmap_insert(&ns->names, &name->node, hash_int(key, 0));
        }
    }
    free(copy);
    return ns;
}

void
otd_trace_names_destroy(struct otd_trace_names *ns)
{
    struct name *name;

    HMAP_FOR_EACH_POP (name, node, &ns->names) {
        free(name->description);
        free(name);
    }
    hmap_destroy(&ns->names);
    free(ns);
}

static const struct name *
find_name(const struct otd_trace_names *ns, uint32_t key)
{
    const struct name *name;

    HMAP_FOR_EACH_WITH_HASH (name, node, hash_int(key, 0), &ns->names) {
        if (name->key == key) {
            return name;
        }
    }
    return NULL;
}

/* ---- One line. */

/* "set_field:0x5->reg5", "load:0x5->NXM_NX_REG5[]" or "reg5=0x5" at 'p': the
 * number of characters, and the key. */
static size_t
parse_last(const char *p, uint32_t *key)
{
    static const char *const forms[] = {
        "reg5=0x%"SCNx32"%n",
        "reg5=%"SCNu32"%n",
        "set_field:0x%"SCNx32"->reg5%n",
        "set_field:%"SCNu32"->reg5%n",
        "load:0x%"SCNx32"->NXM_NX_REG5[]%n",
    };

    BUILD_ASSERT_DECL(OTD_REG_LAST == 5);
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        int n = 0;

        if (sscanf(p, forms[i], key, &n) == 1 && n) {
            return n;
        }
    }
    return 0;
}

/* Copies the line, with "(tunnel ID)" after each value that names one. */
static void
put_body(struct ds *out, const char *line, size_t len,
         const struct otd_trace_names *ns)
{
    const char *end = line + len;

    for (const char *p = line; p < end; ) {
        bool starts = p == line || !isalnum((unsigned char) p[-1]);
        uint32_t key = 0;
        size_t n = starts ? parse_last(p, &key) : 0;
        const struct name *name = n && p + n <= end ? find_name(ns, key)
                                  : NULL;

        if (name) {
            ds_put_buffer(out, p, n);
            ds_put_format(out, "(tunnel %"PRIu64")", name->id);
            p += n;
        } else {
            ds_put_char(out, *p++);
        }
    }
}

static void
put_cookie(struct ds *out, const char *line, size_t len,
           const struct otd_trace_names *ns)
{
    const char *p = memmem(line, len, "cookie 0x", 9);
    const struct name *name;
    uint64_t cookie;

    if (!p || sscanf(p, "cookie 0x%"SCNx64, &cookie) != 1
        || !otd_cookie_is_ours(cookie)
        || otd_cookie_kind(cookie) == OTD_COOKIE_FIXED) {
        return;
    }
    name = find_name(ns, otd_cookie_key(cookie));
    if (name) {
        ds_put_format(out, "  [tunnel %"PRIu64": %s%s]", name->id,
                      name->description,
                      otd_cookie_kind(cookie) == OTD_COOKIE_MISSING_NEXT
                      ? ": its next step is missing" : "");
    }
}

/* "    12. " at the start of a line: the length up to and with the space, and
 * the table. */
static size_t
parse_table(const char *line, size_t len, int *table)
{
    int n = 0;

    return sscanf(line, " %d. %n", table, &n) == 1 && n && n <= len
           && *table >= 0 && *table < 256 ? n : 0;
}

void
otd_trace_decode(struct ds *out, const char *trace, const char *bridge,
                 const struct otd_trace_names *ns)
{
    char *heading = xasprintf("bridge(\"%s\")", bridge);
    bool ours = false;

    while (*trace) {
        size_t len = strcspn(trace, "\n");
        char *line = xmemdup0(trace, len);
        size_t start;
        int table;

        if (!strncmp(line, "bridge(", 7)) {
            ours = !strcmp(line, heading);
        }
        start = ours ? parse_table(line, len, &table) : 0;
        if (start && otd_table_name(table)) {
            ds_put_buffer(out, line, start);
            ds_put_format(out, "%s: ", otd_table_name(table));
        } else {
            start = 0;
        }
        put_body(out, line + start, len - start, ns);
        put_cookie(out, line, len, ns);
        ds_put_char(out, '\n');
        free(line);
        trace += len + (trace[len] == '\n');
    }
    free(heading);
}
