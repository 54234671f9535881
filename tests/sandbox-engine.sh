#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The engine against a real ovs-vswitchd: restarts, faults, repairs, chains, ports,
# options. After each part the switch holds the plan and nothing else of ours.
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

CLIENT_DIR=$(cd "$(dirname "$0")/client" && pwd)
OTD_PROTO=$(cd "$(dirname "$0")/../proto" && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}

# step: runs the Python on standard input against the daemon.
step() { PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$CLIENT_DIR "$PYTHON" "$CLIENT_DIR/step.py"; }
serving() { [ "$(tunneld_appctl tunneld/status | sed -n 's/^serving: //p')" = yes ]; }
wait_serving() { check "serving: $1" wait_until 20 serving; }
# Flows of equal priority come in any order.
flows() { dump_flows "$@" | sort; }
n_ours() { dump_flows "cookie=$OTD_COOKIE_TUNNEL/$OTD_COOKIE_KIND_MASK" | wc -l; }

# What the switch has is what the compiler says, as texts and as flows.
in_sync() {
    assert_eq "$1: the flows equal the plan" \
        "$(flows "cookie=$OTD_COOKIE_OURS")" \
        "$(tunneld_appctl pipeline/plan | sed 's/^ //' | sort)"
    assert_eq "$1: a read-back agrees" "$(tunneld_appctl pipeline/check 2>&1)" \
        "in sync"
    assert_eq "$1: recomputing changes nothing" \
        "$(tunneld_appctl pipeline/recompute 2>&1)" "in sync"
}

nothing_left() {
    check "$1: everything is deleted" step <<< 'c.delete_all()'
    check "$1: the ports go" wait_until 10 eval \
        '! vsctl list-ports br-int | grep otd-'
    check "$1: the option map is empty" wait_until 20 eval \
        'ofctl dump-tlv-map br-int | grep -q "^ allocated option space=0$"'
    check "$1: only the pipeline is left" wait_until 10 eval \
        '[ "$(flows)" = "$fixed_flows" ]'
}

sandbox_start vm1 vm2
export OTD_TARGET=unix:$SANDBOX/tunneld.sock OTD_PROTO OTD_STUBS=$SANDBOX/stubs
mkdir "$OTD_STUBS"

# ---- Absent peers at the start.
stop_vswitchd
stop_ovsdb
check "the daemon starts without a database and a switch" start_tunneld
assert_eq "health says so" "$(step <<< 'print(c.serving())')" 2
assert_eq "a create is answered unavailable" \
    "$(step <<< 'print(brief(c.create(encap(1))).split()[0])')" \
    _TUNNEL_TABLE_UNAVAILABLE
start_ovsdb
start_vswitchd
wait_serving "once both are there"
fixed_flows=$(flows)
assert_eq "nothing of the refused create is there" "$(step <<< 'print(c.ids())')" "[]"

# ---- A table of tunnels through every kind of restart.
check "200 tunnels, options, a chain" step <<'P'
assert brief(c.create(*[encap(i) for i in range(1, 201)])) == "_TUNNEL_ACCEPTED 0"
e = encap(1000, inner_dst="10.200.0.1")
for t in 1, 0x82:
    e.geneve.geneve_encap.geneve_option.add(option_class=0x102, type=t, data=b"\0\1\2\3")
e.geneve.geneve_encap.critical_option_present = True
assert brief(c.create(e, encap(2001, port="", after=2000, inner_dst="10.3.0.0/24"),
                      decap(2000, action=pb.RECIRCULATE))) == "_TUNNEL_ACCEPTED 0"
P
in_sync "created"
before=$(flows)

kill9_tunneld
check "the daemon starts again after kill -9" start_tunneld
wait_serving "after kill -9"
assert_eq "no flow was touched" \
    "$(tunneld_appctl tunneld/status | sed -n 's/.*ago, //p')" \
    "0 flows added, 0 deleted"
in_sync "after kill -9"

stop_tunneld
start_tunneld
wait_serving "after a graceful restart"
assert_eq "no flow was touched" \
    "$(tunneld_appctl tunneld/status | sed -n 's/.*ago, //p')" \
    "0 flows added, 0 deleted"

kill9_vswitchd
check "not serving without the switch" wait_until 10 eval '! serving'
start_vswitchd
wait_serving "after ovs-vswitchd was killed"
assert_eq "the same flows are back" "$(flows)" "$before"
in_sync "after ovs-vswitchd was killed"

