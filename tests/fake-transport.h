/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_FAKE_TRANSPORT_H
#define OTD_FAKE_TRANSPORT_H 1

/* A transport without gRPC: struct otd_transport_class in plain C, for tests
 * and fuzzers of the service.
 *
 * The service's side is one thread with a poll_loop, as with the real one.
 * The clients' side (everything named fake_call_) may run on any number of
 * other threads, one for each call, so that a thread sanitizer sees all of the
 * service; or on the same thread, for a fuzzer: then nothing here blocks but
 * fake_call_wait(). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "grpcsvc/transport.h"

struct fake_call;
struct fake_transport;

struct fake_transport *fake_transport_create(void);
/* The service must have let go of its calls.  Clients may still hold theirs:
 * they see them end with UNAVAILABLE. */
void fake_transport_destroy(struct fake_transport *);
struct otd_transport *fake_transport_up(struct fake_transport *);

/* Calls that the service has seen and not finished. */
size_t fake_transport_n_open(const struct fake_transport *);

/* ---- Clients. */

struct fake_call *fake_call_start(struct fake_transport *, enum otd_method);
/* Cancels the call if it is not finished, and lets go of it. */
void fake_call_destroy(struct fake_call *);

/* One request message, or 'n' in one event (as in struct otd_event). */
void fake_call_send(struct fake_call *, const void *data, size_t size);
void fake_call_send_many(struct fake_call *, const uint8_t *data,
                         const uint32_t *ends, size_t n);
void fake_call_half_close(struct fake_call *);
void fake_call_cancel(struct fake_call *);

/* Bytes sent that the service has not given back: what a well-behaved client
 * looks at before it sends more.  Nothing enforces it. */
size_t fake_call_unconsumed(struct fake_call *);

/* A client that stops reading: what the service sends is pending until it
 * reads again.  At first it reads. */
void fake_call_set_reading(struct fake_call *, bool);

/* Is the call finished?  Waits up to 'timeout_ms'. */
bool fake_call_wait(struct fake_call *, int timeout_ms);
/* Of a finished call; the text is never NULL. */
enum otd_status fake_call_status(struct fake_call *);
const char *fake_call_text(struct fake_call *);

/* The next response message (owned by the caller, free()) or NULL if there is
 * none yet. */
void *fake_call_take_reply(struct fake_call *, size_t *size);

#endif /* tests/fake-transport.h */
