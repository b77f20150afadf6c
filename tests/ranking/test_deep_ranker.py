import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import log_loss

from contract import deep_worlds
from contract.deep_worlds import CONTENT, SMALL, group_interactions, with_utility, world
from contract.ranker_contract import RankerContract
from contract.ranking_lists import linear_examples

pytest.importorskip("tensorflow")

from audotics.errors import BadInputError, DamagedError, MissingExtraError
from audotics.ranking.deep import DeepRanker
from audotics.ranking.heads import HeadModel
from audotics.ranking.linear import LinearRanker
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.quality import mean_ndcg

QUICK = SMALL.model_copy(update={"epochs": 2, "pretraining_epochs": 1})


class TestDeepContract(RankerContract):
    floor = 0.59
    tolerance = 1e-5

    def make(self):
        return DeepRanker(world(CONTENT, group_interactions()), QUICK)


def ndcg(ranker, examples):
    return mean_ndcg(ranker.score(examples.inputs), examples)


def gain(utility, content=CONTENT, interactions=None, strangers=False, **settings):
    """NDCG of the deep and of the linear ranker on fresh lists."""
    train, validation = with_utility(1, 900, utility), with_utility(2, 200, utility)
    test = with_utility(3, 300, utility, strangers)
    config = SMALL.model_copy(update=settings)
    deep = DeepRanker(world(content, interactions), config).fit(train, validation)
    return ndcg(deep, test), ndcg(LinearRanker().fit(train, validation), test)


def test_no_worse_than_linear_where_the_truth_is_linear():
    deep, linear = gain(lambda inputs: inputs.features @ np.array([1, 0, 0, 0, 1, 0], np.float32))
    assert deep > linear * 0.99


def test_finds_features_that_count_only_together():
    deep, linear = gain(deep_worlds.crossing)
    assert deep > linear * 1.15


def test_finds_what_each_listener_likes_from_past_plays():
    deep, linear = gain(deep_worlds.taste, CONTENT[:, :0], group_interactions())
    assert deep > linear * 1.15


def test_finds_that_recent_tracks_matter_also_for_strangers():
    def utility(inputs):
        return deep_worlds.recency(inputs)

    train, validation = with_utility(1, 900, utility), with_utility(2, 200, utility)
    test = with_utility(3, 300, utility, strangers=True)
    deep = DeepRanker(world(CONTENT), SMALL).fit(train, validation)
    linear = LinearRanker().fit(train, validation)
    assert ndcg(deep, test) > ndcg(linear, test) * 1.1


def test_cold_tracks_are_scored_by_their_content():
    """Tracks from 60 on never appear in training; only content says whose group they are."""

    def only(examples, chosen):
        inputs = examples.inputs
        kept = chosen(inputs.track_index) & inputs.present
        track_index = np.where(kept, inputs.track_index, -1).astype(np.int32)
        labels = np.where(kept[..., None], examples.labels, 0).astype(np.float32)
        return RankingExamples(replace(inputs, track_index=track_index), labels, examples.heads)

    train = only(with_utility(1, 900, deep_worlds.taste), lambda track: track < 60)
    validation = only(with_utility(2, 200, deep_worlds.taste), lambda track: track < 60)
    cold = only(with_utility(3, 300, deep_worlds.taste), lambda track: track >= 60)
    deep = DeepRanker(world(CONTENT), SMALL).fit(train, validation)
    assert ndcg(deep, cold) > ndcg(LinearRanker().fit(train, validation), cold) * 1.1


@pytest.fixture(scope="module")
def several():
    """Lists with three heads: a skip is known of played tracks, a like of a few."""

    def make(seed):
        examples = linear_examples(seed, n_lists=300)
        rng = np.random.default_rng(seed)
        played = examples.labels[..., 0] > 0
        skip = rng.random(played.shape) < 1 / (1 + np.exp(-2 * examples.inputs.features[..., 4]))
        skips = np.where(played | (rng.random(played.shape) < 0.3), skip, np.nan)
        likes = np.full(played.shape, np.nan)
        labels = np.stack([examples.labels[..., 0], skips, likes], axis=-1).astype(np.float32)
        return RankingExamples(examples.inputs, labels, ("play", "skip", "like"))

    return make(1), make(2), make(3)


@pytest.fixture(scope="module")
def fitted(several):
    train, validation, _ = several
    return DeepRanker(world(CONTENT), SMALL.model_copy(update={"epochs": 4})).fit(train, validation)


