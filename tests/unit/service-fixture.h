/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SERVICE_FIXTURE_H
#define OTD_SERVICE_FIXTURE_H 1

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "grpcsvc/codec.h"
#include "grpcsvc/service-private.h"
#include "tests/fake-engine.h"
#include "tests/fake-transport.h"
#include "tests/unit/spec-fixture.h"
#include "tests/unit/wire.h"

/* A service of its own, over a fake transport and a fake engine. */
extern struct otd_codec *codec;
extern struct otd_engine *engine;
extern struct otd_service *service;
extern struct fake_transport *transport;

/* Every test ends without an open call and without one in the engine. */
void setup(void);
void teardown(void);

/* The service and the engine once, as in a turn of a main loop. */
void run(void);
/* Waits like a main loop.  There must be a reason to wake up. */
void sleep_until_woken(void);
/* Some turns that do not wait: for what must not happen. */
void settle(void);

/* Turns until the call is finished, which must be like this. */
void finish(struct fake_call *, enum otd_status, const char *text);
/* The next reply must be this, as format_message() writes it. */
void expect_reply(struct fake_call *, const char *messages, const char *want);
void expect_no_reply(struct fake_call *);

/* A request whose match is like that of any other. */
struct otd_spec tunnel_spec(uint64_t id, enum otd_operation);
/* Each returns the bytes sent. */
size_t send_spec(struct fake_call *, const struct otd_spec *);
size_t send_tunnel(struct fake_call *, uint64_t id);
size_t send_tunnels(struct fake_call *, uint64_t first, size_t n);
/* Creates tunnels 1 to 'n', to the end. */
void create_tunnels(uint64_t n);
/* A call with one request and its half-close, of one field or none (0). */
struct fake_call *ask(enum otd_method, uint32_t field, uint64_t value);

/* test-service-read.c */
TCase *read_tests(void);

#endif /* tests/unit/service-fixture.h */
