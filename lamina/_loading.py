"""Loading Lamina's modules with no collection of garbage in between."""

from __future__ import annotations

import gc
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


class Finder:
    """Comes first and finds what Python would, of one package.

    While a module is loaded, with all that it imports, no garbage is collected. What modules define stays; and since it
    is much, the collector would go through all that torch holds, which takes longer than the loading itself.
    """

    def __init__(self, root: str):
        self.root = root

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """None, too, where nobody collects: within another module that is being loaded, among others."""
        if not fullname.startswith(f"{self.root}.") or not gc.isenabled():
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                gc.disable()
                try:
                    execute(module)
                finally:
                    gc.enable()

            spec.loader.exec_module = exec_module
        return spec
