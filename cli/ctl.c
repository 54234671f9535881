/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "cli/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/channel.h"
#include "openvswitch/json.h"
#include "openvswitch/ofpbuf.h"
#include "timeval.h"
#include "util.h"

/* How long to wait for a connection if there is no --timeout. */
#define CONNECT_TIMEOUT_MS 10000

static int OVS_PRINTF_FORMAT(2, 0)
print_error(int status, const char *format, va_list args)
{
    /* What was printed so far comes before the error, also through a pipe. */
    fflush(stdout);
    fprintf(stderr, "%s: ", program_name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    if (status == CTL_USAGE) {
        fprintf(stderr, "try \"%s --help\"\n", program_name);
    }
    return status;
}

int
ctl_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_error(CTL_FAILED, format, args);
    va_end(args);
    return CTL_FAILED;
}

int
ctl_usage_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_error(CTL_USAGE, format, args);
    va_end(args);
    return CTL_USAGE;
}

int
ctl_timeout(const struct ctl *ctl)
{
    return ctl->deadline ? MAX(1, ctl->deadline - time_msec()) : 0;
}

bool
ctl_parse_id(const char *text, uint64_t *id)
{
    char *end;

    errno = 0;
    *id = strtoull(text, &end, 0);
    if (errno || *end || text[0] < '0' || text[0] > '9' || !*id) {
        ctl_usage_error("\"%s\" is not a tunnel id, a number from 1 to "
                        "%"PRIu64, text, UINT64_MAX);
        return false;
    }
    return true;
}

/* ---- The server. */

bool
ctl_connect(struct ctl *ctl)
{
    struct otd_channel_config config = {
        .target = ctl->target,
        .ca_cert = ctl->ca_cert,
        .certificate = ctl->certificate,
        .private_key = ctl->private_key,
        .server_name = ctl->server_name,
    };
    int timeout = ctl_timeout(ctl);
    char *error;

    if (ctl->channel) {
        return true;
    }
    error = otd_channel_open(&config, timeout ? timeout : CONNECT_TIMEOUT_MS,
                             &ctl->channel);
    if (error) {
        ctl_error("%s", error);
        free(error);
        return false;
    }
    return true;
}

void
ctl_disconnect(struct ctl *ctl)
{
    if (ctl->channel) {
        otd_channel_close(ctl->channel);
        ctl->channel = NULL;
    }
}

void
ctl_pack(struct ofpbuf *buf, const ProtobufCMessage *m)
{
    size_t n = protobuf_c_message_get_packed_size(m);

    ofpbuf_clear(buf);
    protobuf_c_message_pack(m, ofpbuf_put_uninit(buf, n));
}

/* Prints the failure of a call and frees the status.  True if there is none.
 */
static bool
check_status(const struct ctl *ctl, const char *method,
             struct otd_rpc_status *status)
{
    bool ok = !status->code;

    if (!ok) {
        ctl_error("%s: %s: %s: %s", ctl->target, strrchr(method, '/') + 1,
                  otd_rpc_code_to_string(status->code), status->text);
    }
    otd_rpc_status_destroy(status);
    return ok;
}

static ProtobufCMessage *
unpack(const struct ctl *ctl, const ProtobufCMessageDescriptor *desc,
       const void *data, size_t n)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(desc, NULL, n, data);

    if (!m) {
        ctl_error("%s: the answer is not a well-formed %s", ctl->target,
                  desc->short_name);
    }
    return m;
}

ProtobufCMessage *
ctl_unary(struct ctl *ctl, const char *method,
          const ProtobufCMessage *request,
          const ProtobufCMessageDescriptor *answer)
{
    ProtobufCMessage *m = NULL;
    struct otd_rpc_status status;
    struct otd_bytes reply;
    struct ofpbuf buf;

    if (!ctl_connect(ctl)) {
        return NULL;
    }
    ofpbuf_init(&buf, 64);
    ctl_pack(&buf, request);
    otd_channel_unary(ctl->channel, method, buf.data, buf.size,
                      ctl_timeout(ctl), &reply, &status);
    if (check_status(ctl, method, &status)) {
        m = unpack(ctl, answer, reply.data, reply.n);
    }
    free(reply.data);
    ofpbuf_uninit(&buf);
    return m;
}

struct read_aux {
    const struct ctl *ctl;
    const ProtobufCMessageDescriptor *answer;
    void (*cb)(const ProtobufCMessage *, void *aux);
    void *aux;
    bool malformed;
};

static bool
read_message(const void *data, size_t n, void *r_)
{
    struct read_aux *r = r_;
    ProtobufCMessage *m = unpack(r->ctl, r->answer, data, n);

    if (!m) {
        r->malformed = true;
        return false;
    }
    r->cb(m, r->aux);
    protobuf_c_message_free_unpacked(m, NULL);
    return true;
}

bool
ctl_read(struct ctl *ctl, const char *method, const ProtobufCMessage *request,
         const ProtobufCMessageDescriptor *answer,
         void (*cb)(const ProtobufCMessage *, void *aux), void *aux)
{
    struct read_aux r = { .ctl = ctl, .answer = answer, .cb = cb, .aux = aux };
    struct otd_rpc_status status;
    struct ofpbuf buf;

    if (!ctl_connect(ctl)) {
        return false;
    }
    ofpbuf_init(&buf, 64);
    ctl_pack(&buf, request);
    otd_channel_read(ctl->channel, method, buf.data, buf.size,
                     ctl_timeout(ctl), read_message, &r, &status);
    ofpbuf_uninit(&buf);
    if (r.malformed) {
        otd_rpc_status_destroy(&status);
        return false;
    }
    return check_status(ctl, method, &status);
}

/* ---- JSON output. */

void
ctl_json_array_begin(struct ctl_json_array *a, const struct ctl *ctl)
{
    a->flags = ctl->style.json_flags;
    a->any = false;
    putchar('[');
}

void
ctl_json_array_add(struct ctl_json_array *a, struct json *json)
{
    char *text = json_to_string(json, a->flags);

    printf("%s%s", a->any ? ",\n" : "", text);
    a->any = true;
    free(text);
    json_destroy(json);
}

void
ctl_json_array_end(struct ctl_json_array *a OVS_UNUSED)
{
    puts("]");
}

void
ctl_json_print(const struct ctl *ctl, struct json *json)
{
    char *text = json_to_string(json, ctl->style.json_flags);

    puts(text);
    free(text);
    json_destroy(json);
}
