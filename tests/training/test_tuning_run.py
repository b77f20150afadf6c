from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.errors import BadInputError
from audotics.retrieval.names import RETRIEVER_NAMES, new_retriever, retriever_class
from audotics.retrieval.protocol import Choice
from audotics.telemetry import Progress
from audotics.training.config import TrainConfig, read_config
from audotics.training.pipeline import Trained
from audotics.training.tuning import Trial
from audotics.training.tuning_history import TuningHistory
from audotics.training.tuning_run import TunedRetriever, TuningResult, TuningRun
from contract.planted import planted_events

QUICK = TrainConfig(retrievers=("item-knn", "rp3beta"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tuning.jsonl"


def run(
    dataset: Dataset,
    file: Path,
    n_trials: int,
    *names: str,
    config: TrainConfig = QUICK,
    seconds: float = 60,
    progress: Progress | None = None,
) -> TuningResult:
    return TuningRun(config, TuningHistory(file), names, progress).run(dataset, n_trials, seconds)


def test_every_trial_is_kept_and_the_next_run_goes_on(dataset: Dataset, file: Path) -> None:
    first = run(dataset, file, 2)
    assert (first.n_new, [tuned.n_trials for tuned in first.retrievers]) == (4, [2, 2])
    second = run(dataset, file, 3)
    assert (second.n_new, [tuned.n_trials for tuned in second.retrievers]) == (6, [5, 5])
    kept = TuningHistory(file).trials(second.basis)
    for name in ("item-knn", "rp3beta"):
        settings = [trial.settings for trial in kept[name]]
        assert len(settings) == 5
        assert all(one not in settings[:number] for number, one in enumerate(settings))


def test_no_new_trials_tell_what_the_history_says(dataset: Dataset, file: Path) -> None:
    before = run(dataset, file, 3)
    content = file.read_bytes()
    after = run(dataset, file, 0)
    assert after == replace(before, n_new=0)
    assert file.read_bytes() == content


def test_all_take_turns(dataset: Dataset, file: Path) -> None:
    progress = Progress()
    run(dataset, file, 2, "rp3beta", "item-knn", "rp3beta", progress=progress)
    lines = [line for line in file.read_text().splitlines() if '"retriever"' in line]
    assert [json.loads(line)["retriever"] for line in lines] == ["rp3beta", "item-knn"] * 2
    turns = [(record.name, record.done) for record in progress.records]
    assert turns == [("read and hide", 0), ("turn 1 of 2", 2), ("turn 2 of 2", 2)]


def test_the_time_box_leaves_each_its_defaults(dataset: Dataset, file: Path) -> None:
    none = run(dataset, file, 50, seconds=0)
    assert [tuned.n_trials for tuned in none.retrievers] == [1, 1]
    assert run(dataset, file, 50, seconds=0).n_new == 0
    assert all(tuned.best is tuned.defaults and not tuned.best.gains for tuned in none.retrievers)


def test_a_space_is_searched_to_its_end_and_no_further(
    dataset: Dataset, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retriever_class("rp3beta"), "space", {"n_neighbours": Choice((100, 200))})
    assert [tuned.n_trials for tuned in run(dataset, file, 5, "rp3beta").retrievers] == [2]


def test_it_judges_as_training_does(dataset: Dataset, trained: Trained, file: Path) -> None:
    names = tuple(trained.trials)
    tuned = run(dataset, file, 1, config=trained.config)
    assert {one.name: one.defaults.ndcg for one in tuned.retrievers} == {
        name: trained.trials[name][0].ndcg for name in names
    }
    assert tuned.basis.holdout == trained.holdout


def test_what_the_settings_fix_is_searched_only_if_named(dataset: Dataset, file: Path) -> None:
    fixed = QUICK.model_copy(update={"settings": {"rp3beta": {"alpha": 0.9}}})
    assert [tuned.name for tuned in run(dataset, file, 1, config=fixed).retrievers] == ["item-knn"]
    named = run(dataset, file, 1, "rp3beta", config=fixed)
    assert [tuned.name for tuned in named.retrievers] == ["item-knn", "rp3beta"]
    # What is fixed stays so unless it is named, whatever the history holds.
    assert [tuned.name for tuned in run(dataset, file, 0, config=fixed).retrievers] == ["item-knn"]
    everything = fixed.model_copy(update={"settings": {"rp3beta": {}, "item-knn": {}}})
    with pytest.raises(BadInputError, match="settings: these fix every retriever"):
        run(dataset, file, 1, config=everything)


def test_other_data_and_other_splits_stay_apart(dataset: Dataset, file: Path, tmp_path: Path) -> None:
    run(dataset, file, 2, "rp3beta")
    with DatasetWriter(tmp_path / "other", source="planted") as writer:
        writer.add_events(planted_events(seed=1))
        other = writer.commit()
    assert run(other, file, 1, "rp3beta").retrievers[0].n_trials == 1
    for changed in ({"seed": 1}, {"include_heard": True}, {"hide_from": 20}, {"tune_listeners": 20}):
        result = run(dataset, file, 1, "rp3beta", config=QUICK.model_copy(update=changed))
        assert result.retrievers[0].n_trials == 1
    again = run(dataset, file, 0)
    assert (again.retrievers[0].n_trials, again.n_others) == (2, 5)


def test_what_cannot_be_searched_is_refused(dataset: Dataset, file: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is no retriever 'als'"):
        run(dataset, file, 1, "als")
    with pytest.raises(
        BadInputError, match=r"--retriever: training would not use transitions: .* It would use item"
    ):
        run(dataset, file, 1, "transitions")
    with DatasetWriter(tmp_path / "tiny", source="planted") as writer:
        writer.add_events(planted_events(n_users=5))
        tiny = writer.commit()
    with pytest.raises(BadInputError, match="only 5 listeners have tracks that can be held out"):
        run(tiny, file, 1)
    assert not file.exists()


def tuned(name: str, lead: float, error: float, settings: dict[str, object]) -> TunedRetriever:
    defaults = Trial({"alpha": 0.5, "half_life": None}, 0.2, 0.1, 0.0, 0.0)
    return TunedRetriever(name, defaults, Trial(settings, 0.2 + lead, 0.1, lead, error), 5)


def test_only_what_gains_more_than_a_standard_error_is_taken() -> None:
    settings: dict[str, object] = {"alpha": 0.9, "half_life": 30.0}
    better, noise = tuned("rp3beta", 0.003, 0.002, settings), tuned("rp3beta", 0.002, 0.003, settings)
    assert (better.best.gains, better.settings) == (True, settings)
    assert (noise.best.gains, noise.settings) == (False, noise.defaults.settings)


def test_the_settings_are_written_for_training(dataset: Dataset, file: Path, tmp_path: Path) -> None:
    fixed = ["settings.ials.rank=16", "settings.rp3beta.alpha=0.9"]
    given = read_config(None, ["seed=3", "deep.n_experts=3", *fixed])
    basis = run(dataset, file, 1, "rp3beta").basis
    found = [
        tuned("rp3beta", 0.003, 0.002, {"alpha": 0.7, "half_life": None}),
        tuned("item-knn", 0.0, 0.0, {"weighting": "cosine"}),
    ]
    found[1] = replace(found[1], defaults=found[1].best)
    written = tmp_path / "tuned.toml"
    written.write_text(TuningResult(basis, found, 1, 0).config_text(given))
    assert tomllib.loads(written.read_text()) == {
        "seed": 3,
        "deep": {"n_experts": 3},
        "settings": {"ials": {"rank": 16}, "rp3beta": {"alpha": 0.7}, "item-knn": {"weighting": "cosine"}},
    }
    assert read_config(written, []).settings["rp3beta"] == {"alpha": 0.7}


@pytest.mark.parametrize("name", RETRIEVER_NAMES)
def test_settings_that_toml_cannot_express_are_defaults(name: str) -> None:
    # A value None is not written, so that it must be what is taken where nothing is.
    defaults = new_retriever(name, {}).config.model_dump()
    for setting, where in retriever_class(name).space.items():
        assert not isinstance(where, Choice) or None not in where.values or defaults[setting] is None


def test_defaults_that_the_history_lost_are_tried_again(dataset: Dataset, file: Path) -> None:
    whole = run(dataset, file, 3, "rp3beta")
    header, _, *others = file.read_text().splitlines(keepends=True)
    file.write_text("".join([header, *others]))
    assert run(dataset, file, 0, "rp3beta").retrievers == []
    # They are tried even where there is no time for a search.
    again = run(dataset, file, 5, "rp3beta", seconds=0)
    assert again.n_new == 1
    assert again.retrievers[0].defaults.ndcg == whole.retrievers[0].defaults.ndcg
