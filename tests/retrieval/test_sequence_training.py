from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.domain import PADDING
from audotics.retrieval.sequence import SequenceConfig, SequenceEncoder, SequenceHistory
from audotics.retrieval.sequence_batches import Batch
from audotics.retrieval.sequence_content import N_TERMS, TowerContent
from audotics.retrieval.sequence_encoder import encode
from audotics.retrieval.sequence_inputs import N_PAUSES, Sequences
from contract.planted import completed, events_table, no_users, planted_events, planted_tracks
from contract.retriever_contract import asking, planted_corpus

tf = pytest.importorskip("tensorflow")

from audotics.retrieval.sequence_model import SequenceModel  # noqa: E402
from audotics.retrieval.sequence_step import Training, next_track_loss  # noqa: E402
from audotics.retrieval.sequence_training import HeldOut, train  # noqa: E402

QUICK = SequenceConfig(dim=8, n_heads=2, length=6, max_steps=40, learning_rate=0.02)


def model_with_noise(n_blocks: int) -> SequenceModel:
    """Every weight moved away from its start, so that none can be left out unnoticed."""
    content = TowerContent.of(planted_tracks())
    model = SequenceModel(content, dim=8, n_blocks=n_blocks, n_heads=2, length=7, seed=0)
    rng = np.random.default_rng(1)
    for variable in model.variables:
        variable.assign_add(rng.normal(0, 0.3, variable.shape).astype(np.float32))
    return model


def random_sequences(n: int, length: int) -> Sequences:
    rng = np.random.default_rng(2)
    tracks = rng.integers(0, 90, (n, length))
    tracks[np.arange(length) < rng.integers(0, length, n)[:, None]] = PADDING
    return Sequences(tracks.astype(np.int32), rng.integers(0, N_PAUSES, (n, length)).astype(np.int32))


@pytest.mark.parametrize("n_blocks", [1, 2])
@pytest.mark.parametrize("length", [7, 3, 1])
def test_numpy_encodes_as_tensorflow_does(n_blocks: int, length: int) -> None:
    model, sequences = model_with_noise(n_blocks), random_sequences(20, length)
    everything = np.arange(90, dtype=np.int32)
    vectors = model.track_vectors(tf.constant(everything), tf.zeros(90, tf.bool))
    places = model.encode(
        tf.gather(vectors, np.maximum(sequences.tracks, 0)),
        tf.constant(sequences.tracks >= 0),
        tf.constant(sequences.pauses),
        lambda states: states,
    )
    found = encode(model.arrays(everything), sequences)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, places[:, -1].numpy(), atol=1e-4)


def test_no_place_sees_what_comes_after() -> None:
    model, sequences = model_with_noise(2), random_sequences(5, 7)
    vectors = tf.random.stateless_normal((5, 7, 8), (1, 2))
    other = tf.concat([vectors[:, :4], tf.random.stateless_normal((5, 3, 8), (3, 4))], axis=1)
    present = tf.ones((5, 7), tf.bool)
    first, second = (
        model.encode(given, present, tf.constant(sequences.pauses), lambda states: states)
        for given in (vectors, other)
    )
    np.testing.assert_allclose(first[:, :4], second[:, :4], atol=1e-6)
    assert np.abs(first[:, 4:] - second[:, 4:]).min(axis=-1).max() > 0


def test_cold_tracks_have_the_vector_of_their_content() -> None:
    model = model_with_noise(1)
    vectors = model.arrays(np.arange(30, dtype=np.int32))["track_vectors"]
    # Tracks 30 to 32 are by one band in one genre, 33 is by another.
    np.testing.assert_array_equal(vectors[30], vectors[31])
    assert np.abs(vectors[32] - vectors[33]).max() > 0.1
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1


def test_the_loss_by_hand() -> None:
    encoded, right = tf.constant([[1.0, 0.0]]), tf.constant([[2.0, 5.0]])
    wrong = tf.constant([[1.0, 0.0], [3.0, 0.0], [2.0, 5.0]])
    is_hit = tf.constant([[False, False, True]])
    log_expected = tf.math.log([0.5, 2.0, 1.0])
    loss = next_track_loss(encoded, right, wrong, tf.math.log([1.0]), log_expected, is_hit)
    odds = np.exp([2.0, 1.0, 3.0]) / [1.0, 0.5, 2.0]
    np.testing.assert_allclose(loss, -np.log(odds[0] / odds.sum()), rtol=1e-6)


def test_each_step_lowers_the_loss_of_one_batch() -> None:
    config = QUICK.model_copy(update={"dropout": 0.0, "id_dropout": 0.0})
    content = TowerContent.of(planted_tracks())
    model = SequenceModel(content, dim=8, n_blocks=1, n_heads=2, length=6, seed=0)
    training = Training(model, config, np.zeros(90, np.float32), n_steps=1000)
    batch = Batch.of(random_sequences(16, 7), np.arange(90, dtype=np.int32))
    losses = [training.step(batch) for _ in range(80)]
    assert losses[0] == pytest.approx(np.log(90), rel=0.05)
    assert losses[-1] < 0.7 * losses[0]
    # Every weight has a gradient: nothing stands idle.
    fresh = SequenceModel(content, dim=8, n_blocks=1, n_heads=2, length=6, seed=0)
    for moved, start in zip(model.variables, fresh.variables, strict=True):
        assert np.abs(moved.numpy() - start.numpy()).max() > 1e-4, moved.name


