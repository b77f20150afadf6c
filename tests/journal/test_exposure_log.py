import threading
import time
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from sqlalchemy import insert, select, update

from audotics.errors import UnavailableError
from audotics.journal import EventJournal, ExposureLog, open_engine
from audotics.journal.engine import reading, writing
from audotics.journal.tables import exposures as table
from audotics.journal.tables import journal as journal_table


@pytest.fixture
def log(engine):
    log = ExposureLog(engine)
    yield log
    log.close()


def n_stored(engine) -> int:
    with reading(engine) as connection:
        return len(connection.execute(select(table.c.seq)).all())


def test_an_exposure_comes_back_to_the_bit(log, make_exposure):
    given = make_exposure(variant="challenger")
    assert log.record(given, "cached")
    log.flush()
    found = log.of_request(given.request_id)
    for name in ("request_id", "user_id", "at", "track_ids", "model_version", "variant"):
        assert getattr(found, name) == getattr(given, name)
    assert found.scores.dtype == found.propensities.dtype == np.float32
    assert np.array_equal(found.scores, given.scores)
    assert np.array_equal(found.propensities, given.propensities)
    assert log.of_request("unknown") is None
    assert log.dropped == 0


def test_an_interleaved_slate_says_whose_track_each_is(log, make_exposure):
    plain = make_exposure()
    teams = ("new", "", *("control",) * (len(plain.track_ids) - 2))
    mixed = make_exposure(teams=teams)
    log.record(plain)
    log.record(mixed)
    log.flush()
    assert log.of_request(plain.request_id).teams == ()
    assert log.of_request(mixed.request_id).teams == teams
    (table,) = log.frames(teams=True)
    assert table["teams"].to_list() == [None, list(teams)]


