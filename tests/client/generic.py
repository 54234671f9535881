# SPDX-License-Identifier: Apache-2.0
"""Health and reflection, as generic gRPC tools use them.

    generic.py          with a switch that stays
    generic.py watch    stops and starts ovs-vswitchd through $OTD_STOP and
                        $OTD_START (shell commands) and watches the health
"""

import os
import subprocess
import sys

import grpc
from google.protobuf import (descriptor_pb2, descriptor_pool,
                             message_factory)

from client import (TIMEOUT, Client, equal, fails, health_pb2, pb, run)
import reflection_pb2
import reflection_pb2_grpc
import reflection_v1alpha_pb2
import reflection_v1alpha_pb2_grpc

SERVICE = "tunneloffload.v2.IpTunnelService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def health(c):
    for name in ("", SERVICE):
        equal("health of '%s'" % name, c.serving(name), SERVING)
        watch = c.health.Watch(health_pb2.HealthCheckRequest(service=name),
                               timeout=TIMEOUT)
        equal("health watch of '%s'" % name, next(watch).status, SERVING)
        watch.cancel()
    fails("health of an unknown service", grpc.StatusCode.NOT_FOUND,
          c.serving, "no.such.Service")
    watch = c.health.Watch(health_pb2.HealthCheckRequest(service="no.such"),
                           timeout=TIMEOUT)
    equal("health watch of an unknown service", next(watch).status,
          SERVICE_UNKNOWN)
    watch.cancel()


def ask(stub, module, **question):
    """One question; the answer."""
    request = module.ServerReflectionRequest(host="h", **question)
    answers = list(stub.ServerReflectionInfo(iter([request]),
                                             timeout=TIMEOUT))
    assert len(answers) == 1, answers
    equal("  the question comes back", (answers[0].valid_host,
                                        answers[0].original_request),
          ("h", request))
    return answers[0]


def files(answer):
    result = []
    for data in answer.file_descriptor_response.file_descriptor_proto:
        result.append(descriptor_pb2.FileDescriptorProto.FromString(data))
    return result


def without_json_names(message):
    """protoc fills these in, Python's own descriptors leave them out."""
    for nested in list(message.message_type if hasattr(message, "package")
                       else message.nested_type):
        without_json_names(nested)
    if not hasattr(message, "package"):
        for field in message.field:
            field.ClearField("json_name")
    return message


def reflection(c, version, module, grpc_module):
    stub = grpc_module.ServerReflectionStub(c.channel)
    answer = ask(stub, module, list_services="")
    equal("%s: services" % version,
          sorted(s.name for s in answer.list_services_response.service),
          ["grpc.health.v1.Health",
           "grpc.reflection.v1.ServerReflection",
           "grpc.reflection.v1alpha.ServerReflection", SERVICE])

    for symbol in (SERVICE, SERVICE + ".CreateIpTunnel",
                   "tunneloffload.v2.MatchCriteria.GeneveMatch",
                   "tunneloffload.v2.EncType"):
        got = files(ask(stub, module, file_containing_symbol=symbol))
        equal("%s: the file of %s" % (version, symbol),
              [f.package for f in got], ["tunneloffload.v2"])
    by_name = files(ask(stub, module, file_by_filename=got[0].name))
    equal("%s: the same file by its name" % version, by_name, got)
    want = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(want)
    equal("%s: it is our .proto file" % version,
          without_json_names(by_name[0]), without_json_names(want))

    for question in ({"file_containing_symbol": "no.such.Symbol"},
                     {"file_by_filename": "no-such.proto"}):
        answer = ask(stub, module, **question)
        equal("%s: unknown %s" % (version, list(question)[0]),
              (answer.WhichOneof("message_response"),
               answer.error_response.error_code),
              ("error_response", grpc.StatusCode.NOT_FOUND.value[0]))

    # Several questions on one stream, each answered before the next is asked.
    def questions():
        for _ in range(3):
            yield module.ServerReflectionRequest(list_services="")
    n = sum(1 for _ in stub.ServerReflectionInfo(questions(),
                                                 timeout=TIMEOUT))
    equal("%s: three questions, three answers" % version, n, 3)
    return got


def generic_call(c, protos):
    """A client that knows nothing but what reflection told it."""
    pool = descriptor_pool.DescriptorPool()
    for proto in protos:
        pool.Add(proto)
    method = pool.FindServiceByName(SERVICE).FindMethodByName("Capabilities")
    factory = message_factory.MessageFactory(pool)
    request = factory.GetPrototype(method.input_type)()
    answer = c.channel.unary_unary(
        "/%s/%s" % (SERVICE, method.name),
        request_serializer=type(request).SerializeToString,
        response_deserializer=factory.GetPrototype(
            method.output_type).FromString)(request, timeout=TIMEOUT)
    equal("a generic client calls Capabilities",
          answer.match_capabilities.geneve_matching, True)


def watch_switch(c):
    watches = [c.health.Watch(health_pb2.HealthCheckRequest(service=name),
                              timeout=TIMEOUT)
               for name in ("", SERVICE)]
    equal("watch: serving", [next(w).status for w in watches],
          [SERVING] * 2)
    subprocess.run(["bash", "-c", os.environ["OTD_STOP"]], check=True)
    equal("watch: not serving without the switch",
          [next(w).status for w in watches], [NOT_SERVING] * 2)
    equal("and Check says the same", c.serving(), NOT_SERVING)
    subprocess.run(["bash", "-c", os.environ["OTD_START"]], check=True)
    equal("watch: serving again", [next(w).status for w in watches],
          [SERVING] * 2)
    for w in watches:
        w.cancel()


def main():
    with Client() as c:
        if sys.argv[1:] == ["watch"]:
            watch_switch(c)
            return
        health(c)
        alpha = reflection(c, "v1alpha", reflection_v1alpha_pb2,
                           reflection_v1alpha_pb2_grpc)
        equal("both versions give the same file", alpha, reflection(
            c, "v1", reflection_pb2, reflection_pb2_grpc))
        generic_call(c, alpha)


run(main)
