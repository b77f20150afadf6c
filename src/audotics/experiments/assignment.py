"""Who is in which arm: deterministic, without a network call, for one request or for millions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.experiments.arms import (
    HOLDOUT,
    INTERLEAVED,
    N_BUCKETS,
    Name,
    Share,
    Targeting,
    Written,
    variant_label,
)
from audotics.experiments.definition import Experiment, Kind
from audotics.experiments.hashing import Hashes, bucket_of, buckets_of, listener_hashes, xxh64

NOT_IN = -1
"""Number of the arm of those who are in none."""

ArmNumbers = npt.NDArray[np.int8]
"""``[n]``: places in `Experiment.arms`, `NOT_IN` for who takes no part."""


class Holdout(Written):
    """Listeners who are in no experiment and get what is popular: what personal answers are measured by."""

    share: Share = 0
    salt: Name = "holdout"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as far as targeting wants to know.

    Args:
        listener: Their id.
        country: Of the request.
        device: Of the request.
        first_seen: When they signed up or were first seen, None where nobody knows; asked only where
            an experiment targets new listeners.
    """

    listener: str
    country: str | None = None
    device: str | None = None
    first_seen: Callable[[], datetime | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a request takes part in.

    Args:
        arms: Experiments and the name of the arm in each, `INTERLEAVED` where both answer together.
        in_holdout: Whether the listener is kept out of all.
    """

    arms: tuple[tuple[Experiment, str], ...] = ()
    in_holdout: bool = False

    @property
    def variant(self) -> str:
        """The label of answers and exposures."""
        if self.in_holdout:
            return HOLDOUT
        return variant_label((experiment.name, arm) for experiment, arm in self.arms)


NOWHERE = Assigned()


class Assignment:
    """The experiments that run at one moment, ready to be asked.

    Overrides win over everything, the holdout included: testers see what they want to see.

    Args:
        experiments: Those that run; others are left out.
        holdout: Who is kept out of all of them.
    """

    def __init__(self, experiments: Iterable[Experiment] = (), holdout: Holdout | None = None) -> None:
        self.experiments = tuple(one for one in experiments if one.running)
        self.holdout = holdout or Holdout()
        self._holdout_salt = xxh64(f"holdout:{self.holdout.salt}".encode())
        self._layers = tuple(
            _Layer(layer, [one for one in self.experiments if one.layer == layer])
            for layer in dict.fromkeys(one.layer for one in self.experiments)
        )
        self._overridden = {listener for one in self.experiments for listener in one.overrides}
        self._asks_nobody = not (self._layers or self.holdout.share)

    def of(self, asker: Asker) -> Assigned:
        """What a request takes part in: some microseconds, whatever the number of experiments in a layer."""
        if self._asks_nobody:
            return NOWHERE
        if asker.listener in self._overridden:
            return self._of_tester(asker)
        listener = xxh64(asker.listener.encode())
        if self.holdout.share and bucket_of(listener, self._holdout_salt) < self.holdout.share:
            return Assigned(in_holdout=True)
        arms = [found for layer in self._layers if (found := layer.arm_of(listener, asker)) is not None]
        return Assigned(tuple(arms)) if arms else NOWHERE

    def arm_numbers(self, experiment: Experiment, listeners: pl.Series) -> ArmNumbers:
        """The arm of every listener in one of the experiments, as if all of them were asked for.

        Targeting is left out, as it is a matter of requests, and testers are in no arm.

        Args:
            experiment: One of ``experiments``.
            listeners: ``[n]`` ids.
        """
        hashes = listener_hashes(listeners)
        numbers = dealt(experiment, hashes)
        if self.holdout.share:
            numbers[buckets_of(hashes, self._holdout_salt) < self.holdout.share] = NOT_IN
        numbers[listeners.is_in(list(self._overridden)).to_numpy()] = NOT_IN
        return numbers

    def _of_tester(self, asker: Asker) -> Assigned:
        chosen = [(one, one.overrides.get(asker.listener)) for one in self.experiments]
        return Assigned(tuple((one, arm) for one, arm in chosen if arm is not None))


def dealt(experiment: Experiment, hashes: Hashes) -> ArmNumbers:
    """Arms by layer and bucket alone.

    Args:
        experiment: Whose `Experiment.buckets` are dealt out.
        hashes: ``[n]`` from `listener_hashes`.
    """
    numbers = _arm_of_bucket(experiment)[buckets_of(hashes, _experiment_salt(experiment))]
    first, end = experiment.slots
    if (first, end) != (0, N_BUCKETS):
        slots = buckets_of(hashes, _layer_salt(experiment.layer))
        numbers[(slots < first) | (slots >= end)] = NOT_IN
    return numbers


class _Layer:
    """Experiments of which a listener is in one at most."""

    def __init__(self, name: str, experiments: list[Experiment]) -> None:
        self._salt = _layer_salt(name)
        self._parts = [
            (*one.slots, one, _experiment_salt(one), _arm_of_bucket(one).tolist()) for one in experiments
        ]
        self._whole = len(experiments) == 1 and experiments[0].slots == (0, N_BUCKETS)

    def arm_of(self, listener: int, asker: Asker) -> tuple[Experiment, str] | None:
        slot = 0 if self._whole else bucket_of(listener, self._salt)
        for first, end, experiment, salt, arm_of_bucket in self._parts:
            if first <= slot < end:
                number = arm_of_bucket[bucket_of(listener, salt)]
                if number == NOT_IN or not _is_meant(asker, experiment.targeting):
                    return None
                interleaves = experiment.kind is Kind.INTERLEAVING
                return experiment, INTERLEAVED if interleaves else experiment.arms[number].name
        return None


def _is_meant(asker: Asker, targeting: Targeting) -> bool:
    if targeting.countries and asker.country not in targeting.countries:
        return False
    if targeting.devices and asker.device not in targeting.devices:
        return False
    if targeting.new_since is None:
        return True
    first_seen = asker.first_seen()
    return first_seen is not None and first_seen >= targeting.new_since


def _arm_of_bucket(experiment: Experiment) -> ArmNumbers:
    numbers = np.full(N_BUCKETS, NOT_IN, np.int8)
    for number, arm in enumerate(experiment.arms):
        for first, end in experiment.buckets.get(arm.name, ()):
            numbers[first:end] = number
    return numbers


def _experiment_salt(experiment: Experiment) -> int:
    return xxh64(f"experiment:{experiment.hash_salt}".encode())


def _layer_salt(name: str) -> int:
    return xxh64(f"layer:{name}".encode())
