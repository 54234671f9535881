/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_INPUT_H
#define OTD_CLI_INPUT_H 1

/* A file of JSON objects, one after the other: a single object, objects one
 * per line or anyhow, or arrays of objects.  It is read as it is needed, so
 * that its size does not matter. */

#include <stddef.h>
#include <stdint.h>

struct json;
struct otd_input;

/* Opens 'path', "-" for standard input.  NULL, or an owned sentence. */
char *otd_input_open(const char *path, struct otd_input **);
void otd_input_close(struct otd_input *);

/* Reads the next object into '*json' (returns owned), NULL at the end.
 * Returns NULL, or an owned sentence that begins as otd_input_where() does. */
char *otd_input_next(struct otd_input *, struct json **json);

/* "FILE, line 12, entry 3", of the last object: its first line, its number
 * from 1.  Borrowed until the next call of any function here. */
const char *otd_input_where(struct otd_input *);

/* Bytes read so far, and in all (0 if that is not known). */
uint64_t otd_input_offset(const struct otd_input *);
uint64_t otd_input_size(const struct otd_input *);

#endif /* cli/input.h */
