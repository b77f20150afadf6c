from dataclasses import replace

import numpy as np
import pytest

from contract.deep_worlds import CONTENT, N_TRACKS, N_USERS, SMALL, world
from contract.ranking_lists import WEIGHTS, linear_examples, padded

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402

from audotics.ranking.batches import head_logits, model_inputs  # noqa: E402
from audotics.ranking.fitting import shape_of  # noqa: E402
from audotics.ranking.model import DeepRecommender  # noqa: E402
from audotics.ranking.weighted import weighted_scores  # noqa: E402

EXAMPLES = linear_examples(seed=1, n_lists=12, width=10)


def fresh(examples=EXAMPLES, content=CONTENT, **settings) -> DeepRecommender:
    made = DeepRecommender(SMALL.model_copy(update=settings), shape_of(world(content), examples))
    made.start_from(WEIGHTS, content)
    return made


def shaken(*args, **settings) -> DeepRecommender:
    """A model whose deep part speaks."""
    made = fresh(*args, **settings)
    rng = np.random.default_rng(3)
    made.top.kernel.assign(rng.normal(size=made.top.kernel.shape))
    made.users.table.assign(rng.normal(size=made.users.table.shape))
    made.tracks.table.assign(rng.normal(size=made.tracks.table.shape))
    return made


def scores(made, inputs):
    return head_logits(lambda x: {h: v.numpy() for h, v in made(x).items()}, inputs, "play")


def test_before_training_it_is_the_linear_ranker():
    np.testing.assert_allclose(
        scores(fresh(), EXAMPLES.inputs), weighted_scores(EXAMPLES.inputs, WEIGHTS), atol=1e-5
    )


def test_padding_never_influences():
    made = shaken()
    wide = scores(made, padded(EXAMPLES, extra=4).inputs)
    np.testing.assert_allclose(wide[:, :10], scores(made, EXAMPLES.inputs), atol=1e-5)


def test_lists_do_not_influence_each_other():
    made = shaken()
    alone = scores(made, EXAMPLES.inputs.take(np.array([7], np.int32)))
    np.testing.assert_allclose(alone[0], scores(made, EXAMPLES.inputs)[7], atol=1e-5)


def test_the_order_of_slots_does_not_matter():
    made = shaken()
    turned = replace(
        EXAMPLES.inputs,
        features=EXAMPLES.inputs.features[:, ::-1],
        track_index=EXAMPLES.inputs.track_index[:, ::-1],
    )
    np.testing.assert_allclose(scores(made, turned)[:, ::-1], scores(made, EXAMPLES.inputs), atol=1e-5)


def test_padding_of_recent_tracks_does_not_matter():
    made = shaken()
    recent = EXAMPLES.inputs.recent
    moved = np.take_along_axis(recent, np.argsort(recent < 0, axis=1, kind="stable"), axis=1)
    np.testing.assert_allclose(
        scores(made, replace(EXAMPLES.inputs, recent=moved)), scores(made, EXAMPLES.inputs), atol=1e-4
    )


def test_nothing_recent_is_finite_and_ignores_the_unknown_row():
    made = shaken()
    nothing = replace(EXAMPLES.inputs, recent=np.full_like(EXAMPLES.inputs.recent, -1))
    before = scores(made, nothing)
    assert np.isfinite(before[nothing.present]).all()
    table = made.tracks.table.numpy()
    table[-1] += 5
    made.tracks.table.assign(table)
    np.testing.assert_array_equal(scores(made, nothing), before)


def test_recent_tracks_matter():
    made = shaken()
    other = replace(EXAMPLES.inputs, recent=(EXAMPLES.inputs.recent + 7) % N_TRACKS)
    present = EXAMPLES.inputs.present
    assert np.abs(scores(made, other)[present] - scores(made, EXAMPLES.inputs)[present]).max() > 0.01


def test_unknown_ids_of_any_kind_share_one_answer():
    made = shaken()
    beyond = replace(EXAMPLES.inputs, user_index=np.full(12, N_USERS + 1000, np.int32))
    unknown = replace(EXAMPLES.inputs, user_index=np.full(12, -1, np.int32))
    np.testing.assert_array_equal(scores(made, beyond), scores(made, unknown))


def test_content_alone_tells_cold_tracks_apart():
    made = shaken()
    made.tracks.table.assign(np.zeros(made.tracks.table.shape))
    inputs = replace(
        EXAMPLES.inputs,
        features=np.zeros_like(EXAMPLES.inputs.features),
        track_index=np.tile(np.arange(10, dtype=np.int32), (12, 1)),
    )
    found = scores(made, inputs)
    np.testing.assert_allclose(found[:, 0], found[:, 3], atol=1e-5)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 1e-3


@pytest.mark.parametrize("without", ["context", "recent", "content"])
def test_parts_the_data_lacks_may_be_missing(without):
    examples, content = EXAMPLES, CONTENT
    if without == "content":
        content = np.zeros((N_TRACKS, 0), np.float32)
    else:
        empty = getattr(examples.inputs, without)[:, :0]
        examples = replace(examples, inputs=replace(examples.inputs, **{without: empty}))
        assert without not in model_inputs(examples.inputs)
    made = shaken(examples, content)
    assert np.isfinite(scores(made, examples.inputs)[examples.inputs.present]).all()


def test_each_head_has_its_own_logits():
    heads = replace(EXAMPLES, heads=("play", "skip", "like"), labels=np.repeat(EXAMPLES.labels, 3, axis=2))
    found = shaken(heads)(model_inputs(heads.inputs))
    assert list(found) == ["play", "skip", "like"]
    assert not np.allclose(found["skip"], found["like"])


def test_the_keras_file_holds_the_whole_model(tmp_path):
    made = shaken()
    made.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again, DeepRecommender)
    assert again.config == made.config
    assert again.shape == made.shape
    np.testing.assert_array_equal(scores(again, EXAMPLES.inputs), scores(made, EXAMPLES.inputs))


def test_dropout_only_in_training():
    made = shaken(dropout=0.5)
    inputs = model_inputs(EXAMPLES.inputs)
    assert np.array_equal(made(inputs)["play"], made(inputs)["play"])
    assert not np.array_equal(made(inputs, training=True)["play"], made(inputs, training=True)["play"])
