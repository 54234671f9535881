/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_BENCH_TUNNELS_H
#define OTD_BENCH_TUNNELS_H 1

/* The tunnels that the benchmarks create.  Tunnel 'id' (1 to 2^24 - 1) takes the
 * untagged IPv4 packets to 10.x.y.z, the 24 bits x.y.z being its id, and sends
 * them in Geneve with its id as VNI from 172.16.0.1 to 172.17.y.z.  So a trace
 * of any packet can be compared with what its destination alone says. */

#include <stddef.h>
#include <stdint.h>

#define BENCH_OUTER_SRC 0xac100001u             /* 172.16.0.1 */

static inline uint32_t
bench_match_dst(uint32_t id)                    /* Host byte order. */
{
    return 0x0a000000u | (id & 0xffffff);
}

static inline uint32_t
bench_outer_dst(uint32_t id)                    /* Host byte order. */
{
    return 0xac110000u | (id & 0xffff);
}

#endif /* tests/bench/tunnels.h */
