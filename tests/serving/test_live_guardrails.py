"""Bad versions that passed every gate are noticed while they serve, and good ones are left alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from audotics.domain import Exposure
from audotics.journal.events import JournalEvent, Recorded
from audotics.recommender.recommender import Recommender
from audotics.registry.names import CHAMPION
from audotics.serving.guardrails.reports import read_reports
from contract import planted_faults
from contract.planted_faults import planted
from contract.services import wait_until
from contract.watched import Watched

if TYPE_CHECKING:
    from conftest import Models


@pytest.fixture
def watched(own_models: Models, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(own_models.folder, tmp_path, probation_s=60)
    made.ask(60)
    yield made
    planted_faults.never.set()
    made.close()
    planted_faults.never.clear()


def plant(monkeypatch: pytest.MonkeyPatch, fault: str, version: str) -> None:
    monkeypatch.setattr(Recommender, "recommend", planted(fault, version))


@pytest.mark.parametrize(
    ("fault", "checks", "most"),
    [
        ("raises", {"failing"}, 20),
        ("not_a_number", {"failing"}, 20),
        ("empty", {"failing"}, 20),
        ("slow", {"slow", "late"}, 60),
        ("rubbish", {"unlike", "unpopular"}, 150),
        ("same_for_all", {"alike"}, 200),
    ],
)
def test_a_bad_version_is_dropped(
    watched: Watched,
    own_models: Models,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    checks: set[str],
    most: int,
) -> None:
    plant(monkeypatch, fault, own_models.second)
    watched.promote(own_models.second)
    answers = watched.ask_until_dropped()
    assert watched.models.current.version == own_models.first
    assert len(answers) <= most
    (dropped,) = watched.guardrails.dropped
    assert dropped.version == own_models.second
    assert dropped.reason.split(":")[0] in checks
    wait_until(lambda: watched.registry.alias(CHAMPION) == own_models.first, "the alias is rolled back")
    wait_until(lambda: read_reports(own_models.folder), "the report is there")
    (report,) = read_reports(own_models.folder)
    assert (report.version, report.back_to, report.alias_now) == (
        own_models.second,
        own_models.first,
        own_models.first,
    )
    assert report.check in checks
    assert report.p_value <= 0.001
    assert watched.sample("audotics_guardrail_drops_total", check=report.check) == 1
    assert watched.sample("audotics_guardrail_probation") == 0
    assert all(answer["rung"] == "personalised" and answer["tracks"] for answer in answers)


@pytest.mark.parametrize("fault", ["raises", "not_a_number", "empty"])
def test_what_the_new_version_fails_the_old_one_answers(
    watched: Watched, own_models: Models, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    plant(monkeypatch, fault, own_models.second)
    watched.promote(own_models.second)
    (answer,) = watched.ask(1)
    assert answer["model_version"] == own_models.first
    assert (answer["rung"], answer["degraded"]) == ("personalised", [])
    assert watched.sample("audotics_guardrail_stand_ins_total") == 1


def test_a_version_that_hangs_is_dropped_and_its_thread_left_behind(
    watched: Watched, own_models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, "hangs", own_models.second)
    watched.guardrails.on_hang = watched.answering.begin_anew
    monkeypatch.setattr(watched.answering, "_deadline_s", 0.2)
    watched.promote(own_models.second)
    start = time.monotonic()
    answers = watched.ask_until_dropped()
    assert time.monotonic() - start < 10
    assert {answer["rung"] for answer in answers} == {"favourites"}, "the ladder answers meanwhile"
    assert watched.guardrails.dropped[0].reason.startswith("hanging")
    (answer,) = watched.ask(1)
    assert (answer["rung"], answer["model_version"]) == ("personalised", own_models.first)


def test_a_good_version_passes_and_the_old_one_is_let_go(own_models: Models, tmp_path: Path) -> None:
    watched = Watched(own_models.folder, tmp_path, probation_s=0.5)
    watched.ask(60)
    watched.promote(own_models.second)
    assert watched.models.previous is not None
    answers = watched.ask(220)
    assert {answer["model_version"] for answer in answers} == {own_models.second}
    wait_until(lambda: watched.models.previous is None, "the probation is over")
    assert watched.guardrails.trial is None
    assert not watched.guardrails.dropped
    assert watched.sample("audotics_guardrail_passed_total") == 1
    assert watched.sample("audotics_guardrail_shadows_total") > 10
    watched.close()


def test_few_answers_make_a_probation_longer(own_models: Models, tmp_path: Path) -> None:
    watched = Watched(own_models.folder, tmp_path, probation_s=0.3)
    watched.promote(own_models.second)
    time.sleep(0.7)
    assert watched.guardrails.trial is not None, "nobody has asked yet"
    wait_until(lambda: watched.guardrails.trial is None, "it ends all the same")
    watched.close()


def react(watched: Watched, answers: list[dict[str, Any]], skipped: float, first: int = 0) -> None:
    """Every listener skips, or else completes, a track of the answer."""
    events = []
    for number, answer in enumerate(answers, first):
        track_ids = tuple(track["track_id"] for track in answer["tracks"])
        watched.guardrails.shown(
            Exposure(
                request_id=answer["request_id"],
                user_id=answer["user_id"],
                at=None,  # type: ignore[arg-type]
                track_ids=track_ids,
                scores=None,  # type: ignore[arg-type]
                propensities=None,  # type: ignore[arg-type]
                model_version=answer["model_version"],
            )
        )
        kind = "skip" if (number * 7) % 10 < 10 * skipped else "complete"
        events.append(
            Recorded(
                number,
                JournalEvent(
                    str(number), answer["user_id"], track_ids[0], 0, kind, request_id=answer["request_id"]
                ),
                0,
            )
        )
    watched.guardrails.reacted(events)


def test_a_version_that_listeners_skip_is_dropped(watched: Watched, own_models: Models) -> None:
    react(watched, watched.ask(100), skipped=0.3)
    watched.promote(own_models.second)
    n = 0
    while not watched.guardrails.dropped and n < 400:
        react(watched, watched.ask(10), skipped=0.7, first=1000 + n)
        n += 10
        time.sleep(0.05)
    assert watched.guardrails.dropped[0].reason.startswith(("skipped", "completed"))
    assert n <= 200


def test_the_same_share_of_skips_is_no_reason(watched: Watched, own_models: Models) -> None:
    react(watched, watched.ask(100), skipped=0.3)
    watched.promote(own_models.second)
    react(watched, watched.ask(100), skipped=0.3, first=1000)
    time.sleep(0.5)
    assert not watched.guardrails.dropped
    assert watched.guardrails.evidence()["skipped"][0] == 100


def test_a_dropped_version_comes_back_only_when_it_is_promoted_again(
    watched: Watched, own_models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as spoilt:
        plant(spoilt, "raises", own_models.second)
        watched.promote(own_models.second)
        watched.ask_until_dropped()
        wait_until(lambda: watched.registry.alias(CHAMPION) == own_models.first, "the alias is rolled back")
    assert not watched.models.check()
    assert watched.models.trouble == ""
    watched.promote(own_models.second)
    assert watched.guardrails.trial is not None, "on probation again: it was rolled back"


def test_local_guardrails_leave_the_alias_alone(
    own_models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(own_models.folder, tmp_path, mode="local", probation_s=60)
    plant(monkeypatch, "raises", own_models.second)
    watched.promote(own_models.second)
    watched.ask_until_dropped()
    assert watched.models.current.version == own_models.first
    assert watched.registry.alias(CHAMPION) == own_models.second
    assert not watched.models.check()
    assert "dropped" in watched.models.trouble
    assert watched.models.current.version == own_models.first
    # Setting the alias to where it points is a wish to try again.
    watched.promote(own_models.second)
    assert watched.guardrails.trial is not None
    watched.close()


def test_without_guardrails_nothing_is_watched(
    own_models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(own_models.folder, tmp_path, mode="off")
    plant(monkeypatch, "raises", own_models.second)
    watched.promote(own_models.second)
    answers = watched.ask(20)
    assert watched.models.current.version == own_models.second
    assert watched.models.previous is None
    assert {answer["degraded"][0] for answer in answers} == {"ranker"}
    watched.close()


def test_going_back_is_no_probation(watched: Watched, own_models: Models) -> None:
    watched.promote(own_models.second)
    watched.registry.rollback(CHAMPION)
    assert watched.models.check()
    assert watched.models.current.version == own_models.first
    assert watched.guardrails.trial is None
    assert watched.models.previous is None


def test_a_scorer_that_is_away_is_not_the_new_version_s_fault(
    watched: Watched, own_models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audotics.errors import UnavailableError

    def away(self: Recommender, *_: Any) -> Any:
        raise UnavailableError("the scorer does not answer")

    watched.promote(own_models.second)
    monkeypatch.setattr(Recommender, "recommend", away)
    answers = watched.ask(20)
    assert {answer["degraded"][0] for answer in answers} == {"ranker"}
    time.sleep(0.5)
    assert not watched.guardrails.dropped


def test_a_folder_that_cannot_be_written_still_lets_this_server_go_back(
    watched: Watched, own_models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, "raises", own_models.second)
    watched.promote(own_models.second)
    monkeypatch.setattr(
        type(watched.registry), "rollback", lambda *_, **__: (_ for _ in ()).throw(OSError("read-only"))
    )
    watched.ask_until_dropped()
    assert watched.models.current.version == own_models.first
    assert not watched.models.check()


def test_the_report_is_plain_json(
    watched: Watched, own_models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, "raises", own_models.second)
    watched.promote(own_models.second)
    watched.ask_until_dropped()
    folder = own_models.folder / "reports" / "guardrails"
    wait_until(lambda: list(folder.glob("*.json")), "the report is there")
    (path,) = folder.glob(f"{own_models.second}-*.json")
    said = json.loads(path.read_text())
    assert said["check"] == "failing"
    assert said["n_stood_in"] == said["n_answers"]
    assert "failed" in said["reason"]
