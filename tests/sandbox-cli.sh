#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ovs-tunnelctl against a real daemon and a real ovs-vswitchd: every command, its
# whole output, its exit status.
# In "make check" the current directory is the build directory.
[ ! -x ./ovs-tunnelctl ] || OTD_BUILDDIR=${OTD_BUILDDIR:-$PWD}
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

serving() {
    [ "$(tunneld_appctl tunneld/status | sed -n 's/^serving: //p')" = yes ]
}

# ctl ARGS: what it prints on either stream, then "= STATUS".
ctl() {
    tunnelctl --target="unix:$SANDBOX/tunneld.sock" \
        --daemon="$SANDBOX/tunneld.ctl" "$@" 2>&1
    echo "= $?"
}

# expect DESC ARGS... <<< OUTPUT: ctl prints OUTPUT.
expect() {
    local desc=$1
    shift
    assert_eq "$desc" "$(ctl "$@")" "$(cat)"
}

sandbox_start vm1 vm2 || exit
file=$SANDBOX/requests.json

# ---- Without a daemon.
expect "no daemon" list << END
ovs-tunnelctl: unix:$SANDBOX/tunneld.sock: cannot connect: No such file or directory; is ovs-tunneld running?
= 1
END

# Key and certificate of SUBJECT, signed by the test's own authority.
make_certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -keyout "$SANDBOX/$1.key" -out "$SANDBOX/$1.csr" -subj "/CN=$1" &&
    openssl x509 -req -in "$SANDBOX/$1.csr" -CA "$SANDBOX/ca.pem" \
        -CAkey "$SANDBOX/ca.key" -CAcreateserial -days 2 -out "$SANDBOX/$1.pem" \
        -extfile <(echo "subjectAltName=DNS:$1")
}
make_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -keyout "$SANDBOX/ca.key" -out "$SANDBOX/ca.pem" -days 2 \
        -subj "/CN=sandbox authority" &&
    make_certificate server && make_certificate client
}
check "certificates" make_certificates
check "the daemon starts" start_tunneld --listen=tls:127.0.0.1:0 \
    --private-key="$SANDBOX/server.key" --certificate="$SANDBOX/server.pem" \
    --ca-cert="$SANDBOX/ca.pem" --allowed-subjects=client
check "and serves" wait_until 20 serving
[ "$TAP_FAILED" -eq 0 ] || finish
fixed_flows=$(dump_flows)

# The default target is the daemon's own.
assert_eq "the default target" "$(OTD_RUNDIR=$SANDBOX tunnelctl -f json list; echo "= $?")" "[]
= 0"

# Over TLS: the certificate says "server", which is not the host's name.
tls=$(tunneld_appctl tunneld/status | sed -n 's/^listening: .*tls:\([^ ]*\).*/\1/p')
over_tls() {
    tunnelctl --target="tls:$tls" -C "$SANDBOX/ca.pem" --timeout=10 -f json "$@" 2>&1
    echo "= $?"
}
assert_eq "TLS" "$(over_tls -p "$SANDBOX/client.key" -c "$SANDBOX/client.pem" \
    --server-name=server list)" "[]
= 0"
assert_eq "TLS with another name in the certificate" \
    "$(over_tls -p "$SANDBOX/client.key" -c "$SANDBOX/client.pem" list | tail -1)" "= 1"
assert_eq "TLS without a certificate of our own" \
    "$(over_tls --server-name=server list | tail -1)" "= 1"

# ---- An empty table.
expect "capabilities" capabilities << 'END'
capability                 value
-------------------------- -----
match on ingress interface yes
match on Geneve header     yes
match on VXLAN header      no
match on tunnel id         yes
match on SPI               no
Geneve options of 4 bytes  31
IPsec modes                none
IPsec ciphers              none
= 0
END
expect "capabilities as JSON" capabilities -f json << 'END'
{"geneve_capabilities":{"number_geneve_options_supported":31},"ipsec_capabilities":{},"match_capabilities":{"geneve_matching":true,"ingress_interface_matching":true,"tunnel_matching":true}}
= 0
END
expect "an empty list" list -f json << 'END'
[]
= 0
END
expect "no chains" chains <<< "= 0"
expect "no such tunnel" show 5 << 'END'
ovs-tunnelctl: tunnel 5: tunnel_id: there is no tunnel 5
= 1
END

