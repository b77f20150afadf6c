"""Opening a database: what is created, what is refused, and that a commit is on the disk."""

import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url, text, update

from audotics.errors import AudoticsError, BadInputError, DamagedError, MissingExtraError, UnavailableError
from audotics.journal import EventJournal, open_engine
from audotics.journal.tables import SCHEMA_VERSION, metadata
from audotics.journal.tables import journal as journal_table
from contract.services import PostgreSQLServer, binary


def test_a_second_opening_finds_what_the_first_left(url, make_event):
    first = open_engine(url)
    EventJournal(first).append([make_event()])
    first.dispose()
    second = open_engine(url)
    assert EventJournal(second).last_seq() == 1
    second.dispose()


def test_the_tables_carry_a_prefix_as_the_database_may_be_shared(engine):
    assert all(name.startswith("audotics_") for name in metadata.tables)


def test_files_belong_to_their_owner_alone(tmp_path, make_event):
    path = tmp_path / "new" / "folder" / "journal.db"
    engine = open_engine(f"sqlite:///{path}")
    EventJournal(engine).append([make_event()])
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    engine.dispose()


def test_a_file_that_others_could_read_is_closed_to_them(sqlite_url, tmp_path):
    path = tmp_path / "journal.db"
    path.touch(mode=0o644)
    open_engine(sqlite_url).dispose()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("", "is not a database URL"),
        ("journal.db", "is not a database URL"),
        ("postgresql://user:secret@host:port/db", "is not a database URL"),
        ("mysql://user:secret@host/db", "'mysql' is not supported"),
        ("postgresql+asyncpg://user:secret@host/db", "'postgresql+asyncpg' is not supported"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a.db?mode=memory", "takes a file and nothing else"),
        ("sqlite:////dev/null/journal.db", "the file cannot be created"),
    ],
)
def test_a_url_that_cannot_be_used_names_the_setting_and_no_password(url, complaint):
    with pytest.raises(BadInputError) as caught:
        open_engine(url)
    assert str(caught.value).startswith("database_url: ")
    assert complaint in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"audotics\[postgresql\]"):
        open_engine("postgresql://user@127.0.0.1/db")


def test_a_journal_of_a_newer_schema_is_refused(url):
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(update(journal_table).values(schema_version=SCHEMA_VERSION + 1))
    engine.dispose()
    with pytest.raises(DamagedError, match=f"schema {SCHEMA_VERSION + 1}, this Audotics knows"):
        open_engine(url)


def test_a_file_that_is_no_database_is_refused_and_left_alone(sqlite_url, tmp_path):
    path = tmp_path / "journal.db"
    path.write_text("user_id,track_id\n" * 100)
    with pytest.raises(DamagedError, match="not an SQLite database"):
        open_engine(sqlite_url)
    assert path.read_text() == "user_id,track_id\n" * 100


def test_a_damaged_file_is_said_to_be_one(sqlite_url, tmp_path, make_event):
    engine = open_engine(sqlite_url)
    EventJournal(engine).append([make_event() for _ in range(500)])
    engine.dispose()
    path = tmp_path / "journal.db"
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="damaged"):
        EventJournal(open_engine(sqlite_url)).after(0)


def test_a_server_that_is_not_there_is_unavailable_at_once():
    started = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        open_engine("postgresql://someone:secret@127.0.0.1:1/db")
    assert time.monotonic() - started < 5
    assert "secret" not in str(caught.value)
    assert caught.value.where == "postgresql+psycopg://someone:***@127.0.0.1:1/db"


def test_every_connection_flushes_before_it_acknowledges(sqlite_url):
    engine = open_engine(sqlite_url)
    connections = [engine.connect() for _ in range(3)]
    for connection in connections:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete")
        }
        assert pragmas == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
        connection.close()
    engine.dispose()


