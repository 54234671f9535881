# SPDX-License-Identifier: Apache-2.0
"""Random streams against a model of what the daemon should hold.

    model.py SEED...          (started by tests/sandbox-model.sh)

For each seed, some rounds.  In a round several clients run random streams at
the same time, each in its own range of ids, matches and options, so that what
one does can be foretold without the others; a reader looks on; packets are
sent; and now and then a daemon is killed, a port comes and goes, or somebody
else deletes flows.  After each round the answers, GetAll, the flows of the
switch, the option map, the counters and the list of inactive tunnels are
compared, each as a whole, with what the model (foretell.py) says.  At the end
of a seed all tunnels are deleted in a random order, and nothing may be left.

A failure names the seed and the round; the same seed makes the same streams.
MODEL_ROUNDS is the number of rounds of each seed."""

import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
import traceback

import grpc

import client
from client import Client, check, delete, pb
from foretell import (BIG, CHOSEN, STAND_IN, Worker, expected_flows,
                      inactive_reasons, is_encap, options_of, plain_ip)

SANDBOX = os.environ["SANDBOX"]
ROUNDS = int(os.environ.get("MODEL_ROUNDS", "8"))
WORKERS = 4
PORTS = {"vm1": 1, "vm2": 2, "vm3": 3, "vm4": 4}


class Broken(Exception):
    """The daemon and the model do not agree."""


def sandbox(*words):
    """Runs a function of tests/sandbox-lib.sh in the script that started
    us."""
    print("run " + " ".join(words), file=sys.stdout, flush=True)
    return sys.stdin.readline().strip() == "0"


def note(text):
    print("# " + text, flush=True)


