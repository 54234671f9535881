#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon as a process: options, start and failure to start, signals, exit, the
# service manager, the monitor, listening addresses out of the database.
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

TUNNELD=$OTD_BUILDDIR/ovs-tunneld
PYTHON=${PYTHON:-/usr/bin/python3}

status() { tunneld_appctl tunneld/status | sed -n "s/^$1: //p"; }
serving() { [ "$(status serving)" = yes ]; }
not_serving() { case $(status serving) in no*) ;; *) return 1 ;; esac; }
listening_at() { [ "$(status listening)" = "$1" ]; }
gone() { ! daemon_pid tunneld; }
another_pid_than() { local p; p=$(daemon_pid tunneld) && [ "$p" != "$1" ]; }

# A start that must fail at once: status 1, and a message that matches.
fails_to_start() {
    local desc=$1 regex=$2 output status=0
    shift 2
    output=$(timeout 20 "$TUNNELD" -vconsole:off --detach --no-chdir \
        --pidfile="$SANDBOX/bad.pid" --unixctl="$SANDBOX/bad.ctl" "$@" 2>&1) ||
        status=$?
    assert_eq "$desc: exit status" "$status" 1
    if printf '%s\n' "$output" | grep -Eq "$regex"; then
        ok "$desc: message"
    else
        not_ok "$desc: message" "wanted: $regex
got: $output"
    fi
    [ ! -e "$SANDBOX/bad.pid" ] || not_ok "$desc: leaves its pidfile behind"
}

# What the service manager is told, one datagram a line. To be run in the background.
listen_notify() {
    exec "$PYTHON" - "$SANDBOX/notify" "$SANDBOX/notify.log" <<'EOP'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
with open(sys.argv[2], "w") as log:
    while True:
        log.write(s.recv(4096).decode().replace("\n", "|") + "\n")
        log.flush()
EOP
}
notified() { grep -qx "$1" "$SANDBOX/notify.log"; }

flows_of_ours() { dump_flows | grep -c . ; }

# ---- Options.

assert_eq "--version" "$("$TUNNELD" --version | head -1)" \
    "ovs-tunneld $(sed -n 's/^AC_INIT(\[ovs-tunneld\], \[\([^]]*\)\].*/\1/p' \
        "$SANDBOX_TOP/configure.ac")"
check "--help" "$TUNNELD" --help
missing=$(for option in $("$TUNNELD" --help | grep -o -- '--[a-z][a-z-]*' | sort -u); do
    sed 's/\\-/-/g' "$SANDBOX_TOP/daemon/ovs-tunneld.8" | grep -q -- "$option" ||
        echo "$option"
done)
assert_eq "every option of --help is in the manual page" "$missing" ""
check_fails "an unknown option" "$TUNNELD" --no-such-option
check_fails "two databases" "$TUNNELD" unix:a unix:b

# ---- Without a switch and without a database.

sandbox_start vm1 || exit
stop_vswitchd
stop_ovsdb
listen_notify & notify_pid=$!
at_exit "kill $notify_pid"
wait_until 5 test -S "$SANDBOX/notify"
export NOTIFY_SOCKET=$SANDBOX/notify
check "it starts without the database" start_tunneld --monitor
unset NOTIFY_SOCKET
check "and does not serve" not_serving
check "and says so to the service manager" wait_until 5 notified 'STATUS=not serving: .*'
fails_to_start "a second one on the same store" 'ovs-tunneld: .*store.*(lock|another|second|use)' \
    --db="unix:$SANDBOX/db.sock" --store="$SANDBOX/store" \
    --listen="unix:$SANDBOX/other.sock"
start_ovsdb
check_fails "with the database it still does not serve" wait_until 1 serving
check_fails "nor says READY" notified 'READY=1.*'
start_vswitchd
check "with the switch it serves" wait_until 20 serving
check "and says READY" wait_until 5 notified 'READY=1|STATUS=serving'

# ---- Failures to start.

fails_to_start "no such address" 'ovs-tunneld: .*nonsense' \
    --db="unix:$SANDBOX/db.sock" --store="$SANDBOX/store2" --listen=nonsense
fails_to_start "an address in use" 'tunneld.sock' \
    --db="unix:$SANDBOX/db.sock" --store="$SANDBOX/store2" \
    --listen="unix:$SANDBOX/tunneld.sock"
fails_to_start "clear text on loopback without its flag" 'allow-clear-loopback' \
    --db="unix:$SANDBOX/db.sock" --store="$SANDBOX/store2" \
    --listen=insecure:127.0.0.1:0
fails_to_start "clear text beyond loopback" 'insecure' \
    --db="unix:$SANDBOX/db.sock" --store="$SANDBOX/store2" \
    --listen=insecure:0.0.0.0:0 --allow-clear-loopback
