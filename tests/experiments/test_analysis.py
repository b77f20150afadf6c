from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from audotics.errors import BadInputError
from audotics.experiments.analysis import analyse, analysed_from
from audotics.experiments.definition import Experiment, MetricName, Role
from audotics.experiments.experiment_report import (
    Comparison,
    ExperimentReport,
    GuardrailState,
    Severity,
    Verdict,
)
from audotics.experiments.rehearsal import Population, Rehearsal, rehearse

START = datetime(2025, 3, 3, tzinfo=UTC)
UPLIFT = 0.1


def experiment(**changes: Any) -> Experiment:
    shares = {"a": 5000, "b": 5000}
    values: dict[str, Any] = {
        "name": "try",
        "arms": [{"name": name, "share": share} for name, share in shares.items()],
        "created_at": START,
        "started_at": START,
        "state": "running",
        "changes": [{"at": START, "shares": shares}],
        "metrics": [
            {"name": "completion", "role": "primary"},
            {"name": "skip", "role": "guardrail", "margin": 0.02},
            {"name": "listening_minutes"},
            {"name": "return_next_day"},
        ],
    }
    return Experiment(**values | changes)


@cache
def population() -> Population:
    return Population.simulated(4000, seed=1)


@cache
def rehearsal(uplift: float = UPLIFT, n_days: int = 14) -> Rehearsal:
    return rehearse(
        population(), "try", {"a": 1, "b": 1}, uplifts={"b": uplift}, started_at=START, n_days=n_days, seed=3
    )


def report_of(
    logged: Rehearsal, shown: pl.DataFrame | None = None, days: float = 14, **changes: Any
) -> ExperimentReport:
    outcomes = logged.outcomes if shown is None else shown
    now = START + timedelta(days=days)
    return analyse(experiment(**changes), outcomes, logged.events, now)


def comparison(report: ExperimentReport, metric: MetricName = MetricName.COMPLETION) -> Comparison:
    return next(one for one in report.comparisons if one.metric is metric)


def test_a_planted_uplift_is_found_and_covered() -> None:
    report = report_of(rehearsal())
    found = comparison(report)
    truth = population().true_rate("complete", UPLIFT) / population().true_rate("complete") - 1
    assert found.relative is not None
    assert found.adjusted_relative is not None
    assert found.relative.low < truth < found.relative.high
    assert found.adjusted_relative.always_low < truth < found.adjusted_relative.always_high
    assert found.verdict is Verdict.BETTER
    assert found.probability_best == pytest.approx(1)
    assert report.findings == ()
    assert report.believable
    assert report.stop is None
    assert comparison(report, MetricName.SKIP).verdict is Verdict.BETTER


def test_cuped_narrows_what_the_past_explains() -> None:
    found = comparison(report_of(rehearsal()), MetricName.LISTENING_MINUTES)
    assert found.explained > 0.6
    assert found.adjusted is not None
    assert found.difference is not None
    assert found.adjusted.error < 0.65 * found.difference.error


def test_no_difference_is_not_found() -> None:
    report = report_of(rehearsal(0.0))
    assert {one.verdict for one in report.comparisons} == {Verdict.UNDECIDED}
    assert report.findings == ()


def test_a_loss_beyond_the_margin_stops_and_one_inside_it_does_not() -> None:
    report = report_of(rehearsal(-UPLIFT))
    assert report.guardrails[0].state is GuardrailState.BREACHED
    assert report.stop is not None
    assert "b makes skip worse by more than 2.0 %".replace(" %", "%") in report.stop
    assert comparison(report).verdict is Verdict.WORSE
    wide = [{"name": "skip", "role": "guardrail", "margin": 0.5}]
    kept = report_of(rehearsal(-UPLIFT), metrics=wide)
    assert kept.guardrails[0].state is GuardrailState.SAFE
    assert kept.stop is None


def test_looks_are_what_earlier_reports_said() -> None:
    report, earlier = report_of(rehearsal()), report_of(rehearsal(), days=5)
    assert [look.day for look in report.looks] == list(range(14))
    look, then = report.looks[4].effect, comparison(earlier).adjusted
    assert look is not None
    assert then is not None
    # What a day later is known of listeners' past is the same; of new listeners there are more.
    assert look.value == pytest.approx(then.value, rel=1e-3)
    assert look.always_low == pytest.approx(then.always_low, rel=1e-3)


