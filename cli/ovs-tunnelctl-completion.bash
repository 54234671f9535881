# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of ovs-tunnelctl for bash. It knows no command and no option itself:
# it asks the program (--commands and --options), so the two cannot differ.

# _ovs_tunnelctl_groups COMMAND: the groups of options that go with it.
_ovs_tunnelctl_groups() {
    local name groups
    while read -r name groups; do
        if [ "$name" = "$1" ]; then
            echo "any $groups"
        fi
    done < <("$program" --commands 2>/dev/null)
}

# _ovs_tunnelctl_words GROUP...: options and kinds of tunnel of these groups.
_ovs_tunnelctl_words() {
    local group word
    while read -r group word; do
        case " $* " in
        *" $group "*) echo "$word" ;;
        esac
    done < <("$program" --options 2>/dev/null)
}

# The command among the words before the cursor: the first that neither is an
# option nor belongs to one.
_ovs_tunnelctl_command() {
    local i word
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        --*=* | =) ;;
        -[tpcCFfd]) i=$((i + 1)) ;;
        --*)
            # "--name value", or "--name = value" as bash may split it.
            if [ "${COMP_WORDS[i + 1]}" = "=" ]; then
                i=$((i + 2))
            elif _ovs_tunnelctl_words any file flags watch bridge |
                    grep -qxF -- "$word="; then
                i=$((i + 1))
            fi
            ;;
        -*) ;;
        *)
            echo "$word"
            return
            ;;
        esac
    done
}

_ovs_tunnelctl() {
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]} command groups
    COMPREPLY=()
    if [ "$current" = "=" ]; then
        current=
    elif [ "$previous" = "=" ] && [ "$COMP_CWORD" -ge 2 ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    case $previous in
    -F | --file | -p | --private-key | -c | --certificate | -C | --ca-cert | \
        --key-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    -f | --format)
        mapfile -t COMPREPLY < <(compgen -W "table list html csv json" -- "$current")
        return
        ;;
    --next)
        mapfile -t COMPREPLY < <(compgen -W "forward recirculate" -- "$current")
        return
        ;;
    esac

    command=$(_ovs_tunnelctl_command)
    if [ -n "$command" ]; then
        groups=$(_ovs_tunnelctl_groups "$command")
        # shellcheck disable=SC2086  # a list of words
        mapfile -t COMPREPLY < <(compgen -W "$(_ovs_tunnelctl_words ${groups:-any})" \
            -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "$("$program" --commands 2>/dev/null |
            cut -d' ' -f1; _ovs_tunnelctl_words any)" -- "$current")
    fi
    # No space after "--name=".
    if [ "${#COMPREPLY[@]}" -eq 1 ] && [ "${COMPREPLY[0]%=}" != "${COMPREPLY[0]}" ]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -F _ovs_tunnelctl ovs-tunnelctl
