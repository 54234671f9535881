# SPDX-License-Identifier: Apache-2.0
"""What should come of a stream: a model of requests, of the flows that tunnels
have, and random requests whose outcome it knows.  It talks to nobody; the
program that compares it with a real daemon is model.py."""

import ipaddress

from client import Client, decap, delete, encap, ip4, mac, pb

STAND_INS = range(1 << 41, (1 << 41) + (1 << 20))
CHOSEN = 1 << 40                # Ids that the server chose are above.
STAND_IN = STAND_INS[0]         # Ids that the server has not chosen yet.
IDS = 24                        # Ids of one worker.
SLOTS = 16                      # Inner addresses of one worker.
REMOTES = ["172.16.0.2", "172.16.0.3", "fd00:16::2"]
BIG = 700                       # Requests: applied before the stream's end.


# ---- The model of one request.

def is_encap(r):
    return r.geneve.HasField("geneve_encap")


def key_of(r):
    """The effective match: two tunnels may not have an equal one."""
    m = r.match_criteria
    return (is_encap(r), m.ingress_interface, m.tunnel_id,
            m.ipv4_match.SerializeToString(), m.ipv6_match.SerializeToString(),
            m.geneve_match.SerializeToString())


def options_of(r):
    return {(o.option_class, o.type): len(o.data)
            for o in r.geneve.geneve_encap.geneve_option}


def usual_length(option_type):
    return 8 if option_type == 3 else 4


def merged(base, patch):
    """The merge of an update: protobuf's own, but for lists."""
    r = pb.IpTunnelRequest()
    r.CopyFrom(base)
    if patch.geneve.geneve_encap.geneve_option:
        del r.geneve.geneve_encap.geneve_option[:]
    r.MergeFrom(patch)
    r.operation = pb._CREATE
    if patch.geneve.geneve_encap.geneve_option:
        r.geneve.geneve_encap.critical_option_present = any(
            t & 0x80 for _, t in options_of(r))
    return r


class Ambiguous(Exception):
    """What comes of this stream depends on more than the model knows."""


def faulty(r):
    """What is wrong with a complete request by itself."""
    m = r.match_criteria
    if r.next_action not in (pb.FORWARD, pb.RECIRCULATE):
        return "next_action"
    if m.tunnel_id and m.tunnel_id == r.tunnel_id:
        return "is the tunnel itself"
    if (r.geneve.geneve_encap.vni if is_encap(r)
            else m.geneve_match.vni) >= 2**24:
        return "24 bits"
    if m.HasField("ipv4_match") and not m.ipv4_match.destination_ip_prefix:
        return "could mean this host or any"
    if not is_encap(r) and m.ingress_interface:
        return "arrive on the server's own Geneve port"
    if is_encap(r) and m.HasField("geneve_match"):
        return "sees no Geneve header"
    return None


def complaint(state, r, own, ports):
    """The same, and what the others have against it; 'own': its own id."""
    m = r.match_criteria
    if faulty(r):
        return faulty(r)
    if m.ingress_interface and m.ingress_interface not in ports:
        return "there is no interface"
    for other, t in state.items():
        if other != own and key_of(t) == key_of(r):
            return ("tunnel %s has the same effective match"
                    % (r"\d+" if other in STAND_INS else other))
    for pair, n in options_of(r).items():
        for t in state.values():
            if options_of(t).get(pair, n) != n:
                return "one length"
    return None


def bad_reference(state, ident):
    r = state[ident]
    after = r.match_criteria.tunnel_id
    if not after:
        return None
    if after not in state:
        return "there is no tunnel %d" % after
    seen = after
    for _ in range(len(state) + 1):
        if seen == ident:
            return "follows itself"
        if seen not in state:
            break
        seen = state[seen].match_criteria.tunnel_id
    if is_encap(r) and is_encap(state[after]):
        return "second overlay encapsulation"
    return None


