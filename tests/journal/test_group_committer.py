import threading
import time
from concurrent.futures import wait

import pytest

from audotics.errors import BadInputError, UnavailableError
from audotics.journal import EventJournal, GroupCommitter, open_engine
from audotics.journal.engine import writing


@pytest.fixture
def make_committer(journal):
    made = []

    def make(**settings: float) -> GroupCommitter:
        made.append(GroupCommitter(journal, **settings))
        return made[-1]

    yield make
    for committer in made:
        committer.close()


@pytest.fixture
def commits(engine):
    """Counts transactions that were committed."""
    from sqlalchemy import event

    counted = []
    event.listen(engine, "commit", counted.append)
    return counted


def test_each_submission_gets_its_own_receipts(make_committer, journal, make_event):
    committer = make_committer()
    batches = [[make_event() for _ in range(size)] for size in (1, 3, 2)]
    futures = [committer.submit(batch) for batch in batches]
    for batch, future in zip(batches, futures, strict=True):
        receipts = future.result(10)
        stored = {one.seq: one.event for one in journal.after(0)}
        assert [stored[receipt.seq] for receipt in receipts] == batch
    assert committer.submit([]).result(10) == []


def test_submissions_that_come_together_are_one_transaction(make_committer, make_event, commits):
    committer = make_committer(max_wait_s=30, max_events=50)
    futures = [committer.submit([make_event()]) for _ in range(50)]
    wait(futures, 10)
    assert len(commits) == 1
    assert len({receipt.seq for future in futures for receipt in future.result(0)}) == 50


def test_the_same_event_in_two_submissions_is_stored_once(make_committer, make_event, journal):
    committer = make_committer()
    event = make_event()
    receipts = [future.result(10)[0] for future in [committer.submit([event]) for _ in range(3)]]
    assert len({receipt.seq for receipt in receipts}) == 1
    assert [receipt.duplicate for receipt in receipts] == [False, True, True]
    assert len(journal.after(0)) == 1


def test_a_submission_is_acknowledged_when_others_can_read_it(make_committer, url, make_event):
    committer = make_committer()
    elsewhere = open_engine(url, timeout_s=5)
    for _ in range(20):
        (receipt,) = committer.submit([make_event()]).result(10)
        assert EventJournal(elsewhere).last_seq() == receipt.seq
    elsewhere.dispose()


def test_only_the_submission_with_the_bad_event_fails(make_committer, make_event, journal):
    committer = make_committer(max_wait_s=30, max_events=5)
    good = [committer.submit([make_event()]) for _ in range(2)]
    bad = committer.submit([make_event(), make_event(user_id="a\0b")])
    last = committer.submit([make_event()])
    with pytest.raises(BadInputError, match=r"U\+0000"):
        bad.result(10)
    receipts = [future.result(10)[0] for future in (*good, last)]
    assert [one.seq for one in journal.after(0)] == [receipt.seq for receipt in receipts]


def test_what_the_database_alone_refuses_fails_alone_too(make_committer, engine, make_event, journal):
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(
                "CREATE TRIGGER picky BEFORE INSERT ON audotics_events WHEN NEW.country = 'XX' "
                "BEGIN SELECT RAISE(ABORT, 'no such country'); END"
            )
        else:
            connection.exec_driver_sql("ALTER TABLE audotics_events ADD CHECK (country <> 'XX')")
    committer = make_committer(max_wait_s=30, max_events=3)
    first, bad, last = (committer.submit([make_event(country=country)]) for country in ("SE", "XX", "NO"))
    with pytest.raises(BadInputError):
        bad.result(10)
    assert first.result(10)[0].kept
    assert last.result(10)[0].kept
    assert [one.event.country for one in journal.after(0)] == ["SE", "NO"]


def test_while_the_database_is_away_submissions_fail_and_later_ones_do_not(url, make_event):
    engine, other = open_engine(url, timeout_s=0.2), open_engine(url, timeout_s=0.2)
    committer = GroupCommitter(EventJournal(engine), max_events=3, max_wait_s=30)
    lost = [make_event() for _ in range(3)]
    with writing(other) as connection:
        connection.exec_driver_sql("UPDATE audotics_journal SET last_seq = last_seq")
        futures = [committer.submit([event]) for event in lost]
        for future in futures:
            with pytest.raises(UnavailableError):
                future.result(10)
    assert committer.pending == 0
    receipts = committer.submit(lost).result(10)
    assert not any(receipt.duplicate for receipt in receipts), "nothing had been written"
    committer.close()
    engine.dispose()
    other.dispose()


def test_a_bug_reaches_the_caller_and_the_thread_goes_on(make_committer, journal, make_event):
    committer = make_committer()
    with pytest.raises(AttributeError):
        committer.submit(["not an event"]).result(10)  # type: ignore[list-item]
    assert committer.submit([make_event()]).result(10)[0].kept


def test_too_much_pending_is_refused_at_once(make_committer, url, make_event):
    committer = make_committer(max_pending=10, max_events=5, max_wait_s=0)
    other = open_engine(url, timeout_s=5)
    with writing(other) as connection:
        connection.exec_driver_sql("UPDATE audotics_journal SET last_seq = last_seq")
        futures = [committer.submit([make_event() for _ in range(5)]) for _ in range(2)]
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="10 events are waiting"):
            committer.submit([make_event()])
        assert time.monotonic() - started < 1
    assert all(receipt.kept for future in futures for receipt in future.result(20))
    assert committer.submit([make_event()]).result(10)[0].kept
    other.dispose()


def test_closing_commits_what_was_accepted(journal, make_event):
    committer = GroupCommitter(journal, max_wait_s=30)
    futures = [committer.submit([make_event()]) for _ in range(7)]
    committer.close()
    assert all(future.done() for future in futures)
    assert len(journal.after(0)) == 7
    with pytest.raises(UnavailableError, match="closed"):
        committer.submit([make_event()])
    committer.close()


def test_an_accepted_submission_cannot_be_cancelled(make_committer, journal, make_event):
    future = make_committer(max_wait_s=0.1).submit([make_event()])
    assert not future.cancel()
    assert future.result(10)[0].kept


def test_many_threads_share_few_transactions(make_committer, make_event, commits, journal):
    committer = make_committer(max_wait_s=0.02)
    events = [[make_event() for _ in range(20)] for _ in range(8)]

    def ingest(mine: list) -> None:
        for event in mine:
            committer.submit([event]).result(30)

    threads = [threading.Thread(target=ingest, args=(mine,)) for mine in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.after(0)) == 160
    assert len(commits) <= 80, "at least two requests to a flush"
