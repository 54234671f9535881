# shellcheck shell=bash
# The phases of "./run check" and how their results are counted; sourced by run.
#
# A phase consists of steps. A step that ends with a result line, "N passed, N failed,
# N skipped" or Check's "100%: Checks: N, Failures: N, Errors: N", counts as that; a
# plain step counts as one. Nothing counts as passed for want of a result: a suite
# without a result line has failed, and so has one whose status contradicts it.
# shellcheck disable=SC2154  # variables of run

PHASES=(build unit sandbox lab lint mutate asan tsan fuzz dist)

describe_build() { echo "gcc -O2, warnings are errors"; }
describe_unit() { echo "unit tests, the compiler's golden test, the layers"; }
describe_sandbox() { echo "tests with a real ovs-vswitchd on the dummy datapath"; }
describe_lab() { echo "packets between hypervisors with the kernel datapath"; }
describe_lint() { echo "shellcheck, manual pages, Python"; }
describe_mutate() { echo "broken lines of code, each of which a cheap test must notice"; }
describe_asan() { echo "unit and sandbox tests, address and undefined behaviour sanitizers"; }
describe_tsan() { echo "threads, with an instrumented Open vSwitch library"; }
describe_fuzz() { echo "each fuzzer for a minute"; }
describe_dist() { echo "make distcheck, and the tarball has every file"; }

# The longest that a single step may take, in seconds.
STEP_TIMEOUT=1500

passed=0 failed=0 skipped=0
failures=()

# count_result LOG: the result of a suite as "PASSED FAILED SKIPPED", or fails.
count_result() {
    local line
    line=$(tail -n 3 "$1" | tr -d '\r' |
        grep -E '^([0-9]+ passed, [0-9]+ failed|[0-9]+%: Checks: )' | tail -n 1)
    if [[ $line =~ ^([0-9]+)" passed, "([0-9]+)" failed"(", "([0-9]+)" skipped")?$ ]]; then
        echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]} ${BASH_REMATCH[4]:-0}"
    elif [[ $line =~ ^[0-9]+"%: Checks: "([0-9]+)", Failures: "([0-9]+)", Errors: "([0-9]+)$ ]]; then
        local bad=$((BASH_REMATCH[2] + BASH_REMATCH[3]))
        echo "$((BASH_REMATCH[1] - bad)) $bad 0"
    else
        return 1
    fi
}

elapsed() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# step / suite NAME CMD...: runs CMD, its output in _build/logs/PHASE/NAME.log.
step() { run_step plain "$@"; }
suite() { run_step suite "$@"; }

run_step() {
    local how=$1 name=$2 log status=0 started=$SECONDS p f s why=
    shift 2
    log=$logs/$phase/$name.log
    mkdir -p "$(dirname "$log")"
    if [ "$(type -t "$1")" = function ]; then
        set -- ./run call "$@"
    fi
    timeout -k 10 $STEP_TIMEOUT "$@" > "$log" 2>&1 < /dev/null 8>&- || status=$?
    if [ "$how" = plain ]; then
        p=1 f=0 s=0
        [ $status -eq 0 ] || p=0 f=1 why="status $status"
    elif read -r p f s < <(count_result "$log"); then
        if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then
            f=1 why="status $status, although nothing failed"
        elif [ $status -eq 0 ] && [ "$f" -gt 0 ]; then
            why="status 0"
        elif [ "$p" -eq 0 ] && [ "$f" -eq 0 ] && [ "$s" -eq 0 ]; then
            f=1 why="no test was run"
        fi
    else
        p=0 f=1 s=0 why="no result, status $status"
    fi
    printf '  %-28s %6s  %s passed, %s failed, %s skipped%s\n' "$name" \
        "$(elapsed $((SECONDS - started)))" "$p" "$f" "$s" "${why:+ ($why)}"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" -gt 0 ]; then
        failures+=("$phase/$name")
        { grep -E -A8 '^not ok|:[FE]:|ERROR: .*Sanitizer|WARNING: ThreadSanitizer|runtime error|error[: ]|\((warning|error)\)|WARNING:|Error ' \
            "$log" || tail -n 12 "$log"; } | head -n 40 | sed 's/^/    | /'
    fi
    [ "$f" -eq 0 ]
}

# tests_of NAME: the tests that "make check" runs, those with and without a switch.
tests_of() { make -s -C "$build/$1" print-tests | tr ' ' '\n'; }
is_unit() { case $1 in tests/unit/* | tests/golden/* | build-aux/* | tests/cli-completion.sh) ;; *) false ;; esac; }

# run_tests TREE unit|sandbox [EXCEPT]: one suite for each, on the build _build/TREE.
run_tests() {
    local tree=$1 which=$2 except=${3:-^$} test program
    while read -r test; do
        [[ ! $test =~ $except ]] || continue
        if is_unit "$test"; then [ "$which" = unit ]; else [ "$which" = sandbox ]; fi || continue
        test=${test##*/_build/"$tree"/}
        program=$build/$tree/$test
        [ -x "$program" ] || program=$top/${test#"$top"/}
        suite "$(basename "$test")" env -C "$build/$tree" OTD_BUILDDIR="$build/$tree" "$program"
    done < <(tests_of "$tree")
}

