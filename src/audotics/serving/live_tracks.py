"""Tracks that are put while a version serves: followed in the journal, laid over the version."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from pydantic import ValidationError

from audotics.errors import UnavailableError
from audotics.journal.catalogue import TrackJournal
from audotics.recommender.live_tracks import LiveGround
from audotics.recommender.recommender import Recommender
from audotics.serving.served import Served
from audotics.serving.track_documents import TrackDocument, rows_of

_log = logging.getLogger("audotics.serving")

OFFERED = "it is recommended by its content from now on; the next training learns more of it"
KNOWN = "the model knows this track; what is new of it counts after the next training"
NO_WAY = "the model that serves has not learned to recommend new tracks by their content; a later one may"
NOTHING_SAID = "nothing tells who may like it: put its artist, genres or tags"
LIKE_NOTHING = "no track that listeners play has its artist, album, genres or tags"


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a track that was put.

    Args:
        is_new: Whether neither the version nor the journal had it.
        recommendable: Whether it can be recommended.
        note: Why not, or what holds.
    """

    is_new: bool
    recommendable: bool
    note: str


class LiveTracks:
    """The tracks of the journal as an overlay of whatever version serves.

    Every process reads them from the journal in the order of their places there, so that the last place
    (`revision`) tells what an overlay holds, in every process alike.

    Args:
        journal: Where they are kept.
        on_change: Called when there are new ones.

    Attributes:
        trouble: Why they are not laid over the version; empty where they are.
    """

    def __init__(self, journal: TrackJournal, on_change: Callable[[], None] = lambda: None) -> None:
        self._journal = journal
        self.on_change = on_change
        self.trouble = ""
        self._documents: dict[str, tuple[int, TrackDocument]] = {}
        self._revision = 0
        self._last: tuple[Served, int] | None = None
        self._following = threading.Lock()
        self._grounding = threading.Lock()

    @property
    def revision(self) -> int:
        """Place in the journal of the last track that is known here; 0 before the first."""
        return self._revision

    def put(self, track_id: str, document: TrackDocument, served: Served) -> Standing:
        """Keep a track in the journal, where every process finds it; may wait for the database.

        The first one waits until what live tracks are compared with is made: seconds for 100,000 tracks.

        Args:
            track_id: The track.
            document: What is known of it; it takes the place of what was put before.
            served: The version that serves, for the answer.

        Raises:
            BadInputError: It cannot be stored.
            UnavailableError: The journal does not answer; nothing was kept.
        """
        known = track_id in served.bare.tracks
        before = known or self._journal.get(track_id) is not None
        self._journal.put(track_id, document.model_dump(mode="json", exclude_defaults=True))
        with suppress(UnavailableError):  # kept is kept: what follows the journal will find it
            self.follow()
        if known:
            return Standing(False, True, KNOWN)
        if not document.says_something:
            return Standing(not before, False, NOTHING_SAID)
        if not served.bare.offers_new:
            return Standing(not before, False, NO_WAY)
        (alike,) = self._ground(served.bare).index.reaches(rows_of({track_id: document})).tolist()
        return Standing(not before, alike, OFFERED if alike else LIKE_NOTHING)

    def follow(self) -> int:
        """Read on in the journal, once; returns how many tracks there were.

        Raises:
            UnavailableError: The journal cannot be read now.
        """
        with self._following:
            changed = self._journal.after(self._revision)
            if not changed:
                return 0
            documents = dict(self._documents)
            for seq, track_id, document in changed:
                documents.pop(track_id, None)
                try:
                    documents[track_id] = seq, TrackDocument.model_validate(document)
                except ValidationError as error:
                    _log.error("a track of the journal is left out: %s", error)
            self._documents, self._revision = documents, changed[-1][0]
        self.on_change()
        return len(changed)

    def over(self, served: Served) -> Served:
        """The version with all live tracks that it does not know; as it is where it has them already.

        Never raises: where they cannot be laid over it, the version serves as it is (`trouble`).

        Args:
            served: A version, with or without live tracks.
        """
        with self._following:
            documents, revision = self._documents, self._revision
        if self._last is not None and self._last[0] is served and self._last[1] == revision:
            return served
        laid = self._laid(documents, served)
        self._last = laid, revision
        return laid

    def _laid(self, documents: Mapping[str, tuple[int, TrackDocument]], served: Served) -> Served:
        bare = served.bare
        unknown = {track: document for track, document in documents.items() if track not in bare.tracks}
        overlay = max((seq for seq, _ in unknown.values()), default=0)
        if overlay == served.overlay:
            return served
        try:
            self._ground(bare)
            rows = rows_of({track: document for track, (_, document) in unknown.items()})
            recommender = bare.with_tracks(rows) if unknown else bare
            laid = replace(served, recommender=recommender, overlay=overlay, before=served.cache_version)
            with suppress(UnavailableError):  # what scores is away: answers come from a lower rung
                laid.answer_first()
        except Exception as error:
            self.trouble = (
                f"tracks added since training cannot be laid over version {served.version}: {error}"
            )
            _log.exception("laying tracks over version %s failed", served.version)
            return served
        self.trouble = ""
        return laid

    def _ground(self, bare: Recommender) -> LiveGround:
        """Of this version; made once, whoever asks first."""
        with self._grounding:
            return bare.live_ground
