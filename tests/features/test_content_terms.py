"""Terms of tracks: which exist, what they weigh, how they are stored."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data import schema
from audotics.features.terms import GROUPS, TermMatrix, content_terms


def table(n: int, **columns: list[object]) -> pl.DataFrame:
    """A tracks table with the given columns and nulls in all the others."""
    nothing = pl.DataFrame({"track_id": [f"t{i}" for i in range(n)]})
    nulls = [
        pl.Series(name, columns.get(name, [None] * n), dtype=dtype)
        for name, dtype in schema.TRACKS.items()
        if name != "track_id"
    ]
    return nothing.with_columns(nulls)


def names(terms: TermMatrix, group: str) -> list[str]:
    return list(terms.names[terms.slices[group]])


def test_artist_terms_are_shown_by_name_and_keyed_by_id() -> None:
    terms = content_terms(
        table(4, artist_id=["a1", "a1", "a2", "a2"], artist=["Low", None, "Low", "Low"]),
    )
    assert names(terms, "artist") == ["Low", "Low"]
    dense = terms.group("artist").toarray()
    np.testing.assert_array_equal(dense, [[1, 0], [1, 0], [0, 1], [0, 1]])


def test_artist_name_stands_in_for_a_missing_id() -> None:
    terms = content_terms(table(3, artist=["Low", " Low", "Can"]))
    assert names(terms, "artist") == ["Low"]
    np.testing.assert_array_equal(terms.group("artist").toarray(), [[1], [1], [0]])


def test_equal_album_titles_of_two_artists_are_two_albums() -> None:
    terms = content_terms(
        table(4, artist_id=["a", "a", "b", "b"], album=["Greatest Hits"] * 4),
    )
    assert names(terms, "album") == ["Greatest Hits", "Greatest Hits"]
    assert terms.group("album")[0].dot(terms.group("album")[2].T).nnz == 0


def test_artists_as_tracks_have_no_artist_terms() -> None:
    ids = [f"t{i}" for i in range(5)]
    terms = content_terms(
        table(5, artist_id=ids, artist=ids, title=ids, tags=[["rock"], ["rock"], ["pop"], ["pop"], None])
    )
    assert terms.groups == ("tag",)


def test_weights_follow_the_formula_by_hand() -> None:
    terms = content_terms(table(4, tags=[["rock", "rock", "pop"], ["rock"], ["pop", "lonely"], None]))
    assert names(terms, "tag") == ["pop", "rock"]
    idf = 1 + np.log((1 + 3) / (1 + 2))  # three tracks have tags, each term stands on two
    raw = np.array([1 * idf, (1 + np.log(2)) * idf])
    row = terms.matrix[0].toarray().ravel()
    np.testing.assert_allclose(row, raw / np.linalg.norm(raw), rtol=1e-6)
    np.testing.assert_array_equal(terms.matrix[3].toarray(), [[0, 0]])


def test_rare_terms_weigh_more_than_common_ones() -> None:
    terms = content_terms(table(6, genres=[["common", "rare"], ["rare", "common"], *[["common"]] * 4]))
    common, rare = terms.matrix[0].toarray().ravel()
    assert rare > common


def test_terms_are_compared_without_case_and_blanks() -> None:
    terms = content_terms(table(3, genres=[["Rock "], ["rock"], ["", None]]))
    assert names(terms, "genre") == ["rock"]
    assert terms.matrix[2].nnz == 0


def test_decades() -> None:
    terms = content_terms(table(3, released=[date(1999, 12, 31), date(1990, 1, 1), date(2000, 1, 1)]))
    assert names(terms, "decade") == ["1990s"]
    np.testing.assert_array_equal(terms.matrix.toarray(), [[1], [1], [0]])


@pytest.mark.parametrize(
    "tracks",
    [table(3), pl.DataFrame({"track_id": ["a", "b"]}), table(0), table(1, artist=["Low"], tags=[["x", "x"]])],
)
def test_without_shared_content_there_are_no_terms(tracks: pl.DataFrame) -> None:
    terms = content_terms(tracks)
    assert terms.matrix.shape == (tracks.height, 0)
    assert terms.groups == terms.names == ()
    assert terms.group("artist").shape == (tracks.height, 0)
    again = TermMatrix.from_arrays(terms.arrays())
    assert again.matrix.shape == (tracks.height, 0)


def test_order_of_lines_decides_nothing() -> None:
    tracks = table(4, artist=["A", "B", "A", "B"], tags=[["x", "y"], ["y"], ["y", "x"], ["z"]])
    first, second = content_terms(tracks), content_terms(tracks.reverse())
    assert first.names == second.names
    np.testing.assert_allclose(first.matrix.toarray(), second.matrix.toarray()[::-1])


def test_arrays_bring_the_same_matrix_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    terms = content_terms(
        table(3, artist=["Sigur Rós", "Sigur Rós", None], tags=[["x", "東京"], ["東京"], ["x"]])
    )
    for name, array in terms.arrays().items():
        assert array.dtype != object
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=False)
    loaded = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in terms.arrays()}
    again = TermMatrix.from_arrays(loaded)
    assert (again.names, again.groups) == (terms.names, terms.groups)
    np.testing.assert_array_equal(again.matrix.toarray(), terms.matrix.toarray())
    np.testing.assert_array_equal(again.bounds, terms.bounds)


def test_groups_own_their_columns() -> None:
    terms = content_terms(table(2, artist=["A", "A"], tags=[["x", "y"], ["x", "y"]]))
    assert terms.slices == {"artist": slice(0, 1), "tag": slice(1, 3)}


tag_lists = st.lists(st.one_of(st.none(), st.lists(st.sampled_from("abcde"), max_size=6)), max_size=12)


@settings(max_examples=40, deadline=None)
@given(tags=tag_lists, artists=st.lists(st.sampled_from("xyz"), min_size=12, max_size=12))
def test_each_group_of_each_row_has_length_one_or_none(
    tags: list[list[str] | None], artists: list[str]
) -> None:
    terms = content_terms(table(len(tags), tags=tags, artist=artists[: len(tags)]))
    assert set(terms.groups) <= set(GROUPS)
    assert terms.matrix.dtype == np.float32
    assert terms.matrix.has_sorted_indices
    for group in terms.groups:
        block = terms.group(group).toarray()
        lengths = np.linalg.norm(block, axis=1)
        assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0))
        assert np.all((block > 0).sum(axis=0) >= 2)