# What cannot be built keeps nothing else from being tested.
make_tests() { make -s -k -C "$build/$1" -j"$jobs" check TESTS=; }

# ---- The phases.

phase_build() {
    step open-vswitch build-aux/get-ovs || return
    OTD_OVS=$(build-aux/get-ovs)
    export OTD_OVS
    step compile build_plain || return
    step compile-tests make_tests plain
}

phase_unit() { run_tests plain unit; }

phase_sandbox() { run_tests plain sandbox; }

phase_lab() {
    suite selftest lab/lab run lab/selftest.sh
    suite packets tests/lab/run-all.sh
    suite demo lab/lab run lab/demo.sh
}

shell_scripts() {
    local f
    for f in run .ci/run boot.sh build-aux/* lab/* cli/*.bash tests/*.sh tests/*/*.sh; do
        if [ -f "$f" ] && head -n 2 "$f" | grep -qE '^#!.*sh$|shellcheck shell='; then
            echo "$f"
        fi
    done
}

# All of them, one result each. SC2034: used by what wait_until evaluates.
check_scripts() {
    local f good=0 bad=0
    while read -r f; do
        if shellcheck -x -S warning -e SC2034,SC2206 "$f"; then good=$((good + 1)); else bad=$((bad + 1)); fi
    done < <(shell_scripts)
    echo "$good passed, $bad failed, 0 skipped"
    [ $bad -eq 0 ]
}

check_manuals() {
    local f good=0 bad=0
    for f in daemon/*.8 cli/*.8; do
        if mandoc -Tlint -Wwarning "$f"; then good=$((good + 1)); else bad=$((bad + 1)); fi
    done
    # Every setting and every command of the daemon.
    local text word
    text=$(mandoc -Tascii daemon/ovs-tunneld.8 | sed "s/.\x08//g")
    while read -r word; do
        if grep -qw -e "$word" <<< "$text"; then
            good=$((good + 1))
        else
            bad=$((bad + 1))
            echo "not ok - daemon/ovs-tunneld.8 does not name $word"
        fi
    done < <(grep -oh '"tunneld-[a-z-]*"' ofctl/ovsdb-settings.c | tr -d '"' | sort -u
             grep -h -A1 'unixctl_command_register(' engine/*.c daemon/*.c |
                 grep -o '"[a-z/-]*"' | tr -d '"' | grep . | sort -u)
    echo "$good passed, $bad failed, 0 skipped"
    [ $bad -eq 0 ]
}

check_python() {
    local f good=0 bad=0
    while read -r f; do
        if python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$f"; then
            good=$((good + 1))
        else
            bad=$((bad + 1))
        fi
    done < <(find tests lab -name '*.py')
    echo "$good passed, $bad failed, 0 skipped"
    [ $bad -eq 0 ]
}

phase_lint() {
    suite shellcheck check_scripts
    suite manuals check_manuals
    suite python check_python
}

phase_mutate() { suite mutants tests/mutate/run.sh; }

# One clang build for the sanitizers and the fuzzers.
build_asan() {
    (configure_tree asan "$(build-aux/get-ovs)" CC=clang \
        CFLAGS='-O1 -g -fsanitize=fuzzer-no-link' \
        --with-sanitizers=address,undefined) && make_tests asan
}

# sanitizer_environment asan|tsan: daemons have no standard error, so reports go to
# files, and one is a failure.
sanitizer_environment() {
    mkdir -p "$logs/$phase/reports"
    local common=log_path=$logs/$phase/reports/report:symbolize=1
    case $1 in
    asan)
        export ASAN_OPTIONS=$common:detect_leaks=1:detect_stack_use_after_return=1
        export UBSAN_OPTIONS=$common:print_stacktrace=1
        export LSAN_OPTIONS=suppressions=$top/build-aux/lsan.supp:print_suppressions=0
        ;;
    tsan)
        cat build-aux/tsan.supp tests/transport.supp > "$logs/$phase/tsan.supp"
        export TSAN_OPTIONS=$common:suppressions=$logs/$phase/tsan.supp
        ;;
    esac
}

no_reports() {
    local f
    for f in "$logs/$phase"/reports/*; do
        [ -e "$f" ] || continue
        echo "not ok - $f"
        head -n 40 "$f"
    done
    [ -z "$(ls "$logs/$phase/reports")" ]
}

phase_asan() {
    step compile build_asan
    sanitizer_environment asan
    run_tests asan unit
    run_tests asan sandbox 'sandbox-selftest'
    step no-reports no_reports
    unset ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS
}

build_tsan() {
    (configure_tree tsan "$(OTD_OVS_FLAVOUR=tsan build-aux/get-ovs)" CC=clang \
        CFLAGS='-O1 -g' --with-sanitizers=thread) && make_tests tsan
}

# Everything that has more than one thread: the mailbox, the service behind the plain
# C transport, and the real transport (gRPC itself is not instrumented).
phase_tsan() {
    step open-vswitch env OTD_OVS_FLAVOUR=tsan build-aux/get-ovs || return
    step compile build_tsan
    sanitizer_environment tsan
    local test
    for test in tests/unit/test-mailbox tests/unit/test-fake-transport tests/unit/test-service; do
        suite "$(basename $test)" env -C "$build/tsan" setarch -R "./$test"
    done
    suite transport env -C "$build/tsan" setarch -R "$top/tests/transport.py"
    suite sandbox-api env OTD_BUILDDIR="$build/tsan" setarch -R tests/sandbox-api.sh
    step no-reports no_reports
    unset TSAN_OPTIONS
}

# Two at a time: a fuzzer has one thread.
fuzz_all() {
    local target targets failed=0
    targets=$(make -s -C "$build/asan" print-fuzz) || return
    for target in $targets; do
        echo "$target"
    done | xargs -P 2 -I TARGET sh -c "
        make -C '$build/asan' TARGET-run FUZZ_SECONDS=${FUZZ_SECONDS:-60} \
            > '$logs/$phase/TARGET.log' 2>&1; echo \$? > '$logs/$phase/TARGET.status'"
    for target in $targets; do
        if [ "$(cat "$logs/$phase/$target.status")" != 0 ] ||
            ! grep '^Done ' "$logs/$phase/$target.log"; then
            echo "not ok - $target"
            tail -n 30 "$logs/$phase/$target.log"
            failed=$((failed + 1))
        fi
    done
    set -- $targets
    echo "$(($# - failed)) passed, $failed failed, 0 skipped"
    [ $failed -eq 0 ] && [ $# -gt 0 ]
}

phase_fuzz() {
    step compile build_asan
    suite fuzzers fuzz_all
}

distcheck() {
    local tests
    # What needs no switch; all the rest has been run from this tree.
    tests=$(tests_of plain | while read -r t; do ! is_unit "$t" || echo "$t"; done | tr '\n' ' ')
    make -s -C "$build/plain" -j"$jobs" distcheck CFLAGS='-O1 -g' TESTS="$tests"
}

tarball_is_complete() {
    local version
    version=$(sed -n 's/^PACKAGE_VERSION = //p' "$build/plain/Makefile")
    diff <(git ls-files | grep -v '^\.gitignore$' | sort) \
        <(tar -tf "$build/plain/ovs-tunneld-$version.tar.xz" | sed 's|^[^/]*/||; /\/$/d; /^$/d' |
            grep -vE '^(Makefile.in|aclocal.m4|configure|otd-config.h.in|build-aux/autotools/.*)$' | sort)
}

