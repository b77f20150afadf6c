"""Ranking metrics: by hand, against the obvious computation, against scikit-learn, and by properties."""

from __future__ import annotations

import itertools
import time
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, ndcg_score

from audotics.evaluation.holdout import Holdout
from audotics.evaluation.metrics import METRICS, ranking_metrics

CUTOFFS = (1, 3, 5, 10)


def obvious(tracks: list[int], wanted: set[int], cutoff: int) -> dict[str, float]:
    """The textbook definitions, one listener, one rank after the other."""
    hits, gain, precisions, first = 0, 0.0, 0.0, 0.0
    for rank, track in enumerate(tracks[:cutoff], start=1):
        if track in wanted:
            hits += 1
            gain += 1 / log2(rank + 1)
            precisions += hits / rank
            first = first or 1 / rank
    ideal = sum(1 / log2(rank + 1) for rank in range(1, min(cutoff, len(wanted)) + 1))
    return {
        "ndcg": gain / ideal,
        "recall": hits / len(wanted),
        "precision": hits / cutoff,
        "map": precisions / min(cutoff, len(wanted)),
        "mrr": first,
        "hit_rate": float(hits > 0),
    }


def one(tracks: list[int], wanted: list[int], cutoff: int) -> dict[str, float]:
    holdout = Holdout.from_pairs([0] * len(wanted), wanted, 1, 100)
    found = ranking_metrics(np.array([tracks], np.int32), holdout, [cutoff])
    return {name.split("@")[0]: float(values[0]) for name, values in found.items()}


def test_by_hand() -> None:
    # Hits at ranks 1 and 3 of 4; three test tracks, one of them not in the list.
    found = one([7, 1, 8, 2], [7, 8, 9], 4)
    assert found["ndcg"] == pytest.approx((1 + 1 / 2) / (1 + 1 / log2(3) + 1 / 2))
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["precision"] == pytest.approx(2 / 4)
    assert found["map"] == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert found["mrr"] == 1.0
    assert found["hit_rate"] == 1.0


def test_recall_divides_by_all_test_tracks_even_beyond_the_cutoff() -> None:
    found = one([1, 2], [1, 2, 3, 4], 2)
    assert found["recall"] == 0.5
    assert found["ndcg"] == pytest.approx(1.0), "NDCG's ideal holds min(cutoff, n_test) hits"
    assert found["map"] == pytest.approx(1.0)


def test_cutoff_hides_later_hits() -> None:
    assert set(one([1, 2, 9], [9], 2).values()) == {0.0}
    assert one([1, 2, 9], [9], 3)["mrr"] == pytest.approx(1 / 3)


def test_short_lists_miss_at_their_end() -> None:
    short, padded = one([9], [9, 8], 5), one([9, -1, -1, -1, -1], [9, 8], 5)
    assert short == padded
    assert short["precision"] == pytest.approx(1 / 5)


def test_no_recommendations_score_zero() -> None:
    assert set(one([-1, -1, -1], [3], 3).values()) == {0.0}


def test_listener_without_test_tracks_has_no_value() -> None:
    holdout = Holdout.from_pairs([1], [2], 2, 5)
    found = ranking_metrics(np.array([[2, 1], [2, 1]], np.int32), holdout, [2])
    for values in found.values():
        assert np.isnan(values[0])
        assert not np.isnan(values[1])


def test_names_and_shapes() -> None:
    holdout = Holdout.from_pairs([0, 1], [1, 2], 2, 5)
    found = ranking_metrics(np.zeros((2, 1), np.int32), holdout)
    assert set(found) == {f"{name}@{cutoff}" for name in METRICS for cutoff in (5, 10, 20, 100)}
    assert {values.shape for values in found.values()} == {(2,)}
    assert set(ranking_metrics(np.zeros((2, 1), np.int32), holdout, [3], ["mrr"])) == {"mrr@3"}


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[list[int]], list[set[int]]]:
    """Distinct tracks per list, all lists as long, at least one test track each."""
    n_tracks, k = 12, draw(st.integers(1, 12))
    n = draw(st.integers(1, 4))
    lists = [draw(st.permutations(range(n_tracks)))[:k] for _ in range(n)]
    wanted = [draw(st.sets(st.integers(0, n_tracks - 1), min_size=1)) for _ in range(n)]
    return lists, wanted


