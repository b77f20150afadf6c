"""What listeners did since training, laid over the histories and the order of a frozen version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.data.interactions import FIRST_TIME, Interactions
from audotics.data.vocabulary import Vocabulary
from audotics.domain import PADDING, FloatArray, IndexArray, Reaction
from audotics.slate.catalogue import SlateCatalogue

Reactions = Mapping[str, Sequence[Reaction]]
"""By listener, in any order: what they did since training."""

HALF_LIFE_DAYS = 7.0
"""After so long a skip counts half."""

PRIOR_PLAYS, PRIOR_SKIPS = 1.4, 0.6
"""An artist's plays and skips before anything is known: 30 % of what streams play is skipped (Lamere 2014
found 24 % in the first five seconds and 49 % before the end), with the weight of two listens."""

DISLIKE_SKIPS = 3.0
"""A dislike says as much as so many skips."""

OWN_SHIFT = -2.0
"""Log odds that a skipped track itself loses, beside those of its artist; halves like a skip."""

_DAY_US = 86_400_000_000


def laid_over(
    histories: Interactions, reactions: Sequence[Sequence[Reaction]], tracks: Vocabulary
) -> Interactions:
    """The same histories with what each listener chose since.

    Args:
        histories: ``batch`` rows.
        reactions: ``batch`` sequences, in any order; a skip or a dislike is no choice.
        tracks: Gives the tracks their index; those that it does not know are left out.
    """
    changed = {}
    for row, of_row in enumerate(reactions):
        chosen = [one for one in of_row if one.event in POSITIVE_EVENTS and one.track_id in tracks]
        if chosen:
            changed[row] = _merged(histories.rows(np.array([row])), chosen, tracks)
    if not changed:
        return histories
    return histories.replaced(list(changed), _stacked(list(changed.values())))


def _merged(row: Interactions, chosen: list[Reaction], tracks: Vocabulary) -> Interactions:
    chosen.sort(key=lambda one: microseconds(one.at))
    at = np.array([microseconds(one.at) for one in chosen], dtype=np.int64)
    latest = int(row.last_at.max(initial=0))
    if not row.ordered:
        at = np.zeros(len(chosen), np.int64)
    elif latest < FIRST_TIME and row.n_pairs:
        # A history with places goes on in the order in which things happened.
        at = latest + 1 + np.arange(len(chosen))
    index = np.concatenate([row.track_index, tracks.indices([one.track_id for one in chosen])])
    distinct, place = np.unique(index, return_inverse=True)
    plays = np.bincount(place, np.concatenate([row.plays, np.ones(len(chosen))])).astype(np.float32)
    last_at = np.zeros(len(distinct), np.int64)
    np.maximum.at(last_at, place, np.concatenate([row.last_at, at]))
    order = np.lexsort((distinct, last_at))
    return Interactions(
        np.array([0, len(distinct)]),
        distinct[order].astype(np.int32),
        plays[order],
        last_at[order],
        row.n_tracks,
        row.ordered,
    )


def _stacked(rows: list[Interactions]) -> Interactions:
    return Interactions(
        np.concatenate([[0], np.cumsum([row.n_pairs for row in rows])]).astype(np.int64),
        np.concatenate([row.track_index for row in rows]),
        np.concatenate([row.plays for row in rows]),
        np.concatenate([row.last_at for row in rows]),
        rows[0].n_tracks,
        rows[0].ordered,
    )


@dataclass(frozen=True, slots=True)
class Aversion:
    """What a listener lately skipped or disliked, as log odds that candidates lose.

    Args:
        artist: Artists, ascending.
        artist_shift: Log odds of each, at most 0.
        track: Tracks, ascending.
        track_shift: Log odds of each, at most 0.
        artists: ``[n_tracks]``, see `SlateCatalogue.artist`.
    """

    artist: IndexArray
    artist_shift: FloatArray
    track: IndexArray
    track_shift: FloatArray
    artists: IndexArray

    def shifts(self, track_index: IndexArray) -> FloatArray:
        """What each candidate ``[width]``, padded with -1, loses."""
        owner = np.where(track_index == PADDING, PADDING, self.artists[track_index])
        return _looked_up(self.artist, self.artist_shift, owner) + _looked_up(
            self.track, self.track_shift, track_index
        )


def aversion_of(
    reactions: Sequence[Reaction], tracks: Vocabulary, catalogue: SlateCatalogue, now: datetime
) -> Aversion | None:
    """What the latest skips and dislikes of one listener say; None where there are none.

    The shift of an artist is the log of the chance to be played through,
    ``(plays + 1.4) / (plays + skips + 2)``, against that of an artist of whom nothing is known. Plays
    and skips fade with `HALF_LIFE_DAYS`.
    Plays alone raise nothing here: history and ranker speak for them.
    """
    if all(one.event in POSITIVE_EVENTS for one in reactions):
        return None
    known = [one for one in reactions if one.track_id in tracks]
    index = tracks.indices([one.track_id for one in known])
    age = np.array([microseconds(now) - microseconds(one.at) for one in known]) / _DAY_US
    fresh = np.exp2(-np.clip(age, 0, None) / HALF_LIFE_DAYS)
    skips = fresh * np.array([_SKIPS.get(one.event, 0.0) for one in known])
    plays = fresh * np.array([one.event in POSITIVE_EVENTS for one in known])
    owners, place = np.unique(catalogue.artist[index], return_inverse=True)
    n_skips, n_plays = np.bincount(place, skips), np.bincount(place, plays)
    chance = (n_plays + PRIOR_PLAYS) / (n_plays + n_skips + PRIOR_PLAYS + PRIOR_SKIPS)
    shift = np.minimum(np.log(chance * (PRIOR_PLAYS + PRIOR_SKIPS) / PRIOR_PLAYS), 0.0)
    shift[owners == PADDING] = 0.0
    own, own_place = np.unique(index, return_inverse=True)
    own_shift = OWN_SHIFT * np.clip(np.bincount(own_place, skips) - np.bincount(own_place, plays), 0.0, 1.0)
    return Aversion(
        owners.astype(np.int32),
        shift.astype(np.float32),
        own.astype(np.int32),
        own_shift.astype(np.float32),
        catalogue.artist,
    )


_SKIPS = {"skip": 1.0, "dislike": DISLIKE_SKIPS}


def disliked(reactions: Sequence[Reaction]) -> list[str]:
    """Ids of tracks that a dislike is the last word on: a later like takes it back."""
    last: dict[str, str] = {}
    for one in sorted(reactions, key=lambda one: microseconds(one.at)):
        if one.event in {"dislike", "like", "add_to_playlist"}:
            last[one.track_id] = one.event
    return [track_id for track_id, event in last.items() if event == "dislike"]


def microseconds(at: datetime) -> int:
    """UTC microseconds of a time, see `zoned`."""
    return int(zoned(at).timestamp() * 1_000_000)


def zoned(at: datetime) -> datetime:
    """Without a zone a time means UTC, as everywhere in the data; datetime would take the machine's own."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _looked_up(keys: IndexArray, values: FloatArray, wanted: npt.NDArray[np.integer]) -> FloatArray:
    """Values of the wanted keys, 0 where there is none."""
    if not len(keys):
        return np.zeros(len(wanted), np.float32)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], np.float32(0))
