#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ofctl/ against a real ovs-vswitchd and ovsdb-server: the session, the messages and
# the database, through everything that can happen to the peers.
# In "make check" the current directory is the build directory.
[ ! -x tests/ofctl-live ] || OTD_BUILDDIR=${OTD_BUILDDIR:-$PWD}
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

sandbox_start vm1 vm2 || exit

# ---- The driver (tests/ofctl-live.c): one command, one answer.
LIVE_LOG=$SANDBOX/live.log
coproc LIVE { "$OTD_BUILDDIR/tests/ofctl-live" "unix:$SANDBOX/db.sock" 2> "$LIVE_LOG"; }
# Descriptors of a coprocess are closed in subshells; copies are not.
exec {LIVE_OUT}<&"${LIVE[0]}" {LIVE_IN}>&"${LIVE[1]}"

# All of an answer must be read: no "head" and no "grep -q" behind it.
live() {
    local line
    printf '%s\n' "$*" >&"$LIVE_IN" || return 1
    while IFS= read -r -t 60 line <&"$LIVE_OUT"; do
        [ "$line" != . ] || return 0
        printf '%s\n' "$line"
    done
    echo "no answer to: $*"
    return 1
}
until_live() { assert_eq "${*:2}: in time" "$(live wait "$@")" "${*:2}"; }

# ---- Up.
until_live 10 session-up
assert_eq "the state" "$(live state)" "database: up
session: up
bridge: br-int (dummy), fail mode secure
port: port-absent
settings: "
assert_eq "the first port's number" "$(live ofport vm1)" 1
assert_eq "the number of a port that is not there" "$(live ofport vm9)" 65535
assert_eq "the second port's name" "$(live name 2)" vm2
assert_eq "the name of a number that is not there" "$(live name 9)" none
assert_eq "a dummy port is no tunnel" "$(live tunnel vm1)" no

# ---- Our port.
live want yes
until_live 10 port-ready
assert_eq "its number" "$(live ofport otd-geneve)" "$(ofport otd-geneve)"
assert_eq "it is a tunnel" "$(live tunnel otd-geneve)" yes
assert_eq "its options" "$(vsctl get Interface otd-geneve options)" \
    '{csum="true", key=flow, local_ip=flow, remote_ip=flow}'
assert_eq "its mark" "$(vsctl get Port otd-geneve external_ids:owner)" ovs-tunneld

vsctl set Interface otd-geneve options:key=7 options:csum=false
# shellcheck disable=SC2317  # called by wait_until
options_are() { live wait 0 port-ready; [ "$(vsctl get Interface otd-geneve options)" = "$1" ]; }
check "changed options are put back" wait_until 10 options_are \
    '{csum="true", key=flow, local_ip=flow, remote_ip=flow}'
vsctl set Open_vSwitch . external_ids:tunneld-geneve-port=7081
check "another UDP port" wait_until 10 options_are \
    '{csum="true", dst_port="7081", key=flow, local_ip=flow, remote_ip=flow}'
until_live 10 port-ready
vsctl remove Open_vSwitch . external_ids tunneld-geneve-port
check "the usual UDP port again" wait_until 10 options_are \
    '{csum="true", key=flow, local_ip=flow, remote_ip=flow}'
vsctl del-port otd-geneve
# shellcheck disable=SC2317  # called by wait_until
port_is_there() { live wait 0 port-ready; vsctl get Port otd-geneve name; }
check "it comes back when somebody deletes it" wait_until 10 port_is_there
until_live 10 port-ready

# ---- Options of Geneve.
assert_eq "the TLV table is empty" "$(live tlv)" "space 256 fields 64"
assert_eq "two mappings" "$(live tlv-add 0x102 0x80 4 0; live tlv-add 0x102 1 124 1)" ""
assert_eq "a duplicate is refused" "$(live tlv-add 0x102 1 4 2)" "error NXTTMFC_DUP_ENTRY"
assert_eq "the TLV table" "$(live tlv)" "space 256 fields 64
class=0x102 type=0x80 len=4 index=0
class=0x102 type=0x1 len=124 index=1"

