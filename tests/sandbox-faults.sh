#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What went wrong once, or nearly: streams that are open, cancelled or refused half
# way, somebody else's option mappings, counters over every kind of repair.
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

CLIENT_DIR=$(cd "$(dirname "$0")/client" && pwd)
OTD_PROTO=$(cd "$(dirname "$0")/../proto" && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}
step() { PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$CLIENT_DIR "$PYTHON" "$CLIENT_DIR/step.py"; }
serving() { [ "$(tunneld_appctl tunneld/status | sed -n 's/^serving: //p')" = yes ]; }
in_sync() { assert_eq "$1: in sync" "$(tunneld_appctl pipeline/check 2>&1)" "in sync"; }
packets() { step <<< "print(c.stats($1).tunnel_counters.out_packets)"; }
send_to() {
    for _ in 1 2 3 4 5; do
        receive vm1 "in_port(1),eth(src=52:54:00:00:00:01,dst=52:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.1.1.1,dst=$1,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)"
    done
}

sandbox_start vm1 vm2
export OTD_TARGET=unix:$SANDBOX/tunneld.sock OTD_PROTO OTD_STUBS=$SANDBOX/stubs
mkdir "$OTD_STUBS"
start_tunneld
check "serving" wait_until 20 serving

# ---- Readers and open streams.
assert_eq "a tunnel stays visible until its deletion is confirmed" "$(step <<'P'
import threading
c.create(*[encap(i) for i in range(1, 801)])
go = threading.Event()
def requests():
    for i in range(1, 701):
        yield delete(i)
    go.wait()
with Client() as d:
    call = d.stub.CreateIpTunnel.future(requests())
    seen = {(len(c.ids()), c.get(5).HasField("ip_tunnel")) for _ in range(20)}
    call.cancel()
    go.set()
print(seen, len(c.ids()))
c.delete_all()
P
)" "{(800, True)} 800"

# ---- Blame.
assert_eq "of two updates only the bad one is refused" "$(step <<'P'
c.create(encap(1))
bad = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
bad.match_criteria.tunnel_id = 999
good = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
good.geneve.geneve_encap.vni = 77
print(brief(c.create(bad, good)), c.get(1).ip_tunnel.geneve.geneve_encap.vni)
P
)" "_TUNNEL_REJECTED 1
1: match_criteria.tunnel_id: there is no tunnel 999; create it before or in the same stream 77"
assert_eq "3,000 bad updates of one tunnel are refused in one go" "$(step <<'P'
bad = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
bad.match_criteria.tunnel_id = 999
a = c.create(*[bad] * 3000, timeout=10)
print(a.request_status, len(a.responses))
c.delete_all()
P
)" "1 3000"

assert_eq "2,000 updates that each name another missing tunnel, too" "$(step <<'P'
def bad(i):
    u = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
    u.match_criteria.tunnel_id = 10000 + i
    return u
a = c.create(encap(1), *[bad(i) for i in range(2000)], timeout=10)
print(a.request_status, len(a.responses), c.ids())
c.delete_all()
P
)" "1 2000 [1]"
assert_eq "a create of what exists says so, whatever else is wrong with it" "$(step <<'P'
c.create(encap(1))
print(c.create(encap(1, action=pb.NONE)).request_status)
c.delete_all()
P
)" 4

# ---- Counters.
check "a tunnel that counts" step <<< 'c.create(encap(1, inner_dst="10.0.0.1"))'
send_to 10.0.0.1
check "counts its packets" wait_until 10 eval '[ "$(packets 1)" = 5 ]'
match=$(dump_flows "cookie=$OTD_COOKIE_TUNNEL/$OTD_COOKIE_KIND_MASK" |
    sed 's/.*send_flow_rem //; s/ actions=.*//')
ofctl mod-flows br-int "table=0,$match,actions=drop"
assert_eq "a flow that somebody changed is mended" \
    "$(tunneld_appctl pipeline/recompute | tail -1)" "1 differences, mended"
assert_eq "and counts no packet twice" "$(packets 1)" 5
vsctl set Open_vSwitch . external_ids:tunneld-encap-ip=172.16.0.9
check "after another address" wait_until 10 eval \
    '[ "$(tunneld_appctl pipeline/check 2>&1)" = "in sync" ]'
