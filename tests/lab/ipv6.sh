#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# IPv6 outside and inside, and beside IPv4.
#
# lab: -n 3
# shellcheck source=tests/lab/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

# By hand: Ethernet, type 0x86dd; IPv6 (RFC 8200): version 6, payload length 4, no next
# header (59), hop limit 64, fd00:10::1 > fd00:10::9; 4 bytes.
V6="86dd 60000000 00043b40 fd000010000000000000000000000001 fd000010000000000000000000000009 74657374"
V6=${V6// /}
OUT6=525400000009525400000001$V6
V6BACK="86dd 60000000 00043b40 fd000010000000000000000000000009 fd000010000000000000000000000001 74657374"
IN6=525400000001525400000009${V6BACK// /}
# And IPv4, as in encap.sh and decap.sh.
OUT4=525400000009525400000001080045000020000100004011
OUT4+=66c30a0000010a00000903e807d0000c000074657374
IN4=525400000001525400000009080045000020000100004011
IN4+=66c30a0000090a00000103e807d0000c000074657374
drops="in-drops 0/0 out-drops 0/0"

# A datapath flow that looked at both tun_src and tun_ipv6_src would be refused by the
# kernel, and every packet would go to ovs-vswitchd.
misses() { hv 1 ovs-dpctl show | sed -n 's/.*missed:\([0-9]*\).*/\1/p'; }

case_begin "IPv6 outside and inside, beside IPv4"
check "$CASE: created" tunnel 1 send \
    encap 1 in=vm1 dst=10.0.0.9/32 local=fd00:16::1 remote=fd00:16::9 vni=0x1234 , \
    encap 2 in=vm1 dst=fd00:10::9/128 remote=fd00:16::9 vni=0xabcdef oam=1 critical=1 \
        opt=0102:83:aabbccdd , \
    encap 3 in=vm11 dst=fd00:10::9/128 remote=172.16.0.9 vni=9 , \
    decap 4 src=fd00:16::9/128 dst=fd00:16::1/128 gvni=1 , \
    decap 5 src=fd00:16::/64 gvni=2 , decap 6 src=fd00:17::/64 gvni=3 , \
    decap 7 src=172.16.0.9/32 gvni=1 gdst=fd00:10::1/128 , \
    decap 8 src=172.16.0.9/32 dst=172.16.0.1/32 gvni=2 , decap 9 gvni=4 , \
    decap 10 src=172.16.0.9/32 gvni=5 next=recirculate , \
    encap 11 after=10 dst=10.0.0.1/32 remote=172.16.0.9 vni=11 , \
    decap 12 src=fd00:16::9/128 gvni=5 next=recirculate , \
    encap 13 after=12 dst=10.0.0.1/32 remote=fd00:16::9 vni=13
capture wire peer p0 'udp port 6081 and (src host 172.16.0.1 or src host fd00:16::1)'
capture arrived vm1 eth0 "ether src $PEER_MAC"
send 1 $OUT4
send 1 $OUT6
send 11 $OUT6
peer_udp6 "0000655800000100 $IN4"
peer_udp6 "0240655800000200 01028301aabbccdd $IN6" 2
peer_udp6 "0000655800000300 $IN6" 3
peer_udp "0000655800000100 $IN6"
peer_udp "0000655800000100 $IN4"
peer_udp "0000655800000200 $IN4"
peer_udp6 "0000655800000400 $IN6" 2
peer_udp "0000655800000400 $IN6" 3
peer_udp "0000655800000500 $IN4"
peer_udp6 "0000655800000500 $IN4"
V4="172.16.0.1 > 172.16.0.9 ttl 64 port 6081:" V6="fd00:16::1 > fd00:16::9 ttl 64 port 6081:"
assert_datagrams "$CASE: the wire" wire \
    "$V6 0000655800123400$OUT4" "$V6 02c06558abcdef0001028301aabbccdd$OUT6" \
    "$V4 0000655800000900$OUT6" "$V4 0000655800000b00$IN4" "$V6 0000655800000d00$IN4"
assert_frames "$CASE: VM 1" arrived $IN4 $IN6 $IN6 $IN6 $IN4 $IN6 $IN6 $IN6 $IN6 $IN6
assert_stats "$CASE: counted" 1 "$(stat_out 1 1 46)" "$(stat_out 2 1 58)" "$(stat_out 3 1 58)" \
    "$(stat_in 4 1 46)" "$(stat_in 5 2 58)" "$(stat_in 6 0 58)" "$(stat_in 7 1 58)" "$(stat_in 8 1 46)" "$(stat_in 9 5 58)" \
    "$(stat_in 10 1 46)" "$(stat_out 11 1 46)" "$(stat_in 12 1 46)" "$(stat_out 13 1 46)"

# Much of that again. After the first packet of a kind the kernel does it alone.
capture wire peer p0 'udp port 6081 and (src host 172.16.0.1 or src host fd00:16::1)'
capture arrived vm1 eth0 "ether src $PEER_MAC"
hv 1 ovs-vsctl set Open_vSwitch . other_config:max-idle=60000
again() {
    send 1 $OUT4 "$1"
    send 1 $OUT6 "$1"
    peer_udp6 "0000655800000100 $IN4" "$1"
    peer_udp "0000655800000200 $IN4" "$1"
    peer_udp6 "0000655800000400 $IN6" "$1"
    peer_udp "0000655800000400 $IN6" "$1"
    peer_udp "0000655800000500 $IN4" "$1"
    peer_udp6 "0000655800000500 $IN4" "$1"
}
came() { [ $(($(frames_of wire | wc -l) + $(frames_of arrived | wc -l))) -ge $((8 * $1)) ]; }
again 1
wait_until 10 came 1
# A flow that does not survive the switch's own check of it would be gone now.
settled 1
before=$(misses)
again 50
wait_until 10 came 51
missed=$(($(misses) - before))
hv 1 ovs-vsctl remove Open_vSwitch . other_config max-idle
check "$CASE: the captures are complete" eval "capture_stop wire && capture_stop arrived"
assert_eq "$CASE: everything arrived" "$(($(frames_of wire | wc -l) + $(frames_of arrived | wc -l)))" \
    $((8 * 51))
check "$CASE: $missed of 400 packets went to ovs-vswitchd" test $missed -lt 8
assert_stats "$CASE: counted" 1 "$(stat_out 1 52 46)" "$(stat_out 2 52 58)" \
    "$(stat_in 4 52 46)" "$(stat_in 8 52 46)" "$(stat_in 9 107 58)" \
    "$(stat_in 10 52 46)" "$(stat_out 11 52 46)" "$(stat_in 12 52 46)" "$(stat_out 13 52 46)"
case_end

# The kernel refuses a flow that has addresses of both families: each packet is handled by
# ovs-vswitchd, which complains.
case_begin "from IPv4 to IPv6 and back"
check "$CASE: created" tunnel 1 send \
    decap 1 src=172.16.0.9/32 gvni=6 next=recirculate , \
    encap 2 after=1 dst=10.0.0.1/32 remote=fd00:16::9 vni=15 , \
    decap 3 src=fd00:16::9/128 gvni=7 next=recirculate , \
    encap 4 after=3 dst=10.0.0.1/32 remote=172.16.0.9 vni=17
capture wire peer p0 'udp port 6081 and (src host 172.16.0.1 or src host fd00:16::1)'
peer_udp "0000655800000600 $IN4" 2
peer_udp6 "0000655800000700 $IN4" 2
assert_datagrams "$CASE: the wire" wire \
    "$V6 0000655800000f00$IN4" "$V6 0000655800000f00$IN4" \
    "$V4 0000655800001100$IN4" "$V4 0000655800001100$IN4"
assert_stats "$CASE: counted" 1 "$(stat_in 1 2 46)" "$(stat_out 2 2 46)" \
    "$(stat_in 3 2 46)" "$(stat_out 4 2 46)"
allow_log 'dpif\(handler[0-9]*\)\|WARN\|system@ovs-system: failed to put\[create\] \(Invalid argument\)'
allow_log 'dpif\(handler[0-9]*\)\|WARN\|Dropped [0-9]* log messages'
case_end

case_begin "the kernel's geneve device over IPv6"
peer_geneve 77 fd00:16::1
peer_geneve_ip6
check "$CASE: created" tunnel 1 send \
    decap 1 src=fd00:16::9/128 gvni=77 gdst=10.0.0.1/32 , \
    decap 2 src=fd00:16::9/128 gvni=77 gdst=fd00:10::1/128 , \
    encap 3 in=vm1 dst=10.0.0.9/32 remote=fd00:16::9 vni=77 , \
    encap 4 in=vm1 dst=fd00:10::9/128 remote=fd00:16::9 vni=77
check "$CASE: VM 1 pings it over IPv4" vm 1 ping -q -i 0.05 -W 2 -c 3 10.0.0.9
check "$CASE: and over IPv6" vm 1 ping -q -i 0.05 -W 2 -c 4 fd00:10::9
check "$CASE: it pings VM 1 over IPv6" peer ping -q -i 0.05 -W 2 -c 2 fd00:10::1
assert_stats "$CASE: counted" 1 "1: in 3/294 out 0/0 $drops" "2: in 6/708 out 0/0 $drops" \
    "3: in 0/0 out 3/294 $drops" "4: in 0/0 out 6/708 $drops"
peer_geneve_gone
case_end

finish
