"""The end of an experiment with versions: the winner becomes the champion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audotics.errors import BadInputError, RefusedError
from audotics.experiments.definition import Experiment, State
from audotics.experiments.store import ExperimentStore
from audotics.registry import Registry
from audotics.registry.names import CHAMPION


@dataclass(frozen=True, slots=True)
class Promoted:
    """What became of a promotion.

    Args:
        version: The champion now.
        before: The champion before.
        experiment: The experiment, stopped.
    """

    version: str
    before: str | None
    experiment: Experiment


def promote(
    store: ExperimentStore,
    registry: Registry,
    name: str,
    arm: str,
    reason: str = "",
    check: Callable[[str], object] = lambda _: None,
) -> Promoted:
    """Make an arm's version the champion, verified, and stop the experiment.

    The alias moves first: a process that dies in between leaves an experiment that still runs, with arms
    pinned to their versions, and can be told again. Promoting the control rolls back whatever was made the
    champion meanwhile.

    Args:
        store: Of the experiments.
        registry: Whose alias moves.
        name: The experiment.
        arm: The winner.
        reason: For the record of both.
        check: Called with the version first; raises where it must not serve.

    Raises:
        BadInputError: There is no such experiment, arm or version, or the arm names no version.
        RefusedError: The experiment never ran, or ``check`` says no.
        DamagedError: The version is damaged.
        UnavailableError: The database does not answer.
    """
    experiment = store.get(name)
    winner = experiment.arm(arm)
    if experiment.state is State.DRAFT:
        raise RefusedError("it never ran, so nothing has won", where=name)
    if winner.model is None:
        raise BadInputError(
            f"arm {arm!r} changes rules or parameters, no version",
            where=name,
            remedy="Write them into the rules of the server (AUDOTICS_RULES, docs/slate.md)",
        )
    version = registry.resolve(winner.model)
    check(version)
    before = registry.alias(CHAMPION)
    registry.set_alias(CHAMPION, version)
    if experiment.running:
        store.stop(name, reason or f"arm {arm} won")
    return Promoted(version, before, store.note_promotion(name, arm, reason))
