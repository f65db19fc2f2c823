#include "api/cli/completion.h"

namespace guideway::cli {

namespace {

/// Names are asked of the server that the line names, as the one who the line says, with a short patience: completion must never hang a
/// shell. COMP_WORDS breaks at ':' and '=', so addresses are read from the line itself.
constexpr std::string_view kBash =
    R"bash(# bash completion for guideway; load it with: source <(guideway completion bash)
_guideway_names() {
    local kind=$1; shift
    timeout 2 guideway "$@" get "$kind" -o name </dev/null 2>/dev/null | sed 's,^[^/]*/,,'
}
_guideway() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command="" second="" kind="" i
    local -a line given=()
    if [ -n "$COMP_LINE" ]; then read -ra line <<< "${COMP_LINE:0:COMP_POINT}"; else line=("${COMP_WORDS[@]:0:COMP_CWORD+1}"); fi
    for ((i = 1; i < ${#line[@]}; i++)); do
        case ${line[i]} in
            --server|--token-file|--ca-file|--client-cert|--client-key|--server-name|--cluster|-n|--namespace)
                if ((i + 1 < ${#line[@]})); then given+=("${line[i]}" "${line[i+1]}"); ((i++)); fi ;;
            --server=*|--token-file=*|--ca-file=*|--client-cert=*|--client-key=*|--server-name=*|--cluster=*)
                given+=("${line[i]}") ;;
            get|describe|apply|delete|edit|drain|undrain|explain|trace|capture|status|top|drops|bgp|maintenance|events|import|token|backup|restore|completion)
                [ -z "$command" ] && command=${line[i]} ;;
            list|create|rotate) [ "$command" = token ] && second=${line[i]} ;;
            metallb) [ "$command" = import ] && second=${line[i]} ;;
            load-balancers|load-balancer|lb|address-pools|address-pool|pools|pool|nodes|node|tokens)
                [ "$command" != token ] && kind=${line[i]} ;;
        esac
    done
    [ "$command" = token ] && [[ " ${line[*]} " == *" token delete "* ]] && second=delete
    case $previous in
        -o|--output) COMPREPLY=($(compgen -W "table wide json yaml name" -- "$word")); return ;;
        -f|--file|--token-file|--ca-file|--client-cert|--client-key|--out|--kubeconfig)
            COMPREPLY=($(compgen -f -- "$word")); return ;;
        -w|--write) [ "$command" = capture ] && COMPREPLY=($(compgen -f -- "$word")) && return ;;
        --protocol) COMPREPLY=($(compgen -W "tcp udp sctp icmp" -- "$word")); return ;;
        --role) COMPREPLY=($(compgen -W "viewer controller admin" -- "$word")); return ;;
    esac
    local words=""
    case $command in
        "") words="get describe apply delete edit drain undrain explain trace capture status top drops bgp maintenance events
                import token backup restore completion --server --token-file --ca-file --output --help --version" ;;
        get|describe|delete|edit)
            if [ -z "$kind" ]; then
                words="load-balancers address-pools nodes"
                [ "$command" = get ] && words="$words events tokens snat-addresses"
            else
                words=$(_guideway_names "$kind" "${given[@]}")
            fi
            [ "$command" = get ] && words="$words -n -l -A -w"
            [ "$command" = delete ] && words="$words -f" ;;
        drain|undrain) words=$(_guideway_names nodes "${given[@]}") ;;
        apply) words="-f --wait --dry-run" ;;
        explain) words="allocation --protocol --source --destination -f --socket" ;;
        import)
            if [ -z "$second" ]; then words="metallb"
            elif [[ $word != -* ]]; then COMPREPLY=($(compgen -f -- "$word")); return
            else words="--from-cluster --kubeconfig --context --out --force --strict --apply --dry-run"; fi ;;
        events) words="-w --warnings --for -n" ;;
        token)
            case $second in
                "") words="list create rotate delete" ;;
                create) words="--role --cluster --expires --out" ;;
                rotate|delete) words=$(_guideway_names tokens "${given[@]}") ;;
            esac ;;
        backup|restore) COMPREPLY=($(compgen -f -- "$word")); return ;;
        top) words="--interval --once" ;;
        trace) words="--protocol --source --destination --port --drops --reason --count --seconds --rate --snap --socket" ;;
        capture) words="-w --force --protocol --source --destination --port --drops --reason --count --seconds --rate --snap
                --socket" ;;
        drops) words="--all --workers --watch --interval --once --socket" ;;
        maintenance) words="on off status --reason --wait" ;;
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
