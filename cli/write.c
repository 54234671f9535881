/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that change tunnels: create, update, delete, apply. */
#include <config.h>
#include "cli/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/channel.h"
#include "cli/input.h"
#include "cli/message.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/ofpbuf.h"
#include "timeval.h"
#include "util.h"

/* After this many bad entries of a file the rest is not looked at. */
#define MAX_BAD_ENTRIES 20

/* One stream of requests. */
struct upload {
    struct ctl *ctl;
    Tunneloffload__V2__Operation operation;
    struct otd_stream *stream;  /* NULL until the first request. */
    bool ended;                 /* The server has ended the call. */
    uint64_t *ids;              /* Of each request, as sent. */
    size_t n, allocated;
    struct ofpbuf buf;
    struct otd_progress progress;
};

static void
upload_init(struct upload *u, struct ctl *ctl,
            Tunneloffload__V2__Operation operation)
{
    memset(u, 0, sizeof *u);
    u->ctl = ctl;
    u->operation = operation;
    ofpbuf_init(&u->buf, 256);
    otd_progress_init(&u->progress, ctl->progress);
}

static void
upload_destroy(struct upload *u)
{
    if (u->stream) {
        otd_stream_cancel(u->stream);
    }
    otd_progress_clear(&u->progress);
    ofpbuf_uninit(&u->buf);
    free(u->ids);
}

/* False if there is no connection; the error is printed. */
static bool
upload_add(struct upload *u, const Tunneloffload__V2__IpTunnelRequest *request)
{
    if (!u->stream) {
        if (!ctl_connect(u->ctl)) {
            return false;
        }
        u->stream = otd_stream_open(u->ctl->channel,
                                    CTL_METHOD("CreateIpTunnel"),
                                    ctl_timeout(u->ctl));
    }
    if (u->n >= u->allocated) {
        u->ids = x2nrealloc(u->ids, &u->allocated, sizeof *u->ids);
    }
    u->ids[u->n++] = request->tunnel_id;
    if (!u->ended) {
        ctl_pack(&u->buf, &request->base);
        /* The reason comes with the status, at the end. */
        u->ended = !otd_stream_write(u->stream, u->buf.data, u->buf.size);
    }
    return true;
}

/* ---- The answer. */

/* Answers carry no index: they name, in the order of the requests, each one
 * that failed or had no id.  Returns the index of the one that 'r' is about,
 * looking from '*next' on, or SIZE_MAX. */
static size_t
find_index(const struct upload *u, uint64_t error_status,
           const Tunneloffload__V2__CreateIpTunnelResponse *r, size_t *next)
{
    for (size_t i = *next; i < u->n; i++) {
        if ((u->ids[i] == r->tunnel_id || !u->ids[i])
            && (i >= 64 || (error_status >> i & 1) == (r->error != NULL))) {
            *next = i + 1;
            return i;
        }
    }
    return SIZE_MAX;
}

/* "entry 3, tunnel 5: ", as far as that is known and not clear anyway. */
static void
print_failure(const struct upload *u, size_t index,
              const Tunneloffload__V2__CreateIpTunnelResponse *r)
{
    struct ds where = DS_EMPTY_INITIALIZER;

    if (index != SIZE_MAX && u->n > 1) {
        ds_put_format(&where, "entry %"PRIuSIZE, index + 1);
    }
    if (r->tunnel_id) {
        ds_put_format(&where, "%stunnel %"PRIu64, where.length ? ", " : "",
                      r->tunnel_id);
    }
    ctl_error("%s%s%s", ds_cstr(&where), where.length ? ": " : "",
              r->error->error_string);
    ds_destroy(&where);
}

/* Each failure on standard error, each id that the server chose on standard
 * output. */
static void
print_entries(const struct upload *u,
              const Tunneloffload__V2__CreateIpTunnelResponses *rs)
{
    size_t next = 0;

    for (size_t i = 0; i < rs->n_responses; i++) {
        const Tunneloffload__V2__CreateIpTunnelResponse *r = rs->responses[i];
        size_t index = find_index(u, rs->error_status, r, &next);

        if (r->error) {
            print_failure(u, index, r);
        } else if (!ctl_is_json(u->ctl) && u->n > 1) {
            printf("entry %"PRIuSIZE": tunnel %"PRIu64"\n", index + 1,
                   r->tunnel_id);
        } else if (!ctl_is_json(u->ctl)) {
            printf("%"PRIu64"\n", r->tunnel_id);
        }
    }
}