kill9_ovsdb
check "not serving without the database" wait_until 10 eval '! serving'
start_ovsdb
wait_serving "after ovsdb-server was killed"
in_sync "after ovsdb-server was killed"

# ---- Somebody else's hands.
ofctl del-flows br-int "cookie=$((OTD_COOKIE_TUNNEL + 5))/-1"
check "one flow of ours that was deleted comes back" wait_until 10 eval \
    '[ "$(flows)" = "$before" ]'
ofctl del-flows br-int
check "all flows that were deleted come back" wait_until 10 eval \
    '[ "$(flows)" = "$before" ]'
in_sync "after foreign deletions"
ofctl add-flow br-int "cookie=$((OTD_COOKIE_TUNNEL + 0xffffff)),table=$OTD_TABLE_RECIRCULATE,priority=7,ip,actions=drop"
assert_eq "a flow that claims to be ours and is not is found" \
    "$(tunneld_appctl pipeline/check 2> /dev/null; tunneld_appctl pipeline/check 2>&1 | sed -n 1p)" \
    "not in the plan: recirculation: key 16777215: priority=7,ip actions=drop"
assert_eq "and removed" "$(tunneld_appctl pipeline/recompute | tail -1)" \
    "1 differences, mended"
in_sync "after the impostor"
vsctl del-port otd-geneve
check "our port that was deleted comes back" wait_until 10 eval \
    'vsctl get Interface otd-geneve ofport && [ "$(n_ours)" = 203 ]'
check "with all that depends on it" wait_until 10 eval \
    '[ "$(tunneld_appctl pipeline/check 2>&1)" = "in sync" ]'

# ---- References.
assert_eq "a followed tunnel can be deleted" \
    "$(step <<< 'print(brief(c.create(delete(2000))))')" "_TUNNEL_ACCEPTED 0"
assert_eq "its follower is inactive and says why" \
    "$(tunneld_appctl tunnel/inactive)" \
    "tunnel 2001: tunnel 2000, which match_criteria.tunnel_id names, does not exist"
in_sync "with an inactive follower"
check "it comes back" step <<< \
    'assert not c.create(decap(2000, action=pb.RECIRCULATE)).error_status'
assert_eq "and with it its follower" "$(tunneld_appctl tunnel/inactive)" ""
in_sync "with the follower back"
assert_eq "a dangling reference is refused" "$(step <<'P'
print(brief(c.create(encap(3001, after=3000), encap(3002))))
P
)" "_TUNNEL_REJECTED 1
3001: match_criteria.tunnel_id: there is no tunnel 3000; create it before or in the same stream"
assert_eq "so are all that depend on it" "$(step <<'P'
a, b = decap(3003, action=pb.RECIRCULATE), decap(3004, action=pb.RECIRCULATE)
for r, after in (a, 3001), (b, 3003):
    r.match_criteria.tunnel_id = after
print(brief(c.create(a, b, encap(3005))))
P
)" "_TUNNEL_REJECTED 3
3003: match_criteria.tunnel_id: there is no tunnel 3001; create it before or in the same stream
3004: match_criteria.tunnel_id: there is no tunnel 3003; create it before or in the same stream"
assert_eq "a circle is refused" "$(step <<'P'
a, b = decap(3006, action=pb.RECIRCULATE), decap(3007, action=pb.RECIRCULATE)
a.match_criteria.tunnel_id, b.match_criteria.tunnel_id = 3007, 3006
print(brief(c.create(a, b)).split()[0])
P
)" _TUNNEL_REJECTED
assert_eq "encapsulation after encapsulation is not supported" "$(step <<'P'
a = c.create(encap(3010, action=pb.RECIRCULATE), encap(3011, port="", after=3010))
print(brief(a), a.responses[0].error.error_message.tunnel_error)
P
)" "_TUNNEL_REJECTED 2
3011: match_criteria.tunnel_id: a geneve encap after tunnel 3010 (geneve encap): a second overlay encapsulation cannot be expressed in one pass of the switch 0"
in_sync "after refused references"

# ---- Interfaces.
add_port vm3
check "an interface that was added can be matched" step <<< \
    'assert not c.create(encap(4000, port="vm3", inner_dst="10.77.0.0/16")).error_status'
