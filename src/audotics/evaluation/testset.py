"""TestSet: a table of held-out events, read into index space and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from audotics.data.corpus import POSITIVE_EVENTS, Corpus
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, BoolArray, IndexArray
from audotics.errors import BadInputError
from audotics.evaluation.holdout import Holdout
from audotics.evaluation.report import Task
from audotics.evaluation.segments import heard_pairs


@dataclass(frozen=True, slots=True)
class TestSet:
    """The listeners to evaluate and what they should be recommended. Build it with `read_test`.

    Args:
        task: Which test tracks count.
        user_ids: Listeners with at least one test track, in the order of the rows.
        user_index: ``[n_listeners]``, -1 for listeners outside training's vocabulary.
        holdout: Their test tracks.
        heard: ``[n_pairs]``, whether the listener had heard the track in training.
        n_heard_dropped: Pairs that the task left out because the listener had heard the track.
        n_unheard_dropped: Pairs that it left out because the listener had not.
        tracks: Training's vocabulary.
        unknown_tracks: Test tracks outside it, numbered on from its end.
    """

    __test__ = False  # the name is no test class, whatever pytest collects

    task: Task
    user_ids: tuple[str, ...]
    user_index: IndexArray
    holdout: Holdout
    heard: BoolArray
    n_heard_dropped: int
    n_unheard_dropped: int
    tracks: Vocabulary
    unknown_tracks: Vocabulary

    def encode(self, lists: Sequence[Sequence[str]], k: int) -> IndexArray:
        """Lists of track ids as numbers ``[n_listeners, k]``, cut at ``k`` and padded with -1.

        A track that neither training nor the test knows keeps its place as -1: it can be no hit.
        """
        lengths = [min(len(tracks), k) for tracks in lists]
        flat = pl.Series([track for tracks in lists for track in tracks[:k]], dtype=pl.String)
        known, unknown = self.tracks.encode(flat), self.unknown_tracks.encode(flat)
        numbers = np.where(
            known == PADDING, np.where(unknown == PADDING, PADDING, unknown + len(self.tracks)), known
        )
        recommended = np.full((len(lists), k), PADDING, np.int32)
        recommended[np.arange(k) < np.asarray(lengths)[:, None]] = numbers
        return recommended

    def check(self, name: str, recommended: IndexArray) -> None:
        """Refuse lists that cannot be evaluated.

        Args:
            name: The system, for the message.
            recommended: ``[n_listeners, k]``.

        Raises:
            BadInputError: The shape or an index is wrong, or a list holds a track twice.
        """
        n_listeners = len(self.user_ids)
        if (
            recommended.ndim != 2
            or len(recommended) != n_listeners
            or not np.issubdtype(recommended.dtype, np.integer)
        ):
            raise BadInputError(
                f"lists have shape {recommended.shape} and type {recommended.dtype}",
                where=name,
                remedy=f"Give one row of track indices for each of the {n_listeners} listeners of the test",
            )
        if recommended.size == 0:
            return
        if recommended.min() < PADDING or recommended.max() >= self.holdout.n_tracks:
            raise BadInputError(
                "a list holds an index outside the vocabulary", where=name, remedy="Pad with -1 only"
            )
        ordered = np.sort(recommended, axis=1)
        twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != PADDING)).any(axis=1)
        if twice.any():
            listener = self.user_ids[int(np.argmax(twice))]
            raise BadInputError(
                f"the list of listener '{listener}' holds a track twice",
                where=name,
                remedy="Rank each track once",
            )


def read_test(corpus: Corpus, test: pl.DataFrame, task: Task) -> TestSet:
    """Encode a table of held-out events.

    Args:
        corpus: Training.
        test: ``user_id`` and ``track_id``; where there is an ``event`` column only positive events count.
        task: Which test tracks count.

    Raises:
        BadInputError: A column is missing or has nulls, or nothing is left to evaluate on.
    """
    pairs = _pairs(test)
    listeners = Vocabulary.sorted(pairs["user_id"])
    unknown_tracks = Vocabulary.sorted(pairs["track_id"].filter(~pairs["track_id"].is_in(corpus.tracks.ids)))
    holdout = _encoded(pairs, listeners, corpus.tracks, unknown_tracks)
    user_index = corpus.users.indices(listeners.ids)
    heard = heard_pairs(holdout, corpus.interactions, user_index)
    counts = _that_count(heard, task)
    n_dropped = int((~counts).sum())
    holdout, heard = holdout.keep(counts), heard[counts]
    present = holdout.lengths > 0
    row = np.cumsum(present) - 1
    return TestSet(
        task=task,
        user_ids=tuple(pl.Series(listeners.ids).filter(pl.Series(present)).to_list()),
        user_index=user_index[present],
        holdout=Holdout.from_pairs(
            row[holdout.row_index], holdout.track_index, int(present.sum()), holdout.n_tracks
        ),
        heard=heard,
        n_heard_dropped=n_dropped if task is Task.DISCOVER else 0,
        n_unheard_dropped=n_dropped if task is Task.FAMILIAR else 0,
        tracks=corpus.tracks,
        unknown_tracks=unknown_tracks,
    )


def _that_count(heard: BoolArray, task: Task) -> BoolArray:
    """Which pairs ``[n_pairs]`` the task counts, by whether the listener had heard the track."""
    counts = {Task.DISCOVER: ~heard, Task.FAMILIAR: heard, Task.MIX: np.ones_like(heard)}[task]
    if counts.any():
        return counts
    if task is Task.FAMILIAR and len(heard):
        raise BadInputError(
            "no listener of the test comes back to a track heard in training, so nothing is familiar",
            where="test",
            remedy="Measure such data in the mode discover",
        )
    raise BadInputError(
        "nothing is left to evaluate on",
        where="test",
        remedy="Give held-out events that training did not have",
    )


def _encoded(
    pairs: pl.DataFrame, listeners: Vocabulary, tracks: Vocabulary, unknown_tracks: Vocabulary
) -> Holdout:
    """The pairs as numbers; unknown tracks are numbered on from the end of the known ones."""
    known = tracks.encode(pairs["track_id"]).astype(np.int64)
    beyond = unknown_tracks.encode(pairs["track_id"]).astype(np.int64) + len(tracks)
    return Holdout.from_pairs(
        listeners.encode(pairs["user_id"]),
        np.where(known == PADDING, beyond, known),
        len(listeners),
        len(tracks) + len(unknown_tracks),
    )


def _pairs(test: pl.DataFrame) -> pl.DataFrame:
    """The distinct positive pairs of the table, as strings."""
    missing = {"user_id", "track_id"} - set(test.columns)
    if missing:
        raise BadInputError(
            f"column {', '.join(sorted(missing))} is missing",
            where="test",
            remedy="A test has user_id and track_id",
        )
    if "event" in test.columns:
        test = test.filter(pl.col("event").is_in(POSITIVE_EVENTS))
    pairs = test.select(pl.col("user_id", "track_id").cast(pl.String)).unique(maintain_order=True)
    if sum(pairs.null_count().row(0)):
        raise BadInputError("an id is empty", where="test", remedy="Leave such rows out of the test")
    return pairs
