#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Random streams of several clients, while daemons are killed and ports come and go,
# against a model (tests/client/model.py says what is compared).
#
# Environment: MODEL_SEEDS (default: a fixed list; "random": one that is new each
# time and is printed) and MODEL_ROUNDS (of each seed).
# shellcheck source=tests/sandbox-lib.sh
. "$(dirname "$0")/sandbox-lib.sh"

CLIENT_DIR=$(cd "$(dirname "$0")/client" && pwd)
OTD_PROTO=$(cd "$(dirname "$0")/../proto" && pwd)
PYTHON=${PYTHON:-/usr/bin/python3}
MODEL_SEEDS=${MODEL_SEEDS:-1 2 3}
[ "$MODEL_SEEDS" != random ] || MODEL_SEEDS=$RANDOM$RANDOM
note "seeds: $MODEL_SEEDS"

sandbox_start vm1 vm2 vm3 vm4 || exit
export OTD_TARGET=unix:$SANDBOX/tunneld.sock OTD_PROTO OTD_STUBS=$SANDBOX/stubs
mkdir "$OTD_STUBS"
check "the daemon starts" start_tunneld

# shellcheck disable=SC2086  # a list of seeds
run_model() {
    PYTHONDONTWRITEBYTECODE=1 "$PYTHON" "$CLIENT_DIR/model.py" $MODEL_SEEDS 2>&1
}

# The model asks for functions of the sandbox by name, and gets their status.
mkfifo "$SANDBOX/answers"
exec {answers}<> "$SANDBOX/answers"
ended=
while IFS= read -r line; do
    case $line in
    "run "*)
        read -ra words <<< "${line#run }"
        status=0
        "${words[@]}" > "$SANDBOX/words.out" 2>&1 || status=$?
        echo $status >&"$answers" ;;
    "ok - "*) ok "${line#ok - }" ;;
    "not ok - "*) not_ok "${line#not ok - }" ;;
    done) ended=yes ;;
    *) printf '%s\n' "$line" ;;
    esac
done < <(run_model < "$SANDBOX/answers")
exec {answers}>&-
assert_eq "the model runs to its end" "$ended" yes

allow_log 'somebody else removed or added some'
allow_log '(otd_session|reconnect|jsonrpc|vconn_stream|rconn|otd_ovsdb)\|'
allow_log 'somebody else removed a flow'
allow_log '\|(tunnel|ofproto|bridge|netdev_vport)\|WARN\|.*otd-geneve'
expect_clean_logs
finish