@pytest.fixture(scope="module")
def folder(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranker")
    fitted.save(folder)
    return folder


class TestHeads:
    def test_unknown_labels_leave_finite_weights(self, fitted):
        assert all(np.isfinite(weight.numpy()).all() for weight in fitted.model_.trainable_variables)
        assert np.isfinite(fitted.history_.loss).all()

    def test_probabilities_are_calibrated(self, fitted, several):
        test = several[2]
        chances = fitted.probabilities(test.inputs)
        assert list(chances) == ["play", "skip", "like"]
        for place, head in enumerate(["play", "skip"]):
            labels = test.labels[..., place]
            known = ~np.isnan(labels) & test.inputs.present
            assert chances[head][known].mean() == pytest.approx(labels[known].mean(), abs=0.03)

    def test_probabilities_are_probabilities_and_zero_where_padded(self, fitted, several):
        inputs = several[2].inputs
        for chance in fitted.probabilities(inputs).values():
            assert chance.dtype == np.float32
            assert np.all((chance >= 0) & (chance <= 1))
            assert np.all(chance[~inputs.present] == 0)

    def test_a_skip_is_told_from_what_causes_it(self, fitted, several):
        test = several[2]
        skips = test.labels[..., 1]
        chance = fitted.probabilities(test.inputs)["skip"]
        known = ~np.isnan(skips) & test.inputs.present
        assert chance[known & (skips > 0)].mean() > chance[known & (skips == 0)].mean() + 0.1

    def test_heads_are_no_worse_than_their_linear_models(self, fitted, several):
        train, validation, test = several
        linear = HeadModel().fit(train, validation).probabilities(test.inputs)["skip"]
        skips = test.labels[..., 1]
        known = ~np.isnan(skips) & test.inputs.present
        deep = fitted.probabilities(test.inputs)["skip"]
        assert log_loss(skips[known], deep[known]) < log_loss(skips[known], linear[known]) * 1.03

    def test_play_alone_decides_nothing_about_untrained_heads(self, several):
        """Where training never helps play, the other heads are linear models, not constants."""
        train, validation, test = several
        config = SMALL.model_copy(update={"epochs": 0})
        untrained = DeepRanker(world(CONTENT), config).fit(train, validation).probabilities(test.inputs)
        linear = HeadModel().fit(train, validation).probabilities(test.inputs)["skip"]
        np.testing.assert_allclose(untrained["skip"], linear, atol=0.02)


class TestHistory:
    def test_starts_with_the_linear_ranker_and_keeps_the_best(self, fitted, several):
        train, validation, _ = several
        history = fitted.history_
        linear = ndcg(LinearRanker().fit(train, validation), validation)
        assert history.validation_ndcg[0] == pytest.approx(linear, abs=1e-6)
        assert ndcg(fitted, validation) == pytest.approx(max(history.validation_ndcg), abs=1e-6)
        assert len(history.loss) == len(history.validation_ndcg) - 1

    def test_stops_when_nothing_gets_better(self):
        train, validation = linear_examples(seed=1), linear_examples(seed=2)
        config = SMALL.model_copy(update={"epochs": 50, "patience": 1, "learning_rate": 0.5})
        history = DeepRanker(world(), config).fit(train, validation).history_
        assert len(history.loss) <= history.best_epoch + 1 < 50

    def test_no_epochs_give_the_linear_ranker(self):
        train, validation = linear_examples(seed=1), linear_examples(seed=2)
        deep = DeepRanker(world(), SMALL.model_copy(update={"epochs": 0})).fit(train, validation)
        linear = LinearRanker().fit(train, validation)
        np.testing.assert_allclose(deep.score(validation.inputs), linear.score(validation.inputs), atol=1e-5)


def test_the_same_seed_gives_identical_weights():
    train, validation = linear_examples(seed=1, n_lists=80), linear_examples(seed=2, n_lists=40)
    config = QUICK.model_copy(update={"dropout": 0.2, "seed": 5})

    def weights():
        model = DeepRanker(world(CONTENT, group_interactions()), config).fit(train, validation).model_
        return [variable.numpy() for variable in model.trainable_variables]

    assert all(np.array_equal(a, b) for a, b in zip(weights(), weights(), strict=True))


def test_weights_of_candidates_change_what_is_learned():
    train, validation = linear_examples(seed=1, n_lists=60), linear_examples(seed=2, n_lists=40)
    rng = np.random.default_rng(0)
    weights = rng.choice([0.1, 10.0], train.inputs.track_index.shape).astype(np.float32)
    config = QUICK.model_copy(update={"epochs": 1})
    plain = DeepRanker(world(), config).fit(train, validation).history_
    weighted = DeepRanker(world(), config).fit(train, validation, weights).history_
    assert plain.loss != weighted.loss


class TestFiles:
    def test_the_layout(self, folder):
        for name in ("ranker.json", "model.tflite", "model.keras", "saved_model/1/saved_model.pb"):
            assert (folder / name).is_file()

    @pytest.mark.parametrize(("batch", "width"), [(1, 500), (64, 500), (3, 1)])
    def test_litert_equals_tensorflow_at_any_batch_and_width(self, fitted, folder, batch, width):
        rng = np.random.default_rng(0)
        inputs = linear_examples(seed=4, n_lists=batch, width=40).inputs
        slots = rng.integers(0, 40, (batch, width))
        rows = np.arange(batch)[:, None]
        inputs = replace(
            inputs, features=inputs.features[rows, slots], track_index=inputs.track_index[rows, slots]
        )
        loaded = DeepRanker.load(folder)
        np.testing.assert_allclose(loaded.score(inputs), fitted.score(inputs), atol=1e-5)
        for head, chance in loaded.probabilities(inputs).items():
            np.testing.assert_allclose(chance, fitted.probabilities(inputs)[head], atol=1e-5)

    def test_the_saved_model_has_named_inputs_and_the_same_scores(self, fitted, folder):
        import tensorflow as tf

        from audotics.ranking.batches import model_inputs

        inputs = linear_examples(seed=4, n_lists=5).inputs
        serve = tf.saved_model.load(str(folder / "saved_model/1")).signatures["serving_default"]
        tensors = {name: tf.constant(array) for name, array in model_inputs(inputs).items()}
        scores = serve(**tensors)["play"].numpy()
        np.testing.assert_allclose(scores[inputs.present], fitted.score(inputs)[inputs.present], atol=1e-5)

    def test_a_loaded_ranker_can_be_saved_again(self, folder, tmp_path):
        loaded = DeepRanker.load(folder)
        loaded.save(tmp_path)
        inputs = linear_examples(seed=4, n_lists=5).inputs
        np.testing.assert_array_equal(DeepRanker.load(tmp_path).score(inputs), loaded.score(inputs))

    def test_a_loaded_ranker_is_not_fitted_again(self, folder, several):
        with pytest.raises(BadInputError, match="Make a new DeepRanker"):
            DeepRanker.load(folder).fit(several[0], several[1])

    def test_damaged_files_are_named(self, folder, tmp_path):
        DeepRanker.load(folder).save(tmp_path)
        (tmp_path / "model.tflite").write_bytes(b"not a model")
        with pytest.raises(DamagedError, match=r"model\.tflite"):
            DeepRanker.load(tmp_path)
        (tmp_path / "ranker.json").write_text('{"ranker": "deep"}')
        with pytest.raises(DamagedError, match="incomplete"):
            DeepRanker.load(tmp_path)

    def test_scoring_never_imports_tensorflow(self, folder):
        program = (
            "import sys; from pathlib import Path; import numpy as np\n"
            "from audotics.ranking.deep import DeepRanker\n"
            "from audotics.ranking.protocol import RankingInputs\n"
            "ranker = DeepRanker.load(Path(sys.argv[1]))\n"
            "inputs = RankingInputs(np.ones((1, 2, 6), np.float32), ranker.feature_names_,\n"
            "    np.array([[1, -1]], np.int32), np.array([0], np.int32),\n"
            "    np.zeros((1, 3), np.float32), np.full((1, 5), -1, np.int32))\n"
            "assert np.isfinite(ranker.score(inputs)).tolist() == [[True, False]]\n"
            "print(sorted({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == "[]"


def test_without_tensorflow_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("audotics.ranking.deep.find_spec", lambda name: None)
    train = linear_examples(seed=1, n_lists=4)
    with pytest.raises(MissingExtraError, match="tensorflow"):
        DeepRanker(world()).fit(train, train)


def test_without_litert_the_extra_is_named(monkeypatch, tmp_path):
    from audotics.ranking.runtimes.litert import LiteRTRuntime

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match="scoring with the deep ranker"):
        LiteRTRuntime(tmp_path / "model.tflite")
