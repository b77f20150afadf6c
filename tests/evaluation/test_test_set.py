"""Reading a table of held-out events, and encoding the lists of a system."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus
from audotics.errors import BadInputError
from audotics.evaluation.report import Task
from audotics.evaluation.testset import read_test


def frame(*pairs: tuple[str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {"user_id": [u for u, _ in pairs], "track_id": [t for _, t in pairs]},
        schema={"user_id": pl.String, "track_id": pl.String},
    )


def test_discover_drops_what_was_heard(small_corpus: Corpus) -> None:
    test = read_test(small_corpus, frame(("ann", "a"), ("ann", "c"), ("bob", "a")), Task.DISCOVER)
    assert test.user_ids == ("ann",), "bob is left without test tracks"
    assert test.holdout.track_index.tolist() == [2]
    assert test.n_heard_dropped == 2
    assert not test.heard.any()


def test_the_mix_keeps_it(small_corpus: Corpus) -> None:
    test = read_test(small_corpus, frame(("ann", "a"), ("ann", "c"), ("bob", "a")), Task.MIX)
    assert test.user_ids == ("ann", "bob")
    assert test.heard.tolist() == [True, False, True]
    assert (test.n_heard_dropped, test.n_unheard_dropped) == (0, 0)


def test_familiar_keeps_nothing_else(small_corpus: Corpus) -> None:
    test = read_test(
        small_corpus, frame(("ann", "a"), ("ann", "c"), ("bob", "c"), ("zoe", "a")), Task.FAMILIAR
    )
    assert test.user_ids == ("ann",)
    assert test.holdout.track_index.tolist() == [0]
    assert (test.n_heard_dropped, test.n_unheard_dropped) == (0, 3)
    assert test.heard.all()


def test_where_nobody_comes_back_nothing_is_familiar(small_corpus: Corpus) -> None:
    with pytest.raises(BadInputError, match=r"no listener of the test comes back.*discover"):
        read_test(small_corpus, frame(("ann", "c"), ("zoe", "a")), Task.FAMILIAR)
    with pytest.raises(BadInputError, match="nothing is left"):
        read_test(small_corpus, frame(), Task.FAMILIAR)


def test_unknown_listeners_and_tracks_stay(small_corpus: Corpus) -> None:
    test = read_test(
        small_corpus, frame(("zoe", "a"), ("ann", "x"), ("ann", "y"), ("zoe", "y")), Task.DISCOVER
    )
    assert dict(zip(test.user_ids, test.user_index.tolist(), strict=True)) == {"ann": 0, "zoe": -1}
    assert test.holdout.n_tracks == small_corpus.n_tracks + 2
    assert test.holdout.track_index.tolist() == [5, 6, 0, 6]


def test_repeated_rows_count_once(small_corpus: Corpus) -> None:
    assert read_test(small_corpus, frame(("ann", "c"), ("ann", "c")), Task.DISCOVER).holdout.n_pairs == 1


def test_only_positive_events_count(small_corpus: Corpus) -> None:
    test = frame(("ann", "c"), ("ann", "d"), ("bob", "b")).with_columns(
        event=pl.Series(["play", "skip", "dislike"])
    )
    found = read_test(small_corpus, test, Task.DISCOVER)
    assert (found.user_ids, found.holdout.track_index.tolist()) == (("ann",), [2])


def test_numeric_ids_are_read_as_strings(make_corpus) -> None:
    corpus = make_corpus([("1", "7"), ("2", "8")])
    test = read_test(corpus, pl.DataFrame({"user_id": [1], "track_id": [8]}), Task.DISCOVER)
    assert test.holdout.track_index.tolist() == [corpus.tracks.index("8")]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.DataFrame({"user_id": ["u"]}), "column track_id is missing"),
        (frame(("ann", None)), "an id is empty"),
        (frame(), "nothing is left"),
        (frame(("ann", "a")), "nothing is left"),
    ],
)
def test_what_cannot_be_a_test(small_corpus: Corpus, table: pl.DataFrame, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_test(small_corpus, table, Task.DISCOVER)


def test_lists_are_cut_padded_and_numbered(small_corpus: Corpus) -> None:
    test = read_test(small_corpus, frame(("ann", "x"), ("bob", "c"), ("cyd", "new")), Task.DISCOVER)
    lists = test.encode([["a", "x", "nowhere", "b"], [], ["new"]], k=3)
    assert lists.tolist() == [[0, 5, -1], [-1, -1, -1], [4, -1, -1]]
    assert lists.dtype == np.int32


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (np.zeros((1, 3), np.int32), "lists have shape"),
        (np.zeros(2, np.int32), "lists have shape"),
        (np.zeros((2, 3)), "type float64"),
        (np.array([[0, 1], [0, 9]], np.int32), "outside the vocabulary"),
        (np.array([[0, 1], [0, -2]], np.int32), "outside the vocabulary"),
        (np.array([[0, 1], [2, 2]], np.int32), "listener 'bob' holds a track twice"),
    ],
)
def test_lists_that_cannot_be_evaluated(small_corpus: Corpus, lists: np.ndarray, message: str) -> None:
    test = read_test(small_corpus, frame(("ann", "c"), ("bob", "c")), Task.DISCOVER)
    with pytest.raises(BadInputError, match=message) as caught:
        test.check("mine", lists)
    assert str(caught.value).startswith("mine: ")


def test_padding_may_repeat(small_corpus: Corpus) -> None:
    test = read_test(small_corpus, frame(("ann", "c"), ("bob", "c")), Task.DISCOVER)
    test.check("mine", np.array([[0, -1, -1], [-1, -1, -1]], np.int32))
    test.check("mine", np.zeros((2, 0), np.int32))
