#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The gRPC transport, driven by an independent client.

    tests/transport.py [ECHO [TEST]...]

ECHO is the program tests/transport-echo, by default that of the current
(build) directory; TEST the name of a function in this file.  Prints one line
per result and at the end "N passed, N failed, N skipped".
"""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import grpc

TUNNELS = "/tunneloffload.v2.IpTunnelService/"
CREATE = TUNNELS + "CreateIpTunnel"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
WATCH = "/grpc.health.v1.Health/Watch"
MIB = 1 << 20
ECHO = None

tests = []


def test(f):
    tests.append(f)
    return f


class Skip(Exception):
    pass


def eq(got, want):
    if got != want:
        raise AssertionError("got %r, want %r" % (got, want))


def wait_until(what, f, seconds=20):
    end = time.monotonic() + seconds
    while True:
        got = f()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("%s: not within %d s" % (what, seconds))
        time.sleep(0.01)


class Echo:
    """One server with its own directory."""

    def __init__(self, *args, listen=None, prefix=()):
        self.dir = tempfile.mkdtemp(prefix="otd-")
        self.path = self.dir + "/s/grpc.sock"
        self.log_name = self.dir + "/log"
        self.log_file = open(self.log_name, "w")
        self.proc = subprocess.Popen(
            list(prefix) + [ECHO] + list(args)
            + ["unix:" + self.path if listen is None else listen],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log_file, text=True)
        self.first_line = self.proc.stdout.readline().strip()
        self.killed = False
        self.addresses = self.first_line.partition(": ")[2].split()

    def __enter__(self):
        if not self.first_line.startswith("listening: "):
            self.stop()
            raise AssertionError(self.first_line)
        return self

    def __exit__(self, kind, *_):
        ended = self.stop()
        # Also where the sanitizers have their say.
        if not kind and not self.killed and ended != ("ended", 0):
            raise AssertionError("%r\n%s" % (ended, self.last_log))

    def stop(self):
        """Ends the server; its last words and exit status."""
        out, _ = self.proc.communicate(timeout=20)
        self.log_file.close()
        self.last_log = self.log()
        shutil.rmtree(self.dir, ignore_errors=True)
        return out.strip(), self.proc.returncode

    def log(self):
        with open(self.log_name) as f:
            return f.read()

    def channel(self, **options):
        options.setdefault("grpc.use_local_subchannel_pool", 1)
        options.setdefault("grpc.max_send_message_length", -1)
        options.setdefault("grpc.max_receive_message_length", -1)
        return grpc.insecure_channel("unix:" + self.path,
                                     options=list(options.items()))

    def port(self, i=0):
        return int(self.addresses[i].rpartition(":")[2])

    def stats(self, channel=None):
        with self.channel() as mine:
            text = command(channel or mine, "stats")
        return {k: int(v) for k, v in
                (word.split("=") for word in text.split())}

    def rss(self, which="VmRSS"):
        """KiB, now."""
        with open("/proc/%d/status" % self.proc.pid) as f:
            return int(re.search(which + r":\s+(\d+)", f.read()).group(1))

    def peak(self):
        """KiB at most until now.  (Not ru_maxrss: that includes the parent's.)
        """
        return self.rss("VmHWM")

    def n_fds(self):
        return len(os.listdir("/proc/%d/fd" % self.proc.pid))


def unary(channel, method, request, **kwargs):
    kwargs.setdefault("timeout", 20)
    return channel.unary_unary(method)(request, **kwargs)


def command(channel, text):
    return unary(channel, TUNNELS + "GetIpTunnel", text.encode()).decode()


def create(channel, messages, **kwargs):
    kwargs.setdefault("timeout", 60)
    return channel.stream_unary(CREATE)(iter(messages), **kwargs).decode()


def error_of(f):
    try:
        got = f()
    except grpc.RpcError as e:
        return e.code().name, e.details()
    raise AssertionError("no error but %r" % (got,))


class Feeder:
    """An open client stream whose messages come one by one."""

    def __init__(self, channel, timeout=60):
        self.cond = threading.Condition()
        self.queue = []
        self.n_taken = 0
        self.ended = False
        self.future = channel.stream_unary(CREATE).future(self,
                                                          timeout=timeout)

    def __iter__(self):
        return self

    def __next__(self):
        with self.cond:
            while not self.queue and not self.ended:
                self.cond.wait(60)
            if not self.queue:
                raise StopIteration
            self.n_taken += 1
            return self.queue.pop(0)

    def put(self, *messages):
        with self.cond:
            self.queue.extend(messages)
            self.cond.notify()

    def end(self):
        with self.cond:
            self.ended = True
            self.cond.notify()


def stalled(feeder):
    """A condition: has nothing more been taken from 'feeder' for a while?"""
    last = [-1, time.monotonic()]

    def condition():
        if feeder.n_taken != last[0]:
            last[:] = [feeder.n_taken, time.monotonic()]
        return time.monotonic() - last[1] > 0.5
    return condition


# ---- Calls.

@test
def unary_call_echoes_bytes():
    with Echo() as s, s.channel() as c:
        every_byte = bytes(range(256)) * 100
        eq(unary(c, TUNNELS + "Capabilities", every_byte), every_byte)
        eq(unary(c, TUNNELS + "Capabilities", b""), b"")
        big = os.urandom(3 * MIB)
        eq(unary(c, TUNNELS + "Capabilities", big), big)


@test
def status_carries_code_and_text():
    with Echo() as s, s.channel() as c:
        eq(error_of(lambda: command(c, "not-found")),
           ("NOT_FOUND", "tunnel 7: no such tunnel"))


@test
def unknown_method_is_refused_at_once():
    with Echo() as s, s.channel() as c:
        start = time.monotonic()
        for path in ("/tunneloffload.v2.IpTunnelService/NoSuchMethod",
                     "/no.such.Service/Method", "/"):
            eq(error_of(lambda: unary(c, path, b"x", timeout=30)),
               ("UNIMPLEMENTED", "ovs-tunneld does not have this method"))
        for _ in range(50):
            error_of(lambda: c.stream_stream("/x/y")(iter([b"1", b"2"]),
                                                     timeout=30).next())
        if time.monotonic() - start > 5:
            raise AssertionError("took %f s" % (time.monotonic() - start))
        eq(s.stats()["calls"], 1)


@test
def client_stream_of_100000_messages():
    with Echo() as s, s.channel() as c:
        n = 100000
        messages = [b"%08d" % i * 5 for i in range(n)]
        total = sum(m[0] + m[-1] for m in messages)
        eq(create(c, messages),
           "messages=%d bytes=%d sum=%d" % (n, 40 * n, total))
        # Packed: the main thread sees chunks, not messages.
        if s.stats()["messages"] > n / 4:
            raise AssertionError(s.stats())


@test
def client_stream_without_messages():
    with Echo() as s, s.channel() as c:
        eq(create(c, []), "messages=0 bytes=0 sum=0")
        eq(create(c, [b"", b"", b""]), "messages=3 bytes=0 sum=0")


@test
def answer_before_the_end_of_the_stream():
    with Echo() as s, s.channel() as c:
        want = ("RESOURCE_EXHAUSTED", "no more, please")
        for _ in range(20):
            eq(error_of(lambda: create(
                c, [b"x"] * 10 + [b"stop"] + [b"y" * 1000] * 2000)), want)
        feeders = [Feeder(c) for _ in range(20)]
        for f in feeders:
            f.put(b"x", b"stop", b"y")
        eq([error_of(f.future.result) for f in feeders], [want] * 20)
        for f in feeders:
            f.end()
        wait_until("no call left", lambda: s.stats(c)["grpc_calls"] == 1)
        eq(s.stats(c)["cancelled"], 0)


@test
def messages_of_all_sizes():
    with Echo() as s, s.channel() as c:
        sizes = [0, 1, 511, 512, 513, 4096, 65535, 65536, 65537, 300000,
                 4 * MIB, 1, 0]
        eq(create(c, [b"a" * n for n in sizes]),
           "messages=%d bytes=%d sum=%d" % (len(sizes), sum(sizes),
                                            2 * ord("a") * 11))


@test
def many_concurrent_streams_of_one_message():
    with Echo() as s, s.channel() as c:
        want = b"messages=1 bytes=5 sum=%d" % (2 * ord("a"))
        for _ in range(20):
            futures = [c.stream_unary(CREATE).future(iter([b"aaaaa"]),
                                                     timeout=60)
                       for _ in range(64)]
            eq([f.result() for f in futures], [want] * 64)
        eq(s.stats()["half_close"], 20 * 64 + 1)


@test
def bidirectional_stream_echoes_in_turn():
    with Echo() as s, s.channel() as c:
        feeder = Feeder.__new__(Feeder)
        feeder.cond = threading.Condition()
        feeder.queue, feeder.ended, feeder.n_taken = [], False, 0
        replies = c.stream_stream(REFLECTION)(feeder, timeout=30)
        for i in range(100):
            feeder.put(b"m%d" % i)
            eq(next(replies), b"m%d" % i)
        feeder.end()
        eq(list(replies), [])


@test
def gzip_and_deflate():
    with Echo() as s, s.channel() as c:
        for kind in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            messages = [bytes([i % 7]) * (100 * i) for i in range(200)]
            want = create(c, messages)
            eq(create(c, messages, compression=kind), want)
            eq(unary(c, TUNNELS + "Capabilities", b"x" * 4 * MIB,
                     compression=kind), b"x" * 4 * MIB)


@test
def gzip_bomb_is_refused_and_costs_no_memory():
    with Echo() as s, s.channel() as c:
        before = s.rss()
        for _ in range(3):
            code, text = error_of(lambda: create(
                c, [b"\0" * (500 * MIB)], compression=grpc.Compression.Gzip))
            eq((code, text), ("RESOURCE_EXHAUSTED", "the message does not "
                              "decompress to 4 MiB or less"))
        eq(error_of(lambda: unary(c, TUNNELS + "Capabilities",
                                  b"\0" * (4 * MIB + 1),
                                  compression=grpc.Compression.Gzip))[0],
           "RESOURCE_EXHAUSTED")
        if s.peak() - before > 64 << 10:
            raise AssertionError("%d KiB before, %d at most"
                                 % (before, s.peak()))


@test
def message_of_5_mib_is_refused():
    with Echo() as s, s.channel() as c:
        eq(error_of(lambda: create(c, [b"a", b"b" * 5 * MIB, b"c"]))[0],
           "RESOURCE_EXHAUSTED")
        eq(error_of(lambda: unary(c, TUNNELS + "Capabilities",
                                  b"b" * 5 * MIB))[0], "RESOURCE_EXHAUSTED")
        stats = s.stats()
        eq((stats["open"], stats["cancelled"]), (1, 1))
        # The stream was broken, so it must not look complete.
        eq(stats["half_close"], 1)


@test
def server_stream_is_complete_and_in_order():
    with Echo() as s, s.channel() as c:
        got = list(c.unary_stream(TUNNELS + "GetAllIpTunnels")(
            b"3000 1000", timeout=60))
        eq(got, [bytes([i & 255]) * 1000 for i in range(3000, 0, -1)])
        got = list(c.unary_stream(TUNNELS + "GetAllIpTunnels")(
            b"20 3000000", timeout=60))
        eq(got, [bytes([i & 255]) * 3000000 for i in range(20, 0, -1)])
        got = list(c.unary_stream(TUNNELS + "GetAllIpTunnels")(
            b"0", timeout=60))
        eq(got, [])


# ---- Clients that go away.

@test
def cancel_mid_stream_is_no_half_close():
    with Echo() as s, s.channel() as c:
        for i in range(30):
            feeder = Feeder(c)
            feeder.put(b"a" * 100, b"b" * 100)
            wait_until("stream seen", lambda: s.stats(c)["open"] == 2)
            before = s.stats(c)
            feeder.future.cancel()
            feeder.end()
            wait_until("cancel seen", lambda: s.stats(c)["open"] == 1)
            after = s.stats(c)
            eq(after["cancelled"], before["cancelled"] + 1)
            # The calls of "stats" only.
            eq(after["half_close"] - before["half_close"],
               after["calls"] - before["calls"])


@test
def killed_client_is_cancelled():
    program = """
import grpc, sys, time
def messages():
    while True:
        yield b"m" * 50
        time.sleep(0.001)
c = grpc.insecure_channel("unix:" + sys.argv[1])
c.stream_unary("%s")(messages())
""" % CREATE
    with Echo() as s:
        with s.channel() as c:
            c.stream_unary(CREATE)
            before = s.stats(c)
            procs = [subprocess.Popen(["/usr/bin/python3", "-c", program,
                                       s.path]) for _ in range(3)]
            wait_until("streams", lambda: s.stats(c)["open"] == 4)
            for p in procs:
                p.send_signal(signal.SIGKILL)
                p.wait()
            wait_until("cancel", lambda: s.stats(c)["open"] == 1)
            after = s.stats(c)
            eq(after["cancelled"], before["cancelled"] + 3)
            eq(after["half_close"] - before["half_close"],
               after["calls"] - before["calls"] - 3)


@test
def calls_that_wait_do_not_leak():
    with Echo() as s, s.channel() as c:
        # Unary, server stream, idle client stream: nothing happens on any
        # of them when the client goes away but the connection's end.
        with s.channel() as dying:
            f1 = [dying.unary_unary(TUNNELS + "GetIpTunnelStats").future(b"x")
                  for _ in range(20)]
            f2 = [dying.unary_stream(WATCH)(b"x") for _ in range(20)]
            f3 = [Feeder(dying) for _ in range(20)]
            wait_until("calls", lambda: s.stats(c)["open"] == 61)
            eq([next(f) for f in f2], [b"watching"] * 20)
        for f in f3:
            f.end()
        wait_until("end", lambda: s.stats(c)["open"] == 1)
        eq(s.stats(c)["cancelled"], 60)
        wait_until("no call of gRPC's left",
                   lambda: s.stats(c)["grpc_calls"] <= 2)
        del f1


@test
def deadline():
    with Echo() as s, s.channel() as c:
        code, _ = error_of(lambda: unary(c, TUNNELS + "GetIpTunnelStats",
                                         b"x", timeout=0.3))
        eq(code, "DEADLINE_EXCEEDED")
        feeder = Feeder(c, timeout=0.3)
        feeder.put(b"x")
        code, _ = error_of(feeder.future.result)
        eq(code, "DEADLINE_EXCEEDED")
        feeder.end()
        wait_until("cancelled", lambda: s.stats(c)["open"] == 1)
        eq(s.stats(c)["cancelled"], 2)


# ---- Floods and slow peers.

@test
def stalled_reader_costs_its_own_buffer():
    with Echo() as s, s.channel() as c:
        before = s.rss()
        stalled = [c2.unary_stream(TUNNELS + "GetAllIpTunnels")(
            b"300 1000000", timeout=120)
            for c2 in [s.channel() for _ in range(4)]]
        firsts = [next(r) for r in stalled]
        eq(len(firsts), 4)
        # Others are served meanwhile.
        for i in range(200):
            eq(unary(c, TUNNELS + "Capabilities", b"%d" % i), b"%d" % i)
        # A few MiB each, in gRPC and in the service; not 300 MB.
        if s.peak() - before > 100 << 10:
            raise AssertionError("%d KiB before, %d at most"
                                 % (before, s.peak()))
        eq(len(list(stalled[0])), 299)
        for r in stalled[1:]:
            r.cancel()
        wait_until("end", lambda: s.stats(c)["open"] == 1)


@test
def window_holds_the_client_not_the_memory():
    with Echo() as s, s.channel() as c:
        feeder = Feeder(c)
        feeder.put(b"hold", *[b"x" * 1000 for _ in range(20000)])
        wait_until("the client stalls", stalled(feeder))
        # Our window, HTTP/2's, and the buffers on the client's side.
        if feeder.n_taken > 1500:
            raise AssertionError("%d of 20001 sent" % feeder.n_taken)
        kib = s.stats(c)["grpc_kib"]
        if not 200 <= kib <= 300:
            raise AssertionError("%d KiB held" % kib)
        eq(command(c, "release"), "released")
        feeder.end()
        eq(feeder.future.result().decode(),
           "messages=20001 bytes=20000004 sum=%d"
           % (20000 * 2 * ord("x") + ord("h") + ord("d")))
        wait_until("no charge left", lambda: s.stats(c)["grpc_kib"] <= 2)


@test
def window_counts_what_messages_cost_not_only_their_bytes():
    with open(ECHO, "rb") as f:
        program = f.read()
        if b"__asan_init" in program or b"__tsan_init" in program:
            raise Skip("a sanitizer holds on to freed memory")
    with Echo() as s, s.channel() as c:
        eq(load("unix:" + s.path, "stream", "1000", "0")[0], 0)
        before = s.peak()
        blocked = c.unary_unary(TUNNELS + "GetIpTunnel").future(b"block 3000")
        status, out = load("unix:" + s.path, "stream", "3000000", "0")
        eq((status, out.partition("; ")[2]),
           (0, "OK  messages=3000000 bytes=0 sum=0"))
        eq(blocked.result(), b"blocked")
        if s.peak() - before > 1500:
            raise AssertionError("%d KiB before, %d at most"
                                 % (before, s.peak()))


@test
def flood_of_streams_has_bounded_memory():
    with Echo() as s:
        before = s.rss()
        message = b"y" * 100000
        channels, feeders = [], []
        for _ in range(8):
            c = s.channel()
            channels.append(c)
            for _ in range(50):
                f = Feeder(c, timeout=120)
                f.put(b"hold", *[message for _ in range(100)])
                feeders.append(f)
        # 400 streams of 10 MB: 4 GB on offer.
        with s.channel() as c:
            wait_until("reading has stopped at the total window",
                       lambda: s.stats(c)["grpc_kib"] > 60 << 10, 60)
            stats = s.stats(c)
            # The window, and one message that was under way of each stream.
            if stats["grpc_kib"] > (64 << 10) + 400 * 100:
                raise AssertionError(stats)
            if s.peak() - before > 400 << 10:
                raise AssertionError("%d KiB before, %d at most"
                                     % (before, s.peak()))
            print("# 400 held streams: %d KiB resident, %d KiB charged"
                  % (s.rss(), stats["grpc_kib"]))
            # Unary calls still pass.
            eq(unary(c, TUNNELS + "Capabilities", b"still here"),
               b"still here")
            for f in feeders:
                f.future.cancel()
                f.end()
            wait_until("end", lambda: s.stats(c)["open"] == 1)
            for c2 in channels:
                c2.close()
            wait_until("charge given back",
                       lambda: s.stats(c)["grpc_kib"] <= 2)


@test
def streams_starved_by_the_total_window_go_on():
    with Echo() as s, s.channel() as c:
        message = b"z" * 100000
        c2 = [s.channel() for _ in range(4)]
        feeders = [Feeder(c2[i % 4], timeout=120) for i in range(300)]
        for f in feeders:
            f.put(b"hold", *[message for _ in range(5)])
            f.end()
        wait_until("full", lambda: s.stats(c)["grpc_kib"] > 60 << 10, 60)
        done = threading.Event()

        def release():
            while not done.is_set():
                command(c, "release")
                time.sleep(0.05)
        thread = threading.Thread(target=release)
        thread.start()
        try:
            eq([f.future.result(timeout=60).decode() for f in feeders],
               ["messages=6 bytes=500004 sum=%d"
                % (10 * ord("z") + ord("h") + ord("d"))] * 300)
        finally:
            done.set()
            thread.join()
        wait_until("no charge", lambda: s.stats(c)["grpc_kib"] <= 2)


@test
def thousand_idle_connections():
    # The soft limit that many systems start services with.
    with Echo(prefix=["prlimit", "--nofile=1024:4096"]) as s:
        idle = []
        for _ in range(1100):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(s.path)
            idle.append(sock)
        wait_until("all accepted", lambda: s.n_fds() > 1100)
        with s.channel() as c:
            eq(unary(c, TUNNELS + "Capabilities", b"hello"), b"hello")
            eq(create(c, [b"x"] * 1000), "messages=1000 bytes=1000 sum=%d"
               % (2000 * ord("x")))
        print("# 1100 idle connections: %d KiB resident" % s.rss())
        for sock in idle:
            sock.close()
        wait_until("all closed", lambda: s.n_fds() < 100)


@test
def thousand_idle_grpc_channels():
    with Echo() as s:
        channels = []
        for _ in range(1000):
            c = s.channel()
            channels.append(c)
            unary(c, TUNNELS + "Capabilities", b"x")
        print("# 1000 idle gRPC channels: %d KiB resident" % s.rss())
        eq(unary(channels[0], TUNNELS + "Capabilities", b"y"), b"y")
        eq(unary(channels[999], TUNNELS + "Capabilities", b"y"), b"y")
        for c in channels:
            c.close()
        wait_until("all closed", lambda: s.n_fds() < 100)


@test
def garbage_is_survived():
    with Echo() as s:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 5000,
                        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 5000,
                        os.urandom(100000)):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(s.path)
            try:
                sock.sendall(garbage)
            except OSError:
                pass
            sock.close()
        with s.channel() as c:
            eq(unary(c, TUNNELS + "Capabilities", b"x"), b"x")


# ---- The end.

@test
def shutdown_with_open_streams():
    s = Echo().__enter__()
    with s.channel() as c:
        feeder = Feeder(c)
        feeder.put(b"x")
        waiting = c.unary_unary(TUNNELS + "GetIpTunnelStats").future(b"x")
        watch = c.unary_stream(WATCH)(b"x")
        stalled = c.unary_stream(TUNNELS + "GetAllIpTunnels")(b"90 1000000")
        eq(next(watch), b"watching")
        next(stalled)
        wait_until("calls", lambda: s.stats(c)["open"] == 5)
        start = time.monotonic()
        path = s.path
        eq(s.stop(), ("ended", 0))
        if time.monotonic() - start > 3:
            raise AssertionError("took %f s\n%s"
                                 % (time.monotonic() - start, s.last_log))
        want = ("UNAVAILABLE", "ovs-tunneld is shutting down")
        eq(error_of(feeder.future.result), want)
        feeder.end()
        eq(error_of(waiting.result), want)
        eq(error_of(lambda: next(watch)), want)
        eq(error_of(lambda: list(stalled))[0], "UNAVAILABLE")
        eq(os.path.exists(path), False)


@test
def another_server_in_the_same_process():
    with Echo() as s:
        for _ in range(3):
            with s.channel() as c:
                # A write that waits for its reader, which gRPC needs 10 s to
                # get over.
                stalled_read = c.unary_stream(TUNNELS + "GetAllIpTunnels")(
                    b"90 1000000")
                next(stalled_read)
                start = time.monotonic()
                s.proc.stdin.write("again\n")
                s.proc.stdin.flush()
                eq(s.proc.stdout.readline().strip(), s.first_line)
                if time.monotonic() - start > 4:
                    raise AssertionError("took %f s"
                                         % (time.monotonic() - start))
                eq(error_of(lambda: list(stalled_read))[0], "UNAVAILABLE")
            with s.channel() as c:
                eq(unary(c, TUNNELS + "Capabilities", b"x"), b"x")


@test
def finished_answers_get_out_at_shutdown():
    s = Echo().__enter__()
    with s.channel() as c:
        futures = [c.stream_unary(CREATE).future(iter([b"a"]))
                   for _ in range(50)]
        eq([f.result() for f in futures],
           [b"messages=1 bytes=1 sum=%d" % (2 * ord("a"))] * 50)
        eq(s.stop(), ("ended", 0))


# ---- Unix sockets.

@test
def directory_and_socket_are_closed_to_others():
    with Echo("--group", "daemon") as s:
        st = os.stat(os.path.dirname(s.path))
        import grp
        gid = grp.getgrnam("daemon").gr_gid
        eq((stat.S_IMODE(st.st_mode), st.st_gid), (0o750, gid))
        st = os.stat(s.path)
        eq((stat.S_IMODE(st.st_mode), st.st_gid), (0o660, gid))
    with Echo() as s:
        eq(stat.S_IMODE(os.stat(os.path.dirname(s.path)).st_mode), 0o700)
        eq(stat.S_IMODE(os.stat(s.path).st_mode), 0o600)
    with Echo("--group", "no-such-group") as s:
        eq(stat.S_IMODE(os.stat(os.path.dirname(s.path)).st_mode), 0o700)
        eq(stat.S_IMODE(os.stat(s.path).st_mode), 0o600)
        eq(re.findall(r"WARN\|(.*)", s.log()),
           ['%s: there is no group "no-such-group", so that only the '
            'daemon\'s user can connect; create it with "groupadd --system '
            'no-such-group" and restart' % s.path])


def refusal(*args, listen=None):
    s = Echo(*args, listen=listen)
    line = s.first_line
    out, status = s.stop()
    eq((out, status), ("", 1))
    eq(line.startswith("error: "), True)
    return line[len("error: "):]


@test
def stale_and_live_sockets():
    with tempfile.TemporaryDirectory() as d:
        path = d + "/s"
        with Echo(listen="unix:" + path):
            eq(refusal(listen="unix:" + path),
               path + ": another process is listening there; stop it, or "
               "choose another path")
            # The refused one has not taken the socket away.
            with grpc.insecure_channel("unix:" + path) as c:
                eq(unary(c, TUNNELS + "Capabilities", b"x"), b"x")
        with Echo(listen="unix:" + path) as s:
            s.killed = True
            s.proc.kill()
            s.proc.wait()
            eq(stat.S_ISSOCK(os.stat(path).st_mode), True)
            with Echo(listen="unix:" + path), \
                    grpc.insecure_channel("unix:" + path) as c:
                eq(unary(c, TUNNELS + "Capabilities", b"x"), b"x")
        with open(path, "w") as f:
            f.write("precious")
        eq(refusal(listen="unix:" + path), path + ": exists and is not a "
           "socket; remove it, or choose another path")
        with open(path) as f:
            eq(f.read(), "precious")


@test
def unsafe_directories_are_refused():
    with tempfile.TemporaryDirectory() as d:
        os.mkdir(d + "/real", 0o700)
        os.symlink(d + "/real", d + "/link")
        eq(refusal(listen="unix:" + d + "/link/s"),
           d + "/link: refused as the directory of the socket: it is a "
           "symbolic link or not a directory")
        os.mkdir(d + "/open")
        os.chmod(d + "/open", 0o755)
        eq(refusal(listen="unix:" + d + "/open/s"),
           d + "/open: refused as the directory of the socket, because its "
           "mode 0755 lets others in, and whoever connects controls the "
           "host's traffic; chmod it to 0750, or choose a directory of its "
           "own")
        eq(os.listdir(d + "/open"), [])
        eq(refusal(listen="unix:" + d + "/none/deep/s"),
           d + "/none/deep: cannot create the directory of the socket: No "
           "such file or directory")
        if os.geteuid() == 0:
            os.mkdir(d + "/foreign", 0o700)
            os.chown(d + "/foreign", 12345, 12345)
            eq(refusal(listen="unix:" + d + "/foreign/s"),
               d + "/foreign: refused as the directory of the socket, because "
               "it belongs to user 12345; it must be root's or that of the "
               "daemon's user")
        else:
            print("# not root: no foreign directory")


# ---- Addresses.

@test
def listen_list_is_checked():
    tls = ("--private-key=/k", "--certificate=/c")
    ca = ("--ca-cert=/a",)
    for args, listen, want in (
            ((), "", "no address to listen on; give at least one, as in "
             "unix:/run/ovs-tunneld/grpc.sock"),
            ((), "tcp:1.2.3.4:5", "tcp:1.2.3.4:5: not an address to listen "
             "on; it is unix:PATH, tls:ADDRESS:PORT or "
             "insecure:ADDRESS:PORT"),
            ((), "unix:s", "unix:s: the path of a unix socket must be "
             "absolute, as in unix:/run/ovs-tunneld/grpc.sock"),
            ((), "unix:/" + 107 * "x", "unix:/" + 107 * "x" + ": the path has "
             "108 bytes; a unix socket's has at most 107"),
            ((), "unix:/a/", "unix:/a/: this names a directory; add the name "
             "of the socket"),
            ((), "insecure:127.0.0.1", "insecure:127.0.0.1: a port of 0 to "
             "65535 must follow the address, as in tls:192.0.2.1:3443"),
            ((), "insecure:127.0.0.1:65536", "insecure:127.0.0.1:65536: a "
             "port of 0 to 65535 must follow the address, as in "
             "tls:192.0.2.1:3443"),
            ((), "insecure:::1:80", 'insecure:::1:80: "::1" is not an IP '
             "address; give an IPv4 address, an IPv6 address in brackets, or "
             "localhost"),
            ((), "insecure:example.com:80", 'insecure:example.com:80: '
             '"example.com" is not an IP address; give an IPv4 address, an '
             "IPv6 address in brackets, or localhost"),
            (("--allow-clear-loopback",), "insecure:192.0.2.1:80",
             "insecure:192.0.2.1:80: clear text is refused beyond loopback, "
             "because whoever connects controls the host's traffic; use tls: "
             "with client certificates"),
            (("--allow-clear-loopback",), "insecure:[::]:80",
             "insecure:[::]:80: clear text is refused beyond loopback, "
             "because whoever connects controls the host's traffic; use tls: "
             "with client certificates"),
            ((), "insecure:127.0.0.1:80", "insecure:127.0.0.1:80: clear text "
             "lets every local user in; use unix:, or allow it with "
             "--allow-clear-loopback"),
            ((), "tls:127.0.0.1:80", "tls:127.0.0.1:80: TLS needs "
             "--private-key and --certificate"),
            (tls, "tls:0.0.0.0:80", "tls:0.0.0.0:80: beyond loopback clients "
             "must show a certificate; give --ca-cert"),
            (tls + ca, "tls:[2001:db8::1]:80", "tls:[2001:db8::1]:80: beyond "
             "loopback not every certificate of the CA may do; give "
             "--allowed-subjects"),
            (tls, "tls:localhost:80", "tls:localhost:80: without --ca-cert "
             "every local user is let in; give it, or allow this with "
             "--allow-tls-without-client-certificate"),
            (("--allow-clear-loopback",),
             "insecure:127.0.0.1:81 insecure:localhost:81",
             "insecure:localhost:81: given twice (also as "
             "insecure:127.0.0.1:81)")):
        eq(refusal(*args, listen=listen), want)


@test
def clear_text_on_loopback_with_chosen_ports():
    with Echo("--allow-clear-loopback",
              listen="insecure:127.0.0.1:0 insecure:localhost:0") as s:
        eq(len({s.port(0), s.port(1), 0}), 3)
        eq(s.addresses, ["insecure:127.0.0.1:%d" % s.port(i)
                         for i in range(2)])
        for i in range(2):
            with grpc.insecure_channel("127.0.0.1:%d" % s.port(i)) as c:
                eq(unary(c, TUNNELS + "Capabilities", b"x"), b"x")


@test
def ipv6_loopback():
    try:
        socket.socket(socket.AF_INET6).bind(("::1", 0))
    except OSError:
        raise Skip("no IPv6 here")
    with Echo("--allow-clear-loopback", listen="insecure:[::1]:0") as s:
        eq(s.addresses, ["insecure:[::1]:%d" % s.port()])
        with grpc.insecure_channel("[::1]:%d" % s.port()) as c:
            eq(unary(c, TUNNELS + "Capabilities", b"x"), b"x")


@test
def port_in_use():
    with socket.socket() as sock, tempfile.TemporaryDirectory() as d:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        address = "insecure:127.0.0.1:%d" % sock.getsockname()[1]
        want = (address + ": cannot listen: Address already in use; stop the "
                'process that has it ("ss -lntp" shows it), or choose another '
                "port")
        eq(refusal("--allow-clear-loopback", listen=address), want)
        # One of several is enough, and leaves nothing behind.
        eq(refusal("--allow-clear-loopback",
                   listen="unix:" + d + "/s " + address), want)
        eq(os.listdir(d), [])
    eq(refusal("--allow-clear-loopback", "--private-key=/k",
               "--certificate=/c", "--allow-tls-without-client-certificate",
               listen="tls:localhost:0"),
       "--private-key /k: No such file or directory")
    # Nor is the port shared with a second daemon.
    with Echo("--allow-clear-loopback", listen="insecure:127.0.0.1:0") as s:
        address = s.addresses[0]
        eq(refusal("--allow-clear-loopback", listen=address),
           address + ": cannot listen: Address already in use; stop the "
           'process that has it ("ss -lntp" shows it), or choose another '
           "port")


# ---- TLS.

class Pki:
    """Two authorities and some certificates."""

    def __init__(self, d):
        self.d = d
        self.ca("ca")
        self.ca("other-ca")
        self.cert("server", "ca", "localhost", "DNS:localhost,IP:127.0.0.1")
        self.cert("alice", "ca", "alice")
        self.cert("bob", "ca", "bob", "DNS:robert.example,URI:spiffe://x/bob")
        self.cert("mallory", "ca", "mallory")
        self.cert("eve", "other-ca", "alice")

    def run(self, *args):
        subprocess.run(("openssl",) + args, check=True, cwd=self.d,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def path(self, name):
        return self.d + "/" + name

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def ca(self, name):
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                 name + ".key", "-out", name + ".pem", "-subj",
                 "/CN=" + name, "-days", "30")

    def cert(self, name, ca, cn, san=None):
        with open(self.path("ext"), "w") as f:
            f.write("subjectAltName=" + san + "\n" if san else "")
        self.run("req", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                 name + ".key", "-out", name + ".csr", "-subj", "/CN=" + cn)
        self.run("x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem",
                 "-CAkey", ca + ".key", "-CAcreateserial", "-out",
                 name + ".pem", "-days", "30", "-extfile", "ext")

    def server_args(self, *more):
        return ("--private-key", self.path("server.key"),
                "--certificate", self.path("server.pem"),
                "--ca-cert", self.path("ca.pem")) + more

    def channel(self, port, client=None, ca="ca"):
        creds = grpc.ssl_channel_credentials(
            self.read(ca + ".pem"),
            self.read(client + ".key") if client else None,
            self.read(client + ".pem") if client else None)
        return grpc.secure_channel(
            "localhost:%d" % port, creds,
            options=[("grpc.use_local_subchannel_pool", 1)])


def with_pki(f):
    def run():
        with tempfile.TemporaryDirectory() as d:
            f(Pki(d))
    run.__name__ = f.__name__
    tests.append(run)
    return run


def ask(channel):
    with channel as c:
        return unary(c, TUNNELS + "Capabilities", b"x", timeout=10)


@with_pki
def tls_with_client_certificates(pki):
    with Echo(*pki.server_args(), listen="tls:127.0.0.1:0") as s:
        eq(ask(pki.channel(s.port(), "alice")), b"x")
        eq(ask(pki.channel(s.port(), "mallory")), b"x")
        for client in (None, "eve"):
            eq(error_of(lambda: ask(pki.channel(s.port(), client)))[0],
               "UNAVAILABLE")
        eq(error_of(lambda: ask(pki.channel(s.port(), "alice",
                                            ca="other-ca")))[0],
           "UNAVAILABLE")
        eq(refusal(*pki.server_args("--allowed-subjects=x"),
                   listen="tls:192.0.2.1:0"),
           "tls:192.0.2.1:0: cannot listen: Cannot assign requested address; "
           "the address is on no interface of this host")
        # Clear text at a TLS port.
        with grpc.insecure_channel("localhost:%d" % s.port()) as c:
            eq(error_of(lambda: unary(c, TUNNELS + "Capabilities", b"x",
                                      timeout=10))[0], "UNAVAILABLE")
        eq(ask(pki.channel(s.port(), "alice")), b"x")


@with_pki
def tls_allow_list(pki):
    with Echo(*pki.server_args("--allowed-subjects", "alice,robert.example"),
              listen="tls:127.0.0.1:0 unix:" + pki.path("run/s")) as s:
        eq(ask(pki.channel(s.port(), "alice")), b"x")
        eq(ask(pki.channel(s.port(), "bob")), b"x")
        text = ("the certificate's subject (mallory) is not among the "
                "allowed subjects")
        for _ in range(3):
            eq(error_of(lambda: ask(pki.channel(s.port(), "mallory"))),
               ("PERMISSION_DENIED", text))
        with pki.channel(s.port(), "mallory") as c:
            eq(error_of(lambda: create(c, [b"x"] * 10)),
               ("PERMISSION_DENIED", text))
            eq(error_of(lambda: unary(c, "/no/method", b"")),
               ("PERMISSION_DENIED", text))
            for _ in range(500):
                error_of(lambda: unary(c, TUNNELS + "Capabilities", b""))
        eq(error_of(lambda: ask(pki.channel(s.port(), "eve")))[0],
           "UNAVAILABLE")
        # The list is for TLS; the unix socket has its directory.
        with grpc.insecure_channel("unix:" + pki.path("run/s")) as c:
            eq(ask(c), b"x")
        lines = re.findall(r"WARN\|(.*)", s.log())
        eq(set(lines), {text})
        if len(lines) > 10:
            raise AssertionError("%d lines in the log" % len(lines))


@with_pki
def tls_on_loopback_without_client_certificates(pki):
    with Echo("--private-key", pki.path("server.key"), "--certificate",
              pki.path("server.pem"), "--allow-tls-without-client-certificate",
              listen="tls:localhost:0") as s:
        eq(ask(pki.channel(s.port())), b"x")


@with_pki
def tls_certificates_are_reloaded(pki):
    with Echo(*pki.server_args(),
              listen="tls:127.0.0.1:0 tls:127.0.0.1:0") as s:
        held = pki.channel(s.port(), "alice")
        eq(unary(held, TUNNELS + "Capabilities", b"x"), b"x")

        # Half of a new pair: the old one stays in use.
        pki.cert("new", "other-ca", "localhost", "DNS:localhost")
        os.rename(pki.path("new.pem"), pki.path("server.pem"))
        eq(ask(pki.channel(s.port(), "alice")), b"x")
        want = ("--private-key %s does not belong to --certificate %s; the "
                "certificate read before stays in use"
                % (pki.path("server.key"), pki.path("server.pem")))
        wait_until("log", lambda: want in s.log())

        # The other half: both addresses take it up.
        os.rename(pki.path("new.key"), pki.path("server.key"))
        for i in range(2):
            eq(ask(pki.channel(s.port(i), "alice", ca="other-ca")), b"x")
            eq(error_of(lambda: ask(pki.channel(s.port(i), "alice")))[0],
               "UNAVAILABLE")
        eq(s.log().count("took up the changed certificate"), 1)

        # Another authority for the clients.
        os.rename(pki.path("other-ca.pem"), pki.path("ca.pem"))
        shutil.copy(pki.path("ca.pem"), pki.path("other-ca.pem"))
        eq(ask(pki.channel(s.port(), "eve", ca="other-ca")), b"x")
        eq(error_of(lambda: ask(pki.channel(s.port(), "alice",
                                            ca="other-ca")))[0],
           "UNAVAILABLE")

        # Gone: the one that was read stays in use.
        os.unlink(pki.path("server.key"))
        eq(ask(pki.channel(s.port(), "eve", ca="other-ca")), b"x")
        # A connection that stands is not disturbed by any of this.
        eq(unary(held, TUNNELS + "Capabilities", b"x"), b"x")
        held.close()


@with_pki
def tls_files_that_cannot_be_used(pki):
    def args(key="server.key", cert="server.pem", ca="ca.pem"):
        return ("--private-key", pki.path(key), "--certificate",
                pki.path(cert), "--ca-cert", pki.path(ca))
    listen = "tls:127.0.0.1:0"
    with open(pki.path("empty"), "w"):
        pass
    with open(pki.path("text"), "w") as f:
        f.write("hello\n")
    pki.run("ec", "-in", "server.key", "-out", "locked.key", "-aes128",
            "-passout", "pass:secret")
    for a, want in (
            (args(key="none"), "--private-key %s: No such file or directory"
             % pki.path("none")),
            (args(cert="none"), "--certificate %s: No such file or directory"
             % pki.path("none")),
            (args(ca="none"), "--ca-cert %s: No such file or directory"
             % pki.path("none")),
            (args(key="alice.key"), "--private-key %s does not belong to "
             "--certificate %s" % (pki.path("alice.key"),
                                   pki.path("server.pem"))),
            (args(ca="text"), "--ca-cert %s: not a PEM certificate: no start "
             "line" % pki.path("text")),
            (args(cert="empty"), "--certificate %s: not a PEM certificate: no "
             "start line" % pki.path("empty")),
            (args(ca="."), "--ca-cert %s: this is not a PEM file (not a "
             "regular file)" % pki.path("."))):
        eq(refusal(*a, listen=listen), want)
    line = refusal(*args(key="locked.key"), listen=listen)
    eq(line.startswith("--private-key %s: not an unencrypted PEM private key: "
                       % pki.path("locked.key")), True)


# ---- Our own client.

def load(*args):
    proc = subprocess.run((os.path.dirname(ECHO) + "/transport-load",) + args,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60,
                          # It has one thread; all others are gRPC's.
                          env=dict(os.environ, TSAN_OPTIONS="exitcode=0"))
    return proc.returncode, proc.stdout.strip()


@test
def client_library_calls():
    with Echo() as s:
        target = "unix:" + s.path
        status, out = load(target, "stream", "100000", "60")
        eq((status, out.partition("; ")[2]),
           (0, "OK  messages=100000 bytes=6000000 sum=0"))
        print("# " + out)
        status, out = load(target, "calls", "5000", "64", "60")
        eq((status, out.endswith(", 0 failed")), (0, True))
        print("# " + out)
        # Messages of any size, one that is refused and how the end is told.
        for size in ("0", "70000", "4194304"):
            eq(load(target, "stream", "5", size)[1].partition("; ")[2],
               "OK  messages=5 bytes=%d sum=0" % (5 * int(size)))
        eq(load(target, "stream", "50", "4194305")[1].partition("; ")[2],
           "RESOURCE_EXHAUSTED Received message larger than max (4194305 vs. "
           "4194304)")
        eq(load(target, "read", "500 10000", "0"),
           (0, "500 messages, 5000000 bytes; OK"))
        status, out = load(target, "read", "500 1000000", "3")
        eq((status, out[:34]), (1, "3 messages, 3000000 bytes; CANCELL"))
        eq(load(target, "unary", TUNNELS + "Capabilities", "hello", "0"),
           (0, "hello; OK"))
        eq(load(target, "unary", TUNNELS + "GetIpTunnel", "not-found", "0"),
           (1, "; NOT_FOUND tunnel 7: no such tunnel"))
        eq(load(target, "unary", TUNNELS + "GetIpTunnelStats", "x", "200"),
           (1, "; DEADLINE_EXCEEDED Deadline Exceeded"))
        with s.channel() as c:
            wait_until("end", lambda: s.stats(c)["open"] == 1)


@with_pki
def client_library_connects(pki):
    def tls(port, client, ca="ca", host="localhost", name=None):
        args = ["--ca-cert", pki.path(ca + ".pem")]
        if client:
            args += ["--certificate", pki.path(client + ".pem"),
                     "--private-key", pki.path(client + ".key")]
        if name:
            args += ["--server-name", name]
        return load(*args, "tls:%s:%d" % (host, port), "unary",
                    TUNNELS + "Capabilities", "hi", "5000")
    with Echo(*pki.server_args(), listen="tls:127.0.0.1:0") as s:
        eq(tls(s.port(), "alice"), (0, "hi; OK"))
        eq(tls(s.port(), "alice", host="127.0.0.1"), (0, "hi; OK"))
        eq(tls(s.port(), "alice", name="localhost"), (0, "hi; OK"))
        for client, ca, name in (("alice", "other-ca", None),
                                 ("alice", "ca", "wrong.example")):
            status, out = tls(s.port(), client, ca, name=name)
            eq((status, out[:len("tls:localhost:%d: cannot connect: "
                                 % s.port())]),
               (1, "tls:localhost:%d: cannot connect: " % s.port()))
        eq(load("--certificate", pki.path("alice.pem"), "tls:localhost:1"),
           (1, "tls:localhost:1: cannot connect: a certificate and its "
            "private key must be given together"))
        eq(load("--ca-cert", pki.path("none"), "tls:localhost:1"),
           (1, "tls:localhost:1: cannot connect: %s: No such file or "
            "directory" % pki.path("none")))
    eq(load("tls:localhost"), (1, "tls:localhost: cannot connect: HOST:PORT "
                               "must follow"))
    status, out = load("insecure:no-such-host.invalid:1")
    eq((status, out.startswith("insecure:no-such-host.invalid:1: cannot "
                               "connect: ")), (1, True))
    gone = "unix:" + pki.path("gone")
    eq(load(gone), (1, gone + ": cannot connect: No such file or directory; "
                    "is ovs-tunneld running?"))
    eq(load("tcp:1"), (1, "tcp:1: cannot connect: not an address; it is "
                       "unix:PATH, tls:HOST:PORT or insecure:HOST:PORT"))
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = "insecure:127.0.0.1:%d" % sock.getsockname()[1]
        status, out = load(address)
        eq((status, out.startswith(address + ": cannot connect: "),
            "Connection refused" in out), (1, True, True))
        # Somebody who never answers.
        sock.listen()
        status, out = load(address)
        eq((status, out.startswith(address + ": cannot connect: ")),
           (1, True))


def main():
    global ECHO
    ECHO = os.path.abspath(sys.argv[1] if len(sys.argv) > 1
                           else "tests/transport-echo")
    if not os.access(ECHO, os.X_OK):
        sys.exit(__doc__)
    only = sys.argv[2:]
    passed = failed = skipped = 0
    for f in tests:
        if only and f.__name__ not in only:
            continue
        name = f.__name__.replace("_", " ")
        n = passed + failed + skipped + 1
        try:
            f()
        except Skip as e:
            skipped += 1
            print("ok %d # SKIP %s: %s" % (n, name, e))
        except Exception:
            failed += 1
            print("not ok %d - %s" % (n, name))
            for line in traceback.format_exc().splitlines():
                print("#   " + line)
        else:
            passed += 1
            print("ok %d - %s" % (n, name))
        sys.stdout.flush()
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    sys.exit(failed > 0 or not passed)


if __name__ == "__main__":
    main()