vsctl del-port vm3
check "without its interface a tunnel is inactive" wait_until 10 eval \
    '[ "$(tunneld_appctl tunnel/inactive)" = "tunnel 4000: interface vm3 is not on the bridge" ]'
in_sync "without the interface"
add_port vm3
check "and active again with it" wait_until 10 eval \
    '[ -z "$(tunneld_appctl tunnel/inactive)" ]'
in_sync "with the interface back"
assert_eq "an unknown interface is refused" "$(step <<< \
    'print(brief(c.create(encap(4001, port="vm9"))))')" \
"_TUNNEL_REJECTED 1
4001: match_criteria.ingress_interface: there is no interface vm9 on bridge br-int; add it to the bridge first"
assert_eq "our own tunnel port is no ingress interface" "$(step <<< \
    'print(brief(c.create(encap(4001, port="otd-geneve"))))')" \
"_TUNNEL_REJECTED 1
4001: match_criteria.ingress_interface: otd-geneve is a tunnel port; match what it delivers with a decapsulating tunnel and name that in tunnel_id"

# ---- Options.
assert_eq "one length for a class and type" "$(step <<'P'
e = encap(4002)
e.geneve.geneve_encap.geneve_option.add(option_class=0x102, type=1, data=b"\0" * 8)
print(brief(c.create(e)))
P
)" "_TUNNEL_REJECTED 1
4002: geneve.geneve_encap.geneve_option[0]: 8 bytes of data, but tunnel 1000 sends class 0x0102 type 0x01 with 4 bytes, and a bridge has one length for a class and type; use that length or another type"
assert_eq "the announced number of options works, one more does not" "$(step <<'P'
def many(tunnel_id, n):
    e = encap(tunnel_id)
    for i in range(n):
        e.geneve.geneve_encap.geneve_option.add(option_class=0x200, type=i, data=bytes([i] * 4))
    return e
n = c.capabilities().geneve_capabilities.number_geneve_options_supported
print(n, c.create(many(4010, n)).request_status, c.create(many(4011, n + 1)).request_status)
print(c.create(delete(4010)).request_status)
P
)" "31 0 1
0"
check "options that nobody sends any more are unmapped" wait_until 20 eval \
    'ofctl dump-tlv-map br-int | grep -q "^ allocated option space=8$"'
in_sync "after options came and went"

# ---- Capacity.
vsctl set Open_vSwitch . external_ids:tunneld-capacity=210
check "a full table takes nothing of a stream" wait_until 10 eval \
    '[ "$(step <<< "print(c.create(*[encap(i) for i in range(5001, 5031)]).request_status)")" = 2 ]'
assert_eq "nothing of it is there" "$(step <<< 'print(5001 in c.ids())')" False
assert_eq "what fits is taken" "$(step <<< \
    'print(brief(c.create(encap(5001), delete(3002), delete(3005), delete(3010))))')" \
    "_TUNNEL_ACCEPTED 0"
vsctl remove Open_vSwitch . external_ids tunneld-capacity
in_sync "after a full table"

# ---- Settings without a restart.
lookup="cookie=$(printf 0x%x $((OTD_COOKIE_FIXED + 16))), table=$OTD_TABLE_LOOKUP, priority=$OTD_PRIO_DEFAULT"
vsctl set Open_vSwitch . external_ids:tunneld-default-action=drop
check "the default action follows its setting" wait_until 10 eval \
    '[ "$(dump_flows "table=$OTD_TABLE_LOOKUP")" = "$lookup actions=drop" ]'
vsctl remove Open_vSwitch . external_ids tunneld-default-action
check "and back" wait_until 10 eval \
    '[ "$(dump_flows "table=$OTD_TABLE_LOOKUP")" = "$lookup actions=NORMAL" ]'
in_sync "after settings"
nothing_left "tunnels"

# ---- A switch that dies while a large stream is on its way.
for delay in 0.1 0.3 0.5 0.8; do
    step > "$SANDBOX/load.out" 2>&1 <<'P' &
print(brief(c.create(*[encap(i) for i in range(1, 30001)])).split("\n")[0])
P
    loader=$!
    sleep $delay
    kill9_vswitchd
    start_vswitchd
    wait $loader
    wait_serving "after a kill at ${delay}s of a load"
    answer=$(cut -d' ' -f1 "$SANDBOX/load.out")
    n=$(step <<< 'print(len(c.ids()))')
    case $answer,$n in
    _TUNNEL_ACCEPTED,30000 | _TUNNEL_TABLE_UNAVAILABLE,0)
        ok "at ${delay}s: the answer $answer is true" ;;
    *) not_ok "at ${delay}s: the answer is true" "$answer, $n tunnels" ;;
    esac
    in_sync "after a kill at ${delay}s"
    check "all deleted" step <<< 'c.delete_all()'
