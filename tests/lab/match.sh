#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Which tunnel takes a packet: every field of a match, and the longer prefix. The VNI on
# the wire, or the counters, say which tunnel it was.
#
# lab: -n 3
# shellcheck source=tests/lab/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

expected=()
# packet VM VNI FRAME-ARGS...: VM sends a frame that the tunnel with this VNI (none: no
# tunnel) must take; the tunnels' ids are their VNIs.
packet() {
    local vm=$1 vni=$2 hex
    shift 2
    hex=$(frame "$@")
    send "$vm" "$hex"
    [ "$vni" = none ] || expected+=("172.16.0.1 > 172.16.0.9 ttl 64 port 6081: 00006558$(
        printf '%06x' "$vni")00$hex")
}
to() { echo "remote=172.16.0.9 vni=$1"; }

case_begin "interface, tag, MACs, prefixes"
A=02:00:00:00:00:aa B=02:00:00:00:00:bb M1=$(vm_mac 1) M11=$(vm_mac 11)
# shellcheck disable=SC2046
check "$CASE: created" tunnel 1 send \
    encap 1 in=vm1 dst=10.1.1.1/32 $(to 1) , encap 2 in=vm11 dst=10.1.1.1/32 $(to 2) , \
    encap 3 dst=10.1.3.1/32 $(to 3) , encap 4 in=vm1 dst=10.1.4.1/32 $(to 4) , \
    encap 5 mac-dst=$A $(to 5) , encap 6 mac-src=$A $(to 6) , \
    encap 7 mac-dst=$A mac-src=$B $(to 7) , \
    encap 8 dst=10.1.8.0/24 $(to 8) , encap 9 dst=10.1.8.128/25 $(to 9) , \
    encap 11 dst=10.1.11.128/25 $(to 11) , encap 10 dst=10.1.11.0/24 $(to 10) , \
    encap 12 src=10.2.0.0/16 $(to 12) , encap 13 src=10.2.0.0/16 dst=10.3.0.0/16 $(to 13) , \
    encap 14 dst=fd00:11::/64 $(to 14) , encap 15 dst=fd00:11::8000/113 $(to 15) , \
    encap 16 src=fd00:12::1/128 $(to 16)
capture wire peer p0 'udp port 6081'

packet 1 1 $B $M1 10.0.0.1 10.1.1.1
packet 11 2 $B $M11 10.0.0.11 10.1.1.1

# Without an interface: any, but untagged traffic only. With one: all of it.
packet 1 3 $B $M1 10.0.0.1 10.1.3.1
packet 11 3 $B $M11 10.0.0.11 10.1.3.1
packet 1 none $B $M1 10.0.0.1 10.1.3.1 vlan=5
packet 1 4 $B $M1 10.0.0.1 10.1.4.1
packet 1 4 $B $M1 10.0.0.1 10.1.4.1 vlan=5
packet 11 none $B $M11 10.0.0.11 10.1.4.1

packet 1 5 $A $M1 10.0.0.1 10.9.9.9
packet 1 5 $A $M1 fd00::1 fd00::2
packet 1 none $A $M1 10.0.0.1 10.9.9.9 vlan=5
packet 1 6 $B $A 10.0.0.1 10.9.9.9
packet 1 7 $A $B 10.0.0.1 10.9.9.9
packet 1 none $B $M1 10.0.0.1 10.9.9.9

# Two that differ only in the length of the prefix, created in both orders.
packet 1 8 $B $M1 10.0.0.1 10.1.8.127
packet 1 9 $B $M1 10.0.0.1 10.1.8.128
packet 1 10 $B $M1 10.0.0.1 10.1.11.127
packet 1 11 $B $M1 10.0.0.1 10.1.11.255
packet 1 none $B $M1 10.0.0.1 10.1.12.1
packet 1 12 $B $M1 10.2.255.1 10.9.9.9
packet 1 13 $B $M1 10.2.255.1 10.3.9.9
packet 1 none $B $M1 10.3.0.1 10.2.0.1

packet 1 14 $B $M1 fd00::1 fd00:11::7fff
packet 1 15 $B $M1 fd00::1 fd00:11::8001
packet 1 16 $B $M1 fd00:12::1 fd00::1
packet 1 none $B $M1 fd00:12::2 fd00::1

assert_datagrams "$CASE: the wire" wire "${expected[@]}"
none="in 0/0 out"
drops="in-drops 0/0 out-drops 0/0"
assert_stats "$CASE: counted" 1 "1: $none 1/35 $drops" "3: $none 2/70 $drops" \
    "4: $none 2/74 $drops" "5: $none 2/90 $drops" "9: $none 1/35 $drops" \
    "15: $none 1/55 $drops"
case_end

case_begin "the fields of geneve_match"
check "$CASE: created" tunnel 1 send \
    decap 1 gvni=5 , decap 2 gvni=5 gmac-dst="$M1" , decap 3 gvni=5 gmac-src=$A , \
    decap 4 gvni=5 gdst=10.0.0.1/32 , decap 5 gvni=5 gdst=10.0.0.0/24 , \
    decap 6 gvni=5 gsrc=10.3.0.0/16 , decap 7 gvni=5 gdst=fd00:10::1/128 , \
    decap 8 gvni=5 gdst=fd00:10::/64 , decap 9 gvni=5 gmac-dst="$M1" gdst=10.0.0.1/32 , \
    decap 10 gvni=5 gdst=10.0.0.0/24 gmac-dst=$B gmac-src=$A , \
    decap 11 gvni=5 gsrc=fd00:3::/32

arrives() {
    local n=$1
    shift
    peer_udp "0000655800000500 $(frame "$@")" "$n"
}
arrives 9 "$M1" $B 10.9.9.9 10.0.0.1
arrives 4 "$M11" $B 10.9.9.9 10.0.0.1
arrives 5 "$M11" $B 10.9.9.9 10.0.0.77
arrives 2 "$M1" $B 10.9.9.9 10.9.9.8
arrives 3 "$M11" $A 10.9.9.9 10.9.9.8
arrives 6 "$M11" $B 10.3.9.9 10.9.9.8
arrives 7 "$M11" $B fd00::9 fd00:10::1
arrives 8 "$M11" $B fd00::9 fd00:10::77
arrives 1 "$M11" $B fd00::9 fd00::8
arrives 10 $B $A 10.9.9.9 10.0.0.77
arrives 11 "$M11" $B fd00:3:4::5 fd00::8
want=()
for i in 1 2 3 4 5 6 7 8 9 10 11; do
    size=35
    case $i in 7 | 8 | 1 | 11) size=55 ;; esac
    want+=("$i: in $i/$((i * size)) out 0/0 $drops")
done
assert_stats "$CASE: each took its own" 1 "${want[@]}"
case_end

finish
