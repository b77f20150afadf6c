"""Small candidate lists with a known truth, for everything that ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audotics.ranking.protocol import RankingExamples, RankingInputs

FEATURES = ("items:z", "factors:z", "content:z", "log_rank", "popularity", "age")
WEIGHTS = np.array([1.5, 0.2, 0.8, -0.7, 0.0, 0.3], np.float32)


def random_inputs(
    rng: np.random.Generator, n_lists: int = 200, width: int = 40, n_users: int = 60, n_tracks: int = 90
) -> RankingInputs:
    """Random lists; the last slots of some are padded."""
    lengths = rng.integers(width // 2, width + 1, n_lists)
    present = np.arange(width) < lengths[:, None]
    tracks = np.stack([rng.permutation(n_tracks)[:width] for _ in range(n_lists)])
    features = rng.normal(size=(n_lists, width, len(FEATURES))).astype(np.float32)
    recent = rng.integers(0, n_tracks, (n_lists, 5))
    recent[rng.random((n_lists, 5)) < 0.2] = -1
    return RankingInputs(
        np.where(present[..., None], features, 0).astype(np.float32),
        FEATURES,
        np.where(present, tracks, -1).astype(np.int32),
        rng.integers(-1, n_users, n_lists).astype(np.int32),
        rng.normal(size=(n_lists, 3)).astype(np.float32),
        recent.astype(np.int32),
    )


def choose(rng: np.random.Generator, inputs: RankingInputs, utility: np.ndarray, n: int = 3) -> np.ndarray:
    """Play labels ``[n_lists, width]``: ``n`` choices of a softmax over ``utility`` (Gumbel top-n)."""
    noisy = np.where(inputs.present, utility + rng.gumbel(size=utility.shape), -np.inf)
    labels = np.zeros(utility.shape, np.float32)
    np.put_along_axis(labels, np.argpartition(-noisy, n, axis=1)[:, :n], 1.0, axis=1)
    return labels


def linear_examples(seed: int, n_lists: int = 200, width: int = 40, n_plays: int = 3) -> RankingExamples:
    """Lists whose truth is a weighted sum of the features (`WEIGHTS`)."""
    rng = np.random.default_rng(seed)
    inputs = random_inputs(rng, n_lists, width)
    labels = choose(rng, inputs, inputs.features @ WEIGHTS, n_plays)
    return RankingExamples(inputs, labels[..., None], ("play",))


def padded(examples: RankingExamples, extra: int) -> RankingExamples:
    """The same lists with ``extra`` more empty slots, which hold rubbish."""
    inputs = examples.inputs

    def wider(array: np.ndarray, value: float) -> np.ndarray:
        widths = [(0, 0)] * array.ndim
        widths[1] = (0, extra)
        return np.pad(array, widths, constant_values=value)

    grown = replace(inputs, features=wider(inputs.features, 7.0), track_index=wider(inputs.track_index, -1))
    return RankingExamples(grown, wider(examples.labels, np.nan), examples.heads)
