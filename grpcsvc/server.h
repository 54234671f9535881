/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SERVER_H
#define OTD_SERVER_H 1

/* The real transport: gRPC C core.  otd_server_create() calls grpc_init(), so
 * it comes after the daemon has forked.  One thread of its own; everything
 * here is called from the main thread.
 *
 * Order of the end: first the service lets go of its calls
 * (otd_service_set_transport(..., NULL)), then otd_server_destroy(). */

#include <stdbool.h>
#include <stddef.h>
#include "grpcsvc/transport.h"

struct simap;

struct otd_server_config {
    /* Space-separated: "unix:PATH", "tls:ADDRESS:PORT",
     * "insecure:ADDRESS:PORT".
     *
     * ADDRESS is an IPv4 address, an IPv6 address in brackets, or "localhost",
     * which means 127.0.0.1.  PORT 0 lets the kernel choose.  PATH is
     * absolute. Its directory is created (0750, or 0700 without a group) if it
     * is not there; one that is there must be root's or ours and closed to
     * others.
     *
     * "insecure" is refused beyond loopback, and on loopback without
     * 'allow_clear_loopback'; "tls" beyond loopback is refused without
     * 'ca_cert' and 'allowed_subjects', and on loopback without 'ca_cert'
     * unless 'allow_tls_no_client_cert'.  With 'ca_cert' every TLS client must
     * show a certificate. */
    const char *listen;
    const char *private_key, *certificate, *ca_cert;   /* PEM files or NULL. */
    const char *allowed_subjects;  /* Comma-separated CNs or SANs, or NULL. */
    bool allow_clear_loopback, allow_tls_no_client_cert;
    const char *unix_group;        /* Of the socket's directory, or NULL. */
};

struct otd_server;

/* Returns NULL on success, or an owned sentence (which address, why, remedy).
 * All addresses are bound, or none.  Raises the limit of open files as far as
 * it may: each client is a file. */
char *otd_server_create(const struct otd_server_config *,
                        struct otd_server **);
/* Finishes calls with UNAVAILABLE, waits until the thread has ended. */
void otd_server_destroy(struct otd_server *);
struct otd_transport *otd_server_transport(struct otd_server *);
/* For `status`: the addresses with their bound ports; borrowed. */
const char *otd_server_addresses(const struct otd_server *);
/* For memory/show: "grpc-calls", "grpc-KiB" (requests not yet used up). */
void otd_server_get_memory_usage(const struct otd_server *, struct simap *);

/* Pure check of one listen list, for `tunneld-listen` changes and tests:
 * returns NULL, or the owned sentence that otd_server_create() would return
 * for reasons that do not depend on the system. */
char *otd_server_config_check(const struct otd_server_config *);

#endif /* grpcsvc/server.h */
