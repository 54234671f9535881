/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_STORE_FIXTURE_H
#define OTD_STORE_FIXTURE_H 1

/* What the store's tests share: a fresh directory per test, and contents and
 * errors as text. */

#include <stddef.h>
#include "store/store.h"

struct ds;

extern char *base;              /* A directory of the test's own. */
extern char *dir;               /* The store's directory below it. */

void setup(void);
void teardown(void);

/* The path of a file in 'dir', good for the next three calls. */
char *file(const char *name);

/* Fails the test if there is an error. */
void no_error(char *error);
/* Takes the error; it must be 'format', where "%s" stands for the directory.
 */
void assert_error(char *error, const char *format);

struct otd_store *open_store(void);
/* Opens and closes. */
char *try_open(void);
void put(struct otd_store *, uint64_t id, uint32_t key, const char *bytes);

/* Appends the whole contents as text, or returns the error of the load. */
char *dump(struct otd_store *, struct ds *);
void assert_contents(struct otd_store *, const char *expected);

/* A store with a bit of everything, closed.  Returns its contents as text. */
const char *make_sample(void);

char *read_file(const char *path, size_t *n);
void write_file(const char *path, const char *data, size_t n);

struct Suite *table_suite(void);
struct Suite *faults_suite(void);

#endif /* tests/unit/store-fixture.h */
