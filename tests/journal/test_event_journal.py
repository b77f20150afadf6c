"""The contract of the event log, kept by SQLite and PostgreSQL alike."""

from threading import Event, Thread

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from audotics.data.schema import EVENT_KINDS, EVENTS
from audotics.errors import BadInputError
from audotics.journal import EventJournal, ExposureLog, JournalEvent, Receipt, open_engine
from audotics.journal.engine import writing
from audotics.journal.tables import take_seqs

FULL = {
    "event": "skip",
    "ms_played": 12_345,
    "session_id": "s",
    "device": "phone",
    "country": "SE",
    "context": {"context_weather": "rain", "context_mood": "☂ 'quoted' \" \\ "},
    "request_id": "r",
}


def test_what_is_appended_comes_back_whole(journal, make_event):
    events = [make_event(), make_event(**FULL), make_event(user_id="Björk 🎵", ms_played=0)]
    receipts = journal.append(events)
    recorded = journal.after(0)
    assert [one.event for one in recorded] == events
    assert [one.seq for one in recorded] == [one.seq for one in receipts]
    assert all(one.kept and not one.duplicate for one in receipts)
    assert len({one.received_us for one in recorded}) == 1


def test_places_grow_over_appends(journal, make_event):
    seqs = [receipt.seq for _ in range(3) for receipt in journal.append([make_event(), make_event()])]
    assert seqs == sorted(set(seqs))
    assert journal.last_seq() == seqs[-1]


def test_an_empty_journal_and_an_empty_append(journal):
    assert journal.last_seq() == 0
    assert journal.append([]) == []
    assert journal.after(0) == []
    assert journal.of_listener("anna") == []
    assert list(journal.frames()) == []
    assert journal.erased() == []
    journal.ping()


def test_a_repeated_append_changes_nothing(journal, make_event):
    events = [make_event(), make_event()]
    first = journal.append(events)
    again = journal.append([*events, make_event()])
    assert again[:2] == [Receipt(receipt.seq, duplicate=True) for receipt in first]
    assert not again[2].duplicate
    assert again[2].seq > first[-1].seq
    assert len(journal.after(0)) == 3


def test_the_first_of_two_with_one_id_in_one_append_counts(journal, make_event):
    other = make_event(event_id="same", track_id="second")
    receipts = journal.append([make_event(event_id="same", track_id="first"), make_event(), other])
    assert [receipt.duplicate for receipt in receipts] == [False, False, True]
    assert receipts[2].seq == receipts[0].seq
    assert [one.event.track_id for one in journal.after(0) if one.event.event_id == "same"] == ["first"]


def test_many_duplicates_are_found_in_parts(journal, make_event):
    events = [make_event() for _ in range(1_203)]
    first = journal.append(events)
    again = journal.append(events[::-1])
    assert [receipt.seq for receipt in again] == [receipt.seq for receipt in first[::-1]]
    assert all(receipt.duplicate for receipt in again)


def test_reading_goes_on_from_the_last_place_seen(journal, make_event):
    events = [make_event() for _ in range(7)]
    journal.append(events)
    seen, seq = [], 0
    while page := journal.after(seq, limit=3):
        assert len(page) <= 3
        seen += [one.event for one in page]
        seq = page[-1].seq
    assert seen == events


def test_a_listener_has_the_newest_events_by_their_own_time(journal, make_event):
    journal.append([make_event(at_us=at, event_id=f"at {at}") for at in (50, 10, 40)])
    late = make_event(at_us=20, event_id="at 20")
    journal.append([make_event(user_id="ben", at_us=45), late])
    journal.append([make_event(at_us=40, event_id="at 40 again")])

    def ids(**arguments: int) -> list[str]:
        return [one.event.event_id for one in journal.of_listener("anna", **arguments)]

    assert ids() == ["at 10", "at 20", "at 40", "at 40 again", "at 50"]
    assert ids(limit=2) == ["at 40 again", "at 50"]
    assert ids(since_us=20) == ["at 20", "at 40", "at 40 again", "at 50"]
    assert ids(since_us=20, limit=1) == ["at 50"]


