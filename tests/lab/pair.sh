#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two hypervisors with a daemon each: both directions, IPv4 and IPv6, a flood, changes under
# the flood.
#
# lab: -n 3
# shellcheck source=tests/lab/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

drops="in-drops 0/0 out-drops 0/0"
H1=172.16.0.1 H2=172.16.0.2

case_begin "there and back"
check "$CASE: hypervisor 1" tunnel 1 send \
    encap 1 in=vm1 dst=10.0.0.2/32 remote=$H2 vni=0x100 oam=1 opt=0102:03:aabbccdd \
        opt=0103:00:0102030405060708 , \
    encap 2 in=vm1 dst=fd00:10::2/128 remote=fd00:16::2 vni=0x101 , \
    decap 3 src=$H2/32 dst=$H1/32 gvni=0x200 , \
    decap 4 src=fd00:16::2/128 dst=fd00:16::1/128 gvni=0x201
check "$CASE: hypervisor 2" tunnel 2 send \
    encap 1 in=vm2 dst=10.0.0.1/32 remote=$H1 vni=0x200 , \
    encap 2 in=vm2 dst=fd00:10::1/128 remote=fd00:16::1 vni=0x201 opt=0104:01:11111111 , \
    decap 3 src=$H1/32 dst=$H2/32 gvni=0x100 , \
    decap 4 src=fd00:16::1/128 dst=fd00:16::2/128 gvni=0x101
capture wire wire wire 'udp port 6081'
check "$CASE: VM 1 pings VM 2" ping_ok 1 2 5
check "$CASE: VM 2 pings VM 1" ping_ok 2 1 4
check "$CASE: VM 1 pings VM 2 over IPv6" ping6_ok 1 2 3
check "$CASE: VM 2 pings VM 1 over IPv6" ping6_ok 2 1 2
wait_until 5 seen wire 28
check "$CASE: the capture is complete" capture_stop wire
assert_eq "$CASE: the wire" \
    "$(datagrams wire | sed 's/\(: [0-9a-f]*\)\(080045\|86dd6\)[0-9a-f]*/\1\2/' | sort | uniq -c)" \
"      9 $H1 > $H2 ttl 64 port 6081: 058065580001000001020301aabbccdd010300020102030405060708525400000002525400000001080045
      9 $H2 > $H1 ttl 64 port 6081: 0000655800020000525400000001525400000002080045
      5 fd00:16::1 > fd00:16::2 ttl 64 port 6081: 000065580001010052540000000252540000000186dd6
      5 fd00:16::2 > fd00:16::1 ttl 64 port 6081: 0200655800020100010401011111111152540000000152540000000286dd6"
for n in 1 2; do
    assert_stats "$CASE: counted by hypervisor $n" $n "1: in 0/0 out 9/882 $drops" \
        "2: in 0/0 out 5/590 $drops" "3: in 9/882 out 0/0 $drops" "4: in 5/590 out 0/0 $drops"
done

# TCP, with packets that the kernel puts together and cuts again.
vm 2 iperf3 -s -1 -D -I "$LAB_RUN/iperf.pid" > /dev/null
check "$CASE: two megabytes of TCP" vm 1 iperf3 -c 10.0.0.2 -n 2M
case_end

case_begin "another UDP port"
check "$CASE: hypervisor 1" tunnel 1 send encap 1 in=vm1 dst=10.0.0.2/32 remote=$H2 vni=0x100 , \
    decap 2 src=$H2/32 gvni=0x200
check "$CASE: hypervisor 2" tunnel 2 send encap 1 in=vm2 dst=10.0.0.1/32 remote=$H1 vni=0x200 , \
    decap 2 src=$H1/32 gvni=0x100
check "$CASE: VM 1 pings VM 2" ping_ok 1 2
capture wire wire wire 'udp port 6081 or udp port 7777'
for n in 1 2; do
    hv $n ovs-vsctl set Open_vSwitch . external_ids:tunneld-geneve-port=7777
