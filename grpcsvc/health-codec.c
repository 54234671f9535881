/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/health-codec.h"

#include <string.h>

#include "openvswitch/ofpbuf.h"
#include "proto/health.pb-c.h"
#include "util.h"

/* A name and its wrapping.  Bounds what unpacking hostile bytes can
 * allocate. */
#define REQUEST_BYTES_MAX 4096

static bool
is_known(const char *service)
{
    static const char *const names[] = {
        "",
        "tunneloffload.v2.IpTunnelService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcmp(service, names[i])) {
            return true;
        }
    }
    return false;
}

bool
otd_health_parse_request(const void *bytes, size_t n, bool *known)
{
    Grpc__Health__V1__HealthCheckRequest *request = NULL;

    if (n <= REQUEST_BYTES_MAX) {
        request = grpc__health__v1__health_check_request__unpack(NULL, n,
                                                                 bytes);
    }
    if (!request) {
        return false;
    }
    *known = is_known(request->service);
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    return true;
}

struct ofpbuf *
otd_health_response(enum otd_health status)
{
    Grpc__Health__V1__HealthCheckResponse response
        = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

    response.status = (int) status;
    size_t n = grpc__health__v1__health_check_response__get_packed_size(
        &response);
    struct ofpbuf *b = ofpbuf_new(n);
    grpc__health__v1__health_check_response__pack(&response,
                                                  ofpbuf_put_uninit(b, n));
    return b;
}
