#!/bin/bash
# Proves the sandbox itself, with hand-made flows only.
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

sandbox_start vm1 vm2 || exit
assert_eq "the first port" "$(ofport vm1)" 1
assert_eq "the second port" "$(ofport vm2)" 2

vsctl add-port br-int gnv -- set Interface gnv type=geneve options:remote_ip=flow \
    options:local_ip=flow options:key=flow options:csum=true ofport_request=100
assert_eq "the geneve port has no error" "$(vsctl get Interface gnv error)" "[]"

add_flows() {
    ofctl add-flows br-int - <<'EOF'
in_port=1,ip,nw_dst=10.0.0.2,actions=set_field:0x64->tun_id,set_field:172.16.0.1->tun_src,set_field:172.16.0.2->tun_dst,output:100
in_port=1,ip,nw_dst=10.0.0.3,actions=set_field:0x65->tun_id,set_field:fd00:16::1->tun_ipv6_src,set_field:fd00:16::2->tun_ipv6_dst,output:100
in_port=100,tun_id=0x64,tun_src=172.16.0.2,tun_dst=172.16.0.1,actions=output:1
EOF
}
add_flows

assert_eq "outbound, IPv4" \
    "$(trace_actions 'in_port=vm1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2')" \
    "set(tunnel(tun_id=0x64,src=172.16.0.1,dst=172.16.0.2,ttl=64,tp_dst=6081,flags(df|csum|key))),genev_sys_6081"
assert_eq "outbound, IPv6" \
    "$(trace_actions 'in_port=vm1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.3')" \
    "set(tunnel(tun_id=0x65,ipv6_src=fd00:16::1,ipv6_dst=fd00:16::2,ttl=64,tp_dst=6081,flags(df|csum|key))),genev_sys_6081"
assert_eq "inbound" \
    "$(trace_actions 'in_port=gnv,tun_id=0x64,tun_src=172.16.0.2,tun_dst=172.16.0.1,ip')" vm1
assert_eq "inbound, another VNI" \
    "$(trace_actions 'in_port=gnv,tun_id=0x65,tun_src=172.16.0.2,tun_dst=172.16.0.1,ip')" drop

receive vm1 'in_port(1),eth(src=52:54:00:00:00:01,dst=52:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.9,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)' > /dev/null
# shellcheck disable=SC2317  # called by wait_until
datapath_has() { appctl dpctl/dump-flows | grep -q "$1"; }
check "a received packet makes a datapath flow" wait_until 5 datapath_has 10.0.0.9

check "ovs-vswitchd restarts" restart_vswitchd
assert_eq "with no flows" "$(dump_flows)" ""
add_flows
assert_eq "and still does not push tunnels itself" \
    "$(trace_actions 'in_port=vm1,tcp,nw_src=10.0.0.1,nw_dst=10.0.0.2')" \
    "set(tunnel(tun_id=0x64,src=172.16.0.1,dst=172.16.0.2,ttl=64,tp_dst=6081,flags(df|csum|key))),genev_sys_6081"

check "ovs-vswitchd is killed" kill9_vswitchd
check_fails "and gone" daemon_pid vswitchd
check "ovs-vswitchd starts" start_vswitchd
check "ovsdb-server is killed" kill9_ovsdb
check "ovsdb-server starts" start_ovsdb
check "the database is there" vsctl get Open_vSwitch . external_ids:tunneld-bridge

ofctl add-flow br-int in_port=100,tun_ipv6_src=fd00:16::2,actions=output:2
trace 'in_port=gnv,tun_id=0x65,tun_src=172.16.0.3,tun_dst=172.16.0.1,ip' > /dev/null
assert_eq "a datapath flow that the kernel refuses is noticed" \
    "$(unexpected_lines trace < "$SANDBOX/trace.log" | cut -d: -f1-2)" \
    "trace: trace|WARN|IPv4 and IPv6 tunnel addresses in one datapath flow"
rm "$SANDBOX/trace.log"

allow_log 'db.sock: (receive error|connection dropped|connection attempt failed)'
expect_clean_logs
finish
