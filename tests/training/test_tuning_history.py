from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.errors import BadInputError
from audotics.retrieval.item_knn import Weighting
from audotics.training.tuning import Trial
from audotics.training.tuning_history import TuningBasis, TuningHistory

BASIS = TuningBasis(
    dataset="3f2a",
    release="0.1.0",
    holdout="random 20% of each listener's tracks (seed 0)",
    seed=0,
    hide_from=5000,
    tune_listeners=1500,
    include_heard=False,
)
TRIALS = [
    Trial({"n_neighbours": 200, "alpha": 0.1 + 0.2, "half_life": None}, 0.1, 0.5, 0.0, 0.0),
    Trial({"n_neighbours": 100, "alpha": 1.5, "half_life": 10.0}, 0.12, 0.25, 0.02, 0.003),
    Trial({"n_neighbours": 500, "alpha": 1e-7, "half_life": None}, 0.08, 1 / 3, -0.02, 0.004),
]


def filled(path: Path) -> Path:
    history = TuningHistory(path)
    for trial in TRIALS:
        history.append(BASIS, "rp3beta", trial)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return filled(tmp_path / "tuning.jsonl")


def test_what_is_appended_is_read_again_exactly(file: Path) -> None:
    history = TuningHistory(file)
    assert history.trials(BASIS) == {"rp3beta": TRIALS}
    assert (history.unreadable, history.n_others(BASIS)) == ([], 0)


def test_every_line_says_what_it_rests_on(file: Path) -> None:
    header, *lines = map(json.loads, file.read_text().splitlines())
    assert header == {"format": "audotics-tuning-history", "schema_version": 1}
    for line in lines:
        assert line["basis"] == BASIS.model_dump()
        assert line["at"].endswith("Z")
        assert line["retriever"] == "rp3beta"


def test_named_values_are_kept_as_their_text(tmp_path: Path) -> None:
    history = TuningHistory(tmp_path / "tuning.jsonl")
    history.append(BASIS, "item-knn", Trial({"weighting": Weighting.COSINE}, 0.1, 0.5, 0.0, 0.0))
    kept = TuningHistory(history.path).trials(BASIS)["item-knn"][0].settings
    assert json.dumps(kept) == '{"weighting": "cosine"}'


def test_nothing_is_written_before_there_is_a_trial(tmp_path: Path) -> None:
    history = TuningHistory(tmp_path / "tuning.jsonl")
    assert history.trials(BASIS) == {}
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_becomes_a_history(tmp_path: Path) -> None:
    file = tmp_path / "tuning.jsonl"
    file.touch()
    assert TuningHistory(filled(file)).trials(BASIS) == {"rp3beta": TRIALS}


@given(st.data())
def test_a_kill_at_any_byte_costs_at_most_the_trial_being_written(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = filled(Path(folder) / "tuning.jsonl")
        whole = file.read_bytes()
        # The header is not written bit by bit: it appears with the file.
        cut = data.draw(st.integers(whole.index(b"\n") + 1, len(whole)))
        file.write_bytes(whole[:cut])
        # A line that lacks nothing but its end of line is whole.
        n_whole = sum(cut >= end - 1 for end in _ends(whole)[1:])
        history = TuningHistory(file)
        assert history.trials(BASIS).get("rp3beta", []) == TRIALS[:n_whole]
        for trial in TRIALS[n_whole:]:
            history.append(BASIS, "rp3beta", trial)
        assert TuningHistory(file).trials(BASIS) == {"rp3beta": TRIALS}


def _ends(content: bytes) -> list[int]:
    return [place + 1 for place, byte in enumerate(content) if byte == ord("\n")]


def test_a_line_cut_short_is_named_and_stays(file: Path) -> None:
    with file.open("a") as opened:
        opened.write('{"at":"2026-11-24T15:0')
    history = TuningHistory(file)
    assert history.unreadable == [5]
    history.append(BASIS, "popularity", TRIALS[0])
    again = TuningHistory(file)
    assert again.unreadable == [5]
    assert again.trials(BASIS) == {"rp3beta": TRIALS, "popularity": TRIALS[:1]}
    assert '{"at":"2026-11-24T15:0\n' in file.read_text()


@pytest.mark.parametrize(
    "changed",
    [{"dataset": "77aa"}, {"release": "0.2.0"}, {"holdout": "other"}, {"seed": 1}, {"include_heard": True}],
)
def test_trials_of_another_basis_are_counted_and_left_alone(file: Path, changed: dict[str, object]) -> None:
    other = BASIS.model_copy(update=changed)
    history = TuningHistory(file)
    assert (history.trials(other), history.n_others(other)) == ({}, 3)
    history.append(other, "rp3beta", TRIALS[0])
    again = TuningHistory(file)
    assert again.trials(other) == {"rp3beta": TRIALS[:1]}
    assert again.trials(BASIS) == {"rp3beta": TRIALS}
    assert (again.n_others(other), again.n_others(BASIS)) == (3, 1)


def test_of_equal_settings_the_first_trial_counts(file: Path) -> None:
    twice = Trial(dict(reversed(TRIALS[0].settings.items())), 0.3, 0.5, 0.2, 0.0)
    TuningHistory(file).append(BASIS, "rp3beta", twice)
    assert TuningHistory(file).trials(BASIS) == {"rp3beta": TRIALS}


@pytest.mark.parametrize(
    "content",
    [
        b"user_id,track_id\nanna,t-17\n",
        b"{}\n",
        b'{"user_id": "anna"}\n',
        b"[1, 2]\n",
        b"\xff\xfe\x00binary",
        b'{"format": "something-else", "schema_version": 1}\n',
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "plays.csv"
    file.write_bytes(content)
    with pytest.raises(BadInputError, match=r"plays\.csv: this is no tuning history\. Name another file"):
        TuningHistory(file)
    assert file.read_bytes() == content


def test_a_history_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tuning.jsonl"
    file.write_text('{"format": "audotics-tuning-history", "schema_version": 2}\n')
    with pytest.raises(BadInputError, match="has schema 2, this release reads 1"):
        TuningHistory(file)
