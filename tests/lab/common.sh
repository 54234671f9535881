# shellcheck shell=bash
# What the packet tests share; a script starts with
#
#     #!/bin/bash
#     # lab: -n 3
#     . "${BASH_SOURCE[0]%/*}/common.sh"
#
# and has cases: case_begin NAME, results, case_end. It ends with "finish". It can
# run alone (lab/lab run tests/lab/NAME.sh) or after others in the same boot
# (tests/lab/run-all.sh): what it finds and leaves is a lab with no tunnels.
#
# Beside the hypervisors there is the peer, a network namespace on the same wire,
# set up by "ip" alone: p0 172.16.0.9, fd00:16::9. Its geneve devices are the Linux
# kernel's: what they understand was not made by us.
#
# VM 11 is a second one on hypervisor 1.
#
#   tunnel N send REQUEST...    gRPC to the daemon of hypervisor N (tunnel.py says how)
#   tunneld N ARGS              what ovs-appctl says to the daemon of hypervisor N
#   assert_stats DESC N LINE...  GetIpTunnelStats of tunnels equals these lines, at the
#                               latest after 5 seconds ("7: in 1/60 out ...")
#   stat_in ID PACKETS SIZE [DROPS], stat_out ID PACKETS SIZE    print such a line
#   frame ARGS                  prints a frame in hex (frames.py ip)
#   send VM HEX [COUNT]         a raw frame out of VM
#   peer_udp HEX [COUNT]        the peer sends a datagram to UDP port 6081 of
#                               hypervisor 1 over IPv4; peer_udp6 over IPv6
#   peer CMD...                 runs CMD there
#   peer_geneve VNI [REMOTE]    a geneve device at the peer, with 10.0.0.9, towards
#                               REMOTE (hypervisor 1); peer_geneve_ip6: fd00:10::9, too
#   peer_geneve_gone            removes it
#   seen NAME COUNT             true if capture NAME has that many frames
#   datagrams NAME / frames_of NAME     what capture NAME has (frames.py)
#   assert_datagrams DESC NAME LINE...  ends the capture; all that it has is LINEs, in
#                               whatever order (a first packet takes longer)
#   assert_frames DESC NAME HEX...
#   set_default N normal|drop   tunneld-default-action; returns when it is in force
#   settled N                   returns when no datapath flow of before is left

# shellcheck source=lab/lib.sh
. "$LAB_LIB"
TESTS_LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}
PEER_MAC=52:54:00:00:00:09
PEER_IP=172.16.0.9
PEER_IP6=fd00:16::9
export OTD_PROTO=$LAB_TOP/proto
export OTD_STUBS=${OTD_STUBS:-$LAB_RUN/stubs}
export OTD_TARGET=unix:/run/ovs-tunneld/ovs-tunneld.sock
export OTD_CTL=/run/ovs-tunneld/ovs-tunneld.ctl
export PYTHONDONTWRITEBYTECODE=1

# A port that is removed has packets of the last moments in the switch.
allow_log 'tunnel\([a-z0-9]*\)\|WARN\|(receive tunnel port not found|Dropped [0-9]+ log messages)'

# An ovs-vsctl that has its answer does not wait for what else the database has to say.
allow_log '(jsonrpc|reconnect)\|WARN\|unix#[0-9]+: (send error|connection dropped).*Broken pipe'

# --- Calls to the resident programs

# resident NAME CMD...: starts CMD with its two fifos; it answers to "hello".
resident() {
    local name=$1
    shift
    mkfifo "$LAB_RUN/$name.in" "$LAB_RUN/$name.out" || return 1
    "$@" serve "$LAB_RUN/$name.in" "$LAB_RUN/$name.out" \
        < /dev/null > "$LAB_RUN/$name.err" 2>&1 &
    echo $! > "$LAB_RUN/$name.pid"
}

