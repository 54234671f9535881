# SPDX-License-Identifier: Apache-2.0
"""An independent gRPC client of ovs-tunneld, for tests.

It shares no code with the daemon: stubs are generated from the .proto files by
grpc_tools, and the transport is gRPC's own Python library.

A test program does

    from client import Client, check, equal, finish, ...

and prints one line a result, "ok - TEXT" or "not ok - TEXT" with details in
lines that start with "#", and last "done".  Addresses of the daemon come from
the environment (tests/sandbox-api.sh sets them):

    OTD_TARGET     "unix:PATH" or "HOST:PORT"
    OTD_CA, OTD_KEY, OTD_CERT    PEM files: TLS if OTD_CA is set
    OTD_PROTO      the directory with the .proto files
    OTD_STUBS      a directory for the generated modules
"""

import ipaddress
import os
import subprocess
import sys
import time
import traceback

import grpc

PROTO = os.environ["OTD_PROTO"]
STUBS = os.environ["OTD_STUBS"]
TIMEOUT = 60


def generate():
    """Makes the modules, once for all programs of a run."""
    marker = os.path.join(STUBS, "complete")
    if not os.path.exists(marker):
        names = ["tunneloffload.proto", "health.proto", "reflection.proto",
                 "reflection-v1alpha.proto"]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc",
                        "-I" + PROTO, "--python_out=" + STUBS,
                        "--grpc_python_out=" + STUBS] + names,
                       check=True, cwd=PROTO)
        with open(marker, "w", encoding="ascii"):
            pass
    sys.path.insert(0, STUBS)


generate()

import health_pb2                                       # noqa: E402
import health_pb2_grpc                                  # noqa: E402
import tunneloffload_pb2 as pb                          # noqa: E402
import tunneloffload_pb2_grpc as pb_grpc                # noqa: E402

# ---- Results.

failures = 0


def check(text, good, detail=""):
    """One result."""
    global failures
    print(("ok - " if good else "not ok - ") + text)
    if not good:
        failures += 1
        for line in str(detail).splitlines():
            print("#   " + line)
    sys.stdout.flush()
    return good


def equal(text, got, want):
    """One result: the whole of 'got' is 'want'."""
    return check(text, got == want, "got:\n%s\nwanted:\n%s" % (got, want))


def fails(text, code, call, *args, **kwargs):
    """One result: the call ends with this status."""
    try:
        result = call(*args, **kwargs)
        if hasattr(result, "__next__"):
            result = list(result)
    except grpc.RpcError as error:
        return equal(text, error.code(), code)
    return check(text, False, "it succeeded: %s" % (result,))


