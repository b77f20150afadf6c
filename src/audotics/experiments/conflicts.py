"""Which experiments may not run at once: those that would be read wrongly beside each other."""

from __future__ import annotations

from collections.abc import Iterable

from audotics.errors import RefusedError
from audotics.experiments.arms import Arm
from audotics.experiments.definition import Definition, Experiment, Kind


def check_beside(starting: Definition, running: Iterable[Experiment]) -> None:
    """Refuse an experiment that cannot run beside the others.

    Raises:
        RefusedError: It shares slots of a layer, or the salt; or it changes or interleaves what an experiment
            of another layer does.
    """
    for other in running:
        if other.layer == starting.layer:
            if max(other.slots[0], starting.slots[0]) < min(other.slots[1], starting.slots[1]):
                raise RefusedError(
                    f"experiment {other.name!r} has slots {other.slots[0]} to {other.slots[1]} of layer"
                    f" {other.layer!r}, which overlap",
                    where=starting.name,
                    remedy="Take other slots, or another layer",
                )
        elif other.kind is starting.kind is Kind.INTERLEAVING:
            raise RefusedError(
                f"experiment {other.name!r} interleaves, too, and a slate cannot be mixed twice",
                where=starting.name,
                remedy="Put both into one layer, with slots apart",
            )
        elif both := sorted(_changes(starting) & _changes(other)):
            raise RefusedError(
                f"experiment {other.name!r} of layer {other.layer!r} changes {both[0]}, too",
                where=starting.name,
                remedy="Put both into one layer, with slots apart",
            )
        if other.hash_salt == starting.hash_salt:
            raise RefusedError(
                f"experiment {other.name!r} has the same salt, so both would deal listeners out alike",
                where=starting.name,
                remedy="Declare another salt",
            )


def _changes(definition: Definition) -> set[str]:
    return {changed for arm in definition.arms for changed in _changes_of(arm)}


def _changes_of(arm: Arm) -> set[str]:
    changed = {f"the rule {name}" for name in arm.rules}
    if arm.model is not None:
        changed.add("the model")
    if arm.weights or arm.surface is not None:
        changed.add("the weights of the heads")
    if arm.familiarity is not None:
        changed.add("familiarity")
    return changed
