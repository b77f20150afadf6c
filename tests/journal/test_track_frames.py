"""Documents of tracks become rows that a Dataset takes."""

from datetime import date

import polars as pl
import pytest

from audotics.data.schema import TRACKS
from audotics.data.validation import check_table, complete
from audotics.journal.track_frames import day, track_frame


def test_documents_become_rows_of_the_schema():
    frame = track_frame(
        {
            "one": {"title": "One", "released": "2026-05-04", "genres": ["bebop"], "feature_tempo": 120},
            "two": {"released": "1999", "genres": [], "explicit": True, "duration_ms": 1000},
        }
    )

    checked = check_table("tracks", complete("tracks", frame))
    assert checked["track_id"].to_list() == ["one", "two"]
    assert checked["released"].to_list() == [date(2026, 5, 4), date(1999, 1, 1)]
    assert checked["genres"].to_list() == [["bebop"], None], "an empty list says nothing"
    assert checked["feature_tempo"].to_list() == [120.0, None]
    assert checked["explicit"].to_list() == [None, True]
    assert set(checked.columns) == {*TRACKS, "feature_tempo"}


def test_no_document_is_an_empty_table():
    assert complete("tracks", track_frame({})).equals(pl.DataFrame(schema=TRACKS))


@pytest.mark.parametrize("text", ["spring", "2026-13-01", ""])
def test_what_is_no_day_is_refused(text: str):
    with pytest.raises(ValueError, match=r".+"):
        day(text)
