"""What parent and child processes tell each other survives the files between them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.benchmark.jobs import JobFile, OwnJob, Trial, Trials, load_answers, save_answers
from audotics.evaluation.holdout import Holdout
from audotics.training.config import TrainConfig


def test_an_endless_time_box_is_a_setting_like_any_other():
    config = TrainConfig(tune_seconds=math.inf, rankers=("single", "mean"), settings={"ease": {}})
    job = OwnJob(
        dataset=Path("data"),
        settings=config.model_dump(),
        version=None,
        listeners=Path("listeners.parquet"),
        n_timed=3,
        tracks=Path("tracks.parquet"),
        k=100,
        include_heard=False,
    )
    found = JobFile.model_validate_json(JobFile(job=job).model_dump_json()).job
    assert isinstance(found, OwnJob)
    assert TrainConfig.model_validate(found.settings) == config


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_the_best_trial_is_the_first_with_the_highest_figure(values):
    trials = tuple(Trial(settings={"n": n}, ndcg=ndcg, seconds=1.0) for n, ndcg in enumerate(values))
    best = Trials(trials=trials, peak_memory_mib=1.0).best
    assert best.settings["n"] == int(np.argmax(values))


def test_answers_come_back_as_they_were(tmp_path):
    asked = np.array([4, 9], np.int32)
    answers = Holdout.from_pairs([0, 1, 1], [5, 2, 7], 2, 8)
    save_answers(tmp_path / "answers", asked, answers)
    found, holdout = load_answers(tmp_path / "answers", 8)
    np.testing.assert_array_equal(found, asked)
    np.testing.assert_array_equal(holdout.keys, answers.keys)
    with pytest.raises(FileExistsError):
        save_answers(tmp_path / "answers", asked, answers)
