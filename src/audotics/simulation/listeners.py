"""The simulated listeners: who they are, what they like before and after a drift, how much they play."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.schema import USERS
from audotics.domain import FloatArray, IndexArray
from audotics.simulation import genres
from audotics.simulation.config import SimulationConfig
from audotics.simulation.sampling import draw, draw_rows

COUNTRIES = ("US", "BR", "GB", "DE", "FR", "SE", "IN", "JP", "AU", "MX")
COUNTRY_SHARES = np.array([0.30, 0.14, 0.12, 0.10, 0.08, 0.04, 0.08, 0.05, 0.03, 0.06])
UTC_OFFSET_HOURS = np.array([-6, -3, 0, 1, 1, 1, 5, 9, 10, -6])

STATIC = np.float32(np.inf)
"""Drift day of a listener whose taste does not change abruptly."""


@dataclass(frozen=True)
class Listeners:
    """All listeners, one entry per listener number.

    Args:
        config: The simulation's settings.
        taste_before: ``[n_users, N_GENRES]`` weights of the genres at the start, rows summing to 1.
        taste_after: ``[n_users, N_GENRES]`` at the end; equal to the former for most.
        drift_day: ``[n_users]`` days after the start when the taste jumps; `STATIC` if it does not.
        style: ``[n_users]`` preferred place on the ring of styles.
        mainstream: ``[n_users]`` 0 to 1: share of choices that follow popularity.
        familiarity: ``[n_users]`` share of listens that return to favourites.
        sessions_per_day: ``[n_users]`` mean number, heavy-tailed.
        country: ``[n_users]`` place in `COUNTRIES`.
        birth_year: ``[n_users]``.
        signup_day: ``[n_users]`` days after the start; negative is before it.
    """

    config: SimulationConfig
    taste_before: FloatArray
    taste_after: FloatArray
    drift_day: FloatArray
    style: IndexArray
    mainstream: FloatArray
    familiarity: FloatArray
    sessions_per_day: FloatArray
    country: IndexArray
    birth_year: IndexArray
    signup_day: IndexArray

    @property
    def n_users(self) -> int:
        """How many listeners."""
        return len(self.style)

    @cached_property
    def user_ids(self) -> pl.Series:
        """Ids ``[n_users]``; the digits are the listener number."""
        digits = pl.Series(np.arange(self.n_users)).cast(pl.String).str.zfill(7)
        return (pl.Series(["u"]).new_from_index(0, self.n_users) + digits).alias("user_id")

    def table(self) -> pl.DataFrame:
        """The users table; one listener in ten does not tell gender, one in twenty no birth year."""
        rng = self.config.generator("profiles")
        told = rng.random(self.n_users) > 0.05
        columns = {
            "user_id": self.user_ids,
            "country": np.array(COUNTRIES)[self.country],
            "birth_year": pl.Series(self.birth_year).set(pl.Series(~told), None),
            "gender": pl.Series(["female", "male", "other", None]).gather(
                draw(np.array([0.44, 0.44, 0.02, 0.1]), self.n_users, rng)
            ),
            "signed_up": pl.Series(self.signup_day) * timedelta(days=1) + self.config.started_on.date(),
            "friends": pl.Series([None], dtype=pl.List(pl.String)).new_from_index(0, self.n_users),
        }
        return pl.DataFrame(columns, schema_overrides=USERS)


def taste_at(
    before: FloatArray, after: FloatArray, drift_day: FloatArray, day: FloatArray | float, n_days: int
) -> FloatArray:
    """Taste at a moment: the old or the new one round an abrupt drift, else a straight line between them.

    Args:
        before: ``[n, N_GENRES]`` taste at the start.
        after: ``[n, N_GENRES]`` taste at the end.
        drift_day: ``[n]``, `STATIC` where nothing jumps.
        day: Days after the start, one for all or ``[n]``.
        n_days: Length of the log.

    Returns:
        ``[n, N_GENRES]`` rows summing to 1.
    """
    progress = np.clip(np.asarray(day, np.float32) / n_days, 0, 1)
    weight = np.where(np.isfinite(drift_day), day >= drift_day, progress).astype(np.float32)[:, None]
    taste: FloatArray = before + weight * (after - before)
    return taste


def make_listeners(config: SimulationConfig) -> Listeners:
    """Draw the listeners: taste by country and age, activity heavy-tailed, drift as the settings say."""
    rng = config.generator("listeners")
    n = config.n_users
    country = draw(COUNTRY_SHARES, n, rng)
    age = (14 + rng.gamma(3.0, 7.0, n)).clip(14, 90)
    anchor_weights = _anchor_weights(country, age, rng)
    before, anchor = _tastes(anchor_weights, rng)
    # A new taste begins far from the old one; a wandering one ends where a similar listener might be.
    away = (1.0 - genres.nearness()[anchor] / genres.nearness().max(axis=1)[anchor, None]).clip(0.0) ** 2
    far, _ = _tastes(anchor_weights * away + 1e-9, rng)
    chance = rng.random(n)
    abrupt = chance < config.abrupt_drift_share
    gradual = ~abrupt & (rng.random(n) < config.gradual_drift_share)
    after = np.where(abrupt[:, None], far, np.where(gradual[:, None], (before + far) / 2, before))
    drift_day = np.where(abrupt, rng.uniform(0.35, 0.75, n) * config.n_days, STATIC)
    newcomer = rng.random(n) < config.newcomer_share
    signup_day = np.where(newcomer, rng.integers(0, config.n_days, n), -1 - rng.exponential(500, n))
    return Listeners(
        config=config,
        taste_before=before,
        taste_after=after.astype(np.float32),
        drift_day=drift_day.astype(np.float32),
        style=rng.integers(0, genres.N_STYLES, n).astype(np.int32),
        mainstream=rng.beta(3.0, 2.0, n).astype(np.float32),
        familiarity=rng.beta(3.0, 4.0, n).astype(np.float32),
        sessions_per_day=rng.lognormal(-0.5, 1.0, n).clip(0.02, 12.0).astype(np.float32),
        country=country.astype(np.int32),
        birth_year=(config.started_on.year - age).astype(np.int32),
        signup_day=signup_day.astype(np.int32),
    )


def _anchor_weights(
    country: npt.NDArray[np.int64], age: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Weight of each genre as a listener's first love ``[n_users, N_GENRES]``, from country and age."""
    local = rng.normal(0.0, 0.5, (len(COUNTRIES), genres.N_GENRES))
    local[COUNTRIES.index("BR"), genres.NAMES.index("latin")] += 1.2
    local[COUNTRIES.index("MX"), genres.NAMES.index("latin")] += 1.5
    local[COUNTRIES.index("US"), genres.NAMES.index("country")] += 0.8
    by_age = np.outer((age - 35) / 15, genres.column("age_slope"))
    weights: npt.NDArray[np.float64] = genres.shares() * np.exp(local[country] + by_age)
    return weights


def _tastes(
    weights: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Mixtures round one to three home genres ``[n, N_GENRES]``, and the first home genre ``[n]``."""
    n, near = len(weights), genres.nearness()
    everyone = np.arange(n)
    anchor = draw_rows(weights, everyone, rng)
    homes = np.stack([anchor, draw_rows(near, anchor, rng), draw_rows(weights, everyone, rng)], axis=1)
    parts = rng.dirichlet((4.0, 1.0, 1.0), n)
    taste = (parts[:, :, None] * near[homes]).sum(axis=1) + 0.002
    return (taste / taste.sum(axis=1, keepdims=True)).astype(np.float32), anchor
