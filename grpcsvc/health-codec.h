/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OTD_HEALTH_CODEC_H
#define OTD_HEALTH_CODEC_H 1

/* The messages of grpc.health.v1 as bytes.  Pure; any thread. */

#include <stdbool.h>
#include <stddef.h>

struct ofpbuf;

enum otd_health {               /* Values of ServingStatus. */
    OTD_HEALTH_UNKNOWN = 0,
    OTD_HEALTH_SERVING = 1,
    OTD_HEALTH_NOT_SERVING = 2,
    OTD_HEALTH_SERVICE_UNKNOWN = 3,     /* Watch only. */
};

/* Reads a HealthCheckRequest.  '*known' tells whether it names a service that
 * is served here: "" (the server as a whole), the tunnel service, or
 * reflection.  If not, Check ends with NOT_FOUND, and Watch sends
 * SERVICE_UNKNOWN and stays open.  False: the bytes are no such message. */
bool otd_health_parse_request(const void *, size_t n, bool *known);

/* A HealthCheckResponse (returned owned). */
struct ofpbuf *otd_health_response(enum otd_health);

#endif /* grpcsvc/health-codec.h */
