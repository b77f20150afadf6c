"""What every retriever must keep; subclass it and name the retriever."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import QueryBatch
from audotics.errors import NotFittedError
from audotics.retrieval.names import new_retriever, retriever_class
from audotics.retrieval.protocol import Choice, Evidence, Explanation, Range, Retriever
from audotics.retrieval.top_k import top_k
from contract.planted import events_table, genre_of, no_users, planted_events, planted_tracks, planted_users

Settings: TypeAlias = dict[str, Any]
"""What differs from a retriever's defaults."""


@cache
def planted_corpus(seed: int = 0, *, ordered: bool = True) -> Corpus:
    """The planted service: counted plays, in order of listening if asked for; cold tracks included."""
    events = planted_events(seed=seed)
    if ordered:
        place = pl.int_range(pl.len()).over("user_id").cast(pl.Int32)
        # By track number, so that what follows a track is of its genre.
        events = events.sort("user_id", "track_id").with_columns(place.alias("position"))
    return build_corpus(events, planted_tracks(), planted_users())


def everyone(corpus: Corpus) -> QueryBatch:
    """All listeners with what training knows of them."""
    return QueryBatch.of_listeners(corpus.interactions, np.arange(corpus.n_users, dtype=np.int32))


def asking(histories: Interactions) -> QueryBatch:
    """Queries of nobody in particular with the given histories."""
    return QueryBatch.of_listeners(histories, np.arange(histories.n_rows, dtype=np.int32))


def without_pair(histories: Interactions, row: int, track: int) -> Interactions:
    """One history with one of its tracks taken out."""
    one = histories.rows(np.array([row]))
    keep = one.track_index != track
    return Interactions(
        np.array([0, keep.sum()], np.int64),
        one.track_index[keep],
        one.plays[keep],
        one.last_at[keep],
        one.n_tracks,
        one.ordered,
    )


def _arrays_of(interactions: Interactions) -> list[np.ndarray]:
    return [interactions.indptr, interactions.track_index, interactions.plays, interactions.last_at]


@cache
def _fitted(contract: type[RetrieverContract]) -> Retriever:
    return contract().make().fit(contract().corpus)


