"""What happened, kept durably: events, exposures, tracks added while serving, and who was erased.

One database holds all of it: an SQLite file by default, PostgreSQL by URL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.journal.catalogue import TrackJournal as TrackJournal
    from audotics.journal.committer import GroupCommitter as GroupCommitter
    from audotics.journal.engine import open_engine as open_engine
    from audotics.journal.erasures import Erasure as Erasure
    from audotics.journal.events import EventJournal as EventJournal
    from audotics.journal.events import JournalEvent as JournalEvent
    from audotics.journal.events import Receipt as Receipt
    from audotics.journal.events import Recorded as Recorded
    from audotics.journal.exposures import ExposureLog as ExposureLog

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Erasure": "erasures",
        "EventJournal": "events",
        "ExposureLog": "exposures",
        "GroupCommitter": "committer",
        "JournalEvent": "events",
        "Receipt": "events",
        "Recorded": "events",
        "TrackJournal": "catalogue",
        "open_engine": "engine",
    },
)
