#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Daemons die and come back, on a bridge that is shared with another controller: packets go
# on, counters go on, everything returns by itself, and nothing of others is touched.
#
# lab: -n 3
# shellcheck source=tests/lab/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

H1=172.16.0.1 H2=172.16.0.2
OURS=cookie=0x746e000000000000/0xffff000000000000
# What is allowed to be said about a daemon that is gone.
GONE='(receive error|connection (dropped|closed|attempt failed|failed)|(un)?reachable)'

# --- Another controller's flows, in every table

foreign() { ours 1 cookie=0xf0e1/-1; }
plant() {
    local table
    for ((table = 0; table < 254; table++)); do
        echo "cookie=0xf0e1,table=$table,priority=7,dl_type=0x88b5,actions=drop"
        echo "cookie=0xf0e1,table=$table,priority=40000,dl_type=0x88b6,actions=drop"
    done | hv 1 ovs-ofctl -O OpenFlow15 --bundle add-flows br-int -
}

share() {
    hv 1 ovs-vsctl set Open_vSwitch . external_ids:tunneld-share-bridge="$1" &&
    wait_until 10 shared "$1"
}
shared() {
    local n=1
    [ "$1" = false ] || n=0
    [ "$(ours 1 $OURS,table=0 | grep -c 'actions=NORMAL')" = $n ]
}

begin() {
    case_begin "$1"
    FLOWS_OF=$OURS
    cp "$LAB_RUN/fixed.1" "$LAB_RUN/fixed.1.alone"
    check "$CASE: the bridge is shared" share true
    ours 1 $OURS > "$LAB_RUN/fixed.1"
    check "$CASE: another controller has flows in every table" plant
    foreign=$(foreign)
    check "$CASE: hypervisor 1" tunnel 1 send \
        encap 1 in=vm1 dst=10.0.0.2/32 remote=$H2 vni=0x100 opt=0102:03:aabbccdd , \
        decap 2 src=$H2/32 gvni=0x200
    check "$CASE: hypervisor 2" tunnel 2 send encap 1 in=vm2 dst=10.0.0.1/32 remote=$H1 vni=0x200 , \
        decap 2 src=$H1/32 gvni=0x100
    check "$CASE: VM 1 pings VM 2" ping_ok 1 2 5
}

end() {
    assert_eq "$CASE: the other controller's flows are all there" "$(foreign)" "$foreign"
    assert_eq "$CASE: there were $((2 * 254))" "$(wc -l <<< "$foreign")" $((2 * 254))
    tunnel 1 delete-all
    hv 1 ovs-ofctl -O OpenFlow15 del-flows br-int cookie=0xf0e1/-1
    cp "$LAB_RUN/fixed.1.alone" "$LAB_RUN/fixed.1"
    check "$CASE: the bridge is ours alone" share false
    # shellcheck disable=SC2034  # for common.sh
    FLOWS_OF=
    case_end
}

# --- Counters

# "OUT IN": packets of the two tunnels of hypervisor 1.
counted() {
    tunnel 1 stats 1 2 | sed -n 's/^1: .* out \([0-9]*\).*/\1/p; s/^2: in \([0-9]*\).*/\1/p' | tr '\n' ' '
}
not_less() {
    local out in
    read -r out in <<< "$(counted)"
    echo "before: $1 $2, now: $out $in"
    [ "${out:-0}" -ge "$1" ] && [ "${in:-0}" -ge "$2" ]
}
# The two ends agree to the packet.
agree() {
    local one two
    one=$(counted)
    two=$(tunnel 2 stats 2 1 | sed -n 's/^2: in \([0-9]*\).*/\1/p; s/^1: .* out \([0-9]*\).*/\1/p' | tr '\n' ' ')
    echo "hypervisor 1: $one; hypervisor 2: $two"
    [ "$one" = "$two" ]
}
read_back() { tunneld 1 tunneld/status | sed -n 's/^last read-back: .* ago, //p'; }

# --- The daemon

begin "the daemon"
check "control: the flood starts" paced_flood_start control 1 2 600
sleep 4
check "control: nothing is lost" paced_flood_stop control

check "$CASE: the flood starts" paced_flood_start flood 1 2 600
for how in kill9 kill9 stop; do
    read -r out in <<< "$(counted)"
    check "$CASE: $how" ${how}_tunneld 1
    sleep 0.5
    check "$CASE: $how: started" start_tunneld 1
    check "$CASE: $how: serving" wait_until 20 serving 1
    assert_eq "$CASE: $how: it sent no flow" "$(read_back)" "0 flows added, 0 deleted"
    check "$CASE: $how: the counters went on" not_less "$out" "$in"
done