def attempt(before, requests, forced, ports):
    """One pass: the state after it, complaints, who named another tunnel."""
    state, failed, naming = dict(before), dict(forced), {}
    for i, r in enumerate(requests):
        ident = r.tunnel_id or STAND_IN + i
        why = None
        if i in forced:
            continue
        if r.operation == pb._CREATE:
            why = (complaint(state, r, None, ports)
                   if r.tunnel_id not in state
                   else "exists.*" + faulty(r) if faulty(r) else "exists")
            new = r
        elif r.operation == pb._UPDATE:
            if r.tunnel_id not in state:
                why = "to update"
            else:
                base = state[r.tunnel_id]
                if r.WhichOneof("tunnel") and is_encap(r) != is_encap(base):
                    why = "change the kind"
                else:
                    new = merged(base, r)
                    why = complaint(state, new, r.tunnel_id, ports)
        elif r.operation == pb._DELETE:
            why = None if r.tunnel_id in state else "to delete"
            new = None
        else:
            why = "operation"
        if why != "one length" and any(n != usual_length(pair[1])
                                       for pair, n in options_of(r).items()):
            # The map may still have the usual length; and it has this one for
            # a while even if the request is refused.
            raise Ambiguous()
        if why:
            failed[i] = why
            continue
        if new is None:
            del state[ident]
        else:
            state[ident] = new
        if r.operation != pb._UPDATE:
            naming[ident] = []
        if r.match_criteria.tunnel_id:
            naming.setdefault(ident, []).append(
                (i, r.match_criteria.tunnel_id))
    return state, failed, naming


def foretell(before, requests, ports):
    """The state after a stream, and why which of its requests fail."""
    forced = {}
    while True:
        state, failed, naming = attempt(before, requests, forced, ports)
        wrong = {}
        for ident, names in naming.items():
            why = names and ident in state and bad_reference(state, ident)
            if why:
                after = state[ident].match_criteria.tunnel_id
                wrong.update((i, why) for i, a in names if a == after)
        if not wrong:
            return state, failed
        forced.update(wrong)


# ---- The model of the switch.

def plain_ip(number, six):
    return str(ipaddress.IPv6Address(number) if six else
               ipaddress.IPv4Address(number.to_bytes(4, "little")))


def colons(raw):
    return ":".join("%02x" % b for b in raw)


def inactive_reasons(state, ports):
    """Lines of tunnel/inactive."""
    lines = []
    for ident, r in state.items():
        m, why = r.match_criteria, []
        if m.tunnel_id:
            prev = state.get(m.tunnel_id)
            if prev is None:
                why.append("tunnel %d, which match_criteria.tunnel_id names, "
                           "does not exist" % m.tunnel_id)
            elif prev.next_action != pb.RECIRCULATE:
                why.append("tunnel %d hands nothing on: its next_action is "
                           "FORWARD" % m.tunnel_id)
            elif m.ingress_interface:
                why.append("what tunnel %d hands on came out of a tunnel, not "
                           "from interface %s; leave out "
                           "match_criteria.ingress_interface"
                           % (m.tunnel_id, m.ingress_interface))
            elif not is_encap(r):
                why.append("tunnel %d is a geneve %s, and the switch takes an "
                           "overlay header off a packet only when it comes in "
                           "from the wire" % (m.tunnel_id, "encap"
                                              if is_encap(prev) else "decap"))
            elif is_encap(prev):
                why.append("tunnel %d is a geneve encap, and the switch "
                           "cannot put a second overlay encapsulation around "
                           "its packets" % m.tunnel_id)
        if m.ingress_interface and m.ingress_interface not in ports:
            why.append("interface %s is not on the bridge"
                       % m.ingress_interface)
        if why:
            lines.append("tunnel %d: %s" % (ident, "; ".join(why)))
    return sorted(lines)


def outer_actions(e, local):
    six = e.HasField("outer_ipv6_pair")
    pair = e.outer_ipv6_pair if six else e.outer_ipv4_pair
    name = "tun_ipv6_" if six else "tun_"
    source = pair.source_ip or (ipaddress.ip_address(local[six]).packed if six
                                else ip4(local[six]))
    return ["set_field:%s->%ssrc" % (plain_ip(source, six), name),
            "set_field:%s->%sdst" % (plain_ip(pair.destination_ip, six), name)]


