from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.domain import Exposure, Query, Slate
from audotics.errors import DamagedError
from audotics.journal.events import JournalEvent
from audotics.recommender.recommender import Recommender
from audotics.registry import Registry
from audotics.serving.guardrails.counters import GuardrailCounters
from audotics.serving.guardrails.moves import returns
from audotics.serving.guardrails.probation import Limits, Probation
from audotics.serving.guardrails.record import Record, Tally
from audotics.serving.guardrails.rehearsal import Rehearsal
from audotics.serving.guardrails.shadow import Comparison, Shadow
from audotics.serving.guardrails.shadowing import EAGER, Shadowing
from audotics.serving.guardrails.shown import AnswerReaction, ShownAnswers
from audotics.serving.metrics import Metrics
from audotics.serving.served import Served, well_formed
from audotics.slate import SlateConfig
from contract.bad_versions import permuted, upside_down
from contract.planted_faults import planted
from contract.services import wait_until

if TYPE_CHECKING:
    from conftest import Models

AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def served(models: Models) -> Iterator[tuple[Served, Served]]:
    yield tuple(
        Served.load(models.folder, version, SlateConfig()) for version in (models.first, models.second)
    )  # type: ignore[misc]


# What an alias' moves say


@pytest.mark.parametrize(
    ("moves", "version", "known"),
    [
        ([("set", "a"), ("set", "b")], "b", False),
        ([("set", "a"), ("set", "b"), ("rollback", "a")], "a", True),
        ([("set", "a"), ("set", "b"), ("set", "a")], "a", True),
        ([("set", "a"), ("set", "b"), ("rollback", "a"), ("set", "b")], "b", False),
        ([("set", "a"), ("set", "b"), ("set", "a"), ("set", "b")], "b", True),
        ([], "a", False),
        ([("set", "a")], "c", False),
    ],
)
def test_who_comes_back_has_served_well(moves: list[tuple[str, str]], version: str, known: bool) -> None:
    assert returns(moves, version) is known


# Which version showed what


def exposure(request_id: str, version: str, tracks: str, user_id: str | None = "u") -> Exposure:
    none = np.zeros(len(tracks), np.float32)
    return Exposure(request_id, user_id, AT, tuple(tracks), none, none, version)


def event(kind: str, track: str, request_id: str | None = None, user_id: str = "u") -> JournalEvent:
    return JournalEvent("e", user_id, track, 0, kind, request_id=request_id)


def test_an_event_counts_for_the_answer_that_it_names() -> None:
    shown = ShownAnswers()
    shown.add(exposure("1", "old", "abc"))
    shown.add(exposure("2", "new", "abd"))
    assert list(shown.reactions([event("skip", "c", "1")])) == [AnswerReaction("old", True, False)]
    assert list(shown.reactions([event("complete", "a", "2")])) == [AnswerReaction("new", False, True)]


def test_an_event_without_a_request_counts_for_the_last_answer() -> None:
    shown = ShownAnswers()
    shown.add(exposure("1", "old", "abc"))
    shown.add(exposure("2", "new", "abd"))
    assert list(shown.reactions([event("skip", "c")])) == [], "the last answer did not hold it"
    assert list(shown.reactions([event("like", "d")])) == [AnswerReaction("new", False, True)]


def test_one_answer_counts_once() -> None:
    shown = ShownAnswers()
    shown.add(exposure("1", "v", "abc"))
    told = [
        event("play", "a", "1"),
        event("skip", "b", "1"),
        event("like", "c", "1"),
        event("skip", "a", "1"),
    ]
    assert list(shown.reactions(told)) == [AnswerReaction("v", False, None), AnswerReaction("v", None, False)]


def test_events_of_others_count_for_nobody() -> None:
    shown = ShownAnswers()
    shown.add(exposure("1", "v", "abc"))
    strange = [event("skip", "z", "1"), event("skip", "a", "9"), event("skip", "a", "1", "somebody else")]
    assert list(shown.reactions(strange)) == []


def test_old_answers_and_erased_listeners_are_forgotten() -> None:
    shown = ShownAnswers(most=2)
    for number in range(4):
        shown.add(exposure(str(number), "v", "a", f"u{number}"))
    assert len(shown) == 2
    assert list(shown.reactions([event("skip", "a", None, "u0")])) == []
    shown.forget("u3")
    assert len(shown) == 1
    assert list(shown.reactions([event("skip", "a", "3", "u3"), event("skip", "a", None, "u3")])) == []


def test_anonymous_answers_have_no_listener() -> None:
    shown = ShownAnswers(most=1)
    shown.add(exposure("1", "v", "a", None))
    shown.add(exposure("2", "v", "a", None))
    assert list(shown.reactions([event("skip", "a", "2")])) == []


