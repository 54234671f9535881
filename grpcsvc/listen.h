/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_LISTEN_H
#define OTD_LISTEN_H 1

/* Where the server listens: the syntax of the list, the rules on who may be
 * let in where (grpcsvc/server.h has both), and what must be done to the file
 * system around a unix socket.  No gRPC. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct otd_server_config;

enum otd_listen_type { OTD_LISTEN_UNIX, OTD_LISTEN_TLS, OTD_LISTEN_INSECURE };

struct otd_listen {
    enum otd_listen_type type;
    char *text;                 /* As in the list; owned. */
    char *target;               /* As gRPC wants it; owned. */
    char *path;                 /* OTD_LISTEN_UNIX; owned.  Else NULL. */
    char *host;                 /* The other types; without brackets; owned. */
    uint16_t port;              /* Host byte order. */
    bool loopback;
};

/* Parses and checks 'config->listen'.  On success returns NULL and '*listens'
 * is owned by the caller; otherwise an owned sentence.  Touches nothing. */
char *otd_listen_parse(const struct otd_server_config *config,
                       struct otd_listen **listens, size_t *n);
void otd_listen_free(struct otd_listen *, size_t n);

/* Before the bind: makes or checks the directory, removes the socket of a dead
 * process, refuses one of a living one.  'group' may be NULL.  If the group
 * does not exist, the owner alone gets in and '*warning' is set to an owned
 * sentence, else to NULL. */
char *otd_listen_unix_prepare(const char *path, const char *group,
                              char **warning);
/* After the bind: the socket's own owner and mode (0660, or 0600 without the
 * group). */
char *otd_listen_unix_finish(const char *path, const char *group);

/* Why can 'listen' not be bound?  Tries it; an owned sentence. */
char *otd_listen_diagnose(const struct otd_listen *);

#endif /* grpcsvc/listen.h */
