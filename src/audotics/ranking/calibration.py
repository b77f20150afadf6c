"""Probabilities out of scores: Platt's sigmoid, fitted on lists that training did not see."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audotics.domain import BoolArray, FloatArray

_STEPS = 50
_RIDGE = 1e-6


def fit_sigmoid(scores: npt.NDArray[np.floating], happened: BoolArray) -> tuple[float, float]:
    """Slope and intercept of ``P = 1 / (1 + exp(-(slope * score + intercept)))`` by maximum likelihood.

    Targets are ``(n1 + 1) / (n1 + 2)`` and ``1 / (n0 + 2)`` instead of 1 and 0, which keeps the fit
    finite where scores separate the classes (Platt 1999). Newton's method with halved steps.

    A higher score never gets a lower probability: where the scores order the outcomes the wrong way
    round, the slope is 0 and everything gets the mean.

    Args:
        scores: ``[n]``, finite.
        happened: ``[n]``.

    Returns:
        Slope and intercept; (1, 0) if there is nothing to learn from.
    """
    n_true = int(happened.sum())
    n_false = len(happened) - n_true
    if n_true == 0 or n_false == 0:
        return 1.0, 0.0
    target = np.where(happened, (n_true + 1) / (n_true + 2), 1 / (n_false + 2))
    design = np.stack([scores.astype(np.float64), np.ones(len(scores))], axis=1)
    found = np.array([0.0, np.log(target.mean() / (1 - target.mean()))])
    prior = float(found[1])
    for _ in range(_STEPS):
        probability = sigmoid(design @ found)
        gradient = design.T @ (probability - target)
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design
        step = np.linalg.solve(curvature + _RIDGE * np.eye(2), gradient)
        size, loss = 1.0, _cross_entropy(design @ found, target)
        while size > 1e-6 and _cross_entropy(design @ (found - size * step), target) > loss:
            size /= 2
        found -= size * step
        if np.abs(size * step).max() < 1e-8:
            break
    return (float(found[0]), float(found[1])) if found[0] > 0 else (0.0, prior)


def sigmoid(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """``1 / (1 + exp(-logits))`` without overflow."""
    positive: npt.NDArray[np.floating] = np.exp(-np.logaddexp(0.0, -logits))
    return positive


def log_share(scores: npt.NDArray[np.floating]) -> FloatArray:
    """Log of each candidate's softmax share of its list ``[n_lists, width]``; -inf where padded.

    A listwise loss leaves the level of a list's scores open; this takes the level out before calibration.
    """
    finite = np.where(np.isfinite(scores), scores, -np.inf)
    top = np.max(finite, axis=1, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.exp(finite - top).sum(axis=1, keepdims=True)
    level = top + np.log(np.maximum(total, np.finfo(np.float32).tiny))
    share: FloatArray = (finite - level).astype(np.float32)
    return share


def _cross_entropy(logits: npt.NDArray[np.floating], target: npt.NDArray[np.floating]) -> float:
    return float((np.logaddexp(0.0, logits) - target * logits).sum())
