#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The completion for bash offers what the program takes, the help and the manual
# page name it all, and none of them anything else. OTD_BUILDDIR: where
# ovs-tunnelctl is (default: the top of the tree).
# shellcheck disable=SC2034,SC2207  # bash's own variables
top=$(cd "$(dirname "$0")/.." && pwd)
# In "make check" the current directory is the build directory.
[ ! -x ./ovs-tunnelctl ] || OTD_BUILDDIR=${OTD_BUILDDIR:-$PWD}
# shellcheck source=tests/tap.sh
. "$top/tests/tap.sh"
PATH=${OTD_BUILDDIR:-$top}:$PATH
# shellcheck source=cli/ovs-tunnelctl-completion.bash
. "$top/cli/ovs-tunnelctl-completion.bash"

commands=$(ovs-tunnelctl --commands)
options=$(ovs-tunnelctl --options)

# complete_line WORD...: what is offered for the last of these words, sorted.
complete_line() {
    COMP_WORDS=("$@")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _ovs_tunnelctl
    printf '%s\n' "${COMPREPLY[@]}" | sort
}

# words_of GROUP...: the program's own answer, sorted.
words_of() {
    local group pattern=
    for group in "$@"; do
        pattern="$pattern$group\\|"
    done
    sed -n "s/^\\(${pattern%??}\\) //p" <<< "$options" | sort
}

assert_eq "every command, every option without a command" \
    "$(complete_line ovs-tunnelctl "")" \
    "$( (cut -d' ' -f1 <<< "$commands"; words_of any) | sort)"
while read -r name groups; do
    # shellcheck disable=SC2086  # a list of words
    assert_eq "options of $name" "$(complete_line ovs-tunnelctl "$name" "")" \
        "$(words_of any $groups)"
done <<< "$commands"
assert_eq "the beginning of a command" "$(complete_line ovs-tunnelctl cr)" create
assert_eq "a value that is a word of its own is no command" \
    "$(complete_line ovs-tunnelctl --target unix:/x cr)" create
assert_eq "nor is one that bash has split" \
    "$(complete_line ovs-tunnelctl --target = unix cr)" create
assert_eq "nor that of a short option" \
    "$(complete_line ovs-tunnelctl -t 5 cr)" create
assert_eq "a kind of tunnel" "$(complete_line ovs-tunnelctl create geneve-d)" \
    geneve-decap
assert_eq "a format" "$(complete_line ovs-tunnelctl --format = j)" json
assert_eq "an action" "$(complete_line ovs-tunnelctl create --next r)" recirculate

# Help and manual page name each option, and no other.
named() { grep -oE -- '--[a-z][a-z-]+' | sort -u; }
listed=$(sed -n 's/^[a-z]* \(--[a-z-]*\)=*$/\1/p' <<< "$options" | sort -u)
assert_eq "the help names every option" "$(ovs-tunnelctl --help | named)" "$listed"
assert_eq "so does the manual page" \
    "$(mandoc -T utf8 "$top/cli/ovs-tunnelctl.8" | col -bx | named)" "$listed"
assert_eq "and every command" \
    "$(sed -n 's/^\.It Cm \([a-z]*\).*/\1/p' "$top/cli/ovs-tunnelctl.8" | sort)" \
    "$(cut -d' ' -f1 <<< "$commands" | sort)"
# Which other manuals are installed is not its fault.
assert_eq "the manual page is clean" "$(mandoc -T lint "$top/cli/ovs-tunnelctl.8" 2>&1 |
    grep -v "referenced manual not found")" ""

# What is no option, no command or too much of either is status 2.
for words in --nonsense nonsense "list --vni=5" "show" "show 1 2" "show 0" "show x" \
    "create" "create --src=1.1.1.1" "update geneve-encap" "apply" "delete" \
    "list --format=x" "list --timeout=x" "stats --watch=0" "stats --count=0" \
    "create --file=x nat"; do
    # shellcheck disable=SC2086  # a list of words
    ovs-tunnelctl --target=unix:/nonexistent $words > /dev/null 2>&1
    assert_eq "status of: $words" $? 2
done
finish
