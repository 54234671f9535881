/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "ofctl/appctl-client.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "openvswitch/poll-loop.h"
#include "daemon.h"
#include "dirs.h"
#include "ofctl/compat.h"
#include "stream.h"
#include "timeval.h"
#include "util.h"

struct otd_appctl {
    char *target;               /* As given. */
    char *method;
    struct jsonrpc *rpc;        /* NULL when done. */
    struct json *id;            /* Of the request. */
    long long int deadline;     /* LLONG_MAX: none. */
    char *result, *error;       /* Done if one of them is set. */
};

static void OVS_PRINTF_FORMAT(2, 3)
call_fail(struct otd_appctl *call, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *why = xvasprintf(format, args);
    va_end(args);

    call->error = xasprintf("%s: %s: %s", call->target, call->method, why);
    free(why);
    jsonrpc_close(call->rpc);
    call->rpc = NULL;
}

/* The path of the unixctl socket of 'target'; NULL with 'call' failed. */
static char *
find_socket(struct otd_appctl *call)
{
    if (call->target[0] == '/') {
        return xstrdup(call->target);
    }

    /* A daemon started with --unixctl has no number in its socket's name. */
    char *path = xasprintf("%s/%s.ctl", ovs_rundir(), call->target);
    if (!access(path, F_OK)) {
        return path;
    }
    free(path);

    /* read_pidfile() logs what it cannot open. */
    char *pidfile = xasprintf("%s/%s.pid", ovs_rundir(), call->target);
    pid_t pid = access(pidfile, F_OK) ? -errno : read_pidfile(pidfile);
    if (pid < 0) {
        call_fail(call, "cannot find its process in %s: %s", pidfile,
                  pid == -ESRCH ? "the daemon that wrote it is gone"
                  : ovs_strerror(-pid));
        path = NULL;
    } else {
        path = xasprintf("%s/%s.%ld.ctl", ovs_rundir(), call->target,
                         (long int) pid);
    }
    free(pidfile);
    return path;
}

static void
call_start(struct otd_appctl *call, const char *const args[], size_t n_args)
{
    char *path = find_socket(call);
    if (!path) {
        return;
    }

    char *name = xasprintf("unix:%s", path);
    struct stream *stream;
    int error = stream_open(name, &stream, 0);
    free(name);
    if (error) {
        call_fail(call, "cannot connect to %s: %s", path, ovs_strerror(error));
        free(path);
        return;
    }
    free(path);

    struct jsonrpc_msg *request = jsonrpc_create_request(
        call->method, otd_json_strings(args, n_args), &call->id);
    call->rpc = jsonrpc_open(stream);
    error = jsonrpc_send(call->rpc, request);
    if (error) {
        call_fail(call, "cannot send: %s", ovs_retval_to_string(error));
    }
}

struct otd_appctl *
otd_appctl_call(const char *target, const char *method,
                const char *const args[], size_t n_args, int timeout_ms)
{
    struct otd_appctl *call = xzalloc(sizeof *call);

    call->target = xstrdup(target);
    call->method = xstrdup(method);
    call->deadline = timeout_ms ? time_msec() + timeout_ms : LLONG_MAX;
    call_start(call, args, n_args);
    return call;
}

void
otd_appctl_destroy(struct otd_appctl *call)
{
    if (call) {
        jsonrpc_close(call->rpc);
        json_destroy(call->id);
        free(call->target);
        free(call->method);
        free(call->result);
        free(call->error);
        free(call);
    }
}

/* Takes the reply, if 'msg' is it. */
static void
call_reply(struct otd_appctl *call, const struct jsonrpc_msg *msg)
{
    if ((msg->type != JSONRPC_REPLY && msg->type != JSONRPC_ERROR)
        || !msg->id || !json_equal(msg->id, call->id)) {
        return;
    }

    bool ok = msg->type == JSONRPC_REPLY;
    const char *text = otd_json_text(ok ? msg->result : msg->error);
    if (!text) {
        call_fail(call, "the reply is no text");
    } else if (!ok) {
        /* unixctl errors end in a newline as often as not. */
        call_fail(call, "%.*s", (int) strcspn(text, "\n"), text);
    } else {
        call->result = xstrdup(text);
        jsonrpc_close(call->rpc);
        call->rpc = NULL;
    }
}

void
otd_appctl_run(struct otd_appctl *call)
{
    if (call->rpc) {
        jsonrpc_run(call->rpc);
    }
    while (call->rpc) {
        struct jsonrpc_msg *msg;
        int error = jsonrpc_recv(call->rpc, &msg);

        if (!error) {
            call_reply(call, msg);
            jsonrpc_msg_destroy(msg);
        } else if (error == EAGAIN) {
            break;
        } else {
            call_fail(call, "%s", ovs_retval_to_string(error));
        }
    }
    if (call->rpc && time_msec() >= call->deadline) {
        call_fail(call, "no answer in time");
    }
}

void
otd_appctl_wait(struct otd_appctl *call)
{
    if (!call->rpc) {
        poll_immediate_wake();
        return;
    }
    jsonrpc_wait(call->rpc);
    jsonrpc_recv_wait(call->rpc);
    if (call->deadline != LLONG_MAX) {
        poll_timer_wait_until(call->deadline);
    }
}

bool
otd_appctl_is_done(const struct otd_appctl *call)
{
    return call->result || call->error;
}

const char *
otd_appctl_result(const struct otd_appctl *call)
{
    return call->result;
}

const char *
otd_appctl_error(const struct otd_appctl *call)
{
    return call->error;
}
