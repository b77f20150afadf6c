"""What the sequence encoder is trained on: windows of histories, the next track at every place, negatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME
from audotics.domain import PADDING, FloatArray, IndexArray, TimeArray
from audotics.retrieval.sequence_inputs import UNKNOWN_PAUSE, Sequences, sequences_ending

UNKNOWN_PAUSES = 0.25
"""Share of the pauses that are hidden in training: many queries come without a time."""

_BATCHES_ALIKE = 16
"""Windows of so many batches are sorted by length, so that batches hold little padding."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's input. Tracks stand as places in ``rows``, so that each is embedded once.

    Args:
        rows: ``[n_rows]``, the distinct tracks of the batch, ascending.
        tracks: ``[n, length]`` places, -1 where padded.
        pauses: ``[n, length]``, see `Sequences`.
        targets: ``[n, length]`` places: what came next; -1 where padded.
        negatives: ``[n_negatives]`` places.
        n_told: Targets of the whole batch, of which this may be one replica's share.
    """

    rows: IndexArray
    tracks: IndexArray
    pauses: IndexArray
    targets: IndexArray
    negatives: IndexArray
    n_told: int

    @classmethod
    def of(cls, windows: Sequences, negatives: IndexArray, own: slice = slice(None)) -> Batch:
        """Each track of a window but the last is a place that the next one is the target of.

        Args:
            windows: ``[n, length + 1]``.
            negatives: Tracks.
            own: Windows that are taken: all, or one replica's share.
        """
        n_told = int(np.count_nonzero(windows.tracks[:, :-1] >= 0))
        history, following = windows.tracks[own, :-1], windows.tracks[own, 1:]
        shape = following.shape
        named = (history, following, negatives)
        rows, place = np.unique(np.concatenate([part.ravel() for part in named]), return_inverse=True)
        if rows[0] == PADDING:
            rows, place = rows[1:], place - 1
        # A target after padding has nothing to be told from.
        tracks, targets, drawn = np.split(place.astype(np.int32), np.cumsum([named[0].size, named[1].size]))
        targets = np.where(tracks >= 0, targets, PADDING).reshape(shape)
        return cls(rows, tracks.reshape(shape), windows.pauses[own, :-1], targets, drawn, n_told)


class NegativeSampler:
    """Draws the tracks that the right one has to be told from.

    All warm tracks where they are no more than asked for; else draws with replacement, each track as often
    as it is popular. `log_expected` then corrects the softmax (Bengio and Senecal 2008).

    Args:
        n_plays: ``[n_tracks]``, how often each track is played.
        n_negatives: How many are drawn.
    """

    def __init__(self, n_plays: TimeArray, n_negatives: int) -> None:
        self._warm = np.flatnonzero(n_plays).astype(np.int32)
        self._n = n_negatives
        self._upto = np.cumsum(n_plays[self._warm])
        self.draws = len(self._warm) > n_negatives
        self.log_expected: FloatArray = np.zeros(len(n_plays), np.float32)
        """``[n_tracks]``: log of how often each track is expected among the negatives; 0 without draws."""
        if self.draws:
            expected = n_negatives * n_plays[self._warm] / self._upto[-1]
            self.log_expected[self._warm] = np.log(expected)

    def draw(self, rng: np.random.Generator) -> IndexArray:
        """Tracks ``[n_negatives]``."""
        if not self.draws:
            return self._warm
        return self._warm[np.searchsorted(self._upto, rng.integers(0, self._upto[-1], self._n), side="right")]


class WindowSampler:
    """Cuts histories into windows and those into batches, anew for each pass.

    Args:
        histories: What to learn from.
        length: Tracks that the encoder sees; a window holds one more, the last target.
        batch_size: Windows in a batch.
    """

    def __init__(self, histories: Interactions, length: int, batch_size: int) -> None:
        self._histories = histories
        self._length = length
        self._batch_size = batch_size
        self._rows = np.flatnonzero(histories.lengths >= 2)

    def one_pass(self, rng: np.random.Generator) -> Iterator[Sequences]:
        """Windows ``[<= batch_size, <= length + 1]`` that together hold all histories, in random order."""
        rows, ends = self._cut(rng)
        order = rng.permutation(len(rows))
        for start in range(0, len(order), self._batch_size * _BATCHES_ALIKE):
            alike = order[start : start + self._batch_size * _BATCHES_ALIKE]
            alike = alike[np.argsort(np.minimum(ends[alike], self._length + 1), kind="stable")]
            bounds = np.arange(self._batch_size, len(alike), self._batch_size)
            batches = np.split(alike, bounds)
            for number in rng.permutation(len(batches)):
                yield self._windows(rows[batches[number]], ends[batches[number]], rng)

    def n_batches(self) -> int:
        """How many batches a pass has at least."""
        n_windows = np.ceil((self._histories.lengths[self._rows] - 1) / self._length).sum()
        return int(np.ceil(n_windows / self._batch_size))

    def _cut(self, rng: np.random.Generator) -> tuple[TimeArray, TimeArray]:
        """Row and end of every window: one at the end of each history, the others where chance cuts it."""
        lengths = self._histories.lengths[self._rows]
        is_long = lengths > self._length + 1
        # The next to last window overlaps the last one by chance; before it, each begins with the track
        # that the one before was to tell.
        second = lengths - rng.integers(1, self._length + 1, len(lengths))
        n_windows = np.where(is_long, 1 + -(-(second - 1) // self._length), 1)
        number = np.arange(n_windows.sum()) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
        earlier = np.repeat(second, n_windows) - (number - 1) * self._length
        return np.repeat(self._rows, n_windows), np.where(number, earlier, np.repeat(lengths, n_windows))

    def _windows(self, rows: TimeArray, ends: TimeArray, rng: np.random.Generator) -> Sequences:
        width = int(min(self._length + 1, ends.max()))
        never = np.full(len(rows), NO_TIME, np.int64)
        windows = sequences_ending(self._histories, rows, ends, never, width)
        hidden = rng.random(windows.pauses.shape) < UNKNOWN_PAUSES
        return Sequences(windows.tracks, np.where(hidden, UNKNOWN_PAUSE, windows.pauses).astype(np.int32))
