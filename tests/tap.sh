# shellcheck shell=bash
# Counting and checking for shell tests (sandbox and lab); source it.
#
#   ok DESC / not_ok DESC [DETAIL]   one result
#   skip DESC                        one result that was not tried, and why
#   check DESC CMD...                ok if CMD succeeds; else its output is shown
#   check_fails DESC CMD...          the reverse
#   assert_eq DESC GOT WANT          ok if the two are the same text; else a diff
#   note TEXT                        a comment line
#   wait_until SECONDS CMD...        run CMD again and again until it succeeds;
#                                    fails after SECONDS (its output is dropped)
#   at_exit CMD                      run CMD when the script ends, however it ends
#   allow_log REGEX                  lines of logs that are expected (grep -E)
#   unexpected_lines PREFIX < LOG    the other WARN, ERR and EMER lines of an OVS log
#   process_gone PID                 true if the process has ended
#   finish                           prints "N passed, N failed, N skipped" and
#                                    exits, 0 only if nothing failed and at least
#                                    one result was counted
#
# A script that ends without finish counts as failed.

TAP_PASSED=0
TAP_FAILED=0
TAP_SKIPPED=0
TAP_FINISHED=
TAP_ATEXIT=

tap_number() { echo $((TAP_PASSED + TAP_FAILED + TAP_SKIPPED)); }

ok() {
    TAP_PASSED=$((TAP_PASSED + 1))
    echo "ok $(tap_number) - $1"
}

not_ok() {
    TAP_FAILED=$((TAP_FAILED + 1))
    echo "not ok $(tap_number) - $1"
    [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/#   /'
}

skip() {
    TAP_SKIPPED=$((TAP_SKIPPED + 1))
    echo "ok $(tap_number) # SKIP $1"
}

note() { printf '%s\n' "$*" | sed 's/^/# /'; }

check() {
    local desc=$1 output status=0
    shift
    output=$("$@" 2>&1) || status=$?
    if [ "$status" -eq 0 ]; then
        ok "$desc"
    else
        not_ok "$desc" "status $status: $*
$output"
    fi
}

check_fails() {
    local desc=$1 output
    shift
    if output=$("$@" 2>&1); then
        not_ok "$desc" "succeeded: $*
$output"
    else
        ok "$desc"
    fi
}

assert_eq() {
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "$(diff -U 100 --label wanted --label got \
            <(printf '%s\n' "$3") <(printf '%s\n' "$2"))"
    fi
}

wait_until() {
    local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000)) tries=0
    shift
    until "$@" > /dev/null 2>&1; do
        # A clock that jumps is no reason to give up.
        tries=$((tries + 1))
        [ $tries -lt 5 ] || [ "${EPOCHREALTIME/[.,]/}" -lt $end ] || return 1
        sleep 0.05
    done
}

# The last given runs first.
at_exit() { TAP_ATEXIT="$1; $TAP_ATEXIT"; }

# A slow machine, and a daemon that is stopped by a signal, are no faults.
TAP_LOG_ALLOWED=(
    '\|timeval(\([^)]*\))?\|WARN\|'
    '\|poll_loop(\([^)]*\))?\|WARN\|'
    '\|fatal_signal(\([^)]*\))?\|WARN\|terminating with signal 15'
)

allow_log() { TAP_LOG_ALLOWED+=("$1"); }

unexpected_lines() {
    local pattern
    pattern=$(printf '|%s' "${TAP_LOG_ALLOWED[@]}")
    grep -E '\|(WARN|ERR|EMER)\|' | grep -vE "${pattern#|}" | sed "s/^/$1: /"
}

# One that has ended but was not waited for counts as gone.
process_gone() {
    local stat
    { read -r stat < "/proc/$1/stat"; } 2> /dev/null || return 0
    # A leader that is a zombie while other threads still end holds its locks.
    local tasks=(/proc/"$1"/task/*)
    [[ $stat = *") Z "* && ${#tasks[@]} -le 1 ]]
}

# shellcheck disable=SC2317  # called by the trap
tap_exit() {
    local status=$?
    trap - EXIT
    set +e
    eval "$TAP_ATEXIT"
    if [ -z "$TAP_FINISHED" ]; then
        not_ok "the script ended early, status $status"
        echo "$TAP_PASSED passed, $TAP_FAILED failed, $TAP_SKIPPED skipped"
        exit 1
    fi
    exit "$status"
}
# Not in a shell for a person, nor in the lab's init, which source this too.
case $$-$- in
1-* | *i*) ;;
*)
    trap tap_exit EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    ;;
esac

finish() {
    TAP_FINISHED=yes
    echo "$TAP_PASSED passed, $TAP_FAILED failed, $TAP_SKIPPED skipped"
    if [ "$TAP_FAILED" -eq 0 ] && [ $((TAP_PASSED + TAP_SKIPPED)) -gt 0 ]; then
        exit 0
    fi
    exit 1
}
