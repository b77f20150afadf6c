"""An encoder that starts from an earlier one begins where that one ended, and is done sooner."""

import numpy as np
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.retrieval.sequence import WARM_SHARE, SequenceConfig, SequenceEncoder, SequenceStart
from audotics.retrieval.sequence_content import TowerContent
from audotics.retrieval.sequence_encoder import encode
from audotics.retrieval.sequence_inputs import recent_sequences
from audotics.retrieval.warm_start import TrackRows, WarmStarting
from contract.aging import aging_world, events_of
from contract.planted import no_users

tf = pytest.importorskip("tensorflow")

from audotics.retrieval.sequence_model import SequenceModel  # noqa: E402

CONFIG = SequenceConfig(dim=16, n_heads=2, length=12, max_steps=240, learning_rate=0.01, n_negatives=64)


def corpus_of(last_day: int) -> Corpus:
    return build_corpus(events_of(0, last_day), aging_world().tracks, no_users())


@pytest.fixture(scope="module")
def before() -> SequenceEncoder:
    return SequenceEncoder(CONFIG).fit(corpus_of(14))


def warm(before: SequenceEncoder, corpus: Corpus, config: SequenceConfig = CONFIG) -> SequenceEncoder:
    encoder = SequenceEncoder(config)
    assert isinstance(encoder, WarmStarting)
    encoder.start_from(before.arrays(), TrackRows(corpus_of(14).tracks, corpus))
    return encoder


def test_a_model_that_was_started_is_the_earlier_one(before: SequenceEncoder):
    corpus = corpus_of(14)
    told = np.ones(corpus.n_tracks, np.bool_)
    told[3] = False
    weights = before.arrays()
    content = TowerContent.of(corpus.track_table)
    model = SequenceModel(content, dim=16, n_blocks=1, n_heads=2, length=12, seed=9)
    untouched = model.arrays(np.arange(corpus.n_tracks, dtype=np.int32))["track_vectors"]

    model.start_from(SequenceStart(weights["track_vectors"], told, weights))

    found = model.arrays(np.arange(corpus.n_tracks, dtype=np.int32))
    np.testing.assert_allclose(found["track_vectors"][told], weights["track_vectors"][told], atol=1e-5)
    np.testing.assert_allclose(found["track_vectors"][3], untouched[3], atol=1e-6)
    sequences = recent_sequences(
        corpus.interactions.where(corpus.interactions.track_index != 3),
        np.zeros(corpus.n_users, np.int64),
        12,
    )
    np.testing.assert_allclose(encode(found, sequences), encode(weights, sequences), atol=1e-4)


def test_it_is_ahead_from_the_first_look_and_two_thirds_of_the_steps_lead_as_far(before: SequenceEncoder):
    corpus = corpus_of(20)
    cold = SequenceEncoder(CONFIG).fit(corpus).history_
    started = warm(before, corpus).fit(corpus).history_

    assert started.steps[-1] <= round(WARM_SHARE * CONFIG.max_steps)
    assert started.steps[0] < cold.steps[0]
    assert started.loss[0] < cold.loss[0]
    assert started.gain[0] > cold.gain[0]
    assert max(started.gain) >= 0.95 * max(cold.gain)


def test_an_encoder_of_another_shape_starts_anew(before: SequenceEncoder):
    corpus = corpus_of(14)
    for change in ({"dim": 8}, {"length": 5}, {"n_blocks": 2}):
        encoder = warm(before, corpus, CONFIG.model_copy(update=change))
        assert encoder._start is None


def test_a_start_counts_once(before: SequenceEncoder):
    corpus = corpus_of(14)
    encoder = warm(before, corpus, CONFIG.model_copy(update={"max_steps": 2}))
    encoder.fit(corpus)
    short = encoder.history_.steps[-1]

    encoder.fit(corpus)

    assert (short, encoder.history_.steps[-1]) == (1, 2)
