"""Sample-ratio mismatch: arms must have as many listeners as they were dealt.

Where 50 % were dealt to each arm and 48 % to 52 % are seen, something on the way from assignment to log
loses listeners of one arm, and nothing that is measured in the experiment may be believed.

Sources: Fabijan et al., "Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019; Lindon
& Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from audotics.errors import BadInputError
from audotics.experiments.sequential import Array, Numbers

CONCENTRATION = 2_500.0
"""Of the Dirichlet mixture round the dealt shares: tuned, for equal arms, to one percentage point."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Whether the arms have the listeners they were dealt.

    Args:
        p_value: Always valid: it may be read at every look.
        p_fixed: Pearson's chi-squared, for one look chosen beforehand.
        observed: ``[n_arms]`` share of listeners.
        expected: ``[n_arms]`` share dealt.
    """

    p_value: float
    p_fixed: float
    observed: tuple[float, ...]
    expected: tuple[float, ...]


def sample_ratio(counts: Numbers, shares: Numbers) -> Mismatch:
    """Hold counts of listeners against the shares dealt.

    Args:
        counts: ``[n_arms]`` listeners who came while these shares, or proportional ones, were in force.
        shares: ``[n_arms]`` in any unit.

    Raises:
        BadInputError: The shapes differ, something is negative, or an arm without a share has listeners.
    """
    seen, dealt = np.asarray(counts, np.float64), np.asarray(shares, np.float64)
    _check(seen, dealt)
    has_share = dealt > 0
    expected = dealt / max(dealt.sum(), 1e-300)
    total = float(seen.sum())
    fixed = 1.0
    if total and has_share.sum() > 1:
        fixed = float(stats.chisquare(seen[has_share], total * expected[has_share]).pvalue)
    return Mismatch(
        p_value=float(sequential_p_value(seen, dealt)),
        p_fixed=fixed,
        observed=tuple((seen / max(total, 1.0)).tolist()),
        expected=tuple(expected.tolist()),
    )


def sequential_p_value(counts: Numbers, shares: Numbers, concentration: float = CONCENTRATION) -> Array:
    """P-value of the mixture of multinomials, valid at every look (Lindon & Malek 2022).

    The chance of the counts under shares drawn from ``Dirichlet(concentration * dealt)``, over their chance
    under the shares dealt, is a martingale of the listeners in order of arrival.

    Args:
        counts: ``[..., n_arms]``.
        shares: ``[n_arms]``, in any unit; arms without a share are left out.
        concentration: How near the dealt shares the alternatives lie.

    Returns:
        ``[...]``.
    """
    seen, dealt = np.asarray(counts, np.float64), np.asarray(shares, np.float64)
    seen, dealt = seen[..., dealt > 0], dealt[dealt > 0]
    expected = dealt / dealt.sum()
    prior = concentration * expected
    total = seen.sum(axis=-1)
    log_ratio = special.gammaln(concentration) - special.gammaln(concentration + total)
    log_ratio = log_ratio + (
        special.gammaln(prior + seen) - special.gammaln(prior) - seen * np.log(expected)
    ).sum(axis=-1)
    return np.asarray(np.exp(-np.maximum(log_ratio, 0.0)))


def _check(seen: Array, dealt: Array) -> None:
    if seen.shape != dealt.shape or seen.ndim != 1 or (seen < 0).any() or (dealt < 0).any():
        raise BadInputError(
            f"counts {seen.shape} and shares {dealt.shape} must be of one shape and not negative",
            where="sample ratio",
        )
    if (seen[dealt == 0] > 0).any():
        raise BadInputError(
            "an arm without a share has listeners",
            where="sample ratio",
            remedy="Give the shares that were in force when the listeners came, and leave testers out",
        )