def test_a_listener_is_looked_up_in_an_index(engine, journal):
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = "EXPLAIN QUERY PLAN "
        else:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            plan = "EXPLAIN "
        query = "SELECT * FROM audotics_events WHERE user_id = 'a' ORDER BY at_us DESC, seq DESC LIMIT 5"
        explained = str(connection.execute(text(plan + query)).all())
    assert "audotics_events_of_listener" in explained
    assert "TEMP B-TREE" not in explained
    assert "Sort" not in explained


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"event_id": ""}, "event_id must have 1 to 256 bytes"),
        ({"user_id": ""}, "user_id must have"),
        ({"track_id": "ä" * 129}, "track_id must have"),
        ({"event": "hum"}, "event must be one of play, complete"),
        ({"at_us": 2**63}, "64-bit"),
        ({"ms_played": 2**64}, "64-bit"),
        ({"ms_played": -1}, "not negative"),
        ({"device": "a\0b"}, "U+0000"),
        ({"request_id": "\ud800"}, "surrogates not allowed"),
        ({"context": {"weather": "rain"}}, "begin with 'context_'"),
        ({"context": {"context_n": 3}}, "context_n must be text"),
    ],
)
def test_what_cannot_be_stored_is_named_and_nothing_is_written(journal, make_event, fields, complaint):
    bad = make_event(**fields)
    with pytest.raises(BadInputError) as caught:
        journal.append([make_event(), bad])
    assert complaint in str(caught.value)
    assert repr(bad.event_id) in caught.value.where
    assert journal.last_seq() == 0


def test_ids_of_the_greatest_length_are_stored(journal, make_event):
    longest = {"event_id": "e" * 256, "user_id": "ä" * 128, "track_id": "𝄞" * 64}
    journal.append([make_event(**longest)])
    assert journal.after(0)[0].event.user_id == longest["user_id"]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