assert_eq "it has counted the same" "$(packets 1)" 5
send_to 10.0.0.1
check "and goes on" wait_until 10 eval '[ "$(packets 1)" = 10 ]'
check "an update of the tunnel" step <<'P'
u = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
u.geneve.geneve_encap.vni = 99
assert not c.create(u).error_status
P
assert_eq "changes no count" "$(packets 1)" 10
check "a match that another tunnel takes over in the same stream" step <<'P'
u = pb.IpTunnelRequest(tunnel_id=1, operation=pb._UPDATE)
u.match_criteria.ipv4_match.destination_ip = ip4("10.0.0.2")
assert not c.create(u, encap(2, inner_dst="10.0.0.1")).error_status
P
assert_eq "takes no counts with it" "$(packets 2)" 0
check "which stay with the first" wait_until 10 eval '[ "$(packets 1)" = 10 ]'
send_to 10.0.0.1
send_to 10.0.0.2
check "both count on: the first" wait_until 10 eval '[ "$(packets 1)" = 15 ]'
check "both count on: the second" wait_until 10 eval '[ "$(packets 2)" = 5 ]'
ofctl del-flows br-int
check "after somebody deleted all flows" wait_until 10 eval \
    '[ "$(tunneld_appctl pipeline/check 2>&1)" = "in sync" ]'
assert_eq "the first has its count" "$(packets 1)" 15
stop_vswitchd
start_vswitchd
check "serving after a restart of the switch" wait_until 20 serving
assert_eq "the first has its count after that" "$(packets 1)" 15
send_to 10.0.0.2
check "and goes on after that" wait_until 10 eval '[ "$(packets 1)" = 20 ]'
stop_tunneld
start_tunneld
check "serving after a restart of the daemon" wait_until 20 serving
assert_eq "and has its count after that, too" "$(packets 1)" 20
check "deleted" step <<< 'c.delete_all()'

# ---- What nobody reports: the pipeline's own flows.
vsctl set Open_vSwitch . external_ids:tunneld-stats-interval=200
fixed=$(dump_flows "table=$OTD_TABLE_LOOKUP")
ofctl del-flows br-int "table=$OTD_TABLE_LOOKUP"
check "a flow of the pipeline that was deleted comes back" wait_until 10 eval \
    '[ "$(dump_flows "table=$OTD_TABLE_LOOKUP")" = "$fixed" ]'
vsctl remove Open_vSwitch . external_ids tunneld-stats-interval
in_sync "after that"

# ---- Options.
vsctl set Open_vSwitch . external_ids:tunneld-capacity=3
check "a stream with an option that does not fit" wait_until 10 eval 'step <<P
def option(tunnel_id):
    e = encap(tunnel_id)
    e.geneve.geneve_encap.geneve_option.add(option_class=0x102, type=1, data=b"\0\0\0\1")
    return e
assert c.create(*[option(i) for i in range(1, 11)]).request_status == pb._TUNNEL_TABLE_FULL
assert not c.create(option(10)).error_status
P'
in_sync "the option is known to the pipeline"
vsctl remove Open_vSwitch . external_ids tunneld-capacity
assert_eq "a stream with a new option in each request" "$(step <<'P'
def option(tunnel_id, i):
    e = encap(tunnel_id)
    e.geneve.geneve_encap.geneve_option.add(option_class=0x105, type=i, data=b"\0\0\0\1")
    return e
print(brief(c.create(*[encap(i) for i in range(100, 1100)],
                     *[option(20 + i, i) for i in range(40)])))
c.create(*[delete(i) for i in range(100, 1100)], *[delete(20 + i) for i in range(40)])
P
)" "_TUNNEL_ACCEPTED 0"
in_sync "with many options"
assert_eq "a refused request maps nothing" "$(step <<'P'
def option(tunnel_id, port, data):
    e = encap(tunnel_id, port=port)
    e.geneve.geneve_encap.geneve_option.add(option_class=0x106, type=1, data=data)
    return e
a = c.create(option(4001, "nowhere", bytes(8)), option(4020, "vm1", bytes(4)))
print(a.request_status, a.error_status)
c.create(delete(4020))
P
)" "1 1"
assert_eq "somebody else's mapping is worked around" "$(
    ofctl add-tlv-map br-int '{class=0x300,type=1,len=4}->tun_metadata1'
    step <<'P'
