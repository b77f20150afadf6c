"""Simulated A/B tests with daily looks, analysed by the same code as real ones (measure_experiments.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from scipy import stats

from audotics.experiments.definition import MetricName
from audotics.experiments.effects import ArmValues, Looking, absolute_effect, values_by_arm
from audotics.experiments.experiment_report import Effect
from audotics.experiments.per_listener import DaySums, ListenerDays, Period
from audotics.experiments.rehearsal import PER_ANSWER, Population
from audotics.simulation.reactions import OUTCOMES

N_DAYS = 28
PAST_DAYS = 28
ALPHA = 0.05
_START = datetime(2025, 3, 3, tzinfo=UTC)
_PERIOD = Period(_START, _START + timedelta(days=N_DAYS))
_COMPLETE = OUTCOMES.index("complete")


@dataclass(frozen=True, slots=True)
class Looks:
    """What one simulated test showed after each day, without and with CUPED ``[n_days]`` each."""

    plain: list[Effect | None]
    adjusted: list[Effect | None]


def simulated_tests(
    people: Population, n_tests: int, n_listeners: int, uplift: float, metric: MetricName, seed: int
) -> Iterator[Looks]:
    """A/B tests on listeners drawn from the population; the arms are dealt by coins."""
    rates = people.chances_under(0.0)[:, _COMPLETE], people.chances_under(uplift)[:, _COMPLETE]
    looking = Looking(ALPHA, planned_listeners=n_listeners)
    for test in range(n_tests):
        rng = np.random.default_rng([seed, test])
        who = rng.choice(len(people.sessions_per_day), n_listeners, replace=False)
        days = listener_days_of(people.sessions_per_day[who], rates[0][who], rates[1][who], metric, rng)
        values = [values_by_arm(days, metric, day) for day in range(N_DAYS)]
        yield Looks(
            [_effect(one, looking, adjusted=False) for one in values],
            [_effect(one, looking, adjusted=True) for one in values],
        )


def listener_days_of(
    per_day: np.ndarray,
    control: np.ndarray,
    treatment: np.ndarray,
    metric: MetricName,
    rng: np.random.Generator,
) -> ListenerDays:
    """What listeners did in each arm on each day: sessions are Poisson, completions binomial.

    Minutes are 3.5 for a completion and half a minute else; a listener has days on which all goes well and
    others on which it does not (the chance of a day varies round the listener's own).
    """
    n = len(per_day)
    arm = rng.integers(0, 2, n)
    chance = np.where(arm == 1, treatment, control)
    started = PER_ANSWER * rng.poisson(per_day[:, None], (n, N_DAYS))
    completed = rng.binomial(started, _of_day(chance, N_DAYS, rng))
    came = started.any(axis=1)
    first = np.where(came, (started > 0).argmax(axis=1), N_DAYS)
    past = PER_ANSWER * rng.poisson(PAST_DAYS * per_day)
    done = rng.binomial(past, control)
    rows, columns = np.nonzero(started)
    n_started, n_completed = started[rows, columns].astype(float), completed[rows, columns].astype(float)
    minutes = 3.5 * n_completed + 0.5 * (n_started - n_completed)
    sums = {
        MetricName.COMPLETION: DaySums(rows, columns, n_completed, n_started),
        MetricName.LISTENING_MINUTES: DaySums(rows, columns, minutes, None),
    }
    pasts = {
        MetricName.COMPLETION: (done.astype(float), past.astype(float)),
        MetricName.LISTENING_MINUTES: (3.5 * done + 0.5 * (past - done), np.full(n, float(PAST_DAYS))),
    }
    return ListenerDays(
        user_ids=pl.Series("user_id", np.arange(n)).cast(pl.String),
        arm=arm,
        first_day=first,
        arms=("control", "treatment"),
        period=_PERIOD,
        metrics={metric: sums[metric]},
        past={metric: pasts[metric]},
        answers=sums[MetricName.COMPLETION],
        n_crossed=0,
    )


def _of_day(chance: np.ndarray, n_days: int, rng: np.random.Generator) -> np.ndarray:
    """Chances of each day ``[n, n_days]``: beta round the listener's own, which stays the mean."""
    own = np.clip(chance, 1e-6, 1 - 1e-6)[:, None]
    return rng.beta(20 * own, 20 * (1 - own), (len(chance), n_days))


def _effect(values: ArmValues, looking: Looking, *, adjusted: bool) -> Effect | None:
    control, treatment = values.adjusted if adjusted else values.plain
    return absolute_effect(control, treatment, looking)


def p_values(looks: list[Effect | None], *, always: bool) -> np.ndarray:
    """After each day ``[n_days]``; 1 where nothing is known."""
    return np.array([1.0 if one is None else one.always_p_value if always else one.p_value for one in looks])


def false_alarms(
    people: Population, n_tests: int, n_listeners: int, metric: MetricName, seed: int
) -> list[str]:
    """A/A tests: how often each way of looking finds what is not there."""
    always, fixed = [], []
    for looks in simulated_tests(people, n_tests, n_listeners, 0.0, metric, seed):
        pairs = looks.plain, looks.adjusted
        always.append([p_values(one, always=True) for one in pairs])
        fixed.append([p_values(one, always=False) for one in pairs])
    ever, naive = (np.array(part).min(axis=2) <= ALPHA for part in (always, fixed))  # [n_tests, 2]
    last = np.array(fixed)[:, :, -1]
    lines = []
    for place, name in enumerate(("without CUPED", "with CUPED")):
        uniform = stats.kstest(last[:, place], "uniform").pvalue
        lines.append(
            f"| {metric.value} | {name} | {_share(ever[:, place])} | {_share(naive[:, place])} |"
            f" {_share(last[:, place] <= ALPHA)} | {uniform:.3f} |"
        )
    return lines


@dataclass(frozen=True, slots=True)
class Power:
    """How often an uplift was found, and covered, over simulated tests; a pair is without and with CUPED."""

    uplift: float
    relative: float
    fixed: tuple[float, float]
    any_day: tuple[float, float]
    covered_fixed: tuple[float, float]
    covered_any_day: tuple[float, float]
    days_until_found: float


def power_of(people: Population, n_tests: int, n_listeners: int, uplift: float, seed: int) -> Power:
    """Tests of the completion rate under a planted uplift."""
    base = people.true_rate("complete")
    truth = people.true_rate("complete", uplift) - base
    found = []
    first_days = []
    for looks in simulated_tests(people, n_tests, n_listeners, uplift, MetricName.COMPLETION, seed):
        row = []
        for one in (looks.plain, looks.adjusted):
            known = [effect for effect in one if effect is not None]
            end, ever = known[-1], p_values(one, always=True) <= ALPHA
            row.append(
                (
                    end.p_value <= ALPHA,
                    ever.any(),
                    end.low <= truth <= end.high,
                    all(effect.always_low <= truth <= effect.always_high for effect in known),
                )
            )
        found.append(row)
        if ever.any():
            first_days.append(int(ever.argmax()) + 1)
    shares = np.array(found).mean(axis=0)  # [2, 4]
    pairs = [(float(shares[0, column]), float(shares[1, column])) for column in range(4)]
    days = float(np.median(first_days)) if len(first_days) > n_tests / 2 else float("nan")
    return Power(uplift, truth / base, *pairs, days)


def _share(alarms: np.ndarray) -> str:
    """A share with its 95 % interval (Clopper & Pearson)."""
    exact = stats.binomtest(int(alarms.sum()), len(alarms)).proportion_ci(0.95)
    return f"{alarms.mean():.2%} [{exact.low:.2%}, {exact.high:.2%}]"
