from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from audotics.data.interactions import Interactions
from audotics.data.queries import NO_TIME, QueryBatch
from audotics.domain import PADDING, IndexArray, Query
from audotics.recommender.reasons import Explainer, track_names
from audotics.recommender.recommender import Recommender
from audotics.retrieval.protocol import Evidence, Explanation
from contract.planted import genre_of

CATALOGUE = pl.DataFrame(
    {
        "track_id": ["a", "b", "c"],
        "title": ["Blue", "Iris", None],
        "artist": ["Joni", "Iris", "Nobody"],
    }
)


class Saying:
    """A retriever that explains every track in the same way."""

    name = "saying"

    def __init__(self, explanation: Explanation | None) -> None:
        self._explanation = explanation

    def explain(
        self, batch: QueryBatch, track_index: IndexArray, rows: IndexArray | None = None
    ) -> list[Explanation | None]:
        assert rows is not None
        assert len(rows) == len(track_index)
        assert (rows < batch.size).all()
        return [self._explanation] * len(rows)


def batch(n: int) -> QueryBatch:
    histories = Interactions.from_histories([[0]] * n, 3)
    return QueryBatch(histories, np.full(n, PADDING, np.int32), np.full(n, NO_TIME), (None,) * n, (None,) * n)


def test_names_say_title_and_artist_where_they_differ() -> None:
    assert track_names(CATALOGUE) == ["Blue by Joni", "Iris", "c"]


RELEASES = pl.DataFrame(
    {
        "track_id": ["a", "b", "c", "d"],
        "title": ["Blue", "Carey", "Iris", "Amelia"],
        "artist": ["Joni", "Joni", "Iris", "Joni"],
        "released": [date(1971, 6, 22), date(1971, 6, 22), date(2026, 1, 1), date(2026, 3, 1)],
    }
)


class Neighbours(Saying):
    name = "item-knn"


def phrase(
    explanation: Explanation,
    track: int,
    history: list[int],
    *,
    at: datetime | None = None,
    listeners: list[int] | None = None,
    kind: type[Saying] = Saying,
) -> str:
    """The phrase for one track of `RELEASES`, told to a listener."""
    when = NO_TIME if at is None else int(at.timestamp()) * 1_000_000
    asked = QueryBatch(
        Interactions.from_histories([history], 4),
        np.zeros(1, np.int32),
        np.array([when], np.int64),
        (None,),
        (None,),
    )
    counts = None if listeners is None else np.array(listeners, np.int32)
    explainer = Explainer([kind(explanation)], RELEASES, counts)
    ((said,),) = explainer.phrases(asked, np.array([[track]], np.int32), np.zeros((1, 1), np.int32))
    return said


JONI = Explanation(Evidence.TERM, term="Joni")
MARCH = datetime(2026, 3, 20, tzinfo=UTC)


def test_what_came_out_lately_is_new_from_an_artist_of_the_history() -> None:
    assert phrase(JONI, 3, [0], at=MARCH) == "new from Joni"
    assert phrase(Explanation(Evidence.TRACK, cause=0), 3, [0], at=MARCH) == "new from Joni"
    # Without a time the newest release is taken to be new.
    assert phrase(JONI, 3, [0]) == "new from Joni"
    assert phrase(JONI, 3, [0], at=MARCH + timedelta(days=90)) == "more from Joni"
    assert phrase(JONI, 1, [0], at=MARCH) == "more from Joni"


def test_what_nobody_has_played_is_new() -> None:
    assert phrase(JONI, 1, [0], at=MARCH, listeners=[5, 0, 5, 5]) == "new from Joni"
    assert phrase(JONI, 1, [0], at=MARCH, listeners=[5, 1, 5, 5]) == "more from Joni"


def test_new_needs_evidence_of_the_artist() -> None:
    # The score rests on a genre, or on a track by somebody else, or the term is a tag of that name.
    assert phrase(Explanation(Evidence.TERM, term="folk"), 3, [0], at=MARCH) == "more folk"
    assert phrase(Explanation(Evidence.TRACK, cause=2), 3, [2], at=MARCH) == "because you play Iris"
    assert phrase(JONI, 3, [2], at=MARCH) == "more Joni"


def test_listeners_of_an_artist_stand_for_several_tracks_of_theirs() -> None:
    cause = Explanation(Evidence.TRACK, cause=0)
    assert phrase(cause, 2, [0, 1], kind=Neighbours) == "listeners of Joni play this"
    assert phrase(cause, 2, [0], kind=Neighbours) == "because you play Blue by Joni"
    # What is no evidence of co-listening is not called so; nor is the artist's own track.
    assert phrase(cause, 2, [0, 1]) == "because you play Blue by Joni"
    assert phrase(cause, 1, [0, 3], at=MARCH, kind=Neighbours) == "because you play Blue by Joni"


@pytest.mark.parametrize(
    ("explanation", "phrase"),
    [
        (Explanation(Evidence.TRACK, cause=0), "goes with Blue by Joni"),
        (Explanation(Evidence.TERM, term="shoegaze"), "more shoegaze"),
        (Explanation(Evidence.HEARD, cause=1), "you have played this"),
        (Explanation(Evidence.POPULAR), "popular with many listeners"),
        (None, "something new to try"),
    ],
)
def test_each_kind_of_evidence_has_its_phrase(explanation: Explanation | None, phrase: str) -> None:
    explainer = Explainer([Saying(explanation)], CATALOGUE)
    shown = np.array([[1, PADDING]], np.int32)
    assert explainer.phrases(batch(1), shown, np.zeros((1, 2), np.int32)) == [[phrase]]


def test_every_track_is_explained_by_its_own_source() -> None:
    explainer = Explainer(
        [Saying(Explanation(Evidence.POPULAR)), Saying(Explanation(Evidence.TERM, term="dub"))], CATALOGUE
    )
    shown = np.array([[0, 1], [2, PADDING]], np.int32)
    source = np.array([[1, 0], [1, PADDING]], np.int32)
    assert explainer.phrases(batch(2), shown, source) == [
        ["more dub", "popular with many listeners"],
        ["more dub"],
    ]


def test_named_causes_are_in_the_history(recommender: Recommender) -> None:
    history = ("t001", "t002", "t004")
    (slate,) = recommender.recommend([Query(history=history, k=10)])
    names = dict(zip(recommender.tracks.ids, track_names(recommender.track_table), strict=True))
    honest = {f"goes with {names[track]}" for track in history}
    caused = [reason for reason in slate.reasons if reason.startswith("goes with")]
    assert caused
    assert set(caused) <= honest
    assert {genre_of(track) for track in history} == {"ambient"}


def test_a_known_listener_is_told_what_they_play(recommender: Recommender) -> None:
    (slate,) = recommender.recommend([Query(user_id="u001", k=10)])
    assert any(reason.startswith("because you play ") for reason in slate.reasons)
    assert not any(reason.startswith("goes with") for reason in slate.reasons)
