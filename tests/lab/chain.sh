#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Chains on hypervisor 2, between VM 1 and VM 3: decapsulation, then encapsulation to the
# third hypervisor through the same geneve port; by tunnel id and by address; and what
# happens to packets whose next step is missing.
#
# lab: -n 3 -B
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

chain_case "by tunnel id" \
    decap 10 src=$H1/32 gvni=0x12 next=recirculate , encap 11 after=10 remote=$H3 vni=0x23 , \
    decap 20 src=$H3/32 gvni=0x32 next=recirculate , encap 21 after=20 remote=$H1 vni=0x21

chain_case "by tunnel id and address, the follower first" \
    encap 11 after=10 dst=10.0.0.3/32 remote=$H3 vni=0x23 , \
    encap 21 after=20 src=10.0.0.3/32 remote=$H1 vni=0x21 , \
    decap 10 src=$H1/32 gvni=0x12 next=recirculate , \
    decap 20 src=$H3/32 gvni=0x32 next=recirculate

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

# --- What has no next step

inner7=$(frame 02:00:00:00:00:01 02:00:00:00:00:02 10.0.0.8 10.0.0.7)
inner6=$(frame 02:00:00:00:00:01 02:00:00:00:00:02 10.0.0.8 10.0.0.6)
to_peer() { echo "172.16.0.1 > 172.16.0.9 ttl 64 port 6081: 0000655800000200$1"; }

case_begin "a packet that no follower takes"
check "$CASE: created" tunnel 1 send decap 1 gvni=1 next=recirculate , \
    encap 2 after=1 dst=10.0.0.7/32 remote=172.16.0.9 vni=2
capture wire peer p0 'udp port 6081 and src host 172.16.0.1'
capture arrived vm1 eth0 'ether src 02:00:00:00:00:02'
peer_udp "0000655800000100 $inner6" 3
peer_udp "0000655800000100 $inner7" 2
assert_datagrams "$CASE: the wire" wire "$(to_peer "$inner7")" "$(to_peer "$inner7")"
assert_frames "$CASE: nothing is delivered" arrived
assert_stats "$CASE: counted" 1 "1: in 5/175 out 0/0 in-drops 3/105 out-drops 0/0" \
    "2: in 0/0 out 2/70 $drops"
case_end

case_begin "a follower that is inactive"
hv 1 ovs-vsctl add-port br-int gone0 -- set Interface gone0 type=internal
check "$CASE: created" tunnel 1 send decap 1 gvni=1 next=recirculate , \
    encap 2 after=1 in=gone0 dst=10.0.0.7/32 remote=172.16.0.9 vni=2
hv 1 ovs-vsctl del-port gone0
inactive_is() { [ "$(tunneld 1 tunnel/inactive)" = "$1" ]; }
why="tunnel 2: interface gone0 is not on the bridge"
wait_until 5 inactive_is "$why"
assert_eq "$CASE: the reason" "$(tunneld 1 tunnel/inactive)" "$why"
capture wire peer p0 'udp port 6081 and src host 172.16.0.1'
capture arrived vm1 eth0 'ether src 02:00:00:00:00:02'
peer_udp "0000655800000100 $inner7" 3
assert_stats "$CASE: counted" 1 "1: in 3/105 out 0/0 in-drops 3/105 out-drops 0/0" \
    "2: in 0/0 out 0/0 $drops"
assert_datagrams "$CASE: nothing on the wire" wire
assert_frames "$CASE: nothing is delivered" arrived
case_end

case_begin "a followed tunnel goes and comes back"
check "$CASE: created" tunnel 1 send decap 1 gvni=1 next=recirculate , \
    encap 2 after=1 remote=172.16.0.9 vni=2
capture wire peer p0 'udp port 6081 and src host 172.16.0.1'
capture arrived vm1 eth0 'ether src 02:00:00:00:00:02'
peer_udp "0000655800000100 $inner7" 2
wait_until 5 seen wire 2
check "$CASE: the first is deleted" tunnel 1 send delete 1
assert_eq "$CASE: the follower says why it is inactive" "$(tunneld 1 tunnel/inactive)" \
    "tunnel 2: tunnel 1, which match_criteria.tunnel_id names, does not exist"
peer_udp "0000655800000100 $inner7" 3
assert_in_sync 1
check "$CASE: the first is back" tunnel 1 send decap 1 gvni=1 next=recirculate
assert_eq "$CASE: the follower is active" "$(tunneld 1 tunnel/inactive)" ""
peer_udp "0000655800000100 $inner7" 4
line=$(to_peer "$inner7")
assert_datagrams "$CASE: the wire" wire "$line" "$line" "$line" "$line" "$line" "$line"
assert_frames "$CASE: nothing is delivered" arrived
assert_stats "$CASE: counted" 1 "1: in 4/140 out 0/0 $drops" "2: in 0/0 out 6/210 $drops"
case_end

case_begin "RECIRCULATE with nobody behind it is FORWARD"
check "$CASE: created" tunnel 1 send decap 1 gvni=1 next=recirculate , \
    encap 2 in=vm1 dst=10.0.0.9/32 remote=172.16.0.9 vni=2 next=recirculate
capture wire peer p0 'udp port 6081 and src host 172.16.0.1'
capture arrived vm1 eth0 'ether src 02:00:00:00:00:02'
out=$(frame 02:00:00:00:00:01 "$(vm_mac 1)" 10.0.0.1 10.0.0.9)
peer_udp "0000655800000100 $inner7" 2
send 1 "$out" 2
assert_datagrams "$CASE: the wire" wire "$(to_peer "$out")" "$(to_peer "$out")"
assert_frames "$CASE: VM 1" arrived "$inner7" "$inner7"
case_end

case_begin "an encapsulation behind an encapsulation is refused"
first="encap 1 in=vm1 dst=10.0.0.9/32 remote=172.16.0.9 vni=2 next=recirculate"
# shellcheck disable=SC2086
assert_eq "$CASE: in one stream" "$(tunnel 1 send $first , \
    encap 2 after=1 remote=172.16.0.9 vni=3)" ""
case_end

finish
