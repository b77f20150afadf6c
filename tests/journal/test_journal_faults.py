"""Real faults: locked, full, read only, stopped, paused, slow. Bounded, told apart, overcome."""

import sqlite3
import threading
import time

import pytest
from sqlalchemy import event, text

from audotics.errors import BadInputError, StorageFullError, UnavailableError
from audotics.journal import EventJournal, GroupCommitter, open_engine
from audotics.journal.engine import reading, writing
from contract.services import PostgreSQLServer


@pytest.fixture
def hasty(url):
    """A journal that waits for 0.3 s at most."""
    engine = open_engine(url, timeout_s=0.3)
    yield engine
    engine.dispose()


def test_a_writer_waits_for_another_no_longer_than_told(url, hasty, make_event):
    other = open_engine(url, timeout_s=0.3)
    with writing(other) as connection:
        connection.execute(text("UPDATE audotics_journal SET last_seq = last_seq"))
        started = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            EventJournal(hasty).append([make_event()])
        assert 0.25 < time.monotonic() - started < 3
        assert caught.value.retry_after_s > 0
        assert EventJournal(hasty).after(0) == [], "reading goes on"
    assert not EventJournal(hasty).append([make_event()])[0].duplicate
    other.dispose()


def test_all_connections_in_use_is_a_bounded_wait(hasty):
    held = [hasty.connect() for _ in range(15)]
    with pytest.raises(UnavailableError, match="in use"):
        EventJournal(hasty).ping()
    for connection in held:
        connection.close()
    EventJournal(hasty).ping()


def test_a_full_disk_is_told_and_the_log_stays_intact(sqlite_url, tmp_path, make_event):
    engine = open_engine(sqlite_url, timeout_s=5)
    limit = 60

    @event.listens_for(engine, "checkout")
    def limit_pages(connection, _record, _proxy):
        connection.execute(f"PRAGMA max_page_count = {limit}")

    journal = EventJournal(engine)
    acknowledged = []

    def fill() -> None:
        for _ in range(500):
            batch = [make_event() for _ in range(20)]
            journal.append(batch)
            acknowledged.extend(batch)

    with pytest.raises(StorageFullError, match="Make room"):
        fill()
    assert acknowledged
    assert [one.event for one in journal.after(0)] == acknowledged, "whole batches only"
    with pytest.raises(StorageFullError):
        journal.append([make_event() for _ in range(200)])
    limit = 10_000
    more = [make_event() for _ in range(200)]
    journal.append(more)
    assert [one.event for one in journal.after(0)] == acknowledged + more
    engine.dispose()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("53100", StorageFullError),
        ("53200", UnavailableError),
        ("58030", UnavailableError),
        ("25006", UnavailableError),
        ("40001", UnavailableError),
        ("22001", BadInputError),
        ("23514", BadInputError),
    ],
)
def test_what_postgresql_refuses_is_told_by_its_code(postgresql, make_event, sqlstate, kind):
    engine = open_engine(postgresql)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END $$"
        )
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON audotics_events FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    with pytest.raises(kind) as caught:
        EventJournal(engine).append([make_event()])
    assert type(caught.value) is kind
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER refuse ON audotics_events")
    assert EventJournal(engine).append([make_event()])[0].kept
    engine.dispose()


def test_a_database_that_may_only_be_read_is_unavailable_for_writing(postgresql, make_event):
    EventJournal(open_engine(postgresql)).append([make_event()])
    read_only = open_engine(postgresql)

    @event.listens_for(read_only, "connect")
    def set_read_only(connection, _record):
        connection.read_only = True

    read_only.dispose()
    assert len(EventJournal(read_only).after(0)) == 1
    with pytest.raises(UnavailableError, match="read only"):
        EventJournal(read_only).append([make_event()])
    read_only.dispose()


def test_a_slow_statement_is_ended(postgresql):
    engine = open_engine(postgresql, timeout_s=0.2)
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="did not answer in time"), reading(engine) as connection:
        connection.execute(text("SELECT pg_sleep(30)"))
    assert time.monotonic() - started < 5
    with reading(engine, bulk=True) as connection:
        connection.execute(text("SELECT pg_sleep(0.3)"))
    EventJournal(engine).ping()
    engine.dispose()


def test_postgresql_may_stop_and_come_back(postgresql, postgresql_server: PostgreSQLServer, make_event):
    engine = open_engine(postgresql, timeout_s=0.5)
    journal = EventJournal(engine)
    first = make_event()
    journal.append([first])
    postgresql_server.stop()
    for attempt in (journal.ping, lambda: journal.append([make_event()]), lambda: journal.after(0)):
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            attempt()
        assert time.monotonic() - started < 2
    postgresql_server.start()
    second = make_event()
    assert journal.append([second])[0].kept, "the first call after the restart works"
    assert [one.event for one in journal.after(0)] == [first, second]
    engine.dispose()


def test_postgresql_that_accepts_and_does_not_answer(postgresql, postgresql_server: PostgreSQLServer):
    open_engine(postgresql).dispose()
    postgresql_server.pause()
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        open_engine(postgresql, timeout_s=0.3)
    assert time.monotonic() - started < 6
    postgresql_server.resume()
    open_engine(postgresql).dispose()


def test_nothing_acknowledged_is_lost_when_postgresql_crashes_under_load(
    postgresql, postgresql_server: PostgreSQLServer, make_event
):
    engine = open_engine(postgresql, timeout_s=1)
    journal = EventJournal(engine)
    committer = GroupCommitter(journal)
    acknowledged, unsure, over = [], [], threading.Event()

    def ingest() -> None:
        while not over.is_set():
            batch = [make_event() for _ in range(5)]
            try:
                committer.submit(batch).result(timeout=30)
            except UnavailableError:
                unsure.extend(batch)
                time.sleep(0.02)
            else:
                acknowledged.extend(batch)

    threads = [threading.Thread(target=ingest) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(0.3)
        postgresql_server.stop()
        time.sleep(0.1)
        postgresql_server.start()
    time.sleep(0.3)
    over.set()
    for thread in threads:
        thread.join()
    assert unsure, "the crashes were felt"
    stored = {one.event.event_id for one in journal.after(0, limit=1_000_000)}
    assert {event.event_id for event in acknowledged} <= stored
    committer.submit(unsure).result(timeout=30)
    everything = [one.event.event_id for one in journal.after(0, limit=1_000_000)]
    assert sorted(everything) == sorted(event.event_id for event in acknowledged + unsure)
    committer.close()
    engine.dispose()
