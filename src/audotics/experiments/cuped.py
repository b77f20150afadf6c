"""CUPED: what a listener did before the experiment explains much of what they do in it.

Arms differ by chance in the listeners they got. What is known of listeners from before the start cannot
have been changed by the arm, so as much of the outcome as it predicts is taken out::

    adjusted = value - theta' (covariates - their mean over all arms)

which changes no arm's expectation and shrinks the variance by the share explained, ``R^2``. ``theta`` is
the regression inside the arms, the same for all of them. Ratios are adjusted through their linearised values.

Sources: Deng, Xu, Kohavi & Walker, "Improving the sensitivity of online controlled experiments by utilizing
pre-experiment data", WSDM 2013; Jin & Ba, "Toward optimal variance reduction in online controlled
experiments", Technometrics 2023 (ratios, several covariates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audotics.experiments.ratios import linearised
from audotics.experiments.sequential import Array


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Values of each arm after the adjustment.

    Args:
        values: ``[n_listeners]`` of each arm, in the given order.
        explained: Share of the variance inside arms that the past explains, 0 to 1.
    """

    values: tuple[Array, ...]
    explained: float


def covariates(numerator: Array, denominator: Array) -> Array:
    """What the same metric's sums before the start say about a listener ``[n_listeners, 3]``.

    The linearised past, its denominator (how active they were) and whether there is a past at all: listeners
    without one get the mean, and a level of their own.

    Args:
        numerator: ``[n_listeners]`` sums before the start.
        denominator: ``[n_listeners]`` of the same; 0 for a listener without a past.
    """
    known = denominator > 0
    columns = np.zeros((len(numerator), 3))
    if known.any():
        columns[known, 0] = linearised(numerator[known], denominator[known])
        columns[~known, 0] = columns[known, 0].mean()
        columns[:, 1] = np.log1p(denominator)
        columns[:, 2] = known
    return columns


def adjust(values: Sequence[Array], past: Sequence[Array]) -> Adjusted:
    """Take out of each arm's values what the past explains.

    Args:
        values: ``[n_listeners]`` of each arm, linearised where the metric is a ratio.
        past: ``[n_listeners, n_covariates]`` of each arm, known before the start.
    """
    inside = np.concatenate([one - one.mean(axis=0) for one in past if len(one)])
    outcome = np.concatenate([one - one.mean() for one in values if len(one)])
    total = float(outcome @ outcome)
    if not np.isfinite(total) or total == 0.0:
        return Adjusted(tuple(values), 0.0)
    # Columns that do not vary (nobody is new, say) get weight 0: the solution of least norm.
    spread = inside.std(axis=0)
    scaled = inside / np.where(spread > 1e-12, spread, 1.0)
    weights = np.linalg.lstsq(scaled.T @ scaled, scaled.T @ outcome, rcond=1e-10)[0]
    theta = weights / np.where(spread > 1e-12, spread, 1.0)
    centre = np.concatenate(list(past)).mean(axis=0)
    left = outcome - inside @ theta
    return Adjusted(
        tuple(one - (covariate - centre) @ theta for one, covariate in zip(values, past, strict=True)),
        max(0.0, 1.0 - float(left @ left) / total),
    )
