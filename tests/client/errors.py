# SPDX-License-Identifier: Apache-2.0
"""Bad input: what is no message, no method, too large.  After each the server
answers a good call.  Expects an empty table and leaves an empty one."""

import random

import grpc

from client import (TIMEOUT, Client, accepted, check, delete, encap, equal,
                    fails, pb, run)

TUNNELS = "/tunneloffload.v2.IpTunnelService/"
HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
CODE = grpc.StatusCode

# A length that points behind the end of the message.
TRUNCATED = b"\x0a\x7f\x01"
# A varint that does not end.
ENDLESS = b"\xff" * 11


def raw(c, path, kind, data):
    """Calls 'path' with these bytes as its one message."""
    request = data if kind.startswith("unary") else iter([data])
    call = getattr(c.channel, kind)(path, request_serializer=None,
                                    response_deserializer=None)
    answer = call(request, timeout=TIMEOUT)
    return list(answer) if kind.endswith("stream") else answer


def malformed(c):
    for name, data in (("truncated", TRUNCATED), ("endless", ENDLESS)):
        for method, kind in (("Capabilities", "unary_unary"),
                             ("GetIpTunnel", "unary_unary"),
                             ("GetIpTunnelStats", "unary_unary"),
                             ("GetAllIpTunnels", "unary_stream"),
                             ("GetAllIpTunnelsStats", "unary_stream")):
            fails("%s bytes: %s" % (name, method), CODE.INVALID_ARGUMENT,
                  raw, c, TUNNELS + method, kind, data)
        fails("%s bytes: health Check" % name, CODE.INVALID_ARGUMENT,
              raw, c, HEALTH + "Check", "unary_unary", data)
        fails("%s bytes: health Watch" % name, CODE.INVALID_ARGUMENT,
              raw, c, HEALTH + "Watch", "unary_stream", data)
        fails("%s bytes: reflection" % name, CODE.INVALID_ARGUMENT,
              raw, c, REFLECTION, "stream_stream", data)

        # In a stream of requests only that request is refused.
        call = c.channel.stream_unary(
            TUNNELS + "CreateIpTunnel", request_serializer=None,
            response_deserializer=pb.CreateIpTunnelResponses.FromString)
        answer = call(iter([encap(1).SerializeToString(), data,
                            encap(2).SerializeToString()]), timeout=TIMEOUT)
        equal("%s bytes: in a stream" % name,
              (answer.request_status, answer.error_status,
               len(answer.responses)), (pb._TUNNEL_REJECTED, 2, 1))
        check("  with an error", answer.responses[0].error.error_string != "",
              answer)
        accepted("  and the others are in", c.create(delete(1), delete(2)))


def random_bytes(c):
    """Whatever comes: an answer, and the server lives."""
    rng = random.Random(2)
    good = encap(1).SerializeToString()
    call = c.channel.stream_unary(
        TUNNELS + "CreateIpTunnel", request_serializer=None,
        response_deserializer=pb.CreateIpTunnelResponses.FromString)
    requests = []
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        requests.append(bytes(data[:rng.randrange(len(data) + 1)]))
    answer = call(iter(requests), timeout=TIMEOUT)
    equal("2000 damaged requests: the status", answer.request_status,
          pb._TUNNEL_REJECTED)
    equal("and everything that got in can be read and deleted",
          [i for i in c.ids() if not c.get(i).HasField("ip_tunnel")], [])
    c.delete_all()


def sizes(c):
    big = encap(1)
    big.match_criteria.ingress_interface = "x" * (10 * 2**20)
    fails("a message of 10 MiB", CODE.RESOURCE_EXHAUSTED, c.create, big)
    fails("a unary message of 10 MiB", CODE.RESOURCE_EXHAUSTED,
          raw, c, TUNNELS + "GetIpTunnel", "unary_unary",
          b"\xfa\x7f" + b"\x80\x80\x80\x05" + bytes(10 * 2**20))
    big.match_criteria.ingress_interface = "x" * 2**20
    answer = c.create(big, encap(2))
    equal("a request of 1 MiB is refused, the next one is not",
          (answer.request_status, answer.error_status, c.ids()),
          (pb._TUNNEL_REJECTED, 1, [2]))
    check("with a short text",
          len(answer.responses[0].error.error_string) < 5000)
    c.delete_all()

    answer = c.create(*[pb.IpTunnelRequest() for _ in range(5000)])
    equal("5000 empty requests: every one fails",
          (answer.request_status, answer.error_status,
           len(answer.responses)), (pb._TUNNEL_REJECTED, 2**64 - 1, 5000))


def methods(c):
    fails("an unknown method", CODE.UNIMPLEMENTED,
          raw, c, TUNNELS + "NoSuchMethod", "unary_unary", b"")
    fails("an unknown service", CODE.UNIMPLEMENTED,
          raw, c, "/no.such.Service/Get", "unary_stream", b"")
    call = c.channel.stream_unary(TUNNELS + "GetIpTunnel",
                                  request_serializer=None,
                                  response_deserializer=None)
    fails("a unary call without a request", CODE.INVALID_ARGUMENT,
          call, iter([]), timeout=TIMEOUT)


def main():
    with Client() as c:
        equal("the table is empty at first", c.ids(), [])
        for part in (malformed, random_bytes, sizes, methods):
            part(c)
            accepted("the server still works", c.create(encap(1), delete(1)))


run(main)
