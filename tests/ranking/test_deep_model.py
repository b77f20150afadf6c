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


SEVERAL = replace(EXAMPLES, heads=("play", "skip", "like"), labels=np.repeat(EXAMPLES.labels, 3, axis=2))


def gated(**settings) -> DeepRecommender:
    """Three heads whose gates have opinions."""
    made = shaken(SEVERAL, **settings)
    rng = np.random.default_rng(4)
    made.gates.kernel.assign(rng.normal(size=made.gates.kernel.shape))
    made.gates.bias.assign(rng.normal(size=made.gates.bias.shape))
    made.top.bias.assign(rng.normal(size=made.top.bias.shape))
    return made


def test_gates_sum_to_one_for_every_head():
    made = gated()
    hidden = np.random.default_rng(5).normal(size=(2, 7, made.config.hidden[-1])).astype(np.float32)
    shares = made.gate_shares(hidden).numpy()
    assert shares.shape == (2, 7, SMALL.n_experts, 3)
    assert np.all(shares >= 0)
    np.testing.assert_allclose(shares.sum(axis=2), 1, atol=1e-6)
    assert shares.std(axis=3).min() > 1e-4


def relu(values):
    return np.maximum(values, 0)


def test_equals_the_definition_candidate_by_candidate():
    """Likenesses, shared bottom, experts, gates and towers as the papers write them."""
    made = gated()
    found = {head: logits.numpy() for head, logits in made(model_inputs(SEVERAL.inputs)).items()}
    inputs = SEVERAL.inputs
    vectors = made.track_vectors(np.arange(N_TRACKS, dtype=np.int32), training=False).numpy()
    users = made.users.table.numpy()
    layer = {
        dense.name: [weight.numpy() for weight in dense.weights] for dense in made.layers if dense.weights
    }
    n_experts, width = SMALL.n_experts, SMALL.expert_width
    for row, slot in [(0, 0), (3, 2), (7, 5)]:
        track = vectors[inputs.track_index[row, slot]]
        recent = vectors[inputs.recent[row][inputs.recent[row] >= 0]]
        cosine = recent @ track / np.linalg.norm(recent, axis=1) / np.linalg.norm(track)
        attention = np.exp(10 * cosine) / np.exp(10 * cosine).sum()
        likeness = [track @ users[inputs.user_index[row]], cosine.mean(), attention @ cosine]
        features = inputs.features[row, slot]
        kernel, bias = layer["shared_0"]
        hidden = relu(
            np.concatenate([features, likeness]) @ kernel + bias + inputs.context[row] @ layer["per_list"][0]
        )
        experts = relu(hidden @ layer["experts"][0] + layer["experts"][1]).reshape(n_experts, width)
        opinions = (hidden @ layer["gates"][0] + layer["gates"][1]).reshape(n_experts, 3)
        for place, head in enumerate(SEVERAL.heads):
            gate = np.exp(opinions[:, place]) / np.exp(opinions[:, place]).sum()
            tower = (gate @ experts) @ layer["top"][0][:, place] + layer["top"][1][place]
            expected = features @ layer["skip"][0][:, place] + tower
            assert found[head][row, slot] == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_one_head_has_one_expert_and_no_gates():
    alone, several = fresh(n_experts=5), fresh(SEVERAL, n_experts=5)
    assert not hasattr(alone, "gates")
    assert alone.experts.kernel.shape[-1] == SMALL.expert_width
    assert several.experts.kernel.shape[-1] == 5 * SMALL.expert_width


def test_several_heads_may_share_one_bottom_too():
    found = shaken(SEVERAL, n_experts=1)(model_inputs(SEVERAL.inputs))
    assert not np.allclose(found["skip"], found["like"])


def test_before_training_every_head_is_its_linear_model():
    made = fresh(SEVERAL)
    weights = np.arange(6, dtype=np.float32)
    made.start_from(WEIGHTS, CONTENT, {"like": weights})
    found = made(model_inputs(SEVERAL.inputs))
    np.testing.assert_allclose(found["play"], SEVERAL.inputs.features @ WEIGHTS, atol=1e-5)
    np.testing.assert_allclose(found["like"], SEVERAL.inputs.features @ weights, atol=1e-5)
    assert np.abs(found["skip"]).max() == 0