# ---- What is sent comes back as it was.
verify() { assert_eq "comes back: $1" "$(live verify "cookie=0x746e000000000005,table=3,priority=7,$1")" equal; }
verify 'ip,nw_dst=10.0.0.0/24,actions=set_field:0x64->tun_id,set_field:172.16.0.1->tun_src,set_field:172.16.0.2->tun_dst,set_field:1->reg4,set_field:0x10001->reg5,set_field:52:54:00:00:00:01->eth_src,set_field:52:54:00:00:00:02->eth_dst,resubmit(,64)'
verify 'ip,actions=set_field:0x01020304->tun_metadata0,resubmit(,64)'
verify 'ip,actions=set_field:0x00000304->tun_metadata0,resubmit(,64)'
verify 'ip,actions=set_field:0->tun_metadata0,set_field:0x1ff->tun_metadata1,resubmit(,64)'
verify "ip,actions=set_field:0x$(printf '5a%.0s' {1..124})->tun_metadata1,resubmit(,64)"
verify 'ip,actions=delete_field:tun_metadata0,delete_field:tun_metadata1,resubmit(,64)'
verify 'in_port=1,vlan_tci=0x0/0x1fff,ipv6,ipv6_dst=fd00::/16,actions=set_field:fd00::1->tun_ipv6_src,set_field:fd00::2->tun_ipv6_dst,resubmit(,5)'
verify 'in_port=3,tun_id=0x64,tun_src=172.16.0.2,tun_dst=172.16.0.1,tun_flags=oam,dl_dst=52:54:00:00:00:01,actions=set_field:5->reg5,resubmit(,5)'
verify 'tun_ipv6_src=fd00::2,tun_ipv6_dst=fd00::1,tun_metadata0=0x1/0xff,tun_metadata1=7,actions=drop'
verify 'reg4=1,reg5=0x10001,metadata=0x5,send_flow_rem,actions=set_field:0->in_port,output:3'
verify 'actions=drop'
verify 'send_flow_rem,actions=NORMAL'
verify 'pkt_mark=0x100000/0xf00000,actions=set_field:0x200000/0xf00000->pkt_mark,LOCAL'
assert_eq "and nothing is left" "$(dump_flows)" ""

# ---- Errors name their message; foreign flows stay.
assert_eq "an option that is not mapped" \
    "$(live add 'actions=set_field:1->tun_metadata5')" "error NXFMFC_INVALID_TLV_FIELD"
ofctl add-flow br-int 'cookie=0xbad,table=3,priority=7,ip,actions=drop'
live delete 'cookie=0x746e000000000005,table=3,priority=7,ip,actions='
assert_eq "deleting ours leaves the one of another cookie" \
    "$(dump_flows)" "cookie=0xbad, table=3, priority=7,ip actions=drop"

# ---- Bundles, dumps and counters.
assert_eq "a bundle of 20,000" "$(live bundle 20000)" answered
assert_eq "they are there" \
    "$(ofctl dump-aggregate br-int cookie=0x746e000000000000/0xffff000000000000 | grep -o 'flow_count=.*')" \
    "flow_count=20000"
live dump 0x746e000000000000 0xffff000000000000 | sort > "$SANDBOX/got"
dump_flows cookie=0x746e000000000000/0xffff000000000000 | sort > "$SANDBOX/wanted"
check "the dump is the one of ovs-ofctl" cmp "$SANDBOX/got" "$SANDBOX/wanted"
live dump | sort > "$SANDBOX/got"
dump_flows | sort > "$SANDBOX/wanted"
check "and so is the one of all flows" cmp "$SANDBOX/got" "$SANDBOX/wanted"
assert_eq "a discarded bundle" "$(live discard 10)" answered
receive vm1 'in_port(1),eth(src=52:54:00:00:00:01,dst=52:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.9.9.9,dst=10.0.0.9,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)' > /dev/null
check "the datapath is asked" wait_until 10 eval \
    'appctl revalidator/wait; ofctl dump-flows br-int cookie=0x746e000000000009/-1 | grep -q n_packets=1,'
live counters | sort > "$SANDBOX/got"
ofctl dump-flows br-int | sed -n 's/ *\(cookie=[^,]*\),.*\(table=[^,]*\), \(n_packets=[^,]*\), \(n_bytes=[^,]*\),.*/\1 \2 \3 \4/p' |
    sort > "$SANDBOX/wanted"
check "the counters are the ones of ovs-ofctl" cmp "$SANDBOX/got" "$SANDBOX/wanted"
assert_eq "20,001 of them" "$(wc -l < "$SANDBOX/got")" 20001
assert_eq "all of ours go at once" \
    "$(live delete-cookie 0x746e000000000000 0xffff000000000000; dump_flows)" \
    "cookie=0xbad, table=3, priority=7,ip actions=drop"

# ---- FLOW_REMOVED, and nothing else that is asynchronous.
assert_eq "the two that verify deleted told their ends" "$(live removed)" \
    "removed cookie=0x746e000000000005 table=3 n_packets=0 n_bytes=0 priority=7,reg4=0x1,reg5=0x10001,metadata=0x5
