# Completion of sendmail365 for bash. What there is to choose from is asked of the program: verbs, options
# and modes stand in its own help.

_sendmail365() {
    local program=$1 word=$2 before=$3 verb=${COMP_WORDS[1]} help chosen
    COMPREPLY=()
    case $before in
        -C | --import)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            compopt -o filenames 2>/dev/null
            return
            ;;
    esac
    help=$("$program" --help 2>/dev/null) || return
    if [ "$COMP_CWORD" = 1 ]; then
        chosen=$(sed -n '/^Options of a message/q; /^usage: /d; s/^\([a-z]*\): .*/\1/p' <<<"$help")
        chosen+=$'\n'$(sed -n '/^Options of a message/,/^$/s/^  \(-[^ =[]*\).*/\1/p' <<<"$help")
        chosen+=$'\n'$(sed -n '/^Modes:/,/^$/s/^  \(-[^ ]*\).*/\1/p' <<<"$help")
    elif [[ $verb != [a-z]* ]]; then
        chosen=$(sed -n '/^Options of a message/,/^$/s/^  \(-[^ =[]*\).*/\1/p' <<<"$help")
    else
        chosen=$(sed -n "/^$verb: /,/^\$/s/^  \\(-[^ =[]*\\).*/\\1/p" <<<"$help")
        if [ "$COMP_CWORD" = 2 ]; then
            # "queue [list | show id | ...]": the first word of each.
            chosen+=$'\n'$(sed -n "s/.* $verb \\[\\([^]]*|[^]]*\\)\\].*/\\1/p" <<<"$help" |
                tr '|' '\n' | awk '{ print $1 }')
        fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$chosen" -- "$word")
}

complete -F _sendmail365 sendmail365
