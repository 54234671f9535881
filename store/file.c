/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

#define WAL_NAME OTD_STORE_FILE "-wal"
#define MARKER_NAME OTD_STORE_FILE "-created"
#define NEW_SUFFIX ".new"
#define NEW_NAME OTD_STORE_FILE NEW_SUFFIX

#define PAGE_SIZE 4096

/* "OTDs", in the header of the file, where file(1) and SQLite look for it. */
#define APPLICATION_ID 0x4f544473
/* Raise it with every change of the tables, and add the step from the version
 * before to migrate(). */
#define SCHEMA_VERSION 1

/* The row id is the key, not the id: keys are handed out in ascending order,
 * so that rows are always appended, whatever ids the clients choose, and the
 * load at start is one sequential walk.  The ids have no index: it would cost
 * a load 70 % more.  An id is stored as the signed number of the same 64 bits.
 * 'sum' is over the row's other values (row_sum() in store.c).  store.c keeps
 * counters and tunnel together: a foreign key would do the same, and take a
 * third of the speed of a load. */
static const char schema_sql[] =
    "CREATE TABLE tunnel("
    "  key INTEGER PRIMARY KEY,"
    "  id INTEGER NOT NULL,"
    "  request BLOB NOT NULL,"
    "  sum INTEGER NOT NULL);"
    "CREATE TABLE counters("
    "  key INTEGER PRIMARY KEY,"
    "  base_packets INTEGER NOT NULL, base_bytes INTEGER NOT NULL,"
    "  base_drop_packets INTEGER NOT NULL, base_drop_bytes INTEGER NOT NULL,"
    "  last_packets INTEGER NOT NULL, last_bytes INTEGER NOT NULL,"
    "  last_drop_packets INTEGER NOT NULL, last_drop_bytes INTEGER NOT NULL,"
    "  sum INTEGER NOT NULL);"
    "CREATE TABLE tlv("
    "  tun_metadata INTEGER PRIMARY KEY,"
    "  class INTEGER NOT NULL, type INTEGER NOT NULL, len INTEGER NOT NULL,"
    "  sum INTEGER NOT NULL, UNIQUE(class, type));"
    "CREATE TABLE meta("
    "  name TEXT PRIMARY KEY, value INTEGER NOT NULL, sum INTEGER NOT NULL)"
    "  WITHOUT ROWID;";

/* ---- Errors. */

static char *
sql_error(sqlite3 *db, const char *path, const char *what)
{
    int code = sqlite3_extended_errcode(db);
    int error = sqlite3_system_errno(db);

    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return xasprintf("%s: %s: another program has this file open",
                         path, what);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return xasprintf("%s: %s: the file is damaged (%s); restore it from "
                         "a backup, or move it and %s away to start empty",
                         path, what, sqlite3_errmsg(db), MARKER_NAME);
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
        if (error) {
            return xasprintf("%s: %s: %s (%s)", path, what,
                             sqlite3_errmsg(db), ovs_strerror(error));
        }
        /* Fall through. */
    default:
        return xasprintf("%s: %s: %s", path, what, sqlite3_errmsg(db));
    }
}

char *
otd_store_file_error(const struct otd_store_file *f, const char *what)
{
    return sql_error(f->db, f->path, what);
}

char *
otd_store_file_damaged(const struct otd_store_file *f, const char *what)
{
    return xasprintf("%s: the file is damaged (%s); restore it from a backup, "
                     "or move it and %s away to start empty",
                     f->path, what, MARKER_NAME);
}

/* ---- The directory. */

/* Opens 'dir', creating it if missing, locks it and returns its descriptor, or
 * sets '*error'. */