done
check "$CASE: and over the other port, by itself" wait_until 20 ping_ok 1 2 1
wait_until 5 seen wire 2
check "$CASE: the capture is complete" capture_stop wire
assert_eq "$CASE: the wire" "$(datagrams wire | tail -n 2 | sed 's/: .*//')" \
"$H1 > $H2 ttl 64 port 7777
$H2 > $H1 ttl 64 port 7777"
for n in 1 2; do
    hv $n ovs-vsctl remove Open_vSwitch . external_ids tunneld-geneve-port
done
check "$CASE: and over the first again" wait_until 20 ping_ok 1 2 1
case_end

# --- Changes under a flood

# The tunnels of hypervisor 1 change, those of hypervisor 2 take whatever comes of that.
ways() {
    check "$CASE: hypervisor 1" tunnel 1 send encap 1 in=vm1 dst=10.0.0.2/32 remote=$H2 vni=0x100 , \
        decap 3 src=$H2/32 gvni=0x200
    check "$CASE: hypervisor 2" tunnel 2 send encap 1 in=vm2 dst=10.0.0.1/32 remote=$H1 vni=0x200 , \
        decap 3 gvni=0x100 , decap 4 gvni=0x101
}
frame2=$(frame "$(vm_mac 2)" "$(vm_mac 1)" 10.0.0.1 10.0.0.2 data=00)

# changed WHAT REQUEST...: hypervisor 1 takes the request while the flood goes on, and
# returns when the next packet is as it says.
packets() { tunnel "$1" stats "$2" | sed 's/.*in \([0-9]*\).*out \([0-9]*\).*/\1 \2/'; }
flowing() {
    local before
    before=$(packets 2 "$1")
    more() { [ "$(packets 2 "$1")" != "$before" ]; }
    wait_until 5 more "$1"
}
changed() {
    local what=$1 decap=$2
    shift 2
    check "$CASE: $what" tunnel 1 send "$@"
    check "$CASE: $what: it flows through tunnel $decap of hypervisor 2" flowing "$decap"
}

case_begin "updates under a flood"
ip -n h1 address add 172.16.0.101/24 dev u0
ways
check "$CASE: the flood starts" paced_flood_start flood 1 2 600
changed "from the start" 3 update-encap 1 oam=1
changed "another VNI" 4 update-encap 1 vni=0x101
changed "the old VNI" 3 update-encap 1 vni=0x100
changed "another outer source" 3 update-encap 1 local=172.16.0.101 remote=$H2
changed "an option" 3 update-encap 1 opt=0102:03:aabbccdd
changed "other options" 3 update-encap 1 opt=0102:04:aabbccdd opt=0102:05:55555555
changed "another MAC" 3 update-encap 1 imac-src=02:00:00:00:00:01
changed "a shorter prefix" 3 update-encap 1 dst=10.0.0.0/24
changed "a longer prefix" 3 update-encap 1 dst=10.0.0.2/32
changed "the decap's outer prefix" 3 update-decap 3 src=172.16.0.0/24
changed "the decap's outer source" 3 update-decap 3 src=$H2/32
check "$CASE: nothing is lost" paced_flood_stop flood
capture wire wire wire 'udp port 6081'
send 1 "$frame2"
assert_datagrams "$CASE: the wire has all of it" wire \
    "172.16.0.101 > $H2 ttl 64 port 6081: 048065580001000001020401aabbccdd0102050155555555525400000002020000000001${frame2:24}"
# Everything was counted once, over all changes.
sums_equal() {
    local out in3 in4
    read -r _ out <<< "$(packets 1 1)"
    read -r in3 _ <<< "$(packets 2 3)"
    read -r in4 _ <<< "$(packets 2 4)"
    echo "sent $out, taken $in3 + $in4"
    [ "$out" -gt 0 ] && [ "$out" -eq $((in3 + in4)) ]
}
wait_until 5 sums_equal
check "$CASE: what one counts as sent the other counts as taken" sums_equal
ip -n h1 address del 172.16.0.101/24 dev u0
case_end

finish
