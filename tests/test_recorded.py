"""Every recorded case of the originals comes out the same: values, gradients, weights, shapes, configs, refusals."""

from __future__ import annotations

import pytest
from support.golden import Case, cases, problems

import lamina


@pytest.mark.filterwarnings("ignore::UserWarning")  # the originals warn, too: legacy arguments, masks that end
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.id)
def test_recorded(case: Case) -> None:
    found = problems(case, lamina)
    assert not found, "\n    ".join([str(case), *found])
