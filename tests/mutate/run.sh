#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Breaks the code on purpose, one mutant after the other, and sees a cheap test go
# red. In a copy of the tree; usually called as ./run mutate.
#
#     tests/mutate/run.sh [NAME...]        (default: all of tests/mutate/mutants)
#
# A mutant that no test notices has failed, and so has one that does not compile,
# or whose text is not in its file exactly once: change the list with the code.
# $OTD_OVS is a built Open vSwitch tree.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
ovs=${OTD_OVS:-$("$top/build-aux/get-ovs")}
list=$top/tests/mutate/mutants
work=$(mktemp -d "${TMPDIR:-/tmp}/mutate.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tree=$work/tree build=$work/build
export OTD_BUILDDIR=$build OTD_OVS=$ovs

say() { printf '%s\n' "$*"; }

# The fields of a mutant, from the list.
names() { sed -n 's/^== //p' "$list"; }
field() { awk -v name="$1" -v field="$2" '
    /^== / { here = $2 == name; next }
    here && index($0, field ": ") == 1 { sub("^" field ": ", ""); print; exit }' "$list"; }
# The text between "old"/"new" and the next line of that kind, without its last newline.
body() { awk -v name="$1" -v part="$2" '
    /^== / { here = $2 == name; on = 0; next }
    /^-- / { on = here && $2 == part; next }
    on' "$list"; }

test_programs() {
    local test
    for test in "$@"; do
        case $test in
        golden) echo tests/golden/compile ;;
        unit/*) echo "tests/$test" ;;
        transport/*) echo tests/transport-echo ;;
        engine) echo ovs-tunneld tests/print-pipeline ;;
        esac
    done
}

# run_test TEST: quietly; its status.
run_test() {
    case $1 in
    golden) set -- "$tree/tests/golden/run.sh" ;;
    unit/*) set -- "tests/$1" ;;
    transport/*) set -- "$tree/tests/transport.py" tests/transport-echo "${1#transport/}" ;;
    engine) set -- bash "$tree/tests/mutate/engine.sh" ;;
    *) say "$1: no such test"; return 99 ;;
    esac
    timeout -k 5 120 env -C "$build" "$@" > "$work/test.log" 2>&1 < /dev/null
}

copy_tree() {
    mkdir -p "$tree" "$build" || return 1
    (cd "$top" && if [ -e .git ]; then git ls-files -z; else find . -type f -print0; fi |
        tar --null -T - -cf -) | tar -C "$tree" -xf - || return 1
    (cd "$tree" && { [ -x configure ] || ./boot.sh; } && cd "$build" &&
        "$tree/configure" --with-ovs-source="$ovs" --disable-Werror CFLAGS=-O0)
}

make_programs() {
    # shellcheck disable=SC2046  # words
    make -s -C "$build" -j"$(nproc)" $(test_programs "$@" | sort -u)
}

# mutate NAME: replaces the text; fails, with a sentence, if it is not there once.
mutate() {
    /usr/bin/python3 - "$tree/$(field "$1" file)" "$work/old" "$work/new" <<'END'
import sys
name, old, new = sys.argv[1:]
text = open(name).read()
old, new = open(old).read(), open(new).read()
if text.count(old) != 1:
    sys.exit("the text is there %d times, not once" % text.count(old))
open(name, "w").write(text.replace(old, new))
END
}

one() {
    local name=$1 file tests test why
    file=$(field "$name" file)
    read -r -a tests <<< "$(field "$name" tests)"
    body "$name" old > "$work/old"
    body "$name" new > "$work/new"
    cp "$tree/$file" "$work/original" || return 1
    if ! why=$(mutate "$name" 2>&1); then
        say "not ok - $name: $file: $why"
        return 1
    fi
    touch "$tree/$file"
    if ! make_programs "${tests[@]}" > "$work/make.log" 2>&1; then
        say "not ok - $name: does not compile:"
        grep -m3 error "$work/make.log" | sed 's/^/#   /'
        cp "$work/original" "$tree/$file"
        return 1
    fi
    why=
    for test in "${tests[@]}"; do
        if ! run_test "$test"; then
            why=$test
            break
        fi
    done
    cp "$work/original" "$tree/$file"
    touch "$tree/$file"
    if [ -z "$why" ]; then
        say "not ok - $name: nobody noticed ($(field "$name" what))"
        return 1
    fi
    say "ok - $name: $why"
    if [ -n "${verbose:-}" ]; then
        grep -E -A5 '^not ok|:[FE]:|^[-+]' "$work/test.log" | head -40 | sed 's/^/#   /'
    fi
}

# ---- All of them.

copy_tree > "$work/configure.log" 2>&1 || { tail -20 "$work/configure.log"; exit 1; }
verbose=
if [ $# -gt 0 ]; then
    verbose=yes
else
    mapfile -t all < <(names)
    set -- "${all[@]}"
fi
wanted=()
for name; do
    read -r -a tests <<< "$(field "$name" tests)"
    [ ${#tests[@]} -gt 0 ] || { say "$name: no such mutant"; exit 1; }
    wanted+=("${tests[@]}")
done
mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | sort -u)

# Without a mutant all is green, or red says nothing.
make_programs "${wanted[@]}" > "$work/make.log" 2>&1 || { tail -20 "$work/make.log"; exit 1; }
for test in "${wanted[@]}"; do
    run_test "$test" || { say "red without a mutant: $test"; tail -20 "$work/test.log"; exit 1; }
done

passed=0 failed=0
for name; do
    if one "$name"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
say "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
