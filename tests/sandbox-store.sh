#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The store's faults as a client and an operator meet them: a full disk, a disk that
# turns read-only, a damaged file, a second daemon. Mounts need a mount namespace of
# our own: the script runs itself again in one.
if [ -z "${OTD_IN_NAMESPACE:-}" ]; then
    if unshare -m true 2> /dev/null; then
        OTD_IN_NAMESPACE=yes exec unshare -m --propagation private "$0" "$@"
    fi
    OTD_IN_NAMESPACE=no
fi
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

CLIENT_DIR=$(cd "$(dirname "$0")/client" && pwd)
OTD_PROTO=$(cd "$(dirname "$0")/../proto" && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}
step() { PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$CLIENT_DIR "$PYTHON" "$CLIENT_DIR/step.py"; }
serving() { [ "$(tunneld_appctl tunneld/status | sed -n 's/^serving: //p')" = yes ]; }
in_sync() { assert_eq "$1: in sync" "$(tunneld_appctl pipeline/check 2>&1)" "in sync"; }
refuses_to_start() {
    local output
    if output=$(start_tunneld 2>&1); then
        not_ok "$1" "it started"
        stop_tunneld
    elif grep -qE "$2" <<< "$output"; then
        ok "$1"
        note "$output"
    else
        not_ok "$1" "$output"
    fi
}

sandbox_start vm1
export OTD_TARGET=unix:$SANDBOX/tunneld.sock OTD_PROTO OTD_STUBS=$SANDBOX/stubs
mkdir "$OTD_STUBS"
mkdir -m 0700 "$SANDBOX/store"

if [ "$OTD_IN_NAMESPACE" = yes ] &&
    mount -t tmpfs -o size=4M,mode=0700 tmpfs "$SANDBOX/store" 2> /dev/null; then
    at_exit 'umount -l "$SANDBOX/store" 2> /dev/null'
    start_tunneld
    check "serving" wait_until 20 serving
    check "some tunnels fit" step <<< \
        'assert not c.create(*[encap(i) for i in range(1, 101)]).error_status'
    assert_eq "a full disk refuses the whole stream" "$(step <<'P'
a = c.create(*[encap(i) for i in range(1001, 61001)])
print(pb.AddTunnelStatus.Name(a.request_status))
P
)" _TUNNEL_TABLE_UNAVAILABLE
    assert_eq "and nothing of it is there" "$(step <<< 'print(len(c.ids()))')" 100
    in_sync "after a full disk"
    check "the daemon still serves what fits" step <<< \
        'assert not c.create(encap(2001)).error_status'
    mount -o remount,size=400M "$SANDBOX/store"
    check "with room again the stream is taken" step <<< \
        'assert not c.create(*[encap(i) for i in range(3001, 63001)]).error_status'
    in_sync "with room again"
    check "deleted" step <<< 'c.delete_all()'
    check "one is left" step <<< 'assert not c.create(encap(7)).error_status'
    stop_tunneld
    cp -a "$SANDBOX/store/." "$SANDBOX/saved"
    mount -o remount,ro "$SANDBOX/store"
    refuses_to_start "a read-only store is refused" 'store.*(read-only|readonly|Read-only)'
    umount "$SANDBOX/store"
    cp -a "$SANDBOX/saved/." "$SANDBOX/store/"
else
    skip "a full and a read-only disk (no mount namespace may be made here)"
    start_tunneld
    check "serving" wait_until 20 serving
    check "one tunnel" step <<< 'assert not c.create(encap(7)).error_status'
    stop_tunneld
    cp -a "$SANDBOX/store/." "$SANDBOX/saved"
fi

db=$(find "$SANDBOX/store" -type f -size +4k ! -name '*-wal' ! -name '*-shm' | head -1)
for where in 0 100 4096; do
    dd if=/dev/urandom of="$db" bs=1 seek=$where count=64 conv=notrunc status=none
    refuses_to_start "64 damaged bytes at $where are refused" \
        "$(basename "$db").*(malformed|not a database|damaged|corrupt)|(malformed|not a database|damaged|corrupt).*$(basename "$db")"
    cp -a "$SANDBOX/saved/." "$SANDBOX/store/"
done
: > "$db"
refuses_to_start "an emptied file is not taken for a new one" "$(basename "$db")"
cp -a "$SANDBOX/saved/." "$SANDBOX/store/"
start_tunneld
check "the good file is taken again" wait_until 20 serving
assert_eq "with what it held" "$(step <<< 'print(c.ids())')" "[7]"
in_sync "with the good file"

second=$("$OTD_BUILDDIR/ovs-tunneld" -vconsole:off --db="unix:$SANDBOX/db.sock" \
    --unixctl="$SANDBOX/second.ctl" --store="$SANDBOX/store" \
    --listen="unix:$SANDBOX/second.sock" --pidfile="$SANDBOX/second.pid" \
    --detach --no-chdir 2>&1) &&
    not_ok "a second daemon on the same store is refused" "it started"
check "a second daemon on the same store is refused, saying why" \
    grep -qE 'store.*(lock|in use|another)' <<< "$second"

allow_log 'store|disk|full'
expect_clean_logs
finish
