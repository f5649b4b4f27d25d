"""Settings of one's own, read as attributes or by name."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any


class Config(MutableMapping[str, Any]):
    """Named values, as attributes and as items; `freeze` keeps them as they are, `unfreeze` lets them change again."""

    def __init__(self, **kwargs: Any):
        vars(self).update(_values=dict(kwargs), _frozen=False)

    @property
    def frozen(self) -> bool:
        return vars(self)["_frozen"]

    def freeze(self) -> None:
        vars(self)["_frozen"] = True

    def unfreeze(self) -> None:
        vars(self)["_frozen"] = False

    def as_dict(self) -> dict[str, Any]:
        return dict(self._values)

    def to_json(self) -> str:
        return json.dumps(self._values)

    def _check(self, name: str) -> None:
        if self.frozen:
            raise ValueError(f"Config: {name!r} cannot change while the config is frozen; call `unfreeze()` first.")

    def __getattr__(self, name: str) -> Any:
        values = vars(self).get("_values", {})
        if name not in values:
            raise AttributeError(f"Config: there is no {name!r}; it has {', '.join(values) or 'nothing'}.")
        return values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._check(name)
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        self._check(name)
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    def __repr__(self) -> str:
        return f"<Config {self._values}>"
