"""`lamina profile`: how long the layers of a model file take, or those of the models that a script makes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..models import Model
from ..pictures.profile import Profile, profile

SCRIPTS = (".py", ".ipynb")


def main(
    target: str,
    arguments: Sequence[str] = (),
    batch_size: int = 32,
    train: bool = False,
    input_shape: Sequence[int] | None = None,
    keras: str | None = None,
    out: str | None = None,
) -> int:
    """Prints the tables, or writes them to `out`, and returns the exit code: that of the script, or 1 for an error."""
    code, models = 0, []
    if Path(target).suffix in SCRIPTS or Path(target).is_dir():
        from .run import run

        with noted(models):
            try:
                code = run(target, arguments, keras)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
                if isinstance(end.code, str):
                    print(end.code, file=sys.stderr)
        models = whole(models)
        if not models:
            print("lamina: the script made no model", file=sys.stderr)
            return code or 1
    else:
        from ..files import load_model

        try:
            models = [load_model(target, compile=False)]
        except (OSError, ValueError) as error:
            print(f"lamina: {error}", file=sys.stderr)
            return 1
    made: list[Profile] = []
    for model in models:
        try:
            made.append(profile(model, None, batch_size, train, input_shape))
        except ValueError as error:
            print(f"lamina: {error}", file=sys.stderr)
            code = code or 1
    return code if _given_out(made, out) else 1


def _given_out(made: list[Profile], out: str | None) -> bool:
    """Whether the tables could be printed or written."""
    try:
        for number, each in enumerate(made, 1):
            if out is None:
                each.print()
            else:
                path = Path(out)
                each.save(path if number == 1 else path.with_stem(f"{path.stem}-{number}"))
    except (OSError, ValueError) as error:
        print(f"lamina: {error}", file=sys.stderr)
        return False
    return True


@contextmanager
def noted(models: list[Any]) -> Iterator[None]:
    """Inside, every model that is made is added to the list."""
    make: Any = Model.__new__

    def noting(cls: type, *args: Any, **kwargs: Any) -> Any:
        model = make(cls, *args, **kwargs)
        models.append(model)
        return model

    Model.__new__ = staticmethod(noting)  # type: ignore[assignment]
    try:
        yield
    finally:
        Model.__new__ = staticmethod(make)  # type: ignore[assignment]


def whole(models: list[Any]) -> list[Any]:
    """Those that are built and stand in none of the others."""
    built = [model for model in models if "_ready" in vars(model) and model.built]
    inside = {id(each) for model in built for each in model.modules() if each is not model}
    return [model for model in built if id(model) not in inside]
