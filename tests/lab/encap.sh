#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Geneve encapsulation: what leaves hypervisor 1, byte by byte as RFC 8926 has it.
#
# lab: -n 3
# shellcheck source=tests/lab/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

# An Ethernet frame from VM 1 to the peer, written down by hand.
#   Ethernet   to 52:54:00:00:00:09 from 52:54:00:00:00:01, type 0x0800
#   IPv4       10.0.0.1 > 10.0.0.9, total length 32, id 1, TTL 64, UDP
#   UDP        port 1000 > 2000, length 12, no checksum; 4 bytes of data
# Packet n of a case goes to 10.0.1.n, with n in the data, too; sum(n) is the header's
# checksum: one's complement of 4500 + 0020 + 0001 + 4011 + 0a00 + 0001 + 0a00 + 0100 + n.
MACS="525400000009 525400000001"
sum() { printf '%04x' $((0xffff - 0x9a33 - $1)); }
rest() {
    printf '0800 45000020 00010000 4011%s 0a000001 0a0001%02x 03e807d0000c0000 746573%02x' \
        "$(sum "$1")" "$1" "$1"
}
squeeze() { echo "${*// /}"; }

# request GENEVE-HEADER KEY=VALUE...: one more tunnel, the packet it takes, and the
# datagram which that must become.  MACS_OUT: the MACs in there.
requests=() sent=() datagrams=() counters=()
request() {
    local header=$1 n=$((${#sent[@]} + 1))
    shift
    [ $n -eq 1 ] || requests+=(",")
    requests+=(encap "$n" in=vm1 "dst=10.0.1.$n/32" remote=172.16.0.9 "$@")
    sent+=("$(squeeze "$MACS$(rest $n)")")
    datagrams+=("172.16.0.1 > 172.16.0.9 ttl 64 port 6081: $(
        squeeze "$header${MACS_OUT:-$MACS}$(rest $n)")")
    counters+=("$n: in 0/0 out 1/46 in-drops 0/0 out-drops 0/0")
}

# One stream with all requests, one packet for each.
run_case() {
    local hex
    case_begin "$1"
    check "$1: created" tunnel 1 send "${requests[@]}"
    capture encap peer p0 'udp port 6081 and src host 172.16.0.1'
    for hex in "${sent[@]}"; do
        send 1 "$hex"
    done
    assert_datagrams "$1: the wire" encap "${datagrams[@]}"
    assert_stats "$1: counted" 1 "${counters[@]}"
    case_end
    requests=() sent=() datagrams=() counters=()
}

# RFC 8926, section 3.4: version 0 and option length in 4-byte words (1 byte), O, C and
# reserved bits (1), protocol type 0x6558, VNI (3), reserved (1).
request "00 00 6558 001234 00" local=172.16.0.1 vni=0x1234
request "00 00 6558 ffffff 00" vni=0xffffff
request "00 00 6558 000000 00" local=172.16.0.1 vni=0
request "00 80 6558 001234 00" local=172.16.0.1 vni=0x1234 oam=1
MACS_OUT="0a0b0c0d0e0f 525400000001" request "00 00 6558 001234 00" vni=0x1234 \
    imac-dst=0a:0b:0c:0d:0e:0f
MACS_OUT="525400000009 020304050607" request "00 00 6558 001234 00" vni=0x1234 \
    imac-src=02:03:04:05:06:07
MACS_OUT="0a0b0c0d0e0f 020304050607" request "00 00 6558 001234 00" vni=0x1234 \
    imac-dst=0a:0b:0c:0d:0e:0f imac-src=02:03:04:05:06:07

# Section 3.5: option class (2), type with the critical bit 0x80 (1), reserved bits
# and length of the data in words (1), data.
request "02 00 6558 001234 00  0102 03 01 aabbccdd" vni=0x1234 opt=0102:03:aabbccdd
request "02 40 6558 001234 00  0102 83 01 aabbccdd" \
    vni=0x1234 opt=0102:83:aabbccdd critical=1
request "09 c0 6558 abcdef 00  0102 83 01 11223344  ff00 00 03 000102030405060708090a0b  0102 04 02 0000000000000000" \
    vni=0xabcdef oam=1 critical=1 opt=0102:83:11223344 \
    opt=ff00:00:000102030405060708090a0b opt=0102:04:0000000000000000
run_case "headers and options"

long=$(printf '%02x' {1..124})
request "20 00 6558 001234 00  0103 07 1f $long" vni=0x1234 "opt=0103:07:$long"

# As many options as are announced: n times 8 bytes.
n=$(tunnel 1 caps)
assert_eq "number of options that are announced" "$n" 31
options=() header=$(printf '%02x 00 6558 001234 00 ' $((2 * n)))
for ((i = 0; i < n; i++)); do
    options+=("$(printf 'opt=0110:%02x:c0ffee%02x' $i $i)")
    header+=$(printf ' 0110 %02x 01 c0ffee%02x' $i $i)
done
request "$header" vni=0x1234 "${options[@]}"
run_case "the longest option and the largest number"

finish
