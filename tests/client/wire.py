# SPDX-License-Identifier: Apache-2.0
"""The exact bytes that existing clients send, written by hand: tag, length,
value as the protobuf encoding document defines them.  No generated message is
used to make a request here.  Expects an empty table and leaves an empty one."""

import struct


from client import TIMEOUT, Client, check, equal, pb, run

SERVICE = "/tunneloffload.v2.IpTunnelService/"


def varint(n):
    out = b""
    while n > 0x7f:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def vi(field, n):
    """A varint field."""
    return varint(field << 3) + varint(n)


def f32(field, n):
    """A fixed32 field: little-endian on the wire."""
    return varint(field << 3 | 5) + struct.pack("<I", n)


def sub(field, *parts):
    """A length-delimited field."""
    data = b"".join(parts)
    return varint(field << 3 | 2) + varint(len(data)) + data


def raw_create(c, *requests):
    call = c.channel.stream_unary(
        SERVICE + "CreateIpTunnel", request_serializer=None,
        response_deserializer=pb.CreateIpTunnelResponses.FromString)
    return call(iter(requests), timeout=TIMEOUT)


def raw_get(c, tunnel_id):
    call = c.channel.unary_unary(SERVICE + "GetIpTunnel",
                                 request_serializer=None,
                                 response_deserializer=None)
    return call(vi(1, tunnel_id), timeout=TIMEOUT)


def one(c, text, request, status=pb._TUNNEL_ACCEPTED, error=None):
    """One request in a stream: the status and the API's error."""
    answer = raw_create(c, request)
    got = (answer.request_status, answer.error_status,
           [r.error.error_message for r in answer.responses])
    want = (status, 0 if status == pb._TUNNEL_ACCEPTED else 1,
            [error] if error is not None else [])
    check(text, got == want, "got:\n%s\nwanted:\n%s" % (answer, want))
    return answer


def refused(c, text, request, error):
    return one(c, text, request, pb._TUNNEL_REJECTED, error)


PORT = sub(1, b"vm1")
# The numbers that existing clients send for these addresses.
IP_11_0_0_2, IP_11_0_0_1 = 33554443, 16777227
IP_5_5_5_5, IP_6_6_6_6 = 84215045, 101058054
IP_3_3_3_3, IP_14_0_0_1 = 50529027, 16777230


def encap(tunnel_id, match=None, outer=None, extra=b"", mac=None, vni=10,
          operation=1, action=1):
    """A Geneve encapsulation, field by field."""
    if match is None:
        match = PORT + sub(3, f32(3, 0x0a | tunnel_id << 24), vi(4, 32))
    if outer is None:
        outer = sub(1, f32(1, IP_5_5_5_5), f32(2, IP_6_6_6_6))
    if mac is None:
        mac = sub(3, sub(1, b"102030405060"), sub(2, b"aAbBcCdDeEfF"))
    return (vi(1, tunnel_id) + vi(2, operation) + sub(3, match)
            + vi(4, action)
            + sub(6, sub(1, outer, mac, vi(7, vni), extra)))


def addresses(c):
    # Bytes of the address read as a little-endian integer, on the wire again
    # little-endian: the bytes stand in network order.
    request = encap(1, match=PORT + sub(
        3, f32(1, IP_11_0_0_2), vi(2, 32), f32(3, IP_11_0_0_1), vi(4, 24)))
    equal("the vector itself: 11.0.0.2 in network order",
          b"\x0d\x0b\x00\x00\x02" in request, True)
    one(c, "IPv4 as existing clients send it", request)
    got = pb.IpTunnelResponse.FromString(raw_get(c, 1)).ip_tunnel
    equal("and it reads back as it was sent",
          (got.match_criteria.ipv4_match.source_ip,
           got.match_criteria.ipv4_match.destination_ip,
           got.geneve.geneve_encap.outer_ipv4_pair.source_ip,
           got.geneve.geneve_encap.outer_ipv4_pair.destination_ip),
          (IP_11_0_0_2, IP_11_0_0_1, IP_5_5_5_5, IP_6_6_6_6))
    equal("MACs in hexadecimal digits are raw bytes when read",
          (got.geneve.geneve_encap.inner_mac_pair.destination_mac,
           got.geneve.geneve_encap.inner_mac_pair.source_mac),
          (bytes.fromhex("102030405060"), bytes.fromhex("aabbccddeeff")))

    one(c, "raw MACs", encap(2, mac=sub(
        3, sub(1, bytes.fromhex("102030405060")),
        sub(2, bytes.fromhex("aabbccddeeff")))))
    hex6 = (b"fd000016000000000000000000000001",
            b"FD000016000000000000000000000002")
    one(c, "IPv6 in hexadecimal digits",
        encap(3, outer=sub(2, sub(1, hex6[0]), sub(2, hex6[1]))))
    got = pb.IpTunnelResponse.FromString(raw_get(c, 3)).ip_tunnel
    equal("is raw when read",
          (got.geneve.geneve_encap.outer_ipv6_pair.source_ip,
           got.geneve.geneve_encap.outer_ipv6_pair.destination_ip),
          (bytes.fromhex(hex6[0].decode()), bytes.fromhex(hex6[1].decode())))

    refused(c, "an IPv6 address of 15 bytes",
            encap(4, outer=sub(2, sub(1, bytes(15)), sub(2, bytes(16)))),
            pb.TunnelAdditionError(match_error=pb.INVALID_FIELD))
    refused(c, "a MAC of 7 bytes",
            encap(4, mac=sub(3, sub(1, bytes(7)), sub(2, bytes(6)))),
            pb.TunnelAdditionError(match_error=pb.INVALID_FIELD))
    refused(c, "a prefix of 0 bits with an address", encap(4, match=PORT + sub(
        3, f32(3, IP_3_3_3_3))),
            pb.TunnelAdditionError(match_error=pb.INVALID_FIELD))
    refused(c, "a prefix of 33 bits", encap(4, match=PORT + sub(
        3, f32(3, IP_14_0_0_1), vi(4, 33))),
            pb.TunnelAdditionError(match_error=pb.INVALID_FIELD))
    raw_create(c, *[vi(1, i) + vi(2, 3) for i in (1, 2, 3)])


