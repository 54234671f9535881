# SPDX-License-Identifier: Apache-2.0
"""Frames onto the wire and off it, for shell scripts.  It knows Ethernet, IP and
UDP and nothing of Geneve: what is inside a UDP datagram is shown as it is.

    frames.py send NETNS DEVICE COUNT HEX...    a raw frame, COUNT times
    frames.py udp NETNS SOURCE DESTINATION COUNT HEX...
                                                a UDP datagram to port 6081
    frames.py sink NETNS                        takes what others of these commands
                                                send to it, so that it sends no ICMP
    frames.py ip DST-MAC SRC-MAC SOURCE DESTINATION [vlan=VID] [data=HEX]
                                                prints a frame of IP protocol 253
                                                (IPv4) or 59 (IPv6), in hex
    frames.py frames FILE                       the frames of a pcap, in hex
    frames.py datagrams FILE                    each UDP datagram of a pcap:
                                                "SRC > DST ttl N port N: PAYLOAD";
                                                complains of wrong checksums
    frames.py mark FILE...                      remembers where these logs end now
    frames.py warnings FILE                     its WARN, ERR and EMER lines since
    frames.py serve REQUESTS ANSWERS            commands from a fifo (serve.py)

HEX may have spaces.  NETNS is a name as for "ip netns".
"""

import ctypes
import ipaddress
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import serve                                            # noqa: E402

CLONE_NEWNET = 0x40000000
GENEVE_PORT = 6081
PROTOCOL = 253          # For experiments (RFC 3692).
SINK_PORT = 2000
libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    with open(path, "rb") as netns:
        if libc.setns(netns.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns " + path)


def make_socket(netns, *args):
    """A socket in another network namespace, where it stays."""
    enter("/run/netns/" + netns)
    try:
        return socket.socket(*args)
    finally:
        enter("/proc/1/ns/net")


def from_hex(words):
    return bytes.fromhex("".join(words))


def cmd_send(netns, device, count, *words):
    frame = from_hex(words)
    with make_socket(netns, socket.AF_PACKET, socket.SOCK_RAW, 0) as s:
        s.bind((device, 0))
        for _ in range(int(count)):
            s.send(frame)


def cmd_udp(netns, source, destination, count, *words):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with make_socket(netns, family, socket.SOCK_DGRAM, 0) as s:
        s.bind((source, 0))
        for _ in range(int(count)):
            s.sendto(from_hex(words), (destination, GENEVE_PORT))


sinks = []


def cmd_sink(netns):
    sinks.append(make_socket(netns, socket.AF_INET, socket.SOCK_RAW, PROTOCOL))
    sinks.append(make_socket(netns, socket.AF_INET, socket.SOCK_DGRAM, 0))
    sinks[-1].bind(("", SINK_PORT))


# ---- Making frames.

def checksum(data):
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return 0xffff - total


def cmd_ip(dst_mac, src_mac, source, destination, *more):
    keys = dict(word.split("=") for word in more)
    data = bytes.fromhex(keys.pop("data", "5a"))
    vlan = keys.pop("vlan", None)
    if keys:
        raise ValueError("what is %s?" % keys)
    src, dst = map(ipaddress.ip_address, (source, destination))
    frame = bytes.fromhex((dst_mac + src_mac).replace(":", ""))
    if vlan:
        frame += struct.pack("!HH", 0x8100, int(vlan))
    if src.version == 4:
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 64,
                             PROTOCOL, 0) + src.packed + dst.packed
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        frame += struct.pack("!H", 0x0800) + header
    else:
        frame += struct.pack("!HIHBB", 0x86dd, 6 << 28, len(data), 59, 64)
        frame += src.packed + dst.packed
    print((frame + data).hex())


# ---- Reading frames.

def pcap(path):
    """The frames of a capture of Ethernet."""
    with open(path, "rb") as f:
        data = f.read()
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    if struct.unpack(order + "I", data[20:24])[0] != 1:
        raise ValueError(path + ": not Ethernet")
    at = 24
    while at + 16 <= len(data):
        length, = struct.unpack(order + "I", data[at + 8:at + 12])
        at += 16
        if at + length > len(data):
            break                       # Still being written.
        yield data[at:at + length]
        at += length


def cmd_frames(path):
    for frame in pcap(path):
        print(frame.hex())


def datagram(frame):
    """The line for one frame, or None if it is no whole UDP datagram."""
    faults = []
    ether_type, = struct.unpack("!H", frame[12:14])
    packet = frame[14:]
    if ether_type == 0x0800 and packet[9] == 17:
        size = (packet[0] & 15) * 4
        total, ttl = struct.unpack("!H", packet[2:4])[0], packet[8]
        addresses = packet[12:20]
        if checksum(packet[:size]):
            faults.append("wrong IP checksum")
        tos = packet[1]
        body = packet[size:total]
        source, destination = map(ipaddress.IPv4Address,
                                  (packet[12:16], packet[16:20]))
    elif ether_type == 0x86dd and packet[6] == 17:
        total, ttl = 40 + struct.unpack("!H", packet[4:6])[0], packet[7]
        addresses = packet[8:40]
        tos = struct.unpack("!H", packet[:2])[0] >> 4 & 0xff
        body = packet[40:total]
        source, destination = map(ipaddress.IPv6Address,
                                  (packet[8:24], packet[24:40]))
    else:
        return None
    _, port, length, udp_sum = struct.unpack("!HHHH", body[:8])
    if total > len(packet) or length != len(body):
        faults.append("wrong length")
    pseudo = addresses + struct.pack("!IBBBB", length, 0, 0, 0, 17)
    if not udp_sum:
        faults.append("no UDP checksum")
    elif checksum(pseudo + body):
        faults.append("wrong UDP checksum")
    if tos:
        faults.append("tos 0x%x" % tos)
    return "%s > %s ttl %d port %d: %s%s" % (
        source, destination, ttl, port, body[8:].hex(),
        "".join(" (%s)" % f for f in faults))


def cmd_datagrams(path):
    for frame in pcap(path):
        line = datagram(frame)
        if line:
            print(line)


# ---- Logs.

marks = {}


def size(path):
    return os.stat(path).st_size if os.path.exists(path) else 0


def cmd_mark(*paths):
    for path in paths:
        marks[path] = size(path)


def cmd_warnings(path):
    if size(path) == marks[path]:
        return
    with open(path, "rb") as f:
        f.seek(marks[path] if size(path) > marks[path] else 0)
        for line in f.read().decode(errors="replace").splitlines():
            if any(level in line for level in ("|WARN|", "|ERR|", "|EMER|")):
                print(line)


serve.main({"send": cmd_send, "udp": cmd_udp, "sink": cmd_sink, "ip": cmd_ip,
            "frames": cmd_frames, "datagrams": cmd_datagrams,
            "mark": cmd_mark, "warnings": cmd_warnings}, sys.argv[1:])
