/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "daemon/options.h"

#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/util.h"
#include "openvswitch/vlog.h"

#include "command-line.h"
#include "daemon.h"
#include "dirs.h"
#include "lib/paths.h"
#include "stream-ssl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(otd_options);

/* The group whose members may use the default socket, if the host has it. */
#define DEFAULT_GROUP "ovs-tunneld"

enum {
    OPT_ALLOWED_SUBJECTS = UCHAR_MAX + 1,
    OPT_ALLOW_CLEAR_LOOPBACK,
    OPT_ALLOW_TLS_WITHOUT_CLIENT_CERT,
    OPT_CA_CERT,
    OPT_CERTIFICATE,
    OPT_DB,
    OPT_LISTEN,
    OPT_LISTEN_GROUP,
    OPT_PRIVATE_KEY,
    OPT_STORE,
    OPT_UNIXCTL,
    VLOG_OPTION_ENUMS,
    DAEMON_OPTION_ENUMS,
};

static const struct option long_options[] = {
    {"db", required_argument, NULL, OPT_DB},
    {"store", required_argument, NULL, OPT_STORE},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"listen-group", required_argument, NULL, OPT_LISTEN_GROUP},
    {"private-key", required_argument, NULL, OPT_PRIVATE_KEY},
    {"certificate", required_argument, NULL, OPT_CERTIFICATE},
    {"ca-cert", required_argument, NULL, OPT_CA_CERT},
    {"allowed-subjects", required_argument, NULL, OPT_ALLOWED_SUBJECTS},
    {"allow-clear-loopback", no_argument, NULL, OPT_ALLOW_CLEAR_LOOPBACK},
    {"allow-tls-without-client-certificate", no_argument, NULL,
     OPT_ALLOW_TLS_WITHOUT_CLIENT_CERT},
    {"unixctl", required_argument, NULL, OPT_UNIXCTL},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    VLOG_LONG_OPTIONS,
    DAEMON_LONG_OPTIONS,
    {NULL, 0, NULL, 0},
};

OVS_NO_RETURN static void
usage(void)
{
    char *listen = otd_default_listen();
    char *store = otd_default_store_dir();

    printf("%s: tunnels of gRPC clients on Open vSwitch\n"
           "usage: %s [OPTIONS] [DATABASE]\n"
           "where DATABASE is a socket on which ovsdb-server is listening:\n"
           "unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT\n"
           "      (default: \"unix:%s/db.sock\").\n",
           program_name, program_name, ovs_rundir());
    printf("\nTunnel options:\n"
           "  --db=DATABASE           the same as the argument DATABASE\n"
           "  --store=DIR             keep the tunnels in DIR\n"
           "                          (default: %s)\n"
           "  --listen=ADDRESSES      serve clients there (may be repeated):\n"
           "                          unix:PATH, tls:ADDRESS:PORT,\n"
           "                          insecure:ADDRESS:PORT; wins over the\n"
           "                          setting tunneld-listen\n"
           "                          (default: %s)\n"
           "  --listen-group=GROUP    give the socket's directory to GROUP\n"
           "                          (default: %s, if it exists)\n",
           store, listen, DEFAULT_GROUP);
    printf("\nTLS options:\n"
           "  --private-key=FILE      PEM private key of this host\n"
           "  --certificate=FILE      PEM certificate for the private key\n"
           "  --ca-cert=FILE          PEM certificates that sign clients'\n"
           "  --allowed-subjects=LIST names in client certificates that may\n"
           "                          connect, separated by commas\n"
           "  --allow-tls-without-client-certificate\n"
           "                          tls: on loopback without --ca-cert\n"
           "  --allow-clear-loopback  insecure: on loopback\n");
    daemon_usage();
    vlog_usage();
    printf("\nOther options:\n"
           "  --unixctl=SOCKET        override default control socket name\n"
           "  -h, --help              display this help message\n"
           "  -V, --version           display version information\n");
    free(listen);
    free(store);
    exit(EXIT_SUCCESS);
}