def wait_until(condition, seconds=30):
    """Tries again and again; the condition's last value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


def finish():
    print("done")
    sys.exit(1 if failures else 0)


def run(main):
    """Runs a test program; an exception is a failure."""
    try:
        main()
    except Exception:                   # pylint: disable=broad-except
        check("the program runs to its end", False, traceback.format_exc())
    finish()


# ---- Values as they stand on the wire.

def ip4(text):
    """IPv4: the bytes of the address read as a little-endian integer."""
    return int.from_bytes(ipaddress.IPv4Address(text).packed, "little")


def ip6(text):
    return ipaddress.IPv6Address(text).packed


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def is_ip6(text):
    return ":" in text


def ip_match(message, src=None, dst=None):
    """Fills ipv4_match or ipv6_match from "ADDRESS/PREFIX" texts."""
    six = is_ip6(src or dst)
    match = message.ipv6_match if six else message.ipv4_match
    for name, text in (("source", src), ("destination", dst)):
        if text:
            address, _, plen = text.partition("/")
            setattr(match, name + "_ip", (ip6 if six else ip4)(address))
            setattr(match, name + "_ip_prefix",
                    int(plen) if plen else (128 if six else 32))


def encap(tunnel_id, vni=None, remote="172.16.0.2", local="172.16.0.1",
          inner_dst=None, port="vm1", operation=pb._CREATE,
          action=pb.FORWARD, after=0):
    """A Geneve encapsulating tunnel; its match is on 'inner_dst'."""
    r = pb.IpTunnelRequest(tunnel_id=tunnel_id, operation=operation,
                           next_action=action)
    if inner_dst is None:
        inner_dst = str(ipaddress.IPv4Address(0x0a000000 + tunnel_id % 2**24))
    if port:
        r.match_criteria.ingress_interface = port
    if after:
        r.match_criteria.tunnel_id = after
    ip_match(r.match_criteria, dst=inner_dst)
    e = r.geneve.geneve_encap
    if is_ip6(remote):
        e.outer_ipv6_pair.source_ip = ip6(local)
        e.outer_ipv6_pair.destination_ip = ip6(remote)
    else:
        e.outer_ipv4_pair.source_ip = ip4(local)
        e.outer_ipv4_pair.destination_ip = ip4(remote)
    e.inner_mac_pair.destination_mac = mac("52:54:00:00:00:02")
    e.inner_mac_pair.source_mac = mac("52:54:00:00:00:01")
    e.vni = tunnel_id % 2**24 if vni is None else vni
    return r


def decap(tunnel_id, vni=None, remote="172.16.0.2", local="172.16.0.1",
          operation=pb._CREATE, action=pb.FORWARD):
    """A Geneve decapsulating tunnel."""
    r = pb.IpTunnelRequest(tunnel_id=tunnel_id, operation=operation,
                           next_action=action)
    ip_match(r.match_criteria, src=remote, dst=local)
    r.match_criteria.geneve_match.vni = (tunnel_id % 2**24 if vni is None
                                         else vni)
    r.geneve.geneve_decap.SetInParent()
    return r


def delete(tunnel_id):
    return pb.IpTunnelRequest(tunnel_id=tunnel_id, operation=pb._DELETE)


# ---- The daemon.

class Client:
    """One channel with its stubs."""

    def __init__(self, target=None):
        target = target or os.environ["OTD_TARGET"]
        # A channel of its own: without this, gRPC shares one connection
        # between channels with the same target.
        options = [("grpc.use_local_subchannel_pool", 1),
                   ("grpc.enable_retries", 0)]
        if os.environ.get("OTD_CA") and not target.startswith("unix:"):
            def read(name):
                path = os.environ.get(name)
                if not path:
                    return None
                with open(path, "rb") as f:
                    return f.read()
            credentials = grpc.ssl_channel_credentials(
                read("OTD_CA"), read("OTD_KEY"), read("OTD_CERT"))
            self.channel = grpc.secure_channel(target, credentials, options)
        else:
            self.channel = grpc.insecure_channel(target, options)
        self.stub = pb_grpc.IpTunnelServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def create(self, *requests, timeout=TIMEOUT):
        """Sends the requests in one stream; the answer."""
        return self.stub.CreateIpTunnel(iter(requests), timeout=timeout)

    def get(self, tunnel_id):
        return self.stub.GetIpTunnel(pb.TunnelId(tunnel_id=tunnel_id),
                                     timeout=TIMEOUT)

    def stats(self, tunnel_id):
        return self.stub.GetIpTunnelStats(pb.TunnelId(tunnel_id=tunnel_id),
                                          timeout=TIMEOUT)

    def pages(self, n=0):
        """The messages of GetAllIpTunnels."""
        return list(self.stub.GetAllIpTunnels(
            pb.TunnelRequestArgs(tunnels_per_request=n), timeout=TIMEOUT))

    def stats_pages(self, n=0):
        return list(self.stub.GetAllIpTunnelsStats(
            pb.TunnelRequestArgs(tunnels_per_request=n), timeout=TIMEOUT))

    def ids(self):
        """Ids of all tunnels, in the order of the answer."""
        return [r.tunnel_id for page in self.pages() for r in page.responses]

    def delete_all(self):
        ids = self.ids()
        if ids:
            answer = self.create(*[delete(i) for i in ids])
            assert answer.request_status == pb._TUNNEL_ACCEPTED, answer

    def capabilities(self):
        return self.stub.Capabilities(pb.CapabilityRequest(), timeout=TIMEOUT)

    def serving(self, service=""):
        return self.health.Check(
            health_pb2.HealthCheckRequest(service=service),
            timeout=TIMEOUT).status


def accepted(text, answer, *chosen):
    """One result: all of a stream was accepted, with these chosen ids."""
    return equal(text, answer, pb.CreateIpTunnelResponses(
        request_status=pb._TUNNEL_ACCEPTED,
        responses=[pb.CreateIpTunnelResponse(tunnel_id=i) for i in chosen]))
