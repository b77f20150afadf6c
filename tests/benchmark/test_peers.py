"""Every peer keeps the contract; those whose library is not installed are skipped."""

from __future__ import annotations

import numpy as np
import pytest

from audotics.benchmark.names import PEERS, PeerEntry
from audotics.benchmark.protocol import Peer, Resources
from audotics.data.interactions import Interactions
from audotics.domain import PADDING

QUICK = {
    "sasrec": {"epochs": 2, "dim": 16, "max_len": 8},
    "implicit-bpr": {"iterations": 30},
    "implicit-als": {"factors": 4},
}
"""Settings that suit so little data and take no time."""

# What implicit says of itself.
pytestmark = pytest.mark.filterwarnings("ignore:Method expects CSR input")


def entries() -> list[pytest.ParameterSet]:
    return [
        pytest.param(
            entry,
            id=entry.name,
            marks=[pytest.mark.skipif(bool(entry.missing), reason=f"{entry.missing} not installed")],
        )
        for entry in PEERS.values()
    ]


def new(entry: PeerEntry, seed: int = 0) -> Peer:
    found = entry.load()
    return found(dict(found.defaults) | QUICK.get(entry.name, {}), Resources(threads=1, seed=seed))


def everybody(histories: Interactions) -> np.ndarray:
    return np.arange(histories.n_rows, dtype=np.int32)


@pytest.mark.parametrize("entry", entries())
class TestPeer:
    def test_lists_are_of_the_asked_shape_without_repeats(self, entry, histories):
        lists = new(entry).fit(histories).recommend(everybody(histories), 15, include_heard=True)
        assert lists.shape == (histories.n_rows, 15)
        assert lists.dtype == np.int32
        assert lists.min() >= PADDING
        assert lists.max() < histories.n_tracks
        for row in lists:
            known = row[row != PADDING]
            assert len(set(known)) == len(known) > 0
            assert (row[len(known) :] == PADDING).all()

    def test_heard_tracks_stay_out_unless_asked_for(self, entry, histories):
        fitted = new(entry).fit(histories)
        heard = histories.matrix().toarray() > 0
        rows = everybody(histories)[:, None]
        without = fitted.recommend(everybody(histories), 10, include_heard=False)
        assert not (heard[rows, without] & (without != PADDING)).any()
        with_heard = fitted.recommend(everybody(histories), 10, include_heard=True)
        assert (heard[rows, with_heard] & (with_heard != PADDING)).any()

    def test_more_than_the_catalogue_is_padded(self, entry, histories):
        n_tracks = histories.n_tracks
        lists = new(entry).fit(histories).recommend(np.array([4], np.int32), n_tracks + 5, include_heard=True)
        assert lists.shape == (1, n_tracks + 5)
        assert (lists[0, n_tracks:] == PADDING).all()

    def test_rows_are_those_of_the_asked_listeners(self, entry, histories):
        fitted = new(entry).fit(histories)
        all_lists = fitted.recommend(everybody(histories), 5, include_heard=True)
        chosen = np.array([7, 2, 40], np.int32)
        np.testing.assert_array_equal(fitted.recommend(chosen, 5, include_heard=True), all_lists[chosen])

    def test_nobody_asked_nothing_answered(self, entry, histories):
        fitted = new(entry).fit(histories)
        assert fitted.recommend(np.zeros(0, np.int32), 5, include_heard=False).shape == (0, 5)

    def test_a_second_fit_forgets_the_first(self, entry, histories):
        asked = everybody(histories)
        other = histories.rows(asked[::-1])
        twice = new(entry).fit(other).fit(histories).recommend(asked, 5, include_heard=True)
        np.testing.assert_array_equal(
            twice, new(entry).fit(histories).recommend(asked, 5, include_heard=True)
        )

    def test_the_space_holds_settings_of_the_defaults(self, entry, histories):
        assert set(entry.load().space) <= set(entry.load().defaults)


@pytest.mark.parametrize(
    "entry", [param for param in entries() if param.id not in ("popularity", "most-played", "sasrec")]
)
def test_personal_peers_find_the_listeners_genre(entry, histories):
    """Listener ``u`` keeps to genre ``u % 3``, tracks ``30 g`` to ``30 g + 29``: lists should, too."""
    asked = everybody(histories)
    lists = new(entry).fit(histories).recommend(asked, 5, include_heard=False)
    in_genre = (lists // 30 == (asked % 3)[:, None]) & (lists != PADDING)
    assert in_genre.mean() > 0.6