# ---- Create, look, change, delete.
expect "create from flags" create 5 geneve-encap --in-if=vm1 \
    --match-dst=11.0.0.0/24 --src=172.16.0.1 --dst=172.16.0.2 --vni=100 \
    --option=0x102,0x80,0x00000001 --next=forward <<< "= 0"
expect "a refused create" create 5 geneve-encap --match-dst=11.1.0.0/24 \
    --src=172.16.0.1 --dst=172.16.0.2 --vni=16777216 --next=forward << 'END'
ovs-tunnelctl: tunnel 5: tunnel_id: tunnel 5 exists; update it, or delete it first; geneve.geneve_encap.vni: 16777216 does not fit 24 bits; use at most 16777215
= 1
END
id=$(tunnelctl --target="unix:$SANDBOX/tunneld.sock" create geneve-decap \
    --match-vni=100 --next=forward)
assert_eq "a chosen id is all that is printed" "${id//[0-9]/}${id:+number}" number
expect "list" list -f csv << END
id,match,tunnel,next
5,"in vm1, any > 11.0.0.0/24",geneve encap 172.16.0.1 > 172.16.0.2 vni 100 option 0x0102/0x80=0x00000001,forward
$id,geneve vni 100,geneve decap,forward
= 0
END
expect "show" show 5 << 'END'
id                  : 5
match               : in vm1, any > 11.0.0.0/24
tunnel              : geneve encap 172.16.0.1 > 172.16.0.2 vni 100 option 0x0102/0x80=0x00000001
next                : forward
in packets          : 0
in bytes            : 0
out packets         : 0
out bytes           : 0
in drops            : 0
in drop bytes       : 0
out drops           : 0
out drop bytes      : 0
= 0
END
expect "update from flags" update 5 --vni=200 --next=recirculate <<< "= 0"
expect "an update changes only what it names" show 5 -f json << 'END'
{"ip_tunnel":{"geneve":{"geneve_encap":{"critical_option_present":true,"geneve_option":[{"data":"0x00000001","length":1,"option_class":258,"type":128}],"option_length":4,"outer_ipv4_pair":{"destination_ip":"172.16.0.2","source_ip":"172.16.0.1"},"vni":200}},"match_criteria":{"ingress_interface":"vm1","ipv4_match":{"destination_ip":"11.0.0.0","destination_ip_prefix":24}},"next_action":"RECIRCULATE","operation":"_CREATE","tunnel_id":"5"},"tunnel_counters":{},"tunnel_id":"5"}
= 0
END
expect "delete, of which one is unknown" delete 5 99 << 'END'
ovs-tunnelctl: entry 2, tunnel 99: tunnel_id: there is no tunnel 99 to delete
= 1
END
expect "delete" delete "$id" <<< "= 0"

# ---- Files.
cat > "$file" << 'END'
[{"tunnelId": 10, "nextAction": "RECIRCULATE",
  "matchCriteria": {"geneveMatch": {"vni": 1}}, "geneve": {"geneveDecap": {}}},
 {"tunnel_id": "11", "match_criteria": {"tunnel_id": 10}, "next_action": "forward",
  "geneve": {"geneve_encap": {"vni": 2, "outer_ipv4_pair":
   {"source_ip": "172.16.0.1", "destination_ip": "172.16.0.9"}}}},
 {"tunnel_id": 12, "match_criteria": {"geneve_match": {"vni": 16777216}},
  "next_action": 1, "geneve": {"geneve_decap": {}}}]
{"tunnel_id": 13, "match_criteria": {"ipv6_match": {"destination_ip": "fd00:11::",
 "destination_ip_prefix": 64}}, "next_action": "FORWARD",
 "geneve": {"geneve_encap": {"vni": 3, "outer_ipv6_pair":
  {"source_ip": "fd00:16::1", "destination_ip": "fd00:16::2"}}}}
