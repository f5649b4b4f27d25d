"""The manners of the command line: help, wrong use, examples, completion."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from lamina import cli, completion

COMMANDS = completion.commands(cli.parser())


def lamina(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lamina", *words], capture_output=True, text=True)


def test_help_fits_one_screen(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli.parser().format_help().splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    for name, command in COMMANDS.items():
        told = next(line.split() for line in lines if line.strip().startswith(f"{name} "))
        assert len(told) > 3, f"{name} is not told in its line"
        assert max(map(len, command.format_help().partition("examples:")[0].splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_command_is_one_it_takes(name):
    example = COMMANDS[name].format_help().partition("examples:\n")[2]
    written = [line.strip() for line in example.splitlines() if line.strip()]
    assert written
    for line in written:
        words = shlex.split(re.sub(r"source <\((.*)\)| > .*", r"\1", line))
        assert words[:2] == ["lamina", name]
        assert callable(cli.parser().parse_args(words[1:]).run)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "required: COMMAND"),
        (("frobnicate",), "invalid choice: 'frobnicate'"),
        (("check",), "required: FILE"),
        (("run",), "required: script;"),
        (("convert", "a.h5"), "required: NEW"),
        (("demo", "--epochs", "0"), "at least 1, got 0"),
        (("migrate", "a.py", "--keras", "9"), "invalid choice: '9'"),
        (("check", "a.h5", "--nothing"), "unrecognized arguments: --nothing"),
        (("completion", "cmd"), "invalid choice: 'cmd'"),
    ],
)
def test_wrong_use_is_one_line_and_2(words, told, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    out, error = capsys.readouterr()
    assert stopped.value.code == 2 and not out
    assert error.startswith("lamina") and error.count("\n") == 1 and told in error and "--help" in error


def test_python_m_lamina_is_the_command():
    done = lamina("--version")
    assert done.returncode == 0 and done.stdout.startswith("lamina ")
    done = lamina("nothing")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_help_needs_no_torch():
    code = "import sys; from lamina import cli; cli.parser().format_help(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Completion -----------------------------------------------------------------------------------------------------------


def completed(shell: str, *words: str) -> set[str]:
    """What a real shell offers for the last of some words."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    text = completion.script(cli.parser(), shell)
    if shell == "fish":
        asked = f"complete -C'{' '.join(words)}'"
    else:
        asked = (
            f"COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}; _lamina; echo ${{COMPREPLY[*]}}"
        )
    done = subprocess.run([shell, "-c", f"{text}\n{asked}"], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return {line.partition("\t")[0] for line in done.stdout.splitlines()} if shell == "fish" else {*done.stdout.split()}


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_completes(shell):
    assert completed(shell, "lamina", "") == {*COMMANDS}
    assert completed(shell, "lamina", "con") == {"convert"}
    assert completed(shell, "lamina", "run", "--keras", "") == {"1", "2", "2.2", "tf", "3"}
    assert completed(shell, "lamina", "migrate", "--pa") == {"--package"}
    assert completed(shell, "lamina", "completion", "") >= {*completion.SHELLS}


def test_zsh_completes_by_the_script_of_bash():
    bash, zsh = (completion.script(cli.parser(), shell) for shell in ("bash", "zsh"))
    assert zsh.endswith(bash) and "bashcompinit" in zsh
    if shutil.which("zsh"):
        assert subprocess.run(["zsh", "-f", "-n"], input=zsh, text=True).returncode == 0


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_completed(name):
    for shell in completion.SHELLS:
        text = completion.script(cli.parser(), shell)
        for action in COMMANDS[name]._actions:
            for flag in action.option_strings:
                assert (f"-l {flag[2:]}" if shell == "fish" and flag[:2] == "--" else flag.lstrip("-")) in text


def test_completion_prints_the_script(capsys):
    assert cli.main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == completion.script(cli.parser(), "bash")


def test_a_parser_of_other_commands_is_completed():
    parser = argparse.ArgumentParser(prog="lamina")
    added = parser.add_subparsers().add_parser("say", help="it's said")
    added.add_argument("--how", choices=("soft", "loud"), help="100%% of it")
    assert '"say --how") words="soft loud"' in completion.script(parser, "bash")
    assert "'it'\"'\"'s said'" in completion.script(parser, "fish")
