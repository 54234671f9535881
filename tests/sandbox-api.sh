#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The API as an independent client sees it: Debian's python3-grpcio with stubs made
# from our .proto files (tests/client/), over the unix socket and over TLS, against
# a real daemon, a real ovs-vswitchd and ovsdb-server.
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

CLIENT_DIR=$(cd "$(dirname "$0")/client" && pwd)
OTD_PROTO=$(cd "$(dirname "$0")/../proto" && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}

# client NAME PROGRAM [ARGS]: runs a program of tests/client/ and counts each of
# its results as one of ours.
client() {
    local name=$1 line ended=
    shift
    while IFS= read -r line; do
        case $line in
        "ok - "*) ok "$name: ${line#ok - }" ;;
        "not ok - "*) not_ok "$name: ${line#not ok - }" ;;
        done) ended=yes ;;
        *) printf '%s\n' "$line" ;;
        esac
    done < <(PYTHONDONTWRITEBYTECODE=1 "$PYTHON" "$CLIENT_DIR/$1" "${@:2}" 2>&1)
    [ -n "$ended" ] || not_ok "$name: $1 runs to its end"
}

# shellcheck disable=SC2317  # called by wait_until
serving() {
    [ "$(tunneld_appctl tunneld/status | sed -n 's/^serving: //p')" = yes ]
}

# Key and certificate of SUBJECT, signed by the test's own authority.
make_certificate() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -keyout "$SANDBOX/$1.key" -out "$SANDBOX/$1.csr" -subj "/CN=$1" &&
    openssl x509 -req -in "$SANDBOX/$1.csr" -CA "$SANDBOX/ca.pem" \
        -CAkey "$SANDBOX/ca.key" -CAcreateserial -days 2 -out "$SANDBOX/$1.pem" \
        -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1")
}

make_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -keyout "$SANDBOX/ca.key" -out "$SANDBOX/ca.pem" -days 2 \
        -subj "/CN=sandbox authority" &&
    make_certificate server && make_certificate client &&
    make_certificate stranger
}

# Everything of ours is in the switch, and nothing more.
in_sync() {
    assert_eq "$1: the switch equals the plan" \
        "$(tunneld_appctl pipeline/check 2>&1)" "in sync"
}

sandbox_start vm1 vm2 || exit
check "certificates" make_certificates

export OTD_PROTO OTD_STUBS=$SANDBOX/stubs
mkdir "$OTD_STUBS"
check "the daemon starts" start_tunneld --listen=tls:127.0.0.1:0 \
    --private-key="$SANDBOX/server.key" --certificate="$SANDBOX/server.pem" \
    --ca-cert="$SANDBOX/ca.pem" --allowed-subjects=client
check "and serves" wait_until 20 serving
[ "$TAP_FAILED" -eq 0 ] || finish
fixed_flows=$(dump_flows)

UNIX=unix:$SANDBOX/tunneld.sock
TLS=$(tunneld_appctl tunneld/status | sed -n 's/^listening: .*tls:\([^ ]*\).*/\1/p')

export OTD_TARGET=$UNIX
client unix basic.py
in_sync unix
client unix wire.py
client unix streams.py
in_sync streams
client unix errors.py
client unix generic.py

export OTD_TARGET=$TLS OTD_CA=$SANDBOX/ca.pem
export OTD_KEY=$SANDBOX/client.key OTD_CERT=$SANDBOX/client.pem
client tls basic.py
client tls streams.py
client tls generic.py
OTD_KEY=$SANDBOX/stranger.key OTD_CERT=$SANDBOX/stranger.pem \
    client stranger refused.py
OTD_KEY='' OTD_CERT='' client "no certificate" refused.py
OTD_CA='' client "clear text" refused.py
unset OTD_CA OTD_KEY OTD_CERT
export OTD_TARGET=$UNIX
in_sync tls
assert_eq "only the fixed flows are left" "$(dump_flows)" "$fixed_flows"

# For the program that stops and starts the switch.
export -f stop_vswitchd start_vswitchd daemon_signal daemon_pid wait_until \
    process_gone appctl
OTD_STOP=stop_vswitchd OTD_START=start_vswitchd client watch generic.py watch

allow_log 'grpc_server\|WARN\|.*subject \(stranger'
allow_log 'br-int.mgmt: '
allow_log 'files may be open, clients and all'
expect_clean_logs
finish
