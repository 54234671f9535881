# SPDX-License-Identifier: Apache-2.0
"""Create, read, page, update and delete; all six RPCs.  Expects an empty table
and leaves an empty one."""

import grpc

from client import (Client, accepted, check, decap, delete, encap, equal, ip4,
                    mac, pb, run)


def read_back(request):
    """What a read returns for a created request: the canonical form."""
    want = pb.IpTunnelRequest()
    want.CopyFrom(request)
    want.operation = pb._CREATE
    return want


def capabilities(c):
    caps = c.capabilities()
    m = caps.match_capabilities
    equal("capabilities: matching",
          (m.ingress_interface_matching, m.vxlan_matching, m.geneve_matching,
           m.tunnel_matching, m.spi_matching),
          (True, False, True, True, False))
    equal("capabilities: no IPsec", caps.ipsec_capabilities,
          pb.CapabilityResponse.IPSecCapabilities())
    n = caps.geneve_capabilities.number_geneve_options_supported
    check("capabilities: some Geneve options", 1 <= n <= 31, n)


def create_and_read(c):
    one, two = encap(1), decap(2)
    three = encap(3, remote="fd00:16::2", local="fd00:16::1")
    accepted("three tunnels in one stream", c.create(one, two, three))
    for r in (one, two, three):
        got = c.get(r.tunnel_id)
        equal("tunnel %d reads back" % r.tunnel_id,
              (got.tunnel_id, got.ip_tunnel, got.HasField("error")),
              (r.tunnel_id, read_back(r), False))
    equal("counters begin at 0", c.stats(1), pb.IpTunnelStatsResponse(
        tunnel_id=1, tunnel_counters=pb.Counters()))
    equal("all tunnels, in order of creation", c.ids(), [1, 2, 3])


def unknown(c):
    got = c.get(4711)
    check("Get of an unknown id is OK with an error",
          got.HasField("error") and "4711" in got.error.error_string
          and not got.HasField("ip_tunnel"), got)
    got = c.stats(4711)
    check("GetStats of an unknown id is OK with an error",
          got.HasField("error") and "4711" in got.error.error_string
          and not got.HasField("tunnel_counters"), got)


def update(c):
    # Only what changes is named.
    patch = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
    patch.geneve.geneve_encap.vni = 777
    accepted("an update names only what changes", c.create(patch))
    want = read_back(encap(1))
    want.geneve.geneve_encap.vni = 777
    equal("the update is merged", c.get(1).ip_tunnel, want)

    patch = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
    outer = patch.geneve.geneve_encap.outer_ipv4_pair
    outer.destination_ip = ip4("172.16.0.9")
    patch.geneve.geneve_encap.inner_mac_pair.source_mac = mac(
        "02:00:00:00:00:09")
    accepted("a nested update", c.create(patch))
    want.geneve.geneve_encap.outer_ipv4_pair.destination_ip = ip4("172.16.0.9")
    want.geneve.geneve_encap.inner_mac_pair.source_mac = mac(
        "02:00:00:00:00:09")
    equal("is merged inside", c.get(1).ip_tunnel, want)

    patch = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
    patch.geneve.geneve_decap.SetInParent()
    answer = c.create(patch)
    equal("another kind of tunnel is refused",
          (answer.request_status, answer.error_status,
           [r.tunnel_id for r in answer.responses]),
          (pb._TUNNEL_REJECTED, 1, [1]))
    equal("and changes nothing", c.get(1).ip_tunnel, want)

    answer = c.create(encap(99, operation=pb._UPDATE))
    equal("an update of an unknown id is refused",
          (answer.request_status, answer.error_status,
           [r.tunnel_id for r in answer.responses]),
          (pb._TUNNEL_REJECTED, 1, [99]))


def remove(c):
    accepted("delete", c.create(delete(2)))
    equal("the others stay", c.ids(), [1, 3])
    answer = c.create(delete(2))
    equal("delete of an unknown id is an error",
          (answer.request_status, answer.error_status,
           [r.tunnel_id for r in answer.responses]),
          (pb._TUNNEL_REJECTED, 1, [2]))
    accepted("delete of the rest", c.create(delete(1), delete(3)))
    equal("nothing is left", c.ids(), [])
    equal("pages of an empty table", (c.pages(5), c.stats_pages(5)), ([], []))


def chosen(c):
    answer = c.create(encap(0, vni=1, inner_dst="10.1.0.1"),
                      encap(5, inner_dst="10.1.0.2"),
                      encap(0, vni=2, inner_dst="10.1.0.3"))
    ids = [r.tunnel_id for r in answer.responses]
    check("the server chooses two ids",
          len(set(ids)) == 2 and 0 not in ids and 5 not in ids, ids)
    accepted("and says which", answer, *ids)
    equal("in the order of the stream", c.ids(), [ids[0], 5, ids[1]])
    equal("the first has the first request's VNI",
          c.get(ids[0]).ip_tunnel.geneve.geneve_encap.vni, 1)
    accepted("chosen ids are deleted like others",
             c.create(*[delete(i) for i in ids + [5]]))


def pages(c):
    n = 1000
    accepted("a stream of %d" % n, c.create(
        *[encap(i + 1) for i in range(n)]))
    for size in (1, 7, 1000, 5000):
        messages = c.pages(size)
        equal("pages of %d: sizes" % size,
              [len(m.responses) for m in messages],
              [size] * (n // size) + ([n % size] if n % size else []))
        equal("pages of %d: ids" % size,
              [r.tunnel_id for m in messages for r in m.responses],
              list(range(1, n + 1)))
        messages = c.stats_pages(size)
        equal("stats in pages of %d" % size,
              [[r.tunnel_id for r in m.responses] for m in messages],
              [list(range(i + 1, min(i + size, n) + 1))
               for i in range(0, n, size)])
    messages = c.pages(0)
    equal("the server's own page size: ids",
          [r.tunnel_id for m in messages for r in m.responses],
          list(range(1, n + 1)))
    check("and every message is under 4 MiB",
          max(m.ByteSize() for m in messages) < 4 * 2**20)
    equal("each entry is what Get returns",
          messages[0].responses[0], c.get(1))
    c.delete_all()
    equal("all are deleted", c.ids(), [])


def main():
    with Client() as c:
        grpc.channel_ready_future(c.channel).result(timeout=30)
        equal("the table is empty at first", c.ids(), [])
        capabilities(c)
        create_and_read(c)
        unknown(c)
        update(c)
        remove(c)
        chosen(c)
        pages(c)


run(main)
