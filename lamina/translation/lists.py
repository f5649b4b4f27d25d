"""Lists of words that stand in files of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def listed(file: str) -> dict[str, Any]:
    """Lists of words in a file beside this one, each as one text."""

    def joined(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: joined(item) for key, item in value.items()}
        return " ".join(value) if isinstance(value, list) else value

    return joined(json.loads(Path(__file__).with_name(file).read_text("utf-8")))
