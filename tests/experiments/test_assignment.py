"""Who is in which arm: layers, holdout, targeting, testers, and the same answer in every process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from scipy.stats import chi2_contingency, chisquare

from audotics.experiments.allocation import with_shares
from audotics.experiments.assignment import NOT_IN, NOWHERE, Asker, Assignment, Holdout, dealt
from audotics.experiments.definition import Experiment, State
from audotics.experiments.hashing import listener_hashes

START = datetime(2026, 3, 1, tzinfo=UTC)
LISTENERS = pl.Series([f"listener-{number}" for number in range(20_000)])


def experiment(name: str = "ranker", control: int = 5000, new: int = 5000, **more: object) -> Experiment:
    buckets, _ = with_shares({}, {}, {"control": control, "new": new})
    return Experiment.model_validate(
        {
            "name": name,
            "arms": [{"name": "control", "share": control}, {"name": "new", "share": new}],
            "state": State.RUNNING,
            "created_at": START,
            "buckets": buckets,
            **more,
        }
    )


def variant(assignment: Assignment, listener: str, **more: object) -> str:
    return assignment.of(Asker(listener, **more)).variant  # type: ignore[arg-type]


def test_without_experiments_nobody_is_in_one() -> None:
    assert Assignment().of(Asker("a")) is NOWHERE
    assert variant(Assignment(), "a") == ""


def test_one_by_one_and_together_are_the_same() -> None:
    one = experiment(control=3000, new=2000, slots=(1000, 8000))
    assignment = Assignment([one], Holdout(share=500))
    numbers = assignment.arm_numbers(one, LISTENERS)
    names = {NOT_IN: "", 0: "ranker:control", 1: "ranker:new"}
    for listener, number in zip(LISTENERS.to_list()[:3000], numbers.tolist(), strict=False):
        assert variant(assignment, listener).replace("holdout", "") == names[number]


def test_arms_get_their_shares() -> None:
    numbers = dealt(experiment(control=3000, new=1000), listener_hashes(LISTENERS))
    counts = np.bincount(numbers + 1, minlength=3)
    assert chisquare(counts, np.array([6000, 3000, 1000]) / 10_000 * len(LISTENERS)).pvalue > 1e-3


def test_experiments_of_two_layers_are_independent() -> None:
    hashes = listener_hashes(LISTENERS)
    first = dealt(experiment("first"), hashes)
    second = dealt(experiment("second", layer="other"), hashes)
    table = np.histogram2d(first, second, bins=2)[0]
    assert chi2_contingency(table).pvalue > 1e-3


def test_nobody_is_in_two_experiments_of_a_layer() -> None:
    pair = [experiment("first", slots=(0, 4000)), experiment("second", slots=(4000, 10_000))]
    assignment = Assignment(pair)
    first, second = (assignment.arm_numbers(one, LISTENERS) for one in pair)
    assert ((first == NOT_IN) != (second == NOT_IN)).all()
    assert abs((first != NOT_IN).mean() - 0.4) < 0.02
    for listener in LISTENERS.to_list()[:500]:
        assert variant(assignment, listener).count(":") == 1


def test_experiments_of_two_layers_are_told_together() -> None:
    assignment = Assignment([experiment("rules", layer="rules"), experiment("model")])
    label = variant(assignment, "listener-1")
    assert [part.split(":")[0] for part in label.split(",")] == ["model", "rules"]


def test_the_holdout_is_in_nothing_and_grows_by_outsiders() -> None:
    one = experiment()
    small, large = (Assignment([one], Holdout(share=share)) for share in (300, 1000))
    kept = [
        {name for name in LISTENERS.to_list()[:5000] if variant(each, name) == "holdout"}
        for each in (small, large)
    ]
    assert kept[0] < kept[1]
    assert abs(len(kept[1]) / 5000 - 0.1) < 0.02
    assert Assignment([], Holdout(share=10_000)).of(Asker("a")).in_holdout


def test_a_ramp_moves_nobody_between_arms() -> None:
    before = experiment(control=100, new=100)
    buckets, _ = with_shares(before.buckets, {}, {"control": 5000, "new": 5000})
    after = before.model_copy(update={"buckets": buckets})
    hashes = listener_hashes(LISTENERS)
    small, large = dealt(before, hashes), dealt(after, hashes)
    were_in = small != NOT_IN
    assert were_in.sum() > 300
    assert (small[were_in] == large[were_in]).all()
    assert (large != NOT_IN).all()


def test_targeting_reads_the_request() -> None:
    one = experiment(targeting={"countries": ["DE", "AT"], "devices": ["phone"]})
    assignment = Assignment([one])
    assert variant(assignment, "a", country="DE", device="phone")
    for country, device in ((None, "phone"), ("FR", "phone"), ("DE", "desktop"), ("DE", None)):
        assert not variant(assignment, "a", country=country, device=device)


def test_new_listeners_are_those_first_seen_since() -> None:
    assignment = Assignment([experiment(targeting={"new_since": START})])
    day = timedelta(days=1)
    assert variant(assignment, "a", first_seen=lambda: START)
    assert variant(assignment, "a", first_seen=lambda: START + day)
    assert not variant(assignment, "a", first_seen=lambda: START - day)
    assert not variant(assignment, "a"), "of whom nothing is known may have been here for years"


def test_when_a_listener_was_first_seen_is_not_asked_for_nothing() -> None:
    def never() -> datetime:
        raise AssertionError("asked")

    assert variant(Assignment([experiment()]), "a", first_seen=never)


def test_testers_get_their_arm_and_no_other_experiment() -> None:
    held = Holdout(share=10_000)
    one = experiment(overrides={"tester": "new"}, targeting={"countries": ["DE"]})
    assignment = Assignment([one, experiment("other", layer="other")], held)
    assert variant(assignment, "tester") == "ranker:new"
    assert variant(assignment, "somebody") == "holdout"
    free = Assignment([experiment(overrides={"listener-5": "new"})])
    assert free.arm_numbers(free.experiments[0], LISTENERS)[5] == NOT_IN


def test_both_arms_of_an_interleaving_experiment_answer_together() -> None:
    assert variant(Assignment([experiment(kind="interleaving")]), "a") == "ranker:interleaved"
    testing = experiment(kind="interleaving", overrides={"a": "new", "b": "interleaved"})
    assert variant(Assignment([testing]), "a") == "ranker:new"
    assert variant(Assignment([testing]), "b") == "ranker:interleaved"


def test_experiments_that_do_not_run_count_for_nothing() -> None:
    stopped = experiment().model_copy(update={"state": State.STOPPED})
    assert Assignment([stopped]).of(Asker("a")) is NOWHERE


PROGRAM = """
import hashlib, polars as pl
from audotics.experiments.hashing import buckets_of, listener_hashes, xxh64
hashes = listener_hashes(pl.Series([f"listener-{n}" for n in range(20000)]))
print(hashlib.sha256(buckets_of(hashes, xxh64(b"experiment:ranker")).tobytes()).hexdigest())
"""


def test_processes_agree() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert all(len(digest) == hashlib.sha256().digest_size * 2 for digest in digests)
