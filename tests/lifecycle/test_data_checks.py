from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.dataset import Dataset
from audotics.lifecycle.column_checks import check_columns, stability_index
from audotics.lifecycle.data_checks import DataLimits, Finding, Severity, check, refusals
from audotics.simulation import poison
from contract.planted import planted_events, planted_tracks, planted_users
from contract.simulated_logs import SimulatedLog, simulated_log, write

LOG = simulated_log()
DAY = LOG.new_from + timedelta(days=1)
"""The newest day; the one before it is new, too."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return LOG.base(tmp_path_factory.mktemp("log") / "base")


@pytest.fixture
def checked(base: Dataset, tmp_path: Path) -> Callable[..., list[Finding]]:
    def checked(log: SimulatedLog, **settings: object) -> list[Finding]:
        return check(log.whole(tmp_path / "whole"), base, **settings)

    return checked


@pytest.mark.parametrize("seed", range(6))
def test_clean_days_are_not_refused(seed: int, tmp_path: Path) -> None:
    log = simulated_log(seed)
    findings = check(log.whole(tmp_path / "whole"), log.base(tmp_path / "base"))
    assert refusals(findings) == []


POISON: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "bot_listeners": partial(poison.busy_bots, day=DAY),
    "copied_days": partial(poison.copied_listeners, day=DAY),
    "track_share": partial(poison.pushed_track, day=DAY),
    "unknown_tracks": partial(poison.unknown_tracks, day=DAY),
    "future_events": partial(poison.future_events, day=DAY),
    "duplicate_burst": partial(poison.repeated, day=DAY),
    "truncated_log": partial(poison.truncated, after=DAY + timedelta(hours=12)),
    "event_nulls": partial(poison.without_values, day=LOG.new_from, column="device"),
}


@pytest.mark.parametrize("name", POISON)
def test_a_poisoned_day_gives_exactly_its_finding(name: str, checked) -> None:
    found = refusals(checked(LOG.with_events(POISON[name])))
    assert [finding.name for finding in found] == [name]
    assert found[0].value != found[0].limit


def test_a_log_of_skips_alone_is_refused(checked) -> None:
    both_days = LOG.with_events(lambda events: poison.only_skips(events, LOG.new_from))
    both_days = both_days.with_events(lambda events: poison.only_skips(events, DAY))
    assert [finding.name for finding in refusals(checked(both_days))] == ["positive_share"]


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("null", "column_nulls"),
        ("nan", "column_nulls"),
        ("constant", "column_constant"),
        ("scaled", "column_magnitude"),
        ("shuffled", "column_distribution"),
        ("missing", "column_missing"),
    ],
)
def test_a_broken_feature_column_gives_exactly_its_finding(fault: str, name: str, checked) -> None:
    broken = LOG.with_tracks(lambda tracks: poison.broken_column(tracks, "feature_tempo", fault))
    (found,) = refusals(checked(broken))
    assert found.name == name
    assert "tracks.feature_tempo" in found.what


def test_the_reasons_are_words_with_figures(checked) -> None:
    (found,) = refusals(checked(LOG.with_events(POISON["bot_listeners"])))
    assert "3 listeners with more than" in found.what and "% of a day's events" in found.what
    (found,) = refusals(checked(LOG.with_events(POISON["truncated_log"])))
    assert f"{DAY:%A}, {DAY:%Y-%m-%d} has" in found.what


def test_lost_hours_inside_a_day_are_found(checked) -> None:
    evening = LOG.new_from + timedelta(hours=17)
    outage = LOG.with_events(lambda events: poison.truncated(events, evening, evening + timedelta(hours=4)))
    (found,) = refusals(checked(outage))
    assert found.name == "truncated_log"
    assert f"the 3 hours from {evening:%Y-%m-%d %H}" in found.what
    assert found.value < found.limit == 0.2


def test_a_day_that_is_not_over_is_not_expected_to_be_whole(checked) -> None:
    noon = DAY + timedelta(hours=12)
    log = LOG.with_events(lambda events: poison.truncated(events, noon))
    assert refusals(checked(log, gathered_at=noon)) == []
    (found,) = refusals(checked(log, gathered_at=noon + timedelta(hours=12)))
    assert found.name == "truncated_log"


def test_whole_days_that_are_missing_are_found_where_they_are_expected(
    checked,
) -> None:
    log = LOG.with_events(lambda events: poison.truncated(events, DAY))
    assert refusals(checked(log)) == []
    (found,) = refusals(checked(log, gathered_at=DAY + timedelta(days=1)))
    assert found.name == "truncated_log" and f"{DAY:%A}, {DAY:%Y-%m-%d} has" in found.what


def test_one_wrong_clock_is_a_warning(checked) -> None:
    def one_ahead(events: pl.DataFrame) -> pl.DataFrame:
        last = events["timestamp"] == events["timestamp"].max()
        ahead = pl.when(last).then(pl.col("timestamp").dt.offset_by("100y")).otherwise(pl.col("timestamp"))
        return events.with_columns(ahead)

    (found,) = checked(LOG.with_events(one_ahead))
    assert (found.name, found.severity) == ("future_events", Severity.WARN)
    assert not found.refuses


def test_what_nothing_learns_from_only_warns(checked) -> None:
    log = LOG.with_events(lambda events: poison.without_values(events, LOG.new_from, "session_id"))
    (found,) = checked(log)
    assert (found.name, found.severity) == ("event_nulls", Severity.WARN)


def test_refusals_come_first(checked) -> None:
    log = LOG.with_events(lambda events: poison.without_values(events, LOG.new_from, "session_id"))
    log = log.with_tracks(lambda tracks: poison.broken_column(tracks, "feature_energy", "null"))
    assert [finding.refuses for finding in checked(log)] == [True, False]


def test_limits_can_be_widened(checked) -> None:
    log = LOG.with_events(POISON["bot_listeners"])
    assert refusals(checked(log, limits=DataLimits(bot_share=1.0, copied_share=1.0))) == []


def test_the_same_data_again_has_nothing_new(base: Dataset) -> None:
    assert check(base, base) == []


def test_data_without_times_is_checked_by_its_tables_alone(tmp_path: Path) -> None:
    events, tracks, users = planted_events(), planted_tracks(), planted_users()
    described = tracks.with_columns(feature_tempo=pl.int_range(90).cast(pl.Float32))
    old = write(tmp_path / "old", events, described, users)
    assert check(write(tmp_path / "same", events, described, users), old) == []
    frozen = poison.broken_column(described, "feature_tempo", "constant")
    (found,) = check(write(tmp_path / "new", events, frozen, users), old)
    assert found.name == "column_constant"


def test_a_clean_release_day_may_differ_but_not_be_frozen() -> None:
    rng = np.random.default_rng(0)
    old = tracks_with("feature_energy", rng.normal(0.5, 0.1, 400), "old")
    release = tracks_with("feature_energy", rng.normal(0.7, 0.1, 60), "new")
    assert check_columns("tracks", pl.concat([old, release]), old, DataLimits()) == []
    frozen = tracks_with("feature_energy", np.full(60, 0.5), "new")
    (found,) = check_columns("tracks", pl.concat([old, frozen]), old, DataLimits())
    assert (found.name, found.severity) == ("column_constant", Severity.REFUSE)
    assert "of new rows" in found.what
    empty = tracks_with("feature_energy", np.full(60, np.nan), "new")
    (found,) = check_columns("tracks", pl.concat([old, empty]), old, DataLimits())
    assert (found.name, found.severity) == ("column_nulls", Severity.WARN)


def test_embeddings_are_judged_by_their_length() -> None:
    rng = np.random.default_rng(0)
    old = embedded(rng.normal(size=(100, 8)))
    assert check_columns("tracks", embedded(rng.normal(size=(100, 8))), old, DataLimits()) == []
    (found,) = check_columns("tracks", embedded(np.zeros((100, 8))), old, DataLimits())
    assert found.name == "column_constant" and "tracks.embedding" in found.what


def test_few_rows_say_nothing() -> None:
    few = tracks_with("feature_energy", np.arange(10.0), "t")
    assert check_columns("tracks", few.with_columns(feature_energy=pl.lit(0.0)), few, DataLimits()) == []


def test_the_stability_index_of_hand_worked_shares() -> None:
    usual = np.repeat([0.0, 1.0], 50)
    # Half of the usual zeros have become ones: (.25 - .5) ln(.25 / .5) + (.75 - .5) ln(.75 / .5)
    moved = np.repeat([0.0, 1.0], [25, 75])
    expected = -0.25 * np.log(0.5) + 0.25 * np.log(1.5)
    assert stability_index(moved, usual) == pytest.approx(expected)
    assert stability_index(usual, usual) == 0.0
    assert stability_index(np.array([np.nan]), usual) == 0.0


def test_findings_are_values() -> None:
    found = Finding("bot_listeners", Severity.REFUSE, "what", 1.0, 0.5)
    assert found == Finding("bot_listeners", Severity.REFUSE, "what", 1.0, 0.5)
    assert f"{found.severity}" == "refuse"
    with pytest.raises(AttributeError):
        found.value = 2.0  # type: ignore[misc]


def tracks_with(column: str, values: np.ndarray, prefix: str) -> pl.DataFrame:
    ids = [f"{prefix}{number}" for number in range(len(values))]
    return pl.DataFrame({"track_id": ids, "duration_ms": np.arange(len(ids)) + 1000, column: values})


def embedded(vectors: np.ndarray) -> pl.DataFrame:
    ids = [f"t{number}" for number in range(len(vectors))]
    return pl.DataFrame({"track_id": ids, "embedding": vectors.tolist()})


def test_the_default_end_of_a_log_is_never_later_than_its_writing(base: Dataset, tmp_path: Path) -> None:
    """A log written at noon of its newest day: the afternoon is not missing, it has not come yet."""
    now = datetime.now(UTC)
    start = now - timedelta(days=22)
    shifted = LOG.with_events(
        lambda events: events.with_columns(pl.col("timestamp") + (now - DAY - timedelta(hours=12))).filter(
            pl.col("timestamp") <= now
        )
    )
    before = shifted.events.filter(pl.col("timestamp") < now - timedelta(days=1.5))
    old = write(tmp_path / "old", before, LOG.tracks, LOG.users)
    assert shifted.events["timestamp"].min() < start
    assert refusals(check(shifted.whole(tmp_path / "new"), old)) == []
