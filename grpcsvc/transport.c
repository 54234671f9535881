/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>
#include "grpcsvc/transport.h"

#define TUNNELS "/tunneloffload.v2.IpTunnelService/"

const struct otd_method_info otd_methods[OTD_N_METHODS] = {
    [OTD_METHOD_CAPABILITIES] = { TUNNELS "Capabilities", false, false },
    [OTD_METHOD_CREATE] = { TUNNELS "CreateIpTunnel", true, false },
    [OTD_METHOD_GET] = { TUNNELS "GetIpTunnel", false, false },
    [OTD_METHOD_GET_STATS] = { TUNNELS "GetIpTunnelStats", false, false },
    [OTD_METHOD_GET_ALL] = { TUNNELS "GetAllIpTunnels", false, true },
    [OTD_METHOD_GET_ALL_STATS]
        = { TUNNELS "GetAllIpTunnelsStats", false, true },
    [OTD_METHOD_HEALTH_CHECK]
        = { "/grpc.health.v1.Health/Check", false, false },
    [OTD_METHOD_HEALTH_WATCH]
        = { "/grpc.health.v1.Health/Watch", false, true },
    [OTD_METHOD_REFLECTION]
        = { "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            true, true },
    [OTD_METHOD_REFLECTION_V1]
        = { "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            true, true },
};