@given(st.lists(st.booleans(), max_size=30))
def test_a_tally_is_of_the_latest(values: list[bool]) -> None:
    tally = Tally(7)
    for value in values:
        tally.add(value)
    kept = values[-7:]
    assert (tally.n, tally.n_yes) == (len(kept), sum(kept))
    assert tally.share == pytest.approx(np.mean(kept) if kept else 0.0)


# The probation


def probation(served: tuple[Served, Served], reference: Record | None = None, **limits: float) -> Probation:
    old, new = served
    return Probation(new, old, reference or record(), Record(), Limits(**limits))


def record(seconds: float = 0.003, n: int = 200) -> Record:
    made = Record()
    for number in range(n):
        made.answered(seconds * (1 + number % 10 / 10))
        made.reacted(number % 10 < 3, number % 10 >= 5)
    return made


def beside(trial: Probation, seconds: float = 0.003) -> Probation:
    """The old version has answered a few requests beside it."""
    for _ in range(5):
        trial.compared(replace(alike(), seconds=seconds))
    trial.learn_times()
    return trial


def alike(found: float = 0.8, less_popular: float = 0.0, more_alike: float = 0.0) -> Comparison:
    return Comparison(0.003, found, 0.1, less_popular, more_alike)


def test_a_version_like_the_old_one_breaks_nothing(served: tuple[Served, Served]) -> None:
    trial = beside(probation(served))
    for number in range(500):
        trial.answered(0.003 * (1 + number % 10 / 10))
        trial.reacted(number % 10 < 3, number % 10 >= 5)
        trial.compared(alike())
        assert trial.breach() is None
    assert trial.evidence()["unlike"][0] == 505


def test_a_single_spike_is_no_breach(served: tuple[Served, Served]) -> None:
    trial = beside(probation(served))
    for number in range(100):
        trial.answered(3.0 if number == 50 else 0.004)
    assert trial.breach() is None


@pytest.mark.parametrize(
    ("seconds", "check", "most"), [(0.2, {"late", "slow"}, 20), (0.02, {"slow", "late"}, 60)]
)
def test_slow_answers_are_told(
    served: tuple[Served, Served], seconds: float, check: set[str], most: int
) -> None:
    trial, n = beside(probation(served)), 0
    while (breach := trial.breach()) is None:
        trial.answered(seconds)
        n += 1
    assert breach.check in check
    assert n <= most
    assert "ms" in breach.said


def test_a_machine_that_is_slower_now_is_not_the_version_s_fault(served: tuple[Served, Served]) -> None:
    trial = probation(served)
    for _ in range(200):
        trial.compared(replace(alike(), seconds=0.03))
        trial.learn_times()
        trial.answered(0.03)
    assert trial.breach() is None


def test_what_is_slow_the_old_version_must_tell_at_the_same_time(served: tuple[Served, Served]) -> None:
    trial = probation(served)
    for _ in range(200):
        trial.answered(5.0)
    assert trial.breach() is None, "it may be the machine"
    assert beside(trial, 2.0).breach() is None, "it is"


def test_a_version_that_fails_as_often_as_the_old_one_may(served: tuple[Served, Served]) -> None:
    shaky = record()
    for _ in range(100):
        shaky.failed.add(True)
    trial = probation(served, shaky)
    for number in range(300):
        trial.failed() if number % 3 == 0 else trial.answered(0.003)
    assert trial.breach() is None


@pytest.mark.parametrize(
    ("comparison", "check"),
    [
        (alike(found=0.1), "unlike"),
        (alike(less_popular=0.45), "unpopular"),
        (alike(more_alike=0.95), "alike"),
    ],
)
def test_rubbish_is_told_from_comparisons(
    served: tuple[Served, Served], comparison: Comparison, check: str
) -> None:
    trial, n = probation(served), 0
    while (breach := trial.breach()) is None:
        trial.compared(comparison)
        n += 1
    assert breach.check == check
    assert n <= 150


def test_likeness_need_not_be_asked_for(served: tuple[Served, Served]) -> None:
    trial = probation(served, likeness=0.0)
    for _ in range(300):
        trial.compared(alike(found=0.0))
    assert trial.breach() is None
    assert "unlike" not in trial.evidence()


def test_what_listeners_hear_to_the_end_counts_too(served: tuple[Served, Served]) -> None:
    trial, n = probation(served), 0
    while (breach := trial.breach()) is None and n < 500:
        trial.reacted(None, n % 10 == 0)
        n += 1
    assert breach is not None
    assert breach.check == "completed"
    assert "90% of" in breach.said
    assert "50% of" in breach.said


def test_an_answer_that_takes_for_ever_hangs(served: tuple[Served, Served]) -> None:
    trial = probation(served)
    assert trial.breach(running_s=1.0) is None
    breach = trial.breach(running_s=2.5)
    assert breach is not None
    assert breach.check == "hanging"


# The shadow, over real versions


