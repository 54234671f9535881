/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SERVER_H
#define OTD_SERVER_H 1

/* The real transport: gRPC C core.  otd_server_create() calls grpc_init(), so it
 * comes after the daemon has forked.  One thread of its own; everything here is
 * called from the main thread. */

#include <stdbool.h>
#include <stddef.h>
#include "grpcsvc/transport.h"

struct otd_server_config {
    /* Space-separated: "unix:PATH", "tls:ADDRESS:PORT", "insecure:ADDRESS:PORT"
     * (IPv6 in brackets).  "insecure" is refused beyond loopback, and on loopback
     * without 'allow_clear_loopback'; "tls" beyond loopback is refused without
     * 'ca_cert' and 'allowed_subjects', and on loopback without 'ca_cert' unless
     * 'allow_tls_no_client_cert'. */
    const char *listen;
    const char *private_key, *certificate, *ca_cert;    /* PEM files or NULL. */
    const char *allowed_subjects;       /* Comma-separated CNs or SANs, or NULL. */
    bool allow_clear_loopback, allow_tls_no_client_cert;
    const char *unix_group;             /* Group of the socket's directory, or NULL. */
};

struct otd_server;

/* Returns NULL on success, or an owned sentence (which address, why, remedy). */
char *otd_server_create(const struct otd_server_config *, struct otd_server **);
/* Finishes calls with UNAVAILABLE, waits until the thread has ended. */
void otd_server_destroy(struct otd_server *);
struct otd_transport *otd_server_transport(struct otd_server *);
/* For `status`: the addresses with their bound ports; borrowed. */
const char *otd_server_addresses(const struct otd_server *);

/* Pure check of one listen list, for `tunneld-listen` changes and tests. */
char *otd_server_config_check(const struct otd_server_config *);

#endif /* grpcsvc/server.h */
