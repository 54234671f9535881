/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_SPEC_FIXTURE_H
#define OTD_SPEC_FIXTURE_H 1

/* Requests for tests: typical ones, and as many random legal ones as
 * wanted. */

#include <stdint.h>
#include "tunnel/spec.h"

/* Everything that this build can do. */
extern const struct otd_caps all_caps;

/* "10.0.0.1" or "fd00::1". */
struct in6_addr ip(const char *);
struct eth_addr mac(const char *);

/* Legal requests: 10.1.0.0/16 into a tunnel from 192.0.2.1 to 192.0.2.2 with
 * VNI 100, and VNI 100 out of it. */
struct otd_spec geneve_encap(void);
struct otd_spec geneve_decap(void);
/* Legal but for the missing data plane: TUNNEL mode, AES256GCM128. */
struct otd_spec ipsec_enc(void);
struct otd_spec ipsec_dec(void);

void add_option(struct otd_spec *, uint16_t opt_class, uint8_t type,
                size_t len);

/* A reproducible stream of numbers. */
struct rng {
    uint64_t state;
};
uint32_t rng_next(struct rng *);
uint32_t rng_range(struct rng *, uint32_t n);   /* 0 to n - 1. */

/* A random request that otd_spec_check() accepts with 'all_caps'. */
void random_spec(struct rng *, struct otd_spec *);

#endif /* tests/unit/spec-fixture.h */
