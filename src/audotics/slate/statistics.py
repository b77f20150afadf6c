"""What slates look like in numbers, and how often each rule acted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from audotics.data.interactions import Interactions
from audotics.domain import PADDING, IndexArray
from audotics.slate.catalogue import SlateCatalogue


@dataclass(frozen=True, slots=True)
class SlateStatistics:
    """Sums over slates, so that those of parts add up; the shares are means of what was shown.

    Args:
        n_slates: Slates that show at least one track.
        n_shown: Tracks shown.
        n_repeats: Of these, tracks that the listener had heard.
        n_new: Of these, tracks that nobody had played in the training data.
        artist_shares: Sum over slates of the largest share that one artist has.
        acted: By rule, how many places would hold another track without it; for ``explore`` places that
            hold a drawn track, for ``order`` tracks that were moved, for ``withheld`` tracks of the
            catalogue that were kept out beforehand, summed over requests.
    """

    n_slates: int = 0
    n_shown: int = 0
    n_repeats: int = 0
    n_new: int = 0
    artist_shares: float = 0.0
    acted: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        track_index: IndexArray,
        histories: Interactions,
        catalogue: SlateCatalogue,
        acted: Mapping[str, int],
    ) -> SlateStatistics:
        """Count slates ``[batch, k]`` (padded with -1) of listeners with these histories."""
        shown = track_index != PADDING
        index = np.maximum(track_index, 0)
        rows, columns = np.nonzero(shown)
        heard = histories.row_index.astype(np.int64) * catalogue.n_tracks + histories.track_index
        pairs = rows.astype(np.int64) * catalogue.n_tracks + track_index[rows, columns]
        lengths = shown.sum(axis=1)
        filled = lengths > 0
        largest = _largest_owner(np.where(shown, catalogue.artist[index], PADDING), shown)
        return cls(
            n_slates=int(filled.sum()),
            n_shown=int(shown.sum()),
            n_repeats=int(np.isin(pairs, heard).sum()),
            n_new=int((catalogue.listeners[index] == 0)[shown].sum()),
            artist_shares=float((largest[filled] / lengths[filled]).sum()),
            acted=dict(acted),
        )

    @property
    def largest_artist_share(self) -> float:
        """Mean over slates of the share of the artist with most tracks, 0 to 1."""
        return self.artist_shares / max(1, self.n_slates)

    @property
    def repeat_share(self) -> float:
        """Share of shown tracks that their listener had heard."""
        return self.n_repeats / max(1, self.n_shown)

    @property
    def new_track_share(self) -> float:
        """Share of shown tracks that nobody had played in the training data."""
        return self.n_new / max(1, self.n_shown)

    def __add__(self, other: SlateStatistics) -> SlateStatistics:
        return SlateStatistics(
            self.n_slates + other.n_slates,
            self.n_shown + other.n_shown,
            self.n_repeats + other.n_repeats,
            self.n_new + other.n_new,
            self.artist_shares + other.artist_shares,
            dict(Counter(self.acted) + Counter(other.acted)),
        )

    def summary(self) -> dict[str, float | int | dict[str, int]]:
        """The shares and counts by name, for JSON and metrics."""
        return {
            "n_slates": self.n_slates,
            "n_shown": self.n_shown,
            "largest_artist_share": self.largest_artist_share,
            "repeat_share": self.repeat_share,
            "new_track_share": self.new_track_share,
            "acted": dict(self.acted),
        }


def _largest_owner(owners: IndexArray, shown: np.ndarray) -> IndexArray:
    """Tracks of the owner with most of them ``[batch]``; a track of no known owner has one to itself."""
    ordered = np.sort(owners, axis=1)
    starts = np.ones(ordered.shape, np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    place = np.arange(ordered.shape[1])
    began = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    runs = np.where(ordered == PADDING, 0, place - began + 1)
    largest: IndexArray = np.maximum(runs.max(axis=1, initial=0), shown.any(axis=1))
    return largest
