#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The benchmarks: one table, each figure beside its bar.
#
#   bench.sh [--tunnels N] [--million] [--rounds N]
#
# Runs in the sandbox (a real ovs-vswitchd on the dummy datapath). Everything that
# is divided by something else is measured in turns with it, --rounds times (3), and
# the medians are divided: the machine is shared and its speed changes by the
# minute. After each load the flows are counted and 1,000 random tunnels traced;
# if one of these is wrong the script fails, whatever the table says.
#
# docs/benchmarks.md tells what each line is. Progress goes to stderr.

TUNNELS=100000
MILLION=
ROUNDS=3
while [ $# -gt 0 ]; do
    case $1 in
    --tunnels) TUNNELS=$2; shift 2 ;;
    --million) MILLION=1000000; shift ;;
    --rounds) ROUNDS=$2; shift 2 ;;
    *) sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done

. "$(dirname "$0")/../sandbox-lib.sh"
PATH=$OTD_BUILDDIR/tests/bench:$PATH

ANCHOR=16000000         # A tunnel that stays, so that the Geneve port does.
EXTRA=15000000          # First id of the tunnels created one by one.
N_SINGLE=500            # In each of
N_TURNS=4               # turns.
N_FLIGHT=20000
N_TRACES=1000
FLOOD_RATE=500

declare -A SAMPLES      # Name to numbers.
MGMT=                   # Set with the sandbox.
GRPC=

# Nothing hangs for ever.
load() { timeout 600 bench-load "$GRPC" "$@"; }
raw() { timeout 600 bench-raw "$@"; }
control() { timeout 120 bench-ctl "$@"; }

# ---- Numbers.

# field NAME "A=1 B=2"
field() { sed -n "s/.*\b$1=\([0-9.]*\).*/\1/p" <<< "$2"; }
add() { SAMPLES[$1]+=" $2"; }
# add_field NAME FIELD CMD...: runs it and takes one figure from what it prints.
add_field() {
    local name=$1 field=$2 line
    shift 2
    line=$("$@") || { check "$*" false; return 1; }
    add "$name" "$(field "$field" "$line")"
}
median() { tr ' ' '\n' <<< "${SAMPLES[$1]}" | sed '/^$/d' | sort -g |
           awk '{ v[NR] = $1 } END { if (NR) print v[int((NR + 1) / 2)]; else print 0 }'; }
calc() { awk "BEGIN { printf \"$2\", $1 }"; }

# ---- The table. Rows are kept until the end, so that it comes in one piece.

TABLE=()
# row FIGURE OURS BASELINE RATIO BAR "RATIO-OR-OURS OP LIMIT"
row() {
    local met=no
    awk "BEGIN { exit !($6) }" && met=yes
    TABLE+=("$1|$2|$3|$4|$5|$met")
}
# row_rate FIGURE N OURS-SAMPLES BASE-SAMPLES BAR: seconds to rates.
row_rate() {
    local ours base ratio
    ours=$(calc "$2 / $(median "$3")" %.0f)
    base=$(calc "$2 / $(median "$4")" %.0f)
    ratio=$(calc "$ours / $base" %.2f)
    row "$1" "$ours/s" "$base/s" "$ratio" ">= $5" "$ratio >= $5"
}
# row_time FIGURE OURS-SAMPLES BASE-SAMPLES BAR
row_time() {
    local ours base ratio
    ours=$(median "$2")
    base=$(median "$3")
    ratio=$(calc "$ours / $base" %.2f)
    row "$1" "$(calc "$ours" %.3f) s" "$(calc "$base" %.3f) s" "$ratio" \
        "<= $4" "$ratio <= $4"
}
print_table() {
    local line figure ours base ratio bar met
    printf '| %-52s | %12s | %12s | %6s | %8s | %-3s |\n' \
        figure ours baseline ratio bar met
    printf '|%s|%s|%s|%s|%s|%s|\n' "$(dashes 54)" "$(dashes 14)" \
        "$(dashes 14)" "$(dashes 8)" "$(dashes 10)" "$(dashes 5)"
    for line in "${TABLE[@]}"; do
        IFS='|' read -r figure ours base ratio bar met <<< "$line"
        printf '| %-52s | %12s | %12s | %6s | %8s | %-3s |\n' \
            "$figure" "$ours" "$base" "$ratio" "$bar" "$met"
    done
}
dashes() { printf '%*s' "$1" '' | tr ' ' -; }