def ctl(name, method, *params):
    """One command of a daemon's control socket; the answer."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(os.path.join(SANDBOX, name + ".ctl"))
        s.sendall(json.dumps({"method": method, "params": list(params),
                              "id": 0}).encode())
        data = b""
        while True:
            data += s.recv(1 << 16)
            try:
                answer = json.loads(data)
            except ValueError:
                continue
            return answer.get("result") or answer.get("error") or ""


def tunneld(method, *params):
    return ctl("tunneld", method, *params)


def ofctl(*args):
    return subprocess.run(
        ["ovs-ofctl", "-O", "OpenFlow15", "--timeout=30", *args],
        check=True, capture_output=True, text=True).stdout


def wait_same(what, got, want, seconds=20):
    """Waits until got() is want(); both are shown if it never is."""
    end = time.monotonic() + seconds
    while True:
        try:
            g, w = got(), want()
        except (OSError, grpc.RpcError,
                subprocess.CalledProcessError) as error:
            g, w = str(error), None
        if g == w:
            return
        if time.monotonic() > end:
            raise Broken("%s:\ngot only: %s\nmodel only: %s" % (
                what, difference(g, w), difference(w, g)))
        time.sleep(0.05)


def difference(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return {k: v for k, v in a.items() if b.get(k) != v}
    if isinstance(a, list) and isinstance(b, list):
        return [x for x in a if x not in b]
    return a


# ---- What the switch has.

def switch_flows():
    """The same of what the switch has."""
    flows = {}
    for line in ofctl("--no-stats", "dump-flows", "br-int").splitlines():
        m = re.match(r" cookie=0x746e0([12]\w{10}), (?:table=(\d+), )?"
                     r"(?:send_flow_rem )?priority=(\d+),?(\S*) "
                     r"actions=(\S+)$", line)
        if m:
            cookie = int("746e0" + m[1], 16)
            if cookie in flows:
                raise Broken("two flows with cookie %#x" % cookie)
            flows[cookie] = (int(m[2] or 0), int(m[3]),
                             frozenset(m[4].split(",")), m[5])
    return flows


def switch_options():
    """(class, type): (length, place) of the option map."""
    row = r"^ +(0x\w+|0) +(0x\w+|0) +(\d+) +tun_metadata(\d+)$"
    return {(int(m[1], 16), int(m[2], 16)): (int(m[3]), int(m[4]))
            for m in re.finditer(row, ofctl("dump-tlv-map", "br-int"), re.M)}


# ---- What happens in a round.

def canonical(r):
    """A request as Get should show it, without what is only informative."""
    c = pb.IpTunnelRequest()
    c.CopyFrom(r)
    c.operation = pb._CREATE
    if is_encap(c):
        e = c.geneve.geneve_encap
        e.option_length = e.protocol_type = 0
        for o in e.geneve_option:
            o.length = 0
    return c.SerializeToString(deterministic=True)


def shown(state):
    return {i: canonical(r) for i, r in state.items()}


def get_all(c, n=0):
    out = {}
    for page in c.pages(n):
        for r in page.responses:
            if r.HasField("error"):
                raise Broken("GetAll: %s" % r)
            out[r.tunnel_id] = canonical(r.ip_tunnel)
    return out


def deleted(requests, failed):
    return {r.tunnel_id for i, r in enumerate(requests)
            if r.operation == pb._DELETE and i not in failed}


def compare_answer(requests, failed, answer, state):
    """The whole answer is as foretold; names the chosen ids in 'state'."""
    bits = sum(1 << i for i in failed if i < 64)
    status = (pb._TUNNEL_ACCEPTED if not failed
              else pb._TUNNEL_ALREADY_EXISTS
              if all(w.startswith("exists") for w in failed.values())
              else pb._TUNNEL_REJECTED)
    listed = [i for i, r in enumerate(requests)
              if i in failed or (not r.tunnel_id
                                 and r.operation == pb._CREATE)]
    got = (answer.request_status, answer.error_status,
           [r.tunnel_id for r in answer.responses
            if r.HasField("error") or r.tunnel_id < CHOSEN
            or r.tunnel_id > STAND_IN],
           len(answer.responses))
    want = (status, bits, [requests[i].tunnel_id for i in listed
                           if i in failed], len(listed))
    if got != want:
        raise Broken("answer: got %s, model %s\nfirst difference: %s"
                     % (got[:2] + got[3:], want[:2] + want[3:],
                        first_difference(requests, failed, listed, answer)))
    for i, r in zip(listed, answer.responses):
        if i in failed:
            text = r.error.error_string
            if not re.search(failed[i], text, re.S):
                raise Broken("request %d: %r does not say %r\n%s"
                             % (i, text, failed[i], requests[i]))
        else:
            t = state.pop(STAND_IN + i, None)
            if t is not None:
                new = pb.IpTunnelRequest()
                new.CopyFrom(t)
                new.tunnel_id = r.tunnel_id
                state[r.tunnel_id] = new


def first_difference(requests, failed, listed, answer):
    """Where the two lists of failures part."""
    told = ["%d: %s" % (r.tunnel_id, r.error.error_string)
            for r in answer.responses]
    for n, i in enumerate(listed):
        ident = requests[i].tunnel_id
        if n >= len(told) or (i in failed and (
                not told[n].startswith("%d: " % ident)
                or not re.search(failed[i], told[n], re.S))):
            same = [str(r) for r in requests
                    if r.tunnel_id == ident or r.match_criteria.tunnel_id
                    == ident]
            return "request %d of tunnel %d, model: %s, got: %s\n%s" % (
                i, ident, failed.get(i), told[n:n + 1], "\n".join(same))
    return str(told[len(listed):])


class Round:
    def __init__(self, run, disturbed):
        self.run = run
        self.disturbed = disturbed
        self.errors = []
        self.possible = {}      # Of each worker: states that may be seen.
        self.gone = set()       # Ids that were deleted, if only for a moment.
        self.unknown = set()    # Workers whose last stream had no answer.
        self.done = threading.Event()

    def guard(self, function, *args):
        def body():
            try:
                function(*args)
            except Exception:           # pylint: disable=broad-except
                self.errors.append(traceback.format_exc())
        t = threading.Thread(target=body)
        t.start()
        return t

    def work(self, w, plan):
        """Runs the streams of 'plan' until one has no answer."""
        for requests, after, failed, manner in plan:
            try:
                answer = self.send(w, requests, manner)
            except grpc.RpcError as error:
                if not self.disturbed or error.code() \
                        == grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
                self.unknown.add(w)
                self.possible[w] = [(w.state, set()),
                                    (after, deleted(requests, failed))]
                return
            if answer is None:
                continue        # It was cancelled.
            if (answer.request_status == pb._TUNNEL_TABLE_UNAVAILABLE
                    and self.disturbed):
                return
            compare_answer(requests, failed, answer, after)
            w.state = after
            self.gone |= deleted(requests, failed)

    def send(self, w, requests, manner):
        gate = threading.Event()

        def feed():
            yield from requests
            if manner == "cancel":
                gate.wait(20)
            elif manner == "slow":
                time.sleep(0.7)

        call = w.stub.stub.CreateIpTunnel.future(feed(), timeout=60,
                                          wait_for_ready=True)
        if manner == "cancel":
            time.sleep(w.rng.random() * 0.5)
            call.cancel()
            gate.set()
            return None
        return call.result()

    def look_on(self, plans):
        """Reads all the time: what must be there is, and nothing else."""
        seen = {}
        states = {w: [shown(w.state)] + [shown(p[1]) for p in plan
                                         if p[3] != "cancel"]
                  for w, plan in plans.items()}
        always = {i for s in states.values()
                  for i in s[0] if all(i in x for x in s)}
        may = {}
        for s in states.values():
            for x in s:
                for i, r in x.items():
                    may.setdefault(i, set()).add(r)
        with Client() as c:
            while not self.done.is_set():
                got = get_all(c, self.run.rng2.choice([0, 1, 7, 1000]))
                missing = sorted(always - set(got))
                if missing:
                    raise Broken("a reader misses %s" % missing)
                for i, r in got.items():
                    if r not in may.get(i, ()) and not (
                            CHOSEN <= i < STAND_IN):
                        raise Broken("a reader sees of tunnel %d what was "
                                     "never there: %s" % (
                                         i, pb.IpTunnelRequest.FromString(r)))
                for page in c.stats_pages():
                    for r in page.responses:
                        n = r.tunnel_counters
                        n = n.in_packets + n.out_packets
                        if (r.tunnel_id in always
                                and n < seen.get(r.tunnel_id, 0)
                                and r.tunnel_id not in self.run.recreated):
                            raise Broken(
                                "the counter of tunnel %d goes back: %d, "
                                "then %d" % (r.tunnel_id, seen[r.tunnel_id],
                                             n))
                        seen[r.tunnel_id] = n


class Run:
    """One seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.rng2 = random.Random(seed)         # For what has its own pace.
        self.ports = dict(PORTS)
        self.workers = [Worker(i, random.Random(seed * 100 + i))
                        for i in range(1, WORKERS + 1)]
        self.local = ("172.16.0.1", "fd00:16::1")
        self.sent = {}
        self.recreated = set()
        self.what = "start"

    def state(self):
        return {i: r for w in self.workers for i, r in w.state.items()}

    # -- Comparing everything.

    def keys(self):
        return {int(l.split()[1]): int(l.split()[0])
                for l in tunneld("tunnel/keys").splitlines()}

    def check(self):
        state = self.state()
        wait_same("serving", lambda: tunneld("tunneld/status").split("\n")[0],
                  lambda: "serving: yes", 30)
        with Client() as c:
            wait_same("GetAll", lambda: get_all(c), lambda: shown(state), 5)
        wait_same("tunnel/inactive",
                  lambda: sorted(tunneld("tunnel/inactive").splitlines()),
                  lambda: inactive_reasons(state, self.ports))
        wait_same("flows of tunnels", switch_flows, lambda: expected_flows(
            state, self.keys(), self.ports,
            {k: v[1] for k, v in switch_options().items()}, self.local))
        wait_same("pipeline/check", lambda: tunneld("pipeline/check").strip(),
                  lambda: "in sync")
        used = {p: n for r in state.values() for p, n in options_of(r).items()}
        wait_same("options", lambda: {
            p: v[0] for p, v in switch_options().items()}, lambda: used)

    # -- Packets.

    def count(self):
        """Sends packets to some tunnels."""
        state = self.state()
        idle = {int(l.split()[1][:-1])
                for l in inactive_reasons(state, self.ports)}
        best = {}
        for i, r in state.items():
            m = r.match_criteria
            if (is_encap(r) and i not in idle and not m.tunnel_id
                    and m.ingress_interface in ("vm1", "")):
                dst = plain_ip(m.ipv4_match.destination_ip, False)
                if dst not in best or m.ingress_interface:
                    best[dst] = i
        # Until then the datapath may do as before the last change.
        ctl("ovs-vswitchd", "revalidator/wait")
        for dst in self.rng.sample(sorted(best), min(3, len(best))):
            for _ in range(self.rng.randrange(1, 4)):
                ctl("ovs-vswitchd", "netdev-dummy/receive", "vm1",
                    "in_port(1),eth(src=50:54:00:00:00:09,"
                    "dst=50:54:00:00:00:0a),eth_type(0x0800),"
                    "ipv4(src=192.0.2.1,dst=%s,proto=17,tos=0,ttl=64,frag=no),"
                    "udp(src=1,dst=2)" % dst)
                self.sent[best[dst]] = self.sent.get(best[dst], 0) + 1
        ctl("ovs-vswitchd", "revalidator/wait")

    def counted(self, c):
        out = {}
        for page in c.stats_pages():
            for r in page.responses:
                n = r.tunnel_counters
                n = (n.in_packets + n.out_packets + n.in_packets_drops
                     + n.out_packets_drops)
                if n or r.tunnel_id in self.sent:
                    out[r.tunnel_id] = n
        return out

    def check_counters(self, exactly):
        ids = self.state()
        self.sent = {i: n for i, n in self.sent.items() if i in ids}
        with Client() as c:
            if exactly:
                wait_same("packets counted", lambda: self.counted(c),
                          lambda: self.sent, 5)
            else:
                # A switch that was killed told nobody what it had counted.
                got = self.counted(c)
                more = {i: n for i, n in got.items()
                        if n > self.sent.get(i, 0)}
                if more:
                    raise Broken("packets counted that were never sent: %s, "
                                 "sent %s" % (more, self.sent))
                self.sent = got

    # -- Rounds.

    def plan(self, w, chosen):
        plan, state = [], w.state
        for _ in range(w.rng.choice([1, 2, 3])):
            x = w.rng.random()
            manner = ("cancel" if x < 0.12 else "slow" if x < 0.2 else "plain")
            length = BIG if w.rng.random() < 0.04 or (
                manner != "plain" and w.rng.random() < 0.3) else None
            requests, after, failed = w.stream(state, self.ports, chosen,
                                               length)
            for r in requests:
                if r.operation == pb._DELETE:
                    self.recreated.add(r.tunnel_id)
            if not requests:
                continue
            plan.append((requests, after, failed, manner))
            if manner != "cancel":
                state = after
            if any(i >= STAND_IN and i not in w.ids for i in after):
                break           # The rest needs to know the chosen ids.
        return plan

    def disturb(self, kind, deadline):
        time.sleep(self.rng.random() * deadline)
        if kind in ("tunneld", "vswitchd", "ovsdb"):
            sandbox("kill9_" + kind)
            for _ in range(20):
                if sandbox("start_" + kind):
                    return
                time.sleep(0.2)
            raise Broken("%s does not start again" % kind)
        if kind == "restart":
            sandbox("stop_tunneld")
            sandbox("start_tunneld")
        elif kind == "foreign":
            ofctl("del-flows", "br-int",
                  "table=%d" % self.rng.choice([0, 2, 5]))
        elif kind == "flap":
            sandbox("vsctl", "del-port", "vm4")
            sandbox("vsctl", "add-port", "br-int", "vm4", "--", "set",
                    "Interface", "vm4", "type=dummy", "ofport_request=%d"
                    % self.ports["vm4"])

    def change_ports(self):
        """vm3 goes, or comes back with another number."""
        if "vm3" in self.ports:
            del self.ports["vm3"]
            sandbox("vsctl", "del-port", "vm3")
        else:
            self.ports["vm3"] = self.rng.randrange(100, 200)
            sandbox("vsctl", "add-port", "br-int", "vm3", "--", "set",
                    "Interface", "vm3", "type=dummy", "ofport_request=%d"
                    % self.ports["vm3"])

    def round(self, number):
        kind = self.rng.choice(["", "", "", "", "", "tunneld", "vswitchd",
                                "ovsdb", "restart", "foreign", "ports"])
        self.what = "round %d %s" % (number, kind)
        if kind == "ports":
            self.change_ports()
            self.check()
            kind = ""
        r = Round(self, kind not in ("",))
        self.recreated = set()
        plans = {w: self.plan(w, not r.disturbed) for w in self.workers}
        reader = r.guard(r.look_on, plans) if not r.disturbed else None
        threads = [r.guard(r.work, w, plan) for w, plan in plans.items()]
        if kind:
            self.disturb(kind, 0.4)
        for t in threads:
            t.join()
        r.done.set()
        if reader:
            reader.join()
        if r.errors:
            raise Broken("\n".join(r.errors))
        if r.unknown:
            self.resolve(r)
        self.check()
        for i in r.gone:
            self.sent.pop(i, None)
        self.check_counters(kind in ("", "ovsdb"))
        self.count()
        self.check_counters(True)

    def resolve(self, r):
        """A stream without an answer was applied as a whole, or not at all."""
        wait_same("serving", lambda: tunneld("tunneld/status").split("\n")[0],
                  lambda: "serving: yes", 30)
        with Client() as c:
            got = get_all(c)
        for w in r.unknown:
            mine = {i: t for i, t in got.items()
                    if any(i in s for s, _ in r.possible[w])}
            for s, gone in r.possible[w]:
                if shown(s) == mine:
                    w.state = s
                    r.gone |= gone
                    break
            else:
                raise Broken("worker %d: neither before nor after its stream:"
                             "\n%s\n%s" % (w.index, [
                                 difference(mine, shown(s))
                                 for s, _ in r.possible[w]], [
                                     difference(shown(s), mine)
                                     for s, _ in r.possible[w]]))

    def remove_all(self, fixed):
        self.what = "the end"
        ids = list(self.state())
        self.rng.shuffle(ids)
        with Client() as c:
            while ids:
                part, ids = ids[:7], ids[7:]
                answer = c.create(*[delete(i) for i in part])
                if answer.request_status or answer.error_status:
                    raise Broken("deletes: %s" % answer)
        for w in self.workers:
            w.state = {}
        self.check()
        wait_same("all flows of the bridge", all_flows, lambda: fixed)


