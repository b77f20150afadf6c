"""Before the start: how many listeners and days an experiment needs, or what it could find at all.

The variance comes from history, by the same per-listener values and the same CUPED that the analysis will
use. Fixed-horizon power is statsmodels'. Looking daily has its price: the always-valid interval at the
planned end is about half as wide again as the fixed one, so the same power at that day needs about twice
the listeners; in return an effect larger than planned ends the experiment early.

Source: Kohavi, Tang & Xu, "Trustworthy online controlled experiments", 2020, chapter 17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from audotics.errors import BadInputError, MissingExtraError
from audotics.experiments.sequential import mixture_ratio


@dataclass(frozen=True, slots=True)
class Design:
    """What is known of a metric and asked of an experiment.

    Args:
        mean: Mean of the metric in history.
        deviation: Standard deviation of a listener's (linearised) values.
        explained: Share of the variance that CUPED takes out, 0 to below 1.
        ratio: Listeners of the treatment for each one of the control.
        alpha: False alarms that are put up with, two-sided.
        power: Chance to find the effect if it is there.
        n_comparisons: Treatments that share ``alpha`` (Bonferroni, the worst case of Holm).
    """

    mean: float
    deviation: float
    explained: float = 0.0
    ratio: float = 1.0
    alpha: float = 0.05
    power: float = 0.8
    n_comparisons: int = 1

    def __post_init__(self) -> None:
        checks = {
            "mean": self.mean != 0 and math.isfinite(self.mean),
            "deviation": self.deviation > 0 and math.isfinite(self.deviation),
            "explained": 0 <= self.explained < 1,
            "ratio": self.ratio > 0,
            "alpha": 0 < self.alpha < 0.5,
            "power": 0.5 <= self.power < 1,
            "n_comparisons": self.n_comparisons >= 1,
        }
        for name, holds in checks.items():
            if not holds:
                raise BadInputError(f"{getattr(self, name)} is out of bounds", where=f"plan: {name}")

    @property
    def level(self) -> float:
        """``alpha`` of one comparison."""
        return self.alpha / self.n_comparisons

    @property
    def left(self) -> float:
        """Standard deviation after CUPED."""
        return self.deviation * math.sqrt(1.0 - self.explained)


def listeners_needed(design: Design, relative_effect: float) -> int:
    """Listeners in the control arm so that a relative change is found at a fixed horizon.

    Args:
        design: The metric and what is asked.
        relative_effect: Such as 0.02 for two percent of the mean, either way.

    Raises:
        BadInputError: The effect is 0.
        MissingExtraError: statsmodels is not installed.
    """
    size = abs(relative_effect * design.mean) / design.left
    if not size > 0:
        raise BadInputError("an effect of 0 cannot be found", where="plan", remedy="Give a change above 0")
    try:
        from statsmodels.stats.power import NormalIndPower
    except ImportError as error:
        raise MissingExtraError("planning an experiment", "experiments") from error
    found = NormalIndPower().solve_power(
        effect_size=size, alpha=design.level, power=design.power, ratio=design.ratio
    )
    return max(2, math.ceil(float(found)))


def detectable_effect(design: Design, n_control: float) -> float:
    """Smallest relative change that is found with the wanted power at a fixed horizon.

    Closed form of what statsmodels solves for: ``(z_{1 - alpha / 2} + z_power) * error``; the chance of an
    alarm on the wrong side is neglected by both.
    """
    return _reach(design) * _error(design, n_control)


def detectable_always_valid(design: Design, n_control: float) -> float:
    """The same for the always-valid interval at the planned end, for which its mixture is tuned."""
    half = math.sqrt(1.0 + mixture_ratio(design.level))
    return (half + float(stats.norm.ppf(design.power))) * _error(design, n_control)


def needed_for_looks(design: Design) -> float:
    """How many times the listeners of a fixed horizon the always-valid interval needs for the same power."""
    return (detectable_always_valid(design, 1.0) / detectable_effect(design, 1.0)) ** 2


def _reach(design: Design) -> float:
    return float(stats.norm.ppf(1.0 - design.level / 2.0) + stats.norm.ppf(design.power))


def _error(design: Design, n_control: float) -> float:
    """Standard error of the relative difference, taking the control's mean as known."""
    if not n_control > 0:
        return math.inf
    return design.left * math.sqrt((1.0 + 1.0 / design.ratio) / n_control) / abs(design.mean)
