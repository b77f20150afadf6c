"""Which tracks play: available ones, visible ones, favourites, and the album just heard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audotics.simulation import SimulationConfig, genres
from audotics.simulation.choices import N_FAVOURITES, Charts, Chooser, Favourites
from audotics.simulation.service import MusicService
from audotics.simulation.sessions import Sessions


@pytest.fixture(scope="module")
def service() -> MusicService:
    return MusicService(SimulationConfig(n_users=300, n_tracks=3_000, n_days=40, seed=5))


def gini(counts: np.ndarray) -> float:
    ordered, n = np.sort(counts), len(counts)
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * ordered.sum()))


def sessions_for(user: np.ndarray, slot: int = 2, length: int = 40) -> Sessions:
    same = np.zeros(len(user), np.int64)
    return Sessions(user, same, same + slot, same, same + length)


class TestCharts:
    def test_a_track_of_the_cell_asked_for(self, service: MusicService) -> None:
        charts, catalogue = Charts(service.catalogue), service.catalogue
        released = catalogue.albums.release_day <= 0
        filled = np.unique(catalogue.cell[released])
        rng = np.random.default_rng(0)
        asked = rng.choice(filled, 5_000)
        for mainstream in (True, False):
            track = charts.from_cell(asked, np.full(5_000, mainstream), rng)
            assert (catalogue.cell[track] == asked).all()
            assert released[track].all()

    def test_an_empty_cell_is_answered_from_its_genre_or_a_near_one(self) -> None:
        small = MusicService(SimulationConfig(n_users=1, n_tracks=60, n_days=5, seed=1))
        charts = Charts(small.catalogue)
        everything = np.arange(genres.N_GENRES * genres.N_STYLES)
        rng = np.random.default_rng(0)
        track = charts.from_cell(everything, np.ones(len(everything), np.bool_), rng)
        found = small.catalogue.genre[track]
        released = small.catalogue.albums.release_day <= 0
        has_genre = np.isin(everything // genres.N_STYLES, small.catalogue.genre[released])
        assert (found[has_genre] == (everything // genres.N_STYLES)[has_genre]).all()

    def test_the_mainstream_is_more_unequal(self, service: MusicService) -> None:
        charts = Charts(service.catalogue)
        cell = np.repeat(service.catalogue.cell[service.catalogue.albums.release_day < 0], 40)
        rng = np.random.default_rng(0)
        inequality = [
            gini(np.bincount(charts.from_cell(cell, np.full(len(cell), mainstream), rng), minlength=3_000))
            for mainstream in (True, False)
        ]
        assert inequality[0] > inequality[1] + 0.1

    def test_nothing_unreleased_and_new_tracks_are_visible(self, service: MusicService) -> None:
        charts, day = Charts(service.catalogue), service.catalogue.albums.release_day
        rng = np.random.default_rng(0)
        assert (day[charts.from_everything(20_000, rng)] <= 0).all()
        charts.open_day(20)
        later = charts.from_everything(200_000, rng)
        assert (day[later] <= 20).all()
        fresh = (day > 10) & (day <= 20)
        fair = service.catalogue.appeal[fresh].sum() / service.catalogue.appeal[day <= 20].sum()
        assert fresh[later].mean() > 1.5 * fair

    def test_plays_feed_back_and_fade(self, service: MusicService) -> None:
        charts = Charts(service.catalogue)
        track = int(np.flatnonzero(service.catalogue.albums.release_day < -3650)[0])

        def share() -> float:
            return float((charts.from_everything(300_000, np.random.default_rng(0)) == track).mean())

        charts.open_day(1)
        before = share()
        charts.count_plays(np.full(100_000, track))
        charts.open_day(2)
        lifted = share()
        for day in range(3, 60):
            charts.open_day(day)
        assert lifted > 20 * before
        assert share() < lifted / 5


class TestFavourites:
    def test_only_what_was_learned_comes_back(self) -> None:
        favourites = Favourites(3)
        favourites.learn(np.array([0, 0, 2]), np.array([10, 11, 12]))
        recalled = favourites.recall(np.repeat([0, 1, 2], 500), np.random.default_rng(0))
        assert set(recalled[:500]) == {-1, 10, 11}
        assert set(recalled[500:1000]) == {-1}
        assert set(recalled[1000:]) == {-1, 12}

    def test_the_latest_push_out_the_oldest(self) -> None:
        favourites = Favourites(2)
        for track in range(30):
            favourites.learn(np.array([1]), np.array([track]))
        recalled = favourites.recall(np.ones(3_000, np.int64), np.random.default_rng(0))
        assert set(recalled) == set(range(30 - N_FAVOURITES, 30))

    def test_nothing_to_learn(self) -> None:
        favourites = Favourites(1)
        favourites.learn(np.zeros(0, np.int64), np.zeros(0, np.int64))
        assert favourites.recall(np.zeros(5, np.int64), np.random.default_rng(0)).tolist() == [-1] * 5


class TestChooser:
    def chosen_genres(self, service: MusicService, taste: np.ndarray, slot: int) -> np.ndarray:
        chooser = Chooser(service.catalogue, service.listeners)
        user = np.arange(300)
        choice = chooser.choose(
            sessions_for(user, slot), np.tile(taste, (300, 1)), 10, np.random.default_rng(1)
        )
        counts = np.bincount(service.catalogue.genre[choice.track], minlength=genres.N_GENRES)
        return counts / counts.sum()

    def test_taste_decides(self, service: MusicService) -> None:
        taste = np.full(genres.N_GENRES, 0.001, np.float32)
        taste[genres.NAMES.index("jazz")] = 1.0
        chosen = self.chosen_genres(service, taste, 2)
        assert chosen.argmax() == genres.NAMES.index("jazz")
        assert chosen.max() > 0.6

    def test_the_hour_leans(self, service: MusicService) -> None:
        even = np.full(genres.N_GENRES, 1 / genres.N_GENRES, np.float32)
        night = self.chosen_genres(service, even, genres.SLOTS.index("night"))
        morning = self.chosen_genres(service, even, genres.SLOTS.index("morning"))
        for calm, lively in (("ambient", "punk"), ("classical", "metal")):
            ratio = night / morning
            assert ratio[genres.NAMES.index(calm)] > 2 * ratio[genres.NAMES.index(lively)]

    def test_runs_follow_the_artist(self, service: MusicService) -> None:
        listeners = replace(
            service.listeners,
            config=service.config.model_copy(update={"album_runs": 1.0, "exploration": 0.0}),
        )
        chooser = Chooser(service.catalogue, listeners)
        choice = chooser.choose(
            sessions_for(np.arange(50), length=5),
            listeners.taste_before[:50],
            39,
            np.random.default_rng(0),
        )
        track = choice.track.reshape(50, 5)
        artist = service.catalogue.albums.artist[track]
        assert (artist == artist[:, :1]).all(), "a session that always goes on stays with one artist"
        assert len(np.unique(track[:, 1:])) > 50, "but moves through that artist's tracks"
        assert len(np.unique(artist[:, 0])) > 10

    def test_nothing_is_chosen_before_its_release(self, service: MusicService) -> None:
        chooser = Chooser(service.catalogue, service.listeners)
        rng = np.random.default_rng(0)
        for day in (0, 7, 39):
            chooser.charts.open_day(day)
            choice = chooser.choose(sessions_for(np.arange(300)), service.listeners.taste_before, day, rng)
            assert service.catalogue.albums.release_day[choice.track].max() <= day

    def test_no_sessions(self, service: MusicService) -> None:
        chooser = Chooser(service.catalogue, service.listeners)
        choice = chooser.choose(
            sessions_for(np.zeros(0, np.int64)),
            service.listeners.taste_before[:0],
            0,
            np.random.default_rng(0),
        )
        assert choice.track.shape == (0,)