/* Replaces '*value' (owned) by a copy of 'new'. */
static void
set_string(char **value, const char *new)
{
    free(*value);
    *value = xstrdup(new);
}

static void
set_file(char **value, const char *name)
{
    free(*value);
    *value = abs_file_name(NULL, name);
}

static void
append_listen(char **list, const char *more)
{
    char *joined = *list ? xasprintf("%s %s", *list, more) : xstrdup(more);
    free(*list);
    *list = joined;
}

static void
parse_one(struct otd_options *o, int c)
{
    switch (c) {
    case OPT_DB:
        set_string(&o->db, optarg);
        break;
    case OPT_STORE:
        set_file(&o->store_dir, optarg);
        break;
    case OPT_LISTEN:
        append_listen(&o->listen, optarg);
        break;
    case OPT_LISTEN_GROUP:
        set_string(&o->unix_group, optarg);
        break;
    case OPT_PRIVATE_KEY:
        set_file(&o->private_key, optarg);
        break;
    case OPT_CERTIFICATE:
        set_file(&o->certificate, optarg);
        break;
    case OPT_CA_CERT:
        set_file(&o->ca_cert, optarg);
        break;
    case OPT_ALLOWED_SUBJECTS:
        set_string(&o->allowed_subjects, optarg);
        break;
    case OPT_ALLOW_CLEAR_LOOPBACK:
        o->allow_clear_loopback = true;
        break;
    case OPT_ALLOW_TLS_WITHOUT_CLIENT_CERT:
        o->allow_tls_no_client_cert = true;
        break;
    case OPT_UNIXCTL:
        set_string(&o->unixctl, optarg);
        break;
    case 'h':
        usage();
    case 'V':
        ovs_print_version(0, 0);
        exit(EXIT_SUCCESS);
    VLOG_OPTION_HANDLERS
    DAEMON_OPTION_HANDLERS
    case '?':
        exit(EXIT_FAILURE);
    default:
        OVS_NOT_REACHED();
    }
}

static void
fill_defaults(struct otd_options *o)
{
    if (!o->db) {
        o->db = xasprintf("unix:%s/db.sock", ovs_rundir());
    }
    if (!o->store_dir) {
        o->store_dir = otd_default_store_dir();
    }
    if (!o->unix_group && getgrnam(DEFAULT_GROUP)) {
        o->unix_group = xstrdup(DEFAULT_GROUP);
    }

    /* The database connection has the same key and certificate. */
    if (!strncmp(o->db, "ssl:", 4) || strstr(o->db, ",ssl:")) {
        if (!o->private_key || !o->certificate || !o->ca_cert) {
            ovs_fatal(0, "%s: an ssl: database needs --private-key, "
                      "--certificate and --ca-cert", o->db);
        }
        stream_ssl_set_key_and_cert(o->private_key, o->certificate);
        stream_ssl_set_ca_cert_file(o->ca_cert, false);
    }
}

void
otd_options_parse(struct otd_options *o, int argc, char *argv[])
{
    memset(o, 0, sizeof *o);

    char *short_options = ovs_cmdl_long_options_to_short_options(long_options);
    for (;;) {
        int c = getopt_long(argc, argv, short_options, long_options, NULL);
        if (c == -1) {
            break;
        }
        parse_one(o, c);
    }
    free(short_options);

    if (argc - optind > 1) {
        ovs_fatal(0, "at most one non-option argument accepted; "
                  "use --help for usage");
    } else if (optind < argc) {
        if (o->db) {
            ovs_fatal(0, "the database is given twice: --db=%s and %s",
                      o->db, argv[optind]);
        }
        o->db = xstrdup(argv[optind]);
    }
    fill_defaults(o);
}

void
otd_options_destroy(struct otd_options *o)
{
    free(o->db);
    free(o->unixctl);
    free(o->store_dir);
    free(o->listen);
    free(o->private_key);
    free(o->certificate);
    free(o->ca_cert);
    free(o->allowed_subjects);
    free(o->unix_group);
}
