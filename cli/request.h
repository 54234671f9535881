/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_REQUEST_H
#define OTD_CLI_REQUEST_H 1

/* Requests from the flags of a command line.
 *
 * A flag is a name for a field of the request: flags become the same JSON that
 * a file holds, and go the same way from there (cli/message.h).  So one table
 * says it all, for the parser, the help, the shell completion and the error
 * texts. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/fault.h"
#include "proto/tunneloffload.pb-c.h"

struct json;

/* What a tunnel does; OTD_REQUEST_ANY is also "not given". */
enum otd_request_kind {
    OTD_REQUEST_ANY = 0,
    OTD_REQUEST_GENEVE_ENCAP = 1 << 0,
    OTD_REQUEST_GENEVE_DECAP = 1 << 1,
    OTD_REQUEST_IPSEC_ENC = 1 << 2,
    OTD_REQUEST_IPSEC_DEC = 1 << 3,
    OTD_REQUEST_NAT = 1 << 4,
};

struct otd_request_kind_info {
    enum otd_request_kind kind;
    const char *name;           /* "geneve-encap", ... */
    const char *path;           /* The message that makes it this kind. */
};
/* Ends with a NULL name. */
extern const struct otd_request_kind_info otd_request_kinds[];

struct otd_request_flag {
    const char *name;           /* Without "--". */
    const char *arg;            /* Its argument in the help; NULL: none. */
    unsigned int kinds;         /* It belongs to these; ANY: to all. */
    const char *path;           /* Of the field; an IPv6 address makes "ipv6"
                                 * of the "ipv4" in it. */
    const char *help;
    enum otd_flag_how {
        OTD_FLAG_VALUE,         /* As it stands. */
        OTD_FLAG_TRUE,          /* A bool. */
        OTD_FLAG_ADDRESS,
        OTD_FLAG_PREFIX,        /* ADDRESS[/LENGTH], two fields. */
        OTD_FLAG_OPTION,        /* CLASS,TYPE[,DATA], appended to a list. */
        OTD_FLAG_KEY_FILE,      /* The name of a file with a key. */
        OTD_FLAG_SA,            /* SPI,KEYFILE, appended to a list. */
    } how;
};
/* Ends with a NULL name.  A name may stand for different fields of different
 * kinds. */
extern const struct otd_request_flag otd_request_flags[];

/* A flag as given. */
struct otd_flag_value {
    const char *name;
    const char *arg;            /* NULL if it takes none. */
};

/* Makes a request of flags.  'id' 0: not given.  Kind ANY: the one that the
 * flags imply, if they do.  Returns owned JSON, with a fault (path: the flag)
 * for each flag that cannot be used. */
struct json *otd_request_from_flags(uint64_t id, enum otd_request_kind,
                                    const struct otd_flag_value *, size_t n,
                                    struct otd_faults *);

/* Makes the message, or returns NULL with faults.  'operation' is what the
 * command does: JSON may leave its own out, or must say the same; _NONE: JSON
 * must say it; _DELETE: only the id counts, so that what list prints can be
 * given.  Free it with
 * tunneloffload__v2__ip_tunnel_request__free_unpacked (m, NULL). */
Tunneloffload__V2__IpTunnelRequest *
otd_request_from_json(const struct json *,
                      Tunneloffload__V2__Operation operation,
                      struct otd_faults *);

#endif /* cli/request.h */
