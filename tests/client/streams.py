# SPDX-License-Identifier: Apache-2.0
"""Streams: partial success, order, cancellation, many clients at once.
Expects an empty table and leaves an empty one."""

import os
import resource
import socket
import subprocess
import sys
import threading

import grpc

from client import (Client, accepted, check, decap, delete, encap, equal,
                    pb, run, wait_until)


def failed_ids(answer):
    return [r.tunnel_id for r in answer.responses if r.HasField("error")]


def partial(c):
    # 100 requests; every tenth has a VNI that does not fit 24 bits.
    requests = [encap(i + 1, vni=2**24 if i % 10 == 3 else i)
                for i in range(100)]
    bad = [i for i in range(100) if i % 10 == 3]
    answer = c.create(*requests)
    equal("partial success: status", answer.request_status,
          pb._TUNNEL_REJECTED)
    equal("partial success: the first 64 as bits", answer.error_status,
          sum(1 << i for i in bad if i < 64))
    equal("partial success: every failed entry is listed", failed_ids(answer),
          [i + 1 for i in bad])
    check("each with the field, the value and the limit",
          all("vni" in r.error.error_string
              and "16777216" in r.error.error_string
              for r in answer.responses), answer)
    check("and with the API's error",
          all(r.error.error_message == pb.TunnelAdditionError(
              geneve_error=pb.INVALID_GENEVE_FIELD)
              for r in answer.responses), answer)
    equal("the good ones are in", c.ids(),
          [i + 1 for i in range(100) if i not in bad])

    answer = c.create(encap(1, inner_dst="10.9.0.1"),
                      encap(2, inner_dst="10.9.0.2"))
    equal("creates of existing ids",
          (answer.request_status, answer.error_status, failed_ids(answer)),
          (pb._TUNNEL_ALREADY_EXISTS, 3, [1, 2]))
    answer = c.create(encap(1, inner_dst="10.9.0.1"),
                      encap(4, vni=2**24, inner_dst="10.9.0.2"))
    equal("one exists, the other is wrong",
          (answer.request_status, answer.error_status, failed_ids(answer)),
          (pb._TUNNEL_REJECTED, 3, [1, 4]))
    c.delete_all()


def order(c):
    accepted("the same id twice is applied in order", c.create(
        encap(7, vni=1), delete(7), encap(7, vni=2)))
    equal("the last one stands",
          c.get(7).ip_tunnel.geneve.geneve_encap.vni, 2)
    accepted("created and deleted in one stream", c.create(
        encap(8), delete(8), delete(7)))
    equal("nothing is left of it", c.ids(), [])

    accepted("a chain in reverse order", c.create(
        encap(11, after=10), decap(10, action=pb.RECIRCULATE)))
    c.delete_all()
    accepted("an empty stream", c.create())


def same_match(c):
    answer = c.create(encap(1, inner_dst="10.5.0.1"),
                      encap(2, inner_dst="10.5.0.1"))
    equal("equal matches are refused", (answer.request_status,
                                        answer.error_status,
                                        failed_ids(answer)),
          (pb._TUNNEL_REJECTED, 2, [2]))
    check("naming the other tunnel",
          "tunnel 1" in answer.responses[0].error.error_string, answer)
    c.delete_all()


class Paced:
    """An iterator over requests that waits where it is told to."""

    def __init__(self, requests):
        self.requests = requests
        self.sent = threading.Event()
        self.go_on = threading.Event()

    def __iter__(self):
        yield from self.requests
        self.sent.set()
        self.go_on.wait()


