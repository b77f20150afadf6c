"""The slate of an interleaving experiment: two versions or rule sets answer, each track says whose it is."""

from __future__ import annotations

import numpy as np

from audotics.domain import FloatArray, Slate
from audotics.experiments.interleaving import BOTH, team_draft


def interleaved(
    slates: tuple[Slate, Slate], names: tuple[str, str], k: int, seed: int
) -> tuple[Slate, tuple[str, ...]]:
    """Mix the slates of two arms by `team_draft`.

    Scores of two rankers cannot be compared, so those of the mixed slate only keep its order. Propensities
    are given the places above (`Draft.chances`).

    Args:
        slates: Of the control and of the treatment, for the same listener.
        names: Of the two arms.
        k: Length of the slate.
        seed: Of the coins.

    Returns:
        The slate, and for each track the arm that it came from: empty where both begin with it.
    """
    draft = team_draft(slates[0].track_ids, slates[1].track_ids, k, seed)
    places = [{track: place for place, track in enumerate(slate.track_ids)} for slate in slates]
    sides = [0 if team == BOTH else team for team in draft.teams]
    origins = [
        (slates[side], places[side][track]) for side, track in zip(sides, draft.track_ids, strict=True)
    ]
    n = len(draft.track_ids)
    scores: FloatArray = np.linspace(1.0, 0.0, n, endpoint=False, dtype=np.float32)
    mixed = Slate(
        user_id=slates[0].user_id,
        track_ids=draft.track_ids,
        scores=scores,
        sources=tuple(slate.sources[place] for slate, place in origins),
        reasons=tuple(slate.reasons[place] for slate, place in origins),
        propensities=np.array(draft.chances, np.float32),
    )
    return mixed, tuple("" if team == BOTH else names[team] for team in draft.teams)
