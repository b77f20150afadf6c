"""Rates with intervals that hold what they promise, lifts over the holdout, and days that drop."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from audotics.journal.outcomes import OUTCOMES
from audotics.monitoring.drops import FALSE_ALARMS, drops
from audotics.monitoring.quality import HOLDOUT, quality_report
from audotics.monitoring.rates import estimates, per_listener, rates
from audotics.monitoring.verdicts import Verdict

NOON = datetime(2026, 5, 18, 12, tzinfo=UTC)
WEEK_AGO = NOON - timedelta(days=7)


def table(**columns):
    """Tracks shown; what is not given is unremarkable."""
    listed = {name: values for name, values in columns.items() if isinstance(values, (list, np.ndarray))}
    n = max(len(values) for values in listed.values())
    defaults = {
        "request_id": [f"r{k}" for k in range(n)],
        "user_id": [f"u{k}" for k in range(n)],
        "at": NOON - timedelta(hours=12),
        "track_id": "t",
        "position": 1,
        "propensity": 1.0,
        "model_version": "v1",
        "variant": "",
        "rung": "personalised",
        "score": 0.0,
        "played": False,
        "completed": False,
        "skipped": False,
        "liked": False,
        "ms_played": None,
    }
    given = {name: [value] * n for name, value in ({**defaults, **columns}).items() if name not in listed}
    for name in ("request_id", "user_id"):
        given[name] = listed.get(name, defaults[name])
    frame = pl.DataFrame(given | listed, schema_overrides=OUTCOMES)
    return frame.select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())


def drawn(rng, n_listeners, per_answer=10, days=None, play=0.3, spread=0.15, **columns):
    """Places shown to listeners who differ in how much they play."""
    own = rng.beta(play * (1 / spread - 1), (1 - play) * (1 / spread - 1), n_listeners)
    who = np.repeat(np.arange(n_listeners), per_answer)
    played = rng.random(len(who)) < own[who]
    completed = played & (rng.random(len(who)) < 0.6)
    skipped = ~played & (rng.random(len(who)) < 0.2)
    return table(
        user_id=np.char.add("u", who.astype(str)),
        played=played,
        completed=completed,
        skipped=skipped,
        liked=completed & (rng.random(len(who)) < 0.1),
        **columns,
    )


def test_rates_by_hand():
    shown = table(
        user_id=["anna", "anna", "anna", "bert", None],
        request_id=["a", "a", "a", "b", "c"],
        played=[True, True, False, True, False],
        completed=[True, False, False, True, False],
        skipped=[False, False, True, False, False],
        liked=[True, False, False, False, True],
    )
    row = estimates(per_listener(shown)).row(0, named=True)
    found = rates(row)
    assert found["play"].value == pytest.approx(3 / 5)
    assert (found["play"].n, found["play"].n_listeners) == (5, 3)  # nobody in particular counts, too
    assert found["completion"].value == pytest.approx(2 / 4)
    assert found["skip"].value == pytest.approx(1 / 4)
    assert found["like"].value == pytest.approx(1 / 4)  # a like of what was not heard is none of a listen
    residuals = np.array([2 - 3 * 0.6, 1 - 0.6, -0.6])
    assert row["play_variance"] == pytest.approx((residuals**2).sum() * 3 / 2 / 25)
    assert found["play"].low == 0.0
    assert found["play"].high == 1.0  # three listeners tell nearly nothing


def test_nobody_and_a_single_listener():
    nothing = rates(estimates(per_listener(table(played=[]))).row(0, named=True))
    assert nothing["play"].value is None
    alone = rates(estimates(per_listener(table(user_id=["anna"], played=[True]))).row(0, named=True))
    assert (alone["play"].value, alone["play"].low) == (1.0, None)
    assert alone["skip"].value == 0.0


def test_the_interval_covers_the_truth_where_one_over_places_would_not():
    rng = np.random.default_rng(0)
    covered, naive = 0, 0
    for _ in range(200):
        rate = rates(estimates(per_listener(drawn(rng, 60, 20))).row(0, named=True))["play"]
        covered += rate.low <= 0.3 <= rate.high
        naive += abs(rate.value - 0.3) <= 1.96 * np.sqrt(rate.value * (1 - rate.value) / rate.n)
    assert covered >= 180
    assert naive < 150


def test_groups_by_version_variant_and_rung():
    rng = np.random.default_rng(1)
    parts = [
        drawn(rng, 40, model_version="v1", play=0.2),
        drawn(rng, 40, model_version="v2", play=0.4),
        drawn(rng, 40, model_version="v2", play=0.1, rung="popular"),
        drawn(rng, 40, model_version="v2", at=NOON - timedelta(days=9)),  # too long ago
        drawn(rng, 40, model_version="v2", at=NOON + timedelta(hours=1)),  # too young
    ]
    report = quality_report(pl.concat(parts), WEEK_AGO, NOON)
    by_name = {(one.version, one.variant, one.rung): one for one in report.groups}
    assert list(by_name) == [
        ("v1", "", ""),
        ("v1", "", "personalised"),
        ("v2", "", ""),
        ("v2", "", "personalised"),
        ("v2", "", "popular"),
    ]
    for name, rate in by_name["v1", "", ""].rates.items():
        assert rate.low == pytest.approx(by_name["v1", "", "personalised"].rates[name].low)
    assert by_name["v2", "", ""].rates["play"].n == 800
    values = [by_name["v2", "", rung].rates["play"].value for rung in ("popular", "", "personalised")]
    assert values == sorted(values)
    assert report.lifts == ()


def test_the_lift_over_the_holdout():
    rng = np.random.default_rng(2)
    personal = drawn(rng, 300, play=0.4)
    kept = drawn(rng, 60, play=0.2, variant=HOLDOUT).with_columns(user_id="h" + pl.col("user_id"))
    report = quality_report(pl.concat([personal, kept]), WEEK_AGO, NOON)
    lifts = {lift.metric: lift for lift in report.lifts}
    assert lifts["play"].low < 0.2 < lifts["play"].high
    assert lifts["play"].p_value < 1e-4
    assert lifts["completion"].low > -0.05
    assert lifts["skip"].difference > 0  # fewer skips are better
    few = quality_report(pl.concat([personal, kept.head(50)]), WEEK_AGO, NOON)
    assert few.lifts == ()


def days_of(rng, plays, n_listeners=80, last=date(2026, 5, 17)):
    parts = [
        drawn(
            rng,
            n_listeners,
            play=play,
            at=datetime.combine(last - timedelta(days=ago), datetime.min.time(), UTC) + timedelta(minutes=5),
        )
        for ago, play in zip(range(len(plays) - 1, -1, -1), plays, strict=True)
    ]
    return pl.concat(parts)


def by_metric(report):
    return {drop.metric: drop for drop in report.drops}


def test_a_day_that_drops_is_an_alarm():
    rng = np.random.default_rng(3)
    report = quality_report(days_of(rng, [0.3] * 14 + [0.18]), WEEK_AGO, NOON)
    assert [one.day.day for one in report.days] == list(range(3, 18))
    found = by_metric(report)["play"]
    assert found.verdict is Verdict.ALARM
    assert (found.day, found.n_days) == (date(2026, 5, 17), 14)
    assert found.then == pytest.approx(0.3, abs=0.03)
    assert report.verdict is Verdict.ALARM
    assert report.reasons[0].startswith("play rate is alarm: ")


def test_a_day_that_gains_is_steady_and_the_holdout_does_not_count():
    rng = np.random.default_rng(4)
    gained = quality_report(days_of(rng, [0.15] * 14 + [0.4]), WEEK_AGO, NOON)
    assert by_metric(gained)["play"].p_value < 0.001
    assert gained.verdict is Verdict.STEADY
    steady = days_of(rng, [0.3] * 8)
    lost = days_of(rng, [0.3] * 7 + [0.01]).with_columns(variant=pl.lit(HOLDOUT))
    both = pl.concat([steady, lost.with_columns(user_id="h" + pl.col("user_id"))])
    assert quality_report(both, WEEK_AGO, NOON).verdict is Verdict.STEADY


def test_the_day_that_is_not_over_and_too_few_days_are_not_judged():
    rng = np.random.default_rng(5)
    today = days_of(rng, [0.3] * 8 + [0.01], last=NOON.date())
    assert quality_report(today, WEEK_AGO, NOON).verdict is Verdict.STEADY
    assert quality_report(days_of(rng, [0.3] * 3 + [0.01]), WEEK_AGO, NOON).drops == ()
    few = days_of(rng, [0.3] * 8, n_listeners=10)
    assert quality_report(few, WEEK_AGO, NOON).verdict is Verdict.UNKNOWN


def test_days_that_differ_by_more_than_listeners_explain_raise_few_false_alarms():
    rng = np.random.default_rng(6)
    alarms = 0
    for _ in range(200):
        values = 0.3 + rng.normal(0, 0.05, 15) + rng.normal(0, 0.01, 15)
        days = pl.DataFrame({"day": [date(2026, 5, 1 + n) for n in range(15)], "n_listeners": 100})
        for metric in ("play", "completion", "like", "skip"):
            days = days.with_columns(
                pl.Series(metric, values),
                pl.lit(1e-4).alias(f"{metric}_variance"),
                pl.lit(9).alias(f"{metric}_n"),
            )
        (play,) = (drop for drop in drops(days) if drop.metric == "play")
        alarms += play.verdict is not Verdict.STEADY
    # A quarter of the promise belongs to each metric, and half of that to losses: a quarter of an alarm.
    assert alarms <= 3
    assert FALSE_ALARMS == 0.01
