from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audotics.errors import BadInputError, RefusedError
from audotics.experiments.off_policy import (
    Estimator,
    Logged,
    SupportError,
    effective_answers,
    policy_value,
)

N_ACTIONS = 5


def chances(seed: int, sharpness: float = 1.0) -> np.ndarray:
    """A policy's chances of five tracks for three kinds of listeners and two places ``[3, 2, 5]``."""
    logits = sharpness * np.random.default_rng(seed).normal(size=(3, 2, N_ACTIONS))
    return np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)


LOGGING, TARGET = chances(1), chances(2)
REWARD = np.random.default_rng(3).uniform(0.1, 0.9, (3, 2, N_ACTIONS))
TRUTH = float((TARGET * REWARD).sum(axis=(1, 2)).mean())


def log(n: int, seed: int, noise: float = 0.0, target: np.ndarray = TARGET) -> Logged:
    """Answers of two places; predictions are the true rewards, off by ``noise`` for all."""
    rng = np.random.default_rng(seed)
    kind = np.repeat(rng.integers(0, 3, n), 2)
    place = np.tile([0, 1], n)
    cumulative = LOGGING[kind, place].cumsum(axis=1)
    action = (rng.random(2 * n)[:, None] > cumulative).sum(axis=1)
    model = REWARD + noise
    return Logged(
        answer=np.repeat(np.arange(n), 2),
        place=place,
        listener=np.repeat(np.arange(n) // 2, 2),
        reward=(rng.random(2 * n) < REWARD[kind, place, action]).astype(float),
        propensity=LOGGING[kind, place, action],
        target=target[kind, place, action],
        predicted=model[kind, place, action],
        predicted_target=(target * model).sum(axis=2)[kind, place],
    )


@pytest.mark.parametrize("estimator", list(Estimator))
def test_every_estimator_finds_the_truth_of_many_logs(estimator: Estimator) -> None:
    values = [policy_value(log(2000, seed), estimator) for seed in range(60)]
    found, errors = np.array([(one.value, one.error) for one in values]).T
    assert abs(found.mean() - TRUTH) < 4 * max(errors.mean() / np.sqrt(60), 0.003)
    if estimator is not Estimator.DM:
        assert errors.mean() == pytest.approx(found.std(), rel=0.35)
        covered = np.mean([one.low <= TRUTH <= one.high for one in values])
        assert covered >= 0.85


def test_a_wrong_model_misleads_dm_but_not_dr() -> None:
    logged = log(20_000, 7, noise=0.2)
    direct, robust = policy_value(logged, Estimator.DM), policy_value(logged, Estimator.DR)
    assert direct.value == pytest.approx(TRUTH + 0.4, abs=0.02)
    assert abs(robust.value - TRUTH) < 4 * robust.error


def test_a_right_model_steadies_and_saves_wrong_propensities() -> None:
    logged = log(20_000, 8)
    assert policy_value(logged, Estimator.DR).error < policy_value(logged, Estimator.IPS).error
    wrong = replace(logged, propensity=np.clip(1.03 * logged.propensity, 0, 1))
    ips, robust = policy_value(wrong, Estimator.IPS), policy_value(wrong, Estimator.DR)
    assert abs(robust.value - TRUTH) < 4 * robust.error
    assert ips.value < TRUTH - 0.01


def test_asking_about_the_logging_policy_gives_the_mean() -> None:
    logged = log(500, 9, target=LOGGING)
    mean = logged.reward.sum() / 500
    for estimator in (Estimator.IPS, Estimator.SNIPS):
        found = policy_value(logged, estimator)
        assert found.value == pytest.approx(mean, abs=1e-12)
        assert found.effective == pytest.approx(500)
        assert found.mean_weight == pytest.approx(1)


def test_self_normalised_values_move_with_rewards() -> None:
    logged = log(500, 10)
    base = policy_value(logged, Estimator.SNIPS).value
    assert policy_value(replace(logged, reward=logged.reward + 1), Estimator.SNIPS).value == pytest.approx(
        base + 2
    )
    assert policy_value(replace(logged, reward=2 * logged.reward), Estimator.SNIPS).value == pytest.approx(
        2 * base
    )


def test_cut_weights_lower_variance_and_value() -> None:
    logged = log(5000, 11)
    cut, whole = policy_value(logged, Estimator.IPS, most_weight=1.0), policy_value(logged, Estimator.IPS)
    assert cut.error < whole.error
    assert cut.value < whole.value


def test_the_bootstrap_agrees_with_the_normal_interval() -> None:
    logged = log(2000, 12)
    normal, drawn = (policy_value(logged, Estimator.IPS, n_resamples=n) for n in (0, 1000))
    assert drawn.low == pytest.approx(normal.low, abs=0.2 * normal.error * 2)
    assert drawn.high == pytest.approx(normal.high, abs=0.2 * normal.error * 2)
    assert drawn == policy_value(logged, Estimator.IPS, n_resamples=1000)


def test_listeners_with_many_answers_widen_the_interval() -> None:
    logged = log(2000, 13)
    few = replace(logged, listener=logged.listener % 20, reward=logged.reward + (logged.listener % 20) / 10)
    apart = replace(few, listener=logged.answer)
    assert policy_value(few, Estimator.IPS).error > 2 * policy_value(apart, Estimator.IPS).error


def test_effective_answers_by_hand() -> None:
    logged = Logged(
        answer=np.array([0, 1, 2]),
        place=np.zeros(3, int),
        listener=np.array([0, 1, 2]),
        reward=np.ones(3),
        propensity=np.array([0.5, 0.5, 0.25]),
        target=np.array([0.0, 0.5, 0.5]),
    )
    assert effective_answers(logged) == pytest.approx(9 / 5)


def test_what_is_never_shown_is_refused() -> None:
    only_first = np.zeros_like(TARGET)
    only_first[:, :, 0] = 1.0
    logged = log(5000, 14, target=only_first)
    shown = logged.predicted is not None and logged.target == 0  # the log, without what the target wants
    keep = np.repeat(shown.reshape(-1, 2).all(axis=1), 2)
    answers = np.repeat(np.arange(keep.sum() // 2), 2)
    never = Logged(
        answer=answers,
        place=logged.place[keep],
        listener=answers,
        reward=logged.reward[keep],
        propensity=logged.propensity[keep],
        target=logged.target[keep],
    )
    with pytest.raises(SupportError, match=r"about 100% of what the target .* never") as refused:
        policy_value(never, Estimator.IPS)
    assert isinstance(refused.value, RefusedError)
    assert "Explore more" in str(refused.value)


def test_too_few_effective_answers_are_refused() -> None:
    with pytest.raises(SupportError, match="answers count effectively"):
        policy_value(log(150, 15), Estimator.SNIPS)
    assert policy_value(log(150, 15), Estimator.SNIPS, least_effective=10).effective < 100


def test_propensities_that_are_too_small_are_refused() -> None:
    logged = log(5000, 16)
    with pytest.raises(SupportError, match="too small"):
        policy_value(replace(logged, propensity=logged.propensity / 2), Estimator.IPS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"propensity": np.zeros(200)}, "propensity"),
        ({"target": np.full(200, 2.0)}, "target"),
        ({"reward": np.zeros(3)}, "different lengths"),
    ],
)
def test_impossible_logs_are_refused(change: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        replace(log(100, 17), **change)


@pytest.mark.parametrize("estimator", [Estimator.DM, Estimator.DR])
def test_predictions_must_be_there(estimator: Estimator) -> None:
    with pytest.raises(BadInputError, match="predictions"):
        policy_value(replace(log(2000, 18), predicted=None, predicted_target=None), estimator)