removed cookie=0x746e000000000005 table=3 n_packets=0 n_bytes=0 priority=7"
live add 'cookie=0x746e000000000007,table=9,priority=3,ip,nw_dst=10.0.0.0/8,send_flow_rem,actions=drop'
live add 'cookie=0x746e000000000008,table=0,priority=3,ip,nw_dst=10.0.0.0/8,actions=resubmit(,9),CONTROLLER:65535'
receive vm1 'in_port(1),eth(src=52:54:00:00:00:01,dst=52:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.9.9.8,dst=10.0.0.9,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)' > /dev/null
add_port vm3
ofctl del-flows br-int cookie=0x746e000000000000/0xffff000000000000
until_live 10 removed 1
assert_eq "the flow that somebody else deleted" "$(live removed)" \
    "removed cookie=0x746e000000000007 table=9 n_packets=1 n_bytes=106 priority=3,ip,nw_dst=10.0.0.0/8"

# ---- unixctl of ovs-vswitchd.
assert_eq "revalidator/wait" "$(live appctl ovs-vswitchd revalidator/wait)" "result: "
assert_eq "with an argument" "$(live appctl ovs-vswitchd fdb/stats-show br-int | sed '2,$d')" \
    "result: Statistics for bridge \"br-int\":"
assert_eq "an unknown command" "$(live appctl "$SANDBOX/ovs-vswitchd.ctl" nonsense)" \
    "error: $SANDBOX/ovs-vswitchd.ctl: nonsense: \"nonsense\" is not a valid command (use \"list-commands\" to see a list of valid commands)"
assert_eq "no such daemon" "$(live appctl nosuch version)" \
    "error: nosuch: version: cannot find its process in $SANDBOX/nosuch.pid: No such file or directory"

# ---- Rivals.
vsctl add-port br-int rival -- set Interface rival type=geneve options:remote_ip=10.9.9.9
# shellcheck disable=SC2317  # called by wait_until
state_has() { live wait 0 port-ready; [[ $'\n'$(live state)$'\n' == *$'\n'"$1"$'\n'* ]]; }
check "a port that takes our packets is named" wait_until 10 state_has \
    "port: port-ready; UDP port 6081 is shared: port rival of bridge br-int with remote_ip 10.9.9.9 takes packets that are meant for otd-geneve"
vsctl del-port rival
check "and forgotten" wait_until 10 state_has "port: port-ready"
live want no
until_live 10 port-absent
assert_eq "ours is gone" "$(vsctl --if-exists get Port otd-geneve name)" ""
vsctl add-br br2 -- set Bridge br2 datapath_type=dummy \
    -- add-port br2 first -- set Interface first type=geneve options:remote_ip=flow \
    options:local_ip=flow options:key=flow
live want yes
until_live 10 port-failed
assert_eq "a port with the same settings is named" "$(live state | grep port:)" \
    "port: port-failed: port otd-geneve on UDP port 6081: could not add network device otd-geneve to ofproto (File exists); port first of bridge br2 has the same settings: remove it, or set external_ids:tunneld-geneve-port"
vsctl set Open_vSwitch . external_ids:tunneld-geneve-port=7081
until_live 10 port-ready
vsctl remove Open_vSwitch . external_ids tunneld-geneve-port
until_live 10 port-failed
vsctl del-br br2
until_live 10 port-ready
live want no
until_live 10 port-absent
vsctl add-port br-int otd-geneve -- set Interface otd-geneve type=dummy
live want yes
until_live 10 port-failed
assert_eq "a foreign port of our name stays" "$(live state | grep port:)" \
    "port: port-failed: port otd-geneve of bridge br-int exists and is not ours: it has no external_ids:owner=ovs-tunneld; remove or rename it"
vsctl del-port otd-geneve
until_live 10 port-ready

# ---- The ports of one family: as many as there are addresses of our own.
live want4 yes
live want6 yes
until_live 10 port4-ready
until_live 10 port6-ready
assert_eq "their options" "$(vsctl get Interface otd-geneve4 options -- get Interface otd-geneve6 options)" \
    '{csum="true", key=flow, local_ip="172.16.0.1", remote_ip=flow}
{csum="true", key=flow, local_ip="fd00:16::1", remote_ip=flow}'
vsctl set Open_vSwitch . external_ids:tunneld-encap-ip='"172.16.0.2"'
# shellcheck disable=SC2317  # called by wait_until
address_is() { live wait 0 port4-ready; [ "$(vsctl get Interface otd-geneve4 options:local_ip)" = "$1" ]; }
check "one follows its address" wait_until 10 address_is '"172.16.0.2"'
until_live 10 port4-ready
until_live 10 port6-absent
assert_eq "and one goes with it" "$(vsctl list-ports br-int | grep otd)" "otd-geneve
otd-geneve4"
live want4 no
until_live 10 port4-absent
assert_eq "the port of both families does not mind" "$(live state | grep port:)" "port: port-ready"

# ---- Settings.
vsctl set Open_vSwitch . external_ids:tunneld-geneve-port=70000 \
    external_ids:tunneld-encap-ip='"172.16.0.1,nonsense"'
