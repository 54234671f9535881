#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A few seconds' worth of the engine, for mutants: what must be so at the least.
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/../sandbox-lib.sh"

TESTS=$(cd "$(dirname "$0")/.." && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}
step() {
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$TESTS/client timeout 20 \
        "$PYTHON" "$TESTS/client/step.py"
}
serving() { [ "$(tunneld_appctl tunneld/status | sed -n 's/^serving: //p')" = yes ]; }
flows() { dump_flows "${1:-cookie=$OTD_COOKIE_OURS}" | sort; }
in_sync() {
    assert_eq "$1: in sync" "$(tunneld_appctl pipeline/check 2>&1)" "in sync"
}

sandbox_start vm1 vm2 || exit
export OTD_TARGET=unix:$SANDBOX/tunneld.sock OTD_PROTO=$TESTS/../proto
export OTD_STUBS=$SANDBOX/stubs
mkdir "$OTD_STUBS"
start_tunneld || exit
check "serving" wait_until 20 serving
fixed=$(flows)
check "tunnels, options and a chain" step <<'P'
e = encap(1000, inner_dst="10.200.0.1")
e.geneve.geneve_encap.geneve_option.add(option_class=0x102, type=1, data=b"\0\1\2\3")
assert brief(c.create(e, *[encap(i) for i in range(1, 80)])) == "_TUNNEL_ACCEPTED 0"
assert brief(c.create(encap(2001, port="", after=2000, inner_dst="10.3.0.0/24"),
                      decap(2000, action=pb.RECIRCULATE))) == "_TUNNEL_ACCEPTED 0"
P
in_sync created
with_tunnels=$(flows)
assert_eq "a dangling reference is refused" "$(step <<'P'
print(brief(c.create(encap(3001, port="", after=3000))).splitlines()[0])
P
)" "_TUNNEL_REJECTED 1"
assert_eq "an equal match is refused" "$(step <<'P'
r = encap(1)
r.tunnel_id = 4001
print(brief(c.create(r)).splitlines()[0])
P
)" "_TUNNEL_REJECTED 1"
assert_eq "and nothing of them is there" "$(flows)" "$with_tunnels"
kill9_tunneld
check "starts again" start_tunneld
check "serving again" wait_until 20 serving
assert_eq "no flow was touched" \
    "$(tunneld_appctl tunneld/status | sed -n 's/.*ago, //p')" \
    "0 flows added, 0 deleted"
ofctl add-flow br-int 'cookie=0x1234,table=5,priority=7,ip,actions=drop'
ofctl del-flows br-int "table=0,cookie=$((OTD_COOKIE_TUNNEL + 5))/-1"
check "a flow that was deleted comes back" wait_until 10 eval \
    '[ "$(flows)" = "$with_tunnels" ]'
check "a tunnel that is gone makes its successor inactive" step <<'P'
assert brief(c.create(delete(2000))) == "_TUNNEL_ACCEPTED 0"
P
assert_eq "with that reason" "$(tunneld_appctl tunnel/inactive | cut -d: -f1)" \
    "tunnel 2001"
in_sync "after the delete"
check "everything is deleted" step <<< 'c.delete_all()'
check "and only the pipeline is left" wait_until 20 eval \
    '[ "$(flows)" = "$fixed" ]'
assert_eq "foreign flows stay" "$(flows cookie=0x1234/-1)" \
    "cookie=0x1234, table=5, priority=7,ip actions=drop"
finish
