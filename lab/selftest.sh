#!/bin/bash
# Proves the lab itself: hand-made flows and a hand-made geneve port only.
#
#     lab/lab run lab/selftest.sh          between two hypervisors
#     lab/lab run -n 3 lab/selftest.sh     between all three
#
# lab: -B
# shellcheck source=lab/lib.sh
. "$LAB_LIB"

n=$LAB_HYPERVISORS

# The VNI from VM a to VM b: another one for each direction.
vni() { echo $((0x100 * $1 + $2)); }

# --- The lab is what it says

check "the host's file system is behind an overlay" \
    sh -c 'touch /lab-selftest-was-here && rm /lab-selftest-was-here'
check "every hypervisor has a database of its own" \
    test "$(hv 1 ovs-vsctl get Open_vSwitch . external_ids:system-id)" = h1 -a \
         "$(hv 2 ovs-vsctl get Open_vSwitch . external_ids:system-id)" = h2
check "underlay, IPv4" hv 1 ping -q -c 2 -i 0.1 "$(hv_ip 2)"
check "underlay, IPv6" hv 1 ping -q -c 2 -i 0.1 "$(hv_ip6 2)"
check_fails "no flows, no ping" vm 1 ping -q -c 1 -W 1 "$(vm_ip 2)"

# --- Full mesh: IPv4 tenants in IPv4 tunnels, IPv6 tenants in IPv6 tunnels

# Two ports and two tables: flows that match tun_src and flows that match
# tun_ipv6_src in one table give datapath flows with both in their mask; the
# kernel refuses these ("Mixed IPv4 and IPv6 tunnel attributes"), and every
# packet is then an upcall.
make_mesh() {
    local a b flows
    for ((a = 1; a <= n; a++)); do
        hv $a ovs-vsctl --may-exist add-port br-int gnv \
            -- set Interface gnv type=geneve options:remote_ip=flow \
            options:local_ip=flow options:key=flow options:csum=true \
            -- --may-exist add-port br-int gnv6 \
            -- set Interface gnv6 type=geneve options:remote_ip=flow \
            options:local_ip="$(hv_ip6 $a)" options:key=flow options:csum=true
        flows="
in_port=gnv,actions=resubmit(,4)
in_port=gnv6,actions=resubmit(,6)"
        for ((b = 1; b <= n; b++)); do
            [ $a -ne $b ] || continue
            flows+="
in_port=vm$a,dl_dst=$(vm_mac $b),ip,actions=\
set_field:$(vni $a $b)->tun_id,set_field:$(hv_ip $a)->tun_src,\
set_field:$(hv_ip $b)->tun_dst,output:gnv
in_port=vm$a,dl_dst=$(vm_mac $b),ipv6,actions=\
set_field:$(vni $a $b)->tun_id,set_field:$(hv_ip6 $b)->tun_ipv6_dst,output:gnv6
table=4,tun_id=$(vni $b $a),tun_src=$(hv_ip $b),tun_dst=$(hv_ip $a),actions=output:vm$a
table=6,tun_id=$(vni $b $a),tun_ipv6_src=$(hv_ip6 $b),actions=output:vm$a"
        done
        hv $a ovs-ofctl --names -O OpenFlow15 add-flows br-int - <<< "$flows"
    done
}

check "geneve ports and flows" make_mesh
assert_eq "the geneve port has no error" \
    "$(hv 1 ovs-vsctl get Interface gnv error)" "[]"

capture mesh wire wire udp
for ((a = 1; a <= n; a++)); do
    for ((b = 1; b <= n; b++)); do
        [ $a -ne $b ] || continue
        check "vm$a pings vm$b over IPv4" ping_ok $a $b 3
        check "vm$a pings vm$b over IPv6" ping6_ok $a $b 3
    done
done
check "the capture is complete" capture_stop mesh

# Each pair pinged in both directions, 3 requests and 3 replies each.
for ((a = 1; a <= n; a++)); do
    for ((b = 1; b <= n; b++)); do
        [ $a -ne $b ] || continue
        assert_eq "VNI $(vni $a $b) from h$a to h$b on the wire, IPv4" \
            "$(capture_show mesh -v "src $(hv_ip $a) and dst $(hv_ip $b)" |
                grep -c "vni $(printf '0x%x' "$(vni $a $b)")")" 6
        assert_eq "VNI $(vni $a $b) from h$a to h$b on the wire, IPv6" \
            "$(capture_show mesh "src $(hv_ip6 $a) and dst $(hv_ip6 $b)" |
                grep -c "vni $(printf '0x%x' "$(vni $a $b)")")" 6
    done
done

# --- A flood counts exactly

check "no loss at 600 packets a second each way" paced_flood 1 2 600 2
lose() {
    hv 2 ovs-ofctl -O OpenFlow15 add-flow br-int \
        "priority=40000,udp,in_port=$(ofport 2 vm2),actions=drop"
    sleep 0.3
    hv 2 ovs-ofctl -O OpenFlow15 --strict del-flows br-int \
        "priority=40000,udp,in_port=$(ofport 2 vm2)"
}
paced_flood_start lossy 1 2 600
dropped=$(hv 2 ovs-dpctl show | sed -n 's/.*lost:\([0-9]*\)/\1/p')
lose
sleep 0.3
paced_flood_stop lossy > "$LAB_RUN/lossy.report"
status=$?
note "$(cat "$LAB_RUN/lossy.report")"
assert_eq "a drop flow for a while is noticed" "$status" 1
assert_eq "no upcall was lost" \
    "$(hv 2 ovs-dpctl show | sed -n 's/.*lost:\([0-9]*\)/\1/p')" "$dropped"
assert_eq "and only in the one direction" \
    "$(sed -n 's/^vm1 -> vm2.* lost=\([0-9]*\) .*/\1/p' "$LAB_RUN/lossy.report")" 0

# --- Another VM; MTU; a restart of Open vSwitch

check "one more VM on hypervisor 1" vm_add 11 1
hv 1 ovs-ofctl --names -O OpenFlow15 add-flow br-int "priority=1,in_port=vm1,actions=vm11"
hv 1 ovs-ofctl --names -O OpenFlow15 add-flow br-int "priority=1,in_port=vm11,actions=vm1"
check "vm1 pings its neighbour" ping_ok 1 11
check "a full packet fits into the underlay" \
    vm 1 ping -q -c 2 -i 0.1 -M 'do' -s 1472 "$(vm_ip 2)"

if command -v iperf3 > /dev/null; then
    vm 2 iperf3 -s -1 -D
    check "iperf3 across the tunnel" vm 1 iperf3 -c "$(vm_ip 2)" -n 4M
else
    skip "iperf3 is not installed"
fi

paced_flood_start stop 1 2
check "ovs-vswitchd stops" stop_vswitchd 1
sleep 0.5
check "the kernel goes on without it" paced_flood_stop stop
check "ovs-vswitchd starts" start_vswitchd 1
check_fails "with no flows (fail-mode secure)" vm 1 ping -q -c 1 -W 1 "$(vm_ip 2)"
make_mesh
check "the flows are back" ping_ok 1 2
check "ovsdb-server is killed" kill9_ovsdb 2
check_fails "ovsdb-server is gone" daemon_pid 2 ovsdb
check "ovsdb-server starts" start_ovsdb 2
check "and ovs-vsctl waits for ovs-vswitchd" \
    hv 2 ovs-vsctl set Open_vSwitch . external_ids:selftest=yes

allow_log 'db.sock: (receive error|connection dropped|connection attempt failed)'
expect_clean_logs
finish
