"""The parts of a published version that servers rely on."""

from __future__ import annotations

import json

import numpy as np

from audotics.domain import Mode, Query
from audotics.recommender.recommender import Recommender
from audotics.registry.store import Registry

_LENGTH = 10
_SAMPLE = 50


def faults_of(
    registry: Registry, challenger: str, served: Recommender, champion: Recommender | None
) -> tuple[str, ...]:
    """What a version lacks or does wrong that a server would notice, in words; empty where nothing.

    Args:
        registry: Where it is.
        challenger: The version.
        served: The same, loaded.
        champion: The version it would take the place of.
    """
    faults = [*_of_fallback(registry, challenger, served), *_of_answers(served)]
    if champion is not None:
        faults += _lost_abilities(served, champion)
    return tuple(faults)


def _of_fallback(registry: Registry, challenger: str, served: Recommender) -> list[str]:
    path = registry.folder(challenger) / "fallback" / "popular.json"
    try:
        ids = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"the fallback list cannot be read ({error})"]
    if not isinstance(ids, list) or not ids:
        return ["the fallback list is empty"]
    if any(not isinstance(track_id, str) or track_id not in served.tracks for track_id in ids):
        return ["the fallback list names tracks that the version does not know"]
    return []


def _of_answers(served: Recommender) -> list[str]:
    """Known listeners, a stranger and nobody in particular all get a list of finite scores."""
    step = max(1, len(served.users) // _SAMPLE)
    known = [
        Query(user_id=user_id, k=_LENGTH, mode=Mode.MIX) for user_id in served.users.ids[::step][:_SAMPLE]
    ]
    slates = served.recommend([*known, Query(history=(), k=_LENGTH)])
    faults = []
    if any(not slate.track_ids for slate in slates):
        faults.append("somebody gets an empty list")
    if not all(np.isfinite(slate.scores).all() for slate in slates):
        faults.append("scores are not finite")
    return faults


def _lost_abilities(served: Recommender, champion: Recommender) -> list[str]:
    faults = []
    if champion.heard is not None and served.heard is None:
        faults.append("the branch for heard tracks is gone, so nothing can be familiar")
    before, now = (
        set() if one.unheard.heads is None else set(one.unheard.heads.heads_) for one in (champion, served)
    )
    if before - now:
        faults.append(f"heads {', '.join(sorted(before - now))} are gone, so their weights are refused")
    return faults
