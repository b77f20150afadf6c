"""Team draft interleaving: one slate of two rankers, and credit for the one whose tracks were wanted.

Radlinski, Kurup and Joachims (CIKM 2008). As every listener compares both rankers, differences between
listeners cancel out, and far fewer of them are needed than for an A/B test.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.errors import BadInputError

BOTH = -1
"""Team of a track that both lists begin with: it speaks for neither."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An interleaved list, ``k`` entries each.

    Args:
        track_ids: In their order.
        teams: 0 or 1 for the list that the track was taken from, `BOTH` where the lists begin alike.
        chances: Probability of each track at its place, given those above it; their product is the list's.
    """

    track_ids: tuple[str, ...]
    teams: tuple[int, ...]
    chances: tuple[float, ...]


def team_draft(first: Sequence[str], second: Sequence[str], k: int, seed: int) -> Draft:
    """Mix two ranked lists.

    In every round a coin says which list picks first; each picks its best track that is not in the slate yet.
    So neither list has the better places, and where both would pick the same track each gets it half of the
    time. What both lists begin with stands at the top whatever the coin says, and counts for nobody:
    crediting it would add noise and nothing else.

    Args:
        first: Distinct track ids, best first.
        second: Those of the other ranker.
        k: Length of the slate; shorter where both lists end before.
        seed: The same one gives the same coins.
    """
    lists = (first, second)
    shared = _common_start(first, second)
    track_ids = list(first[: min(shared, k)])
    teams, chances = [BOTH] * len(track_ids), [1.0] * len(track_ids)
    taken, at = set(track_ids), [shared, shared]
    coins = random.Random(seed)  # noqa: S311 - keeps no secret
    turn, is_first_pick, undecided = 0, True, True
    while len(track_ids) < k:
        picks = [_next(lists[team], at, team, taken) for team in (0, 1)]
        if picks == [None, None]:
            break
        if is_first_pick:
            turn, undecided = coins.randrange(2), True
        team = turn if picks[turn] is not None else 1 - turn
        chosen = picks[team]
        assert chosen is not None  # noqa: S101 - one of the two has a track
        differ = None not in picks and picks[0] != picks[1]
        track_ids.append(chosen)
        teams.append(team)
        # The first place of a round where the lists differ tells what the coin said.
        chances.append(0.5 if undecided and differ else 1.0)
        undecided = undecided and not differ
        taken.add(chosen)
        turn, is_first_pick = 1 - turn, not is_first_pick
    return Draft(tuple(track_ids), tuple(teams), tuple(chances))


def _common_start(first: Sequence[str], second: Sequence[str]) -> int:
    for place, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return place
    return min(len(first), len(second))


def _next(ranked: Sequence[str], at: list[int], team: int, taken: set[str]) -> str | None:
    """The best track of a list that is not taken; ``at`` remembers how far each list was read."""
    while at[team] < len(ranked) and ranked[at[team]] in taken:
        at[team] += 1
    return ranked[at[team]] if at[team] < len(ranked) else None


@dataclass(frozen=True, slots=True)
class Preference:
    """Which of two rankers listeners preferred.

    Args:
        n_listeners: Those with any credit.
        mean: (treatment - control) / (treatment + control) over all credit; above 0 for the treatment.
        low: Lower end of the t interval.
        high: Upper end.
        p_value: Of the t test against 0.
        n_for: Listeners with more credit for the treatment.
        n_against: Listeners with more for the control; the others gave both the same.
        sign_p_value: Of the sign test over those who preferred one (binomial, exact).
        confidence: Of the interval.
    """

    n_listeners: int
    mean: float
    low: float
    high: float
    p_value: float
    n_for: int
    n_against: int
    sign_p_value: float
    confidence: float


def credit(outcomes: pl.DataFrame, teams: pl.DataFrame, control: str, by: str = "played") -> pl.DataFrame:
    """What each listener did with the tracks of either team.

    Args:
        outcomes: From `audotics.journal.outcomes.outcomes`.
        teams: ``request_id`` and ``teams`` of the exposures (`ExposureLog.frames` with ``teams``).
        control: The control arm.
        by: What counts: ``played``, ``completed`` or ``liked``.

    Returns:
        ``user_id``, ``control`` and ``treatment``: how many tracks of either each listener wanted.
    """
    mixed = teams.filter(pl.col("teams").is_not_null())
    places = mixed.select(
        "request_id",
        pl.col("teams").alias("team"),
        pl.int_ranges(1, pl.col("teams").list.len() + 1, dtype=pl.Int32).alias("position"),
    ).explode("team", "position")
    wanted = outcomes.filter(pl.col(by) & pl.col("user_id").is_not_null())
    told = wanted.join(places.filter(pl.col("team") != ""), on=("request_id", "position"))
    return (
        told.group_by("user_id")
        .agg(
            control=(pl.col("team") == control).sum().cast(pl.Int64),
            treatment=(pl.col("team") != control).sum().cast(pl.Int64),
        )
        .sort("user_id")
    )


def preference(
    control: npt.NDArray[np.int64], treatment: npt.NDArray[np.int64], confidence: float = 0.95
) -> Preference:
    """Judge the credit of many listeners.

    The mean is a ratio of sums, its interval is by the delta method over listeners: what one of them does
    in several slates is not independent (Deng, Knoblich and Lu, KDD 2018). The sign test counts every
    listener alike.

    Args:
        control: ``[n_listeners]`` credit of the control.
        treatment: ``[n_listeners]`` credit of the treatment.
        confidence: Of the interval.

    Raises:
        BadInputError: Fewer than two listeners gave any credit.
    """
    from scipy import stats  # only where somebody asks: a server that interleaves does not

    told = (control + treatment) > 0
    if told.sum() < 2:
        raise BadInputError(
            f"{int(told.sum())} listeners played a track that is one team's",
            where="interleaving",
            remedy="Wait for more listeners",
        )
    differences = (treatment - control)[told].astype(np.float64)
    sizes = (treatment + control)[told].astype(np.float64)
    n = len(sizes)
    mean = float(differences.sum() / sizes.sum())
    error = float((differences - mean * sizes).std(ddof=1) / sizes.mean() / np.sqrt(n))
    width = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    # Without any spread the verdict is certain, or there is none.
    p_value = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    n_for, n_against = int((differences > 0).sum()), int((differences < 0).sum())
    decided = n_for + n_against
    sign = float(stats.binomtest(n_for, decided).pvalue) if decided else 1.0
    return Preference(n, mean, mean - width, mean + width, p_value, n_for, n_against, sign, confidence)
