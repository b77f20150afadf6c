"""From the journal to a new champion or a refusal; a kill costs the step it hit. All training is real."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from pydantic import JsonValue
from sqlalchemy import Engine

from audotics.data.dataset import Dataset
from audotics.errors import BadInputError
from audotics.journal.events import EventJournal
from audotics.lifecycle.findings import Finding, Severity
from audotics.lifecycle.gatekeeping import Case
from audotics.lifecycle.held_days import hold_out
from audotics.lifecycle.pending import ORIGIN
from audotics.lifecycle.reports import ReportFolder
from audotics.lifecycle.retraining import Retraining, RetrainSettings
from audotics.registry.names import CHALLENGER, CHAMPION
from audotics.registry.store import Registry
from audotics.telemetry import Progress
from audotics.training.publishing import load_version
from contract.aging import QUICK, day, events_of, journal_events, post_days, write_days


@dataclass
class Says:
    """Gates that say what they are told to, and remember whom they judged."""

    passed: bool = True
    reasons: tuple[str, ...] = ("as it was told",)
    fails: type[BaseException] | None = None
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        self.judged: list[tuple[str, str]] = []

    def check(self, dataset: Dataset, base: Dataset) -> tuple[Finding, ...]:
        assert dataset.manifest.rows["events"] > base.manifest.rows["events"]
        return self.findings

    def judge(self, case: Case) -> "Says":
        self.judged.append((case.champion, case.challenger))
        assert case.registry.alias(CHALLENGER) == case.challenger
        assert case.dataset.manifest.time_range[1] > case.held_out_from  # type: ignore[index]
        if self.fails is not None:
            raise self.fails
        return self

    def to_json(self) -> JsonValue:
        return {"passed": self.passed}


def retraining(place: Path, engine: Engine, gates: Says | None = None, **settings: object) -> Retraining:
    return Retraining(
        place / "models",
        engine,
        gates=gates or Says(),
        settings=RetrainSettings(data=place / "base", **settings),  # type: ignore[arg-type]
    )


def test_a_challenger_that_passes_becomes_champion_and_says_where_it_comes_from(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    registry = Registry(place / "models")
    before = registry.alias(CHAMPION)
    judge = Says()

    report = retraining(place, engine, judge).run("because")

    assert (report.outcome, report.trigger, report.champion) == ("promoted", "because", before)
    assert report.version == registry.alias(CHAMPION) == registry.alias(CHALLENGER) != before
    assert judge.judged == [(before, report.version)]
    manifest = registry.verify(report.version)
    assert manifest.config[ORIGIN]["champion"] == before  # type: ignore[index, call-overload]
    assert manifest.dataset.fingerprint == report.data.fingerprint  # type: ignore[union-attr]
    assert report.held_out_from is not None
    assert manifest.dataset.ends_at < report.held_out_from  # type: ignore[operator]
    assert ReportFolder(place / "models").of(report.version) == report
    assert registry.rollback(CHAMPION) == before


def test_the_challenger_knows_what_came_before_the_held_out_day_and_nothing_of_that_day(
    place: Path, engine: Engine
):
    post_days(engine, 16, 18)
    newcomer = events_of(17, 18).tail(40).with_columns(user_id=pl.lit("new-today"))
    learned = events_of(16, 17).head(40).with_columns(user_id=pl.lit("new-yesterday"))
    EventJournal(engine).append(journal_events(pl.concat([learned, newcomer])))

    report = retraining(place, engine).run()

    recommender = load_version(Registry(place / "models"))
    assert "new-yesterday" in recommender.users
    assert "new-today" not in recommender.users
    assert report.held_out_from is not None
    latest = int(recommender.histories.last_at.max())
    assert latest < report.held_out_from.timestamp() * 1e6
    assert latest > day(16).timestamp() * 1e6, "it learned from the day between"


def test_settings_that_were_tuned_are_taken_over(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    registry = Registry(place / "models")
    before = registry.show(CHAMPION)

    report = retraining(place, engine, changes={"per_retriever": 20}).run()

    after = registry.show(CHAMPION)
    assert after.config["retrievers"] == before.config["retrievers"]
    assert after.config["train"]["per_retriever"] == 20  # type: ignore[index, call-overload]
    assert after.config["train"]["rankers"] == list(QUICK.rankers)  # type: ignore[index, call-overload]
    stages = [record.name for record in report.stages]
    assert not any(name.startswith("tune") for name in stages)
    again = retraining(place, engine, tune=True)
    post_days(engine, 18, 20)
    assert "tune item-knn" in [record.name for record in again.run().stages]


def test_a_refused_challenger_stays_with_its_report_and_the_champion_serves_on(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    registry = Registry(place / "models")
    before = registry.alias(CHAMPION)

    report = retraining(place, engine, Says(passed=False, reasons=("it is worse",))).run()

    assert (report.outcome, report.reasons) == ("refused", ("it is worse",))
    assert registry.alias(CHAMPION) == before
    assert registry.alias(CHALLENGER) == report.version
    assert registry.verify(CHALLENGER).version == report.version
    kept = ReportFolder(place / "models").of(report.version)  # type: ignore[arg-type]
    assert kept is not None
    assert kept.gates == {"passed": False}
    following = retraining(place, engine).run()
    assert following.champion == before
    assert following.version != report.version, "it was judged; now another one is trained"


def test_bad_data_is_refused_before_anything_is_trained(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    found = (
        Finding("bots", Severity.REFUSE, "one listener plays all day", 0.5, 0.01),
        Finding("nulls", Severity.WARN, "a column lost values", 0.1, 0.05),
    )
    run = retraining(place, engine, Says(findings=found))
    versions = run.registry.versions()

    report = run.run()

    assert (report.outcome, report.version) == ("refused", None)
    assert report.reasons == ("one listener plays all day",)
    assert len(report.findings) == 2
    assert run.registry.versions() == versions
    newest = ReportFolder(place / "models").newest()
    assert newest is not None
    assert newest == report


def test_there_may_be_nothing_to_do(place: Path, engine: Engine):
    assert "no new events" in retraining(place, engine).run().reasons[0]
    post_days(engine, 16, 18)
    promoted = retraining(place, engine).run()

    report = retraining(place, engine).run()

    assert promoted.outcome == "promoted"
    assert (report.outcome, report.version) == ("nothing", None)
    assert "no event came" in report.reasons[0]


def test_without_a_champion_there_is_nothing_to_retrain(tmp_path: Path, engine: Engine):
    with pytest.raises(BadInputError, match="audotics train"):
        retraining(tmp_path, engine).run()


def test_retrained_again_and_again_every_event_is_learned_once(place: Path, engine: Engine):
    for last in (18, 19, 20):
        post_days(engine, 16, last)
        assert retraining(place, engine).run().outcome == "promoted"

    registry = Registry(place / "models")
    kept = place / "models" / "data"
    data = Dataset.open(kept / registry.show(CHAMPION).dataset.fingerprint[:16])
    assert data.events().select(pl.len()).collect().item() == events_of(0, 20).height
    assert sum(path.is_dir() for path in kept.iterdir()) == 2


class KilledError(BaseException):
    """Stands for a kill: nothing may catch it."""


def killed() -> None:
    raise KilledError


def test_a_challenger_that_was_published_and_not_judged_is_judged_not_trained_anew(
    place: Path, engine: Engine
):
    post_days(engine, 16, 18)
    with pytest.raises(KilledError):
        retraining(place, engine, Says(fails=KilledError)).run()
    registry = Registry(place / "models")
    published = registry.versions()
    judge = Says()

    report = retraining(place, engine, judge).run()

    assert registry.versions() == published
    assert judge.judged == [(published[0], published[1])]
    assert (report.outcome, registry.alias(CHAMPION)) == ("promoted", published[1])


def test_a_promotion_that_a_kill_cut_short_is_finished(
    place: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    post_days(engine, 16, 18)
    with monkeypatch.context() as at_the_move:
        run = retraining(place, engine)
        moved = run.registry.set_alias
        at_the_move.setattr(
            run.registry, "set_alias", lambda alias, v: killed() if alias == CHAMPION else moved(alias, v)
        )
        with pytest.raises(KilledError):
            run.run()
    registry = Registry(place / "models")
    first, second = registry.versions()
    assert registry.alias(CHAMPION) == first
    passed = ReportFolder(place / "models").of(second)
    assert passed is not None
    assert passed.outcome == "passed"

    report = retraining(place, engine).run()

    assert (report.outcome, report.version, registry.alias(CHAMPION)) == ("promoted", second, second)


def test_a_champion_that_was_rolled_back_is_not_promoted_again(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    promoted = retraining(place, engine).run()
    registry = Registry(place / "models")
    reports = ReportFolder(place / "models")
    # As if the kill had come after the move and before the report said so.
    reports.keep(promoted.model_copy(update={"outcome": "passed"}))
    registry.rollback(CHAMPION)

    report = retraining(place, engine).run()

    assert report.version not in (promoted.version, None)


def test_a_report_that_a_kill_left_behind_is_completed(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    promoted = retraining(place, engine).run()
    reports = ReportFolder(place / "models")
    reports.keep(promoted.model_copy(update={"outcome": "passed"}))

    retraining(place, engine).run()

    assert reports.of(promoted.version) == promoted  # type: ignore[arg-type]


def test_a_damaged_challenger_is_refused_and_does_not_block_the_next_run(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    with pytest.raises(KilledError):
        retraining(place, engine, Says(fails=KilledError)).run()
    registry = Registry(place / "models")
    damaged = registry.versions()[-1]
    (registry.folder(damaged) / "recommender.json").write_text("{}")

    report = retraining(place, engine).run()

    assert (report.outcome, report.version) == ("refused", damaged)
    assert "damaged" in report.reasons[0]
    assert retraining(place, engine).run().outcome == "promoted"


def test_a_challenger_that_cannot_be_judged_is_refused_and_does_not_block_the_next_run(
    place: Path, engine: Engine
):
    """As when nobody heard anything new in the held-out days."""

    class CannotError(BadInputError):
        def __init__(self) -> None:
            super().__init__("nothing is left to evaluate on")

    post_days(engine, 16, 18)

    report = retraining(place, engine, Says(fails=CannotError)).run()

    assert report.outcome == "refused"
    assert "cannot be judged" in report.reasons[0]
    assert retraining(place, engine).run().version != report.version


def test_a_checkpoint_ends_a_run_between_steps_and_the_next_goes_on(place: Path, engine: Engine):
    post_days(engine, 16, 18)
    calls: list[int] = []

    def stop_at_the(number: int) -> None:
        calls.append(1)
        if len(calls) == number:
            raise KilledError

    number = -2
    while True:
        number += 5
        calls.clear()
        run = Retraining(
            place / "models",
            engine,
            gates=Says(),
            settings=RetrainSettings(data=place / "base"),
            progress=Progress(checkpoint=lambda n=number: stop_at_the(n)),  # type: ignore[misc]
        )
        try:
            report = run.run()
        except KilledError:
            assert run.registry.alias(CHAMPION) == run.registry.versions()[0]
            continue
        break

    assert report.outcome == "promoted"
    assert len(run.registry.versions()) == 2, "whatever was published was gone on with"


@pytest.mark.parametrize("days", [0.5, 1.0, 3.0])
def test_the_held_out_days_are_new_to_the_champion(first: Path, tmp_path: Path, days: float):
    dataset = write_days(tmp_path / "days", 0, 18)
    seen_until = Dataset.open(first / "base").manifest.time_range[1]  # type: ignore[index]

    held = hold_out(dataset, seen_until, days, datetime.now(UTC))

    times = events_of(0, 18)["timestamp"]
    assert held.starts_at > seen_until
    assert held.starts_at > times.max() - timedelta(days=days)  # type: ignore[operator]
    assert held.n_to_judge == int((times >= held.starts_at).sum())
    assert held.n_to_learn == int(((times > seen_until) & (times < held.starts_at)).sum())
    assert bool(held.too_little) is (held.n_to_learn == 0)
    assert held.n_listeners == events_of(0, 18).filter(times >= held.starts_at)["user_id"].n_unique()


def test_events_of_a_clock_that_runs_ahead_do_not_say_which_days_are_newest(tmp_path: Path):
    dataset = write_days(tmp_path / "days", 0, 18)

    held = hold_out(dataset, day(10), 1.0, now=day(14))

    assert day(13) - timedelta(hours=3) < held.starts_at < day(13) + timedelta(hours=1)
    judging = events_of(0, 14).filter(pl.col("timestamp") >= held.starts_at)
    assert held.n_to_judge == judging.height > 0


def test_a_challenger_is_shown_before_it_is_judged(place: Path, engine: Engine) -> None:
    """Tracking logs it then: a refused challenger is a run, too."""
    shown: list[tuple[str, str]] = []
    post_days(engine, 16, 18)
    gates = Says(passed=False)

    def show(trained, manifest) -> None:
        assert not gates.judged
        shown.append((manifest.version, trained.recommender.users.fingerprint))

    report = Retraining(
        place / "models",
        engine,
        gates=gates,
        settings=RetrainSettings(data=place / "base"),
        on_published=show,
    ).run()
    assert report.outcome == "refused"
    assert [version for version, _ in shown] == [report.version]
