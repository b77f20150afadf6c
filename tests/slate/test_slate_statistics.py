from __future__ import annotations

import numpy as np
import pytest

from audotics.data.interactions import Interactions
from audotics.domain import PADDING
from audotics.slate.catalogue import SlateCatalogue
from audotics.slate.statistics import SlateStatistics


def test_shares_by_hand(catalogue: SlateCatalogue) -> None:
    slates = np.array(
        # Three of A and one of B; two of nobody known, each an artist of its own; nothing.
        [[0, 1, 2, 4], [8, 9, PADDING, PADDING], [PADDING] * 4],
        np.int32,
    )
    histories = Interactions.from_histories([[1, 2, 7], [0], [5]], 10)
    statistics = SlateStatistics.of(slates, histories, catalogue, {"artist_cap": 3})
    assert (statistics.n_slates, statistics.n_shown) == (2, 6)
    assert statistics.largest_artist_share == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert statistics.repeat_share == pytest.approx(2 / 6)
    assert statistics.new_track_share == pytest.approx(1 / 6)
    assert statistics.acted == {"artist_cap": 3}


def test_parts_add_up(catalogue: SlateCatalogue) -> None:
    rng = np.random.default_rng(0)
    slates = np.array([rng.permutation(10)[:4] for _ in range(6)], np.int32)
    histories = Interactions.from_histories([[row, row + 1] for row in range(6)], 10)
    whole = SlateStatistics.of(slates, histories, catalogue, {"explore": 5, "order": 1})
    halves = [
        SlateStatistics.of(slates[rows], histories.rows(rows), catalogue, acted)
        for rows, acted in ((np.arange(2), {"explore": 5}), (np.arange(2, 6), {"order": 1}))
    ]
    added = halves[0] + halves[1]
    assert added.artist_shares == pytest.approx(whole.artist_shares)
    assert (added.n_slates, added.n_shown) == (whole.n_slates, whole.n_shown) == (6, 24)
    assert (added.n_repeats, added.n_new) == (whole.n_repeats, whole.n_new)
    assert added.acted == whole.acted


def test_no_slate_has_no_shares() -> None:
    empty = SlateStatistics().summary()
    assert empty == {
        "n_slates": 0,
        "n_shown": 0,
        "largest_artist_share": 0.0,
        "repeat_share": 0.0,
        "new_track_share": 0.0,
        "acted": {},
    }
