"""What systems are given: nothing of the test in training, and validation made like the test."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.benchmark.jobs import ANSWERS, TRAIN, VISIBLE, load_answers, load_histories
from audotics.benchmark.preparation import prepare
from audotics.data.writer import DatasetWriter
from audotics.domain import PADDING
from audotics.errors import BadInputError
from audotics.training.config import TrainConfig


def pairs(user_index, track_index) -> set[tuple[int, int]]:
    return set(zip(np.asarray(user_index).tolist(), np.asarray(track_index).tolist(), strict=True))


def test_without_a_test_a_fifth_of_each_listeners_tracks_is_held_out(material, planted):
    assert material.split == "random 20% of each listener's tracks (seed 3)"
    kept, everything = (dataset.events().collect() for dataset in (material.dataset, planted))
    assert material.evaluator.test.holdout.n_pairs == everything.height - kept.height == 90 * 2
    asked = material.evaluator.test.holdout
    held = pairs(material.evaluator.user_index[asked.row_index], asked.track_index)
    histories = load_histories(material.folder / TRAIN)
    assert not held & pairs(histories.row_index, histories.track_index)


def test_tuning_sees_less_than_training_by_what_it_is_asked(material):
    train = load_histories(material.folder / TRAIN)
    visible = load_histories(material.folder / VISIBLE)
    user_index, answers = load_answers(material.folder / ANSWERS, train.n_tracks)
    hidden = pairs(user_index[answers.row_index], answers.track_index)
    assert hidden
    assert pairs(visible.row_index, visible.track_index) | hidden == pairs(train.row_index, train.track_index)
    assert not pairs(visible.row_index, visible.track_index) & hidden


def test_histories_come_back_as_they_were(material):
    found, wanted = load_histories(material.folder / TRAIN), material.corpus.interactions
    for name in ("indptr", "track_index", "plays", "last_at"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert (found.n_tracks, found.ordered) == (wanted.n_tracks, wanted.ordered)


def test_a_given_test_leaves_the_dataset_whole_and_counts_strangers(planted, tmp_path):
    test = pl.DataFrame({"user_id": ["u003", "zoe", "adam"], "track_id": ["t088", "t001", "t002"]})
    made = prepare(planted, test, TrainConfig(), tmp_path / "material")
    assert made.split == "given test"
    assert made.dataset.path == planted.path
    assert made.n_strangers == 2
    everybody = pl.read_parquet(made.listeners)["user_id"].to_list()
    assert [everybody[row] for row in made.test_rows()] == list(made.evaluator.user_ids)
    assert everybody[made.corpus.n_users :] == ["adam", "zoe"]
    assert (made.evaluator.user_index == PADDING).sum() == 2


def test_lists_are_long_enough_for_every_cutoff(material):
    assert material.k == 100 == material.evaluator.k


def test_too_little_to_hold_out_is_refused(tmp_path, planted):
    first_alone = planted.events().collect().group_by("user_id", maintain_order=True).head(1)
    with DatasetWriter(tmp_path / "dataset") as writer:
        writer.add_events(first_alone)
        dataset = writer.commit()
    with pytest.raises(BadInputError, match="has no events"):
        prepare(dataset, None, TrainConfig(), tmp_path / "material")