END
expect "create from a file: the good ones stay" create --file "$file" << 'END'
ovs-tunnelctl: entry 3, tunnel 12: match_criteria.geneve_match.vni: 16777216 does not fit 24 bits; use at most 16777215
= 1
END
assert_eq "once more, from standard input, as JSON" \
    "$(ctl -f json create -F - < "$file" 2>&1 | grep -v ^ovs-tunnelctl:)" \
    "$(cat << 'END'
{"error_status":"15","n_requests":4,"request_status":"_TUNNEL_REJECTED","responses":[{"entry":1,"error":{"error_string":"tunnel_id: tunnel 10 exists; update it, or delete it first"},"tunnel_id":"10"},{"entry":2,"error":{"error_string":"tunnel_id: tunnel 11 exists; update it, or delete it first"},"tunnel_id":"11"},{"entry":3,"error":{"error_message":{"match_error":"INVALID_FIELD"},"error_string":"match_criteria.geneve_match.vni: 16777216 does not fit 24 bits; use at most 16777215"},"tunnel_id":"12"},{"entry":4,"error":{"error_string":"tunnel_id: tunnel 13 exists; update it, or delete it first"},"tunnel_id":"13"}]}
= 1
END
)"
expect "chains" chains << 'END'
Tunnels that stand alone:
  13  any > fd00:11::/64: geneve encap fd00:16::1 > fd00:16::2 vni 3; forward
Chains:
  10  geneve vni 1: geneve decap; recirculate
     -> 11  after tunnel 10: geneve encap 172.16.0.1 > 172.16.0.9 vni 2; forward
= 0
END
expect "chains as JSON" chains -f json << 'END'
{"alone":[{"summary":"any > fd00:11::/64: geneve encap fd00:16::1 > fd00:16::2 vni 3; forward","tunnel_id":"13"}],"chains":[{"followers":[{"summary":"after tunnel 10: geneve encap 172.16.0.1 > 172.16.0.9 vni 2; forward","tunnel_id":"11"}],"summary":"geneve vni 1: geneve decap; recirculate","tunnel_id":"10"}],"maybe":[],"missing":[]}
= 0
END
expect "the first tunnel of a chain goes" delete 10 <<< "= 0"
expect "and the rest waits" chains << 'END'
Tunnels that stand alone:
  13  any > fd00:11::/64: geneve encap fd00:16::1 > fd00:16::2 vni 3; forward
Chains whose first tunnel is not there:
  (10)
     -> 11  after tunnel 10: geneve encap 172.16.0.1 > 172.16.0.9 vni 2; forward
= 0
END

# What list prints can be deleted, and created again.
tunnelctl --target="unix:$SANDBOX/tunneld.sock" -f json list > "$SANDBOX/saved.json"
expect "update from what list prints" update --file "$SANDBOX/saved.json" << END
ovs-tunnelctl: $SANDBOX/saved.json, line 1, entry 1: operation: _CREATE, but this command sends _UPDATE
ovs-tunnelctl: $SANDBOX/saved.json, line 2, entry 2: operation: _CREATE, but this command sends _UPDATE
ovs-tunnelctl: nothing was changed: correct the file first
= 1
END
expect "delete what list printed" delete --file "$SANDBOX/saved.json" <<< "= 0"
expect "all are gone" -f json list << 'END'
[]
= 0
END
sed 's/"tunnel_id":10,*//; s/,"tunnel_id":10//; s/"tunnel_id":"10",//' \
    "$SANDBOX/saved.json" > "$file"
expect "and come back, but for one that lacks its first" create --file "$file" << 'END'
ovs-tunnelctl: entry 1, tunnel 11: match_criteria.tunnel_id: there is no tunnel 10; create it before or in the same stream
= 1
END

# ---- Files that are no good change nothing.
echo '{"tunnel_id": 20, "match_criteria": {"geneve_match": {"vni": 20}}, "next_action": 1,
"geneve": {"geneve_decap": {}}}
{"tunnel_id": 21,
 "vni": 5, "geneve": {"geneve_encap": {"outer_ipv4_pair": {"source_ip": "1.2.3"}}}}
{"tunnel_id": 22' > "$file"
expect "a bad file" create --file "$file" << END
ovs-tunnelctl: $file, line 3, entry 2: geneve.geneve_encap.outer_ipv4_pair.source_ip: "1.2.3" is not an IPv4 address; unknown field "vni"; IpTunnelRequest has tunnel_id, operation, match_criteria, next_action, ipsec_tunnel, geneve, nat
ovs-tunnelctl: $file, line 5, entry 3: unexpected end of input (line 6)
ovs-tunnelctl: nothing was changed: correct the file first
= 1
END
expect "and the good entry before it" show 20 << 'END'
ovs-tunnelctl: tunnel 20: tunnel_id: there is no tunnel 20
= 1
END
expect "no such file" create --file /nonexistent << 'END'
ovs-tunnelctl: /nonexistent: No such file or directory
ovs-tunnelctl: nothing was changed: correct the file first
= 1
END

# ---- Many, and how far they are.
for ((i = 1; i <= 3000; i++)); do
    echo "{\"tunnel_id\": $((100000 + i)), \"next_action\": 1, \"match_criteria\":" \
        "{\"geneve_match\": {\"vni\": $((1000 + i))}}, \"geneve\": {\"geneve_decap\": {}}}"
done > "$file"
assert_eq "progress is told" "$(tunnelctl --target="unix:$SANDBOX/tunneld.sock" \
    --progress create --file "$file" 2>&1 | tr '\r' '\n' | tail -1 |
    sed 's/\x1b\[K//; s/in [0-9.]* s, [0-9]* a/in T s, N a/')" \
    "3000 requests in T s, N a second"
