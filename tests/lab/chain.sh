#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Chains on hypervisor 2, between VM 1 and VM 3: decapsulation, then encapsulation to the
# third hypervisor through the same geneve port; by tunnel id and by address; and what
# happens to packets whose next step is missing.
#
# lab: -n 3
# shellcheck source=tests/lab/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

drops="in-drops 0/0 out-drops 0/0"
H1=172.16.0.1 H2=172.16.0.2 H3=172.16.0.3
# VM 1 and VM 3 through hypervisor 2, VNI 13 and 31 at the first's side, 23 and 32 at the
# third's.
ends() {
    tunnel 1 send encap 1 in=vm1 dst=10.0.0.3/32 remote=$H2 vni=0x12 "$@" \
        , decap 2 src=$H2/32 gvni=0x21 &&
    tunnel 3 send encap 1 in=vm3 dst=10.0.0.1/32 remote=$H2 vni=0x32 \
        , decap 2 src=$H2/32 gvni=0x23
}

# chain_case NAME REQUEST...: the tunnels of hypervisor 2, with ids 10 (decap from the
# first), 11 (encap to the third), 20 (decap from the third), 21 (encap to the first).
chain_case() {
    case_begin "$1"
    shift
    check "$CASE: the ends" ends oam=1 opt=0102:03:aabbccdd opt=0102:04:00000000
    check "$CASE: the middle" tunnel 2 send "$@"
    assert_eq "$CASE: all are active" "$(tunneld 2 tunnel/inactive)" ""
    capture wire wire wire 'udp port 6081'
    check "$CASE: VM 1 pings VM 3" vm 1 ping -q -i 0.05 -W 2 -c 5 10.0.0.3
    check "$CASE: VM 3 pings VM 1" vm 3 ping -q -i 0.05 -W 2 -c 4 10.0.0.1
    wait_until 5 seen wire 36
    check "$CASE: the capture is complete" capture_stop wire
    # The options and the O bit of the first tunnel are not those of the second. All of
    # the header, and the inner frame up to its Ethertype and IP version.
    assert_eq "$CASE: the wire" \
        "$(datagrams wire | sed 's/\(: [0-9a-f]*0800\)45[0-9a-f]*/\1/' | sort | uniq -c)" \
"      9 $H1 > $H2 ttl 64 port 6081: 048065580000120001020301aabbccdd01020401000000005254000000035254000000010800
      9 $H2 > $H1 ttl 64 port 6081: 00006558000021005254000000015254000000030800
      9 $H2 > $H3 ttl 64 port 6081: 00006558000023005254000000035254000000010800
      9 $H3 > $H2 ttl 64 port 6081: 00006558000032005254000000015254000000030800"
    assert_stats "$CASE: counted in the middle" 2 "10: in 9/882 out 0/0 $drops" \
        "11: in 0/0 out 9/882 $drops" "20: in 9/882 out 0/0 $drops" \
        "21: in 0/0 out 9/882 $drops"
    assert_stats "$CASE: counted by the first" 1 "1: in 0/0 out 9/882 $drops" \
        "2: in 9/882 out 0/0 $drops"
    assert_stats "$CASE: counted by the third" 3 "1: in 0/0 out 9/882 $drops" \
        "2: in 9/882 out 0/0 $drops"
    case_end
}

# The one follower stands before what it follows, and takes one address; the other any.
chain_case "by tunnel id" \
    encap 11 after=10 dst=10.0.0.3/32 remote=$H3 vni=0x23 , \
    decap 10 src=$H1/32 gvni=0x12 next=recirculate , \
    decap 20 src=$H3/32 gvni=0x32 next=recirculate , encap 21 after=20 remote=$H1 vni=0x21

chain_case "by address" \
    decap 10 src=$H1/32 gvni=0x12 next=recirculate , encap 11 dst=10.0.0.3/32 remote=$H3 vni=0x23 , \
    decap 20 src=$H3/32 gvni=0x32 next=recirculate , encap 21 dst=10.0.0.1/32 remote=$H1 vni=0x21

# With options of its own: only those, whatever came in.
case_begin "options of the second tunnel"
check "$CASE: the middle" tunnel 1 send \
    decap 1 gvni=1 next=recirculate , \
    encap 2 after=1 remote=172.16.0.9 vni=2 opt=0102:04:11223344 , \
    encap 3 in=vm11 dst=10.9.9.9/32 remote=172.16.0.9 vni=3 opt=0102:05:55667788
