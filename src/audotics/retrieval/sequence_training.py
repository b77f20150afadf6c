"""Training of the sequence encoder: sampled softmax over what came next, stopped by held-out last tracks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from audotics.accelerator import placed
from audotics.checkpoints import Checkpoints, State
from audotics.data.corpus import Corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME
from audotics.replicas import Replicas
from audotics.retrieval.protocol import Arrays
from audotics.retrieval.sequence import WARM_SHARE, SequenceConfig, SequenceHistory, SequenceStart
from audotics.retrieval.sequence_batches import Batch, NegativeSampler, WindowSampler
from audotics.retrieval.sequence_content import TowerContent
from audotics.retrieval.sequence_encoder import encode
from audotics.retrieval.sequence_inputs import play_sequences, recent_sequences
from audotics.retrieval.sequence_model import SequenceModel
from audotics.retrieval.sequence_step import Training

N_CHECKS = 10
"""How often a training is looked at; it ends when `PATIENCE` looks in a row bring nothing better."""
PATIENCE = 3
MOST_HELD_OUT = 1000
"""Listeners whose last track is held out, at most half of all."""
MOST_RIVALS = 20_000
"""Tracks among which a held-out one is looked for."""


def train(
    config: SequenceConfig,
    corpus: Corpus,
    history: SequenceHistory | None = None,
    replicas: Replicas | None = None,
    checkpoints: Checkpoints | None = None,
    start: SequenceStart | None = None,
) -> Arrays:
    """Learn the weights that `sequence_encoder.encode` reads.

    The rate rises, then falls to 0 along a cosine; the best of the states looked at on the way is kept.
    Every source of chance has its own seed; TensorFlow is told to use deterministic kernels, which stays
    so for the process.

    Args:
        config: Settings.
        corpus: Histories and tracks.
        history: Told of every look.
        replicas: Who trains together; None is this process alone.
        checkpoints: Where the training is kept at every look at it; a run that finds one goes on.
        start: What an earlier encoder learned; None starts at random.
    """
    tf.config.experimental.enable_op_determinism()
    with placed(config.device):
        return _trained(
            config, corpus, history or SequenceHistory(), replicas or Replicas(), checkpoints, start
        )


def _trained(
    config: SequenceConfig,
    corpus: Corpus,
    history: SequenceHistory,
    replicas: Replicas,
    checkpoints: Checkpoints | None,
    start: SequenceStart | None,
) -> Arrays:
    plays = play_sequences(corpus)
    rng = np.random.default_rng([config.seed, 1])
    held_out = HeldOut(plays, rng)
    n_plays = np.bincount(plays.track_index, minlength=corpus.n_tracks)
    negatives = NegativeSampler(n_plays, config.n_negatives)
    windows = WindowSampler(held_out.visible, config.length, config.batch_size)
    n_steps = min(config.max_steps, config.n_epochs * windows.n_batches())
    n_steps = n_steps if start is None else max(1, round(WARM_SHARE * n_steps))
    with replicas.scope():
        model = SequenceModel(
            TowerContent.of(corpus.track_table),
            dim=config.dim,
            n_blocks=config.n_blocks,
            n_heads=config.n_heads,
            length=config.length,
            seed=config.seed,
        )
        if start is not None:
            model.start_from(start)
        training = Training(model, config, negatives.log_expected, n_steps, replicas)
    warm = np.flatnonzero(n_plays).astype(np.int32)
    best = Best(model.arrays(warm), history)
    if checkpoints is not None and (state := checkpoints.load()) is not None:
        training.resume(state)
        best.resume(state)
    check_every = max(1, -(-n_steps // N_CHECKS))
    losses: list[float] = []
    for number, batch in enumerate(_batches(windows, negatives, rng, n_steps, replicas), start=1):
        if number <= training.n_done:
            continue  # drawn again only so that chance goes on where it was
        losses.append(training.step(batch))
        if number % check_every and number < n_steps:
            continue
        weights = model.arrays(warm)
        gain = float(replicas.of_first(held_out.gain(weights, config.length)))
        best.look(weights, number, losses, gain)
        losses.clear()
        if best.history.looks_since_best == PATIENCE:
            break
        if checkpoints is not None:
            checkpoints.save(training.state() | best.state())
    return best.weights


class Best:
    """The best weights so far, by the looks at the held-out tracks.

    Args:
        weights: Of the start.
        history: Told of every look.
    """

    def __init__(self, weights: Arrays, history: SequenceHistory) -> None:
        self.weights = weights
        self.history = history

    def look(self, weights: Arrays, step: int, losses: Sequence[float], gain: float) -> None:
        """Compare with what has been reached after ``step``."""
        self.history.looked(step, losses, gain)
        if not self.history.looks_since_best:
            self.weights = weights

    def state(self) -> State:
        """For a checkpoint."""
        looks = (self.history.steps, self.history.loss, self.history.gain)
        kept = {f"best.{name}": array for name, array in self.weights.items()}
        return {**kept, "looks": np.array(looks, np.float64)}

    def resume(self, state: State) -> None:
        """Go to where the run of a checkpoint was left."""
        self.weights = {
            name.removeprefix("best."): array for name, array in state.items() if name.startswith("best.")
        }
        steps, self.history.loss, self.history.gain = state["looks"].tolist()
        self.history.steps = [int(step) for step in steps]


def _batches(
    windows: WindowSampler,
    negatives: NegativeSampler,
    rng: np.random.Generator,
    n_steps: int,
    replicas: Replicas,
) -> Iterator[Batch]:
    """This replica's share of exactly ``n_steps`` batches, pass after pass."""
    n = 0
    while n < n_steps:
        for window in windows.one_pass(rng):
            yield Batch.of(window, negatives.draw(rng), replicas.share(len(window.tracks)))
            n += 1
            if n == n_steps:
                return


class HeldOut:
    """The last tracks of some listeners, by which training stops.

    Args:
        histories: Of all listeners.
        rng: Draws the listeners.
    """

    def __init__(self, histories: Interactions, rng: np.random.Generator) -> None:
        eligible = np.flatnonzero(histories.lengths >= 3)
        rows = rng.permutation(eligible)[: min(MOST_HELD_OUT, len(eligible) // 2)]
        last = histories.indptr[rows + 1] - 1
        self._asked_at = np.where(histories.last_at[last] > 0, histories.last_at[last], NO_TIME)
        self._answers = histories.track_index[last]
        kept = np.ones(histories.n_pairs, np.bool_)
        kept[last] = False
        self.visible = histories.where(kept)
        """All histories without the held-out tracks."""
        self._queries = self.visible.rows(rows)
        warm = np.unique(histories.track_index)
        self._rivals = rng.permutation(warm)[:MOST_RIVALS]

    def gain(self, weights: Arrays, length: int) -> float:
        """Mean of ``1 / log2(1 + rank)`` of the held-out tracks among unheard rivals; 0 without any."""
        if not len(self._answers):
            return 0.0
        encoded = encode(weights, recent_sequences(self._queries, self._asked_at, length))
        vectors = weights["track_vectors"]
        own = np.sum(encoded * vectors[self._answers], axis=1)
        rivals = encoded @ vectors[self._rivals].T
        place = np.full(len(vectors), -1)
        place[self._rivals] = np.arange(len(self._rivals))
        column = place[self._queries.track_index]
        rivals[self._queries.row_index[column >= 0], column[column >= 0]] = -np.inf
        rank = 1 + np.count_nonzero(rivals > own[:, None], axis=1)
        return float(np.mean(1 / np.log2(1 + rank)))
