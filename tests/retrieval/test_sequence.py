from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.errors import MissingExtraError
from audotics.retrieval import sequence
from audotics.retrieval.protocol import Arrays, Evidence, Explanation
from audotics.retrieval.sequence import SequenceConfig, SequenceEncoder
from audotics.retrieval.sequence_encoder import block_shapes, encode
from audotics.retrieval.sequence_inputs import N_PAUSES, Sequences
from contract.retriever_contract import asking, planted_corpus

DIM, LENGTH, N_TRACKS = 8, 5, 12
MINUTE = 60_000_000
NOON = 1_767_268_800_000_000


def random_weights(n_blocks: int = 1) -> Arrays:
    """Weights as if learned, all different."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "track_vectors": (N_TRACKS, DIM),
        "pauses": (N_PAUSES, DIM),
        "norm": (2, DIM),
    }
    for number in range(n_blocks):
        shapes |= {f"{number}_{name}": shape for name, shape in block_shapes(DIM, 2, LENGTH).items()}
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def retriever() -> SequenceEncoder:
    config = {"dim": DIM, "length": LENGTH}
    return SequenceEncoder.from_arrays(config, random_weights())


def histories(*tracks: list[int]) -> Interactions:
    return Interactions.from_histories(tracks, N_TRACKS)


def test_scores_are_products_with_the_encoded_history(retriever: SequenceEncoder) -> None:
    scores = retriever.score(asking(histories([1, 4, 2])))
    tracks = np.array([[-1, -1, 1, 4, 2]], np.int32)
    encoded = encode(retriever.arrays(), Sequences(tracks, np.zeros((1, 5), np.int32)))
    np.testing.assert_allclose(scores, encoded @ retriever.arrays()["track_vectors"].T, rtol=1e-5)


@pytest.mark.parametrize("n_blocks", [1, 2])
def test_padding_changes_nothing(n_blocks: int) -> None:
    weights = random_weights(n_blocks)
    short = Sequences(np.array([[3, 7]], np.int32), np.array([[2, 5]], np.int32))
    # Beside a longer one, padding is not cut off.
    beside = Sequences(
        np.array([[-1, -1, 3, 7], [1, 2, 3, 4]], np.int32), np.array([[9, 9, 2, 5], [0, 0, 0, 0]], np.int32)
    )
    np.testing.assert_allclose(encode(weights, short)[0], encode(weights, beside)[0], atol=1e-5)


def test_many_sequences_are_encoded_block_by_block() -> None:
    weights = random_weights(2)
    rng = np.random.default_rng(3)
    tracks = rng.integers(0, N_TRACKS, (600, LENGTH)).astype(np.int32)
    tracks[::2, :2] = -1
    pauses = rng.integers(0, N_PAUSES, (600, LENGTH)).astype(np.int32)
    whole = encode(weights, Sequences(tracks, pauses))
    one = encode(weights, Sequences(tracks[555:556], pauses[555:556]))
    np.testing.assert_allclose(whole[555], one[0], atol=1e-5)


def test_order_and_length_of_the_history_count(retriever: SequenceEncoder) -> None:
    scores = retriever.score(asking(histories([1, 4, 2], [4, 1, 2], [9, 1, 4, 2, 3, 5], [8, 1, 4, 2, 3, 5])))
    assert np.abs(scores[0] - scores[1]).max() > 1e-3
    # Only the last five tracks are read.
    np.testing.assert_array_equal(scores[2], scores[3])


def test_nothing_is_said_without_a_history_or_its_order(retriever: SequenceEncoder) -> None:
    known = histories([], [3, 1])
    unordered = replace(known, ordered=False)
    assert not retriever.score(asking(known))[0].any()
    assert retriever.score(asking(known))[1].any()
    assert not retriever.score(asking(unordered)).any()
    nothing = retriever.explain(asking(unordered), np.array([3, 3], np.int32))
    assert nothing == [None, None]


def test_the_time_since_the_last_play_counts(retriever: SequenceEncoder) -> None:
    row = replace(histories([1, 4]), last_at=np.array([NOON, NOON + MINUTE]))
    later = [NOON + 2 * MINUTE, NOON + 3000 * MINUTE, NO_TIME]
    batch = QueryBatch(
        row.rows(np.zeros(3, np.int64)), np.full(3, -1, np.int32), np.array(later), (None,) * 3, (None,) * 3
    )
    first, second, untold = retriever.score(batch)
    assert np.abs(first - second).max() > 1e-3
    assert np.abs(first - untold).max() > 1e-3


def test_explains_by_the_track_that_is_missed_most(retriever: SequenceEncoder) -> None:
    tracks = [1, 4, 2]
    whole = retriever.score(asking(histories(tracks)))[0]
    shorter = retriever.score(asking(histories([4, 2], [1, 2], [1, 4])))
    falls = whole - shorter
    batch = asking(histories(*[tracks] * N_TRACKS))
    for target, found in enumerate(retriever.explain(batch, np.arange(N_TRACKS, dtype=np.int32))):
        cause = tracks[int(falls[:, target].argmax())]
        kind = Evidence.HEARD if cause == target else Evidence.TRACK
        assert found == (Explanation(kind, cause) if falls[:, target].max() > 1e-3 else None)


def test_tracks_that_are_not_read_are_no_cause(retriever: SequenceEncoder) -> None:
    batch = asking(histories(*[[0, 1, 2, 3, 4, 5, 6, 7]] * N_TRACKS))
    found = retriever.explain(batch, np.arange(N_TRACKS, dtype=np.int32))
    causes = {explanation.cause for explanation in found if explanation}
    assert causes
    assert causes <= {3, 4, 5, 6, 7}


def test_heads_divide_the_vectors() -> None:
    with pytest.raises(ValidationError, match="n_heads must divide dim"):
        SequenceConfig(dim=10, n_heads=3)


def test_without_tensorflow_it_stands_aside_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = planted_corpus()
    monkeypatch.setattr(sequence, "LEAST_PAIRS", 10)
    monkeypatch.setattr(sequence, "find_spec", lambda name: None)
    assert not SequenceEncoder.applies_to(corpus)
    with pytest.raises(MissingExtraError, match="sequence"):
        SequenceEncoder().fit(corpus)


def test_order_is_needed() -> None:
    assert not SequenceEncoder.applies_to(planted_corpus(ordered=False))


def test_importing_it_imports_no_tensorflow() -> None:
    code = "import sys, audotics.retrieval.sequence; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
