"""The steps in the life of an experiment: draft, running, stopped, and shares that change in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from audotics.errors import RefusedError
from audotics.experiments.allocation import with_shares
from audotics.experiments.conflicts import check_beside
from audotics.experiments.definition import Experiment, ShareChange, State
from audotics.registry.names import CHAMPION


def started(
    draft: Experiment, others: Iterable[Experiment], at: datetime, resolve: Callable[[str], str]
) -> Experiment:
    """The experiment as it runs from now on.

    Where an arm names a model, every arm is pinned to the version that its model (the champion where it
    names none) is now: what is compared stays the same when an alias moves.

    Args:
        draft: What was written.
        others: All other experiments.
        at: Now.
        resolve: The version that an alias or a version stands for.

    Raises:
        BadInputError: There is no such version.
        RefusedError: It is no draft, or another experiment is in the way.
    """
    _only(draft, State.DRAFT, "started")
    check_beside(draft, (other for other in others if other.running))
    shares = {arm.name: arm.share for arm in draft.arms}
    buckets, _ = with_shares({}, {}, shares)
    arms = [arm.model_dump() for arm in draft.arms]
    if any(arm.model for arm in draft.arms):
        arms = [{**arm, "model": resolve(arm["model"] or CHAMPION)} for arm in arms]
    changes = (ShareChange(at=at, shares=shares),)
    return _changed(draft, state=State.RUNNING, started_at=at, arms=arms, buckets=buckets, changes=changes)


def with_other_shares(running: Experiment, shares: Mapping[str, int], at: datetime) -> Experiment:
    """The experiment with other shares of some arms.

    Raises:
        BadInputError: There is no such arm, or the shares are out of bounds.
        RefusedError: It does not run, or listeners would have to change arms.
    """
    _only(running, State.RUNNING, "given other shares")
    for arm in shares:
        running.arm(arm)
    wanted = {arm.name: shares.get(arm.name, arm.share) for arm in running.arms}
    arms = [{**arm.model_dump(), "share": wanted[arm.name]} for arm in running.arms]
    asked = _changed(running, arms=arms)
    buckets, left = with_shares(running.buckets, running.left, wanted)
    changes = (*running.changes, ShareChange(at=at, shares=wanted))
    return _changed(asked, buckets=buckets, left=left, changes=changes)


def stopped(running: Experiment, at: datetime, reason: str) -> Experiment:
    """The experiment after its end.

    Raises:
        RefusedError: It does not run.
    """
    _only(running, State.RUNNING, "stopped")
    return _changed(running, state=State.STOPPED, stopped_at=at, stop_reason=reason)


def promoted(experiment: Experiment, arm: str) -> Experiment:
    """The experiment whose arm became the champion.

    Raises:
        BadInputError: There is no such arm.
    """
    return _changed(experiment, promoted=experiment.arm(arm).name)


def without_tester(experiment: Experiment, listener: str) -> Experiment:
    """The experiment without a listener among its testers."""
    kept = {one: arm for one, arm in experiment.overrides.items() if one != listener}
    return _changed(experiment, overrides=kept)


def _changed(experiment: Experiment, **fields: object) -> Experiment:
    """Checked again as a whole."""
    return Experiment.parse({**experiment.model_dump(), **fields}, experiment.name)


def _only(experiment: Experiment, state: State, verb: str) -> None:
    if experiment.state is not state:
        raise RefusedError(
            f"it is {experiment.state.value}; only one that is {state.value} can be {verb}",
            where=experiment.name,
        )
