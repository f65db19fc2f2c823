#include "api/cli/completion.h"

namespace guideway::cli {

namespace {

/// Names are asked of the server, with a short patience: completion must never hang a shell.
constexpr std::string_view kBash =
    R"bash(# bash completion for guideway; load it with: source <(guideway completion bash)
_guideway_names() {
    timeout 2 guideway get "$1" 2>/dev/null | awk -v kind="$1" 'NR > 1 { print (kind ~ /^l/ ? $1 "/" $2 : $1) }'
}
_guideway() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command="" kind="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            get|describe|apply|delete|drain|undrain|explain|status|top|completion)
                [ -z "$command" ] && command=${COMP_WORDS[i]} ;;
            load-balancers|load-balancer|lb|address-pools|address-pool|pools|pool|nodes|node) kind=${COMP_WORDS[i]} ;;
        esac
    done
    case $previous in
        -o|--output) COMPREPLY=($(compgen -W "table wide json yaml" -- "$word")); return ;;
        -f|--file) COMPREPLY=($(compgen -f -- "$word")); return ;;
        --protocol) COMPREPLY=($(compgen -W "tcp udp sctp" -- "$word")); return ;;
    esac
    case $command in
        "") COMPREPLY=($(compgen -W "get describe apply delete drain undrain explain status top completion --server --output --help --version" -- "$word")) ;;
        get|describe|delete)
            if [ -z "$kind" ]; then
                COMPREPLY=($(compgen -W "load-balancers address-pools nodes -f -n" -- "$word"))
            else
                COMPREPLY=($(compgen -W "$(_guideway_names "$kind")" -- "$word"))
            fi ;
;
        drain|undrain) COMPREPLY=($(compgen -W "$(_guideway_names nodes)" -- "$word")) ;
        ;
        apply) COMPREPLY=($(compgen -W "-f --wait" -- "$word")) ;
        ;
        explain) COMPREPLY=($(compgen -W "--protocol --source --destination" -- "$word")) ;
        ;
        top) COMPREPLY=($(compgen -W "--interval --once" -- "$word")) ;
        ;
        completion) COMPREPLY=($(compgen -W "bash zsh" -- "$word")) ;
        ;
        esac
        }
complete -F _guideway guideway
)bash";

}  // namespace

std::string completion_script(std::string_view shell) {
    if (shell == "bash") return std::string(kBash);
    // zsh runs bash's completions by bashcompinit, so there is one list to keep right.
    return "# zsh completion for guideway; load it with: source <(guideway completion zsh)\n"
           "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n" +
           std::string(kBash);
}

}  // namespace guideway::cli