# In the middle of a long stream.
tunnel 1 bulk 3000 > "$LAB_RUN/bulk" &
bulk=$!
streaming() {
    hv 1 ovs-appctl -t $OTD_CTL tunneld/status | grep -q '^calls: .* [1-9][0-9]* streams'
}
check "$CASE: a long stream comes in" wait_until 20 streaming
check "$CASE: killed in a stream" kill9_tunneld 1
wait $bulk
check "$CASE: started after that" start_tunneld 1
check "$CASE: serving after that" wait_until 20 serving 1
note "the stream: $(head -c 300 "$LAB_RUN/bulk" | tr '\n' ' '), tunnels: $(tunnel 1 ids | wc -w)"
assert_in_sync 1

check "$CASE: nothing was lost" paced_flood_stop flood
wait_until 5 agree
check "$CASE: and every packet was counted" agree
# The switch was talking to a daemon that was killed.
allow_log '(vconn_stream|rconn).*(Broken pipe|Connection reset by peer)'
end

# --- Open vSwitch

# returns WHAT HOW: stopped and started, with nobody else doing anything.
returns() {
    local what=$1 how=$2 out in
    read -r out in <<< "$(counted)"
    check "$CASE: $how" "${how}_$what" 1
    check "$CASE: $how: started" start_$what 1
    # The switch has lost the other controller's flows, too; that one is quick.
    [ $what = ovsdb ] || check "$CASE: $how: the other controller is back" plant
    check "$CASE: $how: the daemon serves" wait_until 20 serving 1
    check "$CASE: $how: the tunnels work" wait_until 20 ping_ok 1 2 1
    check "$CASE: $how: VM 2 pings VM 1" ping_ok 2 1 3
    all_counted() { not_less $((out + 4)) $((in + 4)); }
    check "$CASE: $how: the counters went on" wait_until 5 all_counted
}

begin "ovs-vswitchd"
wait_until 5 not_less 5 5
returns vswitchd stop
returns vswitchd kill9
allow_log "br-int.mgmt: $GONE"
end

begin "ovsdb-server"
returns ovsdb stop
returns ovsdb kill9
allow_log "db.sock: $GONE"
end

begin "all three daemons"
returns hypervisor stop
allow_log "(br-int.mgmt|db.sock): $GONE"
end

# --- Somebody deletes our flows

case_begin "a port goes and comes back"
check "$CASE: created" tunnel 1 send encap 1 in=vm11 dst=10.0.0.2/32 remote=$H2 vni=0x100
inactive_is() { [ "$(tunneld 1 tunnel/inactive)" = "$1" ]; }
why="tunnel 1: interface vm11 is not on the bridge"
hv 1 ovs-vsctl del-port vm11
wait_until 5 inactive_is "$why"
assert_eq "$CASE: inactive" "$(tunneld 1 tunnel/inactive)" "$why"
hv 1 ovs-vsctl add-port br-int vm11
wait_until 5 inactive_is ""
assert_eq "$CASE: active again" "$(tunneld 1 tunnel/inactive)" ""
capture wire h1 u0 'udp port 6081'
hex=$(frame "$(vm_mac 2)" "$(vm_mac 11)" 10.0.0.11 10.0.0.2)
send 11 "$hex"
assert_datagrams "$CASE: the wire" wire "$H1 > $H2 ttl 64 port 6081: 0000655800010000$hex"
case_end

case_begin "somebody deletes flows of ours"
check "$CASE: created" tunnel 1 send decap 1 gvni=1 next=recirculate , \
    encap 2 after=1 dst=10.0.0.7/32 remote=172.16.0.9 vni=2
before=$(ours 1)
for flows in table=0 cookie=0x746e010000000000/0xffffff0000000000 ''; do
    # shellcheck disable=SC2086
    check "$CASE: del-flows $flows" hv 1 ovs-ofctl -O OpenFlow15 del-flows br-int $flows
    same_again() { [ "$(ours 1)" = "$before" ]; }
    wait_until 20 same_again
    assert_eq "$CASE: they return by themselves after del-flows $flows" "$(ours 1)" "$before"
done
allow_log 'counters\|WARN\|tunnel [0-9]+: somebody else removed a flow of ours'
case_end

# --- The clock jumps (User-mode Linux has its own)

case_begin "the clock jumps"
check "$CASE: created" tunnel 1 send encap 1 in=vm1 dst=10.0.0.9/32 remote=172.16.0.9 vni=1
hex=$(frame "$(vm_mac 2)" "$(vm_mac 1)" 10.0.0.1 10.0.0.9)
sent=0
for days in 365 -730 365; do
    check "$CASE: by $days days" date -s "@$(($(date +%s) + days * 86400))"
    sent=$((sent + 3))
    send 1 "$hex" 3
    assert_stats "$CASE: counted after $days days" 1 "$(stat_out 1 $sent $((${#hex} / 2)))"
    check "$CASE: a create is answered after $days days" tunnel 1 send \
        encap $((100 + sent)) in=vm1 dst=10.0.1.$sent/32 remote=172.16.0.9 vni=1
    check "$CASE: serving after $days days" serving 1
done
case_end

finish
