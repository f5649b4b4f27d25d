"""Scripts that let a shell complete the words of a command line, made from its parser."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish")

_BASH = """\
_lamina() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words=""
    case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
        *) case "$COMP_CWORD ${{COMP_WORDS[1]}}" in
            "1 "*) words="{commands}" ;;
{words}
        esac ;;
    esac
    COMPREPLY=( $(compgen -W "$words" -- "$current") )
}}
complete -o default -F _lamina lamina
"""  # without words that fit, `-o default` completes names of files
_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a parser, by name."""
    found = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(next(found).choices)


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """What `shell`, one of SHELLS, has to read."""
    if shell == "fish":
        return "".join(f"{line}\n" for line in _fish(parser))
    known = commands(parser)
    values, words = [], []
    for name, command in known.items():
        for action in command._actions:
            choices = " ".join(map(str, action.choices or ()))
            if choices and action.option_strings:
                at = "|".join(f'"{name} {flag}"' for flag in action.option_strings)
                values.append(f'        {at}) words="{choices}" ;;')
        flags = [flag for action in command._actions for flag in action.option_strings]
        named = [str(word) for action in command._actions if not action.option_strings for word in action.choices or ()]
        words.append(f'            *" {name}") words="{" ".join([*flags, *named])}" ;;')
    text = _BASH.format(values="\n".join(values), words="\n".join(words), commands=" ".join(known))
    return _ZSH + text if shell == "zsh" else text


def _fish(parser: argparse.ArgumentParser) -> Iterator[str]:
    helps = {action.dest: action.help or "" for action in _choices(parser)}
    for name, command in commands(parser).items():
        yield f"complete -c lamina -n __fish_use_subcommand -f -a {name} -d {shlex.quote(helps[name])}"
        here = f"-n '__fish_seen_subcommand_from {name}'"
        for action in command._actions:
            told = f"-d {shlex.quote(_plain(action))}" if action.help else ""
            choices = shlex.quote(" ".join(map(str, action.choices or ())))
            value = f"-x -a {choices}" if action.choices else "-r" if action.nargs is None else ""
            flags = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in action.option_strings)
            if flags:
                yield " ".join(filter(None, (f"complete -c lamina {here}", flags, value, told)))
            elif action.choices:
                yield f"complete -c lamina {here} -f -a {choices}"


def _choices(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))._choices_actions


def _plain(action: argparse.Action) -> str:
    """The help of an option, with its default put in."""
    return (action.help or "") % {**vars(action), "prog": "lamina"}