def compared(old: Served, new: Recommender, n: int = 60) -> dict[str, float]:
    shadow, seen = Shadow(old), []
    for number in range(n):
        query = Query(user_id=f"u{number % 90:03d}")
        (slate,) = new.recommend([query])
        seen.append(shadow.compare(query, {}, slate))
    return {
        name: float(np.mean([v for one in seen if (v := getattr(one, name)) is not None]))
        for name in ("found", "by_chance", "less_popular", "more_alike", "seconds")
    }


def test_a_version_is_like_itself(served: tuple[Served, Served]) -> None:
    means = compared(served[0], served[0].recommender)
    assert means["found"] == 1.0
    assert means["less_popular"] == 0.0
    assert means["more_alike"] == 0.0
    assert 0.2 < means["by_chance"] <= 0.25
    assert means["seconds"] > 0


def test_another_good_version_is_like_it_beyond_chance(served: tuple[Served, Served]) -> None:
    means = compared(served[0], served[1].recommender)
    assert means["found"] > means["by_chance"] + 0.2
    assert abs(means["less_popular"]) < 0.15
    assert abs(means["more_alike"]) < 0.15


def test_files_that_are_wrong_and_verify_are_unlike_it(served: tuple[Served, Served]) -> None:
    assert compared(served[0], upside_down())["found"] < 0.2
    assert compared(served[0], permuted())["found"] < 0.35


def test_tracks_that_the_old_version_does_not_know_are_left_out(served: tuple[Served, Served]) -> None:
    old = served[0]
    shadow, query = Shadow(old), Query(user_id="u000")
    known = well_formed(old, query, {})
    shadow.compare(Query(user_id="u001"), {}, well_formed(old, Query(user_id="u001"), {}))
    strange = replace(known, track_ids=tuple(f"new-{one}" for one in known.track_ids))
    comparison = shadow.compare(query, {}, strange)
    assert comparison.found is None
    assert comparison.less_popular is None


def test_one_listener_says_nothing_of_how_alike_answers_are(served: tuple[Served, Served]) -> None:
    shadow, query = Shadow(served[0]), Query(user_id="u000")
    slate = well_formed(served[0], query, {})
    for _ in range(3):
        comparison = shadow.compare(query, {}, slate)
        assert comparison.more_alike is None
        assert comparison.found is None


def test_answers_are_compared_one_at_a_time_and_fewer_later(served: tuple[Served, Served]) -> None:
    seen: list[Comparison] = []
    shadowing = Shadowing(lambda *_: {}, seen.append)
    slate = well_formed(served[0], Query(user_id="u000"), {})
    shadowing.offer(Query(user_id="u000"), slate)
    assert seen == [], "nothing has begun"
    shadowing.begin(served[0])
    shadowing.offer(Query(group=("u000", "u001")), slate)
    for _ in range(EAGER):
        shadowing.offer(Query(user_id="u000"), slate)
    wait_until(lambda: len(seen) >= 1, "an answer is compared")
    assert len(seen) < EAGER / 2, "the worker has requests to answer"
    shadowing.end()
    shadowing.close()


# Before it serves


def test_a_version_rehearses_the_latest_requests(
    served: tuple[Served, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = Rehearsal(lambda *_: {})
    rehearsal.run(served[1])
    for number in range(40):
        rehearsal.note(Query(user_id=f"u{number:03d}"))
    rehearsal.forget("u039")
    asked: list[str | None] = []
    answer = Recommender.recommend

    def noting(self: Recommender, queries: list[Query], since: object = None) -> list[Slate]:
        asked.extend(query.user_id for query in queries)
        return answer(self, queries, since)  # type: ignore[arg-type]

    monkeypatch.setattr(Recommender, "recommend", noting)
    rehearsal.run(served[1])
    assert asked == [f"u{number:03d}" for number in range(8, 39)]


def test_scores_that_are_no_numbers_are_no_answer(
    served: tuple[Served, Served], models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr(threading.current_thread(), "name", "compute")
    monkeypatch.setattr(Recommender, "recommend", planted("not_a_number", models.second))
    well_formed(served[0], Query(user_id="u000"), {})
    with pytest.raises(DamagedError, match="no number"):
        well_formed(served[1], Query(user_id="u000"), {})
    with pytest.raises(DamagedError, match="no number"):
        served[1].answer_first()


def test_what_guardrails_count_has_names_that_prometheus_likes() -> None:
    metrics = Metrics()
    counters = GuardrailCounters(metrics.registry)
    counters.drops.labels("slow").inc()
    text = metrics.exposition().decode()
    assert 'audotics_guardrail_drops_total{check="slow"} 1.0' in text
    assert "audotics_guardrail_probation 0.0" in text


def test_a_registry_without_a_history_knows_nobody(tmp_path: Path) -> None:
    assert not returns(Registry(tmp_path).moves("champion"), "a")
