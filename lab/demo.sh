#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo: a chain of Geneve tunnels over three hypervisors and the way back, made
# over gRPC; real packets through it; and what one can look at.
#
# lab: -n 3
# shellcheck source=lab/lib.sh
. "$LAB_LIB"

heading() { printf '\n=== %s\n\n' "$*"; }

# Shows a command as one would type it on hypervisor N, and runs it there.
on() {
    local n=$1 word line=
    shift
    for word in "$@"; do
        case $word in
        *[\ \"]*) line+=" '$word'" ;;
        *) line+=" $word" ;;
        esac
    done
    printf 'h%s#%s\n' "$n" "$line"
    hv "$n" "$@"
}
create() { on "$1" ovs-tunnelctl create "${@:2}" || not_ok "h$1: create $2"; }

serving() {
    hv "$1" ovs-appctl -t ovs-tunneld tunneld/status | grep -qx 'serving: yes'
}
for n in 1 2 3; do
    wait_until 30 serving $n || { not_ok "ovs-tunneld serves on h$n"; finish; }
done

cat <<'END'

      vm1 10.0.0.1            vm2                vm3 10.0.0.3
          |                                          |
      h1 br-int             h2 br-int            h3 br-int
        encap ---VNI 100---> decap
                             encap ---VNI 200---> decap     vm1 to vm3
        decap <--VNI 101---  encap
                             decap <--VNI 201---  encap     vm3 to vm1
END

heading "A chain of tunnels from vm1 to vm3: encapsulate on h1 ..."
create 1 1 geneve-encap --in-if=vm1 --match-dst=10.0.0.3/32 \
    --src="$(hv_ip 1)" --dst="$(hv_ip 2)" --vni=100 \
    --option=0x0102,0x03,0xc0ffee01 --next=forward
heading "... take it out on h2 and hand it on (recirculate) to the next tunnel, to h3 ..."
create 2 1 geneve-decap --match-vni=100 --next=recirculate
create 2 2 geneve-encap --match-tunnel=1 --match-dst=10.0.0.3/32 \
    --src="$(hv_ip 2)" --dst="$(hv_ip 3)" --vni=200 --next=forward
heading "... and take it out on h3 and deliver it."
create 3 1 geneve-decap --match-vni=200 --next=forward

heading "The same for the way back."
create 3 2 geneve-encap --in-if=vm3 --match-dst=10.0.0.1/32 \
    --src="$(hv_ip 3)" --dst="$(hv_ip 2)" --vni=201 --next=forward
create 2 3 geneve-decap --match-vni=201 --next=recirculate
create 2 4 geneve-encap --match-tunnel=3 --match-dst=10.0.0.1/32 \
    --src="$(hv_ip 2)" --dst="$(hv_ip 1)" --vni=101 --next=forward
create 1 2 geneve-decap --match-vni=101 --next=forward

heading "Packets"
capture demo wire wire udp port 6081
printf 'vm1# ping -c 3 %s\n' "$(vm_ip 3)"
if vm 1 ping -i 0.2 -W 2 -c 3 "$(vm_ip 3)"; then
    ok "vm1 reaches vm3 through the chain"
else
    not_ok "vm1 reaches vm3 through the chain"
fi
capture_stop demo

heading "On the wire: the first request and its reply, two Geneve packets each"
capture_show demo -t -c 4
printf '\nThe first one with its Geneve option:\n\n'
capture_show demo -t -v -c 1
assert_eq "12 Geneve packets for 3 pings" "$(capture_count demo)" 12

heading "The chains on h2"
on 2 ovs-tunnelctl chains

heading "Counters"
counted() { hv 2 ovs-tunnelctl stats -f csv --no-headings | grep -q '^4,.*3'; }
wait_until 15 counted
on 2 ovs-tunnelctl stats

heading "The flows of a tunnel, with names"
on 2 ovs-tunnelctl flows 2

heading "All flows of br-int on h2"
on 2 ovs-ofctl -O OpenFlow15 --names --no-stats dump-flows br-int
assert_eq "the switch on h2 has what the daemon planned" \
    "$(hv 2 ovs-appctl -t ovs-tunneld pipeline/check 2>&1)" "in sync"
echo
expect_clean_logs
finish
