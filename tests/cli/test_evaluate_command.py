"""`audotics evaluate` for its users."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from audotics.evaluation import EvaluationReport
from audotics.evaluation.baselines import OWN_MOST_PLAYED
from audotics.evaluation.report import Task
from contract.workplace import Audotics, Workplace

STRANGERS = "is known to the model; are their ids those of the training?"


def test_without_a_test_the_held_out_part_is_shown(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    told = audotics("evaluate", workplace.dataset, "--models", workplace.models)
    assert (told.code, told.err) == (0, "")
    titles = ("Systems", "New tracks", "audotics for new listeners", "audotics against the baselines")
    for title in (*titles, "audotics at every cutoff", "New listeners: NDCG@20 of every system"):
        assert f"\n{title}\n" in told.out
    assert max(map(len, told.out.splitlines())) <= 80
    assert "…" not in told.out


def test_training_and_evaluation_tell_the_same(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics("evaluate", workplace.dataset, "--models", workplace.models)
    row = next(line for line in workplace.train_output.splitlines() if line.startswith("audotics "))
    assert row in told.out.splitlines()


def test_a_test_is_measured_beside_baselines_and_written(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    report_file, page = tmp_path / "report.json", tmp_path / "report.html"
    told = audotics(
        *("evaluate", workplace.dataset, "--models", workplace.models, "--test", workplace.test),
        *("--baselines", "--json", report_file, "--html", page, "--quiet"),
    )
    assert (told.code, told.err) == (0, "")
    report = EvaluationReport.from_json(report_file)
    assert [system.name for system in report.systems] == ["audotics", "item-knn", "rp3beta", "popularity"]
    assert (report.test.n_listeners, report.test.n_pairs) == (90, 270)
    assert f"{report.reference.metrics['ndcg@20'].mean:.4f}" in told.out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {file.name for file in tmp_path.iterdir()} == {"report.json", "report.html"}


def test_heard_tracks_count_when_asked(audotics: Audotics, workplace: Workplace, tmp_path: Path) -> None:
    test = workplace.dataset.parent / "plays.csv"
    asked = ("evaluate", workplace.dataset, "--models", workplace.models, "--test", test, "--quiet")
    told = audotics(*asked)
    assert told.code == 2
    assert "nothing is left to evaluate on" in told.err
    told = audotics(*asked, "--include-heard", "--json", tmp_path / "report.json")
    assert told.code == 0
    assert told.out.startswith("Task: mix ")
    report = EvaluationReport.from_json(tmp_path / "report.json")
    assert report.test.task is Task.MIX
    assert report.test.n_pairs == 90 * 12
    assert [system.name for system in report.systems] == ["audotics", OWN_MOST_PLAYED]
    assert audotics(*asked, "--mode", "mix").out.splitlines()[0] == told.out.splitlines()[0]


def test_familiar_asks_for_heard_tracks_alone(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    test, report_file = tmp_path / "test.csv", tmp_path / "report.json"
    plays = [pl.read_csv(file).select("user_id", "track_id") for file in _tests_of(workplace)]
    pl.concat(plays).write_csv(test)
    told = audotics(
        *("evaluate", workplace.dataset, "--models", workplace.models, "--test", test, "--quiet"),
        *("--mode", "familiar", "--baselines", "--json", report_file),
    )
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("Task: familiar ")
    report = EvaluationReport.from_json(report_file)
    assert (report.test.n_pairs, report.test.n_unheard_dropped) == (90 * 12, 270)
    assert report.systems[-1].name == OWN_MOST_PLAYED
    for system in report.systems:
        # Everything that was heard is an answer, and nothing else may be shown.
        assert system.metrics["recall@20"].mean == system.catalogue["repeat_share@20"] == 1
    assert report.newcomers == ()


def _tests_of(workplace: Workplace) -> tuple[Path, Path]:
    """What was heard, and what was not."""
    return workplace.dataset.parent / "plays.csv", workplace.test


def test_without_repeats_nothing_is_familiar(audotics: Audotics, workplace: Workplace) -> None:
    asked = ("evaluate", workplace.dataset, "--models", workplace.models, "--test", workplace.test)
    told = audotics(*asked, "--quiet", "--mode", "familiar")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("error: test: no listener of the test comes back to a track")
    told = audotics(*asked, "--mode", "familiar", "--include-heard")
    assert told.code == 2
    assert "contradict each other" in told.err


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ("stranger,t001", f"note: no listener of the test {STRANGERS}\n"),
        ("u001,elsewhere", f"note: no track of the test {STRANGERS}\n"),
    ],
)
def test_a_test_of_strangers_is_measured_and_noted(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, row: str, note: str
) -> None:
    test = tmp_path / "test.csv"
    test.write_text(f"user_id,track_id\n{row}\n")
    told = audotics("evaluate", workplace.dataset, "--models", workplace.models, "--test", test, "--quiet")
    assert (told.code, told.err) == (0, note)


def test_another_dataset_is_refused(audotics: Audotics, workplace: Workplace, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert audotics("import", workplace.test, "--out", other, "--quiet").code == 0
    for given in ([], ["--test", workplace.test]):
        told = audotics("evaluate", other, "--models", workplace.models, *given)
        assert (told.code, told.out) == (2, "")
        assert told.err.startswith(f"error: {other}: this is not the Dataset that the version was trained on")


@pytest.mark.parametrize(
    "option", [("--include-heard",), ("--mode", "mix"), ("--baselines",), ("--map", "user_id=account")]
)
def test_options_of_a_test_are_refused_without_one(
    audotics: Audotics, workplace: Workplace, option: tuple[str, ...]
) -> None:
    told = audotics("evaluate", workplace.dataset, "--models", workplace.models, *option)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"error: {option[0]}: ")
    assert "or give --test FILE" in told.err


def untimed(text: str) -> str:
    """Without how long answering took, which is never the same."""
    return re.sub(r"\d+\.\d s\b", "", text)


def test_columns_of_a_test_may_have_other_names(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    test = tmp_path / "test.csv"
    pl.read_csv(workplace.test).rename({"user_id": "account", "track_id": "song"}).write_csv(test)
    asked = ("evaluate", workplace.dataset, "--models", workplace.models, "--quiet", "--test")
    mapped = audotics(*asked, test, "--map", "user_id=account", "--map", "track_id=song")
    assert (mapped.code, mapped.err) == (0, "")
    assert untimed(mapped.out) == untimed(audotics(*asked, workplace.test).out)
    told = audotics(*asked, test, "--map", "account")
    assert (told.code, told.out) == (2, "")
    assert "'account' is no column mapping" in told.err


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    audotics: Audotics, tmp_path: Path, option: str
) -> None:
    for target, what in ((tmp_path / "missing" / "r", "does not exist"), (tmp_path, "this is a folder")):
        told = audotics("evaluate", tmp_path / "none", "--models", tmp_path / "none", option, target)
        assert (told.code, told.out) == (2, "")
        assert what in told.err


def test_an_interruption_leaves_the_old_report(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "report.json"
    file.write_text("old")

    def interrupted(report: EvaluationReport, path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(EvaluationReport, "to_json", interrupted)
    told = audotics("evaluate", workplace.dataset, "--models", workplace.models, "--json", file)
    assert (told.code, told.err) == (130, "interrupted: unfinished work was dropped\n")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "is empty"), (b"\x00\x01\x02" * 50, "binary data"), (None, "no such file")]
)
def test_a_test_that_cannot_be_read_is_refused(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, content: bytes | None, what: str
) -> None:
    test = tmp_path / "test.csv"
    if content is not None:
        test.write_bytes(content)
    told = audotics("evaluate", workplace.dataset, "--models", workplace.models, "--test", test)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"error: {test}: ")
    assert what in told.err
    assert len(told.err.splitlines()) == 1
