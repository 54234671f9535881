/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "daemon/listener.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/util.h"
#include "openvswitch/vlog.h"

#include "daemon/options.h"
#include "grpcsvc/server.h"
#include "grpcsvc/service.h"
#include "lib/paths.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(otd_listener);

#define RETRY_MS 5000

struct otd_listener {
    const struct otd_options *options;
    struct otd_service *service;
    char *fallback;             /* The default addresses. */

    struct otd_server *server;  /* NULL while no address can be served. */
    char *serving;              /* What 'server' was created with, or NULL. */
    char *wanted;               /* What it should be created with. */
    char *error;                /* Why 'serving' is not 'wanted', or NULL. */
    long long int retry_at;     /* time_msec(), or LLONG_MAX. */
};

struct otd_listener *
otd_listener_create(const struct otd_options *options,
                    struct otd_service *service)
{
    struct otd_listener *l = xzalloc(sizeof *l);

    l->options = options;
    l->service = service;
    l->fallback = otd_default_listen();
    l->wanted = xstrdup(options->listen ? options->listen : l->fallback);
    l->retry_at = LLONG_MAX;
    return l;
}

static void
stop(struct otd_listener *l)
{
    otd_service_set_transport(l->service, NULL);
    otd_server_destroy(l->server);
    l->server = NULL;
    free(l->serving);
    l->serving = NULL;
}

void
otd_listener_destroy(struct otd_listener *l)
{
    if (l) {
        if (l->server) {
            stop(l);
        }
        free(l->fallback);
        free(l->wanted);
        free(l->error);
        free(l);
    }
}

static struct otd_server_config
server_config(const struct otd_listener *l, const char *listen)
{
    const struct otd_options *o = l->options;

    return (struct otd_server_config) {
        .listen = listen,
        .private_key = o->private_key,
        .certificate = o->certificate,
        .ca_cert = o->ca_cert,
        .allowed_subjects = o->allowed_subjects,
        .allow_clear_loopback = o->allow_clear_loopback,
        .allow_tls_no_client_cert = o->allow_tls_no_client_cert,
        .unix_group = o->unix_group,
    };
}

/* Serves 'listen'; no server may be there. */
static char *
serve(struct otd_listener *l, const char *listen)
{
    struct otd_server_config config = server_config(l, listen);
    char *error = otd_server_create(&config, &l->server);

    if (error) {
        l->server = NULL;
        return error;
    }
    l->serving = xstrdup(listen);
    otd_service_set_transport(l->service, otd_server_transport(l->server));
    VLOG_INFO("serving clients at %s", otd_server_addresses(l->server));
    return NULL;
}

char *
otd_listener_start(struct otd_listener *l)
{
    return serve(l, l->wanted);
}

/* Goes from what is served to what is wanted.  A list that is wrong by itself
 * is refused before the sockets in use are closed. */
static void
replace(struct otd_listener *l)
{
    struct otd_server_config config = server_config(l, l->wanted);
    char *old = l->serving ? xstrdup(l->serving) : NULL;

    free(l->error);
    l->error = otd_server_config_check(&config);
    if (!l->error) {
        if (l->server) {
            stop(l);
        }
        l->error = serve(l, l->wanted);
        if (l->error && old && strcmp(old, l->wanted)) {
            char *again = serve(l, old);
            if (again) {
                VLOG_ERR("cannot go back to %s: %s", old, again);
                free(again);
            }
        }
    }
    free(old);

    /* A retry would end the calls of the old addresses again and again. */
    l->retry_at = l->server ? LLONG_MAX : time_msec() + RETRY_MS;
}

void
otd_listener_run(struct otd_listener *l, const char *setting)
{
    bool changed = false;
    if (setting && !l->options->listen) {
        const char *wanted = setting[0] ? setting : l->fallback;
        if (strcmp(wanted, l->wanted)) {
            free(l->wanted);
            l->wanted = xstrdup(wanted);
            changed = true;
        }
    }

    if (!changed && time_msec() < l->retry_at) {
        return;
    }
    if (l->serving && !strcmp(l->serving, l->wanted)) {
        /* A wrong setting was taken back. */
        free(l->error);
        l->error = NULL;
        l->retry_at = LLONG_MAX;
        return;
    }
    replace(l);
    if (l->error && changed) {
        VLOG_ERR("cannot serve clients at %s: %s; still serving %s",
                 l->wanted, l->error, l->serving ? l->serving : "nobody");
    }
}

void
otd_listener_wait(struct otd_listener *l)
{
    if (l->retry_at != LLONG_MAX) {
        poll_timer_wait_until(l->retry_at);
    }
}

void
otd_listener_get_memory_usage(const struct otd_listener *l,
                              struct simap *usage)
{
    if (l->server) {
        otd_server_get_memory_usage(l->server, usage);
    }
}

void
otd_listener_format_status(const struct otd_listener *l, struct ds *s)
{
    ds_put_format(s, "listening: %s\n",
                  l->server ? otd_server_addresses(l->server) : "nowhere");
    if (l->error) {
        ds_put_format(s, "listening error: %s: %s\n", l->wanted, l->error);
    }
}
