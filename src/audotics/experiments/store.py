"""Experiments in the journal's database: created, started, changed and stopped, each step on record."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, func, insert, select, update

from audotics.errors import BadInputError, DamagedError
from audotics.experiments import life
from audotics.experiments.assignment import Assignment, Holdout
from audotics.experiments.definition import Definition, Experiment
from audotics.experiments.tables import HOLDOUT_ROW, changes, experiments
from audotics.journal.engine import reading, writing
from audotics.journal.failures import place
from audotics.journal.tables import take_seqs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_LAST = select(func.max(changes.c.seq))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All experiments at one revision.

    Args:
        revision: Place of the last change; 0 before the first.
        experiments: In the order of their names.
        holdout: Who is kept out of all.
    """

    revision: int = 0
    experiments: tuple[Experiment, ...] = ()
    holdout: Holdout = field(default_factory=Holdout)

    def assignment(self) -> Assignment:
        """The experiments that run, ready to be asked."""
        return Assignment(self.experiments, self.holdout)


@dataclass(frozen=True, slots=True)
class Change:
    """A step in the life of an experiment, or of the holdout (whose name is empty)."""

    seq: int
    name: str
    at: datetime
    action: str
    actor: str
    reason: str


class ExperimentStore:
    """The experiments of an installation.

    Writers take turns on the journal's counter (`take_seqs`), each reads what the one before left, so
    no change is lost and every change has a place in one order.

    Args:
        engine: From `audotics.journal.open_engine`; call `prepare_experiments` before the first use.
        actor: Who is on record for the changes; else the system's user.
        clock: The time now.
    """

    def __init__(
        self, engine: Engine, actor: str = "", clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._engine = engine
        self._actor = actor or _system_user()
        self._clock = clock

    def snapshot(self) -> Snapshot:
        """Everything, as of one moment.

        Raises:
            UnavailableError: The database does not answer.
        """
        with reading(self._engine) as connection:
            revision = connection.execute(_LAST).scalar_one() or 0
            found, holdout = _all(connection)
        return Snapshot(revision, found, holdout)

    def revision(self) -> int:
        """Place of the last change; 0 before the first.

        Raises:
            UnavailableError: The database does not answer.
        """
        with reading(self._engine) as connection:
            return connection.execute(_LAST).scalar_one() or 0

    def get(self, name: str) -> Experiment:
        """The experiment of this name.

        Raises:
            BadInputError: There is none.
            UnavailableError: The database does not answer.
        """
        for experiment in self.snapshot().experiments:
            if experiment.name == name:
                return experiment
        raise _unknown(name)

    def history(self, name: str) -> list[Change]:
        """Every change of an experiment, oldest first; of the holdout where the name is empty.

        Raises:
            UnavailableError: The database does not answer.
        """
        columns = (changes.c.seq, changes.c.name, changes.c.at_us, changes.c.action)
        wanted = select(*columns, changes.c.actor, changes.c.reason).where(changes.c.name == name)
        with reading(self._engine) as connection:
            rows = connection.execute(wanted.order_by(changes.c.seq)).all()
        return [
            Change(seq, name, _EPOCH + at_us * _US, action, actor, reason)
            for seq, name, at_us, action, actor, reason in rows
        ]

    def create(self, definition: Definition, reason: str = "") -> Experiment:
        """Keep a definition as a draft.

        Raises:
            BadInputError: There is an experiment of this name.
            UnavailableError: The database does not answer.
        """
        experiment = Experiment.model_validate({**definition.model_dump(), "created_at": self._clock()})
        with writing(self._engine) as connection:
            seq = take_seqs(connection, 1)
            if _exists(connection, definition.name):
                raise BadInputError("there is an experiment of this name", where=definition.name)
            self._record(connection, seq, "create", experiment.name, reason, experiment)
        return experiment

    def start(
        self, name: str, resolve: Callable[[str], str] = lambda model: model, reason: str = ""
    ) -> Experiment:
        """Let a draft run (`life.started`).

        Args:
            name: The experiment.
            resolve: The version that an alias or a version stands for (`Registry.resolve`).
            reason: For the record.

        Raises:
            BadInputError: There is no such experiment, or no such version.
            RefusedError: It is no draft, or another experiment is in the way.
            UnavailableError: The database does not answer.
        """
        return self._change(
            name, "start", reason, lambda draft, others: life.started(draft, others, self._clock(), resolve)
        )

    def change_shares(self, name: str, shares: Mapping[str, int], reason: str = "") -> Experiment:
        """Give arms of a running experiment other shares (`life.with_other_shares`).

        Raises:
            BadInputError: There is no such experiment or arm, or the shares are out of bounds.
            RefusedError: It does not run, or listeners would have to change arms.
            UnavailableError: The database does not answer.
        """
        return self._change(
            name, "shares", reason, lambda found, _: life.with_other_shares(found, shares, self._clock())
        )

    def stop(self, name: str, reason: str = "") -> Experiment:
        """End a running experiment: its listeners get what everybody gets.

        Raises:
            BadInputError: There is no such experiment.
            RefusedError: It does not run.
            UnavailableError: The database does not answer.
        """
        return self._change(name, "stop", reason, lambda found, _: life.stopped(found, self._clock(), reason))

    def note_promotion(self, name: str, arm: str, reason: str = "") -> Experiment:
        """Write down that an arm's version became the champion.

        Raises:
            BadInputError: There is no such experiment or arm.
            UnavailableError: The database does not answer.
        """
        return self._change(name, "promote", reason, lambda found, _: life.promoted(found, arm))

    def set_holdout(self, holdout: Holdout, reason: str = "") -> Holdout:
        """Keep listeners out of every experiment, from now on.

        Raises:
            UnavailableError: The database does not answer.
        """
        with writing(self._engine) as connection:
            self._record(connection, take_seqs(connection, 1), "holdout", HOLDOUT_ROW, reason, holdout)
        return holdout

    def forget(self, listener: str) -> None:
        """Take an erased listener out of the testers of every experiment.

        Raises:
            UnavailableError: The database does not answer.
        """
        for experiment in self.snapshot().experiments:
            if listener in experiment.overrides:
                self._change(
                    experiment.name, "erase", "", lambda found, _: life.without_tester(found, listener)
                )

    def _change(
        self,
        name: str,
        action: str,
        reason: str,
        change: Callable[[Experiment, list[Experiment]], Experiment],
    ) -> Experiment:
        """Apply a change to what is stored now, and put it on record, in one transaction."""
        with writing(self._engine) as connection:
            seq = take_seqs(connection, 1)
            found = {one.name: one for one in _all(connection)[0]}
            if name not in found:
                raise _unknown(name)
            after = change(found.pop(name), list(found.values()))
            self._record(connection, seq, action, name, reason, after)
        return after

    def _record(
        self,
        connection: Connection,
        seq: int,
        action: str,
        name: str,
        reason: str,
        kept: Experiment | Holdout,
    ) -> None:
        document = kept.model_dump_json()
        if _exists(connection, name):
            connection.execute(
                update(experiments).where(experiments.c.name == name).values(document=document)
            )
        else:
            connection.execute(insert(experiments).values(name=name, document=document))
        connection.execute(
            insert(changes).values(
                seq=seq,
                name=name,
                at_us=(self._clock() - _EPOCH) // _US,
                action=action,
                actor=self._actor,
                reason=reason,
                document=kept.model_dump_json(exclude={"overrides"}),
            )
        )


def _all(connection: Connection) -> tuple[tuple[Experiment, ...], Holdout]:
    """What is stored.

    Raises:
        DamagedError: An entry is none of this Audotics.
    """
    rows = connection.execute(select(experiments).order_by(experiments.c.name)).all()
    documents = {row.name: row.document for row in rows}
    try:
        holdout = Holdout.model_validate_json(documents.pop(HOLDOUT_ROW, "{}"))
        return tuple(Experiment.model_validate_json(document) for document in documents.values()), holdout
    except ValidationError as error:
        raise DamagedError(
            f"an experiment cannot be read ({error.errors()[0]['msg']})",
            where=place(connection.engine),
            remedy="Use the Audotics that wrote it, or a newer one",
        ) from error


def _unknown(name: str) -> BadInputError:
    return BadInputError(
        f"there is no experiment {name!r}", remedy="See them with `audotics experiment list`"
    )


def _exists(connection: Connection, name: str) -> bool:
    wanted = select(experiments.c.name).where(experiments.c.name == name)
    return connection.execute(wanted).first() is not None


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
