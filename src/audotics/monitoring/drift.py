"""Drift: whether what listeners do, and what the model thinks of it, still is as it was at training."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel

from audotics.data.distributions import Distribution
from audotics.data.listening import BAND, HOUR, UNKNOWN, WEEKDAY, listening
from audotics.data.listening_profile import WEEK, Popularity
from audotics.evaluation.significance import holm
from audotics.monitoring.popularity import Spread, concentration, turnover
from audotics.monitoring.psi import distance
from audotics.monitoring.reference import Reference
from audotics.monitoring.report import DriftReport, QuantityDrift
from audotics.monitoring.scores import SCORES, score_distributions
from audotics.monitoring.verdicts import Verdict, worst

FALSE_ALARMS = 0.01
"""Chance that a report on listening that has not changed calls anything shifted."""

PSI_SHIFTED, PSI_ALARM = 0.1, 0.25
KS_SHIFTED, KS_ALARM = 0.1, 0.2
"""A normal quantity that moves by 0.32 (0.5) deviations has an index of 0.1 (0.25), a gap of 0.13 (0.2)."""

GINI_SHIFTED, GINI_ALARM = 0.05, 0.1
TURNOVER_SHIFTED, TURNOVER_ALARM = 0.2, 0.4
FEWEST_LISTENERS = 30
FEWEST_EVENTS = 200

_DAY = timedelta(days=1)


def drift_report(reference: Reference, events: pl.DataFrame, exposures: pl.DataFrame) -> DriftReport:
    """Hold recent listening against what a version was trained on.

    Args:
        reference: Of the version.
        events: Recent events, columns of ``schema.EVENTS``. Hours need a day of them, weekdays a week.
        exposures: What was shown, columns of `audotics.journal.exposure_frames`: the later half of this
            version's answers is held against its earlier half.

    Returns:
        The report; all is unknown for a version without a reference.
    """
    found = list(_scores(reference, exposures))
    note = ""
    if reference.profile is None:
        note = f"version {reference.version} keeps no reference: train it again"
    elif events.height:
        found = [*_cells(reference, events), *_popularity(reference, events), *found]
    return DriftReport(
        version=reference.version,
        since=events["timestamp"].min(),
        until=events["timestamp"].max(),
        n_events=events.height,
        n_listeners=events["user_id"].n_unique(),
        n_exposures=exposures.height,
        quantities=_judged(found),
        note=note,
    )


class _Finding(BaseModel):
    """A quantity before the correction for many tests: how large the change is, and its own p-value."""

    drift: QuantityDrift
    size: Verdict
    p_value: float = float("nan")


def _judged(findings: list[_Finding]) -> tuple[QuantityDrift, ...]:
    tested = [one for one in findings if one.p_value == one.p_value]
    corrected = dict(zip(map(id, tested), holm([one.p_value for one in tested]), strict=True))
    judged = []
    for one in findings:
        p_value = corrected.get(id(one))
        verdict = one.size
        if p_value is not None and p_value >= FALSE_ALARMS:
            verdict = Verdict.STEADY
        judged.append(one.drift.model_copy(update={"verdict": verdict, "p_value": p_value}))
    return tuple(sorted(judged, key=lambda drift: (-list(Verdict).index(drift.verdict), drift.name)))


def _cells(reference: Reference, events: pl.DataFrame) -> Iterator[_Finding]:
    """Everything that has shares of cells."""
    profile = reference.profile
    assert profile is not None  # noqa: S101  the caller asks only then
    now: dict[str, tuple[pl.Series, Any]] = {}
    whole, days, weeks = events, _whole(events, _DAY), _whole(events, WEEK)
    for part in (whole, days, weeks):
        listeners = part["user_id"].rank("dense").to_numpy() - 1
        for column in listening(part, reference.tracks, reference.known):
            if (part is whole) or (part is days and column.name == HOUR) or column.name == WEEKDAY:
                now[column.name] = column, listeners
    for name, distribution in profile.quantities.items():
        if name not in now:
            yield _unsaid(name, distribution, "the events do not tell it")
            continue
        recent = distribution.like(*now[name])
        yield compared(name, distribution, recent)


def compared(name: str, reference: Distribution, recent: Distribution) -> _Finding:
    """Two distributions over the same cells."""
    if min(reference.n, recent.n) < FEWEST_EVENTS:
        needs = {HOUR: " (needs whole days)", WEEKDAY: " (needs whole weeks)"}.get(name, "")
        return _unsaid(name, reference, f"too few events{needs}", recent.n)
    if min(reference.n_listeners, recent.n_listeners) < FEWEST_LISTENERS:
        return _unsaid(name, reference, "too few listeners", recent.n)
    found = distance(reference, recent)
    sizes = [_size(found.psi, PSI_SHIFTED, PSI_ALARM), _size(found.ks or 0.0, KS_SHIFTED, KS_ALARM)]
    drift = QuantityDrift(
        name=name,
        verdict=Verdict.STEADY,
        n_reference=reference.n,
        n=recent.n,
        psi=found.psi,
        psi_by_chance=found.by_chance,
        ks=found.ks,
        then=_unknown(reference),
        now=_unknown(recent),
        note=_moved(reference, recent),
    )
    return _Finding(drift=drift, size=worst(sizes), p_value=found.p_value)


def _popularity(reference: Reference, events: pl.DataFrame) -> Iterator[_Finding]:
    """How listening spreads over tracks, and which tracks lead."""
    profile = reference.profile
    if profile is None or profile.popularity is None:
        return
    band = profile.quantities.get(BAND)
    pair = profile.popularity, Popularity.of(events)
    design_effect = 1.0 if band is None else band.design_effect
    yield _spread(
        "popularity:gini",
        concentration(*pair, design_effect=design_effect),
        (GINI_SHIFTED, GINI_ALARM),
        "concentration {:.2f} -> {:.2f} (Gini, equal samples)",
    )
    yield _spread(
        "popularity:leaders",
        turnover(*pair, design_effect=design_effect),
        (TURNOVER_SHIFTED, TURNOVER_ALARM),
        "{1:.0%} of the leading 100 tracks lead no more, {0:.0%} would by chance",
    )


def _spread(name: str, spread: Spread | None, limits: tuple[float, float], words: str) -> _Finding:
    drift = QuantityDrift(name=name, verdict=Verdict.UNKNOWN, note="too few plays")
    if spread is None:
        return _Finding(drift=drift, size=Verdict.UNKNOWN)
    note = words.format(spread.reference, spread.recent)
    told = drift.model_copy(update={"then": spread.reference, "now": spread.recent, "note": note})
    size = _size(abs(spread.recent - spread.reference), *limits)
    return _Finding(drift=told, size=size, p_value=spread.p_value)


def _scores(reference: Reference, exposures: pl.DataFrame) -> Iterator[_Finding]:
    pair = score_distributions(exposures, reference.version)
    if pair is None:
        unsaid = QuantityDrift(name=SCORES, verdict=Verdict.UNKNOWN, note="too few answers of this version")
        yield _Finding(drift=unsaid, size=Verdict.UNKNOWN)
    else:
        yield compared(SCORES, *pair)


def _unsaid(name: str, reference: Distribution, why: str, n: int = 0) -> _Finding:
    drift = QuantityDrift(name=name, verdict=Verdict.UNKNOWN, n_reference=reference.n, n=n, note=why)
    return _Finding(drift=drift, size=Verdict.UNKNOWN)


def _size(found: float, shifted: float, alarm: float) -> Verdict:
    if found >= alarm:
        return Verdict.ALARM
    return Verdict.SHIFTED if found >= shifted else Verdict.STEADY


def _whole(events: pl.DataFrame, unit: timedelta) -> pl.DataFrame:
    """The newest events that make whole days or weeks; none where there is not one."""
    first, last = events["timestamp"].min(), events["timestamp"].max()
    assert isinstance(first, datetime)  # noqa: S101  there are events, and they have times
    assert isinstance(last, datetime)  # noqa: S101
    # A last day that lacks its last minutes is a whole one.
    n = int((last - first) / unit + 0.02)
    return events.filter(pl.col("timestamp") > last - n * unit) if n else events.clear()


def _unknown(of: Distribution) -> float | None:
    """The share of what is unknown, where that is what the distribution tells."""
    return float(of.shares[of.labels.index(UNKNOWN)]) if UNKNOWN in of.labels else None


def _moved(reference: Distribution, recent: Distribution) -> str:
    """The two cells whose shares changed most."""
    change = recent.shares - reference.shares
    most = np.argsort(-np.abs(change), kind="stable")[:2]
    return ", ".join(
        f"{reference.labels[cell]} {reference.shares[cell]:.1%} -> {recent.shares[cell]:.1%}"
        for cell in most.tolist()
    )