def encap_flow(r, key, after_key, ports, slots, local):
    m, e = r.match_criteria, r.geneve.geneve_encap
    match = {"ip", "nw_dst=" + plain_ip(m.ipv4_match.destination_ip, False)}
    bits = 32 + 16
    if m.tunnel_id:
        match |= {"reg4=0x2", "reg5=%#x" % after_key}
        bits += 32
    if m.ingress_interface:
        match.add("in_port=%d" % ports[m.ingress_interface])
        bits += 16
    else:
        match.add("vlan_tci=0x0000/0x1fff")
    actions = ["set_field:%#x->tun_id" % e.vni if e.vni
               else "set_field:0->tun_id"] + outer_actions(e, local)
    for o in e.geneve_option:
        value = int.from_bytes(o.data, "big")
        actions.append("set_field:%s->tun_metadata%d"
                       % ("%#x" % value if value else "0",
                          slots[o.option_class, o.type]))
    macs = e.inner_mac_pair
    actions += ["set_field:%s->eth_dst" % colons(macs.destination_mac),
                "set_field:%s->eth_src" % colons(macs.source_mac),
                "set_field:0x1->reg4", "set_field:%#x->reg5" % key,
                "resubmit(,%d)" % (64 if r.next_action == pb.FORWARD else 5)]
    return (5 if m.tunnel_id else 0, 0x2000 + 8 * bits + 1, frozenset(match),
            ",".join(actions))


def decap_flow(r, key):
    m = r.match_criteria
    six = m.HasField("ipv6_match")
    outer = m.ipv6_match if six else m.ipv4_match
    name = "tun_ipv6_" if six else "tun_"
    vni = m.geneve_match.vni
    match = {"tun_id=%#x" % vni if vni else "tun_id=0",
             name + "src=" + plain_ip(outer.source_ip, six),
             name + "dst=" + plain_ip(outer.destination_ip, six)}
    bits = 24 + (256 if six else 64)
    actions = ["set_field:%#x->reg5" % key]
    if r.next_action == pb.RECIRCULATE:
        actions += ["set_field:0x2->reg4", "resubmit(,4)"]
    else:
        actions += ["resubmit(,7)"]
    return (8 if six else 2, 0x9000 + 8 * bits + 3, frozenset(match),
            ",".join(actions))


def expected_flows(state, keys, ports, slots, local):
    """Cookie and flow of every active tunnel."""
    idle = {int(l.split()[1][:-1]) for l in inactive_reasons(state, ports)}
    named = {r.match_criteria.tunnel_id for r in state.values()}
    flows = {}
    for ident, r in state.items():
        if ident in idle:
            continue
        key = keys[ident]
        after = r.match_criteria.tunnel_id
        flows[0x746e01 << 40 | key] = (
            encap_flow(r, key, keys[after] if after else 0, ports, slots,
                       local)
            if is_encap(r) else decap_flow(r, key))
        if ident in named and r.next_action == pb.RECIRCULATE:
            flows[0x746e02 << 40 | key] = (
                5 if is_encap(r) else 0, 0x1fff,
                frozenset(["reg4=0x1" if is_encap(r) else "reg4=0x2",
                           "reg5=%#x" % key]), "drop")
    return flows


# ---- Random requests.

