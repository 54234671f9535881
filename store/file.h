/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_STORE_FILE_H
#define OTD_STORE_FILE_H 1

/* The store's directory and file as such: first start, lock, identity and
 * integrity.  What stands in the tables is store.c's business.  Errors are
 * owned sentences, as in store.h. */

#include <stdbool.h>
#include <stdint.h>

struct sqlite3;

#define OTD_STORE_FILE "tunnels.db"

struct otd_store_file {
    char *path;                 /* Of the main file, for error texts. */
    int dir_fd;                 /* Holds the lock, -1 if there is none. */
    struct sqlite3 *db;
};

/* Makes sure that 'dir' is a safe place, locks it, creates the file if this is
 * the first start, opens it and refuses what is damaged, another
 * application's, newer or read-only.  Such a file, its log included, stays as
 * it is.  On failure '*f' is closed. */
char *otd_store_file_open(const char *dir, struct otd_store_file *f);

/* The last step of opening, when the first write succeeded: from here on
 * closing folds the log into the main file, and a loss of the main file will
 * be noticed. */
char *otd_store_file_confirm(struct otd_store_file *);
void otd_store_file_close(struct otd_store_file *);

/* The sentence for what SQLite refused last on this connection. */
char *otd_store_file_error(const struct otd_store_file *, const char *what);
/* The sentence for contents that cannot be right. */
char *otd_store_file_damaged(const struct otd_store_file *, const char *what);

/* Stores the first column of the first row of 'sql'. */
char *otd_store_file_query(const struct otd_store_file *, const char *sql,
                           int64_t *value);

#endif /* store/file.h */
