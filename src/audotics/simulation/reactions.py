"""What a listener does with a track that plays: the true chances, shared by the generator and by `Truth`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from audotics.domain import BoolArray, FloatArray, IndexArray
from audotics.simulation import genres

OUTCOMES = ("skip", "like", "add_to_playlist", "dislike", "play", "complete")
"""The event of a listen, in the order of `chances`; ``play`` is one broken off past a quarter."""


def true_affinity(
    taste: FloatArray, user_style: IndexArray, genre: IndexArray, style: IndexArray
) -> FloatArray:
    """How well each track suits its listener, 0 to 1.

    The genre's weight relative to the listener's best genre (square root), times the style's weight
    relative to the listener's own style (fourth root).

    Args:
        taste: ``[n, N_GENRES]`` the listener's taste at that time.
        user_style: ``[n]`` the listener's place on the ring of styles.
        genre: ``[n]`` the track's genre.
        style: ``[n]`` the track's style.
    """
    by_genre = taste[np.arange(len(genre)), genre] / taste.max(axis=1)
    kernel = genres.STYLE_KERNEL / genres.STYLE_KERNEL.max()
    by_style = kernel[(style - user_style) % genres.N_STYLES]
    affinity: FloatArray = (np.sqrt(by_genre) * by_style**0.25).astype(np.float32)
    return affinity


def chances(affinity: FloatArray, favourite: BoolArray) -> FloatArray:
    """Probability of each outcome ``[n, len(OUTCOMES)]``, rows summing to 1.

    Args:
        affinity: ``[n]``, see `true_affinity`.
        favourite: ``[n]`` whether the listener came back for the track; then skips are half as likely.
    """
    skip = (0.06 + 0.70 * (1 - affinity) ** 1.5) * np.where(favourite, 0.5, 1.0)
    like = 0.12 * affinity**3
    add = 0.05 * affinity**3
    dislike = 0.05 * (1 - affinity) ** 2
    rest = 1 - like - add - dislike
    heard = np.stack([like, add, dislike, 0.2 * rest, 0.8 * rest], axis=1) * (1 - skip)[:, None]
    return np.concatenate([skip[:, None], heard], axis=1).astype(np.float32)


def played_share(outcome: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Share of the track that was played ``[n]``, by outcome (place in `OUTCOMES`)."""
    low = np.array([0.01, 0.8, 0.8, 0.05, 0.25, 0.97])[outcome]
    high = np.array([0.15, 1.0, 1.0, 0.30, 0.90, 1.0])[outcome]
    share: npt.NDArray[np.float64] = low + (high - low) * rng.random(len(outcome))
    return share
