/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_CLI_CTL_H
#define OTD_CLI_CTL_H 1

/* What the commands share: the options, the connection, errors, output. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <protobuf-c/protobuf-c.h>
#include "cli/request.h"
#include "openvswitch/compiler.h"
#include "table.h"

struct ds;
struct json;
struct otd_channel;

/* Exit status; a command returns one of these. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

struct ctl {
    /* The server. */
    char *target;
    const char *ca_cert, *certificate, *private_key, *server_name;
    struct otd_channel *channel;        /* NULL until ctl_connect(). */
    long long int deadline;             /* In time_msec(), 0: none. */

    /* Control sockets on this host. */
    const char *daemon, *vswitchd, *bridge;

    /* Output. */
    struct table_style style;
    bool format_given;                  /* By --format or --bare. */
    bool progress;

    /* The command's own options. */
    const char *file;                   /* NULL: not given. */
    struct otd_flag_value *flags;
    size_t n_flags, allocated_flags;
    double watch;                       /* Seconds; 0: once. */
    unsigned int count;                 /* Of --watch; 0: for ever. */

    /* The command's arguments, without its name. */
    int argc;
    char **argv;
};

/* Prints "ovs-tunnelctl: ..." and returns the status. */
int ctl_error(const char *format, ...) OVS_PRINTF_FORMAT(1, 2);
int ctl_usage_error(const char *format, ...) OVS_PRINTF_FORMAT(1, 2);

/* Milliseconds until the deadline, at least 1; 0 if there is none. */
int ctl_timeout(const struct ctl *);

/* Reads a tunnel's id (decimal, or hexadecimal with 0x).  False, with the
 * error printed, if it is none; 0 is none. */
bool ctl_parse_id(const char *, uint64_t *id);

static inline bool
ctl_is_json(const struct ctl *ctl)
{
    return ctl->style.format == TF_JSON;
}

/* ---- The server.  The first use connects.  Errors are printed. */

bool ctl_connect(struct ctl *);
void ctl_disconnect(struct ctl *);

/* One request, one answer.  NULL on failure; else returns owned (free with
 * protobuf_c_message_free_unpacked()). */
ProtobufCMessage *ctl_unary(struct ctl *, const char *method,
                            const ProtobufCMessage *request,
                            const ProtobufCMessageDescriptor *answer);

/* One request, many answers; 'cb' borrows each. */
bool ctl_read(struct ctl *, const char *method,
              const ProtobufCMessage *request,
              const ProtobufCMessageDescriptor *answer,
              void (*cb)(const ProtobufCMessage *, void *aux), void *aux);

/* Packs a message into 'buf', replacing what it held. */
struct ofpbuf;
void ctl_pack(struct ofpbuf *buf, const ProtobufCMessage *);

/* "IpTunnelService" methods' full names. */
#define CTL_METHOD(NAME) "/tunneloffload.v2.IpTunnelService/" NAME

/* ---- JSON output: an array whose elements come one by one. */

struct ctl_json_array {
    int flags;                  /* For json_to_string(). */
    bool any;
};
void ctl_json_array_begin(struct ctl_json_array *, const struct ctl *);
/* Takes the element. */
void ctl_json_array_add(struct ctl_json_array *, struct json *);
void ctl_json_array_end(struct ctl_json_array *);
/* A single value.  Takes it. */
void ctl_json_print(const struct ctl *, struct json *);

/* ---- The commands. */

int ctl_capabilities(struct ctl *);
int ctl_create(struct ctl *);
int ctl_update(struct ctl *);
int ctl_delete(struct ctl *);
int ctl_apply(struct ctl *);
int ctl_list(struct ctl *);
int ctl_show(struct ctl *);
int ctl_stats(struct ctl *);
int ctl_chains(struct ctl *);
int ctl_flows(struct ctl *);
int ctl_explain(struct ctl *);
int ctl_trace(struct ctl *);

#endif /* cli/ctl.h */