# ---- The state of the machine.

progress() { echo "# $*" >&2; }

# Nanoseconds of CPU that a process has used, in all its threads.
cpu_ns() { awk '{ sum += $1 } END { printf "%d", sum }' "/proc/$1"/task/*/schedstat; }
rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$(daemon_pid tunneld)/status"; }

# Until a daemon is done with what it does in the background after a load: hardly
# any CPU between two looks of wait_until, 50 ms apart.
declare -A CPU_BEFORE
is_quiet() {
    local now before=${CPU_BEFORE[$1]:-0}
    now=$(cpu_ns "$(daemon_pid "$1")")
    CPU_BEFORE[$1]=$now
    [ $((now - before)) -lt 2000000 ]
}
settle() {
    wait_until 60 is_quiet vswitchd
    [ "${1:-}" = no-daemon ] || wait_until 60 is_quiet tunneld
}

n_flows() { field n "$(raw count "$MGMT")"; }
clear_flows() { ofctl del-flows br-int && settle no-daemon; }

start_serving() { start_tunneld && control wait "$SANDBOX/tunneld.ctl"; }

# verify NAME N: the flows in the switch, and random tunnels by trace.
verify() {
    local seed=$RANDOM dump
    dump=$(raw dump "$MGMT")
    check "$1: $2 flows of tunnels" test "$(field n "$dump")" = "$2"
    check "$1: $N_TRACES traces (seed $seed)" control \
        trace "$SANDBOX/ovs-vswitchd.ctl" vm1 "$3" $N_TRACES $seed
} >> "$SANDBOX/checks"

# ---- Loads.



# One stream against the same flows sent by OpenFlow alone; ovs-ofctl, too, if
# "ofctl" is given.
round_stream() {
    local tag=$1 n=$2 ofctl=${3:-} before start

    start_serving
    settle
    before=$(rss_kib)
    add_field "stream$tag" s load stream 1 "$n"
    settle
    add "rss$tag" "$((($(rss_kib) - before) * 1024 / n))"
    verify "stream of $n" $((n + 1)) "$n"
    [ -e "$SANDBOX/flows$tag" ] || raw dump "$MGMT" "$SANDBOX/flows$tag" > /dev/null
    if [ -n "$ofctl" ] && [ ! -e "$SANDBOX/flows$tag.txt" ]; then
        ofctl --no-stats dump-flows br-int "cookie=$TUNNEL_COOKIES" |
            sed -n 's/^ cookie=/cookie=/p' > "$SANDBOX/flows$tag.txt"
    fi
    add_field "delete$tag" s load delete 1 "$n"
    stop_tunneld
    clear_flows

    add_field "raw$tag" s raw bundle "$MGMT" "$SANDBOX/flows$tag" 100000
    check "raw bundle of $n: all flows" test "$(n_flows)" = $((n + 1)) \
        >> "$SANDBOX/checks"
    clear_flows

    if [ -n "$ofctl" ]; then
        start=$EPOCHREALTIME
        ofctl --bundle add-flows "$MGMT" "$SANDBOX/flows$tag.txt"
        add "ofctl$tag" "$(calc "$EPOCHREALTIME - $start" %.6f)"
        check "ovs-ofctl --bundle of $n: all flows" \
            test "$(n_flows)" = $((n + 1)) >> "$SANDBOX/checks"
        clear_flows
    fi
}

# ---- With all tunnels in.

# What a create is made of, and creates, in short turns: a moment in which the
# machine is busy must not hit one side alone.
round_creates() {
    local i first=$EXTRA single disk one

    for ((i = 0; i < N_TURNS; i++)); do
        single=$(raw single "$MGMT" "$SANDBOX/flows" $N_SINGLE)
        disk=$(raw fdatasync "$SANDBOX/store" $N_SINGLE)
        one=$(load create "$first" $N_SINGLE 1) || check "single creates" false
        add base50 "$(calc "$(field p50 "$single") + $(field p50 "$disk")" %.1f)"
        add base99 "$(calc "$(field p99 "$single") + $(field p99 "$disk")" %.1f)"
        add one50 "$(field p50 "$one")"
        add one99 "$(field p99 "$one")"
        add one "$(field s "$one")"
        first=$((first + N_SINGLE))
    done
    add_field many s load create "$first" $N_FLIGHT 64
    first=$((first + N_FLIGHT - EXTRA))
    verify "creates one by one" $((TUNNELS + 1 + first)) "$TUNNELS"
    load delete $EXTRA "$first" > /dev/null
    settle
}

round_stats() {
    add_field dump s raw dump "$MGMT"
    settle
    add_field stats s load stats $((TUNNELS + 1))
    settle
}

of_messages() { appctl coverage/read-counter ofproto_recv_openflow; }

# Until it is in sync again; and how many OpenFlow messages the switch got. A
# read-back takes few, whatever the number of tunnels.
round_restart() {
    local start messages
    kill9_tunneld
    settle no-daemon
    messages=$(of_messages)
    start=$EPOCHREALTIME
    start_serving
    add restart "$(calc "$EPOCHREALTIME - $start" %.6f)"
    add messages $(($(of_messages) - messages))
    add changes "$(tunneld_appctl tunneld/status |
        sed -n 's/^last read-back: .* \([0-9]*\) flows added, \([0-9]*\) deleted$/\1 + \2/p' |
        awk '{ print $1 + $3 }')"
    settle
}

round_flood() {
    local stop=$SANDBOX/stop-flood before sent
    rm -f "$stop"
    before=$(field packets "$(raw dump "$MGMT")")
    control flood "$SANDBOX/ovs-vswitchd.ctl" vm1 1000 $FLOOD_RATE "$stop" \
        > "$SANDBOX/flood" &
    wait_until 10 flood_has_begun "$before"
    kill9_tunneld
    start_serving
    touch "$stop"
    wait $!
    sent=$(field sent "$(cat "$SANDBOX/flood")")
    wait_until 20 flood_has_arrived "$((before + sent))" ||
        true
    add flood_sent "$sent"
    add flood_lost $((sent + before - $(field packets "$(raw dump "$MGMT")")))
}
flood_has_begun() { [ "$(field packets "$(raw dump "$MGMT")")" -gt "$1" ]; }
flood_has_arrived() { [ "$(field packets "$(raw dump "$MGMT")")" -ge "$1" ]; }

# Against a raw bundle to an ovs-vswitchd that has just started, too: its first
# 100,000 flows cost it more than those which take the place of others.
round_vswitchd() {
    local n pid
    n=$(n_flows)
    stop_vswitchd
    raw hello "$MGMT" "$n" > "$SANDBOX/hello" &
    pid=$!
    start_vswitchd
    if wait $pid; then
        add vswitchd "$(field s "$(cat "$SANDBOX/hello")")"
    else
        check "flows after a restart of ovs-vswitchd" false
    fi
    control wait "$SANDBOX/tunneld.ctl"
    settle
    verify "restart of ovs-vswitchd" $((TUNNELS + 1)) "$TUNNELS"

    stop_tunneld
    stop_vswitchd
    start_vswitchd
    settle no-daemon
    add_field fresh s raw bundle "$MGMT" "$SANDBOX/flows" 100000
    start_serving
    settle
}

# ---- All of it.

start_all() {
    sandbox_start vm1 || exit 1
    MGMT=$SANDBOX/br-int.mgmt
    GRPC=unix:$SANDBOX/tunneld.sock
    vsctl set Open_vSwitch . external_ids:tunneld-capacity=2000000
    start_serving
    load stream $ANCHOR 1 > /dev/null || exit 1
    TUNNEL_COOKIES=$(dump_flows | sed -n '/send_flow_rem/s/cookie=\(0x[0-9a-f]*\)[0-9a-f]\{8\},.*/\100000000\/0xffffffff00000000/p')
    stop_tunneld
    : > "$SANDBOX/checks"
}

