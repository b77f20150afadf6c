from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from audotics.errors import BadInputError
from audotics.evaluation.heads import (
    calibration_error,
    confusion_counts,
    evaluate_heads,
    head_metrics,
    log_loss_sum,
    metrics_from_sums,
    reliability_bins,
)

P = np.array([0.9, 0.8, 0.4, 0.3, 0.6])
Y = np.array([1, 0, 1, 0, 1])


def test_by_hand() -> None:
    found = head_metrics(P, Y)
    # Predicted positive: .9 (true), .8 (false), .6 (true); missed: .4.
    assert (found.n, found.base_rate) == (5, pytest.approx(0.6))
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(2 / 3)
    assert found.f1 == pytest.approx(2 / 3)
    # Pairs (positive, negative) in the right order: .9>.8 .9>.3 .4>.3 .6>.3, wrong: .4<.8 .6<.8.
    assert found.roc_auc == pytest.approx(4 / 6)
    assert found.log_loss == pytest.approx(-np.mean(np.log([0.9, 0.2, 0.4, 0.7, 0.6])))
    assert found.calibration_error == pytest.approx(np.mean([0.1, 0.8, 0.6, 0.3, 0.4]), abs=1e-12)


def test_threshold_moves_the_decision_only() -> None:
    low, usual = head_metrics(P, Y, threshold=0.35), head_metrics(P, Y)
    assert (low.recall, low.precision) == (1.0, pytest.approx(3 / 4))
    assert (low.roc_auc, low.log_loss) == (usual.roc_auc, usual.log_loss)


def test_a_probability_at_the_threshold_is_positive() -> None:
    assert head_metrics(np.array([0.5, 0.4]), np.array([1, 0])).recall == 1.0


def test_bins_by_hand() -> None:
    bins = reliability_bins(np.array([0.0, 0.05, 0.5, 1.0, 0.95]), np.array([0, 1, 1, 1, 0]), n_bins=2)
    assert [(part.low, part.high, part.n) for part in bins] == [(0.0, 0.5, 2), (0.5, 1.0, 3)]
    assert [part.predicted for part in bins] == pytest.approx([0.025, 2.45 / 3])
    assert [part.observed for part in bins] == pytest.approx([1 / 2, 2 / 3])
    assert calibration_error(bins) == pytest.approx((2 * 0.475 + 3 * (2.45 - 2) / 3) / 5)


def test_empty_bins_are_left_out() -> None:
    assert [part.low for part in reliability_bins(np.array([0.31, 0.99]), np.array([0, 1]))] == [0.3, 0.9]
    assert calibration_error(()) == 0.0


def test_calibrated_probabilities_have_a_small_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(50_000)
    y = rng.random(50_000) < p
    assert head_metrics(p, y).calibration_error < 0.01
    assert head_metrics(p**3, y).calibration_error > 0.2


def test_bins_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    p = rng.random(3000)
    y = (rng.random(3000) < p**2).astype(int)
    observed, predicted = calibration_curve(y, p, n_bins=10)
    bins = reliability_bins(p, y)
    assert [part.observed for part in bins] == pytest.approx(observed)
    assert [part.predicted for part in bins] == pytest.approx(predicted)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_agrees_with_scikit_learn(pairs: list[tuple[float, bool]], threshold: float) -> None:
    p, y = np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])
    found = head_metrics(p, y, threshold=threshold)
    decided = p >= threshold
    assert found.accuracy == pytest.approx(metrics.accuracy_score(y, decided))
    assert found.precision == pytest.approx(metrics.precision_score(y, decided, zero_division=0))
    assert found.recall == pytest.approx(metrics.recall_score(y, decided, zero_division=0))
    assert found.f1 == pytest.approx(metrics.f1_score(y, decided, zero_division=0))
    if len(set(y)) == 2:
        pairs_in_order = (p[y][:, None] > p[~y]) + 0.5 * (p[y][:, None] == p[~y])
        assert found.roc_auc == pytest.approx(pairs_in_order.mean())
    else:
        assert found.roc_auc is None
    assert 0 <= found.calibration_error <= 1
    assert sum(part.n for part in found.bins) == found.n


def test_certain_and_wrong_is_finite() -> None:
    assert head_metrics(np.array([0.0, 1.0]), np.array([1, 0])).log_loss == pytest.approx(-np.log(1e-7))


def test_float32_probabilities_are_welcome() -> None:
    assert head_metrics(P.astype(np.float32), Y).accuracy == pytest.approx(3 / 5)


def test_unknown_outcomes_are_left_out() -> None:
    padded = head_metrics(np.append(P, [0.5, np.nan]), np.append(Y, [np.nan, np.nan]))
    assert padded == head_metrics(P, Y)
    with pytest.raises(BadInputError, match="no prediction has a known outcome"):
        head_metrics(P, np.full(5, np.nan))


@pytest.mark.parametrize("bad", [-0.1, 1.2, np.nan, np.inf])
def test_scores_are_no_probabilities(bad: float) -> None:
    with pytest.raises(BadInputError, match="between 0 and 1"):
        head_metrics(np.array([0.5, bad]), np.array([0, 1]))


def test_heads_of_lists() -> None:
    labels = np.array([[[1, 0], [0, np.nan]], [[1, 1], [np.nan, np.nan]]])
    probabilities = np.array([[[0.9, 0.2], [0.3, 0.5]], [[0.2, 0.8], [0.0, 0.0]]])
    found = evaluate_heads(probabilities, labels, ("play", "skip"))
    assert (found["play"].n, found["play"].accuracy) == (3, pytest.approx(2 / 3))
    assert (found["skip"].n, found["skip"].accuracy) == (2, 1.0)
    labels[..., 1] = np.nan
    assert set(evaluate_heads(probabilities, labels, ("play", "skip"))) == {"play"}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_sums_agree_with_scikit_learn(n: int, threshold: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, y = rng.random(n), rng.random(n) < 0.4
    found = head_metrics(p, y, threshold=threshold)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        y, p >= threshold, average="binary", zero_division=0.0
    )
    assert (found.precision, found.recall, found.f1) == pytest.approx((precision, recall, f1))
    assert found.accuracy == pytest.approx(metrics.accuracy_score(y, p >= threshold))
    assert found.log_loss == pytest.approx(metrics.log_loss(y, p, labels=[False, True]))


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    y = Y > 0.5
    parts = [slice(0, 2), slice(2, 5)]
    whole = metrics_from_sums(confusion_counts(P, y, 0.5), log_loss_sum(P, y), reliability_bins(P, y))
    added = metrics_from_sums(
        sum(confusion_counts(P[part], y[part], 0.5) for part in parts),
        sum(log_loss_sum(P[part], y[part]) for part in parts),
        reliability_bins(P, y),
    )
    assert confusion_counts(P, y, 0.5).tolist() == [1, 1, 1, 2]
    assert added.log_loss == pytest.approx(whole.log_loss)
    assert added.model_dump(exclude={"log_loss"}) == whole.model_dump(exclude={"log_loss"})
