# shellcheck shell=bash
# The sandbox: a real ovs-vswitchd and ovsdb-server of its own, with the userspace
# dummy datapath, in a temporary directory. No kernel, no root. A script starts with
#
#     #!/bin/bash
#     . "$(dirname "$0")/sandbox-lib.sh"
#     sandbox_start vm1 vm2
#
# and ends with "finish" (tests/tap.sh, which is sourced too: ok, check, assert_eq,
# wait_until, finish ...). The sandbox goes when the script ends; SANDBOX_KEEP=1
# keeps its directory and says where it is.
#
#   sandbox_start [PORT...]  starts both daemons, makes br-int (fail-mode secure, no
#                            flows) with dummy ports of these names, OpenFlow port
#                            numbers 1, 2, ... in this order; sets
#                            external_ids:tunneld-bridge and tunneld-encap-ip
#                            (172.16.0.1,fd00:16::1). Does not start ovs-tunneld
#   sandbox_stop             stops all daemons; done by itself at the end
#   $SANDBOX                 the directory: *.log, *.pid, db.sock, br-int.mgmt,
#                            tunneld.sock (gRPC), tunneld.ctl, store/
#   add_port PORT            one more dummy port
#   vsctl ARGS, ofctl ARGS (OpenFlow 1.5), appctl ARGS (to ovs-vswitchd),
#   tunneld_appctl ARGS (to ovs-tunneld), tunnelctl ARGS
#   dump_flows [ARGS]        the flows of br-int, sorted, without counters
#   ofport PORT              print the OpenFlow port number
#   trace FLOW [OPTION...]   ofproto/trace on br-int; names of ports may be used. A
#                            datapath flow that the kernel would refuse, for it has
#                            tun_src and tun_ipv6_src in its mask, is a fault that
#                            expect_clean_logs finds
#   trace_actions FLOW       only its datapath actions
#   receive PORT FLOW        a real packet comes in on a port (netdev-dummy/receive)
#
# Daemons; DAEMON is ovsdb, vswitchd or tunneld:
#
#   start_DAEMON [ARGS]      returns when the daemon is ready
#   stop_DAEMON              SIGTERM; returns when the process is gone
#   kill9_DAEMON             SIGKILL; likewise
#   restart_vswitchd         stop_vswitchd, start_vswitchd
#   daemon_pid DAEMON        print the pid; fails if it does not run
#   expect_clean_logs        one result: no WARN, ERR or EMER in any log, except
#                            what allow_log (tests/tap.sh) allows
#
#   $OTD_TABLE_DECAP, $OTD_COOKIE_TUNNEL, $OTD_COOKIE_OURS ...    the numbers of the
#                            pipeline, as tests/print-pipeline prints them
#
# Environment: OTD_BUILDDIR (where ovs-tunneld is, default: the top of the tree)
# and OTD_OVS (a built Open vSwitch tree, default: build-aux/get-ovs).

# shellcheck disable=SC2119,SC2120  # functions with optional arguments
SANDBOX_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OTD_BUILDDIR=${OTD_BUILDDIR:-$SANDBOX_TOP}
OTD_OVS=${OTD_OVS:-$("$SANDBOX_TOP/build-aux/get-ovs")}

# shellcheck source=tests/tap.sh
. "$SANDBOX_TOP/tests/tap.sh"

if [ -x "$OTD_BUILDDIR/tests/print-pipeline" ]; then
    eval "$("$OTD_BUILDDIR/tests/print-pipeline" shell)"
fi

sandbox_start() {
    local port
    SANDBOX=$(mktemp -d "${TMPDIR:-/tmp}/sandbox.XXXXXX")
    at_exit sandbox_stop
    export SANDBOX OVS_RUNDIR=$SANDBOX OVS_LOGDIR=$SANDBOX OVS_DBDIR=$SANDBOX
    export OVS_SYSCONFDIR=$SANDBOX OVS_PKGDATADIR=$OTD_OVS/vswitchd
    export PATH=$OTD_BUILDDIR:$OTD_OVS/utilities:$OTD_OVS/ovsdb:$OTD_OVS/vswitchd:$PATH

    ovsdb-tool create "$SANDBOX/conf.db" "$OTD_OVS/vswitchd/vswitch.ovsschema" &&
    start_ovsdb &&
    vsctl --no-wait init \
        -- set Open_vSwitch . external_ids:tunneld-bridge=br-int \
            external_ids:tunneld-encap-ip='"172.16.0.1,fd00:16::1"' \
        -- add-br br-int -- set Bridge br-int datapath_type=dummy fail_mode=secure &&
    start_vswitchd || return 1
    for port in "$@"; do
        add_port "$port" || return 1
    done
}