e = encap(11)
e.geneve.geneve_encap.geneve_option.add(option_class=0x102, type=2, data=b"\0\0\0\1")
print(brief(c.create(e)))
P
)" "_TUNNEL_ACCEPTED 0"
in_sync "beside somebody else's mapping"
stop_tunneld
restart_vswitchd
ofctl add-tlv-map br-int '{class=0x300,type=1,len=124}->tun_metadata0,{class=0x300,type=2,len=124}->tun_metadata1,{class=0x300,type=3,len=8}->tun_metadata2'
start_tunneld
check "a full option map does not stop the daemon" wait_until 20 serving
assert_eq "tunnels whose option has no room are inactive" \
    "$(tunneld_appctl tunnel/inactive | sort)" \
"tunnel 10: Geneve option class 0x0102 type 0x01 of 4 bytes cannot be mapped: the bridge's option map has no room
tunnel 11: Geneve option class 0x0102 type 0x02 of 4 bytes cannot be mapped: the bridge's option map has no room"
in_sync "with a full option map"
restart_vswitchd
check "and active when there is room" wait_until 20 eval \
    'serving && [ -z "$(tunneld_appctl tunnel/inactive)" ]'
in_sync "with room in the option map"
check "deleted" step <<< 'c.delete_all()'

# ---- A switch that refuses.
check "a hundred tunnels" step <<< 'assert not c.create(*[encap(i) for i in range(1, 101)]).error_status'
limit=$(dump_flows table=0 | wc -l)
vsctl -- --id=@t create Flow_Table "flow_limit=$limit" overflow_policy=refuse \
    -- set Bridge br-int flow_tables:0=@t
check "what the switch refuses is refused, and nothing else" wait_until 10 eval 'step <<P
a = c.create(encap(200, inner_dst="10.9.9.9"), delete(100), encap(201, inner_dst="10.9.9.8"))
ids = c.ids()
print(brief(a), len(ids))
c.create(*[delete(i) for i in (200, 201) if i in ids], encap(100))
assert a.request_status == pb._TUNNEL_REJECTED and "OFPFMFC_TABLE_FULL" in str(a), a
assert (200 in ids) + (201 in ids) == 1 and 100 not in ids, ids
P'
restart_vswitchd
check "serving with a table that is too small" wait_until 20 serving
vsctl set Flow_Table "$(vsctl get Bridge br-int flow_tables:0)" flow_limit=$((limit / 2))
restart_vswitchd
check "what fits is in the switch" wait_until 20 eval \
    '[ "$(dump_flows table=0 | wc -l)" = '$((limit / 2))' ]'
check "a deletion is answered" step <<< 'assert not c.create(delete(50), timeout=10).error_status'
vsctl clear Bridge br-int flow_tables
check "all is in when there is room" wait_until 20 eval \
    '[ "$(tunneld_appctl pipeline/check 2>&1)" = "in sync" ]'
check "deleted" step <<< 'c.delete_all()'

# ---- A switch that goes.
check "a tunnel" step <<< 'c.create(encap(1))'
kill9_vswitchd
assert_eq "without the switch a create is answered at once" "$(step <<< \
    'print(brief(c.create(encap(2), timeout=5)).split()[0])')" \
    _TUNNEL_TABLE_UNAVAILABLE
start_vswitchd
check "serving again" wait_until 20 serving
assert_eq "one tunnel is there" "$(step <<< 'print(c.ids())')" "[1]"

pid=$(daemon_pid vswitchd)
kill -STOP "$pid"
step > "$SANDBOX/out" <<< 'print(brief(c.create(delete(1), encap(1, port="vm2"))).split()[0])' &
stream=$!
check "the stream is under way" wait_until 10 eval \
    'tunneld_appctl tunneld/status | grep "^calls: 1 open"'
kill -KILL "$pid"
wait_until 20 process_gone "$pid"
start_vswitchd
wait $stream
check "serving after the switch died under a change" wait_until 20 serving
before=$(step <<< 'print(c.get(1).ip_tunnel)')
kill9_tunneld
start_tunneld
check "serving after the daemon died, too" wait_until 20 serving
assert_eq "what the client was told stands: $(cat "$SANDBOX/out")" \
    "$(step <<< 'print(c.get(1).ip_tunnel)')" "$before"
in_sync "end"

allow_log 'otd_session\|'
allow_log '(vconn_stream|rconn)\|.*(Broken pipe|reset)'
allow_log 'somebody else removed (a flow|or added)'
allow_log 'tunnels are inactive because'
allow_log 'the switch refused|OFPFMFC_TABLE_FULL|OFPBFC_MSG_FAILED'
allow_log '(reconnect|jsonrpc)\|'
allow_log 'ofp_util\|.*TLV|tun_metadata|ofproto\|.*tlv'
expect_clean_logs
finish
