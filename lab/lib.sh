# shellcheck shell=bash
# Functions for the scripts that run inside the lab; a script starts with
#
#     #!/bin/bash
#     # lab: -n 3             (options of "lab run", if others than the default)
#     . "$LAB_LIB"
#
# and ends with "finish" (tests/tap.sh, which is sourced too: ok, check, assert_eq,
# wait_until, finish ...). Hypervisors and VMs are given by number, N below.
#
# The network. Hypervisor N is the network namespace hN; its NIC u0 (172.16.0.N/24,
# fd00:16::N/64, MTU 2000) hangs on the Linux bridge "wire" of the root namespace
# as port wN. VM N is the namespace vmN with eth0 (10.0.0.N/24, fd00:10::N/64,
# 52:54:00:00:00:NN, MTU 1500) on port vmN of br-int of hypervisor N. br-int is
# fail-mode secure and has no flows. All VMs know each other's MAC (permanent
# neighbours), so no flow for ARP or ND is needed.
#
#   hv N CMD...          run CMD on hypervisor N: its namespaces, its /run/openvswitch,
#                        so "hv 1 ovs-vsctl show" just works
#   vm N CMD...          run CMD in VM N
#   hv_ip N, hv_ip6 N, vm_ip N, vm_ip6 N, vm_mac N      print the address
#   dump_flows N [ARGS]  the flows of br-int, sorted, without counters
#   ofport N PORT        print the OpenFlow port number of PORT on hypervisor N
#   vm_add N HV          one more VM, numbered N (1 to 250), on hypervisor HV
#   ping_ok A B [COUNT]  VM A pings VM B over IPv4, none lost; ping6_ok over IPv6
#
# Daemons, by pid file. DAEMON is ovsdb, vswitchd or tunneld; each of these works
# with each of them: start_vswitchd 1, stop_vswitchd 1, kill9_vswitchd 1.
#
#   start_DAEMON N [ARGS]    returns when the daemon is ready
#   stop_DAEMON N            SIGTERM; returns when the process is gone
#   kill9_DAEMON N           SIGKILL; likewise
#   daemon_pid N DAEMON      print the pid; fails if it does not run
#   daemon_log N DAEMON      print its log
#   start_hypervisor N / stop_hypervisor N     all three, in order; the kernel
#                            datapath and its flows stay when vswitchd stops
#
# Packets.
#
#   capture NAME WHERE IFACE [FILTER]   tcpdump into /run/lab/NAME.pcap; WHERE is hN,
#                            vmN, or wire (IFACE wire: all of the underlay); returns
#                            when it really captures
#   capture_stop NAME        returns when all that was seen is in the file
#   capture_show NAME [ARGS] the packets as text (tcpdump -nn -r ... ARGS)
#   capture_count NAME [FILTER]    their number
#
#   paced_flood_start NAME A B [RATE]   UDP both ways between VMs A and B, RATE
#                            (default 600) numbered packets a second each way;
#                            returns when both hear each other; FLOOD6=1: IPv6
#   paced_flood_stop NAME    ends it, prints one line of figures for each way, and
#                            fails if a packet was lost or the rate was not held
#   paced_flood A B [RATE [SECONDS]]    the two together
#   flood_value NAME KEY     sum of one figure over both ways (lost, sent, duplicate)
#
# Logs.
#
#   expect_clean_logs        one result: no WARN, ERR or EMER in any log, except
#                            what allow_log (tests/tap.sh) allows

LAB_RUN=/run/lab
PORT_FLOOD=4711

# shellcheck source=tests/tap.sh
. "$LAB_TOP/tests/tap.sh"

hv_ip() { echo "172.16.0.$1"; }
hv_ip6() { echo "fd00:16::$1"; }
vm_ip() { echo "10.0.0.$1"; }
vm_ip6() { echo "fd00:10::$1"; }
vm_mac() { printf '52:54:00:00:00:%02x\n' "$1"; }

hv() {
    local n=$1
    shift
    "$LAB_WORK/ns" enter "$LAB_RUN/h$n.pid" "$@"
}

vm() {
    local n=$1
    shift
    "$LAB_WORK/ns" net "/run/netns/vm$n" "$@"
}

dump_flows() {
    local n=$1
    shift
    hv "$n" ovs-ofctl -O OpenFlow15 --no-stats --sort dump-flows br-int "$@" |
        sed '/^OFPST_FLOW/d; s/^ //'
}

ofport() { hv "$1" ovs-vsctl get Interface "$2" ofport; }

# --- Building the network

