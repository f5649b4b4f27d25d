"""The public API stays as it is recorded: names, parameters, defaults."""

from __future__ import annotations

import difflib

from support.api import PAGE, lines


def difference(recorded: list[str], found: list[str]) -> list[str]:
    """The lines that differ, with - what is recorded and with + what is there."""
    return [line for line in difflib.unified_diff(recorded, found, n=0, lineterm="") if line[:1] in "+-"][2:]


def test_the_api_is_the_recorded_one() -> None:
    changed = "\n".join(difference(PAGE.read_text(encoding="utf-8").splitlines(), lines()))
    assert not changed, (
        f"the public API is another one (-: recorded, +: now):\n{changed}\n"
        "What is gone or otherwise breaks code of users: docs/releases.md says how a name may go. "
        "To accept it: `make api`, and a line in CHANGELOG.md."
    )


def test_a_change_is_told() -> None:
    recorded = lines()
    (place,) = [at for at, line in enumerate(recorded) if line.startswith("lamina.layers.Dense(")]
    other = recorded[place].replace("use_bias=True", "use_bias=False")
    changed = [*recorded[:place], other, *recorded[place + 1 :]]
    assert difference(recorded, changed) == [f"-{recorded[place]}", f"+{other}"]
    assert difference(recorded, [*recorded, "lamina.more()"]) == ["+lamina.more()"]