def evaluate(lists: list[list[int]], wanted: list[set[int]]) -> dict[str, np.ndarray]:
    rows = [row for row, tracks in enumerate(wanted) for _ in tracks]
    holdout = Holdout.from_pairs(rows, [t for tracks in wanted for t in sorted(tracks)], len(lists), 12)
    return ranking_metrics(np.array(lists, np.int32), holdout, CUTOFFS)


@settings(max_examples=30, deadline=None)
@given(situations())
def test_equals_the_obvious_computation(situation: tuple[list[list[int]], list[set[int]]]) -> None:
    lists, wanted = situation
    found = evaluate(lists, wanted)
    for cutoff in CUTOFFS:
        for row, (tracks, own) in enumerate(zip(lists, wanted, strict=True)):
            for name, value in obvious(tracks, own, cutoff).items():
                assert found[f"{name}@{cutoff}"][row] == pytest.approx(value), (name, cutoff)


@settings(max_examples=30, deadline=None)
@given(situations())
def test_bounds_and_order(situation: tuple[list[list[int]], list[set[int]]]) -> None:
    found = evaluate(*situation)
    for cutoff in CUTOFFS:
        for name in METRICS:
            values = found[f"{name}@{cutoff}"]
            assert np.all((values >= 0) & (values <= 1 + 1e-12))
        # Some hit is what each of the others needs, and no rank is better than the first.
        assert np.array_equal(found[f"hit_rate@{cutoff}"] > 0, found[f"ndcg@{cutoff}"] > 0)
        assert np.all(found[f"mrr@{cutoff}"] <= found[f"hit_rate@{cutoff}"])
    for name in ("recall", "mrr", "hit_rate"):
        for shorter, longer in itertools.pairwise(CUTOFFS):
            assert np.all(found[f"{name}@{shorter}"] <= found[f"{name}@{longer}"])


@settings(max_examples=30, deadline=None)
@given(situations(), st.randoms(use_true_random=False))
def test_moving_a_hit_up_never_hurts(situation: tuple[list[list[int]], list[set[int]]], random) -> None:
    lists, wanted = situation
    better = []
    for tracks, own in zip(lists, wanted, strict=True):
        moved = list(tracks)
        hits = [place for place, track in enumerate(moved) if track in own]
        if hits:
            place = random.choice(hits)
            moved.insert(random.randint(0, place), moved.pop(place))
        better.append(moved)
    before, after = evaluate(lists, wanted), evaluate(better, wanted)
    for name, values in before.items():
        assert np.all(after[name] >= values - 1e-12), name


@settings(max_examples=30, deadline=None)
@given(situations())
def test_agrees_with_scikit_learn(situation: tuple[list[list[int]], list[set[int]]]) -> None:
    lists, wanted = situation
    # scikit-learn ranks every track by a score, so the whole list goes in.
    full = [tracks + [t for t in range(12) if t not in tracks] for tracks in lists]
    relevance = np.array([[t in own for t in range(12)] for own in wanted], float)
    score = np.array([[-tracks.index(t) for t in range(12)] for tracks in full], float)
    found = evaluate(full, wanted)
    for cutoff in CUTOFFS:
        expected = ndcg_score(relevance, score, k=cutoff)
        assert found[f"ndcg@{cutoff}"].mean() == pytest.approx(expected)
    rows = [row for row, own in enumerate(wanted) for _ in own]
    holdout = Holdout.from_pairs(rows, [t for own in wanted for t in sorted(own)], len(lists), 12)
    whole = ranking_metrics(np.array(full, np.int32), holdout, [12], ["map"])["map@12"]
    assert whole.mean() == pytest.approx(label_ranking_average_precision_score(relevance, score))
    assert whole[0] == pytest.approx(average_precision_score(relevance[0], score[0]))


def test_twelve_thousand_listeners_in_a_second() -> None:
    rng = np.random.default_rng(0)
    n, n_tracks = 12_000, 44_000
    lists = (np.arange(100) * 400 + rng.integers(0, 400, (n, 100))).astype(np.int32)
    holdout = Holdout.from_pairs(np.repeat(np.arange(n), 5), rng.integers(0, n_tracks, 5 * n), n, n_tracks)
    started = time.process_time()
    ranking_metrics(lists, holdout)
    assert time.process_time() - started < 1.0