fails_to_start "a store that is no directory" 'conf.db' \
    --db="unix:$SANDBOX/db.sock" --store="$SANDBOX/conf.db" \
    --listen="unix:$SANDBOX/other.sock"
mkdir -m 700 "$SANDBOX/damaged"
head -c 8192 /dev/urandom > "$SANDBOX/damaged/tunnels.db"
fails_to_start "a damaged store" "$SANDBOX/damaged" \
    --db="unix:$SANDBOX/db.sock" --store="$SANDBOX/damaged" \
    --listen="unix:$SANDBOX/other.sock"

# ---- Listening addresses out of the database.

stop_tunneld
check "SIGTERM ends it and its monitor" wait_until 5 gone
check "and says STOPPING" notified 'STOPPING=1|STATUS=stopping'
start_from_database() {
    "$TUNNELD" -vconsole:off --pidfile="$SANDBOX/tunneld.pid" \
        --log-file="$SANDBOX/tunneld.log" --unixctl="$SANDBOX/tunneld.ctl" \
        --detach --no-chdir --store="$SANDBOX/store" "$@" "unix:$SANDBOX/db.sock"
}
export OTD_RUNDIR=$SANDBOX/run
vsctl set Open_vSwitch . external_ids:tunneld-listen="\"unix:$SANDBOX/one.sock\""
check "the database as an argument" start_from_database
check "tunneld-listen is used" wait_until 5 listening_at "unix:$SANDBOX/one.sock"
check "there is a socket" test -S "$SANDBOX/one.sock"
vsctl set Open_vSwitch . external_ids:tunneld-listen="\"unix:$SANDBOX/two.sock\""
check "a change is taken up" wait_until 5 listening_at "unix:$SANDBOX/two.sock"
check "there is the new socket" test -S "$SANDBOX/two.sock"
check_fails "and the old one is gone" test -e "$SANDBOX/one.sock"
vsctl set Open_vSwitch . external_ids:tunneld-listen=nonsense
has_error() { [ -n "$(status 'listening error')" ]; }
check "a wrong one is an error in the status" wait_until 5 has_error
check "and the old one stays" listening_at "unix:$SANDBOX/two.sock"
vsctl set Open_vSwitch . external_ids:tunneld-listen="\"unix:/proc/no/such.sock\""
check "one that cannot be made" wait_until 5 has_error
check "leaves the old one too" listening_at "unix:$SANDBOX/two.sock"
vsctl remove Open_vSwitch . external_ids tunneld-listen
check "without the setting it is the default" \
    wait_until 5 listening_at "unix:$SANDBOX/run/tunneld.sock"
assert_eq "whose directory is closed to others" \
    "$(stat -c %a "$SANDBOX/run" | sed 's/^7[05]0$/closed/')" closed
stop_tunneld
unset OTD_RUNDIR

# ---- Exit.

check "it starts" start_tunneld
check "and serves" wait_until 20 serving
fixed=$(dump_flows)
check "exit" tunneld_appctl exit
check "ends it" wait_until 10 gone
assert_eq "and leaves everything in place" "$(dump_flows)" "$fixed"
[ "$(flows_of_ours)" -gt 0 ] || not_ok "there were flows at all"

check "it starts" start_tunneld
check "and serves" wait_until 20 serving
check "memory/show" tunneld_appctl memory/show
check_fails "exit with another option" tunneld_appctl exit --no-such-option
check "which does not end it" daemon_pid tunneld
check "exit --cleanup" tunneld_appctl exit --cleanup
check "ends it" wait_until 10 gone
assert_eq "and leaves no flow" "$(dump_flows)" ""
assert_eq "and no port" "$(vsctl --bare --columns=name find Interface \
    external_ids:owner=ovs-tunneld)" ""

check "it starts" start_tunneld
check "and serves" wait_until 20 serving
stop_vswitchd
check_fails "exit --cleanup fails without the switch" tunneld_appctl exit --cleanup
check "but ends it" wait_until 10 gone
start_vswitchd

# ---- The monitor.

# A sanitizer must not turn the signal into a report and an exit.
export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}handle_segv=0
export TSAN_OPTIONS=${TSAN_OPTIONS:+$TSAN_OPTIONS:}handle_segv=0
check "it starts" start_tunneld --monitor
check "and serves" wait_until 20 serving
fixed=$(dump_flows)
before=$(daemon_pid tunneld)
kill -SEGV "$before"
check "a crashed daemon is started again" wait_until 20 another_pid_than "$before"
check "and serves" wait_until 20 serving
assert_eq "and nothing has changed" "$(dump_flows)" "$fixed"
stop_tunneld

allow_log 'files may be open, clients and all'
allow_log 'Backtrace using libunwind not supported'
allow_log 'died, killed \(Segmentation fault\)'
allow_log '(db.sock|br-int.mgmt): '
allow_log 'cannot serve clients at'
allow_log 'exit --cleanup: the switch did not confirm'
expect_clean_logs
finish