def test_held_out_tracks_are_hidden_and_ranked() -> None:
    histories = Interactions.from_histories([[0, 1, 2], [3, 4], [2, 1, 3], [1, 0, 4]], 5)
    held_out = HeldOut(histories, np.random.default_rng(0))
    assert held_out.visible.n_pairs == histories.n_pairs - 1
    shorter = np.flatnonzero(held_out.visible.lengths != histories.lengths)
    assert held_out.visible.lengths[shorter].tolist() == [2]
    model = SequenceModel(
        TowerContent.of(planted_tracks().head(5)), dim=4, n_blocks=1, n_heads=1, length=3, seed=0
    )
    weights = model.arrays(np.arange(5, dtype=np.int32))
    row = held_out.visible.rows(shorter)
    left = np.setdiff1d(np.arange(5), row.track_index)
    answer = histories.track_index[histories.indptr[shorter + 1] - 1][0]
    query = encode(weights, Sequences(row.track_index[None], np.zeros((1, 2), np.int32)))[0]
    scores = weights["track_vectors"][left] @ query
    rank = 1 + np.sum(scores > scores[left == answer])
    assert held_out.gain(weights, 3) == pytest.approx(1 / np.log2(1 + rank), rel=1e-5)


def chains(n_listeners: int) -> Corpus:
    """Everybody plays six tracks in a row on a circle of thirty, from anywhere; the order is all there is."""
    rng = np.random.default_rng(0)
    start = rng.integers(0, 30, n_listeners)
    tracks = (start[:, None] + np.arange(6)) % 30
    rows = pl.DataFrame(
        {
            "user_id": np.repeat([f"u{n:03d}" for n in range(n_listeners)], 6),
            "track_id": [f"t{track:03d}" for track in tracks.ravel()],
            "position": np.tile(np.arange(6), n_listeners),
        }
    )
    catalogue = planted_tracks().head(30).select("track_id")
    return build_corpus(events_table(rows), completed(catalogue, planted_tracks().schema), no_users())


def test_the_order_of_plays_is_learned() -> None:
    corpus = chains(200)
    settings = {
        "dim": 16,
        "length": 6,
        "n_epochs": 50,
        "max_steps": 200,
        "learning_rate": 0.02,
        "n_negatives": 15,
    }
    retriever = SequenceEncoder(SequenceConfig.model_validate(settings)).fit(corpus)
    forward = Interactions.from_histories([[3, 4, 5], [20, 21, 22], [28, 29]], 30)
    assert retriever.score(asking(forward)).argmax(axis=1).tolist() == [6, 23, 0]


def test_an_unplayed_track_is_found_by_its_content() -> None:
    # In the order drawn, which tells of no genre.
    place = pl.int_range(pl.len()).over("user_id").cast(pl.Int32)
    corpus = build_corpus(
        planted_events().with_columns(place.alias("position")), planted_tracks(), no_users()
    )
    unplayed = 4
    part = corpus.keep(corpus.events["track_index"].to_numpy() != unplayed)
    retriever = SequenceEncoder(
        QUICK.model_copy(update={"n_epochs": 75, "max_steps": 150, "id_dropout": 0.5})
    ).fit(part)
    # Six listeners of each genre.
    batch = asking(part.interactions.rows(np.arange(18)))
    scores = retriever.score(batch)
    beaten = np.mean(scores < scores[:, [unplayed]], axis=1).reshape(6, 3).mean(axis=0)
    assert beaten[0] > 0.3 + beaten[1:].max()


def test_another_seed_learns_otherwise() -> None:
    # That the same seed learns the same is part of the contract.
    first, other = (
        train(QUICK.model_copy(update={"seed": seed, "max_steps": 2}), planted_corpus())["track_vectors"]
        for seed in (0, 1)
    )
    assert np.abs(first - other).max() > 1e-3


def test_only_the_strongest_terms_of_a_track_are_kept() -> None:
    tags = [f"tag{number}" for number in range(N_TERMS + 5)]
    table = pl.DataFrame({"track_id": ["a", "b", "c"], "tags": [tags, tags, ["tag0"]]})
    content = TowerContent.of(completed(table, planted_tracks().schema))
    assert content.terms.shape == (3, N_TERMS)
    assert content.n_terms == len(tags)
    assert (content.terms[2, 1:] == content.n_terms).all()
    assert content.strengths[2].tolist() == [1.0] + [0.0] * (N_TERMS - 1)


def test_a_bare_catalogue_has_no_content() -> None:
    content = TowerContent.of(completed(planted_tracks().select("track_id"), planted_tracks().schema))
    assert content.terms.shape == (90, 0)
    model = SequenceModel(content, dim=4, n_blocks=1, n_heads=1, length=3, seed=0)
    assert len(model.variables) == 3 + 9
    vectors = model.arrays(np.arange(89, dtype=np.int32))["track_vectors"]
    assert not np.array_equal(vectors[0], vectors[89])


def test_a_fit_keeps_its_learning_curves() -> None:
    encoder = SequenceEncoder(QUICK).fit(planted_corpus())
    history = encoder.history_
    assert history.steps == sorted(set(history.steps)) and history.steps[-1] <= QUICK.max_steps
    assert len(history.loss) == len(history.gain) == len(history.steps)
    assert history.loss[-1] < history.loss[0]
    assert all(0 <= gain <= 1 for gain in history.gain)


def test_of_equal_looks_the_last_is_the_best() -> None:
    history = SequenceHistory()
    since = []
    for gain in (0.1, 0.3, 0.2, 0.3, 0.1, 0.0):
        history.looked(1, [1.0], gain)
        since.append(history.looks_since_best)
    assert since == [0, 0, 1, 0, 1, 2]