class Worker:
    """One client with its own ids, matches and options."""

    def __init__(self, index, rng):
        self.index = index
        self.rng = rng
        self.ids = [index * 1000 + i for i in range(1, IDS)]
        # The largest id there is, and one that the server might choose.
        self.ids += [2**64 - 1 - index, CHOSEN + 3 + index]
        self.state = {}
        self.stub = None
        self.chosen = set()

    def connect(self):
        self.stub = Client()

    def slot(self):
        return "10.%d.0.%d" % (self.index, self.rng.randrange(1, SLOTS + 1))

    def add_options(self, r, wrong=False):
        e = r.geneve.geneve_encap
        pairs = self.rng.sample(range(5), self.rng.choice([0, 0, 1, 2]))
        for t in pairs:
            kind = t | (0x80 if t == 4 else 0)
            e.geneve_option.add(option_class=0x100 + self.index, type=kind,
                                data=self.rng.randbytes(usual_length(t)))
        if wrong and pairs:
            o = e.geneve_option[0]
            o.data = o.data + bytes(4)
        e.critical_option_present = 4 in pairs

    def new(self, state):
        rng = self.rng
        ident = 0 if rng.random() < 0.06 else rng.choice(self.ids)
        action = rng.choice([pb.FORWARD, pb.FORWARD, pb.RECIRCULATE])
        if rng.random() < 0.35:
            remote = rng.choice(REMOTES)
            r = decap(ident, vni=self.index << 16 | rng.randrange(12),
                      remote=remote, action=action,
                      local="fd00:16::1" if ":" in remote else "172.16.0.1")
            if rng.random() < 0.05:
                r.match_criteria.tunnel_id = rng.choice(self.ids)
            return r
        after = rng.choice(self.ids) if rng.random() < 0.3 else 0
        if after and rng.random() < 0.7:
            good = [i for i, t in state.items() if not is_encap(t)]
            after = rng.choice(good) if good else after
        remote = rng.choice(REMOTES)
        r = encap(ident, inner_dst=self.slot(), remote=remote, action=action,
                  local="fd00:16::1" if ":" in remote else "172.16.0.1",
                  port="" if after and rng.random() < 0.9
                  else rng.choice(["vm1", "vm2", "vm3", ""]), after=after,
                  vni=rng.choice([0, 1, 2**24 - 1, rng.randrange(2**24)]))
        if rng.random() < 0.3:
            if ":" in remote:
                r.geneve.geneve_encap.outer_ipv6_pair.source_ip = b""
            else:
                r.geneve.geneve_encap.outer_ipv4_pair.source_ip = 0
        r.geneve.geneve_encap.control_packet = False
        self.add_options(r, rng.random() < 0.05)
        return r

    def spoilt(self, r):
        """Something that must be refused."""
        kind = self.rng.randrange(5)
        if kind == 0:
            r.next_action = pb.NONE
        elif kind == 1 and is_encap(r):
            r.geneve.geneve_encap.vni = 2**24
        elif kind == 2 and is_encap(r):
            r.match_criteria.ingress_interface = "nowhere"
        elif kind == 3 and r.tunnel_id:
            r.match_criteria.tunnel_id = r.tunnel_id
        else:
            r.operation = pb._NONE
        return r

    def update(self, state):
        rng = self.rng
        ident = rng.choice(list(state) or self.ids if rng.random() < 0.9
                           else self.ids)
        r = pb.IpTunnelRequest(tunnel_id=ident, operation=pb._UPDATE)
        base = state.get(ident)
        whole = self.new(state)
        if base is not None and is_encap(base):
            e = r.geneve.geneve_encap
            if rng.random() < 0.4:
                e.vni = rng.randrange(1, 2**24)
            if rng.random() < 0.3:
                e.inner_mac_pair.destination_mac = mac(
                    "52:54:00:00:01:%02x" % rng.randrange(256))
            if rng.random() < 0.3:
                self.add_options(r)
            if rng.random() < 0.3 and base.geneve.geneve_encap.HasField(
                    "outer_ipv4_pair"):
                e.outer_ipv4_pair.destination_ip = ip4("172.16.0.9")
            if rng.random() < 0.4:
                r.match_criteria.ipv4_match.destination_ip = ip4(self.slot())
            if rng.random() < 0.2:
                r.match_criteria.ingress_interface = rng.choice(["vm1", "vm2"])
        elif base is not None and rng.random() < 0.5:
            r.match_criteria.geneve_match.vni = (self.index << 16
                                                 | rng.randrange(1, 12))
        if rng.random() < 0.3:
            r.next_action = rng.choice([pb.FORWARD, pb.RECIRCULATE])
        if rng.random() < 0.15:
            r.match_criteria.tunnel_id = rng.choice(self.ids)
        if rng.random() < 0.05 and whole.WhichOneof("tunnel"):
            r.geneve.CopyFrom(whole.geneve)
        return r

    def request(self, state):
        x = self.rng.random()
        if x < 0.5:
            r = self.new(state)
            return self.spoilt(r) if self.rng.random() < 0.06 else r
        if x < 0.75:
            return self.update(state)
        x = self.rng.random()
        return delete(self.rng.choice(list(state) or self.ids) if x < 0.9
                      else self.rng.choice(self.ids))

    def stream(self, state, ports, chosen=True, length=None):
        """A stream whose outcome is known: requests, state after, failures."""
        while True:
            n = length or self.rng.choice([1, 1, 2, 3, 8, 20, 40])
            now, requests = dict(state), []
            try:
                for _ in range(n):
                    r = self.request(now)
                    if r.tunnel_id or (r.operation == pb._CREATE and chosen):
                        now = attempt(now, [r], {}, ports)[0]
                        now = {i: t for i, t in now.items()
                               if i < STAND_IN or i in self.ids}
                        requests.append(r)
                return (requests,) + foretell(state, requests, ports)
            except Ambiguous:
                continue