# call NAME WORD...: one command; prints its output, returns its status.  All of the
# answer is read before anything is printed: whoever reads may go early.
call() {
    local name=$1 line in out lines=()
    shift
    exec {in}<> "$LAB_RUN/$name.in" {out}<> "$LAB_RUN/$name.out"
    printf '%s\n' "${*@Q}" >&"$in"
    while IFS= read -r -t 60 -u "$out" line && [[ $line != $'\x04'* ]]; do
        lines+=("$line")
    done
    exec {in}>&- {out}>&-
    [ ${#lines[@]} -eq 0 ] || printf '%s\n' "${lines[@]}"
    if [ -z "${line:-}" ]; then
        echo "$name does not answer: $(cat "$LAB_RUN/$name.err")"
        return 99
    fi
    return "${line#?}"
}

tunnel() {
    local n=$1
    shift
    : > "$LAB_RUN/touched.$n"
    call "tunnel$n" "$@"
}

tunneld() {
    local n=$1
    shift
    call "tunnel$n" appctl "$@"
}

frame() { call frames ip "$@"; }
send() { call frames send "vm$1" eth0 "${3:-1}" "$2"; }
peer_udp() { call frames udp peer $PEER_IP "$(hv_ip 1)" "${2:-1}" "$1"; }
peer_udp6() { call frames udp peer $PEER_IP6 "$(hv_ip6 1)" "${2:-1}" "$1"; }
datagrams() { call frames datagrams "$LAB_RUN/$1.pcap"; }
frames_of() { call frames frames "$LAB_RUN/$1.pcap"; }
seen() { [ "$(frames_of "$1" | wc -l)" -ge "$2" ]; }

# --- The lab for these tests, once in a boot

serving() { tunneld "$1" tunneld/status | grep -qx 'serving: yes'; }

make_peer() {
    ip netns add peer &&
    ip -batch - <<END &&
link add wp mtu 2000 type veth peer name p0 mtu 2000 netns peer
link set wp up master wire
END
    ip -n peer -batch - <<END &&
link set lo up
address add $PEER_IP/24 dev p0
address add $PEER_IP6/64 dev p0 nodad
link set p0 up
END
    peer ethtool -K p0 tx off > /dev/null
}

# Checksums on the wire are whole, and everybody knows the peer from the start.
know_peer() {
    local n=$1 vm=$2 mac
    mac=$(ip -n peer -o link show p0 | sed -n 's/.*link.ether \([^ ]*\).*/\1/p')
    hv "$n" ethtool -K u0 tx off > /dev/null &&
    ip -n "h$n" -batch - <<END &&
neigh replace $PEER_IP lladdr $mac dev u0 nud permanent
neigh replace $PEER_IP6 lladdr $mac dev u0 nud permanent
END
    ip -n "vm$vm" -batch - <<END
neigh replace 10.0.0.9 lladdr $PEER_MAC dev eth0 nud permanent
neigh replace fd00:10::9 lladdr $PEER_MAC dev eth0 nud permanent
END
}

prepare_hypervisor() {
    local n=$1
    hv "$n" ovs-vsctl set Open_vSwitch . external_ids:tunneld-stats-interval=1000 &&
    resident "tunnel$n" hv "$n" "$PYTHON" "$TESTS_LAB/tunnel.py" &&
    know_peer "$n" "$n" &&
    wait_until 20 serving "$n" &&
    ours "$n" > "$LAB_RUN/fixed.$n"
}

prepare() {
    local n
    mkdir -p "$OTD_STUBS" &&
    make_peer &&
    resident frames "$PYTHON" "$TESTS_LAB/frames.py" &&
    call frames hello || return 1
    # The first one makes the stubs for all.
    for ((n = 1; n <= LAB_HYPERVISORS; n++)); do
        prepare_hypervisor "$n" && call "tunnel$n" hello || return 1
    done
    vm_add 11 1 && know_peer 1 11 || return 1
    for n in vm11 vm1 vm2 vm3 peer; do
        [ ! -e /run/netns/$n ] || call frames sink $n || return 1
    done
    : > "$LAB_RUN/prepared"
}

# --- A case

# ours N [FLOW]: all flows of the bridge, or those that FLOW says, as they are.
ours() {
    hv "$1" ovs-ofctl -O OpenFlow15 --no-stats --no-names dump-flows br-int \
        ${2:+"$2"} | sed '/^OFPST_FLOW/d' | sort
}

log_file() {
    echo "/proc/$(< "$LAB_RUN/h$1.pid")/root$(daemon_logfile "$2")"
}

# Every line FUNCTION N DAEMON.
each_daemon() {
    local n daemon
    for ((n = 1; n <= LAB_HYPERVISORS; n++)); do
        for daemon in ovsdb vswitchd tunneld; do
            "$1" $n $daemon
        done
    done
}

case_begin() {
    local n daemon
    CASE=$1
    note "--- $CASE"
    CASE_ALLOWED=("${TAP_LOG_ALLOWED[@]}")
    rm -f "$LAB_RUN"/touched.*
    # shellcheck disable=SC2046
    call frames mark $(each_daemon log_file)
}

# What the daemon planned is what the switch has, to the letter; computing it anew
# changes nothing.
assert_in_sync() {
    local n=$1
    assert_eq "$CASE: pipeline/check on h$n" "$(tunneld "$n" pipeline/check 2>&1)" "in sync"
    assert_eq "$CASE: pipeline/recompute on h$n finds nothing to do" \
        "$(tunneld "$n" pipeline/recompute 2>&1)" "in sync"
    assert_eq "$CASE: the flows of h$n are those of the plan" "$(ours "$n" "$FLOWS_OF")" \
        "$(tunneld "$n" pipeline/plan | sort)"
}

# Ports and mappings of options go a little later than flows.
nothing_left() {
    [[ $(tunneld "$1" tunneld/status) != *$'\n'"port: "* ]] &&
    [ "$(tunneld "$1" pipeline/plan | sort)" = "$(< "$LAB_RUN/fixed.$1")" ]
}

tlv_map() { hv "$1" ovs-ofctl -O OpenFlow15 dump-tlv-map br-int | sed '1,/^---/d'; }

our_ports() { hv "$1" ovs-vsctl list-ports br-int | grep ^otd; }

assert_nothing_left() {
    local n=$1
    check "$CASE: all tunnels of h$n are deleted" tunnel "$n" delete-all
    wait_until 10 nothing_left "$n"
    assert_eq "$CASE: only the fixed flows of h$n are left" "$(ours "$n" "$FLOWS_OF")" \
        "$(cat "$LAB_RUN/fixed.$n")"
    assert_eq "$CASE: and the plan knows no others" "$(tunneld "$n" pipeline/plan | sort)" \
        "$(cat "$LAB_RUN/fixed.$n")"
    assert_eq "$CASE: no port and no mapped option is left on h$n" \
        "$(our_ports "$n"; tlv_map "$n")" ""
}

case_warnings() {
    local lines
    lines=$(call frames warnings "$(log_file "$1" "$2")")
    [ -z "$lines" ] || unexpected_lines "h$1 $2" <<< "$lines"
}

FLOWS_OF=
case_end() {
    local n daemon
    for ((n = 1; n <= LAB_HYPERVISORS; n++)); do
        [ -e "$LAB_RUN/touched.$n" ] || continue
        assert_in_sync $n
        assert_nothing_left $n
    done
    assert_eq "$CASE: the logs are clean" "$(each_daemon case_warnings)" ""
    TAP_LOG_ALLOWED=("${CASE_ALLOWED[@]}")
}

# --- Packets

stat_in() {
    echo "$1: in $2/$(($2 * $3)) out 0/0 in-drops ${4:-0}/$((${4:-0} * $3)) out-drops 0/0"
}
stat_out() { echo "$1: in 0/0 out $2/$(($2 * $3)) in-drops 0/0 out-drops 0/0"; }

assert_stats() {
    local desc=$1 n=$2 line ids=() want
    shift 2
    for line in "$@"; do
        ids+=("${line%%:*}")
    done
    want=$(printf '%s\n' "$@")
    stats_are() { [ "$(tunnel "$n" stats "${ids[@]}")" = "$want" ]; }
    wait_until 5 stats_are
    assert_eq "$desc" "$(tunnel "$n" stats "${ids[@]}")" "$want"
}

peer() { "$LAB_WORK/ns" net /run/netns/peer "$@"; }

# No IPv6 of its own unless asked for: that would send packets of its own.
peer_geneve() {
    local vni=$1 remote=${2:-$(hv_ip 1)}
    ip -n peer link add gnv address $PEER_MAC type geneve id "$vni" remote "$remote" \
        dstport 6081 &&
    peer sysctl -qw net.ipv6.conf.gnv.disable_ipv6=1 &&
    ip -n peer -batch - <<END
address add 10.0.0.9/24 dev gnv
link set gnv mtu 1500 up
neigh replace $(vm_ip 1) lladdr $(vm_mac 1) dev gnv nud permanent
END
}

peer_geneve_ip6() {
    peer sysctl -qw net.ipv6.conf.gnv.accept_ra=0 net.ipv6.conf.gnv.disable_ipv6=0 &&
    ip -n peer -batch - <<END
address add fd00:10::9/64 dev gnv nodad
neigh replace $(vm_ip6 1) lladdr $(vm_mac 1) dev gnv nud permanent
END
}

peer_geneve_gone() { ip -n peer link del gnv; }

# The capture ends when as many packets as are expected have arrived, or when none
# came for a while; then more than expected would be there, too.
assert_captured() {
    local how=$1 desc=$2 name=$3
    shift 3
    wait_until 5 seen "$name" $#
    check "$desc: the capture is complete" capture_stop "$name"
    assert_eq "$desc" "$($how "$name" | sort)" "$(printf '%s\n' "$@" | sed '/^$/d' | sort)"
}
assert_datagrams() { assert_captured datagrams "$@"; }
assert_frames() { assert_captured frames_of "$@"; }

set_default() {
    local n=$1
    hv "$n" ovs-vsctl set Open_vSwitch . "external_ids:tunneld-default-action=$2" &&
    wait_until 10 default_is "$@" && settled "$n"
}

settled() { hv "$1" ovs-appctl revalidator/wait; }

default_is() {
    local actions=NORMAL
    [ "$2" = normal ] || actions=drop
    ours "$1" table=7 | grep -q "actions=$actions\$"
}

# What a script that ends early leaves running would keep run-all.sh waiting.
stop_leftovers() {
    local file pid name
    for file in "$LAB_RUN"/*.capture "$LAB_RUN"/*.flood; do
        [ -e "$file" ] || continue
        while read -r pid _; do
            read -r name 2> /dev/null < "/proc/$pid/comm" || continue
            [[ $name != tcpdump && $name != flood ]] || kill -KILL "$pid"
        done < "$file"
        rm "$file"
    done
}
at_exit stop_leftovers

if [ ! -e "$LAB_RUN/prepared" ]; then
    prepare || { echo "the lab cannot be prepared"; exit 1; }
fi