run_streams() {
    local i
    for ((i = 1; i <= ROUNDS; i++)); do
        progress "stream of $TUNNELS, round $i"
        round_stream "" "$TUNNELS" ofctl
    done
    row_rate "one stream, against a raw bundle" "$TUNNELS" stream raw 0.8
    row_rate "one stream, against ovs-ofctl --bundle" "$TUNNELS" stream ofctl 1.5
}

run_million() {
    local i
    for ((i = 1; i <= ROUNDS; i++)); do
        progress "stream of $MILLION, round $i"
        round_stream -million "$MILLION"
    done
    row_rate "one stream of $MILLION, against raw bundles" "$MILLION" \
        stream-million raw-million 0.75
}

run_creates() {
    local i one many stream
    for ((i = 1; i <= ROUNDS; i++)); do
        progress "creates one by one, round $i"
        round_creates
    done
    for i in 50 99; do
        row "one create in flight, p$i, against disk + barrier" \
            "$(calc "$(median one$i)" %.0f) us" "$(calc "$(median base$i)" %.0f) us" \
            "$(calc "$(median one$i) / $(median base$i)" %.2f)" "<= 2.5" \
            "$(median one$i) <= 2.5 * $(median base$i)"
    done
    one=$(calc "$N_SINGLE / $(median one)" %.0f)
    many=$(calc "$N_FLIGHT / $(median many)" %.0f)
    stream=$(calc "$TUNNELS / $(median stream)" %.0f)
    row "64 creates in flight, against one" "$many/s" "$one/s" \
        "$(calc "$many / $one" %.2f)" ">= 5" "$many >= 5 * $one"
    row "64 creates in flight, against one stream" "$many/s" "$stream/s" \
        "$(calc "$many / $stream" %.2f)" ">= 0.1" "$many >= 0.1 * $stream"
}

