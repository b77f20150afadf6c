"""Always-valid intervals and p-values: they may be looked at every day, and the promise still holds.

A fixed-horizon interval covers the truth with 95 % at one moment chosen beforehand. Looked at daily, it
will exclude the truth on some day far more often. Here the promise is about all moments at once: with
probability ``1 - alpha`` the interval covers the truth on every day, so an experiment may be stopped
whenever the numbers please.

The method is Robbins' normal mixture, known as the mixture sequential probability ratio test (mSPRT) and,
for estimates that are only asymptotically normal, as an asymptotic confidence sequence. An estimate with
standard error ``s`` is compared with zero by the likelihood ratio averaged over effects drawn from
``N(0, scale ** 2)``::

    ratio = sqrt(s^2 / (s^2 + scale^2)) * exp(scale^2 * estimate^2 / (2 s^2 (s^2 + scale^2)))

Without an effect this is a martingale that starts at 1, so it ever reaches ``1 / alpha`` with probability
``alpha`` at most (Ville 1939); ``1 / ratio`` is the p-value, and the effects it does not reject are the
interval. ``scale`` must not depend on when one looks: `mixture_scale` chooses it for the error that is
expected at the planned end. There the interval is about 1.5 times as wide as a fixed-horizon one.

For counts, small numbers or rates near 0 take `audotics.experiments.rates`, which holds exactly.

Sources: Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of
Mathematical Statistics 1970; Johari, Koomen, Pekelis & Walsh, "Always valid inference: continuous monitoring
of A/B tests", Operations Research 2022; Howard, Ramdas, McAuliffe & Sekhon, "Time-uniform, nonparametric,
nonasymptotic confidence sequences", Annals of Statistics 2021 (one-sided mixture, tuning); Waudby-Smith,
Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences",
Annals of Statistics 2024.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from audotics.errors import BadInputError

Array: TypeAlias = npt.NDArray[np.float64]
Numbers: TypeAlias = npt.ArrayLike
"""A number or an array of them; arguments are broadcast against each other."""

_N_HALVINGS = 50


def mixture_scale(expected_error: float, alpha: float = 0.05) -> float:
    """Scale of the mixture whose interval is narrowest when the estimate has this standard error.

    With ``ratio = scale^2 / error^2`` the squared width is proportional to
    ``(1 + ratio) / ratio * (log(1 + ratio) - 2 log(alpha))``; its minimum is
    ``ratio = -W(-alpha^2 / e) - 1``, the lower branch of Lambert's function (Howard et al. 2021).

    Args:
        expected_error: Standard error expected at the planned end, above 0.
        alpha: Error probability over all looks.

    Raises:
        BadInputError: The error is not above 0, or ``alpha`` is not between 0 and 1.
    """
    _check_alpha(alpha)
    if not (expected_error > 0 and math.isfinite(expected_error)):
        raise BadInputError(
            f"an expected standard error of {expected_error} is not above 0", where="mixture_scale"
        )
    return expected_error * math.sqrt(mixture_ratio(alpha))


def mixture_ratio(alpha: float = 0.05) -> float:
    """``scale^2 / error^2`` of the narrowest interval, see `mixture_scale`; 8.2 for 5 %."""
    return float(-special.lambertw(-(alpha**2) / math.e, k=-1).real - 1.0)


def always_valid_p_value(estimate: Numbers, error: Numbers, scale: Numbers, *, null: float = 0.0) -> Array:
    """Two-sided p-value that may be read at every look: ``P(any look <= alpha) <= alpha`` without an effect.

    Args:
        estimate: What was estimated.
        error: Its standard error; where it is 0 or NaN nothing is known and the p-value is 1.
        scale: Scale of the mixture, see `mixture_scale`.
        null: The value that is tested.
    """
    estimate, error, scale = _broadcast(estimate, error, scale)
    known = _known(estimate, error)
    s2, t2 = np.where(known, error, 1.0) ** 2, scale**2
    gap = np.where(known, estimate - null, 0.0)
    log_ratio = 0.5 * np.log(s2 / (s2 + t2)) + t2 * gap**2 / (2.0 * s2 * (s2 + t2))
    return np.where(known, np.exp(-np.maximum(log_ratio, 0.0)), 1.0)


def always_valid_interval(
    estimate: Numbers, error: Numbers, scale: Numbers, alpha: float = 0.05
) -> tuple[Array, Array]:
    """Ends of the interval that covers the truth at all looks together with probability ``1 - alpha``.

    ``estimate -+ s sqrt((s^2 + scale^2) / scale^2 * log((s^2 + scale^2) / (s^2 alpha^2)))``.

    Args:
        estimate: What was estimated.
        error: Its standard error; where it is 0 or NaN nothing is known and the interval is the whole line.
        scale: Scale of the mixture, see `mixture_scale`.
        alpha: Error probability over all looks.
    """
    _check_alpha(alpha)
    estimate, error, scale = _broadcast(estimate, error, scale)
    known = _known(estimate, error)
    s2, t2 = np.where(known, error, 1.0) ** 2, scale**2
    half = np.sqrt(s2 * (s2 + t2) / t2 * np.log((s2 + t2) / (s2 * alpha**2)))
    middle = np.where(known, estimate, 0.0)
    half = np.where(known, half, np.inf)
    return middle - half, middle + half


def one_sided_p_value(estimate: Numbers, error: Numbers, scale: Numbers, *, null: float = 0.0) -> Array:
    """P-value, valid at every look, of "the effect is at most ``null``"; small speaks for a larger one.

    The mixture is over effects above ``null`` only (half a normal distribution)::

        ratio = 2 sqrt(s^2 / (s^2 + scale^2)) exp(z^2 w / 2) Phi(z sqrt(w)),   w = scale^2 / (s^2 + scale^2)

    with ``z = (estimate - null) / s``. Swap the sign of estimate and null to test in the other direction.

    Args:
        estimate: What was estimated.
        error: Its standard error; where it is 0 or NaN the p-value is 1.
        scale: Scale of the mixture, see `mixture_scale`.
        null: Largest effect that is no finding.
    """
    estimate, error, scale = _broadcast(estimate, error, scale)
    known = _known(estimate, error)
    s = np.where(known, error, 1.0)
    z = np.where(known, (estimate - null) / s, 0.0)
    return np.where(known, np.exp(-np.maximum(_log_one_sided(z, s, scale), 0.0)), 1.0)


def lower_bound(estimate: Numbers, error: Numbers, scale: Numbers, alpha: float = 0.05) -> Array:
    """What the truth is above at all looks together, with probability ``1 - alpha`` (`one_sided_p_value`).

    Args:
        estimate: What was estimated.
        error: Its standard error; where it is 0 or NaN the bound is minus infinity.
        scale: Scale of the mixture, see `mixture_scale`.
        alpha: Error probability over all looks.
    """
    _check_alpha(alpha)
    estimate, error, scale = _broadcast(estimate, error, scale)
    known = _known(estimate, error)
    s = np.where(known, error, 1.0)
    # The ratio grows with z: halve an interval that surely holds the z at which it is 1 / alpha.
    low, high = np.zeros_like(s), always_valid_interval(0.0, s, scale, alpha)[1] / s
    for _ in range(_N_HALVINGS):
        middle = (low + high) / 2.0
        above = _log_one_sided(middle, s, scale) > -math.log(alpha)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.where(known, np.where(known, estimate, 0.0) - high * s, -np.inf)


def upper_bound(estimate: Numbers, error: Numbers, scale: Numbers, alpha: float = 0.05) -> Array:
    """What the truth is below, at all looks together with probability ``1 - alpha``; see `lower_bound`."""
    return -lower_bound(-np.asarray(estimate, np.float64), error, scale, alpha)


def _log_one_sided(z: Array, s: Array, scale: Array) -> Array:
    weight = scale**2 / (s**2 + scale**2)
    log_ratio: Array = (
        math.log(2.0) + 0.5 * np.log1p(-weight) + 0.5 * weight * z**2 + special.log_ndtr(z * np.sqrt(weight))
    )
    return log_ratio


def _broadcast(estimate: Numbers, error: Numbers, scale: Numbers) -> tuple[Array, Array, Array]:
    arrays = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in (estimate, error, scale)))
    if not (arrays[2] > 0).all():
        raise BadInputError("the scale of a mixture must be above 0", where="scale")
    return arrays[0], arrays[1], arrays[2]


def _known(estimate: Array, error: Array) -> npt.NDArray[np.bool_]:
    return (error > 0) & np.isfinite(estimate) & np.isfinite(error)


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise BadInputError(f"an error probability of {alpha} is not between 0 and 1", where="alpha")