def test_the_order_of_rows_does_not_matter() -> None:
    logged = rehearsal()
    shuffled = Rehearsal(
        logged.outcomes.sample(fraction=1.0, shuffle=True, seed=1),
        logged.events.sample(fraction=1.0, shuffle=True, seed=2),
        logged.arm_of,
    )
    before, after = comparison(report_of(logged)), comparison(report_of(shuffled))
    assert before.adjusted is not None
    assert after.adjusted is not None
    assert after.adjusted.value == pytest.approx(before.adjusted.value)


def test_primary_metrics_come_first_and_families_are_corrected_apart() -> None:
    report = report_of(rehearsal(0.02))
    assert [one.role for one in report.comparisons[:2]] == [Role.PRIMARY, Role.GUARDRAIL]
    primary = comparison(report)
    assert primary.adjusted is not None
    assert primary.p_corrected == primary.adjusted.always_p_value
    secondary = [one for one in report.comparisons if one.role is Role.SECONDARY]
    smallest = min(one.adjusted.always_p_value for one in secondary if one.adjusted)
    assert min(one.p_corrected for one in secondary) == pytest.approx(min(1.0, 2 * smallest))


def test_reports_survive_json() -> None:
    report = report_of(rehearsal(), days=1)
    assert ExperimentReport.model_validate_json(report.model_dump_json()) == report


def test_the_control_may_be_any_arm() -> None:
    report = report_of(rehearsal(), control="b")
    assert [arm.name for arm in report.arms] == ["b", "a"]
    assert comparison(report).verdict is Verdict.WORSE


def test_testers_do_not_count() -> None:
    report = report_of(rehearsal(), overrides={"u0": "b", "u1": "a"})
    assert sum(arm.n_listeners for arm in report.arms) == sum(
        arm.n_listeners for arm in report_of(rehearsal()).arms
    ) - len({"u0", "u1"} & set(rehearsal().outcomes["user_id"]))


def test_shares_that_move_against_each_other_begin_the_analysis_anew() -> None:
    changes = [
        {"at": START, "shares": {"a": 100, "b": 100}},
        {"at": START + timedelta(days=2), "shares": {"a": 500, "b": 500}},
        {"at": START + timedelta(days=4), "shares": {"a": 5000, "b": 500}},
    ]
    assert analysed_from(experiment(changes=changes[:2])) == START
    assert analysed_from(experiment(changes=changes)) == START + timedelta(days=4)
    with pytest.raises(BadInputError, match="never started"):
        analysed_from(experiment(started_at=None))


def test_a_stopped_experiment_ends_when_it_was_stopped() -> None:
    report = report_of(rehearsal(), stopped_at=START + timedelta(days=6, hours=5), state="stopped")
    assert report.n_days == 6
    assert report.end == START + timedelta(days=6)


def test_interleaved_arms_are_another_analysis() -> None:
    with pytest.raises(BadInputError, match="mixed in each slate"):
        report_of(rehearsal(), kind="interleaving")


def faults(report: ExperimentReport) -> set[str]:
    return {finding.check for finding in report.findings if finding.severity is Severity.FAULT}


def test_a_sample_ratio_mismatch_is_said() -> None:
    logged = rehearsal()
    lost = pl.col("variant").str.ends_with(":b") & (pl.col("user_id").hash(7) % 5 == 0)
    report = report_of(logged, logged.outcomes.filter(~lost))
    assert "sample ratio" in faults(report)
    assert not report.believable
    assert "dealt 50.00%" in report.findings[0].text


def test_events_lost_for_some_days_are_said() -> None:
    lost = pl.col("variant").str.ends_with(":b") & pl.col("at").is_between(
        START + timedelta(days=5), START + timedelta(days=7)
    )
    lost &= pl.col("request_id").hash(3) % 10 < 6
    done = [pl.col(name) & ~lost for name in ("played", "completed", "skipped", "liked")]
    report = report_of(rehearsal(), rehearsal().outcomes.with_columns(done))
    assert faults(report) == {"event log"}
    assert "on days 6, 7" in report.findings[-1].text


def test_an_arm_without_any_event_is_said() -> None:
    lost = pl.col("variant").str.ends_with(":b")
    done = [pl.col(name) & ~lost for name in ("played", "completed", "skipped", "liked")]
    report = report_of(rehearsal(), rehearsal().outcomes.with_columns(done))
    assert faults(report) == {"event log"}


