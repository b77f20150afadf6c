import pytest

from audotics.errors import BadInputError, UnavailableError
from audotics.journal import EventJournal, TrackJournal, open_engine
from audotics.journal.engine import writing

SONG = {
    "title": "Ägir",
    "genres": ["folk", "☂"],
    "duration_ms": 1,
    "embedding": [0.1, -2.5e-9],
    "artist": None,
}


@pytest.fixture
def tracks(engine):
    return TrackJournal(engine)


def test_a_document_comes_back_as_it_was(tracks):
    tracks.put("t1", SONG)
    assert tracks.get("t1") == SONG
    assert tracks.get("t2") is None


def test_changes_are_followed_in_order_each_track_once(tracks):
    first, second = tracks.put("a", {"n": 1}), tracks.put("b", {"n": 2})
    assert tracks.after(0) == [(first, "a", {"n": 1}), (second, "b", {"n": 2})]
    third = tracks.put("a", {"n": 3})
    assert first < second < third
    assert tracks.after(0) == [(second, "b", {"n": 2}), (third, "a", {"n": 3})]
    assert tracks.after(second) == [(third, "a", {"n": 3})]
    assert tracks.after(third) == []


def test_places_are_shared_with_events(tracks, engine, make_event):
    first = tracks.put("a", {})
    (receipt,) = EventJournal(engine).append([make_event()])
    assert first < receipt.seq < tracks.put("b", {})


UNFIT = [
    ("a", {"n": {1, 2}}),
    ("a", {"n": float("nan")}),
    ("\ud800", {}),
    ("", {}),
    ("a\0", {}),
    ("x" * 257, {}),
]


@pytest.mark.parametrize(("track_id", "document"), UNFIT)
def test_what_cannot_be_stored_is_refused(tracks, track_id, document):
    with pytest.raises(BadInputError, match="track"):
        tracks.put(track_id, document)
    assert tracks.after(0) == []


def test_a_locked_database_is_unavailable_and_the_old_document_stays(url, tracks, engine):
    tracks.put("a", {"n": 1})
    hasty = open_engine(url, timeout_s=0.1)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE audotics_journal SET last_seq = last_seq")
        with pytest.raises(UnavailableError):
            TrackJournal(hasty).put("a", {"n": 2})
        assert TrackJournal(hasty).get("a") == {"n": 1}
    hasty.dispose()