def quirks(c):
    refused(c, "next_action left out", encap(1, action=0),
            pb.TunnelAdditionError(match_error=pb.MISING_FIELDS))
    refused(c, "operation left out", encap(1, operation=0),
            pb.TunnelAdditionError(match_error=pb.MISING_FIELDS))
    refused(c, "a VNI of 25 bits", encap(1, vni=2**24),
            pb.TunnelAdditionError(geneve_error=pb.INVALID_GENEVE_FIELD))
    refused(c, "another protocol type", encap(1, extra=vi(8, 0x0800)),
            pb.TunnelAdditionError(geneve_error=pb.INVALID_GENEVE_FIELD))
    one(c, "protocol type 0x6558", encap(1, extra=vi(8, 0x6558)))
    one(c, "and it goes", vi(1, 1) + vi(2, 3))

    option = sub(9, vi(1, 0x0104), vi(2, 0x80), vi(3, 1), sub(4, b"\1\2\3\4"))
    refused(c, "a critical option without the C bit", encap(1, extra=option),
            pb.TunnelAdditionError(geneve_error=pb.INVALID_GENEVE_FIELD))
    plain = sub(9, vi(1, 0x0104), vi(2, 1), vi(3, 4), sub(4, b"\1\2\3\4"))
    one(c, "an option, option_length 4 as existing clients send it",
        encap(1, extra=vi(4, 4) + plain))
    refused(c, "the same option twice", encap(2, extra=plain + plain),
            pb.TunnelAdditionError(geneve_error=pb.INVALID_OPTION))
    refused(c, "option data of 3 bytes", encap(2, extra=sub(
        9, vi(1, 0x0104), vi(2, 2), sub(4, b"\1\2\3"))),
            pb.TunnelAdditionError(geneve_error=pb.INVALID_OPTION))
    refused(c, "option data of 128 bytes", encap(2, extra=sub(
        9, vi(1, 0x0104), vi(2, 2), sub(4, bytes(128)))),
            pb.TunnelAdditionError(geneve_error=pb.INVALID_OPTION))
    one(c, "and it goes", vi(1, 1) + vi(2, 3))

    match_error = pb.TunnelAdditionError(match_error=pb.INVALID_FIELD)
    refused(c, "an interface name that is not UTF-8",
            encap(1, match=sub(1, b"vm\xff")), match_error)
    refused(c, "an interface name with a NUL",
            encap(1, match=sub(1, b"vm\x001")), match_error)
    refused(c, "an interface name of 16 bytes",
            encap(1, match=sub(1, b"a" * 16)), match_error)

    # A decap rule that names a tunnel and has no geneve_match, which is
    # implied: what is wrong with it is only that there is no such tunnel.
    refused(c, "a decap without geneve_match but with a tunnel_id",
            vi(1, 20001) + vi(2, 1) + sub(3, vi(5, 20000)) + vi(4, 1)
            + sub(6, sub(2)),
            pb.TunnelAdditionError(match_error=pb.INVALID_TUNNEL_ID))


def unknown_fields(c):
    # A later version of the API may add fields: they are skipped.
    one(c, "fields that nobody knows are skipped",
        encap(1, extra=vi(500, 7)) + sub(999, b"later"))
    raw_create(c, vi(1, 1) + vi(2, 3))


def ipsec(c):
    sa = sub(3, vi(1, 600), sub(2, b"0123456789abcdef" * 4))
    answer = refused(
        c, "IPsec is not supported yet",
        vi(1, 1) + vi(2, 1) + sub(3, PORT) + vi(4, 1)
        + sub(5, sub(1, vi(1, 1), vi(2, 2), sa, sub(
            4, f32(1, IP_5_5_5_5), f32(2, IP_6_6_6_6)))),
        pb.TunnelAdditionError(tunnel_error=pb.NOT_SUPPORTED_TUNNEL))
    equal("and the key is not in the answer",
          b"0123456789abcdef" in answer.SerializeToString(), False)


def main():
    with Client() as c:
        equal("the table is empty at first", c.ids(), [])
        addresses(c)
        quirks(c)
        unknown_fields(c)
        ipsec(c)
        equal("the table is empty at the end", c.ids(), [])


run(main)