static void
print_json(const struct upload *u,
           const Tunneloffload__V2__CreateIpTunnelResponses *rs)
{
    struct json *json = otd_message_to_json(&rs->base);
    struct json *array = shash_find_data(json_object(json), "responses");
    size_t next = 0;

    for (size_t i = 0; i < rs->n_responses; i++) {
        size_t index = find_index(u, rs->error_status, rs->responses[i],
                                  &next);

        if (index != SIZE_MAX) {
            json_object_put(array->array.elems[i], "entry",
                            json_integer_create(index + 1));
        }
    }
    if (!rs->request_status) {
        json_object_put_string(json, "request_status", "_TUNNEL_ACCEPTED");
    }
    json_object_put(json, "n_requests", json_integer_create(u->n));
    ctl_json_print(u->ctl, json);
}

static int
print_answer(const struct upload *u,
             const Tunneloffload__V2__CreateIpTunnelResponses *rs)
{
    if (ctl_is_json(u->ctl)) {
        print_json(u, rs);
    }
    print_entries(u, rs);
    if (rs->request_status == PB(ADD_TUNNEL_STATUS___TUNNEL_ACCEPTED)) {
        return CTL_OK;
    }
    if (rs->request_status == PB(ADD_TUNNEL_STATUS___TUNNEL_TABLE_FULL)) {
        return ctl_error("the tunnel table is full: nothing was done");
    }
    if (rs->request_status
        == PB(ADD_TUNNEL_STATUS___TUNNEL_TABLE_UNAVAILABLE)) {
        return ctl_error("the switch is not available: nothing was done");
    }
    return rs->n_responses ? CTL_FAILED
           : ctl_error("the server refused, and gave no reason");
}

static int
upload_finish(struct upload *u)
{
    struct otd_rpc_status status;
    struct otd_bytes reply;
    int retval = CTL_FAILED;

    if (!u->stream) {
        return ctl_is_json(u->ctl)
               ? (puts("{\"n_requests\":0}"), CTL_OK) : CTL_OK;
    }
    otd_progress_say(&u->progress, "%"PRIuSIZE" sent, waiting for the answer",
                     u->n);
    otd_stream_finish(u->stream, &reply, &status);
    u->stream = NULL;
    otd_progress_finish(&u->progress, u->n);
    if (status.code) {
        ctl_error("%s: CreateIpTunnel: %s: %s", u->ctl->target,
                  otd_rpc_code_to_string(status.code), status.text);
    } else {
        Tunneloffload__V2__CreateIpTunnelResponses *rs
            = tunneloffload__v2__create_ip_tunnel_responses__unpack(
                NULL, reply.n, reply.data);

        if (rs) {
            retval = print_answer(u, rs);
            tunneloffload__v2__create_ip_tunnel_responses__free_unpacked(
                rs, NULL);
        } else {
            ctl_error("%s: the answer is not well-formed", u->ctl->target);
        }
    }
    free(reply.data);
    otd_rpc_status_destroy(&status);
    return retval;
}

/* ---- From a file. */

static int
upload_file(struct upload *u, const char *path)
{
    struct otd_input *in;
    unsigned int n_bad = 0;
    struct json *json;
    int retval = CTL_OK;
    char *error;

    error = otd_input_open(path, &in);
    while (!error && n_bad < MAX_BAD_ENTRIES && retval == CTL_OK) {
        Tunneloffload__V2__IpTunnelRequest *request;
        struct otd_faults faults = OTD_FAULTS_INITIALIZER;

        error = otd_input_next(in, &json);
        if (error || !json) {
            break;
        }
        request = otd_request_from_json(json, u->operation, &faults);
        if (!request) {
            ctl_error("%s: %s", otd_input_where(in),
                      otd_faults_text(&faults));
            n_bad++;
        } else if (!n_bad && !upload_add(u, request)) {
            retval = CTL_FAILED;
        }
        otd_progress_count(&u->progress, u->n, otd_input_offset(in),
                           otd_input_size(in));
        otd_faults_destroy(&faults);
        json_destroy(json);
        if (request) {
            tunneloffload__v2__ip_tunnel_request__free_unpacked(request, NULL);
        }
    }
    otd_input_close(in);
    if (error) {
        ctl_error("%s", error);
        free(error);
        n_bad++;
    }
    if (n_bad) {
        /* What was sent already is forgotten with the cancelled stream. */
        return ctl_error("nothing was changed: correct the file first");
    }
    return retval ? retval : upload_finish(u);
}

/* ---- The commands. */

