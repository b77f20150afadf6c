"""How many listeners interleaving needs, and how many an A/B test of the same two rankers.

    python scripts/measure_interleaving.py [--listeners 40000] [--rounds 400]

Simulated listeners with a known taste ask for slates during a week. The control ranks by that taste with
errors, the treatment with smaller ones; what is completed follows from taste and place alone. Prints a
Markdown table: listeners for 80 % power at 5 % (two-sided), by A/B on completions a slate (a ratio, by the
delta method over listeners), by A/B with CUPED on the week before, by team draft interleaving; in brackets
the power that experiments of just that size then had. The last two columns say how many times more A/B needs.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from audotics.experiments.interleaving import preference, team_draft
from audotics.simulation.catalogue import make_catalogue
from audotics.simulation.config import SimulationConfig
from audotics.simulation.listeners import make_listeners
from audotics.simulation.reactions import OUTCOMES, chances, true_affinity

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

K = 10
N_CANDIDATES = 60
N_TRACKS = 2000
DAYS = 7
MOST_SLATES = 20
PART = 10_000
"""Slates whose candidates are made in one step: the tastes beside them take the memory."""

CONTROL_ERROR = 0.30
TREATMENT_ERRORS = (0.28, 0.26, 0.22)
EXAMINED = 1 / np.log2(2 + np.arange(K))
"""Chance that a listener gets to each place, as in the discount of NDCG."""

ALPHA, POWER = 0.05, 0.8


@dataclass(frozen=True, slots=True)
class Week:
    """The slates of all listeners in a week.

    Args:
        listener: ``[n_slates]`` who asks, ascending.
        affinity: ``[n_slates, N_CANDIDATES]`` how well each candidate suits.
        completes: ``[n_slates, N_CANDIDATES]`` chance that it is completed once examined.
    """

    listener: Numbers
    affinity: Doubles
    completes: Doubles


class World:
    """Listeners and tracks with known affinity.

    Args:
        n_listeners: How many.
        seed: Fixes everything.
    """

    def __init__(self, n_listeners: int, seed: int) -> None:
        config = SimulationConfig(n_users=n_listeners, n_tracks=N_TRACKS, n_days=60, seed=seed)
        self._listeners, self._catalogue = make_listeners(config), make_catalogue(config)
        self.n_listeners = n_listeners
        self.rng = np.random.default_rng(seed)

    def week(self) -> Week:
        """Slates with their candidates; heavy listeners ask more often."""
        per_week = self._listeners.sessions_per_day * DAYS
        n_slates = np.clip(self.rng.poisson(per_week), 1, MOST_SLATES)
        who = np.repeat(np.arange(self.n_listeners), n_slates)
        tracks = self.rng.integers(0, N_TRACKS, (len(who), N_CANDIDATES))
        parts = [self._suits(who[rows], tracks[rows]) for rows in _parts(len(who))]
        return Week(who, *(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _suits(self, who: Numbers, tracks: Numbers) -> tuple[Doubles, Doubles]:
        """Affinity of candidates and the chance that they are completed."""
        each, flat = np.repeat(who, N_CANDIDATES), tracks.ravel()
        affinity = true_affinity(
            self._listeners.taste_before[each],
            self._listeners.style[each],
            self._catalogue.genre[flat],
            self._catalogue.style[flat],
        )
        table = chances(affinity, np.zeros(len(affinity), np.bool_))
        completes = table[:, OUTCOMES.index("complete")]
        shape = tracks.shape
        return affinity.reshape(shape).astype(np.float64), completes.reshape(shape).astype(np.float64)

    def ranked(self, week: Week, error: float) -> Numbers:
        """The best ``K`` candidates of every slate, by a ranker with errors of this size."""
        noisy = week.affinity + error * self.rng.standard_normal(week.affinity.shape)
        return np.argsort(-noisy, axis=1)[:, :K]

    def completed(self, week: Week, shown: Numbers, luck: Doubles) -> npt.NDArray[np.bool_]:
        """What is completed of the tracks shown ``[n_slates, K]``."""
        return luck < EXAMINED * np.take_along_axis(week.completes, shown, axis=1)

    def completions(self, week: Week, completed: npt.NDArray[np.bool_], rate: float | None = None) -> Doubles:
        """Of each listener, beyond ``rate`` a slate (their own mean if None), over the mean number of slates.

        The mean of these over listeners is the rate's difference (the linearised ratio).
        """
        done = np.bincount(week.listener, completed.sum(axis=1), self.n_listeners)
        slates = np.bincount(week.listener, minlength=self.n_listeners)
        beyond: Doubles = (
            done - (done.sum() / slates.sum() if rate is None else rate) * slates
        ) / slates.mean()
        return beyond


def _parts(n: int) -> list[slice]:
    return [slice(start, start + PART) for start in range(0, n, PART)]


def credits(
    world: World, week: Week, control: Numbers, treatment: Numbers, luck: Doubles
) -> tuple[Numbers, Numbers]:
    """Completed tracks of either team, by listener, when the two lists are interleaved."""
    seeds = world.rng.integers(2**63, size=len(control)).tolist()
    names = [str(place) for place in range(N_CANDIDATES)]
    drafts = [
        team_draft([names[i] for i in first], [names[i] for i in second], K, seed)
        for first, second, seed in zip(control.tolist(), treatment.tolist(), seeds, strict=True)
    ]
    shown = np.array([[int(track) for track in draft.track_ids] for draft in drafts])
    teams = np.array([draft.teams for draft in drafts])
    done = world.completed(week, shown, luck)
    own, other = (
        np.bincount(week.listener, (done & (teams == team)).sum(axis=1), world.n_listeners).astype(np.int64)
        for team in (0, 1)
    )
    return own, other


def needed_ab(effect: float, variance: float) -> int:
    """Listeners of both arms together."""
    return int(np.ceil(4 * _factor() * variance / effect**2))


def needed_interleaved(control: Numbers, treatment: Numbers) -> tuple[int, float]:
    """Listeners of an interleaving experiment, and the relative standard error of that number."""
    differences, sizes = treatment - control, treatment + control
    residual = differences - differences.sum() / sizes.sum() * sizes
    z = differences.mean() / residual.std() * np.sqrt(len(sizes))
    return int(np.ceil(_factor() * residual.var() / differences.mean() ** 2)), float(2 / abs(z))


def _factor() -> float:
    return float((stats.norm.ppf(1 - ALPHA / 2) + stats.norm.ppf(POWER)) ** 2)


def power_ab(control: Doubles, treatment: Doubles, n: int, rounds: int, rng: np.random.Generator) -> float:
    """Share of A/B tests with ``n`` listeners, drawn from the population, that see the difference."""
    found = 0
    for _ in range(rounds):
        a, b = rng.integers(0, len(control), (2, n // 2))
        found += stats.ttest_ind(treatment[b], control[a], equal_var=False).pvalue < ALPHA
    return found / rounds


def power_interleaved(
    control: Numbers, treatment: Numbers, n: int, rounds: int, rng: np.random.Generator
) -> float:
    """Share of interleaving experiments with ``n`` listeners that see the preference."""
    found = 0
    for _ in range(rounds):
        drawn = rng.integers(0, len(control), n)
        found += preference(control[drawn], treatment[drawn]).p_value < ALPHA
    return found / rounds


def row(world: World, before: Doubles, error: float, rounds: int) -> str:
    """One treatment as a row of the table."""
    week = world.week()
    control, treatment = world.ranked(week, CONTROL_ERROR), world.ranked(week, error)
    luck = world.rng.random(control.shape)
    # The same luck for both arms: the effect is then known far better than any experiment could tell.
    done = [world.completed(week, shown, luck) for shown in (control, treatment)]
    base = float(done[0].sum(axis=1).mean())
    of_control, of_treatment = (world.completions(week, each, base) for each in done)
    effect = float((of_treatment - of_control).mean())
    slope = np.cov(before, of_control)[0, 1] / before.var()
    adjusted = [each - slope * before for each in (of_control, of_treatment)]
    plain_n = needed_ab(effect, float(of_control.var() + of_treatment.var()) / 2)
    cuped_n = needed_ab(effect, float(adjusted[0].var() + adjusted[1].var()) / 2)
    own, other = credits(world, week, control, treatment, luck)
    mixed_n, error_of_n = needed_interleaved(own, other)
    rng = world.rng
    powers = (
        power_ab(of_control, of_treatment, plain_n, rounds, rng),
        power_ab(adjusted[0], adjusted[1], cuped_n, rounds, rng),
        power_interleaved(own, other, mixed_n, rounds, rng),
    )
    cells = [
        f"{effect / base:+.2%}",
        *(f"{n:,} ({power:.0%})" for n, power in zip((plain_n, cuped_n, mixed_n), powers, strict=True)),
        f"{plain_n / mixed_n:.1f} (+-{error_of_n * plain_n / mixed_n:.1f})",
        f"{cuped_n / mixed_n:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    world = World(options.listeners, options.seed)
    past = world.week()
    shown = world.ranked(past, CONTROL_ERROR)
    before = world.completions(past, world.completed(past, shown, world.rng.random(shown.shape)))
    names = (
        "uplift in completions",
        "A/B",
        "A/B with CUPED",
        "interleaving",
        "A/B : interleaving",
        "CUPED : interleaving",
    )
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    for error in TREATMENT_ERRORS:
        print(row(world, before, error, options.rounds), flush=True)


if __name__ == "__main__":
    main()
