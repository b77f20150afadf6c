from __future__ import annotations

import numpy as np
import polars as pl
from scipy import sparse

from audotics.features.catalogue import Owners, album_keys, artist_keys, owner_codes
from audotics.features.term_vocabulary import TermVocabulary
from audotics.features.terms import MIN_TRACKS, content_terms
from contract.planted import planted_tracks

TABLE = planted_tracks().with_columns(
    album=pl.Series([f"Album {number // 6}" for number in range(90)]),
    tags=pl.Series([["live", "live", "warm"] if number % 7 == 0 else ["cold"] for number in range(90)]),
    released=pl.date(1990 + pl.int_range(90) // 3, 1, 1),
)


def test_rows_of_the_catalogue_are_described_as_their_terms_are() -> None:
    terms = content_terms(TABLE)
    vocabulary = TermVocabulary(TABLE).at_least(MIN_TRACKS)
    described = sparse.hstack([vocabulary.describe(TABLE[5:40], group) for group in terms.groups], "csr")
    described.sort_indices()
    assert terms.groups == ("artist", "album", "genre", "tag", "decade")
    assert (described != terms.matrix[5:40]).nnz == 0


def test_terms_that_no_track_has_are_left_out() -> None:
    vocabulary = TermVocabulary(TABLE)
    row = TABLE[:1].with_columns(tags=pl.Series([["unheard of", "warm"]]), artist_id=pl.lit("a99"))
    (warm,) = vocabulary.describe(row, "tag").data
    assert warm == np.float32(1.0)
    assert vocabulary.describe(row, "artist").nnz == 0


def test_rare_terms_do_not_change_what_the_others_count() -> None:
    rare = pl.concat(
        [TABLE, TABLE[:1].with_columns(track_id=pl.lit("x"), tags=pl.Series([["rare", "cold"]]))]
    )
    every = TermVocabulary(rare)
    frequent = every.at_least(2)
    cold = TABLE[1:2]
    assert every.describe(cold, "tag").shape[1] == frequent.describe(cold, "tag").shape[1] + 1
    both = rare[[0, 90]]
    weights = every.describe(both[:1], "tag").data
    np.testing.assert_array_equal(weights, frequent.describe(both[:1], "tag").data)


def test_further_tracks_have_known_owners_or_new_ones() -> None:
    keys = artist_keys(TABLE)
    owners = Owners(keys)
    rows = pl.DataFrame(
        {"artist_id": ["a3", "z", None, "y", "z"], "artist": ["Band 3", "Z", "Only", None, "Z"]}
    )
    codes = owners.codes_of(artist_keys(rows))
    assert codes[0] == owner_codes(keys)[9]
    assert codes[1:].tolist() == [30, 31, 32, 30]
    assert owners.codes_of(artist_keys(rows[:0])).tolist() == []


def test_an_unknown_owner_has_no_number() -> None:
    owners = Owners(artist_keys(TABLE))
    nobody = pl.DataFrame({"artist": [None, " "]}, schema={"artist": pl.String})
    assert owners.codes_of(artist_keys(nobody)).tolist() == [-1, -1]


def test_albums_are_told_apart_by_artist() -> None:
    owners = Owners(album_keys(TABLE))
    rows = TABLE[[0, 0]].with_columns(artist_id=pl.Series(["a0", "a1"]))
    own, other = owners.codes_of(album_keys(rows)).tolist()
    assert own == owner_codes(album_keys(TABLE))[0]
    assert other == owner_codes(album_keys(TABLE))[3]