boot_lab() {
    local n
    if [ -t 1 ]; then
        stty raw -echo
    fi
    hostname lab
    if [ "$LAB_MODULES" != none ]; then
        modprobe -a ipv6 bridge veth openvswitch vport-geneve || return 1
    fi
    ip link set lo up
    ip link add wire type bridge mcast_snooping 0 || return 1
    ip link set wire mtu 2000 up promisc on
    for ((n = 1; n <= LAB_HYPERVISORS; n++)); do
        hypervisor_add "$n" || return 1
    done
    wait_for_uptime 11
    [ "$LAB_HYPERVISORS" -gt 0 ] || return 0
    local jobs=()
    for ((n = 1; n <= LAB_HYPERVISORS; n++)); do
        hypervisor_first_start "$n" &
        jobs+=($!)
    done
    for n in "${jobs[@]}"; do
        wait "$n" || return 1
    done
    vm_neighbours
}

# ovs-vswitchd 3.1 counts zero cores in the first 10 seconds of a system.
wait_for_uptime() {
    local up rest
    read -r up rest < /proc/uptime
    : "$rest"
    up=${up%.*}
    [ "$up" -ge "$1" ] || sleep $(($1 - up))
}

hypervisor_add() {
    local n=$1
    ip netns add "h$n"
    "$LAB_WORK/ns" hold "$LAB_RUN/h$n.pid" "/run/netns/h$n" \
        /run/openvswitch /etc/openvswitch /var/log/openvswitch \
        /run/ovs-tunneld /var/log/ovs-tunneld /var/lib/ovs-tunneld < /dev/null &
    ip -batch - <<EOF || return 1
link add w$n mtu 2000 type veth peer name u0 mtu 2000 netns h$n
link set w$n up master wire
EOF
    ip -n "h$n" -batch - <<EOF || return 1
link set lo up
address add 172.16.0.$n/24 dev u0
address add fd00:16::$n/64 dev u0 nodad
link set u0 up
EOF
    wait_until 10 test -e "$LAB_RUN/h$n.pid"
}

hypervisor_first_start() {
    local n=$1
    # shellcheck disable=SC2016  # meant for the inner shell
    hv "$n" sh -c 'cp "$1" /etc/openvswitch/conf.db
        chmod 0700 /var/lib/ovs-tunneld; chmod 0750 /run/ovs-tunneld' - "$LAB_WORK/conf.db"
    vm_link "$n" "$n" &&
    start_ovsdb "$n" &&
    hv "$n" ovs-vsctl --no-wait init \
        -- set Open_vSwitch . external_ids:system-id="h$n" \
            external_ids:hostname="h$n" \
            external_ids:tunneld-bridge=br-int \
            external_ids:tunneld-encap-ip="\"172.16.0.$n,fd00:16::$n\"" \
        -- add-br br-int -- set-fail-mode br-int secure \
        -- add-port br-int "vm$n" \
        -- set Interface "vm$n" external_ids:iface-id="vm$n" &&
    start_vswitchd "$n" &&
    if [ "$LAB_TUNNELD" != no ] && [ -x "$OTD_BUILDDIR/ovs-tunneld" ]; then
        start_tunneld "$n"
    fi
}

# VM n and its link to hypervisor hv.
vm_link() {
    local n=$1 hv=$2
    ip netns add "vm$n"
    ip -n "h$hv" -batch - <<EOF &&
link add vm$n type veth peer name eth0 address $(vm_mac "$n") netns vm$n
link set vm$n up
EOF
    ip -n "vm$n" -batch - <<EOF
link set lo up
address add 10.0.0.$n/24 dev eth0
address add fd00:10::$n/64 dev eth0 nodad
link set eth0 up
EOF
}

vm_add() {
    vm_link "$1" "$2" &&
    hv "$2" ovs-vsctl add-port br-int "vm$1" \
        -- set Interface "vm$1" external_ids:iface-id="vm$1" &&
    vm_neighbours
}

# Every VM knows every VM.
vm_neighbours() {
    local vm all=(/run/netns/vm*) batch=
    for vm in "${all[@]#/run/netns/vm}"; do
        printf -v batch '%sneigh replace %s dev eth0 nud permanent\n' \
            "$batch" "10.0.0.$vm lladdr $(vm_mac "$vm")" \
            "" "fd00:10::$vm lladdr $(vm_mac "$vm")"
    done
    for vm in "${all[@]#/run/netns/}"; do
        ip -n "$vm" -batch - <<< "$batch" || return 1
    done
}

# --- Daemons

daemon_pidfile() {
    case $1 in
    ovsdb) echo /run/openvswitch/ovsdb-server.pid ;;
    vswitchd) echo /run/openvswitch/ovs-vswitchd.pid ;;
    tunneld) echo /run/openvswitch/ovs-tunneld.pid ;;
    *) echo "no such daemon: $1" >&2; return 1 ;;
    esac
}

daemon_logfile() {
    case $1 in
    ovsdb) echo /var/log/openvswitch/ovsdb-server.log ;;
    vswitchd) echo /var/log/openvswitch/ovs-vswitchd.log ;;
    tunneld) echo /var/log/ovs-tunneld/ovs-tunneld.log ;;
    esac
}

