"""How a request is answered: by which version, with which rules and parameters, under which label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from audotics.data.interactions import FIRST_TIME
from audotics.domain import PADDING, Query
from audotics.experiments.arms import Arm
from audotics.serving.profiles import Profile
from audotics.serving.served import Served

_ANCIENT = datetime(1, 1, 1, tzinfo=UTC)
_NEVER_US = 2**62


@dataclass(frozen=True, slots=True)
class Rival:
    """The treatment of an interleaving experiment: it answers, too, and the slates are mixed.

    Args:
        served: Its version.
        query: What it is asked.
        names: Of the control and of the treatment.
    """

    served: Served
    query: Query
    names: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Way:
    """How a request is answered.

    Args:
        served: The version.
        query: The request with what the arms change.
        variant: The label of the answer.
        rival: Who else answers.
        in_holdout: Whether the listener gets what is popular.
    """

    served: Served
    query: Query
    variant: str = ""
    rival: Rival | None = None
    in_holdout: bool = False


def changed(served: Served, query: Query, arm: Arm, held: Mapping[str, Served]) -> tuple[Served, Query]:
    """The version and the request with what an arm changes; what it says wins over the request."""
    if arm.model is not None:
        served = held.get(arm.model, served)
    if arm.rules:
        query = replace(query, rules={**query.rules, **arm.rules})
    if arm.weights or arm.surface is not None:
        query = replace(query, weights=arm.weights, surface=arm.surface)
    if arm.familiarity is not None:
        query = replace(query, familiarity=arm.familiarity)
    return served, query


def first_seen(served: Served, listener: str, profile: Profile | None) -> datetime | None:
    """When the server first knew of a listener, as well as it can tell; None where it cannot.

    For listeners of the training it is the earliest time at which they last played one of their tracks, which
    is that time or later. Where the data has no times they count as old.

    Args:
        served: The version that serves.
        listener: Whom.
        profile: What they did since its training; None where that is not in memory.
    """
    recommender = served.bare
    user = recommender.users.index(listener)
    if user != PADDING:
        earliest = int(recommender.histories.rows(np.array([user])).last_at.min(initial=_NEVER_US))
        return datetime.fromtimestamp(earliest / 1e6, UTC) if FIRST_TIME <= earliest < _NEVER_US else _ANCIENT
    if profile is None:
        return None
    return profile.reactions[0].at if profile.reactions else datetime.now(UTC)
