"""A listener who moved from one genre to another is followed when old plays fade."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.retrieval.names import new_retriever
from contract.planted import (
    TRACKS_PER_GENRE,
    events_table,
    no_users,
    planted_events,
    planted_tracks,
    track_id,
)


@pytest.fixture(scope="module")
def ordered() -> Corpus:
    events = planted_events()
    positions = events.select(pl.int_range(pl.len()).over("user_id").cast(pl.Int32)).to_series()
    return build_corpus(
        events_table(events.drop("position").with_columns(positions.alias("position"))),
        planted_tracks(),
        no_users(),
    )


@pytest.mark.parametrize("name", ["ials", "item-knn", "rp3beta", "ease", "content"])
def test_fading_follows_the_drift(ordered: Corpus, name: str) -> None:
    old = [ordered.tracks.index(track_id(track)) for track in range(8)]
    new = [ordered.tracks.index(track_id(TRACKS_PER_GENRE + track)) for track in range(4)]
    histories = Interactions.from_histories([old + new], ordered.n_tracks)
    moved = QueryBatch(histories, np.array([-1], np.int32), np.array([NO_TIME]), (None,), (None,))
    shares = []
    for half_life in (None, 2.0):
        scores = new_retriever(name, {"half_life": half_life}).fit(ordered).score(moved)[0]
        genres = scores.reshape(-1, TRACKS_PER_GENRE).sum(axis=1)
        shares.append(genres[1] / genres[:2].sum())
    assert shares[1] > shares[0] + 0.1
    assert shares[1] > 0.6
