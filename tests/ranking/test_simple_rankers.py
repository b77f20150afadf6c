from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from audotics.errors import BadInputError, DamagedError
from audotics.ranking.boosted import BoostedRanker, linear_share
from audotics.ranking.linear import LinearRanker, ListwiseLoss
from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.quality import mean_ndcg
from audotics.ranking.single import SingleRanker
from contract.planted_trees import vars_of, vine
from contract.ranker_contract import RankerContract
from contract.ranking_lists import WEIGHTS, linear_examples


class TestLinearContract(RankerContract):
    floor = 0.60

    def make(self):
        return LinearRanker()


class TestMeanContract(RankerContract):
    floor = 0.50

    def make(self):
        return MeanRanker()


class TestSingleContract(RankerContract):
    floor = 0.45

    def make(self):
        return SingleRanker()


class TestLogisticContract(RankerContract):
    floor = 0.59

    def make(self):
        return LogisticRanker()


class TestBoostedContract(RankerContract):
    floor = 0.57

    def make(self):
        return BoostedRanker()


def truth_free(examples: RankingExamples) -> RankingExamples:
    """The same lists with plays at random."""
    rng = np.random.default_rng(4)
    labels = np.where(examples.inputs.present[..., None], rng.random(examples.labels.shape) < 0.1, 0)
    return replace(examples, labels=labels.astype(np.float32))


def nameless(examples: RankingExamples) -> RankingExamples:
    inputs = replace(examples.inputs, feature_names=("a", "b", "c", "d", "e", "f"))
    return replace(examples, inputs=inputs)


@pytest.fixture(scope="module")
def train():
    return linear_examples(seed=1)


@pytest.fixture(scope="module")
def validation():
    return linear_examples(seed=2)


class TestLinear:
    def test_recovers_the_planted_weights(self):
        # With one play a list the loss is the likelihood of the choice itself.
        loss = ListwiseLoss(linear_examples(seed=1, n_lists=4000, n_plays=1))
        found = loss.minimum(np.zeros(6), np.zeros(6), penalty=1e-6)
        np.testing.assert_allclose(loss.unscaled(found), WEIGHTS, atol=0.08)

    def test_gradient_is_the_slope_of_the_loss(self, train):
        loss = ListwiseLoss(train)
        at = np.random.default_rng(0).normal(size=6)
        _, gradient = loss(at)
        step = 1e-3
        slopes = [
            (loss(at + step * direction)[0] - loss(at - step * direction)[0]) / (2 * step)
            for direction in np.eye(6)
        ]
        np.testing.assert_allclose(gradient, slopes, atol=2e-4)

    def test_loss_of_equal_scores_is_the_log_of_the_length(self, train):
        lengths = train.inputs.present.sum(axis=1)
        assert ListwiseLoss(train)(np.zeros(6))[0] == pytest.approx(np.log(lengths).mean(), rel=1e-5)

    def test_without_signal_it_stays_with_the_mean(self, train, validation):
        ranker = LinearRanker().fit(truth_free(train), truth_free(validation))
        mean = MeanRanker().fit(train, validation).weights_
        away = ranker.weights_ - mean * (ranker.weights_ @ mean) / (mean @ mean)
        assert np.abs(away).max() < 0.15

    def test_features_of_any_scale_give_the_same_order(self, train, validation):
        def rescaled(examples):
            factors = np.array([1, 1, 1, 100, 1, 0.01], np.float32)
            return replace(
                examples, inputs=replace(examples.inputs, features=examples.inputs.features * factors)
            )

        plain = LinearRanker().fit(train, validation)
        scaled = LinearRanker().fit(rescaled(train), rescaled(validation))
        difference = mean_ndcg(scaled.score(rescaled(validation).inputs), validation) - mean_ndcg(
            plain.score(validation.inputs), validation
        )
        assert abs(difference) < 0.002

    def test_constant_features_do_no_harm(self, train, validation):
        def flat(examples):
            features = examples.inputs.features.copy()
            features[..., 4] = 1.0
            return replace(examples, inputs=replace(examples.inputs, features=features))

        ranker = LinearRanker().fit(flat(train), flat(validation))
        assert np.isfinite(ranker.weights_).all()

    def test_lists_without_plays_are_ignored(self, train, validation):
        silent = replace(train, labels=np.where(np.arange(200)[:, None, None] < 100, train.labels, 0))
        half = train.take(np.arange(100, dtype=np.int32))
        np.testing.assert_allclose(
            LinearRanker().fit(silent, validation).weights_,
            LinearRanker().fit(half, validation).weights_,
            atol=1e-5,
        )

    def test_works_without_standardised_scores(self, train, validation):
        ranker = LinearRanker().fit(nameless(train), nameless(validation))
        assert mean_ndcg(ranker.score(nameless(validation).inputs), validation) > 0.6


class TestSingle:
    def test_takes_the_feature_that_orders_best(self, train, validation):
        assert SingleRanker().fit(train, validation).feature == "items:z"

    @pytest.mark.parametrize("ranker", [SingleRanker, MeanRanker])
    def test_needs_a_standardised_score(self, ranker, train, validation):
        with pytest.raises(BadInputError, match=":z"):
            ranker().fit(nameless(train), nameless(validation))