daemon_pid() {
    local pid
    pid=$(hv "$1" cat "$(daemon_pidfile "$2")" 2> /dev/null) &&
    kill -0 "$pid" 2> /dev/null && echo "$pid"
}

daemon_log() { hv "$1" cat "$(daemon_logfile "$2")"; }

daemon_signal() {
    local pid
    pid=$(daemon_pid "$1" "$2") || { echo "$2 does not run on h$1" >&2; return 1; }
    kill "-$3" "$pid"
    wait_until 20 process_gone "$pid"
}

start_ovsdb() {
    local n=$1
    shift
    hv "$n" ovsdb-server --remote=punix:/run/openvswitch/db.sock \
        --remote=db:Open_vSwitch,Open_vSwitch,manager_options \
        --pidfile --detach --no-chdir -vconsole:off --log-file "$@" \
        /etc/openvswitch/conf.db
}

start_vswitchd() {
    local n=$1
    shift
    hv "$n" ovs-vswitchd --pidfile --detach --no-chdir -vconsole:off --log-file \
        "$@" unix:/run/openvswitch/db.sock
}

# The usual places, so that ovs-tunnelctl and "ovs-appctl -t ovs-tunneld" find it;
# and fixed names for programs that stay while it restarts.
start_tunneld() {
    local n=$1
    shift
    hv "$n" "$OTD_BUILDDIR/ovs-tunneld" -vconsole:off --pidfile \
        --log-file="$(daemon_logfile tunneld)" --detach --no-chdir \
        --listen=unix:/run/ovs-tunneld/tunneld.sock \
        --listen=unix:/run/ovs-tunneld/ovs-tunneld.sock "$@" || return
    # shellcheck disable=SC2016  # meant for the inner shell
    hv "$n" sh -c 'ln -sf "/run/openvswitch/ovs-tunneld.$(cat "$1").ctl" \
        /run/ovs-tunneld/ovs-tunneld.ctl' - "$(daemon_pidfile tunneld)"
}

stop_ovsdb() { daemon_signal "$1" ovsdb TERM; }
stop_vswitchd() { daemon_signal "$1" vswitchd TERM; }
stop_tunneld() { daemon_signal "$1" tunneld TERM; }
kill9_ovsdb() { daemon_signal "$1" ovsdb KILL; }
kill9_vswitchd() { daemon_signal "$1" vswitchd KILL; }
kill9_tunneld() { daemon_signal "$1" tunneld KILL; }

start_hypervisor() {
    start_ovsdb "$1" && start_vswitchd "$1" &&
    if [ "$LAB_TUNNELD" != no ] && [ -x "$OTD_BUILDDIR/ovs-tunneld" ]; then
        start_tunneld "$1"
    fi
}

stop_hypervisor() {
    if daemon_pid "$1" tunneld > /dev/null; then
        stop_tunneld "$1"
    fi
    stop_vswitchd "$1" && stop_ovsdb "$1"
}

# --- Packets

ping_ok() { vm "$1" ping -q -i 0.05 -W 2 -c "${3:-3}" "$(vm_ip "$2")"; }
ping6_ok() { vm "$1" ping -q -i 0.05 -W 2 -c "${3:-3}" "$(vm_ip6 "$2")"; }

capture() {
    local name=$1 where=$2 iface=$3 enter
    shift 3
    case $where in
    wire) enter=() ;;
    *) enter=("$LAB_WORK/ns" net "/run/netns/$where") ;;
    esac
    : > "$LAB_RUN/$name.tcpdump"
    "${enter[@]}" tcpdump -i "$iface" -nn -s 0 -B 16384 --immediate-mode -U -Z root \
        -w "$LAB_RUN/$name.pcap" "$@" 2> "$LAB_RUN/$name.tcpdump" &
    echo $! > "$LAB_RUN/$name.capture"
    wait_until 10 grep -q '^tcpdump: listening on' "$LAB_RUN/$name.tcpdump" ||
        { cat "$LAB_RUN/$name.tcpdump" >&2; return 1; }
}

capture_stop() {
    local name=$1 pid size before=-1
    pid=$(cat "$LAB_RUN/$name.capture")
    # Packets that are still on their way to the file: until it stops growing.
    while size=$(stat -c %s "$LAB_RUN/$name.pcap"); [ "$size" != "$before" ]; do
        before=$size
        sleep 0.2
    done
    kill -INT "$pid"
    wait_until 10 process_gone "$pid" || return 1
    rm "$LAB_RUN/$name.capture"
    if ! grep -q '^0 packets dropped by kernel' "$LAB_RUN/$name.tcpdump"; then
        echo "capture $name is incomplete:" >&2
        cat "$LAB_RUN/$name.tcpdump" >&2
        return 1
    fi
}

