#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Daemons die and come back, on a bridge that is shared with another controller: packets go
# on, counters go on, everything returns by itself, and nothing of others is touched.
#
# lab: -n 3 -B
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

begin "the daemon is killed under a flood"
check "control: the flood starts" paced_flood_start control 1 2 600
sleep 3
check "control: without a kill nothing is lost" paced_flood_stop control

check "$CASE: the flood starts" paced_flood_start flood 1 2 600
for i in 1 2; do
    # shellcheck disable=SC2046
    set -- $(counted)
    check "$CASE: killed, $i" kill9_tunneld 1
    sleep 1
    check "$CASE: started, $i" start_tunneld 1
    check "$CASE: serving, $i" wait_until 20 serving 1
    assert_eq "$CASE: it sent no flow, $i" "$(read_back)" "0 flows added, 0 deleted"
    check "$CASE: the counters went on, $i" not_less "$@"
done
check "$CASE: nothing was lost" paced_flood_stop flood
wait_until 5 agree
check "$CASE: and every packet was counted" agree
end

begin "the daemon ends and starts under a flood"
check "$CASE: the flood starts" paced_flood_start flood 1 2 600
# shellcheck disable=SC2046
set -- $(counted)
check "$CASE: ended" stop_tunneld 1
sleep 0.5
check "$CASE: started" start_tunneld 1
check "$CASE: serving" wait_until 20 serving 1
check "$CASE: the counters went on" not_less "$@"
check "$CASE: nothing was lost" paced_flood_stop flood
wait_until 5 agree
check "$CASE: and every packet was counted" agree
end

# --- Open vSwitch

five_counted() { [ "$(counted)" = "5 5 " ]; }

# returns STOP START: what STOP stops and START starts, with nobody else doing anything.
returns() {
    check "$CASE: counted" wait_until 5 five_counted
    check "$CASE: stopped" $1
    check "$CASE: started" $2
    # The switch has lost the other controller's flows too; that one is quick.
    [ -z "${REPLANT:-}" ] || check "$CASE: the other controller is back" plant
    check "$CASE: the daemon serves" wait_until 20 serving 1
    check "$CASE: the tunnels work" wait_until 20 ping_ok 1 2 1
    check "$CASE: VM 2 pings VM 1" ping_ok 2 1 3
    check "$CASE: no counter went back" not_less 9 9
}
allow_gone() {
    allow_log "br-int.mgmt: $GONE"
    allow_log "db.sock: $GONE"
}

for how in stop kill9; do
    begin "ovs-vswitchd: $how and start"
    allow_gone
    REPLANT=yes returns "${how}_vswitchd 1" "start_vswitchd 1"
    end
    begin "ovsdb-server: $how and start"
    allow_gone
    returns "${how}_ovsdb 1" "start_ovsdb 1"
    end
done

finish
