import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from audotics.errors import BadInputError, DamagedError, NotFittedError
from audotics.ranking.calibration import sigmoid
from audotics.ranking.heads import HeadModel
from audotics.ranking.protocol import RankingExamples
from contract.ranking_lists import linear_examples, padded

SKIPS = np.array([0, 0, -1.5, 0, 0, 1.0], np.float32)
"""A skip depends on two features; what is skipped is only known where a track was played or passed by."""


def reactions(seed: int, n_lists: int = 400) -> RankingExamples:
    """Lists with a skip head, known of the played and of some others, and a like that nobody gave."""
    examples = linear_examples(seed, n_lists)
    rng = np.random.default_rng(seed)
    played = examples.labels[..., 0] > 0
    skip = rng.random(played.shape) < sigmoid(examples.inputs.features @ SKIPS - 1)
    known = (played | (rng.random(played.shape) < 0.2)) & examples.inputs.present
    labels = [examples.labels[..., 0], np.where(known, skip, np.nan), np.where(known, 0.0, np.nan)]
    return RankingExamples(examples.inputs, np.stack(labels, -1).astype(np.float32), ("play", "skip", "like"))


TRAIN, STOP, FRESH = reactions(1), reactions(2), reactions(3)


@pytest.fixture(scope="module")
def fitted():
    return HeadModel().fit(TRAIN, STOP)


def known(examples, place):
    labels = examples.labels[..., place]
    chosen = examples.inputs.present & ~np.isnan(labels)
    return chosen, labels[chosen] > 0


def test_only_heads_with_both_outcomes_are_learned(fitted):
    assert fitted.heads_ == ("play", "skip")
    assert list(fitted.probabilities(FRESH.inputs)) == ["play", "skip"]


def test_heads_may_be_chosen(fitted):
    skips = HeadModel(heads=("skip", "like")).fit(TRAIN, STOP)
    assert skips.heads_ == ("skip",)
    np.testing.assert_array_equal(skips.weights_[0], fitted.weights_[1])
    assert HeadModel(heads=("like",)).fit(TRAIN, STOP).probabilities(FRESH.inputs) == {}


def test_finds_what_causes_a_skip_although_few_are_known(fitted):
    weights = fitted.weights_[1]
    assert weights[2] == pytest.approx(-1.5, abs=0.2)
    assert weights[5] == pytest.approx(1.0, abs=0.2)
    np.testing.assert_allclose(weights[[0, 1, 3, 4]], 0, atol=0.15)


def test_equals_logistic_regression_on_the_known_candidates(fitted):
    chosen, happened = known(TRAIN, 1)
    features = TRAIN.inputs.features
    slow = LogisticRegression(C=1.0, max_iter=500).fit(features[chosen], happened)
    expected = slow.predict_proba(FRESH.inputs.features[FRESH.inputs.present])[:, 1]
    found = fitted.probabilities(FRESH.inputs)["skip"][FRESH.inputs.present]
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.parametrize("place", [0, 1])
def test_probabilities_are_calibrated_in_every_fifth(fitted, place):
    chosen, happened = known(FRESH, place)
    chance = fitted.probabilities(FRESH.inputs)[FRESH.heads[place]][chosen]
    fifths = np.array_split(np.argsort(chance), 5)
    for part in fifths:
        assert chance[part].mean() == pytest.approx(happened[part].mean(), abs=0.07)


def test_sampling_of_candidates_does_not_change_the_level(monkeypatch):
    monkeypatch.setattr("audotics.ranking.heads._MAX_ROWS", 1)
    wide = linear_examples(1, n_lists=150, width=80)
    fresh = linear_examples(3, n_lists=150, width=80)
    chance = HeadModel().fit(wide, linear_examples(2, 150, width=80)).probabilities(fresh.inputs)["play"]
    present = fresh.inputs.present
    assert chance[present].mean() == pytest.approx(fresh.labels[..., 0][present].mean(), abs=0.01)


def test_a_held_out_part_without_outcomes_leaves_the_head_as_it_is():
    nothing = replace(STOP, labels=np.where([True, False, False], STOP.labels, np.nan).astype(np.float32))
    chances = HeadModel().fit(TRAIN, nothing).probabilities(FRESH.inputs)
    chosen, happened = known(FRESH, 1)
    assert chances["skip"][chosen].mean() == pytest.approx(happened.mean(), abs=0.03)


def test_probabilities_are_probabilities_and_zero_where_padded(fitted):
    wide = padded(FRESH, extra=3).inputs
    for chance in fitted.probabilities(wide).values():
        assert chance.dtype == np.float32
        assert np.all((chance >= 0) & (chance <= 1))
        assert np.all(chance[~wide.present] == 0)
        assert np.all(chance[wide.present] > 0)


def test_a_list_is_scored_the_same_alone(fitted):
    alone = fitted.probabilities(FRESH.inputs.take(np.array([4], np.int32)))
    for head, chance in fitted.probabilities(FRESH.inputs).items():
        np.testing.assert_allclose(alone[head][0], chance[4], atol=1e-6)


def test_saved_equals_loaded(fitted, tmp_path):
    fitted.save(tmp_path)
    loaded = HeadModel.load(tmp_path)
    for head, chance in fitted.probabilities(FRESH.inputs).items():
        np.testing.assert_array_equal(loaded.probabilities(FRESH.inputs)[head], chance)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npy"}


def test_damage_is_named(fitted, tmp_path):
    fitted.save(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "short")
    np.save(tmp_path / "short/intercepts.npy", np.zeros(1, np.float32))
    with pytest.raises(DamagedError, match="short"):
        HeadModel.load(tmp_path / "short")
    (tmp_path / "ranker.json").write_text('{"ranker": "heads"}')
    with pytest.raises(DamagedError, match="incomplete"):
        HeadModel.load(tmp_path)


def test_must_be_fitted_first(tmp_path):
    with pytest.raises(NotFittedError):
        HeadModel().probabilities(FRESH.inputs)
    with pytest.raises(NotFittedError):
        HeadModel().save(tmp_path)


def test_other_features_are_refused(fitted):
    turned = replace(FRESH.inputs, feature_names=FRESH.inputs.feature_names[::-1])
    with pytest.raises(BadInputError, match="order differs"):
        fitted.probabilities(turned)


def test_lists_without_a_play_are_refused():
    with pytest.raises(BadInputError, match="no training list"):
        HeadModel().fit(replace(TRAIN, labels=np.zeros_like(TRAIN.labels)), STOP)


def test_loading_and_scoring_never_import_scikit_learn(fitted, tmp_path):
    fitted.save(tmp_path)
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from audotics.ranking import HeadModel, RankingInputs\n"
        "model = HeadModel.load(Path(sys.argv[1]))\n"
        "model.probabilities(RankingInputs(np.ones((1, 1, 6), np.float32), model.feature_names_,\n"
        "    np.zeros((1, 1), np.int32), np.zeros(1, np.int32), np.zeros((1, 0)), np.zeros((1, 0))))\n"
        "print(sorted({'sklearn', 'scipy', 'tensorflow'} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