def test_an_arm_that_was_not_shown_on_a_day_is_said() -> None:
    gone = pl.col("variant").str.ends_with(":b") & (
        pl.col("at").dt.date() == START.date() + timedelta(days=3)
    )
    report = report_of(rehearsal(), rehearsal().outcomes.filter(~gone))
    assert any("b was shown nothing on day 4" in finding.text for finding in report.findings)


def test_rows_that_a_whole_log_cannot_hold_are_said() -> None:
    shown = rehearsal().outcomes
    doubled = pl.concat([shown, shown.head(8)])
    broken = doubled.with_columns(
        propensity=pl.when(pl.int_range(pl.len()) == 20).then(0.0).otherwise("propensity"),
        user_id=pl.when(pl.int_range(pl.len()) == 30).then(pl.lit("u0")).otherwise("user_id"),
    )
    texts = " | ".join(finding.text for finding in report_of(rehearsal(), broken).findings)
    assert "8 places of answers were logged more than once" in texts
    assert "1 propensities" in texts
    assert "1 request ids belong to several listeners" in texts


def test_listeners_in_several_arms_are_left_out_and_said() -> None:
    shown = rehearsal().outcomes
    crossing = shown.filter(pl.col("user_id").is_in(["u1", "u2", "u3", "u5", "u8"])).with_columns(
        variant=pl.when(pl.col("variant") == "try:a").then(pl.lit("try:b")).otherwise(pl.lit("try:a")),
        request_id=pl.col("request_id") + "x",
    )
    report = report_of(rehearsal(), pl.concat([shown, crossing]))
    found = next(finding for finding in report.findings if finding.check == "assignment")
    assert found.severity is Severity.FAULT
    assert "seen in several arms" in found.text


def with_arms_by_past(share: float) -> Rehearsal:
    """Arms dealt by an earlier experiment's arms for a share of listeners, whose first arm did them good."""
    rng = np.random.default_rng(0)
    people = population()
    earlier = rehearse(people, "old", {"x": 1, "y": 1}, uplifts={"y": 0.3}, started_at=START, seed=8)
    shift = timedelta(days=14)
    before = earlier.events.with_columns(pl.col("timestamp") - shift)
    old = earlier.outcomes.with_columns(pl.col("at") - shift, request_id="old" + pl.col("request_id"))
    arm = np.where(rng.random(len(earlier.arm_of)) < share, earlier.arm_of, rng.integers(0, 2, 4000))
    new = rehearse(people, "try", {"a": 1, "b": 1}, started_at=START, past_days=0, seed=9)
    labels = pl.DataFrame({"user_id": [f"u{i}" for i in range(4000)], "variant": arm}).with_columns(
        variant=pl.format(
            "try:{}", pl.col("variant").replace_strict({0: "a", 1: "b"}, return_dtype=pl.String)
        )
    )
    shown = new.outcomes.drop("variant").join(labels, on="user_id").select(new.outcomes.columns)
    events = pl.concat([before.filter(pl.col("timestamp") < START), new.events])
    return Rehearsal(pl.concat([old, shown]), events, arm)


def test_what_carries_over_from_an_earlier_experiment_is_said() -> None:
    report = report_of(with_arms_by_past(1.0))
    texts = [finding.text for finding in report.findings if finding.check == "carry-over"]
    assert any("arms of old are spread unevenly" in text for text in texts)
    assert any("differed in completion already before the start" in text for text in texts)
    assert report_of(with_arms_by_past(0.0)).findings == ()


def test_an_effect_that_wears_off_is_said() -> None:
    first, later = rehearse_twice()
    report = report_of(Rehearsal(pl.concat([first, later]), rehearsal().events, rehearsal().arm_of))
    found = [finding for finding in report.findings if finding.check == "trend"]
    assert len(found) == 1
    assert found[0].severity is Severity.WARNING
    assert "first week" in found[0].text


def rehearse_twice() -> tuple[pl.DataFrame, pl.DataFrame]:
    """A strong effect in the first week and none in the second, for the same listeners."""
    strong = rehearse(population(), "try", {"a": 1, "b": 1}, uplifts={"b": 0.3}, started_at=START, seed=3)
    none = rehearse(population(), "try", {"a": 1, "b": 1}, started_at=START, seed=3)
    middle = START + timedelta(days=7)
    return strong.outcomes.filter(pl.col("at") < middle), none.outcomes.filter(pl.col("at") >= middle)
