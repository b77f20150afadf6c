"""A deep ranker whose listeners and tracks start where an earlier one had them."""

from pathlib import Path

import numpy as np
import pytest

from audotics.errors import DamagedError
from audotics.ranking.by_history import ByHistoryRanker
from audotics.ranking.deep import DeepRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.stored_vectors import stored_vectors
from audotics.ranking.vectors import VectorStart
from contract.deep_worlds import CONTENT, N_TRACKS, SMALL, group_interactions, world
from contract.ranking_lists import linear_examples

tf = pytest.importorskip("tensorflow")

from audotics.ranking.fitting import shape_of  # noqa: E402
from audotics.ranking.model import DeepRecommender  # noqa: E402
from audotics.ranking.pretraining import pretrain  # noqa: E402


def model(content: np.ndarray = CONTENT, **settings: object) -> DeepRecommender:
    config = SMALL.model_copy(update=settings)
    made = DeepRecommender(config, shape_of(world(content), linear_examples(seed=1, n_lists=2)))
    made.start_from(np.zeros(6, np.float32), content)
    return made


def as_start(made: DeepRecommender) -> VectorStart:
    vectors = made.vectors()
    everybody, everything = np.ones(len(vectors.users), np.bool_), np.ones(len(vectors.tracks), np.bool_)
    return VectorStart(vectors.users, everybody, vectors.tracks, everything)


def test_tracks_stand_where_they_stood_although_content_is_projected_otherwise():
    earlier, later = model(seed=1), model(CONTENT[:, ::-1].copy(), seed=2)

    later.start_vectors(as_start(earlier))

    np.testing.assert_allclose(later.vectors().tracks, earlier.vectors().tracks, atol=1e-5)
    np.testing.assert_array_equal(later.vectors().users, earlier.vectors().users)


def test_rows_that_are_not_told_keep_their_random_start():
    earlier, later, untouched = model(seed=1), model(seed=2), model(seed=2)
    start = as_start(earlier)
    start.users_told[3:] = False
    start.tracks_told[: N_TRACKS // 2] = False

    later.start_vectors(start)

    np.testing.assert_array_equal(later.vectors().users[3:], untouched.vectors().users[3:])
    half = N_TRACKS // 2
    np.testing.assert_array_equal(later.vectors().tracks[:half], untouched.vectors().tracks[:half])
    assert not np.allclose(later.vectors().tracks[half:], untouched.vectors().tracks[half:])


def test_pre_training_that_starts_warm_begins_better_than_a_cold_one_ends_its_first_pass():
    earlier = model(seed=1, pretraining_epochs=6)
    pretrain(earlier, group_interactions(seed=0))
    cold, warm = model(seed=2, pretraining_epochs=6), model(seed=2, pretraining_epochs=6)
    warm.start_vectors(as_start(earlier))

    cold_losses = pretrain(cold, group_interactions(seed=5))
    warm_losses = pretrain(warm, group_interactions(seed=5))

    assert warm_losses[0] < cold_losses[1]
    passes_to = {name: losses.index(min(losses)) for name, losses in (("c", cold_losses), ("w", warm_losses))}
    assert min(warm_losses) <= min(cold_losses) * 1.01
    assert passes_to["w"] <= passes_to["c"]


def test_vectors_of_a_stored_ranker_are_found_inside_others(tmp_path: Path):
    examples = linear_examples(seed=1, n_lists=40)
    deep = DeepRanker(world(CONTENT), SMALL.model_copy(update={"epochs": 1})).fit(examples, examples)
    deep.save(tmp_path)
    loaded = DeepRanker.load(tmp_path)
    simple = MeanRanker().fit(examples, examples)

    found = stored_vectors(ByHistoryRanker(simple, simple, loaded))

    assert found is not None
    np.testing.assert_allclose(found.tracks, deep.model_.vectors().tracks, atol=1e-6)
    np.testing.assert_array_equal(found.users, deep.model_.vectors().users)
    assert stored_vectors(simple) is None
    assert stored_vectors(deep) is None, "it was not stored"
    (tmp_path / "model.keras").write_bytes(b"broken")
    with pytest.raises(DamagedError, match="deep model"):
        stored_vectors(loaded)