/* Reads "[ID] [KIND]" in either order. */
static int
parse_subject(struct ctl *ctl, uint64_t *id, enum otd_request_kind *kind)
{
    const struct otd_request_kind_info *k;

    *id = 0;
    *kind = OTD_REQUEST_ANY;
    for (int i = 0; i < ctl->argc; i++) {
        const char *arg = ctl->argv[i];

        for (k = otd_request_kinds; k->name && strcmp(k->name, arg); k++) {
            continue;
        }
        if (k->name && *kind == OTD_REQUEST_ANY) {
            *kind = k->kind;
        } else if (arg[0] < '0' || arg[0] > '9') {
            return k->name ? ctl_usage_error("two kinds of tunnel given")
                   : ctl_usage_error("\"%s\" is neither a tunnel id nor a "
                                     "kind of tunnel", arg);
        } else if (*id) {
            return ctl_usage_error("two tunnel ids given");
        } else if (!ctl_parse_id(arg, id)) {
            return CTL_USAGE;
        }
    }
    return CTL_OK;
}

static int
write_from_flags(struct ctl *ctl, Tunneloffload__V2__Operation operation)
{
    struct otd_faults faults = OTD_FAULTS_INITIALIZER;
    Tunneloffload__V2__IpTunnelRequest *request = NULL;
    enum otd_request_kind kind;
    struct json *json;
    uint64_t id;
    int retval;

    retval = parse_subject(ctl, &id, &kind);
    if (retval) {
        return retval;
    }
    if (operation == PB(OPERATION___CREATE) && kind == OTD_REQUEST_ANY) {
        return ctl_usage_error("create what?  Name the kind of tunnel, or "
                               "give --file");
    }
    if (operation == PB(OPERATION___UPDATE) && !id) {
        return ctl_usage_error("update needs a tunnel id, or --file");
    }
    json = otd_request_from_flags(id, kind, ctl->flags, ctl->n_flags, &faults);
    if (!otd_faults_any(&faults)) {
        request = otd_request_from_json(json, operation, &faults);
    }
    json_destroy(json);
    if (request) {
        struct upload u;

        upload_init(&u, ctl, operation);
        retval = upload_add(&u, request) ? upload_finish(&u) : CTL_FAILED;
        upload_destroy(&u);
        tunneloffload__v2__ip_tunnel_request__free_unpacked(request, NULL);
    } else {
        retval = ctl_usage_error("%s", otd_faults_text(&faults));
    }
    otd_faults_destroy(&faults);
    return retval;
}

static int
write_from_file(struct ctl *ctl, Tunneloffload__V2__Operation operation)
{
    struct upload u;
    int retval;

    if (ctl->argc || ctl->n_flags) {
        return ctl_usage_error("--file says it all: give nothing else");
    }
    upload_init(&u, ctl, operation);
    retval = upload_file(&u, ctl->file);
    upload_destroy(&u);
    return retval;
}

int
ctl_create(struct ctl *ctl)
{
    return ctl->file ? write_from_file(ctl, PB(OPERATION___CREATE))
                     : write_from_flags(ctl, PB(OPERATION___CREATE));
}

int
ctl_update(struct ctl *ctl)
{
    return ctl->file ? write_from_file(ctl, PB(OPERATION___UPDATE))
                     : write_from_flags(ctl, PB(OPERATION___UPDATE));
}

int
ctl_apply(struct ctl *ctl)
{
    return ctl->file ? write_from_file(ctl, PB(OPERATION___NONE))
                     : ctl_usage_error("apply needs --file");
}

int
ctl_delete(struct ctl *ctl)
{
    Tunneloffload__V2__IpTunnelRequest request
        = PB(IP_TUNNEL_REQUEST__INIT);
    struct upload u;
    uint64_t id;
    int retval = CTL_OK;

    if (ctl->file) {
        return write_from_file(ctl, PB(OPERATION___DELETE));
    }
    if (!ctl->argc) {
        return ctl_usage_error("delete needs a tunnel id, or --file");
    }
    for (int i = 0; i < ctl->argc; i++) {
        if (!ctl_parse_id(ctl->argv[i], &id)) {
            return CTL_USAGE;
        }
    }
    request.operation = PB(OPERATION___DELETE);
    upload_init(&u, ctl, PB(OPERATION___DELETE));
    for (int i = 0; i < ctl->argc && retval == CTL_OK; i++) {
        ctl_parse_id(ctl->argv[i], &request.tunnel_id);
        retval = upload_add(&u, &request) ? CTL_OK : CTL_FAILED;
    }
    retval = retval ? retval : upload_finish(&u);
    upload_destroy(&u);
    return retval;
}
