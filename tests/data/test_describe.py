from __future__ import annotations

import builtins
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.data import Dataset, DatasetWriter
from audotics.data.describe import MACHINE_PLAYS_PER_DAY, describe, gini
from audotics.data.describe_page import write_html
from audotics.data.manifest import Counts
from audotics.data.schema import REJECTS
from audotics.errors import BadInputError

START = datetime(2024, 1, 1, 9, 30, tzinfo=UTC)


def _dataset(
    path: Path, events: dict[str, object], tracks: dict[str, object] | None = None, rejected: int = 0
) -> Dataset:
    with DatasetWriter(path / "listening <log>", source="a test") as writer:
        writer.add_events(pl.DataFrame(events, strict=False))
        if tracks is not None:
            writer.set_table("tracks", pl.DataFrame(tracks, schema_overrides={"feature_x": pl.Float32}))
        refused = {"file": "f", "line": 1, "column": "c", "value": "v", "reason": "r"}
        writer.add_rejects(pl.DataFrame([refused] * rejected, schema=REJECTS))
        n_events = len(events["user_id"])  # type: ignore[arg-type]
        counts = Counts(read=n_events + rejected, accepted=n_events, rejected=rejected)
        return writer.commit({"events": counts})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two listeners; tracks x (3 events), y (1), z (1, not in the catalogue) and c (cold)."""
    return _dataset(
        tmp_path,
        {
            "user_id": ["a", "a", "a", "b", "b"],
            "track_id": ["x", "x", "y", "x", "z"],
            "timestamp": [START + timedelta(days=day) for day in (0, 0, 1, 1, 3)],
            "event": ["play", "skip", "play", "play", "like"],
        },
        {
            "track_id": ["x", "y", "c"],
            "title": ["X", None, "C"],
            "genres": [["rock"], [], None],
            "feature_x": [1.0, None, None],
        },
        rejected=2,
    )


def test_sizes_and_shape(dataset: Dataset) -> None:
    report = describe(dataset)
    assert (report.n_listeners, report.n_heard_tracks, report.n_tracks, report.n_pairs) == (2, 3, 4, 4)
    assert report.density == pytest.approx(4 / 6)
    assert report.event_kinds == {"play": 3, "skip": 1, "like": 1}
    assert report.events_per_listener.tolist() == [2, 3]
    assert report.events_per_track.tolist() == [1, 1, 3]
    assert report.popularity_gini == pytest.approx((2 * 1 * 1 - 4 + (2 * 2 - 4) * 1 + (6 - 4) * 3) / (3 * 5))
    assert report.time_range == (START, START + timedelta(days=3))
    assert report.events_per_day["events"].to_list() == [2, 2, 1]


def test_content_coverage_counts_empty_lists_as_unknown(dataset: Dataset) -> None:
    coverage = describe(dataset).content_coverage
    assert coverage == pytest.approx({"title": 2 / 3, "genres": 1 / 3, "1 features": 1 / 3})


def test_findings_name_what_will_hurt(dataset: Dataset) -> None:
    findings = "\n".join(describe(dataset).findings)
    assert "1 of 3 heard tracks are not in the catalogue" in findings
    assert "1 tracks of the catalogue have no events" in findings
    assert "2 of 2 listeners have fewer than 5 events" in findings
    assert "2 of 3 heard tracks have a single event" in findings
    assert "2 rows of the source were refused" in findings
    assert "No times" not in findings
    assert "midnight" not in findings


def test_data_without_times_and_catalogue(tmp_path: Path) -> None:
    report = describe(_dataset(tmp_path, {"user_id": ["a"], "track_id": ["x"]}))
    findings = "\n".join(report.findings)
    assert "No times" in findings
    assert "No catalogue" in findings
    assert report.time_range is None
    assert report.events_per_day.is_empty()
    assert dict(report.table())["times"] == "none"
    assert dict(report.table())["tracks with content"] == "none"


def test_days_instead_of_times_are_noticed(tmp_path: Path) -> None:
    midnight = START.replace(hour=0, minute=0)
    report = describe(_dataset(tmp_path, {"user_id": ["a"], "track_id": ["x"], "timestamp": [midnight]}))
    assert any("100% of the times are midnight" in finding for finding in report.findings)


def test_machines_are_noticed(tmp_path: Path) -> None:
    n = MACHINE_PLAYS_PER_DAY + 1
    users = ["shop"] * n + [f"u{i}" for i in range(30)]
    events = {
        "user_id": users,
        "track_id": [str(i) for i in range(len(users))],
        "timestamp": [START + timedelta(seconds=i) for i in range(len(users))],
    }
    findings = "\n".join(describe(_dataset(tmp_path, events)).findings)
    assert "1 listeners have a day with more than 800 events" in findings
    assert "One listener has 96% of all events" in findings


def test_an_empty_dataset_is_described_too(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "empty") as writer:
        report = describe(writer.commit())
    assert (report.n_listeners, report.density, report.popularity_gini) == (0, 0.0, 0.0)
    assert report.as_dict()["events_per_listener"] == {}
    write_html(report, tmp_path / "page.html")


def test_plain_values_for_programs(dataset: Dataset) -> None:
    plain = describe(dataset).as_dict()
    assert plain["events_per_listener"] == {
        **{"min": 2, "p10": 2, "p25": 2, "p50": 2},
        **{"p75": 3, "p90": 3, "p99": 3, "max": 3},
    }
    assert plain["counts"] == {
        "events": {"read": 7, "accepted": 5, "merged": 0, "rejected": 2, "left_out": 0}
    }
    assert plain["fingerprint"] == dataset.manifest.fingerprint


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([], 0.0),
        ([0, 0], 0.0),
        ([5], 0.0),
        ([2, 2, 2], 0.0),
        ([0, 0, 0, 8], 0.75),
        ([1, 3], 0.25),
        ([3, 1, 2], 2 / 9),
    ],
)
def test_gini_by_hand(counts: list[int], expected: float) -> None:
    assert gini(np.array(counts, dtype=np.int64)) == pytest.approx(expected)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40))
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    values = np.array(counts, dtype=np.int64)
    if values.sum() == 0:
        return
    differences = np.abs(values[:, None] - values[None, :]).mean()
    assert gini(values) == pytest.approx(differences / (2 * values.mean()))
    assert 0 <= gini(values) < 1


def test_the_page_stands_alone_and_escapes(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = tmp_path / "page.html"
    write_html(describe(dataset), page)
    text = page.read_text()
    assert "listening &lt;log&gt;" in text
    assert "<log>" not in text
    assert text.count("data:image/png;base64,") == 3
    assert "http://" not in text
    assert "https://" not in text
    assert "a single event" in text


def test_the_page_does_without_plots(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def no_matplotlib(name: str, *args: object, **more: object) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    write_html(describe(dataset), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "<img" not in text
    assert "popularity Gini" in text


def test_a_page_that_cannot_be_written_is_bad_input(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot write the page"):
        write_html(describe(dataset), tmp_path / "nowhere" / "page.html")
