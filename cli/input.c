/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "openvswitch/json.h"
#include "util.h"

struct otd_input {
    FILE *stream;
    char *name;
    char *where;                /* Result of otd_input_where(). */
    uint64_t size;

    char buffer[65536];
    size_t n, used;             /* Bytes in 'buffer', and taken from it. */
    uint64_t offset;
    unsigned int line;          /* Of the next byte, from 1. */

    unsigned int entry;         /* Objects begun so far. */
    unsigned int entry_line;
    enum {
        OUTSIDE,                /* Between values. */
        ARRAY_BEGIN,            /* After '['. */
        ARRAY_COMMA,            /* After ','. */
        ARRAY_OBJECT,           /* After an object in an array. */
    } state;
};

char *
otd_input_open(const char *path, struct otd_input **inputp)
{
    bool is_stdin = !strcmp(path, "-");
    FILE *stream = is_stdin ? stdin : fopen(path, "r");
    struct otd_input *in;
    struct stat st;

    *inputp = NULL;
    if (!stream) {
        return xasprintf("%s: %s", path, ovs_strerror(errno));
    }
    in = xzalloc(sizeof *in);
    in->stream = stream;
    in->name = xstrdup(is_stdin ? "standard input" : path);
    in->line = 1;
    if (!fstat(fileno(stream), &st) && S_ISREG(st.st_mode)) {
        in->size = st.st_size;
    }
    *inputp = in;
    return NULL;
}

void
otd_input_close(struct otd_input *in)
{
    if (in) {
        if (in->stream != stdin) {
            fclose(in->stream);
        }
        free(in->name);
        free(in->where);
        free(in);
    }
}

const char *
otd_input_where(struct otd_input *in)
{
    free(in->where);
    in->where = xasprintf("%s, line %u, entry %u", in->name, in->entry_line,
                          in->entry);
    return in->where;
}

uint64_t
otd_input_offset(const struct otd_input *in)
{
    return in->offset;
}

uint64_t
otd_input_size(const struct otd_input *in)
{
    return in->size;
}

/* Makes sure that there is a byte in the buffer.  False at the end of the
 * file, or, with '*error', if it cannot be read. */
static bool
fill(struct otd_input *in, char **error)
{
    if (in->used == in->n) {
        in->used = 0;
        in->n = fread(in->buffer, 1, sizeof in->buffer, in->stream);
        if (!in->n && ferror(in->stream)) {
            *error = xasprintf("%s: %s", in->name, ovs_strerror(errno));
        }
    }
    return in->n > 0;
}

static void
take(struct otd_input *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        in->line += in->buffer[in->used + i] == '\n';
    }
    in->used += n;
    in->offset += n;
}

static char *
syntax_error(struct otd_input *in, const char *what)
{
    return xasprintf("%s, line %u: %s", in->name, in->line, what);
}

/* What to expect in each state, for error sentences. */
static const char *const expected[] = {
    [OUTSIDE] = "expected an object or an array of objects",
    [ARRAY_BEGIN] = "expected an object or ']'",
    [ARRAY_COMMA] = "expected an object",
    [ARRAY_OBJECT] = "expected ',' or ']'",
};

/* Takes what stands between objects.  '*begins' is true if an object follows,
 * false at the end of the file. */
static char *
skip_to_object(struct otd_input *in, bool *begins)
{
    char *error = NULL;

    *begins = false;
    while (fill(in, &error)) {
        char c = in->buffer[in->used];

        if (c == '{' && in->state != ARRAY_OBJECT) {
            *begins = true;
            return NULL;
        } else if (c == '[' && in->state == OUTSIDE) {
            in->state = ARRAY_BEGIN;
        } else if (c == ',' && in->state == ARRAY_OBJECT) {
            in->state = ARRAY_COMMA;
        } else if (c == ']' && (in->state == ARRAY_OBJECT
                                || in->state == ARRAY_BEGIN)) {
            in->state = OUTSIDE;
        } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            return syntax_error(in, expected[in->state]);
        }
        take(in, 1);
    }
    if (!error && in->state != OUTSIDE) {
        error = syntax_error(in, "the file ends in an array");
    }
    return error;
}

char *
otd_input_next(struct otd_input *in, struct json **jsonp)
{
    struct json_parser *parser;
    struct json *json;
    char *error;
    bool begins;

    *jsonp = NULL;
    error = skip_to_object(in, &begins);
    if (error || !begins) {
        return error;
    }

    in->entry++;
    in->entry_line = in->line;
    parser = json_parser_create(0);
    while (!json_parser_is_done(parser) && fill(in, &error)) {
        take(in, json_parser_feed(parser, in->buffer + in->used,
                                  in->n - in->used));
    }
    json = json_parser_finish(parser);
    if (!error && json->type == JSON_STRING) {
        /* The parser's own "line L, column C, byte B:" counts from the start
         * of the object. */
        const char *text = strstr(json_string(json), ": ");

        error = xasprintf("%s: %s (line %u)", otd_input_where(in),
                          text ? text + 2 : json_string(json), in->line);
    }
    if (error) {
        json_destroy(json);
        return error;
    }
    in->state = in->state == OUTSIDE ? OUTSIDE : ARRAY_OBJECT;
    *jsonp = json;
    return NULL;
}
