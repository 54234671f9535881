# SPDX-License-Identifier: Apache-2.0
"""A gRPC client for shell scripts, independent of the daemon's own code.

    tunnel.py send REQUEST [, REQUEST ...]   one stream; prints the status and
                                             every entry of the answer
    tunnel.py get ID | stats ID... | ids | caps | delete-all
    tunnel.py bulk N                         N encapsulations in one stream
    tunnel.py appctl COMMAND ARG...          like ovs-appctl
    tunnel.py serve REQUESTS ANSWERS         commands from a fifo (serve.py)

A request is one of

    encap ID KEY=VALUE...        decap ID KEY=VALUE...
    update-encap ID ...          update-decap ID ...         delete ID

with these keys, any of which may be left out:

    in=PORT  mac-dst=MAC  mac-src=MAC  src=IP/LEN  dst=IP/LEN  after=ID
    gvni=VNI  gmac-dst=MAC  gmac-src=MAC  gsrc=IP/LEN  gdst=IP/LEN
                                 the match; those with g: its geneve_match
    local=IP  remote=IP  vni=VNI  imac-dst=MAC  imac-src=MAC  oam=1  critical=1
    opt=CLASS:TYPE:DATA          (hex; again and again) the encapsulation
    next=forward|recirculate     (forward, but nothing in an update)

The environment is that of tests/client/client.py, and OTD_CTL, the daemon's control
socket.
"""

import json
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "client")]

import serve                                            # noqa: E402
from client import Client, ip4, ip6, is_ip6, mac, pb    # noqa: E402

NEXT = {"forward": pb.FORWARD, "recirculate": pb.RECIRCULATE}
ERRORS = {"match_error": pb.MatchError, "tunnel_error": pb.TunnelError,
          "ipsec_error": pb.IPSecError, "geneve_error": pb.GeneveError}


def number(text):
    return int(text, 0)


def take(keys, *names):
    """The values of these keys, which are then used up."""
    return [keys.pop(name, None) for name in names]


def fill_macs(message, dst, src):
    if dst:
        message.mac_match.destination_mac = mac(dst)
    if src:
        message.mac_match.source_mac = mac(src)


def fill_ips(message, dst, src):
    if not dst and not src:
        return
    six = is_ip6(dst or src)
    match = message.ipv6_match if six else message.ipv4_match
    for name, text in (("source", src), ("destination", dst)):
        if text:
            address, _, length = text.partition("/")
            setattr(match, name + "_ip", (ip6 if six else ip4)(address))
            setattr(match, name + "_ip_prefix",
                    number(length) if length else (128 if six else 32))


def fill_match(request, keys):
    m = request.match_criteria
    port, after = take(keys, "in", "after")
    if port:
        m.ingress_interface = port
    if after:
        m.tunnel_id = number(after)
    fill_macs(m, *take(keys, "mac-dst", "mac-src"))
    fill_ips(m, *take(keys, "dst", "src"))
    if any(k in keys for k in ("gvni", "gmac-dst", "gmac-src", "gsrc", "gdst")):
        m.geneve_match.SetInParent()
        vni, = take(keys, "gvni")
        m.geneve_match.vni = number(vni or "0")
        fill_macs(m.geneve_match, *take(keys, "gmac-dst", "gmac-src"))
        fill_ips(m.geneve_match, *take(keys, "gdst", "gsrc"))


def fill_encap(e, keys, options):
    local, remote, vni, dst, src, oam, critical = take(
        keys, "local", "remote", "vni", "imac-dst", "imac-src", "oam",
        "critical")
    if local or remote:
        six = is_ip6(remote or local)
        pair = e.outer_ipv6_pair if six else e.outer_ipv4_pair
        if local:
            pair.source_ip = (ip6 if six else ip4)(local)
        if remote:
            pair.destination_ip = (ip6 if six else ip4)(remote)
    if dst:
        e.inner_mac_pair.destination_mac = mac(dst)
    if src:
        e.inner_mac_pair.source_mac = mac(src)
    if vni:
        e.vni = number(vni)
    e.control_packet = bool(oam)
    e.critical_option_present = bool(critical)
    for text in options:
        opt_class, opt_type, data = text.split(":")
        data = bytes.fromhex(data)
        e.geneve_option.add(option_class=int(opt_class, 16),
                            type=int(opt_type, 16), length=len(data) // 4,
                            data=data)


