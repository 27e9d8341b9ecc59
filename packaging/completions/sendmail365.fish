# Completion of sendmail365 for fish. What there is to choose from is asked of the program: verbs, options
# and modes stand in its own help.

function __sendmail365_choices
    set -l words (commandline -opc)
    set -l help ($words[1] --help 2>/dev/null | string collect)
    set -l option 's/^  \(-[^ =[]*\).*/\1/p'
    if test (count $words) = 1
        printf %s\n $help | sed -n '/^Options of a message/q; /^usage: /d; s/^\([a-z]*\): \(.*\)/\1\t\2/p'
        printf %s\n $help | sed -n '/^Modes:/,/^$/s/^  \(-[^ ]*\).*/\1/p'
    end
    if test (count $words) = 1; or not string match -q -r '^[a-z]' -- $words[2]
        printf %s\n $help | sed -n "/^Options of a message/,/^\$/$option"
        return
    end
    printf %s\n $help | sed -n "/^$words[2]: /,/^\$/$option"
    if test (count $words) = 2
        # "queue [list | show id | ...]": the first word of each.
        printf %s\n $help | sed -n "s/.* $words[2] \[\([^]]*|[^]]*\)\].*/\1/p" | tr '|' '\n' |
            awk '{ print $1 }'
    end
end

complete -c sendmail365 -f -a '(__sendmail365_choices)'
complete -c sendmail365 -s C -r -F
complete -c sendmail365 -n '__fish_seen_subcommand_from login' -l import -r -F