run_reads() {
    local i
    for ((i = 1; i <= ROUNDS; i++)); do
        progress "counters of all and restart, round $i"
        round_stats
        round_restart
    done
    row_time "GetAllIpTunnelsStats, against a raw dump" stats dump 1.5
    row_time "daemon restart until in sync, against a raw dump" restart dump 3
    row "  flows changed by it (OpenFlow messages sent)" \
        "$(median changes) ($(median messages))" - - "0" \
        "$(median changes) == 0 && $(median messages) < 20"
    progress "daemon restart under a flood"
    round_flood
    row "  packets lost of a flood meanwhile" "$(median flood_lost)" \
        "$(median flood_sent)" - "0" \
        "$(median flood_lost) == 0 && $(median flood_sent) > 0"
}

run_vswitchd() {
    local i
    for ((i = 1; i <= ROUNDS; i++)); do
        progress "restart of ovs-vswitchd, round $i"
        round_vswitchd
    done
    row_time "ovs-vswitchd restart, hello to all flows" vswitchd fresh 1.5
}

row_memory() {
    row "memory of the daemon per tunnel, of $2" "$(median "rss$1") B" - - \
        "<= 600" "$(median "rss$1") <= 600"
}

start_all
run_streams
progress "loading $TUNNELS to stay"
start_serving
load stream 1 "$TUNNELS" > /dev/null
settle
verify "stream of $TUNNELS" $((TUNNELS + 1)) "$TUNNELS"
run_creates
run_reads
run_vswitchd
row_memory "" "$TUNNELS"
if [ -n "$MILLION" ]; then
    load delete 1 "$TUNNELS" > /dev/null
    stop_tunneld
    clear_flows
    run_million
    row_memory -million "$MILLION"
fi

echo "$(nproc) processors, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1);" \
    "$(ovs-vswitchd --version | head -1); load average $(cut -d' ' -f1-3 /proc/loadavg)"
print_table
sed -n '/^not ok/,/^ok/{/^ok/!p}' "$SANDBOX/checks" >&2
finish
