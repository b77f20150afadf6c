"""Fixtures for tests on data: public sets, where they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """Gives the folder of a public set; skips the test where it is not at hand."""

    def find(name: str) -> Path:
        folder = _SHARED / name
        if not folder.exists():
            pytest.skip(f"the public set {name} is not beside the repository (../shared/data/{name})")
        return folder

    return find
