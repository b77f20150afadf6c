import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from audotics.ranking.calibration import fit_sigmoid, log_share, sigmoid


def test_finds_the_planted_sigmoid():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=50_000)
    happened = rng.random(50_000) < sigmoid(1.7 * scores - 2.0)
    slope, intercept = fit_sigmoid(scores, happened)
    assert slope == pytest.approx(1.7, abs=0.06)
    assert intercept == pytest.approx(-2.0, abs=0.06)


def test_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=5000) * 3
    happened = rng.random(5000) < sigmoid(scores)
    reference = LogisticRegression(C=1e6).fit(scores[:, None], happened)
    slope, intercept = fit_sigmoid(scores, happened)
    assert slope == pytest.approx(reference.coef_[0, 0], rel=0.01)
    assert intercept == pytest.approx(reference.intercept_[0], abs=0.01)


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-50, 50))
def test_mean_probability_is_the_mean_outcome_whatever_the_scale(seed, scale, shift):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=300)
    happened = rng.random(300) < sigmoid(latent)
    scores = latent * scale + shift
    slope, intercept = fit_sigmoid(scores, happened)
    assert np.mean(sigmoid(slope * scores + intercept)) == pytest.approx(happened.mean(), abs=0.01)


@given(st.integers(0, 10_000), st.floats(-3, 3))
def test_a_higher_score_never_gets_a_lower_probability(seed, strength):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=100)
    slope, _ = fit_sigmoid(scores, rng.random(100) < sigmoid(strength * scores))
    assert slope >= 0


def test_scores_that_order_the_wrong_way_round_tell_the_mean():
    happened = np.array([True] * 5 + [False] * 15)
    slope, intercept = fit_sigmoid(np.arange(20.0), happened)
    assert slope == 0
    assert sigmoid(np.array(intercept)) == pytest.approx(happened.mean(), abs=0.05)


def test_separable_scores_stay_finite():
    slope, intercept = fit_sigmoid(np.array([-1.0, -0.5, 0.5, 1.0]), np.array([False, False, True, True]))
    assert np.isfinite([slope, intercept]).all()
    assert slope > 0


@pytest.mark.parametrize("happened", [np.zeros(3, bool), np.ones(3, bool)])
def test_one_class_teaches_nothing(happened):
    assert fit_sigmoid(np.arange(3.0), happened) == (1.0, 0.0)


def test_sigmoid_of_extremes():
    with np.errstate(over="raise"):
        assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]


def test_log_share_is_a_distribution_and_ignores_the_level():
    scores = np.array([[1.0, 2.0, -np.inf], [-np.inf, -np.inf, -np.inf]], np.float32)
    share = log_share(scores)
    assert np.exp(share[0]).sum() == pytest.approx(1, rel=1e-6)
    assert share[0, 2] == -np.inf
    assert np.all(share[1] == -np.inf)
    np.testing.assert_allclose(log_share(scores + 7)[0], share[0], atol=1e-5)
