#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All packet tests in one boot of the lab.
#
#     tests/lab/run-all.sh [NAME...]       (default: all of them)
#
# $OTD_BUILDDIR is where ovs-tunneld is built; LAB_OPTIONS are more options of
# "lab run", for example -o DIR to keep logs and captures.
#
# lab: -n 3
set -u
here=$(cd "$(dirname "$0")" && pwd)
all=(encap decap match ipv6 chain pair restart)

if [ -z "${LAB_LIB:-}" ]; then
    # Outside: the stubs of the client are made once, where that is fast.
    work=$(mktemp -d "${TMPDIR:-/tmp}/packet-tests.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    export OTD_STUBS=$work OTD_PROTO=$here/../../proto
    "${PYTHON:-/usr/bin/python3}" -B -c "import sys; sys.path.insert(0, '$here/../client')
import client" || exit 1
    # shellcheck disable=SC2086
    "$here/../../lab/lab" run -t 1200 ${LAB_OPTIONS:-} "$here/run-all.sh" "$@"
    exit
fi

# Inside.
[ $# -gt 0 ] || set -- "${all[@]}"
passed=0 failed=0 skipped=0
for name in "$@"; do
    echo "# === $name"
    SECONDS=0
    last=
    while IFS= read -r line; do
        printf '%s\n' "$line"
        last=$line
    done < <(bash "$here/$name.sh" 2>&1)
    if [[ $last =~ ^([0-9]+)" passed, "([0-9]+)" failed, "([0-9]+)" skipped"$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + BASH_REMATCH[3]))
    else
        echo "not ok - $name came to no end"
        failed=$((failed + 1))
    fi
    echo "# $name: $SECONDS seconds"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