sandbox_stop() {
    local daemon
    [ -n "${SANDBOX:-}" ] || return 0
    for daemon in tunneld vswitchd ovsdb; do
        if daemon_pid $daemon > /dev/null; then
            daemon_signal $daemon TERM || daemon_signal $daemon KILL
        fi
    done
    if [ -n "${SANDBOX_KEEP:-}" ]; then
        echo "# the sandbox is kept: $SANDBOX"
    else
        rm -rf "$SANDBOX"
    fi
    SANDBOX=
}

add_port() {
    SANDBOX_PORTS=$((${SANDBOX_PORTS:-0} + 1))
    vsctl add-port br-int "$1" \
        -- set Interface "$1" type=dummy ofport_request=$SANDBOX_PORTS \
        external_ids:iface-id="$1"
}

vsctl() { ovs-vsctl --db="unix:$SANDBOX/db.sock" --timeout=20 "$@"; }
ofctl() { ovs-ofctl -O OpenFlow15 --timeout=60 "$@"; }
appctl() { ovs-appctl --timeout=60 -t "$SANDBOX/ovs-vswitchd.ctl" "$@"; }
tunneld_appctl() { ovs-appctl --timeout=60 -t "$SANDBOX/tunneld.ctl" "$@"; }
tunnelctl() { "$OTD_BUILDDIR/ovs-tunnelctl" "$@"; }
dump_flows() {
    ofctl --no-stats --sort dump-flows br-int "$@" | sed '/^OFPST_FLOW/d; s/^ //'
}
ofport() { vsctl get Interface "$1" ofport; }

trace() {
    local flow=$1 output
    shift
    output=$(appctl ofproto/trace --names br-int "$flow" "$@") || return 1
    printf '%s\n' "$output"
    if grep '^Megaflow:.*tun_\(src\|dst\)=' <<< "$output" | grep -q tun_ipv6_; then
        echo "trace|WARN|IPv4 and IPv6 tunnel addresses in one datapath flow: $flow" \
            >> "$SANDBOX/trace.log"
    fi
}

trace_actions() { trace "$@" | sed -n 's/^Datapath actions: //p'; }

receive() { appctl netdev-dummy/receive "$@"; }

daemon_pid() {
    local pid
    { read -r pid < "$SANDBOX/$1.pid"; } 2> /dev/null &&
    ! process_gone "$pid" && echo "$pid"
}

daemon_signal() {
    local pid
    pid=$(daemon_pid "$1") || { echo "$1 does not run" >&2; return 1; }
    kill "-$2" "$pid"
    wait_until 20 process_gone "$pid"
}

start_ovsdb() {
    ovsdb-server --remote="punix:$SANDBOX/db.sock" --pidfile="$SANDBOX/ovsdb.pid" \
        --detach --no-chdir -vconsole:off --log-file="$SANDBOX/ovsdb.log" \
        --unixctl="$SANDBOX/ovsdb.ctl" "$@" "$SANDBOX/conf.db"
}

# Not --enable-dummy=override: that makes the geneve port a dummy that does not
# tunnel. Without tunnel push and pop, a trace shows set(tunnel(...)) as with the
# kernel datapath, and needs no routes and neighbours.
start_vswitchd() {
    ovs-vswitchd --enable-dummy --disable-system --pidfile="$SANDBOX/vswitchd.pid" \
        --detach --no-chdir -vconsole:off --log-file="$SANDBOX/vswitchd.log" \
        --unixctl="$SANDBOX/ovs-vswitchd.ctl" "$@" "unix:$SANDBOX/db.sock" &&
    appctl dpif/set-dp-features br-int tnl_push_pop false > /dev/null
}

start_tunneld() {
    "$OTD_BUILDDIR/ovs-tunneld" -vconsole:off --pidfile="$SANDBOX/tunneld.pid" \
        --log-file="$SANDBOX/tunneld.log" --unixctl="$SANDBOX/tunneld.ctl" \
        --detach --no-chdir --db="unix:$SANDBOX/db.sock" --store="$SANDBOX/store" \
        --listen="unix:$SANDBOX/tunneld.sock" "$@"
}

stop_ovsdb() { daemon_signal ovsdb TERM; }
stop_vswitchd() { daemon_signal vswitchd TERM; }
stop_tunneld() { daemon_signal tunneld TERM; }
kill9_ovsdb() { daemon_signal ovsdb KILL; }
kill9_vswitchd() { daemon_signal vswitchd KILL; }
kill9_tunneld() { daemon_signal tunneld KILL; }

restart_vswitchd() { stop_vswitchd && start_vswitchd; }

expect_clean_logs() {
    local daemon
    assert_eq "the logs are clean" "$(
        for daemon in ovsdb vswitchd tunneld trace; do
            [ ! -e "$SANDBOX/$daemon.log" ] ||
                unexpected_lines $daemon < "$SANDBOX/$daemon.log"
        done)" ""
}
