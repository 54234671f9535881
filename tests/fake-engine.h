/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_FAKE_ENGINE_H
#define OTD_FAKE_ENGINE_H 1

/* An engine without a switch: engine/engine.h over a table in memory.
 *
 * For tests and fuzzers of the service, which link this instead of the engine
 * library.  Requests go through the real codec and the real checks of tunnel/;
 * no flow, no store, no clock.  otd_engine_create() takes NULL for the store
 * and the database. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct otd_engine;
struct otd_counters;

/* Serving or not, with what is_serving() says.  At first it serves. */
void fake_engine_set_serving(struct otd_engine *, bool);

/* How many bytes of an incomplete transaction one run works off (its backlog
 * shrinks by them); 0, as at first: none before the transaction is complete.
 */
void fake_engine_set_stream_rate(struct otd_engine *, size_t);

/* While held, run() completes no transaction and no refresh. */
void fake_engine_hold(struct otd_engine *, bool);

void fake_engine_set_capacity(struct otd_engine *, size_t n_tunnels);

/* What refreshes report, or NULL (borrowed). */
void fake_engine_set_refresh_error(struct otd_engine *, const char *);
void fake_engine_set_counters(struct otd_engine *, uint64_t id,
                              const struct otd_counters *);

/* Open transactions and waiting refreshes: 0 after everything ended. */
size_t fake_engine_n_open(const struct otd_engine *);
size_t fake_engine_n_cancelled(const struct otd_engine *);

#endif /* tests/fake-engine.h */
