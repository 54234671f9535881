/* SPDX-License-Identifier: Apache-2.0 */

/* ovs-tunneld: wiring and main loop. */

#include <config.h>

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/util.h"
#include "openvswitch/vlog.h"

#include "command-line.h"
#include "daemon.h"
#include "daemon/listener.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "engine/engine.h"
#include "fatal-signal.h"
#include "grpcsvc/codec.h"
#include "grpcsvc/service.h"
#include "memory.h"
#include "ofctl/compat.h"
#include "ofctl/ovsdb.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "simap.h"
#include "store/store.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(ovs_tunneld);

/* `exit --cleanup` gives up after this long without the switch or the
 * database: what is left is then removed by the next start and cleanup. */
#define CLEANUP_TIMEOUT_MS 10000

struct otd_daemon {
    struct otd_options options;
    struct unixctl_server *unixctl;
    struct otd_store *store;
    struct otd_ovsdb *ovsdb;
    struct otd_codec *codec;
    struct otd_engine *engine;
    struct otd_service *service;
    struct otd_listener *listener;
    int signal_fd;

    bool exiting;
    bool cleanup;               /* Remove everything before the exit. */
    bool engine_clean;          /* The switch's part of that is done. */
    long long int cleanup_deadline;
    struct unixctl_conn *cleanup_conn;  /* Waits for it. */

    bool was_ready;             /* READY=1 was sent. */
    char *notified;             /* The last STATUS= text. */
};

static unixctl_cb_func handle_exit, handle_status;

/* SIGTERM and SIGINT become readable instead of lethal.  Threads that are made
 * later inherit the mask. */
static int
catch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);

    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        VLOG_FATAL("signalfd: %s", ovs_strerror(errno));
    }
    return fd;
}

/* For what makes a start impossible: nobody has been told yet that it
 * succeeded. */
static void
fatal_if(char *error)
{
    if (error) {
        VLOG_FATAL("%s", error);
    }
}

static void
daemon_open(struct otd_daemon *d)
{
    if (unixctl_server_create(d->options.unixctl, &d->unixctl)) {
        exit(EXIT_FAILURE);
    }
    unixctl_command_register("exit", "[--cleanup]", 0, 1, handle_exit, d);
    unixctl_command_register("tunneld/status", "", 0, 0, handle_status, d);

    fatal_if(otd_store_open(d->options.store_dir, &d->store));
    d->codec = otd_codec_create();
    d->ovsdb = otd_ovsdb_create(d->options.db);
    d->engine = otd_engine_create(d->store, d->ovsdb, d->codec);
    fatal_if(otd_engine_load(d->engine));
    otd_engine_unixctl_register(d->engine);

    /* gRPC starts threads: not before the last fork. */
    d->service = otd_service_create(d->engine);
    d->listener = otd_listener_create(&d->options, d->service);
    fatal_if(otd_listener_start(d->listener));
}

static void
daemon_close(struct otd_daemon *d)
{
    otd_listener_destroy(d->listener);
    otd_service_destroy(d->service);
    otd_engine_destroy(d->engine);
    otd_ovsdb_destroy(d->ovsdb);
    otd_codec_destroy(d->codec);
    otd_store_close(d->store);
    unixctl_server_destroy(d->unixctl);
    close(d->signal_fd);
    free(d->notified);
    otd_options_destroy(&d->options);
}

static void
signals_run(struct otd_daemon *d)
{
    struct signalfd_siginfo info;

    while (read(d->signal_fd, &info, sizeof info) == sizeof info) {
        VLOG_INFO("exiting: signal %u", info.ssi_signo);
        d->exiting = true;
    }
}

/* Tells the service manager what changed. */
static void
notify_run(struct otd_daemon *d)
{
    const char *why = NULL;
    bool serving = otd_engine_is_serving(d->engine, &why);
    const char *status = serving ? "serving" : why ? why : "starting";
    bool becomes_ready = serving && !d->was_ready;

    if (!becomes_ready && d->notified && !strcmp(status, d->notified)) {
        return;
    }
    char *text = xasprintf("%sSTATUS=%s%s", becomes_ready ? "READY=1\n" : "",
                           serving ? "" : "not serving: ", status);
    int error = otd_notify(text);
    if (error) {
        VLOG_WARN("NOTIFY_SOCKET: %s", ovs_strerror(error));
    }
    free(text);

    VLOG_INFO("%s%s", serving ? "" : "not serving: ", status);
    d->was_ready |= becomes_ready;
    free(d->notified);
    d->notified = xstrdup(status);
}

