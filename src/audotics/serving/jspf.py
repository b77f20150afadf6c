"""Playlists as JSPF (https://www.xspf.org/jspf): read what a player sends, write what it can play."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, unquote

import orjson
import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING
from audotics.serving.encoding import Answer
from audotics.serving.schemas import MAX_HISTORY

MEDIA_TYPE = "application/jspf+json"

_SAID_OF_AN_ANSWER = ("request_id", "served_from", "model_version", "variant", "rung")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


_Uris = Annotated[tuple[Annotated[str, Field(max_length=2048)], ...], BeforeValidator(_listed)]
_Text = Annotated[str, Field(max_length=4096)]


class JspfTrack(BaseModel):
    """A track. Identifiers, then locations, are tried as ids: as they are, then by their last path part."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    identifier: _Uris = Field((), description="URIs or ids; one may stand without a list.")
    location: _Uris = Field((), description="Where the track can be played.")
    title: _Text | None = None
    creator: _Text | None = None
    album: _Text | None = None
    duration: int | None = Field(None, description="Milliseconds.")
    annotation: _Text | None = Field(None, description="Of an answer: why the track is there.")
    meta: list[dict[str, Any]] | None = None


class JspfPlaylist(BaseModel):
    """A playlist; what is not named here may be there and is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: _Text | None = None
    creator: _Text | None = None
    date: _Text | None = None
    meta: list[dict[str, Any]] | None = Field(None, description="Of an answer: how it came about.")
    track: tuple[JspfTrack, ...] = Field((), max_length=MAX_HISTORY)


class JspfDocument(BaseModel):
    """A JSPF document."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    playlist: JspfPlaylist


@dataclass(frozen=True, slots=True)
class TracksSoFar:
    """What a document says in the words of a catalogue.

    Args:
        track_ids: Known tracks, in their order.
        prefix: What stood before the ids, as in ``https://example.org/track/``; empty where they were bare.
    """

    track_ids: tuple[str, ...]
    prefix: str = ""


def read_tracks(playlist: JspfPlaylist, known: Collection[str] | Vocabulary) -> TracksSoFar:
    """Find the tracks of a playlist in a catalogue; those that are not there are left out."""
    found: list[str] = []
    prefixes: dict[str, None] = {}
    for track in playlist.track:
        for prefix, track_id in _spellings(track):
            if track_id in known:
                found.append(track_id)
                prefixes[prefix] = None
                break
    return TracksSoFar(tuple(found), next(iter(prefixes), ""))


def _spellings(track: JspfTrack) -> Iterator[tuple[str, str]]:
    for uri in (*track.identifier, *track.location):
        yield "", uri
        before, slash, last = uri.rpartition("/")
        if slash and last:
            yield before + slash, unquote(last)


def write_answer(
    answer: Answer,
    title: str | None,
    tracks: Vocabulary,
    track_table: pl.DataFrame,
    at: str,
    prefix: str = "",
) -> bytes:
    """An answer as a JSPF document.

    Args:
        answer: The slate and how it came about.
        title: Of the playlist that goes on.
        tracks: Known tracks.
        track_table: What is known of them, in index order.
        at: When, in ISO 8601.
        prefix: What stands before ids.
    """
    said = orjson.loads(answer.json())
    index = tracks.indices([track["track_id"] for track in said["tracks"]])
    known = index[index != PADDING]
    columns = [name for name in _WORDS if name in track_table.columns]
    words = dict(zip(known.tolist(), track_table[known].select(columns).to_dicts(), strict=True))
    playlist = {
        "title": title,
        "creator": "Audotics",
        "date": at,
        "meta": [{f"urn:audotics:{name}": said[name]} for name in _SAID_OF_AN_ANSWER],
        "track": [
            _track(track, words.get(place, {}), prefix)
            for track, place in zip(said["tracks"], index.tolist(), strict=True)
        ],
    }
    return orjson.dumps({"playlist": {name: value for name, value in playlist.items() if value is not None}})


_WORDS = {"title": "title", "artist": "creator", "album": "album", "duration_ms": "duration"}
"""Columns of the catalogue and what JSPF calls them."""


def _track(track: dict[str, Any], words: dict[str, Any], prefix: str) -> dict[str, Any]:
    track_id: str = track["track_id"]
    named = {_WORDS[column]: value for column, value in words.items() if value is not None}
    if "reason" in track:
        named["annotation"] = track["reason"]
    identifier = prefix + quote(track_id, safe="") if prefix else track_id
    return {"identifier": [identifier], **named, "meta": [{"urn:audotics:score": track["score"]}]}
