#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Geneve decapsulation: datagrams of the peer, written by hand from RFC 8926, and what
# of them arrives at VM 1; and the Linux kernel's own geneve device as the peer.
#
# lab: -n 3
# shellcheck source=tests/lab/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

# An Ethernet frame from the peer to VM 1, by hand; see encap.sh. IPv4 checksum:
# 4500 + 0020 + 0001 + 4011 + 0a00 + 0009 + 0a00 + 0001 = 993c.
INNER="525400000001525400000009080045000020000100004011 66c3 0a0000090a00000103e807d0000c000074657374"
INNER=${INNER// /}
ARRIVES="ether src $PEER_MAC"

FROM_PEER="src=172.16.0.9/32 dst=172.16.0.1/32"

case_begin "decapsulation"
# shellcheck disable=SC2086
check "$CASE: created" tunnel 1 send decap 7 $FROM_PEER gvni=0x1234 \
    , decap 8 $FROM_PEER gvni=0 , decap 9 $FROM_PEER gvni=0xffffff
capture arrived vm1 eth0 "$ARRIVES"
peer_udp "0000655800123400 $INNER" 2
peer_udp "0000655800000000 $INNER" 3
peer_udp "00006558ffffff00 $INNER" 4
# The O bit, a reserved bit and options do not change what is inside.
peer_udp "0080655800123400 $INNER" 1
peer_udp "02006558001234ff 01020301aabbccdd $INNER" 1
peer_udp "0300655800123400 0102030211223344 aabbccdd $INNER" 1
# Nobody's: an unknown VNI, an unknown version, another protocol type.
peer_udp "0000655800123500 $INNER" 5
peer_udp "4000655800123400 $INNER" 5
peer_udp "0000080000123400 ${INNER:28}" 5
all=()
for ((i = 0; i < 12; i++)); do
    all+=("$INNER")
done
assert_frames "$CASE: only the inner frames, unchanged" arrived "${all[@]}"
assert_stats "$CASE: counted" 1 "7: in 5/230 out 0/0 in-drops 0/0 out-drops 0/0" \
    "8: in 3/138 out 0/0 in-drops 0/0 out-drops 0/0" \
    "9: in 4/184 out 0/0 in-drops 0/0 out-drops 0/0"
# What no tunnel takes is counted by a flow of the pipeline itself.
dropped_is() {
    hv 1 ovs-ofctl -O OpenFlow15 dump-flows br-int cookie=0x746e000000000000/0xffffff0000000000 |
        grep -q " table=11, n_packets=$1,.* actions=drop$"
}
check "$CASE: the unknown VNI was dropped and counted" wait_until 5 dropped_is 5

# Only from this source; only to that destination; by VNI alone.
check "$CASE: outer addresses: created" tunnel 1 send decap 11 src=172.16.0.9/32 gvni=1 , \
    decap 12 src=172.16.0.8/32 gvni=2 , decap 13 dst=172.16.0.1/32 gvni=3 , \
    decap 14 dst=172.16.0.7/32 gvni=4 , decap 15 src=172.16.0.0/28 dst=172.16.0.0/31 gvni=5 , \
    decap 16 src=172.16.0.0/29 gvni=6 , decap 17 gvni=7
capture arrived vm1 eth0 "$ARRIVES"
for i in 1 2 3 4 5 6 7; do
    peer_udp "000065580000 0${i}00 $INNER" "$i"
done
for ((i = ${#all[@]}; i < 16; i++)); do
    all+=("$INNER")
done
assert_frames "$CASE: outer addresses: what arrives" arrived "${all[@]}"
none="out 0/0 in-drops 0/0 out-drops 0/0"
assert_stats "$CASE: outer addresses: counted" 1 "11: in 1/46 $none" "12: in 0/0 $none" \
    "13: in 3/138 $none" "14: in 0/0 $none" "15: in 5/230 $none" "16: in 0/0 $none" \
    "17: in 7/322 $none"
case_end

# RFC 8926, 3.5: who does not know a critical option must drop the packet.  The switch knows
# those that it sends itself.
case_begin "critical options"
check "$CASE: created" tunnel 1 send decap 1 gvni=1 , decap 2 gvni=2 , \
    encap 8 in=vm1 dst=10.9.9.9/32 remote=172.16.0.9 critical=1 opt=0102:83:00000000
capture arrived vm1 eth0 "$ARRIVES"
peer_udp "0240655800000200 01028401aabbccdd $INNER" 1
peer_udp "0240655800000100 01028301aabbccdd $INNER" 2
assert_frames "$CASE: what arrives" arrived "$INNER" "$INNER"
assert_stats "$CASE: counted" 1 "1: in 2/92 out 0/0 in-drops 0/0 out-drops 0/0" \
    "2: in 0/0 out 0/0 in-drops 0/0 out-drops 0/0"
allow_log 'ofproto_dpif_xlate\(.*Invalid Geneve tunnel metadata on bridge br-int while processing'
case_end

case_begin "the kernel's geneve device"
peer_geneve 4660
# shellcheck disable=SC2086
check "$CASE: created" tunnel 1 send decap 1 $FROM_PEER gvni=0x1234 \
    , encap 2 in=vm1 dst=10.0.0.9/32 remote=172.16.0.9 vni=0x1234
capture wire peer p0 'udp port 6081'
check "$CASE: VM 1 pings it" vm 1 ping -q -i 0.05 -W 2 -c 5 -s 32 10.0.0.9
check "$CASE: it pings VM 1" peer \
    ping -q -i 0.05 -W 2 -c 4 -s 32 10.0.0.1
wait_until 5 seen wire 18
check "$CASE: the capture is complete" capture_stop wire
assert_eq "$CASE: the wire" \
    "$(datagrams wire | sed 's/\(: [0-9a-f]*0800\)45[0-9a-f]*/\1/' | sort | uniq -c)" \
"      9 172.16.0.1 > 172.16.0.9 ttl 64 port 6081: 00006558001234005254000000095254000000010800
      9 172.16.0.9 > 172.16.0.1 ttl 64 port 6081: 00006558001234005254000000015254000000090800 (no UDP checksum)"
assert_stats "$CASE: counted" 1 "1: in 9/666 out 0/0 in-drops 0/0 out-drops 0/0" \
    "2: in 0/0 out 9/666 in-drops 0/0 out-drops 0/0"
peer_geneve_gone
case_end

case_begin "FORWARD is the bridge's NORMAL action, or a drop"
# shellcheck disable=SC2086
check "$CASE: created" tunnel 1 send decap 7 $FROM_PEER gvni=1
# The switch learns where VM 11 is, and from then on only VM 11 gets its packets.
to11=$(frame "$(vm_mac 11)" $PEER_MAC 10.0.0.9 10.0.0.11)
from1=$(frame "$(vm_mac 11)" "$(vm_mac 1)" 10.0.0.1 10.0.0.11)
from11=$(frame "$(vm_mac 1)" "$(vm_mac 11)" 10.0.0.11 10.0.0.1)
capture arrived1 vm1 eth0 "ip and ($ARRIVES or ether src $(vm_mac 11))"
capture arrived11 vm11 eth0 "ip and ($ARRIVES or ether src $(vm_mac 1))"
send 11 "$from11"
wait_until 5 seen arrived1 1
peer_udp "0000655800000100 $to11" 2
send 1 "$from1" 3
wait_until 5 seen arrived11 5
check "$CASE: drop is the default now" set_default 1 drop
peer_udp "0000655800000100 $to11" 4
send 1 "$from1" 5
assert_stats "$CASE: taken, and dropped later" 1 "7: in 6/210 $none"
check "$CASE: normal is the default again" set_default 1 normal
send 11 "$from11"
wait_until 5 seen arrived1 2
peer_udp "0000655800000100 $to11" 1
assert_frames "$CASE: VM 11 got what came while it was normal" arrived11 "$to11" "$to11" \
    "$from1" "$from1" "$from1" "$to11"
assert_frames "$CASE: VM 1 got nothing of that" arrived1 "$from11" "$from11"
case_end

finish
