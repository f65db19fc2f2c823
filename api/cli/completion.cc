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
    local words=""
    case $command in
        "") words="get describe apply delete drain undrain explain status top completion --server --output --help --version" ;;
        get|describe|delete)
            if [ -z "$kind" ]; then words="load-balancers address-pools nodes -n"; else words=$(_guideway_names "$kind"); fi
            [ "$command" = delete ] && words="$words -f" ;;
        drain|undrain) words=$(_guideway_names nodes) ;;
        apply) words="-f --wait" ;;
        explain) words="--protocol --source --destination" ;;
        top) words="--interval --once" ;;
        completion) words="bash zsh" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
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