ids = texts.filter(bool)
events = st.builds(
    JournalEvent,
    event_id=ids,
    user_id=ids,
    track_id=ids,
    at_us=st.integers(-(2**63) + 1, 2**63 - 1),
    event=st.sampled_from(EVENT_KINDS),
    ms_played=st.none() | st.integers(0, 2**63 - 1),
    session_id=st.none() | texts,
    device=st.none() | texts,
    country=st.none() | texts,
    context=st.dictionaries(texts.map("context_".__add__), st.text(max_size=20), max_size=3),
    request_id=st.none() | texts,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(given_events=st.lists(events, min_size=1, max_size=8, unique_by=lambda event: event.event_id))
def test_any_event_comes_back_as_it_was(journal, given_events):
    before = journal.last_seq()
    receipts = journal.append(given_events)
    new = [event for event, receipt in zip(given_events, receipts, strict=True) if not receipt.duplicate]
    assert [one.event for one in journal.after(before)] == new


def test_a_reader_never_misses_what_is_committed_late(url, make_event):
    """Two writers overlap; the one that took its place first commits last."""
    slow, fast = open_engine(url, timeout_s=5), open_engine(url, timeout_s=5)
    took, go_on = Event(), Event()

    def dawdle() -> None:
        with writing(slow) as connection:
            take_seqs(connection, 10)
            took.set()
            go_on.wait(5)

    dawdler = Thread(target=dawdle)
    dawdler.start()
    assert took.wait(5)
    receipts: list[Receipt] = []
    other = Thread(target=lambda: receipts.extend(EventJournal(fast).append([make_event()])))
    other.start()
    other.join(0.3)
    assert other.is_alive(), "it waits for its turn, so that its larger number is not seen first"
    go_on.set()
    dawdler.join()
    other.join()
    assert receipts[0].seq > 10
    slow.dispose()
    fast.dispose()


def test_a_follower_of_many_writers_sees_every_event_in_order(url, make_event):
    engines = [open_engine(url, timeout_s=20) for _ in range(4)]
    batches = [[[make_event() for _ in range(3)] for _ in range(25)] for _ in engines[1:]]

    def write(engine: Engine, mine: list[list[JournalEvent]]) -> None:
        for batch in mine:
            EventJournal(engine).append(batch)

    writers = [Thread(target=write, args=pair) for pair in zip(engines[1:], batches, strict=True)]
    reader = EventJournal(engines[0])
    seen, seq = [], 0
    for writer in writers:
        writer.start()
    while True:
        over = not any(writer.is_alive() for writer in writers)
        page = reader.after(seq, limit=5)
        if page:
            seq = page[-1].seq
        elif over:
            break
        seen += [one.event.event_id for one in page]
    assert sorted(seen) == sorted(event.event_id for mine in batches for batch in mine for event in batch)
    for engine in engines:
        engine.dispose()


def test_frames_are_events_of_a_dataset(journal, make_event):
    journal.append([make_event(at_us=1_700_000_000_123_456, **FULL), make_event(at_us=2)])
    journal.append([make_event(at_us=3, context={"context_weather": "sun", "context_place": "gym"})])
    (frame,) = journal.frames()
    assert frame.schema == EVENTS | dict.fromkeys(
        ["context_mood", "context_place", "context_weather"], pl.String
    )
    first = frame.row(0, named=True)
    assert first["timestamp"].isoformat() == "2023-11-14T22:13:20.123456+00:00"
    assert first["event"] == "skip"
    assert first["plays"] == 1
    assert first["position"] is None
    assert first["ms_played"] == 12_345
    assert first["context_mood"] == FULL["context"]["context_mood"]
    assert frame["context_weather"].to_list() == ["rain", None, "sun"]
    assert frame["country"].to_list() == ["SE", None, None]


def test_frames_come_in_pages_in_the_order_of_the_journal(journal, make_event):
    journal.append([make_event(at_us=at) for at in (9, 1, 8, 2, 7)])
    pages = list(journal.frames(rows=2))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert pl.concat(pages)["timestamp"].dt.epoch("us").to_list() == [9, 1, 8, 2, 7]
    assert [len(page) for page in journal.frames(since_us=7, rows=2)] == [2, 1]
    assert list(journal.frames(since_us=10)) == []


def test_frames_between_two_places_have_what_arrived_there_whenever_it_happened(journal, make_event):
    journal.append([make_event(at_us=at) for at in (9, 1)])
    first = journal.last_seq()
    journal.append([make_event(at_us=at) for at in (8, 2, 7)])
    last = journal.last_seq()
    journal.append([make_event(at_us=3)])

    later = pl.concat(journal.frames(rows=2, after=first, until=last))

    assert later["timestamp"].dt.epoch("us").to_list() == [8, 2, 7]
    assert list(journal.frames(after=journal.last_seq())) == []
    assert [journal.count_after(seq) for seq in (0, first, last, journal.last_seq())] == [6, 4, 1, 0]


def test_linked_frames_lead_to_exposures(journal, make_event):
    journal.append([make_event(request_id="r1"), make_event()])
    (frame,) = journal.frames(linked=True)
    assert frame.columns == [*EVENTS, "event_id", "request_id"]
    assert frame["request_id"].to_list() == ["r1", None]
    assert frame["event_id"].to_list() == [one.event.event_id for one in journal.after(0)]


def test_an_erased_listener_is_gone_and_stands_in_the_list(journal, make_event):
    journal.append([make_event(), make_event(user_id="ben"), make_event()])
    assert journal.erase("anna") == 2
    assert journal.of_listener("anna") == []
    assert [one.event.user_id for one in journal.after(0)] == ["ben"]
    assert pl.concat(journal.frames())["user_id"].to_list() == ["ben"]
    assert journal.erase("nobody") == 0
    assert journal.erase("anna") == 0
    assert journal.erased() == ["anna", "nobody"]


def test_erasures_can_be_followed(journal):
    journal.erase("anna")
    (first,) = journal.erased_after(0)
    journal.erase("ben")
    (second,) = journal.erased_after(first.seq)
    assert (first.user_id, second.user_id) == ("anna", "ben")
    assert second.seq > first.seq
    assert second.at_us >= first.at_us > 1_600_000_000_000_000
    assert journal.erased_after(second.seq) == []


def test_places_are_not_used_again_after_an_erasure(journal, make_event):
    last = journal.append([make_event()])[0].seq
    journal.erase("anna")
    assert journal.append([make_event(user_id="ben")])[0].seq > last


def test_what_an_erased_listener_did_before_is_not_kept_again(url, journal, make_event):
    """Also not by another process, which learns of it in the same transaction."""
    elsewhere = open_engine(url, timeout_s=5)
    other = EventJournal(elsewhere)
    old, of_ben = make_event(), make_event(user_id="ben")
    other.append([old, of_ben])
    journal.erase("anna")
    (erasure,) = journal.erased_after(0)
    back = make_event(at_us=erasure.at_us + 1)
    receipts = other.append([old, make_event(at_us=erasure.at_us), back, of_ben])
    assert [receipt.kept for receipt in receipts] == [False, False, True, True]
    assert [receipt.duplicate for receipt in receipts] == [False, False, False, True]
    assert [one.event for one in journal.after(0)] == [of_ben, back]
    assert other.append([old]) == [Receipt(0, duplicate=False)]
    elsewhere.dispose()


def test_exposures_are_erased_with_the_events(engine, journal, make_exposure):
    log = ExposureLog(engine)
    log.record(make_exposure(request_id="a", user_id="anna"))
    log.record(make_exposure(request_id="b", user_id="ben"))
    log.flush()
    assert journal.erase("anna") == 1
    assert log.of_request("a") is None
    assert log.of_request("b") is not None
    log.close()


def test_an_erased_listener_leaves_no_trace_in_the_files(sqlite_url, tmp_path, make_event):
    engine = open_engine(sqlite_url, timeout_s=5)
    journal = EventJournal(engine)
    journal.append([make_event(track_id=f"secret song {n}", device="gramophone") for n in range(300)])
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret song" in stored
    journal.erase("anna")
    for path in tmp_path.iterdir():
        assert b"secret song" not in path.read_bytes(), path.name
        assert b"gramophone" not in path.read_bytes(), path.name
    engine.dispose()