capture_show() {
    local name=$1
    shift
    tcpdump -nn -r "$LAB_RUN/$name.pcap" "$@" 2> /dev/null
}

capture_count() {
    local name=$1
    shift
    capture_show "$name" -t "$@" | grep -c '^[A-Z]' || true
}

paced_flood_start() {
    local name=$1 a=$2 b=$3 rate=${4:-600} ip=vm_ip
    [ -z "${FLOOD6:-}" ] || ip=vm_ip6
    PORT_FLOOD=$((PORT_FLOOD + 1))
    "$LAB_WORK/ns" net "/run/netns/vm$a" "$LAB_WORK/flood" \
        "$($ip "$a")" "$($ip "$b")" $PORT_FLOOD "$rate" \
        > "$LAB_RUN/$name.flood.a" 2> "$LAB_RUN/$name.flood.a.err" &
    echo "$! $a $b $rate" > "$LAB_RUN/$name.flood"
    "$LAB_WORK/ns" net "/run/netns/vm$b" "$LAB_WORK/flood" \
        "$($ip "$b")" "$($ip "$a")" $PORT_FLOOD "$rate" \
        > "$LAB_RUN/$name.flood.b" 2> "$LAB_RUN/$name.flood.b.err" &
    echo "$! $b $a $rate" >> "$LAB_RUN/$name.flood"
    wait_until 21 grep -q . "$LAB_RUN/$name.flood.a.err" &&
    wait_until 21 grep -q . "$LAB_RUN/$name.flood.b.err" &&
    grep -qx contact "$LAB_RUN/$name.flood.a.err" &&
    grep -qx contact "$LAB_RUN/$name.flood.b.err"
}

paced_flood_stop() {
    local name=$1 side=a report pid from to rate failed=0
    while read -r pid from to rate; do
        kill "$pid"
    done < "$LAB_RUN/$name.flood"
    while read -r pid from to rate; do
        wait_until 15 process_gone "$pid" || failed=1
        report=$(cat "$LAB_RUN/$name.flood.$side")
        # The receiver knows what was lost: its line speaks of the other way.
        echo "vm$to -> vm$from: $report"
        grep -vx contact "$LAB_RUN/$name.flood.$side.err"
        [[ $report = *" lost=0 "* ]] || failed=1
        [[ $report =~ rate=([0-9]+) ]]
        if [ "${BASH_REMATCH[1]:-0}" -lt $((rate * 9 / 10)) ]; then
            echo "vm$from sent less than 0.9 times $rate packets a second"
            failed=1
        fi
        side=b
    done < "$LAB_RUN/$name.flood"
    return $failed
}

paced_flood() {
    local status=0
    paced_flood_start flood "$1" "$2" "${3:-600}" || return 1
    sleep "${4:-3}"
    paced_flood_stop flood || status=$?
    return $status
}

flood_value() {
    sed -n "s/.*\b$2=\([-0-9]*\).*/\1/p" "$LAB_RUN/$1.flood.a" "$LAB_RUN/$1.flood.b" |
        awk '{ sum += $1 } END { print sum + 0 }'
}

# --- Logs

unexpected_log_lines() {
    local n daemon
    for ((n = 1; n <= LAB_HYPERVISORS; n++)); do
        for daemon in ovsdb vswitchd tunneld; do
            daemon_log "$n" $daemon 2> /dev/null | unexpected_lines "h$n $daemon"
        done
    done
}

expect_clean_logs() {
    assert_eq "the logs are clean" "$(unexpected_log_lines)" ""
}

# --- For a person

lab_shell() {
    local where=$1 size=$2
    cat > "$LAB_RUN/bashrc" <<EOF
. "$LAB_LIB"
PS1='\[\e[1m\]$where\[\e[0m\]:\w# '
cd /root
cat <<'TEXT'
The lab: $LAB_HYPERVISORS hypervisors (h1 ...), a VM on each (vm1 ...), "wire" between them.
  hv 2 ovs-vsctl show        run something on hypervisor 2
  vm 1 ping $(vm_ip 2)         run something in VM 1
  hv 2 bash                  a shell there (exit comes back)
  tcpdump -nni u0            here; tmux or & for two things at once
All functions: $LAB_LIB. Leave with exit: the lab is then gone.
TEXT
EOF
    stty sane "rows" "${size% *}" "cols" "${size#* }"
    case $where in
    h[1-9]) hv "${where#h}" setsid -c -w bash --rcfile "$LAB_RUN/bashrc" -i ;;
    vm[1-9]*) vm "${where#vm}" setsid -c -w bash --rcfile "$LAB_RUN/bashrc" -i ;;
    *) setsid -c -w bash --rcfile "$LAB_RUN/bashrc" -i ;;
    esac
}