done

# ---- The daemon killed while a large stream is on its way.
step > "$SANDBOX/load.out" 2>&1 <<'P' &
c.create(*[encap(i) for i in range(1, 30001)])
P
loader=$!
sleep 0.4
kill9_tunneld
wait $loader
start_tunneld
wait_serving "after the daemon died in a load"
in_sync "after the daemon died in a load"
nothing_left "after the daemon died"

# ---- A bridge with somebody else's flows.
stop_tunneld
ofctl del-flows br-int
foreign=$(for t in 0 1 4 5 7 64; do
    echo "cookie=0xc0ffee, table=$t, priority=77,ip,nw_src=192.0.2.$t actions=drop"
done)
ofctl add-flows br-int <(tr -d ' ' <<< "${foreign//actions/,actions}")
foreign=$(flows)
start_tunneld
check "another controller's flows are refused, naming the cookie" wait_until 10 eval \
    'tunneld_appctl tunneld/status | grep -qx "serving: no: bridge br-int carries 6 flows of another controller, the first in table 0 with cookie 0xc0ffee; give ovs-tunneld a bridge of its own (external_ids:tunneld-bridge) or let it share this one (external_ids:tunneld-share-bridge=true)"'
assert_eq "and untouched" "$(flows)" "$foreign"
vsctl set Open_vSwitch . external_ids:tunneld-share-bridge=true
wait_serving "when told to share"
check "a tunnel on a shared bridge" step <<< 'assert not c.create(encap(1)).error_status'
kill9_tunneld; start_tunneld
wait_serving "on a shared bridge after kill -9"
in_sync "on a shared bridge"
assert_eq "the foreign flows survive" "$(flows cookie=0xc0ffee/-1)" "$foreign"
check "one with an option" step <<'P'
e = encap(2)
e.geneve.geneve_encap.geneve_option.add(option_class=0x102, type=1, data=bytes(4))
assert not c.create(e).error_status
P
assert_eq "exit --cleanup answers" "$(tunneld_appctl exit --cleanup)" ""
check "and ends the daemon" wait_until 20 eval '! daemon_pid tunneld'
assert_eq "only the foreign flows are left" "$(flows)" "$foreign"
check "no option mapping" eval 'ofctl dump-tlv-map br-int | grep -q "^ allocated option space=0$"'
check "and no port of ours" eval '! vsctl list-ports br-int | grep otd-'
rm -rf "$SANDBOX/store"
ofctl del-flows br-int
vsctl remove Open_vSwitch . external_ids tunneld-share-bridge

# ---- A port that cannot be created.
vsctl add-port br-int other -- set Interface other type=geneve \
    options:remote_ip=flow options:local_ip=flow options:key=flow
start_tunneld
wait_serving "beside another flow-based port"
refused=$(step <<< 'print(c.create(encap(1)))' 2>&1)
check "a port that cannot be created names the other one" grep -q other <<< "$refused"
assert_eq "and nothing is inserted" "$(step <<< 'print(c.ids())')" "[]"
vsctl del-port other
check "it can be created when the other is gone" wait_until 20 eval \
    'step <<< "assert not c.create(encap(1)).error_status"'
in_sync "after the port conflict"
vsctl add-port br-int other -- set Interface other type=geneve \
    options:remote_ip=192.0.2.9 options:key=flow
check "a port that takes packets from ours is named" wait_until 10 eval \
    'step <<< "pass" && tunneld_appctl tunnel/explain 1 | grep "^port: .*other"'
vsctl del-port other
nothing_left "end"

allow_log 'otd_session\|'
allow_log '(vconn_stream|rconn)\|.*Broken pipe'
allow_log 'reconnect\|'
allow_log 'jsonrpc\|'
allow_log 'somebody else removed a flow'
allow_log 'otd_ports?\|(WARN|ERR)\|.*(other|deleted)'
allow_log 'carries 6 flows of another controller'
allow_log '\|(tunnel|ofproto|bridge)\|WARN\|.*otd-geneve'
expect_clean_logs
finish
