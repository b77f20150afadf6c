from __future__ import annotations

import pytest

from audotics.slate.catalogue import SlateCatalogue
from contract.ten_tracks import ten_tracks_catalogue


@pytest.fixture(scope="session")
def catalogue() -> SlateCatalogue:
    return ten_tracks_catalogue()