def all_flows():
    return sorted(ofctl("--no-stats", "dump-flows", "br-int").splitlines())


def main(seeds):
    wait_same("serving", lambda: tunneld("tunneld/status").split("\n")[0],
              lambda: "serving: yes")
    fixed = all_flows()
    for seed in seeds:
        started = time.monotonic()
        run = Run(int(seed))
        try:
            for w in run.workers:
                w.connect()
            for number in range(ROUNDS):
                run.round(number)
            n = len(run.state())
            run.remove_all(fixed)
            if "vm3" not in run.ports or run.ports["vm3"] != PORTS["vm3"]:
                sandbox("vsctl", "--if-exists", "del-port", "vm3")
                sandbox("vsctl", "add-port", "br-int", "vm3", "--", "set",
                        "Interface", "vm3", "type=dummy",
                        "ofport_request=%d" % PORTS["vm3"])
            check("seed %s: daemon and model agree" % seed, True)
            note("%d rounds, %d tunnels at the end, %.1f s"
                 % (ROUNDS, n, time.monotonic() - started))
        except Exception as error:      # pylint: disable=broad-except
            check("seed %s: daemon and model agree" % seed, False,
                  "in %s: %s" % (run.what, error if isinstance(error, Broken)
                                 else traceback.format_exc()))
            break
    client.finish()


if __name__ == "__main__":
    main(sys.argv[1:])