def cancelled(c, other):
    for n in (1, 5000):
        paced = Paced([encap(i + 1) for i in range(n)])
        call = c.stub.CreateIpTunnel.future(iter(paced))
        paced.sent.wait()
        # The daemon has (most of) them by now; the stream is open.
        accepted("another client is not held up by %d unfinished" % n,
                 other.create(encap(1000001), delete(1000001)))
        call.cancel()
        paced.go_on.set()
        try:
            call.result()
            check("the call is cancelled", False, "it succeeded")
        except grpc.FutureCancelledError:
            pass
        accepted("after a cancelled stream of %d all is well" % n,
                 other.create(encap(1000002), delete(1000002)))
        equal("and nothing of it stays", other.ids(), [])

    paced = Paced([encap(1)])
    call = c.stub.CreateIpTunnel.future(iter(paced), timeout=1)
    try:
        call.result()
        check("a deadline ends a stream", False, "it succeeded")
    except grpc.RpcError as error:
        equal("a deadline ends a stream", error.code(),
              grpc.StatusCode.DEADLINE_EXCEEDED)
    paced.go_on.set()
    equal("and nothing of it stays", other.ids(), [])

    # A client that dies: its whole connection goes.
    with subprocess.Popen([sys.executable, __file__, "die"],
                          stdout=subprocess.PIPE) as dying:
        equal("a client sends 100 requests", dying.stdout.readline(),
              b"sent\n")
        dying.kill()
    accepted("after it is killed all is well",
             other.create(encap(1000003), delete(1000003)))
    equal("and nothing of its stream stays", other.ids(), [])


def die():
    """Sends 100 requests, says so, and waits for the end."""
    paced = Paced([encap(i + 1) for i in range(100)])
    with Client() as c:
        # Without a reference to it, a call is cancelled.
        call = c.stub.CreateIpTunnel.future(iter(paced))
        paced.sent.wait()
        print("sent", flush=True)
        call.result()


def many():
    """50 clients, each with its own connection, 20 creates one by one."""
    clients, rounds = 50, 20
    errors = []

    def work(k):
        try:
            with Client() as c:
                for j in range(rounds):
                    tunnel_id = 1 + k * rounds + j
                    answer = c.create(encap(tunnel_id))
                    if answer.request_status != pb._TUNNEL_ACCEPTED:
                        errors.append((tunnel_id, answer))
                    elif not c.get(tunnel_id).HasField("ip_tunnel"):
                        errors.append((tunnel_id, "not there"))
        except grpc.RpcError as error:
            errors.append((k, error))

    threads = [threading.Thread(target=work, args=(k,))
               for k in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal("50 clients at once: no error", errors, [])
    with Client() as c:
        equal("and all their tunnels are there", sorted(c.ids()),
              list(range(1, clients * rounds + 1)))
        c.delete_all()
        equal("until they are deleted", c.ids(), [])


def idle():
    """Streams that send nothing hold nobody up."""
    clients = [Client() for _ in range(30)]
    stop = threading.Event()

    def nothing():
        stop.wait()
        yield from ()

    calls = [c.stub.CreateIpTunnel.future(nothing())
             for c in clients for _ in range(10)]
    with Client() as c:
        accepted("300 idle streams hold nobody up",
                 c.create(encap(1), delete(1)))
    stop.set()
    equal("and end well", {f.result().request_status for f in calls},
          {pb._TUNNEL_ACCEPTED})
    for c in clients:
        c.channel.close()


def connections():
    """1,000 connections that say hello and nothing more hold nobody up."""
    target = os.environ["OTD_TARGET"]
    if not target.startswith("unix:"):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets = []
    for _ in range(1000):
        s = socket.socket(socket.AF_UNIX)
        s.connect(target[len("unix:"):])
        # The HTTP/2 preface and an empty SETTINGS frame (RFC 9113, 3.4).
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                  b"\0\0\0\4\0\0\0\0\0")
        sockets.append(s)
    # Every one of them is answered: the server's SETTINGS.
    equal("1000 idle connections are let in",
          {s.recv(9)[3] for s in sockets}, {4})
    with Client() as c:
        accepted("and hold nobody up", c.create(encap(1), delete(1)))
    for s in sockets:
        s.close()


def main():
    with Client() as c, Client() as other:
        equal("the table is empty at first", c.ids(), [])
        partial(c)
        order(c)
        same_match(c)
        cancelled(c, other)
    many()
    idle()
    connections()
    with Client() as c:
        check("the table is empty again",
              wait_until(lambda: c.ids() == [], 5), c.ids())


if sys.argv[1:] == ["die"]:
    die()
run(main)
