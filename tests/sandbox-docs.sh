#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The generated parts of docs/: every dump and every error text in them is what a
# real daemon with a real switch says. Fails if a document says something else;
#
#     tests/sandbox-docs.sh --update
#
# writes them anew.
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

TESTS=$(cd "$(dirname "$0")" && pwd)
DOCS=$TESTS/../docs
PYTHON=${PYTHON:-/usr/bin/python3}
SECTIONS=

# section NAME CMD...: what CMD prints is the section NAME.
section() {
    local name=$1
    shift
    "$@" > "$SECTIONS/$name" 2>&1
}

# text CMD...: as a block, with the commands that shell prints.
text() {
    echo '```'
    "$@"
    echo '```'
}

wrap() { fold -s -w 88 | sed 's/ *$//'; }

# shell CMD...: a command as one types it, and what it says.
shell() {
    local word line=
    for word in "$@"; do
        case $word in
        *[\ \"]*) line+=" '$word'" ;;
        *) line+=" $word" ;;
        esac
    done
    line="\$${line//$SANDBOX\//}"
    # No longer than a page is wide.
    fold -s -w 88 <<< "$line" | sed '$!s/ *$/ \\/; 2,$s/^/    /'
    "run_${1//-/_}" "${@:2}"
}
run_ovs_tunnelctl() {
    tunnelctl --daemon="$SANDBOX/tunneld.ctl" --vswitchd="$SANDBOX/ovs-vswitchd.ctl" \
        -t 20 "$@" 2>&1 | sed "s|$SANDBOX/||g"
}
run_ovs_ofctl() { ovs-ofctl "$@" | sed 's/^ //'; }
run_ovs_vsctl() { vsctl "$@"; }

serving() { [ "$(tunneld_appctl tunneld/status | sed -n 's/^serving: //p')" = yes ]; }

# create ID ARGS: a tunnel and its flows.
create() {
    shell ovs-tunnelctl create "$@"
    shell ovs-tunnelctl flows "$1"
}

# The lines of a trace that tell where the packet goes.
trace_of() {
    shell ovs-tunnelctl trace "$@" | grep -E '^(\$|    [^ ]|  +-> | ?[0-9]+\. |Datapath actions)' |
        sed 's/, cookie 0x[0-9a-f]*//; s/  \[tunnel \([0-9]*\): .*: its next step is missing\]/  [tunnel \1: its next step is missing]/; s/  \[tunnel \([0-9]*\): [^]]*;[^]]*\]/  [tunnel \1]/'
}

# refused NAME WORDS...: a request that is refused: what a person sees, and what of it
# is in the fields of the answer.
refused() {
    local name=$1
    shift
    section "$name" text refusal "$@"
    check_fails "$name: fails" run_ovs_tunnelctl_status "$@"
}
refusal() {
    shell ovs-tunnelctl "$@" | wrap
    tunnelctl -t 20 -f json "$@" 2> /dev/null |
        sed -n 'h; s/.*"request_status":\("[^"]*"\).*/request_status: \1/p
                g; s/.*"error_message":\({[^}]*}\).*/error_message: \1/p'
}
run_ovs_tunnelctl_status() { tunnelctl -t 20 "$@"; }

# refused_python NAME: the same for what ovs-tunnelctl will not send; the request
# comes as Python.
refused_python() {
    section "$1" text python_refusal
}
python_refusal() {
    PYTHONPATH=$TESTS/client "$PYTHON" "$TESTS/client/step.py" | wrap
}

sandbox_start vm1 vm2 || exit
SECTIONS=$SANDBOX/sections
mkdir "$SECTIONS"
export OTD_RUNDIR=$SANDBOX
cd "$SANDBOX" || exit

PRINT=$OTD_BUILDDIR/tests/print-pipeline
section tables "$PRINT" tables
section registers "$PRINT" registers
section priorities "$PRINT" priorities
section cookies "$PRINT" cookies

