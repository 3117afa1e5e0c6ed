"""``moor completion``: the scripts, which ask ``moor __complete`` for everything they know."""

from __future__ import annotations

from moorage.cli.failure import CommandError
from moorage.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moorage.cli.options import Values
    from moorage.cli.session import Session

BASH = r"""# bash completion for moor: source <(moor completion bash)
_moor() {
    local line directive="" breaks="" done="" words=() i
    local text="${COMP_LINE:0:COMP_POINT}"
    read -ra words <<<"$text"
    [[ "$text" == *" " ]] && words+=("")
    # bash splits words at "=" and ":", and replaces what is behind the last of them alone
    local whole="${words[${#words[@]}-1]}"
    for i in : =; do
        [[ "$COMP_WORDBREAKS" == *"$i"* ]] && breaks+="$i"
    done
    [[ -n "$breaks" ]] && done="${whole%"${whole##*[$breaks]}"}"
    local current="${whole#"$done"}"
    COMPREPLY=()
    while IFS= read -r line; do
        case "$line" in
        :*) directive="$line" ;;
        *) line="${line%%$'\t'*}"; COMPREPLY+=("${line#"$done"}") ;;
        esac
    done < <(moor __complete -- "${words[@]:1}" 2>/dev/null)
    case "$directive" in
    :files) COMPREPLY+=($(compgen -f -- "$current")); compopt -o filenames ;;
    :directories) COMPREPLY+=($(compgen -d -- "$current")); compopt -o filenames ;;
    esac
    for i in "${COMPREPLY[@]}"; do
        [[ "$i" == *[=:] ]] && compopt -o nospace
    done
}
complete -F _moor moor
"""
ZSH = r"""#compdef moor
# zsh completion for moor: source <(moor completion zsh)
_moor() {
    local line directive=""
    local -a described
    while IFS= read -r line; do
        case "$line" in
        :*) directive="$line" ;;
        *) described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <(moor __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#described} )) && _describe -t commands moor described
    case "$directive" in
    :files) _files ;;
    :directories) _files -/ ;;
    esac
}
compdef _moor moor
"""
FISH = r"""# fish completion for moor: moor completion fish | source
function __moor_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (moor __complete -- $words[2..-1] 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path (commandline -ct)
            case ':directories'
                __fish_complete_directories (commandline -ct)
            case ':*'
            case '*'
                echo $line
        end
    end
end
complete -c moor -f -a '(__moor_complete)'
"""
SCRIPTS = {"bash": BASH, "fish": FISH, "zsh": ZSH}


def run(session: Session, _: Values, arguments: list[str]) -> None:
    """Print the script of a shell."""
    script = SCRIPTS.get(arguments[0])
    if script is None:
        raise CommandError(
            f"unknown shell '{arguments[0]}': there are scripts for {', '.join(SCRIPTS)}"
        )
    session.out.write(script)


COMMAND = Command(run, arguments="bash|fish|zsh", least=1, most=1)