phase_dist() {
    step distcheck distcheck || return
    if [ -e .git ]; then
        step every-file tarball_is_complete
    fi
}

# ---- All of them.

run_check() {
    local all=$SECONDS started before_passed before_failed before_skipped line
    local table=()
    export phase
    [ $# -gt 0 ] || set -- "${PHASES[@]}"
    for phase; do
        [ "$(type -t "phase_$phase")" = function ] || die "$phase: no such phase (see ./run help)"
    done
    install_packages
    mkdir -p "$logs"
    export OTD_BUILDDIR=$build/plain
    if [ "$1" != build ]; then
        build_quietly
        make_tests plain > "$logs/build.log" 2>&1 || { tail -20 "$logs/build.log"; die "the tests cannot be built"; }
    fi
    lock_tree
    for phase; do
        echo "== $phase: $("describe_$phase")"
        started=$SECONDS
        before_passed=$passed before_failed=$failed before_skipped=$skipped
        rm -rf "${logs:?}/$phase"
        "phase_$phase"
        if [ $((passed + failed + skipped)) -eq $((before_passed + before_failed + before_skipped)) ]; then
            failed=$((failed + 1))
            failures+=("$phase: no result")
        fi
        printf -v line '%-10s %7s  %d passed, %d failed, %d skipped' "$phase" \
            "$(elapsed $((SECONDS - started)))" $((passed - before_passed)) \
            $((failed - before_failed)) $((skipped - before_skipped))
        table+=("$line")
    done
    echo
    echo "Phase         time  result (logs in _build/logs/)"
    printf '%s\n' "${table[@]}"
    printf '%-10s %7s\n' all "$(elapsed $((SECONDS - all)))"
    if [ ${#failures[@]} -gt 0 ]; then
        echo "Failed: ${failures[*]}"
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
