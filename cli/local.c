/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that ask the daemons of this host through their control
 * sockets: flows, explain, trace. */
#include <config.h>
#include "cli/ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace.h"
#include "ofctl/appctl-client.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/poll-loop.h"
#include "util.h"

/* Returns what the daemon said (owned), or NULL with the error printed. */
static char *
ask(const struct ctl *ctl, const char *target, const char *method,
    const char *const args[], size_t n_args)
{
    struct otd_appctl *call;
    char *result = NULL;

    call = otd_appctl_call(target, method, args, n_args, ctl_timeout(ctl));
    for (;;) {
        otd_appctl_run(call);
        if (otd_appctl_is_done(call)) {
            break;
        }
        otd_appctl_wait(call);
        poll_block();
    }
    if (otd_appctl_error(call)) {
        ctl_error("%s", otd_appctl_error(call));
    } else {
        result = xstrdup(otd_appctl_result(call));
    }
    otd_appctl_destroy(call);
    return result;
}

/* As it is, or as an array of lines.  Takes 'text'. */
static void
print_text(const struct ctl *ctl, char *text)
{
    size_t len = strlen(text);

    if (!ctl_is_json(ctl)) {
        fputs(text, stdout);
        if (len && text[len - 1] != '\n') {
            putchar('\n');
        }
    } else {
        struct json *lines = json_array_create_empty();
        const char *p = text;

        while (*p) {
            size_t n = strcspn(p, "\n");

            json_array_add(lines, json_string_create_nocopy(xmemdup0(p, n)));
            p += n + (p[n] == '\n');
        }
        ctl_json_print(ctl, lines);
    }
    free(text);
}

static int
ask_about_tunnel(struct ctl *ctl, const char *method)
{
    char text[32];
    const char *args[] = { text };
    uint64_t id;
    char *result;

    if (!ctl_parse_id(ctl->argv[0], &id)) {
        return CTL_USAGE;
    }
    snprintf(text, sizeof text, "%"PRIu64, id);
    result = ask(ctl, ctl->daemon, method, args, 1);
    if (!result) {
        return CTL_FAILED;
    }
    print_text(ctl, result);
    return CTL_OK;
}

int
ctl_flows(struct ctl *ctl)
{
    return ask_about_tunnel(ctl, "tunnel/flows");
}

int
ctl_explain(struct ctl *ctl)
{
    return ask_about_tunnel(ctl, "tunnel/explain");
}

int
ctl_trace(struct ctl *ctl)
{
    struct ds decoded = DS_EMPTY_INITIALIZER;
    struct otd_trace_names *names;
    const char **args;
    char *trace, *keys;
    size_t n = 0;

    args = xmalloc((ctl->argc + 2) * sizeof *args);
    args[n++] = "--names";
    args[n++] = ctl->bridge;
    for (int i = 0; i < ctl->argc; i++) {
        args[n++] = ctl->argv[i];
    }
    trace = ask(ctl, ctl->vswitchd, "ofproto/trace", args, n);
    free(args);
    if (!trace) {
        return CTL_FAILED;
    }

    /* Without the daemon the trace stands as it is, and the status says so. */
    keys = ask(ctl, ctl->daemon, "tunnel/keys", NULL, 0);
    names = otd_trace_names_parse(keys ? keys : "");
    otd_trace_decode(&decoded, trace, ctl->bridge, names);
    print_text(ctl, ds_steal_cstr(&decoded));
    otd_trace_names_destroy(names);
    free(trace);
    free(keys);
    return keys ? CTL_OK : CTL_FAILED;
}
