"""The measure of recovery ranks what knows the listener above what does not."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from audotics.errors import BadInputError
from audotics.simulation import SimulationConfig, TasteRecovery, Truth, genres, recovered_tastes
from audotics.simulation.listeners import STATIC
from audotics.simulation.service import SimulatedTables

JAZZ, METAL, POP = (genres.NAMES.index(name) for name in ("jazz", "metal", "pop"))


def made_truth(drift_day: float) -> Truth:
    """Listener 0 goes from jazz to metal, listener 1 is three quarters pop; tracks 0 to 3 by genre."""
    before = np.zeros((2, genres.N_GENRES), np.float32)
    before[0, JAZZ], before[1, POP], before[1, JAZZ] = 1, 0.75, 0.25
    after = before.copy()
    after[0] = 0
    after[0, METAL] = 1
    return Truth(
        config=SimulationConfig(n_users=2, n_tracks=4, n_days=10),
        track_genre=np.int32([JAZZ, METAL, POP, POP]),
        track_style=np.int32([0, 0, 0, 0]),
        taste_before=before,
        taste_after=after,
        drift_day=np.float32([drift_day, STATIC]),
        user_style=np.int32([0, 0]),
    )


def slates(**by_user: str) -> pl.DataFrame:
    rows = [
        (f"u{int(user[1:]):07}", f"t{int(track):07}") for user, tracks in by_user.items() for track in tracks
    ]
    return pl.DataFrame(rows, schema=["user_id", "track_id"], orient="row")


def test_by_hand() -> None:
    found = recovered_tastes(slates(u1="20", u0="1"), made_truth(5), popular=["t0000002"])
    assert (found.n_listeners, found.n_drifted) == (2, 1)
    # Listener 0: all metal, exact. Listener 1: half pop, half jazz against 0.75 and 0.25: shared mass 0.75.
    assert found.current == pytest.approx((1 + 0.75) / 2)
    assert found.popular == pytest.approx((0 + 0.75) / 2)
    assert found.others == pytest.approx((0 + 0) / 2), "metal for the pop lover, pop and jazz for the other"
    assert found.affinity == pytest.approx((1 + 1 + math.sqrt(1 / 3)) / 3, rel=1e-5)
    assert found.affinity_popular == pytest.approx(0.5)
    assert (found.drifted_current, found.drifted_old, found.drifted_followed) == (1, 0, 1)


def test_recommending_the_old_taste_is_seen() -> None:
    found = recovered_tastes(slates(u0="0", u1="2"), made_truth(5), popular=["t0000002"])
    assert (found.drifted_current, found.drifted_old, found.drifted_followed) == (0, 1, 0)


def test_before_the_drift_nobody_has_drifted() -> None:
    truth = made_truth(5)
    found = recovered_tastes(
        slates(u0="0"), truth, popular=["t0000002"], at=truth.config.started_on + timedelta(days=1)
    )
    assert found.n_drifted == 0 and math.isnan(found.drifted_followed)
    assert found.current == 1.0


def test_order_of_rows_does_not_matter() -> None:
    truth, rows = made_truth(5), slates(u0="01", u1="23")
    assert recovered_tastes(rows, truth, popular=["t0000003"]) == recovered_tastes(
        rows.reverse(), truth, popular=["t0000003"]
    )


def test_nothing_to_measure_and_foreign_ids_are_refused() -> None:
    truth = made_truth(5)
    with pytest.raises(BadInputError, match="no recommendations"):
        recovered_tastes(slates(), truth, popular=["t0000002"])
    with pytest.raises(BadInputError, match="no recommendations"):
        recovered_tastes(slates(u0="0"), truth, popular=[])
    with pytest.raises(BadInputError, match="no such id"):
        recovered_tastes(slates(u0="9"), truth, popular=["t0000002"])


class TestOnASimulatedLog:
    """Simple recommenders in order of what they know."""

    def popular(self, world: SimulatedTables) -> list[str]:
        counts = world.events["track_id"].value_counts(sort=True)
        return counts["track_id"].head(20).to_list()

    def measured(self, world: SimulatedTables, first_day: int, last_day: int) -> TasteRecovery:
        """Recommend what each listener finished within the given days, by the truth at the end."""
        start = world.truth.config.started_on
        chosen = world.events.filter(
            pl.col("timestamp").is_between(start + timedelta(first_day), start + timedelta(last_day)),
            pl.col("event").is_in(["complete", "like", "add_to_playlist"]),
        )
        slate = chosen.select("user_id", "track_id").group_by("user_id", maintain_order=True).tail(20)
        return recovered_tastes(slate, world.truth, popular=self.popular(world))

    def test_recent_listening_beats_popularity_and_strangers(self, world: SimulatedTables) -> None:
        found = self.measured(world, 50, 60)
        assert found.current > found.popular + 0.15
        assert found.current > found.others + 0.25
        assert found.affinity > found.affinity_popular + 0.25

    def test_recent_listening_follows_the_drift_and_old_listening_does_not(
        self, world: SimulatedTables
    ) -> None:
        recent, old = self.measured(world, 50, 60), self.measured(world, 0, 20)
        assert recent.n_drifted > 200
        assert recent.drifted_followed > 0.75
        assert recent.drifted_current > recent.drifted_old + 0.2
        assert old.drifted_followed < 0.25
        assert old.drifted_old > old.drifted_current + 0.2
