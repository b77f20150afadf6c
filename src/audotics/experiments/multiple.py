"""Several questions asked at once: p-values corrected for their number. Needs statsmodels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from audotics.errors import MissingExtraError

Correction: TypeAlias = Literal["holm", "fdr_bh"]
"""Holm 1979 keeps the chance of any false finding; Benjamini & Hochberg 1995 the share of false findings."""


def corrected(p_values: Sequence[float], method: Correction = "holm") -> list[float]:
    """P-values that may each be held against the same level, in the given order.

    Always-valid p-values stay always valid under Holm's correction, for it asks nothing of how they depend
    on each other. Under Benjamini & Hochberg's they keep their promise at the look that is reported.

    Args:
        p_values: One per question.
        method: Which promise is kept.

    Raises:
        MissingExtraError: statsmodels is not installed.
    """
    if not p_values:
        return []
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as error:
        raise MissingExtraError("correction for several questions", "experiments") from error
    return [float(p) for p in multipletests(np.asarray(p_values, np.float64), method=method)[1]]