static int
open_dir(const char *dir, char **error)
{
    struct stat st;
    int fd;

    if (mkdir(dir, 0700) && errno != EEXIST) {
        *error = xasprintf("%s: cannot create the store's directory: %s",
                           dir, ovs_strerror(errno));
        return -1;
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        bool link = !lstat(dir, &st) && S_ISLNK(st.st_mode);

        *error = xasprintf("%s: cannot open the store's directory: %s", dir,
                           link ? "it is a symbolic link; name the directory "
                                  "itself" : ovs_strerror(errno));
        return -1;
    }
    if (fstat(fd, &st)) {
        *error = xasprintf("%s: fstat: %s", dir, ovs_strerror(errno));
    } else if (st.st_uid != geteuid()) {
        *error = xasprintf("%s: the store's directory belongs to user %u, not "
                           "to user %u, who runs this program", dir,
                           (unsigned int) st.st_uid, (unsigned int) geteuid());
    } else if (st.st_mode & 077) {
        *error = xasprintf("%s: the store's directory has mode %04o, which "
                           "lets others in; make it 0700", dir,
                           (unsigned int) st.st_mode & 07777);
    } else if (faccessat(fd, ".", R_OK | W_OK | X_OK, AT_EACCESS)) {
        *error = xasprintf("%s: cannot write the store's directory: %s", dir,
                           ovs_strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB)) {
        /* The kernel drops this lock with the process, however it ends. */
        *error = errno == EWOULDBLOCK
            ? xasprintf("%s: another ovs-tunneld is using this store", dir)
            : xasprintf("%s: cannot lock the store's directory: %s", dir,
                        ovs_strerror(errno));
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

/* Returns the size of the file, -1 if there is none, or -2 with '*error' if it
 * cannot be one of ours. */
static off_t
file_size(const struct otd_store_file *f, const char *name, char **error)
{
    struct stat st;

    if (fstatat(f->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
        if (errno == ENOENT) {
            return -1;
        }
        *error = xasprintf("%s: %s: %s", f->path, name, ovs_strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
        *error = xasprintf("%s: %s is not a plain file with a single name",
                           f->path, name);
    } else if (st.st_uid != geteuid()) {
        *error = xasprintf("%s: %s belongs to user %u, not to user %u, who "
                           "runs this program", f->path, name,
                           (unsigned int) st.st_uid, (unsigned int) geteuid());
    } else {
        return st.st_size;
    }
    return -2;
}

/* The marker says that a store was made here, so that a file that is lost
 * later is not taken for a first start. */
static char *
write_marker(const struct otd_store_file *f)
{
    static const char text[] =
        "ovs-tunneld keeps its tunnels in " OTD_STORE_FILE ".\n"
        "If that file is gone, restore it, or remove this one too:\n"
        "ovs-tunneld then starts empty.\n";
    int fd;

    fd = openat(f->dir_fd, MARKER_NAME,
                O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, sizeof text - 1) != sizeof text - 1
        || fsync(fd) || fsync(f->dir_fd)) {
        char *error = xasprintf("%s: cannot write %s: %s", f->path,
                                MARKER_NAME, ovs_strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return error;
    }
    close(fd);
    return NULL;
}

/* ---- The database. */

static char *
exec(sqlite3 *db, const char *path, const char *what, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK
           ? NULL : sql_error(db, path, what);
}

char *
otd_store_file_query(const struct otd_store_file *f, const char *sql,
                     int64_t *value)
{
    sqlite3_stmt *stmt = NULL;
    char *error = NULL;
    int rc;

    *value = 0;
    rc = sqlite3_prepare_v2(f->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc == SQLITE_ROW) {
        *value = sqlite3_column_int64(stmt, 0);
    } else if (rc == SQLITE_DONE) {
        error = otd_store_file_damaged(f, "a row that must be there is not");
    } else {
        error = otd_store_file_error(f, "cannot read it");
    }
    sqlite3_finalize(stmt);
    return error;
}

/* Opens 'path' and sets what holds for a connection.  Nothing of the file is
 * changed.  '*dbp' is to be closed also on failure. */
static char *
open_db(const char *path, int flags, sqlite3 **dbp)
{
    mode_t mask = umask(077);
    int rc = sqlite3_open_v2(path, dbp, SQLITE_OPEN_READWRITE
                             | SQLITE_OPEN_NOMUTEX | flags, NULL);
    char *error = NULL;

    if (rc != SQLITE_OK) {
        error = *dbp ? sql_error(*dbp, path, "cannot open it")
                     : xasprintf("%s: %s", path, sqlite3_errstr(rc));
    } else {
        /* If the file turns out to be another's or damaged, closing it must
         * leave it and its WAL as they are. */
        sqlite3_db_config(*dbp, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_db_config(*dbp, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        error = exec(*dbp, path, "cannot open it",
                     "PRAGMA locking_mode = EXCLUSIVE;"
                     "PRAGMA trusted_schema = OFF;"
                     "PRAGMA cell_size_check = ON;"
                     "PRAGMA mmap_size = 0;"
                     "PRAGMA temp_store = MEMORY;"
                     "PRAGMA cache_size = -8192;"
                     "PRAGMA synchronous = FULL;"
                     "PRAGMA secure_delete = ON;"
                     "PRAGMA wal_autocheckpoint = 0;"
                     "PRAGMA journal_size_limit = 67108864;");
    }
    /* The WAL file, which SQLite makes later, inherits the main file's mode.
     */
    umask(mask);
    return error;
}

/* Makes an empty database.  It grows under another name, so that whatever
 * stands under the real name was complete once. */
static char *
create_db(const struct otd_store_file *f)
{
    static const char *const leftovers[] = {
        NEW_NAME, NEW_NAME "-wal", NEW_NAME "-journal", NEW_NAME "-shm",
    };
    sqlite3 *db = NULL;
    char *error = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(leftovers); i++) {
        if (unlinkat(f->dir_fd, leftovers[i], 0) && errno != ENOENT) {
            return xasprintf("%s: cannot remove %s: %s", f->path,
                             leftovers[i], ovs_strerror(errno));
        }
    }

    char *new_path = xasprintf("%s%s", f->path, NEW_SUFFIX);
    error = open_db(new_path, SQLITE_OPEN_CREATE, &db);
    if (!error) {
        char *sql = xasprintf(
            "PRAGMA page_size = %d; PRAGMA journal_mode = WAL;"
            "BEGIN IMMEDIATE; PRAGMA application_id = %d;"
            "PRAGMA user_version = %d; %s COMMIT;",
            PAGE_SIZE, APPLICATION_ID, SCHEMA_VERSION, schema_sql);
        error = exec(db, new_path, "cannot create it", sql);
        free(sql);
    }
    if (!error) {
        /* A file without its log: only such a one may be renamed. */
        if (sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE,
                                      NULL, NULL) != SQLITE_OK) {
            error = sql_error(db, new_path, "cannot create it");
        }
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    }
    sqlite3_close(db);
    if (!error && (renameat(f->dir_fd, NEW_NAME, f->dir_fd, OTD_STORE_FILE)
                   || fsync(f->dir_fd))) {
        error = xasprintf("%s: cannot rename %s to it: %s", f->path, NEW_NAME,
                          ovs_strerror(errno));
    }
    free(new_path);
    return error;
}

/* Decides between a first start, an existing table and a loss. */
static char *
check_files(const struct otd_store_file *f)
{
    char *error = NULL;
    off_t db = file_size(f, OTD_STORE_FILE, &error);
    off_t wal = error ? -2 : file_size(f, WAL_NAME, &error);
    off_t marker = error ? -2 : file_size(f, MARKER_NAME, &error);

    if (error) {
        return error;
    }
    if (db > 0 && faccessat(f->dir_fd, OTD_STORE_FILE, R_OK | W_OK,
                            AT_EACCESS)) {
        return xasprintf("%s: cannot write it: %s", f->path,
                         ovs_strerror(errno));
    }
    if (db > 0) {
        /* SQLite reads a last page that is cut off as if zeros followed.  A
         * checkpoint that a crash cut short does the same, but leaves a WAL.
         */
        return db % PAGE_SIZE && wal <= 0
               ? otd_store_file_damaged(f, "its end is cut off") : NULL;
    }
    if (!db) {
        return otd_store_file_damaged(f, "it is empty, 0 bytes");
    }
    if (wal >= 0) {
        return xasprintf("%s: the file is gone, but its write-ahead log %s is "
                         "there; restore it from a backup, or move the log "
                         "and %s away to start empty", f->path, WAL_NAME,
                         MARKER_NAME);
    }
    if (marker >= 0) {
        return xasprintf("%s: the file is gone; restore it from a backup, or "
                         "remove %s to start empty", f->path, MARKER_NAME);
    }
    return create_db(f);
}

/* Refuses a file that is not ours, before anything of it is changed. */
static char *
check_identity(const struct otd_store_file *f)
{
    int64_t application, version;
    char *error;

    error = otd_store_file_query(f, "PRAGMA application_id", &application);
    if (!error) {
        error = otd_store_file_query(f, "PRAGMA user_version", &version);
    }
    if (error) {
        return error;
    }
    if (application != APPLICATION_ID) {
        return xasprintf("%s: this is a database of another application "
                         "(application_id 0x%08x); ovs-tunneld leaves it "
                         "alone", f->path, (unsigned int) application);
    }
    if (version > SCHEMA_VERSION) {
        return xasprintf("%s: the file has version %lld, written by a newer "
                         "ovs-tunneld; this one knows versions up to %d",
                         f->path, (long long int) version, SCHEMA_VERSION);
    }
    if (version < 1) {
        return otd_store_file_damaged(f, "its version is not positive");
    }
    if (sqlite3_db_readonly(f->db, "main")) {
        return xasprintf("%s: cannot write it: the file or its file system "
                         "is read-only", f->path);
    }
    return NULL;
}

static char *
check_integrity(const struct otd_store_file *f)
{
    sqlite3_stmt *stmt = NULL;
    char *error = NULL;

    /* About 0.1 s for a million tunnels; it reads every page, which the load
     * that follows then finds in the page cache. */
    if (sqlite3_prepare_v2(f->db, "PRAGMA quick_check(1)", -1, &stmt, NULL)
        != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW) {
        error = otd_store_file_error(f, "cannot check it");
    } else {
        const char *result = (const char *) sqlite3_column_text(stmt, 0);

        if (!result || strcmp(result, "ok")) {
            error = otd_store_file_damaged(f, result ? result : "no result");
        }
    }
    sqlite3_finalize(stmt);
    return error;
}

char *
otd_store_file_open(const char *dir, struct otd_store_file *f)
{
    char *error = NULL;

    /* No account of SQLite's memory: it takes a lock in every allocation, a
     * tenth of the cost of a row.  Refused once the library is in use, which
     * changes nothing. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);

    f->path = xasprintf("%s/%s", dir, OTD_STORE_FILE);
    f->db = NULL;
    f->dir_fd = open_dir(dir, &error);
    if (!error) {
        error = check_files(f);
    }
    if (!error) {
        error = open_db(f->path, 0, &f->db);
    }
    if (!error) {
        error = check_identity(f);
    }
    if (!error) {
        error = exec(f->db, f->path, "cannot open it",
                     "PRAGMA journal_mode = WAL");
    }
    if (!error) {
        error = check_integrity(f);
    }
    if (error) {
        otd_store_file_close(f);
    }
    return error;
}

char *
otd_store_file_confirm(struct otd_store_file *f)
{
    sqlite3_db_config(f->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    return write_marker(f);
}

void
otd_store_file_close(struct otd_store_file *f)
{
    /* Before the lock goes. */
    sqlite3_close(f->db);
    f->db = NULL;
    if (f->dir_fd >= 0) {
        close(f->dir_fd);
        f->dir_fd = -1;
    }
    free(f->path);
    f->path = NULL;
}
