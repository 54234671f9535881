/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_LISTENER_H
#define OTD_LISTENER_H 1

/* Keeps the gRPC server on the addresses that are asked for.
 *
 * The addresses are, in this order: --listen; the setting tunneld-listen; the
 * default.  When they change the server is replaced: its calls end with
 * UNAVAILABLE, and clients reconnect.  If the new addresses cannot be served
 * the old ones come back (a mistake in a setting must not lock everybody out)
 * and the error stands in tunneld/status until the setting changes again.
 * While no address at all can be served, it is tried again every few seconds.
 *
 * Main thread, after the last fork. */

struct ds;
struct simap;
struct otd_listener;
struct otd_options;
struct otd_service;

/* Borrows both. */
struct otd_listener *otd_listener_create(const struct otd_options *,
                                         struct otd_service *);
/* Ends all calls and closes the sockets. */
void otd_listener_destroy(struct otd_listener *);

/* Opens the sockets for the first time.  NULL, or an owned sentence. */
char *otd_listener_start(struct otd_listener *);

/* 'setting' is tunneld-listen: "" if it is not set, NULL while it is not known
 * (then nothing changes). */
void otd_listener_run(struct otd_listener *, const char *setting);
void otd_listener_wait(struct otd_listener *);

void otd_listener_get_memory_usage(const struct otd_listener *,
                                   struct simap *);
void otd_listener_format_status(const struct otd_listener *, struct ds *);

#endif /* daemon/listener.h */