def test_mean_gives_equal_weights_to_standardised_scores_only(train, validation):
    np.testing.assert_allclose(
        MeanRanker().fit(train, validation).weights_, [1 / 3, 1 / 3, 1 / 3, 0, 0, 0], rtol=1e-6
    )


@pytest.mark.parametrize("ranker", [LinearRanker, LogisticRanker, BoostedRanker])
def test_nothing_to_learn_is_an_error_with_a_remedy(ranker, train, validation):
    silent = replace(train, labels=np.zeros_like(train.labels))
    with pytest.raises(BadInputError, match="more candidates"):
        ranker().fit(silent, validation)


def test_weights_that_do_not_fit_the_names_are_refused(train, validation, tmp_path):
    MeanRanker().fit(train, validation).save(tmp_path)
    np.save(tmp_path / "weights.npy", np.ones(3, np.float32))
    with pytest.raises(DamagedError, match="3 weights for 6 features"):
        MeanRanker.load(tmp_path)
    np.save(tmp_path / "weights.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DamagedError, match="weights"):
        MeanRanker.load(tmp_path)


def test_the_folder_of_another_ranker_is_refused(train, validation, tmp_path):
    MeanRanker().fit(train, validation).save(tmp_path)
    with pytest.raises(DamagedError, match="not a saved 'linear'"):
        LinearRanker.load(tmp_path)


class TestBoosted:
    def test_scores_are_the_log_odds_that_scikit_learn_gives(self, train, validation, monkeypatch):
        fitted = []
        fit = HistGradientBoostingClassifier.fit

        def remembering(model, *args, **kwargs):
            fitted.append(model)
            return fit(model, *args, **kwargs)

        monkeypatch.setattr(HistGradientBoostingClassifier, "fit", remembering)
        ranker = BoostedRanker().fit(train, validation)
        present = validation.inputs.present
        share = linear_share(validation.inputs, LinearRanker().fit(train, validation).weights_)
        rows = np.column_stack([validation.inputs.features[present], share[present]])
        theirs = fitted[0].decision_function(rows)
        assert len(np.unique(theirs)) > 100
        np.testing.assert_allclose(ranker.score(validation.inputs)[present], theirs, rtol=0, atol=1e-6)

    def test_the_share_is_of_the_whole_list(self, validation):
        weights = np.arange(6, dtype=np.float32)
        sums = (validation.inputs.features[3] @ weights)[validation.inputs.present[3]]
        slow = np.log(np.exp(sums) / np.exp(sums).sum())
        found = linear_share(validation.inputs, weights)
        np.testing.assert_allclose(found[3][validation.inputs.present[3]], slow, rtol=1e-4)
        assert np.all(found[~validation.inputs.present] == -np.inf)

    def test_weights_that_do_not_fit_the_features_are_refused(self, train, validation, tmp_path):
        BoostedRanker().fit(train, validation).save(tmp_path)
        np.save(tmp_path / "weights.npy", np.ones(3, np.float32))
        with pytest.raises(DamagedError, match="3 weights for 6 features"):
            BoostedRanker.load(tmp_path)

    @pytest.mark.parametrize("column", ["feature", "threshold", "left", "right", "value", "weights"])
    def test_a_cut_file_is_refused(self, column, train, validation, tmp_path):
        BoostedRanker().fit(train, validation).save(tmp_path)
        path = tmp_path / f"{column}.npy"
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DamagedError, match="cannot be read"):
            BoostedRanker.load(tmp_path)

    def test_nodes_that_are_no_trees_are_refused(self, train, validation, tmp_path):
        BoostedRanker().fit(train, validation).save(tmp_path)
        left = np.load(tmp_path / "left.npy")
        np.save(tmp_path / "left.npy", np.where(left > 0, 0, left))
        with pytest.raises(DamagedError, match="child does not follow"):
            BoostedRanker.load(tmp_path)

    def test_a_tree_of_too_many_leaves_is_refused(self, train, validation, tmp_path):
        BoostedRanker().fit(train, validation).save(tmp_path)
        for name, column in vars_of(vine(300)).items():
            np.save(tmp_path / f"{name}.npy", column)
        with pytest.raises(DamagedError, match="300 leaves"):
            BoostedRanker.load(tmp_path)

    def test_trees_find_what_weights_cannot(self):
        def crossed(seed):
            examples = linear_examples(seed, n_lists=600)
            features = examples.inputs.features
            product = np.where(examples.inputs.present, features[..., 3] * features[..., 4], -np.inf)
            cut = np.sort(product, axis=1)[:, -3:-2]
            return replace(examples, labels=(product >= cut).astype(np.float32)[..., None])

        train, validation, test = crossed(1), crossed(2), crossed(3)
        boosted = mean_ndcg(BoostedRanker().fit(train, validation).score(test.inputs), test)
        linear = mean_ndcg(LinearRanker().fit(train, validation).score(test.inputs), test)
        assert boosted > linear + 0.2