def test_a_log_of_the_first_schema_is_brought_to_this_one(url, make_exposure):
    engine = open_engine(url, timeout_s=10)
    with writing(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE audotics_exposures DROP COLUMN teams")
        connection.execute(update(journal_table).values(schema_version=1, last_seq=1))
        old = dict.fromkeys(("model_version", "rung"), "") | {"scores": b"", "propensities": b""}
        connection.execute(
            insert(table).values(seq=1, request_id="old", at_us=0, track_ids="[]", variant="a", **old)
        )
    engine.dispose()
    for _ in range(2):  # the second time there is nothing left to do
        engine = open_engine(url, timeout_s=10)
        log = ExposureLog(engine)
        given = make_exposure(teams=("a",))
        log.record(given)
        log.flush()
        assert log.of_request("old").variant == "a"
        assert log.of_request("old").teams == ()
        assert log.of_request(given.request_id).teams == ("a",)
        log.close()
        engine.dispose()


def test_an_anonymous_and_an_empty_slate(log, make_exposure):
    nothing = np.array([], np.float32)
    log.record(make_exposure(request_id="a", user_id=None))
    log.record(make_exposure(request_id="b", track_ids=(), scores=nothing, propensities=nothing))
    log.flush()
    assert log.of_request("a").user_id is None
    assert log.of_request("b").track_ids == ()


def test_a_request_is_logged_once(log, engine, make_exposure):
    exposure = make_exposure()
    for _ in range(3):
        assert log.record(exposure)
    log.flush()
    log.record(exposure)
    log.record(make_exposure(request_id=exposure.request_id, model_version="other"))
    log.flush()
    assert n_stored(engine) == 1
    assert log.of_request(exposure.request_id).model_version == exposure.model_version


def test_exposures_are_written_by_themselves_soon(engine, log, make_exposure):
    log.record(make_exposure())
    started = time.monotonic()
    while not n_stored(engine):
        assert time.monotonic() - started < 10
        time.sleep(0.01)


def test_recording_never_waits_and_what_does_not_fit_is_counted(url, make_exposure):
    """While another writer holds the database."""
    engine, other = open_engine(url, timeout_s=0.1), open_engine(url, timeout_s=5)
    log = ExposureLog(engine, max_pending=20, flush_after_s=0.01)
    with writing(other) as connection:
        connection.exec_driver_sql("UPDATE audotics_journal SET last_seq = last_seq")
        started = time.monotonic()
        accepted = [log.record(make_exposure(request_id=f"r{n}")) for n in range(100)]
        assert time.monotonic() - started < 5
        assert accepted.count(True) >= 20
        with pytest.raises(UnavailableError):
            log.flush()
        assert log.dropped >= 100 - 20 - accepted.count(True)
    n_before = log.dropped
    log.flush()
    assert log.dropped == n_before
    assert n_stored(engine) + log.dropped == 100
    assert 0 < n_stored(engine) <= 20
    log.close()
    engine.dispose()
    other.dispose()


def test_what_waited_for_the_database_is_written_when_it_is_back(url, engine, make_exposure):
    hasty = open_engine(url, timeout_s=0.1)
    log = ExposureLog(hasty, flush_after_s=0.01)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE audotics_journal SET last_seq = last_seq")
        log.record(make_exposure(request_id="early"))
        with pytest.raises(UnavailableError):
            log.flush()
    log.record(make_exposure(request_id="late"))
    log.flush()
    assert pl.concat(log.frames())["request_id"].to_list() == ["early", "late"]
    assert log.dropped == 0
    log.close()
    hasty.dispose()


def test_one_that_the_database_refuses_is_dropped_alone(log, engine, make_exposure):
    refused = "a" if engine.dialect.name == "postgresql" else "\ud800"
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE audotics_exposures ADD CHECK (user_id <> 'a')")
    for n, user_id in enumerate(["ben", refused, "cleo"]):
        log.record(make_exposure(request_id=f"r{n}", user_id=user_id))
    log.flush()
    assert pl.concat(log.frames())["user_id"].to_list() == ["ben", "cleo"]
    assert log.dropped == 1


def test_closing_writes_what_waits_and_takes_nothing_more(engine, make_exposure):
    log = ExposureLog(engine, flush_after_s=60)
    for _ in range(3):
        log.record(make_exposure())
    log.close()
    assert n_stored(engine) == 3
    assert not log.record(make_exposure())
    assert log.dropped == 1


def test_what_cannot_be_written_until_the_end_is_counted(url, engine, make_exposure):
    hasty = open_engine(url, timeout_s=0.1)
    log = ExposureLog(hasty)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE audotics_journal SET last_seq = last_seq")
        log.record(make_exposure())
        log.close()
    assert log.dropped == 1
    hasty.dispose()


def test_an_exposure_on_its_way_does_not_outlive_an_erasure(log, engine, make_exposure):
    journal = EventJournal(engine)
    before = make_exposure(request_id="before")
    log.record(before)
    journal.erase("anna")
    (erasure,) = journal.erased_after(0)
    after = before.at.fromtimestamp(erasure.at_us / 1e6 + 1, before.at.tzinfo)
    log.record(make_exposure(request_id="after", at=after))
    log.record(make_exposure(request_id="nobody", user_id=None))
    log.flush()
    assert log.of_request("before") is None
    assert pl.concat(log.frames())["request_id"].to_list() == ["after", "nobody"]


def test_frames_hold_every_column_page_by_page(log, make_exposure):
    first = make_exposure()
    log.record(first, "fresh")
    for n in range(1, 5):
        log.record(make_exposure(at=first.at + timedelta(hours=n)), "popular")
    log.flush()
    pages = list(log.frames(rows=2))
    assert [len(page) for page in pages] == [2, 2, 1]
    row = pages[0].row(0, named=True)
    assert row["timestamp"] == first.at
    assert row["track_ids"] == ["t1", "t2", "t3"]
    assert np.array_equal(np.array(row["propensities"], np.float32), first.propensities)
    assert (row["rung"], row["model_version"], row["variant"]) == ("fresh", first.model_version, "")
    since = int((first.at + timedelta(hours=3)).timestamp() * 1_000_000)
    assert sum(map(len, log.frames(since_us=since))) == 2
    assert pages[0].schema["scores"] == pl.List(pl.Float32)


def test_many_threads_may_record(log, engine, make_exposure):
    exposures = [[make_exposure() for _ in range(100)] for _ in range(4)]
    threads = [
        threading.Thread(target=lambda mine: [log.record(one) for one in mine], args=(mine,))
        for mine in exposures
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    assert n_stored(engine) == 400
