"""What every system is given: one training part, one validation part made like the test, one test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from audotics.benchmark.jobs import ANSWERS, TRAIN, VISIBLE, save_answers, save_histories
from audotics.data.corpus import Corpus, build_corpus
from audotics.data.dataset import Dataset
from audotics.data.splits import assert_no_leak
from audotics.data.writer import DatasetWriter
from audotics.domain import PADDING, IndexArray
from audotics.errors import BadInputError
from audotics.evaluation.evaluator import ModelEvaluator
from audotics.evaluation.holdout import Holdout
from audotics.evaluation.report import Task
from audotics.training.config import TrainConfig
from audotics.training.fold import Fold, hide
from audotics.training.splitting import named_split

SHORTEST = 100
"""Batch recommendation is timed on lists of this length, or of the largest cutoff."""


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that the systems are fitted on and measured with.

    Args:
        dataset: The training part as a Dataset.
        corpus: The same in index space; its numbers are those of all lists.
        evaluator: The test.
        split: How the test was made, one phrase.
        validation: How the part that tuning is judged on was made.
        folder: Where `save_histories` and `save_answers` put what peers read.
        listeners: Parquet of everybody who is asked: training's listeners, then those of the test alone.
        tracks: Parquet of the track ids in order.
    """

    dataset: Dataset
    corpus: Corpus
    evaluator: ModelEvaluator
    split: str
    validation: str
    folder: Path
    listeners: Path
    tracks: Path

    @property
    def k(self) -> int:
        """Length of all lists."""
        return max(SHORTEST, self.evaluator.k)

    @property
    def include_heard(self) -> bool:
        """Whether heard tracks may be recommended and count."""
        return self.evaluator.test.task is Task.MIX

    @property
    def n_strangers(self) -> int:
        """Listeners of the test whom training never saw."""
        return int((self.evaluator.user_index == PADDING).sum())

    def test_rows(self) -> IndexArray:
        """``[n_listeners of the test]``: their rows among ``listeners``."""
        rows = self.evaluator.user_index.copy()
        strangers = rows == PADDING
        rows[strangers] = self.corpus.n_users + np.arange(int(strangers.sum()), dtype=np.int32)
        return rows


def prepare(dataset: Dataset, test: pl.DataFrame | None, config: TrainConfig, folder: Path) -> Material:
    """Split where no test is given, and write what the child processes read.

    Args:
        dataset: All data (without a test), or the training part (with one).
        test: ``user_id`` and ``track_id`` of a held-out part; None holds one out of ``dataset``.
        config: ``split`` says how to hold out, ``include_heard`` whether heard tracks count; the seed.
        folder: An empty folder to write to.

    Raises:
        BadInputError: Nothing can be held out, or nothing of the test is left to evaluate on.
    """
    split = "given test"
    if test is None:
        dataset, test, split = _hold_out(dataset, config, folder / "training-part")
    events, tracks, users = dataset.events().collect(), dataset.tracks(), dataset.users()
    corpus = build_corpus(events, tracks, users)
    task = Task.MIX if config.include_heard else Task.DISCOVER
    evaluator = ModelEvaluator(corpus, test, task=task, seed=config.seed)
    fold = hide(
        events,
        tracks,
        users,
        way=config.split,
        most_listeners=config.hide_from,
        seed=config.seed,
        include_heard=config.include_heard,
    )
    save_histories(folder / TRAIN, corpus.interactions)
    save_histories(folder / VISIBLE, fold.visible.interactions)
    save_answers(folder / ANSWERS, *_asked(fold))
    strangers = [
        user_id
        for user_id, known in zip(evaluator.user_ids, evaluator.user_index, strict=True)
        if known == PADDING
    ]
    listeners, track_ids = folder / "listeners.parquet", folder / "tracks.parquet"
    pl.DataFrame({"user_id": [*corpus.users.ids, *strangers]}).write_parquet(listeners)
    pl.DataFrame({"track_id": corpus.tracks.ids}).write_parquet(track_ids)
    return Material(dataset, corpus, evaluator, split, fold.description, folder, listeners, track_ids)


def _hold_out(dataset: Dataset, config: TrainConfig, target: Path) -> tuple[Dataset, pl.DataFrame, str]:
    """The training part as a Dataset of its own, the test and how they were made."""
    split = named_split(dataset.events().collect(), config.split, config.seed)
    assert_no_leak(split)
    with DatasetWriter(target, source=split.description) as writer:
        writer.add_events(split.train)
        # Playlists stay out: they may hold what the test asks for.
        writer.set_table("tracks", dataset.tracks())
        writer.set_table("users", dataset.users())
        writer.commit()
    return Dataset.open(target), split.test, split.description


def _asked(fold: Fold) -> tuple[IndexArray, Holdout]:
    """Listeners of the validation part who have both a history and answers, with the answers."""
    played = fold.hidden.filter("play")
    row, track_index = played["row"].to_numpy(), played["track_index"].to_numpy()
    asked = (np.bincount(row, minlength=fold.batch.size) > 0) & (fold.batch.histories.lengths > 0)
    if not asked.any():
        raise BadInputError(
            "no listener has tracks that could be hidden for tuning",
            where="validation part",
            remedy="Give more events",
        )
    kept = asked[row]
    number = np.cumsum(asked) - 1
    answers = Holdout.from_pairs(
        number[row[kept]], track_index[kept], int(asked.sum()), fold.visible.n_tracks
    )
    return fold.batch.user_index[asked], answers
