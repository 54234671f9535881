/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_NOTIFY_H
#define OTD_NOTIFY_H 1

/* The service manager's notification socket (sd_notify(3)): one datagram of
 * "NAME=VALUE" lines to the AF_UNIX address in $NOTIFY_SOCKET.
 *
 * Without that variable every call does nothing, so the daemon need not care
 * who started it.  Only the main thread. */

/* Sends 'state', for example "READY=1\nSTATUS=in sync".  Returns 0 if it was
 * sent or nobody asked for it, otherwise a positive errno value. */
int otd_notify(const char *state);

#endif /* daemon/notify.h */