static void
memory_report_run(struct otd_daemon *d)
{
    memory_run();
    if (memory_should_report()) {
        struct simap usage;

        simap_init(&usage);
        simap_increase(&usage, "tunnels", otd_engine_n_tunnels(d->engine));
        otd_service_get_memory_usage(d->service, &usage);
        if (d->listener) {
            otd_listener_get_memory_usage(d->listener, &usage);
        }
        memory_report(&usage);
        simap_destroy(&usage);
    }
}

/* `exit --cleanup`: first the flows, then the ports under them. */
static void
cleanup_run(struct otd_daemon *d)
{
    const char *error = NULL;

    d->engine_clean = d->engine_clean || otd_engine_cleanup_run(d->engine);
    if (!d->engine_clean || !otd_ovsdb_cleanup_run(d->ovsdb)) {
        if (time_msec() < d->cleanup_deadline) {
            return;
        }
        error = d->engine_clean
                ? "the database did not confirm that our ports are gone"
                : "the switch did not confirm that our flows are gone";
        VLOG_ERR("exit --cleanup: %s", error);
    }
    if (d->cleanup_conn) {
        if (error) {
            unixctl_command_reply_error(d->cleanup_conn, error);
        } else {
            unixctl_command_reply(d->cleanup_conn, NULL);
        }
        d->cleanup_conn = NULL;
    }
    d->exiting = true;
}

static void
daemon_run(struct otd_daemon *d)
{
    memory_report_run(d);
    signals_run(d);
    unixctl_server_run(d->unixctl);
    otd_ovsdb_run(d->ovsdb);
    if (d->cleanup) {
        cleanup_run(d);
        return;
    }
    otd_listener_run(d->listener,
                     otd_ovsdb_is_up(d->ovsdb)
                     ? otd_ovsdb_settings(d->ovsdb)->listen : NULL);
    otd_service_run(d->service);
    otd_engine_run(d->engine);
    notify_run(d);
}

static void
daemon_wait(struct otd_daemon *d)
{
    memory_wait();
    poll_fd_wait(d->signal_fd, POLLIN);
    unixctl_server_wait(d->unixctl);
    otd_ovsdb_wait(d->ovsdb);
    otd_engine_wait(d->engine);
    if (d->cleanup) {
        poll_timer_wait_until(d->cleanup_deadline);
    } else {
        otd_listener_wait(d->listener);
        otd_service_wait(d->service);
    }
}

int
main(int argc, char *argv[])
{
    struct otd_daemon d = { .exiting = false };

    /* What a large stream needs for its time is mapped by itself and given back;
     * by default glibc would raise this limit at the first of it. */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);

    ovs_set_program_name(argv[0], OTD_VERSION);
    ovsthread_id_init();
    ovs_cmdl_proctitle_init(argc, argv);
    otd_options_parse(&d.options, argc, argv);
    fatal_ignore_sigpipe();

    otd_daemonize_start();
    d.signal_fd = catch_signals();
    daemon_open(&d);
    daemonize_complete();

    while (!d.exiting) {
        daemon_run(&d);
        daemon_wait(&d);
        if (d.exiting) {
            poll_immediate_wake();
        }
        poll_block();
    }

    otd_notify("STOPPING=1\nSTATUS=stopping");
    daemon_close(&d);
    vlog_disable_async();
    ovsrcu_exit();
    return 0;
}

static void
handle_exit(struct unixctl_conn *conn, int argc, const char *argv[],
            void *d_)
{
    struct otd_daemon *d = d_;

    if (argc < 2) {
        d->exiting = true;
        unixctl_command_reply(conn, NULL);
    } else if (strcmp(argv[1], "--cleanup")) {
        unixctl_command_reply_error(conn, "the only option is --cleanup");
    } else if (d->cleanup) {
        unixctl_command_reply_error(conn, "the cleanup is under way");
    } else {
        VLOG_INFO("exiting: removing everything of ours");
        /* No more requests: nothing may come back behind the cleanup. */
        otd_listener_destroy(d->listener);
        d->listener = NULL;
        d->cleanup = true;
        d->cleanup_conn = conn;
        d->cleanup_deadline = time_msec() + CLEANUP_TIMEOUT_MS;
    }
}

static void
handle_status(struct unixctl_conn *conn, int argc OVS_UNUSED,
              const char *argv[] OVS_UNUSED, void *d_)
{
    struct otd_daemon *d = d_;
    struct ds s = DS_EMPTY_INITIALIZER;

    otd_engine_format_status(d->engine, &s);
    if (d->listener) {
        otd_listener_format_status(d->listener, &s);
    }
    otd_service_format_status(d->service, &s);
    if (d->cleanup) {
        ds_put_cstr(&s, "removing everything of ours before the exit\n");
    }
    unixctl_command_reply(conn, ds_cstr(&s));
    ds_destroy(&s);
}