class RetrieverContract:
    """Checks of the `Retriever` protocol.

    ``name`` is the retriever's registered name, ``settings`` what differs from its defaults in these
    checks, ``least_in_genre`` the least share of the ten best unheard tracks that must be of the
    listener's planted genre (None where a retriever knows nothing of taste).
    """

    name: str
    settings: ClassVar[Settings] = {}
    least_in_genre: float | None = 0.7
    tolerance = 1e-5

    def make(self) -> Retriever:
        """A fresh retriever, not fitted."""
        return new_retriever(self.name, self.settings)

    @property
    def corpus(self) -> Corpus:
        """What the checks train on."""
        return planted_corpus()

    @property
    def fitted(self) -> Retriever:
        """The retriever fitted on `corpus`, once for all checks of the class."""
        return _fitted(type(self))

    def close(self, left: np.ndarray, right: np.ndarray) -> None:
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=self.tolerance)

    def test_is_known_by_its_name(self):
        assert retriever_class(self.name).name == self.name

    def test_fitting_changes_nothing_of_the_corpus(self):
        corpus = planted_corpus(seed=5)
        before = [array.copy() for array in _arrays_of(corpus.interactions)]
        self.make().fit(corpus).score(everyone(corpus))
        for array, untouched in zip(_arrays_of(corpus.interactions), before, strict=True):
            np.testing.assert_array_equal(array, untouched)

    def test_the_space_names_settings_and_holds_the_defaults(self):
        defaults = new_retriever(self.name, {}).config.model_dump()
        for setting, where in self.fitted.space.items():
            assert setting in defaults
            if isinstance(where, Choice):
                assert defaults[setting] in where.values
            else:
                assert where.low <= defaults[setting] <= where.high

    def test_every_edge_of_the_space_is_a_valid_setting(self):
        for setting, where in self.fitted.space.items():
            edges = (where.low, where.high) if isinstance(where, Range) else where.values
            for value in edges:
                new_retriever(self.name, {setting: value})

    def test_settings_are_closed_and_frozen(self):
        config = self.make().config
        with pytest.raises(ValidationError):
            type(config).model_validate({"nonsense": 1})
        with pytest.raises(ValidationError):
            setattr(config, next(iter(config.model_dump())), 1)

    def test_applies_to_the_planted_service_and_not_to_nothing(self):
        kind = retriever_class(self.name)
        assert kind.applies_to(self.corpus)
        none = np.zeros(self.corpus.events.height, bool)
        bare = self.corpus.keep(none)
        bare = replace(bare, track_table=pl.DataFrame({"track_id": bare.tracks.ids}))
        assert not kind.applies_to(bare)

    def test_must_be_fitted_first(self):
        with pytest.raises(NotFittedError, match=self.name):
            self.make().score(everyone(self.corpus))
        with pytest.raises(NotFittedError, match=self.name):
            self.make().arrays()

    def test_scores_are_finite_floats_of_every_track(self):
        scores = self.fitted.score(everyone(self.corpus))
        assert scores.shape == (self.corpus.n_users, self.corpus.n_tracks)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        assert scores.any()

    def test_scores_are_fresh(self):
        batch = everyone(self.corpus).part(0, 3)
        first = self.fitted.score(batch)
        kept = first.copy()
        first[:] = -np.inf
        assert np.array_equal(self.fitted.score(batch), kept)

    def test_the_compact_form_says_the_same(self):
        batch = everyone(self.corpus)
        scores = self.fitted.score(batch)
        compact = self.fitted.compact_scores(batch)
        if not isinstance(compact, np.ndarray):
            compact = compact.toarray()
        assert np.array_equal(compact, scores)
        if compact.flags.writeable:
            compact[:] = -np.inf
            assert np.array_equal(self.fitted.score(batch), scores)

    def test_a_query_is_scored_the_same_alone(self):
        batch = everyone(self.corpus)
        self.close(self.fitted.score(batch.part(4, 5))[0], self.fitted.score(batch)[4])

    def test_a_query_is_scored_and_explained_alike_alone_and_among_others(self):
        batch = everyone(self.corpus)
        together = self.fitted.compact_scores(batch)
        whole = together if isinstance(together, np.ndarray) else together.toarray()
        best = top_k(whole, 4)
        rows = np.arange(batch.size, dtype=np.int32).repeat(4)
        explained = self.fitted.explain(batch, best.ravel(), rows)
        for row in range(0, batch.size, 7):
            query = batch.part(row, row + 1)
            alone = self.fitted.compact_scores(query)
            self.close((alone if isinstance(alone, np.ndarray) else alone.toarray())[0], whole[row])
            of_row = np.zeros(4, np.int32)
            assert self.fitted.explain(query, best[row], of_row) == explained[4 * row : 4 * row + 4]
            assert self.fitted.explain(query, best[row, :1]) == explained[4 * row : 4 * row + 1]

    def test_explanations_of_tracks_in_any_order_are_the_same(self):
        batch = everyone(self.corpus).part(0, 6)
        tracks = top_k(self.fitted.score(batch), 3)
        rows = np.arange(6, dtype=np.int32).repeat(3)
        explained = self.fitted.explain(batch, tracks.ravel(), rows)
        order = np.random.default_rng(0).permutation(18)
        shuffled = self.fitted.explain(batch, tracks.ravel()[order], rows[order])
        assert shuffled == [explained[place] for place in order.tolist()]

    def test_no_queries_give_no_scores(self):
        batch = everyone(self.corpus).part(0, 0)
        assert self.fitted.score(batch).shape == (0, self.corpus.n_tracks)
        assert self.fitted.explain(batch, np.zeros(0, np.int32)) == []

    def test_who_asks_does_not_matter_only_the_history(self):
        known = everyone(self.corpus)
        stranger = replace(known, user_index=np.full(known.size, -1, np.int32))
        assert np.array_equal(self.fitted.score(known), self.fitted.score(stranger))

    def test_a_raw_history_is_answered_like_the_listener_who_has_it(self):
        rows = np.arange(5)
        known = self.corpus.interactions.rows(rows)
        once = replace(known, plays=np.ones_like(known.plays))
        lists = np.split(known.track_index, known.indptr[1:-1])
        raw = Interactions.from_histories([part.tolist() for part in lists], self.corpus.n_tracks)
        self.close(self.fitted.score(asking(raw)), self.fitted.score(asking(once)))

    def test_an_empty_history_is_answered_with_finite_scores(self):
        nobody = asking(Interactions.from_histories([[], [0, 1]], self.corpus.n_tracks))
        scores = self.fitted.score(nobody)
        assert np.isfinite(scores).all()
        assert len(self.fitted.explain(nobody, np.array([3, 3], np.int32))) == 2

    def test_a_second_fit_forgets_the_first(self):
        batch = everyone(self.corpus)
        twice = self.make().fit(planted_corpus(seed=7)).fit(self.corpus)
        assert np.array_equal(twice.score(batch), self.make().fit(self.corpus).score(batch))

    def test_arrays_and_settings_make_an_equal_retriever(self, tmp_path: Path):
        kind = retriever_class(self.name)
        for name, array in self.fitted.arrays().items():
            assert array.dtype.kind in "fiuUb", name
            np.save(tmp_path / f"{name}.npy", array, allow_pickle=False)
        mapped = {path.stem: np.load(path, mmap_mode="r") for path in tmp_path.glob("*.npy")}
        settings = json.loads(json.dumps(self.fitted.config.model_dump(mode="json")))
        loaded = kind.from_arrays(settings, mapped)
        batch = everyone(self.corpus)
        assert loaded.config == self.fitted.config
        assert np.array_equal(loaded.score(batch), self.fitted.score(batch))
        best = top_k(self.fitted.score(batch), 1)[:, 0]
        assert loaded.explain(batch, best) == self.fitted.explain(batch, best)

    def test_the_planted_taste_is_found(self):
        if self.least_in_genre is None:
            return
        batch = everyone(self.corpus)
        scores = self.fitted.score(batch)
        scores[batch.histories.row_index, batch.histories.track_index] = -np.inf
        best = top_k(scores, 10)
        genres = np.array([genre_of(track) for track in self.corpus.tracks.ids])
        heard = genres[batch.histories.track_index].reshape(batch.size, -1)
        home = [max(set(row), key=list(row).count) for row in heard.tolist()]
        assert np.mean(genres[best] == np.array(home)[:, None]) >= self.least_in_genre

    def test_explanations_name_what_really_contributes(self):
        batch = everyone(self.corpus)
        scores = self.fitted.score(batch)
        named = 0
        for best in top_k(scores, 3).T:
            explanations = self.fitted.explain(batch, best)
            assert len(explanations) == batch.size
            for row, explanation in enumerate(explanations):
                if explanation is not None:
                    named += 1
                    self.check_honest(batch.histories, row, int(best[row]), explanation)
        assert named > 0

    def check_honest(self, histories: Interactions, row: int, track: int, explanation: Explanation) -> None:
        """Raise where an explanation names what the score does not rest on."""
        own = histories.rows(np.array([row]))
        if explanation.evidence is Evidence.HEARD:
            assert explanation.cause == track
        if explanation.evidence in (Evidence.HEARD, Evidence.TRACK):
            assert explanation.cause in own.track_index
            shorter = without_pair(histories, row, explanation.cause)
            before = self.fitted.score(asking(own))[0, track]
            assert self.fitted.score(asking(shorter))[0, track] < before
        elif explanation.evidence is Evidence.TERM:
            assert explanation.term
        else:
            assert track in self.corpus.interactions.track_index

    def test_nothing_to_say_of_a_track_without_a_score(self):
        batch = asking(Interactions.from_histories([[]], self.corpus.n_tracks))
        scores = self.fitted.score(batch)[0]
        for track in np.flatnonzero(scores == 0)[:5]:
            assert self.fitted.explain(batch, np.array([track], np.int32)) == [None]

    def test_the_smallest_service_can_be_learned(self):
        rows = {"user_id": ["u", "u"], "track_id": ["a", "b"], "plays": [2.0, 1.0], "position": [0, 1]}
        corpus = build_corpus(events_table(pl.DataFrame(rows)), planted_tracks().head(2), no_users())
        scores = self.make().fit(corpus).score(everyone(corpus))
        assert scores.shape == (1, corpus.n_tracks)
        assert np.isfinite(scores).all()
