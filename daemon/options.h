/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_OPTIONS_H
#define OTD_OPTIONS_H 1

/* The command line of ovs-tunneld, in the manner of the Open vSwitch daemons.
 *
 * Options that Open vSwitch's own modules keep (--pidfile, --detach,
 * --log-file, -v, ...) go to those modules; the others end up in this struct.
 * File names are made absolute here, because --detach changes to the root
 * directory. */

#include <stdbool.h>

struct otd_options {
    char *db;                   /* OVSDB remote. */
    char *unixctl;              /* --unixctl, or NULL for the default name. */
    char *store_dir;            /* --store, or the default. */
    char *listen;               /* --listen, joined by spaces, or NULL. */
    char *private_key, *certificate, *ca_cert;          /* Or NULL. */
    char *allowed_subjects;     /* Comma-separated, or NULL. */
    char *unix_group;           /* Group of the socket's directory, or NULL. */
    bool allow_clear_loopback;
    bool allow_tls_no_client_cert;
};

/* Exits after --help and --version, and with a message after a mistake. */
void otd_options_parse(struct otd_options *, int argc, char *argv[]);
void otd_options_destroy(struct otd_options *);

#endif /* daemon/options.h */
