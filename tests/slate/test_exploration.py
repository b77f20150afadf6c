"""Propensities against many draws."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from audotics.slate.assembly import SlateMaker
from audotics.slate.catalogue import SlateCatalogue
from audotics.slate.config import SlateConfig
from audotics.slate.exploration import explore, uniforms
from contract.ten_tracks import ranked, tracks_of

N_DRAWS = 20_000


def draws(n_candidates: int, k: int, places: tuple[int, ...], chance: float) -> tuple[np.ndarray, ...]:
    chosen = np.tile(np.arange(n_candidates, dtype=np.int32), (N_DRAWS, 1))
    lengths = np.full(N_DRAWS, k, np.int32)
    made = explore(chosen, lengths, places, chance, np.arange(N_DRAWS, dtype=np.uint64))
    return made.slots, made.propensities, made.inclusion, made.drawn


@pytest.mark.parametrize(
    ("n_candidates", "k", "places", "chance"),
    [(12, 5, (2, 4), 0.3), (6, 5, (1, 3, 5), 0.5), (9, 4, (4,), 1.0), (7, 4, (2, 4, 9), 0.2)],
)
def test_propensities_are_the_shares_of_many_draws(
    n_candidates: int, k: int, places: tuple[int, ...], chance: float
) -> None:
    slots, propensities, inclusion, _ = draws(n_candidates, k, places, chance)
    tolerance = 4 * np.sqrt(0.25 / N_DRAWS)
    for place in range(k):
        for track, count in Counter(slots[:, place].tolist()).items():
            here = slots[:, place] == track
            assert np.unique(propensities[here, place]).size == 1
            assert propensities[here, place][0] == pytest.approx(count / N_DRAWS, abs=tolerance)
            anywhere = (slots == track).any(axis=1).mean()
            assert inclusion[here, place][0] == pytest.approx(anywhere, abs=tolerance)


def test_inverse_propensities_estimate_another_policy() -> None:
    """The mean of reward / propensity over what was shown is the reward of showing every track once."""
    slots, propensities, _, _ = draws(8, 4, (2, 3), 0.4)
    reward = np.arange(8) ** 2
    estimate = (reward[slots[:, 1]] / propensities[:, 1]).mean()
    possible = [1, 4, 5, 6, 7]
    assert estimate == pytest.approx(sum(reward[track] for track in possible), rel=0.05)


def test_no_track_is_shown_twice() -> None:
    slots, _, _, drawn = draws(9, 5, (1, 2, 3, 4, 5), 0.7)
    assert all(len(set(row)) == 5 for row in slots[:2000].tolist())
    # Five places are open, but the pool has only four tracks.
    assert drawn[:, 4].sum() == 0
    assert drawn[:, :4].mean() == pytest.approx(0.7, abs=0.01)


def test_without_a_pool_or_a_chance_nothing_is_drawn() -> None:
    for n_candidates, chance in ((5, 1.0), (9, 0.0)):
        slots, propensities, _, drawn = draws(n_candidates, 5, (2,), chance)
        assert (slots == np.arange(5)).all()
        assert (propensities == 1).all()
        assert not drawn.any()


def test_the_same_seed_draws_the_same_in_any_batch() -> None:
    alone = uniforms(np.array([7], np.uint64), 5)
    together = uniforms(np.array([3, 7, 9], np.uint64), 8)
    assert alone[0].tolist() == together[1, :5].tolist()
    many = uniforms(np.arange(4000, dtype=np.uint64), 20)
    assert many.mean() == pytest.approx(0.5, abs=0.005)
    assert np.abs(np.corrcoef(many.T) - np.eye(20)).max() < 0.08
    assert ((many >= 0) & (many < 1)).all()


@pytest.mark.parametrize("order", ["score", "flow"])
def test_drawn_tracks_keep_the_caps(catalogue: SlateCatalogue, order: str) -> None:
    config = SlateConfig(artist_cap=2, explore=1.0, explore_places=(1, 2), explore_pool=4, order=order)
    lists = ranked([list(range(10))] * 200, 3)
    made = SlateMaker(config, catalogue).fill(lists)
    for tracks in tracks_of(made, lists):
        artists = [int(catalogue.artist[track]) for track in tracks if catalogue.artist[track] >= 0]
        assert len(tracks) == 3
        assert max(Counter(artists).values()) <= 2
    assert made.drawn.sum() == made.acted["explore"] == 400
    # Of 4 tracks 2 are drawn: at its place each has a quarter, anywhere a half.
    expected = 0.5 if order == "flow" else 0.25
    assert np.unique(made.propensities[made.drawn]).tolist() == [expected]


def test_slates_of_different_length_have_their_own_pools(catalogue: SlateCatalogue) -> None:
    config = SlateConfig(explore=1.0, explore_places=(2,), explore_pool=3)
    lists = ranked([list(range(10)), list(range(4))], [5, 2])
    made = SlateMaker(config, catalogue).fill(lists)
    first, second = tracks_of(made, lists)
    assert first[1] in {5, 6, 7}
    assert second[1] in {2, 3}
    assert made.propensities[0, 1] == pytest.approx(1 / 3)
    assert made.propensities[1, 1] == pytest.approx(1 / 2)