assert_eq "all are there" \
    "$(ctl list --no-headings -f csv | grep -c '^10[0-3][0-9]*,')" 3000
expect "and go" delete --file "$file" <<< "= 0"

# ---- The daemons of this host.
ctl create 30 geneve-encap --match-dst=13.0.0.0/8 --src=172.16.0.1 \
    --dst=172.16.0.2 --vni=30 --next=forward > "$SANDBOX/out"
assert_eq "create for flows, explain and trace" "$(cat "$SANDBOX/out")" "= 0"
assert_eq "flows" "$(ctl flows 30)" "$(tunneld_appctl tunnel/flows 30)
= 0"
assert_eq "explain" "$(ctl explain 30)" "$(tunneld_appctl tunnel/explain 30)
= 0"
expect "explain what is not there" explain 31 << END
ovs-tunnelctl: $SANDBOX/tunneld.ctl: tunnel/explain: there is no tunnel 31
= 1
END
flow=in_port=vm1,ip,nw_src=1.1.1.1,nw_dst=13.1.1.1
assert_eq "a trace is ovs-vswitchd's, with names" \
    "$(ctl trace "$flow" | sed 's/  \[tunnel 30: .*\]$//; s/(tunnel 30)//g
        s/^\( *[0-9]*\. \)\(classification\|egress\): /\1/')" \
    "$(appctl ofproto/trace --names br-int "$flow")
= 0"
assert_eq "these" "$(ctl trace "$flow" | grep -o 'classification: \|egress: \|(tunnel 30)\|\[tunnel 30: geneve encap')" \
    "classification: 
[tunnel 30: geneve encap
(tunnel 30)
egress: 
(tunnel 30)"
expect "a flow that is none" trace nonsense << 'END'
ovs-tunnelctl: ovs-vswitchd: ofproto/trace: Bad openflow flow syntax: nonsense: unknown field nonsense
= 1
END
assert_eq "text as JSON is lines" "$(ctl -f json flows 30)" \
    "[\"$(tunneld_appctl tunnel/flows 30)\"]
= 0"

# ---- Counters, again and again.
receive vm1 "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=1.1.1.1,dst=13.1.1.1,proto=17,tos=0,ttl=64,frag=no),udp(src=1,dst=2)"
counted() {
    [ "$(ctl stats 30 -f csv --no-headings | cut -d, -f1,4)" = "30,1
= 0" ]
}
check "a packet is counted" wait_until 10 counted
assert_eq "watch shows rates" "$(ctl stats 30 --watch=0.1 --count=2 -f csv |
    sed 's/^20[0-9-]* [0-9:.]*$/TIME/; s/^30,0,0,1,[0-9]*,/30,0,0,1,N,/')" "TIME
id,in packets,in bytes,out packets,out bytes,in drops,in drop bytes,out drops,out drop bytes,in/s,out/s
30,0,0,1,N,0,0,0,0,-,-

TIME
id,in packets,in bytes,out packets,out bytes,in drops,in drop bytes,out drops,out drop bytes,in/s,out/s
30,0,0,1,N,0,0,0,0,0,0
= 0"

# ---- Nothing of ours is left.
tunnelctl --target="unix:$SANDBOX/tunneld.sock" -f json list > "$SANDBOX/saved.json"
expect "delete all" delete --file "$SANDBOX/saved.json" <<< "= 0"
no_more_flows() { [ "$(dump_flows)" = "$fixed_flows" ]; }
check "only the pipeline's own flows are left" wait_until 10 no_more_flows
allow_log "at most [0-9]* files may be open"      # says the limit of this shell
expect_clean_logs
finish
