"""Watches a new version from its first answer, and goes back to the one before where it is worse."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from audotics.domain import Exposure, Query, Slate
from audotics.errors import AudoticsError, BadInputError, UnavailableError
from audotics.journal.events import Recorded
from audotics.recommender.reactions import Reactions
from audotics.registry import Registry
from audotics.resilience import Lookout
from audotics.serving.following import ModelFollower
from audotics.serving.guardrails.counters import GuardrailCounters
from audotics.serving.guardrails.moves import returns
from audotics.serving.guardrails.probation import Breach, Limits, Probation
from audotics.serving.guardrails.record import Record
from audotics.serving.guardrails.rehearsal import Rehearsal
from audotics.serving.guardrails.reports import Dropped, DropReport, keep_report
from audotics.serving.guardrails.shadow import Comparison
from audotics.serving.guardrails.shadowing import Shadowing
from audotics.serving.guardrails.shown import ShownAnswers
from audotics.serving.served import Served, well_formed

Mode: TypeAlias = Literal["rollback", "local", "off"]

TICK_S = 0.2
FEWEST_ANSWERS = 200
"""A probation goes on until the version has computed so many, though not beyond `LONGEST` times its time."""

LONGEST = 6

_log = logging.getLogger("audotics.serving")


class Guardrails:
    """One for each worker. A version that passes, or that goes well, costs a dictionary look-up an answer.

    Args:
        models: Holds the versions; told to go back.
        registry: Whose alias is rolled back.
        alias: Which one.
        counters: Counts what happens.
        reactions: What the listeners of a query did since a time, for the old version's answer.
        mode: ``rollback`` moves the alias for every server, ``local`` goes back in this process only, ``off``
            watches nothing.
        probation_s: How long a new version is watched, and the old one kept.
        limits: How much worse it may be.

    Attributes:
        on_hang: Called when a version that hangs was dropped: the thread that computes is lost.
        dropped: Versions dropped here, the last one last.
    """

    def __init__(
        self,
        models: ModelFollower,
        registry: Registry,
        alias: str,
        counters: GuardrailCounters,
        reactions: Callable[[Query, datetime], Reactions],
        *,
        mode: Mode = "rollback",
        probation_s: float = 600.0,
        limits: Limits | None = None,
    ) -> None:
        self._models, self._registry, self._alias = models, registry, alias
        self._counters, self._reactions, self._mode = counters, reactions, mode
        self._probation_s, self._limits = probation_s, limits or Limits()
        self._lock = threading.Lock()
        self._records: dict[str, Record] = {models.current.version: Record()}
        self._shown = ShownAnswers()
        self._trial: Probation | None = None
        self._ends_at = 0.0
        self._under_way: tuple[str, float] | None = None
        self._rehearsal = Rehearsal(reactions)
        self._shadowing = Shadowing(reactions, self._compared)
        self._lookout = Lookout("guardrails", self._judge, TICK_S)
        self.on_hang: Callable[[], object] = lambda: None
        self.dropped: deque[Dropped] = deque(maxlen=10)

    def start(self) -> None:
        """Begin to watch what the follower swaps in."""
        if self._mode == "off":
            return
        self._models.on_trial, self._models.rehearse = self._begin, self._rehearsal.run
        self._lookout.start()

    def stop(self) -> None:
        """Watch no more."""
        self._lookout.stop()
        self._shadowing.close()

    @property
    def trial(self) -> Probation | None:
        """The probation under way."""
        return self._trial

    def evidence(self) -> Mapping[str, tuple[int, float]]:
        """Of the probation under way, see `Probation.evidence`; empty without one."""
        with self._lock:
            return {} if self._trial is None else self._trial.evidence()

    def recommend(self, served: Served, query: Query, since: Reactions) -> Slate:
        """The version's answer, which is watched.

        Raises:
            BadInputError: The query cannot be answered by any version.
            UnavailableError: What scores is away, or the version says nothing where the old one does.
            Exception: The version fails.
        """
        start = time.perf_counter()
        self._under_way = served.version, start
        try:
            slate = well_formed(served, query, since)
            seconds = time.perf_counter() - start
            self._check_not_empty(served, query, slate)
        except BadInputError:
            raise
        except Exception as error:
            self._failed(served, query, error)
            raise
        finally:
            self._under_way = None
        self._answered(served, query, slate, seconds)
        return slate

    def stand_in(self, served: Served) -> Served | None:
        """The version that answers what this one failed; None where there is no other."""
        trial, other = self._trial, None
        if trial is not None and trial.version == served.version:
            other = trial.previous
        elif any(one.version == served.version for one in self.dropped):
            other = self._models.current  # the request began before the version was dropped
        if other is None or other.version == served.version:
            return None
        self._counters.stand_ins.inc()
        return other

    def shown(self, exposure: Exposure) -> None:
        """An answer was shown; what the listener does with it counts for its version."""
        if self._mode != "off" and exposure.model_version in self._records:
            with self._lock:
                self._shown.add(exposure)

    def reacted(self, recorded: Iterable[Recorded]) -> None:
        """Listeners did something; each event once, in whichever process it arrived."""
        with self._lock:
            for reaction in self._shown.reactions(one.event for one in recorded):
                trial, record = self._trial, self._records.get(reaction.version)
                if trial is not None and trial.version == reaction.version:
                    trial.reacted(reaction.skipped, reaction.completed)
                elif record is not None:
                    record.reacted(reaction.skipped, reaction.completed)

    def forget(self, user_id: str) -> None:
        """Drop what is kept of a listener who is erased."""
        with self._lock:
            self._shown.forget(user_id)
        self._rehearsal.forget(user_id)

    def _begin(self, new: Served, old: Served) -> bool:
        """Whether the new version is on probation: it never served before, or was rolled back since."""
        known = old.version == new.version or returns(self._registry.moves(self._alias), new.version)
        with self._lock:
            reference, own = (self._records.get(one.version) or Record() for one in (old, new))
            self._records = {old.version: reference, new.version: own}
            self._trial = None if known else Probation(new, old, reference, own, self._limits)
            self._ends_at = time.monotonic() + self._probation_s
        if known:
            self._shadowing.end()
        else:
            self._shadowing.begin(old)
        self._counters.on_probation.set(not known)
        return not known

    def _answered(self, served: Served, query: Query, slate: Slate, seconds: float) -> None:
        if self._mode == "off":
            return
        self._rehearsal.note(query)
        with self._lock:
            trial = self._trial
            if trial is None or trial.version != served.version:
                record = self._records.get(served.version)
                if record is not None:
                    record.answered(seconds)
                return
            trial.answered(seconds)
        self._shadowing.offer(query, slate)

    def _failed(self, served: Served, query: Query, error: Exception) -> None:
        trial = self._trial
        if trial is None or trial.version != served.version:
            record = self._records.get(served.version)
            if record is not None:
                record.failed.add(True)
            return
        # A scorer or a store that is away fails every version; a version fails where the old one does not.
        if isinstance(error, UnavailableError) and not self._says_something(trial.previous, query):
            return
        with self._lock:
            trial.failed()
        self._lookout.wake()

    def _check_not_empty(self, served: Served, query: Query, slate: Slate) -> None:
        trial = self._trial
        if slate.track_ids or trial is None or trial.version != served.version:
            return
        if self._says_something(trial.previous, query):
            raise UnavailableError(f"version {served.version} has no track for a request")

    def _says_something(self, served: Served, query: Query) -> bool:
        try:
            return bool(well_formed(served, query, self._reactions(query, served.trained_until)).track_ids)
        except Exception:
            return False

    def _compared(self, comparison: Comparison) -> None:
        self._counters.shadows.inc()
        with self._lock:
            if self._trial is not None:
                self._trial.compared(comparison)

    def _judge(self) -> None:
        trial, under_way = self._trial, self._under_way
        if trial is None:
            return
        running = under_way is not None and under_way[0] == trial.version
        running_s = time.perf_counter() - under_way[1] if under_way is not None and running else 0.0
        with self._lock:
            trial.learn_times()
            breach = trial.breach(running_s)
        if breach is not None:
            self._drop(trial, breach)
        elif self._is_over(trial):
            self._end(trial)
            self._counters.passed.inc()
            self._models.release(trial.version)
            _log.info("version %s passed its probation of %d answers", trial.version, trial.n_answers)

    def _is_over(self, trial: Probation) -> bool:
        now = time.monotonic()
        enough = trial.n_answers >= FEWEST_ANSWERS
        return now >= self._ends_at + (0 if enough else (LONGEST - 1) * self._probation_s)

    def _end(self, trial: Probation) -> None:
        with self._lock:
            if self._trial is not trial:
                return  # another version has begun meanwhile
            self._trial = None
        self._shadowing.end()
        self._counters.on_probation.set(0)

    def _drop(self, trial: Probation, breach: Breach) -> None:
        reason = f"{breach.check}: {breach.said}"
        if not self._models.drop(trial.version, reason):
            self._end(trial)
            return
        self._end(trial)
        self._counters.drops.labels(breach.check).inc()
        now = datetime.now(UTC)
        self.dropped.append(Dropped(trial.version, reason, now))
        _log.error(
            "version %s is dropped, %s serves again: %s", trial.version, trial.previous.version, reason
        )
        if breach.check == "hanging":
            self.on_hang()
        self._tell_all(trial, breach, now)

    def _tell_all(self, trial: Probation, breach: Breach, now: datetime) -> None:
        """Move the alias back for every server, and keep the report."""
        alias_now = trial.version
        try:
            if self._mode == "rollback":
                alias_now = self._registry.rollback(self._alias, away_from=trial.version)
            report = DropReport.of(trial, breach, alias=self._alias, alias_now=alias_now, dropped_at=now)
            keep_report(self._registry.models_dir, report)
        except (AudoticsError, OSError) as error:
            _log.error("version %s is dropped here only: %s", trial.version, error)