def test_postgresql_flushes_whatever_its_own_default_is(postgresql_server: PostgreSQLServer):
    url = postgresql_server.new_database()
    name = make_url(url).database
    postgresql_server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    engine = open_engine(url, timeout_s=0.75)
    with engine.connect() as connection:
        shown = [
            connection.execute(text(f"SHOW {setting}")).scalar()
            for setting in ("synchronous_commit", "statement_timeout")
        ]
    assert shown == ["on", "750ms"]
    engine.dispose()


def test_options_in_the_url_are_kept(postgresql):
    engine = open_engine(postgresql + "?options=-c%20work_mem=3MB")
    with engine.connect() as connection:
        assert connection.execute(text("SHOW work_mem")).scalar() == "3MB"
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "500ms"
    engine.dispose()


APPEND_AND_ACKNOWLEDGE = """
import os, sys
from audotics.journal import EventJournal, GroupCommitter, JournalEvent, open_engine

committer = GroupCommitter(EventJournal(open_engine(sys.argv[1], timeout_s=10)))
for n in range(5):
    committer.submit([JournalEvent(f"e{n}", "u", "t", n)]).result()
    os.write(1, b"acknowledged")
committer.close()
"""


def test_the_disk_is_flushed_before_each_acknowledgement(sqlite_url, tmp_path):
    """What kill -9 cannot show: the order of write, flush and acknowledgement in the system calls."""
    trace = tmp_path / "trace"
    watched = [binary("strace"), "-f", "-y", "-o", str(trace), "-e", "trace=write,pwrite64,fsync,fdatasync"]
    done = subprocess.run(
        [*watched, sys.executable, "-c", APPEND_AND_ACKNOWLEDGE, sqlite_url],
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout == "acknowledged" * 5
    calls = []
    for line in trace.read_text().splitlines():
        if '"acknowledged"' in line:
            calls.append("ack")
        elif "journal.db-wal" in line and (found := re.search(r"(pwrite64|fdatasync|fsync)\(", line)):
            calls.append("write" if found[1] == "pwrite64" else "flush")
    between = " ".join(calls).split("ack")
    assert len(between) == 6
    for before_ack in between[:-1]:
        assert re.search(r"write flush $", before_ack), before_ack


OPEN = """
import sys
from audotics.journal import EventJournal, open_engine
sys.stdin.readline()
print(EventJournal(open_engine(sys.argv[1], timeout_s=10)).last_seq())
"""


def test_workers_may_open_a_new_database_together(url):
    pipe = subprocess.PIPE
    workers = [
        subprocess.Popen([sys.executable, "-c", OPEN, url], stdin=pipe, stdout=pipe, text=True)
        for _ in range(4)
    ]
    for worker in workers:
        worker.stdin.write("\n")
        worker.stdin.flush()
    assert [worker.communicate()[0] for worker in workers] == ["0\n"] * 4


def test_an_unknown_failure_passes_through(engine):
    from audotics.journal.engine import reading

    with pytest.raises(Exception, match="no_such_table") as caught, reading(engine) as connection:
        connection.execute(text("SELECT * FROM no_such_table"))
    assert not isinstance(caught.value, AudoticsError)


def test_errors_show_no_data(engine, journal, make_event):
    from audotics.journal.engine import writing

    journal.append([make_event(user_id="a-private-name")])
    again = "INSERT INTO audotics_events SELECT * FROM audotics_events WHERE user_id = :user"
    with pytest.raises(BadInputError) as caught, writing(engine) as connection:
        connection.execute(text(again), {"user": "a-private-name"})
    assert "a-private-name" not in str(caught.value)


def test_opening_does_not_drop_the_locks_of_this_process(sqlite_url, tmp_path):
    """Closing any descriptor of a database file would: SQLite's locks belong to the process."""
    held = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    held.execute("CREATE TABLE t (n)")
    held.execute("BEGIN EXCLUSIVE")
    with pytest.raises(UnavailableError):
        open_engine(sqlite_url, timeout_s=0.1)
    probe = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM t')"
    done = subprocess.run(
        [sys.executable, "-c", probe, str(Path(tmp_path / "journal.db"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "database is locked" in done.stderr
    held.close()