def parse(words):
    """One request from its words."""
    verb, tunnel_id = words[0], number(words[1])
    options = [w[4:] for w in words[2:] if w.startswith("opt=")]
    keys = dict(w.split("=", 1) for w in words[2:] if not w.startswith("opt="))
    update = verb.startswith("update-")

    request = pb.IpTunnelRequest(
        tunnel_id=tunnel_id,
        operation=(pb._DELETE if verb == "delete"
                   else pb._UPDATE if update else pb._CREATE))
    action, = take(keys, "next")
    if action:
        request.next_action = NEXT[action]
    elif verb in ("encap", "decap"):
        request.next_action = pb.FORWARD
    fill_match(request, keys)
    if verb.endswith("encap"):
        request.geneve.geneve_encap.SetInParent()
        fill_encap(request.geneve.geneve_encap, keys, options)
        options = []
    elif verb.endswith("decap"):
        request.geneve.geneve_decap.SetInParent()
    elif verb != "delete":
        raise ValueError("no such request: " + verb)
    if keys or options:
        raise ValueError("what is %s of %s?" % (list(keys) + options, verb))
    return request


def error_text(error):
    """The enums that are not 0 (which cannot be told from absent), the text."""
    names = ["%s %s: " % (field, enum.Name(getattr(error.error_message, field)))
             for field, enum in ERRORS.items()
             if getattr(error.error_message, field)]
    return "".join(names) + error.error_string


def cmd_send(*words):
    requests, current = [], []
    for word in words:
        if word == ",":
            requests.append(parse(current))
            current = []
        else:
            current.append(word)
    requests.append(parse(current))

    with Client() as c:
        answer = c.create(*requests)
    print(pb.AddTunnelStatus.Name(answer.request_status))
    for entry in answer.responses:
        print("%d: %s" % (entry.tunnel_id, error_text(entry.error)
                          if entry.HasField("error") else "chosen"))
    return int(answer.request_status != pb._TUNNEL_ACCEPTED)


def cmd_bulk(count):
    """Ids from 100000 up; nothing in the lab sends what they take."""
    requests = [parse(["encap", str(100000 + i), "vni=%d" % i,
                       "dst=10.%d.%d.%d/32" % (64 + (i >> 16), i >> 8 & 255, i & 255),
                       "remote=172.16.0.250"]) for i in range(int(count))]
    with Client() as c:
        answer = c.create(*requests)
    print(pb.AddTunnelStatus.Name(answer.request_status))


def cmd_get(tunnel_id):
    with Client() as c:
        answer = c.get(number(tunnel_id))
    print(answer)
    return int(answer.HasField("error"))


def cmd_stats(*ids):
    """For each: in PACKETS/BYTES out P/B in-drops P/B out-drops P/B."""
    with Client() as c:
        for tunnel_id in ids:
            answer = c.stats(number(tunnel_id))
            n = answer.tunnel_counters
            if answer.HasField("error"):
                print("%s: %s" % (tunnel_id, error_text(answer.error)))
            else:
                print("%s: in %d/%d out %d/%d in-drops %d/%d out-drops %d/%d"
                      % (tunnel_id, n.in_packets, n.in_bytes, n.out_packets,
                         n.out_bytes, n.in_packets_drops, n.in_bytes_drops,
                         n.out_packets_drops, n.out_bytes_drops))


def cmd_ids():
    with Client() as c:
        print(*c.ids())


def cmd_caps():
    with Client() as c:
        print(c.capabilities().geneve_capabilities
              .number_geneve_options_supported)


def cmd_delete_all():
    with Client() as c:
        c.delete_all()


def cmd_appctl(*words):
    """JSON-RPC, one request; starting ovs-appctl costs much more."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(os.environ["OTD_CTL"])
        s.sendall(json.dumps({"id": 0, "method": words[0],
                              "params": words[1:]}).encode())
        data = b""
        while True:
            data += s.recv(65536)
            try:
                answer = json.loads(data)
                break
            except ValueError:
                continue
    text = answer["result"] if answer["error"] is None else answer["error"]
    print(text.rstrip("\n"))
    return int(answer["error"] is not None)


serve.main({"send": cmd_send, "bulk": cmd_bulk, "get": cmd_get, "stats": cmd_stats,
            "ids": cmd_ids, "caps": cmd_caps, "delete-all": cmd_delete_all,
            "appctl": cmd_appctl},
           sys.argv[1:])