check "what cannot be read is complained about" wait_until 10 state_has \
    'settings: external_ids:tunneld-geneve-port: "70000" is not a number from 1 to 65535; using 6081; external_ids:tunneld-encap-ip: "nonsense" is no IP address; ignoring it'
vsctl remove Open_vSwitch . external_ids tunneld-geneve-port \
    -- set Open_vSwitch . external_ids:tunneld-encap-ip='"172.16.0.1"'
check "and what can be read is not" wait_until 10 state_has 'settings: '
before=$(live seqno)
vsctl add-br br3 -- set Bridge br3 datapath_type=dummy -- set Open_vSwitch . external_ids:somebody=else
live wait 0 port-ready > /dev/null
assert_eq "the rows of others change nothing" "$(live seqno)" "$before"
vsctl del-br br3

# ---- The switch refuses our version.
vsctl set Bridge br-int protocols=OpenFlow10,OpenFlow13
stop_vswitchd
until_live 10 session-down
start_vswitchd
# shellcheck disable=SC2317  # called by wait_until
session_says() { live wait 0 session-up; [ "$(live state | grep session:)" = "session: $1" ]; }
check "the reason is told" wait_until 10 session_says \
    "$SANDBOX/br-int.mgmt: the bridge speaks only OpenFlow10, OpenFlow13; add OpenFlow15 to the column \"protocols\" of this Bridge, or clear that column"
vsctl clear Bridge br-int protocols
until_live 10 session-up

# ---- Restarts.
# A connection leaves the bridge's fragment handling as it finds it.
ofctl set-frags br-int nx-match
assert_eq "a second session" \
    "$(printf 'wait 10 session-up\n' | "$OTD_BUILDDIR/tests/ofctl-live" "unix:$SANDBOX/db.sock" 2>> "$LIVE_LOG")" \
    "session-up
."
assert_eq "fragment handling is not ours to set" "$(ofctl get-frags br-int)" nx-match
kill -STOP "$(daemon_pid vswitchd)"
until_live 20 session-down
assert_eq "a silent switch is left" "$(live state | grep session:)" \
    "session: $SANDBOX/br-int.mgmt: no answer to a probe within 5000 ms"
kill -CONT "$(daemon_pid vswitchd)"
until_live 10 session-up
check "ovs-vswitchd is killed" kill9_vswitchd
until_live 10 session-down
check "the socket answers nobody" wait_until 10 session_says \
    "$SANDBOX/br-int.mgmt: Connection refused"
check "ovs-vswitchd starts" start_vswitchd
until_live 10 session-up
until_live 10 port-ready
assert_eq "its TLV table is empty" "$(live tlv)" "space 256 fields 64"
assert_eq "a bundle" "$(live bundle 10)" answered
check "ovsdb-server is killed" kill9_ovsdb
until_live 10 db-down
# ovs-vswitchd answers no OpenFlow while it has no database.
assert_eq "the ports are remembered" "$(live ofport vm1)" 1
check "ovsdb-server starts" start_ovsdb
until_live 20 db-up
until_live 10 session-up
until_live 10 port-ready
assert_eq "nothing was lost" "$(live dump | wc -l)" 10

# ---- The bridge is deleted under us, and there is a foreign port on the new one.
vsctl del-br br-int -- set Open_vSwitch . external_ids:tunneld-bridge-datapath-type=dummy
live want no
# shellcheck disable=SC2317  # called by wait_until
bridge_is_back() { live wait 1 session-up; [ "$(vsctl get Bridge br-int external_ids:owner)" = ovs-tunneld ]; }
check "the bridge is made again" wait_until 10 bridge_is_back
until_live 10 session-up
assert_eq "as it has to be" "$(vsctl get Bridge br-int fail_mode datapath_type)" "secure
dummy"
assert_eq "with no flows" "$(dump_flows)" ""
live want yes
until_live 10 port-ready

# ---- Going.
vsctl add-port br-int vm1 -- set Interface vm1 type=dummy
assert_eq "all that is ours goes" "$(live cleanup)" clean
assert_eq "but not a bridge that others use" "$(vsctl list-ports br-int)" vm1
vsctl del-port vm1
check "it goes when they have gone" wait_until 10 eval \
    'live cleanup; [ -z "$(vsctl list-br)" ]'

allow_log 'connection (dropped|attempt failed)|(receive|send) error'
allow_log 'NXFMFC_INVALID_TLV_FIELD'
allow_log 'another ovs-vswitchd process is running'
allow_log 'attempting to add tunnel port with same config|could not add network device otd-geneve|File exists'
allow_log 'vconn(\([^)]*\))?\|WARN\|.*version negotiation failed'
assert_eq "the driver has nothing to complain about" \
    "$(unexpected_lines live < "$LIVE_LOG" | grep -v 'external_ids:tunneld-')" ""
expect_clean_logs
finish