check "the daemon starts" start_tunneld
check "and serves" wait_until 20 serving
dump() { shell ovs-ofctl -O OpenFlow15 --names --no-stats dump-flows br-int "$@" | sed '/^OFPST/d'; }
section flows-without-tunnels text dump

# ---- Each kind of tunnel.

encap() {
    create 5 geneve-encap --in-if=vm1 --match-dst=10.1.0.0/16 --dst=172.16.0.2 \
        --vni=100 --next=forward
}
section encap text encap
specific() {
    create 6 geneve-encap --in-if=vm1 --match-dst=10.1.2.0/24 --dst=172.16.0.3 \
        --vni=101 --next=forward
    shell ovs-tunnelctl create 7 geneve-encap --in-if=vm1 --match-dst=10.1.2.0/24 \
        --dst=172.16.0.9 --vni=999 --next=forward
}
section specific text specific
options() {
    create 8 geneve-encap --in-if=vm1 --match-dst=10.2.0.0/16 --dst=172.16.0.2 \
        --vni=100 --option=0x0102,0x03,0xc0ffee01 --next=forward
    shell ovs-ofctl -O OpenFlow15 dump-tlv-map br-int |
        sed -E '/^NXT_/d; /^[- ]*$/d; s/[ \t]+$//'
}
section options text options
decap() {
    create 10 geneve-decap --match-vni=100 --next=forward
    create 11 geneve-decap --match-vni=100 --match-src=172.16.0.2/32 --next=forward
    create 12 geneve-decap --match-vni=100 --match-src=fd00:16::2/128 --next=forward
}
section decap text decap
chain() {
    create 20 geneve-decap --match-vni=200 --next=recirculate
    create 21 geneve-encap --match-tunnel=20 --match-dst=10.3.0.0/24 --dst=fd00:16::3 \
        --vni=201 --next=forward
    shell ovs-tunnelctl chains | sed '/^Tunnels/,/^Chains/{/^Chains/!d}'
    shell ovs-tunnelctl flows 20
}
section chain text chain

in_port=otd-geneve4
outer=tun_src=172.16.0.2,tun_dst=172.16.0.1
section trace-encap text trace_of in_port=vm1,ip,nw_dst=10.1.2.3
section trace-decap text trace_of in_port=$in_port,tun_id=100,$outer,ip,nw_dst=10.0.0.1
section trace-chain text trace_of in_port=$in_port,tun_id=200,$outer,ip,nw_dst=10.3.0.3
section trace-missing text trace_of in_port=$in_port,tun_id=200,$outer,ip,nw_dst=10.9.0.3
section trace-unknown text trace_of in_port=$in_port,tun_id=999,$outer,ip,nw_dst=10.1.2.3
section flows-with-tunnels text dump
section explain text shell ovs-tunnelctl explain 21

# ---- Errors.

good="--match-dst=10.8.0.0/16 --dst=172.16.0.2 --vni=7 --next=forward"
echo 000102030405060708090a0b0c0d0e0f > key
cat > options.json <<END
{"tunnel_id": 30, "operation": "_CREATE", "next_action": "FORWARD",
 "match_criteria": {"ipv4_match": {"destination_ip": "10.8.0.0", "destination_ip_prefix": 16}},
 "geneve": {"geneve_encap": {"vni": 7, "outer_ipv4_pair": {"destination_ip": "172.16.0.2"},
  "geneve_option": [$(for i in 1 2 3; do
    printf '{"option_class": 263, "type": %d, "data": "0x%0200d"}%s' $i 0 \
        "$([ $i = 3 ] || echo ,)"
  done)]}}}