inner=$(frame 02:00:00:00:00:01 02:00:00:00:00:02 10.0.0.8 10.0.0.7)
capture wire peer p0 'udp port 6081 and src host 172.16.0.1'
peer_udp "0000655800000100 $inner"
peer_udp "0400655800000100 0102040199999999 0102050188888888 $inner"
peer_udp "0280655800000100 0102060177777777 $inner"
line="172.16.0.1 > 172.16.0.9 ttl 64 port 6081: 02006558000002000102040111223344$inner"
assert_datagrams "$CASE: the wire" wire "$line" "$line" "$line"
case_end

# --- Steps that are missing

# inner N: a frame to 10.0.0.N; in its data the VNI it came with.
inner() {
    frame 02:00:00:00:00:01 02:00:00:00:00:02 10.0.0.8 "10.0.0.$1" "data=$2"
}
# from_peer VNI N COUNT
from_peer() { peer_udp "0000655800000${1}00 $(inner "$2" "0$1")" "$3"; }
# to_peer COUNT VNI HEX: lines of the wire.
to_peer() {
    local i
    for ((i = 0; i < $1; i++)); do
        echo "172.16.0.1 > 172.16.0.9 ttl 64 port 6081: 0000655800000${2}00$3"
    done
}

case_begin "missing steps"
hv 1 ovs-vsctl add-port br-int gone0 -- set Interface gone0 type=internal
out=$(frame 02:00:00:00:00:01 "$(vm_mac 1)" 10.0.0.1 10.0.0.9)
# 1: its follower does not take all. 3: its follower is inactive. 5: goes and comes back.
# 7: nobody is behind it. 8: the same for an encapsulation.
check "$CASE: created" tunnel 1 send \
    decap 1 gvni=1 next=recirculate , encap 2 after=1 dst=10.0.0.7/32 remote=172.16.0.9 vni=2 , \
    decap 3 gvni=3 next=recirculate , encap 4 after=3 in=gone0 remote=172.16.0.9 vni=4 , \
    decap 5 gvni=5 next=recirculate , encap 6 after=5 remote=172.16.0.9 vni=6 , \
    decap 7 gvni=7 next=recirculate , \
    encap 8 in=vm1 dst=10.0.0.9/32 remote=172.16.0.9 vni=8 next=recirculate
hv 1 ovs-vsctl del-port gone0
inactive_is() { [ "$(tunneld 1 tunnel/inactive)" = "$1" ]; }
why="tunnel 4: what tunnel 3 hands on came out of a tunnel, not from interface gone0; leave out match_criteria.ingress_interface; interface gone0 is not on the bridge"
wait_until 5 inactive_is "$why"
assert_eq "$CASE: one is inactive, and says why" "$(tunneld 1 tunnel/inactive)" "$why"

capture wire peer p0 'udp port 6081 and src host 172.16.0.1'
capture arrived vm1 eth0 'ether src 02:00:00:00:00:02'
from_peer 1 6 3
from_peer 1 7 2
from_peer 3 7 4
from_peer 5 7 2
from_peer 7 7 5
send 1 "$out" 3
assert_stats "$CASE: counted" 1 "$(stat_in 1 5 35 3)" "$(stat_out 2 2 35)" "$(stat_in 3 4 35 4)" \
    "$(stat_out 4 0 35)" "$(stat_in 5 2 35)" "$(stat_out 6 2 35)" "$(stat_in 7 5 35)" "$(stat_out 8 3 35)"

check "$CASE: a followed tunnel is deleted" tunnel 1 send delete 5
why6="tunnel 6: tunnel 5, which match_criteria.tunnel_id names, does not exist"
assert_eq "$CASE: its follower says why it is inactive" "$(tunneld 1 tunnel/inactive)" \
    "$why
$why6"
from_peer 5 7 3
assert_in_sync 1
check "$CASE: the followed tunnel is back" tunnel 1 send decap 5 gvni=5 next=recirculate
assert_eq "$CASE: its follower is active" "$(tunneld 1 tunnel/inactive)" "$why"
from_peer 5 7 4
assert_stats "$CASE: counted when it is back" 1 "$(stat_in 5 4 35)" "$(stat_out 6 6 35)"
wire=()
mapfile -t wire < <(to_peer 2 2 "$(inner 7 01)"; to_peer 6 6 "$(inner 7 05)"
    to_peer 3 8 "$out")
assert_datagrams "$CASE: the wire" wire "${wire[@]}"
passed=$(inner 7 07)
assert_frames "$CASE: VM 1 gets what has nobody behind it" arrived \
    "$passed" "$passed" "$passed" "$passed" "$passed"

assert_eq "$CASE: a second encapsulation is refused" \
    "$(tunnel 1 send encap 9 after=8 remote=172.16.0.9 vni=3)" "_TUNNEL_REJECTED
9: match_criteria.tunnel_id: a geneve encap after tunnel 8 (geneve encap): a second overlay encapsulation cannot be expressed in one pass of the switch"
case_end

finish
