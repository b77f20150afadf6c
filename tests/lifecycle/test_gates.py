"""The verdict on evidence: each gate alone, from figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.errors import BadInputError
from audotics.evaluation.heads import HeadMetrics, ReliabilityBin
from audotics.evaluation.report import SystemReport, Task, TestDescription
from audotics.evaluation.significance import Interval, PairedDifference
from audotics.lifecycle.evidence import Evidence, Side
from audotics.lifecycle.findings import Finding, Severity
from audotics.lifecycle.gates import GateLimits, GateReport, error_by_chance, judge, read_limits
from audotics.lifecycle.latency import Latency
from audotics.lifecycle.skew import UNLIMITED, Skew
from audotics.training.config import read_config

MIB = 2**20


def a_test(n_listeners: int = 1000) -> TestDescription:
    return TestDescription(
        task=Task.DISCOVER,
        n_listeners=n_listeners,
        n_cold_listeners=0,
        n_pairs=5 * n_listeners,
        n_unknown_pairs=0,
        n_heard_dropped=0,
        n_tracks=10_000,
        cutoffs=(10, 20),
        headline=20,
        n_resamples=1000,
        seed=0,
    )


def a_head(error: float = 0.02, n: int = 5000) -> HeadMetrics:
    return HeadMetrics(
        n=n,
        base_rate=0.1,
        accuracy=0.9,
        precision=0.0,
        recall=0.0,
        f1=0.0,
        log_loss=0.3,
        calibration_error=error,
        bins=(),
        threshold=0.5,
        roc_auc=0.7,
    )


def a_side(
    version: str,
    *,
    ndcg: float = 0.2,
    coverage: float = 0.3,
    new: float = 0.02,
    p99_ms: float = 8.0,
    mib: float = 100.0,
    heads: dict[str, HeadMetrics] | None = None,
) -> Side:
    quality = SystemReport(
        name=version,
        metrics={"ndcg@20": Interval(mean=ndcg, low=ndcg - 0.01, high=ndcg + 0.01, n=1000)},
        catalogue={"coverage@20": coverage, "new_track_share@20": new},
        segments=(),
        n_without_lists=0,
    )
    return Side(
        version=version,
        quality=quality,
        heads={"play": a_head()} if heads is None else heads,
        latency=Latency(p50_ms=3.0, p99_ms=p99_ms, n=200),
        size_bytes=int(mib * MIB),
    )


def evidence(
    *, low: float = -0.004, challenger: Side | None = None, champion: Side | None = None, **changes: object
) -> Evidence:
    found = PairedDifference(
        difference=low + 0.005, low=low, high=low + 0.01, p_value=0.5, t_test_p_value=0.5, n=1000
    )
    base = Evidence(
        gathered_at=datetime(2026, 1, 1, tzinfo=UTC),
        test=a_test(),
        challenger=challenger or a_side("new"),
        champion=champion or a_side("old"),
        differences={"ndcg@20": found},
        skew=Skew(n_lists=200, score_difference=1e-6, swapped=0.0, offline="in memory"),
    )
    return base.model_copy(update=changes)


def refused(report: GateReport) -> list[str]:
    return [row.gate for row in report.rows if not row.passed]


def test_a_version_as_good_as_the_champion_passes_and_says_how_good() -> None:
    report = judge(evidence())
    assert report.passed and refused(report) == []
    (reason,) = report.reasons
    assert reason.startswith("quality: ndcg@20 0.2000, +0.0010 against the champion (95 % interval -0.0040")


CASES: dict[str, tuple[str, Callable[[], Evidence]]] = {
    "worse": ("quality", lambda: evidence(low=-0.012)),
    "narrow": ("coverage", lambda: evidence(challenger=a_side("new", coverage=0.2))),
    "forgets new tracks": (
        "new tracks",
        lambda: evidence(challenger=a_side("new", new=0.009), champion=a_side("old", new=0.02)),
    ),
    "floods with new tracks": ("new tracks", lambda: evidence(challenger=a_side("new", new=0.41))),
    "miscalibrated": (
        "calibration",
        lambda: evidence(challenger=a_side("new", heads={"play": a_head(0.05)})),
    ),
    "slow against the champion": ("latency", lambda: evidence(challenger=a_side("new", p99_ms=17.1))),
    "slow at all": (
        "latency",
        lambda: evidence(challenger=a_side("new", p99_ms=101), champion=a_side("old", p99_ms=100)),
    ),
    "large": ("size", lambda: evidence(challenger=a_side("new", mib=265))),
    "scores differ": (
        "skew",
        lambda: evidence(skew=Skew(n_lists=9, score_difference=0.01, swapped=0.0, offline="files")),
    ),
    "lists differ": (
        "skew",
        lambda: evidence(skew=Skew(n_lists=9, score_difference=0.0, swapped=0.01, offline="files")),
    ),
    "parts missing": ("schema", lambda: evidence(faults=("the fallback list is empty",))),
    "listeners lost": ("schema", lambda: evidence(lost_listeners=0.21)),
    "tracks lost": ("schema", lambda: evidence(lost_tracks=0.21)),
    "poisoned": (
        "data",
        lambda: evidence(findings=(Finding("bot_listeners", Severity.REFUSE, "3 bots", 0.5, 0.01),)),
    ),
    "nobody to judge": ("held-out listeners", lambda: evidence(test=a_test(49))),
}


@pytest.mark.parametrize("case", CASES)
def test_each_gate_refuses_alone_and_says_why(case: str) -> None:
    gate, make = CASES[case]
    report = judge(make())
    assert not report.passed
    assert refused(report) == [gate]
    (reason,) = report.reasons
    assert reason.startswith(f"{gate}: ")


def test_a_small_share_of_new_tracks_may_jump() -> None:
    assert judge(evidence(challenger=a_side("new", new=0.0), champion=a_side("old", new=0.009))).passed


def test_warnings_do_not_refuse() -> None:
    assert judge(evidence(findings=(Finding("event_nulls", Severity.WARN, "empty", 0.5, 0.2),))).passed


@given(low=st.floats(-0.1, 0.1), margin=st.floats(0, 0.5), drop=st.floats(0, 0.5))
def test_quality_passes_where_neither_mean_nor_interval_lie_too_low(
    low: float, margin: float, drop: float
) -> None:
    found = evidence(low=low)
    report = judge(found, GateLimits(quality_margin=margin, quality_drop=drop))
    mean = found.differences["ndcg@20"].difference
    assert report.passed == (low >= -margin * 0.2 and mean >= -drop * 0.2)


def test_what_is_too_uncertain_is_refused_though_its_mean_is_fine() -> None:
    wide = PairedDifference(difference=0.0, low=-0.021, high=0.021, p_value=1.0, t_test_p_value=1.0, n=100)
    assert refused(judge(evidence(differences={"ndcg@20": wide}))) == ["quality"]


def test_the_error_that_chance_alone_gives_is_let_through() -> None:
    few = (ReliabilityBin(low=0.4, high=0.5, n=300, predicted=0.45, observed=0.5),)
    chance = error_by_chance(few)
    assert chance == pytest.approx((2 * 0.45 * 0.55 / (np.pi * 300)) ** 0.5)
    rng = np.random.default_rng(0)
    drawn = np.abs(rng.binomial(300, 0.45, 4000) / 300 - 0.45).mean()
    assert chance == pytest.approx(drawn, rel=0.05)
    uncertain = a_head(0.05, n=300).model_copy(update={"bins": few})
    assert judge(evidence(challenger=a_side("new", heads={"play": uncertain}))).passed
    many = a_head(0.05, n=300_000).model_copy(update={"bins": (few[0].model_copy(update={"n": 300_000}),)})
    assert refused(judge(evidence(challenger=a_side("new", heads={"play": many})))) == ["calibration"]
    assert error_by_chance(()) == 0.0


def test_a_first_version_is_held_to_absolute_limits_alone() -> None:
    first = evidence(differences={}).model_copy(update={"champion": None})
    report = judge(first)
    assert report.passed and report.champion is None
    assert "least quality" in {row.gate for row in report.rows}
    assert refused(judge(first, GateLimits(least_quality=0.25))) == ["least quality"]
    assert refused(judge(first, GateLimits(most_latency_ms=5))) == ["latency"]
    assert refused(judge(first, GateLimits(most_size_mib=50))) == ["size"]
    assert refused(judge(first, GateLimits(most_calibration_error=0.01))) == ["calibration"]


def test_a_first_version_that_shows_everybody_the_same_is_refused() -> None:
    # 1,000 lists of 20 could show all 10,000 tracks; 30 are shown.
    same = evidence(challenger=a_side("new", coverage=0.003), differences={}).model_copy(
        update={"champion": None}
    )
    assert refused(judge(same)) == ["coverage"]


def test_heads_with_few_outcomes_are_not_judged() -> None:
    few = evidence(challenger=a_side("new", heads={"like": a_head(0.5, n=199)}))
    assert judge(few).passed
    assert not judge(few, GateLimits(least_outcomes=100)).passed


def test_a_head_that_the_champion_does_not_have_is_held_to_the_absolute_limit() -> None:
    assert judge(evidence(challenger=a_side("new", heads={"skip": a_head(0.14)}))).passed
    assert not judge(evidence(challenger=a_side("new", heads={"skip": a_head(0.16)}))).passed


def test_an_unpublished_version_has_no_size_to_judge() -> None:
    side = a_side("").model_copy(update={"size_bytes": None})
    report = judge(evidence(challenger=side))
    assert report.passed and "size" not in {row.gate for row in report.rows}


def test_another_metric_can_decide_if_it_was_measured() -> None:
    report = judge(evidence(), GateLimits(quality_metric="recall@20"))
    assert refused(report) == ["quality"]
    assert report.reasons == ("quality: recall@20 was not measured",)


def test_both_ways_to_differ_are_told() -> None:
    skew = Skew(n_lists=9, score_difference=UNLIMITED, swapped=1.0, offline="files")
    assert refused(judge(evidence(skew=skew))) == ["skew", "skew"]


def test_the_report_is_json_and_comes_back() -> None:
    report = judge(evidence(low=-0.5))
    text = json.dumps(report.to_json(), allow_nan=False)
    told = json.loads(text)
    assert told["passed"] is False and told["reasons"] == list(report.reasons)
    assert told["limits"]["quality_margin"] == 0.1
    del told["passed"], told["reasons"]
    assert GateReport.model_validate(told) == report


def test_limits_come_from_a_file_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "gates.toml"
    file.write_text("quality_margin = 0.2\n[data]\nbot_share = 0.05\n")
    limits = read_limits(file)
    assert (limits.quality_margin, limits.data.bot_share) == (0.2, 0.05)
    assert limits.latency_factor == GateLimits().latency_factor


def test_limits_may_stand_among_the_settings_of_training(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text("tune_trials = 3\n[gates]\nquality_margin = 0.2\n[gates.data]\nbot_share = 0.05\n")
    assert read_limits(file).data.bot_share == 0.05
    assert read_config(file, ()).tune_trials == 3


def test_without_a_file_the_defaults_hold() -> None:
    assert read_limits(None) == GateLimits()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quality_margins = 0.1", "there is no such setting"),
        ("quality_margin = 2", "quality_margin"),
        ("quality_margin = nan", "quality_margin"),
        ("[gates.data]\nbots = 1", "gates.data.bots"),
        ("[gates", "cannot be read as TOML"),
    ],
)
def test_wrong_limits_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "gates.toml"
    file.write_text(text)
    with pytest.raises(BadInputError, match=said):
        read_limits(file)


def test_a_missing_file_of_limits_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        read_limits(tmp_path / "none.toml")