END
cat > ipsec.py <<'END'
def ipsec(tunnel_type, encryption_type):
    r = pb.IpTunnelRequest(tunnel_id=30, operation=pb._CREATE, next_action=pb.FORWARD)
    r.match_criteria.tunnel_id = 20
    e = r.ipsec_tunnel.ipsec_enc
    e.tunnel_type, e.encryption_type = tunnel_type, encryption_type
    e.ipv4_tunnel.source_ip, e.ipv4_tunnel.destination_ip = 0x010010ac, 0x020010ac
    e.ipsec_sa.spi, e.ipsec_sa.encryption_key = 300, b"0123456789abcdef"
    print("tunnel_type: %d, encryption_type: %d" % (tunnel_type, encryption_type))
    answer = c.create(r).responses[0].error
    print(answer.error_string)
    print("error_message:", str(answer.error_message).strip())
END
# shellcheck disable=SC2086  # words
errors() {
    local encap="create 30 geneve-encap --in-if=vm1"
    refused missing-fields create 30 geneve-encap --dst=172.16.0.2 --vni=7 --next=forward
    refused invalid-tunnel-id create 30 geneve-encap --match-tunnel=99 \
        --match-dst=10.8.0.0/16 --dst=172.16.0.2 --vni=7 --next=forward
    refused invalid-capabilities create 30 geneve-decap --in-if=vm1 --match-vni=7 \
        --next=forward
    refused invalid-field $encap --match-dst=10.8.0.0/33 --dst=172.16.0.2 --vni=7 \
        --next=forward
    refused no-interface create 30 geneve-encap --in-if=vm9 $good
    refused not-supported create 30 nat --match-dst=10.8.0.0/16 --src=172.16.0.1 \
        --next=forward
    refused not-supported-chain create 30 geneve-encap --match-tunnel=5 \
        --match-dst=10.8.0.0/16 --dst=172.16.0.2 --vni=7 --next=forward
    refused invalid-option $encap $good --option=0x0102,0x03,0x0102030405060708
    refused too-many-options apply --file=options.json
    refused invalid-geneve-field $encap --match-dst=10.8.0.0/16 --dst=224.0.0.1 \
        --vni=16777216 --next=forward
    refused invalid-key create 30 ipsec-enc --match-dst=10.8.0.0/16 --src=172.16.0.1 \
        --dst=172.16.0.2 --mode=tunnel --cipher=aes256gcm128 --spi=300 --key-file=key \
        --next=forward
    refused_python non-supported-encryption <<< "$(cat ipsec.py)
ipsec(pb.TUNNEL, 77)"
    refused_python non-supported-tunnel-type <<< "$(cat ipsec.py)
ipsec(9, pb._AES128GCM128)"
    refused ipsec-missing-fields create 30 ipsec-enc --match-dst=10.8.0.0/16 \
        --src=172.16.0.1 --dst=172.16.0.2 --mode=tunnel --next=forward
    refused already-exists create 5 geneve-encap --in-if=vm1 $good
    refused no-such-tunnel show 99
    vsctl set Open_vSwitch . external_ids:tunneld-capacity=3
    wait_until 10 eval 'tunneld_appctl tunneld/status | grep -q "^tunnels: 8 of 3"'
    refused table-full create 30 geneve-encap --in-if=vm1 $good
    vsctl remove Open_vSwitch . external_ids tunneld-capacity
    stop_tunneld
    stop_vswitchd
    stop_ovsdb
    start_tunneld
    refused table-unavailable create 30 geneve-encap --in-if=vm1 $good
    start_ovsdb
    start_vswitchd
    wait_until 20 serving
}
export OTD_TARGET=unix:$SANDBOX/tunneld.sock OTD_PROTO=$TESTS/../proto
export OTD_STUBS=$SANDBOX/stubs
mkdir "$OTD_STUBS"
errors

# ---- The documents.

documents=("$DOCS/pipeline.md" "$DOCS/errors.md")
if [ "${1:-}" = --update ]; then
    check "updated" "$PYTHON" "$TESTS/docs-sections.py" update "$SECTIONS" "${documents[@]}"
else
    check "the documents say what the programs say (else: tests/sandbox-docs.sh --update)" \
        "$PYTHON" "$TESTS/docs-sections.py" check "$SECTIONS" "${documents[@]}"
fi

finish
