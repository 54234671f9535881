/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_APPCTL_CLIENT_H
#define OTD_APPCTL_CLIENT_H 1

/* One call to another daemon's unixctl socket (what ovs-appctl does), without
 * blocking the main loop.  Used for ovs-vswitchd's "revalidator/wait".
 *
 *     call = otd_appctl_call("ovs-vswitchd", "revalidator/wait", NULL, 0,
 *                            30000);
 *     in each turn: otd_appctl_run(call);
 *                   if (otd_appctl_is_done(call)) { use it; destroy it; }
 *                   otd_appctl_wait(call);
 *
 * Main thread only. */

#include <stdbool.h>
#include <stddef.h>

struct otd_appctl;

/* Starts the call.  'target' is the socket's absolute path, or a daemon's
 * name, whose socket is then NAME.ctl in ovs_rundir() or, like ovs-appctl
 * finds it, by the pid file there ("ovs-vswitchd": ovs-vswitchd.PID.ctl).
 * 'args' (borrowed for the call) are 'n_args' strings.  'timeout_ms' 0: none.
 * Never fails: what goes wrong is the call's error. */
struct otd_appctl *otd_appctl_call(const char *target, const char *method,
                                   const char *const args[], size_t n_args,
                                   int timeout_ms);
void otd_appctl_destroy(struct otd_appctl *);   /* Also while under way. */

void otd_appctl_run(struct otd_appctl *);
void otd_appctl_wait(struct otd_appctl *);

bool otd_appctl_is_done(const struct otd_appctl *);
/* Both NULL until it is done, then one of them is not.  The error is a
 * sentence that names target and method, with what the daemon said at its end.
 * Borrowed. */
const char *otd_appctl_result(const struct otd_appctl *);
const char *otd_appctl_error(const struct otd_appctl *);

#endif /* ofctl/appctl-client.h */
