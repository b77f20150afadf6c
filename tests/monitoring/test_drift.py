"""Planted drift is found and told by its name; listening that has not changed stays steady."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from audotics.data.listening import BAND, HOUR, KNOWN_LISTENER, WEEKDAY
from audotics.journal.exposure_frames import COLUMNS
from audotics.monitoring.drift import drift_report
from audotics.monitoring.reference import Reference
from audotics.monitoring.report import DriftReport
from audotics.monitoring.scores import SCORES
from audotics.monitoring.verdicts import Verdict, worst

NOTHING_SHOWN = pl.DataFrame(schema=COLUMNS)


def by_name(report):
    return {one.name: one for one in report.quantities}


def answers(shift=0.0, n=400, version="v1", seed=0, rung="personalised"):
    """Answers whose scores in the later half lie ``shift`` deviations off."""
    rng = np.random.default_rng(seed)
    start = pl.datetime(2026, 5, 4, time_zone="UTC")
    later = np.arange(n) >= n // 2
    scores = rng.normal(size=(n, 12)) + shift * later[:, None]
    frame = pl.DataFrame({"n": np.arange(n), "scores": scores.astype(np.float32)}).select(
        request_id="r" + pl.col("n").cast(pl.String),
        user_id="u" + (pl.col("n") % 150).cast(pl.String),
        timestamp=start + pl.duration(minutes=pl.col("n")),
        track_ids=pl.lit(["t"] * 12),
        scores=pl.col("scores").arr.to_list(),
        propensities=pl.lit([1.0] * 12),
        model_version=pl.lit(version),
        variant=pl.lit(""),
        rung=pl.lit(rung),
    )
    return frame.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())


def test_listening_that_has_not_changed_is_steady(world, reference):
    report = drift_report(reference, world.after, answers())
    assert report.verdict is Verdict.STEADY, report.reasons
    assert report.reasons == ()
    assert report.n_events == world.after.height
    assert report.n_exposures == 400
    assert {one.verdict for one in report.quantities} == {Verdict.STEADY}
    assert len(report.quantities) > 20
    assert DriftReport.model_validate_json(report.model_dump_json()) == report


def test_a_tenth_of_the_listeners_does_not_alarm_either(world, reference):
    """The index is then large by chance alone, and its test knows that."""
    few = world.after.filter(pl.col("user_id").hash(1) % 6 == 0)
    report = drift_report(reference, few, NOTHING_SHOWN)
    assert by_name(report)["context:country"].psi > 0.1
    assert report.verdict is Verdict.STEADY


def moved_to_the_car(world):
    some = pl.col("user_id").hash(2) % 2 == 0
    return world.after.with_columns(device=pl.when(some).then(pl.lit("car")).otherwise("device"))


def from_elsewhere(world):
    some = pl.col("user_id").hash(3) % 2 == 0
    return world.after.with_columns(country=pl.when(some).then(pl.lit("ZZ")).otherwise("country"))


def at_night(world):
    return world.after.with_columns(timestamp=pl.col("timestamp").dt.truncate("1d") + pl.duration(hours=3))


def only_skips(world):
    some = pl.int_range(pl.len()) % 2 == 0
    return world.after.with_columns(event=pl.when(some).then(pl.lit("skip")).otherwise("event"))


def new_listeners(world):
    some = pl.col("user_id").hash(4) % 2 == 0
    return world.after.with_columns(
        user_id=pl.when(some).then("new-" + pl.col("user_id")).otherwise("user_id")
    )


def new_tracks(world):
    some = pl.int_range(pl.len()) % 3 == 0
    return world.after.with_columns(
        track_id=pl.when(some).then("new-" + pl.col("track_id")).otherwise("track_id")
    )


def one_genre(world):
    jazz = world.tracks.filter(pl.col("genres").list.first() == "jazz")["track_id"]
    drawn = jazz.sample(world.after.height, with_replacement=True, seed=1)
    some = pl.int_range(pl.len()) % 2 == 0
    return world.after.with_columns(track_id=pl.when(some).then(drawn).otherwise("track_id"))


def without_devices(world):
    return world.after.with_columns(device=pl.lit(None, pl.String))


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (moved_to_the_car, "context:device"),
        (from_elsewhere, "context:country"),
        (at_night, HOUR),
        (only_skips, "listening:event"),
        (new_listeners, KNOWN_LISTENER),
        (new_tracks, BAND),
        (one_genre, "track:genre"),
        (without_devices, "context:device"),
    ],
)
def test_planted_drift_is_found_by_its_name(world, reference, plant, name):
    report = drift_report(reference, plant(world), NOTHING_SHOWN)
    assert by_name(report)[name].verdict is Verdict.ALARM
    assert by_name(report)[name].psi > 0.25
    assert report.verdict is Verdict.ALARM
    assert any(reason.startswith(f"{name} is alarm") for reason in report.reasons)
    assert report.quantities[0].verdict is Verdict.ALARM


def test_other_quantities_stay_steady(world, reference):
    found = by_name(drift_report(reference, moved_to_the_car(world), NOTHING_SHOWN))
    assert [name for name, one in found.items() if one.verdict.level > 0] == ["context:device"]
    assert "car" in found["context:device"].note


def test_other_tracks_lead(world, reference):
    counts = world.after["track_id"].value_counts(sort=True)["track_id"]
    turned = dict(zip(counts, counts.reverse(), strict=True))
    swapped = world.after.with_columns(pl.col("track_id").replace(turned))
    found = by_name(drift_report(reference, swapped, NOTHING_SHOWN))
    assert found["popularity:leaders"].verdict is Verdict.ALARM
    assert found["popularity:leaders"].now > 0.9
    assert found["popularity:gini"].verdict is Verdict.STEADY  # as unequal as before, by other tracks


def test_listening_gathers_on_a_few_tracks(world, reference):
    hits = world.after["track_id"].unique().sort()[:3]
    some = pl.int_range(pl.len()) % 2 == 0
    drawn = hits.sample(world.after.height, with_replacement=True, seed=0)
    gathered = world.after.with_columns(track_id=pl.when(some).then(drawn).otherwise("track_id"))
    found = by_name(drift_report(reference, gathered, NOTHING_SHOWN))
    assert found["popularity:gini"].now > found["popularity:gini"].then
    assert found["popularity:gini"].verdict.level > 0


def test_scores_are_held_against_the_versions_own_beginning(reference):
    nothing_heard = pl.DataFrame(schema={"user_id": pl.String, "timestamp": pl.Datetime("us", "UTC")})
    steady = drift_report(reference, nothing_heard, answers())
    assert by_name(steady)[SCORES].verdict is Verdict.STEADY
    moved = by_name(drift_report(reference, nothing_heard, answers(shift=1.0)))[SCORES]
    assert moved.verdict is Verdict.ALARM
    assert moved.ks > 0.3
    for unusable in (answers(n=20), answers(version="v0"), answers(rung="popular")):
        found = drift_report(reference, nothing_heard, unusable)
        assert by_name(found)[SCORES].verdict is Verdict.UNKNOWN
        assert found.verdict is Verdict.UNKNOWN


def test_hours_need_a_day_and_weekdays_a_week(world, reference):
    start = world.after["timestamp"].min()
    half = world.after.filter(pl.col("timestamp") < start + timedelta(hours=12))
    found = by_name(drift_report(reference, half, NOTHING_SHOWN))
    assert found[HOUR].verdict is found[WEEKDAY].verdict is Verdict.UNKNOWN
    assert "whole days" in found[HOUR].note
    days = world.after.filter(pl.col("timestamp") < start + timedelta(days=3))
    found = by_name(drift_report(reference, days, NOTHING_SHOWN))
    assert found[HOUR].verdict is Verdict.STEADY
    assert "whole weeks" in found[WEEKDAY].note


def test_too_little_is_not_judged(world, reference):
    few = world.after.filter(pl.col("user_id").is_in(world.after["user_id"].unique().sort()[:5].implode()))
    report = drift_report(reference, few.head(150), NOTHING_SHOWN)
    assert report.verdict is Verdict.UNKNOWN
    assert "too few" in by_name(report)["context:device"].note


def test_a_version_without_a_reference_says_so(world, reference):
    bare = Reference("v9", None, world.tracks, reference.known)
    report = drift_report(bare, world.after, NOTHING_SHOWN)
    assert report.verdict is Verdict.UNKNOWN
    assert "v9 keeps no reference" in report.note


def test_the_most_urgent_verdict_counts():
    assert worst([]) is Verdict.UNKNOWN
    assert worst([Verdict.STEADY, Verdict.UNKNOWN]) is Verdict.STEADY
    assert worst([Verdict.ALARM, Verdict.SHIFTED]) is Verdict.ALARM
